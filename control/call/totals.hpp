// SPDX-License-Identifier: Apache-2.0
// How calls end, and what is counted of all calls since the process started.
#pragma once

#include "control/call/port_failure.hpp"
#include "relay/base/types.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace ferry {

/// Why a call ended. Reports, metrics and logs show it.
enum class EndReason : std::uint8_t {
  kRegular,
  kForced,
  kTimeout,
  kSilentTimeout,
  kOfferTimeout,
  kFinalTimeout
};
std::string_view to_string(EndReason reason) noexcept;

/// When a call is over if nothing happens until then, and why.
struct Due {
  /// `Instant::max()` = never.
  Instant at;
  /// What the report of the call will say.
  EndReason reason;
  /// True if a party or the call was deleted. A deleted party may end alone; the call then goes on.
  bool deleted = false;
};

/// Both clocks at the arrival of one request. All its effects bear this time.
struct Clock {
  /// The monotonic clock, for distances; and the wall clock, for people and files.
  Instant now;
  WallTime wall;
};

/// Counts of all calls of this process.
struct SessionTotals {
  /// Calls that began, and new calls that were refused.
  std::uint64_t managed = 0;
  std::uint64_t rejected = 0;
  /// By EndReason.
  std::array<std::uint64_t, 6> ended{};
  /// Pairs of medias of ended calls that had media one way only, and those that had none.
  std::uint64_t one_way = 0;
  std::uint64_t zero_way = 0;
  /// Sum of the durations in s, and of their squares in s².
  double duration_sum_s = 0;
  double duration_square_sum_s2 = 0;
};

/// Pairs of ports that could not be opened, by `PortFailure`: how often, and when last.
struct PortFailures {
  /// Zero, and `Instant{}`, for what never happened.
  std::array<std::uint64_t, kPortFailures> times{};
  std::array<Instant, kPortFailures> last_at{};
  /// The newest failure of all.
  PortFailure last = PortFailure::kExhausted;
};

/// Counts of sessions of the rtpproxy protocol, all 0 at the start. `RtpproxySessions` counts.
struct RtpproxyTotals {
  // Sessions that began, ended, ended by time-out, and got both parties.
  std::uint64_t created = 0;
  std::uint64_t destroyed = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t completed = 0;
  // Complete sessions that ended: without any RTP or RTCP, or with it from one party only.
  std::uint64_t without_rtp = 0;
  std::uint64_t one_way_rtp = 0;
  std::uint64_t without_rtcp = 0;
  std::uint64_t one_way_rtcp = 0;
  // Prompts that a command started, and those that ended, by themselves or by a command.
  std::uint64_t prompts_started = 0;
  std::uint64_t prompts_ended = 0;
  /// Sum of the durations, in s.
  double duration_s = 0;
  // RTP packets of sessions that ended.
  std::uint64_t expected = 0;
  std::uint64_t received = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t lost = 0;
  std::uint64_t not_rtp = 0;
};

}  // namespace ferry
