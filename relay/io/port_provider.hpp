// Opens and closes local ports. A port is reserved by control's port plan, activated before the reply names
// it, and released after the call (docs/architecture.md, seam 5).
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/result.hpp"
#include "relay/io/packet_buffer.hpp"

#include <string>

namespace ferry {

/// Why a port could not be opened: it is in use; the address is not of this host; no descriptors; no memory;
/// anything else.
enum class PortError : std::uint8_t { kInUse, kNoAddress, kNoDescriptors, kNoMemory, kOther };

/// Opens and closes local ports for control, on the control thread only. Control decides which number to try;
/// the provider finds out whether it is really free.
class PortProvider {
 public:
  virtual ~PortProvider() = default;
  /// Opens `local` so that datagrams that arrive from now on wait for the worker that attaches the port.
  /// `tos` is the DSCP and ECN octet of what leaves from it.
  [[nodiscard]] virtual Result<PortHandle, PortError> activate(const Endpoint& local, std::uint8_t tos) = 0;
  /// Closes a port at once, with all that waits in it. The worker has detached it before.
  virtual void release(PortHandle port) = 0;
  /// Changes the DSCP and ECN octet of what leaves from an open port. `family` is that of its address.
  virtual void set_tos(PortHandle port, AddressFamily family, std::uint8_t tos) = 0;
};

}  // namespace ferry
