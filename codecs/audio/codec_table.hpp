// Which codecs there are, by the name of the encoding.
#pragma once

#include "relay/base/result.hpp"
#include "relay/core/audio/codec.hpp"

#include <memory>
#include <string>

namespace ferry {

/// A decoder, or a sentence that says why there is none.
using DecoderResult = Result<std::unique_ptr<AudioDecoder>, std::string>;
/// An encoder, or a sentence that says why there is none.
using EncoderResult = Result<std::unique_ptr<AudioEncoder>, std::string>;

/// A decoder of the format; none for a clock rate below 4 kHz or above 192 kHz. Any thread.
[[nodiscard]] DecoderResult make_audio_decoder(const AudioFormat& format);
/// An encoder of the format. Any thread.
[[nodiscard]] EncoderResult make_audio_encoder(const AudioFormat& format);

}  // namespace ferry
