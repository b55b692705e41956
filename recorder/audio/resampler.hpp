// Changes the sample rate from that of a decoder to that of a file, by speexdsp.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

struct SpeexResamplerState_;

namespace ferry {

/// A resampler for one mono signal. Sample n of the output lies where sample n * from / to of the input lay:
/// no delay is left in it. Throws std::bad_alloc.
class Resampler {
 public:
  /// Equal rates: samples pass unchanged.
  Resampler(std::uint32_t from_hz, std::uint32_t to_hz);
  /// Appends what can be made of `in` to `out`; some samples stay inside the filter.
  void run(std::span<const std::int16_t> in, std::vector<std::int16_t>& out);
  /// Appends what is still inside, because a pause follows, and begins anew.
  void drain(std::vector<std::int16_t>& out);

 private:
  struct Free {
    void operator()(SpeexResamplerState_* state) const;
  };
  /// Null: the rates are equal.
  std::unique_ptr<SpeexResamplerState_, Free> state_;
  /// Samples in and out since the last `drain`.
  std::uint64_t in_ = 0;
  std::uint64_t out_ = 0;
  std::uint32_t from_hz_;
  std::uint32_t to_hz_;
};

}  // namespace ferry
