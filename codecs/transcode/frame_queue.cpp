// SPDX-License-Identifier: Apache-2.0
#include "codecs/transcode/frame_queue.hpp"

#include <algorithm>

namespace ferry {

namespace {

/// Mean square below which a frame may be left out: -50 dB of full scale.
constexpr float kQuietFrame = 100.0F * 100.0F;
/// So many frames left behind a turn are too many at any level.
constexpr std::size_t kTooMany = 4;

}  // namespace

void FrameQueue::configure(std::size_t samples) {
  if (samples == length_) return;
  samples_.assign(samples * kMost, 0);
  length_ = samples;
  head_ = count_ = 0;
  flows_ = is_long_ = false;
}

void FrameQueue::add(std::span<const std::int16_t> frame, Instant now) {
  if (frame.size() != length_ || length_ == 0) return;
  if (count_ == kMost) drop();
  std::ranges::copy(frame, place(count_).begin());
  came_[(head_ + count_) % kMost] = now;
  ++count_;
}

bool FrameQueue::is_first_quiet() noexcept {
  float energy = 0;
  for (const std::int16_t sample : place(0)) energy += static_cast<float>(sample) * sample;
  return energy < kQuietFrame * static_cast<float>(length_);
}

std::span<const std::int16_t> FrameQueue::take(Instant at) {
  if (!flows_) {
    least_left_ = kMost;
    turns_ = 0;
    is_long_ = false;
  }
  flows_ = count_ > 0 && (flows_ || came_[head_] + kSlack <= at);
  if (!flows_) return {};
  if (count_ > 1 && ((is_long_ && is_first_quiet()) || count_ > kTooMany)) {
    drop();
    is_long_ = false;
  }
  const std::span<const std::int16_t> frame = place(0);
  drop();
  least_left_ = std::min(least_left_, count_);
  if (++turns_ >= kWindow) {
    is_long_ = least_left_ > 0;
    least_left_ = kMost;
    turns_ = 0;
  }
  return frame;
}

}  // namespace ferry
