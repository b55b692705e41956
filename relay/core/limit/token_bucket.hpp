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
  /// Takes one packet of `bytes` out of the bucket; false leaves the bucket as it was.
  bool take(const RateLimit& limit, std::size_t bytes, Instant now) noexcept {
    refill(limit, now);
    const auto size = static_cast<std::int64_t>(bytes) * kUnit;
    if (limit.packets_per_second != 0 && packets_ < kUnit) return false;
    if (limit.bytes_per_second != 0 && bytes_ < size) return false;
    packets_ -= kUnit;
    bytes_ -= size;
    return true;
  }

 private:
  static constexpr std::int64_t kUnit = 1'000'000;  // tokens per packet or octet: microseconds divide evenly

  void refill(const RateLimit& limit, Instant now) noexcept {
    const std::int64_t full_packets = std::int64_t{limit.packets_per_second} * kUnit;
    const std::int64_t full_bytes = std::int64_t{limit.bytes_per_second} * kUnit;
    if (last_ == Instant{}) {
      packets_ = full_packets;
      bytes_ = full_bytes;
      last_ = now;
      return;
    }
    const std::int64_t elapsed_us = std::clamp<std::int64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(now - last_).count(), 0, 1'000'000);
    if (elapsed_us == 0) return;
    last_ = now;
    packets_ = std::min(full_packets, packets_ + elapsed_us * limit.packets_per_second);
    bytes_ = std::min(full_bytes, bytes_ + elapsed_us * limit.bytes_per_second);
  }

  std::int64_t packets_ = 0;
  std::int64_t bytes_ = 0;
  Instant last_{};
};

}  // namespace ferry
