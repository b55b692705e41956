// The SDP that goes on to the other party: what an offer or answer becomes after the call was changed (NG
// sections 9-11).

#include "control/sdp/codec_list.hpp"
#include "control/sdp/write.hpp"
#include "control/session/media_rules.hpp"
#include "control/session/offer_answer.hpp"

#include <algorithm>
#include <bitset>
#include <functional>

namespace ferry {

namespace {

/// Adds those of `from` that were shown in the last SDP and are not in `to`.
void add_shown(std::vector<PayloadEntry>& to, const std::vector<PayloadEntry>& from,
               const std::bitset<128>& shown) {
  for (const PayloadEntry& entry : from) {
    const bool known = std::ranges::find(to, entry.type, &PayloadEntry::type) != to.end();
    if (!known && shown.test(entry.type.value)) to.push_back(entry);
  }
}

}  // namespace

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
        const PortSet* ports = media->active_ports();
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
  const auto received_version = Value(origin.version).as_integer();
  const std::size_t hash = std::hash<std::string>{}(body_without_origin);
  const bool take_over = has(replaces, Replace::kSdpVersion);
  const bool force = has(replaces, Replace::kForceIncrementVersion);
  if ((take_over || force) && received_version && *received_version >= 0) {
    if (!memory.version) {
      memory.version = static_cast<std::uint64_t>(*received_version);
    } else if (force || hash != memory.body_hash) {
      ++*memory.version;
    }
    memory.body_hash = hash;
    text.version = std::to_string(*memory.version);
    origin.version = text.version;
  }
  return origin;
}

const sdp::MediaSection* OfferAnswer::own_section(const Media& media) const {
  // Sections of a leg's own SDP stand in the order in which its media were matched.
  const auto& order = receiver_->section_order;
  const auto place = std::ranges::find(order, media.index);
  if (place == order.end()) return nullptr;
  const auto index = static_cast<std::size_t>(place - order.begin());
  return index < receiver_own_.media.size() ? &receiver_own_.media[index] : nullptr;
}

std::string_view OfferAnswer::mid_toward(Media& media, const Match& match) {
  if (is_answer_) {
    // RFC 5888 §9.1: an answer names what the offer named.
    const sdp::MediaSection* offered = own_section(media);
    return offered != nullptr && offered->mid.empty() ? std::string_view() : std::string_view(media.mid);
  }
  if (!media.mid.empty() && !match.is_reused) return media.mid;
  const auto is_taken = [&](std::string_view mid) {
    const bool by_party = std::ranges::any_of(
        receiver_->medias, [&](const auto& other) { return other.get() != &media && other->mid == mid; });
    return by_party || std::ranges::any_of(matches_, [&](const Match& other) {
             return other.receiver != &media && other.section->mid == mid;
           });
  };
  std::string mid(match.section->mid);
  if (mid.empty() && !request_.has_flag(Flag::kGenerateMid)) return {};
  for (unsigned number = media.index; mid.empty() || is_taken(mid); ++number) mid = std::to_string(number);
  media.mid = std::move(mid);
  return media.mid;
}

