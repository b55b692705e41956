// SPDX-License-Identifier: Apache-2.0
// Samples of audio with their place in time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ferry {

/// A run of samples without a gap. It owns nothing: `samples` is borrowed and good for one call only.
struct AudioFrame {
  /// Samples a second in each channel.
  std::uint32_t rate_hz = 0;
  /// At least 1.
  unsigned channels = 1;
  /// Time of the first sample: samples of one channel since a start that the receiver of the frame names. May
  /// be negative.
  std::int64_t position = 0;
  /// 16-bit linear samples, channels interleaved; a multiple of `channels`.
  std::span<const std::int16_t> samples;

  /// Samples of one channel.
  [[nodiscard]] constexpr std::size_t length() const noexcept { return samples.size() / channels; }
  /// Position of the sample behind the last one.
  [[nodiscard]] constexpr std::int64_t end() const noexcept {
    return position + static_cast<std::int64_t>(length());
  }
};

}  // namespace ferry
