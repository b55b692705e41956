// SPDX-License-Identifier: Apache-2.0
#include "codecs/tone/digit_detector.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>

#include <spandsp.h>

namespace ferry {

namespace {

/// The library cuts a digit in two where its level or pitch wavers: a tone that is back after so many samples
/// was never gone.
constexpr std::int64_t kHold = 160;
/// Samples from the begin of a tone until the library is sure of it, on average: two of its blocks.
constexpr std::int64_t kToFind = 250;
/// Samples from the end of a tone until the library has noticed, on average.
constexpr std::int64_t kToLose = 100;

std::uint8_t event_of(int letter) {
  constexpr std::string_view kLetters = "0123456789*#ABCD";
  const auto at = kLetters.find(static_cast<char>(letter));
  return at == std::string_view::npos ? std::uint8_t{0} : static_cast<std::uint8_t>(at);
}

void free_detector(dtmf_rx_state_s* state) { dtmf_rx_free(state); }

}  // namespace

DigitDetector::DigitDetector() : state_(dtmf_rx_init(nullptr, nullptr, nullptr), free_detector) {
  dtmf_rx_set_realtime_callback(state_.get(), on_tone, this);
}

DigitDetector::~DigitDetector() = default;

void DigitDetector::on_tone(void* user, int code, int level, int) {
  auto& self = *static_cast<DigitDetector*>(user);
  self.heard_ = code;
  if (code != 0) self.level_ = level;
}

std::optional<DigitDetector::Change> DigitDetector::hear(std::span<const std::int16_t> samples) {
  dtmf_rx(state_.get(), samples.data(), static_cast<int>(samples.size()));
  const auto count = static_cast<std::int64_t>(samples.size());
  if (pressed_ == 0) {
    if (heard_ == 0) return std::nullopt;
    pressed_ = heard_;
    since_found_ = since_gone_ = 0;
    const auto volume = static_cast<std::uint8_t>(std::clamp(-level_, 0, 63));
    return Change{true, event_of(pressed_), volume, {}};
  }
  since_found_ += count;
  since_gone_ = heard_ == pressed_ ? 0 : since_gone_ + count;
  // Another digit ends this one at once, and is found with the next samples.
  if (since_gone_ < kHold && (heard_ == 0 || heard_ == pressed_)) return std::nullopt;
  const std::int64_t length = std::max<std::int64_t>(since_found_ - since_gone_ + kToFind - kToLose, 320);
  Change change{false, event_of(pressed_), 0, std::chrono::microseconds(length * 125)};
  pressed_ = 0;
  return change;
}

}  // namespace ferry
