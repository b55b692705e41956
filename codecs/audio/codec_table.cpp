// SPDX-License-Identifier: Apache-2.0
#include "codecs/audio/codec_table.hpp"

#include "codecs/audio/amr.hpp"
#include "codecs/audio/comfort_noise.hpp"
#include "codecs/audio/ilbc.hpp"
#include "codecs/audio/opus.hpp"
#include "codecs/audio/plugin.hpp"
#include "codecs/audio/simple_decoders.hpp"
#include "codecs/audio/simple_encoders.hpp"
#include "codecs/audio/speex.hpp"
#include "relay/base/text.hpp"
#include "relay/core/audio/format_parameters.hpp"

#include <algorithm>
#include <string>
#include <string_view>

namespace ferry {

namespace {

/// Makes a decoder or an encoder that takes no wishes.
template <DecoderResult (*kMake)(const AudioFormat&)>
DecoderResult plain_decoder(const AudioFormat& format, const CodecSettings&) {
  return kMake(format);
}
template <EncoderResult (*kMake)(const AudioFormat&)>
EncoderResult plain_encoder(const AudioFormat& format, const CodecSettings&) {
  return kMake(format);
}

// One row for each encoding of `a=rtpmap`. A new codec is a new row.
struct CodecRow {
  std::string_view encoding;
  DecoderResult (*decoder)(const AudioFormat&, const CodecSettings&);
  EncoderResult (*encoder)(const AudioFormat&, const CodecSettings&);
  /// Clock rate and channels of the usual rtpmap, and what else there is to know: for `list_codecs`.
  std::uint32_t clock_rate_hz;
  unsigned channels;
  std::string_view remark;
  /// Names of the parameters that its encoder obeys or refuses, sorted, with blanks between them
  /// (docs/audio.md); `kAllParameters`: whatever there is.
  std::string_view obeyed;
};
/// A plug-in that nobody knows may obey anything.
constexpr std::string_view kAllParameters = "*";
constexpr std::string_view kAmrParameters =
    "crc interleaving mode-change-neighbor mode-change-period mode-set octet-align robust-sorting";
// clang-format off
constexpr CodecRow kCodecs[] = {
    {"PCMU", plain_decoder<make_pcmu_decoder>, plain_encoder<make_pcmu_encoder>, 8000, 1, "any clock", ""},
    {"PCMA", plain_decoder<make_pcma_decoder>, plain_encoder<make_pcma_encoder>, 8000, 1, "any clock", ""},
    {"G722", plain_decoder<make_g722_decoder>, plain_encoder<make_g722_encoder>, 8000, 1, "samples of 16 kHz", ""},
    {"G726-16", plain_decoder<make_g726_decoder>, plain_encoder<make_g726_encoder>, 8000, 1, "", ""},
    {"G726-24", plain_decoder<make_g726_decoder>, plain_encoder<make_g726_encoder>, 8000, 1, "", ""},
    {"G726-32", plain_decoder<make_g726_decoder>, plain_encoder<make_g726_encoder>, 8000, 1, "", ""},
    {"G726-40", plain_decoder<make_g726_decoder>, plain_encoder<make_g726_encoder>, 8000, 1, "", ""},
    {"AAL2-G726-16", plain_decoder<make_g726_decoder>, plain_encoder<make_g726_encoder>, 8000, 1, "", ""},
    {"AAL2-G726-24", plain_decoder<make_g726_decoder>, plain_encoder<make_g726_encoder>, 8000, 1, "", ""},
    {"AAL2-G726-32", plain_decoder<make_g726_decoder>, plain_encoder<make_g726_encoder>, 8000, 1, "", ""},
    {"AAL2-G726-40", plain_decoder<make_g726_decoder>, plain_encoder<make_g726_encoder>, 8000, 1, "", ""},
    {"GSM", plain_decoder<make_gsm_decoder>, plain_encoder<make_gsm_encoder>, 8000, 1, "", ""},
    {"L16", plain_decoder<make_l16_decoder>, plain_encoder<make_l16_encoder>, 44'100, 1, "any clock, 1 or 2 channels", ""},
    {"opus", make_opus_decoder, make_opus_encoder, 48'000, 2, "mono or stereo, FEC, DTX", "cbr maxaveragebitrate maxplaybackrate stereo usedtx useinbandfec"},
    {"speex", plain_decoder<make_speex_decoder>, make_speex_encoder, 8000, 1, "also 16000 and 32000", "cng mode vbr"},
    {"iLBC", plain_decoder<make_ilbc_decoder>, make_ilbc_encoder, 8000, 1, "frames of 20 or 30 ms", "mode"},
    {"AMR", plain_decoder<make_amr_decoder>, make_amr_encoder, 8000, 1, "both layouts, DTX", kAmrParameters},
    {"AMR-WB", plain_decoder<make_amr_wb_decoder>, make_amr_wb_encoder, 16'000, 1, "both layouts, DTX", kAmrParameters},
    {"G729", plain_decoder<make_plugin_decoder>, make_plugin_encoder, 8000, 1, "plug-in", "annexb"},
    {"EVS", plain_decoder<make_plugin_decoder>, make_plugin_encoder, 16'000, 1, "plug-in", kAllParameters},
    {"CN", plain_decoder<make_cn_decoder>, plain_encoder<make_cn_encoder>, 8000, 1, "comfort noise", ""},
};
// clang-format on

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

bool is_known_rate(std::uint32_t hertz) { return hertz >= kLowestRateHz && hertz <= kHighestRateHz; }

}  // namespace

DecoderResult make_audio_decoder(const AudioFormat& format, const CodecSettings& settings) {
  const CodecRow* row = row_of(format);
  if (row == nullptr) return fail("no decoder for " + format.encoding);
  if (!is_known_rate(format.clock_rate_hz))
    return fail(format.encoding + " at " + std::to_string(format.clock_rate_hz) + " Hz is not decoded");
  return row->decoder(format, settings);
}

EncoderResult make_audio_encoder(const AudioFormat& format, const CodecSettings& settings) {
  const CodecRow* row = row_of(format);
  if (row == nullptr) return fail("no encoder for " + format.encoding);
  if (!is_known_rate(format.clock_rate_hz))
    return fail(format.encoding + " at " + std::to_string(format.clock_rate_hz) + " Hz is not encoded");
  return row->encoder(format, settings);
}

std::string encoding_key(const AudioFormat& format) {
  const CodecRow* row = row_of(format);
  std::string key(row == nullptr ? std::string_view(format.encoding) : row->encoding);
  key.append("/").append(std::to_string(format.clock_rate_hz));
  key.append("/").append(std::to_string(format.channels));
  if (row == nullptr || row->obeyed == kAllParameters) return key + " " + format.parameters;
  for (std::string_view names = row->obeyed; !names.empty();) {
    const std::size_t end = std::min(names.find(' '), names.size());
    const std::string_view each = names.substr(0, end);
    names.remove_prefix(std::min(end + 1, names.size()));
    const std::string_view value = format_parameter(format.parameters, each);
    // No value has a semicolon in it.
    if (!value.empty()) key.append(";").append(each).append("=").append(value);
  }
  return key;
}

std::vector<CodecAbility> list_codecs() {
  std::vector<CodecAbility> all;
  for (const CodecRow& row : kCodecs) {
    // Asked, not claimed: a library or a plug-in may be missing.
    const AudioFormat format{std::string(row.encoding), row.clock_rate_hz, row.channels, {}};
    const auto decoder = make_audio_decoder(format);
    const auto encoder = make_audio_encoder(format);
    all.push_back(
        {format, std::string(row.remark), decoder ? "" : decoder.error(), encoder ? "" : encoder.error()});
  }
  return all;
}

}  // namespace ferry
