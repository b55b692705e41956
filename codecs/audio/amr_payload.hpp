// SPDX-License-Identifier: Apache-2.0
// RTP payloads of AMR and AMR-WB (RFC 4867 §4.3, §4.4): taken apart and put together. Pure; no library.
#pragma once

#include "relay/base/bytes.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace ferry {

/// Frame type "nothing was sent"; as a request for a mode (CMR): no preference.
inline constexpr std::uint8_t kAmrNothing = 15;

/// One speech frame of a payload, in the storage form of RFC 4867 §5.3: a header octet, then the bits of the
/// frame.
struct AmrFrame {
  /// Longest frame in storage form, octets: AMR-WB with 477 bits.
  static constexpr std::size_t kMost = 61;
  /// Frame type; 15: nothing was sent.
  std::uint8_t type = kAmrNothing;
  /// The sender says that the frame is whole.
  bool good = true;
  /// Octets of `storage` in use.
  std::uint8_t size = 0;
  std::array<std::uint8_t, kMost> storage{};
};

/// The frames of one payload.
struct AmrFrames {
  /// 240 ms: more is not believed.
  static constexpr std::size_t kMost = 12;
  std::array<AmrFrame, kMost> frames;
  std::size_t count = 0;
  /// The mode in which the sender wants to be sent to (CMR); 15: no preference.
  std::uint8_t request = kAmrNothing;
};

/// Which of the two codecs, and which of the two layouts.
struct AmrLayout {
  bool wideband = false;
  /// Every part is padded to whole octets; else nothing is (bandwidth-efficient).
  bool octet_align = false;
};

/// Bits of a frame by its type (3GPP TS 26.101 table 1b, TS 26.201 table 2); -1: the type is not assigned.
[[nodiscard]] int amr_bits(std::uint8_t type, bool wideband) noexcept;

/// Takes a payload apart. Nothing if it is damaged. Payloads with `crc`, `robust-sorting` or `interleaving`
/// have another layout and are not understood; no phone uses them.
[[nodiscard]] std::optional<AmrFrames> amr_frames(Bytes payload, AmrLayout layout);

/// Octets of a payload with so many frames, if all have the most bits.
[[nodiscard]] std::size_t amr_most_octets(std::size_t frames, bool wideband) noexcept;

/// Writes a payload of `frames` (at least one, each as `amr_frames` gives them) that asks for the mode
/// `request`. `out` has room for `amr_most_octets`. Returns how many octets were written.
std::size_t write_amr_payload(std::span<const AmrFrame> frames, std::uint8_t request, AmrLayout layout,
                              MutableBytes out);

}  // namespace ferry
