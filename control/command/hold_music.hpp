// SPDX-License-Identifier: Apache-2.0
// Music on hold: what the partners of a party hear while it does not want to hear them
// (docs/reference/ng.md#playback).
#pragma once

#include "control/call/call.hpp"
#include "control/command/player.hpp"
#include "control/sdp/write.hpp"
#include "control/session/services.hpp"

#include <optional>

namespace ferry {

/// The part of one offer or answer that is about music on hold. Control thread only.
class HoldMusic {
 public:
  HoldMusic(const Services& services, const Request& request) : request_(request), player_(services) {}

  /// Finds out whether `message`, an SDP of `sender`, puts others on hold, and finds the music for them.
  /// Changes nothing. `sender` may be null: it is new. Fails if there is no such music. `partner_receives`:
  /// the other party wants to hear the sender; if it does not, an answer that wants to hear nobody is no hold
  /// of its own.
  Result<void, RequestError> prepare(const Leg* sender, const sdp::Session& message, bool partner_receives);
  /// Remembers the wish of the message.
  void note(Leg& sender) const;
  /// Changes what the other party is shown while it hears music.
  void show(sdp::SectionEdit& edit) const;
  /// Starts or ends the music. To be called once the workers were told the plans of the message. True if
  /// music has begun: the plans of the call then have to follow.
  bool follow(Leg& sender) const;

 private:
  const Request& request_;
  Player player_;
  /// How the party on the far side is shown the hold. Unset = nobody hears music.
  std::optional<HoldMusicWish> wish_;
  std::optional<Player::Found> found_;
};

}  // namespace ferry
