// SPDX-License-Identifier: Apache-2.0
// `block` and `unblock` set the rules of a party or of the call (`DigitRules`), plans carry them out
// (control/call/transport_plans.cpp), and `DigitTriggers` switches them when digits come.
//
// Two marks say what holds: `events_blocked` whether anything is blocked at all, and the rules what takes its
// place. Without rules digits are dropped. Where nothing can carry out a mode, because a codec is missing or
// the parties share a key, event packets are dropped and tones stay in the speech: the reply warns of it.
#include "control/command/digit_control.hpp"

#include "control/session/call_register.hpp"
#include "control/session/observer.hpp"
#include "control/session/plan_sync.hpp"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace ferry {

namespace {

/// Longest delay of audio or events, ms: who waits longer for an answer hangs up.
constexpr std::int64_t kLongestDelay = 2000;
/// Most digits and the longest time until a trigger ends by itself.
constexpr std::int64_t kMostEndDigits = 1000;
constexpr std::int64_t kLongestEnd = 24LL * 3600 * 1000;

/// `wanted`, or `most` with a warning.
std::int64_t bounded(std::int64_t wanted, std::int64_t most, std::string_view key,
                     std::vector<std::string>& warnings) {
  if (wanted > most) warnings.push_back(fmt::format("{}={}: {} is the most", key, wanted, most));
  return std::min(wanted, most);
}

/// Takes over the delays of a request.
void set_delays(DigitRules& rules, const GuardWish& wish, std::vector<std::string>& warnings) {
  if (wish.delay_ms)
    rules.delay_ms =
        static_cast<std::uint16_t>(bounded(*wish.delay_ms, kLongestDelay, "delay-buffer", warnings));
  if (wish.events_delay_ms)
    rules.events_delay_ms =
        static_cast<std::uint16_t>(bounded(*wish.events_delay_ms, kLongestDelay, "DTMF-delay", warnings));
}

void warn_of_unreadable(const Request& request, std::vector<std::string>& warnings) {
  for (const std::string& each : request.guard.unreadable)
    warnings.push_back(fmt::format("{} is not understood", each));
}

/// Clears what `block` has set, and keeps what offers and answers have.
void clear(DigitRules& rules) {
  DigitRules kept;
  kept.delay_ms = rules.delay_ms;
  kept.events_delay_ms = rules.events_delay_ms;
  kept.detects_tones = rules.detects_tones;
  rules = std::move(kept);
}

/// Rules that would do nothing go.
void tidy(std::unique_ptr<DigitRules>& rules) {
  if (rules && *rules == DigitRules{}) rules.reset();
}

void unblock_leg(Leg& leg) {
  leg.events_blocked = false;
  if (!leg.extras || !leg.extras->digits) return;
  clear(*leg.extras->digits);
  tidy(leg.extras->digits);
}

}  // namespace

void DigitControl::read_message(Leg& sender, Leg& receiver, const Request& request,
                                std::vector<std::string>& warnings) {
  if (request.has_flag(Flag::kBlockDtmf)) sender.events_blocked = true;
  if (request.has_flag(Flag::kDetectDtmf)) {
    sender.ensure_digit_rules().detects_tones = true;
    receiver.ensure_digit_rules().detects_tones = true;
  }
  const GuardWish& wish = request.guard;
  if (!wish.delay_ms && !wish.events_delay_ms) return;
  set_delays(sender.ensure_digit_rules(), wish, warnings);
  tidy(sender.extras->digits);
}

bool DigitControl::set_rules(DigitRules& rules, std::vector<std::string>& warnings) const {
  const GuardWish& wish = request_.guard;
  clear(rules);
  set_delays(rules, wish, warnings);
  rules.frequencies_hz = wish.frequencies_hz;
  rules.trigger = wish.trigger;
  rules.trigger_end = wish.trigger_end;
  rules.end_ms = bounded(wish.end_ms.value_or(0), kLongestEnd, "trigger-end-time", warnings);
  rules.end_digits = static_cast<std::uint32_t>(
      bounded(wish.end_digits.value_or(0), kMostEndDigits, "trigger-end-digits", warnings));
  // With a trigger and no mode, digits pass until the trigger comes.
  const DigitCover usual = rules.has_trigger() ? DigitCover::kNone : DigitCover::kDrop;
  rules.cover = wish.cover.value_or(usual);
  const bool is_on = rules.cover != DigitCover::kNone;
  rules.when_triggered = wish.when_triggered.value_or(is_on ? rules.cover : DigitCover::kDrop);
  rules.afterwards = wish.afterwards.value_or(DigitCover::kNone);
  // Without a trigger, what ends it ends what holds now.
  const bool has_end = !rules.trigger_end.empty() || rules.end_ms > 0 || rules.end_digits > 0;
  if (!rules.has_trigger() && is_on && has_end) rules.begin(clock_.now);
  return is_on;
}

Result<DigitRulesSet, RequestError> DigitControl::block() {
  const auto call = find_call(services_, request_);
  if (!call) return fail(call.error());
  // Events of RFC 4733 are encrypted like all media, so nobody here can tell them from it.
  if (is_end_to_end(**call)) return fail(RequestFault::kEndToEnd);
  const auto party = select(**call);
  if (!party) return fail(party.error());
  std::vector<std::string> warnings;
  warn_of_unreadable(request_, warnings);
  if (*party != nullptr) {
    Leg& leg = **party;
    leg.events_blocked = set_rules(leg.ensure_digit_rules(), warnings);
    tidy(leg.extras->digits);
  } else {
    auto& rules = (*call)->ensure_extras().digits;
    if (!rules) rules = std::make_unique<DigitRules>();
    (*call)->events_blocked = set_rules(*rules, warnings);
    tidy(rules);
  }
  done(**call, *party, warnings);
  return DigitRulesSet{std::move(warnings)};
}

