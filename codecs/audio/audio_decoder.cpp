#include "codecs/audio/audio_decoder.hpp"

#include "codecs/audio/amr.hpp"
#include "codecs/audio/plugin.hpp"
#include "codecs/audio/simple_decoders.hpp"
#include "relay/base/static_types.hpp"
#include "relay/base/text.hpp"

#include <algorithm>
#include <array>

namespace ferry {

namespace {

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

std::optional<AudioFormat> static_audio_format(PayloadType type) {
  const StaticType* known = static_type(type.value);
  if (known == nullptr || !known->is_audio) return std::nullopt;
  return AudioFormat{std::string(known->name), known->clock_rate_hz, known->channels, {}};
}

std::string_view format_parameter(std::string_view parameters, std::string_view name) noexcept {
  while (!parameters.empty()) {
    const auto end = std::min(parameters.find(';'), parameters.size());
    std::string_view one = parameters.substr(0, end);
    parameters.remove_prefix(std::min(end + 1, parameters.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    const auto equals = std::min(one.find('='), one.size());
    if (equal_ignoring_case(one.substr(0, equals), name))
      return equals == one.size() ? std::string_view("1") : one.substr(equals + 1);
  }
  return {};
}

Result<std::unique_ptr<AudioDecoder>, std::string> make_audio_decoder(const AudioFormat& format) {
  for (const DecoderRow& row : kDecoders) {
    if (equal_ignoring_case(row.encoding, format.encoding)) return row.make(format);
  }
  return fail("no decoder for " + format.encoding);
}

}  // namespace ferry
