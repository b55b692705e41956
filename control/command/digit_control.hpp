// SPDX-License-Identifier: Apache-2.0
// Digits that others do not get: `block DTMF`, what takes their place, and the digits that switch it
// (docs/reference/ng.md#dtmf).
#pragma once

#include "control/command/media_control.hpp"
#include "control/command/results.hpp"
#include "control/session/observer.hpp"
#include "control/session/services.hpp"

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace ferry {

/// Carries out one command or message about digits. Control thread only. Borrows everything.
class DigitControl {
 public:
  DigitControl(const Services& services, const Request& request, const Clock& clock)
      : services_(services), request_(request), clock_(clock) {}

  /// Commands.
  Result<DigitRulesSet, RequestError> block();
  Result<DigitRulesSet, RequestError> unblock();

  /// Takes in what an offer or answer of `sender` says of its digits: flags `block-DTMF` and `detect-DTMF`
  /// (which means both parties), keys `delay-buffer` and `DTMF-delay`. To be called before the plans are
  /// made. Appends to `warnings` what cannot be obeyed.
  static void read_message(Leg& sender, Leg& receiver, const Request& request,
                           std::vector<std::string>& warnings);

 private:
  /// The party that the request names, or null for the whole call (docs/reference/ng.md#party-selection).
  [[nodiscard]] Result<Leg*, RequestError> select(Call& call) const;
  /// Sets `rules` by the request. Returns whether digits are blocked from now on.
  [[nodiscard]] bool set_rules(DigitRules& rules, std::vector<std::string>& warnings) const;
  /// Syncs the plans, and appends what of the rules did not become part of them.
  void done(Call& call, const Leg* party, std::vector<std::string>& warnings);

  const Services& services_;
  const Request& request_;
  Clock clock_;
};

/// What plans do not carry out of the rules of a party, or of all (null), in words. Pure.
[[nodiscard]] std::vector<std::string> undone_guards(const Call& call, const Leg* party);

/// Follows the digits of parties whose rules they switch. Control thread only. Borrows.
class DigitTriggers final : public CallObserver {
 public:
  explicit DigitTriggers(const Services& services) : services_(services) {}

  void on_dtmf(Call& call, Leg& leg, const DtmfEvent& event) override;
  void on_planned(Call& call) override;
  /// Ends what ends by time. To be called once a second.
  void expire(Instant now);

 private:
  /// Puts a change of rules in force. `blocked` is the mark of their owner, `whose` its name.
  void follow(Call& call, DigitRules& rules, bool& blocked, DigitRules::Change change,
              const std::string& whose);

  const Services& services_;
  /// `Call::serial` of calls with rules that end by time.
  std::set<std::uint64_t> waiting_;
};

}  // namespace ferry
