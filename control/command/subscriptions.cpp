// SPDX-License-Identifier: Apache-2.0
// One-party signalling. `publish` answers the offer of a party that sends; `subscribe_request` offers a party
// what others send, and `subscribe_answer` takes its answer; `create` and `transform` are in creations.cpp.
// All go the same way: read and judge, open ports (`open_all`), and only then change the call (`place`);
// `write` makes the SDP, `finish` tells the worker.
//
// A flow is a pub/sub `Subscription` of the receiver. A subscriber has one section for each source, or one
// for each type with flag `mix`; subscription_sections.cpp keeps their places over re-offers.
//
// Trap: on any failure before `place`, `close_all` and `give_up` must undo everything, also a call that was
// made.
//
// Trap: a subscriber must take the codecs that it is offered, unless the flag `allow-transcoding` lets it
// leave some out. What it leaves out is converted.
#include "control/command/subscriptions.hpp"

#include "control/call/media_rules.hpp"
#include "control/call/peer_guard.hpp"
#include "control/call/session_config.hpp"
#include "control/command/media_control.hpp"
#include "control/command/recordings.hpp"
#include "control/command/shared_port.hpp"
#include "control/command/shared_transport.hpp"
#include "control/command/shown_ports.hpp"
#include "control/negotiate/bundle.hpp"
#include "control/negotiate/codecs.hpp"
#include "control/negotiate/directions.hpp"
#include "control/negotiate/extensions.hpp"
#include "control/negotiate/section_writer.hpp"
#include "control/ports/interfaces.hpp"
#include "control/session/call_limits.hpp"
#include "control/session/call_register.hpp"
#include "control/session/dtls_identities.hpp"
#include "control/session/lifetime.hpp"
#include "control/session/plan_sync.hpp"
#include "control/session/ports_desk.hpp"
#include "relay/base/random.hpp"

#include <algorithm>
#include <memory>

