// SPDX-License-Identifier: Apache-2.0
#include "relay/media/stage_host.hpp"

#include "relay/base/memory.hpp"

#include <algorithm>

namespace ferry {

class StageHost::FromHosted final : public MadePackets {
 public:
  FromHosted(HostOutlet& outlet, const Hosted& hosted) : outlet_(outlet), hosted_(hosted) {}
  void take(const MadePacket& packet) noexcept override {
    outlet_.take(hosted_.worker, hosted_.owner, packet);
  }
  void take_datagram(Bytes datagram) noexcept override {
    outlet_.take_datagram(hosted_.worker, hosted_.owner, datagram);
  }

 private:
  HostOutlet& outlet_;
  const Hosted& hosted_;
};

void StageHost::begin(unsigned worker, const StageOwner& owner) noexcept {
  static_cast<void>(had_memory([&] {
    auto stage = make_(owner);
    if (!stage) return;
    Hosted hosted;
    hosted.stage = std::move(stage);
    hosted.worker = worker;
    hosted.owner = owner;
    stages_.insert_or_assign(owner.serial, std::move(hosted));
  }));
}

bool StageHost::hear(HeardPacket& packet, Bytes payload) noexcept {
  const auto found = stages_.find(packet.serial);
  if (found == stages_.end()) return false;
  Hosted& hosted = found->second;
  auto known = std::ranges::find(hosted.sources, packet.from, &Told::from);
  if (packet.conversion && known == hosted.sources.end() && had_memory([&] {
        hosted.sources.push_back({packet.from, nullptr});
      }))
    known = std::prev(hosted.sources.end());
  if (known == hosted.sources.end()) return false;
  if (packet.conversion) known->conversion = std::move(packet.conversion);
  hosted.told = std::max(hosted.told, packet.at);
  FromHosted out(outlet_, hosted);
  if (packet.is_datagram) {
    hosted.stage->hear_datagram(packet.from, known->conversion, payload, hosted.told, out);
    await(hosted);
    return true;
  }
  RtpView rtp;
  rtp.ssrc = packet.ssrc;
  rtp.sequence = packet.sequence;
  rtp.timestamp = packet.timestamp;
  rtp.payload_type = packet.type;
  rtp.marker = packet.marker;
  rtp.payload = payload;
  hosted.stage->hear(packet.from, known->conversion, rtp, hosted.told, out);
  await(hosted);
  return true;
}

void StageHost::drive(Instant now) noexcept {
  while (!queue_.empty() && queue_.front().at <= now) {
    const Due next = queue_.front();
    take_first();
    const auto found = stages_.find(next.serial);
    if (found == stages_.end() || found->second.queued != next.at) continue;
    Hosted& hosted = found->second;
    hosted.queued = {};
    hosted.told = std::max(hosted.told, now);
    FromHosted out(outlet_, hosted);
    hosted.stage->drive(hosted.told, out);
    await(hosted);
  }
  tidy();
}

void StageHost::await(Hosted& hosted) noexcept {
  std::optional<Instant> due = hosted.stage->due();
  if (!due) return;
  // At least a moment behind what it was told, because `drive` goes on until nothing is due.
  const Instant at = std::max(*due, hosted.told + std::chrono::microseconds(100));
  if (hosted.queued != Instant{} && hosted.queued <= at) return;
  // Without memory the stage waits for its next packet.
  if (!had_memory([&] { queue_.push_back({at, hosted.owner.serial}); })) return;
  std::ranges::push_heap(queue_, std::greater<>());
  hosted.queued = at;
  tidy();
}

bool StageHost::is_current(const Due& entry) const noexcept {
  const auto found = stages_.find(entry.serial);
  return found != stages_.end() && found->second.queued == entry.at;
}

void StageHost::take_first() noexcept {
  std::ranges::pop_heap(queue_, std::greater<>());
  queue_.pop_back();
}

void StageHost::tidy() noexcept {
  while (!queue_.empty() && !is_current(queue_.front())) take_first();
  if (queue_.size() <= 2 * stages_.size() + 8) return;
  std::erase_if(queue_, [&](const Due& each) { return !is_current(each); });
  std::ranges::make_heap(queue_, std::greater<>());
}

}  // namespace ferry
