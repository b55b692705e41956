// SPDX-License-Identifier: Apache-2.0
#include "codecs/transcode/stretch.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace ferry {

namespace {

/// How much the two parts must be alike: their correlation against their energy.
constexpr double kAlike = 0.5;

/// Pitch of the longest period that is looked for, Hz: no voice is lower, and longer searches are costly.
constexpr std::uint32_t kLowestVoice = 50;

/// How much `period` samples from the start look like those behind them, -1 to 1.
double likeness(std::span<const std::int16_t> samples, std::size_t period) {
  double product = 0;
  double first = 1;
  double second = 1;
  for (std::size_t i = 0; i < period; ++i) {
    const double a = samples[i];
    const double b = samples[i + period];
    product += a * b;
    first += a * a;
    second += b * b;
  }
  return product / std::sqrt(first * second);
}

/// The period that the samples repeat best with; 0: none.
std::size_t period_of(std::span<const std::int16_t> samples, std::size_t shortest, std::size_t longest) {
  std::size_t best = 0;
  double best_likeness = kAlike;
  for (std::size_t period = shortest; period <= longest; ++period) {
    const double found = likeness(samples, period);
    if (found <= best_likeness) continue;
    best_likeness = found;
    best = period;
  }
  return best;
}

/// Fades from `from` to `to`, into `out`; all have one length, and `out` may be one of the others.
void fade(std::span<const std::int16_t> from, std::span<const std::int16_t> to, std::span<std::int16_t> out) {
  const auto length = static_cast<std::int32_t>(out.size());
  for (std::int32_t i = 0; i < length; ++i) {
    const auto at = static_cast<std::size_t>(i);
    out[at] = static_cast<std::int16_t>((std::int32_t{from[at]} * (length - i) + std::int32_t{to[at]} * i) /
                                        length);
  }
}

}  // namespace

std::ptrdiff_t stretch(std::vector<std::int16_t>& samples, std::uint32_t rate_hz, std::ptrdiff_t most,
                       bool is_quiet) {
  const std::size_t shortest = rate_hz / 400;
  const std::size_t longest = std::min(samples.size() / 2, static_cast<std::size_t>(std::abs(most)));
  if (longest < shortest || shortest == 0) return 0;
  const std::size_t period =
      is_quiet ? longest
               : period_of(samples, shortest, std::min<std::size_t>(longest, rate_hz / kLowestVoice));
  if (period == 0) return 0;
  const std::span<std::int16_t> all = samples;
  if (most < 0) {
    // The first period fades into the second one, which then is not there any more.
    fade(all.first(period), all.subspan(period, period), all.first(period));
    samples.erase(samples.begin() + static_cast<std::ptrdiff_t>(period),
                  samples.begin() + static_cast<std::ptrdiff_t>(2 * period));
    return -static_cast<std::ptrdiff_t>(period);
  }
  // Behind the first period stands a mixture: it begins as the second one, as it should, and ends as the
  // first one, so that the second one can follow.
  samples.insert(samples.begin() + static_cast<std::ptrdiff_t>(period), period, std::int16_t{0});
  const std::span<std::int16_t> longer = samples;
  fade(longer.subspan(2 * period, period), longer.first(period), longer.subspan(period, period));
  return static_cast<std::ptrdiff_t>(period);
}

}  // namespace ferry
