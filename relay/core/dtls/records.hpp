// DTLS records and the first handshake message, as far as a relay must read them before it trusts anybody
// (RFC 6347 §4.1-4.2).
#pragma once

#include "relay/base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
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
  std::uint32_t fragment = 0;
};

/// The ClientHello that a datagram begins with: the record of its first fragment, not encrypted.
[[nodiscard]] std::optional<ClientHello> parse_client_hello(Bytes datagram) noexcept;

/// A HelloVerifyRequest for `hello`, in DTLS 1.0's version as it asks for nothing of 1.2.
[[nodiscard]] std::vector<std::byte> hello_verify_request(const ClientHello& hello, Bytes cookie);

/// The records of a datagram that an association may see: no alerts that anybody could have written (DTL-11),
/// none of unknown types, none that is cut short.
[[nodiscard]] std::vector<std::byte> sift_records(Bytes datagram);

/// Puts the fragments of one ClientHello together.
class HelloAssembly {
 public:
  static constexpr std::size_t kMax = 8 * 1024;  // within DTL-12
  /// Takes the fragment that a datagram begins with. True: the message is whole.
  bool take(Bytes datagram);
  /// One record with the whole message; empties this.
  [[nodiscard]] std::vector<std::byte> take_record();
  void clear() { *this = {}; }

 private:
  std::vector<std::byte> message_;
  std::vector<bool> present_;
  std::size_t missing_ = 0;
  std::uint16_t sequence_ = 0;
  std::vector<std::byte> header_;  // of the record that came first
};

}  // namespace ferry
