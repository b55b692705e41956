// The one place (beside the engines) where byte order changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ferry {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

/// Reads network-order integers. The caller has checked that the bytes are there.
constexpr std::uint8_t read_u8(Bytes b, std::size_t at) { return std::to_integer<std::uint8_t>(b[at]); }
constexpr std::uint16_t read_u16(Bytes b, std::size_t at) {
  return static_cast<std::uint16_t>((read_u8(b, at) << 8) | read_u8(b, at + 1));
}
constexpr std::uint32_t read_u32(Bytes b, std::size_t at) {
  return (static_cast<std::uint32_t>(read_u16(b, at)) << 16) | read_u16(b, at + 2);
}

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
