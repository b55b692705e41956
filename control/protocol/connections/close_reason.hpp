// SPDX-License-Identifier: Apache-2.0
// Reasons for which the relay closes a connection to a control listener. One table serves counters, metrics
// and documents (CTL-12).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ferry {

/// Why the relay closed a connection. `kCloseReasonRows` explains each value.
enum class CloseReason : std::uint8_t {
  kNotAllowed,
  kSourceFull,
  kAllFull,
  kHandshakeLate,
  kHandshakeFailed,
  kRequestLate,
  kIdle,
  kUnread,
  kMalformed,
  kCount
};

/// One reason with its texts for people.
struct CloseReasonRow {
  CloseReason reason;
  /// Label of the metric; never changed once released.
  std::string_view name;
  /// What happened, and what the operator may do about it.
  std::string_view meaning;
  std::string_view advice;
  /// True if `rtpferryctl doctor` reports connections that were closed for this reason.
  bool is_trouble = false;
};

// clang-format off
inline constexpr std::array kCloseReasonRows = std::to_array<CloseReasonRow>({
  {CloseReason::kNotAllowed, "not-allowed", "its source may not use this listener: closed before a byte was read", "if it is your proxy, add it to control-allow"},
  {CloseReason::kSourceFull, "source-full", "its source opened more connections than one source may have, and this was its oldest", "look for a client that leaks connections, or raise max-clients: a proxy may have a quarter of it", true},
  {CloseReason::kAllFull, "full", "max-clients was reached, and this was the oldest connection of the source with the most", "raise max-clients, or look at who connects (ss -tnp)", true},
  {CloseReason::kHandshakeLate, "handshake-late", "the TLS handshake was not over within 10 s", "a slow or hostile client, or more handshakes than the budget serves", true},
  {CloseReason::kHandshakeFailed, "handshake-failed", "the TLS handshake failed", "compare versions and certificates; https-client-ca asks clients for one"},
  {CloseReason::kRequestLate, "request-late", "a request, its header or a frame was not whole within 10 s", "a slow or hostile client", true},
  {CloseReason::kIdle, "idle", "no request for http-idle-timeout", "nothing; clients open a new one"},
  {CloseReason::kUnread, "unread", "the client did not read its replies: nothing taken for 10 s, or more than 1 MB waited", "look at the client", true},
  {CloseReason::kMalformed, "malformed", "what came is no request, or too large", "look at the client"},
});
// clang-format on
static_assert(kCloseReasonRows.size() == static_cast<std::size_t>(CloseReason::kCount));

/// The reason's `name`.
constexpr std::string_view to_string(CloseReason reason) noexcept {
  return kCloseReasonRows[static_cast<std::size_t>(reason)].name;
}

/// Number of connections that the relay closed, by reason.
using CloseCounts = std::array<std::uint64_t, static_cast<std::size_t>(CloseReason::kCount)>;

}  // namespace ferry
