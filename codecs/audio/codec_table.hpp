// Which codecs there are, by the name of the encoding.
#pragma once

#include "codecs/audio/codec_results.hpp"
#include "relay/core/audio/codec.hpp"

namespace ferry {

/// A decoder of the format; none for a clock rate below 4 kHz or above 192 kHz. Any thread.
[[nodiscard]] DecoderResult make_audio_decoder(const AudioFormat& format);
/// An encoder of the format. Any thread.
[[nodiscard]] EncoderResult make_audio_encoder(const AudioFormat& format);

}  // namespace ferry
