// SPDX-License-Identifier: Apache-2.0
// DTLS records and the ClientHello, as far as a relay must read them before it trusts anybody (RFC 6347 §4.1,
// §4.2).
#pragma once

#include "relay/base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace ferry {

/// The start of a ClientHello. Views into the datagram; all of it is there.
struct ClientHello {
  std::uint16_t version = 0;
  /// Random number of 32 octets.
  Bytes random;
  Bytes session_id;
  /// Empty if the client has none yet.
  Bytes cookie;
  /// Number of the handshake message.
  std::uint16_t message_sequence = 0;
  /// Number of the record, 48 bits.
  std::uint64_t record_sequence = 0;
  /// Size of the whole message, and of its first part, which is in this record.
  std::uint32_t length = 0;
  std::uint32_t piece = 0;
};

/// Reads the ClientHello that a datagram begins with: an unencrypted record with its first piece. Nothing if
/// the cookie, and what it covers, do not lie in that piece (DTL-13).
[[nodiscard]] std::optional<ClientHello> parse_client_hello(Bytes datagram) noexcept;

/// Writes a HelloVerifyRequest in answer to `hello`. Its version is DTLS 1.0, because nothing of 1.2 is asked
/// for. It is always the first message of a server, whatever the number of `hello` is.
[[nodiscard]] std::vector<std::byte> hello_verify_request(const ClientHello& hello, Bytes cookie);

/// True if the datagram begins with a piece of a ClientHello, whichever piece that is.
[[nodiscard]] bool is_hello_piece(Bytes datagram) noexcept;

/// The records of a datagram that an association may see. Left out are alerts in clear, which anybody could
/// have written (DTL-11), unknown types, and records that are cut short.
[[nodiscard]] std::vector<std::byte> sift_records(Bytes datagram);

/// Contents of an alert (RFC 5246 §7.2).
struct DtlsAlert {
  /// 1 = warning, 2 = fatal.
  std::uint8_t level = 0;
  std::uint8_t description = 0;
  bool operator==(const DtlsAlert&) const = default;
};
/// The RFC's name of the description; "unknown" if it has none.
[[nodiscard]] std::string_view to_string(DtlsAlert alert) noexcept;
/// The first unencrypted alert of a datagram. Anybody could have written it.
[[nodiscard]] std::optional<DtlsAlert> plain_alert(Bytes datagram) noexcept;
/// Writes a fatal unexpected_message in clear. It ends the peer's handshake, so that the peer may begin anew.
/// The number of its record is above those that a handshake reaches, so that it is not taken for a
/// repetition.
[[nodiscard]] std::vector<std::byte> fatal_alert();

/// An unencrypted handshake message, or a piece of one (RFC 6347 §4.2.2).
struct HandshakePiece {
  std::uint8_t type = 0;
  std::uint16_t sequence = 0;
  /// Size of the whole message.
  std::uint32_t length = 0;
  /// Offset of the piece in the message.
  std::uint32_t offset = 0;
  /// The piece; borrowed from the datagram.
  Bytes octets;
};
/// Reads the pieces of a datagram one after the other. A record may hold several (RFC 6347 §4.2.3).
class PieceReader {
 public:
  explicit PieceReader(Bytes datagram) : datagram_(datagram) {}
  /// The next piece. Nothing if none is left or one does not add up.
  std::optional<HandshakePiece> next() noexcept;
  /// True if everything that was read adds up.
  [[nodiscard]] bool is_good() const noexcept { return is_good_; }

 private:
  /// Rest of the datagram that was not read yet.
  Bytes datagram_;
  /// Rest of the present record that was not read yet.
  Bytes body_;
  bool is_good_ = true;
};

/// Puts the pieces of one ClientHello together. It begins with the piece that brought the right cookie back;
/// before that nothing is kept (DTL-13).
class HelloAssembly {
 public:
  /// Largest ClientHello; it keeps within the memory of DTL-12.
  static constexpr std::size_t kMax = 8 * 1024;
  /// Answer to a piece.
  enum class Progress : std::uint8_t { kRefused, kMore, kWhole };

  /// Takes the first piece. A repetition changes nothing.
  Progress begin(Bytes datagram);
  /// Takes a further piece. kRefused: no message was begun, or the piece belongs to another one.
  Progress take(Bytes datagram);
  /// True if a message was begun.
  [[nodiscard]] bool is_open() const noexcept { return !header_.empty(); }
  /// One record with the whole message. The object is empty afterwards.
  [[nodiscard]] std::vector<std::byte> take_record();
  void clear() { *this = {}; }

 private:
  /// Copies a piece into the message.
  Progress add(const HandshakePiece& piece);

  std::vector<std::byte> message_;
  /// For each octet of `message_`: whether it came.
  std::vector<bool> present_;
  /// Octets that have not come yet.
  std::size_t missing_ = 0;
  /// Number of the message.
  std::uint16_t sequence_ = 0;
  /// Header of the record that came first; empty if no message was begun.
  std::vector<std::byte> header_;
};

}  // namespace ferry
