// SPDX-License-Identifier: Apache-2.0
// Statistics of one received SSRC: loss, reordering, duplicates and jitter (RFC 3550 app. A), and what its
// owner reports by RTCP.
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/evidence/marks.hpp"
#include "relay/core/rtp/rtp.hpp"
#include "relay/core/rtp/ssrc_counters.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

namespace ferry {

/// One quality sample. The units are those of the NG query reply.
struct QualitySample {
  /// Mean opinion score (MOS) times 10.
  std::int64_t mos_times_10 = 0;
  /// Round trip over both legs.
  std::int64_t round_trip_us = 0;
  /// Round trip between this relay and the reporter.
  std::int64_t round_trip_leg_us = 0;
  std::int64_t jitter_ms = 0;
  /// Loss since the report before, 0 to 100.
  std::int64_t loss_percent = 0;
  /// When the report came.
  Instant at{};

  bool operator==(const QualitySample&) const = default;
};

/// The quality samples of one SSRC: sums for the average, extremes by MOS, and a short progression.
struct QualityHistory {
  /// Samples kept in the progression.
  static constexpr std::size_t kProgression = 10;
  /// Time between two of them.
  static constexpr Duration kInterval = std::chrono::seconds(10);

  std::int64_t samples = 0;
  /// Sum of all samples, for averages.
  QualitySample sum;
  /// The sample with the lowest MOS.
  QualitySample lowest;
  /// The sample with the highest MOS.
  QualitySample highest;
  /// The newest samples, at least `kInterval` apart; the oldest comes first.
  std::array<QualitySample, kProgression> progression{};
  std::uint8_t progression_size = 0;

  /// Adds a sample to sums, extremes and, at most every 10 s, to the progression.
  void add(const QualitySample& sample) noexcept;
  bool operator==(const QualityHistory&) const = default;
};

/// Estimates the MOS times 10 from delay, jitter and loss: the simplified E-model (ITU-T G.107 with default
/// values). `one_way` is from mouth to ear without jitter buffer, `jitter` as in RFC 3550, `loss_percent` 0
/// to 100.
std::int64_t estimate_mos_times_10(Duration one_way, Duration jitter, double loss_percent) noexcept;

/// Inputs of the E-model for one direction (ITU-T G.107; everything else has its default value).
struct QualityFigures {
  /// Delay from mouth to ear without the receiver's jitter buffer.
  Duration one_way{0};
  /// Interarrival jitter (RFC 3550).
  Duration jitter{0};
  /// Share of lost packets, 0 to 100.
  double loss_percent = 0;
  /// Burstiness of losses, as `SsrcCounters::burst_ratio`; 1 = random.
  double burst_ratio = 1;
  /// Ie and Bpl of the codec (ITU-T G.113 appendix I). The default is G.711 with packet loss concealment.
  double equipment_impairment = 0;
  double loss_robustness = 25.1;
};
/// Estimates the MOS, 1 to 4.5 (ITU-T G.107).
double estimate_mos(const QualityFigures& figures) noexcept;

/// Clock units in 64 ns, times 2^32. It replaces a division for each packet.
constexpr std::uint64_t clock_scale(std::uint32_t clock_rate_hz) noexcept {
  return (std::uint64_t{clock_rate_hz} << 38) / 1'000'000'000;
}

/// True if the number is too far from the highest one to belong to the same run (SSR-4).
[[nodiscard]] constexpr bool is_sequence_jump(std::uint32_t highest_extended, SeqNo sequence) noexcept {
  const int ahead = distance(sequence, SeqNo{static_cast<std::uint16_t>(highest_extended)});
  return ahead >= 3000 || ahead < -100;
}

/// Counts the number of a packet that is no jump: what is missing, late or duplicate.
///
/// `seen`       bit n is set if the packet with number highest - n was received; updated.
/// `new_burst`  grows to the length of a run of missing numbers, if this packet shows one.
void follow_sequence(SsrcCounters& counters, std::uint64_t& seen, std::uint32_t& new_burst,
                     SeqNo sequence) noexcept;

/// Sequence check and statistics of one SSRC from one source. Owned by a worker.
class StreamStats {
 public:
  enum class Check : std::uint8_t { kOk, kJump };

