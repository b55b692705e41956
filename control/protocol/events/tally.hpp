// SPDX-License-Identifier: Apache-2.0
// Counts what is logged at most once in 10 s (LIM-4).
#pragma once

#include "relay/base/types.hpp"

#include <chrono>
#include <cstdint>
#include <utility>

namespace ferry::events {

/// The time now, on the clock that is never set.
[[nodiscard]] inline Instant steady_now() {
  return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}

/// Counts what happened until a log line may say so. One thread at a time.
class Tally {
 public:
  /// The time between two lines.
  static constexpr Duration kPause = std::chrono::seconds(10);

  void note(std::uint64_t count = 1) noexcept { count_ += count; }
  /// How many a line should name now; 0 = nothing happened, or the last line is too new.
  [[nodiscard]] std::uint64_t due(Instant now) noexcept {
    if (count_ == 0 || now < again_) return 0;
    again_ = now + kPause;
    return std::exchange(count_, 0);
  }

 private:
  std::uint64_t count_ = 0;
  Instant again_{};
};

}  // namespace ferry::events
