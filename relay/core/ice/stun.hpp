// STUN messages as ICE uses them (RFC 8489, RFC 8445 §7): Binding requests and their answers with short-term
// credentials.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/bytes.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace ferry::stun {

using TransactionId = std::array<std::byte, 12>;

enum class Kind : std::uint8_t { kRequest, kIndication, kSuccess, kError };

/// A Binding message whose parts lie inside the datagram. Views into it.
struct Message {
  Kind kind = Kind::kRequest;
  TransactionId transaction{};
  std::string_view username;
  std::optional<std::uint32_t> priority;
  bool use_candidate = false;
  std::optional<std::uint64_t> controlling;
  std::optional<std::uint64_t> controlled;
  Endpoint mapped;  // unset if there is none
  std::uint16_t error = 0;
  /// Where MESSAGE-INTEGRITY begins; 0: there is none.
  std::size_t integrity_at = 0;
  /// FINGERPRINT is there and right.
  bool has_fingerprint = false;
  /// An attribute that must be understood and is not (RFC 8489 §14).
  bool has_unknown = false;
};

/// Nothing if it is not a whole Binding message with the magic cookie. What follows MESSAGE-INTEGRITY is not
/// read, but for FINGERPRINT.
[[nodiscard]] std::optional<Message> parse(Bytes datagram) noexcept;

/// MESSAGE-INTEGRITY under a password (RFC 8489 §14.5).
[[nodiscard]] bool is_authentic(Bytes datagram, const Message& message, std::string_view password) noexcept;

/// What a request or an answer carries, besides integrity and fingerprint.
struct Contents {
  std::string_view username;
  std::optional<std::uint32_t> priority;
  bool use_candidate = false;
  std::optional<std::uint64_t> controlling;
  std::optional<std::uint64_t> controlled;
  Endpoint mapped;
  std::uint16_t error = 0;
};

/// A whole message, signed with `password`.
[[nodiscard]] std::vector<std::byte> write(Kind kind, const TransactionId& transaction,
                                           const Contents& contents, std::string_view password);

/// 487 (RFC 8445 §7.3.1.1).
constexpr std::uint16_t kRoleConflict = 487;

}  // namespace ferry::stun
