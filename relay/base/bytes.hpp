// SPDX-License-Identifier: Apache-2.0
// Access to integers in datagrams. Only this header and the engines convert between network and host order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ferry {

/// Borrowed octets, usually a datagram in network order. Pass it down, never store it.
using Bytes = std::span<const std::byte>;
/// Borrowed octets that may be changed.
using MutableBytes = std::span<std::byte>;

/// `read_…` reads an integer in network order at offset `at`. The caller has checked that the octets are
/// there.
constexpr std::uint8_t read_u8(Bytes b, std::size_t at) { return std::to_integer<std::uint8_t>(b[at]); }
constexpr std::uint16_t read_u16(Bytes b, std::size_t at) {
  return static_cast<std::uint16_t>((read_u8(b, at) << 8) | read_u8(b, at + 1));
}
constexpr std::uint32_t read_u32(Bytes b, std::size_t at) {
  return (static_cast<std::uint32_t>(read_u16(b, at)) << 16) | read_u16(b, at + 2);
}

/// `write_…` writes an integer in network order at offset `at`. The caller has checked that there is room.
constexpr void write_u8(MutableBytes b, std::size_t at, std::uint8_t v) { b[at] = std::byte{v}; }
constexpr void write_u16(MutableBytes b, std::size_t at, std::uint16_t v) {
  write_u8(b, at, static_cast<std::uint8_t>(v >> 8));
  write_u8(b, at + 1, static_cast<std::uint8_t>(v));
}
constexpr void write_u32(MutableBytes b, std::size_t at, std::uint32_t v) {
  write_u16(b, at, static_cast<std::uint16_t>(v >> 16));
  write_u16(b, at + 2, static_cast<std::uint16_t>(v));
}

}  // namespace ferry
