// Ethernet frames with UDP inside, read and written. Pure.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/bytes.hpp"

#include <array>
#include <cstdint>

namespace ferry::dpdk {

using MacAddress = std::array<std::uint8_t, 6>;

/// `kOther` is the kernel's: ARP, ICMP, IP with options or extension headers, fragments, and all that is not
/// UDP. `kMalformed` contradicts itself.
enum class FrameKind : std::uint8_t { kUdp, kOther, kMalformed };

/// Offsets are from the start of the frame.
struct UdpFrame {
  Endpoint from;
  Endpoint to;
  std::uint16_t vlan = 0;  // number of the IEEE 802.1Q tag in the frame; 0 = none
  std::uint32_t udp_at = 0;
  std::uint32_t payload_at = 0;
  std::uint32_t payload_size = 0;
};

/// `frame` begins with the Ethernet header and may end with padding (RFC 894, 2464, 791, 8200, 768). Writes
/// `udp` for `kUdp` alone.
[[nodiscard]] FrameKind parse_frame(Bytes frame, UdpFrame& udp) noexcept;

/// `kPartial`: of the pseudo-header alone. So the kernel hands over what it leaves to the hardware, as veth
/// and virtio show it.
enum class UdpChecksum : std::uint8_t { kGood, kPartial, kBad };
[[nodiscard]] UdpChecksum check_udp(Bytes frame, const UdpFrame& udp) noexcept;

/// A partial checksum of a TCP or UDP packet of any kind that is whole in the frame: where its sum begins and
/// where it is to be written. `size` 0: there is none.
struct PartialChecksum {
  std::uint16_t start = 0;
  std::uint16_t offset = 0;
  std::uint16_t size = 0;
};
[[nodiscard]] PartialChecksum find_partial_checksum(Bytes frame) noexcept;

/// What a UDP frame is addressed with.
struct FrameAddresses {
  MacAddress source_mac{};
  MacAddress destination_mac{};
  std::uint16_t vlan = 0;
  Endpoint from;
  Endpoint to;
  /// DSCP and ECN octet.
  std::uint8_t tos = 0;
};

/// Who computes a checksum.
enum class Offload : std::uint8_t { kNone, kUdp, kIpAndUdp };

/// Octets of Ethernet, IP and UDP before the payload.
[[nodiscard]] std::size_t headers_size(const FrameAddresses& addresses) noexcept;
/// Writes the headers for the payload that `frame` has behind them; `frame` is as long as the packet will be.
/// IPv4 goes with DF and without an identification (RFC 6864). What `offload` leaves to the hardware gets the
/// sum of its pseudo-header.
void write_headers(MutableBytes frame, const FrameAddresses& addresses, Offload offload) noexcept;

}  // namespace ferry::dpdk
