// SPDX-License-Identifier: Apache-2.0
// Decides whose turn it is to be marked: every transport of a worker once in two seconds, a few at a time.
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/evidence/recent.hpp"

#include <algorithm>
#include <cstddef>

namespace ferry {

/// Goes round the slots of a table in 40 steps of 50 ms, so that no batch of packets waits for all
/// transports. Eight slots beside each other share a step, because a call's transports mostly are neighbours
/// and should be compared as of one moment. No clock, no threads; a worker owns one.
class MarkRound {
 public:
  static constexpr std::size_t kSteps = 40;
  static constexpr Duration kStep = kMarkInterval / kSteps;
  /// Slots beside each other that have one turn.
  static constexpr std::size_t kBlock = 8;

  /// When `turn` wants to be called again at the latest; `otherwise` if there is nobody to mark.
  [[nodiscard]] Instant due(Instant otherwise) const noexcept {
    return next_ == Instant{} ? otherwise : std::min(otherwise, next_);
  }
  /// Calls `visit(slot)` for the slots that are due, at most those of one step. `slots`: how many the table
  /// has; 0: it is empty, and nothing is due until it is not.
  template <class Visit>
  void turn(std::size_t slots, Instant now, Visit visit) {
    if (slots == 0) {
      next_ = {};
      return;
    }
    if (next_ == Instant{}) {
      step_ = 0;
      next_ = now + kStep;
    }
    if (now < next_) return;
    if (now - next_ >= kMarkInterval) next_ = now;  // nobody ran: no turn is made up for
    for (std::size_t first = step_ * kBlock; first < slots; first += kSteps * kBlock) {
      for (std::size_t slot = first; slot < std::min(first + kBlock, slots); ++slot) visit(slot);
    }
    // Steps that a small table has nothing for are passed over.
    const std::size_t used = std::min(kSteps, (slots + kBlock - 1) / kBlock);
    const std::size_t next = step_ + 1 < used ? step_ + 1 : 0;
    next_ += kStep * static_cast<Duration::rep>(next > step_ ? 1 : kSteps - step_);
    step_ = next;
  }

 private:
  std::size_t step_ = 0;
  Instant next_{};
};

}  // namespace ferry
