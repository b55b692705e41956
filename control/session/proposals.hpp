// Offers that wait for their answers (LAT-15, RFC 3261 §14.1). Internal to the session library.
#pragma once

#include "control/session/manager.hpp"

#include <functional>

namespace ferry {

/// One step's hand on the proposals of a call. Whoever changes something syncs the plans afterwards.
class Proposals {
 public:
  Proposals(SessionManager& manager, Call& call) : manager_(manager), call_(call) {}

  /// Until when an offer between two parties that know each other waits: a refusal (488) is told to nobody.
  static constexpr Duration kPatience = std::chrono::seconds(180);

  /// The party has agreed on something: an offer to it or from it is a proposal.
  [[nodiscard]] static bool has_agreed(const Leg& leg);
  /// An offer is about to change the call. Earlier ones of either party end; medias that they made stay if
  /// `is_needed` says so.
  void begin(Leg& offerer, Leg& answerer, const std::function<bool(const Media&)>& is_needed, Instant now);
  /// An answer changed the call: what both parties said last is in force.
  void settle(Leg& offerer, Leg& answerer);
  /// The party leaves: its offer, or the one to it, is over. False if there was none.
  bool drop(const Leg& leg);
  /// Ends what has waited too long. False if nothing has.
  bool expire(Instant now);
  /// Nobody ran for so long: the answer may have waited (C-13).
  static void skip(Call& call, Duration pause);
  /// An offer of `offerer` to `answerer` waits.
  [[nodiscard]] static bool is_waiting(const Leg& offerer, const Leg& answerer) {
    const Proposal* offer = offered_by(offerer);
    return offer != nullptr && offer->answerer == &answerer;
  }
  /// The party's offer that waits for its answer; null if there is none.
  [[nodiscard]] static const Proposal* offered_by(const Leg& leg);
  /// When `expire` has something to do; the latest instant there is if never.
  [[nodiscard]] static Instant next_end(const Call& call);

 private:
  using Needed = std::function<bool(const Media&)>;
  void withdraw(const Proposal& proposal, const Needed& is_needed);
  void restore(Leg& leg, const Needed& is_needed);
  static void accept(Leg& leg);
  void remove_last_media(Leg& leg);

  SessionManager& manager_;
  Call& call_;
};

}  // namespace ferry
