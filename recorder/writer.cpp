// SPDX-License-Identifier: Apache-2.0
// A writer thread: takes packets out of the queues of all workers and applies the commands of control at
// their time.
//
// One turn, in this order:
// 1. Take the commands that were posted, then note how far each queue is filled (`heads`). A packet that came
//    before a command was posted is in its queue by then.
// 2. Start new recordings. Other commands wait in `Active::later`.
// 3. Drain the queues up to `heads`. Before a packet is handed to its recording, commands with an earlier
//    time are applied, so that each packet is read as the call was when it came.
// 4. Apply the rest of the commands. A finish is always applied here, after all packets that came before it.
// 5. Every 250 ms: let the recordings write their files.
//
// Trouble is a recording's own. An exception of one (no memory, a broken key) is caught in `attempt` and told
// once; the others go on.
#include "recorder/writer.hpp"

#include "relay/base/thread_name.hpp"

#include <exception>

#include <pthread.h>

namespace ferry {

namespace {

using namespace std::chrono_literals;

/// How long packets wait in a queue at most, and how often files are written.
constexpr auto kPoll = 20ms;
constexpr Duration kTick = 250ms;

}  // namespace

Writer::Writer(const RecorderSettings& settings, std::shared_ptr<const Folder> spool, unsigned workers,
               std::size_t queue_bytes, std::function<void(FinishedRecording)> done,
               std::function<void(const std::string&)> on_trouble, std::function<RecordingTime()> clock)
    : settings_(settings),
      spool_(std::move(spool)),
      done_(std::move(done)),
      on_trouble_(std::move(on_trouble)),
      clock_(std::move(clock)) {
  for (unsigned i = 0; i < workers; ++i) queues_.push_back(std::make_unique<PacketQueue>(queue_bytes));
  thread_ = std::thread([this] {
    name_thread("recorder");
    run();
  });
}

Writer::~Writer() {
  {
    const std::lock_guard guard(lock_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Writer::post(WriterCommand command) {
  {
    const std::lock_guard guard(lock_);
    commands_.push_back(std::move(command));
    ++posted_;
  }
  wake_.notify_one();
}

void Writer::settle() {
  std::unique_lock guard(lock_);
  settled_.wait(guard, [this, wanted = posted_] { return done_commands_ >= wanted; });
}

std::string Writer::trouble() const {
  const std::lock_guard guard(lock_);
  return trouble_;
}

void Writer::run() {
  while (true) {
    {
      std::unique_lock guard(lock_);
      const auto wanted = [this] { return stop_ || !commands_.empty(); };
      // While nothing is recorded, nothing wakes up.
      if (recordings_.empty())
        wake_.wait(guard, wanted);
      else
        wake_.wait_for(guard, kPoll, wanted);
      if (stop_ && commands_.empty()) break;
    }
    turn(clock_().now);
  }
  // The last commands are carried out before the remaining recordings end.
  turn(clock_().now);
  for (auto& [id, active] : recordings_) done_(active.job->finish("the relay stopped", clock_(), {}, false));
}

void Writer::turn(Instant now) {
  std::deque<WriterCommand> commands;
  {
    const std::lock_guard guard(lock_);
    commands.swap(commands_);
  }
  // Taken after the commands: packets that came before one of them are in their queue by now, and none of a
  // recording came before its start.
  std::vector<std::uint64_t> heads;
  for (const auto& queue : queues_) heads.push_back(queue->head());
  for (WriterCommand& command : commands) {
    if (auto* start = std::get_if<WriterCommand::Start>(&command.what)) {
      try {
        auto job = std::make_unique<RecordingJob>(std::move(start->plan), settings_, spool_);
        recordings_[command.recording].job = std::move(job);
      } catch (const std::exception& e) {
        // The call goes on without it; its later commands find no recording.
        on_trouble_(std::string("a recording cannot be started: ") + e.what());
      }
    } else if (const auto known = recordings_.find(command.recording); known != recordings_.end()) {
      known->second.later.push_back(std::move(command));
    }
  }
  for (std::size_t i = 0; i < queues_.size(); ++i) drain(*queues_[i], heads[i]);
  for (auto each = recordings_.begin(); each != recordings_.end();) {
    Active& active = each->second;
    bool is_over = false;
    for (; !active.later.empty(); active.later.pop_front()) {
      is_over = is_over || std::holds_alternative<WriterCommand::Finish>(active.later.front().what);
      apply(active, active.later.front());
    }
    each = is_over ? recordings_.erase(each) : std::next(each);
  }
  active_.store(recordings_.size(), std::memory_order_relaxed);
  if (!commands.empty()) {
    const std::lock_guard guard(lock_);
    done_commands_ += commands.size();
    settled_.notify_all();
  }
  if (now - last_tick_ < kTick) return;
  last_tick_ = now;
  for (auto& [id, active] : recordings_) attempt(active, [now](RecordingJob& job) { job.tick(now); });
}

void Writer::attempt(Active& active, const std::function<void(RecordingJob&)>& what) {
  std::string wrong;
  try {
    what(*active.job);
    wrong = active.job->trouble();
  } catch (const std::exception& e) {
    wrong = e.what();
  }
  // Each kind of trouble would come again with every packet, so only the first is told.
  if (wrong.empty() || active.is_troubled) return;
  active.is_troubled = true;
  on_trouble_("recording " + active.job->id() + ": " + wrong);
  const std::lock_guard guard(lock_);
  trouble_ = std::move(wrong);
}

void Writer::drain(PacketQueue& queue, std::uint64_t until) {
  QueuedPacket packet;
  Bytes datagram;
  while (queue.tail() < until && queue.front(packet, datagram)) {
    // Packets of a recording that has ended are dropped.
    const auto known = recordings_.find(packet.recording);
    if (known != recordings_.end()) {
      Active& active = known->second;
      // Commands of an earlier time come first. A finish waits for the end of the turn: packets of other
      // queues may still belong to the recording.
      while (!active.later.empty() && active.later.front().at.now <= packet.at &&
             !std::holds_alternative<WriterCommand::Finish>(active.later.front().what)) {
        apply(active, active.later.front());
        active.later.pop_front();
      }
      attempt(active, [&](RecordingJob& job) { job.on_packet(packet, datagram); });
    }
    queue.pop();
  }
}

// Carries out one command. A finish closes the files and hands the recording on.
void Writer::apply(Active& active, WriterCommand& command) {
  attempt(active, [&](RecordingJob& job) {
    if (auto* describe = std::get_if<WriterCommand::Describe>(&command.what))
      job.describe(std::move(describe->call), command.at.now);
    if (auto* body = std::get_if<WriterCommand::Body>(&command.what))
      job.note_sdp(body->party, std::move(body->kind), std::move(body->body), command.at.now);
    if (const auto* pause = std::get_if<WriterCommand::Pause>(&command.what))
      job.pause(pause->on, command.at.now);
    if (const auto* finish = std::get_if<WriterCommand::Finish>(&command.what))
      done_(job.finish(finish->reason, command.at, finish->losses, finish->discard));
  });
}

}  // namespace ferry
