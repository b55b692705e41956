// SPDX-License-Identifier: Apache-2.0
#include "control/call/fax_conversion.hpp"

#include "relay/base/text.hpp"

#include <utility>
#include <vector>

namespace ferry {

namespace {

bool is_g711(const NumberedFormat& each) {
  return equal_ignoring_case(each.format.encoding, "PCMU") ||
         equal_ignoring_case(each.format.encoding, "PCMA");
}

/// G.711 as a party names it in its own SDP; if that has none, as it was shown it.
std::vector<NumberedFormat> g711_of(const MediaTerms& terms) {
  for (const CodecList* list : {&terms.said_codecs, &terms.shown_codecs}) {
    std::vector<NumberedFormat> formats = list->formats();
    std::erase_if(formats, [](const NumberedFormat& each) { return !is_g711(each); });
    if (!formats.empty()) return formats;
  }
  return {};
}

}  // namespace

std::optional<AudioConversion> convert_fax(const MediaTerms& from, const MediaTerms& to,
                                           const AudioConversion* former) {
  if (!from.fax || !to.fax || from.fax->gateway != to.fax->gateway) return std::nullopt;
  const bool is_to_sound = from.kind == TransportKind::kUdptl && to.kind == TransportKind::kRtp;
  const bool is_to_t38 = from.kind == TransportKind::kRtp && to.kind == TransportKind::kUdptl;
  if (!is_to_sound && !is_to_t38) return std::nullopt;
  FaxSide side;
  side.role = is_to_sound ? FaxSide::Role::kToSound : FaxSide::Role::kToDatagrams;
  side.gateway = from.fax->gateway;
  side.t38 = from.fax->settings;
  AudioConversion conversion;
  const std::vector<NumberedFormat> sound = g711_of(is_to_sound ? to : from);
  if (is_to_sound) {
    if (sound.empty()) return std::nullopt;
    conversion.type = sound.front().type;
    conversion.format = sound.front().format;
  } else {
    for (const NumberedFormat& each : sound)
      conversion.inputs.push_back({each.type, AudioInput::Kind::kSpeech, each.format});
  }
  const bool goes_on = former != nullptr && former->fax && *former->fax == side;
  conversion.fax = goes_on ? former->fax : std::make_shared<const FaxSide>(std::move(side));
  return conversion;
}

}  // namespace ferry
