// Where a worker is with the prompts that it plays, packet by packet.
#pragma once

#include "relay/core/timeline/output_timeline.hpp"
#include "relay/core/timeline/prompt.hpp"
#include "relay/core/timeline/repacketizer.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace ferry {

/// One party's place in a prompt. Its transport owns it.
struct Player {
  std::shared_ptr<const Prompt> prompt;
  /// Times still to be played, this one included; or `Prompt::kForEver`.
  std::int64_t rounds = 1;
  std::size_t position = 0;  // in octets
  Instant next{};
  /// Tells it from an earlier one of the same transport.
  std::uint64_t number = 0;
  bool is_first = true;
};

/// What this relay itself sends to a party: one SSRC for all prompts of its call (SSR-2, SSR-5).
struct OwnStream {
  OutputTimeline timeline;
  Instant last{};
};

/// What a party gets besides, or instead of, what the other one sends as it came.
struct OutputStage {
  std::unique_ptr<Player> player;
  std::optional<OwnStream> own_stream;
  std::uint64_t played = 0;  // packets
  /// Once there, it stays: numbers go on where they are.
  std::unique_ptr<Repacketizer> repacketizer;
  std::uint64_t repacketized_in = 0;
  std::uint64_t repacketized_out = 0;
};

}  // namespace ferry
