// SPDX-License-Identifier: Apache-2.0
// Offers that wait for their answers (LAT-15, RFC 3261 §14.1). Internal to the session library and commands.
#pragma once

#include "control/call/call.hpp"
#include "control/session/services.hpp"

#include <functional>

namespace ferry {

/// Changes the proposals of a call on behalf of one message or event. Holds no state; construct it where it
/// is needed. The caller syncs the plans afterwards.
class Proposals {
 public:
  Proposals(const Services& services, Call& call) : services_(services), call_(call) {}

  /// True if the party has agreed on something, so that an offer to it or from it is only a proposal.
  [[nodiscard]] static bool has_agreed(const Leg& leg);
  /// Prepares the call for an offer. Earlier proposals of either party end; medias that they added stay if
  /// `is_needed` says so. What was agreed is kept in force.
  void begin(Leg& offerer, Leg& answerer, const std::function<bool(const Media&)>& is_needed, Instant now);
  /// Puts in force what both parties said last. To be called when an answer has changed the call.
  void settle(Leg& offerer, Leg& answerer);
  /// Ends the party's offer, or the one to it, because it leaves. False if there was none.
  bool drop(const Leg& leg);
  /// Ends the offers that have waited too long. False if there are none.
  bool expire(Instant now);
  /// Lets offers wait longer by a pause of the process: the answer may have waited (C-13).
  static void skip(Call& call, Duration pause);
  /// True if an offer of `offerer` to `answerer` waits.
  [[nodiscard]] static bool is_waiting(const Leg& offerer, const Leg& answerer) {
    const Proposal* offer = offered_by(offerer);
    return offer != nullptr && offer->answerer == &answerer;
  }
  /// The party's offer that waits for its answer. Null if there is none.
  [[nodiscard]] static const Proposal* offered_by(const Leg& leg);
  /// When `expire` has something to do. `Instant::max()` = never.
  [[nodiscard]] static Instant next_end(const Call& call);

 private:
  using Needed = std::function<bool(const Media&)>;
  /// Goes back to what was agreed before the proposal, and keeps its SDP for a late answer.
  void withdraw(const Proposal& proposal, const Needed& is_needed);
  /// Puts the agreed terms of one party back, and removes medias that the proposal added.
  void restore(Leg& leg, const Needed& is_needed);
  /// Makes the newest terms of one party the agreed ones.
  static void accept(Leg& leg);
  void remove_last_media(Leg& leg);

  const Services& services_;
  Call& call_;
};

}  // namespace ferry
