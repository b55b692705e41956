// Encoded audio that is played to parties.
#pragma once

#include "relay/base/types.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ferry {

/// A prompt in one encoding. Immutable, and shared by everybody who hears it.
struct Prompt {
  /// Payloads of whole packets, one behind the other.
  std::vector<std::byte> payloads;
  PayloadType type;
  /// Octets of one payload.
  std::size_t packet_octets = 0;
  /// Time that one packet lasts.
  Duration packet_time{0};
  /// Time stamp units of one packet.
  std::uint32_t units = 0;

  /// Number of repetitions that means "until it is stopped".
  static constexpr std::int64_t kForEver = -1;
};

}  // namespace ferry
