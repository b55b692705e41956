// SPDX-License-Identifier: Apache-2.0
#include "relay/core/forward/account.hpp"

#include "relay/core/classify.hpp"

#include <algorithm>
#include <new>

namespace ferry {

namespace {

// Packets that may overtake each other on their way here.
constexpr std::uint32_t kOnTheirWay = 8;

void publish_time(std::atomic<std::int64_t>& to, Instant at) noexcept {
  to.store(at.time_since_epoch().count(), std::memory_order_relaxed);
}

}  // namespace

void Account::count_in(Component component, std::size_t octets, Instant now) noexcept {
  ComponentCounters& counters = counters_[index(component)];
  ++counters.packets_in;
  counters.bytes_in += octets;
  last_packet_[index(component)] = now;
  publish_time(activity_->last_packet_ns, now);
  publish_time(activity_->last_user_ns, now);
}

void Account::count_out(Component via, std::size_t octets) noexcept {
  ComponentCounters& counters = counters_[index(via)];
  ++counters.packets_out;
  counters.bytes_out += octets;
}

void Account::count_offloaded_in(std::uint64_t packets, std::uint64_t octets, Instant last) noexcept {
  counters_[0].packets_in += packets;
  counters_[0].bytes_in += octets;
  // RTCP on the same port may have come since.
  last_packet_[0] = std::max(last_packet_[0], last);
  publish_time(activity_->last_packet_ns, std::max(last_packet_[0], last_packet_[1]));
  publish_time(activity_->last_rtp_ns, last);
  publish_time(activity_->last_offloaded_ns, last);
}

void Account::count_offloaded_out(std::uint64_t packets, std::uint64_t octets) noexcept {
  counters_[0].packets_out += packets;
  counters_[0].bytes_out += octets;
}

void Account::count_whole(Instant now) noexcept {
  note_rtp(now);
  ++not_rtp_;
}

void Account::note_rtp(Instant now) noexcept { publish_time(activity_->last_rtp_ns, now); }

void Account::note_check(Instant now) noexcept { publish_time(activity_->last_packet_ns, now); }

void Account::note_unheard(Component component, Instant now) noexcept {
  last_packet_[index(component)] = now;
  publish_time(activity_->last_rtp_ns, now);
  publish_time(activity_->last_packet_ns, now);
}

void Account::note_gap(const SsrcCounters& stream, std::uint64_t lost_before) noexcept {
  const std::uint64_t lost = stream.lost();
  if (lost <= lost_before) {
    // Where the stream goes on without a gap, no number was refused but of packets that are on their way.
    refused_numbers_ = std::min(refused_numbers_, kOnTheirWay);
    return;
  }
  const auto in_gap =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(lost - lost_before, refused_numbers_));
  if (in_gap == 0) return;
  refused_numbers_ -= in_gap;
  drops_.add_trait(DropSide::kArriving, DropReason::kNone, DropTrait::kInGap, in_gap);
}

void Account::publish(const SsrcCounters& stream, std::uint64_t packets, std::uint64_t lost_before) noexcept {
  note_gap(stream, lost_before);
  const auto add = [](std::atomic<std::uint32_t>& to, std::uint64_t what) {
    to.store(to.load(std::memory_order_relaxed) + static_cast<std::uint32_t>(what),
             std::memory_order_relaxed);
  };
  add(activity_->rtp_packets, packets);
  add(activity_->rtp_lost,
      stream.lost() - lost_before);  // may wrap: a late packet lowers the loss
  activity_->jitter_us.store(static_cast<std::uint32_t>(stream.jitter().count() / 1000),
                             std::memory_order_relaxed);
}

void Account::note_refusal(const ReceivedPacket& packet, DropReason reason, RefusedAs as) noexcept {
  Refusal refusal;
  refusal.reason = reason;
  refusal.component = static_cast<std::uint8_t>(packet.component());
  refusal.is_rtcp = packet.kind == DatagramClass::kRtcp;
  refusal.from = packet.from;
  refusal.last = packet.at;
  if (packet.datagram.size() >= kRtpFixedHeaderSize) {
    refusal.type = PayloadType{static_cast<std::uint8_t>(read_u8(packet.datagram, 1) & 0x7f)};
    refusal.sequence = SeqNo{read_u16(packet.datagram, 2)};
    refusal.ssrc = Ssrc{read_u32(packet.datagram, 8)};
  }
  switch (as) {
    case RefusedAs::kForeign:
      drops_.add_trait(DropSide::kArriving, reason, DropTrait::kForeign);
      break;
    case RefusedAs::kCopy:
      drops_.add_trait(DropSide::kArriving, reason, DropTrait::kCopy);
      break;
    case RefusedAs::kMissed:
      expect_gap();
      break;
    case RefusedAs::kOther:
      break;
  }
  if (Evidence* evidence = ensure_evidence()) evidence->note(refusal);
}

void Account::record_flight(Component component, const Endpoint& from, Bytes start, std::size_t size,
                            DropReason reason, bool is_offloaded, Instant now) noexcept {
  try {
    if (!flight_) flight_ = std::make_unique<FlightRing>();
    flight_->add(from, component == Component::kRtcp, start, size, reason, is_offloaded, now);
  } catch (const std::bad_alloc&) {
    return;  // without memory nothing is recorded, and the call goes on (C-12)
  }
}

bool Account::mark_drops(bool has_mark) noexcept {
  if (has_mark)
    drops_.mark(marks_.times());
  else
    drops_.restart_marks();
  return has_mark;
}

void Account::save(TransportSnapshot& snapshot, Instant now) const {
  snapshot.counters = counters_;
  snapshot.last_packet = last_packet_;
  snapshot.drops = drops();
  if (evidence_) snapshot.evidence = *evidence_;
  snapshot.recent_drops = drops_.recent(marks_.times(), now);
  snapshot.recent_sent = marks_.sent_since_oldest(sent_rtp());
  snapshot.leaving = drops_.leaving();
}

void Account::restore(const TransportSnapshot& snapshot) {
  counters_ = snapshot.counters;
  last_packet_ = snapshot.last_packet;
  drops_.restore(snapshot.drops);
  // Control's time-outs go on from the last packet, not from now.
  publish_time(activity_->last_packet_ns, std::max(last_packet_[0], last_packet_[1]));
  publish_time(activity_->last_rtp_ns, last_packet_[0]);
}

}  // namespace ferry
