// What stands for lost samples where a codec has no answer of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ferry {

/// Repeats the last pitch period and fades within 60 ms, as ITU-T G.711 Appendix I does. Mono. (spandsp's
/// does it by memcpy between places that overlap.)
class Repetition {
 public:
  explicit Repetition(std::uint32_t rate_hz);
  /// Samples that came: they are what is repeated.
  void heard(std::span<const std::int16_t> samples);
  /// Appends `frames` samples; after a while they are silence.
  void fill(std::size_t frames, std::vector<std::int16_t>& out);

 private:
  [[nodiscard]] std::size_t pitch() const;
  std::size_t shortest_;
  std::size_t longest_;
  std::size_t fade_;
  std::vector<std::int16_t> history_;
  /// While a loss lasts: the period, and samples made so far.
  std::size_t period_ = 0;
  std::size_t made_ = 0;
};

}  // namespace ferry
