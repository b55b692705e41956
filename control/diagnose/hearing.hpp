// SPDX-License-Identifier: Apache-2.0
// The figures from which a verdict says that a listener hears badly or nothing. One table serves sentences,
// lists, alarms and documents (docs/operations.md). The MOS follows ITU-T G.107 (E-model), with the bursts of
// its §3.5.
#pragma once

#include "control/diagnose/causes.hpp"
#include "relay/base/types.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ferry {

/// A threshold of the judges. `kThresholdRows` explains each value.
enum class Threshold : std::uint8_t {
  kPatience,
  kRecent,
  kHandshakeTime,
  kStopped,
  kHungUp,
  kComfortPause,
  kDescriptor,
  kMute,
  kSoundless,
  kSoundlessTime,
  kMissingNoted,
  kMissingFault,
  kMosFault,
  kHole,
  kJitter,
  kEnough,
  kFailures,
  kFailureTime,
  kReportAge,
  kPauseTold,
  kCount,
};

constexpr std::size_t kThresholds = static_cast<std::size_t>(Threshold::kCount);

/// One threshold with its texts for documents.
struct ThresholdRow {
  Threshold threshold;
  std::string_view name;
  double value;
  std::string_view unit;
  /// A sentence in which "so long" or "so many" stands for the value.
  std::string_view meaning;
};

// clang-format off
inline constexpr std::array<ThresholdRow, kThresholds> kThresholdRows = {{
  {Threshold::kPatience, "patience", 5, "s", "so long after the last message of signalling the relay waits for a party from which nothing came; later it is a fault"},
  {Threshold::kRecent, "recent", 5, "s", "what happened longer ago is over, and is no reason for what a listener hears now"},
  {Threshold::kHandshakeTime, "handshake-time", 5, "s", "so long after the last message of signalling the relay waits for ICE and DTLS, unless a check or a certificate was refused"},
  {Threshold::kStopped, "stopped", 5, "s", "without media for so long, a sender has stopped; a listener to which nothing leaves for so long hears nothing"},
  {Threshold::kHungUp, "hung-up", 2, "s", "a party that fell silent or closed its ports so shortly before the call was deleted has hung up, and is not to blame"},
  {Threshold::kComfortPause, "comfort-pause", 60, "s", "a longer pause after comfort noise or a silence descriptor counts as stopped, unless RTCP of the party goes on"},
  {Threshold::kDescriptor, "silence-descriptor", 8, "octets", "if the last packet has at most so much payload, it says that the codec pauses (G.729 annex B, AMR, Opus)"},
  {Threshold::kMute, "mute", 20, "s", "if a stream that had sound has none for so long, the party is muted"},
  {Threshold::kSoundless, "soundless-packets", 5, "packets", "the relay listens to so many packets at least before it says that a stream never had sound"},
  {Threshold::kSoundlessTime, "soundless-time", 5, "s", "these packets are of so long a time at least"},
  {Threshold::kMissingNoted, "missing-noted", 2, "%", "if a listener misses so much of what was spoken to it, in the last 10 s or over the whole call: a note"},
  {Threshold::kMissingFault, "missing-fault", 10, "%", "if a listener misses so much of what was spoken to it in the last 10 s: a fault. G.711 with concealment then has a MOS of 3.4 (single packets lost) or 3.0 (five lost in a row)"},
  {Threshold::kMosFault, "mos-fault", 2.6, "MOS", "if packets are missing and the MOS of the last 10 s (G.107 with bursts) is lower: a fault; nearly all users are dissatisfied (R of 50)"},
  {Threshold::kHole, "hole", 200, "ms", "if so much is missing in a row (about a syllable), or a stream stands still so long and did not say that it pauses: a note"},
  {Threshold::kJitter, "jitter", 50, "ms", "if the mean jitter of the last 10 s (RFC 3550) is higher: a note; the buffers of many phones throw packets away"},
  {Threshold::kEnough, "enough", 50, "packets", "so many packets at least have to be spoken in the last 10 s before a missing share of them is a fault"},
  {Threshold::kFailures, "failures", 3, "errors", "so many errors of one kind at least have to come before a party counts as unreachable, and so many refused packets in the last 10 s before they are all that a party sends"},
  {Threshold::kFailureTime, "failure-time", 3, "s", "ICMP errors that have come for a shorter time are a note, as a phone that hangs up causes them, too"},
  {Threshold::kReportAge, "report-age", 15, "s", "what a listener reported by RTCP longer ago says nothing about now"},
  {Threshold::kPauseTold, "pause-told", 60, "s", "so long after a pause of the relay verdicts tell of it, as operators ask some time later"},
}};
// clang-format on

