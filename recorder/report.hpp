// SPDX-License-Identifier: Apache-2.0
// What the recorder tells of itself: lines for the log, and figures.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace ferry {

enum class RecorderLogLevel : std::uint8_t { kInfo, kWarning };
/// Takes lines for the log, on any thread.
using RecorderLog = std::function<void(RecorderLogLevel, const std::string&)>;

/// Figures since the start, for metrics and `rtpferryctl`.
struct RecorderTotals {
  /// Recordings: started, brought to their place, not brought there, in progress.
  std::uint64_t started = 0;
  std::uint64_t finished = 0;
  std::uint64_t failed = 0;
  std::uint64_t active = 0;
  /// Packets that found no room on the way to a writer.
  std::uint64_t packets_lost = 0;
  /// The most octets that one queue ever held, and the room of each.
  std::uint64_t queue_peak_bytes = 0;
  std::uint64_t queue_bytes = 0;
  /// Files that retention or quota have removed.
  std::uint64_t files_removed = 0;
  /// Hooks that were run, and hooks, notifications and uploads that were given up.
  std::uint64_t hooks_run = 0;
  std::uint64_t hooks_failed = 0;
  std::uint64_t notifications_failed = 0;
  std::uint64_t uploads_failed = 0;
  /// Hooks, notifications and uploads that wait or run now.
  std::uint64_t work_waiting = 0;
  /// Hooks, notifications and uploads that were given up and whose entries are in the folder of failures.
  std::uint64_t work_failed = 0;
  /// The folder of the entries; empty: they are only in memory.
  std::string work_folder;
  /// Why entries cannot survive a restart; empty if they can.
  std::string work_trouble;
  /// The last trouble, as a sentence; empty: none.
  std::string trouble;
};

}  // namespace ferry
