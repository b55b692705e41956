#include "recorder/audio/resampler.hpp"

#include <new>

#include <speex/speex_resampler.h>

namespace ferry {

void Resampler::Free::operator()(SpeexResamplerState_* state) const { speex_resampler_destroy(state); }

Resampler::Resampler(std::uint32_t from_hz, std::uint32_t to_hz) : from_hz_(from_hz), to_hz_(to_hz) {
  if (from_hz == to_hz) return;
  state_.reset(speex_resampler_init(1, from_hz, to_hz, 7, nullptr));
  if (!state_) throw std::bad_alloc();
  speex_resampler_skip_zeros(state_.get());
}

void Resampler::run(std::span<const std::int16_t> in, std::vector<std::int16_t>& out) {
  if (!state_) {
    out.insert(out.end(), in.begin(), in.end());
    return;
  }
  in_ += in.size();
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
  const std::uint64_t wanted = in_ * to_hz_ / from_hz_;
  const std::uint64_t missing = wanted > out_ ? wanted - out_ : 0;
  const std::size_t before = out.size();
  const std::vector<std::int16_t> nothing(
      static_cast<std::size_t>(speex_resampler_get_input_latency(state_.get())) + 1);
  run(nothing, out);
  if (out.size() - before > missing) out.resize(before + missing);
  speex_resampler_reset_mem(state_.get());
  speex_resampler_skip_zeros(state_.get());
  in_ = out_ = 0;
}

}  // namespace ferry
