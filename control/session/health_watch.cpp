// SPDX-License-Identifier: Apache-2.0
#include "control/session/health_watch.hpp"

#include "control/call/call.hpp"
#include "control/diagnose/hearing.hpp"

#include <algorithm>

namespace ferry {

using namespace std::chrono_literals;

namespace {

/// How long after the last message of signalling a call gets a glance: first when its verdicts no longer say
/// "waiting", then when the figures of the last seconds hold nothing from before that message.
constexpr std::array<Duration, 2> kAfterSignal = {kPatience + 1s, kRecentTime + kMarkInterval};
/// Time between two glances at a call that is bad or may become bad.
constexpr Duration kWhileBad = 2s;
/// How long a call gets more glances after its standing has changed, and the time between two of them. A
/// silence needs some seconds to become a fault.
constexpr Duration kRestless = 7s;
constexpr Duration kWhileRestless = 3s;
/// The most medias of all glances of one turn. A large conference is then a turn of its own.
constexpr std::size_t kMedias = 128;
/// Turns come several times a second. If none came for so long, the process was stopped.
constexpr Duration kLateTurn = 2s;
/// Least time between two glances at one call.
constexpr Duration kShortest = 1s;

/// The standings of all transports of a call in one figure, which changes if one of them changes.
std::uint32_t standing_of(const Call& call) {
  std::uint32_t sum = 0;
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      for (const LocalPorts& ports : media->via->ports) {
        constexpr std::uint32_t kSpread = 0x9e3779b1;
        sum = sum * kSpread + ports.activity->standing.load(std::memory_order_relaxed);
      }
    }
  }
  return sum;
}

}  // namespace

void HealthWatch::add(Call& call, Instant now) {
  call.watch_place = watched_.size();
  Watched& watched = watched_.emplace_back();
  watched.call = &call;
  watched.known_since = now;
}

void HealthWatch::remove(const Call& call) noexcept {
  Watched& gone = watched_[call.watch_place];
  if (gone.call != watched_.back().call) {
    gone = watched_.back();
    gone.call->watch_place = call.watch_place;
  }
  watched_.pop_back();
}

void HealthWatch::after_pause(Instant now) noexcept { steady_since_ = now; }

HealthWatch::Need HealthWatch::need_of(Watched& watched, Instant now) {
  const Call& call = *watched.call;
  const CallHealth& health = watched.health;
  if (now - health.looked_at() < kShortest) return Need::kNone;
  // A deleted call stays as it was: its parties fall silent.
  if (call.delete_at) return Need::kNone;
  if (call.last_signal != watched.signal) {
    watched.signal = call.last_signal;
    watched.glances_after_signal = 0;
  }
  Need need = Need::kNone;
  while (watched.glances_after_signal < kAfterSignal.size() &&
         now - call.last_signal >= kAfterSignal[watched.glances_after_signal]) {
    ++watched.glances_after_signal;
    need = Need::kUrgent;
  }
  if (const std::uint32_t standing = standing_of(call); standing != watched.standing) {
    watched.standing = standing;
    watched.restless_until = now + kRestless;
    need = Need::kUrgent;
  }
  const Duration rest = now - health.looked_at();
  const bool may_be_bad = health.is_bad() || health.found().severity == Severity::kFault;
  if (may_be_bad ? rest >= kWhileBad : now < watched.restless_until && rest >= kWhileRestless)
    need = Need::kUrgent;
  if (need == Need::kNone && now - std::max(health.looked_at(), watched.known_since) >= kRoutineTime)
    need = Need::kRoutine;
  return need;
}

const std::vector<const Call*>& HealthWatch::next(Instant now) {
  due_.clear();
  if (watched_.empty()) return due_;
  if (last_turn_ != Instant{} && now - last_turn_ > kLateTurn) after_pause(now);
  // All calls are passed within a round, so turns that come late take more of them.
  const Duration passed =
      last_turn_ == Instant{} ? kTurnInterval : std::min<Duration>(now - last_turn_, kRoundTime);
  last_turn_ = now;
  const double share = std::chrono::duration<double>(passed) / std::chrono::duration<double>(kRoundTime);
  const auto wanted = static_cast<std::size_t>(share * static_cast<double>(watched_.size())) + 1;
  const std::size_t looks = std::min({wanted, watched_.size(), kLooks});
  std::size_t routine = 0;
  std::size_t medias = 0;
  for (std::size_t n = 0; n < looks && due_.size() < kGlances && medias < kMedias; ++n) {
    if (next_ >= watched_.size()) next_ = 0;
    Watched& watched = watched_[next_++];
    const Need need = need_of(watched, now);
    if (need == Need::kNone || (need == Need::kRoutine && routine >= kRoutineGlances)) continue;
    if (need == Need::kRoutine) ++routine;
    due_.push_back(watched.call);
    for (const auto& leg : watched.call->legs) medias += leg->medias.size();
  }
  return due_;
}

void HealthWatch::show(const Call& call, const HealthFinding& found, Instant now) noexcept {
  watched_[call.watch_place].health.show(found, now);
}

HealthChange HealthWatch::take(const Call& call, const HealthFinding& found, Instant now) {
  Watched& watched = watched_[call.watch_place];
  const HealthChange change = watched.health.take(found, now, std::max(steady_since_, watched.known_since));
  const auto cause = static_cast<std::size_t>(change.cause);
  if (change.became_bad) ++totals_.became_bad[cause];
  if (change.recovered) ++totals_.recovered[cause];
  return change;
}

const CallHealth& HealthWatch::of(const Call& call) const noexcept {
  return watched_[call.watch_place].health;
}

BadCalls HealthWatch::bad_calls() const noexcept {
  BadCalls bad;
  for (const Watched& each : watched_) {
    if (!each.health.is_bad() || each.call->delete_at) continue;
    ++(each.health.found().reception == Reception::kNothing ? bad.hear_nothing : bad.hear_some);
  }
  return bad;
}

}  // namespace ferry
