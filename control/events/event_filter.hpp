// SPDX-License-Identifier: Apache-2.0
// Which events one receiver wants.
#pragma once

#include "control/events/event.hpp"
#include "relay/base/result.hpp"

#include <bitset>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::events {

/// Events that one receiver wants: those of some calls or of all, of some types or of all. Plain values.
struct EventFilter {
  /// Call-IDs as `cut` has them; empty = all calls.
  std::vector<std::string> calls;
  /// By the numbers of `EventType`; none = all types.
  std::bitset<kEventTypes> types;

  [[nodiscard]] bool wants(const Event& event) const noexcept;
};

/// Adds the types that `names` lists with commas or blanks between them. The error is a sentence, and the
/// filter is as before then.
[[nodiscard]] Result<void, std::string> add_types(EventFilter& filter, std::string_view names);

}  // namespace ferry::events
