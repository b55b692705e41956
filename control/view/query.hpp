// SPDX-License-Identifier: Apache-2.0
// The reply to `query`, which the reply to `delete` has too (docs/reference/ng.md#query).
#pragma once

#include "control/call/call.hpp"
#include "control/call/totals.hpp"
#include "control/request/request.hpp"
#include "control/session/services.hpp"
#include "control/session/snapshots.hpp"
#include "control/value/value.hpp"

#include <vector>

namespace ferry {

/// Tells what is known of a call in the words of the NG protocol. Reads and changes nothing. Borrows the
/// services. Control thread only.
class QueryView {
 public:
  explicit QueryView(const Services& services) : services_(services) {}

  /// The whole reply except for `result`. Waits for the worker of the call once. Fails if there is no such
  /// call.
  Result<Dict, RequestError> query(const Request& request, const Clock& clock) const;
  /// The same about `legs`, from snapshots that the caller has read.
  [[nodiscard]] Dict reply(const Call& call, const std::vector<const Leg*>& legs,
                           const CallSnapshots& snapshots, const Clock& clock) const;
  /// The same about all parties.
  [[nodiscard]] Dict reply(const Call& call, const CallSnapshots& snapshots, const Clock& clock) const;
  /// The parties that a request asks about: the party of its tag and those that it listens to, or all without
  /// a tag. Empty if nobody has the tag.
  [[nodiscard]] static std::vector<const Leg*> legs_for(const Call& call, const Request& request);

 private:
  const Services& services_;
};

/// `{packets, bytes, errors}`, as replies have it (docs/reference/ng.md#query).
[[nodiscard]] Dict counters_dict(std::uint64_t packets, std::uint64_t bytes, std::uint64_t errors);

}  // namespace ferry
