// SPDX-License-Identifier: Apache-2.0
// A codec, or the reason why there is none: the results of the functions that make codecs.
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
