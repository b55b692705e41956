#include "relay/core/dtls/records.hpp"

#include <algorithm>

namespace ferry {

namespace {

constexpr std::size_t kRecordHeader = 13;
constexpr std::size_t kMessageHeader = 12;
constexpr std::size_t kRandom = 32;
constexpr std::uint8_t kChangeCipherSpec = 20;
constexpr std::uint8_t kAlert = 21;
constexpr std::uint8_t kHandshake = 22;
constexpr std::uint8_t kApplicationData = 23;
constexpr std::uint8_t kClientHello = 1;
constexpr std::uint8_t kHelloVerifyRequest = 3;
constexpr std::uint16_t kDtls10 = 0xfeff;

std::uint32_t read_u24(Bytes b, std::size_t at) {
  return (static_cast<std::uint32_t>(read_u8(b, at)) << 16) | read_u16(b, at + 1);
}
void write_u24(MutableBytes b, std::size_t at, std::uint32_t v) {
  write_u8(b, at, static_cast<std::uint8_t>(v >> 16));
  write_u16(b, at + 1, static_cast<std::uint16_t>(v));
}

struct Record {
  std::uint8_t type = 0;
  std::uint16_t epoch = 0;
  Bytes whole;
  Bytes body;
};

/// The first record; nothing if it is not all there.
std::optional<Record> first_record(Bytes datagram) noexcept {
  if (datagram.size() < kRecordHeader || read_u8(datagram, 1) != 0xfe) return std::nullopt;
  const std::size_t length = read_u16(datagram, 11);
  if (datagram.size() - kRecordHeader < length) return std::nullopt;
  return Record{read_u8(datagram, 0), read_u16(datagram, 3), datagram.first(kRecordHeader + length),
                datagram.subspan(kRecordHeader, length)};
}

/// A handshake message's header, with a fragment that lies inside it.
struct Fragment {
  std::uint32_t length = 0;
  std::uint32_t offset = 0;
  Bytes octets;
  std::uint16_t sequence = 0;
};
std::optional<Fragment> hello_fragment(Bytes datagram) noexcept {
  const auto record = first_record(datagram);
  if (!record || record->type != kHandshake || record->epoch != 0 || record->body.size() < kMessageHeader ||
      read_u8(record->body, 0) != kClientHello)
    return std::nullopt;
  Fragment fragment;
  fragment.length = read_u24(record->body, 1);
  fragment.sequence = read_u16(record->body, 4);
  fragment.offset = read_u24(record->body, 6);
  const std::uint32_t size = read_u24(record->body, 9);
  if (size > record->body.size() - kMessageHeader || fragment.offset > fragment.length ||
      size > fragment.length - fragment.offset)
    return std::nullopt;
  fragment.octets = record->body.subspan(kMessageHeader, size);
  return fragment;
}

/// Cuts a vector with a length of one octet off the front; false if it is not there.
bool take_vector(Bytes& rest, std::size_t most, Bytes& out) noexcept {
  if (rest.empty()) return false;
  const std::size_t size = read_u8(rest, 0);
  if (size > most || rest.size() - 1 < size) return false;
  out = rest.subspan(1, size);
  rest = rest.subspan(1 + size);
  return true;
}

}  // namespace

std::optional<ClientHello> parse_client_hello(Bytes datagram) noexcept {
  const auto fragment = hello_fragment(datagram);
  if (!fragment || fragment->offset != 0 || fragment->octets.size() < 2 + kRandom) return std::nullopt;
  ClientHello hello;
  hello.version = read_u16(fragment->octets, 0);
  hello.random = fragment->octets.subspan(2, kRandom);
  Bytes rest = fragment->octets.subspan(2 + kRandom);
  if (!take_vector(rest, 32, hello.session_id) || !take_vector(rest, 255, hello.cookie)) return std::nullopt;
  hello.message_sequence = fragment->sequence;
  hello.record_sequence = (static_cast<std::uint64_t>(read_u16(datagram, 5)) << 32) | read_u32(datagram, 7);
  hello.length = fragment->length;
  hello.fragment = static_cast<std::uint32_t>(fragment->octets.size());
  return hello;
}

std::vector<std::byte> hello_verify_request(const ClientHello& hello, Bytes cookie) {
  const std::size_t body = 2 + 1 + cookie.size();
  std::vector<std::byte> out(kRecordHeader + kMessageHeader + body);
  write_u8(out, 0, kHandshake);
  write_u16(out, 1, kDtls10);
  // The record number of the ClientHello, so that nothing is remembered (RFC 6347 §4.2.1).
  write_u16(out, 5, static_cast<std::uint16_t>(hello.record_sequence >> 32));
  write_u32(out, 7, static_cast<std::uint32_t>(hello.record_sequence));
  write_u16(out, 11, static_cast<std::uint16_t>(kMessageHeader + body));
  const MutableBytes message = MutableBytes(out).subspan(kRecordHeader);
  write_u8(message, 0, kHelloVerifyRequest);
  write_u24(message, 1, static_cast<std::uint32_t>(body));
  write_u24(message, 9, static_cast<std::uint32_t>(body));
  write_u16(message, kMessageHeader, kDtls10);
  write_u8(message, kMessageHeader + 2, static_cast<std::uint8_t>(cookie.size()));
  std::ranges::copy(cookie, message.begin() + kMessageHeader + 3);
  return out;
}

std::vector<std::byte> sift_records(Bytes datagram) {
  std::vector<std::byte> kept;
  kept.reserve(datagram.size());
  for (auto record = first_record(datagram); record; record = first_record(datagram)) {
    const bool is_known = record->type == kChangeCipherSpec || record->type == kHandshake ||
                          record->type == kApplicationData || record->type == kAlert;
    const bool is_plain_alert = record->type == kAlert && record->epoch == 0;
    if (is_known && !is_plain_alert) kept.insert(kept.end(), record->whole.begin(), record->whole.end());
    datagram = datagram.subspan(record->whole.size());
  }
  return kept;
}

bool HelloAssembly::take(Bytes datagram) {
  const auto fragment = hello_fragment(datagram);
  if (!fragment || fragment->length > kMax || fragment->octets.empty()) return false;
  if (message_.size() != fragment->length || sequence_ != fragment->sequence || header_.empty()) {
    message_.assign(fragment->length, std::byte{0});
    present_.assign(fragment->length, false);
    missing_ = fragment->length;
    sequence_ = fragment->sequence;
    header_.assign(datagram.begin(), datagram.begin() + kRecordHeader);
  }
  for (std::size_t i = 0; i < fragment->octets.size(); ++i) {
    const std::size_t at = fragment->offset + i;
    if (present_[at]) continue;
    present_[at] = true;
    message_[at] = fragment->octets[i];
    --missing_;
  }
  return missing_ == 0;
}

std::vector<std::byte> HelloAssembly::take_record() {
  std::vector<std::byte> record = std::move(header_);
  record.resize(kRecordHeader + kMessageHeader);
  write_u16(record, 11, static_cast<std::uint16_t>(kMessageHeader + message_.size()));
  const MutableBytes message = MutableBytes(record).subspan(kRecordHeader);
  write_u8(message, 0, kClientHello);
  write_u24(message, 1, static_cast<std::uint32_t>(message_.size()));
  write_u16(message, 4, sequence_);
  write_u24(message, 6, 0);
  write_u24(message, 9, static_cast<std::uint32_t>(message_.size()));
  record.insert(record.end(), message_.begin(), message_.end());
  clear();
  return record;
}

}  // namespace ferry
