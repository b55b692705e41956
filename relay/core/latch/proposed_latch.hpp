// The two latches of one component while an offer waits for its answer (LAT-15): the agreed source's, and the
// proposed source's beside it. Pure, on the thread of the worker that owns both.
#pragma once

#include "relay/core/latch/latch.hpp"

namespace ferry {

/// A judgement, and whether the proposed source's latch made it.
struct SourceJudgement {
  Latch::Judgement judgement;
  bool is_proposed = false;
};

/// Has one of the two latches judge a packet from `from`. `judge` calls the latch it is given. `proposed`:
/// null if no offer waits.
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
  // Whoever is foreign to one of them may be the other's source, behind another port of a NAT.
  const bool is_foreign = first.judgement.decision == Latch::Judgement::Decision::kReject &&
                          first.judgement.reason == DropReason::kForeignSource;
  return is_foreign && rank >= 2 ? ask(!is_better) : first;
}

/// Which latch a protected packet speaks to, and what it may do there (LAT-10).
struct Hearing {
  bool is_proposed = false;
  Latch::Claim claim = Latch::Claim::kNone;
};
/// `heard_as`: whom the agreed latch takes `from` for. `may_relearn`: LAT-8 (b) applies.
[[nodiscard]] Hearing hearing_of(const Latch& agreed, const Latch* proposed, const Endpoint& from,
                                 const Endpoint& heard_as, bool may_relearn, Instant now) noexcept;

/// New signalling says with `config` where the party is. If that was proposed and has been learned,
/// `proposed` takes the agreed latch's place. Else true: `agreed` learns anew, and bars its former peer.
bool settle(Latch& agreed, Latch* proposed, const LatchConfig& config, Instant now);

}  // namespace ferry
