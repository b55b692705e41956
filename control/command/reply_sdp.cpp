// SPDX-License-Identifier: Apache-2.0
// Writes the SDP that goes on to the other party, after an offer or answer has changed the call
// (docs/reference/ng.md#sdp).
//
// Sections of an answer stand in the order of the offer; those of an offer in the order of the receiver's
// medias. A section that the message does not mention is written with port 0, because sections never go away
// (RFC 3264 §8). Other sections say what the sender said, without what the request removes, and with our
// address, ports, keys and candidates.
//
// Order: the text is written twice if `o=` needs a version, because the version rises only if the rest has
// changed.
//
// Trap: writing also notes what the receiver may send (`payloads`, `shown`, `rate`), so it must run exactly
// once for each message.

#include "control/command/offer_answer.hpp"
#include "control/negotiate/codecs.hpp"
#include "control/negotiate/directions.hpp"
#include "control/negotiate/extensions.hpp"
#include "control/negotiate/section_writer.hpp"
#include "control/sdp/words.hpp"
#include "control/sdp/write.hpp"
#include "control/session/ports_desk.hpp"

#include <algorithm>
#include <functional>

namespace ferry {

sdp::Origin OfferAnswer::choose_origin(const std::string& body_without_origin, OriginText& text) const {
  const Replaces& replaces = request_.replaces;
  if (replaces.any() && !receiver_->origin) receiver_->origin = std::make_unique<OriginMemory>();
  if (!receiver_->origin) return session_.origin;
  OriginMemory& memory = *receiver_->origin;
  sdp::Origin origin = session_.origin;
  if (has(replaces, Replace::kUsername)) {
    if (memory.username.empty()) memory.username = origin.username;
    origin.username = memory.username;
  }
  if (has(replaces, Replace::kOrigin)) {
    if (memory.address.family() == AddressFamily::kNone) {
      for (const auto& media : receiver_->medias) {
        const LocalPorts* ports = media->via->active_ports();
        if (ports == nullptr || media->rejected) continue;
        memory.address = ports->local->advertised;
        break;
      }
    }
    if (memory.address.family() != AddressFamily::kNone) {
      text.address = memory.address.to_string();
      origin.address_type = memory.address.is_v6() ? "IP6" : "IP4";
      origin.address = text.address;
    }
  }
  std::int64_t version = 0;
  const bool has_version = sdp::read_number(origin.version, version) && version >= 0;
  const std::size_t hash = std::hash<std::string>{}(body_without_origin);
  const bool take_over = has(replaces, Replace::kSdpVersion);
  const bool force = has(replaces, Replace::kForceIncrementVersion);
  if ((take_over || force) && has_version) {
    if (!memory.version) {
      memory.version = static_cast<std::uint64_t>(version);
    } else if (force || hash != memory.body_hash) {
      ++*memory.version;
    }
    memory.body_hash = hash;
    text.version = std::to_string(*memory.version);
    origin.version = text.version;
  }
  return origin;
}

std::optional<std::size_t> OfferAnswer::own_place(const Media& media) const {
  // The sections of a leg's own SDP stand in the order in which its medias were matched. If the offer has
  // lapsed, the order is kept with it until it is revived.
  const LapsedOffer* lapsed = is_answer_ ? receiver_->lapsed_offer() : nullptr;
  const bool is_lapsed = lapsed != nullptr && !lapsed->section_order.empty();
  const auto& order = is_lapsed ? lapsed->section_order : receiver_->section_order;
  const auto place = std::ranges::find(order, media.index);
  if (place == order.end()) return std::nullopt;
  const auto index = static_cast<std::size_t>(place - order.begin());
  return index < receiver_own_.media.size() ? std::optional(index) : std::nullopt;
}

const sdp::MediaSection* OfferAnswer::own_section(const Media& media) const {
  const auto place = own_place(media);
  return place ? &receiver_own_.media[*place] : nullptr;
}

std::string_view OfferAnswer::mid_toward(Media& media, const Match& match) {
  if (is_answer_) {
    // An answer names a section only if the offer named it (RFC 5888 §9.1).
    const sdp::MediaSection* offered = own_section(media);
    return offered != nullptr && offered->mid.empty() ? std::string_view() : std::string_view(media.mid);
  }
  if (!media.mid.empty() && !match.is_reused) return media.mid;
  const auto is_taken = [&](std::string_view mid) {
    const bool by_party = std::ranges::any_of(
        receiver_->medias, [&](const auto& other) { return other.get() != &media && other->mid == mid; });
    const LegBundle* bundle = receiver_->bundle();
    const bool was_used =
        bundle != nullptr && std::ranges::find(bundle->former_mids, mid) != bundle->former_mids.end();
    return by_party || was_used || std::ranges::any_of(matches_, [&](const Match& other) {
             return other.receiver != &media && other.section->mid == mid;
           });
  };
  std::string mid(match.section->mid);
  const bool is_wanted = request_.has_flag(Flag::kGenerateMid) || is_grouped(match, true);
  if (mid.empty() && !is_wanted) return {};
  for (unsigned number = media.index; mid.empty() || is_taken(mid); ++number) mid = std::to_string(number);
  note_former_mid(media, mid);
  media.mid = std::move(mid);
  return media.mid;
}

sdp::SectionEdit OfferAnswer::inactive_section(const Media& media, const sdp::MediaSection& own) {
  const SectionWriter writer(media, input_, is_answer_);
  // The answer takes the codecs, and does not repeat what the party said of itself.
  sdp::MediaSection& bare = bare_.emplace_back(own);
  bare.attributes.clear();
  bare.bandwidth.clear();
  bare.information.clear();
  sdp::SectionEdit edit = writer.begin(&bare);
  writer.open(edit, false);
  edit.codecs = bare.codecs;
  writer.show_direction(edit, DirectionPolicy::kDecided, {false, false});
  Side::Candidates candidates;
  if (writer.shows_ice())
    candidates.own = services_.ports.candidates_of(*media.via->active_ports(), !media.via->mux_used,
                                                   request_.media_address);
  writer.show_transport(edit, std::move(candidates));
  return edit;
}

sdp::SectionEdit OfferAnswer::edit_section(Media& media) {
  const auto match = std::ranges::find_if(matches_, [&](const Match& m) { return m.receiver == &media; });
  const sdp::MediaSection* own = own_section(media);
  const SectionWriter writer(media, input_, is_answer_);
  // The message does not mention the media, so its section is written with port 0.
  if (match == matches_.end()) {
    sdp::SectionEdit edit = own == nullptr ? writer.begin(nullptr) : writer.begin(nullptr, own->formats);
    edit.merged = media.via->keys && media.via->keys->merged;
    return edit;
  }
  const sdp::MediaSection& section = *match->shown;
  sdp::SectionEdit edit = writer.begin(&section);
  edit.mid = mid_toward(media, *match);
  edit.label = section.label;
  if (match->untouched || match->passing != Passing::kNo) {
    edit.untouched = true;
    edit.port = section.port;
    edit.connection = section.connection.value_or(edit.connection);
    if (match->passing != Passing::kNo) show_passing(edit, media, *match);
    return edit;
  }
  const LocalPorts* ports = media.via->active_ports();
  if (match->kept_in && own != nullptr && ports != nullptr) return inactive_section(media, *own);
  if (match->section->port == 0 || section.port == 0 || ports == nullptr) return edit;

  writer.open(edit, is_on_hold(section));
  const sdp::MediaSection* offered = is_answer_ ? own : nullptr;
  edit.codecs = match->codecs;
  if (section.is_rtp()) {
    if (edit.codecs.empty() && !section.codecs.empty()) {
      edit.port = 0;
      return edit;
    }
    media.has_fewer_codecs = match->removed_types.any();
    match->sender->removed_types = match->removed_types;
    edit.extmaps.assign(match->extmaps.begin(), match->extmaps.end());
  }
  note_shown(media, section, edit.codecs, FormerTypes::kStay);
  if (is_answer_) settle_codecs(*match->sender);

  writer.show_direction(edit, DirectionPolicy::kHandedOn);
  hold_music_.show(edit);
  if (section.is_rtp()) {
    Side::Candidates candidates;
    if (writer.shows_ice()) {
      candidates.own = services_.ports.candidates_of(*ports, !media.via->mux_used, request_.media_address);
      if (!is_answer_) candidates.remote = selected_candidates(media);
    }
    writer.show_transport(edit, std::move(candidates));
    if (edit.ptime.empty() && offered != nullptr) edit.ptime = offered->ptime;
    choose_ptime(edit, media, *match->sender);
  }
  if (!is_answer_ && is_grouped(*match, true)) {
    edit.allows_mixed_extensions = true;
    // An agreed group needs no `a=bundle-only`: all of its sections have the common port (RFC 9143 §7.4).
    edit.bundle_only = !media.via->is_bundle && shares_toward_receiver() && !carries(*match, true);
    if (edit.bundle_only && has(request_.bundle, Bundle::kStrict)) edit.port = 0;
  }
  return edit;
}

void OfferAnswer::add_sections(std::vector<sdp::SectionEdit>& sections, Media& media) {
  sections.push_back(edit_section(media));
  if (!media.via->keys || !(is_answer_ ? media.via->keys->paired : media.via->keys->doubled)) return;
  sdp::SectionEdit other = sections.back();
  const sdp::Protocol chosen = other.protocol;
  const auto with = [&](bool secure) {
    return sdp::parse_protocol(secure ? (chosen.feedback ? "RTP/SAVPF" : "RTP/SAVP")
                                      : (chosen.feedback ? "RTP/AVPF" : "RTP/AVP"));
  };
  other.protocol = with(!chosen.secure);
  other.crypto.clear();
  other.dtls = {};
  // The party has chosen one of the two profiles, now or before; the other is written as rejected.
  if (is_answer_ || !chosen.secure) other.port = 0;
  sections.insert(chosen.secure ? sections.end() - 1 : sections.end(), std::move(other));
}

void OfferAnswer::choose_ptime(sdp::SectionEdit& edit, Media& media, Media& sender) {
  const auto number = [&](std::int64_t value) {
    generated_texts_.push_back(std::to_string(value));
    edit.ptime = generated_texts_.back();
  };
  const auto usable = [](const std::optional<std::int64_t>& value) {
    return value && *value > 0 && *value <= 1000;
  };
  if (is_answer_) {
    if (media.extras && media.extras->ptime != 0) number(media.extras->ptime);
    return;
  }
  if (usable(request_.ptime)) number(*request_.ptime);
  if (usable(request_.ptime_reverse)) {
    sender.ensure_extras().ptime = *request_.ptime_reverse;
  } else if (sender.extras) {
    sender.extras->ptime = 0;
  }
}

void OfferAnswer::take_extensions(Match& match) const {
  Media& sender = *match.sender;
  Media& receiver = *match.receiver;
  const auto lines = sdp::extmaps_of(session_, *match.section);
  const MediaExtensions* offered = is_answer_ ? offer_of(match, extensions_of) : nullptr;
  const bool is_bundled = is_grouped(match, true);
  if (offered == nullptr && !is_bundled && !have_extensions(lines, {&sender, &receiver})) return;
  // A new branch goes on with the extensions that the offer had.
  if (offered != nullptr && offered != sender.extensions.get()) sender.ensure_extensions() = *offered;
  ExtensionRules rules = extension_rules(request_);
  know_receiver(rules, receiver, receiver_own_);
  rules.is_group = rules.is_group || is_bundled;
  rules.has_own_mid = is_bundled;
  rules.hides_mid = is_bundled || is_grouped(match, false);
  const sdp::Protocol sent = sdp::parse_protocol(sender.protocol);
  const sdp::Protocol shown_as = sdp::parse_protocol(receiver.protocol);
  rules.has_feedback = sent.feedback && shown_as.feedback;
  rules.is_receiver_plain = sdp::is_plainer(shown_as, sent);
  MediaExtensions& theirs = sender.ensure_extensions();
  theirs.allows_mixed = sdp::allows_mixed_extensions(session_, *match.section);
  ExtensionSide from(theirs, rules);
  ExtensionSide to(receiver.ensure_extensions(), rules);
  if (is_answer_) {
    from.take_answer(lines);
    match.extmaps = to.answer_to(theirs, lines);
  } else {
    from.take_offer(lines);
    auto shown = shown_extensions(&theirs, lines, rules, ExtensionTerms::kHandedOn);
    match.extmaps = to.offer_to(rules.hides_mid ? without_mid(std::move(shown)) : std::move(shown));
  }
}

std::string OfferAnswer::write_reply() {
  sdp::SessionEdit edit;
  edit.name = session_.name;
  const OriginMemory* memory = receiver_->origin.get();
  const bool keep_name = has(request_.replaces, Replace::kSessionName);
  if (keep_name && memory != nullptr && !memory->session_name.empty()) edit.name = memory->session_name;
  std::vector<Media*> order;
  if (is_answer_) {
    for (const unsigned index : receiver_->section_order) {
      for (const auto& media : receiver_->medias) {
        if (media->index == index) order.push_back(media.get());
      }
    }
  }
  for (const auto& media : receiver_->medias) {
    if (std::ranges::find(order, media.get()) == order.end()) order.push_back(media.get());
  }
  std::vector<std::string> mids(matches_.size());
  for (Media* media : order) {
    const bool matched =
        media->hidden || std::ranges::any_of(matches_, [&](const Match& m) { return m.receiver == media; });
    const bool ours = std::ranges::any_of(media->subscriptions,
                                          [&](const Subscription& s) { return s.source->leg == sender_; });
    if (!matched && !ours) continue;
    add_sections(edit.sections, *media);
    const auto match = std::ranges::find(matches_, media, &Match::receiver);
    if (match != matches_.end() && edit.sections.back().is_alive())
      mids[static_cast<std::size_t>(match - matches_.begin())] = edit.sections.back().mid;
  }
  edit.bundle_groups = groups_shown(mids);
  edit.keeps_groups = wished_passing() != Passing::kNo;
  // The version of o= depends on the rest of the text, so the text is written with zeros first.
  OriginText origin_text;
  edit.origin = session_.origin;
  edit.origin.version = "0";
  edit.origin.session_id = "0";
  const bool need_hash =
      has(request_.replaces, Replace::kSdpVersion) || has(request_.replaces, Replace::kForceIncrementVersion);
  if (request_.has_flag(Flag::kLoopProtect)) edit.extra_attributes.push_back(services_.loop_mark);
  const auto body = [&] {
    std::string text = sdp::write(session_, edit);
    return request_.sdp_attr.empty() ? text : sdp::apply(request_.sdp_attr, text);
  };
  edit.origin = choose_origin(need_hash ? body() : std::string(), origin_text);
  std::string reply = body();
  if (keep_name && receiver_->origin->session_name.empty()) receiver_->origin->session_name = session_.name;
  sender_->last_sdp = text_;
  sender_->last_sdp.shrink_to_fit();
  return reply;
}

}  // namespace ferry
