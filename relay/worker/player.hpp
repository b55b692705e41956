// The packets that a transport makes for its party itself: prompts, and streams with another packet time.
#pragma once

#include "relay/core/timeline/output_timeline.hpp"
#include "relay/core/timeline/prompt.hpp"
#include "relay/core/timeline/repacketizer.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace ferry {

/// One prompt that is being played to one party, and how far it is. The party's transport owns it.
struct Player {
  /// The frames to be sent. Never null.
  std::shared_ptr<const Prompt> prompt;
  /// Times still to be played, the present one included; or `Prompt::kForEver`.
  std::int64_t rounds = 1;
  /// The next octet of the prompt's payloads.
  std::size_t position = 0;
  /// When the next packet is to be sent.
  Instant next{};
  /// Tells this player from an earlier one of the same transport, in the worker's queue of deadlines. Never
  /// 0.
  std::uint64_t number = 0;
  /// Nothing was sent yet: the first packet has the marker bit.
  bool is_first = true;
};

/// The RTP stream that this relay itself sends to a party. All prompts of a call use it, with one SSRC
/// (SSR-2, SSR-5).
struct OwnStream {
  OutputTimeline timeline;
  /// When its last packet was sent; unset: none was.
  Instant last{};
};

/// The part of a transport that makes packets itself, besides or instead of those of the other party. Only
/// transports that need it have one.
struct OutputStage {
  /// Null: no prompt is being played.
  std::unique_ptr<Player> player;
  /// Made with the first prompt, and kept.
  std::optional<OwnStream> own_stream;
  /// Packets of prompts that were sent.
  std::uint64_t played = 0;
  /// Made with the first packet that needs another packet time. It stays, so that the party's sequence
  /// numbers go on.
  std::unique_ptr<Repacketizer> repacketizer;
  /// Packets that went into the repacketizer, and packets that came out.
  std::uint64_t repacketized_in = 0;
  std::uint64_t repacketized_out = 0;
};

}  // namespace ferry
