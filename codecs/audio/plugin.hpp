// SPDX-License-Identifier: Apache-2.0
// Codecs from plug-ins (`codecs/plugins/codec_plugin.h`), which are loaded when a call needs one.
#pragma once

#include "codecs/audio/codec_results.hpp"

namespace ferry {

/// Makes the decoder of `rtpferry-codec-<encoding in lower case>.so`. The error is a sentence: the plug-in is
/// not installed, has another version, or cannot decode the format. Any thread.
DecoderResult make_plugin_decoder(const AudioFormat& format);
/// Makes its encoder; many plug-ins have none, which is an error as well. Any thread.
EncoderResult make_plugin_encoder(const AudioFormat& format, const CodecSettings& settings);

/// Sets the folder of codecs that are packages of their own (`rtpferry-codec-NAME.so`), because their
/// licences do not allow to link them. Call it once, at the start. The default is the installed folder.
void set_codec_plugin_folder(std::string folder);
/// The folder in force.
[[nodiscard]] std::string codec_plugin_folder();

}  // namespace ferry
