// What stands for lost samples where a codec has no answer of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace ferry {

/// Repeats the last pitch period and fades (ITU-T G.711 Appendix I, by spandsp). Mono, any rate.
class Repetition {
 public:
  Repetition();
  ~Repetition();
  /// Samples that came: they are what is repeated. May be smoothed where they follow a repetition.
  void heard(std::span<std::int16_t> samples);
  void fill(std::size_t frames, std::vector<std::int16_t>& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ferry
