// SPDX-License-Identifier: Apache-2.0
// A thread that turns queued packets into files.
#pragma once

#include "recorder/packet_queue.hpp"
#include "recorder/recording_job.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace ferry {

/// A command of control about one recording. It holds for packets that come from `at` on.
struct WriterCommand {
  /// Begin the recording. Always the first command.
  struct Start {
    RecordingPlan plan;
  };
  /// The call is as described from now on.
  struct Describe {
    RecordedCall call;
  };
  /// An SDP body of a party, for the manifest; `kind` is offer or answer.
  struct Body {
    unsigned party = 0;
    std::string kind;
    std::string body;
  };
  /// Begin (`on`) or end a pause.
  struct Pause {
    bool on = false;
  };
  /// End the recording. Always the last command; `discard`: delete its files.
  struct Finish {
    std::string reason;
    RecordingLosses losses;
    bool discard = false;
  };
  /// Number of the recording, unique in the process.
  std::uint64_t recording = 0;
  RecordingTime at;
  std::variant<Start, Describe, Body, Pause, Finish> what;
};

/// One writer thread and its queues, one for each worker. `post` may be called on any thread and never waits
/// for the disk.
class Writer {
 public:
  /// `settings` outlives it. `queue_bytes`: size of each queue. `done` gets each finished recording,
  /// `on_trouble` a line about the first trouble of each; both are called on the writer's thread. `clock`
  /// must be the one that packets are timed by.
  Writer(const RecorderSettings& settings, std::shared_ptr<const Folder> spool, unsigned workers,
         std::size_t queue_bytes, std::function<void(FinishedRecording)> done,
         std::function<void(const std::string&)> on_trouble, std::function<RecordingTime()> clock);
  /// Finishes what is still being recorded, then ends the thread.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// Queues a command. Commands about one recording come in the order of their times.
  void post(WriterCommand command);
  /// Waits until everything posted so far is done.
  void settle();
  /// The queue of a worker, whose thread alone may push.
  [[nodiscard]] PacketQueue& queue(unsigned worker) { return *queues_[worker]; }
  /// How many workers have a queue.
  [[nodiscard]] unsigned queues() const { return static_cast<unsigned>(queues_.size()); }
  /// Recordings in progress.
  [[nodiscard]] std::size_t recordings() const { return active_.load(std::memory_order_relaxed); }
  /// The last trouble of any recording; empty: none so far.
  [[nodiscard]] std::string trouble() const;

 private:
  /// A recording in progress.
  struct Active {
    std::unique_ptr<RecordingJob> job;
    /// Commands that are not applied yet, in the order of their times.
    std::deque<WriterCommand> later;
    /// Its first trouble was told.
    bool is_troubled = false;
  };
  void run();
  /// One round: commands, packets, and what is due.
  void turn(Instant now);
  /// Hands packets to their recordings, up to position `until`.
  void drain(PacketQueue& queue, std::uint64_t until);
  /// Carries out a command.
  void apply(Active& active, WriterCommand& command);
  /// Does something with a recording. If that throws, it is this recording's trouble alone.
  void attempt(Active& active, const std::function<void(RecordingJob&)>& what);

  const RecorderSettings& settings_;
  std::shared_ptr<const Folder> spool_;
  std::vector<std::unique_ptr<PacketQueue>> queues_;
  std::function<void(FinishedRecording)> done_;
  std::function<void(const std::string&)> on_trouble_;
  std::function<RecordingTime()> clock_;

  /// Guards everything down to `trouble_`.
  mutable std::mutex lock_;
  std::condition_variable wake_;
  std::deque<WriterCommand> commands_;
  bool stop_ = false;
  std::uint64_t posted_ = 0;
  std::uint64_t done_commands_ = 0;
  std::condition_variable settled_;
  std::string trouble_;
  std::atomic<std::size_t> active_{0};

  /// From here on only the thread uses it.
  std::map<std::uint64_t, Active> recordings_;
  Instant last_tick_{};
  std::thread thread_;
};

}  // namespace ferry
