// DTLS records and the first handshake message, as far as a relay must read them before it trusts anybody
// (RFC 6347 §4.1-4.2).
#pragma once

#include "relay/base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace ferry {

/// Views into a datagram; all of it was checked to be there.
struct ClientHello {
  std::uint16_t version = 0;
  Bytes random;  // 32 octets
  Bytes session_id;
  Bytes cookie;
  std::uint16_t message_sequence = 0;
  std::uint64_t record_sequence = 0;  // 48 bits
  /// Of the message, and of the part in this record, which is its first.
  std::uint32_t length = 0;
  std::uint32_t piece = 0;
};

/// The ClientHello that a datagram begins with: the record of its first piece, not encrypted. The cookie and
/// what it covers lie in it, else there is none (DTL-13).
[[nodiscard]] std::optional<ClientHello> parse_client_hello(Bytes datagram) noexcept;

/// A HelloVerifyRequest for `hello`, in DTLS 1.0's version as it asks for nothing of 1.2. It is the first
/// message of a server, whatever the number of `hello` is.
[[nodiscard]] std::vector<std::byte> hello_verify_request(const ClientHello& hello, Bytes cookie);

/// The datagram begins with a piece of a ClientHello, whichever piece that is.
[[nodiscard]] bool is_hello_piece(Bytes datagram) noexcept;

/// The records of a datagram that an association may see: no alerts that anybody could have written (DTL-11),
/// none of unknown types, none that is cut short.
[[nodiscard]] std::vector<std::byte> sift_records(Bytes datagram);

/// What an alert says (RFC 5246 §7.2).
struct DtlsAlert {
  std::uint8_t level = 0;
  std::uint8_t description = 0;
  bool operator==(const DtlsAlert&) const = default;
};
/// The RFC's name of the description; "unknown" if it has none.
[[nodiscard]] std::string_view to_string(DtlsAlert alert) noexcept;
/// The first alert of a datagram that is not encrypted: anybody could have written it.
[[nodiscard]] std::optional<DtlsAlert> plain_alert(Bytes datagram) noexcept;
/// A fatal unexpected_message in clear. It ends a handshake in the middle, so that the peer may begin anew.
/// The number of its record is above those that a handshake reaches.
[[nodiscard]] std::vector<std::byte> fatal_alert();

/// A message of a handshake, or a piece of one, that is not encrypted (RFC 6347 §4.2.2).
struct HandshakePiece {
  std::uint8_t type = 0;
  std::uint16_t sequence = 0;
  std::uint32_t length = 0;  // of the message
  std::uint32_t offset = 0;
  Bytes octets;
};
/// Reads the pieces that a datagram has, one after the other. A record may have several (RFC 6347 §4.2.3).
class PieceReader {
 public:
  explicit PieceReader(Bytes datagram) : datagram_(datagram) {}
  /// Nothing: there is none left, or one does not add up.
  std::optional<HandshakePiece> next() noexcept;
  /// All that was read adds up.
  [[nodiscard]] bool is_good() const noexcept { return is_good_; }

 private:
  Bytes datagram_;
  Bytes body_;  // of the present record
  bool is_good_ = true;
};

/// Puts the pieces of one ClientHello together. It begins with the piece that brought the right cookie back:
/// before that nothing is kept (DTL-13).
class HelloAssembly {
 public:
  static constexpr std::size_t kMax = 8 * 1024;  // within DTL-12
  enum class Progress : std::uint8_t { kRefused, kMore, kWhole };

  /// Takes the first piece. One that came already changes nothing.
  Progress begin(Bytes datagram);
  /// Takes a further piece. Refused: none was begun, or it is of another message.
  Progress take(Bytes datagram);
  [[nodiscard]] bool is_open() const noexcept { return !header_.empty(); }
  /// One record with the whole message; empties this.
  [[nodiscard]] std::vector<std::byte> take_record();
  void clear() { *this = {}; }

 private:
  Progress add(const HandshakePiece& piece);

  std::vector<std::byte> message_;
  std::vector<bool> present_;
  std::size_t missing_ = 0;
  std::uint16_t sequence_ = 0;
  std::vector<std::byte> header_;  // of the record that came first
};

}  // namespace ferry
