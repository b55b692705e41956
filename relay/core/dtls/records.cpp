// SPDX-License-Identifier: Apache-2.0
// How it works: a datagram is cut into records, and a handshake record into pieces of messages. Reading stops
// at whatever is not all there.
//
// The first piece of a ClientHello is read up to its cookie and no further; the rest is for the association.
// Pieces of one ClientHello are put together octet by octet, and the octet that came first stays. So nobody
// can change afterwards what the cookie was checked for.
#include "relay/core/dtls/records.hpp"

#include <algorithm>
#include <array>

namespace ferry {

namespace {

// Type, version, epoch, record number, length (RFC 6347 §4.1).
constexpr std::size_t kRecordHeader = 13;
// Type, length, message number, offset and length of the piece (RFC 6347 §4.2.2).
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

// A record and its body; both point into the datagram.
struct Record {
  std::uint8_t type = 0;
  std::uint16_t epoch = 0;
  Bytes whole;
  Bytes body;
};

/// The first record of a datagram; nothing if it is not all there.
std::optional<Record> first_record(Bytes datagram) noexcept {
  if (datagram.size() < kRecordHeader || read_u8(datagram, 1) != 0xfe) return std::nullopt;
  const std::size_t length = read_u16(datagram, 11);
  if (datagram.size() - kRecordHeader < length) return std::nullopt;
  return Record{read_u8(datagram, 0), read_u16(datagram, 3), datagram.first(kRecordHeader + length),
                datagram.subspan(kRecordHeader, length)};
}

/// The piece of a handshake message that `body` begins with. `rest` becomes what follows it.
std::optional<HandshakePiece> first_piece(Bytes body, Bytes& rest) noexcept {
  if (body.size() < kMessageHeader) return std::nullopt;
  HandshakePiece piece;
  piece.type = read_u8(body, 0);
  piece.length = read_u24(body, 1);
  piece.sequence = read_u16(body, 4);
  piece.offset = read_u24(body, 6);
  const std::uint32_t size = read_u24(body, 9);
  if (size > body.size() - kMessageHeader || piece.offset > piece.length ||
      size > piece.length - piece.offset)
    return std::nullopt;
  piece.octets = body.subspan(kMessageHeader, size);
  rest = body.subspan(kMessageHeader + size);
  return piece;
}

/// The piece of a ClientHello that a datagram begins with; nothing if it does not.
std::optional<HandshakePiece> hello_piece(Bytes datagram) noexcept {
  const auto record = first_record(datagram);
  if (!record || record->type != kHandshake || record->epoch != 0) return std::nullopt;
  Bytes rest;
  const auto piece = first_piece(record->body, rest);
  return piece && piece->type == kClientHello ? piece : std::nullopt;
}

/// Cuts a vector whose length is one octet off the front of `rest`. False if it is not all there or longer
/// than `most`.
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
  const auto piece = hello_piece(datagram);
  if (!piece || piece->offset != 0 || piece->octets.size() < 2 + kRandom) return std::nullopt;
  ClientHello hello;
  hello.version = read_u16(piece->octets, 0);
  hello.random = piece->octets.subspan(2, kRandom);
  Bytes rest = piece->octets.subspan(2 + kRandom);
  if (!take_vector(rest, 32, hello.session_id) || !take_vector(rest, 255, hello.cookie)) return std::nullopt;
  hello.message_sequence = piece->sequence;
  hello.record_sequence = (static_cast<std::uint64_t>(read_u16(datagram, 5)) << 32) | read_u32(datagram, 7);
  hello.length = piece->length;
  hello.piece = static_cast<std::uint32_t>(piece->octets.size());
  return hello;
}

bool is_hello_piece(Bytes datagram) noexcept { return hello_piece(datagram).has_value(); }

std::vector<std::byte> hello_verify_request(const ClientHello& hello, Bytes cookie) {
  const std::size_t body = 2 + 1 + cookie.size();
  std::vector<std::byte> out(kRecordHeader + kMessageHeader + body);
  write_u8(out, 0, kHandshake);
  write_u16(out, 1, kDtls10);
  // It carries the record number of the ClientHello, so that nothing need be remembered (RFC 6347 §4.2.1).
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
    // Epoch 0 is not encrypted, so anybody could have written such an alert (DTL-11).
    const bool is_plain_alert = record->type == kAlert && record->epoch == 0;
    if (is_known && !is_plain_alert) kept.insert(kept.end(), record->whole.begin(), record->whole.end());
    datagram = datagram.subspan(record->whole.size());
  }
  return kept;
}

