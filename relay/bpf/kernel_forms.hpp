// SPDX-License-Identifier: Apache-2.0
// Addresses, hops and memory in the forms that libbpf and the kernel programs want.
#pragma once

#include "relay/base/address.hpp"
#include "relay/bpf/abi.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include <sys/mman.h>
#include <unistd.h>

namespace ferry::bpf {

/// An option structure of libbpf with its size filled in and everything else zero. (libbpf's macros for this
/// are C.)
template <class Options>
Options sized() {
  Options options{};
  options.sz = sizeof options;
  return options;
}

/// Writes 16 octets, an IPv4 address as ::ffff:a.b.c.d. `read_address` is the way back.
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

inline IpAddress read_address(const std::uint8_t* from) {
  const bool is_v4 = std::all_of(from, from + 10, [](auto octet) { return octet == 0; }) &&
                     from[10] == 0xff && from[11] == 0xff;
  if (is_v4) return IpAddress::v4({from[12], from[13], from[14], from[15]});
  std::array<std::uint8_t, 16> octets{};
  std::copy_n(from, 16, octets.begin());
  return IpAddress::v6(octets);
}

/// Replaces a hop. The kernel programs see the old one or the new one, never half of each. One writer at a
/// time.
inline void publish_hop(ferry_hop_copies& to, const ferry_hop& hop) {
  const std::uint32_t next = 1 - (to.current & 1);
  to.copies[next] = hop;
  std::atomic_ref(to.current).store(next, std::memory_order_release);
}

/// The memory of a map's entries, shared with the kernel for as long as the object lives.
class MappedMap {
 public:
  /// Maps `size` octets of the map with descriptor `map`, from its first entry on. Throws std::system_error.
  MappedMap(int map, std::size_t size) : size_(size) {
    memory_ = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
    if (memory_ != MAP_FAILED) return;
    memory_ = nullptr;
    throw std::system_error(errno, std::generic_category(), "the memory of a BPF map cannot be mapped");
  }
  ~MappedMap() {
    if (memory_ != nullptr) munmap(memory_, size_);
  }
  MappedMap(const MappedMap&) = delete;
  MappedMap& operator=(const MappedMap&) = delete;
  /// The start of the memory.
  [[nodiscard]] void* get() const noexcept { return memory_; }

 private:
  void* memory_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace ferry::bpf
