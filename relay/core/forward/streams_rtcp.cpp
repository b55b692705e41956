// What RTCP reports say of streams: BYE, losses that a party reports, the round trip, and the quality that
// follows from it (RFC 3550 §6.4).

#include "relay/core/forward/streams.hpp"

namespace ferry {

void Streams::read_reports(std::size_t source, Bytes compound, Instant now) noexcept {
  struct Handler {
    Streams& streams;
    std::size_t source;
    Instant now;
    void on_sender_report(Ssrc, std::uint32_t) {}
    void on_bye(Ssrc ssrc) {  // RTC-4: the SSRC counts as idle, and nothing else happens
      for (auto& stream : streams.states_[source].ingress) {
        if (stream.counters().ssrc == ssrc) stream.counters().idle_by_bye = true;
      }
    }
    void on_report(Ssrc reporter, const ReportBlock& block) {
      // A report about a stream that never went there is no measurement, and may be forged.
      auto& egress = streams.states_[source].egress;
      const auto stream = std::ranges::find_if(
          egress, [&](const SentStream& sent) { return sent.counters().ssrc == block.about; });
      if (stream == egress.end()) return;
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
      state->pending = PendingReport{source, reporter, block};
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
  // Without the round trips of both legs there is no sample.
  if (near_round_trip <= Duration{0} || far_round_trip <= Duration{0}) return std::nullopt;
  SsrcCounters& counters = reporter->counters();
  counters.reported_loss = report.block.cumulative_lost;
  counters.has_report = true;
  const std::uint32_t rate = counters.clock_rate_hz != 0 ? counters.clock_rate_hz : 8000;
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

}  // namespace ferry
