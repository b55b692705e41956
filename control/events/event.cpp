// SPDX-License-Identifier: Apache-2.0
#include "control/events/event.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace ferry::events {

std::optional<EventType> parse_event_type(std::string_view name) noexcept {
  const auto found = std::ranges::find(kEventRows, name, &EventRow::name);
  return found == kEventRows.end() ? std::nullopt : std::optional(found->type);
}

std::string iso_time(WallTime time) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(ms / 1000)),
                     ms % 1000);
}

}  // namespace ferry::events
