// SPDX-License-Identifier: Apache-2.0
#include "control/view/health_rounds.hpp"

#include "control/diagnose/explain.hpp"
#include "control/session/evidence.hpp"
#include "control/session/explanation_json.hpp"
#include "control/session/media_plane.hpp"
#include "control/session/observer.hpp"
#include "control/session/snapshots.hpp"
#include "relay/base/memory.hpp"

#include <deque>
#include <vector>

namespace ferry {

namespace {

/// How long the result of a look is good for those who list calls.
constexpr Duration kFresh = std::chrono::seconds(1);

}  // namespace

bool HealthRounds::watch(const Clock& clock) noexcept {
  return had_memory([&] { glance_at(watch_.next(clock.now), clock); });
}

void HealthRounds::look_at(std::span<const Call* const> calls, const Clock& clock) {
  std::vector<const Call*> old;
  for (const Call* call : calls) {
    if (!call->delete_at && clock.now - watch_.of(*call).looked_at() > kFresh) old.push_back(call);
  }
  glance_at(old, clock);
}

void HealthRounds::glance_at(std::span<const Call* const> calls, const Clock& clock) {
  if (calls.empty()) return;
  // A deque, because the workers write into its elements.
  std::deque<CallSnapshots> all;
  const FenceAtEnd fence(services_.plane);
  for (const Call* call : calls) services_.snapshots.post(*call, all.emplace_back());
  services_.plane.fence();
  auto snapshots = all.begin();
  for (const Call* call : calls) {
    CallEvidence evidence = evidence_of(*call, *snapshots++, clock);
    leave_out_deleted(*call, evidence);
    const HealthFinding found = worst_of(glance(evidence), evidence);
    const HealthChange change = watch_.take(*call, found, clock.now);
    if (!change.tells_bad && !change.tells_recovery) continue;
    HealthNews news;
    news.is_bad = change.tells_bad;
    news.cause = change.cause;
    news.lasted = change.lasted;
    if (news.is_bad) {
      news.is_unheard = found.is_unheard();
      const Explanation words = ferry::explain(evidence);
      if (const MediaVerdict* worst = words.main()) {
        news.sentence = worst->sentence;
        news.leg = worst->leg;
        news.media = worst->media;
      }
    }
    services_.observers.tell(&CallObserver::on_health, *call, news);
  }
}

}  // namespace ferry
