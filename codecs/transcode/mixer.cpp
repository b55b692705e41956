// SPDX-License-Identifier: Apache-2.0
#include "codecs/transcode/mixer.hpp"

#include <algorithm>
#include <numeric>

namespace ferry {

namespace {

/// -3 dB of full scale, and how much lies above it.
constexpr std::int32_t kKnee = 23'170;
constexpr std::int32_t kAbove = 32'767 - kKnee;
/// Weight of a voice's level from frame to frame, while it falls.
constexpr float kForget = 0.8F;

float mean_square(std::span<const std::int16_t> samples) {
  float energy = 0;
  for (const std::int16_t sample : samples) energy += static_cast<float>(sample) * sample;
  return energy / static_cast<float>(std::max<std::size_t>(samples.size(), 1));
}

}  // namespace

std::int16_t softly_limited(std::int32_t sum) noexcept {
  const std::int64_t size = sum < 0 ? -std::int64_t{sum} : std::int64_t{sum};
  if (size <= kKnee) return static_cast<std::int16_t>(sum);
  const std::int64_t over = size - kKnee;
  const auto bent = static_cast<std::int16_t>(kKnee + over * kAbove / (over + kAbove));
  return sum < 0 ? static_cast<std::int16_t>(-bent) : bent;
}

void Mixer::choose(std::span<const Input> inputs, Instant now) {
  chosen_.assign(inputs.size(), true);
  for (const Input& input : inputs)
    input.voice->level = std::max(mean_square(input.samples), input.voice->level * kForget);
  if (inputs.size() <= kSmallRoom) {
    for (const Input& input : inputs) input.voice->loud_until = now + kHangover;
    return;
  }
  order_.resize(inputs.size());
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::ranges::stable_sort(order_, std::ranges::greater{},
                           [&](std::size_t i) { return inputs[i].voice->level; });
  for (std::size_t rank = 0; rank < order_.size(); ++rank) {
    Voice& voice = *inputs[order_[rank]].voice;
    if (rank < kLoudest) voice.loud_until = now + kHangover;
    chosen_[order_[rank]] = rank < kSmallRoom && now < voice.loud_until;
  }
}

void Mixer::add(const Input& input, bool is_chosen) {
  Voice& voice = *input.voice;
  const bool was_heard = voice.is_known ? voice.is_heard : is_chosen;
  voice.is_known = true;
  voice.is_heard = is_chosen;
  if (is_chosen == was_heard) {
    if (!is_chosen) return;
    for (std::size_t i = 0; i < input.samples.size(); ++i) sum_[i] += input.samples[i];
    return;
  }
  // Over the whole frame, so that it does not click.
  const auto length = static_cast<std::int32_t>(input.samples.size());
  for (std::int32_t i = 0; i < length; ++i) {
    const std::int32_t share = is_chosen ? i : length - i;
    sum_[static_cast<std::size_t>(i)] += input.samples[static_cast<std::size_t>(i)] * share / length;
  }
}

std::span<const std::int16_t> Mixer::mix(std::span<const Input> inputs, Instant now) {
  const std::size_t length = inputs.front().samples.size();
  choose(inputs, now);
  heard_ = static_cast<std::size_t>(std::ranges::count(chosen_, true));
  sum_.assign(length, 0);
  for (std::size_t i = 0; i < inputs.size(); ++i) add(inputs[i], chosen_[i]);
  out_.resize(length);
  // One voice is as loud as it is, even above the knee.
  if (inputs.size() == 1)
    std::ranges::copy(inputs.front().samples, out_.begin());
  else
    std::ranges::transform(sum_, out_.begin(), softly_limited);
  return out_;
}

}  // namespace ferry
