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

/// What control tells a writer about one recording. It holds for packets from `at` on.
struct WriterCommand {
  struct Start {
    RecordingPlan plan;
  };
  struct Describe {
    RecordedCall call;
  };
  struct Body {
    unsigned party = 0;
    std::string kind;
    std::string body;
  };
  struct Pause {
    bool on = false;
  };
  struct Finish {
    std::string reason;
    RecordingLosses losses;
    bool discard = false;
  };
  std::uint64_t recording = 0;
  RecordingTime at;
  std::variant<Start, Describe, Body, Pause, Finish> what;
};

/// `post` may be called on any thread and never waits for the disk. Packets come by one queue for each
/// worker.
class Writer {
 public:
  /// `done` gets each finished recording, `on_trouble` the first trouble of each, on the writer's thread.
  /// `settings` outlives the writer.
  Writer(const RecorderSettings& settings, std::shared_ptr<const Folder> spool, unsigned workers,
         std::size_t queue_bytes, std::function<void(FinishedRecording)> done,
         std::function<void(const std::string&)> on_trouble, std::function<RecordingTime()> clock);
  /// Ends what is still being recorded.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void post(WriterCommand command);
  /// Waits until everything posted so far is done.
  void settle();
  /// The producer side belongs to that worker's thread.
  [[nodiscard]] PacketQueue& queue(unsigned worker) { return *queues_[worker]; }
  [[nodiscard]] unsigned queues() const { return static_cast<unsigned>(queues_.size()); }
  [[nodiscard]] std::size_t recordings() const { return active_.load(std::memory_order_relaxed); }
  /// What went wrong with the disk last; empty = nothing so far.
  [[nodiscard]] std::string trouble() const;

 private:
  struct Active {
    std::unique_ptr<RecordingJob> job;
    std::deque<WriterCommand> later;  // in order of time
    bool is_troubled = false;         // it was told
  };
  void run();
  /// One round: commands, packets, and what is due.
  void turn(Instant now);
  void drain(PacketQueue& queue, std::uint64_t until);
  void apply(Active& active, WriterCommand& command);
  /// Does something with a recording; what goes wrong is that recording's trouble alone.
  void attempt(Active& active, const std::function<void(RecordingJob&)>& what);

  const RecorderSettings& settings_;
  std::shared_ptr<const Folder> spool_;
  std::vector<std::unique_ptr<PacketQueue>> queues_;
  std::function<void(FinishedRecording)> done_;
  std::function<void(const std::string&)> on_trouble_;
  std::function<RecordingTime()> clock_;

  mutable std::mutex lock_;
  std::condition_variable wake_;
  std::deque<WriterCommand> commands_;
  bool stop_ = false;
  std::uint64_t posted_ = 0;
  std::uint64_t done_commands_ = 0;
  std::condition_variable settled_;
  std::string trouble_;
  std::atomic<std::size_t> active_{0};

  std::map<std::uint64_t, Active> recordings_;
  Instant last_tick_{};
  std::thread thread_;
};

}  // namespace ferry
