// SPDX-License-Identifier: Apache-2.0
#include "control/view/call_trails.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ferry {

namespace {

template <class Integer>
Integer clamped(double value) {
  return static_cast<Integer>(
      std::clamp(std::round(value), 0.0, static_cast<double>(std::numeric_limits<Integer>::max())));
}

}  // namespace

void Trail::add(const TrailSample& sample) {
  if (size_ == kSamples) {
    constexpr std::size_t kOld = kSamples - kSamples / 4;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < kSamples; ++i) {
      if (i >= kOld || i % 2 == 0) samples_[kept++] = samples_[i];
    }
    size_ = kept;
  }
  samples_[size_++] = {.at_ms = clamped<std::uint32_t>(static_cast<double>(sample.at.count())),
                       .jitter_ms = clamped<std::uint16_t>(sample.jitter_ms),
                       .mos_by_50 = clamped<std::uint8_t>(sample.mos.value_or(0) * 50),
                       .loss_by_2 = clamped<std::uint8_t>(sample.loss_percent * 2),
                       .severity = sample.severity,
                       .cause = sample.cause};
}

TrailSample Trail::operator[](std::size_t place) const {
  const Packed& packed = samples_[place];
  TrailSample sample{.at = std::chrono::milliseconds(packed.at_ms),
                     .loss_percent = packed.loss_by_2 / 2.0,
                     .jitter_ms = static_cast<double>(packed.jitter_ms),
                     .severity = packed.severity,
                     .cause = packed.cause};
  if (packed.mos_by_50 != 0) sample.mos = packed.mos_by_50 / 50.0;
  return sample;
}

bool CallTrails::add(std::uint64_t serial, const TrailSample& sample) {
  auto found = trails_.find(serial);
  if (found == trails_.end()) {
    if (trails_.size() >= kTrails) return false;
    found = trails_.try_emplace(serial).first;
  }
  found->second.add(sample);
  return true;
}

const Trail* CallTrails::find(std::uint64_t serial) const {
  const auto found = trails_.find(serial);
  return found == trails_.end() ? nullptr : &found->second;
}

}  // namespace ferry
