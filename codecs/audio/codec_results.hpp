// What comes of asking for a codec.
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

}  // namespace ferry
