// When a connection to a control listener has to end (CTL-12).
#pragma once

#include "control/protocol/connections/close_reason.hpp"
#include "relay/base/types.hpp"

#include <chrono>
#include <cstdint>
#include <optional>

namespace ferry {

/// How long a connection of a listener may take.
struct LifeRules {
  /// The first request is due from the moment of the accept (HTTP, text commands); else a connection may be
  /// silent for as long as it likes, and a request is due from its first octet.
  bool asks_at_once = false;
  /// Without an octet of a request, also of the first; zero = never closed for it.
  std::chrono::seconds idle{0};
};

/// The deadlines of one connection. Pure: time comes in. Control thread only.
class ConnectionLife {
 public:
  /// For a TLS handshake, for a request, and for a client to take something of what waits for it.
  static constexpr std::chrono::seconds kPatience{10};
  /// What a client has to take in that time, if so much waits: less is a way to keep memory busy.
  static constexpr std::uint64_t kLeastTaken = 64 * 1024;

  ConnectionLife(const LifeRules& rules, bool is_encrypted, Instant accepted);

  /// The TLS handshake is over.
  void on_open(Instant now);
  /// A whole request was taken.
  void on_request(Instant now);
  /// No request need come any more (a WebSocket): it is not closed for idleness.
  void may_idle() { rules_.idle = std::chrono::seconds(0); }
  /// What lies in the input now: the beginning of a request, or nothing.
  void on_input(bool is_unfinished, Instant now);
  /// Nothing is read until replies are taken: the time of a request that has begun stands still.
  void on_pause(Instant now) { paused_since_ = now; }
  void on_resume(Instant now);
  /// `waiting` octets of replies are not taken yet, `taken` were taken since the beginning.
  void on_output(std::uint64_t waiting, std::uint64_t taken, Instant now);

  /// The reason to close it now, if there is one.
  [[nodiscard]] std::optional<CloseReason> due(Instant now) const;

 private:
  /// Replies at a moment.
  struct Output {
    std::uint64_t waiting = 0;
    std::uint64_t taken = 0;
  };

  LifeRules rules_;
  bool in_handshake_;
  bool has_asked_ = false;
  bool has_begun_ = false;                // a part of a request lies in the input
  std::optional<Instant> request_since_;  // also of the handshake
  std::optional<Instant> paused_since_;
  Instant quiet_since_;
  Output then_;  // at waiting_since_
  std::optional<Instant> waiting_since_;
};

}  // namespace ferry
