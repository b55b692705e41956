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

std::string cut(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  // FNV-1a with 64 bits.
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char each : text) hash = (hash ^ static_cast<unsigned char>(each)) * 0x100000001b3;
  const std::string mark = fmt::format("...{:016x}", hash);
  std::size_t size = most - mark.size();
  // Not within a character of UTF-8 (RFC 3629 section 3).
  while (size > 0 && most - size < mark.size() + 4 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80)
    --size;
  return std::string(text.substr(0, size)) + mark;
}

}  // namespace ferry::events
