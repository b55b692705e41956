// SPDX-License-Identifier: Apache-2.0
// What RTCP reports say of streams: BYE, losses that a party reports, the round trip, and the quality that
// follows from it (RFC 3550 §6.4). Also which medias of a BUNDLE group RTCP speaks of (FB-1), and when a
// source is asked for a key frame (FB-7).

#include "relay/base/random.hpp"
#include "relay/core/forward/streams.hpp"

#include <algorithm>
#include <bit>

namespace ferry {

namespace {

/// Receivers do not see a stream that has been silent for so long while another stream of its source sent.
constexpr Duration kSilence = std::chrono::seconds(1);

}  // namespace

SectionMask GroupStreams::sent_in(Ssrc ssrc) const noexcept { return streams_.sources_sending(ssrc); }
SectionMask GroupStreams::heard_in(Ssrc ssrc) const noexcept { return streams_.sources_hearing(ssrc); }

SectionMask Streams::sources_sending(Ssrc ssrc) const noexcept {
  // A MID may have named the stream before its SSRC was admitted.
  const NamedSsrc* known = named(ssrc);
  const auto by_mid = known != nullptr ? source_of(known->media) : std::nullopt;
  SectionMask sources = by_mid ? section_bit(*by_mid) : 0;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (find(i, ssrc) != nullptr) sources |= section_bit(i);
  }
  if (sources != 0) return sources;
  // A report may come before the first packet of its stream.
  const auto signalled = source_by_sdp(ssrc);
  return signalled ? section_bit(*signalled) : 0;
}

SectionMask Streams::sources_hearing(Ssrc ssrc) const noexcept {
  SectionMask sources = 0;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const bool leaves = std::ranges::any_of(
        states_[i].egress, [&](const SentStream& stream) { return stream.counters().ssrc == ssrc; });
    if (leaves) sources |= section_bit(i);
  }
  return sources;
}

std::size_t Streams::source_of_rtcp(Bytes compound) const noexcept {
  if (states_.size() == 1) return 0;
  SectionMask about = sources_sending(rtcp_sender(compound));
  if (about == 0) about = rtcp_topics(compound, GroupStreams(*this));
  return about == 0 ? 0 : static_cast<std::size_t>(std::countr_zero(about));
}

