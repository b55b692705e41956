// SPDX-License-Identifier: Apache-2.0
// Samples of several channels on one time axis, added where they overlap, until they are written.
#pragma once

#include "relay/core/audio/frame.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ferry {

/// Positions are samples of one channel, counted from the start of the timeline. For one thread.
class SampleTimeline {
 public:
  /// `channels`: at least 1.
  explicit SampleTimeline(unsigned channels) : channels_(channels) {}

  [[nodiscard]] unsigned channels() const { return channels_; }
  /// The first position that was not taken yet.
  [[nodiscard]] std::int64_t taken() const { return taken_; }
  /// The first position behind everything that was added.
  [[nodiscard]] std::int64_t filled() const {
    return taken_ + static_cast<std::int64_t>(frames_.size() / channels_);
  }
  /// Adds a mono frame to a channel, limited to 16 bits. What lies before `taken` is left out; returns how
  /// many samples that were.
  std::size_t add(unsigned channel, const AudioFrame& frame) {
    std::span<const std::int16_t> samples = frame.samples;
    const std::int64_t late =
        std::clamp<std::int64_t>(taken_ - frame.position, 0, static_cast<std::int64_t>(samples.size()));
    samples = samples.subspan(static_cast<std::size_t>(late));
    if (!samples.empty()) {
      const auto begin = static_cast<std::size_t>(frame.position + late - taken_);
      if (frames_.size() < (begin + samples.size()) * channels_)
        frames_.resize((begin + samples.size()) * channels_);
      for (std::size_t i = 0; i < samples.size(); ++i) {
        std::int16_t& sum = frames_[(begin + i) * channels_ + channel];
        sum = static_cast<std::int16_t>(std::clamp(int{sum} + int{samples[i]}, -32768, 32767));
      }
    }
    return static_cast<std::size_t>(late);
  }
  /// Appends the samples up to `until` to `out`, channels interleaved. Where nothing was added they are
  /// silent.
  void take(std::int64_t until, std::vector<std::int16_t>& out) {
    if (until <= taken_) return;
    const std::size_t wanted = static_cast<std::size_t>(until - taken_) * channels_;
    const std::size_t there = std::min(wanted, frames_.size());
    out.insert(out.end(), frames_.begin(), frames_.begin() + static_cast<std::ptrdiff_t>(there));
    out.resize(out.size() + (wanted - there));
    frames_.erase(frames_.begin(), frames_.begin() + static_cast<std::ptrdiff_t>(there));
    taken_ = until;
  }

 private:
  unsigned channels_;
  std::int64_t taken_ = 0;
  /// Interleaved, from `taken_` on.
  std::vector<std::int16_t> frames_;
};

}  // namespace ferry
