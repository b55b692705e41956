// SPDX-License-Identifier: Apache-2.0
// The work after a call: once a recording is in its place, a program is run, a server is told, files are
// stored elsewhere (CTL-15). Every piece of work stands in the state directory until it is done or given up,
// so that a restart goes on with it. Thus it is done at least once, and after a crash perhaps twice. Each
// kind has threads of its own; none holds up another kind, a call or a recording.
#pragma once

#include "recorder/after/run_program.hpp"
#include "recorder/after/transfers.hpp"
#include "recorder/after/work_queue.hpp"
#include "recorder/after/work_store.hpp"
#include "recorder/files/folder.hpp"
#include "recorder/report.hpp"
#include "recorder/settings.hpp"

#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace ferry {

/// A recording that is in its place. Names of files are below the recording directory.
struct StoredRecording {
  std::string call_id;
  std::string id;
  /// The manifest is the last one.
  std::vector<std::string> files;
};

/// Does the work after calls. Any thread may call; a member that waits for the disk says so.
class AfterCall {
 public:
  /// `settings` outlives it. `run` starts hooks. Nothing is done before `begin`.
  AfterCall(const RecorderSettings& settings, std::shared_ptr<const Folder> folder, RecorderLog log,
            RunProgram run);
  /// Gives new work a few seconds, then ends programs and transfers. What is undone waits for the next start.
  ~AfterCall();
  AfterCall(const AfterCall&) = delete;
  AfterCall& operator=(const AfterCall&) = delete;

  /// Starts the threads; goes on with what an earlier process left, and takes new work from now on. Call it
  /// once. Waits for the disk.
  void begin();
  /// Writes down what is to be done with a recording, before its manifest takes its place: a crash in between
  /// loses nothing. Then call `post` or `withdraw` with the result. Waits for the disk.
  [[nodiscard]] std::vector<Work> promise(const StoredRecording& recording);
  /// The manifest is in its place: the work may begin.
  void post(std::vector<Work> promised);
  /// The manifest could not be placed: the work is not done.
  void withdraw(const std::vector<Work>& promised);
  /// Waits until everything is done or given up.
  void settle();
  /// Adds its figures. Any thread; does not wait for the disk.
  void add_totals(RecorderTotals& totals) const;

 private:
  /// The outcome of one attempt.
  enum class Outcome : std::uint8_t {
    kDone,
    /// Not over, and nothing is wrong: an upload whose files are still needed here.
    kLater,
    /// It failed and may work later.
    kAgain,
    /// It failed for good.
    kGiveUp,
    /// The relay ends.
    kStopped,
  };
  /// Outcome, and why it is not kDone, for the log.
  struct Attempt {
    Outcome outcome = Outcome::kDone;
    std::string why{};
  };
  /// The operator has configured this kind.
  [[nodiscard]] bool is_wanted(WorkKind kind) const;
  [[nodiscard]] unsigned threads_of(WorkKind kind) const;
  /// Opens the store, if there is work to do or to find.
  void open_store();
  void start_threads(WorkKind kind);
  /// A thread's life.
  void work(WorkKind kind);
  /// Waits for a piece of that kind. Nothing: the thread ends.
  [[nodiscard]] std::optional<Work> next(WorkKind kind);
  /// Does a piece: one of the three below, by its kind.
  [[nodiscard]] Attempt attempt(WorkEntry& entry);
  [[nodiscard]] Attempt run_hook(const WorkEntry& entry);
  [[nodiscard]] Attempt notify(const WorkEntry& entry) const;
  [[nodiscard]] Attempt upload(WorkEntry& entry) const;
  /// The outcome of a transfer; `wrong` empty: it worked.
  [[nodiscard]] Attempt of_transfer(std::string wrong) const;
  /// Decides what comes after an attempt.
  void conclude(Work work, const Attempt& made);
  /// Logs it, and moves the entry to the folder of failures.
  void give_up(const WorkEntry& entry, const std::string& why);
  /// Writes the entry of a piece; without a store it stays in memory.
  void keep(Work& work);
  /// Removes the entry of a piece.
  void forget(const Work& work);
  /// Logs when a kind begins to fail or works again; `why` empty: it works.
  void tell_of_trouble(WorkKind kind, const std::string& why);
  /// Keeps or reports what is undone at the end.
  void leave_rest();

  const RecorderSettings& settings_;
  std::shared_ptr<const Folder> folder_;
  RecorderLog log_;
  RunProgram run_;
  Transfers transfers_;
  /// Null if work is only kept in memory.
  std::unique_ptr<WorkStore> store_;
  /// Why there is no store; empty: there is one, or none is wanted.
  std::string no_store_because_;
  /// errno of the last entry that could not be kept; 0: none.
  std::atomic<int> store_trouble_{0};
  /// For each kind: its last attempt failed.
  std::array<std::atomic<bool>, kWorkKindNames.size()> failing_{};

  /// Guards everything down to `totals_`.
  mutable std::mutex lock_;
  std::condition_variable wake_;
  std::condition_variable settled_;
  WorkQueue queue_;
  /// No new work; threads end when theirs is done.
  bool stops_ = false;
  std::size_t live_threads_ = 0;
  RecorderTotals totals_;
  /// Ends programs and transfers that run.
  std::stop_source ends_now_;
  std::vector<std::jthread> threads_;
};

}  // namespace ferry
