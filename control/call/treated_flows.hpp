// SPDX-License-Identifier: Apache-2.0
// Which media of a call is changed on its way, and into what. Pure. Control thread only.
#pragma once

#include "control/call/call.hpp"

#include <string>
#include <vector>

namespace ferry {

/// The audio of one media that another one gets in a changed form, by the plans that workers have. Borrows
/// from the call.
struct TreatedFlow {
  /// Never null.
  const Media* from = nullptr;
  const Media* to = nullptr;
  const Sink* sink = nullptr;
  /// How many sources the receiver hears at a time, if this one is mixed with others; 0 = it is not.
  std::size_t mixed_of = 0;
  /// True if it is decoded and encoded anew, or cut into other packets.
  [[nodiscard]] bool is_made_anew() const { return sink->conversion != nullptr || sink->ptime_ms != 0; }
};

/// All such flows, in the order of their sources.
[[nodiscard]] std::vector<TreatedFlow> treated_flows(const Call& call);

/// What becomes of the audio, in words: `PCMA/8000 becomes opus/48000/2 (96), 20 ms`.
[[nodiscard]] std::string in_words(const TreatedFlow& flow);

}  // namespace ferry
