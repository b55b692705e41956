// SPDX-License-Identifier: Apache-2.0
// Reads and writes Ethernet frames with UDP inside. Pure: no memory, no clock, no device.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/bytes.hpp"

#include <array>
#include <cstdint>

namespace ferry::dpdk {

using MacAddress = std::array<std::uint8_t, 6>;

/// The kind of a frame. kUdp: a whole UDP datagram. kOther: a frame for the kernel, such as ARP, ICMP, IP
/// with options or extension headers, fragments, everything that is not UDP. kMalformed: its lengths
/// contradict each other.
enum class FrameKind : std::uint8_t { kUdp, kOther, kMalformed };

/// A UDP datagram in a frame. Offsets count from the start of the frame, sizes are in octets.
struct UdpFrame {
  Endpoint from;
  Endpoint to;
  /// Number in the IEEE 802.1Q tag; 0: there is no tag.
  std::uint16_t vlan = 0;
  /// Offset of the UDP header, offset of the payload, size of the payload.
  std::uint32_t udp_at = 0;
  std::uint32_t payload_at = 0;
  std::uint32_t payload_size = 0;
};

/// Reads a frame that begins with the Ethernet header and may end with padding (RFC 894, 2464, 791, 8200,
/// 768). Writes `udp` only for kUdp. Does not check the UDP checksum.
[[nodiscard]] FrameKind parse_frame(Bytes frame, UdpFrame& udp) noexcept;

/// The state of a UDP checksum. kGood: right, or absent where IPv4 allows it. kPartial: it covers the pseudo
/// header alone, because the kernel has left the rest to hardware (veth and virtio show such frames). kBad:
/// wrong.
enum class UdpChecksum : std::uint8_t { kGood, kPartial, kBad };
[[nodiscard]] UdpChecksum check_udp(Bytes frame, const UdpFrame& udp) noexcept;

/// A TCP or UDP checksum that is only begun. `start`: where the octets to be summed begin, from the start of
/// the frame. `offset`: where the checksum stands, from there. `size`: octets to be summed; 0: the frame has
/// no such checksum.
struct PartialChecksum {
  std::uint16_t start = 0;
  std::uint16_t offset = 0;
  std::uint16_t size = 0;
};
/// Looks for a partial checksum in a frame that holds a whole TCP or UDP packet.
[[nodiscard]] PartialChecksum find_partial_checksum(Bytes frame) noexcept;

/// The addresses of a UDP frame that is to be written. Both endpoints are of one family.
struct FrameAddresses {
  MacAddress source_mac{};
  MacAddress destination_mac{};
  /// 0: no tag.
  std::uint16_t vlan = 0;
  Endpoint from;
  Endpoint to;
  /// DSCP and ECN octet.
  std::uint8_t tos = 0;
};

/// Which checksums hardware computes.
enum class Offload : std::uint8_t { kNone, kUdp, kIpAndUdp };

/// Octets of the Ethernet, IP and UDP headers before the payload.
[[nodiscard]] std::size_t headers_size(const FrameAddresses& addresses) noexcept;
/// Writes the headers in front of the payload, which must lie at its place already; `frame` is exactly as
/// long as the frame will be. IPv4 gets DF and no identification (RFC 6864). A checksum that `offload` leaves
/// to hardware gets the sum of its pseudo header.
void write_headers(MutableBytes frame, const FrameAddresses& addresses, Offload offload) noexcept;

}  // namespace ferry::dpdk
