// SPDX-License-Identifier: Apache-2.0
#include "codecs/audio/audio_format.hpp"

#include "relay/core/rtp/static_types.hpp"

namespace ferry {

std::optional<AudioFormat> static_audio_format(PayloadType type) {
  const StaticType* known = static_type(type.value);
  if (known == nullptr || !known->is_audio) return std::nullopt;
  return AudioFormat{std::string(known->name), known->clock_rate_hz, known->channels, {}};
}

}  // namespace ferry
