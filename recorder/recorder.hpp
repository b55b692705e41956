// SPDX-License-Identifier: Apache-2.0
// Records calls to files, on threads of its own (docs/recording.md).
#pragma once

#include "recorder/after/run_program.hpp"
#include "recorder/report.hpp"
#include "recorder/settings.hpp"
#include "relay/base/result.hpp"
#include "relay/core/recording.hpp"

#include <functional>
#include <memory>
#include <string>

namespace ferry {

/// The recorder of the daemon. Used on the control thread, except for the taps.
class Recorder : public CallRecorder {
 public:
  /// Takes lines for the log, on any thread.
  using Log = RecorderLog;
  /// The clock that packets are timed by, called on any thread.
  using Clock = std::function<RecordingTime()>;
  /// The host's clocks.
  static RecordingTime system_time();

  /// Makes the directories, takes care of what an earlier process left in the spool, and starts the threads.
  /// `workers`: how many workers may call taps. `run` starts hooks. The error is a sentence for the operator.
  static Result<std::unique_ptr<Recorder>, std::string> make(const RecorderSettings& settings,
                                                             unsigned workers, Log log,
                                                             Clock clock = system_time,
                                                             RunProgram run = run_program);
  /// The figures of now. Takes locks, but does not wait for the disk.
  [[nodiscard]] virtual RecorderTotals totals() const = 0;
  /// Waits until everything that was finished so far is in its place. For tests and the end of the daemon.
  virtual void settle() = 0;
};

}  // namespace ferry
