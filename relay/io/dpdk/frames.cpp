// SPDX-License-Identifier: Apache-2.0
// Reads and writes Ethernet frames with UDP (RFC 894, 2464, 791, 8200, 768). Every length is checked against
// the octets that are there before anything behind it is read; a frame from the network is never trusted.
//
// Checksums (RFC 1071) are one's complement sums. They can be added up in any grouping and in the host's byte
// order, so the sum here takes eight octets at a time.
#include "relay/io/dpdk/frames.hpp"

#include <algorithm>
#include <cstring>

namespace ferry::dpdk {

namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kTag = 4;
constexpr std::size_t kIpv4 = 20;
constexpr std::size_t kIpv6 = 40;
constexpr std::size_t kUdp = 8;
constexpr std::uint16_t kTypeIpv4 = 0x0800;
constexpr std::uint16_t kTypeIpv6 = 0x86dd;
constexpr std::uint16_t kTypeVlan = 0x8100;
constexpr std::uint8_t kProtocolTcp = 6;
constexpr std::uint8_t kProtocolUdp = 17;
constexpr std::uint8_t kHops = 64;
constexpr std::uint16_t kDontFragment = 0x4000;

/// A one's complement sum (RFC 1071). It takes words as they lie in the host's memory: the result is then in
/// the host's order too, and is turned only at the end.
class Sum {
 public:
  void add(Bytes octets) noexcept {
    const std::byte* at = octets.data();
    std::size_t left = octets.size();
    for (; left >= 8; at += 8, left -= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, at, 8);
      add_word(word);
    }
    // The last octets, with zeros behind them, as RFC 1071 wants for an odd length.
    if (left == 0) return;
    std::uint64_t rest = 0;
    std::memcpy(&rest, at, left);
    add_word(rest);
  }
  /// Adds a value as the two octets that it has on the wire.
  void add_value(std::uint16_t value) noexcept {
    const std::array<std::byte, 2> octets = {static_cast<std::byte>(value >> 8),
                                             static_cast<std::byte>(value)};
    add(octets);
  }
  /// The sum of 16 bits, as a number in host order. 0xffff over a whole header or datagram means that its
  /// checksum is right.
  [[nodiscard]] std::uint16_t folded() const noexcept {
    std::uint64_t sum = (sum_ & 0xffffffff) + (sum_ >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    const auto word = static_cast<std::uint16_t>(sum);
    std::array<std::byte, 2> octets{};
    std::memcpy(octets.data(), &word, 2);
    return read_u16(octets, 0);
  }

 private:
  // An overflow of 64 bits is carried around, as in any one's complement sum.
  void add_word(std::uint64_t word) noexcept {
    sum_ += word;
    sum_ += static_cast<std::uint64_t>(sum_ < word);
  }
  std::uint64_t sum_ = 0;
};

/// The parts of an IP packet in a frame. Offsets count from the start of the frame.
struct IpFrame {
  bool is_v6 = false;
  std::uint16_t vlan = 0;
  std::size_t ip_at = 0;
  std::size_t data_at = 0;
  std::size_t data_size = 0;
  std::uint8_t protocol = 0;
  // The source and the destination address, as the pseudo header begins with them.
  [[nodiscard]] Bytes addresses(Bytes frame) const noexcept {
    return is_v6 ? frame.subspan(ip_at + 8, 32) : frame.subspan(ip_at + 12, 8);
  }
};

// Finds the IP packet. kUdp here means "IP that can be read", of any protocol. kOther goes to the kernel.
FrameKind parse_ip(Bytes frame, IpFrame& ip) noexcept {
  if (frame.size() < kEthernet) return FrameKind::kMalformed;
  std::uint16_t type = read_u16(frame, kEthernet - 2);
  ip.ip_at = kEthernet;
  if (type == kTypeVlan) {
    if (frame.size() < kEthernet + kTag) return FrameKind::kMalformed;
    ip.vlan = read_u16(frame, kEthernet) & 0x0fff;
    type = read_u16(frame, kEthernet + 2);
    ip.ip_at += kTag;
  }
  const Bytes packet = frame.subspan(ip.ip_at);
  if (type == kTypeIpv4) {
    if (packet.size() < kIpv4) return FrameKind::kMalformed;
    // IP options.
    if (read_u8(packet, 0) != 0x45) return FrameKind::kOther;
    // A fragment: it carries the ports only if it is the first one.
    if ((read_u16(packet, 6) & 0x3fff) != 0) return FrameKind::kOther;
    const std::size_t size = read_u16(packet, 2);
    if (size < kIpv4 || size > packet.size()) return FrameKind::kMalformed;
    // An IPv4 header has a checksum of its own, which the device may not have looked at.
    Sum sum;
    sum.add(packet.first(kIpv4));
    if (sum.folded() != 0xffff) return FrameKind::kMalformed;
    ip.protocol = read_u8(packet, 9);
    ip.data_at = ip.ip_at + kIpv4;
    ip.data_size = size - kIpv4;
    return FrameKind::kUdp;
  }
  if (type == kTypeIpv6) {
    // Extension headers show as another protocol than UDP, and so go to the kernel.
    if (packet.size() < kIpv6) return FrameKind::kMalformed;
    if ((read_u8(packet, 0) >> 4) != 6) return FrameKind::kMalformed;
    const std::size_t size = read_u16(packet, 4);
    if (size > packet.size() - kIpv6) return FrameKind::kMalformed;
    ip.is_v6 = true;
    ip.protocol = read_u8(packet, 6);
    ip.data_at = ip.ip_at + kIpv6;
    ip.data_size = size;
    return FrameKind::kUdp;
  }
  return FrameKind::kOther;
}

IpAddress address_at(Bytes octets, bool is_v6) noexcept {
  if (is_v6) {
    std::array<std::uint8_t, 16> v6{};
    std::memcpy(v6.data(), octets.data(), v6.size());
    return IpAddress::v6(v6);
  }
  std::array<std::uint8_t, 4> v4{};
  std::memcpy(v4.data(), octets.data(), v4.size());
  return IpAddress::v4(v4);
}

Bytes octets_of(const IpAddress& address) noexcept {
  return std::as_bytes(std::span(address.octets())).first(address.is_v6() ? 16 : 4);
}

Sum pseudo_header(Bytes addresses, std::uint8_t protocol, std::size_t size) noexcept {
  Sum sum;
  sum.add(addresses);
  sum.add_value(protocol);
  sum.add_value(static_cast<std::uint16_t>(size));
  return sum;
}

/// A UDP checksum of zero means that there is none; a sum that is zero is written as 0xffff (RFC 768, RFC
/// 8200 section 8.1).
std::uint16_t as_udp(std::uint16_t checksum) noexcept { return checksum == 0 ? 0xffff : checksum; }

}  // namespace

