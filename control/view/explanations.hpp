// SPDX-License-Identifier: Apache-2.0
// Explains who hears whom, and why not (`rtpferryctl explain`).
#pragma once

#include "control/call/totals.hpp"
#include "control/session/endings.hpp"
#include "control/session/refused_requests.hpp"
#include "control/session/services.hpp"

#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace ferry {

/// Reads calls and changes nothing. Borrows everything. Control thread only.
class Explanations {
 public:
  Explanations(const Services& services, const Endings& endings, const RefusedRequests& refused)
      : services_(services), endings_(endings), refused_(refused) {}

  /// Explains a running call, or one that ended badly not long ago. Null if there is none. `packets` adds the
  /// flight recorders. Refused requests of the call are listed; a call that was refused from the beginning
  /// has the state `refused`.
  [[nodiscard]] nlohmann::json explain(std::string_view call_id, bool packets, const Clock& clock) const;

 private:
  /// The same without refused requests.
  [[nodiscard]] nlohmann::json of_call(std::string_view call_id, bool packets, const Clock& clock) const;

  const Services& services_;
  const Endings& endings_;
  const RefusedRequests& refused_;
};

}  // namespace ferry
