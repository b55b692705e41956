// SPDX-License-Identifier: Apache-2.0
// The sections of a subscription: what a subscriber is shown of its sources, and at which place. A party that
// subscribes again offers in the same SIP dialogue, so a section keeps its place, its ports and its label
// while it has the same sources (RFC 3264 section 8, RFC 7866 section 6.1.1). Each wanted section takes the
// place that had one of its sources, else one whose sources are gone, else a new one at the end.

#include "control/call/media_rules.hpp"
#include "control/call/session_config.hpp"
#include "control/command/subscriptions.hpp"
#include "control/negotiate/codec_offer.hpp"
#include "control/negotiate/codecs.hpp"
#include "control/sdp/words.hpp"
#include "control/session/proposals.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <utility>

#include <fmt/format.h>

namespace ferry {

namespace {

/// Attributes of RTCP feedback (RFC 4585, RFC 5506, RFC 3611), which only profiles with feedback may have.
constexpr std::array<std::string_view, 3> kFeedback = {"rtcp-fb", "rtcp-rsize", "rtcp-xr"};

bool has_source_of(const Media& place, const std::vector<Media*>& sources) {
  if (!place.extras) return false;
  return std::ranges::any_of(sources, [&](const Media* source) {
    return std::ranges::find(place.extras->copies, source->id) != place.extras->copies.end();
  });
}

}  // namespace

bool Subscriptions::read_source(const Media& media, Section& section) {
  // An offer without answer changes nothing yet, so the terms in force are shown (LAT-15).
  const Proposal* waiting = Proposals::offered_by(*media.leg);
  sdp::Limits limits;
  limits.keeps_unknown_protocols = media.call->passthrough_unknown;
  auto parsed = sdp::parse(waiting != nullptr ? waiting->former_sdp : media.leg->last_sdp, limits);
  if (!parsed) return false;
  const auto& order = waiting != nullptr ? waiting->former_order : media.leg->section_order;
  const auto place = static_cast<std::size_t>(std::ranges::find(order, media.index) - order.begin());
  if (place >= parsed->media.size()) return false;
  parsed_.push_back(std::move(*parsed));
  section.session = &parsed_.back();
  sdp::MediaSection& shown = bare_.emplace_back(parsed_.back().media[place]);
  section.source = &shown;
  const bool has_protocol = sdp::parse_protocol(request_.transport_protocol).kind == sdp::ProtocolClass::kRtp;
  section.protocol = has_protocol && shown.is_rtp() ? std::string_view(request_.transport_protocol)
                                                    : std::string_view(media.in_force().protocol);
  if (!sdp::parse_protocol(section.protocol).feedback) {
    std::erase_if(shown.attributes, [](const sdp::Attribute& attribute) {
      return std::ranges::find(kFeedback, attribute.name) != kFeedback.end();
    });
    for (sdp::Codec& codec : shown.codecs) codec.feedback.clear();
  }
  section.codecs = sent_codecs(shown.codecs, media.in_force());
  return true;
}

void Subscriptions::choose_codecs(Section& section) {
  if (section.source == nullptr) return;
  if (section.type != "audio" || !section.source->is_rtp()) {
    section.codecs = shown_codecs(section.codecs, request_, CodecPolicy::kCopy);
    return;
  }
  const MediaTerms nobody;
  const MediaTerms& receiver = section.media != nullptr ? *section.media : nobody;
  const std::vector<sdp::Codec> sent = std::move(section.codecs);
  CodecOffer offer = offer_codecs({sent, request_, receiver, services_.config.codecs, false}, texts_);
  section.codecs = std::move(offer.codecs);
  section.wishes = std::move(offer.toward_receiver);
  std::ranges::move(offer.warnings, std::back_inserter(warnings_));
}

std::vector<Subscriptions::Section> Subscriptions::in_order(std::vector<Section> wanted, const Leg& leg) {
  std::vector<Section> ordered(leg.medias.size());
  std::vector<bool> is_placed(wanted.size(), false);
  const auto fill = [&](bool by_source) {
    for (std::size_t i = 0; i < ordered.size(); ++i) {
      Media& place = *leg.medias[i];
      if (!ordered[i].sources.empty()) continue;
      for (std::size_t j = 0; j < wanted.size(); ++j) {
        const bool is_it = !is_placed[j] && wanted[j].type == place.type &&
                           (!by_source || has_source_of(place, wanted[j].sources));
        if (!is_it) continue;
        ordered[i] = std::move(wanted[j]);
        ordered[i].is_reused = !by_source;
        is_placed[j] = true;
        break;
      }
      ordered[i].media = &place;
    }
  };
  fill(true);
  fill(false);
  for (std::size_t j = 0; j < wanted.size(); ++j) {
    if (!is_placed[j]) ordered.push_back(std::move(wanted[j]));
  }
  return ordered;
}

Result<std::vector<Subscriptions::Section>, RequestError> Subscriptions::sections_of(
    const std::vector<Media*>& sources, const Leg* subscriber) {
  std::vector<Section> sections;
  for (Media* source : sources) {
    if (source->leg == subscriber) return fail(RequestFault::kSubscribesToItself);
    if (request_.has_flag(Flag::kMix)) {
      const auto same = std::ranges::find(sections, source->type, &Section::type);
      if (same != sections.end()) {
        same->sources.push_back(source);
        continue;
      }
    }
    Section section;
    section.sources.push_back(source);
    section.type = source->type;
    if (!read_source(*source, section)) return fail(RequestFault::kUnreadableSource);
    section.interface = choose_interface(source->via->interface);
    section.family =
        request_.address_family != AddressFamily::kNone ? request_.address_family : source->via->family;
    sections.push_back(std::move(section));
  }
  if (subscriber != nullptr) sections = in_order(std::move(sections), *subscriber);
  for (Section& section : sections) choose_codecs(section);
  return sections;
}

void Subscriptions::listen(Media& subscriber, const std::vector<Media*>& sources) const {
  auto& copies = subscriber.ensure_extras().copies;
  copies.clear();
  for (Media* source : sources) {
    copies.push_back(source->id);
    Subscription subscription{source, SubscriptionKind::kPubSub};
    subscription.egress = request_.has_flag(Flag::kEgress);
    subscriber.subscriptions.push_back(subscription);
    if (request_.has_flag(Flag::kRtcpMirror)) {
      Subscription back{&subscriber, SubscriptionKind::kPubSub};
      back.rtcp_only = true;
      source->subscriptions.push_back(back);
    }
  }
}

const std::string& Subscriptions::label_of(Media& media, const Section& section) {
  std::string& label = media.ensure_extras().label;
  if (label.empty() || section.is_reused) label = std::to_string(media.call->next_label++);
  return label;
}

sdp::Origin Subscriptions::keep_origin(Leg& leg, const sdp::Origin& wanted, const std::string& body) {
  if (!leg.origin) leg.origin = std::make_unique<OriginMemory>();
  OriginMemory& memory = *leg.origin;
  const std::size_t hash = std::hash<std::string>{}(body);
  if (memory.identity.empty()) {
    memory.identity =
        fmt::format("{} {} {} {}", wanted.username, wanted.session_id, wanted.address_type, wanted.address);
    std::int64_t version = 0;
    if (sdp::read_number(wanted.version, version) && version >= 0)
      memory.version = static_cast<std::uint64_t>(version);
    memory.body_hash = hash;
    return wanted;
  }
  if (memory.version && std::exchange(memory.body_hash, hash) != hash) ++*memory.version;
  sdp::Origin kept = wanted;
  std::string_view identity = memory.identity;
  for (auto* part : {&kept.username, &kept.session_id, &kept.address_type, &kept.address})
    *part = sdp::next_word(identity);
  if (memory.version) {
    texts_.push_back(std::to_string(*memory.version));
    kept.version = texts_.back();
  }
  return kept;
}

}  // namespace ferry
