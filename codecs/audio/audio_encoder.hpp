// Encodes audio for prompts, in the codecs that every phone has.
#pragma once

#include "relay/base/types.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace ferry {

/// Samples a second that the encoder of a static payload type takes; 0: there is no encoder for it. PCMU,
/// PCMA, GSM and G722 have one.
[[nodiscard]] std::uint32_t encoder_rate_hz(PayloadType type) noexcept;

/// Encodes `samples` (mono, at `encoder_rate_hz`) as one long payload. A last frame that is not full is left
/// out. `type` must have an encoder.
[[nodiscard]] std::vector<std::byte> encode_audio(PayloadType type, std::span<const std::int16_t> samples);

}  // namespace ferry
