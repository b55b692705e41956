#include "relay/core/rtp/stream_stats.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace ferry {

namespace {

/// Id of G.107 in the piecewise form of Cole and Rosenbluth, "Voice over IP performance monitoring" (2001).
double delay_impairment(Duration one_way, Duration jitter) noexcept {
  // Delay as a talker feels it: network, twice the jitter for the receiver's buffer, 10 ms for the codec.
  const double ms =
      static_cast<double>(one_way.count()) / 1e6 + 2.0 * static_cast<double>(jitter.count()) / 1e6 + 10.0;
  return 0.024 * ms + (ms > 177.3 ? 0.11 * (ms - 177.3) : 0.0);
}

/// Annex B of G.107 for the rating `r` less its impairments.
double mos_of(double impairments) noexcept {
  const double r = std::clamp(93.2 - impairments, 0.0, 100.0);
  return 1.0 + 0.035 * r + 7.0e-6 * r * (r - 60.0) * (100.0 - r);
}

}  // namespace

std::int64_t estimate_mos_times_10(Duration one_way, Duration jitter, double loss_percent) noexcept {
  const double loss_impairment = 30.0 * std::log(1.0 + 15.0 * loss_percent / 100.0);
  const double mos = mos_of(delay_impairment(one_way, jitter) + loss_impairment);
  return std::clamp<std::int64_t>(std::lround(mos * 10.0), 10, 50);
}

double estimate_mos(const QualityFigures& f) noexcept {
  // Ie-eff of G.107 §7.5.
  const double loss = std::clamp(f.loss_percent, 0.0, 100.0);
  const double effective =
      f.equipment_impairment +
      (95.0 - f.equipment_impairment) * loss / (loss / std::max(1.0, f.burst_ratio) + f.loss_robustness);
  return std::max(1.0, mos_of(delay_impairment(f.one_way, f.jitter) + effective));
}

double SsrcCounters::burst_ratio() const noexcept {
  const double loss = loss_percent() / 100.0;
  if (loss_bursts == 0 || loss <= 0 || loss >= 1) return 1.0;
  const double mean = static_cast<double>(lost()) / static_cast<double>(loss_bursts);
  return std::max(1.0, mean * (1.0 - loss));
}

