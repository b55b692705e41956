// A transport as plain values: for views, for totals, and for an export that another process restores.
//
// A member that is added to `TransportSnapshot` belongs into `snapshot` and, unless it is only for views,
// into `restore`. Keys from signalling travel apart: the plan brings them, and `SrtpPlan::contexts` what they
// have received and sent.

#include "relay/core/forward/transport.hpp"

#include <algorithm>

namespace ferry {

TransportSnapshot Transport::snapshot(Instant now) const {
  TransportSnapshot s;
  // What the source rule has learned.
  for (std::size_t i = 0; i < 2; ++i) {
    s.latch[i] = latch_[i].snapshot();
    s.destination[i] = destination(static_cast<Component>(i));
  }
  // What was counted and refused.
  s.counters = counters_;
  s.last_packet = last_packet_;
  s.drops = drops();
  s.verified = verified_;
  for (std::size_t i = 0; reachability_ && i < s.paused.size(); ++i)
    s.paused[i] = (*reachability_)[i].is_paused();
  if (evidence_) s.evidence = *evidence_;
  const MarkTimes marked = marks_.times();
  s.recent_drops = drops_.recent(marked, now);
  s.recent_sent = marks_.sent_since_oldest(sent_rtp());
  s.leaving = drops_.leaving();
  // The streams of each media, with their last seconds.
  for (std::size_t i = 0; i < states_.size(); ++i) {
    TransportSnapshot::Source& source = s.sources.emplace_back();
    source.media = plan_->sources[i].media;
    for (const StreamStats& stream : states_[i].ingress) {
      source.ingress.push_back(stream.counters());
      auto& quality = source.quality.emplace_back();
      quality.present = stream.quality() != nullptr;
      if (quality.present) quality.history = *stream.quality();
      source.ingress_recent.push_back(stream.recent(marked, now));
    }
    for (const SentStream& stream : states_[i].egress) {
      source.egress.push_back(stream.counters());
      source.egress_recent.push_back(stream.recent(marked, now));
      if (const ListenerReport* report = stream.newest_report()) source.reports.push_back(*report);
    }
    if (states_[i].presses) source.presses = states_[i].presses->state();
  }
  // What keys, handshakes, a waiting offer and ICE have reached.
  s.srtp = srtp_snapshot();
  s.dtls = dtls_snapshot();
  if (proposal_)
    s.proposal = {{proposal_->latch[0].snapshot(), proposal_->latch[1].snapshot()}, proposal_->streams};
  if (ice_) {
    TransportSnapshot::Ice ice;
    ice.state = ice_->state();
    for (const Component component : {Component::kRtp, Component::kRtcp}) {
      ice.selected[index(component)] = ice_->selected(component);
      ice.is_former[index(component)] = ice_->selected(component) && !ice_->is_current(component);
    }
    s.ice = ice;
  }
  return s;
}

TransportFigures Transport::figures() const {
  TransportFigures f;
  f.counters = counters_;
  f.not_rtp = not_rtp_ + drops_.of(DropReason::kMalformedRtp);
  Instant latest{};
  for_each_stream([&](const SsrcCounters& stream) {
    f.expected += stream.expected();
    f.received += stream.packets - stream.duplicates;
    f.duplicates += stream.duplicates;
    f.lost += stream.lost();
    f.longest_gap = std::max(f.longest_gap, stream.longest_gap());
    // Jitter cannot be added up, so that of the stream that sent last stands for all.
    if (stream.clock_rate_hz == 0 || stream.last_packet < latest) return;
    latest = stream.last_packet;
    f.jitter = stream.jitter_q4 / 16.0;
    f.jitter_max = stream.jitter_max_q4 / 16.0;
    f.jitter_mean = stream.packets < 2 ? 0
                                       : static_cast<double>(stream.jitter_sum_q4) / 16.0 /
                                             static_cast<double>(stream.packets - 1);
  });
  return f;
}

void Transport::restore(const TransportSnapshot& s, Instant now) {
  // New ports of a party whose keys go on: nothing else of the old transport is true for them.
  if (s.only_keys) {
    restore_keys(s, now);
    return;
  }
  latch_[0].restore(plan_->rtp_latch, s.latch[0]);
  latch_[1].restore(plan_->rtcp_latch, s.latch[1]);
  // A plan without the offer has no use for what was learned about it.
  if (s.proposal && proposal_) {
    proposal_->latch[0].restore(plan_->proposed->rtp, s.proposal->latch[0]);
    proposal_->latch[1].restore(plan_->proposed->rtcp, s.proposal->latch[1]);
    proposal_->streams = s.proposal->streams;
  }
  counters_ = s.counters;
  last_packet_ = s.last_packet;
  drops_.restore(s.drops);
  verified_ = s.verified;
  activity_->is_heard.store(verified_, std::memory_order_relaxed);
  for (std::size_t i = 0; i < s.paused.size(); ++i) {
    if (!s.paused[i]) continue;
    if (!reachability_) reachability_ = std::make_unique<std::array<Reachability, 2>>();
    (*reachability_)[i].restore_pause(now);
  }
  // Control's time-outs go on from the last packet, not from now.
  const auto latest = std::max(s.last_packet[0], s.last_packet[1]);
  activity_->last_packet_ns.store(latest.time_since_epoch().count(), std::memory_order_relaxed);
  activity_->last_rtp_ns.store(s.last_packet[0].time_since_epoch().count(), std::memory_order_relaxed);
  for (const TransportSnapshot::Source& source : s.sources) {
    const auto found = source_of(source.media);
    // A media that the present plan does not have is left out.
    if (!found) continue;
    SourceState& state = states_[*found];
    state.egress.clear();
    for (const SsrcCounters& sent : source.egress) state.egress.emplace_back(sent);
    if (source.presses.known_count != 0) {
      state.presses = std::make_unique<KeyPresses>();
      state.presses->restore(source.presses);
    }
    state.ingress.clear();
    for (std::size_t i = 0; i < source.ingress.size(); ++i) {
      StreamStats& stream = state.ingress.emplace_back(source.ingress[i]);
      if (i < source.quality.size() && source.quality[i].present)
        stream.restore_quality(source.quality[i].history);
    }
  }
  publish_presses();
  // Counts from elsewhere do not belong to the last seconds here, so all marks begin at the restored counts.
  mark_counts(marks_.restart(now, sent_rtp(), has_counted()));
  restore_keys(s, now);
}

}  // namespace ferry
