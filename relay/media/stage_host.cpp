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
  auto known =
      std::ranges::find(hosted.conversions, packet.from, &decltype(hosted.conversions)::value_type::first);
  if (packet.conversion) {
    if (known != hosted.conversions.end()) {
      known->second = std::move(packet.conversion);
    } else if (had_memory(
                   [&] { hosted.conversions.emplace_back(packet.from, std::move(packet.conversion)); })) {
      known = std::prev(hosted.conversions.end());
    }
  }
  if (known == hosted.conversions.end()) return false;
  hosted.told = std::max(hosted.told, packet.at);
  FromHosted out(outlet_, hosted);
  if (packet.is_datagram) {
    hosted.stage->hear_datagram(packet.from, known->second, payload, hosted.told, out);
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
  hosted.stage->hear(packet.from, known->second, rtp, hosted.told, out);
  await(hosted);
  return true;
}

void StageHost::drive(Instant now) noexcept {
  while (!queue_.empty() && queue_.top().at <= now) {
    const Due next = queue_.top();
    queue_.pop();
    const auto found = stages_.find(next.serial);
    if (found == stages_.end() || found->second.queued != next.at) continue;
    Hosted& hosted = found->second;
    hosted.queued = {};
    hosted.told = std::max(hosted.told, now);
    FromHosted out(outlet_, hosted);
    hosted.stage->drive(hosted.told, out);
    await(hosted);
  }
}

void StageHost::await(Hosted& hosted) noexcept {
  std::optional<Instant> due = hosted.stage->due();
  if (!due) return;
  // At least a moment behind what it was told, because `drive` goes on until nothing is due.
  const Instant at = std::max(*due, hosted.told + std::chrono::microseconds(100));
  if (hosted.queued != Instant{} && hosted.queued <= at) return;
  // Without memory the stage waits for its next packet.
  if (had_memory([&] { queue_.push({at, hosted.owner.serial}); })) hosted.queued = at;
}

}  // namespace ferry
