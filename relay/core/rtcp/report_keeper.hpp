// SPDX-License-Identifier: Apache-2.0
// What the relay remembers between the RTCP reports of its own to one peer, and when the next one is due
// (RFC 3550 §6.2, §6.4).
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/rtcp/report_writer.hpp"
#include "relay/core/rtcp/rtcp.hpp"
#include "relay/core/rtp/ssrc_counters.hpp"

#include <cstdint>
#include <vector>

namespace ferry {

/// Makes the report blocks about what a peer sends, and spaces the reports. Pure: the time and the random
/// numbers come from the caller. The streams of the transport own it.
class ReportKeeper {
 public:
  /// Mean time between two reports. Each time is a random one from half of it to one and a half of it; that
  /// before the first report is half as long.
  static constexpr Duration kInterval = std::chrono::seconds(5);

  /// `own` is the SSRC of reports before anything leaves for the peer.
  explicit ReportKeeper(Ssrc own) noexcept : own_(own) {}

  /// Remembers a sender report of the peer about a stream that it sends. If memory runs out, the next one is
  /// remembered (C-12). `ntp_middle`: the middle 32 bits of its NTP time.
  void on_sender_report(Ssrc stream, std::uint32_t ntp_middle, Instant now) noexcept;
  /// Takes a stream as it is: the losses before now are no news for the next report.
  void begin_with(const SsrcCounters& stream) noexcept;
  /// The block about a stream of the peer. The share of losses counts from the block before.
  [[nodiscard]] ReportBlock block_about(const SsrcCounters& stream, Instant now) noexcept;

  /// True if packets of the peer's stream came since the last report (RFC 3550 §6.4).
  [[nodiscard]] bool is_heard(const SsrcCounters& stream) const noexcept {
    return stream.packets != 0 && stream.last_packet >= last_;
  }
  /// True if packets of a stream left for the peer since the last but one report. Its report is then a
  /// sender report.
  [[nodiscard]] bool is_sent(const SsrcCounters& stream) const noexcept {
    return stream.packets != 0 && stream.last_packet >= before_last_;
  }
  [[nodiscard]] Ssrc own() const noexcept { return own_; }

  /// When the next report is due; unset: `schedule_first` was not called.
  [[nodiscard]] Instant due() const noexcept { return due_; }
  /// Says when the first report is due.
  void schedule_first(Instant now, std::uint64_t random) noexcept;
  /// The report that was due leaves at `now`, or cannot leave; says when the next one is due.
  void schedule_next(Instant now, std::uint64_t random) noexcept;

 private:
  /// What is remembered of one stream of the peer.
  struct Heard {
    Ssrc ssrc;
    /// Middle of the NTP time of its last sender report, and when that came; unset: none came.
    std::uint32_t sr_middle = 0;
    Instant sr_at{};
    /// Packets expected and lost at the last block.
    std::uint64_t expected = 0;
    std::uint64_t lost = 0;
    /// When anything was noted last: if there are too many, the one noted longest ago gives way.
    Instant noted{};
  };
  /// The memory of a stream, made if there is none; null without memory.
  [[nodiscard]] Heard* heard(Ssrc ssrc) noexcept;

  std::vector<Heard> heard_;
  Ssrc own_;
  Instant due_{};
  /// When the last report left, and the one before; unset: there was none.
  Instant last_{};
  Instant before_last_{};
};

}  // namespace ferry
