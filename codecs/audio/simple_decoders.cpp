// SPDX-License-Identifier: Apache-2.0
// Decoders by spandsp. The payload of each is only samples or frames, one after another, so there is no form
// to take apart. What is checked is its length: a packet that claims more than `kMaxPacketMs` of sound is
// damaged or hostile.
#include "codecs/audio/simple_decoders.hpp"

#include "codecs/audio/g711.hpp"
#include "codecs/audio/g726_name.hpp"
#include "codecs/audio/payload_octets.hpp"
#include "codecs/audio/repetition.hpp"

#include <algorithm>
#include <array>

#include <spandsp.h>

namespace ferry {

namespace {

/// Base of mono codecs that have no concealment of their own: the last pitch period is repeated.
class RepeatingDecoder : public AudioDecoder {
 public:
  explicit RepeatingDecoder(std::uint32_t rate_hz) : rate_hz_(rate_hz), repetition_(rate_hz) {}
  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override { return rate_hz_; }
  [[nodiscard]] std::optional<std::size_t> decode(Bytes payload, std::span<std::int16_t> out) final {
    const auto made = decode_frames(payload, out);
    if (made) repetition_.heard(out.first(*made));
    return made;
  }
  void conceal(std::span<std::int16_t> out) final { repetition_.fill(out); }

 protected:
  virtual std::optional<std::size_t> decode_frames(Bytes payload, std::span<std::int16_t> out) = 0;
  /// What a library says it made; negative: it could not.
  static std::optional<std::size_t> made_by_library(int made) {
    return made < 0 ? std::nullopt : std::optional(static_cast<std::size_t>(made));
  }

 private:
  std::uint32_t rate_hz_;
  Repetition repetition_;
};

// G.711 by a table of 256 entries, which costs one look-up for each octet.
class G711Decoder final : public RepeatingDecoder {
 public:
  G711Decoder(Law law, std::uint32_t rate_hz) : RepeatingDecoder(rate_hz), table_(g711_samples(law)) {}
  // One octet is one sample. The rate is what a peer says, so it alone is no bound.
  [[nodiscard]] std::size_t max_samples() const noexcept override {
    return std::min(sample_rate_hz() * kMaxPacketMs / 1000, kMaxPayload);
  }

 private:
  std::optional<std::size_t> decode_frames(Bytes payload, std::span<std::int16_t> out) override {
    if (payload.size() > max_samples()) return std::nullopt;
    std::ranges::transform(payload, out.begin(),
                           [this](std::byte octet) { return table_[std::to_integer<std::uint8_t>(octet)]; });
    return payload.size();
  }
  const std::array<std::int16_t, 256>& table_;
};

// 16 kHz samples under a clock of 8 kHz (RFC 3551 §4.5.2).
class G722Decoder final : public RepeatingDecoder {
 public:
  G722Decoder() : RepeatingDecoder(16000), state_(g722_decode_init(nullptr, 64000, 0)) {}
  // Eight octets a millisecond, two samples each.
  [[nodiscard]] std::size_t max_samples() const noexcept override { return 16 * kMaxPacketMs; }

 private:
  std::optional<std::size_t> decode_frames(Bytes payload, std::span<std::int16_t> out) override {
    if (payload.size() * 2 > max_samples()) return std::nullopt;
    return made_by_library(
        g722_decode(state_.get(), out.data(), octets(payload), static_cast<int>(payload.size())));
  }
  struct Free {
    void operator()(g722_decode_state_t* state) const { g722_decode_free(state); }
  };
  std::unique_ptr<g722_decode_state_t, Free> state_;
};

/// Samples as they are (RFC 3551 §4.5.11): big-endian, interleaved. Lost ones are silence.
class L16Decoder final : public AudioDecoder {
 public:
  explicit L16Decoder(const AudioFormat& format)
      : rate_hz_(format.clock_rate_hz), channels_(format.channels) {}
  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override { return rate_hz_; }
  [[nodiscard]] unsigned channels() const noexcept override { return channels_; }
  [[nodiscard]] std::size_t max_samples() const noexcept override { return kMaxPayload / 2; }
  [[nodiscard]] std::optional<std::size_t> decode(Bytes payload, std::span<std::int16_t> out) override {
    // Half a sample, or samples for some channels only, means that something was cut off.
    if (payload.size() % (2u * channels_) != 0 || payload.size() > kMaxPayload) return std::nullopt;
    for (std::size_t i = 0; i < payload.size() / 2; ++i)
      out[i] = static_cast<std::int16_t>(read_u16(payload, 2 * i));
    return payload.size() / 2;
  }
  void conceal(std::span<std::int16_t> out) override { std::ranges::fill(out, std::int16_t{0}); }

