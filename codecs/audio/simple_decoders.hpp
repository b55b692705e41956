// SPDX-License-Identifier: Apache-2.0
// Decoders of codecs whose payload is nothing but samples or frames, one after another (RFC 3551 §4.5).
#pragma once

#include "codecs/audio/codec_results.hpp"

namespace ferry {

// Each makes the decoder of one encoding. `format` must be of that encoding.
DecoderResult make_pcmu_decoder(const AudioFormat& format);
DecoderResult make_pcma_decoder(const AudioFormat& format);
DecoderResult make_g722_decoder(const AudioFormat& format);
DecoderResult make_l16_decoder(const AudioFormat& format);
DecoderResult make_gsm_decoder(const AudioFormat& format);
/// G.726 at the rate in its name. RFC 3551 packs codes from the least significant bit, the `AAL2-` names from
/// the most significant one.
DecoderResult make_g726_decoder(const AudioFormat& format);

}  // namespace ferry
