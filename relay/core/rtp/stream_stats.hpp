// What one SSRC did: loss, reordering, duplicates, jitter (RFC 3550 app. A), and what its owner reports by
// RTCP.
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/evidence/marks.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

namespace ferry {

/// One quality sample. Units as in the NG query reply.
struct QualitySample {
  std::int64_t mos_times_10 = 0;
  std::int64_t round_trip_us = 0;
  std::int64_t round_trip_leg_us = 0;
  std::int64_t jitter_ms = 0;
  std::int64_t loss_percent = 0;
  /// Monotonic time of the report.
  Instant at{};

  bool operator==(const QualitySample&) const = default;
};

/// Samples of one SSRC: sums for the average, extremes, and a short progression.
struct QualityHistory {
  static constexpr std::size_t kProgression = 10;
  static constexpr Duration kInterval = std::chrono::seconds(10);

  std::int64_t samples = 0;
  QualitySample sum;
  QualitySample lowest;
  QualitySample highest;
  std::array<QualitySample, kProgression> progression{};
  std::uint8_t progression_size = 0;

  void add(const QualitySample& sample) noexcept;
  bool operator==(const QualityHistory&) const = default;
};

/// MOS times 10 from delay, jitter and loss: the simplified E-model (ITU-T G.107 with default values).
/// `one_way` is mouth to ear without jitter buffer, `jitter` as in RFC 3550, `loss_percent` 0..100.
std::int64_t estimate_mos_times_10(Duration one_way, Duration jitter, double loss_percent) noexcept;

/// What the E-model needs to know of one direction (ITU-T G.107 with its default values for all else).
struct QualityFigures {
  /// Mouth to ear without the receiver's buffer.
  Duration one_way{0};
  Duration jitter{0};  // RFC 3550
  double loss_percent = 0;
  double burst_ratio = 1;
  /// Of the codec, as ITU-T G.113 appendix I has them: G.711 with concealment.
  double equipment_impairment = 0;
  double loss_robustness = 25.1;
};
/// MOS, 1 to 4.5.
double estimate_mos(const QualityFigures& figures) noexcept;

/// Plain values; copied whole for export and query.
struct SsrcCounters {
  Ssrc ssrc;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  /// Extended highest sequence number: cycles * 65536 + sequence, starting with cycle 0 at the first packet.
  std::uint32_t base_extended = 0;
  std::uint32_t highest_extended = 0;
  std::uint32_t last_timestamp = 0;
  std::uint32_t duplicates = 0;
  std::uint32_t reordered = 0;
  /// Times the sequence was restarted by the sender (SSR-4 confirmed).
  std::uint32_t resets = 0;
  /// Packets expected in segments before the last reset.
  std::uint64_t expected_before_reset = 0;
  std::uint32_t jitter_q4 = 0;  // RFC 3550 app. A.8: jitter in clock units, times 16
  std::uint32_t clock_rate_hz = 0;
  std::uint32_t jitter_max_q4 = 0;
  std::uint32_t longest_gap_ticks = 0;  // of 1,024 ns, between two packets
  std::uint64_t jitter_sum_q4 = 0;      // of its value at each packet but the first
  /// Arrival minus timestamp of the last packet, in clock units, modulo 2^32.
  std::int32_t transit = 0;
  /// The same when the measurement of the sender's clock began, and when that was.
  std::int32_t drift_transit = 0;
  Instant drift_since{};
  /// Runs of missing sequence numbers, and the longest when it appeared.
  std::uint32_t loss_bursts = 0;
  std::uint32_t longest_loss_burst = 0;
  /// Packets whose loudness was looked at, and those below hearing. Of streams in the kernel one of many.
  std::uint64_t g711_packets = 0;
  std::uint64_t silent_packets = 0;
  Instant last_audible{};
  std::uint8_t last_payload_type = 0;
  /// Octets of payload, without padding, of the newest packet. Set where a stream arrives; 0 = none yet.
  std::uint16_t last_payload_size = 0;
  bool idle_by_bye = false;
  Instant first_packet{};
  Instant last_packet{};
  // What this SSRC's owner reported about what it receives (RTCP SR/RR).
  std::int64_t reported_loss = 0;
  bool has_report = false;

