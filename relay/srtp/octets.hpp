// SPDX-License-Identifier: Apache-2.0
// Small things that both back ends need to hand packets to a C library. Internal to this folder.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ferry {

/// Octets of the tag of AES-GCM (RFC 7714 §13.2).
inline constexpr std::size_t kGcmTag = 16;
/// Size of scratch space for one packet, in octets: longer than any datagram.
inline constexpr std::size_t kScratch = 9216;

using SrtpIv = std::array<std::uint8_t, 16>;

inline std::uint8_t* raw(std::byte* octets) { return reinterpret_cast<std::uint8_t*>(octets); }
inline const std::uint8_t* raw(const std::byte* octets) {
  return reinterpret_cast<const std::uint8_t*>(octets);
}

/// XORs the low `size` octets of `value` into the IV, in network order.
inline void put(SrtpIv& iv, std::size_t at, std::uint64_t value, std::size_t size) noexcept {
  for (std::size_t i = 0; i < size; ++i)
    iv[at + i] = static_cast<std::uint8_t>(iv[at + i] ^ (value >> (8 * (size - 1 - i))));
}

}  // namespace ferry
