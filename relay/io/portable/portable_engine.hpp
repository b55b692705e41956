// SPDX-License-Identifier: Apache-2.0
// The portable engine as a whole: sockets for all workers of the process.
#pragma once

#include "relay/io/engine.hpp"
#include "relay/io/portable/portable_io.hpp"

#include <memory>

namespace ferry {

/// Makes `PortableIo` for each worker; they share the connected sockets with the provider.
class PortableEngine final : public Engine {
 public:
  /// `workers`: how many there will be.
  explicit PortableEngine(unsigned workers) : workers_(workers) {}
  [[nodiscard]] unsigned workers() const override { return workers_; }
  [[nodiscard]] PortProvider& provider() override { return provider_; }
  [[nodiscard]] std::unique_ptr<PacketIo> make_io(unsigned) override {
    return std::make_unique<PortableIo>(connected_);
  }

 private:
  unsigned workers_;
  std::shared_ptr<ConnectedSockets> connected_ = std::make_shared<ConnectedSockets>();
  PortableProvider provider_{connected_};
};

}  // namespace ferry
