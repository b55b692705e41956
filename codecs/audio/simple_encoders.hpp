// Encoders of the codecs that every phone has (RFC 3551 §4.5).
#pragma once

#include "codecs/audio/codec_results.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace ferry {

// Each makes the encoder of one encoding. `format` must be of that encoding. All are mono.
EncoderResult make_pcmu_encoder(const AudioFormat& format);
EncoderResult make_pcma_encoder(const AudioFormat& format);
EncoderResult make_g722_encoder(const AudioFormat& format);
EncoderResult make_gsm_encoder(const AudioFormat& format);

/// All of `samples` (mono, at the rate of the encoder) as one long payload, for prompts. A last frame that is
/// not full is left out.
[[nodiscard]] std::vector<std::byte> encode_all(AudioEncoder& encoder, std::span<const std::int16_t> samples);

}  // namespace ferry
