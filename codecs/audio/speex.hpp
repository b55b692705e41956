// SPDX-License-Identifier: Apache-2.0
// Speex both ways (RFC 5574), by libspeex.
#pragma once

#include "codecs/audio/codec_results.hpp"

namespace ferry {

/// Decoder and encoder; the clock rate says which band: 8, 16 or 32 kHz. The encoder does what the receiver
/// wrote into `mode`, `vbr` and `cng`. The error is a sentence.
DecoderResult make_speex_decoder(const AudioFormat& format);
EncoderResult make_speex_encoder(const AudioFormat& format, const CodecSettings& settings);

}  // namespace ferry
