// IP addresses and endpoints as values, with the classes of address that media-security.md speaks of.
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

enum class AddressFamily : std::uint8_t { kNone, kIpv4, kIpv6 };

/// An IPv4 or IPv6 address, network order. 17 bytes, trivially copyable; default is "no address".
class IpAddress {
 public:
  constexpr IpAddress() = default;
  static constexpr IpAddress v4(std::array<std::uint8_t, 4> octets) {
    IpAddress a;
    a.family_ = AddressFamily::kIpv4;
    for (std::size_t i = 0; i < 4; ++i) a.octets_[i] = octets[i];
    return a;
  }
  static constexpr IpAddress v6(std::array<std::uint8_t, 16> octets) {
    IpAddress a;
    a.family_ = AddressFamily::kIpv6;
    a.octets_ = octets;
    return a;
  }
  /// `0.0.0.0` or `::`.
  static IpAddress unspecified(AddressFamily family);
  /// Numeric forms only; host names, zone ids and prefixes are refused.
  static std::optional<IpAddress> parse(std::string_view text);

  [[nodiscard]] AddressFamily family() const { return family_; }
  [[nodiscard]] bool is_v4() const { return family_ == AddressFamily::kIpv4; }
  [[nodiscard]] bool is_v6() const { return family_ == AddressFamily::kIpv6; }
  /// First 4 (IPv4) or all 16 octets, network order.
  [[nodiscard]] const std::array<std::uint8_t, 16>& octets() const { return octets_; }

  [[nodiscard]] bool is_unspecified() const;
  [[nodiscard]] bool is_loopback() const;
  /// RFC 1918 or fc00::/7.
  [[nodiscard]] bool is_private() const;
  /// 100.64.0.0/10 (RFC 6598).
  [[nodiscard]] bool is_shared() const;
  [[nodiscard]] bool is_link_local() const;
  [[nodiscard]] bool is_multicast() const;
  [[nodiscard]] bool is_broadcast() const;
  /// None of private, shared, link-local, loopback, unspecified (media-security LAT-4).
  [[nodiscard]] bool is_global() const;

  /// An IPv4 address in IPv6 form (`::ffff:192.0.2.1`, RFC 4291 §2.5.5.2) as the IPv4 address that a host
  /// takes it for; others as they are.
  [[nodiscard]] IpAddress unmapped() const noexcept;

  [[nodiscard]] std::string to_string() const;

  auto operator<=>(const IpAddress&) const = default;
  /// Several times for each packet: two words are compared, not octets by a function of the C library.
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

/// Where a datagram comes from or goes to.
struct Endpoint {
  IpAddress address;
  UdpPort port;

  [[nodiscard]] bool is_set() const { return address.family() != AddressFamily::kNone; }
  /// A usable destination: an address that is not unspecified, and a port.
  [[nodiscard]] bool is_reachable() const { return is_set() && !address.is_unspecified() && port.value != 0; }
  /// `192.0.2.1:4000` or `[2001:db8::1]:4000`.
  [[nodiscard]] std::string to_string() const;
  static std::optional<Endpoint> parse(std::string_view text);

  auto operator<=>(const Endpoint&) const = default;
};

/// A network in CIDR form, for allow-lists.
struct Network {
  IpAddress address;
  unsigned prefix_length = 0;

  [[nodiscard]] bool contains(const IpAddress& other) const;
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