  [[nodiscard]] std::uint64_t expected() const noexcept {
    return packets == 0 ? 0 : expected_before_reset + (highest_extended - base_extended) + 1;
  }
  /// Never negative: duplicates are taken out first (RFC 3550 app. A.3 without its negative case).
  [[nodiscard]] std::uint64_t lost() const noexcept {
    const std::uint64_t unique = packets - duplicates;
    return expected() > unique ? expected() - unique : 0;
  }
  [[nodiscard]] Duration jitter() const noexcept {
    return clock_rate_hz == 0
               ? Duration{0}
               : Duration{static_cast<std::int64_t>(jitter_q4) * 1'000'000'000 / 16 / clock_rate_hz};
  }
  [[nodiscard]] Duration longest_gap() const noexcept {
    return Duration{static_cast<std::int64_t>(longest_gap_ticks) << 10};
  }
  [[nodiscard]] double loss_percent() const noexcept {
    const std::uint64_t all = expected();
    return all == 0 ? 0.0 : 100.0 * static_cast<double>(lost()) / static_cast<double>(all);
  }
  /// How much longer losses last than single random ones would (ITU-T G.107 §3.5, BurstR). 1 = random.
  [[nodiscard]] double burst_ratio() const noexcept;
  /// The sender's clock against ours, parts per million; positive: the sender is slow. `error_ppm` is how far
  /// off that may be, by the jitter of the stream; nothing can be said if there was no time to measure.
  struct Drift {
    double ppm = 0;
    double error_ppm = 0;
  };
  [[nodiscard]] std::optional<Drift> drift() const noexcept;
  bool operator==(const SsrcCounters&) const = default;
};

/// Clock units in 64 ns, times 2^32.
constexpr std::uint64_t clock_scale(std::uint32_t clock_rate_hz) noexcept {
  return (std::uint64_t{clock_rate_hz} << 38) / 1'000'000'000;
}

/// The number is too far from the highest one to be of the same run (SSR-4).
[[nodiscard]] constexpr bool is_sequence_jump(std::uint32_t highest_extended, SeqNo sequence) noexcept {
  const int ahead = distance(sequence, SeqNo{static_cast<std::uint16_t>(highest_extended)});
  return ahead >= 3000 || ahead < -100;
}

/// Takes the number of a packet, which is no jump, into the counts of its stream: what is missing, late or
/// there twice. `seen`: bit n says that highest - n was received. `new_burst` becomes the longest run of
/// missing numbers if this is one.
void follow_sequence(SsrcCounters& counters, std::uint64_t& seen, std::uint32_t& new_burst,
                     SeqNo sequence) noexcept;

/// Sequence check and statistics of one SSRC from one source. Owned by a worker.
class StreamStats {
 public:
  enum class Check : std::uint8_t { kOk, kJump };

  /// Everything that counting needs, between two packets of an undisturbed stream.
  struct State {
    SsrcCounters counters;
    /// Bit n: highest - n was received.
    std::uint64_t seen = 0;
    /// Longest run of missing numbers that appeared since the last mark or reading.
    std::uint32_t new_burst = 0;
    bool operator==(const State&) const = default;
  };
  /// The number is too far from the highest one to be of the same run, or it would confirm that the run of
  /// the packet before, which was refused as a jump, is the one that counts (SSR-4). Nothing changes by
  /// asking.
  [[nodiscard]] bool is_jump(SeqNo sequence) const noexcept;
  /// A jump waits for its confirmation or nothing was counted yet: such a stream has no `state`.
  [[nodiscard]] bool is_disturbed() const noexcept { return !started_ || resync_ || bad_sequence_ != kNone; }
  [[nodiscard]] State state() const noexcept { return {counters_, seen_, new_burst_}; }
  /// Goes on with what somebody else counted in the meantime. What RTCP said and how loud the packets were
  /// counts only here, and stays; so do the marks.
  void set_state(const State& state) noexcept;

  StreamStats() = default;
  explicit StreamStats(const SsrcCounters& counters) : counters_(counters), started_(counters.packets > 0) {}

  /// SSR-4: a jump of 3000 or more ahead or over 100 behind is refused until two consecutive packets confirm
  /// it.
  [[nodiscard]] Check check(SeqNo sequence) noexcept;
  /// Counts a packet that passed `check`. `clock_rate_hz` 0 = unknown, then no jitter.
  void count(const RtpView& rtp, std::size_t datagram_size, std::uint32_t clock_rate_hz,
             Instant now) noexcept;
  void count_g711(bool silent, Instant now) noexcept;
  /// How much later than the stream's packets usually do this one came, by its time stamp; nothing if the
  /// stream has not told its clock.
  [[nodiscard]] std::optional<Duration> lateness(const RtpView& rtp, std::uint32_t clock_rate_hz,
                                                 Instant now) const noexcept;

  [[nodiscard]] const SsrcCounters& counters() const noexcept { return counters_; }
  SsrcCounters& counters() noexcept { return counters_; }

  /// Keeps the counts of now as the newest mark of `times`.
  void mark(const MarkTimes& times) noexcept {
    marks_.mark(counters_, new_burst_, times);
    new_burst_ = 0;
  }
  /// What happened since the oldest mark.
  [[nodiscard]] RecentStream recent(const MarkTimes& times, Instant now) const noexcept {
    return marks_.recent(counters_, new_burst_, times, now);
  }
  /// Octets of the marks on the heap.
  [[nodiscard]] std::size_t footprint() const noexcept { return marks_.footprint(); }

  /// Null until the owner's RTCP gave a sample.
  [[nodiscard]] const QualityHistory* quality() const noexcept { return quality_.get(); }
  void add_quality(const QualitySample& sample);
  void restore_quality(const QualityHistory& history) {
    quality_ = std::make_unique<QualityHistory>(history);
  }

 private:
  SsrcCounters counters_;
  std::unique_ptr<QualityHistory> quality_;
  StreamMarks marks_;
  std::uint64_t seen_ = 0;  // as in State
  std::uint32_t new_burst_ = 0;
  std::uint32_t bad_sequence_ = kNone;  // that would confirm a jump
  bool started_ = false;
  bool resync_ = false;
  static constexpr std::uint32_t kNone = 0x10000;
};

}  // namespace ferry
