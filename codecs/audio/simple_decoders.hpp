// Decoders whose payload is nothing but samples or frames one after another (RFC 3551 §4.5, 7587, 5574).
#pragma once

#include "codecs/audio/audio_decoder.hpp"

namespace ferry {

using DecoderResult = Result<std::unique_ptr<AudioDecoder>, std::string>;

DecoderResult make_pcmu_decoder(const AudioFormat& format);
DecoderResult make_pcma_decoder(const AudioFormat& format);
DecoderResult make_g722_decoder(const AudioFormat& format);
DecoderResult make_l16_decoder(const AudioFormat& format);
DecoderResult make_gsm_decoder(const AudioFormat& format);
/// RFC 3551 packs from the least significant bit; the `AAL2-` names from the most significant one.
DecoderResult make_g726_decoder(const AudioFormat& format);
DecoderResult make_opus_decoder(const AudioFormat& format);
DecoderResult make_speex_decoder(const AudioFormat& format);

}  // namespace ferry
