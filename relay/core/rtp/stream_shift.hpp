// SPDX-License-Identifier: Apache-2.0
// How the packets of one stream become packets of another one that goes on: the same packets by other
// numbers.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/types.hpp"

#include <cstdint>

namespace ferry {

/// The difference between the numbers of a stream as it comes and as it leaves. The relay has put packets of
/// its own into it, so what comes behind them has other numbers than its sender gave it (SSR-2). Sequence
/// numbers and timestamps count on from different places, each by its own modulus. Plain value.
struct StreamShift {
  /// The SSRC under which it leaves.
  Ssrc ssrc;
  /// What is added to a sequence number and to a timestamp.
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;

  [[nodiscard]] constexpr SeqNo of(SeqNo arrived) const noexcept {
    return SeqNo{static_cast<std::uint16_t>(arrived.value + sequence)};
  }
  [[nodiscard]] constexpr std::uint32_t of(std::uint32_t arrived_timestamp) const noexcept {
    return arrived_timestamp + timestamp;
  }
  bool operator==(const StreamShift&) const = default;
};

/// Writes the numbers under which an RTP packet leaves. `rtp` holds at least a fixed header.
inline void shift_numbers(const StreamShift& shift, MutableBytes rtp) noexcept {
  write_u16(rtp, 2, shift.of(SeqNo{read_u16(rtp, 2)}).value);
  write_u32(rtp, 4, shift.of(read_u32(rtp, 4)));
  write_u32(rtp, 8, shift.ssrc.value);
}

}  // namespace ferry
