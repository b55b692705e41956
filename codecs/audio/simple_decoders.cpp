// Decoders by spandsp, libopus and libspeex. The payload of each is only samples or frames, one after
// another, so there is no form to take apart. What is checked is its length: a packet that claims more than
// `kMaxPacketMs` of sound is damaged or hostile.
#include "codecs/audio/simple_decoders.hpp"

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

const std::uint8_t* octets(Bytes bytes) { return reinterpret_cast<const std::uint8_t*>(bytes.data()); }

/// Base of mono codecs that have no concealment of their own: the last pitch period is repeated.
class RepeatingDecoder : public AudioDecoder {
 public:
  explicit RepeatingDecoder(std::uint32_t rate_hz) : rate_hz_(rate_hz), repetition_(rate_hz) {}
  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override { return rate_hz_; }
  [[nodiscard]] bool decode(Bytes payload, std::vector<std::int16_t>& out) final {
    const std::size_t before = out.size();
    if (!decode_frames(payload, out)) {
      out.resize(before);
      return false;
    }
    repetition_.heard(std::span(out).subspan(before));
    return true;
  }
  void conceal(std::size_t frames, std::vector<std::int16_t>& out) final { repetition_.fill(frames, out); }

 protected:
  virtual bool decode_frames(Bytes payload, std::vector<std::int16_t>& out) = 0;

 private:
  std::uint32_t rate_hz_;
  Repetition repetition_;
};

enum class Law : std::uint8_t { kMu, kA };

// G.711 by a table of 256 entries, which costs one look-up for each octet.
class G711Decoder final : public RepeatingDecoder {
 public:
  G711Decoder(Law law, std::uint32_t rate_hz) : RepeatingDecoder(rate_hz), table_(table(law)) {}

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
  bool decode_frames(Bytes payload, std::vector<std::int16_t>& out) override {
    // One octet is one sample.
    if (payload.size() > sample_rate_hz() * kMaxPacketMs / 1000) return false;
    for (const std::byte octet : payload) out.push_back(table_[std::to_integer<std::uint8_t>(octet)]);
    return true;
  }
  const Table& table_;
};

// 16 kHz samples under a clock of 8 kHz (RFC 3551 §4.5.2).
class G722Decoder final : public RepeatingDecoder {
 public:
  G722Decoder() : RepeatingDecoder(16000), state_(g722_decode_init(nullptr, 64000, 0)) {}

 private:
  bool decode_frames(Bytes payload, std::vector<std::int16_t>& out) override {
    // Eight octets a millisecond, two samples each.
    if (payload.size() > 8 * kMaxPacketMs) return false;
    const std::size_t before = out.size();
    out.resize(before + payload.size() * 2);
    const int made =
        g722_decode(state_.get(), out.data() + before, octets(payload), static_cast<int>(payload.size()));
    out.resize(before + static_cast<std::size_t>(std::max(made, 0)));
    return made >= 0;
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
  [[nodiscard]] bool decode(Bytes payload, std::vector<std::int16_t>& out) override {
    // Half a sample, or samples for some channels only, means that something was cut off.
    if (payload.size() % (2u * channels_) != 0) return false;
    for (std::size_t i = 0; i < payload.size(); i += 2)
      out.push_back(static_cast<std::int16_t>(read_u16(payload, i)));
    return true;
  }
  void conceal(std::size_t frames, std::vector<std::int16_t>& out) override {
    out.resize(out.size() + frames * channels_);
  }

 private:
  std::uint32_t rate_hz_;
  unsigned channels_;
};

// GSM 06.10: frames of 33 octets, 20 ms each (RFC 3551 §4.5.8).
class GsmDecoder final : public RepeatingDecoder {
 public:
  GsmDecoder() : RepeatingDecoder(8000), state_(gsm0610_init(nullptr, GSM0610_PACKING_VOIP)) {}

