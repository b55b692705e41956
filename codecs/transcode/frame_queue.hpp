// SPDX-License-Identifier: Apache-2.0
// Frames of one source that wait to be mixed.
#pragma once

#include "relay/base/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ferry {

/// Takes frames of one length as a source gives them, and gives one for each turn of the mix. The first frame
/// behind a pause waits for `kSlack`, so that those behind it may come a little late. Frames that are too
/// many for a while are left out where they are quiet. For one thread; allocates when the length changes.
class FrameQueue {
 public:
  static constexpr Duration kSlack = std::chrono::milliseconds(10);
  /// More frames do not wait: the oldest goes.
  static constexpr std::size_t kMost = 16;

  /// From now on frames have so many samples. What waits is left out, unless they had before.
  void configure(std::size_t samples);
  /// Takes a frame; one of another length is left out.
  void add(std::span<const std::int16_t> frame, Instant now);
  /// The frame of the turn at `at`; empty if there is none. Borrowed until the next call that is not const.
  [[nodiscard]] std::span<const std::int16_t> take(Instant at);
  [[nodiscard]] bool is_empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::size_t waiting() const noexcept { return count_; }
  /// True if its frames follow each other: the last turn had one.
  [[nodiscard]] bool flows() const noexcept { return flows_; }

 private:
  /// Turns after which it is known whether frames are too many.
  static constexpr unsigned kWindow = 100;
  [[nodiscard]] std::span<std::int16_t> place(std::size_t index) noexcept {
    return std::span(samples_).subspan((head_ + index) % kMost * length_, length_);
  }
  void drop() noexcept {
    head_ = (head_ + 1) % kMost;
    --count_;
  }
  [[nodiscard]] bool is_first_quiet() noexcept;

  std::size_t length_ = 0;
  /// A ring of `kMost` frames.
  std::vector<std::int16_t> samples_;
  std::array<Instant, kMost> came_{};
  std::size_t head_ = 0;
  std::size_t count_ = 0;
  bool flows_ = false;
  /// Fewest frames that were left behind a turn in this window, and its turns.
  std::size_t least_left_ = kMost;
  unsigned turns_ = 0;
  /// A frame is to be left out.
  bool is_long_ = false;
};

}  // namespace ferry