/// The row of a threshold.
constexpr const ThresholdRow& row_of(Threshold threshold) noexcept {
  return kThresholdRows[static_cast<std::size_t>(threshold)];
}

static_assert(
    [] {
      for (std::size_t i = 0; i < kThresholds; ++i) {
        if (static_cast<std::size_t>(kThresholdRows[i].threshold) != i) return false;
      }
      return true;
    }(),
    "rows are in the order of the enum");

/// The value of a row in "s" or "ms" as a time, and of any other row as a count.
constexpr Duration time_of(Threshold threshold) noexcept {
  const ThresholdRow& row = row_of(threshold);
  return Duration{static_cast<Duration::rep>(row.value * (row.unit == "ms" ? 1e6 : 1e9))};
}
constexpr std::uint32_t count_of(Threshold threshold) noexcept {
  return static_cast<std::uint32_t>(row_of(threshold).value);
}

inline constexpr Duration kPatience = time_of(Threshold::kPatience);
inline constexpr Duration kRecent = time_of(Threshold::kRecent);
inline constexpr Duration kHandshakeTime = time_of(Threshold::kHandshakeTime);
inline constexpr Duration kStoppedAfter = time_of(Threshold::kStopped);
inline constexpr Duration kHungUp = time_of(Threshold::kHungUp);
inline constexpr Duration kComfortPause = time_of(Threshold::kComfortPause);
inline constexpr std::uint32_t kDescriptor = count_of(Threshold::kDescriptor);
inline constexpr Duration kMute = time_of(Threshold::kMute);
inline constexpr std::uint64_t kSoundless = count_of(Threshold::kSoundless);
inline constexpr Duration kSoundlessTime = time_of(Threshold::kSoundlessTime);
inline constexpr double kLossyPercent = row_of(Threshold::kMissingNoted).value;
inline constexpr double kBrokenUpPercent = row_of(Threshold::kMissingFault).value;
inline constexpr double kBrokenUpMos = row_of(Threshold::kMosFault).value;
inline constexpr Duration kHole = time_of(Threshold::kHole);
inline constexpr Duration kLossyJitter = time_of(Threshold::kJitter);
inline constexpr std::uint64_t kEnough = count_of(Threshold::kEnough);
inline constexpr unsigned kFailures = count_of(Threshold::kFailures);
inline constexpr Duration kFailureTime = time_of(Threshold::kFailureTime);
inline constexpr Duration kReportAge = time_of(Threshold::kReportAge);
inline constexpr Duration kPauseTold = time_of(Threshold::kPauseTold);

/// This many packets may have come and not left when the counts are read.
inline constexpr double kPacketsUnderWay = 5;

/// The duration in seconds, with fractions.
inline double seconds_of(Duration time) { return std::chrono::duration<double>(time).count(); }

/// How much of what was spoken arrived, and how evenly. The figures of a listener say what the listener got;
/// those of a sender say what came from it to the relay.
struct EarFigures {
  /// Length of the last seconds that figures are about; zero = nothing is known of them.
  Duration span{0};
  /// Packets of these seconds that were to be heard, and those of them that did not arrive.
  double spoken = 0;
  double missing = 0;
  /// Percent that is missing over the whole call.
  double missing_of_call = 0;
  /// Longest hole in these seconds.
  Duration hole{0};
  /// Mean jitter in these seconds; zero if the clock rate of the stream is not known.
  Duration jitter{0};
  /// MOS of these seconds; unset if the media is no speech, or too little was spoken.
  std::optional<double> mos{};

  /// Percent that is missing in these seconds.
  [[nodiscard]] constexpr double missing_percent() const noexcept {
    return spoken <= 0 ? 0.0 : 100.0 * missing / spoken;
  }
};

/// Grades figures for a listener. Jitter alone is never a fault, because a large buffer takes it.
constexpr Severity grade(const EarFigures& ear) noexcept {
  const double missing = ear.missing_percent();
  const bool is_noted = missing >= kLossyPercent;
  const bool is_hard = missing >= kBrokenUpPercent || (is_noted && ear.mos && *ear.mos < kBrokenUpMos);
  if (is_hard && ear.spoken >= static_cast<double>(kEnough)) return Severity::kFault;
  const bool is_uneven = ear.hole >= kHole || ear.jitter > kLossyJitter;
  return is_noted || is_uneven || ear.missing_of_call >= kLossyPercent ? Severity::kNote : Severity::kFine;
}

}  // namespace ferry
