// SPDX-License-Identifier: Apache-2.0
// A sine, one sample after the other.
#pragma once

#include <cmath>
#include <numbers>

namespace ferry {

/// Makes a sine, each sample from the two before it. The first sample lies at phase 0 and is 0. Pure;
/// allocates nothing.
class Oscillator {
 public:
  /// Silence.
  Oscillator() = default;
  /// `hertz`: the frequency. `amplitude`: the largest value, in units of a sample. `rate_hz`: samples a
  /// second.
  Oscillator(double hertz, double amplitude, double rate_hz) noexcept {
    const double turn = 2 * std::numbers::pi * hertz / rate_hz;
    factor_ = 2 * std::cos(turn);
    // As if sin(0) and sin(-turn) had been the last two.
    before_ = -amplitude * std::sin(turn);
  }
  /// The next sample.
  double next() noexcept {
    const double value = factor_ * last_ - before_;
    before_ = last_;
    last_ = value;
    return value;
  }

 private:
  double factor_ = 0;
  double last_ = 0;
  double before_ = 0;
};

}  // namespace ferry
