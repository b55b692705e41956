// SPDX-License-Identifier: Apache-2.0
#include "relay/core/output/prompt_player.hpp"

namespace ferry {

bool PromptPlayer::begin_round() noexcept {
  // A round without a packet would be followed by another one for ever.
  if (taken_ == 0) return false;
  if (order_.rounds != Prompt::kForEver && --order_.rounds <= 0) return false;
  reader_.rewind();
  taken_ = 0;
  return reader_.look() == PromptReader::Found::kPacket;
}

std::optional<PromptPlayer::Due> PromptPlayer::take(Instant now, bool can_send) noexcept {
  const PromptTiming& timing = order_.prompt->timing();
  const bool is_due_to_end = order_.longest > Duration{0} && played_ >= order_.longest;
  const PromptReader::Found found = reader_.look();
  if (is_due_to_end || (found == PromptReader::Found::kEnd && !begin_round())) {
    is_over_ = true;
    return std::nullopt;
  }
  if (found == PromptReader::Found::kWaiting) {
    next_ = now + kLooksAgain;
    begins_ = true;
    return std::nullopt;
  }
  if (now - next_ > kLatest) {
    next_ = now;
    begins_ = true;
  }
  next_ += timing.packet_time;
  if (!can_send) return std::nullopt;
  const Due due{reader_.payload(), paused_units_ + timing.units, begins_, paused_units_ != 0};
  const std::uint64_t number = reader_.number();
  reader_.advance();
  ++taken_;
  played_ += timing.packet_time;
  if (order_.progress) order_.progress->packet.store(number, std::memory_order_relaxed);
  if (due.payload.empty()) {
    paused_units_ += timing.units;
    return std::nullopt;
  }
  paused_units_ = 0;
  begins_ = false;
  return due;
}

}  // namespace ferry
