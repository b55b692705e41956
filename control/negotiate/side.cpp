// SPDX-License-Identifier: Apache-2.0
// How a transport is agreed on. Keys, DTLS and ICE each take the same three steps:
//
// - offered: an offer to a party only readies what it may take (`shown`, `offered_to_peer`). An offer of the
//   party is noted (`theirs`, `offered_by_peer`). What was agreed before stays in force.
// - taken: the party's answer takes what it was offered (`take_answer`), or our answer takes what it offered
//   (`answer_to`).
// - in use: what was taken stays until the next answer.
//
// Order: DTLS is decided before SDES, and a section that takes DTLS has no SDES agreement.
//
// Trap: `keys` exist for every section that is or was encrypted, even if DTLS keys it, because the plan of
// its packets is made from them.
#include "control/negotiate/side.hpp"

#include "control/call/media_ice.hpp"
#include "control/call/media_rules.hpp"

#include <utility>

namespace ferry {

bool offers_ice(const MediaTransport* transport, IceWishes::Offer wish, bool is_usual, bool forgets) {
  const bool was_declined = transport != nullptr && transport->ice && transport->ice->was_declined;
  if (was_declined && !forgets) return false;
  switch (wish) {
    case IceWishes::Offer::kNever:
      return false;
    case IceWishes::Offer::kAlways:
    case IceWishes::Offer::kBeside:
      return true;
    case IceWishes::Offer::kAsOffered:
    case IceWishes::Offer::kRelayed:
      break;
  }
  return is_usual;
}

void Side::offer_to(const Offer& offer) {
  const bool is_keyed = offer.is_secure || offer.is_opportunistic;
  if (is_keyed || transport_.keys) offer_keys(offer);
  if (is_keyed && input_.identity && offer.has_dtls) {
    offer_dtls(transport_.ensure_dtls(), input_.request.dtls, input_.identity);
  } else if (transport_.dtls) {
    transport_.dtls->offered_to_peer = false;
  }
  if (offer.has_ice) {
    transport_.ensure_ice().was_declined = false;
    offer_ice(*transport_.ice,
              {.trickles = input_.request.ice.trickles, .is_lite = transport_.leg->kept().ice_lite});
  } else if (transport_.ice) {
    transport_.ice->offered_to_peer = false;
  }
}

void Side::offer_keys(const Offer& offer) {
  MediaKeys& keys = transport_.ensure_keys();
  keys.offered_to_peer = offer.is_opportunistic;
  // The sections of an earlier offer stay in later ones (RFC 3264 §8).
  keys.doubled = (offer.is_secure && offer.is_doubled) || (keys.doubled && keys.paired);
  if (offer.is_secure || offer.is_opportunistic)
    ferry::offer_keys(keys, offer.lines, offer.sdes, offer.rules);
  else
    keys.shown.clear();
}

Result<void, RequestError> Side::check_answer(const sdp::MediaSection& answer, bool was_secure,
                                              const Offered& offered, const SideInput& input) {
  if (takes_dtls(offered.dtls, answer, input.request, input.dtls)) return {};
  return ferry::check_answer(answer, was_secure, offered.keys, input.srtp);
}

Side::KeyedBy Side::take_answer(const sdp::MediaSection& answer, const Offered& offered) {
  if (transport_.ice) {
    if (transport_.ice->offered_to_peer)
      take_ice_answer(*transport_.ice, sdp::read_ice(answer));
    else
      forget_ice(*transport_.ice);
  }
  if (takes_dtls(offered.dtls, answer, input_.request, input_.dtls)) {
    if (offered.dtls != transport_.dtls.get()) {
      // This branch answers an offer that another branch's transport has: it gets the same identity and id.
      MediaDtls& own = transport_.ensure_dtls();
      own.identity = offered.dtls->identity;
      own.hash = offered.dtls->hash;
      own.tls_id = offered.dtls->tls_id;
      own.offered_to_peer = true;
    }
    take_dtls_answer(*transport_.dtls, sdp::read_dtls(answer));
    if (transport_.keys) forget_agreement(*transport_.keys);
    return KeyedBy::kDtls;
  }
  if (transport_.dtls) forget_dtls(*transport_.dtls);
  if (!answer.protocol.secure && !transport_.keys) return KeyedBy::kNothing;
  MediaKeys& keys = transport_.ensure_keys();
  // The keys of the offer are shared in the same way, with their counters: branches may use one key.
  if (offered.keys != nullptr && offered.keys != &keys) {
    keys.shown = offered.keys->shown;
    keys.contexts = offered.keys->contexts;
    keys.offered_to_peer = offered.keys->offered_to_peer;
  }
  return ferry::take_answer(keys, answer, offered.answerer) ? KeyedBy::kSdes : KeyedBy::kNothing;
}

void Side::take_offer(const sdp::MediaSection& offer, bool goes_on) {
  auto lines = usable_crypto(offer);
  auto description = sdp::read_dtls(offer);
  // Keys on a plain profile are used if both sides have them (RFC 8643).
  const bool is_opportunistic =
      !offer.protocol.secure && (!lines.empty() || !description.fingerprints.empty());
  if (offer.protocol.secure || is_opportunistic || transport_.keys) {
    MediaKeys& keys = transport_.ensure_keys();
    keys.theirs = std::move(lines);
    keys.offered_by_peer = is_opportunistic;
    keys.accept = input_.request.osrtp.accept || goes_on;
    const bool keeps_suite = keys.asked.keeps_suite || input_.request.sdes.keeps_suite;
    keys.asked = input_.request.sdes;
    keys.asked.keeps_suite = keeps_suite;
  }
  if (transport_.dtls || !description.fingerprints.empty())
    note_dtls_offer(transport_.ensure_dtls(), std::move(description), input_.request.dtls);
  auto ice = sdp::read_ice(offer);
  if (transport_.ice || ice.is_there())
    note_ice_offer(transport_.ensure_ice(), std::move(ice),
                   {.is_lite = is_lite_agent(), .is_refused = input_.request.ice.is_refused});
}

bool Side::is_lite_agent() const {
  // `a=ice-lite` stands for all sections of an SDP, so a section that joins ICE in use follows it.
  for (const auto& each : transport_.leg->transports) {
    if (each.has_ice()) return each.ice->is_lite;
  }
  return transport_.leg->kept().ice_lite;
}

void Side::answer_to(bool is_secure, bool accepts, MediaKeys* partner) {
  if (transport_.keys) answer_keys(is_secure, accepts, partner);
  if (!transport_.ice) return;
  if (transport_.ice->offered_by_peer)
    answer_ice(*transport_.ice);
  else
    forget_ice(*transport_.ice);
}

void Side::answer_keys(bool is_secure, bool accepts, MediaKeys* partner) {
  MediaKeys& keys = *transport_.keys;
  const bool is_keyed =
      is_secure || (keys.offered_by_peer && (accepts || input_.request.osrtp.accept || keys.accept));
  const Sdes wishes = wishes_in_force(input_.request.sdes, keys.asked);
  keys.asked.keeps_suite = wishes.keeps_suite;
  if (is_keyed && may_answer_dtls(wishes)) {
    answer_dtls(*transport_.dtls, input_.request.dtls, input_.dtls, input_.identity);
    forget_agreement(keys);
    return;
  }
  if (transport_.dtls) forget_dtls(*transport_.dtls);
  if (is_keyed)
    answer_offerer(keys, partner, wishes);
  else
    forget_agreement(keys);
}

bool Side::may_answer_dtls(const Sdes& wishes) const {
  const MediaDtls* dtls = transport_.dtls.get();
  if (dtls == nullptr || !dtls->offered_by_peer || input_.request.dtls.off) return false;
  return !(wishes.is_preferred && !transport_.keys->theirs.empty()) && is_usable(dtls->theirs, input_.dtls);
}

bool Side::names_place(const sdp::MediaSection& section, const Endpoint& remote) {
  // Candidates may come later.
  return !remote.address.is_unspecified() || sdp::read_ice(section).is_there();
}

bool Side::take_address(const sdp::MediaSection& section, const Endpoint& remote) {
  const bool has_address = !remote.address.is_unspecified();
  const bool is_known = names_place(section, remote);
  if (is_known) transport_.remote_known = true;
  if (has_address) {
    transport_.remote_rtp = remote;
    transport_.remote_rtcp = rtcp_of(section, remote);
  }
  const bool has_one_port = section.rtcp && transport_.remote_rtcp == transport_.remote_rtp;
  transport_.mux_offered_by_peer = section.rtcp_mux || has_one_port;
  return is_known;
}

void Side::offer_mux(bool is_usual) {
  const bool is_asked = wants(RtcpMux::kOffer) || wants(RtcpMux::kRequire);
  if (wants(RtcpMux::kDemux)) transport_.mux_used = false;
  if (wants(RtcpMux::kRequire)) transport_.mux_used = true;
  transport_.mux_offered_to_peer = !wants(RtcpMux::kDemux) && (is_asked || is_usual || transport_.mux_used);
}

void Side::take_mux_offer() {
  transport_.mux_accept = wants(RtcpMux::kAccept);
  transport_.mux_reject = wants(RtcpMux::kReject);
}

void Side::take_mux_answer() {
  transport_.mux_used = transport_.mux_offered_by_peer && transport_.mux_offered_to_peer;
}

void Side::answer_mux(std::optional<bool> of_other, bool has_one_port) {
  const bool accept = wants(RtcpMux::kAccept) || transport_.mux_accept;
  const bool reject = wants(RtcpMux::kReject) || transport_.mux_reject;
  if (!transport_.mux_offered_by_peer || (reject && !accept)) {
    transport_.mux_used = false;
  } else {
    // The party has offered to do without an RTCP port.
    transport_.mux_used = accept || has_one_port || of_other.value_or(true);
  }
  // Whatever the party was answered, it must not go on the other way, though it offered mux.
  transport_.mux_offered_to_peer = transport_.mux_used;
}

void Side::bundle_mux(bool is_agreed) {
  transport_.mux_offered_to_peer = true;
  if (is_agreed) transport_.mux_used = true;
}

bool Side::shows_ice(bool is_answer) const {
  return transport_.ice && (is_answer ? transport_.ice->in_use : transport_.ice->offered_to_peer);
}

void Side::print(sdp::SectionEdit& edit, bool is_answer, Candidates candidates) const {
  const LocalPorts& ports = *transport_.active_ports();
  const std::uint16_t port = ports.port.value;
  const bool has_mux = is_answer ? transport_.mux_used : transport_.mux_offered_to_peer;
  if (!input_.request.has_flag(Flag::kNoRtcpAttribute)) {
    const bool is_one_port = (transport_.mux_used && has_mux) || ports.is_shared;
    edit.rtcp_port = static_cast<std::uint16_t>(is_one_port ? port : port + 1);
    edit.rtcp_full_form = input_.request.has_flag(Flag::kFullRtcpAttribute);
  }
  edit.rtcp_mux = has_mux;
  if (transport_.keys) {
    const MediaKeys& keys = *transport_.keys;
    const sdp::CryptoStyle style = input_.request.sdes.style;
    if (is_answer && keys.out) edit.crypto.push_back(sdp::write_crypto(*keys.out, style));
    if (!is_answer) {
      for (const sdp::CryptoLine& line : keys.shown) edit.crypto.push_back(sdp::write_crypto(line, style));
    }
  }
  if (transport_.dtls) edit.dtls = dtls_lines(*transport_.dtls, is_answer);
  if (!shows_ice(is_answer)) return;
  const MediaIce& ice = *transport_.ice;
  edit.ice = {.ufrag = ice.own.ufrag,
              .password = ice.own.password,
              .candidates = std::move(candidates.own),
              .trickles = ice.trickles,
              .says_ice2 = input_.request.ice.says_ice2 && !is_answer,
              .is_lite = ice.is_lite,
              .remote_candidates = std::move(candidates.remote)};
}

}  // namespace ferry
