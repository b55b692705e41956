// Decoders by spandsp, libopus and libspeex. The payload of each is only samples or frames, one after
// another, so there is no form to take apart. What is checked is its length: a packet that claims more than
// `kMaxPacketMs` of sound is damaged or hostile.
#include "codecs/audio/simple_decoders.hpp"

#include "codecs/audio/audio_format.hpp"
#include "codecs/audio/repetition.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <opus/opus.h>
#include <spandsp.h>
#include <speex/speex.h>

namespace ferry {

namespace {

/// Longest sound of one packet that is believed, ms.
constexpr std::size_t kMaxPacketMs = 240;
/// Longest payload that a datagram can have, octets.
constexpr std::size_t kMaxPayload = 65'535;

const std::uint8_t* octets(Bytes bytes) { return reinterpret_cast<const std::uint8_t*>(bytes.data()); }

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

enum class Law : std::uint8_t { kMu, kA };

// G.711 by a table of 256 entries, which costs one look-up for each octet.
class G711Decoder final : public RepeatingDecoder {
 public:
  G711Decoder(Law law, std::uint32_t rate_hz) : RepeatingDecoder(rate_hz), table_(table(law)) {}
  // One octet is one sample. The rate is what a peer says, so it alone is no bound.
  [[nodiscard]] std::size_t max_samples() const noexcept override {
    return std::min(sample_rate_hz() * kMaxPacketMs / 1000, kMaxPayload);
  }

 private:
  using Table = std::array<std::int16_t, 256>;
  static const Table& table(Law law) {
    static const auto fill = [](auto expand) {
      Table made{};
      for (std::size_t i = 0; i < made.size(); ++i) made[i] = expand(static_cast<std::uint8_t>(i));
      return made;
    };
    static const Table mu = fill([](std::uint8_t code) { return ulaw_to_linear(code); });
    static const Table a = fill([](std::uint8_t code) { return alaw_to_linear(code); });
    return law == Law::kMu ? mu : a;
  }
  std::optional<std::size_t> decode_frames(Bytes payload, std::span<std::int16_t> out) override {
    if (payload.size() > max_samples()) return std::nullopt;
    std::ranges::transform(payload, out.begin(),
                           [this](std::byte octet) { return table_[std::to_integer<std::uint8_t>(octet)]; });
    return payload.size();
  }
  const Table& table_;
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
  // The library may give out a code that two packets share already now.
  [[nodiscard]] std::size_t max_samples() const noexcept override { return 8 * kMaxPacketMs + 8; }

 private:
  std::optional<std::size_t> decode_frames(Bytes payload, std::span<std::int16_t> out) override {
    // Samples are codes of 2 to 5 bits, packed without gaps.
    if (payload.size() * 8 / bits_ > 8 * kMaxPacketMs) return std::nullopt;
    return made_by_library(
        g726_decode(state_.get(), out.data(), octets(payload), static_cast<int>(payload.size())));
  }
  struct Free {
    void operator()(g726_state_t* state) const { g726_free(state); }
  };
  std::size_t bits_;
  std::unique_ptr<g726_state_t, Free> state_;
};

/// Opus (RFC 7587): timestamps and samples of 48 kHz, whatever rate is inside.
class OpusFormatDecoder final : public AudioDecoder {
 public:
  explicit OpusFormatDecoder(unsigned channels)
      : channels_(channels), state_(opus_decoder_create(kRate, static_cast<int>(channels), nullptr)) {}
  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override { return kRate; }
  [[nodiscard]] unsigned channels() const noexcept override { return channels_; }
  // A packet holds up to 120 ms (RFC 6716 §3.2.5).
  [[nodiscard]] std::size_t max_samples() const noexcept override { return kRate * 120 / 1000 * channels_; }
  [[nodiscard]] std::optional<std::size_t> decode(Bytes payload, std::span<std::int16_t> out) override {
    if (payload.empty()) return std::nullopt;
    return run(octets(payload), payload.size(), out.first(max_samples()));
  }
  void conceal(std::span<std::int16_t> out) override {
    // The codec hides losses in steps of 2.5 ms, at most 20 ms at once; what is too much is cut off.
    constexpr std::size_t kStep = kRate / 400;
    while (!out.empty()) {
      const std::size_t left = out.size() / channels_;
      const std::size_t now = std::min<std::size_t>((left + kStep - 1) / kStep * kStep, kRate / 50);
      std::array<std::int16_t, kRate / 50 * 2> made{};
      // If the library cannot, silence keeps the time.
      if (!run(nullptr, 0, std::span(made).first(now * channels_))) made.fill(0);
      const std::size_t wanted = std::min(out.size(), now * channels_);
      std::copy_n(made.begin(), wanted, out.begin());
      out = out.subspan(wanted);
    }
  }

