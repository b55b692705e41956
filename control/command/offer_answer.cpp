// Carries out one offer or answer (docs/reference/ng.md#offer-answer), in this order:
//
// 1. find the parties (`resolve_legs`), parse the SDP, find the medias of each section (`match_sections`);
// 2. choose interfaces, judge addresses (LAT-11a) and keys (SRT-13), open ports;
// 3. commit: legs, then medias; each section decides rtcp-mux, keys, DTLS, ICE, extensions, ports and flows;
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

// The most port sets that a media keeps.
constexpr std::size_t kMaxPortSets = 8;

AddressFamily family_of(const sdp::MediaSection& section) {
  return section.connection ? section.connection->family() : AddressFamily::kIpv4;
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
      input_{request, services.config.srtp, services.config.dtls, services.identities.current(clock.now)} {}

Result<OfferAnswer::Taken, RequestError> OfferAnswer::run() {
  if (auto ok = resolve_legs(); !ok) return fail(ok.error());
  if (auto ok = read_sdp(); !ok) return fail(ok.error());
  if (has_looped()) return Taken{text_, nullptr};
  match_sections();
  if (std::ranges::all_of(matches_, &Match::hidden)) return fail(RequestFault::kNothingToRelay);
  if (auto ok = choose_interfaces(); !ok) return fail(ok.error());
  if (auto ok = check_peers(); !ok) return fail(ok.error());
  if (auto ok = check_keys(); !ok) return fail(ok.error());
  if (auto ok = open_ports(); !ok) {
    for (auto& [media, ports] : opened_) services_.ports.close(call_, ports);
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
  if (request_.has_flag(Flag::kPierceNat)) services_.plans.start_piercing(call_, clock_.now);
  tell_decisions();
  return Taken{std::move(text), sender_};
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
  for (const auto& leg : call_.legs) {
    const bool same = request_.alias_key == AliasKey::kSdp
                          ? !leg->last_sdp.empty() && leg->last_sdp == *request_.sdp
                          : !leg->medias.empty() && leg->medias.front()->via->remote_known &&
                                leg->medias.front()->via->remote_rtp == remote_of(first);
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
  if (!is_answer_ && std::ranges::all_of(session_.media, &sdp::MediaSection::is_data_channel))
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
  const bool has_ice = (match.receiver != nullptr && match.receiver->via->has_ice()) ||
                       (match.sender != nullptr && match.sender->via->has_ice() &&
                        sdp::read_ice(*match.section).is_there() && !request_.ice.is_refused);
  if (has_ice && !request_.has_flag(Flag::kNoPortLatching)) return true;
  if (request_.has_flag(Flag::kPortLatching)) return true;
  return !match.section->direction.receive && !request_.has_flag(Flag::kNoPortLatching);
}

bool OfferAnswer::takes_ice(const Match& match) const {
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
  Media* media = receiver_side ? match.receiver : match.sender;
  const LogicalInterface* interface = receiver_side ? match.receiver_interface : match.sender_interface;
  const AddressFamily family = receiver_side ? match.receiver_family : match.sender_family;
  std::optional<std::size_t>& chosen = receiver_side ? match.receiver_ports : match.sender_ports;
  const LocalAddress* local = interface->address_of(family);
  if (local == nullptr)
    return fail(fault_for(services_.ports.note_failure(PortFailure::kNoFamily, clock_.now)));

  // A known media keeps its ports, or goes back to a set that was made for the same remote. The sender's side
  // depends on the local address alone.
  if (media != nullptr && !media->via->ports.empty()) {
    // An offer ends what an earlier one proposed, so the agreed ports count.
    const std::size_t current = is_settling_ ? media->via->active : media->via->ports_in_force();
    const LocalPorts& active = media->via->ports[current];
    const bool same_local = active.local == local;
    const Endpoint remote = remote_of(*match.section);
    if (same_local && (!receiver_side || keeps_port(match) || !active.far_endpoint.is_set() ||
                       same_but_for_zero_address(active.far_endpoint, remote))) {
      chosen = current;
      return {};
    }
    for (std::size_t i = 0; i < media->via->ports.size(); ++i) {
      const LocalPorts& ports = media->via->ports[i];
      if (ports.local == local && (!receiver_side || same_but_for_zero_address(ports.far_endpoint, remote))) {
        chosen = i;
        return {};
      }
    }
  }
  auto opened = services_.ports.open(call_, *local, clock_.now);
  if (!opened) return fail(fault_for(opened.error()));
  (receiver_side ? match.new_receiver_ports : match.new_sender_ports) = opened_.size();
  opened_.emplace_back(media, std::move(*opened));
  return {};
}

Result<void, RequestError> OfferAnswer::open_ports() {
  for (Match& match : matches_) {
    if (match.section->port == 0 || match.untouched || match.hidden) continue;
    for (const bool receiver_side : {true, false}) {
      if (auto ok = open_one(match, receiver_side); !ok) return ok;
      if (names_candidates(match, receiver_side)) open_more(match, receiver_side);
    }
  }
  return {};
}

Leg& OfferAnswer::add_leg(std::string tag, std::string branch) {
  Leg& leg = services_.calls.add_leg(call_, std::move(tag), clock_);
  leg.via_branch = std::move(branch);
  leg.id_index = CallRegister::id_index(call_, *request_.call_id);
  return leg;
}

void OfferAnswer::commit_legs() {
  if (sender_ == nullptr) {
    // A new branch was offered the same as the other branches of the offer, so it goes on with the same
    // wishes.
    const Leg* other = is_answer_ && receiver_ != nullptr ? call_.partner_of(*receiver_) : nullptr;
    const KeptWishes kept = other != nullptr ? other->kept() : KeptWishes{};
    sender_ = &add_leg(new_sender_tag_, new_sender_branch_);
    if (kept != KeptWishes{}) sender_->ensure_extras().kept = kept;
  }
  if (receiver_ == nullptr) receiver_ = &add_leg("", new_receiver_branch_);
  if (!is_settling_) {
    const auto is_needed = [&](const Media& media) {
      return std::ranges::any_of(matches_,
                                 [&](const Match& m) { return m.sender == &media || m.receiver == &media; });
    };
    Proposals(services_, call_).begin(*sender_, *receiver_, is_needed, clock_.now);
  }
  if (!learned_sender_tag_.empty()) {
    if (!sender_->tag.empty()) sender_->aliases.push_back(sender_->tag);
    sender_->tag = learned_sender_tag_;
  }
  if (!learned_receiver_tag_.empty()) receiver_->tag = learned_receiver_tag_;
  keep_wishes();
  if (!request_.label.empty()) sender_->ensure_extras().label = request_.label;
  if (!request_.set_label.empty()) sender_->ensure_extras().label = request_.set_label;
  // The flag counts even without medias: a client may only ask to forget.
  if (request_.has_flag(Flag::kReset)) {
    for (const auto& media : receiver_->medias)
      media->via->mux_used = media->via->mux_offered_to_peer = false;
  }
  if (!request_.metadata.empty()) call_.metadata = sender_->ensure_extras().metadata = request_.metadata;
  if (request_.received_from) sender_->received_from = *request_.received_from;
  if (is_answer_ && request_.sip_message == SipMessage::kReply && request_.sip_code >= 200)
    sender_->final_response = true;
  // New signalling revives parties that were about to be deleted (docs/reference/ng.md#delete).
  sender_->delete_at.reset();
  receiver_->delete_at.reset();
  call_.delete_at.reset();
  if (call_.extras) call_.extras->at_deletion.reset();
  if (is_answer_) call_.answered = true;
  ++call_.signals;
  if (request_.latch) call_.latch = request_.latch;
  if (request_.learning) call_.learning = request_.learning;
  if (request_.has_flag(Flag::kStrictPayloadTypes)) call_.strict_payload_types = true;
  if (request_.passthrough_unknown) call_.passthrough_unknown = *request_.passthrough_unknown;
  if (request_.strict_payload_types) call_.strict_payload_types = request_.strict_payload_types;
  call_.last_signal = call_.touched = clock_.now;
  call_.last_signal_unix =
      std::chrono::duration_cast<std::chrono::seconds>(clock_.wall.time_since_epoch()).count();
  if (request_.has_flag(Flag::kDebug)) call_.debug = true;
  if (request_.drop_traffic) call_.drop_traffic = *request_.drop_traffic;
  if (request_.has_flag(Flag::kBlockDtmf)) sender_->events_blocked = true;
  if (!request_.dtmf_log_destination.empty())
    call_.ensure_extras().dtmf_log_destination = request_.dtmf_log_destination;
  if (services_.config.remember_client) call_.ensure_extras().client = request_.client;
  if (!request_.xmlrpc_callback.empty()) call_.ensure_extras().xmlrpc_callback = request_.xmlrpc_callback;
  for (const std::string& word : request_.not_in_force) {
    if (std::ranges::find(call_.not_in_force, word) == call_.not_in_force.end())
      call_.not_in_force.push_back(word);
  }
}

void OfferAnswer::choose_rules(Media& media) const {
  SourceRules& rules = media.via->rules;
  rules.algorithm = call_.learning.value_or(services_.config.learning);
  rules.policy = call_.latch.value_or(services_.config.latch);
  if (rules.algorithm != LearningAlgorithm::kRules) rules.policy = LatchPolicy::kAny;
  // Both flags together cancel each other (docs/reference/ng.md#learning).
  const bool strict = request_.has_flag(Flag::kStrictSource);
  const bool handover = request_.has_flag(Flag::kMediaHandover);
  rules.strict_source = strict && !handover;
  rules.handover = handover && !strict;
  if (request_.has_flag(Flag::kAsymmetric)) rules.asymmetric = true;
  if (request_.has_flag(Flag::kUnidirectional)) rules.unidirectional = true;
  if (request_.has_flag(Flag::kNatWait)) media.via->wait_for_peer = true;
  if (request_.has_flag(Flag::kPierceNat)) media.via->pierce = true;
}

void OfferAnswer::note_unmade_codecs(Media& receiver) const {
  std::vector<std::string> wanted;
  for (const auto* list : {&request_.codecs.transcode, &request_.codecs.accept, &request_.codecs.consume})
    wanted.insert(wanted.end(), list->begin(), list->end());
  for (const std::string& word : request_.not_in_force) {
    if (word == "always-transcode" || word == "force-transcoding") wanted.push_back(word);
  }
  const bool ends_earlier = !is_answer_ && receiver.extras;
  if (!wanted.empty() || ends_earlier) receiver.ensure_extras().unmade_codecs = std::move(wanted);
}

void OfferAnswer::choose_echo(Media& sender, Media& receiver) const {
  if (!request_.echo) return;
  const MediaEcho echo = *request_.echo;
  if (echo == MediaEcho::kOff || echo == MediaEcho::kBlackhole) {
    sender.echo = receiver.echo = echo;
    return;
  }
  // Packets that do not come back are discarded.
  const auto side = [](bool on) { return on ? MediaEcho::kForward : MediaEcho::kBlackhole; };
  receiver.echo = side(echo == MediaEcho::kForward || echo == MediaEcho::kBoth);
  sender.echo = side(echo == MediaEcho::kBackwards || echo == MediaEcho::kBoth);
}

void OfferAnswer::place_ports(Media& media, std::optional<std::size_t> known,
                              std::optional<std::size_t> opened, const LogicalInterface& interface,
                              AddressFamily family) {
  media.via->interface = &interface;
  media.via->family = family;
  if (opened) {
    media.via->ports.push_back(std::move(opened_[*opened].second));
    media.via->show_ports(media.via->ports.size() - 1);
    if (media.via->ports.size() == 1) media.via->sending = 0;
    if (media.via->ports.size() > kMaxPortSets) {
      // The oldest set is not in use: those in use are the newest and the one before it. Index 0 stays if it
      // sends.
      const std::size_t oldest = media.via->sending == 0 ? 1 : 0;
      services_.ports.close(call_, media.via->ports[oldest]);
      media.via->ports.erase(media.via->ports.begin() + static_cast<std::ptrdiff_t>(oldest));
      --media.via->active;
      if (media.via->sending > oldest) --media.via->sending;
    }
  } else if (known) {
    media.via->show_ports(*known);
  }
}

void OfferAnswer::revive_offer() {
  LapsedOffer* lapsed = receiver_->lapsed_offer();
  if (lapsed == nullptr) return;
  // The parsed sections still point into the text, because moving a string keeps its buffer.
  receiver_->last_sdp = std::move(lapsed->sdp);
  receiver_->section_order = std::move(lapsed->section_order);
  for (const Match& match : matches_) {
    const sdp::MediaSection* own = match.receiver == nullptr ? nullptr : own_section(*match.receiver);
    if (own == nullptr) continue;
    const IpAddress address = own->connection.value_or(IpAddress::unspecified(AddressFamily::kIpv4));
    read_section(*match.receiver, *own, {address, UdpPort{own->port}});
  }
}

void OfferAnswer::read_section(Media& media, const sdp::MediaSection& section, const Endpoint& remote) {
  media.type = section.type;
  // An m-line with port 0 rejects the section and may lack its mid; the name stays.
  if (!section.mid.empty() || section.port != 0) media.mid = section.mid;
  media.rejected = section.port == 0;
  media.kind = transport_kind(section);
  take_direction(media, section.direction);
  media.is_video = section.type == "video";
  media.via->reduced_size_rtcp = section.rtcp_reduced_size;
  if (media.rejected) return;

  if (!Side(*media.via, input_).take_address(section, remote))
    take_direction(media, section.direction, kOnHold);
}

void OfferAnswer::decide_mux(Media& sender, Media& receiver) const {
  Side from(*sender.via, input_);
  Side to(*receiver.via, input_);
  if (!is_answer_) {
    from.take_mux_offer();
    to.offer_mux(sender.via->mux_offered_by_peer);
    return;
  }
  from.take_mux_answer();
  to.answer_mux(sender.via->mux_offered_to_peer ? std::optional(sender.via->mux_used) : std::nullopt);
}

void OfferAnswer::choose_protocol(Media& sender, Media& receiver, const sdp::MediaSection& section) const {
  const std::string former = std::exchange(sender.protocol, std::string(section.protocol.text));
  const sdp::Protocol wanted = sdp::parse_protocol(request_.transport_protocol);
  if (is_answer_) {
    const bool accept = request_.transport_protocol == "accept";
    if (receiver.protocol.empty() || accept || !section.is_rtp()) receiver.protocol = section.protocol.text;
    return;
  }
  if (section.is_rtp() && wanted.kind == sdp::ProtocolClass::kRtp) {
    receiver.protocol = wanted.text;
  } else if (receiver.protocol.empty() || former != sender.protocol) {
    receiver.protocol = section.protocol.text;
  }
}

void OfferAnswer::subscribe(Media& receiver, Media& sender, bool exclusive) {
  if (exclusive) {
    std::erase_if(receiver.subscriptions, [&](const Subscription& s) {
      return s.kind == SubscriptionKind::kOfferAnswer && s.source != &sender;
    });
  }
  // Flows of `mesh` and `connect` do not count, because they end on their own.
  const bool known = std::ranges::any_of(receiver.subscriptions, [&](const Subscription& s) {
    return s.source == &sender && s.kind == SubscriptionKind::kOfferAnswer;
  });
  // The newest flow stands first, because it is the partner that this leg talks to.
  if (!known)
    receiver.subscriptions.insert(receiver.subscriptions.begin(),
                                  Subscription{&sender, SubscriptionKind::kOfferAnswer});
}

void OfferAnswer::cut_off(Media& source, const Media& partner) {
  for (const auto& leg : call_.legs) {
    for (const auto& media : leg->medias) {
      if (media.get() == &partner) continue;
      std::erase_if(media->subscriptions, [&](const Subscription& s) {
        return s.kind == SubscriptionKind::kOfferAnswer && s.source == &source;
      });
    }
  }
}

void OfferAnswer::commit_media() {
  for (const Added& each : added_) each.media->via->ports[each.ports].more.push_back(each.more);
  if (is_answer_) revive_offer();
  sender_->section_order.clear();
  for (Match& match : matches_) {
    const sdp::MediaSection& section = *match.section;
    const auto add_media = [&](Leg& leg, unsigned index) {
      const bool is_proposed = !is_settling_ && Proposals::has_agreed(leg);
      Media& added = services_.calls.add_media(leg, index, section.type);
      added.is_proposed = is_proposed;
      return &added;
    };
    if (match.sender == nullptr) match.sender = add_media(*sender_, match.new_sender_index);
    match.sender->hidden = match.hidden;
    if (match.hidden) {
      sender_->section_order.push_back(match.sender->index);
      read_section(*match.sender, section, remote_of(section));
      match.sender->via->remote_known = false;
      match.sender->via->interface = match.sender_interface;
      match.sender->via->family = match.sender_family;
      match.sender->protocol = section.protocol.text;
      match.sender->rejected = true;
      if (is_doubled(section) || match.sender->via->keys)
        match.sender->via->ensure_keys().merged = is_doubled(section);
      continue;
    }
    if (match.receiver == nullptr) {
      match.receiver = add_media(*receiver_, match.new_receiver_index);
      match.receiver->via->ice_controlling = !is_answer_;
    }
    Media& sender = *match.sender;
    Media& receiver = *match.receiver;
    sender_->section_order.push_back(sender.index);
    // The place of a rejected section is used again for another one.
    const bool is_renamed = !section.mid.empty() && !sender.mid.empty() && section.mid != sender.mid;
    match.is_reused = is_renamed && receiver.rejected && section.port != 0;
    read_section(sender, section, remote_of(section));
    sender.note_left_out(std::move(match.left_out));
    receiver.type = section.type;
    receiver.is_video = sender.is_video;
    receiver.kind = sender.kind;
    receiver.rejected = sender.rejected;
    sender.untouched = receiver.untouched = match.untouched;
    choose_rules(sender);
    choose_rules(receiver);
    choose_echo(sender, receiver);
    note_unmade_codecs(receiver);
    choose_protocol(sender, receiver, section);
    decide_mux(sender, receiver);
    if (sender.kind == TransportKind::kRtp && !sender.rejected && !match.untouched) {
      if (is_answer_) {
        answer_transport(match);
      } else {
        offer_transport(sender, receiver, section);
      }
      take_extensions(match);
    }
    place_ports(sender, match.sender_ports, match.new_sender_ports, *match.sender_interface,
                match.sender_family);
    place_ports(receiver, match.receiver_ports, match.new_receiver_ports, *match.receiver_interface,
                match.receiver_family);
    for (Media* media : {&sender, &receiver}) {
      if (media->via->dtls) show_dtls_at_ports(services_, call_, *media->via);
    }
    if (LocalPorts* ports = receiver.via->active_ports();
        ports != nullptr && !sender.rejected && !ports->far_endpoint.is_set()) {
      ports->far_endpoint = remote_of(section);
    }
    // The offerer goes on with its other branches until one of them answers.
    subscribe(receiver, sender, true);
    subscribe(sender, receiver, is_answer_);
    cut_off(receiver, sender);
    if (is_answer_) cut_off(sender, receiver);
    sender.awaited_since = {};
    receiver.awaited_since = is_answer_ ? Instant{} : clock_.now;
    if (is_answer_) {
      sender.answered = receiver.answered = true;
      sender.settle_encryption();
      receiver.settle_encryption();
    }
    if (is_settling_) {
      sender.is_exchanged = receiver.is_exchanged = true;
      sender.via->sending = sender.via->active;
      receiver.via->sending = receiver.via->active;
    } else if (!receiver.via->remote_known) {
      receiver.via->sending = receiver.via->active;
    }
  }
  reject_left_out();
  if (is_settling_) Proposals(services_, call_).settle(*receiver_, *sender_);
}

void OfferAnswer::reject_left_out() {
  for (const auto& media : receiver_->medias) {
    const bool matched =
        std::ranges::any_of(matches_, [&](const Match& m) { return m.receiver == media.get(); });
    const bool ours = std::ranges::any_of(media->subscriptions,
                                          [&](const Subscription& s) { return s.source->leg == sender_; });
    if (matched || !ours) continue;
    media->rejected = true;
    for (const Subscription& subscription : media->subscriptions) {
      if (subscription.source->leg == sender_) subscription.source->rejected = true;
    }
  }
}

}  // namespace ferry
