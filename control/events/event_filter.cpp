// SPDX-License-Identifier: Apache-2.0
#include "control/events/event_filter.hpp"

#include "relay/base/printable.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace ferry::events {

bool EventFilter::wants(const Event& event) const noexcept {
  if (types.any() && !types.test(static_cast<std::size_t>(event.type))) return false;
  return calls.empty() || std::ranges::find(calls, event.call_id) != calls.end();
}

Result<void, std::string> add_types(EventFilter& filter, std::string_view names) {
  std::bitset<kEventTypes> added;
  while (!names.empty()) {
    const auto end = std::min(names.find_first_of(", "), names.size());
    const std::string_view name = names.substr(0, end);
    names.remove_prefix(std::min(end + 1, names.size()));
    if (name.empty()) continue;
    const auto type = parse_event_type(name);
    if (!type) {
      std::string known;
      for (const EventRow& row : kEventRows) known.append(known.empty() ? "" : ", ").append(row.name);
      return fail(fmt::format("'{}' is no type of event: there are {}", printable(name), known));
    }
    added.set(static_cast<std::size_t>(*type));
  }
  filter.types |= added;
  return {};
}

}  // namespace ferry::events
