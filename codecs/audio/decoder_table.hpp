// Which decoders there are, by the name of the encoding.
#pragma once

#include "codecs/audio/audio_decoder.hpp"
#include "relay/base/result.hpp"

#include <memory>
#include <string>

namespace ferry {

/// A decoder of the format. The error is a sentence that says why there is none.
[[nodiscard]] Result<std::unique_ptr<AudioDecoder>, std::string> make_audio_decoder(
    const AudioFormat& format);

}  // namespace ferry
