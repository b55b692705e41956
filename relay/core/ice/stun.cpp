// SPDX-License-Identifier: Apache-2.0
#include "relay/core/ice/stun.hpp"

#include <algorithm>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace ferry::stun {

namespace {

// Message header: type, length, magic cookie, transaction.
constexpr std::size_t kHeader = 20;
// Length of a digest (HMAC-SHA1).
constexpr std::size_t kDigest = 20;
constexpr std::uint32_t kMagic = 0x2112a442;
// RFC 8489 §14.7: FINGERPRINT is the CRC XORed with this.
constexpr std::uint32_t kFingerprintXor = 0x5354554e;

// Attributes that ICE uses (RFC 8489 §18.3, RFC 8445 §16.1).
enum Attribute : std::uint16_t {
  kUsername = 0x0006,
  kMessageIntegrity = 0x0008,
  kErrorCode = 0x0009,
  kXorMappedAddress = 0x0020,
  kPriority = 0x0024,
  kUseCandidate = 0x0025,
  kFingerprint = 0x8028,
  kIceControlled = 0x8029,
  kIceControlling = 0x802a,
};

// Message type of a Binding message (RFC 8489 §5): method 1 with the two class bits.
constexpr std::uint16_t type_of(Kind kind) {
  switch (kind) {
    case Kind::kRequest:
      return 0x0001;
    case Kind::kIndication:
      return 0x0011;
    case Kind::kSuccess:
      return 0x0101;
    case Kind::kError:
      return 0x0111;
  }
  return 0;
}

/// CRC-32 of ITU V.42, bit by bit, as messages are short and rare.
std::uint32_t crc32(Bytes octets) noexcept {
  std::uint32_t crc = 0xffffffff;
  for (const std::byte octet : octets) {
    crc ^= std::to_integer<std::uint32_t>(octet);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
  }
  return ~crc;
}

std::uint64_t read_u64(Bytes b, std::size_t at) {
  return (static_cast<std::uint64_t>(read_u32(b, at)) << 32) | read_u32(b, at + 4);
}

/// HMAC of the message up to `end`. RFC 8489 §14.5: the header it covers says that MESSAGE-INTEGRITY is the
/// last attribute.
std::array<unsigned char, kDigest> digest(Bytes message, std::size_t end, std::string_view password) {
  std::vector<std::byte> covered(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(end));
  write_u16(covered, 2, static_cast<std::uint16_t>(end - kHeader + 4 + kDigest));
  std::array<unsigned char, kDigest> out{};
  unsigned size = 0;
  HMAC(EVP_sha1(), password.data(), static_cast<int>(password.size()),
       reinterpret_cast<const unsigned char*>(covered.data()), covered.size(), out.data(), &size);
  return out;
}

// Undoes the XOR with magic cookie and transaction (RFC 8489 §14.2). Unset for an unknown family.
Endpoint read_xor_address(Bytes value, const TransactionId& transaction) noexcept {
  if (value.size() < 8) return {};
  Endpoint endpoint;
  endpoint.port = UdpPort{static_cast<std::uint16_t>(read_u16(value, 2) ^ (kMagic >> 16))};
  const std::uint8_t family = read_u8(value, 1);
  std::array<std::byte, 16> mask{};
  write_u32(mask, 0, kMagic);
  std::ranges::copy(transaction, mask.begin() + 4);
  const auto octet = [&](std::size_t i) { return std::to_integer<std::uint8_t>(value[4 + i] ^ mask[i]); };
  if (family == 1) {
    endpoint.address = IpAddress::v4({octet(0), octet(1), octet(2), octet(3)});
  } else if (family == 2 && value.size() >= 20) {
    std::array<std::uint8_t, 16> octets{};
    for (std::size_t i = 0; i < octets.size(); ++i) octets[i] = octet(i);
    endpoint.address = IpAddress::v6(octets);
  }
  return endpoint;
}

// Builds a message attribute by attribute; the length in the header always fits what is there.
class Writer {
 public:
  Writer(Kind kind, const TransactionId& transaction) : out_(kHeader) {
    write_u16(out_, 0, type_of(kind));
    write_u32(out_, 4, kMagic);
    std::ranges::copy(transaction, out_.begin() + 8);
  }
  /// Adds an attribute and returns the room for its value of `size` octets. It is padded to 32 bits.
  MutableBytes add(Attribute type, std::size_t size) {
    const std::size_t at = out_.size();
    out_.resize(at + 4 + (size + 3) / 4 * 4);
    write_u16(out_, at, type);
    write_u16(out_, at + 2, static_cast<std::uint16_t>(size));
    write_u16(out_, 2, static_cast<std::uint16_t>(out_.size() - kHeader));
    return MutableBytes(out_).subspan(at + 4, size);
  }
  void add_u32(Attribute type, std::uint32_t value) { write_u32(add(type, 4), 0, value); }
  void add_u64(Attribute type, std::uint64_t value) {
    const MutableBytes space = add(type, 8);
    write_u32(space, 0, static_cast<std::uint32_t>(value >> 32));
    write_u32(space, 4, static_cast<std::uint32_t>(value));
  }
  void add_text(Attribute type, std::string_view text) {
    std::ranges::copy(std::as_bytes(std::span(text)), add(type, text.size()).begin());
  }
  void add_xor_address(const Endpoint& endpoint, const TransactionId& transaction) {
    const std::size_t size = endpoint.address.is_v4() ? 4 : 16;
    const MutableBytes space = add(kXorMappedAddress, 4 + size);
    write_u8(space, 1, endpoint.address.is_v4() ? 1 : 2);
    write_u16(space, 2, static_cast<std::uint16_t>(endpoint.port.value ^ (kMagic >> 16)));
    std::array<std::byte, 16> mask{};
    write_u32(mask, 0, kMagic);
    std::ranges::copy(transaction, mask.begin() + 4);
    for (std::size_t i = 0; i < size; ++i)
      space[4 + i] = static_cast<std::byte>(endpoint.address.octets()[i]) ^ mask[i];
  }
  // Adds MESSAGE-INTEGRITY and FINGERPRINT, which must come last and in this order.
  void sign(std::string_view password) {
    const auto mac = digest(out_, out_.size(), password);
    // The digest is made before `add` changes the length in the header.
    std::ranges::copy(std::as_bytes(std::span(mac)), add(kMessageIntegrity, kDigest).begin());
    const std::size_t end = out_.size();
    const MutableBytes space = add(kFingerprint, 4);
    write_u32(space, 0, crc32(Bytes(out_).first(end)) ^ kFingerprintXor);
  }
  std::vector<std::byte> take() { return std::move(out_); }

