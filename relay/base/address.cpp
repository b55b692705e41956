// SPDX-License-Identifier: Apache-2.0
#include "relay/base/address.hpp"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>

namespace ferry {

IpAddress IpAddress::unspecified(AddressFamily family) {
  IpAddress a;
  a.family_ = family;
  return a;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof buffer) return std::nullopt;
  std::ranges::copy(text, buffer);
  buffer[text.size()] = '\0';
  if (std::string_view(buffer).size() != text.size()) return std::nullopt;  // an inner NUL
  IpAddress a;
  if (inet_pton(AF_INET, buffer, a.octets_.data()) == 1) {
    a.family_ = AddressFamily::kIpv4;
    return a;
  }
  if (inet_pton(AF_INET6, buffer, a.octets_.data()) == 1) {
    a.family_ = AddressFamily::kIpv6;
    return a;
  }
  return std::nullopt;
}

bool IpAddress::is_unspecified() const {
  return family_ != AddressFamily::kNone && std::ranges::all_of(octets_, [](auto o) { return o == 0; });
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return octets_[0] == 127;
  return is_v6() && octets_[15] == 1 &&
         std::all_of(octets_.begin(), octets_.end() - 1, [](auto o) { return o == 0; });
}

bool IpAddress::is_private() const {
  if (is_v6()) return (octets_[0] & 0xfe) == 0xfc;
  return is_v4() && (octets_[0] == 10 || (octets_[0] == 172 && (octets_[1] & 0xf0) == 16) ||
                     (octets_[0] == 192 && octets_[1] == 168));
}

bool IpAddress::is_shared() const { return is_v4() && octets_[0] == 100 && (octets_[1] & 0xc0) == 64; }

bool IpAddress::is_link_local() const {
  if (is_v6()) return octets_[0] == 0xfe && (octets_[1] & 0xc0) == 0x80;
  return is_v4() && octets_[0] == 169 && octets_[1] == 254;
}

bool IpAddress::is_multicast() const {
  return (is_v4() && (octets_[0] & 0xf0) == 224) || (is_v6() && octets_[0] == 0xff);
}

bool IpAddress::is_broadcast() const {
  return is_v4() && std::all_of(octets_.begin(), octets_.begin() + 4, [](auto o) { return o == 255; });
}

// Multicast addresses count as global here; code that must not send there asks `is_multicast` as well.
bool IpAddress::is_global() const {
  return family_ != AddressFamily::kNone && !is_private() && !is_shared() && !is_link_local() &&
         !is_loopback() && !is_unspecified();
}

IpAddress IpAddress::unmapped() const noexcept {
  const bool is_mapped = is_v6() && octets_[10] == 0xff && octets_[11] == 0xff &&
                         std::all_of(octets_.begin(), octets_.begin() + 10, [](auto o) { return o == 0; });
  return is_mapped ? v4({octets_[12], octets_[13], octets_[14], octets_[15]}) : *this;
}

std::string IpAddress::to_string() const {
  char buffer[INET6_ADDRSTRLEN] = "";
  if (family_ == AddressFamily::kNone) return "";
  if (is_v4()) {
    // `inet_ntop` goes through `sprintf`, and replies have many addresses.
    char* at = buffer;
    for (std::size_t i = 0; i < 4; ++i) {
      if (i > 0) *at++ = '.';
      at = std::to_chars(at, buffer + sizeof buffer, static_cast<unsigned>(octets_[i])).ptr;
    }
    return {buffer, at};
  }
  inet_ntop(AF_INET6, octets_.data(), buffer, sizeof buffer);
  return buffer;
}

std::string Endpoint::to_string() const {
  const std::string host = address.to_string();
  return (address.is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(port.value);
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  // The last colon separates the port: an IPv6 address has colons of its own.
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;  // an IPv6 address with a port needs its brackets
  }
  const auto address = IpAddress::parse(host);
  UdpPort number;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number.value);
  if (!address || error != std::errc{} || end != port.data() + port.size()) return std::nullopt;
  return Endpoint{*address, number};
}

bool Network::contains(const IpAddress& other) const {
  if (other.family() != address.family()) return false;
  for (unsigned bit = 0; bit < prefix_length; ++bit) {
    const unsigned mask = 0x80u >> (bit % 8);
    if ((address.octets()[bit / 8] & mask) != (other.octets()[bit / 8] & mask)) return false;
  }
  return true;
}

std::optional<Network> Network::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  const unsigned longest = address->is_v4() ? 32 : 128;
  unsigned length = longest;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (error != std::errc{} || end != digits.data() + digits.size() || length > longest) return std::nullopt;
  }
  return Network{*address, length};
}

}  // namespace ferry
