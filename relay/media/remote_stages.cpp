// SPDX-License-Identifier: Apache-2.0
// How a stage on a media thread is used from a worker. `RemoteStage::settle` decides where it runs: light
// work stays in the worker, everything else goes to a thread and stays there. Packets go by a lane, with
// their conversion only when it is new; orders go by a list without a bound (docs/adr/0016-media-threads.md).
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

RemoteStage::Told* RemoteStage::ready_for(std::uint64_t from,
                                          const std::shared_ptr<const AudioConversion>& conversion,
                                          bool& is_known) noexcept {
  auto told = std::ranges::find(told_, from, &Told::from);
  is_known = told != told_.end() && told->conversion == conversion;
  if (is_known) return &*told;
  // Without memory the packet is lost, and the next one tries again.
  const Place before = place_;
  if (!settle(*conversion)) return nullptr;
  // On the thread the stage knows nothing of what it heard in the worker.
  if (place_ != before) told_.clear();
  told = std::ranges::find(told_, from, &Told::from);
  if (told != told_.end()) return &*told;
  if (!had_memory([&] { told_.push_back({from, nullptr}); })) return nullptr;
  return &told_.back();
}

void RemoteStage::hear(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                       const RtpView& rtp, Instant now, MadePackets& out) noexcept {
  bool is_known = false;
  Told* const told = ready_for(from, conversion, is_known);
  if (told == nullptr) return home_.count_lost();
  if (place_ == Place::kWorker) {
    told->conversion = conversion;
    local_->hear(from, conversion, rtp, now, out);
    return;
  }
  send(*told, is_known, conversion,
       {owner_.serial, from, nullptr, nullptr, now, rtp.ssrc, rtp.timestamp, rtp.sequence, rtp.payload_type,
        rtp.marker, false},
       rtp.payload);
}

void RemoteStage::hear_datagram(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                                Bytes datagram, Instant now, MadePackets& out) noexcept {
  bool is_known = false;
  Told* const told = ready_for(from, conversion, is_known);
  if (told == nullptr) return home_.count_lost();
  if (place_ == Place::kWorker) {
    told->conversion = conversion;
    local_->hear_datagram(from, conversion, datagram, now, out);
    return;
  }
  HeardPacket packet;
  packet.serial = owner_.serial;
  packet.from = from;
  packet.at = now;
  packet.is_datagram = true;
  send(*told, is_known, conversion, std::move(packet), datagram);
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

void RemoteStage::send(Told& told, bool is_known, const std::shared_ptr<const AudioConversion>& conversion,
                       HeardPacket packet, Bytes octets) noexcept {
  if (octets.size() > Lanes::kLongest) return home_.count_lost();
  if (!told.share && !had_memory([&] { told.share = std::make_shared<LaneShare>(0); }))
    return home_.count_lost();
  const std::uint32_t wanted = Lanes::share_of(octets.size());
  if (told.share->load(std::memory_order_relaxed) + wanted > Lanes::kShare) return home_.count_lost();
  packet.share = told.share;
  if (!is_known) packet.conversion = conversion;
  told.share->fetch_add(wanted, std::memory_order_relaxed);
  if (!thread_->lanes_of(home_.worker()).heard.push(std::move(packet), octets)) {
    told.share->fetch_sub(wanted, std::memory_order_relaxed);
    return home_.count_lost();
  }
  home_.note_given(*thread_);
  told.conversion = conversion;
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
      if (head.is_datagram)
        out.take_datagram(head.owner, payload);
      else
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
