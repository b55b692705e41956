// SPDX-License-Identifier: Apache-2.0
// One prompt on its way to one receiver: which packet is due when.
#pragma once

#include "relay/core/output/prompt.hpp"

#include <optional>
#include <utility>

namespace ferry {

/// Plays a prompt as its order says. It gives packets no numbers: the timeline of the receiver does. Pure, in
/// virtual time; owned by one worker; allocates nothing.
class PromptPlayer {
 public:
  /// A prompt that is late by more than this goes on from now instead of sending all that it missed.
  static constexpr Duration kLatest = std::chrono::milliseconds(40);
  /// How long it waits before it looks again for what is not encoded yet.
  static constexpr Duration kLooksAgain = std::chrono::milliseconds(10);

  /// A packet to be sent.
  struct Due {
    /// Borrowed from the prompt.
    Bytes payload;
    /// Time stamp units since the packet before.
    std::uint32_t units = 0;
    /// True if nothing was sent right before it: it gets the marker, and its time is what has passed.
    bool begins = false;
    /// True if the codec has paused right before it: it gets the marker.
    bool ends_pause = false;
  };

  PromptPlayer(PromptOrder order, Instant begin) noexcept
      : order_(std::move(order)), reader_(*order_.prompt, order_.skipped), next_(begin) {}
  ~PromptPlayer() {
    if (order_.progress) order_.progress->is_over.store(true, std::memory_order_release);
  }
  PromptPlayer(const PromptPlayer&) = delete;
  PromptPlayer& operator=(const PromptPlayer&) = delete;

  [[nodiscard]] const PromptOrder& order() const noexcept { return order_; }
  [[nodiscard]] const PromptTiming& timing() const noexcept { return order_.prompt->timing(); }
  /// When `take` wants to be called.
  [[nodiscard]] Instant due() const noexcept { return next_; }
  /// True once the last packet has lasted.
  [[nodiscard]] bool is_over() const noexcept { return is_over_; }
  /// Moves on by one packet and returns it; nothing if none is sent now. `can_send`: the receiver has an
  /// address; otherwise the prompt waits for it.
  [[nodiscard]] std::optional<Due> take(Instant now, bool can_send) noexcept;

 private:
  /// Goes to the begin of the next round. False if there is none.
  bool begin_round() noexcept;

  PromptOrder order_;
  PromptReader reader_;
  Instant next_;
  /// Time that was played, over all rounds.
  Duration played_{0};
  /// Packets of this round that were taken.
  std::uint64_t taken_ = 0;
  /// Units of packets of a pause since the last packet that was sent.
  std::uint32_t paused_units_ = 0;
  bool begins_ = true;
  bool is_over_ = false;
};

}  // namespace ferry
