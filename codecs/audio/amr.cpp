// SPDX-License-Identifier: Apache-2.0
// AMR and AMR-WB. Decoder and encoder libraries speak the storage form of a frame: one header octet, then its
// bits. `amr_payload.hpp` makes payloads of that and back.
#include "codecs/audio/amr.hpp"

#include "codecs/audio/audio_format.hpp"

#include <algorithm>
#include <array>
#include <charconv>

extern "C" {
#include <opencore-amrnb/interf_dec.h>
#include <opencore-amrnb/interf_enc.h>
#include <opencore-amrwb/dec_if.h>
#include <vo-amrwbenc/enc_if.h>
}

namespace ferry {

namespace {

/// Modes that carry speech are 0 up to this one.
constexpr std::uint8_t highest_amr_mode(bool wideband) { return wideband ? 8 : 7; }
/// What is sent without a request, bit/s: the best of AMR, and the mode of AMR-WB that networks use most.
constexpr std::uint32_t kAmrBitrate = 12'200;
constexpr std::uint32_t kAmrWbBitrate = 12'650;

// The library keeps the state of the stream and hides losses itself, if it is told of a bad frame.
class AmrDecoder final : public AudioDecoder {
 public:
  explicit AmrDecoder(AmrLayout layout)
      : layout_(layout), state_(layout.wideband ? D_IF_init() : Decoder_Interface_init()) {}
  ~AmrDecoder() override { layout_.wideband ? D_IF_exit(state_) : Decoder_Interface_exit(state_); }
  AmrDecoder(const AmrDecoder&) = delete;
  AmrDecoder& operator=(const AmrDecoder&) = delete;

  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override {
    return layout_.wideband ? 16000 : 8000;
  }
  [[nodiscard]] std::size_t max_samples() const noexcept override {
    return AmrFrames::kMost * frame_samples();
  }
  [[nodiscard]] std::optional<std::size_t> decode(Bytes payload, std::span<std::int16_t> out) override {
    const auto frames = amr_frames(payload, layout_);
    if (!frames) return std::nullopt;
    // Values between the modes and "no preference" are for future use, and ignored (RFC 4867 §4.3.1).
    if (frames->request <= highest_amr_mode(layout_.wideband) || frames->request == kAmrNothing)
      request_ = frames->request;
    for (std::size_t i = 0; i < frames->count; ++i)
      run(frames->frames[i].storage.data(), !frames->frames[i].good, out.data() + i * frame_samples());
    // A descriptor of silence, or a frame that says that nothing was sent.
    is_pausing_ = frames->frames[frames->count - 1].type > highest_amr_mode(layout_.wideband);
    return frames->count * frame_samples();
  }
  [[nodiscard]] bool is_pausing() const noexcept override { return is_pausing_; }
  void conceal(std::span<std::int16_t> out) override {
    // Frames of "nothing was sent", marked bad: the decoder goes on from what it heard last.
    static constexpr std::uint8_t kNothing[] = {kAmrNothing << 3 | 4};
    while (!out.empty()) {
      std::array<std::int16_t, kMostSamples> made{};
      run(kNothing, true, made.data());
      const std::size_t wanted = std::min(out.size(), frame_samples());
      std::copy_n(made.begin(), wanted, out.begin());
      out = out.subspan(wanted);
    }
  }
  [[nodiscard]] std::optional<std::uint8_t> requested_mode() const noexcept override { return request_; }

 private:
  /// Samples of a frame of 20 ms, and of one of AMR-WB.
  [[nodiscard]] std::size_t frame_samples() const noexcept { return layout_.wideband ? kMostSamples : 160; }
  static constexpr std::size_t kMostSamples = 320;
  /// Writes `frame_samples()` samples.
  void run(const std::uint8_t* frame, bool is_bad, std::int16_t* out) {
    if (layout_.wideband)
      D_IF_decode(state_, frame, out, is_bad ? 1 : 0);
    else
      Decoder_Interface_Decode(state_, frame, out, is_bad ? 1 : 0);
  }
  AmrLayout layout_;
  void* state_;
  bool is_pausing_ = false;
  std::optional<std::uint8_t> request_;
};

/// What the receiver's SDP and the relay agree on.
struct AmrTerms {
  AmrLayout layout;
  /// A bit for each mode that may be sent; at least one.
  std::uint16_t modes = 0;
  /// The mode changes only at every n-th frame.
  unsigned period = 1;
  /// It changes only to the next one of `modes`.
  bool by_neighbors = false;
  /// Highest bitrate, bit/s; 0: no bound.
  std::uint32_t most_bps = 0;
  bool dtx = false;
};

/// Which mode is sent next: what the peer asks for, within what was negotiated.
class AmrModes {
 public:
  explicit AmrModes(const AmrTerms& terms) : terms_(terms), most_bps_(terms.most_bps) { mode_ = wanted(); }
  /// The mode of the next frame. Called once for each frame.
  std::uint8_t next() {
    const std::uint8_t target = wanted();
    if (frame_++ % terms_.period == 0) mode_ = terms_.by_neighbors ? neighbor(target) : target;
    return mode_;
  }
  void request(std::uint8_t mode) {
    if (mode == kAmrNothing)
      request_.reset();
    else if (is_allowed(mode))
      request_ = mode;
  }
  void bound(std::uint32_t most_bps) {
    const bool both = most_bps != 0 && terms_.most_bps != 0;
    most_bps_ = both ? std::min(most_bps, terms_.most_bps) : std::max(most_bps, terms_.most_bps);
  }

