#include "recorder/audio/resampler.hpp"

#include <new>

#include <speex/speex_resampler.h>

namespace ferry {

void Resampler::Free::operator()(SpeexResamplerState_* state) const { speex_resampler_destroy(state); }

Resampler::Resampler(std::uint32_t from_hz, std::uint32_t to_hz) : from_hz_(from_hz), to_hz_(to_hz) {
  if (from_hz == to_hz) return;
  // Quality 7 of 10: no audible loss for speech, at a fraction of the cost of the best.
  state_.reset(speex_resampler_init(1, from_hz, to_hz, 7, nullptr));
  if (!state_) throw std::bad_alloc();
  // The filter's delay at the beginning is dropped, so that no delay is left in the output.
  speex_resampler_skip_zeros(state_.get());
}

void Resampler::run(std::span<const std::int16_t> in, std::vector<std::int16_t>& out) {
  if (!state_) {
    out.insert(out.end(), in.begin(), in.end());
    return;
  }
  in_ += in.size();
  // The library may take less than it was given, or make less than there is room for.
  while (!in.empty()) {
    const std::size_t before = out.size();
    auto taken = static_cast<spx_uint32_t>(in.size());
    auto made = static_cast<spx_uint32_t>(in.size() * to_hz_ / from_hz_ + 64);
    out.resize(before + made);
    speex_resampler_process_int(state_.get(), 0, in.data(), &taken, out.data() + before, &made);
    out.resize(before + made);
    out_ += made;
    in = in.subspan(taken);
    if (taken == 0 && made == 0) break;
  }
}

void Resampler::drain(std::vector<std::int16_t>& out) {
  if (!state_ || in_ == 0) return;
  // The rates say how many samples must come out; those missing are still in the filter.
  const std::uint64_t wanted = in_ * to_hz_ / from_hz_;
  const std::uint64_t missing = wanted > out_ ? wanted - out_ : 0;
  const std::size_t before = out.size();
  const std::vector<std::int16_t> nothing(
      static_cast<std::size_t>(speex_resampler_get_input_latency(state_.get())) + 1);
  run(nothing, out);
  if (out.size() - before > missing) out.resize(before + missing);
  // The next samples begin anew, as if nothing had been before.
  speex_resampler_reset_mem(state_.get());
  speex_resampler_skip_zeros(state_.get());
  in_ = out_ = 0;
}

}  // namespace ferry
