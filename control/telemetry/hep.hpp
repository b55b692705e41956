// SPDX-License-Identifier: Apache-2.0
// Homer's encapsulation, HEP version 3: chunks behind a header, in network order.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ferry::telemetry {

/// What a packet carries.
namespace hep_type {
/// RTCP as JSON.
constexpr std::uint8_t kRtcp = 5;
/// Quality of a stream as JSON.
constexpr std::uint8_t kQuality = 34;
}  // namespace hep_type

/// One captured message. Texts are borrowed.
struct HepMessage {
  /// From where to where; both of one family. Unset addresses are sent as 0.0.0.0.
  Endpoint from{};
  Endpoint to{};
  WallTime at{};
  std::uint8_t type = 0;
  /// The capture agent.
  std::uint32_t agent = 0;
  /// Empty = none.
  std::string_view password{};
  /// The Call-ID, by which Homer joins it with the SIP of the call; empty = none.
  std::string_view call_id{};
  std::string_view payload{};
};

/// Returns the packet; nothing if it would be larger than HEP can say. Pure.
[[nodiscard]] std::optional<std::string> encode_hep(const HepMessage& message);

}  // namespace ferry::telemetry
