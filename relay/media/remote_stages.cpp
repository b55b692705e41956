#include "relay/media/remote_stages.hpp"

#include "relay/base/memory.hpp"
#include "relay/media/light.hpp"

#include <algorithm>
#include <utility>

namespace ferry {

RemoteStage::RemoteStage(RemoteStages& home, const StageOwner& owner) : home_(home), owner_(owner) {}

RemoteStage::~RemoteStage() {
  if (thread_ != nullptr) home_.end(*thread_, owner_, std::move(end_));
}

DropReason RemoteStage::refusal() const noexcept {
  const bool has_room =
      thread_ == nullptr || thread_->lanes_of(home_.worker()).heard.has_room(Lanes::kLongest);
  return has_room ? DropReason::kNone : DropReason::kMediaOverload;
}

void RemoteStage::hear(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                       const RtpView& rtp, Instant now, MadePackets& out) noexcept {
  auto told = std::ranges::find(told_, from, &Told::from);
  const bool is_known = told != told_.end() && told->conversion == conversion;
  if (!is_known) {
    // Without memory the packet is lost, and the next one tries again.
    const Place before = place_;
    if (!settle(*conversion)) return home_.count_lost();
    // On the thread the stage knows nothing of what it heard in the worker.
    if (place_ != before) told_.clear();
    told = std::ranges::find(told_, from, &Told::from);
    if (told == told_.end()) {
      if (!had_memory([&] { told_.push_back({from, nullptr}); })) return home_.count_lost();
      told = std::prev(told_.end());
    }
  }
  if (place_ == Place::kWorker) {
    told->conversion = conversion;
    local_->hear(from, conversion, rtp, now, out);
  } else if (!send(*told, is_known ? nullptr : conversion, rtp, now)) {
    home_.count_lost();
  } else if (!is_known) {
    told->conversion = conversion;
  }
}

bool RemoteStage::settle(const AudioConversion& conversion) noexcept {
  if (place_ == Place::kThread) return true;
  if (is_light(conversion)) {
    return local_ != nullptr || had_memory([&] {
             local_ = home_.make_here(owner_);
             place_ = Place::kWorker;
           });
  }
  return had_memory([&] {
    if (!end_) end_ = std::make_unique<MediaOrder>();
    thread_ = &home_.begin(owner_);
    place_ = Place::kThread;
    local_.reset();
  });
}

bool RemoteStage::send(Told& told, std::shared_ptr<const AudioConversion> conversion, const RtpView& rtp,
                       Instant now) noexcept {
  if (rtp.payload.size() > Lanes::kLongest) return false;
  if (!told.share && !had_memory([&] { told.share = std::make_shared<LaneShare>(0); })) return false;
  const std::uint32_t wanted = Lanes::share_of(rtp.payload.size());
  if (told.share->load(std::memory_order_relaxed) + wanted > Lanes::kShare) return false;
  HeardPacket packet;
  packet.serial = owner_.serial;
  packet.from = told.from;
  packet.share = told.share;
  packet.conversion = std::move(conversion);
  packet.at = now;
  packet.ssrc = rtp.ssrc;
  packet.timestamp = rtp.timestamp;
  packet.sequence = rtp.sequence;
  packet.type = rtp.payload_type;
  packet.marker = rtp.marker;
  told.share->fetch_add(wanted, std::memory_order_relaxed);
  if (!thread_->lanes_of(home_.worker()).heard.push(std::move(packet), rtp.payload)) {
    told.share->fetch_sub(wanted, std::memory_order_relaxed);
    return false;
  }
  home_.note_given(*thread_);
  return true;
}

RemoteStages::RemoteStages(std::span<const std::unique_ptr<MediaThread>> threads, unsigned worker,
                           MakeStage make, std::function<void()> wake, const std::atomic<bool>& are_running)
    : threads_(threads),
      worker_(worker),
      make_(std::move(make)),
      are_running_(are_running),
      given_(threads.size()) {
  client_.wake = std::move(wake);
  for (const auto& thread : threads_) thread->set_client(worker_, &client_);
}

RemoteStages::~RemoteStages() {
  for (const auto& thread : threads_) {
    const auto done = std::make_shared<std::atomic<bool>>(false);
    auto order = std::make_unique<MediaOrder>();
    order->kind = MediaOrder::Kind::kLeave;
    order->worker = worker_;
    order->done = done;
    thread->give(std::move(order));
    if (are_running_.load()) {
      done->wait(false, std::memory_order_acquire);
    } else {
      thread->turn();
    }
  }
}

void RemoteStages::flush() noexcept {
  for (std::size_t i = 0; i < given_.size(); ++i) {
    if (!given_[i]) continue;
    given_[i] = false;
    threads_[i]->ring();
  }
}

std::size_t RemoteStages::collect(MadeElsewhere& out) noexcept {
  if (const std::size_t lost = std::exchange(lost_, 0); lost > 0) out.lose(DropReason::kMediaOverload, lost);
  // Cleared before looking, so that what comes meanwhile wakes the worker again.
  if (!client_.has_made.exchange(false)) return 0;
  std::size_t count = 0;
  for (const auto& thread : threads_) {
    auto& lane = thread->lanes_of(worker_).made;
    count += lane.drain(lane.end(), [&](FinishedPacket& head, Bytes payload) {
      out.take(head.owner, {head.type, head.marker, head.units, payload, head.clock_rate_hz, head.lost});
    });
    MediaThread::Losses& losses = thread->losses_of(worker_);
    if (const auto lost = losses.without_room.exchange(0, std::memory_order_relaxed); lost > 0)
      out.lose(DropReason::kMediaOverload, lost);
    if (const auto lost = losses.without_stage.exchange(0, std::memory_order_relaxed); lost > 0)
      out.lose(DropReason::kStageGone, lost);
  }
  return count;
}

MediaThread& RemoteStages::begin(const StageOwner& owner) {
  MediaThread& thread = choose(owner);
  auto order = std::make_unique<MediaOrder>();
  order->worker = worker_;
  order->owner = owner;
  Seat& seat = seats_[owner.via];
  seat.thread = &thread;
  ++seat.stages;
  thread.count_stage(1);
  thread.give(std::move(order));
  return thread;
}

MediaThread& RemoteStages::choose(const StageOwner& owner) const noexcept {
  // What one party asks for in its packets concerns the encoder of the other direction: both are together.
  for (const TransportId party : {owner.via, owner.from}) {
    if (const auto seat = seats_.find(party); seat != seats_.end()) return *seat->second.thread;
  }
  // The load is that of the last second, so stages that have just begun are counted.
  const auto weight = [](const std::unique_ptr<MediaThread>& thread) {
    constexpr unsigned kBusy = 85;
    return std::pair(thread->load() >= kBusy, thread->stages());
  };
  return **std::ranges::min_element(threads_, {}, weight);
}

void RemoteStages::end(MediaThread& thread, const StageOwner& owner,
                       std::unique_ptr<MediaOrder> order) noexcept {
  order->kind = MediaOrder::Kind::kEnd;
  order->worker = worker_;
  order->owner = owner;
  thread.count_stage(-1);
  thread.give(std::move(order));
  if (const auto seat = seats_.find(owner.via); seat != seats_.end() && --seat->second.stages == 0)
    seats_.erase(seat);
}

}  // namespace ferry
