// SPDX-License-Identifier: Apache-2.0
// iLBC. Frames follow each other without a header (RFC 3952 §3.1), so that only the length of a payload and
// the mode of the SDP say what is in it.
#include "codecs/audio/ilbc.hpp"

#include "codecs/audio/plugin.hpp"

#ifdef FERRY_HAS_ILBC

#include "codecs/audio/audio_format.hpp"
#include "codecs/audio/payload_octets.hpp"

#include <algorithm>
#include <array>

extern "C" {
#include <tg_owt/modules/audio_coding/codecs/ilbc/ilbc.h>
}

namespace ferry {

namespace {

/// A frame of one of the two modes.
struct IlbcMode {
  std::int16_t ms;
  std::size_t octets;
  std::size_t samples;
};
constexpr IlbcMode kIlbc20 = {20, 38, 160};
constexpr IlbcMode kIlbc30 = {30, 50, 240};

class IlbcDecoder final : public AudioDecoder {
 public:
  explicit IlbcDecoder(const IlbcMode& mode) : mode_(mode) {
    IlbcDecoderInstance* made = nullptr;
    WebRtcIlbcfix_DecoderCreate(&made);
    state_.reset(made);
    WebRtcIlbcfix_DecoderInit(made, mode.ms);
  }
  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override { return 8000; }
  [[nodiscard]] std::size_t max_samples() const noexcept override { return 8 * kMaxPacketMs; }
  [[nodiscard]] std::optional<std::size_t> decode(Bytes payload, std::span<std::int16_t> out) override {
    const std::size_t frames = payload.size() / mode_.octets;
    // The library would take a payload of the other mode for a change of mode.
    if (frames == 0 || payload.size() % mode_.octets != 0 || frames * mode_.samples > max_samples())
      return std::nullopt;
    for (std::size_t i = 0; i < frames; ++i) {
      std::int16_t kind = 0;
      const int made = WebRtcIlbcfix_Decode(state_.get(), octets(payload) + i * mode_.octets, mode_.octets,
                                            out.data() + i * mode_.samples, &kind);
      if (made != static_cast<int>(mode_.samples)) return std::nullopt;
    }
    return frames * mode_.samples;
  }
  void conceal(std::span<std::int16_t> out) override {
    while (!out.empty()) {
      std::array<std::int16_t, kIlbc30.samples> made{};
      WebRtcIlbcfix_DecodePlc(state_.get(), made.data(), 1);
      const std::size_t wanted = std::min(out.size(), mode_.samples);
      std::copy_n(made.begin(), wanted, out.begin());
      out = out.subspan(wanted);
    }
  }

 private:
  IlbcMode mode_;
  std::unique_ptr<IlbcDecoderInstance, FreeWith<WebRtcIlbcfix_DecoderFree>> state_;
};

class IlbcEncoder final : public AudioEncoder {
 public:
  explicit IlbcEncoder(const IlbcMode& mode) : mode_(mode) {
    IlbcEncoderInstance* made = nullptr;
    WebRtcIlbcfix_EncoderCreate(&made);
    state_.reset(made);
    WebRtcIlbcfix_EncoderInit(made, mode.ms);
  }
  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override { return 8000; }
  [[nodiscard]] std::size_t frame_samples() const noexcept override { return mode_.samples; }
  [[nodiscard]] bool takes(std::size_t samples) const noexcept override {
    return samples > 0 && samples % mode_.samples == 0 && samples <= 8 * kMaxPacketMs;
  }
  [[nodiscard]] std::size_t octets_for(std::size_t samples) const noexcept override {
    return std::min(samples, 8 * kMaxPacketMs) / mode_.samples * mode_.octets;
  }
  Encoded encode(std::span<const std::int16_t> samples, MutableBytes out) override {
    const std::size_t size = octets_for(samples.size());
    for (std::size_t i = 0; i < size / mode_.octets; ++i)
      WebRtcIlbcfix_Encode(state_.get(), samples.data() + i * mode_.samples, mode_.samples,
                           octets(out) + i * mode_.octets);
    return {size, 0, false};
  }

 private:
  IlbcMode mode_;
  std::unique_ptr<IlbcEncoderInstance, FreeWith<WebRtcIlbcfix_EncoderFree>> state_;
};

/// 30 ms unless the SDP says otherwise (RFC 3952 §5).
const IlbcMode& ilbc_mode(const AudioFormat& format) {
  return format_parameter(format.parameters, "mode") == "20" ? kIlbc20 : kIlbc30;
}

}  // namespace

DecoderResult make_ilbc_decoder(const AudioFormat& format) {
  return std::make_unique<IlbcDecoder>(ilbc_mode(format));
}

EncoderResult make_ilbc_encoder(const AudioFormat& format, const CodecSettings&) {
  if (format.channels != 1)
    return fail(format.encoding + " with " + std::to_string(format.channels) + " channels is not encoded");
  return std::make_unique<IlbcEncoder>(ilbc_mode(format));
}

}  // namespace ferry

#else

namespace ferry {

DecoderResult make_ilbc_decoder(const AudioFormat& format) { return make_plugin_decoder(format); }

EncoderResult make_ilbc_encoder(const AudioFormat& format, const CodecSettings&) {
  return fail("no encoder for " + format.encoding + ": this build has no libtgowt");
}

}  // namespace ferry

#endif
