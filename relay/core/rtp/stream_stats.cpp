// SPDX-License-Identifier: Apache-2.0
// Statistics of a received stream.
//
// Sequence numbers are followed as RFC 3550 app. A.1 does it, with a bitmap of the last 64 numbers instead of
// guesses: it tells a duplicate from a late packet, and a late packet closes its gap again. A number that
// leaps too far is not believed until the next one confirms it (SSR-4); then a new run begins, and the
// packets expected before are kept apart, so that a restart of the sender is no loss.
//
// Jitter follows RFC 3550 app. A.8. The kernel programs do the same calculation, so it uses no division and
// wraps where theirs does.
#include "relay/core/rtp/stream_stats.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace ferry {

namespace {

/// Impairment by delay, Id of G.107, in the piecewise form of Cole and Rosenbluth, "Voice over IP performance
/// monitoring" (2001).
double delay_impairment(Duration one_way, Duration jitter) noexcept {
  // The delay as a talker feels it: the network, twice the jitter for the receiver's buffer, and 10 ms for
  // the codec.
  const double ms =
      static_cast<double>(one_way.count()) / 1e6 + 2.0 * static_cast<double>(jitter.count()) / 1e6 + 10.0;
  return 0.024 * ms + (ms > 177.3 ? 0.11 * (ms - 177.3) : 0.0);
}

/// The MOS of a rating less its impairments (G.107 annex B).
double mos_of(double impairments) noexcept {
  const double r = std::clamp(93.2 - impairments, 0.0, 100.0);
  return 1.0 + 0.035 * r + 7.0e-6 * r * (r - 60.0) * (100.0 - r);
}

}  // namespace

std::int64_t estimate_mos_times_10(Duration one_way, Duration jitter, double loss_percent) noexcept {
  // Ie of G.711 with random losses, in the form of the same paper.
  const double loss_impairment = 30.0 * std::log(1.0 + 15.0 * loss_percent / 100.0);
  const double mos = mos_of(delay_impairment(one_way, jitter) + loss_impairment);
  return std::clamp<std::int64_t>(std::lround(mos * 10.0), 10, 50);
}

double estimate_mos(const QualityFigures& f) noexcept {
  // Ie-eff (G.107 §7.5).
  const double loss = std::clamp(f.loss_percent, 0.0, 100.0);
  const double effective =
      f.equipment_impairment +
      (95.0 - f.equipment_impairment) * loss / (loss / std::max(1.0, f.burst_ratio) + f.loss_robustness);
  return std::max(1.0, mos_of(delay_impairment(f.one_way, f.jitter) + effective));
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
  // Every sample counts in the sums; the progression takes one each 10 s.
  if (progression_size > 0 && sample.at - progression[progression_size - 1u].at < kInterval) return;
  if (progression_size == kProgression) {
    std::move(progression.begin() + 1, progression.end(), progression.begin());
    --progression_size;
  }
  progression[progression_size++] = sample;
}

namespace {

/// The highest clock rate of RTP; for a stream whose clock is not known.
constexpr std::int64_t kHighestClock = 90'000;

/// Arrival minus time stamp, in clock units. Only the low 32 bits of the arrival are used, and scaling
/// replaces a division, because the kernel programs must not divide for each packet.
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

namespace {

/// So many numbers before the first one a packet may have been on its way with it. An older one is of a time
/// that was not counted.
constexpr std::uint32_t kBeforeFirst = 16;
/// So long before the first one the oldest of them was sent, with packets of 100 ms.
constexpr Duration kLedFirst = std::chrono::milliseconds(100) * kBeforeFirst;

}  // namespace

bool StreamStats::is_jump(SeqNo sequence) const noexcept {
  // After a step of 101 back, the confirming number is only 100 back; so it is compared by itself.
  return started_ &&
         (is_sequence_jump(counters_.highest_extended, sequence) || sequence.value == bad_sequence_);
}

bool StreamStats::is_copy(SeqNo sequence, std::uint32_t timestamp, Instant now) const noexcept {
  const SsrcCounters& c = counters_;
  const int behind = -distance(sequence, SeqNo{static_cast<std::uint16_t>(c.highest_extended)});
  if (c.packets == 0 || behind < 0) return false;
  const std::int64_t rate = c.clock_rate_hz != 0 ? c.clock_rate_hz : kHighestClock;
  const auto older = static_cast<std::int32_t>(c.last_timestamp - timestamp);
  // A number before the first one was never counted. It is of this stream if its time stamp is as old as the
  // stream at least, and at most by as much as that many packets of 100 ms last, with a minute of pauses.
  if (static_cast<std::uint64_t>(behind) >= c.expected()) {
    const auto lasted = std::chrono::duration_cast<std::chrono::milliseconds>(c.last_packet - c.first_packet);
    return older >= lasted.count() * rate / 1100 && older <= (behind / 10 + 60) * rate;
  }
  // A sender that starts again chooses any time stamp: half of them are older, but hardly one is of this
  // call. The oldest packets of a call are of a time before the first one came (`kBeforeFirst`).
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - c.first_packet + kLedFirst).count();
  return older >= 0 && older <= (age + 1) * rate;
}

