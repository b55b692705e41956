// SPDX-License-Identifier: Apache-2.0
// Token bucket that holds one second's worth of packets and octets (LIM-1, RTC-2).
#pragma once

#include "relay/base/types.hpp"

#include <algorithm>
#include <cstdint>

namespace ferry {

/// How many packets and octets a stream may carry per second; 0 = no limit.
struct RateLimit {
  std::uint32_t packets_per_second = 0;
  std::uint32_t bytes_per_second = 0;
  bool operator==(const RateLimit&) const = default;
};

/// Limits one stream to a rate, with bursts of up to one second's worth. Pure: the caller passes the time. A
/// new bucket is full.
class TokenBucket {
 public:
  /// Price of one packet or octet: the number of ticks of 1,024 ns in a second. The kernel programs use the
  /// same unit, because it lets them count without a division.
  static constexpr std::int64_t kUnit = 1'000'000'000 >> 10;

  /// The contents as plain values, for export and for the kernel. `last` = `Instant{}` means a full bucket.
  struct State {
    /// Packets that may pass now, in `kUnit`.
    std::int64_t packets = 0;
    /// Octets that may pass now, in `kUnit`.
    std::int64_t bytes = 0;
    /// When the bucket was refilled last.
    Instant last{};
    bool operator==(const State&) const = default;
  };
  [[nodiscard]] const State& state() const noexcept { return state_; }
  void set_state(const State& state) noexcept { state_ = state; }

  /// Takes one packet of `bytes` octets out of the bucket. False if the limit does not allow it; nothing is
  /// taken then.
  bool take(const RateLimit& limit, std::size_t bytes, Instant now) noexcept {
    refill(limit, now);
    const auto size = static_cast<std::int64_t>(bytes) * kUnit;
    if (limit.packets_per_second != 0 && state_.packets < kUnit) return false;
    if (limit.bytes_per_second != 0 && state_.bytes < size) return false;
    // Only what is limited is taken, so that a later limit does not start with a debt.
    if (limit.packets_per_second != 0) state_.packets -= kUnit;
    if (limit.bytes_per_second != 0) state_.bytes -= size;
    return true;
  }

 private:
  /// Adds what the time since the last call allows, up to one second's worth.
  void refill(const RateLimit& limit, Instant now) noexcept {
    const std::int64_t full_packets = std::int64_t{limit.packets_per_second} * kUnit;
    const std::int64_t full_bytes = std::int64_t{limit.bytes_per_second} * kUnit;
    if (state_.last == Instant{}) {
      state_.packets = full_packets;
      state_.bytes = full_bytes;
      state_.last = now;
      return;
    }
    const std::int64_t ticks = std::min(std::max<std::int64_t>((now - state_.last).count(), 0) >> 10, kUnit);
    if (ticks == 0) return;
    state_.last = now;
    state_.packets = std::min(full_packets, state_.packets + ticks * limit.packets_per_second);
    state_.bytes = std::min(full_bytes, state_.bytes + ticks * limit.bytes_per_second);
  }

  State state_;
};

}  // namespace ferry
