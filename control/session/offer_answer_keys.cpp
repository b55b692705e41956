// What an offer or answer says about keys, DTLS and ICE.

#include "control/sdp/extmap.hpp"
#include "control/sdp/write.hpp"
#include "control/session/media_rules.hpp"
#include "control/session/offer_answer.hpp"

#include <algorithm>

namespace ferry {

namespace {

/// Whether an answer came from `leg` or went to it.
bool has_negotiated(const Leg& leg) {
  return std::ranges::any_of(leg.medias,
                             [](const auto& media) { return media->answered && media->remote_known; });
}

bool uses_ice(const Leg& leg) {
  return std::ranges::any_of(leg.medias, [](const auto& media) { return media->has_ice(); });
}

/// Encrypted on a plain profile by agreement (RFC 8643).
bool is_opportunistic(const Media& media) {
  return media.answered && media.encrypted && !sdp::parse_protocol(media.protocol).secure && media.keys &&
         (media.keys->offered_by_peer || media.keys->offered_to_peer);
}

/// The party's own offer named DTLS and no keys: like browsers, it does not know SDES.
bool knows_dtls_only(const Media& media) {
  return media.is_keyed_by_dtls() && media.dtls->offered_by_peer &&
         (!media.keys || media.keys->theirs.empty());
}

bool names_suites(const sdp::SdesPolicy& policy) {
  return !policy.only.empty() || !policy.without.empty() || !policy.order.empty() || policy.no_new;
}

}  // namespace

IceWishes::Offer OfferAnswer::wished_ice() const {
  if (request_.ice.offer != IceWishes::Offer::kAsOffered) return request_.ice.offer;
  // ICE stays as it was negotiated with the party (NG 9.5).
  if (receiver_ == nullptr || request_.has_flag(Flag::kReset)) return IceWishes::Offer::kAsOffered;
  if (!has_negotiated(*receiver_)) return receiver_->kept().ice;
  return uses_ice(*receiver_) ? IceWishes::Offer::kAlways : IceWishes::Offer::kNever;
}

bool OfferAnswer::offers_ice(const sdp::MediaSection& section, const Media* receiver) const {
  if (!section.is_rtp()) return false;
  const bool was_declined = receiver != nullptr && receiver->ice && receiver->ice->was_declined;
  if (was_declined && !request_.has_flag(Flag::kReset)) return false;
  switch (wished_ice()) {
    case IceWishes::Offer::kNever:
      return false;
    case IceWishes::Offer::kAlways:
      return true;
    case IceWishes::Offer::kAsOffered:
      break;
  }
  return sdp::read_ice(section).is_there();
}

void OfferAnswer::keep_wishes() {
  if (is_answer_) return;
  // Another profile begins another negotiation, such as a second try after a refusal.
  const bool is_another = !request_.transport_protocol.empty() && !receiver_->medias.empty() &&
                          receiver_->medias.front()->protocol != request_.transport_protocol;
  KeptWishes kept = is_another || request_.has_flag(Flag::kReset) ? KeptWishes{} : receiver_->kept();
  if (request_.ice.offer != IceWishes::Offer::kAsOffered) kept.ice = request_.ice.offer;
  if (names_suites(request_.sdes.policy)) kept.sdes_off = false;
  if (request_.sdes.policy.off) kept.sdes_off = true;
  if (request_.dtls.passive) kept.dtls_off = false;
  if (request_.dtls.off) kept.dtls_off = true;
  if (kept != receiver_->kept()) receiver_->made_extras().kept = kept;
}

bool OfferAnswer::names_candidates(const Match& match, bool receiver_side) const {
  if (!match.section->is_rtp()) return false;
  if (!is_answer_)
    return receiver_side ? offers_ice(*match.section, match.receiver)
                         : sdp::read_ice(*match.section).is_there() && !request_.ice.is_refused;
  if (!receiver_side) return false;  // they were in the offer
  return match.receiver != nullptr && match.receiver->ice && match.receiver->ice->offered_by_peer;
}

void OfferAnswer::open_more(const Match& match, bool receiver_side) {
  const LogicalInterface& interface = receiver_side ? *match.receiver_interface : *match.sender_interface;
  Media* media = receiver_side ? match.receiver : match.sender;
  const auto& chosen = receiver_side ? match.receiver_ports : match.sender_ports;
  const auto& fresh = receiver_side ? match.new_receiver_ports : match.new_sender_ports;
  const PortSet& set = fresh ? opened_[*fresh].second : media->ports[*chosen];
  std::size_t count = 1 + set.more.size();
  for (const LocalAddress& local : interface.addresses) {
    const bool has_it =
        &local == set.local || std::ranges::find(set.more, &local, &PortSet::More::local) != set.more.end();
    if (has_it || count >= kMaxLocals) continue;
    const auto pair = manager_.open_pair(call_, local, clock_.now);
    if (!pair) continue;  // one candidate less
    ++count;
    PortSet::More more{&local, pair->drawn.rtp, pair->handles};
    if (fresh)
      opened_[*fresh].second.more.push_back(more);
    else
      added_.push_back({media, *chosen, more});
  }
}

void OfferAnswer::offer_ice_to(Media& sender, Media& receiver, const sdp::MediaSection& section) {
  auto description = sdp::read_ice(section);
  if (offers_ice(section, &receiver)) {
    receiver.made_ice().was_declined = false;
    offer_ice(*receiver.ice, request_.ice.trickles);
  } else if (receiver.ice) {
    receiver.ice->offered_to_peer = false;
  }
  if (sender.ice || description.is_there())
    note_ice_offer(sender.made_ice(), std::move(description), request_.ice.is_refused);
}

void OfferAnswer::answer_ice_to(Media& sender, Media& receiver, const sdp::MediaSection& section) {
  if (sender.ice) {
    if (sender.ice->offered_to_peer)
      take_ice_answer(*sender.ice, sdp::read_ice(section));
    else
      forget_ice(*sender.ice);
  }
  if (!receiver.ice) return;
  if (receiver.ice->offered_by_peer)
    answer_ice(*receiver.ice);
  else
    forget_ice(*receiver.ice);
}

Result<void, RequestError> OfferAnswer::check_keys() const {
  if (!is_answer_) return {};
  for (const Match& match : matches_) {
    if (match.hidden || match.untouched) continue;
    if (takes_dtls(offer_of(match, &Media::dtls), *match.section, request_, manager_.config_.dtls)) continue;
    const bool offered = match.sender != nullptr && sdp::parse_protocol(match.sender->protocol).secure &&
                         !(match.sender->keys && match.sender->keys->doubled);
    if (auto ok = check_answer(*match.section, offered, offer_of(match, &Media::keys), manager_.config_.srtp);
        !ok)
      return ok;
  }
  return {};
}

void OfferAnswer::offer_crypto(Media& sender, Media& receiver, const sdp::MediaSection& section) {
  auto lines = usable_crypto(section);
  auto description = sdp::read_dtls(section);
  const bool has_keys = !lines.empty() || !description.fingerprints.empty();
  // RFC 8643: keys on a plain profile are used if both have them.
  const bool from_opportunistic = !section.protocol.secure && has_keys;
  const bool to_encrypted = sdp::parse_protocol(receiver.protocol).secure;
  const bool goes_on = is_opportunistic(receiver) && !request_.has_flag(Flag::kReset);
  const bool to_opportunistic =
      !to_encrypted &&
      (request_.osrtp.offer || goes_on || (from_opportunistic && request_.transport_protocol.empty()));
  const bool to_keyed = to_encrypted || to_opportunistic;
  if (to_keyed || receiver.keys) {
    MediaKeys& keys = receiver.made_keys();
    keys.offered_to_peer = to_opportunistic;
    // Sections of an earlier offer stay (RFC 3264 §8).
    keys.doubled = (to_encrypted && request_.osrtp.offer_doubled) || (keys.doubled && keys.paired);
    // A packet that the relay changes cannot leave under the key that it came with.
    const bool has_extensions = !sdp::extmaps_of(session_, section).empty();
    const bool changes_packets =
        has_extensions || request_.echo || call_.silenced || sender.leg->silenced || receiver.leg->silenced;
    const sdp::SdesOfferRules rules{manager_.config_.srtp.legacy_suites,
                                    request_.has_flag(Flag::kRecrypt) || changes_packets};
    sdp::SdesPolicy policy = request_.sdes.policy;
    policy.off = receiver_->kept().sdes_off || knows_dtls_only(receiver);
    if (to_keyed)
      offer_keys(keys, lines, policy, rules);
    else
      keys.shown.clear();
  }
  const auto identity = manager_.dtls_identity(clock_.now);
  if (to_keyed && identity && !receiver_->kept().dtls_off) {
    offer_dtls(receiver.made_dtls(), request_.dtls, identity);
  } else if (receiver.dtls) {
    receiver.dtls->offered_to_peer = false;
  }
  if (section.protocol.secure || from_opportunistic || sender.keys) {
    MediaKeys& keys = sender.made_keys();
    keys.theirs = std::move(lines);
    keys.offered_by_peer = from_opportunistic;
    keys.accept = request_.osrtp.accept || (sender.answered && sender.encrypted);
    const bool keeps_suite = keys.asked.keeps_suite || request_.sdes.keeps_suite;
    keys.asked = request_.sdes;
    keys.asked.keeps_suite = keeps_suite;
  }
  if (sender.dtls || !description.fingerprints.empty())
    note_dtls_offer(sender.made_dtls(), std::move(description), request_.dtls);
}

bool OfferAnswer::may_answer_dtls(const Media& offerer, const Sdes& wishes) const {
  if (!offerer.dtls || !offerer.dtls->offered_by_peer || request_.dtls.off) return false;
  const bool has_lines = offerer.keys && !offerer.keys->theirs.empty();
  return !(wishes.is_preferred && has_lines) && is_usable(offerer.dtls->theirs, manager_.config_.dtls);
}

void OfferAnswer::answer_crypto(Match& match) {
  Media& sender = *match.sender;
  Media& receiver = *match.receiver;
  const sdp::MediaSection& section = *match.section;
  MediaKeys* partner = nullptr;
  const bool by_dtls = takes_dtls(offer_of(match, &Media::dtls), section, request_, manager_.config_.dtls);
  if (by_dtls) {
    if (const MediaDtls* offered = offer_of(match, &Media::dtls); offered != sender.dtls.get()) {
      // Another branch of what was offered.
      MediaDtls& own = sender.made_dtls();
      own.identity = offered->identity;
      own.hash = offered->hash;
      own.tls_id = offered->tls_id;
      own.offered_to_peer = true;
    }
    take_dtls_answer(*sender.dtls, sdp::read_dtls(section));
    if (sender.keys) forget_agreement(*sender.keys);
  } else {
    if (sender.dtls) forget_dtls(*sender.dtls);
    if (section.protocol.secure || sender.keys) {
      const MediaKeys* offered = offer_of(match, &Media::keys);
      MediaKeys& keys = sender.made_keys();
      if (offered != nullptr && offered != &keys) {
        keys.shown = offered->shown;
        keys.contexts = offered->contexts;
        keys.offered_to_peer = offered->offered_to_peer;
      }
      if (take_answer(keys, section, sender_->number_of(*request_.to_tag))) partner = &keys;
    }
  }
  if (!receiver.keys) return;
  MediaKeys& keys = *receiver.keys;
  const bool is_secure = sdp::parse_protocol(receiver.protocol).secure;
  const bool accepts = by_dtls || partner != nullptr || request_.osrtp.accept || keys.accept;
  const bool is_keyed = is_secure || (keys.offered_by_peer && accepts);
  const Sdes wishes = wishes_in_force(request_.sdes, keys.asked);
  keys.asked.keeps_suite = wishes.keeps_suite;
  if (is_keyed && may_answer_dtls(receiver, wishes)) {
    answer_dtls(*receiver.dtls, request_.dtls, manager_.config_.dtls, manager_.dtls_identity(clock_.now));
    forget_agreement(keys);
    return;
  }
  if (receiver.dtls) forget_dtls(*receiver.dtls);
  if (is_keyed)
    answer_offerer(keys, partner, wishes);
  else
    forget_agreement(keys);
}

void OfferAnswer::follow_ports(Media& media) {
  PortSet* ports = media.active_ports();
  if (ports == nullptr) return;
  const MediaDtls::Agreed former = media.dtls->agreed;
  show_at(*media.dtls, {ports->local->address, ports->port});
  if (!media.dtls->in_use || former.at == media.dtls->shown_at || ports->plan) return;
  const auto left = std::ranges::find_if(media.ports, [&](const PortSet& each) {
    return Endpoint{each.local->address, each.port} == former.at;
  });
  if (left == media.ports.end()) return;
  auto handed_on = std::make_shared<TransportSnapshot>();
  handed_on->dtls = manager_.read_snapshot(call_, *left).dtls;
  if (!handed_on->dtls) return;
  handed_on->only_keys = true;
  for (auto& handshake : *handed_on->dtls) handshake.association = former.association;
  ports->restored = std::move(handed_on);
}

}  // namespace ferry
