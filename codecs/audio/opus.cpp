// SPDX-License-Identifier: Apache-2.0
// Opus. Decoder and encoder open at the rate that the other side of a relay can use: the library resamples
// for nothing, and at 8 kHz it needs half the time that it needs at 48 kHz.
#include "codecs/audio/opus.hpp"

#include "codecs/audio/audio_format.hpp"
#include "codecs/audio/payload_octets.hpp"

#include <algorithm>
#include <array>

#include <opus/opus.h>

namespace ferry {

namespace {

/// Rates that the library opens at (RFC 6716 §2.1.3), Hz.
constexpr std::array<std::uint32_t, 5> kOpusRates = {8000, 12'000, 16'000, 24'000, 48'000};
/// Packets of these lengths can be made, in steps of 2.5 ms (RFC 6716 §2.1.4, §3.2.5).
constexpr std::array<std::size_t, 9> kOpusSteps = {1, 2, 4, 8, 16, 24, 32, 40, 48};
/// Longest payload that is made, octets. Packets of many frames stay below an MTU by it.
constexpr std::size_t kOpusPayload = 1275;
/// Loss that the encoder expects at least, percent: below, it writes no redundancy.
constexpr int kOpusLeastLoss = 10;
/// A good rate for speech, bit/s and channel, and a good effort.
constexpr std::uint32_t kOpusBitrate = 24'000;
constexpr int kOpusComplexity = 5;

std::uint32_t opus_rate(std::uint32_t wanted_hz) {
  if (wanted_hz == 0) return kOpusRates.back();
  const auto found = std::ranges::lower_bound(kOpusRates, wanted_hz);
  return found == kOpusRates.end() ? kOpusRates.back() : *found;
}

/// True if a payload says that it has a copy of what came before it (LBRR, RFC 6716 §4.2.3, §4.2.4). Its
/// header bits are equally likely, so they stand in the first octet of the frame as they are.
bool has_opus_copy(Bytes payload) {
  std::array<const unsigned char*, 48> frames{};
  std::array<opus_int16, 48> sizes{};
  unsigned char header = 0;
  const int count = opus_packet_parse(octets(payload), static_cast<opus_int32>(payload.size()), &header,
                                      frames.data(), sizes.data(), nullptr);
  // CELT alone has none.
  if (count <= 0 || (header & 0x80) != 0 || sizes[0] == 0) return false;
  // A flag of voice for each 20 ms, then the flag of copies; the second channel behind them.
  const int parts = std::max(opus_packet_get_samples_per_frame(octets(payload), 48'000) / 960, 1);
  const unsigned flags = frames[0][0];
  const bool mid = (flags >> (7 - parts) & 1U) != 0;
  const bool side =
      opus_packet_get_nb_channels(octets(payload)) == 2 && parts < 4 && (flags >> (6 - 2 * parts) & 1U) != 0;
  return mid || side;
}

class OpusFormatDecoder final : public AudioDecoder {
 public:
  OpusFormatDecoder(std::uint32_t rate_hz, unsigned channels)
      : rate_hz_(rate_hz),
        channels_(channels),
        state_(opus_decoder_create(static_cast<opus_int32>(rate_hz), static_cast<int>(channels), nullptr)) {}
  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override { return rate_hz_; }
  [[nodiscard]] unsigned channels() const noexcept override { return channels_; }
  // A packet holds up to 120 ms (RFC 6716 §3.2.5).
  [[nodiscard]] std::size_t max_samples() const noexcept override { return longest() * channels_; }
  [[nodiscard]] std::optional<std::size_t> decode(Bytes payload, std::span<std::int16_t> out) override {
    if (payload.empty()) return std::nullopt;
    // A header without a frame (RFC 7587 §3.1.3).
    is_pausing_ = payload.size() <= 2;
    if (!is_pausing_) has_copy_ = has_opus_copy(payload);
    return run(payload, out.first(max_samples()), false);
  }
  [[nodiscard]] bool is_pausing() const noexcept override { return is_pausing_; }
  [[nodiscard]] bool has_copy() const noexcept override { return has_copy_; }
  void conceal(std::span<std::int16_t> out) override {
    // The codec hides losses in steps of 2.5 ms, at most 20 ms at once; what is too much is cut off.
    const std::size_t step = rate_hz_ / 400;
    while (!out.empty()) {
      const std::size_t left = out.size() / channels_;
      const std::size_t now = std::min<std::size_t>((left + step - 1) / step * step, rate_hz_ / 50);
      std::array<std::int16_t, kOpusRates.back() / 50 * 2> made{};
      // If the library cannot, silence keeps the time.
      if (!run({}, std::span(made).first(now * channels_), false)) made.fill(0);
      const std::size_t wanted = std::min(out.size(), now * channels_);
      std::copy_n(made.begin(), wanted, out.begin());
      out = out.subspan(wanted);
    }
  }
  // The library looks into `next` for its second, coarser copy of the packet before, and conceals what lies
  // before that. It wants to know the exact length, in steps of 2.5 ms.
  void recover(Bytes next, std::span<std::int16_t> out) override {
    const std::size_t step = rate_hz_ / 400;
    const std::size_t found = std::min(out.size() / channels_ / step * step, longest()) * channels_;
    conceal(out.first(out.size() - found));
    out = out.last(found);
    if (out.empty()) return;
    if (next.empty() || !run(next, out, true)) conceal(out);
  }

 private:
  /// Samples of one channel in the longest packet.
  [[nodiscard]] std::size_t longest() const noexcept { return std::size_t{rate_hz_} * 120 / 1000; }
  /// Samples that the library made in `room`. An empty payload is a lost one.
  std::optional<std::size_t> run(Bytes payload, std::span<std::int16_t> room, bool is_earlier_copy) {
    if (!state_) return std::nullopt;
    const int made = opus_decode(state_.get(), payload.empty() ? nullptr : octets(payload),
                                 static_cast<opus_int32>(payload.size()), room.data(),
                                 static_cast<int>(room.size() / channels_), is_earlier_copy ? 1 : 0);
    if (made < 0) return std::nullopt;
    return static_cast<std::size_t>(made) * channels_;
  }
  std::uint32_t rate_hz_;
  unsigned channels_;
  bool is_pausing_ = false;
  bool has_copy_ = false;
  std::unique_ptr<OpusDecoder, FreeWith<opus_decoder_destroy>> state_;
};

/// What the receiver's SDP and the relay agree on.
struct OpusTerms {
  std::uint32_t rate_hz = 48'000;
  unsigned channels = 1;
  /// Highest bitrate that the receiver takes and that the relay wants to spend, bit/s.
  std::uint32_t most_bps = 510'000;
  std::uint32_t own_bps = kOpusBitrate;
  int complexity = kOpusComplexity;
  /// One of OPUS_BANDWIDTH_*.
  int bandwidth = OPUS_BANDWIDTH_FULLBAND;
  bool constant_rate = false;
  bool redundancy = false;
  bool dtx = false;
};

class OpusFormatEncoder final : public AudioEncoder {
 public:
  explicit OpusFormatEncoder(const OpusTerms& terms)
      : terms_(terms),
        state_(opus_encoder_create(static_cast<opus_int32>(terms.rate_hz), static_cast<int>(terms.channels),
                                   OPUS_APPLICATION_VOIP, nullptr)) {
    if (!state_) return;
    set_bitrate(0);
    opus_encoder_ctl(state_.get(), OPUS_SET_COMPLEXITY(terms.complexity));
    opus_encoder_ctl(state_.get(), OPUS_SET_MAX_BANDWIDTH(terms.bandwidth));
    opus_encoder_ctl(state_.get(), OPUS_SET_VBR(terms.constant_rate ? 0 : 1));
    opus_encoder_ctl(state_.get(), OPUS_SET_DTX(terms.dtx ? 1 : 0));
    opus_encoder_ctl(state_.get(), OPUS_SET_INBAND_FEC(terms.redundancy ? 1 : 0));
    opus_encoder_ctl(state_.get(), OPUS_SET_PACKET_LOSS_PERC(terms.redundancy ? kOpusLeastLoss : 0));
  }
  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override { return terms_.rate_hz; }
  [[nodiscard]] unsigned channels() const noexcept override { return terms_.channels; }
  [[nodiscard]] std::size_t frame_samples() const noexcept override {
    return terms_.rate_hz / 400 * terms_.channels;
  }
  [[nodiscard]] bool takes(std::size_t samples) const noexcept override {
    return samples > 0 && samples == longest_within(samples);
  }
  [[nodiscard]] std::size_t octets_for(std::size_t samples) const noexcept override {
    return longest_within(samples) == 0 ? 0 : kOpusPayload;
  }
  Encoded encode(std::span<const std::int16_t> samples, MutableBytes out) override {
    const std::size_t used = longest_within(samples.size());
    if (used == 0 || !state_) return {};
    const opus_int32 made =
        opus_encode(state_.get(), samples.data(), static_cast<int>(used / terms_.channels), octets(out),
                    static_cast<opus_int32>(std::min(out.size(), kOpusPayload)));
    // One or two octets are a header without a frame: nothing needs to be sent (RFC 7587 §3.1.3).
    if (made <= 2 && terms_.dtx) return {0, 0, true};
    return {static_cast<std::size_t>(std::max<opus_int32>(made, 0)), 0, false};
  }
  void on_feedback(const EncoderFeedback& feedback) override {
    if (!state_) return;
    if (feedback.bitrate_bps) set_bitrate(*feedback.bitrate_bps);
    if (feedback.loss_percent && terms_.redundancy) {
      const int loss = std::min<int>(*feedback.loss_percent, 100);
      opus_encoder_ctl(state_.get(), OPUS_SET_PACKET_LOSS_PERC(std::max(loss, kOpusLeastLoss)));
    }
  }

 private:
  /// Samples of the longest packet that so many are enough for.
  [[nodiscard]] std::size_t longest_within(std::size_t samples) const noexcept {
    const std::size_t steps = samples / frame_samples();
    std::size_t best = 0;
    for (const std::size_t each : kOpusSteps) best = each <= steps ? each : best;
    return best * frame_samples();
  }
  /// 0: as many as is good for speech.
  void set_bitrate(std::uint32_t wanted_bps) {
    const std::uint32_t wanted = wanted_bps == 0 ? terms_.own_bps : wanted_bps;
    const auto bps = static_cast<opus_int32>(std::clamp(wanted, 6000u, terms_.most_bps));
    opus_encoder_ctl(state_.get(), OPUS_SET_BITRATE(bps));
  }
  OpusTerms terms_;
  std::unique_ptr<OpusEncoder, FreeWith<opus_encoder_destroy>> state_;
};

/// The widest band whose samples fit into a rate (RFC 6716 §2).
int bandwidth_for(std::uint32_t rate_hz) {
  if (rate_hz <= 8000) return OPUS_BANDWIDTH_NARROWBAND;
  if (rate_hz <= 12'000) return OPUS_BANDWIDTH_MEDIUMBAND;
  if (rate_hz <= 16'000) return OPUS_BANDWIDTH_WIDEBAND;
  if (rate_hz <= 24'000) return OPUS_BANDWIDTH_SUPERWIDEBAND;
  return OPUS_BANDWIDTH_FULLBAND;
}

}  // namespace

DecoderResult make_opus_decoder(const AudioFormat& format, const CodecSettings& settings) {
  // sprop-stereo is what the sender says of its own signal (RFC 7587 §6.1).
  const bool says_stereo = format_parameter(format.parameters, "sprop-stereo") == "1";
  const bool stereo = settings.channels == 0 ? says_stereo : settings.channels > 1;
  return std::make_unique<OpusFormatDecoder>(opus_rate(settings.sample_rate_hz), stereo ? 2u : 1u);
}

EncoderResult make_opus_encoder(const AudioFormat& format, const CodecSettings& settings) {
  const auto is_on = [&](std::string_view name) { return format_parameter(format.parameters, name) == "1"; };
  OpusTerms terms;
  terms.rate_hz = opus_rate(settings.sample_rate_hz);
  terms.channels = settings.channels > 1 && is_on("stereo") ? 2 : 1;
  terms.own_bps = kOpusBitrate * terms.channels;
  if (settings.bitrate_bps != 0) terms.own_bps = terms.most_bps = settings.bitrate_bps;
  if (const auto bps = format_number(format.parameters, "maxaveragebitrate"))
    terms.most_bps = std::min(terms.most_bps, *bps);
  // What the codec itself can (RFC 6716 §2.1.1).
  terms.most_bps = std::clamp(terms.most_bps, 6000u, 510'000u);
  if (const auto hertz = format_number(format.parameters, "maxplaybackrate"))
    terms.bandwidth = bandwidth_for(*hertz);
  if (settings.complexity >= 0) terms.complexity = std::min(settings.complexity, 10);
  terms.constant_rate = is_on("cbr");
  terms.redundancy = is_on("useinbandfec");
  terms.dtx = settings.dtx && is_on("usedtx");
  return std::make_unique<OpusFormatEncoder>(terms);
}

}  // namespace ferry
