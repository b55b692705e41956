// SPDX-License-Identifier: Apache-2.0
// Speex. A payload is frames of 20 ms, one bit after another, and a terminator up to the next whole octet
// (RFC 5574 §3.3).
#include "codecs/audio/speex.hpp"

#include "codecs/audio/audio_format.hpp"
#include "codecs/audio/payload_octets.hpp"

#include <algorithm>
#include <array>

#include <speex/speex.h>

namespace ferry {

namespace {

/// Frames of 20 ms in the longest packet, and samples of one: 160, 320 or at most 640.
constexpr std::size_t kSpeexFrames = kMaxPacketMs / 20;
constexpr std::size_t kSpeexSamples = 640;
/// More octets than a frame of any mode has.
constexpr std::size_t kSpeexOctets = 120;
/// A good quality for speech (15 and 27.8 kbit/s), and a good effort.
constexpr int kSpeexQuality = 8;
constexpr int kSpeexComplexity = 3;

/// The mode follows from the rate: narrowband, wideband or ultra-wideband.
const SpeexMode* speex_mode(std::uint32_t rate_hz) {
  return speex_lib_get_mode(rate_hz >= 32000   ? SPEEX_MODEID_UWB
                            : rate_hz >= 16000 ? SPEEX_MODEID_WB
                                               : SPEEX_MODEID_NB);
}

/// Speex (RFC 5574): frames one after another, the last octet padded.
class SpeexFormatDecoder final : public AudioDecoder {
 public:
  explicit SpeexFormatDecoder(std::uint32_t rate_hz) : rate_hz_(rate_hz) {
    state_.reset(speex_decoder_init(speex_mode(rate_hz)));
    speex_bits_init(&bits_);
    int frame = 0;
    speex_decoder_ctl(state_.get(), SPEEX_GET_FRAME_SIZE, &frame);
    frame_ = static_cast<std::size_t>(frame);
  }
  ~SpeexFormatDecoder() override { speex_bits_destroy(&bits_); }
  SpeexFormatDecoder(const SpeexFormatDecoder&) = delete;
  SpeexFormatDecoder& operator=(const SpeexFormatDecoder&) = delete;
  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override { return rate_hz_; }
  [[nodiscard]] std::size_t max_samples() const noexcept override { return kSpeexFrames * frame_; }
  [[nodiscard]] std::optional<std::size_t> decode(Bytes payload, std::span<std::int16_t> out) override {
    std::size_t made = 0;
    speex_bits_read_from(&bits_, reinterpret_cast<const char*>(payload.data()),
                         static_cast<int>(payload.size()));
    // The number of frames stands nowhere; the packet is read until it ends.
    for (std::size_t frames = 0; frames < kSpeexFrames; ++frames) {
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
      std::array<std::int16_t, kSpeexSamples> made{};
      // Without data the decoder goes on from what it heard last.
      speex_decode_int(state_.get(), nullptr, made.data());
      const std::size_t wanted = std::min(out.size(), frame_);
      std::copy_n(made.begin(), wanted, out.begin());
      out = out.subspan(wanted);
    }
  }

 private:
  std::uint32_t rate_hz_;
  std::unique_ptr<void, FreeWith<speex_decoder_destroy>> state_;
  SpeexBits bits_{};
  std::size_t frame_ = 160;
};

/// What the receiver's SDP and the relay agree on.
struct SpeexTerms {
  std::uint32_t rate_hz = 8000;
  int quality = kSpeexQuality;
  int complexity = kSpeexComplexity;
  /// Highest bitrate, bit/s; 0: what the quality needs.
  std::uint32_t most_bps = 0;
  bool variable_rate = false;
  bool voice_detection = false;
  bool dtx = false;
};

class SpeexFormatEncoder final : public AudioEncoder {
 public:
  explicit SpeexFormatEncoder(const SpeexTerms& terms)
      : terms_(terms), state_(speex_encoder_init(speex_mode(terms.rate_hz))) {
    speex_bits_init(&bits_);
    int frame = 0;
    speex_encoder_ctl(state_.get(), SPEEX_GET_FRAME_SIZE, &frame);
    frame_ = static_cast<std::size_t>(frame);
    set(SPEEX_SET_COMPLEXITY, terms.complexity);
    set(SPEEX_SET_VBR, terms.variable_rate ? 1 : 0);
    set(SPEEX_SET_VAD, terms.voice_detection ? 1 : 0);
    set(SPEEX_SET_DTX, terms.dtx ? 1 : 0);
    set_bitrate(terms.most_bps);
  }
  ~SpeexFormatEncoder() override { speex_bits_destroy(&bits_); }
  SpeexFormatEncoder(const SpeexFormatEncoder&) = delete;
  SpeexFormatEncoder& operator=(const SpeexFormatEncoder&) = delete;
  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override { return terms_.rate_hz; }
  [[nodiscard]] std::size_t frame_samples() const noexcept override { return frame_; }
  [[nodiscard]] bool takes(std::size_t samples) const noexcept override {
    return samples > 0 && samples % frame_ == 0 && samples / frame_ <= kSpeexFrames;
  }
  [[nodiscard]] std::size_t octets_for(std::size_t samples) const noexcept override {
    return frames_in(samples) * kSpeexOctets;
  }
  Encoded encode(std::span<const std::int16_t> samples, MutableBytes out) override {
    speex_bits_reset(&bits_);
    const std::size_t frames = frames_in(samples.size());
    bool is_silence = true;
    for (std::size_t i = 0; i < frames; ++i) {
      // The library may write into what it encodes.
      std::array<std::int16_t, kSpeexSamples> frame;
      std::ranges::copy(samples.subspan(i * frame_, frame_), frame.begin());
      // Zero: nothing needs to be sent for this frame.
      if (speex_encode_int(state_.get(), frame.data(), &bits_) != 0) is_silence = false;
    }
    if (is_silence) return {0, 0, true};
    speex_bits_insert_terminator(&bits_);
    const int made =
        speex_bits_write(&bits_, reinterpret_cast<char*>(out.data()), static_cast<int>(out.size()));
    return {static_cast<std::size_t>(made), 0, false};
  }
  void on_feedback(const EncoderFeedback& feedback) override {
    if (!feedback.bitrate_bps) return;
    const std::uint32_t wanted = *feedback.bitrate_bps;
    set_bitrate(wanted == 0 || terms_.most_bps == 0 ? std::max(wanted, terms_.most_bps)
                                                    : std::min(wanted, terms_.most_bps));
  }

