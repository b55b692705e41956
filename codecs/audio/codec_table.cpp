#include "codecs/audio/codec_table.hpp"

#include "codecs/audio/amr.hpp"
#include "codecs/audio/plugin.hpp"
#include "codecs/audio/simple_decoders.hpp"
#include "codecs/audio/simple_encoders.hpp"
#include "relay/base/text.hpp"

#include <string>
#include <string_view>

namespace ferry {

namespace {

// One row for each encoding of `a=rtpmap`. A new codec is a new row.
struct CodecRow {
  std::string_view encoding;
  DecoderResult (*decoder)(const AudioFormat&);
  /// Null: nothing encodes it.
  EncoderResult (*encoder)(const AudioFormat&);
};
constexpr CodecRow kCodecs[] = {
    {"PCMU", make_pcmu_decoder, make_pcmu_encoder}, {"PCMA", make_pcma_decoder, make_pcma_encoder},
    {"G722", make_g722_decoder, make_g722_encoder}, {"L16", make_l16_decoder, nullptr},
    {"GSM", make_gsm_decoder, make_gsm_encoder},    {"G726-16", make_g726_decoder, nullptr},
    {"G726-24", make_g726_decoder, nullptr},        {"G726-32", make_g726_decoder, nullptr},
    {"G726-40", make_g726_decoder, nullptr},        {"AAL2-G726-16", make_g726_decoder, nullptr},
    {"AAL2-G726-24", make_g726_decoder, nullptr},   {"AAL2-G726-32", make_g726_decoder, nullptr},
    {"AAL2-G726-40", make_g726_decoder, nullptr},   {"opus", make_opus_decoder, nullptr},
    {"speex", make_speex_decoder, nullptr},         {"AMR", make_amr_decoder, nullptr},
    {"AMR-WB", make_amr_wb_decoder, nullptr},       {"G729", make_plugin_decoder, nullptr},
    {"iLBC", make_plugin_decoder, nullptr},
};

/// Rates of timestamps that a codec may have. A peer writes the rate into its SDP, and what it says must not
/// decide how large the filter of a resampler becomes.
constexpr std::uint32_t kLowestRateHz = 4000;
constexpr std::uint32_t kHighestRateHz = 192'000;

const CodecRow* row_of(const AudioFormat& format) {
  for (const CodecRow& row : kCodecs) {
    if (equal_ignoring_case(row.encoding, format.encoding)) return &row;
  }
  return nullptr;
}

}  // namespace

DecoderResult make_audio_decoder(const AudioFormat& format) {
  const CodecRow* row = row_of(format);
  if (row == nullptr) return fail("no decoder for " + format.encoding);
  if (format.clock_rate_hz < kLowestRateHz || format.clock_rate_hz > kHighestRateHz)
    return fail(format.encoding + " at " + std::to_string(format.clock_rate_hz) + " Hz is not decoded");
  return row->decoder(format);
}

EncoderResult make_audio_encoder(const AudioFormat& format) {
  const CodecRow* row = row_of(format);
  if (row == nullptr || row->encoder == nullptr) return fail("no encoder for " + format.encoding);
  return row->encoder(format);
}

}  // namespace ferry
