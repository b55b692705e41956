// What a party says by RTCP about one stream that it is sent: the newest report, and the one ten seconds
// before.
#pragma once

#include "relay/core/evidence/recent.hpp"
#include "relay/core/rtcp/rtcp.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace ferry {

/// Pure; the worker that owns the transport owns it.
class ReportHistory {
 public:
  /// Takes a report block that the party sent. A reporter other than the one before, or one whose highest
  /// number went back, has begun anew: what it said before is forgotten.
  void add(Ssrc reporter, const ReportBlock& block, Instant now) noexcept {
    const bool went_back = static_cast<std::int32_t>(block.highest_sequence - newest_.highest_extended) < 0;
    if (newest_.at != Instant{} && (reporter != reporter_ || went_back)) *this = {};
    if (newest_.at != Instant{} && (count_ == 0 || newest_.at - earlier_[last()].at >= kMarkInterval)) {
      earlier_[next_] = {newest_.cumulative_lost, newest_.highest_extended, newest_.at};
      next_ = static_cast<std::uint8_t>((next_ + 1) % kMarks);
      count_ = static_cast<std::uint8_t>(std::min<std::size_t>(count_ + 1u, kMarks));
    }
    reporter_ = reporter;
    newest_.about = block.about;
    newest_.fraction_lost = block.fraction_lost;
    newest_.cumulative_lost = block.cumulative_lost;
    newest_.highest_extended = block.highest_sequence;
    newest_.jitter = block.jitter;
    newest_.at = now;
    // Those that are kept are two seconds apart at least: if all places are taken, one is old enough.
    newest_.earlier = {};
    for (std::size_t i = 0; i < count_; ++i) {
      const ListenerReport::Earlier& each = earlier_[(next_ + kMarks - count_ + i) % kMarks];
      if (i == 0 || now - each.at >= kRecentTime) newest_.earlier = each;
    }
  }
  [[nodiscard]] const ListenerReport& newest() const noexcept { return newest_; }
  /// Time passed in which nobody ran: it does not count (C-13).
  void skip(Duration pause) noexcept {
    if (newest_.at != Instant{}) newest_.at += pause;
    for (std::size_t i = 0; i < count_; ++i) earlier_[(next_ + kMarks - count_ + i) % kMarks].at += pause;
    if (newest_.earlier.at != Instant{}) newest_.earlier.at += pause;
  }

 private:
  [[nodiscard]] std::size_t last() const noexcept { return (next_ + kMarks - 1) % kMarks; }

  ListenerReport newest_;
  Ssrc reporter_;
  /// Reports before the newest one, in a ring.
  std::array<ListenerReport::Earlier, kMarks> earlier_{};
  std::uint8_t next_ = 0;
  std::uint8_t count_ = 0;
};

}  // namespace ferry
