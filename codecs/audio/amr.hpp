// AMR and AMR-WB: takes their RTP payloads apart (RFC 4867) and decodes the frames with opencore-amr.
#pragma once

#include "codecs/audio/audio_decoder.hpp"
#include "relay/base/result.hpp"

namespace ferry {

/// One speech frame of a payload, in the storage form of RFC 4867 §5.3: a header octet, then the bits of the
/// frame.
struct AmrFrame {
  /// Frame type; 15: nothing was sent.
  std::uint8_t type = 15;
  /// The sender says that the frame is whole.
  bool good = true;
  std::vector<std::uint8_t> storage;
};

/// Takes an RTP payload apart, octet-aligned or bandwidth-efficient. Nothing if it is damaged. Payloads with
/// `crc`, `robust-sorting` or `interleaving` have another layout and are not understood; no phone uses them.
[[nodiscard]] std::optional<std::vector<AmrFrame>> amr_frames(Bytes payload, bool wideband, bool octet_align);

/// Decoders of AMR (8 kHz) and AMR-WB (16 kHz). The error is a sentence: the format has parameters or
/// channels that are not decoded.
Result<std::unique_ptr<AudioDecoder>, std::string> make_amr_decoder(const AudioFormat& format);
Result<std::unique_ptr<AudioDecoder>, std::string> make_amr_wb_decoder(const AudioFormat& format);

}  // namespace ferry
