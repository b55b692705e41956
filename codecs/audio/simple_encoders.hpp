// SPDX-License-Identifier: Apache-2.0
// Encoders whose payload is nothing but samples or frames of one size, one after another (RFC 3551 §4.5).
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
/// G.726 at the rate and in the packing of its name (`G726Name`).
EncoderResult make_g726_encoder(const AudioFormat& format);
/// Takes mono samples; a format of two channels hears them in both.
EncoderResult make_l16_encoder(const AudioFormat& format);

/// All of `samples` (mono, at the rate of the encoder) as one long payload, for prompts. A last frame that is
/// not full is left out. Only for codecs of this header.
[[nodiscard]] std::vector<std::byte> encode_all(AudioEncoder& encoder, std::span<const std::int16_t> samples);

}  // namespace ferry
