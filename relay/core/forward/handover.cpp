// SPDX-License-Identifier: Apache-2.0
// `hand_over` describes a stream only if nothing but its packets decides about them: plain RTP of one source,
// a locked latch, no offer that waits, no jump that waits for its confirmation, no key press that audio could
// end. Whatever is doubtful stays in user space. While the kernel forwards a stream, it owns its counters,
// rate and sequence; `absorb` takes over a reading as if the packets had passed here.
//
// The trap: drops and foreign packets are counted since the installation, the stream's counters absolutely.
// So `absorb` needs the reading before, and it must not add the stream's counters but replace them.

#include "relay/core/forward/handover.hpp"

#include "relay/core/forward/destination.hpp"

#include <algorithm>
#include <bit>

namespace ferry {

std::optional<std::pair<OffloadFlow, OffloadState>> hand_over(const TransportPlan& plan, const Latch& latch,
                                                              const Streams& streams, const Account& account,
                                                              Ssrc ssrc) {
  if (plan.kind != TransportKind::kRtp || plan.srtp || plan.sources.size() != 1 || plan.proposed ||
      !latch.is_exclusive() || streams.has_open_press())
    return std::nullopt;
  const StreamStats* stream = streams.find(0, ssrc);
  if (stream == nullptr || stream->is_disturbed()) return std::nullopt;
  const SourcePlan& source = plan.sources[0];
  OffloadFlow flow;
  flow.peer = latch.learned();
  flow.ssrc = ssrc;
  flow.rate = source.rate;
  // Early media of others has to be kept too, so the flow stays open until the answer.
  flow.open_until = std::max(latch.open_until(), plan.early_until);
  flow.home = latch.home();
  flow.handover = plan.rtp_latch.handover;
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
  const Evidence* evidence = account.evidence();
  if (evidence != nullptr && others_pass && source.passes_other_types && !source.is_open()) {
    flow.other_types = evidence->other_types & ~source.refused_types;
    for (const PayloadEntry& payload : source.payloads) flow.other_types.reset(payload.type.value & 127);
  }
  OffloadState state;
  state.stream = stream->state();
  state.stream.new_burst = 0;  // the bursts before the hand-over are already counted here
  state.bucket = streams.bucket(0).state();
  state.heard_sequence = latch.last_sequence();
  state.heard_at = latch.last_packet();
  return std::pair{std::move(flow), state};
}

OffloadedTraffic absorb(Absorber into, const OffloadState& state, const OffloadState& seen) {
  const auto count = [&](DropReason reason, std::uint32_t times) {
    if (times != 0) into.account.count_refused(Component::kRtp, reason, times);
  };
  // Only what is new since the last reading is reported and kept.
  if (state.foreign != seen.foreign) into.events.note(TransportEvent::kForeignSource);
  if (state.foreign != seen.foreign && state.foreign_from.is_set()) {
    Refusal refusal;
    refusal.reason = DropReason::kForeignSource;
    refusal.from = state.foreign_from;
    refusal.last = state.foreign_at;
    refusal.times = state.foreign - seen.foreign;
    if (Evidence* evidence = into.account.ensure_evidence()) evidence->note(refusal);
  }
  // These packets are among those of the stream; only the explanation counts them apart.
  if (state.other_types != seen.other_types) {
    if (Evidence* evidence = into.account.ensure_evidence())
      evidence->add_others(state.other_types - seen.other_types, state.stream.counters.last_packet);
  }
  // The rate limit dropped packets of the peer, so the peer is named as their source.
  if (state.rate_limited != seen.rate_limited) {
    into.events.note(TransportEvent::kRateLimited);
    Refusal refusal;
    refusal.reason = DropReason::kRateLimited;
    refusal.from = into.latch.learned();
    refusal.ssrc = state.stream.counters.ssrc;
    refusal.last = state.heard_at;
    refusal.times = state.rate_limited - seen.rate_limited;
    if (Evidence* evidence = into.account.ensure_evidence()) evidence->note(refusal);
  }
  count(DropReason::kForeignSource, state.foreign - seen.foreign);
  count(DropReason::kRateLimited, state.rate_limited - seen.rate_limited);
  into.account.expect_gap(state.rate_limited - seen.rate_limited);
  const SsrcCounters& now = state.stream.counters;
  // An older reading must not move the latch's mark back (LAT-8c).
  if (state.heard_at >= into.latch.last_packet())
    into.latch.note_passed(now.ssrc, state.heard_sequence, state.heard_at);
  // The bucket and the stream are replaced, because the kernel went on from the values that it was handed.
  into.streams.bucket(0).set_state(state.bucket);
  StreamStats* stream = into.streams.find(0, now.ssrc);
  // The stream gave way to another SSRC in the meantime: its counts are lost with it.
  if (stream == nullptr) return {};
  const SsrcCounters before = stream->counters();
  const std::uint64_t seen_before = stream->state().seen;
  stream->set_state(state.stream);
  // Late packets lower counts, so the growth has a sign.
  const auto growth = [](std::uint32_t after, std::uint32_t of_before) {
    return static_cast<std::int32_t>(after - of_before);
  };
  // The receivers' statistics need to know by how much each count grew.
  OffloadedTraffic done;
  done.packets = now.packets - before.packets;
  done.bytes = now.bytes - before.bytes;
  done.before = SeqNo{static_cast<std::uint16_t>(before.highest_extended)};
  done.advanced = now.highest_extended != before.highest_extended;
  done.duplicates = growth(now.duplicates, before.duplicates);
  done.reordered = growth(now.reordered, before.reordered);
  done.loss_bursts = growth(now.loss_bursts, before.loss_bursts);
  done.longest_burst = state.stream.new_burst;
  done.seen = state.stream.seen;
  if (!done.advanced && done.packets != 0) {
    const std::uint64_t late = done.seen & ~seen_before;
    // A number that came before may have left now for the first time, whichever it is.
    const bool has_repeated = static_cast<std::uint64_t>(std::popcount(late)) < done.packets;
    const auto behind = static_cast<unsigned>(has_repeated ? 0 : std::countr_zero(late));
    done.newest_late = SeqNo{static_cast<std::uint16_t>(now.highest_extended - behind)};
  }
  done.stream = &stream->counters();
  if (done.packets == 0) return done;
  // From here it is as if the packets had passed user space, except for `last_user_ns`.
  into.account.publish(now, done.packets, before.lost());
  into.account.count_offloaded_in(done.packets, done.bytes, now.last_packet);
  into.presence.hear();
  return done;
}

void on_sent_by_kernel(Streams& streams, Account& account, const OffloadedTraffic& what, MediaId to) {
  const auto source = streams.source_of(to);
  if (what.packets == 0 || !source) return;
  account.count_offloaded_out(what.packets, what.bytes);
  streams.on_sent_by_kernel(what, *source);
}

Endpoint lasting_hop(const TransportPlan& plan, const Latch& latch, const Presence& presence) noexcept {
  // A time limit or a pause has to be checked for each packet, which the kernel does not do.
  const bool is_unheard_limited =
      !presence.is_heard() && (plan.wait_for_peer || plan.unheard_until != Instant::max());
  return is_unheard_limited || presence.is_paused(Component::kRtp)
             ? Endpoint{}
             : destination_of(plan, latch, Component::kRtp);
}

}  // namespace ferry
