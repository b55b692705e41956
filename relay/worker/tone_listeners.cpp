// SPDX-License-Identifier: Apache-2.0
#include "relay/worker/tone_listeners.hpp"

#include "relay/base/memory.hpp"
#include "relay/core/audio/found_digit.hpp"

#include <algorithm>

namespace ferry {

namespace {

/// The same digit, found so soon behind an event packet, is of the same press: the detector needs some time,
/// and so does the way to a media thread.
constexpr Duration kSamePress = std::chrono::milliseconds(500);
/// Serials of listeners: those of the stages of outputs have this bit clear (`OwnPackets`).
constexpr std::uint64_t kListener = std::uint64_t{1} << 47;
constexpr unsigned kWorkerBit = 48;
/// Units of `DtmfEvent::duration` in a millisecond, as of telephone-event/8000.
constexpr std::uint32_t kUnitsPerMs = 8;

}  // namespace

/// Takes what a listener finds on this thread.
class ToneListeners::Found final : public MadePackets {
 public:
  Found(ToneListeners& all, TransportEntry& entry, const ToneListener& listener, Instant now)
      : all_(all), entry_(entry), listener_(listener), now_(now) {}
  void take(const MadePacket& packet) noexcept override { all_.tell(entry_, listener_, packet, now_); }

 private:
  ToneListeners& all_;
  TransportEntry& entry_;
  const ToneListener& listener_;
  Instant now_;
};

ToneListener* ToneListeners::ensure(TransportEntry& entry, MediaId media) noexcept {
  const auto known = std::ranges::find(entry.listeners, media, &ToneListener::media);
  if (known != entry.listeners.end()) return &*known;
  if (!context_.stages) return nullptr;
  ToneListener* made = nullptr;
  (void)had_memory([&] {
    const std::uint64_t serial = (std::uint64_t{context_.number} << kWorkerBit) | kListener | ++made_;
    auto stage = context_.stages->make({serial, entry.id, media, entry.id});
    if (!stage) return;
    made = &entry.listeners.emplace_front(ToneListener{media, serial, std::move(stage), {}, 0});
  });
  return made;
}

void ToneListeners::hear(TransportEntry& entry, std::size_t source, const ReceivedPacket& packet,
                         bool is_event) noexcept {
  const SourcePlan& plan = entry.state.plan().sources[source];
  ToneListener* listener = ensure(entry, plan.media);
  if (listener == nullptr) return;
  if (is_event && !packet.rtp->payload.empty()) {
    listener->event_at = packet.at;
    listener->event = read_u8(packet.rtp->payload, 0);
  }
  // Of the same object, so that the stage knows it by its address.
  const std::shared_ptr<const AudioConversion> heard(plan.listening, &plan.listening->heard);
  Found found(*this, entry, *listener, packet.at);
  listener->stage->hear(plan.media.value, heard, *packet.rtp, packet.at, found);
}

bool ToneListeners::take(const StageOwner& owner, const MadePacket& packet, Instant now) noexcept {
  if ((owner.serial & kListener) == 0) return false;
  TransportEntry* entry = context_.table.find(owner.via);
  if (entry == nullptr) return true;
  const auto listener = std::ranges::find(entry->listeners, owner.serial, &ToneListener::serial);
  if (listener != entry->listeners.end()) tell(*entry, *listener, packet, now);
  return true;
}

void ToneListeners::tell(TransportEntry& entry, const ToneListener& listener, const MadePacket& packet,
                         Instant now) noexcept {
  const auto digit = FoundDigit::read(packet.payload);
  if (!digit) return;
  const Duration length = std::chrono::milliseconds(digit->duration_ms);
  const bool is_told = listener.event_at != Instant{} && listener.event == digit->event;
  if (is_told && now - listener.event_at < length + kSamePress) return;
  DtmfEvent event;
  event.event = digit->event;
  event.volume = digit->volume;
  event.duration_ms = digit->duration_ms;
  event.duration =
      static_cast<std::uint16_t>(std::min<std::uint32_t>(digit->duration_ms * kUnitsPerMs, 0xffff));
  event.source = entry.state.latch(Component::kRtp).learned().address;
  context_.tell({entry.id, TransportEvent::kDtmf, event});
}

std::optional<Instant> ToneListeners::due(const TransportEntry& entry) noexcept {
  std::optional<Instant> first;
  for (const ToneListener& each : entry.listeners) {
    const auto due = each.stage->due();
    if (due && (!first || *due < *first)) first = due;
  }
  return first;
}

void ToneListeners::drive(TransportEntry& entry, Instant now) noexcept {
  for (ToneListener& each : entry.listeners) {
    const auto due = each.stage->due();
    if (!due || *due > now) continue;
    Found found(*this, entry, each, now);
    each.stage->drive(now, found);
  }
}

void ToneListeners::follow_plan(TransportEntry& entry) noexcept {
  const std::vector<SourcePlan>& sources = entry.state.plan().sources;
  entry.listeners.remove_if([&](const ToneListener& each) {
    const auto source = std::ranges::find(sources, each.media, &SourcePlan::media);
    return source == sources.end() || !source->listening;
  });
}

}  // namespace ferry