StreamStats::Check StreamStats::check(SeqNo sequence) noexcept {
  if (!started_) return Check::kOk;
  if (!is_jump(sequence)) {
    bad_sequence_ = kNone;
    return Check::kOk;
  }
  if (sequence.value == bad_sequence_) {  // the second packet in sequence: the sender did begin anew
    resync_ = true;
    return Check::kOk;
  }
  bad_sequence_ = static_cast<std::uint16_t>(sequence.value + 1);
  return Check::kJump;
}

void follow_sequence(SsrcCounters& c, std::uint64_t& seen, std::uint32_t& new_burst,
                     SeqNo sequence) noexcept {
  const int ahead = distance(sequence, SeqNo{static_cast<std::uint16_t>(c.highest_extended)});
  // Ahead of everything so far: what lies between is missing for now.
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
  // Seen already: a duplicate. What is too old for the bitmap counts as late.
  if (behind < 64 && ((seen >> behind) & 1) != 0) {
    ++c.duplicates;
    return;
  }
  ++c.reordered;
  // Older than the first packet: it was sent before the one that we took for the first.
  const std::uint32_t extended = c.highest_extended - behind;
  const bool is_first = static_cast<std::int32_t>(extended - c.base_extended) < 0;
  // A late packet changes the runs of missing numbers: it may have been all of one, or stand in the midst of
  // one, which is then two.
  if (behind >= 1 && behind < 63) {
    const bool after = ((seen >> (behind - 1)) & 1) != 0;
    const bool before = is_first ? after : ((seen >> (behind + 1)) & 1) != 0;
    if (!is_first && before && after && c.loss_bursts > 0) --c.loss_bursts;
    if (!before && !after) ++c.loss_bursts;
  }
  if (behind < 64) seen |= std::uint64_t{1} << behind;
  if (is_first && c.base_extended - extended <= kBeforeFirst) c.base_extended = extended;
}

void StreamStats::count(const RtpView& rtp, std::size_t datagram_size, std::uint32_t clock_rate_hz,
                        Instant now) noexcept {
  SsrcCounters& c = counters_;
  // A new run begins, with the first packet or after a confirmed jump.
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
    // A sender that begins anew may also count its time stamps from elsewhere.
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
  // A late packet, or an old one that comes again, does not say what its sender does now: its time stamp is
  // as old as its number. Under a new key, or if the sender began again, the numbers of a stream may be
  // anywhere.
  const bool is_newest = rtp.sequence.value == static_cast<std::uint16_t>(c.highest_extended);
  if (is_newest || is_sequence_jump(c.highest_extended, rtp.sequence) ||
      !is_copy(rtp.sequence, rtp.timestamp, now)) {
    c.last_timestamp = rtp.timestamp;
    c.last_payload_type = rtp.payload_type.value;
    c.last_payload_size = static_cast<std::uint16_t>(rtp.payload.size());
  }
  c.last_packet = now;
  c.idle_by_bye = false;
  if (clock_rate_hz == 0) return;
  const auto transit = static_cast<std::int32_t>(transit_of(rtp, clock_rate_hz, now));
  bool restarts = c.clock_rate_hz != clock_rate_hz;
  if (!restarts) {
    // Modulo 2^32, because the time stamp wraps.
    const auto difference = std::abs(static_cast<std::int64_t>(static_cast<std::int32_t>(
        static_cast<std::uint32_t>(transit) - static_cast<std::uint32_t>(c.transit))));
    // A step of more than a second is no delay: the sender began to count elsewhere.
    restarts = difference > static_cast<std::int64_t>(clock_rate_hz);
    if (!restarts) {
      // RFC 3550 app. A.8, in sixteenths: J += (|D| - J) / 16.
      c.jitter_q4 = static_cast<std::uint32_t>(std::max<std::int64_t>(
          0, static_cast<std::int64_t>(c.jitter_q4) + difference - ((c.jitter_q4 + 8) >> 4)));
      c.jitter_max_q4 = std::max(c.jitter_max_q4, c.jitter_q4);
    }
    c.jitter_sum_q4 += c.jitter_q4;
  }
  if (restarts) {
    // The drift is measured from here, as the transit times before mean nothing any more.
    c.drift_transit = transit;
    c.drift_since = now;
  }
  c.clock_rate_hz = clock_rate_hz;
  c.transit = transit;
}

void StreamStats::set_state(const State& state) noexcept {
  // The kernel does not know what RTCP said, nor how loud the packets were.
  const SsrcCounters before = std::exchange(counters_, state.counters);
  counters_.g711_packets = before.g711_packets;
  counters_.silent_packets = before.silent_packets;
  counters_.last_audible = before.last_audible;
  counters_.reported_loss = before.reported_loss;
  counters_.has_report = before.has_report;
  // A BYE stays only if no packet has come since (RTC-4).
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
