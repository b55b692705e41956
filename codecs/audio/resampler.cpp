// SPDX-License-Identifier: Apache-2.0
#include "codecs/audio/resampler.hpp"

#include <algorithm>
#include <new>

#include <speex/speex_resampler.h>

namespace ferry {

void Resampler::Free::operator()(SpeexResamplerState_* state) const { speex_resampler_destroy(state); }

Resampler::Resampler(std::uint32_t from_hz, std::uint32_t to_hz, Filter filter)
    : from_hz_(from_hz), to_hz_(to_hz) {
  if (from_hz == to_hz) return;
  // Quality 7 of 10: no audible loss for speech, at a fraction of the cost of the best. A call gets 4, whose
  // filter is half as long: 4 ms at 8 kHz.
  state_.reset(speex_resampler_init(1, from_hz, to_hz, filter == Filter::kExact ? 7 : 4, nullptr));
  if (!state_) throw std::bad_alloc();
  if (filter == Filter::kPrompt) return;
  // The filter's delay at the beginning is dropped, so that no delay is left in the output.
  speex_resampler_skip_zeros(state_.get());
  silence_.resize(static_cast<std::size_t>(speex_resampler_get_input_latency(state_.get())) + 1);
}

// The filter holds back some samples and may give them out with the next ones; 64 are more than it does.
std::size_t Resampler::room_for(std::size_t samples) const noexcept {
  return state_ ? samples * to_hz_ / from_hz_ + 64 : samples;
}

std::size_t Resampler::drain_room() const noexcept {
  return state_ && !silence_.empty() ? room_for(silence_.size()) : 0;
}

std::size_t Resampler::run(std::span<const std::int16_t> in, std::span<std::int16_t> out) {
  if (!state_) {
    std::ranges::copy(in, out.begin());
    return in.size();
  }
  in_ += in.size();
  std::size_t all = 0;
  // The library may take less than it was given, or make less than there is room for.
  while (!in.empty()) {
    auto taken = static_cast<spx_uint32_t>(in.size());
    auto made = static_cast<spx_uint32_t>(out.size() - all);
    speex_resampler_process_int(state_.get(), 0, in.data(), &taken, out.data() + all, &made);
    all += made;
    in = in.subspan(taken);
    if (taken == 0 && made == 0) break;
  }
  out_ += all;
  return all;
}

std::size_t Resampler::drain(std::span<std::int16_t> out) {
  if (!state_ || in_ == 0 || silence_.empty()) return 0;
  // The rates say how many samples must come out; those missing are still in the filter.
  const std::uint64_t wanted = in_ * to_hz_ / from_hz_;
  const std::uint64_t missing = wanted > out_ ? wanted - out_ : 0;
  const std::size_t made = run(silence_, out);
  // The next samples begin anew, as if nothing had been before.
  speex_resampler_reset_mem(state_.get());
  speex_resampler_skip_zeros(state_.get());
  in_ = out_ = 0;
  return static_cast<std::size_t>(std::min<std::uint64_t>(made, missing));
}

}  // namespace ferry
