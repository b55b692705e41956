// SPDX-License-Identifier: Apache-2.0
// What would become of a packet if it came now (`rtpferryctl where`).
#pragma once

#include "control/call/totals.hpp"
#include "control/session/services.hpp"
#include "relay/base/address.hpp"
#include "relay/base/types.hpp"

#include <cstddef>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace ferry {

/// A packet that somebody asks about.
struct WherePacket {
  Endpoint from;
  /// The port of the relay that it would come to.
  UdpPort to;
  /// The whole datagram. If it is empty, a packet is made of the next three.
  std::vector<std::byte> datagram;
  PayloadType type;
  Ssrc ssrc;
  SeqNo sequence;
};

/// Tries `packet` on copies of the worker's state, so that nothing changes. Tells the verdict, its reason,
/// and who it would be sent to. Waits for the worker of the call. Null if there is no such call.
[[nodiscard]] nlohmann::json where(const Services& services, std::string_view call_id,
                                   const WherePacket& packet, const Clock& clock);

}  // namespace ferry
