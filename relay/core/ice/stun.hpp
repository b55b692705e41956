// SPDX-License-Identifier: Apache-2.0
// STUN messages as ICE uses them (RFC 8489, RFC 8445 §7): Binding requests and their answers, with short-term
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

/// Class of a Binding message (RFC 8489 §5).
enum class Kind : std::uint8_t { kRequest, kIndication, kSuccess, kError };

/// A Binding message whose attributes all lie inside the datagram. `username` points into it.
struct Message {
  Kind kind = Kind::kRequest;
  TransactionId transaction{};
  /// USERNAME; empty if there is none.
  std::string_view username;
  /// PRIORITY of the candidate that the sender would become.
  std::optional<std::uint32_t> priority;
  /// USE-CANDIDATE: the controlling side nominates this pair.
  bool use_candidate = false;
  /// ICE-CONTROLLING: the sender controls; the value is its tie-breaker.
  std::optional<std::uint64_t> controlling;
  /// ICE-CONTROLLED: the sender is controlled; the value is its tie-breaker.
  std::optional<std::uint64_t> controlled;
  /// XOR-MAPPED-ADDRESS; unset if there is none.
  Endpoint mapped;
  /// ERROR-CODE; 0 if there is none.
  std::uint16_t error = 0;
  /// Offset of MESSAGE-INTEGRITY; 0 if there is none.
  std::size_t integrity_at = 0;
  /// True if FINGERPRINT is there and right.
  bool has_fingerprint = false;
  /// True if there is an attribute that must be understood and is not (RFC 8489 §14).
  bool has_unknown = false;
};

/// Parses a datagram. Nothing if it is not a whole Binding message with the magic cookie. Attributes behind
/// MESSAGE-INTEGRITY are not read, except for FINGERPRINT, as nothing protects them.
[[nodiscard]] std::optional<Message> parse(Bytes datagram) noexcept;

/// True if MESSAGE-INTEGRITY is right under `password` (RFC 8489 §14.5). Call it before using anything of the
/// message.
[[nodiscard]] bool is_authentic(Bytes datagram, const Message& message, std::string_view password) noexcept;

/// Contents of a message that is to be written; members as in `Message`. Integrity and fingerprint are added.
struct Contents {
  std::string_view username;
  std::optional<std::uint32_t> priority;
  bool use_candidate = false;
  std::optional<std::uint64_t> controlling;
  std::optional<std::uint64_t> controlled;
  Endpoint mapped;
  std::uint16_t error = 0;
};

/// Writes a whole message and signs it with `password`.
[[nodiscard]] std::vector<std::byte> write(Kind kind, const TransactionId& transaction,
                                           const Contents& contents, std::string_view password);

/// Error code of a role conflict (RFC 8445 §7.3.1.1).
constexpr std::uint16_t kRoleConflict = 487;

}  // namespace ferry::stun
