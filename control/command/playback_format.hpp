// SPDX-License-Identifier: Apache-2.0
// In which encoding a party can hear what the relay makes for it.
#pragma once

#include "control/call/call.hpp"
#include "relay/core/audio/conversion.hpp"
#include "relay/core/audio/sound_library.hpp"

#include <optional>

namespace ferry {

/// The codec in which a media of a party hears what is played to it.
struct PlaybackFormat {
  /// The party's number for it.
  PayloadType type;
  AudioFormat format;
  /// Packet time that the party wants, in ms.
  unsigned packet_ms = 20;
  /// How it gets digits. Nothing: it has no telephone-event.
  std::optional<OtherType> events;
};

/// The first codec of a party's own SDP that is encoded here. One that the party was also shown comes before
/// others, because the far side has chosen among them. Nothing: it has none, is no audio over RTP, or is
/// passed unread.
[[nodiscard]] std::optional<PlaybackFormat> playback_format(const Media& media, SoundLibrary& sounds);

}  // namespace ferry
