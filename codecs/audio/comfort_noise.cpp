// SPDX-License-Identifier: Apache-2.0
// Comfort noise. The model is an all-pole lattice filter, which no reflection coefficient between -1 and 1
// can make unstable. Its signs are those of ITU-T G.729: low noise has a negative first coefficient.
#include "codecs/audio/comfort_noise.hpp"

#include <algorithm>
#include <cmath>

namespace ferry {

namespace {

/// The overload point: the level 0 of RFC 3389 §3.1, a square wave of full scale.
constexpr float kOverload = 32'768.0F;
/// The level changes by this before its time, dB.
constexpr int kNoticeableDb = 3;

/// RMS of a level.
float amplitude(std::uint8_t level) {
  return kOverload * std::pow(10.0F, -static_cast<float>(level) / 20.0F);
}

std::string cn_fault(const AudioFormat& format, const char* what) {
  return format.encoding + " with " + std::to_string(format.channels) + " channels is not " + what;
}

class NoiseDecoder final : public AudioDecoder {
 public:
  explicit NoiseDecoder(std::uint32_t rate_hz) : rate_hz_(rate_hz) {}
  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override { return rate_hz_; }
  [[nodiscard]] std::size_t max_samples() const noexcept override { return rate_hz_ / 50; }
  [[nodiscard]] std::optional<std::size_t> decode(Bytes payload, std::span<std::int16_t> out) override {
    const auto silence = silence_descriptor(payload);
    if (!silence) return std::nullopt;
    noise_.set(*silence);
    noise_.fill(out.first(max_samples()));
    return max_samples();
  }
  void conceal(std::span<std::int16_t> out) override { noise_.fill(out); }
  [[nodiscard]] bool is_pausing() const noexcept override { return true; }

 private:
  std::uint32_t rate_hz_;
  NoiseSource noise_;
};

class NoiseEncoder final : public AudioEncoder {
 public:
  explicit NoiseEncoder(std::uint32_t rate_hz) : rate_hz_(rate_hz) {}
  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override { return rate_hz_; }
  // 10 ms: less says little about a spectrum.
  [[nodiscard]] std::size_t frame_samples() const noexcept override { return rate_hz_ / 100; }
  [[nodiscard]] std::size_t octets_for(std::size_t samples) const noexcept override {
    return samples < frame_samples() ? 0 : 1 + SilenceDescriptor::kMostCoefficients;
  }
  Encoded encode(std::span<const std::int16_t> samples, MutableBytes out) override {
    const std::span<const std::int16_t> whole =
        samples.first(samples.size() / frame_samples() * frame_samples());
    if (whole.empty()) return {0, 0, true};
    const SilenceDescriptor silence = describe_silence(whole);
    const bool is_first = since_sent_ == kNever;
    if (!is_first) {
      since_sent_ += whole.size();
      const bool is_due = since_sent_ >= rate_hz_ * std::size_t{400} / 1000;
      if (!is_due && std::abs(int{silence.level} - sent_level_) < kNoticeableDb) return {0, 0, true};
    }
    since_sent_ = 0;
    sent_level_ = silence.level;
    return {write_silence_descriptor(silence, out), 0, true};
  }
  void restart() override { since_sent_ = kNever; }