  /// Everything that counting needs between two packets of an undisturbed stream. The kernel works on the
  /// same values.
  struct State {
    SsrcCounters counters;
    /// Bit n is set if the packet with number highest - n was received.
    std::uint64_t seen = 0;
    /// Longest run of missing numbers that appeared since the last mark or reading.
    std::uint32_t new_burst = 0;
    bool operator==(const State&) const = default;
  };
  /// True if the number is too far from the highest one to belong to the same run, or if it would confirm
  /// that the sender began a new run (SSR-4). Changes nothing.
  [[nodiscard]] bool is_jump(SeqNo sequence) const noexcept;
  /// True if a jump waits for its confirmation or nothing was counted yet. Such a stream has no `state` and
  /// cannot be handed over.
  [[nodiscard]] bool is_disturbed() const noexcept { return !started_ || resync_ || bad_sequence_ != kNone; }
  [[nodiscard]] State state() const noexcept { return {counters_, seen_, new_burst_}; }
  /// Goes on with what the kernel counted. What RTCP said, how loud the packets were, and the marks are only
  /// counted here; they stay.
  void set_state(const State& state) noexcept;

  StreamStats() = default;
  /// Goes on with exported counts.
  explicit StreamStats(const SsrcCounters& counters) : counters_(counters), started_(counters.packets > 0) {}

  /// Checks the number of a packet before it is counted. A jump of 3,000 or more ahead, or of more than 100
  /// behind, is refused until two packets in sequence confirm it (SSR-4).
  [[nodiscard]] Check check(SeqNo sequence) noexcept;
  /// True if a packet with this number and time stamp was there before: the number went by, and the time
  /// stamp is one of the stream's past. A sender that counts anew has new time stamps with old numbers.
  [[nodiscard]] bool is_copy(SeqNo sequence, std::uint32_t timestamp, Instant now) const noexcept;
  /// Counts a packet that passed `check`. `clock_rate_hz` 0 = unknown; its jitter is then not measured.
  void count(const RtpView& rtp, std::size_t datagram_size, std::uint32_t clock_rate_hz,
             Instant now) noexcept;
  /// Counts the loudness of a packet.
  void count_g711(bool silent, Instant now) noexcept;
  /// How much later this packet came than the packets of the stream usually do, by its time stamp. Nothing if
  /// the clock of the stream is unknown.
  [[nodiscard]] std::optional<Duration> lateness(const RtpView& rtp, std::uint32_t clock_rate_hz,
                                                 Instant now) const noexcept;

  [[nodiscard]] const SsrcCounters& counters() const noexcept { return counters_; }
  SsrcCounters& counters() noexcept { return counters_; }

  /// Keeps the present counts as the newest mark of `times`.
  void mark(const MarkTimes& times) noexcept {
    marks_.mark(counters_, new_burst_, times);
    new_burst_ = 0;
  }
  /// Growth of the counts since the oldest mark, until `now`.
  [[nodiscard]] RecentStream recent(const MarkTimes& times, Instant now) const noexcept {
    return marks_.recent(counters_, new_burst_, times, now);
  }
  /// Octets of the marks on the heap.
  [[nodiscard]] std::size_t footprint() const noexcept { return marks_.footprint(); }

  /// The quality samples; null until the owner's RTCP gave one.
  [[nodiscard]] const QualityHistory* quality() const noexcept { return quality_.get(); }
  /// Adds a quality sample; may throw std::bad_alloc.
  void add_quality(const QualitySample& sample);
  /// Takes over an exported quality history.
  void restore_quality(const QualityHistory& history) {
    quality_ = std::make_unique<QualityHistory>(history);
  }

 private:
  SsrcCounters counters_;
  std::unique_ptr<QualityHistory> quality_;
  StreamMarks marks_;
  /// Bitmap of received numbers, as in `State`.
  std::uint64_t seen_ = 0;
  std::uint32_t new_burst_ = 0;
  /// The number that would confirm a jump; kNone if none is waited for.
  std::uint32_t bad_sequence_ = kNone;
  /// Something was counted.
  bool started_ = false;
  /// The next packet to be counted begins a new run.
  bool resync_ = false;
  static constexpr std::uint32_t kNone = 0x10000;
};

}  // namespace ferry
