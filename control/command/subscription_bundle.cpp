// SPDX-License-Identifier: Apache-2.0
// BUNDLE in one-party commands (RFC 9143). `publish` takes the groups of the publisher's offer. `subscribe
// request` and `create` offer their party a group if a word asks for it, and the party's answer settles that.
//
// The decisions are those of offer_answer_bundle.cpp. One party alone has nobody to wait for, so medias move
// at once.

#include "control/call/session_config.hpp"
#include "control/command/shared_transport.hpp"
#include "control/command/subscriptions.hpp"
#include "control/negotiate/bundle.hpp"
#include "control/negotiate/extensions.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace ferry {

namespace {

/// Reads the groups of `session`, and lets each of their sections read as if it stood alone. Returns the
/// sections of each group.
std::vector<std::vector<std::size_t>> read_shared(sdp::Session& session) {
  const auto groups = bundle_groups(session);
  share_transport(session, groups);
  std::vector<std::vector<std::size_t>> sections;
  for (const BundleGroup& group : groups) sections.push_back(group.sections);
  return sections;
}

}  // namespace

std::vector<std::vector<std::size_t>> Subscriptions::read_groups(sdp::Session& offer, const Leg* leg) const {
  const bool is_usual = services_.config.accepts_bundle && !has(request_.bundle, Bundle::kReject);
  const bool is_taken =
      is_usual || has(request_.bundle, Bundle::kAccept) || (leg != nullptr && leg->has_bundle());
  return is_taken ? read_shared(offer) : std::vector<std::vector<std::size_t>>{};
}

void Subscriptions::take_groups(const std::vector<std::vector<std::size_t>>& groups,
                                std::vector<Section>& sections) {
  for (std::size_t number = 0; number < groups.size(); ++number) {
    for (const std::size_t at : groups[number]) {
      sections[at].is_grouped = true;
      sections[at].group = number;
      if (at != groups[number].front()) sections[at].carrier = groups[number].front();
    }
  }
}

std::vector<std::vector<std::size_t>> Subscriptions::read_answered_groups(sdp::Session& answer,
                                                                          const Leg& leg) {
  const bool is_offered = leg.bundle() != nullptr && leg.bundle()->offered_to_peer;
  return is_offered ? read_shared(answer) : std::vector<std::vector<std::size_t>>{};
}

LegBundle::Wish Subscriptions::bundle_wish(const Leg* leg) const {
  using Wish = LegBundle::Wish;
  if (has(request_.bundle, Bundle::kRequire) || has(request_.bundle, Bundle::kStrict)) return Wish::kRequire;
  const Wish kept = leg != nullptr && leg->bundle() != nullptr ? leg->bundle()->wish : Wish::kNone;
  return has(request_.bundle, Bundle::kOffer) && kept == Wish::kNone ? Wish::kOffer : kept;
}

void Subscriptions::group_offer(std::vector<Section>& sections, const Leg* leg) const {
  const bool is_agreed = leg != nullptr && leg->has_bundle();
  const LegBundle::Wish wish = bundle_wish(leg);
  if (!is_agreed && wish == LegBundle::Wish::kNone) return;
  const bool shares = is_agreed || wish == LegBundle::Wish::kRequire;
  std::optional<std::size_t> carrier;
  // One transport has one profile (BND-10), that of the first section which is not apart.
  std::string_view profile;
  const auto is_member = [&](const Section& section) {
    return section.interface != nullptr && section.source != nullptr && section.source->is_rtp() &&
           (profile.empty() || section.protocol == profile);
  };
  // The transport that the party knows as that of the group stays.
  for (std::size_t i = 0; i < sections.size() && is_agreed && !carrier; ++i) {
    if (is_member(sections[i]) && sections[i].media != nullptr && sections[i].media->via->is_bundle)
      carrier = i;
  }
  if (carrier) profile = sections[*carrier].protocol;
  for (std::size_t i = 0; i < sections.size(); ++i) {
    Section& section = sections[i];
    if (!is_member(section)) continue;
    const Media* media = section.media;
    const bool is_apart =
        media != nullptr && media->answered && !media->rejected && !(is_agreed && media->via->is_bundle);
    if (is_agreed && is_apart) continue;
    section.is_grouped = true;
    profile = section.protocol;
    if (!shares || is_apart) continue;
    if (!carrier) carrier = i;
    if (*carrier != i) section.carrier = carrier;
  }
}

void Subscriptions::part_transports(std::vector<Section>& sections) {
  std::vector<const MediaTransport*> claimed;
  // A group keeps the transport that its first section has; the others get their own.
  for (const bool of_groups : {true, false}) {
    for (Section& section : sections) {
      const bool decides = section.is_grouped == of_groups && !section.carrier;
      if (!decides || section.media == nullptr || section.interface == nullptr) continue;
      const MediaTransport* via = section.media->via;
      if (!via->is_shared()) continue;
      const bool is_rtp = section.source != nullptr && section.source->is_rtp();
      section.leaves = !is_rtp || std::ranges::find(claimed, via) != claimed.end();
      if (!section.leaves) claimed.push_back(via);
    }
  }
}

