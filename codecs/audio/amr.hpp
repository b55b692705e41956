// AMR and AMR-WB: takes their RTP payloads apart (RFC 4867) and decodes the frames with opencore-amr.
#pragma once

#include "codecs/audio/codec_results.hpp"

#include <array>
#include <span>

namespace ferry {

/// One speech frame of a payload, in the storage form of RFC 4867 §5.3: a header octet, then the bits of the
/// frame.
struct AmrFrame {
  /// Frame type; 15: nothing was sent.
  std::uint8_t type = 15;
  /// The sender says that the frame is whole.
  bool good = true;
  /// Octets of `storage` in use.
  std::uint8_t size = 0;
  /// The longest frame is one of AMR-WB with 477 bits.
  std::array<std::uint8_t, 61> storage{};
};

/// The frames of one payload.
struct AmrFrames {
  /// 240 ms: more is not believed.
  static constexpr std::size_t kMost = 12;
  std::array<AmrFrame, kMost> frames;
  std::size_t count = 0;
};

/// Takes an RTP payload apart, octet-aligned or bandwidth-efficient. Nothing if it is damaged. Payloads with
/// `crc`, `robust-sorting` or `interleaving` have another layout and are not understood; no phone uses them.
[[nodiscard]] std::optional<AmrFrames> amr_frames(Bytes payload, bool wideband, bool octet_align);

/// Decoders of AMR (8 kHz) and AMR-WB (16 kHz). The error is a sentence: the format has parameters or
/// channels that are not decoded.
DecoderResult make_amr_decoder(const AudioFormat& format);
DecoderResult make_amr_wb_decoder(const AudioFormat& format);

}  // namespace ferry
