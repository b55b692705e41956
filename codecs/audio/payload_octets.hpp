// SPDX-License-Identifier: Apache-2.0
// What the codecs share: bounds of one packet, and octets as libraries of C want them.
#pragma once

#include "relay/base/bytes.hpp"

#include <cstddef>
#include <cstdint>

namespace ferry {

/// Longest sound of one packet that is believed, ms.
inline constexpr std::size_t kMaxPacketMs = 240;
/// Longest payload that a datagram can have, octets.
inline constexpr std::size_t kMaxPayload = 65'535;

inline const std::uint8_t* octets(Bytes bytes) { return reinterpret_cast<const std::uint8_t*>(bytes.data()); }
inline std::uint8_t* octets(MutableBytes bytes) { return reinterpret_cast<std::uint8_t*>(bytes.data()); }

/// Frees an object of a library by its function: the second parameter of a std::unique_ptr.
template <auto kFree>
struct FreeWith {
  template <class State>
  void operator()(State* state) const {
    kFree(state);
  }
};

}  // namespace ferry
