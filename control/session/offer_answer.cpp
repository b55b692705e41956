// One offer or answer: finds the parties, matches the sections, opens ports, then changes the call (NG
// sections 6-8). Everything that can fail happens before the first change, so that a refused message leaves
// the call as it was (CTL-6).

#include "control/session/offer_answer.hpp"

#include "control/sdp/write.hpp"
#include "control/session/media_rules.hpp"
#include "control/session/proposals.hpp"
#include "control/session/recordings.hpp"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

namespace ferry {

namespace {

constexpr std::size_t kMaxPortSets = 8;  // remembered ports of one media

AddressFamily family_of(const sdp::MediaSection& section) {
  return section.connection ? section.connection->family() : AddressFamily::kIpv4;
}

bool same_but_for_zero_address(const Endpoint& a, const Endpoint& b) {
  if (a.address.is_unspecified() || b.address.is_unspecified()) return a.port == b.port;
  return a == b;
}

/// An SDP without a section that can be relayed.
RequestError unusable_sdp() {
  RequestError made = error(RefusalReason::kSdp, "Error rewriting SDP");
  made.with_empty_sdp = true;
  return made;
}

}  // namespace

OfferAnswer::OfferAnswer(SessionManager& manager, Call& call, const Request& request, bool is_answer,
                         const Clock& clock)
    : manager_(manager), call_(call), request_(request), is_answer_(is_answer), clock_(clock) {}

Result<OfferAnswer::Taken, RequestError> OfferAnswer::run() {
  if (auto ok = resolve_legs(); !ok) return fail(ok.error());
  if (auto ok = read_sdp(); !ok) return fail(ok.error());
  if (has_looped()) return Taken{text_, nullptr};
  match_sections();
  if (std::ranges::all_of(matches_, &Match::hidden)) return fail(unusable_sdp());
  if (auto ok = choose_interfaces(); !ok) return fail(ok.error());
  if (auto ok = check_peers(); !ok) return fail(ok.error());
  if (auto ok = check_keys(); !ok) return fail(ok.error());
  if (auto ok = open_ports(); !ok) {
    for (auto& [media, ports] : opened_) manager_.close_ports(call_, ports);
    for (const Added& each : added_) manager_.close_more(call_, each.more);
    return fail(ok.error());
  }
  commit_legs();
  commit_media();
  if (!is_answer_) {
    // Negative keeps the mark, none and everything too large goes back to the default (NG 9.2).
    const int wanted = request_.tos.value_or(256);
    if (wanted >= 0)
      manager_.set_tos(call_, wanted <= 255 ? static_cast<std::uint8_t>(wanted) : manager_.config_.tos);
  }
  Recordings(manager_).read_message(call_, *sender_, request_);
  std::string text = write_reply();
  manager_.sync_plans(call_);
  if (request_.has_flag(Flag::kPierceNat)) manager_.start_piercing(call_, clock_.now);
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
    // An initial offer, or one that names a party we never saw.
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
        learned_sender_tag_ = sender_tag;  // a former tag stays as an alias
      } else {
        new_sender_tag_ = sender_tag;
        new_sender_branch_ = branch;
      }
    }
  }
  if (sender_ != nullptr && sender_ == receiver_)
    return fail(error(RefusalReason::kNameTaken, "Invalid dialogue association"));
  is_settling_ = is_truly_answer();
  const std::size_t wanted = (sender_ == nullptr ? 1u : 0u) + (receiver_ == nullptr ? 1u : 0u);
  if (call_.legs.size() + wanted > kMaxLegs)
    return fail(error(RefusalReason::kParties, "Too many parties in this call"));
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
                          : !leg->medias.empty() && leg->medias.front()->remote_known &&
                                leg->medias.front()->remote_rtp == remote_of(first);
    if (!same) continue;
    learned_sender_tag_ = tag;
    return leg.get();
  }
  return nullptr;
}

