// SPDX-License-Identifier: Apache-2.0
// Keeps three deadlines: for a request or the TLS handshake (`request_since_`), for replies that the client
// must take (`waiting_since_`), and for idleness (`quiet_since_`). While reading stands still, the time of a
// request stands still, too.

#include "control/protocol/connections/connection_life.hpp"

#include <algorithm>

namespace ferry {

ConnectionLife::ConnectionLife(const LifeRules& rules, bool is_encrypted, Instant accepted)
    : rules_(rules), in_handshake_(is_encrypted), quiet_since_(accepted) {
  if (is_encrypted || rules.asks_at_once) request_since_ = accepted;
}

void ConnectionLife::on_open(Instant now) {
  in_handshake_ = false;
  quiet_since_ = now;
  request_since_ = rules_.asks_at_once ? std::optional(now) : std::nullopt;
}

void ConnectionLife::on_request(Instant now) {
  has_asked_ = true;
  has_begun_ = false;
  request_since_.reset();
  quiet_since_ = now;
}

void ConnectionLife::on_input(bool is_unfinished, Instant now) {
  has_begun_ = is_unfinished;
  if (is_unfinished) {
    if (!request_since_) request_since_ = now;
  } else if (has_asked_ || !rules_.asks_at_once) {
    request_since_.reset();
  }
}

void ConnectionLife::on_output(std::uint64_t waiting, std::uint64_t taken, Instant now) {
  if (waiting != 0) {
    // The client's time begins anew whenever it has taken enough.
    if (waiting_since_ && taken - then_.taken < std::min(kLeastTaken, then_.waiting)) return;
    waiting_since_ = now;
    then_ = {waiting, taken};
    return;
  }
  if (!waiting_since_) return;
  waiting_since_.reset();
  quiet_since_ = now;
}

void ConnectionLife::on_resume(Instant now) {
  if (paused_since_ && request_since_) *request_since_ += now - *paused_since_;
  paused_since_.reset();
}

std::optional<CloseReason> ConnectionLife::due(Instant now) const {
  const auto is_over = [&](Instant since) { return now - since >= kPatience; };
  if (waiting_since_ && is_over(*waiting_since_)) return CloseReason::kUnread;
  if (request_since_ && !paused_since_ && is_over(*request_since_))
    return in_handshake_ ? CloseReason::kHandshakeLate : CloseReason::kRequestLate;
  const bool is_quiet = !in_handshake_ && !has_begun_ && !waiting_since_;
  if (is_quiet && rules_.idle.count() > 0 && now - quiet_since_ >= rules_.idle) return CloseReason::kIdle;
  return std::nullopt;
}

}  // namespace ferry