sdp::SectionEdit OfferAnswer::edit_section(Media& media) {
  sdp::SectionEdit edit;
  const auto match = std::ranges::find_if(matches_, [&](const Match& m) { return m.receiver == &media; });
  const PortSet* ports = media.active_ports();
  edit.connection = ports != nullptr ? ports->local->advertised : IpAddress::unspecified(media.family);
  edit.mid = media.mid;
  const sdp::MediaSection* offered = is_answer_ ? own_section(media) : nullptr;
  if (match == matches_.end()) {
    edit.merged = media.keys && media.keys->merged;
    edit.type = media.type;
    edit.protocol_text = media.protocol;
    if (const sdp::MediaSection* own = own_section(media))
      edit.formats.assign(own->formats.begin(), own->formats.end());
    if (edit.formats.empty()) {
      for (const PayloadEntry& payload : media.payloads)
        edit.formats.push_back(std::to_string(payload.type.value));
    }
    if (edit.formats.empty()) edit.formats.emplace_back("0");
    return edit;
  }
  const sdp::MediaSection& section = *match->section;
  edit.source = &section;
  edit.protocol = sdp::parse_protocol(media.protocol);
  edit.mid = mid_toward(media, *match);
  edit.label = section.label;
  if (match->untouched) {
    edit.untouched = true;
    edit.port = section.port;
    edit.connection = section.connection.value_or(edit.connection);
    return edit;
  }
  if (section.port == 0 || ports == nullptr) return edit;

  edit.port = ports->port.value;
  if (request_.media_address) edit.connection = *request_.media_address;
  const bool zero =
      section.connection && section.connection->is_unspecified() && !sdp::read_ice(section).is_there();
  if (zero && !has(request_.replaces, Replace::kZeroAddress)) {
    edit.connection = IpAddress::unspecified(edit.connection.family());
  }
  edit.codecs = section.codecs;
  if (offered != nullptr) edit.codecs = sdp::common_codecs(section.codecs, offered->codecs);
  if (section.is_rtp()) {
    std::bitset<128> removed;
    for (const sdp::Codec& codec : edit.codecs) removed.set(codec.payload_type & 127u);
    edit.codecs =
        sdp::choose_codecs(edit.codecs, request_.codecs, request_.has_flag(Flag::kAllowNoCodecMedia));
    if (edit.codecs.empty() && !section.codecs.empty()) {
      edit.port = 0;
      return edit;
    }
    if (is_answer_ && request_.has_flag(Flag::kSingleCodec)) sdp::keep_first_codec(edit.codecs);
    for (const sdp::Codec& codec : edit.codecs) removed.reset(codec.payload_type & 127u);
    media.has_fewer_codecs = removed.any();
    match->sender->removed_types = removed;
    edit.extmaps.assign(match->extmaps.begin(), match->extmaps.end());
  }
  // Late packets of the former agreement are still good: the set shrinks with the next answer only.
  auto allowed = payload_entries(edit.codecs);
  std::bitset<128> shown;
  for (const PayloadEntry& entry : allowed) shown.set(entry.type.value);
  add_shown(allowed, media.payloads, media.shown);
  media.payloads = std::move(allowed);
  media.earlier = (media.earlier | media.shown) & ~shown;
  media.shown = shown;
  media.rate = rate_limit(section, edit.codecs);
  if (is_answer_) {
    std::erase_if(match->sender->payloads,
                  [&](const PayloadEntry& entry) { return !match->sender->shown.test(entry.type.value); });
  }

  const bool original_direction = request_.has_flag(Flag::kOriginalSendrecv);
  edit.print_direction = section.is_rtp() && (section.has_direction || !original_direction);
  edit.direction = section.direction;
  // A party that names no address cannot receive (hold of RFC 2543); NG section 7.4.
  if (zero && !original_direction) edit.direction.receive = false;
  if (section.is_rtp()) {
    const bool muxed = media.mux_used && (is_answer_ || media.mux_offered_to_peer);
    if (!request_.has_flag(Flag::kNoRtcpAttribute)) {
      edit.rtcp_port = static_cast<std::uint16_t>(muxed ? ports->port.value : ports->port.value + 1);
      edit.rtcp_full_form = request_.has_flag(Flag::kFullRtcpAttribute);
    }
    edit.rtcp_mux = is_answer_ ? media.mux_used : media.mux_offered_to_peer;
    if (media.keys) {
      const MediaKeys& keys = *media.keys;
      if (is_answer_ && keys.out) edit.crypto.push_back(sdp::write_crypto(*keys.out, request_.sdes.style));
      if (!is_answer_) {
        for (const sdp::CryptoLine& line : keys.shown)
          edit.crypto.push_back(sdp::write_crypto(line, request_.sdes.style));
      }
    }
    if (media.dtls) edit.dtls = dtls_lines(*media.dtls, is_answer_);
    edit.ptime = section.ptime;
    if (edit.ptime.empty() && offered != nullptr) edit.ptime = offered->ptime;
    edit.maxptime = section.maxptime;
    if (media.ice && (is_answer_ ? media.ice->in_use : media.ice->offered_to_peer)) {
      edit.ice = {media.ice->own.ufrag,
                  media.ice->own.password,
                  manager_.candidates_of(*ports, !media.mux_used, request_.media_address),
                  media.ice->trickles,
                  {}};
      if (!is_answer_) edit.ice.remote_candidates = manager_.remote_candidates_of(call_, media);
    }
    choose_ptime(edit, media, *match->sender);
  }
  return edit;
}

