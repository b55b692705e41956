// SPDX-License-Identifier: Apache-2.0
// Opus both ways (RFC 6716, RFC 7587), by libopus.
#pragma once

#include "codecs/audio/codec_results.hpp"

namespace ferry {

/// The decoder. Timestamps count 48 kHz whatever is inside; samples come at the rate that `settings` asks
/// for, else at 48 kHz. Stereo if the sender says so (`sprop-stereo`), unless `settings` decides.
DecoderResult make_opus_decoder(const AudioFormat& format, const CodecSettings& settings);

/// The encoder. `format.parameters` are what the receiver wrote: it is given no more than its
/// `maxaveragebitrate`, `maxplaybackrate`, `stereo` and `cbr` allow, redundancy if it said `useinbandfec`,
/// and pauses if it said `usedtx` and `settings` wants them.
EncoderResult make_opus_encoder(const AudioFormat& format, const CodecSettings& settings);

}  // namespace ferry
