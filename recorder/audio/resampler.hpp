// From the rate of a decoder to that of a file, by speexdsp.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

struct SpeexResamplerState_;

namespace ferry {

/// Mono. Sample n of the output lies where sample n * in / out of the input lay: no delay is left in it.
class Resampler {
 public:
  Resampler(std::uint32_t from_hz, std::uint32_t to_hz);
  void run(std::span<const std::int16_t> in, std::vector<std::int16_t>& out);
  /// What is still inside: a pause follows.
  void drain(std::vector<std::int16_t>& out);

 private:
  struct Free {
    void operator()(SpeexResamplerState_* state) const;
  };
  std::unique_ptr<SpeexResamplerState_, Free> state_;  // null: the rates are equal
  std::uint64_t in_ = 0;
  std::uint64_t out_ = 0;
  std::uint32_t from_hz_;
  std::uint32_t to_hz_;
};

}  // namespace ferry
