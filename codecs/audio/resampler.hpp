// SPDX-License-Identifier: Apache-2.0
// Changes the sample rate, by speexdsp.
#pragma once

#include "relay/core/audio/codec.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

struct SpeexResamplerState_;

namespace ferry {

/// `AudioResampler` by speexdsp. Throws std::bad_alloc when it is made.
class Resampler final : public AudioResampler {
 public:
  /// What becomes of the delay of its filter.
  enum class Filter : std::uint8_t {
    /// Sample n lies where it lay, as `AudioResampler` says: the first calls give less than they get.
    kExact,
    /// For calls: a shorter filter, whose delay of some milliseconds stays in the signal. Each call, the
    /// first one too, gives what its samples last. `drain` gives nothing.
    kPrompt,
  };
  /// Equal rates: samples pass unchanged.
  Resampler(std::uint32_t from_hz, std::uint32_t to_hz, Filter filter = Filter::kExact);
  [[nodiscard]] std::size_t room_for(std::size_t samples) const noexcept override;
  [[nodiscard]] std::size_t drain_room() const noexcept override;
  std::size_t run(std::span<const std::int16_t> in, std::span<std::int16_t> out) override;
  std::size_t drain(std::span<std::int16_t> out) override;

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
  /// Silence as long as the filter, which pushes out what is inside.
  std::vector<std::int16_t> silence_;
};

}  // namespace ferry