 private:
  [[nodiscard]] std::size_t frames_in(std::size_t samples) const noexcept {
    return std::min(samples / frame_, kSpeexFrames);
  }
  void set(int what, int value) { speex_encoder_ctl(state_.get(), what, &value); }
  /// The quality that was agreed on, and less if it needs a higher bitrate than this; 0: no bound.
  void set_bitrate(std::uint32_t most_bps) {
    for (int quality = terms_.quality; quality >= 0; --quality) {
      set(SPEEX_SET_QUALITY, quality);
      auto variable = static_cast<float>(quality);
      if (terms_.variable_rate) speex_encoder_ctl(state_.get(), SPEEX_SET_VBR_QUALITY, &variable);
      int bps = 0;
      speex_encoder_ctl(state_.get(), SPEEX_GET_BITRATE, &bps);
      if (most_bps == 0 || static_cast<std::uint32_t>(bps) <= most_bps) return;
    }
  }
  SpeexTerms terms_;
  std::unique_ptr<void, FreeWith<speex_encoder_destroy>> state_;
  SpeexBits bits_{};
  std::size_t frame_ = 160;
};

/// The quality for the first mode that the receiver names (RFC 5574 §3.4). Modes of narrowband are numbers of
/// bit patterns, not in order of quality; those of the wider bands are qualities.
int quality_of(std::string_view modes, bool is_narrow) {
  while (modes.starts_with('"') || modes.starts_with(' ')) modes.remove_prefix(1);
  const std::string_view first = modes.substr(0, modes.find_first_of(",\" "));
  if (first == "10" && !is_narrow) return 10;
  if (first.size() != 1 || first[0] < '0' || first[0] > '9') return kSpeexQuality;
  const int mode = first[0] - '0';
  constexpr std::array<int, 9> kNarrow = {kSpeexQuality, 0, 2, 4, 6, 8, 9, 10, 1};
  if (is_narrow)
    return mode < static_cast<int>(kNarrow.size()) ? kNarrow[static_cast<std::size_t>(mode)] : kSpeexQuality;
  return mode;
}

}  // namespace

DecoderResult make_speex_decoder(const AudioFormat& format) {
  return std::make_unique<SpeexFormatDecoder>(format.clock_rate_hz);
}

EncoderResult make_speex_encoder(const AudioFormat& format, const CodecSettings& settings) {
  if (format.channels != 1)
    return fail(format.encoding + " with " + std::to_string(format.channels) + " channels is not encoded");
  const std::uint32_t rate = format.clock_rate_hz;
  if (rate != 8000 && rate != 16'000 && rate != 32'000)
    return fail(format.encoding + " at " + std::to_string(rate) + " Hz is not encoded");
  SpeexTerms terms;
  terms.rate_hz = rate;
  terms.quality = quality_of(format_parameter(format.parameters, "mode"), rate == 8000);
  if (settings.complexity >= 0) terms.complexity = std::clamp(settings.complexity, 1, 10);
  terms.most_bps = settings.bitrate_bps;
  const std::string_view vbr = format_parameter(format.parameters, "vbr");
  terms.variable_rate = vbr == "on";
  terms.voice_detection = vbr == "vad";
  // Silence that is left out is what `cng` is about: the receiver fills it.
  terms.dtx = settings.dtx && format_parameter(format.parameters, "cng") == "on";
  if (terms.dtx && !terms.variable_rate) terms.voice_detection = true;
  return std::make_unique<SpeexFormatEncoder>(terms);
}

}  // namespace ferry