 private:
  [[nodiscard]] bool is_allowed(std::uint8_t mode) const {
    return mode < 16 && (terms_.modes >> mode & 1) != 0;
  }
  /// The best mode up to a bitrate; the lowest of all if there is none.
  [[nodiscard]] std::uint8_t best_within(std::uint32_t bps) const {
    std::optional<std::uint8_t> best;
    for (std::uint8_t mode = 0; mode <= highest_amr_mode(terms_.layout.wideband); ++mode) {
      // A frame each 20 ms.
      const auto needs = static_cast<std::uint32_t>(amr_bits(mode, terms_.layout.wideband)) * 50;
      if (is_allowed(mode) && (!best || needs <= bps)) best = mode;
    }
    return best.value_or(0);
  }
  [[nodiscard]] std::uint8_t wanted() const {
    const std::uint32_t own = terms_.layout.wideband ? kAmrWbBitrate : kAmrBitrate;
    if (!request_) return best_within(most_bps_ == 0 ? own : most_bps_);
    return most_bps_ == 0 ? *request_ : std::min(*request_, best_within(most_bps_));
  }
  /// The next allowed mode on the way from the present one.
  [[nodiscard]] std::uint8_t neighbor(std::uint8_t target) const {
    std::uint8_t mode = mode_;
    while (mode != target) {
      mode = static_cast<std::uint8_t>(mode < target ? mode + 1 : mode - 1);
      if (is_allowed(mode)) break;
    }
    return mode;
  }
  AmrTerms terms_;
  std::uint32_t most_bps_;
  std::optional<std::uint8_t> request_;
  std::uint8_t mode_ = 0;
  std::uint64_t frame_ = 0;
};

class AmrEncoder final : public AudioEncoder {
 public:
  explicit AmrEncoder(const AmrTerms& terms)
      : terms_(terms),
        modes_(terms),
        state_(terms.layout.wideband ? E_IF_init() : Encoder_Interface_init(terms.dtx ? 1 : 0)) {}
  ~AmrEncoder() override { terms_.layout.wideband ? E_IF_exit(state_) : Encoder_Interface_exit(state_); }
  AmrEncoder(const AmrEncoder&) = delete;
  AmrEncoder& operator=(const AmrEncoder&) = delete;

  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override {
    return terms_.layout.wideband ? 16'000 : 8000;
  }
  [[nodiscard]] std::size_t frame_samples() const noexcept override {
    return terms_.layout.wideband ? 320 : 160;
  }
  [[nodiscard]] bool takes(std::size_t samples) const noexcept override {
    return samples > 0 && samples % frame_samples() == 0 && samples / frame_samples() <= AmrFrames::kMost;
  }
  [[nodiscard]] std::size_t octets_for(std::size_t samples) const noexcept override {
    const std::size_t frames = frames_in(samples);
    return frames == 0 ? 0 : amr_most_octets(frames, terms_.layout.wideband);
  }
  Encoded encode(std::span<const std::int16_t> samples, MutableBytes out) override {
    std::array<AmrFrame, AmrFrames::kMost> frames;
    const std::size_t count = frames_in(samples.size());
    bool is_silence = true;
    bool is_nothing = true;
    for (std::size_t i = 0; i < count; ++i) {
      frames[i] = encode_frame(samples.subspan(i * frame_samples(), frame_samples()));
      is_silence = is_silence && frames[i].type > highest_amr_mode(terms_.layout.wideband);
      is_nothing = is_nothing && frames[i].type == kAmrNothing;
    }
    if (is_nothing) return {0, 0, true};
    return {write_amr_payload(std::span(frames).first(count), request_, terms_.layout, out), 0, is_silence};
  }
  void on_feedback(const EncoderFeedback& feedback) override {
    if (feedback.mode) modes_.request(*feedback.mode);
    if (feedback.bitrate_bps) modes_.bound(*feedback.bitrate_bps);
  }
  void request_mode(std::uint8_t mode) override {
    if (mode <= highest_amr_mode(terms_.layout.wideband) || mode == kAmrNothing) request_ = mode;
  }