std::string_view to_string(DtlsAlert alert) noexcept {
  struct Row {
    std::uint8_t description;
    std::string_view name;
  };
  // Names of RFC 5246 §7.2, RFC 6066 §9, RFC 5746 §4.5 and RFC 7301 §3.2.
  static constexpr std::array<Row, 30> kRows = {{
      {0, "close_notify"},
      {10, "unexpected_message"},
      {20, "bad_record_mac"},
      {21, "decryption_failed"},
      {22, "record_overflow"},
      {30, "decompression_failure"},
      {40, "handshake_failure"},
      {41, "no_certificate"},
      {42, "bad_certificate"},
      {43, "unsupported_certificate"},
      {44, "certificate_revoked"},
      {45, "certificate_expired"},
      {46, "certificate_unknown"},
      {47, "illegal_parameter"},
      {48, "unknown_ca"},
      {49, "access_denied"},
      {50, "decode_error"},
      {51, "decrypt_error"},
      {60, "export_restriction"},
      {70, "protocol_version"},
      {71, "insufficient_security"},
      {80, "internal_error"},
      {86, "inappropriate_fallback"},
      {90, "user_canceled"},
      {100, "no_renegotiation"},
      {109, "missing_extension"},
      {110, "unsupported_extension"},
      {112, "unrecognized_name"},
      {115, "unknown_psk_identity"},
      {120, "no_application_protocol"},
  }};
  const auto found = std::ranges::find(kRows, alert.description, &Row::description);
  return found == kRows.end() ? std::string_view("unknown") : found->name;
}

std::optional<DtlsAlert> plain_alert(Bytes datagram) noexcept {
  for (auto record = first_record(datagram); record; record = first_record(datagram)) {
    if (record->type == kAlert && record->epoch == 0 && record->body.size() >= 2)
      return DtlsAlert{read_u8(record->body, 0), read_u8(record->body, 1)};
    datagram = datagram.subspan(record->whole.size());
  }
  return std::nullopt;
}

std::vector<std::byte> fatal_alert() {
  constexpr std::uint16_t kDtls12 = 0xfefd;
  constexpr std::uint32_t kBeyondHandshakes = 0x10000;
  constexpr std::uint8_t kFatal = 2;
  constexpr std::uint8_t kUnexpectedMessage = 10;
  std::vector<std::byte> out(kRecordHeader + 2);
  write_u8(out, 0, kAlert);
  write_u16(out, 1, kDtls12);
  write_u32(out, 7, kBeyondHandshakes);
  write_u16(out, 11, 2);
  write_u8(out, kRecordHeader, kFatal);
  write_u8(out, kRecordHeader + 1, kUnexpectedMessage);
  return out;
}

std::optional<HandshakePiece> PieceReader::next() noexcept {
  while (body_.empty()) {
    const auto record = first_record(datagram_);
    if (!record) return std::nullopt;
    datagram_ = datagram_.subspan(record->whole.size());
    if (record->type == kHandshake && record->epoch == 0) body_ = record->body;
  }
  // A piece that does not add up ends the reading of this datagram.
  const auto piece = first_piece(body_, body_);
  if (piece) return piece;
  is_good_ = false;
  datagram_ = body_ = {};
  return std::nullopt;
}

HelloAssembly::Progress HelloAssembly::begin(Bytes datagram) {
  const auto piece = hello_piece(datagram);
  if (!piece || piece->offset != 0 || piece->length > kMax || piece->octets.empty())
    return Progress::kRefused;
  // Another message than the one begun: it has brought a right cookie too, so it takes the place.
  if (!is_open() || message_.size() != piece->length || sequence_ != piece->sequence) {
    message_.assign(piece->length, std::byte{0});
    present_.assign(piece->length, false);
    missing_ = piece->length;
    sequence_ = piece->sequence;
    // The record's version and number go into the record that `take_record` makes.
    header_.assign(datagram.begin(), datagram.begin() + kRecordHeader);
  }
  return add(*piece);
}

HelloAssembly::Progress HelloAssembly::take(Bytes datagram) {
  const auto piece = hello_piece(datagram);
  const bool is_ours = piece && is_open() && piece->length == message_.size() && piece->sequence == sequence_;
  return is_ours ? add(*piece) : Progress::kRefused;
}

HelloAssembly::Progress HelloAssembly::add(const HandshakePiece& piece) {
  for (std::size_t i = 0; i < piece.octets.size(); ++i) {
    const std::size_t at = piece.offset + i;
    // The octet that came first stays.
    if (present_[at]) continue;
    present_[at] = true;
    message_[at] = piece.octets[i];
    --missing_;
  }
  return missing_ == 0 ? Progress::kWhole : Progress::kMore;
}

std::vector<std::byte> HelloAssembly::take_record() {
  // The pieces become one record with one whole message.
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