Result<DigitRulesSet, RequestError> DigitControl::unblock() {
  const auto call = find_call(services_, request_);
  if (!call) return fail(call.error());
  const auto party = select(**call);
  if (!party) return fail(party.error());
  std::vector<std::string> warnings;
  warn_of_unreadable(request_, warnings);
  if (*party != nullptr) {
    unblock_leg(**party);
  } else {
    (*call)->events_blocked = false;
    if ((*call)->extras) (*call)->extras->digits.reset();
    if (request_.all == AllParties::kAll) {
      for (const auto& leg : (*call)->legs) unblock_leg(*leg);
    }
  }
  done(**call, *party, warnings);
  return DigitRulesSet{std::move(warnings)};
}

Result<Leg*, RequestError> DigitControl::select(Call& call) const {
  if (request_.all == AllParties::kAll && request_.has_flag(Flag::kAll)) return nullptr;
  // Clients always send the tags of the transaction. They count only if asked.
  return select_party(call, request_, request_.has_flag(Flag::kDirectional));
}

void DigitControl::done(Call& call, const Leg* party, std::vector<std::string>& warnings) {
  call.touched = clock_.now;
  services_.plans.sync(call);
  for (std::string& each : undone_guards(call, party)) {
    if (std::ranges::find(call.not_in_force, each) == call.not_in_force.end())
      call.not_in_force.push_back(each);
    warnings.push_back(std::move(each));
  }
}

std::vector<std::string> undone_guards(const Call& call, const Leg* party) {
  std::vector<std::string> undone;
  for (const auto& leg : call.legs) {
    if (party != nullptr && leg.get() != party) continue;
    const DigitCover cover = digit_cover(*leg);
    const bool is_processed = cover != DigitCover::kNone && cover != DigitCover::kDrop;
    const DigitRules* rules = leg->digit_rules();
    const bool is_delayed = rules != nullptr && (rules->delay_ms > 0 || rules->events_delay_ms > 0);
    if (!is_processed && !is_delayed) continue;
    for (const auto& media : leg->medias) {
      const LocalPorts* ports = media->via->used_ports();
      if (ports == nullptr || ports->closed || !ports->plan || media->in_force().type != "audio") continue;
      const auto source = std::ranges::find(ports->plan->sources, media->id, &SourcePlan::media);
      if (source == ports->plan->sources.end()) continue;
      const bool is_missing = std::ranges::any_of(source->sinks, [](const Sink& sink) {
        return !sink.rtcp_only && sink.media_allowed && !(sink.conversion && sink.conversion->guard);
      });
      if (!is_missing) continue;
      undone.push_back(
          is_processed
              ? fmt::format(
                    "DTMF-security={}: toward some receiver of party {} the relay cannot change audio "
                    "(codec missing, or a shared key): event packets are dropped, tones pass",
                    to_string(cover), leg->number)
              : fmt::format(
                    "delay-buffer, DTMF-delay: toward some receiver of party {} the relay cannot change "
                    "audio (codec missing, or a shared key): nothing is delayed",
                    leg->number));
    }
  }
  return undone;
}

void DigitTriggers::follow(Call& call, DigitRules& rules, bool& blocked, DigitRules::Change change,
                           const std::string& whose) {
  if (change == DigitRules::Change::kNone) return;
  rules.cover = change == DigitRules::Change::kBegins ? rules.when_triggered : rules.afterwards;
  blocked = rules.cover != DigitCover::kNone;
  services_.plans.sync(call);
  if (services_.observers.wants_decisions(call))
    services_.observers.tell(&CallObserver::on_decision, call,
                             fmt::format("digits switch DTMF of {} to {}", whose, to_string(rules.cover)));
}

void DigitTriggers::on_dtmf(Call& call, Leg& leg, const DtmfEvent& event) {
  static constexpr std::string_view kDigits = "0123456789*#ABCD";
  if (event.event >= kDigits.size()) return;
  const char digit = kDigits[event.event];
  if (DigitRules* rules = leg.digit_rules())
    follow(call, *rules, leg.events_blocked, rules->on_digit(digit, event.told_at),
           fmt::format("party {}", leg.number));
  if (DigitRules* rules = call.digit_rules())
    follow(call, *rules, call.events_blocked, rules->on_digit(digit, event.told_at), "all parties");
}

void DigitTriggers::on_planned(Call& call) {
  const auto waits = [](const DigitRules* rules) { return rules != nullptr && rules->ends_at != Instant{}; };
  const bool is_waiting = waits(call.digit_rules()) || std::ranges::any_of(call.legs, [&](const auto& leg) {
                            return waits(leg->digit_rules());
                          });
  if (is_waiting) waiting_.insert(call.serial);
}

void DigitTriggers::expire(Instant now) {
  // Switching plans anew, and thereby adds to the list.
  const std::set<std::uint64_t> serials = std::exchange(waiting_, {});
  for (const std::uint64_t serial : serials) {
    Call* call = services_.calls.by_serial(serial);
    if (call == nullptr) continue;
    for (const auto& leg : call->legs) {
      if (DigitRules* rules = leg->digit_rules())
        follow(*call, *rules, leg->events_blocked, rules->on_time(now), fmt::format("party {}", leg->number));
    }
    if (DigitRules* rules = call->digit_rules())
      follow(*call, *rules, call->events_blocked, rules->on_time(now), "all parties");
    on_planned(*call);
  }
}

}  // namespace ferry
