// SPDX-License-Identifier: Apache-2.0
// Hears the digits in decoded speech of any rate.
#pragma once

#include "codecs/audio/resampler.hpp"
#include "codecs/tone/digit_detector.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ferry {

/// A detector of digits and what brings speech to its rate. For one thread. Throws std::bad_alloc.
class ToneEar {
 public:
  /// `rate_hz`: rate of the samples.
  explicit ToneEar(std::uint32_t rate_hz)
      : rate_hz_(rate_hz), resampler_(rate_hz, kRate, Resampler::Filter::kPrompt) {}
  [[nodiscard]] std::uint32_t rate_hz() const noexcept { return rate_hz_; }

  /// Hears the next samples, mono, and calls `tell(change)` for each change.
  template <class Tell>
  void hear(std::span<const std::int16_t> samples, Tell tell) {
    if (samples_.size() < resampler_.room_for(samples.size()))
      samples_.resize(resampler_.room_for(samples.size()));
    std::span<const std::int16_t> narrow =
        std::span<const std::int16_t>(samples_).first(resampler_.run(samples, samples_));
    while (!narrow.empty()) {
      const std::size_t count = std::min<std::size_t>(narrow.size(), kAtOnce);
      if (const auto change = detector_.hear(narrow.first(count))) tell(*change);
      narrow = narrow.subspan(count);
    }
  }

 private:
  static constexpr std::uint32_t kRate = 8000;
  /// Samples of 20 ms, so that there is one change at most.
  static constexpr std::size_t kAtOnce = 160;

  std::uint32_t rate_hz_;
  Resampler resampler_;
  std::vector<std::int16_t> samples_;
  DigitDetector detector_;
};

}  // namespace ferry
