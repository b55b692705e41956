// Decoders from plug-ins (`codecs/plugins/codec_plugin.h`), loaded when a call needs one.
#pragma once

#include "codecs/audio/audio_decoder.hpp"

namespace ferry {

/// The decoder of `rtpferry-codec-<encoding in lower case>.so`; an error if it is not installed.
Result<std::unique_ptr<AudioDecoder>, std::string> make_plugin_decoder(const AudioFormat& format);

}  // namespace ferry
