// SPDX-License-Identifier: Apache-2.0
// One call as a list of calls shows it: its verdict in a sentence, its figures, and where its packets go.
#pragma once

#include "control/call/totals.hpp"
#include "control/diagnose/call_evidence.hpp"
#include "control/diagnose/health.hpp"
#include "control/diagnose/verdict.hpp"

#include <optional>

#include <nlohmann/json_fwd.hpp>

namespace ferry {

struct Call;

/// The figures of the last 10 s that a call is judged by: of the stream that is worst in each.
struct CallFigures {
  /// Lowest MOS (ITU-T G.107). Unset if there was no speech to judge.
  std::optional<double> mos{};
  /// Largest share of packets that are missing, in percent, and largest mean jitter.
  double loss_percent = 0;
  double jitter_ms = 0;
};

/// The worst figures in `verdicts`. If somebody hears nothing and nobody wants it so, all is missing, and
/// there is no MOS. Pure.
[[nodiscard]] CallFigures figures_of(const Explanation& verdicts);

/// Makes the row of `call`. `evidence` and `verdicts` are of the same call, `health` is what the last look
/// found. The row says nothing that time alone changes, such as an age, so that an equal row is no news.
/// Pure.
[[nodiscard]] nlohmann::json row_of(const Call& call, const CallEvidence& evidence,
                                    const Explanation& verdicts, const CallHealth& health);

}  // namespace ferry
