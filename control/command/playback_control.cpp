// SPDX-License-Identifier: Apache-2.0
#include "control/command/playback_control.hpp"

#include "control/command/media_control.hpp"
#include "control/session/plan_sync.hpp"
#include "control/session/snapshots.hpp"

#include <algorithm>

namespace ferry {

Result<std::vector<Leg*>, RequestError> PlaybackControl::select(Call& call) const {
  if (request_.has_flag(Flag::kAll) || request_.all == AllParties::kAll) {
    std::vector<Leg*> legs;
    for (const auto& leg : call.legs) {
      if (!leg->delete_at) legs.push_back(leg.get());
    }
    return legs;
  }
  const auto leg = select_party(call, request_, true);
  if (!leg) return fail(leg.error());
  if (*leg == nullptr) return fail(RequestFault::kNoParticipant);
  return std::vector<Leg*>{*leg};
}

Result<PlaybackStarted, RequestError> PlaybackControl::play_media() {
  const auto call = find_call(services_, request_);
  if (!call) return fail(call.error());
  const auto legs = select(**call);
  if (!legs) return fail(legs.error());
  if (!request_.play.sound) return fail(RequestFault::kNoSound);
  // Who was to hear something, even in vain, may ask to stop it.
  for (Leg* leg : *legs) {
    if (leg->playback() == nullptr) leg->ensure_sounds().playback = std::make_unique<Playback>();
  }
  const auto found = player_.find(*request_.play.sound);
  if (!found) return fail(found.error());
  Player::Order order;
  order.times = request_.play.times;
  order.longest = std::chrono::milliseconds(
      std::clamp<std::int64_t>(request_.play.longest_ms.value_or(0), 0, std::int64_t{1} << 40));
  order.from_sample = request_.play.from_sample;
  order.may_mix = !request_.has_flag(Flag::kBlockEgress);
  bool is_heard = false;
  for (Leg* leg : *legs) {
    // Music on hold goes first (docs/reference/ng.md#playback).
    const bool has_music = leg->playback()->is_running() && leg->playback()->holder != 0;
    if (has_music || player_.start(*leg, *found, order)) is_heard = true;
  }
  services_.plans.sync(**call);
  if (!is_heard)
    return fail(unplayable(request_.play.sound->kind, "the party has no codec that is encoded here"));
  PlaybackStarted started;
  if (found->sound->length() && !found->sound->is_endless())
    started.duration_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(*found->sound->length()).count();
  return started;
}

Result<PlaybackStopped, RequestError> PlaybackControl::stop_media() {
  const auto call = find_call(services_, request_);
  if (!call) return fail(call.error());
  const auto legs = select(**call);
  if (!legs) return fail(legs.error());
  std::optional<PlaybackStopped> stopped;
  for (Leg* leg : *legs) {
    const Playback* playback = leg->playback();
    if (playback == nullptr) continue;
    if (playback->is_running() && playback->holder != 0) return fail(RequestFault::kMusicOnHold);
    if (!stopped) stopped = PlaybackStopped{playback->is_running() ? playback->position() : 0};
    player_.stop(*leg);
  }
  if (!stopped) return fail(RequestFault::kNothingPlayed);
  return *stopped;
}

bool PlaybackControl::has_sent(const Media& media) const {
  const LocalPorts* ports = media.via->used_ports();
  if (ports == nullptr) return false;
  const TransportSnapshot snapshot = services_.snapshots.read_one(*media.call, *ports);
  return std::ranges::any_of(snapshot.sources, [&](const TransportSnapshot::Source& source) {
    return source.media == media.id && !source.ingress.empty();
  });
}

Result<void, RequestError> PlaybackControl::play_from(Leg& leg) const {
  std::vector<const Media*> heard;
  for (const auto& media : leg.medias) {
    if (media->type == "audio" && has_sent(*media)) heard.push_back(media.get());
  }
  if (heard.empty()) return fail(RequestFault::kNothingSent);
  const bool is_prepared = leg.sounds() != nullptr && leg.sounds()->may_inject_digits;
  std::vector<const Media*> receivers;
  bool has_receiver = false;
  for (const auto& other : leg.call->legs) {
    for (const auto& media : other->medias) {
      const bool hears = std::ranges::any_of(media->subscriptions, [&](const Subscription& flow) {
        return !flow.rtcp_only && !flow.egress && std::ranges::find(heard, flow.source) != heard.end();
      });
      if (!hears) continue;
      has_receiver = true;
      // Where the relay has played something, it makes the stream itself.
      if (is_prepared || other->playback() != nullptr) receivers.push_back(media.get());
    }
  }
  if (!has_receiver) return fail(RequestFault::kNoDigitReceiver);
  if (receivers.empty()) return fail(RequestFault::kNotPrepared);
  if (services_.sounds == nullptr) return fail(RequestFault::kNoDigitCodec);
  bool is_sent = false;
  for (const Media* media : receivers) is_sent = player_.send_digit(*media, request_.digit) || is_sent;
  if (!is_sent) return fail(RequestFault::kNoDigitCodec);
  return {};
}

Result<void, RequestError> PlaybackControl::play_dtmf() {
  const auto call = find_call(services_, request_);
  if (!call) return fail(call.error());
  if (is_end_to_end(**call)) return fail(RequestFault::kEndToEnd);
  const auto legs = select(**call);
  if (!legs) return fail(legs.error());
  if (!request_.digit.event) return fail(RequestFault::kNoDigit);
  std::optional<RequestError> first;
  bool is_sent = false;
  for (Leg* leg : *legs) {
    if (auto done = play_from(*leg); done)
      is_sent = true;
    else if (!first)
      first = done.error();
  }
  if (is_sent) services_.plans.sync(**call);
  if (!is_sent && first) return fail(*first);
  return {};
}

}  // namespace ferry