std::optional<SsrcCounters::Drift> SsrcCounters::drift() const noexcept {
  constexpr auto kLeast = std::chrono::seconds(5);
  const Duration time = last_packet - drift_since;
  if (clock_rate_hz == 0 || drift_since == Instant{} || time < kLeast) return std::nullopt;
  const double units = static_cast<double>(clock_rate_hz) * std::chrono::duration<double>(time).count();
  const auto moved = static_cast<std::int32_t>(static_cast<std::uint32_t>(transit) -
                                               static_cast<std::uint32_t>(drift_transit));
  return Drift{1e6 * moved / units, 1e6 * 2.0 * (static_cast<double>(jitter_q4) / 16.0) / units};
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

namespace {

/// Arrival minus time stamp. The low 32 bits of the time in clock units: the kernel programs must not divide
/// for each packet.
std::uint32_t transit_of(const RtpView& rtp, std::uint32_t clock_rate_hz, Instant now) noexcept {
  const std::uint64_t arrival =
      ((static_cast<std::uint64_t>(now.time_since_epoch().count()) >> 6) * clock_scale(clock_rate_hz)) >> 32;
  return static_cast<std::uint32_t>(arrival) - rtp.timestamp;
}

}  // namespace

std::optional<Duration> StreamStats::lateness(const RtpView& rtp, std::uint32_t clock_rate_hz,
                                              Instant now) const noexcept {
  if (!started_ || clock_rate_hz == 0 || counters_.clock_rate_hz != clock_rate_hz) return std::nullopt;
  const auto units = static_cast<std::int32_t>(transit_of(rtp, clock_rate_hz, now) -
                                               static_cast<std::uint32_t>(counters_.transit));
  return Duration{static_cast<std::int64_t>(units) * 1'000'000'000 / clock_rate_hz};
}

bool StreamStats::is_jump(SeqNo sequence) const noexcept {
  // After a step of 101 back the next number is but 100 back.
  return started_ &&
         (is_sequence_jump(counters_.highest_extended, sequence) || sequence.value == bad_sequence_);
}

StreamStats::Check StreamStats::check(SeqNo sequence) noexcept {
  if (!started_) return Check::kOk;
  if (!is_jump(sequence)) {
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

void follow_sequence(SsrcCounters& c, std::uint64_t& seen, std::uint32_t& new_burst,
                     SeqNo sequence) noexcept {
  const int ahead = distance(sequence, SeqNo{static_cast<std::uint16_t>(c.highest_extended)});
  if (ahead > 0) {
    c.highest_extended += static_cast<std::uint32_t>(ahead);
    seen = ahead < 64 ? (seen << ahead) | 1 : 1;
    if (ahead > 1) {
      const auto missing = static_cast<std::uint32_t>(ahead) - 1;
      ++c.loss_bursts;
      c.longest_loss_burst = std::max(c.longest_loss_burst, missing);
      new_burst = std::max(new_burst, missing);
    }
    return;
  }
  const unsigned behind = static_cast<unsigned>(-ahead);
  if (behind < 64 && ((seen >> behind) & 1) != 0) {
    ++c.duplicates;
    return;
  }
  ++c.reordered;
  // Older than the first packet: it came before the one that we took for the first.
  const std::uint32_t extended = c.highest_extended - behind;
  const bool is_first = static_cast<std::int32_t>(extended - c.base_extended) < 0;
  // What was missing is one run less if this was all of it, and two if it stood in its midst.
  if (behind >= 1 && behind < 63) {
    const bool after = ((seen >> (behind - 1)) & 1) != 0;
    const bool before = is_first ? after : ((seen >> (behind + 1)) & 1) != 0;
    if (!is_first && before && after && c.loss_bursts > 0) --c.loss_bursts;
    if (!before && !after) ++c.loss_bursts;
  }
  if (behind < 64) seen |= std::uint64_t{1} << behind;
  if (is_first) c.base_extended = extended;
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
    c.transit = 0;
    c.clock_rate_hz = 0;
    started_ = true;
    resync_ = false;
    bad_sequence_ = kNone;
  } else {
    follow_sequence(c, seen_, new_burst_, rtp.sequence);
  }
  if (c.packets != 0) {
    const auto gap = static_cast<std::uint64_t>((now - c.last_packet).count()) >> 10;
    c.longest_gap_ticks = std::max(c.longest_gap_ticks, static_cast<std::uint32_t>(gap));
  }
  ++c.packets;
  c.bytes += datagram_size;
  c.last_timestamp = rtp.timestamp;
  c.last_payload_type = rtp.payload_type.value;
  c.last_payload_size = static_cast<std::uint16_t>(rtp.payload.size());
  c.last_packet = now;
  c.idle_by_bye = false;
  if (clock_rate_hz == 0) return;
  const auto transit = static_cast<std::int32_t>(transit_of(rtp, clock_rate_hz, now));
  bool restarts = c.clock_rate_hz != clock_rate_hz;
  if (!restarts) {
    // Modulo 2^32, as the timestamp wraps.
    const auto difference = std::abs(static_cast<std::int64_t>(static_cast<std::int32_t>(
        static_cast<std::uint32_t>(transit) - static_cast<std::uint32_t>(c.transit))));
    // A sender that began to count elsewhere was not late.
    restarts = difference > static_cast<std::int64_t>(clock_rate_hz);
    if (!restarts) {
      c.jitter_q4 = static_cast<std::uint32_t>(std::max<std::int64_t>(
          0, static_cast<std::int64_t>(c.jitter_q4) + difference - ((c.jitter_q4 + 8) >> 4)));
      c.jitter_max_q4 = std::max(c.jitter_max_q4, c.jitter_q4);
    }
    c.jitter_sum_q4 += c.jitter_q4;
  }
  if (restarts) {
    c.drift_transit = transit;
    c.drift_since = now;
  }
  c.clock_rate_hz = clock_rate_hz;
  c.transit = transit;
}

void StreamStats::set_state(const State& state) noexcept {
  const SsrcCounters before = std::exchange(counters_, state.counters);
  counters_.g711_packets = before.g711_packets;
  counters_.silent_packets = before.silent_packets;
  counters_.last_audible = before.last_audible;
  counters_.reported_loss = before.reported_loss;
  counters_.has_report = before.has_report;
  counters_.idle_by_bye = before.idle_by_bye && counters_.packets == before.packets;
  seen_ = state.seen;
  new_burst_ = std::max(new_burst_, state.new_burst);
}

void StreamStats::count_g711(bool silent, Instant now) noexcept {
  ++counters_.g711_packets;
  if (silent)
    ++counters_.silent_packets;
  else
    counters_.last_audible = now;
}

void StreamStats::add_quality(const QualitySample& sample) {
  if (!quality_) quality_ = std::make_unique<QualityHistory>();
  quality_->add(sample);
}

}  // namespace ferry
