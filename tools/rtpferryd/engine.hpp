// Who moves the packets, as the daemon sees it.
#pragma once

#include "control/config/config.hpp"
#include "relay/base/result.hpp"
#include "relay/io/packet_io.hpp"
#include "relay/io/port_provider.hpp"

#include <functional>
#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace ferry {

/// Outlives the workers. Control thread.
class Engine {
 public:
  virtual ~Engine() = default;
  [[nodiscard]] virtual unsigned workers() const = 0;
  [[nodiscard]] virtual PortProvider& provider() = 0;
  /// For worker `number`, the first is 0. After `serve`.
  [[nodiscard]] virtual std::unique_ptr<PacketIo> make_io(unsigned number) = 0;
  /// It has ports that the kernel's forwarding does not see.
  [[nodiscard]] virtual bool owns_ports() const { return false; }
  /// Runs a task on each thread that it has already.
  virtual void on_threads(const std::function<void()>&) {}
  /// The rights that its start needed are gone: it starts its own threads.
  virtual void serve() {}
  /// Members of the reply to `engines`: `engine`, `reason` and what it has besides.
  [[nodiscard]] virtual nlohmann::json describe() const = 0;
};

/// The engine that the configuration asks for. Fails with a sentence for the operator.
Result<std::unique_ptr<Engine>, std::string> make_engine(const Config& config,
                                                         const InterfaceSet& interfaces);

/// Empty, or why this build has not the engine that the configuration asks for.
std::string missing_engine(const Config& config);

}  // namespace ferry
