// SPDX-License-Identifier: Apache-2.0
// The part of an offer or answer that changes the call. Nothing may fail here (CTL-6).
//
// Medias come first, then the sender's transports, codecs, the receiver's transports, and at last flows:
// keys, ICE and rtcp-mux toward the receiver depend on what the sender's side became, and a key is handed on
// only if no packet is changed.
//
// Trap: several sections may share a transport. Only the section that carries it (`carries`) decides about
// it; the others decide about their media alone.

#include "control/call/media_rules.hpp"
#include "control/call/session_config.hpp"
#include "control/command/digit_control.hpp"
#include "control/command/offer_answer.hpp"
#include "control/command/shown_ports.hpp"
#include "control/negotiate/codecs.hpp"
#include "control/negotiate/directions.hpp"
#include "control/session/call_register.hpp"
#include "control/session/ports_desk.hpp"
#include "control/session/proposals.hpp"

#include <algorithm>
#include <utility>

namespace ferry {

namespace {

// The most port sets that a transport keeps.
constexpr std::size_t kMaxPortSets = 8;

}  // namespace

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
    const bool has_bundle_offer = other != nullptr && other->bundle() != nullptr;
    const LegBundle bundle = has_bundle_offer ? *other->bundle() : LegBundle{};
    sender_ = &add_leg(new_sender_tag_, new_sender_branch_);
    if (kept != KeptWishes{}) sender_->ensure_extras().kept = kept;
    if (has_bundle_offer) {
      sender_->ensure_bundle().wish = bundle.wish;
      sender_->ensure_bundle().offered_to_peer = bundle.offered_to_peer;
    }
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
  keep_bundle();
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
  if (request_.generate_rtcp) call_.generates_rtcp = *request_.generate_rtcp;
  if (request_.strict_payload_types) call_.strict_payload_types = request_.strict_payload_types;
  call_.last_signal = call_.touched = clock_.now;
  call_.last_signal_unix =
      std::chrono::duration_cast<std::chrono::seconds>(clock_.wall.time_since_epoch()).count();
  if (request_.has_flag(Flag::kDebug)) call_.debug = true;
  if (request_.drop_traffic) call_.drop_traffic = *request_.drop_traffic;
  DigitControl::read_message(*sender_, *receiver_, request_, warnings_);
  if (!request_.dtmf_log_destination.empty())
    call_.ensure_extras().dtmf_log_destination = request_.dtmf_log_destination;
  if (services_.config.remember_client) call_.ensure_extras().client = request_.client;
  if (!request_.xmlrpc_callback.empty()) call_.ensure_extras().xmlrpc_callback = request_.xmlrpc_callback;
  for (const std::string& word : request_.not_in_force) {
    if (std::ranges::find(call_.not_in_force, word) == call_.not_in_force.end())
      call_.not_in_force.push_back(word);
  }
  note_passing_words();
  hold_music_.note(*sender_);
  if (request_.has_flag(Flag::kInjectDtmf))
    sender_->ensure_sounds().may_inject_digits = receiver_->ensure_sounds().may_inject_digits = true;
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
    media.via->ports.push_back(std::move(opened_[*opened]));
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
    const Endpoint remote{address, UdpPort{own->port}};
    read_terms(*match.receiver, *own, remote);
    if (carries(match, true)) read_transport(*match.receiver->via, *own, remote);
  }
}

void OfferAnswer::read_terms(Media& media, const sdp::MediaSection& section, const Endpoint& remote) {
  media.type = section.type;
  // An m-line with port 0 rejects the section and may lack its mid; the name stays.
  if (!section.mid.empty() || section.port != 0) {
    note_former_mid(media, section.mid);
    media.mid = section.mid;
  }
  media.rejected = section.port == 0;
  media.kind = transport_kind(section);
  media.is_video = section.type == "video";
  media.takes_pli = takes_pli(section);
  media.takes_fir = takes_fir(section);
  media.names_feedback = names_feedback(section);
  media.ssrcs = ssrcs_of(section);
  note_said(media, section);
  const bool is_on_hold = !media.rejected && !Side::names_place(section, remote);
  take_direction(media, section.direction, is_on_hold ? kOnHold : sdp::Direction{});
}

void OfferAnswer::read_transport(MediaTransport& transport, const sdp::MediaSection& section,
                                 const Endpoint& remote) const {
  transport.reduced_size_rtcp = section.rtcp_reduced_size;
  if (section.port != 0) Side(transport, input_).take_address(section, remote);
}

