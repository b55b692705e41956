// SPDX-License-Identifier: Apache-2.0
// Makes up samples for lost ones, where a codec has no concealment of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ferry {

/// Repeats the last pitch period and fades to silence within 60 ms, as ITU-T G.711 Appendix I does. Mono, for
/// one thread. (spandsp has this too, but copies between places that overlap.)
class Repetition {
 public:
  /// `rate_hz`: samples a second.
  explicit Repetition(std::uint32_t rate_hz);
  /// Samples that came: the last of them are what is repeated.
  void heard(std::span<const std::int16_t> samples);
  /// Fills `out` in place of lost samples; those beyond 60 ms are silence.
  void fill(std::span<std::int16_t> out);

 private:
  /// The pitch period, in samples.
  [[nodiscard]] std::size_t pitch() const;
  /// Shortest and longest period that is looked for, and samples until all is silent.
  std::size_t shortest_;
  std::size_t longest_;
  std::size_t fade_;
  /// The last samples that came, two longest periods of them.
  std::vector<std::int16_t> history_;
  /// While a loss lasts: the period (0: not looked for, or none), and samples made so far.
  std::size_t period_ = 0;
  std::size_t made_ = 0;
};

}  // namespace ferry
