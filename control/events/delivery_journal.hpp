// SPDX-License-Identifier: Apache-2.0
// Events that wait for their delivery, as lines of a file, so that a restart loses none.
//
// A line `+ EVENT` says that an event waits, and `- NUMBER` that it need not be delivered any more. Whoever
// begins reads the lines in their order; what was added and not taken away still waits.
#pragma once

#include "control/events/event.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
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
  /// Events that were left out, the oldest first, because more wait than may.
  std::size_t left_out = 0;
};

/// Reads a journal part by part, so that the file need not fit into memory. Bad input is counted.
class JournalReader {
 public:
  /// A line that is longer is none of ours.
  static constexpr std::size_t kLongestLine = 1024 * 1024;

  /// `most_octets` bounds the events that wait (`octets_of`).
  explicit JournalReader(std::size_t most_octets) : most_octets_(most_octets) {}
  /// Takes the next part of the text, which may end within a line.
  void add(std::string_view part);
  /// What the journal says. To be called once, at the end.
  [[nodiscard]] JournalContents finish();

 private:
  void add_line(std::string_view line);
  void forget(std::map<std::uint64_t, Event>::iterator event);

  std::size_t most_octets_;
  std::map<std::uint64_t, Event> waiting_;
  std::size_t octets_ = 0;
  /// The line whose end has not come.
  std::string begun_;
  /// The line that is read now is too long; its rest is skipped.
  bool is_skipping_ = false;
  JournalContents contents_;
};
/// Reads a whole journal. Never throws for bad input.
[[nodiscard]] JournalContents read_journal(std::string_view text);

/// Reads an event from its text; nothing if it is none.
[[nodiscard]] std::optional<Event> parse_event(std::string_view text);

}  // namespace ferry::events
