// SPDX-License-Identifier: Apache-2.0
// Test packets: RTP, RTCP and UDPTL with a payload that says who sent it.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace ferry::test {

using Packet = std::vector<std::byte>;

inline Packet bytes_of(std::initializer_list<int> octets) {
  Packet packet;
  for (const int octet : octets) packet.push_back(static_cast<std::byte>(octet));
  return packet;
}

/// An RTP packet of 20 ms G.711; the first payload octet is `sender`.
inline Packet rtp(char sender, std::uint32_t ssrc, std::uint16_t sequence, std::uint8_t type = 8,
                  std::size_t payload = 160) {
  Packet packet(kRtpFixedHeaderSize + payload, std::byte{0x55});
  write_rtp_header(packet, PayloadType{type}, false, SeqNo{sequence}, sequence * 160u, Ssrc{ssrc});
  if (payload > 0) packet[kRtpFixedHeaderSize] = static_cast<std::byte>(sender);
  return packet;
}

/// A receiver report without blocks.
inline Packet receiver_report(std::uint32_t ssrc) {
  Packet packet(8);
  write_u8(packet, 0, 0x80);
  write_u8(packet, 1, 201);
  write_u16(packet, 2, 1);
  write_u32(packet, 4, ssrc);
  return packet;
}

/// A sender report with one block about `about`.
inline Packet sender_report(std::uint32_t ssrc, std::uint32_t ntp_seconds, std::uint32_t about = 0,
                            std::uint32_t last_sr = 0, std::uint32_t delay = 0, std::uint8_t lost = 0) {
  Packet packet(52);
  write_u8(packet, 0, 0x81);
  write_u8(packet, 1, 200);
  write_u16(packet, 2, 12);
  write_u32(packet, 4, ssrc);
  write_u32(packet, 8, ntp_seconds);
  write_u32(packet, 28, about);
  write_u8(packet, 32, lost);
  write_u32(packet, 44, last_sr);
  write_u32(packet, 48, delay);
  return packet;
}

inline char sender_of(Bytes packet) {
  return packet.size() > kRtpFixedHeaderSize ? static_cast<char>(packet[kRtpFixedHeaderSize]) : '\0';
}

}  // namespace ferry::test