FrameKind parse_frame(Bytes frame, UdpFrame& udp) noexcept {
  IpFrame ip;
  if (const FrameKind kind = parse_ip(frame, ip); kind != FrameKind::kUdp) return kind;
  if (ip.protocol != kProtocolUdp) return FrameKind::kOther;
  if (ip.data_size < kUdp) return FrameKind::kMalformed;
  const Bytes datagram = frame.subspan(ip.data_at, ip.data_size);
  // A UDP length below the IP length is allowed; what lies behind is padding.
  const std::size_t size = read_u16(datagram, 4);
  if (size < kUdp || size > datagram.size()) return FrameKind::kMalformed;
  const Bytes addresses = ip.addresses(frame);
  udp.from = {address_at(addresses, ip.is_v6), UdpPort{read_u16(datagram, 0)}};
  udp.to = {address_at(addresses.subspan(addresses.size() / 2), ip.is_v6), UdpPort{read_u16(datagram, 2)}};
  udp.vlan = ip.vlan;
  udp.udp_at = static_cast<std::uint32_t>(ip.data_at);
  udp.payload_at = static_cast<std::uint32_t>(ip.data_at + kUdp);
  udp.payload_size = static_cast<std::uint32_t>(size - kUdp);
  return FrameKind::kUdp;
}

UdpChecksum check_udp(Bytes frame, const UdpFrame& udp) noexcept {
  const bool is_v6 = udp.to.address.is_v6();
  const std::size_t size = udp.payload_size + kUdp;
  const Bytes datagram = frame.subspan(udp.udp_at, size);
  const std::uint16_t checksum = read_u16(datagram, 6);
  // IPv6 does not allow a datagram without a checksum (RFC 8200 section 8.1).
  if (checksum == 0) return is_v6 ? UdpChecksum::kBad : UdpChecksum::kGood;
  const std::size_t addresses = is_v6 ? 32 : 8;
  Sum sum = pseudo_header(frame.subspan(udp.udp_at - addresses, addresses), kProtocolUdp, size);
  const std::uint16_t pseudo = sum.folded();
  sum.add(datagram);
  // The kernel leaves the rest of the sum to hardware; veth and virtio show such frames.
  if (sum.folded() == 0xffff) return UdpChecksum::kGood;
  return checksum == pseudo ? UdpChecksum::kPartial : UdpChecksum::kBad;
}