 private:
  [[nodiscard]] std::size_t frames_in(std::size_t samples) const noexcept {
    return std::min(samples / frame_samples(), AmrFrames::kMost);
  }
  AmrFrame encode_frame(std::span<const std::int16_t> samples) {
    AmrFrame frame;
    const std::uint8_t mode = modes_.next();
    const int size = terms_.layout.wideband
                         ? E_IF_encode(state_, mode, samples.data(), frame.storage.data(), terms_.dtx ? 1 : 0)
                         : Encoder_Interface_Encode(state_, static_cast<Mode>(mode), samples.data(),
                                                    frame.storage.data(), 0);
    frame.type = static_cast<std::uint8_t>(frame.storage[0] >> 3 & 15);
    frame.good = (frame.storage[0] & 4) != 0;
    frame.size = static_cast<std::uint8_t>(std::max(size, 1));
    return frame;
  }
  AmrTerms terms_;
  AmrModes modes_;
  void* state_;
  std::uint8_t request_ = kAmrNothing;
};

/// The layout that the format says, or a sentence: why it is not understood. `what`: "decoded" or "encoded".
Result<AmrLayout, std::string> amr_layout(const AudioFormat& format, bool wideband, std::string_view what) {
  const auto is_on = [&](std::string_view name) {
    const std::string_view value = format_parameter(format.parameters, name);
    return !value.empty() && value != "0";
  };
  // These change the layout of the payload, and no phone uses them.
  for (const char* name : {"crc", "robust-sorting", "interleaving"}) {
    if (is_on(name)) return fail(format.encoding + " with " + name + " is not " + std::string(what));
  }
  if (format.channels != 1)
    return fail(format.encoding + " with " + std::to_string(format.channels) + " channels is not " +
                std::string(what));
  return AmrLayout{wideband, is_on("octet-align")};
}

/// The modes of `mode-set`, as bits; all if there is no such parameter.
std::uint16_t amr_modes(std::string_view list, bool wideband) {
  const unsigned highest = highest_amr_mode(wideband);
  if (list.empty()) return static_cast<std::uint16_t>((2u << highest) - 1);
  std::uint16_t modes = 0;
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    std::string_view one = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    unsigned mode = 0;
    const auto [stop, error] = std::from_chars(one.data(), one.data() + one.size(), mode);
    if (error == std::errc{} && mode <= highest) modes = static_cast<std::uint16_t>(modes | 1u << mode);
  }
  return modes;
}

DecoderResult decoder_of_amr(const AudioFormat& format, bool wideband) {
  const auto layout = amr_layout(format, wideband, "decoded");
  if (!layout) return fail(layout.error());
  return std::make_unique<AmrDecoder>(*layout);
}

EncoderResult encoder_of_amr(const AudioFormat& format, const CodecSettings& settings, bool wideband) {
  const auto layout = amr_layout(format, wideband, "encoded");
  if (!layout) return fail(layout.error());
  AmrTerms terms;
  terms.layout = *layout;
  const std::string_view set = format_parameter(format.parameters, "mode-set");
  terms.modes = amr_modes(set, wideband);
  if (terms.modes == 0)
    return fail(format.encoding + " with mode-set=" + std::string(set) +
                " has no mode that could be encoded");
  terms.period = format_number(format.parameters, "mode-change-period") == 2u ? 2 : 1;
  terms.by_neighbors = format_number(format.parameters, "mode-change-neighbor") == 1u;
  terms.most_bps = settings.bitrate_bps;
  terms.dtx = settings.dtx;
  return std::make_unique<AmrEncoder>(terms);
}

}  // namespace

DecoderResult make_amr_decoder(const AudioFormat& format) { return decoder_of_amr(format, false); }
DecoderResult make_amr_wb_decoder(const AudioFormat& format) { return decoder_of_amr(format, true); }
EncoderResult make_amr_encoder(const AudioFormat& format, const CodecSettings& settings) {
  return encoder_of_amr(format, settings, false);
}
EncoderResult make_amr_wb_encoder(const AudioFormat& format, const CodecSettings& settings) {
  return encoder_of_amr(format, settings, true);
}

}  // namespace ferry
