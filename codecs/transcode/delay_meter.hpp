// SPDX-License-Identifier: Apache-2.0
// How late the packets of a stream come, compared with those that were delayed least.
#pragma once

#include "relay/base/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace ferry {

/// Measures the delay that the network adds to a stream, and says how long its packets should wait so that
/// most of them are there in time.
///
/// The delay of a packet is its distance from the least delay of the last seconds, so a sender's clock that
/// runs too fast or too slow is followed. Older packets count for less: after some seconds of calm the delay
/// that is recommended has fallen. Pure: every time comes from the caller. No allocation.
class DelayMeter {
 public:
  /// Notes a packet that came at `at`; `spoken` is its timestamp as time, from any start.
  void note(Duration spoken, Instant at) noexcept;
  /// The next packet belongs to another stream: its timestamps have another start. What was learned about the
  /// network stays.
  void restart() noexcept { has_base_ = false; }
  /// When the packet with this timestamp would have come with the least delay. Something was noted since
  /// `restart`.
  [[nodiscard]] Instant least(Duration spoken) const noexcept { return base() + spoken; }
  [[nodiscard]] bool has_base() const noexcept { return has_base_; }
  /// The delay that this share of the packets, between 0 and 1, does not exceed, in steps of a millisecond; 0
  /// below the first step.
  [[nodiscard]] Duration quantile(double share) const noexcept;
  /// Packets that were noted so far.
  [[nodiscard]] std::uint64_t noted() const noexcept { return noted_; }

 private:
  /// The least delay is looked for in two windows of this length: the present one and the one before.
  static constexpr Duration kWindow = std::chrono::milliseconds(1500);
  /// Longer delays count as this long, in steps.
  static constexpr std::size_t kSteps = 256;
  /// Weight of a packet against the one behind it: about the last hundred count.
  static constexpr float kForget = 0.99F;

  [[nodiscard]] Instant base() const noexcept {
    return window_least_ < before_least_ ? window_least_ : before_least_;
  }
  void add(Duration delay) noexcept;

  bool has_base_ = false;
  Instant window_began_{};
  /// Arrival without the timestamp: the start of the stream as the packet with the least delay shows it.
  Instant window_least_{};
  Instant before_least_{};
  /// Weights of the delays, by milliseconds. The weight of new packets rises instead of all others falling.
  std::array<float, kSteps> steps_{};
  float total_ = 0;
  float weight_ = 1;
  std::uint64_t noted_ = 0;
};

}  // namespace ferry
