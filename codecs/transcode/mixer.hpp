// SPDX-License-Identifier: Apache-2.0
// The sum of several voices. Pure: samples in, samples out.
#pragma once

#include "relay/base/types.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ferry {

/// A sum that would lie above -3 dB of full scale is bent, and never wraps: the more it would be, the closer
/// it comes to full scale.
[[nodiscard]] std::int16_t softly_limited(std::int32_t sum) noexcept;

/// Adds the frames of several sources, all of one rate and length, at full level. In a small room everybody
/// is heard; in a large one the loudest, and those who were among them a moment ago. One voice alone passes
/// bit by bit. For one thread; allocates nothing once it has seen its largest frame.
class Mixer {
 public:
  /// Up to so many voices that sound at a time are all heard.
  static constexpr std::size_t kSmallRoom = 8;
  /// Of more, so many are heard for being loudest.
  static constexpr std::size_t kLoudest = 4;
  /// Who was among the loudest stays heard for so long, while there is room.
  static constexpr Duration kHangover = std::chrono::milliseconds(500);

  /// What the mixer remembers of one source. The source's owner keeps it from frame to frame.
  struct Voice {
    /// Mean square of its samples; falls slowly.
    float level = 0;
    Instant loud_until{};
    /// False before its first frame: it begins as it is.
    bool is_known = false;
    /// It was heard in its last frame.
    bool is_heard = false;
  };
  /// A frame of one source; both borrowed.
  struct Input {
    Voice* voice = nullptr;
    std::span<const std::int16_t> samples;
  };

  /// Adds the frames, which are all of one length; at least one. Borrowed until the next call.
  [[nodiscard]] std::span<const std::int16_t> mix(std::span<const Input> inputs, Instant now);
  /// Voices that were heard in the last frame.
  [[nodiscard]] std::size_t heard() const noexcept { return heard_; }

 private:
  /// Decides who is heard in this frame: `chosen_`, in the order of the inputs.
  void choose(std::span<const Input> inputs, Instant now);
  /// Adds a frame, faded in or out where its source was chosen, or is no more.
  void add(const Input& input, bool is_chosen);

  std::vector<bool> chosen_;
  /// Indices of inputs, the loudest first.
  std::vector<std::size_t> order_;
  std::vector<std::int32_t> sum_;
  std::vector<std::int16_t> out_;
  std::size_t heard_ = 0;
};

}  // namespace ferry
