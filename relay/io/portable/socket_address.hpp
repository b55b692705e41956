// SPDX-License-Identifier: Apache-2.0
// Converts between Endpoint and the kernel's sockaddr.
#pragma once

#include "relay/base/address.hpp"

#include <algorithm>

#include <netinet/in.h>
#include <sys/socket.h>

namespace ferry {

/// A socket address in the kernel's form: network byte order, IPv4 or IPv6. Built from an endpoint, or empty
/// for the kernel to write into (`get`, `size_pointer`).
class SocketAddress {
 public:
  SocketAddress() = default;
  /// The endpoint must be set.
  explicit SocketAddress(const Endpoint& endpoint) {
    const auto& octets = endpoint.address.octets();
    if (endpoint.address.is_v6()) {
      auto& v6 = reinterpret_cast<sockaddr_in6&>(storage_);
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(endpoint.port.value);
      std::copy_n(octets.begin(), 16, v6.sin6_addr.s6_addr);
      size_ = sizeof v6;
    } else {
      auto& v4 = reinterpret_cast<sockaddr_in&>(storage_);
      v4.sin_family = AF_INET;
      v4.sin_port = htons(endpoint.port.value);
      std::copy_n(octets.begin(), 4, reinterpret_cast<std::uint8_t*>(&v4.sin_addr.s_addr));
      size_ = sizeof v4;
    }
  }

  /// The address as an endpoint; an IPv4-mapped IPv6 address becomes IPv4. Unset if it is of another family.
  [[nodiscard]] Endpoint endpoint() const {
    if (storage_.ss_family == AF_INET6) {
      const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage_);
      std::array<std::uint8_t, 16> octets{};
      std::copy_n(v6.sin6_addr.s6_addr, 16, octets.begin());
      if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
        return {IpAddress::v4({octets[12], octets[13], octets[14], octets[15]}),
                UdpPort{ntohs(v6.sin6_port)}};
      }
      return {IpAddress::v6(octets), UdpPort{ntohs(v6.sin6_port)}};
    }
    if (storage_.ss_family != AF_INET) return {};
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage_);
    std::array<std::uint8_t, 4> octets{};
    std::copy_n(reinterpret_cast<const std::uint8_t*>(&v4.sin_addr.s_addr), 4, octets.begin());
    return {IpAddress::v4(octets), UdpPort{ntohs(v4.sin_port)}};
  }

  /// AF_INET or AF_INET6; AF_UNSPEC if nothing was written to it.
  [[nodiscard]] int family() const { return storage_.ss_family; }
  /// The address as the kernel's calls take it; `size_pointer` is for calls that write one.
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage_); }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  [[nodiscard]] socklen_t size() const { return size_; }
  [[nodiscard]] socklen_t* size_pointer() { return &size_; }

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = sizeof(sockaddr_storage);
};

}  // namespace ferry
