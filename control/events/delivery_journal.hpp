// SPDX-License-Identifier: Apache-2.0
// Events that wait for their delivery, as lines of a file, so that a restart loses none.
//
// A line `+ EVENT` says that an event waits, and `- NUMBER` that it need not be delivered any more. Whoever
// begins reads the lines in their order; what was added and not taken away still waits.
#pragma once

#include "control/events/event.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::events {

/// The line that adds an event, with its end.
[[nodiscard]] std::string line_to_add(const Event& event);
/// The line that takes an event away, with its end.
[[nodiscard]] std::string line_to_remove(std::uint64_t number);

/// What a journal says.
struct JournalContents {
  /// Events that still wait, by their numbers.
  std::vector<Event> waiting;
  /// Lines that are none of ours, such as one that a crash has torn.
  std::size_t damaged = 0;
};
/// Reads a journal. Never throws for bad input.
[[nodiscard]] JournalContents read_journal(std::string_view text);

/// Reads an event from its text; nothing if it is none.
[[nodiscard]] std::optional<Event> parse_event(std::string_view text);

}  // namespace ferry::events
