#include "codecs/audio/decoder_table.hpp"

#include "codecs/audio/amr.hpp"
#include "codecs/audio/plugin.hpp"
#include "codecs/audio/simple_decoders.hpp"
#include "relay/base/text.hpp"

namespace ferry {

namespace {

// One row for each encoding of `a=rtpmap`. A new codec is a new row.
using Maker = Result<std::unique_ptr<AudioDecoder>, std::string> (*)(const AudioFormat&);
struct DecoderRow {
  std::string_view encoding;
  Maker make;
};
constexpr DecoderRow kDecoders[] = {
    {"PCMU", make_pcmu_decoder},         {"PCMA", make_pcma_decoder},
    {"G722", make_g722_decoder},         {"L16", make_l16_decoder},
    {"GSM", make_gsm_decoder},           {"G726-16", make_g726_decoder},
    {"G726-24", make_g726_decoder},      {"G726-32", make_g726_decoder},
    {"G726-40", make_g726_decoder},      {"AAL2-G726-16", make_g726_decoder},
    {"AAL2-G726-24", make_g726_decoder}, {"AAL2-G726-32", make_g726_decoder},
    {"AAL2-G726-40", make_g726_decoder}, {"opus", make_opus_decoder},
    {"speex", make_speex_decoder},       {"AMR", make_amr_decoder},
    {"AMR-WB", make_amr_wb_decoder},     {"G729", make_plugin_decoder},
    {"iLBC", make_plugin_decoder},
};

}  // namespace

Result<std::unique_ptr<AudioDecoder>, std::string> make_audio_decoder(const AudioFormat& format) {
  for (const DecoderRow& row : kDecoders) {
    if (equal_ignoring_case(row.encoding, format.encoding)) return row.make(format);
  }
  return fail("no decoder for " + format.encoding);
}

}  // namespace ferry