void OfferAnswer::choose_protocol(const Match& match) const {
  Media& receiver = *match.receiver;
  const sdp::MediaSection& shown = *match.shown;
  if (!is_answer_) {
    receiver.protocol = std::string(protocol_to_offer(match));
  } else {
    const bool accept = request_.transport_protocol == "accept" && !match.is_converted();
    if (receiver.protocol.empty() || accept || !shown.is_rtp()) receiver.protocol = shown.protocol.text;
  }
  match.sender->protocol = match.section->protocol.text;
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

void OfferAnswer::hide(Match& match) {
  Media& media = *match.sender;
  const sdp::MediaSection& section = *match.section;
  read_terms(media, section, remote_of(section));
  media.protocol = section.protocol.text;
  media.rejected = true;
  if (media.via->is_shared()) return;
  read_transport(*media.via, section, remote_of(section));
  media.via->remote_known = false;
  media.via->interface = match.sender_interface;
  media.via->family = match.sender_family;
  if (is_doubled(section) || media.via->keys) media.via->ensure_keys().merged = is_doubled(section);
}

void OfferAnswer::commit_terms(Match& match) {
  Media& sender = *match.sender;
  Media& receiver = *match.receiver;
  const sdp::MediaSection& section = *match.section;
  // The place of a rejected section is used again for another one.
  const bool is_renamed = !section.mid.empty() && !sender.mid.empty() && section.mid != sender.mid;
  match.is_reused = is_renamed && receiver.rejected && section.port != 0;
  read_terms(sender, section, remote_of(section));
  sender.note_left_out(std::move(match.left_out));
  receiver.type = match.shown->type;
  receiver.is_video = sender.is_video;
  sender.passing = receiver.passing = match.passing;
  if (match.passing != Passing::kNo) sender.kind = TransportKind::kEndToEnd;
  receiver.kind = match.is_converted() ? transport_kind(*match.shown) : sender.kind;
  sender.fax = receiver.fax = match.fax;
  receiver.rejected = sender.rejected;
  sender.untouched = receiver.untouched = match.untouched;
  choose_echo(sender, receiver);
  choose_protocol(match);
}

void OfferAnswer::commit_sender_transport(Match& match) {
  Media& sender = *match.sender;
  const sdp::MediaSection& section = *match.section;
  choose_rules(sender);
  read_transport(*sender.via, section, remote_of(section));
  Side side(*sender.via, input_);
  if (is_answer_) {
    side.take_mux_answer();
    if (is_grouped(match, false)) side.bundle_mux(true);
    if (match.has_keys(false)) match.keyed = side.take_answer(section, offered_to(match));
  } else {
    side.take_mux_offer();
    if (match.has_keys(false)) side.take_offer(section, sender.answered && sender.encrypted);
  }
  if (match.passing != Passing::kNo) commit_passing(match);
}

bool OfferAnswer::has_one_port(const Match& match) const {
  if (match.new_receiver_ports) return opened_[*match.new_receiver_ports].is_shared;
  return match.receiver_ports && match.receiver->via->ports[*match.receiver_ports].is_shared;
}

void OfferAnswer::commit_receiver_transport(Match& match) {
  Media& sender = *match.sender;
  Media& receiver = *match.receiver;
  choose_rules(receiver);
  Side side(*receiver.via, input_);
  if (is_answer_) {
    if (match.is_reread) reread_offer(match);
    side.answer_mux(sender.via->mux_offered_to_peer ? std::optional(sender.via->mux_used) : std::nullopt,
                    has_one_port(match));
    if (is_grouped(match, true)) side.bundle_mux(true);
    if (match.has_keys(true)) answer_receiver(match);
  } else {
    const bool is_grouped_here = is_grouped(match, true);
    side.offer_mux(sender.via->mux_offered_by_peer);
    if (is_grouped_here) side.bundle_mux(shares_toward_receiver());
    if (match.has_keys(true)) offer_receiver(match);
  }
}

void OfferAnswer::commit_flows(Match& match) {
  Media& sender = *match.sender;
  Media& receiver = *match.receiver;
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

void OfferAnswer::commit_ports(Match& match) {
  if (carries(match, false)) {
    place_ports(*match.sender, match.sender_ports, match.new_sender_ports, *match.sender_interface,
                match.sender_family);
    if (match.sender->via->dtls) show_dtls_at_ports(services_, call_, *match.sender->via);
  }
  if (!carries(match, true)) return;
  place_ports(*match.receiver, match.receiver_ports, match.new_receiver_ports, *match.receiver_interface,
              match.receiver_family);
  if (match.receiver->via->dtls) show_dtls_at_ports(services_, call_, *match.receiver->via);
  LocalPorts* ports = match.receiver->via->active_ports();
  if (ports != nullptr && !match.sender->rejected && !ports->far_endpoint.is_set())
    ports->far_endpoint = remote_of(*match.section);
}

void OfferAnswer::commit_media() {
  for (const Added& each : added_) each.transport->ports[each.ports].more.push_back(each.more);
  if (is_answer_) revive_offer();
  for (const bool receiver_side : {false, true}) place_medias(receiver_side);
  sender_->section_order.clear();
  std::vector<Match*> shown;
  for (Match& match : matches_) {
    sender_->section_order.push_back(match.sender->index);
    match.sender->hidden = match.hidden;
    if (match.hidden) {
      hide(match);
    } else {
      commit_terms(match);
      shown.push_back(&match);
    }
  }
  // The receiver's side depends on what the sender's became.
  for (Match* match : shown) {
    if (carries(*match, false)) commit_sender_transport(*match);
  }
  for (Match* match : shown) choose_codecs(*match);
  for (Match* match : shown) {
    if (carries(*match, true)) commit_receiver_transport(*match);
  }
  for (Match* match : shown) {
    if (match->has_keys(false) && !match->is_converted()) take_extensions(*match);
    commit_ports(*match);
  }
  for (Match* match : shown) commit_flows(*match);
  if (is_answer_) settle_bundle();
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