void Subscriptions::keep_bundle(Leg& leg, const std::vector<Section>& sections) const {
  const bool has_group = std::ranges::any_of(sections, &Section::is_grouped);
  if (!has_group && leg.bundle() == nullptr) return;
  leg.ensure_bundle().offered_to_peer = has_group;
  const bool is_kept = has(request_.bundle, Bundle::kOffer) || has(request_.bundle, Bundle::kRequire);
  if (is_kept) leg.ensure_bundle().wish = bundle_wish(&leg);
}

void Subscriptions::join_carriers(const std::vector<Media*>& medias,
                                  const std::vector<Section>& sections) const {
  for (std::size_t i = 0; i < medias.size(); ++i) {
    if (sections[i].carrier) carry_by(services_, *medias[i], *medias[*sections[i].carrier]->via);
  }
}

std::vector<bool> Subscriptions::join_answer(sdp::Session& answer,
                                             const std::vector<std::vector<std::size_t>>& groups,
                                             const std::vector<Media*>& medias) const {
  std::vector<bool> carries(medias.size(), true);
  std::vector<bool> is_grouped(medias.size(), false);
  for (const auto& named : groups) {
    auto group = named;
    // Only RTP shares a transport.
    std::erase_if(group, [&](std::size_t at) {
      return at >= medias.size() || medias[at]->kind != TransportKind::kRtp;
    });
    if (group.empty()) continue;
    // The transport that the party knows as that of the group stays, whichever section is tagged now (BND-7).
    MediaTransport* via = medias[group.front()]->via;
    for (const std::size_t at : group) {
      if (medias[at]->via->is_bundle) via = medias[at]->via;
    }
    via->is_bundle = true;
    for (const std::size_t at : group) {
      carry_by(services_, *medias[at], *via);
      is_grouped[at] = true;
      carries[at] = at == group.front();
    }
  }
  // One section decides where the relay sends on a transport: the tagged section of the group that the party
  // took. If the party took no group, the first section that it did not reject decides.
  const auto decider_of = [&](const MediaTransport* via) {
    std::optional<std::size_t> first;
    for (std::size_t i = 0; i < medias.size(); ++i) {
      if (medias[i]->via != via) continue;
      if (is_grouped[i] && carries[i]) return std::optional(i);
      if (!first && !is_grouped[i] && answer.media[i].port != 0) first = i;
    }
    return first;
  };
  for (std::size_t i = 0; i < medias.size(); ++i) {
    sdp::MediaSection& section = answer.media[i];
    if (is_grouped[i]) continue;
    if (!medias[i]->via->is_shared()) {
      if (section.port != 0) medias[i]->via->is_bundle = false;
      continue;
    }
    const auto decider = decider_of(medias[i]->via);
    carries[i] = decider == i;
    // The relay cannot serve two places of the party from one port, and the party is told nothing more.
    if (decider && !carries[i] && remote_of(section) != remote_of(answer.media[*decider])) section.port = 0;
  }
  return carries;
}

void Subscriptions::name_section(Media& media) {
  if (!media.mid.empty()) return;
  const auto is_taken = [&](const std::string& mid) {
    const LegBundle* bundle = media.leg->bundle();
    const bool was_used =
        bundle != nullptr && std::ranges::find(bundle->former_mids, mid) != bundle->former_mids.end();
    return was_used || std::ranges::any_of(media.leg->medias, [&](const auto& other) {
             return other.get() != &media && other->mid == mid;
           });
  };
  std::string mid;
  for (unsigned number = media.index; mid.empty() || is_taken(mid); ++number) mid = std::to_string(number);
  media.mid = std::move(mid);
}

void Subscriptions::write_extensions(sdp::SectionEdit& edit, Media& media, const Section& section,
                                     const sdp::Session& session, bool is_answer) {
  const auto keep = [&](std::vector<std::string> lines) {
    for (std::string& line : lines) {
      texts_.push_back(std::move(line));
      edit.extmaps.emplace_back(texts_.back());
    }
  };
  ExtensionRules rules = extension_rules(request_);
  rules.has_own_mid = rules.is_group = section.is_grouped;
  for (const auto& other : media.leg->medias) {
    if (section.is_grouped && other.get() != &media && other->extensions)
      rules.others.push_back(other->extensions.get());
  }
  if (is_answer) {
    // The relay takes only one extension of a publisher: MID, which names its sections.
    if (section.is_grouped && media.extensions)
      keep(ExtensionSide(*media.extensions, rules).answer_to(MediaExtensions{}, {}));
    return;
  }
  edit.allows_mixed_extensions = section.is_grouped;
  edit.bundle_only = section.carrier && !media.via->is_bundle;
  if (edit.bundle_only && has(request_.bundle, Bundle::kStrict)) edit.port = 0;
  std::vector<sdp::Extmap> copied;
  const auto lines =
      section.sources.empty() ? std::vector<sdp::Extmap>{} : sdp::extmaps_of(session, *section.source);
  if (lines.empty() && !section.is_grouped) return;
  if (!section.sources.empty()) {
    rules.is_receiver_plain = sdp::is_plainer(sdp::parse_protocol(media.protocol), section.source->protocol);
    copied = shown_extensions(section.first_source().extensions.get(), lines, rules, ExtensionTerms::kCopied);
  }
  if (section.is_grouped || section.first_source().via->is_bundle) copied = without_mid(std::move(copied));
  keep(ExtensionSide(media.ensure_extensions(), rules).offer_to(copied));
}

}  // namespace ferry