 private:
  static constexpr std::size_t kFrame = 33;
  static constexpr std::size_t kSamples = 160;
  bool decode_frames(Bytes payload, std::vector<std::int16_t>& out) override {
    // Some phones put several frames into a packet, but never a part of one.
    if (payload.empty() || payload.size() % kFrame != 0 || payload.size() / kFrame > kMaxPacketMs / 20)
      return false;
    const std::size_t before = out.size();
    out.resize(before + payload.size() / kFrame * kSamples);
    return gsm0610_decode(state_.get(), out.data() + before, octets(payload),
                          static_cast<int>(payload.size())) >= 0;
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

 private:
  bool decode_frames(Bytes payload, std::vector<std::int16_t>& out) override {
    // Samples are codes of 2 to 5 bits, packed without gaps.
    const std::size_t samples = payload.size() * 8 / bits_;
    if (samples > 8 * kMaxPacketMs) return false;
    const std::size_t before = out.size();
    // The library may give out a code that two packets share already now.
    out.resize(before + samples + 8);
    const int made =
        g726_decode(state_.get(), out.data() + before, octets(payload), static_cast<int>(payload.size()));
    out.resize(before + static_cast<std::size_t>(std::max(made, 0)));
    return made >= 0;
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
  [[nodiscard]] bool decode(Bytes payload, std::vector<std::int16_t>& out) override {
    // A packet holds up to 120 ms (RFC 6716 section 3.2.5).
    return !payload.empty() && run(octets(payload), payload.size(), kRate * 120 / 1000, out);
  }
  void conceal(std::size_t frames, std::vector<std::int16_t>& out) override {
    // The codec hides losses in steps of 2.5 ms; what is too much is cut off.
    constexpr std::size_t kStep = kRate / 400;
    for (std::size_t left = frames; left > 0;) {
      const std::size_t now = std::min<std::size_t>((left + kStep - 1) / kStep * kStep, kRate / 50);
      const std::size_t before = out.size();
      // If the library cannot, silence keeps the time.
      if (!run(nullptr, 0, now, out)) out.resize(before + now * channels_);
      if (now > left) out.resize(before + left * channels_);
      left -= std::min(left, now);
    }
  }

 private:
  static constexpr std::size_t kRate = 48000;
  bool run(const std::uint8_t* data, std::size_t size, std::size_t room, std::vector<std::int16_t>& out) {
    if (!state_) return false;
    const std::size_t before = out.size();
    out.resize(before + room * channels_);
    const int made = opus_decode(state_.get(), data, static_cast<opus_int32>(size), out.data() + before,
                                 static_cast<int>(room), 0);
    out.resize(before + static_cast<std::size_t>(std::max(made, 0)) * channels_);
    return made >= 0;
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
  [[nodiscard]] bool decode(Bytes payload, std::vector<std::int16_t>& out) override {
    const std::size_t before = out.size();
    speex_bits_read_from(&bits_, reinterpret_cast<const char*>(payload.data()),
                         static_cast<int>(payload.size()));
    // The number of frames stands nowhere; the packet is read until it ends.
    for (std::size_t frames = 0; frames < kMaxPacketMs / 20; ++frames) {
      // Less than a mode number: padding.
      if (speex_bits_remaining(&bits_) < 5) break;
      const std::size_t at = out.size();
      out.resize(at + frame_);
      const int status = speex_decode_int(state_.get(), &bits_, out.data() + at);
      if (status == 0) continue;
      out.resize(at);
      // The terminator code.
      if (status == -1) break;
      out.resize(before);
      return false;
    }
    return out.size() != before;
  }
  void conceal(std::size_t frames, std::vector<std::int16_t>& out) override {
    const std::size_t wanted = out.size() + frames;
    while (out.size() < wanted) {
      const std::size_t at = out.size();
      out.resize(at + frame_);
      // Without data the decoder goes on from what it heard last.
      speex_decode_int(state_.get(), nullptr, out.data() + at);
    }
    out.resize(wanted);
  }

 private:
  struct Free {
    void operator()(void* state) const { speex_decoder_destroy(state); }
  };
  std::uint32_t rate_hz_;
  std::unique_ptr<void, Free> state_;
  SpeexBits bits_{};
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
