// SPDX-License-Identifier: Apache-2.0
// Commands that play something to parties: sounds and DTMF (docs/reference/ng.md#playback).
#pragma once

#include "control/call/call.hpp"
#include "control/call/totals.hpp"
#include "control/command/player.hpp"
#include "control/command/results.hpp"
#include "control/session/services.hpp"

#include <vector>

namespace ferry {

/// Carries out one command. It changes what parties hear, or nothing. Control thread only.
class PlaybackControl {
 public:
  PlaybackControl(const Services& services, const Request& request, const Clock&)
      : services_(services), request_(request), player_(services) {}

  /// Plays a sound to the parties that the request names.
  Result<PlaybackStarted, RequestError> play_media();
  /// Ends what is played to them.
  Result<PlaybackStopped, RequestError> stop_media();
  /// Sends a digit to everybody who hears the parties that the request names.
  Result<void, RequestError> play_dtmf();

 private:
  /// The parties that the request names: one, or with flag `all` every one. Fails if it names none.
  Result<std::vector<Leg*>, RequestError> select(Call& call) const;
  /// Sends the digit to those who hear `leg`.
  Result<void, RequestError> play_from(Leg& leg) const;
  /// True if the party has sent audio.
  [[nodiscard]] bool has_sent(const Media& media) const;

  const Services& services_;
  const Request& request_;
  Player player_;
};

}  // namespace ferry
