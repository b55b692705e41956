// From which figures on a verdict says that somebody hears badly or nothing: one table for sentences, lists,
// alarms and documents (docs/operations.md). What speech suffers by loss is after ITU-T G.107 with the bursts
// of its §3.5.
#pragma once

#include "control/diagnose/causes.hpp"
#include "relay/base/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ferry {

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
  kNoise,
  kFailures,
  kFailureTime,
  kReportAge,
  kPauseTold,
  kCount,
};

constexpr std::size_t kThresholds = static_cast<std::size_t>(Threshold::kCount);

struct ThresholdRow {
  Threshold threshold;
  std::string_view name;
  double value;
  std::string_view unit;
  /// What happens from there on.
  std::string_view meaning;
};

// clang-format off
inline constexpr std::array<ThresholdRow, kThresholds> kThresholdRows = {{
  {Threshold::kPatience, "patience", 5, "s", "after the last message of signalling; until then a party of which nothing came is waited for, later it is a fault"},
  {Threshold::kRecent, "recent", 5, "s", "what happened longer ago is over and no reason for what is heard now"},
  {Threshold::kHandshakeTime, "handshake-time", 5, "s", "after the last message of signalling; until then ICE and DTLS are waited for, unless something refused them already"},
  {Threshold::kStopped, "stopped", 5, "s", "without media; a sender has then stopped, and a listener to whom nothing leaves hears nothing"},
  {Threshold::kHungUp, "hung-up", 2, "s", "before the call was deleted; who fell silent since then, or closed its ports, has hung up and is not to blame"},
  {Threshold::kComfortPause, "comfort-pause", 60, "s", "without media after comfort noise or a silence descriptor; a pause that lasts longer counts as stopped"},
  {Threshold::kDescriptor, "silence-descriptor", 8, "octets", "of payload at most: such a last packet says that the codec pauses (G.729 annex B, AMR, Opus)"},
  {Threshold::kMute, "mute", 20, "s", "without sound in a stream that had some; the party is then muted"},
  {Threshold::kSoundless, "soundless-packets", 5, "packets", "listened to at least, before a stream counts as one that never had sound"},
  {Threshold::kSoundlessTime, "soundless-time", 5, "s", "of such packets at least, for the same"},
  {Threshold::kMissingNoted, "missing-noted", 2, "%", "of what was spoken to a listener is missing, in the last 10 s or over the whole call: a note"},
  {Threshold::kMissingFault, "missing-fault", 10, "%", "of what was spoken to a listener in the last 10 s is missing: a fault; G.711 with concealment then has a MOS of 3.4 if single packets are lost, and 3.0 if five are lost in a row"},
  {Threshold::kMosFault, "mos-fault", 2.6, "MOS", "of the last 10 s (G.107 with bursts); below it, with packets missing, nearly all users are dissatisfied (R of 50): a fault"},
  {Threshold::kHole, "hole", 200, "ms", "in a stream, about a syllable: packets missing in a row, or a stream that stands still and did not say that it pauses: a note"},
  {Threshold::kJitter, "jitter", 50, "ms", "mean of the last 10 s (RFC 3550); above it the buffers of many phones throw packets away: a note"},
  {Threshold::kEnough, "enough", 50, "packets", "spoken in the last 10 s at least, before a share of them is a fault"},
  {Threshold::kNoise, "noise", 20, "packets", "of which a single refused one is no fault"},
  {Threshold::kFailures, "failures", 3, "errors", "of one kind at least, before a party counts as one that cannot be reached"},
  {Threshold::kFailureTime, "failure-time", 3, "s", "of ICMP errors; before that they are a note, as a phone that hangs up causes them, too"},
  {Threshold::kReportAge, "report-age", 15, "s", "what a listener reported by RTCP longer ago says nothing about now"},
  {Threshold::kPauseTold, "pause-told", 60, "s", "after a pause of the relay; as long verdicts tell of it, as operators ask some time later"},
}};
// clang-format on

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

/// A row whose unit is "s" or "ms" as a time, and any other as a count.
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
inline constexpr std::uint64_t kNoise = count_of(Threshold::kNoise);
inline constexpr unsigned kFailures = count_of(Threshold::kFailures);
inline constexpr Duration kFailureTime = time_of(Threshold::kFailureTime);
inline constexpr Duration kReportAge = time_of(Threshold::kReportAge);
inline constexpr Duration kPauseTold = time_of(Threshold::kPauseTold);

/// Payload type of comfort noise (RFC 3389).
inline constexpr std::uint8_t kComfortNoise = 13;

/// What was heard of what was spoken: of a listener, what he got; of a sender, what came from him.
struct EarFigures {
  /// The time that figures of the last seconds are of; zero: nothing is known of them.
  Duration span{0};
  /// Packets of that time that were to be heard, and those of them that did not get there.
  double spoken = 0;
  double missing = 0;
  /// Percent missing over the whole call.
  double missing_of_call = 0;
  /// Longest hole of the last seconds.
  Duration hole{0};
  /// Mean jitter of the last seconds; zero if the clock of the stream is not known.
  Duration jitter{0};
  /// Of the last seconds; nothing if the media is no speech, or too little of it was spoken.
  std::optional<double> mos{};

  /// Percent, of the last seconds.
  [[nodiscard]] constexpr double missing_percent() const noexcept {
    return spoken <= 0 ? 0.0 : 100.0 * missing / spoken;
  }
};

/// How badly that is heard. Jitter alone is never a fault: a large buffer takes it.
constexpr Severity grade(const EarFigures& ear) noexcept {
  const double missing = ear.missing_percent();
  const bool is_noted = missing >= kLossyPercent;
  const bool is_hard = missing >= kBrokenUpPercent || (is_noted && ear.mos && *ear.mos < kBrokenUpMos);
  if (is_hard && ear.spoken >= static_cast<double>(kEnough)) return Severity::kFault;
  const bool is_uneven = ear.hole >= kHole || ear.jitter > kLossyJitter;
  return is_noted || is_uneven || ear.missing_of_call >= kLossyPercent ? Severity::kNote : Severity::kFine;
}

}  // namespace ferry
