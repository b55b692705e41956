#include "recorder/writer.hpp"

#include <exception>

#include <pthread.h>

namespace ferry {

namespace {

using namespace std::chrono_literals;

/// How long packets wait in their queue at most, and how often files are written.
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
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "recorder");
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
      // While nothing is recorded nothing wakes up.
      if (recordings_.empty())
        wake_.wait(guard, wanted);
      else
        wake_.wait_for(guard, kPoll, wanted);
      if (stop_ && commands_.empty()) break;
    }
    turn(clock_().now);
  }
  turn(clock_().now);
  for (auto& [id, active] : recordings_) done_(active.job->finish("the relay stopped", clock_(), {}, false));
}

void Writer::turn(Instant now) {
  std::deque<WriterCommand> commands;
  {
    const std::lock_guard guard(lock_);
    commands.swap(commands_);
  }
  // Packets that came before a recording ended are in their queues by now, and none came before it began.
  std::vector<std::uint64_t> heads;
  for (const auto& queue : queues_) heads.push_back(queue->head());
  for (WriterCommand& command : commands) {
    if (auto* start = std::get_if<WriterCommand::Start>(&command.what)) {
      try {
        auto job = std::make_unique<RecordingJob>(std::move(start->plan), settings_, spool_);
        recordings_[command.recording].job = std::move(job);
      } catch (const std::exception& e) {
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
    const auto known = recordings_.find(packet.recording);
    if (known != recordings_.end()) {
      Active& active = known->second;
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
