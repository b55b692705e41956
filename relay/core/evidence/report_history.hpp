// SPDX-License-Identifier: Apache-2.0
// Keeps the RTCP reports of a party about one stream that it is sent: the newest one, and the one ten seconds
// before.
#pragma once

#include "relay/core/evidence/recent.hpp"
#include "relay/core/rtcp/rtcp.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace ferry {

/// Pure; owned by the transport's worker.
class ReportHistory {
 public:
  /// Takes a report block of the party. If another SSRC reports, or the highest number went back, the
  /// reporter has begun anew and what it said before is forgotten. `lost_here`: packets of the stream that
  /// never left here, since it began.
  void add(Ssrc reporter, const ReportBlock& block, Instant now, std::uint32_t lost_here = 0) noexcept {
    const std::uint32_t lost_here_before = newest_.lost_here;
    const bool went_back = static_cast<std::int32_t>(block.highest_sequence - newest_.highest_extended) < 0;
    if (newest_.at != Instant{} && (reporter != reporter_ || went_back)) *this = {};
    if (newest_.at != Instant{} && (count_ == 0 || newest_.at - earlier_[last()].at >= kMarkInterval)) {
      earlier_[next_] = {newest_.cumulative_lost, newest_.highest_extended, newest_.at, newest_.lost_here};
      next_ = static_cast<std::uint8_t>((next_ + 1) % kMarks);
      count_ = static_cast<std::uint8_t>(std::min<std::size_t>(count_ + 1u, kMarks));
    }
    newest_.highest_before = newest_.highest_extended;
    reporter_ = reporter;
    newest_.about = block.about;
    newest_.fraction_lost = block.fraction_lost;
    newest_.cumulative_lost = block.cumulative_lost;
    newest_.highest_extended = block.highest_sequence;
    newest_.jitter = block.jitter;
    newest_.at = now;
    newest_.lost_here = lost_here;
    newest_.lost_here_before = lost_here_before;
    // The kept reports are at least two seconds apart, so if all places are taken, one is old enough.
    newest_.earlier = {};
    for (std::size_t i = 0; i < count_; ++i) {
      const ListenerReport::Earlier& each = earlier_[(next_ + kMarks - count_ + i) % kMarks];
      if (i == 0 || now - each.at >= kRecentTime) newest_.earlier = each;
    }
  }
  /// The newest report.
  [[nodiscard]] const ListenerReport& newest() const noexcept { return newest_; }
  /// Moves all times forward by a time in which this process did not run (C-13).
  void skip(Duration pause) noexcept {
    if (newest_.at != Instant{}) newest_.at += pause;
    for (std::size_t i = 0; i < count_; ++i) earlier_[(next_ + kMarks - count_ + i) % kMarks].at += pause;
    if (newest_.earlier.at != Instant{}) newest_.earlier.at += pause;
  }

 private:
  /// Index of the report that was kept last.
  [[nodiscard]] std::size_t last() const noexcept { return (next_ + kMarks - 1) % kMarks; }

  ListenerReport newest_;
  /// SSRC that sent the newest report.
  Ssrc reporter_;
  /// Reports before the newest one, in a ring.
  std::array<ListenerReport::Earlier, kMarks> earlier_{};
  std::uint8_t next_ = 0;
  std::uint8_t count_ = 0;
};

}  // namespace ferry
