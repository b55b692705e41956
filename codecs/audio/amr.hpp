// SPDX-License-Identifier: Apache-2.0
// AMR and AMR-WB both ways (RFC 4867), by opencore-amr and vo-amrwbenc.
#pragma once

#include "codecs/audio/amr_payload.hpp"
#include "codecs/audio/codec_results.hpp"

namespace ferry {

/// Decoders of AMR (8 kHz) and AMR-WB (16 kHz). The error is a sentence: the format has parameters or
/// channels that are not decoded.
DecoderResult make_amr_decoder(const AudioFormat& format);
DecoderResult make_amr_wb_decoder(const AudioFormat& format);

/// Encoders. They send only modes of `mode-set`, change them as often and as far as `mode-change-period` and
/// `mode-change-neighbor` allow, and follow the requests of the peer (`pass_requests`). Without a request
/// they send the best mode up to 12.2 kbit/s (AMR) or 12.65 kbit/s (AMR-WB), or up to the bitrate of
/// `settings`. The error is a sentence.
EncoderResult make_amr_encoder(const AudioFormat& format, const CodecSettings& settings);
EncoderResult make_amr_wb_encoder(const AudioFormat& format, const CodecSettings& settings);

}  // namespace ferry