 private:
  std::uint32_t rate_hz_;
  unsigned channels_;
};

// GSM 06.10: frames of 33 octets, 20 ms each (RFC 3551 §4.5.8).
class GsmDecoder final : public RepeatingDecoder {
 public:
  GsmDecoder() : RepeatingDecoder(8000), state_(gsm0610_init(nullptr, GSM0610_PACKING_VOIP)) {}
  [[nodiscard]] std::size_t max_samples() const noexcept override { return 8 * kMaxPacketMs; }

 private:
  static constexpr std::size_t kFrame = 33;
  static constexpr std::size_t kSamples = 160;
  std::optional<std::size_t> decode_frames(Bytes payload, std::span<std::int16_t> out) override {
    // Some phones put several frames into a packet, but never a part of one.
    if (payload.empty() || payload.size() % kFrame != 0 || payload.size() / kFrame > kMaxPacketMs / 20)
      return std::nullopt;
    const int taken =
        gsm0610_decode(state_.get(), out.data(), octets(payload), static_cast<int>(payload.size()));
    if (taken < 0) return std::nullopt;
    return payload.size() / kFrame * kSamples;
  }
  struct Free {
    void operator()(gsm0610_state_t* state) const { gsm0610_free(state); }
  };
  std::unique_ptr<gsm0610_state_t, Free> state_;
};

// G.726 at 2 to 5 bits for each sample.
class G726Decoder final : public RepeatingDecoder {
 public:
  G726Decoder(int bits, bool from_most_significant)
      : RepeatingDecoder(8000),
        bits_(static_cast<std::size_t>(bits)),
        state_(g726_init(nullptr, bits * 8000, G726_ENCODING_LINEAR,
                         from_most_significant ? G726_PACKING_LEFT : G726_PACKING_RIGHT)) {}
  [[nodiscard]] std::size_t max_samples() const noexcept override { return 8 * kMaxPacketMs; }

 private:
  std::optional<std::size_t> decode_frames(Bytes payload, std::span<std::int16_t> out) override {
    // Samples are codes of 2 to 5 bits, packed without gaps.
    if (payload.size() * 8 / bits_ > max_samples()) return std::nullopt;
    // A code that is cut in two would wait inside the library and put all later packets out of step.
    if (payload.size() * 8 % bits_ != 0) return std::nullopt;
    return made_by_library(
        g726_decode(state_.get(), out.data(), octets(payload), static_cast<int>(payload.size())));
  }
  struct Free {
    void operator()(g726_state_t* state) const { g726_free(state); }
  };
  std::size_t bits_;
  std::unique_ptr<g726_state_t, Free> state_;
};

std::string mono_only(const AudioFormat& format) {
  return format.encoding + " with " + std::to_string(format.channels) + " channels is not decoded";
}

}  // namespace

DecoderResult make_pcmu_decoder(const AudioFormat& format) {
  if (format.channels != 1) return fail(mono_only(format));
  return std::make_unique<G711Decoder>(Law::kMu, format.clock_rate_hz);
}

DecoderResult make_pcma_decoder(const AudioFormat& format) {
  if (format.channels != 1) return fail(mono_only(format));
  return std::make_unique<G711Decoder>(Law::kA, format.clock_rate_hz);
}

DecoderResult make_g722_decoder(const AudioFormat& format) {
  if (format.channels != 1) return fail(mono_only(format));
  return std::make_unique<G722Decoder>();
}

DecoderResult make_l16_decoder(const AudioFormat& format) {
  if (format.channels == 0 || format.channels > 8) return fail(mono_only(format));
  if (format.clock_rate_hz == 0) return fail(std::string("L16 without a clock rate"));
  return std::make_unique<L16Decoder>(format);
}

DecoderResult make_gsm_decoder(const AudioFormat&) { return std::make_unique<GsmDecoder>(); }

DecoderResult make_g726_decoder(const AudioFormat& format) {
  const G726Name name = g726_name(format.encoding);
  return std::make_unique<G726Decoder>(static_cast<int>(name.bits), name.is_aal2);
}

}  // namespace ferry
