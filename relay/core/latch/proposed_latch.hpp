// SPDX-License-Identifier: Apache-2.0
// Joins the two latches that a component has while an offer waits for its answer (LAT-15): one for the agreed
// source and one for the proposed source. Pure; on the thread of the worker that owns both.
#pragma once

#include "relay/core/latch/latch.hpp"

namespace ferry {

/// A judgement, and whether the latch of the proposed source made it.
struct SourceJudgement {
  Latch::Judgement judgement;
  bool is_proposed = false;
};

/// Lets one of the two latches judge a packet from `from`. `judge` is called with a latch and returns its
/// judgement; it may be called twice. `proposed` is null if no offer waits.
template <class Judge>
SourceJudgement judge_source(Latch& agreed, Latch* proposed, const Endpoint& from, Judge judge) noexcept {
  if (proposed == nullptr || from == agreed.learned()) return {judge(agreed), false};
  const auto ask = [&](bool is_proposed) -> SourceJudgement {
    if (is_proposed) agreed.note_another_source();
    return {judge(is_proposed ? *proposed : agreed), is_proposed};
  };
  if (from == proposed->learned()) return ask(true);
  const std::uint8_t rank = proposed->rank_of(from);
  const bool is_better = rank >= 2 && rank > agreed.rank_of(from);
  const SourceJudgement first = ask(is_better);
  // A source that is foreign to one latch may be the other one's source behind another port of a NAT.
  const bool is_foreign = first.judgement.decision == Latch::Judgement::Decision::kReject &&
                          first.judgement.reason == DropReason::kForeignSource;
  return is_foreign && rank >= 2 ? ask(!is_better) : first;
}

/// The latch that a protected packet speaks to, and what the packet may do there (LAT-10).
struct Hearing {
  bool is_proposed = false;
  Latch::Claim claim = Latch::Claim::kNone;
};
/// Finds the latch for a protected packet from `from`. `heard_as` is the source that the agreed latch takes
/// it for; with ICE that may be another one. `may_relearn`: LAT-8b applies.
[[nodiscard]] Hearing hearing_of(const Latch& agreed, const Latch* proposed, const Endpoint& from,
                                 const Endpoint& heard_as, bool may_relearn, Instant now) noexcept;

/// Takes over new signalling, which says with `config` where the party is. If exactly that was proposed and
/// has been learned, `proposed` takes the place of `agreed`, and the result is false. Otherwise `agreed`
/// begins to learn anew and bars its former peer; the result is true.
bool settle(Latch& agreed, Latch* proposed, const LatchConfig& config, Instant now);

}  // namespace ferry