PartialChecksum find_partial_checksum(Bytes frame) noexcept {
  IpFrame ip;
  if (parse_ip(frame, ip) != FrameKind::kUdp) return {};
  const bool is_udp = ip.protocol == kProtocolUdp;
  if (!is_udp && ip.protocol != kProtocolTcp) return {};
  const std::size_t offset = is_udp ? 6 : 16;
  if (ip.data_size < (is_udp ? kUdp : kIpv4)) return {};
  const std::uint16_t checksum = read_u16(frame, ip.data_at + offset);
  const Sum sum = pseudo_header(ip.addresses(frame), ip.protocol, ip.data_size);
  // A checksum that is already whole looks the same once in 65,536 frames. The kernel would then compute it
  // again.
  if (checksum == 0 || checksum != sum.folded()) return {};
  return {static_cast<std::uint16_t>(ip.data_at), static_cast<std::uint16_t>(offset),
          static_cast<std::uint16_t>(ip.data_size)};
}

std::size_t headers_size(const FrameAddresses& addresses) noexcept {
  return kEthernet + (addresses.vlan != 0 ? kTag : 0) + (addresses.to.address.is_v6() ? kIpv6 : kIpv4) + kUdp;
}

void write_headers(MutableBytes frame, const FrameAddresses& addresses, Offload offload) noexcept {
  const bool is_v6 = addresses.to.address.is_v6();
  std::memcpy(frame.data(), addresses.destination_mac.data(), 6);
  std::memcpy(frame.data() + 6, addresses.source_mac.data(), 6);
  std::size_t at = kEthernet;
  if (addresses.vlan != 0) {
    write_u16(frame, 12, kTypeVlan);
    write_u16(frame, 14, addresses.vlan);
    at += kTag;
  }
  // The type stands in the last two octets before the IP header, with a tag or without.
  write_u16(frame, at - 2, is_v6 ? kTypeIpv6 : kTypeIpv4);
  const MutableBytes ip = frame.subspan(at);
  const Bytes from = octets_of(addresses.from.address);
  const Bytes to = octets_of(addresses.to.address);
  const std::size_t udp_at = is_v6 ? kIpv6 : kIpv4;
  std::ranges::copy(from, ip.begin() + static_cast<std::ptrdiff_t>(udp_at - 2 * from.size()));
  std::ranges::copy(to, ip.begin() + static_cast<std::ptrdiff_t>(udp_at - to.size()));
  const MutableBytes udp = ip.subspan(udp_at);
  if (is_v6) {
    write_u32(ip, 0, 0x60000000u | static_cast<std::uint32_t>(addresses.tos) << 20);
    write_u16(ip, 4, static_cast<std::uint16_t>(udp.size()));
    write_u8(ip, 6, kProtocolUdp);
    write_u8(ip, 7, kHops);
  } else {
    write_u8(ip, 0, 0x45);
    write_u8(ip, 1, addresses.tos);
    write_u16(ip, 2, static_cast<std::uint16_t>(ip.size()));
    // No identification: the packet may not be fragmented (RFC 6864).
    write_u16(ip, 4, 0);
    write_u16(ip, 6, kDontFragment);
    write_u8(ip, 8, kHops);
    write_u8(ip, 9, kProtocolUdp);
    write_u16(ip, 10, 0);
    if (offload != Offload::kIpAndUdp) {
      Sum sum;
      sum.add(ip.first(kIpv4));
      write_u16(ip, 10, static_cast<std::uint16_t>(~sum.folded()));
    }
  }
  write_u16(udp, 0, addresses.from.port.value);
  write_u16(udp, 2, addresses.to.port.value);
  write_u16(udp, 4, static_cast<std::uint16_t>(udp.size()));
  write_u16(udp, 6, 0);
  // Hardware adds the datagram to what it finds in the checksum: the sum of the pseudo header.
  Sum sum = pseudo_header(ip.subspan(udp_at - 2 * from.size(), 2 * from.size()), kProtocolUdp, udp.size());
  if (offload == Offload::kNone) {
    sum.add(udp);
    write_u16(udp, 6, as_udp(static_cast<std::uint16_t>(~sum.folded())));
  } else {
    write_u16(udp, 6, sum.folded());
  }
}

}  // namespace ferry::dpdk
