// SPDX-License-Identifier: Apache-2.0
// Opens and closes local ports. A port is reserved by control's port plan, activated before the reply names
// it, and released after the call (docs/architecture.md, seam 5).
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/result.hpp"
#include "relay/io/packet_buffer.hpp"

#include <string>
#include <vector>

namespace ferry {

/// Why a port could not be opened: it is in use; the address is not of this host; no descriptors; no memory;
/// the engine has no shared ports; anything else.
enum class PortError : std::uint8_t { kInUse, kNoAddress, kNoDescriptors, kNoMemory, kNotShared, kOther };

/// Opens and closes local ports for control, on the control thread only. Control decides which number to try;
/// the provider finds out whether it is really free.
class PortProvider {
 public:
  virtual ~PortProvider() = default;
  /// Opens `local` so that datagrams that arrive from now on wait for the worker that attaches the port.
  /// `tos` is the DSCP and ECN octet of what leaves from it.
  [[nodiscard]] virtual Result<PortHandle, PortError> activate(const Endpoint& local, std::uint8_t tos) = 0;
  /// Opens `local` as a port that `workers` workers serve together, each with a handle of its own. All
  /// datagrams of one remote endpoint arrive at the same handle. Fails as a whole, also if the engine has no
  /// such ports.
  [[nodiscard]] virtual Result<std::vector<PortHandle>, PortError> activate_shared(const Endpoint& local,
                                                                                   std::uint8_t tos,
                                                                                   std::size_t workers) {
    static_cast<void>(local), static_cast<void>(tos), static_cast<void>(workers);
    return fail(PortError::kNotShared);
  }
  /// Closes a port at once, with all that waits in it. The worker has detached it before.
  virtual void release(PortHandle port) = 0;
  /// Changes the DSCP and ECN octet of what leaves from an open port. `family` is that of its address.
  virtual void set_tos(PortHandle port, AddressFamily family, std::uint8_t tos) = 0;
};

}  // namespace ferry
