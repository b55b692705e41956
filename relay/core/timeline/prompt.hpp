// Encoded audio that is played to parties.
#pragma once

#include "relay/base/types.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ferry {

/// A prompt in one encoding, shared by everybody it is played to. Immutable.
struct Prompt {
  /// Whole packets' payloads, one behind the other.
  std::vector<std::byte> payloads;
  PayloadType type;
  std::size_t packet_octets = 0;
  Duration packet_time{0};
  /// Timestamp units a packet.
  std::uint32_t units = 0;

  static constexpr std::int64_t kForEver = -1;
};

}  // namespace ferry
