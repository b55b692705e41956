// SPDX-License-Identifier: Apache-2.0
#include "codecs/audio/repetition.hpp"

#include <algorithm>
#include <cmath>

namespace ferry {

namespace {

/// Samples that room is made for at once; a rate that needs more is not one of a phone.
constexpr std::size_t kMostReserved = 8192;

}  // namespace

// Periods from 2.5 ms to 15 ms are looked for; after 60 ms all is silent.
Repetition::Repetition(std::uint32_t rate_hz)
    : shortest_(rate_hz / 400), longest_(rate_hz / 66), fade_(rate_hz * 60 / 1000) {
  // With room from the start, no packet of a usual rate costs an allocation.
  history_.reserve(std::min(4 * longest_, kMostReserved));
}

void Repetition::heard(std::span<const std::int16_t> samples) {
  // A loss is over: the next one looks for its own period.
  period_ = made_ = 0;
  const std::size_t room = 2 * longest_;
  if (samples.size() >= room) {
    history_.assign(samples.end() - static_cast<std::ptrdiff_t>(room), samples.end());
    return;
  }
  history_.insert(history_.end(), samples.begin(), samples.end());
  if (history_.size() > room)
    history_.erase(history_.begin(), history_.end() - static_cast<std::ptrdiff_t>(room));
}

std::size_t Repetition::pitch() const {
  // The distance at which the end of what was heard looks most like what came before it.
  std::size_t best = longest_;
  double best_score = -1;
  const std::size_t window = longest_;
  const std::size_t end = history_.size();
  // A correlation, divided by the energy, so that loud parts do not win just by being loud.
  for (std::size_t lag = shortest_; lag <= longest_ && lag + window <= end; ++lag) {
    double product = 0;
    double energy = 1;
    for (std::size_t i = end - window; i < end; ++i) {
      product += static_cast<double>(history_[i]) * history_[i - lag];
      energy += static_cast<double>(history_[i - lag]) * history_[i - lag];
    }
    const double score = product / std::sqrt(energy);
    if (score <= best_score) continue;
    best_score = score;
    best = lag;
  }
  return best;
}

void Repetition::fill(std::span<std::int16_t> out) {
  // Too little was heard to find a period: silence.
  if (period_ == 0 && history_.size() == 2 * longest_) period_ = pitch();
  for (std::int16_t& sample : out) {
    const std::size_t at = made_++;
    if (period_ == 0 || at >= fade_) {
      sample = 0;
      continue;
    }
    // The last period again and again, fading to silence.
    const std::int16_t again = history_[history_.size() - period_ + at % period_];
    sample = static_cast<std::int16_t>(again * static_cast<std::int64_t>(fade_ - at) /
                                       static_cast<std::int64_t>(fade_));
  }
}

}  // namespace ferry
