// SPDX-License-Identifier: Apache-2.0
// `Streams` of the sender's transport keeps which sources are to be asked, so that the wishes move along with
// the transport. They have no deadline of their own: that of the transport serves
// (`DeadlineKind::kTransport`).
//
// Trap: under a key that belongs to another party (`send_is_relayed`) the relay may not send packets of its
// own, because both would number them (SRT-9). The relay does not ask such a source.
#include "relay/worker/key_frames.hpp"

#include "relay/core/rtcp/rtcp.hpp"

#include <algorithm>

namespace ferry {

namespace {

constexpr std::size_t kEmptyReport = 8;
constexpr std::size_t kPictureLoss = 12;

/// True if the sink gets the source's media.
bool sees(const Sink& sink) noexcept { return refuses(sink, nullptr) == DropReason::kNone; }

}  // namespace

SectionMask KeyFrames::newly_seen(const TransportEntry& entry, const TransportPlan& next) const noexcept {
  const auto is_awaited = [&](const Sink& sink) {
    const TransportEntry* out = context_.table.find(sink.via);
    return out != nullptr && (out->state.plan().ice || out->state.plan().dtls) && !out->state.can_send();
  };
  SectionMask seen = 0;
  for (std::size_t i = 0; i < next.sources.size(); ++i) {
    const SourcePlan& source = next.sources[i];
    if (!source.takes_pli) continue;
    const std::vector<SourcePlan>& before = entry.state.plan().sources;
    const auto former = std::ranges::find(before, source.media, &SourcePlan::media);
    const bool is_new = std::ranges::any_of(source.sinks, [&](const Sink& sink) {
      return sees(sink) && !is_awaited(sink) &&
             (former == before.end() || std::ranges::none_of(former->sinks, [&](const Sink& old) {
                return old.via == sink.via && old.to == sink.to && sees(old);
              }));
    });
    if (is_new) seen |= section_bit(i);
  }
  return seen;
}

void KeyFrames::ask(TransportEntry& entry, SectionMask sources, Instant now) noexcept {
  const std::size_t count = entry.state.plan().sources.size();
  for (std::size_t i = 0; i < count; ++i) {
    if ((sources & section_bit(i)) != 0) entry.state.streams().want_key_frame(i);
  }
  drive(entry, now);
}

void KeyFrames::follow_receiver(TransportEntry& receiver, Instant now) noexcept {
  if (!receiver.state.can_send()) return;
  // A transport knows its receivers, not its senders. But a sender gets the RTCP of everybody who sees it, so
  // it is among the sinks of the receiver's own medias.
  for (const SourcePlan& own : receiver.state.plan().sources) {
    for (const Sink& back : own.sinks) {
      TransportEntry* sender = context_.table.find(back.via);
      if (sender == nullptr) continue;
      SectionMask seen = 0;
      const std::vector<SourcePlan>& sources = sender->state.plan().sources;
      for (std::size_t i = 0; i < sources.size(); ++i) {
        const bool is_seen = std::ranges::any_of(
            sources[i].sinks, [&](const Sink& sink) { return sink.via == receiver.id && sees(sink); });
        if (sources[i].takes_pli && is_seen) seen |= section_bit(i);
      }
      ask(*sender, seen, now);
    }
  }
}

void KeyFrames::drive(TransportEntry& entry, Instant now) noexcept {
  // A browser's video may arrive on a valid pair before one is selected. What makes the party reachable (a
  // handshake, a plan with a key) comes here.
  if (!entry.state.can_send()) return;
  bool has_sent = false;
  while (const auto source = entry.state.streams().take_due_key_frame(now)) {
    send(entry, *source, now);
    has_sent = true;
  }
  if (has_sent) sends_.flush();
  if (const auto due = entry.state.streams().key_frame_due())
    deadlines_.set_earlier(entry, DeadlineKind::kTransport, due, now);
}

void KeyFrames::send(TransportEntry& entry, std::size_t source, Instant now) noexcept {
  const TransportPlan& plan = entry.state.plan();
  const auto about = entry.state.streams().seen_stream(source);
  // A stream that has not begun yet will begin with a key frame.
  if (!about || (plan.srtp && plan.srtp->send_is_relayed)) return;
  const auto hop = entry.state.next_hop(Component::kRtcp, now);
  PacketBuffer packet = hop.reason == DropReason::kNone ? context_.io->allocate() : PacketBuffer{};
  if (!packet) return;
  const Ssrc sender = entry.state.streams().reporter_for(source);
  packet.set_data_size(kEmptyReport + kPictureLoss);
  const MutableBytes rtcp = packet.data();
  write_u8(rtcp, 0, 0x80);
  write_u8(rtcp, 1, rtcp_type::kRr);
  write_u16(rtcp, 2, kEmptyReport / 4 - 1);
  write_u32(rtcp, 4, sender.value);
  const MutableBytes request = rtcp.subspan(kEmptyReport);
  write_u8(request, 0, 0x81);
  write_u8(request, 1, rtcp_type::kPayloadFeedback);
  write_u16(request, 2, kPictureLoss / 4 - 1);
  write_u32(request, 4, sender.value);
  write_u32(request, 8, about->value);
  sends_.add(entry, hop, DatagramClass::kRtcp, plan.sources[source].media, std::move(packet), nullptr, now);
}

}  // namespace ferry
