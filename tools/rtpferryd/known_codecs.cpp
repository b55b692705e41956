// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryd/known_codecs.hpp"

#include "codecs/audio/codec_table.hpp"
#include "relay/base/text.hpp"

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace ferry {

CodecCatalogue known_codecs() {
  constexpr std::array<std::uint32_t, 7> kRates = {8000, 11025, 16000, 24000, 32000, 44100, 48000};
  std::vector<KnownCodec> known;
  for (const CodecAbility& ability : list_codecs()) {
    // Comfort noise goes with any codec of speech.
    const bool is_speech = !equal_ignoring_case(ability.format.encoding, "CN");
    if (!is_speech || (!ability.no_decoder.empty() && !ability.no_encoder.empty())) continue;
    for (const std::uint32_t rate : kRates) {
      for (const unsigned channels : {1u, 2u}) {
        KnownCodec codec{{ability.format.encoding, rate, channels, {}}, rate};
        const auto decoder = make_audio_decoder(codec.format);
        const auto encoder = make_audio_encoder(codec.format);
        codec.decodes = decoder.has_value();
        codec.encodes = encoder.has_value();
        if (!codec.decodes && !codec.encodes) continue;
        if (codec.decodes) codec.sample_rate_hz = (*decoder)->sample_rate_hz();
        known.push_back(std::move(codec));
      }
    }
  }
  return CodecCatalogue(std::move(known));
}

}  // namespace ferry
