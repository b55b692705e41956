// SPDX-License-Identifier: Apache-2.0
// Reads the names of codecs that a client gives: `NAME[/clock[/channels[/bitrate[/ptime[/fmtp[/options]]]]]]`
// (docs/reference/ng.md#codecs). Pure; any thread.
#pragma once

#include "control/call/media_codecs.hpp"
#include "control/sdp/sdp.hpp"
#include "relay/core/audio/codec.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace ferry {

/// One specification, with the parts that it leaves out filled in.
struct CodecSpecification {
  /// Name, clock rate and channels as the codec usually has them, if they are not given. `parameters` are
  /// those of the specification, else what the relay says of a codec that it adds.
  AudioFormat format;
  /// Highest bitrate, bit/s; 0 = not given.
  std::uint32_t bitrate_bps = 0;
  /// Packet time, ms; 0 = not given.
  std::uint16_t ptime_ms = 0;
  /// How hard the encoder works; negative = not given (option `complexity`).
  int complexity = -1;
  /// True if the specification has a clock rate.
  bool has_clock_rate = false;
};

/// Reads a specification. Nothing if it has no name, a number in it cannot be read, or
/// it has line ends. In parameters `--`
/// stands for an equals sign, because the flag form of the words cannot have one.
[[nodiscard]] std::optional<CodecSpecification> read_specification(std::string_view text);

/// The static payload type of a codec (RFC 3551 §6). Nothing if it has none.
[[nodiscard]] std::optional<std::uint8_t> static_number(const AudioFormat& format);

/// A line of an SDP for a codec. Its views point into `texts`, where they are added, except for names of
/// static types, which live for ever.
[[nodiscard]] sdp::Codec line_of(const NumberedFormat& codec, std::deque<std::string>& texts);

}  // namespace ferry
