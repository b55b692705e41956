#include "codecs/audio/simple_encoders.hpp"

#include <algorithm>
#include <memory>

// spandsp's headers need these before them.
#include <cmath>
#include <cstdio>

#include <spandsp.h>

namespace ferry {

namespace {

template <auto kFree>
struct FreeWith {
  template <class State>
  void operator()(State* state) const {
    kFree(state);
  }
};

std::uint8_t* octets(MutableBytes bytes) { return reinterpret_cast<std::uint8_t*>(bytes.data()); }

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
  std::size_t encode(std::span<const std::int16_t> samples, MutableBytes out) final {
    // A last frame that is not full is left out.
    const std::span<const std::int16_t> whole =
        samples.first(samples.size() / shape_.samples * shape_.samples);
    if (!whole.empty()) encode_frames(whole, out);
    return octets_for(samples.size());
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

/// Makes `Encoder`, if the format has one channel.
template <class Encoder, class... Args>
EncoderResult mono(const AudioFormat& format, Args... args) {
  if (format.channels != 1)
    return fail(format.encoding + " with " + std::to_string(format.channels) + " channels is not encoded");
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

std::vector<std::byte> encode_all(AudioEncoder& encoder, std::span<const std::int16_t> samples) {
  std::vector<std::byte> payload(encoder.octets_for(samples.size()));
  payload.resize(encoder.encode(samples, payload));
  return payload;
}

}  // namespace ferry
