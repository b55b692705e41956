#include "relay/core/rtp/stream_stats.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace ferry {

namespace {
constexpr int kMaxDropout = 3000;   // SSR-4
constexpr int kMaxMisorder = -100;  // SSR-4
}  // namespace

std::int64_t estimate_mos_times_10(Duration one_way, Duration jitter, double loss_percent) noexcept {
  // Delay as a talker feels it: network, twice the jitter for the receiver's buffer, 10 ms for the codec.
  const double delay_ms =
      static_cast<double>(one_way.count()) / 1e6 + 2.0 * static_cast<double>(jitter.count()) / 1e6 + 10.0;
  // Id of G.107 in the piecewise form of Cole and Rosenbluth, "Voice over IP performance monitoring" (2001).
  const double delay_impairment = 0.024 * delay_ms + (delay_ms > 177.3 ? 0.11 * (delay_ms - 177.3) : 0.0);
  const double loss_impairment = 30.0 * std::log(1.0 + 15.0 * loss_percent / 100.0);
  const double r = std::clamp(93.2 - delay_impairment - loss_impairment, 0.0, 100.0);
  const double mos = 1.0 + 0.035 * r + 7.0e-6 * r * (r - 60.0) * (100.0 - r);
  return std::clamp<std::int64_t>(std::lround(mos * 10.0), 10, 50);
}

void QualityHistory::add(const QualitySample& sample) noexcept {
  if (samples == 0 || sample.mos_times_10 < lowest.mos_times_10) lowest = sample;
  if (samples == 0 || sample.mos_times_10 > highest.mos_times_10) highest = sample;
  ++samples;
  sum.mos_times_10 += sample.mos_times_10;
  sum.round_trip_us += sample.round_trip_us;
  sum.round_trip_leg_us += sample.round_trip_leg_us;
  sum.jitter_ms += sample.jitter_ms;
  sum.loss_percent += sample.loss_percent;
  if (progression_size > 0 && sample.at - progression[progression_size - 1u].at < kInterval) return;
  if (progression_size == kProgression) {
    std::move(progression.begin() + 1, progression.end(), progression.begin());
    --progression_size;
  }
  progression[progression_size++] = sample;
}

StreamStats::Check StreamStats::check(SeqNo sequence) noexcept {
  if (!started_) return Check::kOk;
  const int ahead = distance(sequence, SeqNo{static_cast<std::uint16_t>(counters_.highest_extended)});
  if (ahead < kMaxDropout && ahead >= kMaxMisorder) {
    bad_sequence_ = kNone;
    return Check::kOk;
  }
  if (sequence.value == bad_sequence_) {  // the second of two consecutive ones: the sender restarted
    resync_ = true;
    return Check::kOk;
  }
  bad_sequence_ = static_cast<std::uint16_t>(sequence.value + 1);
  return Check::kJump;
}

void StreamStats::count(const RtpView& rtp, std::size_t datagram_size, std::uint32_t clock_rate_hz,
                        Instant now) noexcept {
  SsrcCounters& c = counters_;
  if (!started_ || resync_) {
    if (resync_) {
      c.expected_before_reset += c.highest_extended - c.base_extended + 1;
      ++c.resets;
    } else {
      c.first_packet = now;
      c.ssrc = rtp.ssrc;
    }
    c.base_extended = c.highest_extended = rtp.sequence.value;
    seen_ = 1;
    transit_ = 0;
    c.clock_rate_hz = 0;
    started_ = true;
    resync_ = false;
    bad_sequence_ = kNone;
  } else {
    const int ahead = distance(rtp.sequence, SeqNo{static_cast<std::uint16_t>(c.highest_extended)});
    if (ahead > 0) {
      c.highest_extended += static_cast<std::uint32_t>(ahead);
      seen_ = ahead < 64 ? (seen_ << ahead) | 1 : 1;
    } else {
      const unsigned behind = static_cast<unsigned>(-ahead);
      const bool duplicate = behind < 64 && ((seen_ >> behind) & 1) != 0;
      if (duplicate) {
        ++c.duplicates;
      } else {
        ++c.reordered;
        if (behind < 64) seen_ |= std::uint64_t{1} << behind;
        // Older than the first packet: it came before the one that we took for the first.
        const std::uint32_t extended = c.highest_extended - behind;
        if (static_cast<std::int32_t>(extended - c.base_extended) < 0) c.base_extended = extended;
      }
    }
  }
  if (c.packets != 0) {
    const auto gap = static_cast<std::uint64_t>((now - c.last_packet).count()) >> 10;
    c.longest_gap_ticks = std::max(c.longest_gap_ticks, static_cast<std::uint32_t>(gap));
  }
  ++c.packets;
  c.bytes += datagram_size;
  c.last_timestamp = rtp.timestamp;
  c.last_payload_type = rtp.payload_type.value;
  c.last_packet = now;
  c.idle_by_bye = false;
  if (clock_rate_hz == 0) return;
  // The low 32 bits of the time in clock units: the kernel programs must not divide for each packet.
  const std::uint64_t arrival =
      ((static_cast<std::uint64_t>(now.time_since_epoch().count()) >> 6) * clock_scale(clock_rate_hz)) >> 32;
  const auto transit = static_cast<std::int32_t>(static_cast<std::uint32_t>(arrival) - rtp.timestamp);
  if (c.clock_rate_hz == clock_rate_hz) {
    // Modulo 2^32, as the timestamp wraps.
    const auto difference = std::abs(static_cast<std::int64_t>(static_cast<std::int32_t>(
        static_cast<std::uint32_t>(transit) - static_cast<std::uint32_t>(transit_))));
    c.jitter_q4 = static_cast<std::uint32_t>(std::max<std::int64_t>(
        0, static_cast<std::int64_t>(c.jitter_q4) + difference - ((c.jitter_q4 + 8) >> 4)));
    c.jitter_max_q4 = std::max(c.jitter_max_q4, c.jitter_q4);
    c.jitter_sum_q4 += c.jitter_q4;
  }
  c.clock_rate_hz = clock_rate_hz;
  transit_ = transit;
}

void StreamStats::set_state(const State& state) noexcept {
  const SsrcCounters before = std::exchange(counters_, state.counters);
  counters_.g711_packets = before.g711_packets;
  counters_.silent_packets = before.silent_packets;
  counters_.reported_loss = before.reported_loss;
  counters_.has_report = before.has_report;
  counters_.idle_by_bye = before.idle_by_bye && counters_.packets == before.packets;
  seen_ = state.seen;
  transit_ = state.transit;
}

void StreamStats::count_g711(bool silent) noexcept {
  ++counters_.g711_packets;
  if (silent) ++counters_.silent_packets;
}

void StreamStats::add_quality(const QualitySample& sample) {
  if (!quality_) quality_ = std::make_unique<QualityHistory>();
  quality_->add(sample);
}

}  // namespace ferry
