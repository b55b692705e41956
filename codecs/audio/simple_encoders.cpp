// SPDX-License-Identifier: Apache-2.0
#include "codecs/audio/simple_encoders.hpp"

#include "codecs/audio/g726_name.hpp"
#include "codecs/audio/payload_octets.hpp"

#include <algorithm>
#include <memory>
#include <numeric>

// spandsp's headers need these before them.
#include <cmath>
#include <cstdio>

#include <spandsp.h>

namespace ferry {

namespace {

/// An encoder of frames that all have one size.
class FrameEncoder : public AudioEncoder {
 public:
  struct Shape {
    std::uint32_t rate_hz;
    std::size_t samples;
    std::size_t octets;
  };
  explicit FrameEncoder(Shape shape) : shape_(shape) {}
  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept final { return shape_.rate_hz; }
  [[nodiscard]] std::size_t frame_samples() const noexcept final { return shape_.samples; }
  [[nodiscard]] std::size_t octets_for(std::size_t samples) const noexcept final {
    return samples / shape_.samples * shape_.octets;
  }
  Encoded encode(std::span<const std::int16_t> samples, MutableBytes out) final {
    // A last frame that is not full is left out.
    const std::span<const std::int16_t> whole =
        samples.first(samples.size() / shape_.samples * shape_.samples);
    if (!whole.empty()) encode_frames(whole, out);
    return {octets_for(samples.size()), 0, false};
  }

 private:
  /// `samples`: at least one frame, and only whole ones.
  virtual void encode_frames(std::span<const std::int16_t> samples, MutableBytes out) = 0;
  Shape shape_;
};

/// One octet for each sample, at any rate.
class G711Encoder final : public FrameEncoder {
 public:
  using Compress = std::uint8_t (*)(std::int16_t sample);
  G711Encoder(Compress compress, std::uint32_t rate_hz)
      : FrameEncoder({rate_hz, 1, 1}), compress_(compress) {}

 private:
  void encode_frames(std::span<const std::int16_t> samples, MutableBytes out) override {
    std::ranges::transform(samples, out.begin(),
                           [this](std::int16_t sample) { return std::byte{compress_(sample)}; });
  }
  Compress compress_;
};

// 16 kHz samples under a clock of 8 kHz; the codec takes samples in pairs (RFC 3551 §4.5.2).
class G722Encoder final : public FrameEncoder {
 public:
  G722Encoder() : FrameEncoder({16'000, 2, 1}), state_(g722_encode_init(nullptr, 64'000, 0)) {}

 private:
  void encode_frames(std::span<const std::int16_t> samples, MutableBytes out) override {
    g722_encode(state_.get(), octets(out), samples.data(), static_cast<int>(samples.size()));
  }
  std::unique_ptr<g722_encode_state_t, FreeWith<g722_encode_free>> state_;
};

// GSM 06.10: 33 octets for 160 samples (RFC 3551 §4.5.8).
class GsmEncoder final : public FrameEncoder {
 public:
  GsmEncoder() : FrameEncoder({8000, 160, 33}), state_(gsm0610_init(nullptr, GSM0610_PACKING_VOIP)) {}

 private:
  void encode_frames(std::span<const std::int16_t> samples, MutableBytes out) override {
    gsm0610_encode(state_.get(), octets(out), samples.data(), static_cast<int>(samples.size()));
  }
  std::unique_ptr<gsm0610_state_t, FreeWith<gsm0610_free>> state_;
};

// G.726: codes of 2 to 5 bits. A frame is the least number of samples that fills whole octets, and payloads
// must (RFC 3551 §4.5.4).
class G726Encoder final : public FrameEncoder {
 public:
  G726Encoder(std::size_t bits, bool from_most_significant)
      : FrameEncoder(shape(bits)),
        state_(g726_init(nullptr, static_cast<int>(bits) * 8000, G726_ENCODING_LINEAR,
                         from_most_significant ? G726_PACKING_LEFT : G726_PACKING_RIGHT)) {}

 private:
  static Shape shape(std::size_t bits) {
    const std::size_t shared = std::gcd(bits, std::size_t{8});
    return {8000, 8 / shared, bits / shared};
  }
  void encode_frames(std::span<const std::int16_t> samples, MutableBytes out) override {
    g726_encode(state_.get(), octets(out), samples.data(), static_cast<int>(samples.size()));
  }
  std::unique_ptr<g726_state_t, FreeWith<g726_free>> state_;
};

/// Samples as they are, big-endian (RFC 3551 §4.5.11). All channels of the format say the same.
class L16Encoder final : public FrameEncoder {
 public:
  explicit L16Encoder(const AudioFormat& format)
      : FrameEncoder({format.clock_rate_hz, 1, 2u * format.channels}), channels_(format.channels) {}

 private:
  void encode_frames(std::span<const std::int16_t> samples, MutableBytes out) override {
    std::size_t at = 0;
    for (const std::int16_t sample : samples) {
      for (unsigned c = 0; c < channels_; ++c, at += 2)
        write_u16(out, at, static_cast<std::uint16_t>(sample));
    }
  }
  unsigned channels_;
};

std::string not_encoded(const AudioFormat& format) {
  return format.encoding + " with " + std::to_string(format.channels) + " channels is not encoded";
}

/// Makes `Encoder`, if the format has one channel.
template <class Encoder, class... Args>
EncoderResult mono(const AudioFormat& format, Args... args) {
  if (format.channels != 1) return fail(not_encoded(format));
  return std::make_unique<Encoder>(args...);
}

}  // namespace

EncoderResult make_pcmu_encoder(const AudioFormat& format) {
  return mono<G711Encoder>(
      format, [](std::int16_t sample) { return linear_to_ulaw(sample); }, format.clock_rate_hz);
}

EncoderResult make_pcma_encoder(const AudioFormat& format) {
  return mono<G711Encoder>(
      format, [](std::int16_t sample) { return linear_to_alaw(sample); }, format.clock_rate_hz);
}

EncoderResult make_g722_encoder(const AudioFormat& format) { return mono<G722Encoder>(format); }

EncoderResult make_gsm_encoder(const AudioFormat& format) { return mono<GsmEncoder>(format); }

EncoderResult make_g726_encoder(const AudioFormat& format) {
  const G726Name name = g726_name(format.encoding);
  return mono<G726Encoder>(format, name.bits, name.is_aal2);
}

EncoderResult make_l16_encoder(const AudioFormat& format) {
  if (format.channels == 0 || format.channels > 2) return fail(not_encoded(format));
  return std::make_unique<L16Encoder>(format);
}

std::vector<std::byte> encode_all(AudioEncoder& encoder, std::span<const std::int16_t> samples) {
  std::vector<std::byte> payload(encoder.octets_for(samples.size()));
  payload.resize(encoder.encode(samples, payload).octets);
  return payload;
}

}  // namespace ferry
