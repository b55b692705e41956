// SPDX-License-Identifier: Apache-2.0
// Tells the protocols on one port apart by the first octets of a datagram (RFC 7983 §7, RFC 9443; DMX-1,
// DMX-2).
#pragma once

#include "relay/base/bytes.hpp"

#include <cstdint>

namespace ferry {

/// Protocol of a datagram. `kUnknown` is an empty datagram or a first octet that belongs to none of the
/// others.
enum class DatagramClass : std::uint8_t { kStun, kDtls, kRtp, kRtcp, kUnknown };

/// Looks at the first two octets only. The class says nothing about the rest of the datagram, which its
/// parser has to check. Pure, safe on any thread.
constexpr DatagramClass classify(Bytes datagram) noexcept {
  if (datagram.empty()) return DatagramClass::kUnknown;
  const std::uint8_t first = read_u8(datagram, 0);
  if (first <= 3) return DatagramClass::kStun;
  if (first >= 20 && first <= 63) return DatagramClass::kDtls;
  if (first < 128 || first > 191) return DatagramClass::kUnknown;
  if (datagram.size() >= 2) {
    // RFC 5761 §4: a second octet of 192 to 223 means RTCP. RTP would need a payload type of 64 to 95 for it,
    // and those are not used beside RTCP.
    const std::uint8_t second = read_u8(datagram, 1);
    if (second >= 192 && second <= 223) return DatagramClass::kRtcp;
  }
  return DatagramClass::kRtp;
}

}  // namespace ferry
