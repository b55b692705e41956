// The sections of a subscription: what a subscriber is shown of its sources, and where. A party that
// subscribes again offers in the same SIP dialogue, so that a section keeps its place, its ports and its
// label as long as it has the same sources (RFC 3264 section 8, RFC 7866 section 6.1.1): first each wanted
// section looks for the place that had one of its sources, then for one that has none any more, and else goes
// to the end.

#include "control/sdp/words.hpp"
#include "control/session/media_rules.hpp"
#include "control/session/proposals.hpp"
#include "control/session/subscriptions.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include <fmt/format.h>

namespace ferry {

namespace {

/// Attributes of RTCP feedback (RFC 4585, RFC 5506, RFC 3611), which the profile must have.
constexpr std::array<std::string_view, 3> kFeedback = {"rtcp-fb", "rtcp-rsize", "rtcp-xr"};

bool has_source_of(const Media& place, const std::vector<Media*>& sources) {
  if (!place.extras) return false;
  return std::ranges::any_of(sources, [&](const Media* source) {
    return std::ranges::find(place.extras->copies, source->id) != place.extras->copies.end();
  });
}

}  // namespace

bool Subscriptions::read_source(const Media& media, Section& section) {
  // An offer without answer changes nothing (LAT-15).
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
  // It sends only codecs that it was shown.
  std::vector<sdp::Codec> codecs;
  for (const sdp::Codec& codec : shown.codecs) {
    const auto& known = media.in_force().shown;
    if (known.none() || known.test(codec.payload_type)) codecs.push_back(codec);
  }
  section.codecs = sdp::choose_codecs(codecs, request_.codecs, false);
  return true;
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

sdp::Direction Subscriptions::offered_direction(const Section& section) const {
  if (request_.has_flag(Flag::kInactive)) return {false, false};
  const bool egress = request_.has_flag(Flag::kEgress);
  const bool has_something = std::ranges::any_of(section.sources, [&](const Media* source) {
    return egress ? source->in_force().may_receive : source->in_force().may_send;
  });
  const bool is_heard = std::ranges::any_of(
      section.sources, [](const Media* source) { return source->in_force().may_receive; });
  return {has_something, request_.has_flag(Flag::kBidirectional) && is_heard};
}

const std::string& Subscriptions::label_of(Media& media, const Section& section) {
  std::string& label = media.made_extras().label;
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
    const auto version = Value(wanted.version).as_integer();
    if (version && *version >= 0) memory.version = static_cast<std::uint64_t>(*version);
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
