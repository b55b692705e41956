// SPDX-License-Identifier: Apache-2.0
// iLBC both ways (RFC 3951, RFC 3952), by WebRTC's fixed-point code, if the build has it.
#pragma once

#include "codecs/audio/codec_results.hpp"

namespace ferry {

/// Decoder and encoder of the parameter `mode` (20 or 30 ms, 30 without it). A build without the library
/// tries the plug-in, which only decodes. The error is a sentence.
DecoderResult make_ilbc_decoder(const AudioFormat& format);
EncoderResult make_ilbc_encoder(const AudioFormat& format, const CodecSettings& settings);

}  // namespace ferry
