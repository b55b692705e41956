// SPDX-License-Identifier: Apache-2.0
// What a transcoder has counted.
#pragma once

#include "relay/base/types.hpp"

#include <cstdint>

namespace ferry {

/// Figures of one transcoder since it was made. Its owner reads them on the thread that uses it.
struct TranscodeFigures {
  /// Packets of sources that were taken, and packets that were made.
  std::uint64_t packets_in = 0;
  std::uint64_t packets_out = 0;
  /// Packets that never came, as the sequence numbers say.
  std::uint64_t lost = 0;
  /// Packets that came when their time was over, or twice.
  std::uint64_t late = 0;
  /// Lost packets whose sound was looked for in the packet behind them (Opus), or was in it (RED).
  std::uint64_t recovered = 0;
  /// Sound that was made up, ms; noise in a pause of the sender does not count.
  std::uint64_t concealed_ms = 0;
  /// Payloads that could not be decoded.
  std::uint64_t damaged = 0;
  /// Packets whose payload type the source has not announced, or that nothing here decodes.
  std::uint64_t unknown_type = 0;
  /// Packets of a source while another one spoke.
  std::uint64_t other_speaks = 0;
  /// Packets that waited too long, because more came than time passes.
  std::uint64_t overruns = 0;
  /// Packets for which no encoder could be made.
  std::uint64_t no_encoder = 0;
  /// Digits that went to the receiver, as events or tones.
  std::uint64_t digits = 0;
  /// How long packets wait for late ones now.
  Duration delay{0};
};

}  // namespace ferry
