// SPDX-License-Identifier: Apache-2.0
#include "control/call/call.hpp"

#include "control/sdp/sdp.hpp"

#include <algorithm>

namespace ferry {

const IpAddress& MediaTransport::received_from() const {
  return agreed ? agreed->received_from : leg->received_from;
}

Call& MediaTransport::call() const { return *leg->call; }

std::vector<Media*> MediaTransport::medias() const {
  std::vector<Media*> found;
  for (const auto& media : leg->medias) {
    if (media->via == this) found.push_back(media.get());
  }
  return found;
}

bool MediaTransport::is_shared() const {
  std::size_t count = 0;
  each_media([&](const Media&) { ++count; });
  return count > 1;
}

bool is_end_to_end(const Call& call) {
  bool any = false;
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      if (!leg->from_offer_answer || media->untouched || media->hidden) continue;
      if (media->passing == Passing::kNo && !media->rejected) return false;
      any = any || media->passing != Passing::kNo;
    }
  }
  return any;
}

bool Media::only_listens() const { return !leg->from_offer_answer && !may_send; }

void Media::note_left_out(std::vector<LeftOutPeer> peers) {
  if (extras || !peers.empty()) ensure_extras().left_out = std::move(peers);
}

bool Media::is_encrypted() const {
  if (in_force().kind != TransportKind::kRtp) return false;
  return answered ? encrypted : sdp::parse_protocol(in_force().protocol).secure;
}

namespace {

bool has_no_feedback(const Media& media) {
  const sdp::Protocol known = sdp::parse_protocol(media.protocol);
  return known.kind == sdp::ProtocolClass::kRtp && !known.feedback;
}

}  // namespace

bool Media::takes_feedback() const { return answered ? !is_without_feedback : !has_no_feedback(*this); }

void Media::settle_encryption() {
  encrypted = (via->keys && via->keys->in) || via->is_keyed_by_dtls() || sdp::parse_protocol(protocol).secure;
  is_without_feedback = has_no_feedback(*this);
}

MediaTransport& Leg::add_transport() {
  MediaTransport& transport = transports.emplace_back();
  transport.leg = this;
  return transport;
}

Media& Leg::add_media() {
  auto media = std::make_unique<Media>();
  media->call = call;
  media->leg = this;
  media->via = &add_transport();
  medias.push_back(std::move(media));
  return *medias.back();
}

Leg* Call::leg_by_tag(std::string_view tag) const {
  const auto found = std::ranges::find_if(legs, [&](const auto& leg) { return leg->is_called(tag); });
  return found == legs.end() ? nullptr : found->get();
}

Leg* Call::leg_by_label(std::string_view label) const {
  if (label.empty()) return nullptr;
  const auto found = std::ranges::find_if(legs, [&](const auto& leg) { return leg->label() == label; });
  return found == legs.end() ? nullptr : found->get();
}

Leg* Call::leg_by_branch(std::string_view branch) const {
  if (branch.empty()) return nullptr;
  const auto found = std::ranges::find_if(legs, [&](const auto& leg) { return leg->via_branch == branch; });
  return found == legs.end() ? nullptr : found->get();
}

Leg* Call::partner_of(const Leg& leg) const {
  for (const auto& media : leg.medias) {
    for (const Subscription& subscription : media->subscriptions) {
      if (subscription.kind == SubscriptionKind::kOfferAnswer) return subscription.source->leg;
    }
  }
  const auto all = associated(leg);
  return all.empty() ? nullptr : all.front();
}

bool Call::subscribes(const Leg& receiver, const Leg& sender) const {
  return std::ranges::any_of(receiver.medias, [&](const auto& media) {
    return std::ranges::any_of(media->subscriptions, [&](const Subscription& s) {
      return s.kind == SubscriptionKind::kOfferAnswer && s.source->leg == &sender;
    });
  });
}

std::vector<Leg*> Call::associated(const Leg& leg) const {
  std::vector<Leg*> found;
  for (const auto& other : legs) {
    if (other.get() != &leg && (subscribes(leg, *other) || subscribes(*other, leg)))
      found.push_back(other.get());
  }
  return found;
}

DigitCover digit_cover(const Leg& leg) {
  const auto cover = [](const DigitRules* rules) {
    return rules != nullptr ? rules->cover : DigitCover::kDrop;
  };
  if (leg.events_blocked) return cover(leg.digit_rules());
  return leg.call->events_blocked ? cover(leg.call->digit_rules()) : DigitCover::kNone;
}

std::optional<DigitGuard> digit_guard(const Leg& leg) {
  DigitGuard guard;
  guard.cover = digit_cover(leg);
  for (const DigitRules* rules : {leg.digit_rules(), leg.call->digit_rules()}) {
    if (rules == nullptr) continue;
    guard.delay_ms = std::max(guard.delay_ms, rules->delay_ms);
    guard.events_delay_ms = std::max(guard.events_delay_ms, rules->events_delay_ms);
  }
  const bool is_delayed = guard.delay_ms > 0 || guard.events_delay_ms > 0;
  const bool is_covered = guard.cover != DigitCover::kNone && guard.cover != DigitCover::kDrop;
  if (!is_delayed && !is_covered) return std::nullopt;
  if (guard.cover == DigitCover::kTone) {
    const DigitRules* rules = leg.events_blocked ? leg.digit_rules() : leg.call->digit_rules();
    if (rules != nullptr) guard.frequencies_hz = rules->frequencies_hz;
  }
  return guard;
}

}  // namespace ferry
