// SPDX-License-Identifier: Apache-2.0
// UDPTL packets as views (ITU-T T.38 §9.1). Nothing is copied.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/types.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace ferry {

/// A parsed UDPTL packet. All octets are borrowed from the datagram and die with it.
struct UdptlView {
  /// How the packet helps if others are lost.
  enum class Recovery : std::uint8_t {
    /// The parts are the IFP packets before this one, the newest first (redundancy).
    kEarlier,
    /// The parts are parity of the IFP packets before this one (FEC).
    kParity,
  };
  SeqNo sequence;
  /// The IFP packet that the sequence number names; may be empty.
  Bytes primary;
  Recovery recovery = Recovery::kEarlier;
  /// With parity: how many IFP packets each part covers. Else 0.
  std::uint8_t span = 0;
  /// How many parts there are.
  std::size_t count = 0;
  /// The parts, each behind its length; `next_udptl_part` cuts them off.
  Bytes parts;
};

/// Takes a whole UDP payload apart. Nothing if it has another form; up to seven octets of zero may follow.
/// Allocates nothing; safe on any thread.
[[nodiscard]] std::optional<UdptlView> parse_udptl(Bytes datagram) noexcept;

/// Cuts the next part off `parts` and returns it; empty if `parts` is empty or damaged.
[[nodiscard]] Bytes next_udptl_part(Bytes& parts) noexcept;

/// Most octets that a length can say (ITU-T X.691 §11.9, without fragments).
inline constexpr std::size_t kLongestUdptlPart = 0x3fff;
/// Octets that the length of so many octets takes.
[[nodiscard]] constexpr std::size_t udptl_length_size(std::size_t octets) noexcept {
  return octets < 0x80 ? 1 : 2;
}
/// Writes such a length at the front of `out`, which has room for it. `octets` is at most
/// `kLongestUdptlPart`. Returns `udptl_length_size(octets)`.
std::size_t write_udptl_length(MutableBytes out, std::size_t octets) noexcept;

}  // namespace ferry
