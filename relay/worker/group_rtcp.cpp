// SPDX-License-Identifier: Apache-2.0
// Forwards RTCP of a BUNDLE group (FB-1, FB-2). A compound may speak of several medias whose receivers
// differ. Each receiver gets what is about its own medias, and gets it once, however many medias it has.

#include "relay/core/output/changes.hpp"
#include "relay/core/rtcp/rtcp_passing.hpp"
#include "relay/worker/forwarder.hpp"

#include <algorithm>
#include <optional>

namespace ferry {

namespace {

/// All medias of a plan.
SectionMask all_of(const TransportPlan& plan) noexcept {
  SectionMask all = 0;
  for (std::size_t i = 0; i < plan.sources.size(); ++i) all |= section_bit(i);
  return all;
}

}  // namespace

DropReason Forwarder::forward_group_rtcp(const Accepted& accepted, Bytes compound) noexcept {
  const TransportPlan& plan = accepted.entry.state.plan();
  const SectionMask all = all_of(plan);
  const SectionMask topics = rtcp_topics(compound, GroupStreams(accepted.entry.state.streams()));
  bool is_taken = false;
  DropReason last = DropReason::kNone;
  const auto send = [&](GroupReceiver& receiver) {
    RtcpAudience& audience = receiver.audience;
    // What belongs to no media goes to a receiver that has all medias. It also goes to a receiver that gets
    // everything else of this compound.
    audience.takes_rest = audience.sections == all || (topics != 0 && (topics & ~audience.sections) == 0);
    if (!audience.takes_rest && (topics & audience.sections) == 0) return;
    const DropReason reason = send_group_rtcp(receiver, accepted, compound);
    is_taken = is_taken || reason == DropReason::kNone;
    if (reason != DropReason::kNone) last = reason;
  };
  std::array<GroupReceiver, kMostGroupReceivers> receivers;
  std::size_t count = 0;
  for (std::size_t i = 0; i < plan.sources.size(); ++i) {
    for (const Sink& sink : plan.sources[i].sinks) {
      const SectionMask bit = section_bit(i);
      const TransportEntry* out = context_.table.find(sink.via);
      // The relay itself answers for the streams that it makes.
      const bool is_made = out != nullptr && out->state.plan().own_reports &&
                           !feedback_means_sender(accepted.entry, plan.sources[i].media);
      const RtcpAudience one{bit, sink.takes_feedback && !is_made ? bit : 0};
      const auto full_intra = plan.sources[i].is_video ? std::optional(sink.full_intra) : std::nullopt;
      const auto end = receivers.begin() + static_cast<std::ptrdiff_t>(count);
      const auto known =
          std::find_if(receivers.begin(), end, [&](const auto& each) { return each.sink->via == sink.via; });
      if (known != end) {
        known->audience.sections |= one.sections;
        known->audience.feedback |= one.feedback;
        // What one of its videos takes is not kept from it.
        if (full_intra) known->full_intra = std::min(known->full_intra.value_or(*full_intra), *full_intra);
      } else if (count < receivers.size()) {
        receivers[count++] = {&sink, one, full_intra};
      } else {
        // A receiver beyond the limit is not remembered, so it gets a compound for each of its medias.
        GroupReceiver further{&sink, one, full_intra};
        send(further);
      }
    }
  }
  for (std::size_t i = 0; i < count; ++i) send(receivers[i]);
  if (is_taken || last != DropReason::kNone) return is_taken ? DropReason::kNone : last;
  const DropReason nobodys = topics == 0 ? DropReason::kRtcpUnassigned : DropReason::kNoSink;
  context_.drop_arriving(accepted.entry, nobodys);
  return nobodys;
}

DropReason Forwarder::send_group_rtcp(GroupReceiver& receiver, const Accepted& accepted,
                                      Bytes compound) noexcept {
  const auto refuse = [&](DropReason reason) {
    context_.drop_arriving(accepted.entry, reason);
    return reason;
  };
  TransportEntry* out = context_.table.find(receiver.sink->via);
  if (out == nullptr) return refuse(DropReason::kNoSink);
  const auto refuse_leaving = [&](DropReason reason) {
    context_.drop_leaving(*out, reason, accepted.arrived.at);
    return reason;
  };
  const auto hop = out->state.next_hop(Component::kRtcp, accepted.arrived.at);
  if (hop.reason != DropReason::kNone) return refuse_leaving(hop.reason);
  PacketBuffer outgoing = context_.io->allocate();
  if (!outgoing) return refuse_leaving(DropReason::kNoBuffer);
  receiver.audience.reduced_size = out->state.plan().reduced_size_rtcp;
  const GroupStreams streams(accepted.entry.state.streams());
  std::size_t size = write_rtcp_for(receiver.audience, compound, streams, outgoing.space());
  if (size != 0 && out->state.plan().own_reports) {
    size = keep_passing_rtcp(outgoing.space().first(size), true);
    if (size == 0) {
      bump(context_.totals.taken_reports);
      return DropReason::kNone;
    }
  }
  const FullIntra full_intra = receiver.full_intra.value_or(receiver.sink->full_intra);
  size = replace_full_intra(full_intra, outgoing.space().first(size));
  // Everything that was for this receiver is feedback that it does not take.
  if (size == 0) return refuse(DropReason::kFeedbackNotAgreed);
  outgoing.set_data_size(size);
  outgoing->srtp_key = accepted.arrived.origin.key;
  outgoing->srtp_index = accepted.arrived.origin.index;
  // A changed packet cannot go out under its old index (RFC 3711 §9.1).
  if (out->state.relays_key_of(accepted.entry.state) && !std::ranges::equal(outgoing.data(), compound))
    return refuse_leaving(DropReason::kSharedKey);
  const MediaId to = receiver.sink->to;
  const DropReason untranslated = out->state.translate_ssrcs(
      accepted.entry.state, accepted.source.media, to, accepted.verdict, accepted.kind, outgoing.data());
  if (untranslated != DropReason::kNone) return refuse_leaving(untranslated);
  parts_.sends.add(*out, hop, accepted.kind, to, std::move(outgoing), &accepted.entry.state,
                   accepted.arrived.at);
  return DropReason::kNone;
}

}  // namespace ferry
