// Hands streams of a transport to the kernel and takes their counts back.
//
// `lend` describes a stream only if nothing but its packets decides about them: plain RTP of one source, a
// locked latch, no offer that waits, no jump that waits for its confirmation. Whatever is doubtful stays in
// user space. While a stream is lent, the kernel owns its counters, rate and sequence; `absorb` takes over a
// reading as if the packets had passed here.
//
// The trap: drops and foreign packets are counted since the installation, the stream's counters absolutely.
// So `absorb` needs the reading before, and it must not add the stream's counters but replace them.

#include "relay/core/forward/transport.hpp"

#include <algorithm>

namespace ferry {

std::optional<std::pair<OffloadFlow, OffloadState>> Transport::lend(Ssrc ssrc) const {
  if (plan_->kind != TransportKind::kRtp || is_protected() || plan_->sources.size() != 1 ||
      !latch_[0].is_exclusive() || proposal_)
    return std::nullopt;
  const auto& streams = states_[0].ingress;
  const auto stream =
      std::ranges::find_if(streams, [&](const StreamStats& s) { return s.counters().ssrc == ssrc; });
  if (stream == streams.end() || stream->is_disturbed()) return std::nullopt;
  const SourcePlan& source = plan_->sources[0];
  OffloadFlow flow;
  flow.peer = latch_[0].learned();
  flow.ssrc = ssrc;
  flow.rate = source.rate;
  // Early media of others has to be kept too, so the flow stays open until the answer.
  flow.open_until = std::max(latch_[0].open_until(), plan_->early_until);
  flow.home = latch_[0].home();
  flow.handover = plan_->rtp_latch.handover;
  // Two kinds of packets stay in user space: events, to be reported or blocked, and codecs that cannot be
  // silenced.
  const bool events_matter = source.has_events || source.inspects_payload;
  const bool silenced = std::ranges::any_of(source.sinks, &Sink::silenced);
  for (const PayloadEntry& payload : source.payloads) {
    if (payload.is_event ? events_matter : silenced && payload.silence == 0) {
      flow.refused_types.set(payload.type.value & 127);
      continue;
    }
    flow.payloads.push_back(payload);
  }
  // With types that nobody named, the kernel could not tell what to silence.
  if (silenced && source.is_open()) return std::nullopt;
  if (flow.payloads.empty() && !source.is_open()) return std::nullopt;
  // A source that is open except for some types is passed on as "any type but these".
  flow.takes_any_type = source.takes_any_type || (source.is_open() && source.refused_types.any());
  if (flow.takes_any_type) {
    std::bitset<128> refused = source.refused_types;
    for (const PayloadEntry& payload : source.payloads) refused.reset(payload.type.value & 127);
    flow.refused_types |= refused;
  }
  // The first packet of each type that was not negotiated is for user space, and so is every one if some
  // receiver must not get it (DMX-4).
  const bool others_pass = std::ranges::all_of(source.sinks, [](const Sink& sink) {
    return refuses(sink, nullptr, false) != DropReason::kUnknownPayloadType;
  });
  if (evidence_ && others_pass && source.passes_other_types && !source.is_open()) {
    flow.other_types = evidence_->other_types & ~source.refused_types;
    for (const PayloadEntry& payload : source.payloads) flow.other_types.reset(payload.type.value & 127);
  }
  OffloadState state;
  state.stream = stream->state();
  state.stream.new_burst = 0;  // the bursts before the hand-over are already counted here
  state.bucket = states_[0].bucket.state();
  state.heard_sequence = latch_[0].last_sequence();
  state.heard_at = latch_[0].last_packet();
  return std::pair{std::move(flow), state};
}

SentBelow Transport::absorb(const OffloadState& state, const OffloadState& seen) {
  const auto count = [&](DropReason reason, std::uint32_t times) {
    if (times != 0) count_refused(Component::kRtp, reason, times);
  };
  // Only what is new since the last reading is reported and kept.
  if (state.foreign != seen.foreign) note(TransportEvent::kForeignSource);
  if (state.foreign != seen.foreign && state.foreign_from.is_set()) {
    Refusal refusal;
    refusal.reason = DropReason::kForeignSource;
    refusal.from = state.foreign_from;
    refusal.last = state.foreign_at;
    refusal.times = state.foreign - seen.foreign;
    if (Evidence* evidence = made_evidence()) evidence->note(refusal);
  }
  // These packets are among those of the stream; only the explanation counts them apart.
  if (state.other_types != seen.other_types) {
    if (Evidence* evidence = made_evidence())
      evidence->add_others(state.other_types - seen.other_types, state.stream.counters.last_packet);
  }
  // The rate limit dropped packets of the peer, so the peer is named as their source.
  if (state.rate_limited != seen.rate_limited) {
    note(TransportEvent::kRateLimited);
    Refusal refusal;
    refusal.reason = DropReason::kRateLimited;
    refusal.from = latch_[0].learned();
    refusal.ssrc = state.stream.counters.ssrc;
    refusal.last = state.heard_at;
    refusal.times = state.rate_limited - seen.rate_limited;
    if (Evidence* evidence = made_evidence()) evidence->note(refusal);
  }
  count(DropReason::kForeignSource, state.foreign - seen.foreign);
  count(DropReason::kRateLimited, state.rate_limited - seen.rate_limited);
  refused_numbers_ += state.rate_limited - seen.rate_limited;
  const SsrcCounters& now = state.stream.counters;
  // An older reading must not move the latch's mark back (LAT-8c).
  if (state.heard_at >= latch_[0].last_packet())
    latch_[0].note_passed(now.ssrc, state.heard_sequence, state.heard_at);
  // The bucket and the stream are replaced, because the kernel went on from the values that were lent.
  states_[0].bucket.set_state(state.bucket);
  auto& streams = states_[0].ingress;
  const auto stream =
      std::ranges::find_if(streams, [&](const StreamStats& s) { return s.counters().ssrc == now.ssrc; });
  // The stream gave way to another SSRC in the meantime: its counts are lost with it.
  if (stream == streams.end()) return {};
  const SsrcCounters before = stream->counters();
  stream->set_state(state.stream);
  // Late packets lower counts, so the growth has a sign.
  const auto growth = [](std::uint32_t after, std::uint32_t of_before) {
    return static_cast<std::int32_t>(after - of_before);
  };
  // The receivers' statistics need to know by how much each count grew.
  SentBelow done;
  done.packets = now.packets - before.packets;
  done.bytes = now.bytes - before.bytes;
  done.before = SeqNo{static_cast<std::uint16_t>(before.highest_extended)};
  done.advanced = now.highest_extended != before.highest_extended;
  done.duplicates = growth(now.duplicates, before.duplicates);
  done.reordered = growth(now.reordered, before.reordered);
  done.loss_bursts = growth(now.loss_bursts, before.loss_bursts);
  done.longest_burst = state.stream.new_burst;
  done.seen = state.stream.seen;
  done.stream = &stream->counters();
  if (done.packets == 0) return done;
  // From here it is as if the packets had passed user space, except for `last_user_ns`.
  publish(now, done.packets, before.lost());
  counters_[0].packets_in += done.packets;
  counters_[0].bytes_in += done.bytes;
  last_packet_[0] = now.last_packet;
  hear();
  const std::int64_t at = now.last_packet.time_since_epoch().count();
  activity_->last_packet_ns.store(at, std::memory_order_relaxed);
  activity_->last_rtp_ns.store(at, std::memory_order_relaxed);
  activity_->last_kernel_ns.store(at, std::memory_order_relaxed);
  return done;
}

void Transport::on_sent_below(const SentBelow& what, MediaId to) {
  const auto source = source_of(to);
  if (what.packets == 0 || !source) return;
  counters_[0].packets_out += what.packets;
  counters_[0].bytes_out += what.bytes;
  if (SentStream* stream = egress_of(*source, what.stream->ssrc)) stream->count(what);
}

}  // namespace ferry
