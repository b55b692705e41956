// Token bucket with a burst of one second (media-security LIM-1, RTC-2).
#pragma once

#include "relay/base/types.hpp"

#include <algorithm>
#include <cstdint>

namespace ferry {

/// Packets and octets a stream may carry per second. Zero = not limited.
struct RateLimit {
  std::uint32_t packets_per_second = 0;
  std::uint32_t bytes_per_second = 0;
  bool operator==(const RateLimit&) const = default;
};

/// Pure: time comes in, a yes or no goes out. Starts full.
class TokenBucket {
 public:
  /// One packet or octet: ticks of 1,024 ns in a second, which the kernel programs count without dividing.
  static constexpr std::int64_t kUnit = 1'000'000'000 >> 10;

  /// Plain values; a zero `last` means full.
  struct State {
    std::int64_t packets = 0;  // in kUnit
    std::int64_t bytes = 0;    // in kUnit
    Instant last{};
    bool operator==(const State&) const = default;
  };
  [[nodiscard]] const State& state() const noexcept { return state_; }
  void set_state(const State& state) noexcept { state_ = state; }

  /// Takes one packet of `bytes` out of the bucket; false leaves the bucket as it was.
  bool take(const RateLimit& limit, std::size_t bytes, Instant now) noexcept {
    refill(limit, now);
    const auto size = static_cast<std::int64_t>(bytes) * kUnit;
    if (limit.packets_per_second != 0 && state_.packets < kUnit) return false;
    if (limit.bytes_per_second != 0 && state_.bytes < size) return false;
    // What was not limited leaves no debt for a later limit.
    if (limit.packets_per_second != 0) state_.packets -= kUnit;
    if (limit.bytes_per_second != 0) state_.bytes -= size;
    return true;
  }

 private:
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
