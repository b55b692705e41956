// SPDX-License-Identifier: Apache-2.0
// Carries out one offer or answer (docs/reference/ng.md#offer-answer), in this order:
//
// 1. find the parties (`resolve_legs`), parse the SDP, find the medias of each section (`match_sections`),
//    what of it is shown as something else (`convert_faxes`) and the transport of each media
//    (`choose_transports`);
// 2. choose interfaces, judge addresses (LAT-11a) and keys (SRT-13), open ports;
// 3. commit (offer_answer_commit.cpp): legs, then medias. The section that carries a transport decides about
//    its rtcp-mux, keys, DTLS, ICE and ports, and each section about its extensions and flows;
// 4. write the SDP for the receiver, and tell the worker.
//
// Everything that can fail happens in 1 and 2, so a refused message leaves the call as it was (CTL-6); only
// the opened ports are closed again.
//
// `sender_` sent the SDP and `receiver_` is shown the result, so they change places between offer and answer.
//
// Trap: an offer between parties that have agreed on something only proposes (LAT-15). `Proposals::begin`
// keeps the agreed terms, and `is_settling_` says that the message ends the wait. Clients that say `offer`
// for both sides make `is_truly_answer` necessary.

#include "control/command/offer_answer.hpp"

#include "control/call/media_rules.hpp"
#include "control/call/peer_guard.hpp"
#include "control/call/session_config.hpp"
#include "control/command/recordings.hpp"
#include "control/command/shown_ports.hpp"
#include "control/negotiate/directions.hpp"
#include "control/ports/interfaces.hpp"
#include "control/sdp/write.hpp"
#include "control/session/call_limits.hpp"
#include "control/session/call_register.hpp"
#include "control/session/dtls_identities.hpp"
#include "control/session/plan_sync.hpp"
#include "control/session/ports_desk.hpp"
#include "control/session/proposals.hpp"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

