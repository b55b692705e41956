// SPDX-License-Identifier: Apache-2.0
// Decides when a connection to a control listener has lasted too long (CTL-12).
#pragma once

#include "control/protocol/connections/close_reason.hpp"
#include "relay/base/types.hpp"

#include <chrono>
#include <cstdint>
#include <optional>

namespace ferry {

/// Time limits of a listener's connections.
struct LifeRules {
  /// True if the first request is due from the accept on (HTTP, text commands). Otherwise a connection may be
  /// silent for as long as it likes, and a request is due from its first octet.
  bool asks_at_once = false;
  /// Time without any octet of a request, before the first one too, after which the connection is closed.
  /// Zero = never.
  std::chrono::seconds idle{0};
};

/// The deadlines of one connection. Pure: it has no clock, and callers pass the time. Control thread only.
class ConnectionLife {
 public:
  /// Time that a client has for a TLS handshake, for one request, and to take a part of the replies that wait
  /// for it.
  static constexpr std::chrono::seconds kPatience{10};
  /// Octets that a client must take in that time, or all if fewer wait. A client that takes less could keep
  /// memory busy.
  static constexpr std::uint64_t kLeastTaken = 64 * 1024;

  /// `accepted` is the time of the accept. With `is_encrypted` a TLS handshake comes first.
  ConnectionLife(const LifeRules& rules, bool is_encrypted, Instant accepted);

  /// The TLS handshake is complete.
  void on_open(Instant now);
  /// A whole request was taken.
  void on_request(Instant now);
  /// No request need come any more (a WebSocket): the connection is never closed for idleness.
  void may_idle() { rules_.idle = std::chrono::seconds(0); }
  /// `is_unfinished`: a request has begun and its rest has not come; else the input is empty.
  void on_input(bool is_unfinished, Instant now);
  /// Reading stands still until the client takes replies, and with it the time of a request that has begun.
  void on_pause(Instant now) { paused_since_ = now; }
  void on_resume(Instant now);
  /// `waiting` octets of replies have not been taken yet; `taken` octets have been taken since the beginning.
  void on_output(std::uint64_t waiting, std::uint64_t taken, Instant now);

  /// The reason to close the connection now; unset if no deadline has passed.
  [[nodiscard]] std::optional<CloseReason> due(Instant now) const;

 private:
  /// Octets of replies at one moment: those that wait, and those that were taken since the beginning.
  struct Output {
    std::uint64_t waiting = 0;
    std::uint64_t taken = 0;
  };

  LifeRules rules_;
  bool in_handshake_;
  bool has_asked_ = false;
  /// The input holds a part of a request.
  bool has_begun_ = false;
  /// Since when a request, or the TLS handshake, is due; unset = nothing is due.
  std::optional<Instant> request_since_;
  /// Since when reading stands still; unset = it does not.
  std::optional<Instant> paused_since_;
  /// Since when neither a request nor a reply was on its way.
  Instant quiet_since_;
  /// Replies at `waiting_since_`, which is unset if no reply waits. Both are renewed whenever the client has
  /// taken enough.
  Output then_;
  std::optional<Instant> waiting_since_;
};

}  // namespace ferry