namespace ferry {

namespace {

/// True if the party has said what it sends, and goes on sending it.
bool is_usable(const Media& media) {
  if (media.leg->last_sdp.empty() || media.leg->delete_at) return false;
  const MediaTerms& terms = media.in_force();
  return media.via->interface != nullptr && !terms.hidden && !terms.rejected && !media.untouched;
}

/// True if `subscribe request` made the party.
bool is_subscriber(const Leg& leg) {
  return !leg.from_offer_answer && std::ranges::any_of(leg.medias, [](const auto& media) {
    return media->extras && !media->extras->copies.empty();
  });
}

bool hears_by_pub_sub(const Leg& leg) {
  return std::ranges::any_of(leg.medias, [](const auto& media) {
    return std::ranges::any_of(media->subscriptions, [](const Subscription& s) {
      return s.kind == SubscriptionKind::kPubSub && !s.rtcp_only;
    });
  });
}

/// True if another party receives its media.
bool is_heard(const Leg& leg) {
  return std::ranges::any_of(leg.call->legs, [&](const auto& other) {
    return other.get() != &leg && std::ranges::any_of(other->medias, [&](const auto& media) {
             return std::ranges::any_of(media->subscriptions, [&](const Subscription& s) {
               return s.source->leg == &leg && !s.rtcp_only;
             });
           });
  });
}

/// Ends what `subscriber` hears by pub/sub, from `only_source` or from everybody (null). RTCP that mirrors a
/// flow ends with it.
void drop_pub_sub(Leg& subscriber, const Leg* only_source) {
  const auto is_meant = [&](const Leg& leg) { return only_source == nullptr || &leg == only_source; };
  for (const auto& media : subscriber.medias) {
    std::erase_if(media->subscriptions, [&](const Subscription& s) {
      return s.kind == SubscriptionKind::kPubSub && is_meant(*s.source->leg);
    });
  }
  for (const auto& leg : subscriber.call->legs) {
    if (!is_meant(*leg)) continue;
    for (const auto& media : leg->medias) {
      std::erase_if(media->subscriptions, [&](const Subscription& s) {
        return s.kind == SubscriptionKind::kPubSub && s.rtcp_only && s.source->leg == &subscriber;
      });
    }
  }
}

/// Ends what others hear of a subscriber: the other direction of a bidirectional subscription.
void drop_way_back(const Leg& subscriber) {
  for (const auto& leg : subscriber.call->legs) {
    for (const auto& media : leg->medias) {
      std::erase_if(media->subscriptions, [&](const Subscription& s) {
        return s.kind == SubscriptionKind::kPubSub && s.source->leg == &subscriber;
      });
    }
  }
}

/// The values of `a=group:BUNDLE` lines: the MIDs of the living sections of each group. `sections` are those
/// of `edit`, in the same order.
template <class Sections>
std::vector<std::string> groups_of(const sdp::SessionEdit& edit, const Sections& sections) {
  std::vector<std::string> groups;
  std::vector<std::size_t> leads;
  for (std::size_t i = 0; i < edit.sections.size(); ++i) {
    if (!sections[i].is_grouped || !edit.sections[i].is_alive()) continue;
    const std::size_t lead = sections[i].group;
    const auto found = std::ranges::find(leads, lead);
    const auto at = static_cast<std::size_t>(found - leads.begin());
    if (found == leads.end()) {
      leads.push_back(lead);
      groups.emplace_back(edit.sections[i].mid);
    } else {
      groups[at].append(" ").append(edit.sections[i].mid);
    }
  }
  return groups;
}

}  // namespace

Subscriptions::Subscriptions(const Services& services, const Request& request, const Clock& clock)
    : services_(services),
      request_(request),
      clock_(clock),
      input_{request, services.config.srtp, services.config.dtls, services.identities.current(clock.now)} {}

Result<Call*, RequestError> Subscriptions::call_or_new(bool& is_new) {
  const std::string id = request_.call_id.value_or(random_hex(kGeneratedId));
  Call* call = services_.calls.find(id);
  is_new = call == nullptr;
  if (!is_new) return call;
  // No limit of sessions holds here (docs/reference/ng.md#errors), but memory that is left belongs to the
  // running calls.
  if (services_.limits.is_memory_short()) return fail(RequestFault::kNoMemoryForCall);
  return &services_.lifetime.create(id, clock_);
}

void Subscriptions::finish(Call& call, bool is_new) {
  call.touched = clock_.now;
  services_.plans.sync(call);
  if (is_new) {
    ++services_.totals.managed;
    call.scheduled_at = Instant::max();
  }
  if (const Instant at = services_.lifetime.due(call).at; at < call.scheduled_at)
    services_.lifetime.schedule(call, at, clock_.now);
}

const LogicalInterface* Subscriptions::choose_interface(const LogicalInterface* otherwise) const {
  if (!request_.interface.empty()) {
    if (const auto* found = services_.interfaces.find(request_.interface)) return found;
  }
  if (request_.inbound_peer) {
    if (const auto* found = services_.interfaces.toward(*request_.inbound_peer)) return found;
  }
  return otherwise != nullptr ? otherwise : services_.interfaces.default_interface();
}

Result<void, RequestError> Subscriptions::open_all(Call& call, std::vector<Section>& sections) {
  for (Section& section : sections) {
    // Such a section is written with port 0, or has the transport of another section.
    if (section.interface == nullptr || section.carrier) continue;
    const LocalAddress* local = section.interface->address_of(section.family);
    const auto open_more = [&](const LocalPorts& ports) {
      if (section.has_ice)
        section.more = services_.ports.open_more(call, *section.interface, ports, clock_.now);
    };
    if (section.media != nullptr && !section.leaves) {
      const auto& ports = section.media->via->ports;
      const auto known = std::ranges::find_if(ports, [&](const LocalPorts& p) {
        return !p.closed && p.local == local && (!p.is_shared || section.shares);
      });
      if (known != ports.end()) {
        section.known = static_cast<std::size_t>(known - ports.begin());
        open_more(*known);
        continue;
      }
    }
    if (local == nullptr)
      return fail(fault_for(services_.ports.note_failure(PortFailure::kNoFamily, clock_.now)));
    if (section.shares) section.opened = services_.ports.share(call, *local);
    if (!section.opened) {
      auto opened = services_.ports.open(call, *local, clock_.now);
      if (!opened) return fail(fault_for(opened.error()));
      section.opened = std::move(*opened);
    }
    open_more(*section.opened);
  }
  return {};
}

void Subscriptions::close_all(Call& call, std::vector<Section>& sections) {
  for (Section& section : sections) {
    if (section.opened) services_.ports.close(call, *section.opened);
    for (const LocalPorts::More& more : section.more) services_.ports.close_more(call, more);
  }
}

Media& Subscriptions::place(Leg& leg, Section& section) {
  if (section.media == nullptr)
    section.media =
        &services_.calls.add_media(leg, static_cast<unsigned>(leg.medias.size()) + 1, section.type);
  Media& media = *section.media;
  media.type = section.type;
  media.protocol = section.protocol;
  media.is_video = section.type == "video";
  media.rejected = false;
  if (section.leaves) carry_by(services_, media, leg.add_transport());
  if (!section.carrier) {
    media.via->interface = section.interface;
    media.via->family = section.family;
    media.via->rules.policy = call_policy(leg);
  }
  if (section.source != nullptr) {
    media.kind = transport_kind(*section.source);
    note_shown(media, *section.source, section.codecs, FormerTypes::kEnd);
    CodecWishes wishes;
    wishes.codecs = section.wishes;
    media.codec_wishes = wishes.is_empty() ? nullptr : std::make_shared<const CodecWishes>(wishes);
  }
  if (section.opened) {
    media.via->ports.push_back(std::move(*section.opened));
    section.opened.reset();
    media.via->show_ports(media.via->ports.size() - 1);
    media.via->sending = media.via->active;
  } else if (section.known) {
    media.via->show_ports(*section.known);
    media.via->sending = media.via->active;
  }
  for (const LocalPorts::More& more : section.more) media.via->active_ports()->more.push_back(more);
  section.more.clear();
  return media;
}

LatchPolicy Subscriptions::call_policy(const Leg& leg) const {
  return request_.latch.value_or(leg.call->latch.value_or(services_.config.latch));
}

Endpoint Subscriptions::remote_of(const sdp::MediaSection& section) const {
  return ferry::remote_of(section, request_, services_.config.sip_source);
}

Result<std::vector<LeftOutPeer>, RequestError> Subscriptions::admit(const sdp::MediaSection& section,
                                                                    const LocalAddress* local,
                                                                    bool takes_ice) const {
  if (section.port == 0 || local == nullptr) return {};
  auto left_out =
      services_.guard.admit(named_peer(section, remote_of(section), takes_ice, local->advertised), *local);
  if (!left_out) return fail(RequestError(RequestFault::kDeniedSdp, left_out.error()));
  return std::move(*left_out);
}

void Subscriptions::read_answer(Media& media, const sdp::MediaSection& section, bool carries) {
  if (!section.mid.empty() || section.port != 0) media.mid = section.mid;
  media.rejected = section.port == 0;
  media.takes_pli = takes_pli(section);
  media.takes_fir = takes_fir(section);
  media.names_feedback = names_feedback(section);
  media.ssrcs = ssrcs_of(section);
  if (section.port != 0) note_said(media, section);
  if (carries) media.via->reduced_size_rtcp = section.rtcp_reduced_size;
  if (media.rejected || !section.connection) return;
  if (carries) Side(*media.via, input_).take_address(section, remote_of(section));
  media.answered = true;
  if (request_.received_from) media.leg->received_from = *request_.received_from;
}

bool Subscriptions::has_ice_offer(const Media* media) const {
  if (media != nullptr && media->kind != TransportKind::kRtp) return false;
  // A party that has ICE, or was offered it and has not answered, goes on with it.
  const MediaIce* ice = media == nullptr ? nullptr : media->via->ice.get();
  const bool is_usual = ice != nullptr && (ice->in_use || ice->offered_to_peer);
  const bool forgets = request_.has_flag(Flag::kReset);
  return offers_ice(media == nullptr ? nullptr : media->via, request_.ice.offer, is_usual && !forgets,
                    forgets);
}

bool Subscriptions::may_share(const sdp::MediaSection& offered, const Leg* leg) const {
  return offered.rtcp_mux && !is_lite_toward(leg, request_.ice.is_lite_to_sender) &&
         !has(request_.rtcp_mux, RtcpMux::kReject) &&
         !is_behind_shared_port(sdp::read_ice(offered).candidates, services_.interfaces);
}

bool Subscriptions::may_share_toward(const Section& section, const Leg* leg) const {
  if (!section.has_ice || has(request_.rtcp_mux, RtcpMux::kDemux)) return false;
  if (is_lite_toward(leg, request_.ice.is_lite_to_receiver)) return false;
  if (leg != nullptr && is_behind_shared_port(*leg, services_.interfaces)) return false;
  const MediaTransport* via = section.media != nullptr ? section.media->via : nullptr;
  // A party that was shown the port and has not answered is shown it again.
  const LocalPorts* shown = via != nullptr ? via->active_ports() : nullptr;
  if (shown != nullptr && shown->is_shared && via->ice && via->ice->offered_to_peer) return true;
  const bool has_mux = section.is_grouped || has(request_.rtcp_mux, RtcpMux::kOffer) ||
                       has(request_.rtcp_mux, RtcpMux::kRequire);
  return CertainIce{leg, request_.ice.offer, request_.sdes.policy.off, has_mux}.is_certain();
}

void Subscriptions::offer_transport(Media& media, const Section& section) {
  if (section.carrier) return;
  Side side(*media.via, input_);
  side.offer_mux(false);
  if (section.is_grouped)
    side.bundle_mux(media.via->is_bundle || bundle_wish(media.leg) == LegBundle::Wish::kRequire);
  if (media.kind != TransportKind::kRtp) return;
  Side::Offer offer;
  offer.is_secure = sdp::parse_protocol(media.protocol).secure;
  offer.is_opportunistic = !offer.is_secure && request_.osrtp.offer;
  offer.sdes = request_.sdes.policy;
  offer.rules.legacy = services_.config.srtp.legacy_suites;
  offer.has_dtls = !request_.dtls.off;
  offer.has_ice = has_ice_offer(&media);
  side.offer_to(offer);
  if (media.via->dtls) show_dtls_at_ports(services_, *media.call, *media.via);
}

Result<std::vector<LeftOutPeer>, RequestError> Subscriptions::check_answer(
    const Media& media, const sdp::MediaSection& answer) const {
  const bool takes_ice = media.via->ice && media.via->ice->offered_to_peer;
  auto left_out = admit(answer, media.via->local(), takes_ice);
  if (!left_out) return left_out;
  const bool was_secure = sdp::parse_protocol(media.protocol).secure;
  // The answer must not turn encrypted RTP into another protocol, which would be plain (SRT-13).
  if (was_secure && services_.config.srtp.policy == SrtpPolicy::kRequire && answer.port != 0 &&
      media.kind == TransportKind::kRtp && !answer.is_rtp())
    return fail(RequestError(RequestFault::kPlainAnswer, std::string(answer.protocol.text)));
  const Side::Offered offered = Side(*media.via, input_).own_offer();
  if (const auto keyed = Side::check_answer(answer, was_secure, offered, input_); !keyed)
    return fail(keyed.error());
  return left_out;
}

void Subscriptions::take_answer(Media& media, const sdp::MediaSection& answer,
                                std::vector<LeftOutPeer> left_out, bool carries) {
  read_answer(media, answer, carries);
  media.note_left_out(std::move(left_out));
  Side side(*media.via, input_);
  if (carries) {
    side.take_mux_answer();
    if (media.via->is_bundle) side.bundle_mux(true);
    // Whatever was offered, the party must not go on in the other way.
    media.via->mux_offered_to_peer = media.via->mux_used;
  }
  if (answer.port == 0 || media.kind != TransportKind::kRtp) return;
  media.protocol = answer.protocol.text;
  if (carries) side.take_answer(answer, side.own_offer());
  media.settle_encryption();
}

void Subscriptions::answer_transport(Media& media, const sdp::MediaSection& offer, bool is_grouped) {
  Side side(*media.via, input_);
  side.take_mux_offer();
  const LocalPorts* ports = media.via->active_ports();
  side.answer_mux(std::nullopt, ports != nullptr && ports->is_shared);
  if (is_grouped) side.bundle_mux(true);
  if (offer.port != 0) media.via->is_bundle = is_grouped;
  if (offer.port == 0 || media.kind != TransportKind::kRtp) return;
  side.take_offer(offer, false);
  side.answer_to(offer.protocol.secure, true, nullptr);
  if (media.via->dtls) show_dtls_at_ports(services_, *media.call, *media.via);
  media.settle_encryption();
}

std::string Subscriptions::write(const sdp::Session& session, const std::vector<Media*>& medias,
                                 const std::vector<Section>& sections, Leg& leg, bool own_origin,
                                 bool is_answer) {
  sdp::SessionEdit edit;
  edit.origin = session.origin;
  edit.name = session.name;
  const auto text = [&](std::string value) -> std::string_view {
    texts_.push_back(std::move(value));
    return texts_.back();
  };
  for (std::size_t i = 0; i < medias.size(); ++i) {
    const Media& media = *medias[i];
    const SectionWriter writer(media, input_, is_answer);
    sdp::SectionEdit& section = edit.sections.emplace_back(writer.begin(sections[i].source));
    if (section.mid.empty() && request_.has_flag(Flag::kGenerateMid))
      section.mid = text(std::to_string(media.index));
    if (sections[i].is_grouped) {
      name_section(*medias[i]);
      section.mid = media.mid;
    }
    if (media.extras) section.label = media.extras->label;
    const LocalPorts* ports = media.via->active_ports();
    if (media.rejected || ports == nullptr) continue;
    writer.open(section, false);
    section.codecs = sections[i].codecs;
    writer.show_direction(section, DirectionPolicy::kDecided, sections[i].direction);
    if (!section.source->is_rtp()) continue;
    Side::Candidates candidates;
    if (writer.shows_ice())
      candidates.own = services_.ports.candidates_of(*ports, !media.via->mux_used, request_.media_address);
    writer.show_transport(section, std::move(candidates));
    write_extensions(section, *medias[i], sections[i], session, is_answer);
  }
  edit.bundle_groups = groups_of(edit, sections);
  // A text of the relay's own has our address in o=.
  if (own_origin || has(request_.replaces, Replace::kOrigin)) {
    const IpAddress& address = edit.sections.front().connection;
    edit.origin.address = text(address.to_string());
    edit.origin.address_type = address.is_v6() ? "IP6" : "IP4";
  }
  if (own_origin) {
    edit.origin.username = "-";
    edit.origin.session_id = edit.origin.version = text(std::to_string(random_u64() >> 2));
    edit.name = services_.config.software_name;
  }
  if (request_.has_flag(Flag::kLoopProtect)) edit.extra_attributes.push_back(services_.loop_mark);
  const auto body = [&] {
    std::string printed = sdp::write(session, edit);
    return request_.sdp_attr.empty() ? printed : sdp::apply(request_.sdp_attr, printed);
  };
  // The version of o= rises only if the rest changed, so the rest is written with zeros first.
  sdp::Origin origin = edit.origin;
  edit.origin.session_id = edit.origin.version = "0";
  edit.origin.address = "0";
  edit.origin = keep_origin(leg, origin, body());
  return body();
}

std::vector<Media*> Subscriptions::place_offer(Leg& leg, std::vector<Section>& sections,
                                               const sdp::Session& offer) {
  const bool both = request_.has_flag(Flag::kBidirectional);
  const ExtensionRules rules = extension_rules(request_);
  std::vector<Media*> medias;
  for (Section& section : sections) medias.push_back(&place(leg, section));
  join_carriers(medias, sections);
  for (std::size_t i = 0; i < sections.size(); ++i) {
    leg.section_order.push_back(medias[i]->index);
    read_answer(*medias[i], offer.media[i], !sections[i].carrier);
    medias[i]->note_left_out(std::move(sections[i].left_out));
    if (!sections[i].carrier) answer_transport(*medias[i], offer.media[i], sections[i].is_grouped);
  }
  for (std::size_t i = 0; i < sections.size(); ++i) {
    Media& media = *medias[i];
    const sdp::MediaSection& offered = offer.media[i];
    if (sections[i].carrier && media.kind == TransportKind::kRtp) media.settle_encryption();
    // An answer without extensions accepts none, so the publisher's offer is settled at once. In a BUNDLE
    // group the answer accepts MID.
    if (const auto lines = sdp::extmaps_of(offer, offered); have_extensions(lines, {&media})) {
      ExtensionSide side(media.ensure_extensions(), rules);
      if (sections[i].is_grouped)
        side.take_offer(lines);
      else
        side.take_answer(lines);
    }
    take_direction(media, offered.direction, {true, both});
  }
  return medias;
}

Result<PartyMade, RequestError> Subscriptions::publish() {
  if (!request_.sdp || request_.sdp->empty()) return fail(RequestFault::kNoSdp);
  sdp::Limits limits;
  limits.keeps_unknown_protocols = request_.passthrough_unknown.value_or(false);
  auto parsed = sdp::parse(*request_.sdp, limits);
  if (!parsed) return fail(RequestFault::kUnreadableSdp);
  sdp::Session& offer = parsed_.emplace_back(std::move(*parsed));
  for (const sdp::MediaSection& section : offer.media) {
    if (const auto served = check_section(section); !served) return fail(served.error());
  }
  bool is_new = false;
  const auto found = call_or_new(is_new);
  if (!found) return fail(found.error());
  Call* call = *found;
  const std::string tag = request_.from_tag.value_or(random_hex(kGeneratedId));
  Leg* leg = call->leg_by_tag(tag);
  const auto give_up = [&](RequestError why) -> Result<PartyMade, RequestError> {
    if (is_new) services_.lifetime.forget(*call);
    return fail(std::move(why));
  };
  if (leg != nullptr && leg->from_offer_answer) return give_up(RequestFault::kTagTaken);
  if (leg == nullptr && call->legs.size() >= kMaxLegs) return give_up(RequestFault::kTooManyParties);

  const auto groups = read_groups(offer, leg);
  // The answer does not repeat the publisher's own attributes.
  std::vector<Section> sections;
  bool usable = false;
  for (const sdp::MediaSection& offered : offer.media) {
    sdp::MediaSection& copy = bare_.emplace_back(offered);
    copy.attributes.clear();
    copy.bandwidth.clear();
    copy.information.clear();
    Section& section = sections.emplace_back();
    section.direction = {request_.has_flag(Flag::kBidirectional), true};
    section.source = &copy;
    section.type = offered.type;
    section.protocol = offered.protocol.text;
    section.interface = choose_interface(nullptr);
    section.family = request_.address_family != AddressFamily::kNone ? request_.address_family
                     : offered.connection                            ? offered.connection->family()
                                                                     : AddressFamily::kIpv4;
    if (leg != nullptr && sections.size() <= leg->medias.size())
      section.media = leg->medias[sections.size() - 1].get();
    section.codecs = accepted_codecs(offered.codecs, request_.codecs.accept);
    usable = usable || offered.port != 0;
    section.has_ice = offered.port != 0 && offered.is_rtp() && !request_.ice.is_refused &&
                      sdp::read_ice(offered).is_there();
    section.shares = section.has_ice && may_share(offered, leg);
    auto left_out = admit(offered, section.interface->address_of(section.family), !request_.ice.is_refused);
    if (!left_out) return give_up(left_out.error());
    section.left_out = std::move(*left_out);
  }
  if (!usable) return give_up(RequestFault::kNothingToPublish);
  take_groups(groups, sections);
  part_transports(sections);
  if (const auto opened = open_all(*call, sections); !opened) {
    close_all(*call, sections);
    return give_up(because(RequestFault::kNoSectionOpened, opened.error()));
  }
  if (leg == nullptr) leg = &services_.calls.add_leg(*call, tag, clock_);
  leg->from_offer_answer = false;
  leg->id_index = CallRegister::id_index(*call, call->id);
  leg->delete_at.reset();
  call->delete_at.reset();  // signalling of a party revives (docs/reference/ng.md#delete)
  if (call->extras) call->extras->at_deletion.reset();
  leg->last_sdp = *request_.sdp;
  if (request_.passthrough_unknown) call->passthrough_unknown = *request_.passthrough_unknown;
  leg->section_order.clear();
  if (!request_.label.empty()) leg->ensure_extras().label = request_.label;
  if (!request_.metadata.empty()) leg->ensure_extras().metadata = request_.metadata;
  leg->keep_ice_lite(request_.ice.is_lite_to_sender);
  const bool has_lost_group = groups.empty() && may_need_group(offer);
  if (has_lost_group || leg->bundle() != nullptr) leg->ensure_bundle().refused_to_peer = has_lost_group;
  const std::vector<Media*> medias = place_offer(*leg, sections, offer);
  call->last_signal = clock_.now;
  call->last_signal_unix =
      std::chrono::duration_cast<std::chrono::seconds>(clock_.wall.time_since_epoch()).count();
  sdp::Session own;
  PartyMade party{call->id, tag, write(own, medias, sections, *leg, true, true), {}};
  services_.recordings.read_message(*call, *leg, request_);
  finish(*call, is_new);
  party.packet_files = services_.recordings.note_message(*call, *leg, "publish", *request_.sdp);
  return party;
}

Result<std::vector<Media*>, RequestError> Subscriptions::select_sources(Call& call) {
  std::vector<Leg*> parties;
  if (request_.all == AllParties::kAll) {
    for (const auto& leg : call.legs) {
      if (leg->from_offer_answer) parties.push_back(leg.get());
    }
  } else if (!request_.from_tags.empty()) {
    for (const std::string& tag : request_.from_tags) {
      Leg* leg = call.leg_by_tag(tag);
      if (leg != nullptr && std::ranges::find(parties, leg) == parties.end()) parties.push_back(leg);
    }
  } else {
    const auto party = select_party(call, without_set_label(), true);
    if (!party) return fail(party.error());
    if (*party != nullptr) parties.push_back(*party);
  }
  std::vector<Media*> medias;
  for (Leg* leg : parties) {
    for (const auto& media : leg->medias) {
      if (is_usable(*media)) medias.push_back(media.get());
    }
  }
  if (medias.empty()) return fail(RequestFault::kNoMedias);
  // A subscriber could not read them.
  std::erase_if(medias, [](const Media* media) { return media->passing != Passing::kNo; });
  if (medias.empty()) return fail(RequestFault::kEndToEnd);
  return medias;
}

Request Subscriptions::without_set_label() const {
  // The label of this request is for the subscriber, not for the party that is looked for.
  Request plain;
  plain.label = request_.label;
  plain.address = request_.address;
  plain.from_tag = request_.from_tag;
  return plain;
}

Result<SubscriptionMade, RequestError> Subscriptions::subscribe_request() {
  if (!request_.call_id) return fail(RequestFault::kNoCallId);
  Call* call = services_.calls.find(*request_.call_id);
  if (call == nullptr) return fail(RequestFault::kUnknownCall);
  const auto sources = select_sources(*call);
  if (!sources) return fail(sources.error());

  const bool named = request_.to_tag && !request_.to_tag->empty() &&
                     (!request_.by_rtpp_flags || request_.has_flag(Flag::kToTag));
  const std::string tag = named ? *request_.to_tag : random_hex(kGeneratedId);
  Leg* leg = call->leg_by_tag(tag);
  if (leg != nullptr && leg->from_offer_answer) return fail(RequestFault::kSubscriberInDialogue);
  if (leg == nullptr && call->legs.size() >= kMaxLegs) return fail(RequestFault::kTooManyParties);

  auto wanted = sections_of(*sources, leg);
  if (!wanted) return fail(wanted.error());
  std::vector<Section> sections = std::move(*wanted);
  for (Section& section : sections)
    section.has_ice = section.source != nullptr && section.source->is_rtp() && has_ice_offer(section.media);
  group_offer(sections, leg);
  part_transports(sections);
  for (Section& section : sections) section.shares = may_share_toward(section, leg);
  if (auto ok = open_all(*call, sections); !ok) {
    close_all(*call, sections);
    return fail(ok.error());
  }
  if (leg == nullptr) leg = &services_.calls.add_leg(*call, tag, clock_);
  leg->from_offer_answer = false;
  leg->id_index = CallRegister::id_index(*call, *request_.call_id);
  const std::string& label = !request_.set_label.empty() ? request_.set_label : request_.to_label;
  if (!label.empty()) leg->ensure_extras().label = label;
  leg->keep_ice_lite(request_.ice.is_lite_to_receiver);
  drop_pub_sub(*leg, nullptr);
  drop_way_back(*leg);

  const bool inactive = request_.has_flag(Flag::kInactive);
  const bool both = request_.has_flag(Flag::kBidirectional) && !inactive;
  const sdp::Session* session = nullptr;
  const bool siprec = request_.has_flag(Flag::kSiprec);
  std::vector<Media*> medias;
  SubscriptionMade made;
  made.tag = tag;
  made.tells_medias = siprec;
  keep_bundle(*leg, sections);
  for (Section& section : sections) {
    if (section.sources.empty()) section.media->rejected = true;
    medias.push_back(section.sources.empty() ? section.media : &place(*leg, section));
  }
  join_carriers(medias, sections);
  for (Section& section : sections) {
    if (section.sources.empty()) continue;
    if (session == nullptr) session = section.session;
    Media& media = *section.media;
    section.direction = copied_direction(section.sources, request_);
    offer_transport(media, section);
    if (siprec) media.ensure_extras().label = label_of(media, section);
    media.via->ice_controlling = true;
    take_direction(media, {both, !inactive});
    listen(media, section.sources);
    const Media& first = section.first_source();
    const MediaTerms& terms = first.in_force();
    made.medias.push_back({.tag = first.leg->tag,
                           .party_label = std::string(first.leg->label()),
                           .index = first.index,
                           .type = first.type,
                           .direction = {terms.may_send, terms.may_receive},
                           .label = siprec ? media.extras->label : std::string()});
  }
  // The SDP has name and origin of the first source. Its other session lines are about its own session.
  sdp::Session shown;
  shown.origin = session->origin;
  shown.name = session->name;
  shown.timing = session->timing;
  made.sdp = write(shown, medias, sections, *leg, false, false);
  made.warnings = std::move(warnings_);
  finish(*call, false);
  return made;
}

Result<void, RequestError> Subscriptions::subscribe_answer() {
  if (!request_.call_id) return fail(RequestFault::kNoCallId);
  if (!request_.to_tag) return fail(RequestFault::kNoToTag);
  if (!request_.sdp) return fail(RequestFault::kNoSdp);
  Call* call = services_.calls.find(*request_.call_id);
  if (call == nullptr) return fail(RequestFault::kUnknownCall);
  Leg* leg = call->leg_by_tag(*request_.to_tag);
  if (leg == nullptr || leg->from_offer_answer) return fail(RequestFault::kUnknownToTag);
  sdp::Limits limits;
  limits.keeps_unknown_protocols = call->passthrough_unknown;
  auto answer = sdp::parse(*request_.sdp, limits);
  if (!answer) return fail(RequestFault::kUnreadableSdp);
  const auto groups = read_answered_groups(*answer, *leg);
  const auto failed = [] { return fail(RequestFault::kAnswerDoesNotFit); };

  struct Matched {
    Media* media;
    const sdp::MediaSection* section;
    std::vector<LeftOutPeer> left_out;
  };
  std::vector<Matched> matched;
  for (std::size_t i = 0; i < answer->media.size(); ++i) {
    const sdp::MediaSection& section = answer->media[i];
    const auto by_mid = std::ranges::find_if(leg->medias, [&](const auto& m) {
      return !section.mid.empty() && m->mid == section.mid && m->type == section.type;
    });
    Media* media = by_mid != leg->medias.end() ? by_mid->get()
                   : i < leg->medias.size()    ? leg->medias[i].get()
                                               : nullptr;
    if (media == nullptr || media->type != section.type) return failed();
    if (section.port == 0) {
      matched.push_back({media, &section, {}});
      continue;
    }
    if (const auto served = check_section(section); !served) return fail(served.error());
    auto left_out = check_answer(*media, section);
    if (!left_out) return fail(left_out.error());
    if (!takes_codecs(*media, section, request_.has_flag(Flag::kAllowTranscoding))) return failed();
    matched.push_back({media, &section, std::move(*left_out)});
  }
  const ExtensionRules rules = extension_rules(request_);
  std::vector<Media*> answered;
  for (const Matched& each : matched) answered.push_back(each.media);
  const std::vector<bool> carries = join_answer(*answer, groups, answered);
  for (const bool is_carrier : {true, false}) {
    for (std::size_t i = 0; i < matched.size(); ++i) {
      if (carries[i] == is_carrier)
        take_answer(*matched[i].media, *matched[i].section, std::move(matched[i].left_out), is_carrier);
      if (carries[i] == is_carrier) settle_codecs(*matched[i].media);
    }
  }
  for (auto& [media, section, left_out] : matched) {
    // An answer has nothing that the offer lacked (WEB-9), so without an offer its lines mean nothing.
    if (media->extensions)
      ExtensionSide(*media->extensions, rules).take_answer(sdp::extmaps_of(*answer, *section));
    take_direction(*media, section->direction, {media->may_send, true});
    if (!media->may_send) continue;
    for (const Subscription& s : media->subscriptions) {
      auto& back = s.source->subscriptions;
      const bool known =
          std::ranges::any_of(back, [media = media](const Subscription& b) { return b.source == media; });
      if (!known) back.push_back({media, SubscriptionKind::kPubSub});
    }
  }
  leg->last_sdp = *request_.sdp;
  leg->section_order.clear();
  for (const Matched& each : matched) leg->section_order.push_back(each.media->index);
  finish(*call, false);
  return {};
}

Result<void, RequestError> Subscriptions::unsubscribe() {
  if (!request_.call_id) return fail(RequestFault::kNoCallId);
  if (!request_.to_tag) return fail(RequestFault::kNoToTag);
  Call* call = services_.calls.find(*request_.call_id);
  if (call == nullptr) return fail(RequestFault::kUnknownCall);
  Leg* leg = call->leg_by_tag(*request_.to_tag);
  if (leg == nullptr || !hears_by_pub_sub(*leg)) return fail(RequestFault::kUnknownToTag);
  Leg* source = nullptr;
  if (request_.has_flag(Flag::kDirectional) && request_.from_tag) {
    source = call->leg_by_tag(*request_.from_tag);
    if (source == nullptr) return fail(RequestFault::kUnknownFromTag);
  }
  drop_pub_sub(*leg, source);
  // A party of a dialogue, of `publish` or of `create` stays. With `directional` one direction of one flow
  // ends, and nothing else.
  const bool was_made_to_listen = is_subscriber(*leg);
  if (was_made_to_listen && source == nullptr) drop_way_back(*leg);
  if (was_made_to_listen && !hears_by_pub_sub(*leg) && !is_heard(*leg))
    services_.lifetime.end_leg(*call, *leg);
  call->touched = clock_.now;
  services_.plans.sync(*call);
  return {};
}

}  // namespace ferry
