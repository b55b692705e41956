// What the last ten seconds were like, by counts that are marked every two seconds. Plain values for
// explanations; the worker that owns a transport makes the marks, packets do nothing for them.
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/forward/drop_reason.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace ferry {

/// Time between two marks of a transport, and how many are kept: what they tell is of the last 10 to 12 s.
constexpr Duration kMarkInterval = std::chrono::seconds(2);
constexpr std::size_t kMarks = 6;
/// The time that figures of "the last 10 s" are of.
constexpr Duration kRecentTime = kMarkInterval * (kMarks - 1);

/// Counts of a stream that only grow, as they are at one moment. They wrap at 2^32: differences stay right.
struct StreamMark {
  std::uint32_t packets = 0;
  std::uint32_t bytes = 0;
  /// Sequence numbers that went by.
  std::uint32_t expected = 0;
  std::uint32_t duplicates = 0;
  std::uint32_t reordered = 0;
  /// Runs of missing numbers.
  std::uint32_t loss_bursts = 0;
  /// Times that the sequence began anew.
  std::uint32_t resets = 0;
  /// Sum of the jitter in clock units, times 16, at each packet.
  std::uint32_t jitter_sum_q4 = 0;
  bool operator==(const StreamMark&) const = default;
};

/// What a stream did since the oldest mark that is kept.
struct RecentStream {
  /// How long a time `counts` are of, until the reading; zero: nothing is known of the last seconds.
  Duration span{0};
  /// Differences.
  StreamMark counts;
  /// Mean of the jitter; zero if the clock of the stream is not known.
  Duration jitter{0};
  /// Longest run of missing numbers that appeared in that time, in packets.
  std::uint32_t longest_burst = 0;

  [[nodiscard]] std::uint32_t unique() const noexcept {
    return counts.packets > counts.duplicates ? counts.packets - counts.duplicates : 0;
  }
  [[nodiscard]] std::uint32_t lost() const noexcept {
    return counts.expected > unique() ? counts.expected - unique() : 0;
  }
  [[nodiscard]] double loss_percent() const noexcept {
    return counts.expected == 0 ? 0.0 : 100.0 * lost() / counts.expected;
  }
  bool operator==(const RecentStream&) const = default;
};

/// Where a packet was dropped: as it came from the transport's party, or on its way out to that party.
enum class DropSide : std::uint8_t { kArriving, kLeaving };
constexpr std::size_t kDropSides = 2;

/// Drops of one transport since the oldest mark that is kept, by side and reason.
struct RecentDrops {
  Duration span{0};
  std::array<DropCounters, kDropSides> counts;

  [[nodiscard]] std::uint32_t of(DropSide side, DropReason reason) const noexcept {
    return counts[static_cast<std::size_t>(side)][reason];
  }
  bool operator==(const RecentDrops&) const = default;
};

/// What the party says by RTCP (RFC 3550 §6.4) about one stream that it is sent.
struct ListenerReport {
  Ssrc about;
  /// Of the newest report: lost since the one before, in 256ths, and since the stream began.
  std::uint8_t fraction_lost = 0;
  std::int32_t cumulative_lost = 0;
  std::uint32_t highest_extended = 0;
  /// Interarrival jitter in clock units of the stream.
  std::uint32_t jitter = 0;
  Instant at{};
  /// The report that is at least ten seconds older than the newest, or the oldest that is known; `at` is
  /// unset if there was none before.
  struct Earlier {
    std::int32_t cumulative_lost = 0;
    std::uint32_t highest_extended = 0;
    Instant at{};
    bool operator==(const Earlier&) const = default;
  };
  Earlier earlier;

  /// Share that the party missed in the last reports, 0 to 100; without two reports, what the only one says.
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