bool OfferAnswer::has_looped() const {
  if (!request_.has_flag(Flag::kLoopProtect)) return false;
  return std::ranges::find(session_.attributes, manager_.loop_mark(), &sdp::Attribute::text) !=
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
  limits.strict = manager_.config_.reject_invalid_sdp;
  limits.keeps_unknown_protocols = request_.passthrough_unknown.value_or(call_.passthrough_unknown);
  auto parsed = sdp::parse(text_, limits);
  if (!parsed) return fail(error(RefusalReason::kSdp, "Failed to parse SDP"));
  if (parsed->media.empty()) {
    // Of a party that we know, a body without sections repeats the sections we know (NG section 3).
    if (sender_ == nullptr || sender_->last_sdp.empty()) return fail(unusable_sdp());
    text_ = sender_->last_sdp;
    limits.strict = false;
    parsed = sdp::parse(text_, limits);
    if (!parsed) return fail(error(RefusalReason::kSdp, "Failed to parse SDP"));
  }
  session_ = std::move(*parsed);
  if (!is_answer_ && std::ranges::all_of(session_.media, &sdp::MediaSection::is_data_channel))
    return fail(error(RefusalReason::kUnsupported,
                      "Data channels are not relayed, and the offer has nothing else"));  // SCT-3
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
  const auto is_doubled = [](const auto& media) { return media->keys && media->keys->doubled; };
  const auto doubled = static_cast<std::size_t>(std::ranges::count_if(leg.medias, is_doubled));
  if (doubled == 0) return;
  const bool paired = session.media.size() == leg.medias.size() + doubled;
  std::vector<sdp::MediaSection> folded;
  auto next = session.media.begin();
  for (const auto& media : leg.medias) {
    if (is_doubled(media)) media->keys->paired = paired;
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
        // In an answer the sections stand in the order of the offer that it answers.
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
  const MediaTerms* terms = known == nullptr ? nullptr : is_settling_ ? known : &known->in_force();
  const LogicalInterface* current = terms != nullptr ? terms->interface : nullptr;
  if (current == nullptr && leg != nullptr && !leg->medias.empty()) current = leg->medias.front()->interface;
  if (!wanted.empty()) {
    // A member of a round-robin group stays: the group's name asks for any of them.
    const bool member = current != nullptr && current->name.starts_with(wanted + ":");
    if (member) return current;
    if (chosen == nullptr) chosen = manager_.interfaces_.find(wanted);
  }
  if (chosen != nullptr) return chosen;
  return current != nullptr ? current : manager_.interfaces_.default_interface();
}

Result<void, RequestError> OfferAnswer::choose_interfaces() {
  // "internal" and "external" without interfaces of that name mean the families (NG 9.2).
  const auto legacy_family = [&](const std::string& name, AddressFamily fallback) {
    if (name == "internal" && manager_.interfaces_.find(name) == nullptr) return AddressFamily::kIpv4;
    if (name == "external" && manager_.interfaces_.find(name) == nullptr) return AddressFamily::kIpv6;
    return fallback;
  };
  // All sections of a message go to the same member of a group, and both sides if they name the same one.
  const LogicalInterface* sender_side = nullptr;
  const LogicalInterface* other_side = nullptr;
  const bool same = request_.sender_interface == request_.receiver_interface && !request_.inbound_peer &&
                    !request_.outbound_peer;
  const LogicalInterface*& receiver_side = same ? sender_side : other_side;
  // A peer's route chooses where no name does.
  if (request_.sender_interface.empty() && request_.inbound_peer)
    sender_side = manager_.interfaces_.toward(*request_.inbound_peer);
  if (request_.receiver_interface.empty() && request_.outbound_peer)
    receiver_side = manager_.interfaces_.toward(*request_.outbound_peer);
  for (Match& match : matches_) {
    match.untouched = match.section->type == "message" && !match.section->is_rtp();
    match.sender_interface = interface_for(request_.sender_interface, match.sender, sender_, sender_side);
    match.receiver_interface =
        interface_for(request_.receiver_interface, match.receiver, receiver_, receiver_side);
    const AddressFamily offered = family_of(*match.section);
    match.sender_family = legacy_family(request_.sender_interface, offered);
    AddressFamily receiver_family = offered;
    if (match.receiver != nullptr && (match.receiver->remote_known || !match.receiver->ports.empty())) {
      receiver_family = is_settling_ ? match.receiver->family : match.receiver->in_force().family;
    }
    receiver_family = legacy_family(request_.receiver_interface, receiver_family);
    if (request_.address_family != AddressFamily::kNone) receiver_family = request_.address_family;
    match.receiver_family = receiver_family;
  }
  return {};
}

Endpoint OfferAnswer::remote_of(const sdp::MediaSection& section) const {
  Endpoint remote{section.connection.value_or(IpAddress::unspecified(AddressFamily::kIpv4)),
                  UdpPort{section.port}};
  const bool use_source = request_.has_flag(Flag::kSipSourceAddress) ||
                          (manager_.config_.sip_source && !request_.has_flag(Flag::kTrustAddress));
  const bool has_ice = sdp::read_ice(section).is_there();  // its candidates say where it is
  if (use_source && !has_ice && request_.received_from && !remote.address.is_unspecified())
    remote.address = *request_.received_from;
  return remote;
}

bool OfferAnswer::keeps_port(const Match& match) const {
  // Candidates, not the m-line, say where a party with ICE is; so neither side's port moves with the m-line.
  const bool has_ice = (match.receiver != nullptr && match.receiver->has_ice()) ||
                       (match.sender != nullptr && match.sender->has_ice() &&
                        sdp::read_ice(*match.section).is_there() && !request_.ice.is_refused);
  if (has_ice && !request_.has_flag(Flag::kNoPortLatching)) return true;
  if (request_.has_flag(Flag::kPortLatching)) return true;
  return !match.section->direction.receive && !request_.has_flag(Flag::kNoPortLatching);
}

bool OfferAnswer::takes_ice(const Match& match) const {
  if (!is_answer_) return !request_.ice.is_refused;
  return match.sender != nullptr && match.sender->ice && match.sender->ice->offered_to_peer;
}

Result<void, RequestError> OfferAnswer::check_peers() {
  for (Match& match : matches_) {
    const sdp::MediaSection& section = *match.section;
    if (section.port == 0 || match.untouched || match.hidden) continue;
    const LocalAddress* local = match.sender_interface->address_of(match.sender_family);
    if (local == nullptr) continue;  // there will be no port
    auto left_out = manager_.guard_.admit(
        named_peer(section, remote_of(section), takes_ice(match), local->advertised), *local);
    if (!left_out) {
      const auto number = &match - matches_.data() + 1;
      return fail(denied_error(fmt::format("Section {} of the SDP", number), left_out.error()));
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
  const auto refusal = [&](PortFailure failure) {
    return fail(refusal_of(failure, request_.supports_load_limit));
  };
  if (local == nullptr) return refusal(manager_.note_port_failure(PortFailure::kNoFamily, clock_.now));

  if (media != nullptr && !media->ports.empty()) {
    // An offer ends what an earlier one proposed.
    const std::size_t current = is_settling_ ? media->active : media->ports_in_force();
    const PortSet& active = media->ports[current];
    const bool same_local = active.local == local;
    const Endpoint remote = remote_of(*match.section);
    if (same_local && (!receiver_side || keeps_port(match) || !active.made_for.is_set() ||
                       same_but_for_zero_address(active.made_for, remote))) {
      chosen = current;
      return {};
    }
    for (std::size_t i = 0; i < media->ports.size(); ++i) {
      const PortSet& ports = media->ports[i];
      if (ports.local == local && (!receiver_side || same_but_for_zero_address(ports.made_for, remote))) {
        chosen = i;
        return {};
      }
    }
  }
  auto opened = manager_.open_ports(call_, *local, clock_.now);
  if (!opened) return refusal(opened.error());
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
  Leg& leg = manager_.add_leg(call_, std::move(tag), clock_);
  leg.via_branch = std::move(branch);
  leg.id_index = manager_.id_index(call_, *request_.call_id);
  return leg;
}

void OfferAnswer::commit_legs() {
  if (sender_ == nullptr) {
    // A new branch was offered the same as the other branches of the offer.
    const Leg* other = is_answer_ && receiver_ != nullptr ? call_.partner_of(*receiver_) : nullptr;
    const KeptWishes kept = other != nullptr ? other->kept() : KeptWishes{};
    sender_ = &add_leg(new_sender_tag_, new_sender_branch_);
    if (kept != KeptWishes{}) sender_->made_extras().kept = kept;
  }
  if (receiver_ == nullptr) receiver_ = &add_leg("", new_receiver_branch_);
  if (!is_settling_) {
    const auto is_needed = [&](const Media& media) {
      return std::ranges::any_of(matches_,
                                 [&](const Match& m) { return m.sender == &media || m.receiver == &media; });
    };
    Proposals(manager_, call_).begin(*sender_, *receiver_, is_needed, clock_.now);
  }
  if (!learned_sender_tag_.empty()) {
    if (!sender_->tag.empty()) sender_->aliases.push_back(sender_->tag);
    sender_->tag = learned_sender_tag_;
  }
  if (!learned_receiver_tag_.empty()) receiver_->tag = learned_receiver_tag_;
  keep_wishes();
  if (!request_.label.empty()) sender_->made_extras().label = request_.label;
  if (!request_.set_label.empty()) sender_->made_extras().label = request_.set_label;
  // A flag without the media, as of a client that only asks to forget.
  if (request_.has_flag(Flag::kReset)) {
    for (const auto& media : receiver_->medias) media->mux_used = media->mux_offered_to_peer = false;
  }
  if (!request_.metadata.empty()) call_.metadata = sender_->made_extras().metadata = request_.metadata;
  if (request_.received_from) sender_->received_from = *request_.received_from;
  if (is_answer_ && request_.sip_message == SipMessage::kReply && request_.sip_code >= 200)
    sender_->final_response = true;
  // New signalling revives what was about to be deleted (NG section 13).
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
    call_.made_extras().dtmf_log_destination = request_.dtmf_log_destination;
  if (manager_.config_.remember_client) call_.made_extras().client = request_.client;
  if (!request_.xmlrpc_callback.empty()) call_.made_extras().xmlrpc_callback = request_.xmlrpc_callback;
  for (const std::string& word : request_.not_in_force) {
    if (std::ranges::find(call_.not_in_force, word) == call_.not_in_force.end())
      call_.not_in_force.push_back(word);
  }
}

void OfferAnswer::choose_rules(Media& media) const {
  SourceRules& rules = media.rules;
  rules.algorithm = call_.learning.value_or(manager_.config_.learning);
  rules.policy = call_.latch.value_or(manager_.config_.latch);
  if (rules.algorithm != LearningAlgorithm::kRules) rules.policy = LatchPolicy::kAny;
  // Both words together cancel each other (NG section 10).
  const bool strict = request_.has_flag(Flag::kStrictSource);
  const bool handover = request_.has_flag(Flag::kMediaHandover);
  rules.strict_source = strict && !handover;
  rules.handover = handover && !strict;
  if (request_.has_flag(Flag::kAsymmetric)) rules.asymmetric = true;
  if (request_.has_flag(Flag::kUnidirectional)) rules.unidirectional = true;
  if (request_.has_flag(Flag::kNatWait)) media.wait_for_peer = true;
  if (request_.has_flag(Flag::kPierceNat)) media.pierce = true;
}

void OfferAnswer::note_unmade_codecs(Media& receiver) const {
  std::vector<std::string> wanted;
  for (const auto* list : {&request_.codecs.transcode, &request_.codecs.accept, &request_.codecs.consume})
    wanted.insert(wanted.end(), list->begin(), list->end());
  for (const std::string& word : request_.not_in_force) {
    if (word == "always-transcode" || word == "force-transcoding") wanted.push_back(word);
  }
  const bool ends_earlier = !is_answer_ && receiver.extras;
  if (!wanted.empty() || ends_earlier) receiver.made_extras().unmade_codecs = std::move(wanted);
}

void OfferAnswer::choose_echo(Media& sender, Media& receiver) const {
  if (!request_.echo) return;
  const MediaEcho echo = *request_.echo;
  if (echo == MediaEcho::kOff || echo == MediaEcho::kBlackhole) {
    sender.echo = receiver.echo = echo;
    return;
  }
  // What does not come back is discarded.
  const auto side = [](bool on) { return on ? MediaEcho::kForward : MediaEcho::kBlackhole; };
  receiver.echo = side(echo == MediaEcho::kForward || echo == MediaEcho::kBoth);
  sender.echo = side(echo == MediaEcho::kBackwards || echo == MediaEcho::kBoth);
}

void OfferAnswer::place_ports(Media& media, std::optional<std::size_t> known,
                              std::optional<std::size_t> opened, const LogicalInterface& interface,
                              AddressFamily family) {
  media.interface = &interface;
  media.family = family;
  if (opened) {
    media.ports.push_back(std::move(opened_[*opened].second));
    media.active = media.ports.size() - 1;
    if (media.ports.size() == 1) media.sending = 0;
    if (media.ports.size() > kMaxPortSets) {
      // Cannot be the one in use: that is the newest or the one before it.
      const std::size_t oldest = media.sending == 0 ? 1 : 0;
      manager_.close_ports(call_, media.ports[oldest]);
      media.ports.erase(media.ports.begin() + static_cast<std::ptrdiff_t>(oldest));
      --media.active;
      if (media.sending > oldest) --media.sending;
    }
  } else if (known) {
    media.active = *known;
  }
}

void OfferAnswer::revive_offer() {
  LapsedOffer* lapsed = receiver_->lapsed_offer();
  if (lapsed == nullptr) return;
  // The parsed sections still point into the text: moving the string keeps its buffer.
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
  // A section may be rejected by its m-line alone; its name stays.
  if (!section.mid.empty() || section.port != 0) media.mid = section.mid;
  media.rejected = section.port == 0;
  media.kind = transport_kind(section);
  media.may_send = section.direction.send;
  media.may_receive = section.direction.receive;
  media.is_video = section.type == "video";
  media.reduced_size_rtcp = section.rtcp_reduced_size;
  if (media.rejected) return;

  const bool has_ice = sdp::read_ice(section).is_there();
  if (remote.address.is_unspecified() && has_ice) {
    media.remote_known = true;  // candidates come later
  } else if (remote.address.is_unspecified()) {
    media.may_receive = false;  // classic hold; what was learned stays
  } else {
    media.remote_rtp = remote;
    media.remote_known = true;
    media.remote_rtcp = rtcp_of(section, remote);
  }
  const bool same_port = section.rtcp && media.remote_rtcp == media.remote_rtp;
  media.mux_offered_by_peer = section.rtcp_mux || same_port;
}

void OfferAnswer::decide_mux(Media& sender, Media& receiver) const {
  const auto wants = [&](RtcpMux word) { return has(request_.rtcp_mux, word); };
  if (!is_answer_) {
    const bool offer = wants(RtcpMux::kOffer) || wants(RtcpMux::kRequire);
    if (wants(RtcpMux::kDemux)) receiver.mux_used = false;
    if (wants(RtcpMux::kRequire)) receiver.mux_used = true;
    receiver.mux_offered_to_peer =
        !wants(RtcpMux::kDemux) && (offer || sender.mux_offered_by_peer || receiver.mux_used);
    sender.mux_accept = wants(RtcpMux::kAccept);
    sender.mux_reject = wants(RtcpMux::kReject);
    return;
  }
  sender.mux_used = sender.mux_offered_by_peer && sender.mux_offered_to_peer;
  const bool accept = wants(RtcpMux::kAccept) || receiver.mux_accept;
  const bool reject = wants(RtcpMux::kReject) || receiver.mux_reject;
  if (!receiver.mux_offered_by_peer || (reject && !accept)) {
    receiver.mux_used = false;
  } else if (accept) {
    receiver.mux_used = true;
  } else {
    receiver.mux_used = sender.mux_offered_to_peer ? sender.mux_used : true;
  }
  // The receiver offered it; whatever it was answered, it may not go on with the other way.
  receiver.mux_offered_to_peer = receiver.mux_used;
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
  // A flow that `mesh` or `connect` made does not count: it ends on its own.
  const bool known = std::ranges::any_of(receiver.subscriptions, [&](const Subscription& s) {
    return s.source == &sender && s.kind == SubscriptionKind::kOfferAnswer;
  });
  // The newest stands first: it is the one this leg talks to.
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
  for (const Added& each : added_) each.media->ports[each.ports].more.push_back(each.more);
  if (is_answer_) revive_offer();
  sender_->section_order.clear();
  for (Match& match : matches_) {
    const sdp::MediaSection& section = *match.section;
    const auto add_media = [&](Leg& leg, unsigned index) {
      const bool is_proposed = !is_settling_ && Proposals::has_agreed(leg);
      Media& added = manager_.add_media(leg, index, section.type);
      added.is_proposed = is_proposed;
      return &added;
    };
    if (match.sender == nullptr) match.sender = add_media(*sender_, match.new_sender_index);
    match.sender->hidden = match.hidden;
    if (match.hidden) {
      sender_->section_order.push_back(match.sender->index);
      read_section(*match.sender, section, remote_of(section));
      match.sender->remote_known = false;
      match.sender->interface = match.sender_interface;
      match.sender->family = match.sender_family;
      match.sender->protocol = section.protocol.text;
      match.sender->rejected = true;
      if (is_doubled(section) || match.sender->keys) match.sender->made_keys().merged = is_doubled(section);
      continue;
    }
    if (match.receiver == nullptr) {
      match.receiver = add_media(*receiver_, match.new_receiver_index);
      match.receiver->ice_controlling = !is_answer_;
    }
    Media& sender = *match.sender;
    Media& receiver = *match.receiver;
    sender_->section_order.push_back(sender.index);
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
        answer_crypto(match);
        answer_ice_to(sender, receiver, section);
      } else {
        offer_crypto(sender, receiver, section);
        offer_ice_to(sender, receiver, section);
      }
      take_extensions(match);
    }
    place_ports(sender, match.sender_ports, match.new_sender_ports, *match.sender_interface,
                match.sender_family);
    place_ports(receiver, match.receiver_ports, match.new_receiver_ports, *match.receiver_interface,
                match.receiver_family);
    for (Media* media : {&sender, &receiver}) {
      if (media->dtls) follow_ports(*media);
    }
    if (PortSet* ports = receiver.active_ports();
        ports != nullptr && !sender.rejected && !ports->made_for.is_set()) {
      ports->made_for = remote_of(section);
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
      sender.sending = sender.active;
      receiver.sending = receiver.active;
    } else if (!receiver.remote_known) {
      receiver.sending = receiver.active;
    }
  }
  reject_left_out();
  if (is_settling_) Proposals(manager_, call_).settle(*receiver_, *sender_);
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
