// SPDX-License-Identifier: Apache-2.0
// Which codecs there are, by the name of the encoding.
#pragma once

#include "codecs/audio/codec_results.hpp"
#include "relay/core/audio/codec.hpp"

#include <string>
#include <vector>

namespace ferry {

/// A decoder of the format; none for a clock rate below 4 kHz or above 192 kHz. Any thread.
[[nodiscard]] DecoderResult make_audio_decoder(const AudioFormat& format, const CodecSettings& settings = {});
/// An encoder of the format, for a receiver that wrote its parameters; the same clock rates. Any thread.
[[nodiscard]] EncoderResult make_audio_encoder(const AudioFormat& format, const CodecSettings& settings = {});

/// A text that is the same for formats that an encoder treats alike: encoding, clock rate and channels, and
/// of the parameters only those that it obeys, in one order. Any thread.
[[nodiscard]] std::string encoding_key(const AudioFormat& format);

/// What one codec can do in this build, on this machine.
struct CodecAbility {
  /// Name, clock rate and channels as in the usual `a=rtpmap`; no parameters.
  AudioFormat format;
  /// What else there is to know, in some words; may be empty.
  std::string remark;
  /// Why it is not decoded or not encoded, a sentence each; empty if it is.
  std::string no_decoder;
  std::string no_encoder;
};
/// All codecs, each tried: a plug-in is loaded. Any thread.
[[nodiscard]] std::vector<CodecAbility> list_codecs();

}  // namespace ferry
