// Small things in the forms that libbpf and the kernel programs want.
#pragma once

#include "relay/base/address.hpp"

#include <algorithm>
#include <cstdint>

namespace ferry::bpf {

/// An option structure of libbpf that knows its size, all else zero (its macros are C).
template <class Options>
Options sized() {
  Options options{};
  options.sz = sizeof options;
  return options;
}

/// 16 octets; an IPv4 address as ::ffff:a.b.c.d.
inline void write_address(std::uint8_t* to, const IpAddress& address) {
  const auto& octets = address.octets();
  if (address.is_v6()) {
    std::copy_n(octets.begin(), 16, to);
    return;
  }
  std::fill_n(to, 10, std::uint8_t{0});
  to[10] = to[11] = 0xff;
  std::copy_n(octets.begin(), 4, to + 12);
}

}  // namespace ferry::bpf
