// What an offer or answer says about keys, DTLS and ICE.

#include "control/sdp/write.hpp"
#include "control/session/media_rules.hpp"
#include "control/session/offer_answer.hpp"

#include <algorithm>

namespace ferry {

bool OfferAnswer::offers_ice(const sdp::MediaSection& section) const {
  if (!section.is_rtp()) return false;
  switch (request_.ice.offer) {
    case IceWishes::Offer::kNever:
      return false;
    case IceWishes::Offer::kAlways:
      return true;
    case IceWishes::Offer::kAsOffered:
      break;
  }
  return sdp::read_ice(section).is_there();
}

bool OfferAnswer::names_candidates(const Match& match, bool receiver_side) const {
  if (!match.section->is_rtp()) return false;
  if (!is_answer_)
    return receiver_side ? offers_ice(*match.section)
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
  if (offers_ice(section)) {
    offer_ice(receiver.made_ice(), request_.ice.trickles);
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

template <class Part>
const Part* OfferAnswer::offer_of(const Match& match, std::unique_ptr<Part> Media::*part) {
  if (match.sender != nullptr && match.sender->*part) return (match.sender->*part).get();
  if (match.receiver == nullptr) return nullptr;
  for (const Subscription& subscription : match.receiver->subscriptions) {
    if (subscription.kind == SubscriptionKind::kOfferAnswer && subscription.source->*part)
      return (subscription.source->*part).get();
  }
  return nullptr;
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
  const bool to_opportunistic =
      !to_encrypted && (request_.osrtp.offer || (from_opportunistic && request_.transport_protocol.empty()));
  const bool to_keyed = to_encrypted || to_opportunistic;
  if (to_keyed || receiver.keys) {
    MediaKeys& keys = receiver.made_keys();
    keys.offered_to_peer = to_opportunistic;
    keys.doubled = to_encrypted && request_.osrtp.offer_doubled;
    const bool changes_packets = !request_.extmap_mask.empty() || request_.echo || call_.silenced ||
                                 sender.leg->silenced || receiver.leg->silenced;
    const sdp::SdesOfferRules rules{manager_.config_.srtp.legacy_suites,
                                    request_.has_flag(Flag::kRecrypt) || changes_packets};
    if (to_keyed)
      offer_keys(keys, lines, request_.sdes.policy, rules);
    else
      keys.shown.clear();
  }
  const auto identity = manager_.dtls_identity(clock_.now);
  if (to_keyed && identity && !request_.dtls.off) {
    offer_dtls(receiver.made_dtls(), request_.dtls, identity);
  } else if (receiver.dtls) {
    receiver.dtls->offered_to_peer = false;
  }
  if (section.protocol.secure || from_opportunistic || sender.keys) {
    MediaKeys& keys = sender.made_keys();
    keys.theirs = std::move(lines);
    keys.offered_by_peer = from_opportunistic;
    keys.accept = request_.osrtp.accept;
  }
  if (sender.dtls || !description.fingerprints.empty())
    note_dtls_offer(sender.made_dtls(), std::move(description), request_.dtls);
}

bool OfferAnswer::may_answer_dtls(const Media& offerer) const {
  if (!offerer.dtls || !offerer.dtls->offered_by_peer || request_.dtls.off) return false;
  const bool has_lines = offerer.keys && !offerer.keys->theirs.empty();
  return !(request_.sdes.is_preferred && has_lines) && is_usable(offerer.dtls->theirs, manager_.config_.dtls);
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
  if (is_keyed && may_answer_dtls(receiver)) {
    answer_dtls(*receiver.dtls, request_.dtls, manager_.config_.dtls, manager_.dtls_identity(clock_.now));
    forget_agreement(keys);
    return;
  }
  if (receiver.dtls) forget_dtls(*receiver.dtls);
  if (is_keyed)
    answer_offerer(keys, partner, request_.sdes);
  else
    forget_agreement(keys);
}

}  // namespace ferry
