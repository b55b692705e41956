// How ports come to life (design seam 5): reserved by the port plan, activated before the reply, released.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/result.hpp"
#include "relay/io/packet_buffer.hpp"

#include <string>

namespace ferry {

enum class PortError : std::uint8_t { kInUse, kNoAddress, kNoDescriptors, kNoMemory, kOther };

/// Opens and closes local ports. Called on the control thread only. Which number to try is the port plan's
/// decision (control); whether it is really free is known here.
class PortProvider {
 public:
  virtual ~PortProvider() = default;
  /// Opens `local` so that datagrams sent to it from now on are kept for the worker that attaches it.
  [[nodiscard]] virtual Result<PortHandle, PortError> activate(const Endpoint& local, std::uint8_t tos) = 0;
  /// Closes at once. The worker has detached the port before.
  virtual void release(PortHandle port) = 0;
  virtual void set_tos(PortHandle port, AddressFamily family, std::uint8_t tos) = 0;
};

}  // namespace ferry
