#include "codecs/audio/codec_table.hpp"

#include "codecs/audio/amr.hpp"
#include "codecs/audio/plugin.hpp"
#include "codecs/audio/simple_decoders.hpp"
#include "codecs/audio/simple_encoders.hpp"
#include "relay/base/text.hpp"

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

const CodecRow* row_of(const AudioFormat& format) {
  for (const CodecRow& row : kCodecs) {
    if (equal_ignoring_case(row.encoding, format.encoding)) return &row;
  }
  return nullptr;
}

}  // namespace

DecoderResult make_audio_decoder(const AudioFormat& format) {
  const CodecRow* row = row_of(format);
  return row == nullptr ? DecoderResult(fail("no decoder for " + format.encoding)) : row->decoder(format);
}

EncoderResult make_audio_encoder(const AudioFormat& format) {
  const CodecRow* row = row_of(format);
  if (row == nullptr || row->encoder == nullptr) return fail("no encoder for " + format.encoding);
  return row->encoder(format);
}

}  // namespace ferry
