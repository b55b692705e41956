// Encoded frames of the codecs that every phone has, for prompts.
#pragma once

#include "relay/base/types.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace ferry {

/// Samples a second that the encoder of a static payload type wants; 0 = there is no encoder for it. PCMU,
/// PCMA, GSM and G722 have one.
[[nodiscard]] std::uint32_t encoder_rate_hz(PayloadType type) noexcept;

/// All of `samples` (mono, at `encoder_rate_hz`) as payload; a last frame that is not full is left out.
[[nodiscard]] std::vector<std::byte> encode_audio(PayloadType type, std::span<const std::int16_t> samples);

}  // namespace ferry