void OfferAnswer::add_sections(std::vector<sdp::SectionEdit>& sections, Media& media) {
  sections.push_back(edit_section(media));
  if (!media.keys || !(is_answer_ ? media.keys->paired : media.keys->doubled)) return;
  sdp::SectionEdit other = sections.back();
  const sdp::Protocol chosen = other.protocol;
  const auto with = [&](bool secure) {
    return sdp::parse_protocol(secure ? (chosen.feedback ? "RTP/SAVPF" : "RTP/SAVP")
                                      : (chosen.feedback ? "RTP/AVPF" : "RTP/AVP"));
  };
  other.protocol = with(!chosen.secure);
  other.crypto.clear();
  other.dtls = {};
  // The party has chosen one of the two profiles, now or before.
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
    sender.made_extras().ptime = *request_.ptime_reverse;
  } else if (sender.extras) {
    sender.extras->ptime = 0;
  }
}

void OfferAnswer::take_extensions(Match& match) const {
  Media& sender = *match.sender;
  Media& receiver = *match.receiver;
  const auto lines = sdp::extmaps_of(session_, *match.section);
  const MediaExtensions* offered = is_answer_ ? offer_of(match, &Media::extensions) : nullptr;
  if (lines.empty() && offered == nullptr && !sender.extensions && !receiver.extensions) return;
  // A new branch goes on with the extensions that the offer had.
  if (offered != nullptr && offered != sender.extensions.get()) sender.made_extensions() = *offered;
  ExtensionRules rules;
  rules.strip = request_.extmap_strip;
  rules.mask = request_.extmap_mask;
  rules.has_feedback =
      sdp::parse_protocol(sender.protocol).feedback && sdp::parse_protocol(receiver.protocol).feedback;
  rules.knows_receiver = !receiver_own_.media.empty();
  rules.is_group = std::ranges::any_of(receiver_own_.attributes, [](const sdp::Attribute& attribute) {
    return attribute.name == "group" && attribute.value.starts_with("BUNDLE");
  });
  for (const auto& other : receiver_->medias) {
    if (other.get() != &receiver && other->extensions) rules.others.push_back(other->extensions.get());
  }
  MediaExtensions& theirs = sender.made_extensions();
  theirs.allows_mixed = sdp::allows_mixed_extensions(session_, *match.section);
  match.extmaps = is_answer_ ? answer_extensions(theirs, receiver.made_extensions(), lines, rules)
                             : offer_extensions(theirs, receiver.made_extensions(), lines, rules);
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
  for (Media* media : order) {
    const bool matched =
        media->hidden || std::ranges::any_of(matches_, [&](const Match& m) { return m.receiver == media; });
    const bool ours = std::ranges::any_of(media->subscriptions,
                                          [&](const Subscription& s) { return s.source->leg == sender_; });
    if (matched || ours) add_sections(edit.sections, *media);
  }
  // The version of o= depends on the rest of the text.
  OriginText origin_text;
  edit.origin = session_.origin;
  edit.origin.version = "0";
  edit.origin.session_id = "0";
  const bool need_hash =
      has(request_.replaces, Replace::kSdpVersion) || has(request_.replaces, Replace::kForceIncrementVersion);
  if (request_.has_flag(Flag::kLoopProtect)) edit.extra_attributes.push_back(manager_.loop_mark());
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
