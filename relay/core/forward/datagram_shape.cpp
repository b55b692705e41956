// SPDX-License-Identifier: Apache-2.0
#include "relay/core/forward/datagram_shape.hpp"

#include "relay/core/udptl/udptl.hpp"

namespace ferry {

namespace {

// BFCP counts words of four octets, so fewer octets than this may follow.
constexpr std::size_t kMostBfcpPadding = 4;

/// Size of the record that `datagram` begins with, header included; 0 if it begins with none. The record may
/// reach past the end.
std::size_t dtls_record(Bytes datagram) noexcept {
  constexpr std::size_t kHeaderSize = 13;
  constexpr std::uint16_t kDtls10 = 0xfeff;
  constexpr std::uint16_t kDtls12 = 0xfefd;
  const std::uint8_t type = read_u8(datagram, 0);
  if ((type & 0xf4) == 0x24) {  // DTLS 1.3 (RFC 9147 §4): no connection id, length present
    const std::size_t number = (type & 0x08) != 0 ? 2 : 1;
    return datagram.size() < 3 + number ? 0 : 3 + number + read_u16(datagram, 1 + number);
  }
  const bool is_known = (type >= 20 && type <= 24) || type == 26;
  if (!is_known || datagram.size() < kHeaderSize) return 0;
  const std::uint16_t version = read_u16(datagram, 1);
  return version == kDtls10 || version == kDtls12 ? kHeaderSize + read_u16(datagram, 11) : 0;
}

}  // namespace

bool is_udptl(Bytes datagram) noexcept { return parse_udptl(datagram).has_value(); }

bool is_dtls(Bytes datagram) noexcept {
  if (datagram.empty()) return false;
  while (!datagram.empty()) {
    const std::size_t size = dtls_record(datagram);
    if (size == 0 || size > datagram.size()) return false;
    datagram = datagram.subspan(size);
  }
  return true;
}

bool is_bfcp(Bytes datagram) noexcept {
  constexpr std::size_t kHeaderSize = 12;
  constexpr std::size_t kFragmentFields = 4;
  constexpr std::uint8_t kLastPrimitive = 17;  // GoodbyeAck (RFC 8855 §5.1)
  if (datagram.size() < kHeaderSize) return false;
  const std::uint8_t first = read_u8(datagram, 0);
  const int version = first >> 5;
  const bool is_fragment = (first & 0x08) != 0;
  const std::uint8_t primitive = read_u8(datagram, 1);
  // BFCP over UDP is version 2; endpoints older than RFC 8855 say 1.
  if ((version != 1 && version != 2) || primitive < 1 || primitive > kLastPrimitive) return false;
  const std::size_t payload = std::size_t{4} * read_u16(datagram, 2);
  const auto is_filled = [&](std::size_t size) {
    return datagram.size() >= size && datagram.size() - size < kMostBfcpPadding;
  };
  if (!is_fragment) return is_filled(kHeaderSize + payload);
  if (datagram.size() < kHeaderSize + kFragmentFields) return false;
  const std::size_t offset = std::size_t{4} * read_u16(datagram, kHeaderSize);
  // A fragment says where in the message it belongs and how long it is.
  const std::size_t length = std::size_t{4} * read_u16(datagram, kHeaderSize + 2);
  return offset + length <= payload && is_filled(kHeaderSize + kFragmentFields + length);
}

}  // namespace ferry
