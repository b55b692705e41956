// SPDX-License-Identifier: Apache-2.0
// The line between the timestamps of a stream that leaves and the time at which its packets leave
// (RFC 3550 §6.4.1).
#pragma once

#include "relay/base/types.hpp"

#include <cstdint>
#include <optional>

namespace ferry {

/// Says which timestamp a stream has at a moment. The line goes through the packets that left with the least
/// delay: one that leaves early moves it at once, one that leaves late bends it by 1/256 of its delay, so
/// that it follows the clock of the sender and not the jitter. One that leaves more than half a second late
/// begins another line. Pure; owned by a worker.
class SendLine {
 public:
  /// A packet with this timestamp left at `now`. `clock_rate_hz` is not 0. Further packets of one timestamp
  /// (pictures, events) say nothing new.
  void note(std::uint32_t timestamp, std::uint32_t clock_rate_hz, Instant now) noexcept {
    const bool goes_on = clock_rate_hz_ == clock_rate_hz;
    if (goes_on && timestamp == timestamp_) return;
    if (goes_on) {
      const auto units = static_cast<std::int32_t>(timestamp - timestamp_);
      const Instant on_line = at_ + Duration{std::int64_t{units} * 1'000'000'000 / clock_rate_hz};
      const Duration late = now - on_line;
      at_ = late <= Duration{0} || late > kLongestDelay ? now : on_line + late / 256;
    } else {
      at_ = now;
    }
    timestamp_ = timestamp;
    clock_rate_hz_ = clock_rate_hz;
  }
  /// The timestamp that a packet leaving at `now` without delay would have; nothing before the first packet.
  [[nodiscard]] std::optional<std::uint32_t> at(Instant now) const noexcept {
    if (clock_rate_hz_ == 0) return std::nullopt;
    // In two steps, so that no product leaves 64 bits however long the stream was silent.
    const std::int64_t ns = (now - at_).count();
    constexpr std::int64_t kSecond = 1'000'000'000;
    const std::int64_t units =
        ns / kSecond * std::int64_t{clock_rate_hz_} + ns % kSecond * std::int64_t{clock_rate_hz_} / kSecond;
    return timestamp_ + static_cast<std::uint32_t>(units);
  }
  /// Clock of the timestamps in Hz; 0 before the first packet.
  [[nodiscard]] std::uint32_t clock_rate_hz() const noexcept { return clock_rate_hz_; }

 private:
  static constexpr Duration kLongestDelay = std::chrono::milliseconds(500);

  std::uint32_t timestamp_ = 0;
  std::uint32_t clock_rate_hz_ = 0;
  /// When `timestamp_` leaves without delay.
  Instant at_{};
};

}  // namespace ferry
