#include "relay/core/latch/proposed_latch.hpp"

#include <utility>

namespace ferry {

namespace {

/// The proposed latch has learned a peer by the same words.
bool has_learned(const Latch& proposed, const LatchConfig& config) noexcept {
  const LatchConfig& offered = proposed.config();
  const bool is_same =
      offered.signalled == config.signalled && offered.signalled_void == config.signalled_void &&
      offered.signalling_source == config.signalling_source && config.algorithm == LearningAlgorithm::kRules;
  return is_same && proposed.state() == Latch::State::kLocked;
}

}  // namespace

bool settle(Latch& agreed, Latch* proposed, const LatchConfig& config, Instant now) {
  if (proposed != nullptr && has_learned(*proposed, config)) {
    agreed = std::move(*proposed);
    agreed.update(config);
    return false;
  }
  // Late packets of the former peer must not win the new race (T-07).
  const Endpoint former = agreed.learned();
  agreed.restart(config, now, former == config.signalled ? Endpoint{} : former);
  return true;
}

}  // namespace ferry
