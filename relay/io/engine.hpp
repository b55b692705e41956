// SPDX-License-Identifier: Apache-2.0
// The engine of the process: makes the packet I/O of all workers and opens their ports.
#pragma once

#include "relay/io/packet_io.hpp"
#include "relay/io/port_provider.hpp"

#include <functional>
#include <memory>

namespace ferry {

/// One engine moves the packets of the whole process: portable or DPDK. The control thread uses it. It
/// outlives the workers.
class Engine {
 public:
  virtual ~Engine() = default;
  /// Workers that `make_io` may be called for.
  [[nodiscard]] virtual unsigned workers() const = 0;
  /// Opens and closes media ports. Lives as long as the engine.
  [[nodiscard]] virtual PortProvider& provider() = 0;
  /// The I/O of worker `number`, counted from 0. Call it after `serve`.
  [[nodiscard]] virtual std::unique_ptr<PacketIo> make_io(unsigned number) = 0;
  /// True if it has network ports of its own, whose packets the kernel's forwarding does not see.
  [[nodiscard]] virtual bool owns_ports() const { return false; }
  /// Runs `task` once on each thread that the engine has already, for things that belong to a thread, such as
  /// capabilities. Returns when all are done.
  virtual void on_threads(const std::function<void()>& task) { (void)task; }
  /// Starts the engine's own threads. Call it once, after the rights that its start needed were given up.
  /// Throws std::system_error.
  virtual void serve() {}
};

}  // namespace ferry
