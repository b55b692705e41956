// SPDX-License-Identifier: Apache-2.0
#include "control/command/hold_music.hpp"

#include "control/negotiate/directions.hpp"

#include <algorithm>

namespace ferry {

namespace {

bool is_live_audio(const sdp::MediaSection& section) { return section.type == "audio" && section.port != 0; }

/// True if the sender of the section wants to hear nobody.
bool is_deaf(const sdp::MediaSection& section) {
  const bool has_no_place =
      section.connection && section.connection->is_unspecified() && section.candidates.empty();
  return !section.direction.receive || has_no_place;
}

}  // namespace

Result<void, RequestError> HoldMusic::prepare(const Leg* sender, const sdp::Session& message,
                                              bool partner_receives) {
  const HoldMusicWish* wish = request_.hold_music ? &*request_.hold_music : nullptr;
  if (wish == nullptr && sender != nullptr && sender->sounds() != nullptr)
    wish = sender->sounds()->hold_music.get();
  if (wish == nullptr || !wish->sound || !partner_receives) return {};
  const auto live = std::ranges::count_if(message.media, is_live_audio);
  const auto deaf = std::ranges::count_if(message.media, [](const sdp::MediaSection& section) {
    return is_live_audio(section) && is_deaf(section);
  });
  if (live == 0 || deaf != live) return {};
  auto found = player_.find(*wish->sound);
  if (!found) return fail(found.error());
  found_ = std::move(*found);
  wish_ = *wish;
  return {};
}

void HoldMusic::note(Leg& sender) const {
  if (request_.hold_music)
    sender.ensure_sounds().hold_music = std::make_unique<HoldMusicWish>(*request_.hold_music);
}

void HoldMusic::show(sdp::SectionEdit& edit) const {
  if (!wish_ || edit.source == nullptr || edit.source->type != "audio") return;
  if (wish_->shown == HoldMusicWish::Shown::kSendOnly) edit.direction = {true, false};
  if (wish_->shown == HoldMusicWish::Shown::kSendReceive) edit.direction = {true, true};
  if (wish_->shows_zero_address) edit.connection = IpAddress::unspecified(edit.connection.family());
}

bool HoldMusic::follow(Leg& sender) const {
  bool has_begun = false;
  for (Leg* partner : sender.call->associated(sender)) {
    const Playback* playback = partner->playback();
    const bool has_music = playback != nullptr && playback->is_running() && playback->holder == sender.number;
    if (found_) {
      Player::Order order;
      order.times = Prompt::kForEver;
      order.holder = sender.number;
      // Music that plays goes on when the hold is repeated.
      if (!has_music) has_begun = player_.start(*partner, *found_, order) || has_begun;
    } else if (has_music) {
      player_.stop(*partner);
    }
  }
  return has_begun;
}

}  // namespace ferry
