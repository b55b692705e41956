// AMR and AMR-WB: their RTP payloads taken apart (RFC 4867), frames decoded by opencore-amr.
#pragma once

#include "codecs/audio/audio_decoder.hpp"

namespace ferry {

/// One speech frame of an AMR payload in the storage form of RFC 4867 §5.3: header octet, then its bits.
struct AmrFrame {
  std::uint8_t type = 15;  // 15 = nothing was sent
  bool good = true;
  std::vector<std::uint8_t> storage;
};

/// Takes an RTP payload apart, octet-aligned or bandwidth-efficient. Nothing if it is damaged, or if it
/// interleaves or checks frames (`crc`, `robust-sorting`, `interleaving`), which nobody uses.
[[nodiscard]] std::optional<std::vector<AmrFrame>> amr_frames(Bytes payload, bool wideband, bool octet_align);

Result<std::unique_ptr<AudioDecoder>, std::string> make_amr_decoder(const AudioFormat& format);
Result<std::unique_ptr<AudioDecoder>, std::string> make_amr_wb_decoder(const AudioFormat& format);

}  // namespace ferry
