// Records calls to files on threads of its own (design section 6).
#pragma once

#include "recorder/after/run_program.hpp"
#include "recorder/settings.hpp"
#include "relay/base/result.hpp"
#include "relay/core/recording.hpp"

#include <functional>
#include <memory>
#include <string>

namespace ferry {

enum class RecorderLogLevel : std::uint8_t { kInfo, kWarning };

struct RecorderTotals {
  std::uint64_t started = 0;
  std::uint64_t finished = 0;
  std::uint64_t failed = 0;
  std::uint64_t active = 0;
  /// Packets that found no room on the way to a writer.
  std::uint64_t packets_lost = 0;
  std::uint64_t queue_peak_bytes = 0;
  std::uint64_t queue_bytes = 0;
  std::uint64_t files_removed = 0;
  std::uint64_t hooks_run = 0;
  std::uint64_t hooks_failed = 0;
  std::uint64_t notifications_failed = 0;
  std::uint64_t uploads_failed = 0;
  /// Hooks, notifications and uploads that wait or run.
  std::uint64_t work_waiting = 0;
  /// Those given up whose entries are in the folder of failures.
  std::uint64_t work_failed = 0;
  /// Where their entries are; empty = in memory only.
  std::string work_folder;
  /// Why entries cannot be kept over a restart; empty if they can.
  std::string work_trouble;
  std::string trouble;
};

/// One for the daemon. Control thread only, but for the taps.
class Recorder : public CallRecorder {
 public:
  /// Lines for the log; called on any thread.
  using Log = std::function<void(RecorderLogLevel, const std::string&)>;
  /// That of the packets; called on any thread.
  using Clock = std::function<RecordingTime()>;
  static RecordingTime system_time();

  /// Makes the directories, takes care of what an earlier process left in the spool, starts the threads. The
  /// error is a sentence.
  /// `run` starts hooks.
  static Result<std::unique_ptr<Recorder>, std::string> make(const RecorderSettings& settings,
                                                             unsigned workers, Log log,
                                                             Clock clock = system_time,
                                                             RunProgram run = run_program);
  [[nodiscard]] virtual RecorderTotals totals() const = 0;
  /// Waits until everything that was finished so far is in its place. For tests and the end of the daemon.
  virtual void settle() = 0;
};

}  // namespace ferry