namespace ferry {

namespace {

AddressFamily family_of(const sdp::MediaSection& section) {
  return section.connection ? section.connection->family() : AddressFamily::kIpv4;
}

/// True if the party wants to hear audio, by its own last SDP.
bool wants_to_hear(const Leg& leg) {
  return std::ranges::any_of(leg.medias,
                             [](const auto& media) { return media->type == "audio" && media->may_receive; });
}

bool same_but_for_zero_address(const Endpoint& a, const Endpoint& b) {
  if (a.address.is_unspecified() || b.address.is_unspecified()) return a.port == b.port;
  return a == b;
}

}  // namespace

OfferAnswer::OfferAnswer(const Services& services, Call& call, const Request& request, bool is_answer,
                         const Clock& clock)
    : services_(services),
      call_(call),
      request_(request),
      is_answer_(is_answer),
      clock_(clock),
      input_{request, services.config.srtp, services.config.dtls, services.identities.current(clock.now)},
      hold_music_(services, request) {}

Result<OfferAnswer::Taken, RequestError> OfferAnswer::run() {
  if (auto ok = resolve_legs(); !ok) return fail(ok.error());
  if (auto ok = read_sdp(); !ok) return fail(ok.error());
  if (has_looped()) return Taken{text_, nullptr, {}};
  match_sections();
  convert_faxes();
  choose_transports();
  if (std::ranges::all_of(matches_, &Match::hidden)) return fail(RequestFault::kNothingToRelay);
  if (auto ok = choose_interfaces(); !ok) return fail(ok.error());
  if (auto ok = check_peers(); !ok) return fail(ok.error());
  if (auto ok = check_load(); !ok) return fail(ok.error());
  if (auto ok = find_music(); !ok) return fail(ok.error());
  if (auto ok = check_keys(); !ok) return fail(ok.error());
  if (auto ok = open_ports(); !ok) {
    for (LocalPorts& ports : opened_) services_.ports.close(call_, ports);
    for (const Added& each : added_) services_.ports.close_more(call_, each.more);
    return fail(ok.error());
  }
  commit_legs();
  commit_media();
  if (!is_answer_) {
    // A negative octet keeps the mark; without one, or with one that is too large, the call gets the daemon's
    // (docs/reference/ng.md#addresses).
    const int wanted = request_.tos.value_or(256);
    if (wanted >= 0)
      services_.ports.set_tos(call_,
                              wanted <= 255 ? static_cast<std::uint8_t>(wanted) : services_.config.tos);
  }
  services_.recordings.read_message(call_, *sender_, request_);
  std::string text = write_reply();
  services_.plans.sync(call_);
  // Whoever hears music gets reports about it.
  if (hold_music_.follow(*sender_)) services_.plans.sync(call_);
  if (request_.has_flag(Flag::kPierceNat)) services_.plans.start_piercing(call_, clock_.now);
  tell_decisions();
  return Taken{std::move(text), sender_, std::move(warnings_)};
}

Result<void, RequestError> OfferAnswer::check_load() const {
  const bool may_convert =
      !is_answer_ &&
      (request_.codecs.may_convert() || request_.has_flag(Flag::kForceTranscoding) ||
       request_.audio_player == AudioPlayer::kAlways || std::ranges::any_of(matches_, &Match::is_converted));
  if (!may_convert || services_.limits.may_transcode()) return {};
  const bool runs = std::ranges::any_of(call_.legs, [](const auto& leg) {
    return std::ranges::any_of(leg->medias, [](const auto& media) { return media->answered; });
  });
  if (runs) return {};
  return fail(RequestFault::kLoadLimit);
}

Result<void, RequestError> OfferAnswer::find_music() {
  // A new receiver has said nothing so far.
  const bool receives = !is_answer_ || receiver_ == nullptr || wants_to_hear(*receiver_);
  return hold_music_.prepare(sender_, session_, receives);
}

Result<void, RequestError> OfferAnswer::resolve_legs() {
  const std::string& sender_tag = is_answer_ ? *request_.to_tag : *request_.from_tag;
  const std::string receiver_tag = is_answer_ ? *request_.from_tag : request_.to_tag.value_or("");
  const std::string& branch = request_.via_branch;
  sender_ = call_.leg_by_tag(sender_tag);
  Leg* known_receiver = receiver_tag.empty() ? nullptr : call_.leg_by_tag(receiver_tag);

  if (known_receiver == nullptr) {
    // An initial offer, or one that names a party which the relay never saw.
    if (sender_ == nullptr) sender_ = aliased_sender(sender_tag);
    if (sender_ == nullptr) {
      new_sender_tag_ = sender_tag;
    } else if (!branch.empty()) {
      receiver_ = call_.leg_by_branch(branch);
      if (receiver_ == sender_) receiver_ = nullptr;
    } else {
      receiver_ = call_.partner_of(*sender_);
      if (receiver_ != nullptr && !receiver_tag.empty()) {
        if (receiver_->tag.empty()) {
          learned_receiver_tag_ = receiver_tag;
        } else {
          receiver_ = nullptr;
        }
      }
    }
    if (receiver_ == nullptr) new_receiver_branch_ = branch;
  } else {
    receiver_ = known_receiver;
    if (sender_ == nullptr) {
      Leg* candidate = call_.leg_by_branch(branch);
      if (candidate == nullptr || candidate == receiver_) candidate = call_.partner_of(*receiver_);
      const bool final_seen =
          candidate != nullptr && candidate->final_response && !request_.has_flag(Flag::kProvisional);
      const bool renames = is_answer_ && !request_.has_flag(Flag::kNewBranch) && !final_seen;
      if (candidate != nullptr && (candidate->tag.empty() || renames)) {
        sender_ = candidate;
        // The former tag stays as an alias.
        learned_sender_tag_ = sender_tag;
      } else {
        new_sender_tag_ = sender_tag;
        new_sender_branch_ = branch;
      }
    }
  }
  if (sender_ != nullptr && sender_ == receiver_) return fail(RequestFault::kSameParty);
  is_settling_ = is_truly_answer();
  const std::size_t wanted = (sender_ == nullptr ? 1u : 0u) + (receiver_ == nullptr ? 1u : 0u);
  if (call_.legs.size() + wanted > kMaxLegs) return fail(RequestFault::kTooManyParties);
  return {};
}

bool OfferAnswer::is_truly_answer() const {
  if (is_answer_) return true;
  if (sender_ == nullptr || receiver_ == nullptr) return false;
  const bool is_first =
      sender_->last_sdp.empty() && !receiver_->last_sdp.empty() && call_.subscribes(*sender_, *receiver_);
  return is_first || (!call_.answered && Proposals::is_waiting(*receiver_, *sender_));
}

Leg* OfferAnswer::aliased_sender(const std::string& tag) {
  if (is_answer_ || request_.alias_key == AliasKey::kOff) return nullptr;
  const auto offered = sdp::parse(*request_.sdp);
  if (!offered || offered->media.empty()) return nullptr;
  const sdp::MediaSection& first = offered->media.front();
  // A party behind a port that others share is known by its ufrag (ONE-6).
  const std::string ufrag = sdp::read_ice(first).ufrag;
  const auto has_ufrag = [&](const MediaTransport& via) {
    return ufrag == (via.ice ? via.ice->theirs.ufrag : std::string());
  };
  for (const auto& leg : call_.legs) {
    const bool same = request_.alias_key == AliasKey::kSdp
                          ? !leg->last_sdp.empty() && leg->last_sdp == *request_.sdp
                          : !leg->medias.empty() && leg->medias.front()->via->remote_known &&
                                leg->medias.front()->via->remote_rtp == remote_of(first) &&
                                has_ufrag(*leg->medias.front()->via);
    if (!same) continue;
    learned_sender_tag_ = tag;
    return leg.get();
  }
  return nullptr;
}

bool OfferAnswer::has_looped() const {
  if (!request_.has_flag(Flag::kLoopProtect)) return false;
  return std::ranges::find(session_.attributes, services_.loop_mark, &sdp::Attribute::text) !=
         session_.attributes.end();
}

bool OfferAnswer::is_doubled(const sdp::MediaSection& section) const {
  if (!request_.osrtp.accept_doubled || !section.is_rtp() || section.protocol.secure) return false;
  const std::size_t at = static_cast<std::size_t>(&section - session_.media.data());
  const auto is_twin = [&](std::size_t other) {
    if (other >= session_.media.size()) return false;
    const sdp::MediaSection& twin = session_.media[other];
    return twin.type == section.type && twin.is_rtp() && twin.protocol.secure && twin.port != 0;
  };
  return is_twin(at + 1) || (at > 0 && is_twin(at - 1));
}

bool OfferAnswer::is_hidden(const sdp::MediaSection& section) const {
  if (is_answer_) return false;
  if (is_doubled(section)) return true;
  return std::ranges::any_of(request_.media_remove, [&](const std::string& type) {
    return type == "other" ? !sdp::is_known_media_type(section.type) : section.type == type;
  });
}

Result<void, RequestError> OfferAnswer::read_sdp() {
  text_ = *request_.sdp;
  sdp::Limits limits;
  limits.strict = services_.config.reject_invalid_sdp;
  limits.keeps_unknown_protocols = request_.passthrough_unknown.value_or(call_.passthrough_unknown);
  auto parsed = sdp::parse(text_, limits);
  if (!parsed) return fail(RequestFault::kUnreadableSdp);
  if (parsed->media.empty()) {
    // A body without sections, from a known party, repeats the sections that the relay knows
    // (docs/reference/ng.md#offer-answer).
    if (sender_ == nullptr || sender_->last_sdp.empty()) return fail(RequestFault::kNothingToRelay);
    text_ = sender_->last_sdp;
    limits.strict = false;
    parsed = sdp::parse(text_, limits);
    if (!parsed) return fail(RequestFault::kUnreadableSdp);
  }
  session_ = std::move(*parsed);
  keep_data_channels();
  if (!is_answer_ && std::ranges::all_of(session_.media, [](const sdp::MediaSection& section) {
        return section.is_data_channel() && section.port == 0;
      }))
    return fail(RequestFault::kDataChannelsOnly);  // SCT-3
  for (const sdp::MediaSection& section : session_.media) {
    if (const auto served = check_section(section); !served) return fail(served.error());
  }
  if (receiver_ != nullptr && !receiver_->last_sdp.empty()) {
    const LapsedOffer* lapsed = is_answer_ ? receiver_->lapsed_offer() : nullptr;
    limits.strict = false;
    if (auto own = sdp::parse(lapsed != nullptr ? lapsed->sdp : receiver_->last_sdp, limits))
      receiver_own_ = std::move(*own);
    fold_doubled(receiver_own_, *receiver_);
  }
  if (sender_ != nullptr) fold_doubled(session_, *sender_);
  read_groups();
  return {};
}

void OfferAnswer::fold_doubled(sdp::Session& session, const Leg& leg) {
  const auto is_doubled = [](const auto& media) { return media->via->keys && media->via->keys->doubled; };
  const auto doubled = static_cast<std::size_t>(std::ranges::count_if(leg.medias, is_doubled));
  if (doubled == 0) return;
  const bool paired = session.media.size() == leg.medias.size() + doubled;
  std::vector<sdp::MediaSection> folded;
  auto next = session.media.begin();
  for (const auto& media : leg.medias) {
    if (is_doubled(media)) media->via->keys->paired = paired;
    if (!paired) continue;
    auto& first = *next++;
    if (!is_doubled(media)) {
      folded.push_back(std::move(first));
      continue;
    }
    auto& encrypted = *next++;
    folded.push_back(std::move(encrypted.port != 0 ? encrypted : first));
  }
  if (paired) session.media = std::move(folded);
}

void OfferAnswer::match_sections() {
  std::vector<const Media*> used;
  const auto is_used = [&](const Media* media) { return std::ranges::find(used, media) != used.end(); };
  unsigned next_sender_index = sender_ == nullptr ? 1 : static_cast<unsigned>(sender_->medias.size()) + 1;
  unsigned next_receiver_index =
      receiver_ == nullptr ? 1 : static_cast<unsigned>(receiver_->medias.size()) + 1;
  for (std::size_t i = 0; i < session_.media.size(); ++i) {
    const sdp::MediaSection& section = session_.media[i];
    Match match;
    match.section = &section;
    if (sender_ != nullptr) {
      for (const auto& media : sender_->medias) {
        if (!section.mid.empty() && media->mid == section.mid && media->type == section.type &&
            !is_used(media.get())) {
          match.sender = media.get();
          break;
        }
      }
      if (match.sender == nullptr) {
        // The sections of an answer stand in the order of the offer that it answers.
        const unsigned index = static_cast<unsigned>(i) + 1;
        for (const auto& media : sender_->medias) {
          if (media->index == index && !is_used(media.get())) match.sender = media.get();
        }
      }
    }
    if (match.sender == nullptr) match.new_sender_index = next_sender_index++;
    used.push_back(match.sender);
    match.hidden = is_hidden(section);
    if (match.hidden) {
      matches_.push_back(match);
      continue;
    }
    const auto hidden_before = static_cast<unsigned>(std::ranges::count_if(matches_, &Match::hidden));
    // The receiver's media is the one that hears the sender's; without one, that at the same place. Hidden
    // sections are not counted, because the receiver was not shown them.
    if (receiver_ != nullptr && match.sender != nullptr) {
      for (const auto& media : receiver_->medias) {
        const bool subscribed = std::ranges::any_of(
            media->subscriptions, [&](const Subscription& s) { return s.source == match.sender; });
        if (subscribed && !is_used(media.get())) match.receiver = media.get();
      }
    }
    if (receiver_ != nullptr && match.receiver == nullptr) {
      for (const auto& media : receiver_->medias) {
        if (media->index + hidden_before == i + 1 && !is_used(media.get())) match.receiver = media.get();
      }
    }
    if (match.receiver == nullptr) match.new_receiver_index = next_receiver_index++;
    if (match.receiver != nullptr) used.push_back(match.receiver);
    matches_.push_back(match);
  }
}

const LogicalInterface* OfferAnswer::interface_for(const std::string& wanted, const Media* known,
                                                   const Leg* leg, const LogicalInterface*& chosen) const {
  const TransportTerms* terms = known == nullptr ? nullptr
                                : is_settling_   ? known->via
                                                 : &known->via->in_force();
  const LogicalInterface* current = terms != nullptr ? terms->interface : nullptr;
  if (current == nullptr && leg != nullptr && !leg->medias.empty())
    current = leg->medias.front()->via->interface;
  if (!wanted.empty()) {
    // A member of a round-robin group stays, because the group's name asks for any of them.
    const bool member = current != nullptr && current->name.starts_with(wanted + ":");
    if (member) return current;
    if (chosen == nullptr) chosen = services_.interfaces.find(wanted);
  }
  if (chosen != nullptr) return chosen;
  return current != nullptr ? current : services_.interfaces.default_interface();
}

Result<void, RequestError> OfferAnswer::choose_interfaces() {
  // "internal" and "external" mean the IP versions if no interface has that name
  // (docs/reference/ng.md#addresses).
  const auto legacy_family = [&](const std::string& name, AddressFamily fallback) {
    if (name == "internal" && services_.interfaces.find(name) == nullptr) return AddressFamily::kIpv4;
    if (name == "external" && services_.interfaces.find(name) == nullptr) return AddressFamily::kIpv6;
    return fallback;
  };
  // All sections of a message go to the same member of a group, and both sides do if they name the same
  // group.
  const LogicalInterface* sender_side = nullptr;
  const LogicalInterface* other_side = nullptr;
  const bool same = request_.sender_interface == request_.receiver_interface && !request_.inbound_peer &&
                    !request_.outbound_peer;
  const LogicalInterface*& receiver_side = same ? sender_side : other_side;
  // If no name chooses the interface, the route to a peer does.
  if (request_.sender_interface.empty() && request_.inbound_peer)
    sender_side = services_.interfaces.toward(*request_.inbound_peer);
  if (request_.receiver_interface.empty() && request_.outbound_peer)
    receiver_side = services_.interfaces.toward(*request_.outbound_peer);
  for (Match& match : matches_) {
    match.untouched = match.section->type == "message" && !match.section->is_rtp();
    match.passing = passing_of(match);
    // SCT-1: any other data channel is refused, whatever port it says.
    const bool is_refused = match.section->is_data_channel() && match.passing == Passing::kNo;
    if (is_refused) session_.media[static_cast<std::size_t>(&match - matches_.data())].port = 0;
    match.sender_interface = interface_for(request_.sender_interface, match.sender, sender_, sender_side);
    match.receiver_interface =
        interface_for(request_.receiver_interface, match.receiver, receiver_, receiver_side);
    const AddressFamily offered = family_of(*match.section);
    match.sender_family = legacy_family(request_.sender_interface, offered);
    AddressFamily receiver_family = offered;
    if (match.receiver != nullptr &&
        (match.receiver->via->remote_known || !match.receiver->via->ports.empty())) {
      receiver_family = is_settling_ ? match.receiver->via->family : match.receiver->via->in_force().family;
    }
    receiver_family = legacy_family(request_.receiver_interface, receiver_family);
    if (request_.address_family != AddressFamily::kNone) receiver_family = request_.address_family;
    match.receiver_family = receiver_family;
  }
  return {};
}

Endpoint OfferAnswer::remote_of(const sdp::MediaSection& section) const {
  return ferry::remote_of(section, request_, services_.config.sip_source);
}

bool OfferAnswer::keeps_port(const Match& match) const {
  // Candidates, not the m-line, say where a party with ICE is, so neither side's port moves with the m-line.
  if (match.passing != Passing::kNo) return true;
  const bool has_ice = (match.receiver != nullptr && match.receiver->via->has_ice()) ||
                       (match.sender != nullptr && match.sender->via->has_ice() &&
                        sdp::read_ice(*match.section).is_there() && !request_.ice.is_refused);
  if (has_ice && !request_.has_flag(Flag::kNoPortLatching)) return true;
  if (request_.has_flag(Flag::kPortLatching)) return true;
  return !match.section->direction.receive && !request_.has_flag(Flag::kNoPortLatching);
}

bool OfferAnswer::takes_ice(const Match& match) const {
  if (match.passing != Passing::kNo) return true;
  if (!is_answer_) return !request_.ice.is_refused;
  return match.sender != nullptr && match.sender->via->ice && match.sender->via->ice->offered_to_peer;
}

Result<void, RequestError> OfferAnswer::check_peers() {
  for (Match& match : matches_) {
    const sdp::MediaSection& section = *match.section;
    if (section.port == 0 || match.untouched || match.hidden) continue;
    const LocalAddress* local = match.sender_interface->address_of(match.sender_family);
    // There will be no port.
    if (local == nullptr) continue;
    auto left_out = services_.guard.admit(
        named_peer(section, remote_of(section), takes_ice(match), local->advertised), *local);
    if (!left_out) {
      const auto number = static_cast<std::size_t>(&match - matches_.data()) + 1;
      return fail(RequestError(RequestFault::kDeniedSection, left_out.error(), number));
    }
    match.left_out = std::move(*left_out);
  }
  return {};
}

Result<void, RequestError> OfferAnswer::open_one(Match& match, bool receiver_side) {
  const MediaTransport* transport = match.transport(receiver_side).via;
  const LogicalInterface* interface = receiver_side ? match.receiver_interface : match.sender_interface;
  const AddressFamily family = receiver_side ? match.receiver_family : match.sender_family;
  std::optional<std::size_t>& chosen = receiver_side ? match.receiver_ports : match.sender_ports;
  const LocalAddress* local = interface->address_of(family);
  if (local == nullptr)
    return fail(fault_for(services_.ports.note_failure(PortFailure::kNoFamily, clock_.now)));

  const bool shares = may_share(match, receiver_side);
  // A known transport keeps its ports, or goes back to a set that was made for the same remote. The sender's
  // side depends on the local address alone.
  if (transport != nullptr && !transport->ports.empty()) {
    // An offer ends what an earlier one proposed, so the agreed ports count.
    const std::size_t current = is_settling_ ? transport->active : transport->ports_in_force();
    const LocalPorts& active = transport->ports[current];
    const bool same_local = active.local == local && (!active.is_shared || shares);
    const Endpoint remote = remote_of(*match.section);
    if (same_local &&
        (!receiver_side || active.is_shared || keeps_port(match) || !active.far_endpoint.is_set() ||
         same_but_for_zero_address(active.far_endpoint, remote))) {
      chosen = current;
      return {};
    }
    for (std::size_t i = 0; i < transport->ports.size(); ++i) {
      const LocalPorts& ports = transport->ports[i];
      if (ports.is_shared && !shares) continue;
      if (ports.local == local &&
          (!receiver_side || ports.is_shared || same_but_for_zero_address(ports.far_endpoint, remote))) {
        chosen = i;
        return {};
      }
    }
  }
  auto shared = shares ? services_.ports.share(call_, *local) : std::nullopt;
  auto opened = shared ? Result<LocalPorts, PortFailure>(std::move(*shared))
                       : services_.ports.open(call_, *local, clock_.now);
  if (!opened) return fail(fault_for(opened.error()));
  (receiver_side ? match.new_receiver_ports : match.new_sender_ports) = opened_.size();
  opened_.push_back(std::move(*opened));
  return {};
}

Result<void, RequestError> OfferAnswer::open_ports() {
  for (Match& match : matches_) {
    if (match.section->port == 0 || match.untouched || match.hidden) continue;
    for (const bool receiver_side : {true, false}) {
      if (!carries(match, receiver_side)) continue;
      if (auto ok = open_one(match, receiver_side); !ok) return ok;
      if (names_candidates(match, receiver_side)) open_more(match, receiver_side);
    }
  }
  return {};
}

}  // namespace ferry
