// SPDX-License-Identifier: Apache-2.0
// Starts and stops what the relay plays to parties.
#pragma once

#include "control/call/call.hpp"
#include "control/command/playback_format.hpp"
#include "control/session/services.hpp"

#include <memory>
#include <optional>

namespace ferry {

/// Plays sounds to parties. Control thread only.
class Player {
 public:
  explicit Player(const Services& services) : services_(services) {}

  /// A sound that was found, with what asked for it.
  struct Found {
    std::shared_ptr<const Sound> sound;
    SoundName name;
  };
  /// How a sound is played.
  struct Order {
    /// As in `PlayWish`.
    std::optional<std::int64_t> times;
    Duration longest{0};
    std::int64_t from_sample = 0;
    /// `Leg::number` of the party that is on hold, if it is music on hold; 0 = it is not.
    unsigned holder = 0;
    /// False: nobody else is heard meanwhile (flag `block-egress`), whatever makes the party's audio.
    bool may_mix = false;
  };

  /// Finds a sound, or says why it cannot be played.
  [[nodiscard]] Result<Found, RequestError> find(const SoundName& name) const;
  /// Plays a sound to the first audio media of a party that can hear it, in place of what is played there.
  /// False if there is none.
  bool start(Leg& leg, const Found& found, const Order& order) const;
  /// Ends what is played to a party.
  void stop(Leg& leg) const;
  /// Sends a digit to one media. False if it has no codec for it.
  bool send_digit(const Media& media, const DigitWish& wish) const;

 private:
  const Services& services_;
};

/// The fault of a sound that cannot be played, by its kind. `why` is for operators.
[[nodiscard]] RequestError unplayable(SoundName::Kind kind, std::string why);

}  // namespace ferry