void Streams::read_reports(std::size_t source, Bytes compound, Instant now) noexcept {
  struct Handler {
    Streams& streams;
    std::size_t source;
    Instant now;
    void on_sender_report(Ssrc ssrc, std::uint32_t ntp_middle) {
      // Only of streams that were admitted, or a flood of names would push out those of real ones.
      const bool is_known = std::ranges::any_of(streams.states_, [&](const SourceState& state) {
        return std::ranges::any_of(state.ingress,
                                   [&](const StreamStats& stream) { return stream.counters().ssrc == ssrc; });
      });
      if (streams.keeper_ && is_known) streams.keeper_->on_sender_report(ssrc, ntp_middle, now);
    }
    void on_bye(Ssrc ssrc) {  // RTC-4: the SSRC counts as idle, and nothing else happens
      for (SourceState& state : streams.states_) {
        for (StreamStats& stream : state.ingress) {
          if (stream.counters().ssrc == ssrc) stream.counters().idle_by_bye = true;
        }
      }
    }
    void on_report(Ssrc reporter, const ReportBlock& block) {
      // A report about a stream that never went there is no measurement, and may be forged. The stream may be
      // of any media of the transport.
      SentStream* stream = nullptr;
      for (SourceState& state : streams.states_) {
        const auto found = std::ranges::find_if(
            state.egress, [&](const SentStream& sent) { return sent.counters().ssrc == block.about; });
        if (found != state.egress.end()) stream = &*found;
      }
      if (stream == nullptr) return;
      stream->report(reporter, block, now);
      RtcpState* state = streams.ensure_rtcp_state();
      if (state == nullptr) return;
      for (const SentReport& sent : state->sent) {
        if (block.last_sr == 0 || sent.ssrc != block.about || sent.ntp_middle != block.last_sr) continue;
        // RFC 3550 §6.4.1: now minus the time that the report was sent, minus the time that the peer held it.
        // A wrong delay from the peer could make it negative.
        const Duration hold{static_cast<std::int64_t>(block.delay_since_last_sr) * 1'000'000'000 / 65536};
        state->round_trip = std::max(Duration{1}, now - sent.at - hold);
      }
      const SendLine* line = stream->line();
      state->pending = PendingReport{source, reporter, block, line != nullptr ? line->clock_rate_hz() : 0};
    }
  };
  // A report that found no partner is out of date.
  if (rtcp_) rtcp_->pending.reset();
  walk_rtcp(compound, Handler{*this, source, now});
}

std::optional<Streams::Report> Streams::complete_report(Duration far_round_trip, Instant now) {
  if (!rtcp_ || !rtcp_->pending) return std::nullopt;
  const PendingReport report = *std::exchange(rtcp_->pending, std::nullopt);
  const Duration near_round_trip = rtcp_->round_trip;
  StreamStats* reporter = find(report.source, report.reporter);
  if (reporter == nullptr) return std::nullopt;
  // Without the round trips of both legs there is no sample. A party whose stream the relay reports about
  // itself is measured up to the relay where the other leg has no round trip.
  if (near_round_trip <= Duration{0}) return std::nullopt;
  if (far_round_trip <= Duration{0} && !plan_->own_reports) return std::nullopt;
  SsrcCounters& counters = reporter->counters();
  counters.reported_loss = report.block.cumulative_lost;
  counters.has_report = true;
  // The jitter is that of the stream which left; both usually have one clock.
  std::uint32_t rate = report.clock_rate_hz != 0 ? report.clock_rate_hz : counters.clock_rate_hz;
  if (rate == 0) rate = 8000;
  const Duration jitter{static_cast<std::int64_t>(report.block.jitter) * 1'000'000'000 / rate};
  const Duration round_trip = near_round_trip + far_round_trip;
  const double loss = report.block.fraction_lost * 100.0 / 256.0;
  QualitySample sample;
  sample.mos_times_10 =
      estimate_mos_times_10(plan_->listening_quality ? Duration{0} : round_trip / 2, jitter, loss);
  sample.round_trip_us = round_trip.count() / 1000;
  sample.round_trip_leg_us = near_round_trip.count() / 1000;
  sample.jitter_ms = jitter.count() / 1'000'000;
  sample.loss_percent = static_cast<std::int64_t>(loss);
  sample.at = now;
  if (!had_memory([&] { reporter->add_quality(sample); })) return std::nullopt;
  return Report{sample, counters.jitter()};
}

void Streams::want_key_frame(std::size_t source) noexcept {
  RtcpState* state = ensure_rtcp_state();
  if (state == nullptr) return;
  const MediaId media = plan_->sources[source].media;
  const auto known = std::ranges::find(state->key_frames, media, &KeyFrameWish::media);
  if (known != state->key_frames.end())
    known->is_wanted = true;
  else
    (void)had_memory([&] { state->key_frames.push_back({media, Instant{}, true}); });
}

std::optional<std::size_t> Streams::take_due_key_frame(Instant now) noexcept {
  if (!rtcp_) return std::nullopt;
  for (KeyFrameWish& wish : rtcp_->key_frames) {
    const bool is_due = wish.asked == Instant{} || now - wish.asked >= kKeyFrameInterval;
    if (!wish.is_wanted || !is_due) continue;
    wish.is_wanted = false;
    wish.asked = now;
    // The media may have left the plan since.
    if (const auto source = source_of(wish.media)) return source;
  }
  return std::nullopt;
}

std::optional<Instant> Streams::key_frame_due() const noexcept {
  std::optional<Instant> first;
  if (!rtcp_) return first;
  for (const KeyFrameWish& wish : rtcp_->key_frames) {
    const Instant due = wish.asked == Instant{} ? wish.asked : wish.asked + kKeyFrameInterval;
    if (wish.is_wanted && (!first || due < *first)) first = due;
  }
  return first;
}

std::optional<Ssrc> Streams::seen_stream(std::size_t source) const noexcept {
  Instant newest{};
  for (const StreamStats& stream : states_[source].ingress)
    newest = std::max(newest, stream.counters().last_packet);
  const SsrcCounters* seen = nullptr;
  for (const StreamStats& stream : states_[source].ingress) {
    const SsrcCounters& each = stream.counters();
    const bool sends = each.packets != 0 && newest - each.last_packet < kSilence;
    if (sends && (seen == nullptr || each.packets > seen->packets)) seen = &each;
  }
  return seen == nullptr ? std::nullopt : std::optional(seen->ssrc);
}

Ssrc Streams::reporter_for(std::size_t source) const noexcept {
  if (!states_[source].egress.empty()) return states_[source].egress.back().counters().ssrc;
  for (const SourceState& state : states_) {
    if (!state.egress.empty()) return state.egress.back().counters().ssrc;
  }
  return Ssrc{static_cast<std::uint32_t>(random_u64())};
}

}  // namespace ferry
