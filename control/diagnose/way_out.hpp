// SPDX-License-Identifier: Apache-2.0
// What is missing between the packets that came to the relay for a listener and those that left toward it.
//
// Most of it was dropped for a reason, on the way out (`way_out_to`) or where the packets came from
// (`count_commands`). Whatever neither left nor has a reason is told by `missing_without_reason`. Internal to
// this folder. All functions are pure; they count packets of the last seconds.
#pragma once

#include "control/diagnose/call_evidence.hpp"

namespace ferry {

/// Packets that the relay dropped on the way out to a listener in the last seconds.
struct WayOut {
  /// Speech, without packets whose numbers had left before.
  double own = 0;
  /// All that did not get as far as the socket.
  double raw = 0;
  /// Dropped until the call was set up.
  double set_up = 0;
  /// Dropped as signalling or a command demands.
  double wanted = 0;
  /// The same, for packets of the only sender that were dropped as they came.
  double wanted_before = 0;
  /// Reason of most of `own`.
  DropReason reason = DropReason::kNone;
  double of_reason = 0;
  DropReason wanted_reason = DropReason::kNone;
  double of_wanted = 0;
};

/// Counts what the relay dropped on the way out to `listener`, without `wanted_before`.
[[nodiscard]] WayOut way_out_to(const CallEvidence& call, const MediaEvidence& listener);
/// Adds drops by hold, commands and the like, which are counted where the packets come from: `sender` are
/// those of the only sender.
void count_commands(WayOut& out, const CallEvidence& call, const RecentDrops& sender);
/// True if a prompt was played to `listener` instead of what `sender` sent.
[[nodiscard]] bool has_prompt(const CallEvidence& call, const MediaEvidence& listener,
                              const MediaEvidence& sender);
/// Packets of `sender` that were taken, and neither left nor were dropped for a reason. Only known if one
/// packet in makes one out: there is one sender, and packets leave as large as they came; else 0. `spoken`:
/// packets that were spoken to the listener.
[[nodiscard]] double missing_without_reason(const WayOut& out, const CallEvidence& call,
                                            const MediaEvidence& listener, const MediaEvidence& sender,
                                            double spoken);

}  // namespace ferry
