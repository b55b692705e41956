// SPDX-License-Identifier: Apache-2.0
// Figures of the last ten seconds, as plain values for explanations. The worker marks the counts of each
// transport every two seconds; packets do nothing for it.
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/forward/drop_reason.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ferry {

/// Time between two marks of a transport, and how many are kept. Together they cover the last 10 to 12 s.
constexpr Duration kMarkInterval = std::chrono::seconds(2);
constexpr std::size_t kMarks = 6;
/// The time that is meant by "the last 10 s".
constexpr Duration kRecentTime = kMarkInterval * (kMarks - 1);

/// Counts of a stream at one moment. They wrap at 2^32, which leaves differences right.
struct StreamMark {
  std::uint32_t packets = 0;
  /// Octets of UDP payload.
  std::uint32_t bytes = 0;
  /// Packets that should have come, by their numbers.
  std::uint32_t expected = 0;
  std::uint32_t duplicates = 0;
  std::uint32_t reordered = 0;
  /// Runs of missing numbers.
  std::uint32_t loss_bursts = 0;
  /// How often the sender began its sequence anew.
  std::uint32_t resets = 0;
  /// Sum of the jitter at each packet, in clock units times 16.
  std::uint32_t jitter_sum_q4 = 0;
  bool operator==(const StreamMark&) const = default;
};

/// Figures of one stream since the oldest mark that is kept.
struct RecentStream {
  /// How long the time is that `counts` cover; zero if nothing is known of the last seconds.
  Duration span{0};
  /// Growth during that time.
  StreamMark counts;
  /// Mean jitter; zero if the clock of the stream is unknown.
  Duration jitter{0};
  /// Longest run of missing numbers in that time, in packets.
  std::uint32_t longest_burst = 0;

  /// Packets without duplicates.
  [[nodiscard]] std::uint32_t unique() const noexcept {
    return counts.packets > counts.duplicates ? counts.packets - counts.duplicates : 0;
  }
  /// Packets that are missing.
  [[nodiscard]] std::uint32_t lost() const noexcept {
    return counts.expected > unique() ? counts.expected - unique() : 0;
  }
  /// Share of missing packets, 0 to 100.
  [[nodiscard]] double loss_percent() const noexcept {
    return counts.expected == 0 ? 0.0 : 100.0 * lost() / counts.expected;
  }
  bool operator==(const RecentStream&) const = default;
};

/// Side on which a packet was dropped: when it came from the transport's party, or on its way out to that
/// party.
enum class DropSide : std::uint8_t { kArriving, kLeaving };

/// A fact about dropped packets beside the reason.
enum class DropTrait : std::uint8_t {
  kForeign,  // came from another address than the party's, or was RTCP
  kCopy,     // was there before, with the same number and an old time stamp: nothing is missing with it
  kInGap,    // its number is one of those that are missing in the stream, and is counted as lost there
};

/// Drops of one transport since the oldest mark that is kept. Most transports have none, so it has a line for
/// each that occurred: a snapshot stays small, and views add up in no time.
struct RecentDrops {
  /// How long that time is.
  Duration span{0};

  /// Drops of one side for one reason.
  [[nodiscard]] std::uint32_t of(DropSide side, DropReason reason) const noexcept {
    return at(side, reason, std::nullopt);
  }
  /// Those of them that have a trait. `kInGap` is not told by reason: all of them are under kNone.
  [[nodiscard]] std::uint32_t of(DropSide side, DropReason reason, DropTrait trait) const noexcept {
    return at(side, reason, trait);
  }
  /// Drops of one side for all reasons together.
  [[nodiscard]] std::uint64_t total(DropSide side) const noexcept {
    std::uint64_t sum = 0;
    for (const Line& line : lines_) sum += line.side == side && !line.trait ? line.times : 0;
    return sum;
  }
  /// Adds `times` drops; with a trait, those of the drops that have it. Allocates for a line that is new.
  void add(DropSide side, DropReason reason, std::uint32_t times,
           std::optional<DropTrait> trait = std::nullopt) {
    if (times == 0) return;
    for (Line& line : lines_) {
      if (line.side != side || line.reason != reason || line.trait != trait) continue;
      line.times += times;
      return;
    }
    lines_.push_back({side, reason, trait, times});
  }
  /// Adds the drops of `other`; the time is that of the longer one.
  RecentDrops& operator+=(const RecentDrops& other) {
    span = std::max(span, other.span);
    for (const Line& line : other.lines_) add(line.side, line.reason, line.times, line.trait);
    return *this;
  }
  bool operator==(const RecentDrops&) const = default;

 private:
  struct Line {
    DropSide side;
    DropReason reason;
    std::optional<DropTrait> trait;
    std::uint32_t times = 0;
    bool operator==(const Line&) const = default;
  };
  [[nodiscard]] std::uint32_t at(DropSide side, DropReason reason,
                                 std::optional<DropTrait> trait) const noexcept {
    for (const Line& line : lines_) {
      if (line.side == side && line.reason == reason && line.trait == trait) return line.times;
    }
    return 0;
  }

  std::vector<Line> lines_;
};

/// Report of a party by RTCP (RFC 3550 §6.4) about one stream that it is sent.
struct ListenerReport {
  Ssrc about;
  /// From the newest report: packets lost since the report before it, in 256ths, and since the stream began.
  std::uint8_t fraction_lost = 0;
  std::int32_t cumulative_lost = 0;
  /// Highest sequence number that the party received; the upper 16 bits count wrap-arounds.
  std::uint32_t highest_extended = 0;
  /// Interarrival jitter in clock units of the stream.
  std::uint32_t jitter = 0;
  /// `highest_extended` of the report before. It means something only if `earlier.at` is set.
  std::uint32_t highest_before = 0;
  /// When the newest report came.
  Instant at{};
  /// Packets of the stream that never left here, since it began: at this report, and at the one before.
  std::uint32_t lost_here = 0;
  std::uint32_t lost_here_before = 0;
  /// The newest report that is at least ten seconds older than the newest one; else the oldest that is known.
  /// `at` is `Instant{}` if there was only one report.
  struct Earlier {
    std::int32_t cumulative_lost = 0;
    std::uint32_t highest_extended = 0;
    Instant at{};
    std::uint32_t lost_here = 0;
    bool operator==(const Earlier&) const = default;
  };
  Earlier earlier;

  /// Share of packets that the party missed between the two reports, 0 to 100. With only one report, what
  /// that says.
  [[nodiscard]] double recent_loss_percent() const noexcept {
    if (earlier.at == Instant{} || highest_extended == earlier.highest_extended)
      return 100.0 * fraction_lost / 256.0;
    const double expected = highest_extended - earlier.highest_extended;
    const double lost = cumulative_lost - earlier.cumulative_lost;
    return lost <= 0 ? 0.0 : lost >= expected ? 100.0 : 100.0 * lost / expected;
  }
  bool operator==(const ListenerReport&) const = default;
};

}  // namespace ferry
