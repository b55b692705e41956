// SPDX-License-Identifier: Apache-2.0
#include "relay/core/latch/proposed_latch.hpp"

#include <utility>

namespace ferry {

namespace {

/// True if the proposed latch has learned its peer under the very words that `config` repeats.
bool has_learned(const Latch& proposed, const LatchConfig& config) noexcept {
  const LatchConfig& offered = proposed.config();
  const bool is_same =
      offered.signalled == config.signalled && offered.signalled_void == config.signalled_void &&
      offered.signalling_source == config.signalling_source && config.algorithm == LearningAlgorithm::kRules;
  return is_same && proposed.state() == Latch::State::kLocked;
}

/// True if `from` is the proposed source, or may become it.
bool may_be_proposed(const Latch& proposed, const Endpoint& from, Instant now) noexcept {
  if (from == proposed.learned()) return true;
  const bool may_begin = proposed.state() != Latch::State::kLocked && proposed.may_speak(from);
  return may_begin || proposed.claim(from, false, now) == Latch::Claim::kBetter;
}

}  // namespace

Hearing hearing_of(const Latch& agreed, const Latch* proposed, const Endpoint& from, const Endpoint& heard_as,
                   bool may_relearn, Instant now) noexcept {
  const Latch::Claim claim = agreed.claim(heard_as, may_relearn, now);
  if (from == agreed.learned() || proposed == nullptr || !may_be_proposed(*proposed, from, now))
    return {false, claim};
  // The agreed latch has the first word if it is locked and names `from` better, or if both still learn and
  // it ranks `from` at least as well.
  const bool is_agreed = agreed.state() == Latch::State::kLocked
                             ? claim == Latch::Claim::kBetter
                             : proposed->rank_of(from) <= agreed.rank_of(from);
  if (is_agreed) return {false, claim};
  return {true, proposed->claim(from, may_relearn, now)};
}

bool settle(Latch& agreed, Latch* proposed, const LatchConfig& config, Instant now) {
  if (proposed != nullptr && has_learned(*proposed, config)) {
    // What was learned during the offer goes on without a new race.
    agreed = std::move(*proposed);
    agreed.update(config);
    return false;
  }
  // Late packets of the former peer must not win the new race (T-07). A peer that stays where it is is not
  // barred.
  const Endpoint former = agreed.learned();
  agreed.restart(config, now, former == config.signalled ? Endpoint{} : former);
  return true;
}

}  // namespace ferry
