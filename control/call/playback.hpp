// SPDX-License-Identifier: Apache-2.0
// What the relay plays to a party, and the music that a party has others hear while it is on hold.
#pragma once

#include "control/request/wishes_about_sound.hpp"
#include "relay/core/output/prompt.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace ferry {

/// The newest sound that a party was to hear. It stays once it has ended, so that its place can be asked for.
struct Playback {
  /// What it is, in words for operators: a path, a tone.
  std::string what;
  /// How far the worker is. Null = it could not be started.
  std::shared_ptr<PromptProgress> progress;
  /// Samples a second of the sound, and how long one packet lasts.
  std::uint32_t rate_hz = 8000;
  Duration packet_time{0};
  /// How long the sound is; nothing if it has no end or nobody knows.
  std::optional<Duration> length;
  /// `Leg::number` of the party that is on hold, if it is music on hold; 0 = it is not.
  unsigned holder = 0;

  /// True while it is played, or waits for the address of the party.
  [[nodiscard]] bool is_running() const {
    return progress && !progress->is_over.load(std::memory_order_acquire);
  }
  /// Number of the sample of the sound at which the packet begins that was sent last.
  [[nodiscard]] std::int64_t position() const {
    if (!progress) return 0;
    const auto packets = static_cast<std::int64_t>(progress->packet.load(std::memory_order_relaxed));
    return packets * packet_time.count() / 1'000 * rate_hz / 1'000'000;
  }
};

/// What the relay plays to a party, and what the party wants others to hear. Few parties have any.
struct LegSounds {
  /// Null if nothing was ever to be played to it.
  std::unique_ptr<Playback> playback;
  /// The music that its partners hear while it is on hold. Null = it has announced none.
  std::unique_ptr<HoldMusicWish> hold_music;
  /// Flag `inject-DTMF` of an offer or answer of the party, or of one to it.
  bool may_inject_digits = false;
};

}  // namespace ferry