 private:
  std::vector<std::byte> out_;
};

}  // namespace

std::optional<Message> parse(Bytes datagram) noexcept {
  if (datagram.size() < kHeader || read_u32(datagram, 4) != kMagic) return std::nullopt;
  const std::size_t length = read_u16(datagram, 2);
  // RFC 8489 §5: the length counts what follows the header, in whole words.
  if (length % 4 != 0 || length != datagram.size() - kHeader) return std::nullopt;
  Message message;
  const std::uint16_t type = read_u16(datagram, 0);
  bool is_binding = false;
  for (const Kind kind : {Kind::kRequest, Kind::kIndication, Kind::kSuccess, Kind::kError}) {
    if (type != type_of(kind)) continue;
    message.kind = kind;
    is_binding = true;
  }
  if (!is_binding) return std::nullopt;
  std::ranges::copy(datagram.subspan(8, message.transaction.size()), message.transaction.begin());
  for (std::size_t at = kHeader; at < datagram.size();) {
    if (datagram.size() - at < 4) return std::nullopt;
    const std::uint16_t attribute = read_u16(datagram, at);
    const std::size_t size = read_u16(datagram, at + 2);
    if (datagram.size() - at - 4 < (size + 3) / 4 * 4) return std::nullopt;
    const Bytes value = datagram.subspan(at + 4, size);
    const std::size_t next = at + 4 + (size + 3) / 4 * 4;
    if (attribute == kFingerprint) {
      // FINGERPRINT must be the very last attribute (RFC 8489 §14.7).
      if (next != datagram.size() || size != 4) return std::nullopt;
      message.has_fingerprint = read_u32(value, 0) == (crc32(datagram.first(at)) ^ kFingerprintXor);
      // Nothing behind MESSAGE-INTEGRITY is protected, so it is not read.
    } else if (message.integrity_at == 0) {
      switch (attribute) {
        case kUsername:
          message.username = {reinterpret_cast<const char*>(value.data()), value.size()};
          break;
        case kMessageIntegrity:
          if (size != kDigest) return std::nullopt;
          message.integrity_at = at;
          break;
        case kErrorCode:
          if (size >= 4)
            message.error = static_cast<std::uint16_t>((read_u8(value, 2) & 7) * 100 + read_u8(value, 3));
          break;
        case kXorMappedAddress:
          message.mapped = read_xor_address(value, message.transaction);
          break;
        case kPriority:
          if (size == 4) message.priority = read_u32(value, 0);
          break;
        case kUseCandidate:
          message.use_candidate = true;
          break;
        case kIceControlled:
          if (size == 8) message.controlled = read_u64(value, 0);
          break;
        case kIceControlling:
          if (size == 8) message.controlling = read_u64(value, 0);
          break;
        default:
          // RFC 8489 §14: types below 0x8000 must be understood.
          message.has_unknown |= attribute < 0x8000;
          break;
      }
    }
    at = next;
  }
  return message;
}

bool is_authentic(Bytes datagram, const Message& message, std::string_view password) noexcept {
  if (message.integrity_at == 0) return false;
  const auto wanted = digest(datagram, message.integrity_at, password);
  // Comparison in constant time, so that its duration tells nothing about the digest.
  return CRYPTO_memcmp(wanted.data(), datagram.data() + message.integrity_at + 4, wanted.size()) == 0;
}

std::vector<std::byte> write(Kind kind, const TransactionId& transaction, const Contents& contents,
                             std::string_view password) {
  Writer out(kind, transaction);
  if (!contents.username.empty()) out.add_text(kUsername, contents.username);
  if (contents.priority) out.add_u32(kPriority, *contents.priority);
  if (contents.use_candidate) out.add(kUseCandidate, 0);
  if (contents.controlling) out.add_u64(kIceControlling, *contents.controlling);
  if (contents.controlled) out.add_u64(kIceControlled, *contents.controlled);
  if (contents.mapped.is_set()) out.add_xor_address(contents.mapped, transaction);
  if (contents.error != 0) {
    const MutableBytes space = out.add(kErrorCode, 4);
    write_u8(space, 2, static_cast<std::uint8_t>(contents.error / 100));
    write_u8(space, 3, static_cast<std::uint8_t>(contents.error % 100));
  }
  out.sign(password);
  return out.take();
}

}  // namespace ferry::stun