 private:
  static constexpr std::size_t kNever = SIZE_MAX;
  std::uint32_t rate_hz_;
  /// Samples since the last payload.
  std::size_t since_sent_ = kNever;
  int sent_level_ = 0;
};

}  // namespace

std::optional<SilenceDescriptor> silence_descriptor(Bytes payload) {
  if (payload.empty()) return std::nullopt;
  SilenceDescriptor silence;
  // The first bit is not in use (RFC 3389 §3.1).
  silence.level = read_u8(payload, 0) & 127;
  silence.count = std::min(payload.size() - 1, SilenceDescriptor::kMostCoefficients);
  for (std::size_t i = 0; i < silence.count; ++i) {
    // 255 is no value (RFC 3389 §3.2); it is taken for the nearest one.
    const int number = std::min<int>(read_u8(payload, 1 + i), 254);
    silence.reflection[i] = static_cast<float>(258 * (number - 127)) / 32'768.0F;
  }
  return silence;
}

std::size_t write_silence_descriptor(const SilenceDescriptor& silence, MutableBytes out) {
  write_u8(out, 0, std::min<std::uint8_t>(silence.level, 127));
  for (std::size_t i = 0; i < silence.count; ++i) {
    const long number = std::lround(silence.reflection[i] * 32'768.0F / 258.0F) + 127;
    write_u8(out, 1 + i, static_cast<std::uint8_t>(std::clamp(number, 0L, 254L)));
  }
  return 1 + silence.count;
}

SilenceDescriptor describe_silence(std::span<const std::int16_t> samples) {
  constexpr std::size_t kOrder = SilenceDescriptor::kMostCoefficients;
  std::array<double, kOrder + 1> correlation{};
  for (std::size_t lag = 0; lag <= kOrder && lag < samples.size(); ++lag) {
    for (std::size_t i = lag; i < samples.size(); ++i)
      correlation[lag] += static_cast<double>(samples[i]) * samples[i - lag];
  }
  SilenceDescriptor silence;
  const double power = correlation[0] / static_cast<double>(samples.size());
  if (power < 1e-3) return silence;
  const double below = 20 * std::log10(kOverload / std::sqrt(power));
  silence.level = static_cast<std::uint8_t>(std::clamp(std::lround(below), 0L, 127L));
  // Levinson and Durbin's recursion. A little white noise keeps it well behaved.
  correlation[0] *= 1.0001;
  std::array<double, kOrder + 1> model = {1};
  double error = correlation[0];
  for (std::size_t order = 1; order <= kOrder && error > 0; ++order) {
    double sum = correlation[order];
    for (std::size_t i = 1; i < order; ++i) sum += model[i] * correlation[order - i];
    const double reflection = -sum / error;
    if (std::abs(reflection) >= 1) break;
    const std::array<double, kOrder + 1> before = model;
    for (std::size_t i = 1; i < order; ++i) model[i] = before[i] + reflection * before[order - i];
    model[order] = reflection;
    error *= 1 - reflection * reflection;
    silence.reflection[order - 1] = static_cast<float>(reflection);
    silence.count = order;
  }
  return silence;
}

void NoiseSource::set(const SilenceDescriptor& silence) {
  now_ = silence;
  // What the filter adds to the level, the excitation gives less. Uniform numbers have a third of the power
  // of a square wave.
  float gain = amplitude(silence.level) * std::sqrt(3.0F);
  for (std::size_t i = 0; i < silence.count; ++i)
    gain *= std::sqrt(1 - silence.reflection[i] * silence.reflection[i]);
  wanted_gain_ = gain;
  if (!is_set_) gain_ = gain;
  is_set_ = true;
}

float NoiseSource::random() {
  // Xorshift of 32 bits: no memory, and the same noise in every test.
  seed_ ^= seed_ << 13;
  seed_ ^= seed_ >> 17;
  seed_ ^= seed_ << 5;
  return static_cast<float>(static_cast<std::int32_t>(seed_)) / 2'147'483'648.0F;
}

void NoiseSource::fill(std::span<std::int16_t> out) {
  for (std::int16_t& sample : out) {
    // Some milliseconds, so that a new level is no click.
    gain_ += (wanted_gain_ - gain_) * 0.02F;
    float forward = gain_ * random();
    for (std::size_t i = now_.count; i > 0; --i) {
      forward -= now_.reflection[i - 1] * state_[i - 1];
      state_[i] = state_[i - 1] + now_.reflection[i - 1] * forward;
    }
    state_[0] = forward;
    sample = static_cast<std::int16_t>(std::lround(std::clamp(forward, -32'768.0F, 32'767.0F)));
  }
}

DecoderResult make_cn_decoder(const AudioFormat& format) {
  if (format.channels != 1) return fail(cn_fault(format, "decoded"));
  return std::make_unique<NoiseDecoder>(format.clock_rate_hz);
}

EncoderResult make_cn_encoder(const AudioFormat& format) {
  if (format.channels != 1) return fail(cn_fault(format, "encoded"));
  return std::make_unique<NoiseEncoder>(format.clock_rate_hz);
}

}  // namespace ferry
