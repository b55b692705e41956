// First-octet demultiplexing of one port (RFC 7983 §7, RFC 9443; media-security DMX-1, DMX-2).
#pragma once

#include "relay/base/bytes.hpp"

#include <cstdint>

namespace ferry {

enum class DatagramClass : std::uint8_t { kStun, kDtls, kRtp, kRtcp, kUnknown };

constexpr DatagramClass classify(Bytes datagram) noexcept {
  if (datagram.empty()) return DatagramClass::kUnknown;
  const std::uint8_t first = read_u8(datagram, 0);
  if (first <= 3) return DatagramClass::kStun;
  if (first >= 20 && first <= 63) return DatagramClass::kDtls;
  if (first < 128 || first > 191) return DatagramClass::kUnknown;
  if (datagram.size() >= 2) {
    const std::uint8_t second = read_u8(datagram, 1);
    if (second >= 192 && second <= 223) return DatagramClass::kRtcp;
  }
  return DatagramClass::kRtp;
}

}  // namespace ferry
