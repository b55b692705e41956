// SPDX-License-Identifier: Apache-2.0
// Looks at running calls in turns, so that a call which became bad is reported while it is bad.
#pragma once

#include "control/call/call.hpp"
#include "control/session/health_watch.hpp"
#include "control/session/services.hpp"

#include <span>

namespace ferry {

/// Judges calls as they are now, and tells the observers of alarms and recoveries. Borrows everything.
/// Control thread only.
class HealthRounds {
 public:
  HealthRounds(const Services& services, HealthWatch& watch) : services_(services), watch_(watch) {}

  /// Makes one turn: looks at the calls that are due, a bounded number. False if there was no memory for it;
  /// the calls that were left out wait for their next turn (C-12).
  bool watch(const Clock& clock) noexcept;
  /// Looks again at those of `calls` whose last look is older than a second. Deleted ones stay as they are.
  void look_at(std::span<const Call* const> calls, const Clock& clock);

 private:
  /// Judges `calls`, with one fence for all.
  void glance_at(std::span<const Call* const> calls, const Clock& clock);

  const Services& services_;
  HealthWatch& watch_;
};

}  // namespace ferry