 private:
  static constexpr std::size_t kRate = 48000;
  // Samples that the library made in `room`.
  std::optional<std::size_t> run(const std::uint8_t* data, std::size_t size, std::span<std::int16_t> room) {
    if (!state_) return std::nullopt;
    const int made = opus_decode(state_.get(), data, static_cast<opus_int32>(size), room.data(),
                                 static_cast<int>(room.size() / channels_), 0);
    if (made < 0) return std::nullopt;
    return static_cast<std::size_t>(made) * channels_;
  }
  struct Free {
    void operator()(OpusDecoder* state) const { opus_decoder_destroy(state); }
  };
  unsigned channels_;
  std::unique_ptr<OpusDecoder, Free> state_;
};

/// Speex (RFC 5574): frames one after another, the last octet padded.
class SpeexFormatDecoder final : public AudioDecoder {
 public:
  explicit SpeexFormatDecoder(std::uint32_t rate_hz) : rate_hz_(rate_hz) {
    // The mode follows from the rate: narrowband, wideband or ultra-wideband.
    const SpeexMode* mode = speex_lib_get_mode(rate_hz >= 32000   ? SPEEX_MODEID_UWB
                                               : rate_hz >= 16000 ? SPEEX_MODEID_WB
                                                                  : SPEEX_MODEID_NB);
    state_.reset(speex_decoder_init(mode));
    speex_bits_init(&bits_);
    int frame = 0;
    speex_decoder_ctl(state_.get(), SPEEX_GET_FRAME_SIZE, &frame);
    frame_ = static_cast<std::size_t>(frame);
  }
  ~SpeexFormatDecoder() override { speex_bits_destroy(&bits_); }
  SpeexFormatDecoder(const SpeexFormatDecoder&) = delete;
  SpeexFormatDecoder& operator=(const SpeexFormatDecoder&) = delete;
  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override { return rate_hz_; }
  [[nodiscard]] std::size_t max_samples() const noexcept override { return kMaxFrames * frame_; }
  [[nodiscard]] std::optional<std::size_t> decode(Bytes payload, std::span<std::int16_t> out) override {
    std::size_t made = 0;
    speex_bits_read_from(&bits_, reinterpret_cast<const char*>(payload.data()),
                         static_cast<int>(payload.size()));
    // The number of frames stands nowhere; the packet is read until it ends.
    for (std::size_t frames = 0; frames < kMaxFrames; ++frames) {
      // Less than a mode number: padding.
      if (speex_bits_remaining(&bits_) < 5) break;
      const int status = speex_decode_int(state_.get(), &bits_, out.data() + made);
      if (status == 0) {
        made += frame_;
        continue;
      }
      // The terminator code.
      if (status == -1) break;
      return std::nullopt;
    }
    return made == 0 ? std::nullopt : std::optional(made);
  }
  void conceal(std::span<std::int16_t> out) override {
    while (!out.empty()) {
      std::array<std::int16_t, kMostSamples> made{};
      // Without data the decoder goes on from what it heard last.
      speex_decode_int(state_.get(), nullptr, made.data());
      const std::size_t wanted = std::min(out.size(), frame_);
      std::copy_n(made.begin(), wanted, out.begin());
      out = out.subspan(wanted);
    }
  }

 private:
  struct Free {
    void operator()(void* state) const { speex_decoder_destroy(state); }
  };
  std::uint32_t rate_hz_;
  std::unique_ptr<void, Free> state_;
  SpeexBits bits_{};
  static constexpr std::size_t kMaxFrames = kMaxPacketMs / 20;
  /// Samples of a frame of 20 ms: 160, 320 or 640.
  static constexpr std::size_t kMostSamples = 640;
  std::size_t frame_ = 160;
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
  const std::string_view name = format.encoding;
  int kilobits = 0;
  // The table of decoders has named one of the rates.
  std::from_chars(name.data() + name.rfind('-') + 1, name.data() + name.size(), kilobits);
  const bool aal2 = name.starts_with('A') || name.starts_with('a');
  return std::make_unique<G726Decoder>(kilobits / 8, aal2);
}

DecoderResult make_opus_decoder(const AudioFormat& format) {
  // sprop-stereo is what the sender says of its own signal (RFC 7587 §6.1).
  const bool stereo = format_parameter(format.parameters, "sprop-stereo") == "1";
  return std::make_unique<OpusFormatDecoder>(stereo ? 2u : 1u);
}

DecoderResult make_speex_decoder(const AudioFormat& format) {
  return std::make_unique<SpeexFormatDecoder>(format.clock_rate_hz);
}

}  // namespace ferry
