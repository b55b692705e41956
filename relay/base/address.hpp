// SPDX-License-Identifier: Apache-2.0
// IP addresses, endpoints and networks as values, with the classes of address that the rules distinguish
// (LAT-4, LAT-11).
#pragma once

#include "relay/base/types.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace ferry {

/// IP version of an address. `kNone` stands for "no address", the default of `IpAddress`.
enum class AddressFamily : std::uint8_t { kNone, kIpv4, kIpv6 };

/// An IPv4 or IPv6 address in network byte order. 17 octets, trivially copyable. The default is "no address":
/// it belongs to no class of address, and its text is empty.
class IpAddress {
 public:
  constexpr IpAddress() = default;
  /// Makes an address from its octets in network order.
  static constexpr IpAddress v4(std::array<std::uint8_t, 4> octets) {
    IpAddress a;
    a.family_ = AddressFamily::kIpv4;
    for (std::size_t i = 0; i < 4; ++i) a.octets_[i] = octets[i];
    return a;
  }
  /// Makes an IPv6 address from its octets in network order.
  static constexpr IpAddress v6(std::array<std::uint8_t, 16> octets) {
    IpAddress a;
    a.family_ = AddressFamily::kIpv6;
    a.octets_ = octets;
    return a;
  }
  /// `0.0.0.0` or `::`. For `kNone` the result is "no address".
  static IpAddress unspecified(AddressFamily family);
  /// Reads a numeric address. Nothing for host names, zone ids, prefixes and brackets.
  static std::optional<IpAddress> parse(std::string_view text);

  [[nodiscard]] AddressFamily family() const { return family_; }
  [[nodiscard]] bool is_v4() const { return family_ == AddressFamily::kIpv4; }
  [[nodiscard]] bool is_v6() const { return family_ == AddressFamily::kIpv6; }
  /// All octets in network order. An IPv4 address uses the first 4; the other 12 are zero.
  [[nodiscard]] const std::array<std::uint8_t, 16>& octets() const { return octets_; }

  /// True for `0.0.0.0` and `::`.
  [[nodiscard]] bool is_unspecified() const;
  /// True for 127.0.0.0/8 and `::1`.
  [[nodiscard]] bool is_loopback() const;
  /// RFC 1918 or fc00::/7.
  [[nodiscard]] bool is_private() const;
  /// 100.64.0.0/10 (RFC 6598).
  [[nodiscard]] bool is_shared() const;
  /// True for 169.254.0.0/16 and fe80::/10.
  [[nodiscard]] bool is_link_local() const;
  /// True for 224.0.0.0/4 and ff00::/8.
  [[nodiscard]] bool is_multicast() const;
  /// True for 255.255.255.255 only. Broadcast addresses of a subnet are not recognised.
  [[nodiscard]] bool is_broadcast() const;
  /// True for an address that is not private, shared, link-local, loopback or unspecified (LAT-4). Multicast
  /// addresses count as global.
  [[nodiscard]] bool is_global() const;

  /// The IPv4 address inside an IPv4-mapped IPv6 address (`::ffff:192.0.2.1`, RFC 4291 §2.5.5.2), because a
  /// host sends to that one. Any other address is returned unchanged.
  [[nodiscard]] IpAddress unmapped() const noexcept;

  /// Numeric text without brackets; empty for "no address".
  [[nodiscard]] std::string to_string() const;

  auto operator<=>(const IpAddress&) const = default;
  /// Runs several times for each packet. Comparing two 64-bit words and the family is cheaper than a call of
  /// `memcmp`.
  constexpr bool operator==(const IpAddress& other) const noexcept {
    using Words = std::array<std::uint64_t, 2>;
    const auto a = std::bit_cast<Words>(octets_);
    const auto b = std::bit_cast<Words>(other.octets_);
    return ((a[0] ^ b[0]) | (a[1] ^ b[1])) == 0 && family_ == other.family_;
  }

 private:
  std::array<std::uint8_t, 16> octets_{};
  AddressFamily family_ = AddressFamily::kNone;
};

/// An address with a UDP port: where a datagram comes from or goes to. The default is "not set".
struct Endpoint {
  IpAddress address;
  UdpPort port;

  /// True if there is an address. The port may still be 0.
  [[nodiscard]] bool is_set() const { return address.family() != AddressFamily::kNone; }
  /// True if a datagram can be sent there: the address is set and not unspecified, and the port is not 0.
  [[nodiscard]] bool is_reachable() const { return is_set() && !address.is_unspecified() && port.value != 0; }
  /// `192.0.2.1:4000` or `[2001:db8::1]:4000`.
  [[nodiscard]] std::string to_string() const;
  /// Reads the form that `to_string` writes. An IPv6 address needs its brackets. Nothing for any other text.
  static std::optional<Endpoint> parse(std::string_view text);

  auto operator<=>(const Endpoint&) const = default;
};

/// A network in CIDR form, for lists of allowed and denied networks.
struct Network {
  IpAddress address;
  /// How many bits of `address` count, from the left: 0 to 32, or 0 to 128.
  unsigned prefix_length = 0;

  /// True if `other` lies in the network. An address of the other family never does; mapped addresses are not
  /// converted.
  [[nodiscard]] bool contains(const IpAddress& other) const;
  /// Reads `192.0.2.0/24`. Without a prefix length the network is that one address. Nothing for any other
  /// text.
  static std::optional<Network> parse(std::string_view text);
  bool operator==(const Network&) const = default;
};

}  // namespace ferry

template <>
struct std::hash<ferry::IpAddress> {
  std::size_t operator()(const ferry::IpAddress& a) const noexcept {
    return std::hash<std::string_view>{}(
        {reinterpret_cast<const char*>(a.octets().data()), a.octets().size()});
  }
};

template <>
struct std::hash<ferry::Endpoint> {
  std::size_t operator()(const ferry::Endpoint& e) const noexcept {
    return std::hash<ferry::IpAddress>{}(e.address) * 31 + e.port.value;
  }
};
