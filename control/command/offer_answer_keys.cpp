// SPDX-License-Identifier: Apache-2.0
// What an offer or answer says about keys, DTLS and ICE. `Side` decides about each party; here the words of
// the message, the kept wishes and the other side's offer become its input.

#include "control/call/session_config.hpp"
#include "control/command/offer_answer.hpp"
#include "control/command/shared_port.hpp"
#include "control/sdp/extmap.hpp"
#include "control/sdp/write.hpp"
#include "control/session/ports_desk.hpp"
#include "control/session/snapshots.hpp"

#include <algorithm>

namespace ferry {

namespace {

bool uses_ice(const Leg& leg) {
  return std::ranges::any_of(leg.medias, [](const auto& media) { return media->via->has_ice(); });
}

/// True if the media is encrypted on a plain profile by agreement (RFC 8643).
bool is_opportunistic(const Media& media) {
  return media.answered && media.encrypted && !sdp::parse_protocol(media.protocol).secure &&
         media.via->keys && (media.via->keys->offered_by_peer || media.via->keys->offered_to_peer);
}

/// True if the party's own offer had DTLS and no SDES keys. Like browsers, it then does not know SDES.
bool knows_dtls_only(const Media& media) {
  return media.via->is_keyed_by_dtls() && media.via->dtls->offered_by_peer &&
         (!media.via->keys || media.via->keys->theirs.empty());
}

bool names_suites(const sdp::SdesPolicy& policy) {
  return !policy.only.empty() || !policy.without.empty() || !policy.order.empty() || policy.no_new;
}

}  // namespace

IceWishes::Offer OfferAnswer::wished_ice() const {
  if (request_.ice.offer != IceWishes::Offer::kAsOffered) return request_.ice.offer;
  // Without words ICE stays as it was negotiated with the party (docs/reference/ng.md#ice).
  if (receiver_ == nullptr || request_.has_flag(Flag::kReset)) return IceWishes::Offer::kAsOffered;
  if (!has_negotiated(*receiver_)) return receiver_->kept().ice;
  return uses_ice(*receiver_) ? IceWishes::Offer::kAlways : IceWishes::Offer::kNever;
}

bool OfferAnswer::has_ice_offer(const sdp::MediaSection& section, const Media* receiver) const {
  return section.is_rtp() && offers_ice(receiver == nullptr ? nullptr : receiver->via, wished_ice(),
                                        sdp::read_ice(section).is_there(), request_.has_flag(Flag::kReset));
}

bool OfferAnswer::is_another_negotiation() const {
  return receiver_ != nullptr && !request_.transport_protocol.empty() && !receiver_->medias.empty() &&
         receiver_->medias.front()->protocol != request_.transport_protocol;
}

void OfferAnswer::keep_wishes() {
  if (is_answer_) return;
  // Another profile begins another negotiation, for example a second try after a refusal.
  KeptWishes kept =
      is_another_negotiation() || request_.has_flag(Flag::kReset) ? KeptWishes{} : receiver_->kept();
  if (request_.ice.offer != IceWishes::Offer::kAsOffered) kept.ice = request_.ice.offer;
  if (names_suites(request_.sdes.policy)) kept.sdes_off = false;
  if (request_.sdes.policy.off) kept.sdes_off = true;
  if (request_.dtls.passive) kept.dtls_off = false;
  if (request_.dtls.off) kept.dtls_off = true;
  kept.ice_lite = receiver_->kept().ice_lite;
  if (kept != receiver_->kept()) receiver_->ensure_extras().kept = kept;
  receiver_->keep_ice_lite(request_.ice.is_lite_to_receiver);
  sender_->keep_ice_lite(request_.ice.is_lite_to_sender);
}

bool OfferAnswer::names_candidates(const Match& match, bool receiver_side) const {
  if (match.passing != Passing::kNo)
    return (!is_answer_ || receiver_side) && sdp::read_ice(*match.section).is_there();
  if (!match.as_seen(receiver_side).is_rtp()) return false;
  if (!is_answer_)
    return receiver_side ? has_ice_offer(*match.shown, match.receiver)
                         : sdp::read_ice(*match.section).is_there() && !request_.ice.is_refused;
  // The offer named them.
  if (!receiver_side) return false;
  return match.receiver != nullptr && match.receiver->via->ice && match.receiver->via->ice->offered_by_peer;
}

bool OfferAnswer::may_share(const Match& match, bool receiver_side) const {
  const sdp::MediaSection& section = match.as_seen(receiver_side);
  // The parties' ICE with each other tells nobody apart at a shared port: their ufrags are not ours.
  if (!section.is_rtp() || match.passing != Passing::kNo) return false;
  if (is_answer_ && !receiver_side) {
    // Who answers was shown its port by the offer, unless it is a new branch.
    const MediaTransport* own = match.transport(false).via;
    if (const LocalPorts* shown = own == nullptr ? nullptr : own->active_ports()) return shown->is_shared;
    const sdp::IceDescription ice = sdp::read_ice(section);
    return ice.is_there() && section.rtcp_mux && !is_behind_shared_port(ice.candidates, services_.interfaces);
  }
  const Leg* leg = receiver_side ? receiver_ : sender_;
  const auto& lite = receiver_side ? request_.ice.is_lite_to_receiver : request_.ice.is_lite_to_sender;
  if (is_lite_toward(leg, lite)) return false;
  // Under BUNDLE it is the transport of the group, and the section is the one that carries it.
  const MediaTransport* transport = match.transport(receiver_side).via;
  const auto wants = [&](RtcpMux word) { return has(request_.rtcp_mux, word); };
  const auto is_behind_us = [&](const std::vector<sdp::IceCandidateLine>& candidates) {
    return is_behind_shared_port(candidates, services_.interfaces);
  };
  if (is_answer_) {
    const bool refuses_mux = (wants(RtcpMux::kReject) || (transport != nullptr && transport->mux_reject)) &&
                             !(wants(RtcpMux::kAccept) || (transport != nullptr && transport->mux_accept));
    if (refuses_mux) return false;
    // A transport that another section carries from now on is read from that section's offer (BND-3).
    const sdp::MediaSection* own = match.is_reread ? own_section(*match.receiver) : nullptr;
    if (own != nullptr) {
      const sdp::IceDescription ice = sdp::read_ice(*own);
      return ice.is_there() && own->rtcp_mux && !is_behind_us(ice.candidates);
    }
    return transport != nullptr && transport->ice && transport->ice->offered_by_peer &&
           transport->mux_offered_by_peer && !is_behind_us(transport->ice->theirs.candidates);
  }
  if (!receiver_side) {
    const sdp::IceDescription ice = sdp::read_ice(section);
    return ice.is_there() && !request_.ice.is_refused && section.rtcp_mux && !wants(RtcpMux::kReject) &&
           !is_behind_us(ice.candidates);
  }
  const bool is_offered =
      offers_ice(transport, wished_ice(), sdp::read_ice(section).is_there(), request_.has_flag(Flag::kReset));
  if (!is_offered || wants(RtcpMux::kDemux)) return false;
  if (receiver_ != nullptr && is_behind_shared_port(*receiver_, services_.interfaces)) return false;
  const bool keeps_words = receiver_ != nullptr && !is_another_negotiation();
  const bool sdes_off = request_.sdes.policy.off || (keeps_words && receiver_->kept().sdes_off);
  const bool has_mux = section.rtcp_mux || wants(RtcpMux::kOffer) || wants(RtcpMux::kRequire) ||
                       is_grouped(match, true) || (transport != nullptr && transport->mux_offered_to_peer);
  return CertainIce{receiver_, wished_ice(), sdes_off, has_mux}.is_certain();
}

void OfferAnswer::open_more(const Match& match, bool receiver_side) {
  const LogicalInterface& interface = receiver_side ? *match.receiver_interface : *match.sender_interface;
  MediaTransport* transport = match.transport(receiver_side).via;
  const auto& chosen = receiver_side ? match.receiver_ports : match.sender_ports;
  const auto& fresh = receiver_side ? match.new_receiver_ports : match.new_sender_ports;
  const LocalPorts& set = fresh ? opened_[*fresh] : transport->ports[*chosen];
  for (const LocalPorts::More& more : services_.ports.open_more(call_, interface, set, clock_.now)) {
    if (fresh)
      opened_[*fresh].more.push_back(more);
    else
      added_.push_back({transport, *chosen, more});
  }
}

Result<void, RequestError> OfferAnswer::check_keys() const {
  if (!is_answer_) return {};
  for (const Match& match : matches_) {
    if (match.hidden || match.untouched || match.passing != Passing::kNo || match.section->port == 0)
      continue;
    const bool offered = match.sender != nullptr && sdp::parse_protocol(match.sender->protocol).secure &&
                         !(match.sender->via->keys && match.sender->via->keys->doubled);
    if (carries(match, false)) {
      if (auto ok = Side::check_answer(*match.section, offered, offered_to(match), input_); !ok) return ok;
      continue;
    }
    // Each section of a group has to take what it was offered. The keys stand in the section that carries the
    // transport, and the profile in each.
    const std::string_view profile = match.section->protocol.text;
    if (offered && !match.section->protocol.secure && match.section->is_rtp() &&
        services_.config.srtp.policy == SrtpPolicy::kRequire)
      return fail(RequestError(RequestFault::kPlainAnswer, std::string(profile)));
    sdp::MediaSection judged = *matches_[match.sender_on.carrier].section;
    judged.protocol = match.section->protocol;
    judged.port = match.section->port;
    if (auto ok = Side::check_answer(judged, offered, offered_to(match), input_); !ok) return ok;
  }
  return {};
}

Side::Offered OfferAnswer::offered_to(const Match& match) const {
  return {offer_of(match, keys_of), offer_of(match, dtls_of),
          match.sender == nullptr ? 0 : sender_->number_of(*request_.to_tag)};
}

void OfferAnswer::offer_receiver(const Match& match) {
  const Media& sender = *match.sender;
  Media& receiver = *match.receiver;
  const sdp::MediaSection& section = *match.shown;
  const MediaKeys* keys = match.is_converted() ? nullptr : sender.via->keys.get();
  const bool from_opportunistic = keys != nullptr && keys->offered_by_peer;
  Side::Offer offer;
  offer.is_secure = sdp::parse_protocol(receiver.protocol).secure;
  const bool goes_on = is_opportunistic(receiver) && !request_.has_flag(Flag::kReset);
  offer.is_opportunistic = !offer.is_secure && (request_.osrtp.offer || goes_on ||
                                                (from_opportunistic && request_.transport_protocol.empty()));
  offer.is_doubled = request_.osrtp.offer_doubled;
  if (keys != nullptr) offer.lines = keys->theirs;
  offer.sdes = request_.sdes.policy;
  offer.sdes.off = receiver_->kept().sdes_off || knows_dtls_only(receiver);
  // A packet that the relay changes cannot leave under the key that it came with, so the relay does not hand
  // on the lines of such a call. It does not hand on those of a BUNDLE group either: one transport may face
  // several, and two associations would have one key (SRT-1).
  const bool has_extensions = !sdp::extmaps_of(session_, section).empty();
  const bool is_grouped_here = is_grouped(match, false) || is_grouped(match, true);
  const bool changes_packets = match.changes_packets || has_extensions || is_grouped_here || request_.echo ||
                               call_.silenced || sender.leg->silenced || receiver.leg->silenced;
  offer.rules = {services_.config.srtp.legacy_suites, request_.has_flag(Flag::kRecrypt) || changes_packets};
  offer.has_dtls = !receiver_->kept().dtls_off;
  offer.has_ice = has_ice_offer(section, &receiver);
  Side(*receiver.via, input_).offer_to(offer);
}

void OfferAnswer::answer_receiver(const Match& match) {
  const Side::KeyedBy keyed = matches_[match.sender_on.carrier].keyed;
  const bool may_pass_key = keyed == Side::KeyedBy::kSdes && !match.changes_packets &&
                            !match.sender->via->is_shared() && !match.receiver->via->is_shared();
  Side(*match.receiver->via, input_)
      .answer_to(sdp::parse_protocol(match.receiver->protocol).secure, keyed != Side::KeyedBy::kNothing,
                 may_pass_key ? match.sender->via->keys.get() : nullptr);
}

std::string OfferAnswer::selected_candidates(const Media& media) const {
  const LocalPorts* ports = media.via->sending_ports();
  const bool may_be =
      media.via->has_ice() && media.via->ice->controlling && ports == media.via->active_ports();
  if (!may_be || ports == nullptr) return {};
  const TransportSnapshot snapshot = services_.snapshots.read_one(call_, *ports);
  return snapshot.ice ? remote_candidates(*media.via->ice, *snapshot.ice, !media.via->mux_used)
                      : std::string();
}

}  // namespace ferry
