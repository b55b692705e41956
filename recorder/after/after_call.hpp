// What happens with a recording once it is in its place: a program is run, a server is told, files are stored
// elsewhere (CTL-15). Every piece of work stands in the state directory until it is done or given up, so that
// a restart goes on with it: at least once, and after a crash perhaps twice. Each kind has threads of its
// own; none holds up another kind, a call or a recording.
#pragma once

#include "recorder/after/run_program.hpp"
#include "recorder/after/transfers.hpp"
#include "recorder/after/work_queue.hpp"
#include "recorder/after/work_store.hpp"
#include "recorder/files/folder.hpp"
#include "recorder/recorder.hpp"
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

/// A finished recording; names are below the recording directory.
struct StoredRecording {
  std::string call_id;
  std::string id;
  std::vector<std::string> files;  // the manifest last
};

class AfterCall {
 public:
  /// `settings` outlives it. Work that an earlier process left begins with `begin`.
  AfterCall(const RecorderSettings& settings, std::shared_ptr<const Folder> folder, Recorder::Log log,
            RunProgram run);
  ~AfterCall();
  AfterCall(const AfterCall&) = delete;
  AfterCall& operator=(const AfterCall&) = delete;

  /// Starts the work: what an earlier process left, and from now on what is posted. Waits for the disk. Once.
  void begin();
  /// Writes down what is to be done with a recording, before its manifest takes its place: a crash in between
  /// loses nothing. `post` or `withdraw` follows. Waits for the disk.
  [[nodiscard]] std::vector<Work> promise(const StoredRecording& recording);
  void post(std::vector<Work> promised);
  void withdraw(const std::vector<Work>& promised);
  /// Waits until everything is done or given up.
  void settle();
  /// Any thread; does not wait for the disk.
  void add_totals(RecorderTotals& totals) const;

 private:
  enum class Outcome : std::uint8_t {
    kDone,
    kLater,    // not over, and nothing is wrong
    kAgain,    // failed
    kGiveUp,   // failed for good
    kStopped,  // the relay ends
  };
  struct Attempt {
    Outcome outcome = Outcome::kDone;
    std::string why{};
  };
  [[nodiscard]] bool is_wanted(WorkKind kind) const;
  [[nodiscard]] unsigned threads_of(WorkKind kind) const;
  void open_store();
  void start_threads(WorkKind kind);
  void work(WorkKind kind);
  /// Blocks until there is a piece to do; nothing = the thread ends.
  [[nodiscard]] std::optional<Work> next(WorkKind kind);
  [[nodiscard]] Attempt attempt(WorkEntry& entry);
  [[nodiscard]] Attempt run_hook(const WorkEntry& entry);
  [[nodiscard]] Attempt notify(const WorkEntry& entry) const;
  [[nodiscard]] Attempt upload(WorkEntry& entry) const;
  [[nodiscard]] Attempt of_transfer(std::string wrong) const;
  void conclude(Work work, const Attempt& made);
  void give_up(const WorkEntry& entry, const std::string& why);
  void keep(Work& work);
  void forget(const Work& work);
  void tell_of_trouble(WorkKind kind, const std::string& why);
  void leave_rest();

  const RecorderSettings& settings_;
  std::shared_ptr<const Folder> folder_;
  Recorder::Log log_;
  RunProgram run_;
  Transfers transfers_;
  std::unique_ptr<WorkStore> store_;  // null where work is only kept in memory
  std::string no_store_because_;
  std::atomic<int> store_trouble_{0};  // errno of the last entry that could not be kept
  std::array<std::atomic<bool>, kWorkKindNames.size()> failing_{};

  mutable std::mutex lock_;
  std::condition_variable wake_;
  std::condition_variable settled_;
  WorkQueue queue_;
  bool stops_ = false;
  std::size_t live_threads_ = 0;
  RecorderTotals totals_;
  std::stop_source ends_now_;
  std::vector<std::jthread> threads_;
};

}  // namespace ferry
