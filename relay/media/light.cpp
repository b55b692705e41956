// SPDX-License-Identifier: Apache-2.0
#include "relay/media/light.hpp"

#include "relay/base/text.hpp"

#include <algorithm>

namespace ferry {

namespace {

bool is_g711(const AudioFormat& format) noexcept {
  return format.channels == 1 && format.clock_rate_hz == 8000 &&
         (equal_ignoring_case(format.encoding, "PCMU") || equal_ignoring_case(format.encoding, "PCMA"));
}

}  // namespace

bool is_light(const AudioConversion& conversion) noexcept {
  return is_g711(conversion.format) && !conversion.detects_tones && !conversion.mixes && !conversion.fax &&
         !conversion.guard && std::ranges::all_of(conversion.inputs, [](const AudioInput& input) {
           return input.kind != AudioInput::Kind::kSpeech || is_g711(input.format);
         });
}

}  // namespace ferry
