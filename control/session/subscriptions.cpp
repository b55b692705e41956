#include "control/session/subscriptions.hpp"

#include "control/session/media_control.hpp"
#include "control/session/media_rules.hpp"
#include "control/session/recordings.hpp"
#include "relay/base/random.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace ferry {

namespace {

/// Codecs that a publisher may be told to send: those this relay will be able to decode.
bool is_supported(const sdp::Codec& codec) {
  static constexpr std::array<std::string_view, 9> kNames = {"opus", "G722", "PCMA",  "PCMU", "G729",
                                                             "G723", "GSM",  "speex", "L16"};
  return std::ranges::any_of(
      kNames, [&](std::string_view name) { return sdp::equal_ignoring_case(name, codec.name); });
}

/// Codecs of the answer to a publisher: the first supported, or by the list `codec accept` (NG section 18).
std::vector<sdp::Codec> accepted_codecs(const std::vector<sdp::Codec>& offered,
                                        const std::vector<std::string>& accept) {
  const auto says = [&](std::string_view word) {
    return std::ranges::any_of(accept,
                               [&](const std::string& a) { return sdp::equal_ignoring_case(a, word); });
  };
  const bool any = says("any");
  const bool all = says("all");
  std::vector<sdp::Codec> chosen;
  if (all) {
    std::ranges::copy_if(offered, std::back_inserter(chosen), [&](const sdp::Codec& codec) {
      return is_supplemental(codec) || any || is_supported(codec);
    });
    return chosen;
  }
  const auto first = [&](auto wanted) {
    const auto found =
        std::ranges::find_if(offered, [&](const sdp::Codec& c) { return !is_supplemental(c) && wanted(c); });
    if (chosen.empty() && found != offered.end()) chosen.push_back(*found);
  };
  for (const std::string& specification : accept) {
    first([&](const sdp::Codec& codec) { return sdp::matches_specification(specification, codec); });
  }
  first([&](const sdp::Codec& codec) { return any || is_supported(codec); });
  first([](const sdp::Codec&) { return true; });  // better passed on than refused
  if (chosen.empty()) return offered;
  for (const sdp::Codec& codec : offered) {
    if (is_supplemental(codec) && codec.clock_rate_hz == chosen.front().clock_rate_hz)
      chosen.push_back(codec);
  }
  return chosen;
}

/// It has said what it sends, and goes on doing so.
bool is_usable(const Media& media) {
  if (media.leg->last_sdp.empty() || media.leg->delete_at) return false;
  const MediaTerms& terms = media.in_force();
  return media.interface != nullptr && !terms.hidden && !terms.rejected && !media.untouched;
}

/// `subscribe request` made it.
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

/// Another party receives its media.
bool is_heard(const Leg& leg) {
  return std::ranges::any_of(leg.call->legs, [&](const auto& other) {
    return other.get() != &leg && std::ranges::any_of(other->medias, [&](const auto& media) {
             return std::ranges::any_of(media->subscriptions, [&](const Subscription& s) {
               return s.source->leg == &leg && !s.rtcp_only;
             });
           });
  });
}

/// Ends what `subscriber` hears by pub/sub, of `only_source` or of everybody (null). RTCP that mirrors a flow
/// ends with it.
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

}  // namespace

Result<Call*, RequestError> Subscriptions::call_or_new(bool& is_new) {
  const std::string id = request_.call_id.value_or(random_hex(kGeneratedId));
  Call* call = manager_.find(id);
  is_new = call == nullptr;
  if (!is_new) return call;
  // No limit of sessions holds here (NG section 6), but what memory is left belongs to the running calls.
  if (manager_.listener_.memory_is_short && manager_.listener_.memory_is_short())
    return fail(error(RefusalReason::kMemoryLimit, std::string(kLimitText)));
  return &manager_.create(id, clock_);
}

void Subscriptions::finish(Call& call, bool is_new) {
  call.touched = clock_.now;
  manager_.sync_plans(call);
  if (is_new) {
    ++manager_.totals_.managed;
    call.scheduled_at = Instant::max();
  }
  if (const Instant at = manager_.due(call).at; at < call.scheduled_at)
    manager_.schedule(call, at, clock_.now);
}

const LogicalInterface* Subscriptions::choose_interface(const LogicalInterface* otherwise) const {
  if (!request_.interface.empty()) {
    if (const auto* found = manager_.interfaces_.find(request_.interface)) return found;
  }
  if (request_.inbound_peer) {
    if (const auto* found = manager_.interfaces_.toward(*request_.inbound_peer)) return found;
  }
  return otherwise != nullptr ? otherwise : manager_.interfaces_.default_interface();
}

Result<void, RequestError> Subscriptions::open_all(Call& call, std::vector<Section>& sections) {
  for (Section& section : sections) {
    if (section.interface == nullptr) continue;  // goes out with port 0
    const LocalAddress* local = section.interface->address_of(section.family);
    if (section.media != nullptr) {
      const auto& ports = section.media->ports;
      const auto known =
          std::ranges::find_if(ports, [&](const PortSet& p) { return !p.closed && p.local == local; });
      if (known != ports.end()) {
        section.known = static_cast<std::size_t>(known - ports.begin());
        continue;
      }
    }
    const auto refusal = [&](PortFailure failure) {
      return fail(refusal_of(failure, request_.supports_load_limit));
    };
    if (local == nullptr) return refusal(manager_.note_port_failure(PortFailure::kNoFamily, clock_.now));
    auto opened = manager_.open_ports(call, *local, clock_.now);
    if (!opened) return refusal(opened.error());
    section.opened = std::move(*opened);
  }
  return {};
}

void Subscriptions::close_all(Call& call, std::vector<Section>& sections) {
  for (Section& section : sections) {
    if (section.opened) manager_.close_ports(call, *section.opened);
  }
}

Media& Subscriptions::place(Leg& leg, Section& section) {
  if (section.media == nullptr)
    section.media = &manager_.add_media(leg, static_cast<unsigned>(leg.medias.size()) + 1, section.type);
  Media& media = *section.media;
  media.type = section.type;
  media.protocol = section.protocol;
  media.interface = section.interface;
  media.family = section.family;
  media.is_video = section.type == "video";
  media.rejected = false;
  media.rules.policy = call_policy(leg);
  media.payloads = payload_entries(section.codecs);
  media.shown.reset();
  for (const PayloadEntry& entry : media.payloads) media.shown.set(entry.type.value);
  if (section.source != nullptr) {
    media.kind = transport_kind(*section.source);
    media.rate = rate_limit(*section.source, section.codecs);
  }
  if (section.opened) {
    media.ports.push_back(std::move(*section.opened));
    section.opened.reset();
    media.active = media.sending = media.ports.size() - 1;
  } else if (section.known) {
    media.active = media.sending = *section.known;
  }
  const bool require = has(request_.rtcp_mux, RtcpMux::kRequire);
  media.mux_offered_to_peer = require || has(request_.rtcp_mux, RtcpMux::kOffer);
  media.mux_used = require;
  return media;
}

LatchPolicy Subscriptions::call_policy(const Leg& leg) const {
  return request_.latch.value_or(leg.call->latch.value_or(manager_.config_.latch));
}

Endpoint Subscriptions::remote_of(const sdp::MediaSection& section) const {
  Endpoint remote{section.connection.value_or(IpAddress::unspecified(AddressFamily::kIpv4)),
                  UdpPort{section.port}};
  if (request_.has_flag(Flag::kSipSourceAddress) && request_.received_from &&
      !remote.address.is_unspecified())
    remote.address = *request_.received_from;
  return remote;
}

Result<void, RequestError> Subscriptions::check_peer(const sdp::MediaSection& section,
                                                     const LocalAddress* local) const {
  if (section.port == 0 || local == nullptr) return {};
  const auto left_out =
      manager_.guard_.admit(named_peer(section, remote_of(section), false, local->advertised), *local);
  if (!left_out) return fail(denied_error("The SDP", left_out.error()));
  return {};
}

void Subscriptions::read_answer(Media& media, const sdp::MediaSection& section) {
  media.mid = section.mid;
  media.rejected = section.port == 0;
  media.reduced_size_rtcp = section.rtcp_reduced_size;
  if (media.rejected || !section.connection) return;
  const Endpoint remote = remote_of(section);
  if (!remote.address.is_unspecified()) {
    media.remote_rtp = remote;
    media.remote_rtcp = rtcp_of(section, remote);
    media.remote_known = true;
  }
  media.mux_offered_by_peer = section.rtcp_mux;
  media.answered = true;
  if (request_.received_from) media.leg->received_from = *request_.received_from;
}

void Subscriptions::offer_crypto(Media& media) {
  if (media.kind != TransportKind::kRtp) return;
  const bool is_secure = sdp::parse_protocol(media.protocol).secure;
  if (!is_secure && !request_.osrtp.offer) return;
  MediaKeys& keys = media.made_keys();
  keys.offered_to_peer = !is_secure;
  ferry::offer_keys(keys, {}, request_.sdes.policy, {manager_.config_.srtp.legacy_suites, false});
  const auto identity = manager_.dtls_identity(clock_.now);
  if (identity && !request_.dtls.off) offer_dtls(media.made_dtls(), request_.dtls, identity);
}

Result<void, RequestError> Subscriptions::check_crypto(const Media& media,
                                                       const sdp::MediaSection& answer) const {
  if (takes_dtls(media.dtls.get(), answer, request_, manager_.config_.dtls)) return {};
  return check_answer(answer, sdp::parse_protocol(media.protocol).secure, media.keys.get(),
                      manager_.config_.srtp);
}

void Subscriptions::take_crypto(Media& media, const sdp::MediaSection& answer) {
  if (answer.port == 0 || media.kind != TransportKind::kRtp) return;
  media.protocol = answer.protocol.text;
  if (takes_dtls(media.dtls.get(), answer, request_, manager_.config_.dtls)) {
    take_dtls_answer(*media.dtls, sdp::read_dtls(answer));
    forget_agreement(media.made_keys());
  } else {
    if (media.dtls) forget_dtls(*media.dtls);
    if (media.keys || answer.protocol.secure) take_answer(media.made_keys(), answer, 0);
  }
  media.settle_encryption();
}

void Subscriptions::answer_crypto(Media& media, const sdp::MediaSection& offer) {
  if (offer.port == 0 || media.kind != TransportKind::kRtp) return;
  auto lines = usable_crypto(offer);
  auto description = sdp::read_dtls(offer);
  const bool prefers_lines = request_.sdes.is_preferred && !lines.empty();
  const bool by_dtls = is_usable(description, manager_.config_.dtls) && !request_.dtls.off && !prefers_lines;
  if (by_dtls) {
    note_dtls_offer(media.made_dtls(), std::move(description), request_.dtls);
    answer_dtls(*media.dtls, request_.dtls, manager_.config_.dtls, manager_.dtls_identity(clock_.now));
    forget_agreement(media.made_keys());
  } else if (offer.protocol.secure || !lines.empty() || media.keys) {
    MediaKeys& keys = media.made_keys();
    keys.theirs = std::move(lines);
    answer_offerer(keys, nullptr, request_.sdes);
  }
  if (!by_dtls && media.dtls) forget_dtls(*media.dtls);
  media.settle_encryption();
}

std::string Subscriptions::write(const sdp::Session& session, const std::vector<Media*>& medias,
                                 const std::vector<Section>& sections, Leg& leg, bool own_origin) {
  sdp::SessionEdit edit;
  edit.origin = session.origin;
  edit.name = session.name;
  const auto text = [&](std::string value) -> std::string_view {
    texts_.push_back(std::move(value));
    return texts_.back();
  };
  for (std::size_t i = 0; i < medias.size(); ++i) {
    const Media& media = *medias[i];
    sdp::SectionEdit& section = edit.sections.emplace_back();
    section.source = sections[i].source;
    section.type = media.type;
    section.protocol_text = media.protocol;
    const PortSet* ports = media.active_ports();
    section.connection = ports != nullptr ? ports->local->advertised : IpAddress::unspecified(media.family);
    section.protocol = sdp::parse_protocol(media.protocol);
    section.mid = media.mid;
    if (section.mid.empty() && request_.has_flag(Flag::kGenerateMid))
      section.mid = text(std::to_string(media.index));
    if (media.extras) section.label = media.extras->label;
    if (media.rejected || ports == nullptr) {
      for (const PayloadEntry& entry : media.payloads)
        section.formats.push_back(std::to_string(entry.type.value));
      if (section.formats.empty()) section.formats.emplace_back("0");
      continue;
    }
    section.port = ports->port.value;
    if (request_.media_address) section.connection = *request_.media_address;
    section.codecs = sections[i].codecs;
    section.direction = sections[i].direction;
    section.print_direction = section.source->is_rtp();
    if (!section.source->is_rtp()) continue;
    if (!request_.has_flag(Flag::kNoRtcpAttribute)) {
      section.rtcp_port =
          static_cast<std::uint16_t>(media.mux_used ? ports->port.value : ports->port.value + 1);
      section.rtcp_full_form = request_.has_flag(Flag::kFullRtcpAttribute);
    }
    section.rtcp_mux = media.mux_used || media.mux_offered_to_peer;
    if (media.keys) {
      // What was never offered to the party is answered.
      for (const sdp::CryptoLine& line : media.keys->shown)
        section.crypto.push_back(sdp::write_crypto(line, request_.sdes.style));
      if (media.keys->shown.empty() && media.keys->out)
        section.crypto.push_back(sdp::write_crypto(*media.keys->out, request_.sdes.style));
    }
    if (media.dtls) section.dtls = dtls_lines(*media.dtls, !media.dtls->offered_to_peer);
    section.ptime = section.source->ptime;
    section.maxptime = section.source->maxptime;
    if (sections[i].sources.empty()) continue;
    const auto lines = sdp::extmaps_of(session, *section.source);
    if (lines.empty()) continue;
    ExtensionRules rules;
    rules.strip = request_.extmap_strip;
    rules.mask = request_.extmap_mask;
    for (std::string& line : show_extensions(sections[i].sources.front()->extensions.get(),
                                             medias[i]->made_extensions(), lines, rules))
      section.extmaps.push_back(text(std::move(line)));
  }
  if (own_origin || has(request_.replaces, Replace::kOrigin)) {
    const IpAddress& address = edit.sections.front().connection;
    edit.origin.address = text(address.to_string());
    edit.origin.address_type = address.is_v6() ? "IP6" : "IP4";
  }
  if (own_origin) {
    edit.origin.username = "-";
    edit.origin.session_id = edit.origin.version = text(std::to_string(random_u64() >> 2));
    edit.name = manager_.config_.software_name;
  }
  if (request_.has_flag(Flag::kLoopProtect)) edit.extra_attributes.push_back(manager_.loop_mark());
  const auto body = [&] {
    std::string printed = sdp::write(session, edit);
    return request_.sdp_attr.empty() ? printed : sdp::apply(request_.sdp_attr, printed);
  };
  sdp::Origin origin = edit.origin;
  edit.origin.session_id = edit.origin.version = "0";
  edit.origin.address = "0";
  edit.origin = keep_origin(leg, origin, body());
  return body();
}

Result<Dict, RequestError> Subscriptions::publish() {
  if (!request_.sdp) return fail(error(RefusalReason::kMessage, "No SDP body in message"));
  sdp::Limits limits;
  limits.keeps_unknown_protocols = request_.passthrough_unknown.value_or(false);
  auto parsed = sdp::parse(*request_.sdp, limits);
  if (!parsed) return fail(error(RefusalReason::kSdp, "Failed to parse SDP"));
  parsed_.push_back(std::move(*parsed));
  const sdp::Session& offer = parsed_.back();
  for (const sdp::MediaSection& section : offer.media) {
    if (const auto served = check_section(section); !served) return fail(served.error());
  }
  bool is_new = false;
  const auto found = call_or_new(is_new);
  if (!found) return fail(found.error());
  Call* call = *found;
  const std::string tag = request_.from_tag.value_or(random_hex(kGeneratedId));
  Leg* leg = call->leg_by_tag(tag);
  const auto give_up = [&](RequestError why) -> Result<Dict, RequestError> {
    if (is_new) manager_.forget(*call);
    return fail(std::move(why));
  };
  if (leg != nullptr && leg->from_offer_answer)
    return give_up(error(RefusalReason::kNameTaken, "Invalid dialogue association"));
  if (leg == nullptr && call->legs.size() >= kMaxLegs)
    return give_up(error(RefusalReason::kParties, "Too many parties in this call"));

  // The answer says nothing of the publisher's own attributes.
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
    const auto admitted = check_peer(offered, section.interface->address_of(section.family));
    if (!admitted) return give_up(admitted.error());
  }
  if (!usable) return give_up(error(RefusalReason::kSdp, "Failed to create SDP"));
  if (const auto opened = open_all(*call, sections); !opened) {
    close_all(*call, sections);
    return give_up(because("Failed to create SDP", opened.error()));
  }
  if (leg == nullptr) leg = &manager_.add_leg(*call, tag, clock_);
  leg->from_offer_answer = false;
  leg->id_index = manager_.id_index(*call, call->id);
  leg->delete_at.reset();
  call->delete_at.reset();  // signalling of a party revives (NG section 13)
  if (call->extras) call->extras->at_deletion.reset();
  leg->last_sdp = *request_.sdp;
  if (request_.passthrough_unknown) call->passthrough_unknown = *request_.passthrough_unknown;
  leg->section_order.clear();
  if (!request_.label.empty()) leg->made_extras().label = request_.label;
  if (!request_.metadata.empty()) leg->made_extras().metadata = request_.metadata;
  const bool both = request_.has_flag(Flag::kBidirectional);
  std::vector<Media*> medias;
  for (std::size_t i = 0; i < sections.size(); ++i) {
    const sdp::MediaSection& offered = offer.media[i];
    Media& media = place(*leg, sections[i]);
    leg->section_order.push_back(media.index);
    read_answer(media, offered);
    answer_crypto(media, offered);
    // An answer without extensions accepts none.
    if (const auto lines = sdp::extmaps_of(offer, offered); !lines.empty() || media.extensions)
      settle_extensions(media.made_extensions(), lines);
    media.may_send = offered.direction.send;
    media.may_receive = both && offered.direction.receive;
    media.mux_used = media.mux_offered_to_peer =
        offered.rtcp_mux && !has(request_.rtcp_mux, RtcpMux::kReject);
    medias.push_back(&media);
  }
  call->last_signal = clock_.now;
  call->last_signal_unix =
      std::chrono::duration_cast<std::chrono::seconds>(clock_.wall.time_since_epoch()).count();
  sdp::Session own;
  Dict reply;
  reply.set("call-id", call->id);
  reply.set("from-tag", tag);
  reply.set("sdp", write(own, medias, sections, *leg, true));
  Recordings(manager_).read_message(*call, *leg, request_);
  finish(*call, is_new);
  Recordings(manager_).note_message(*call, *leg, "publish", *request_.sdp, reply);
  return reply;
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
  if (medias.empty())
    return fail(error(RefusalReason::kUnknownParty, "No medias found (no monologues matched)"));
  return medias;
}

Request Subscriptions::without_set_label() const {
  // Here the label is for the subscriber, not for the party that is looked for.
  Request plain;
  plain.label = request_.label;
  plain.address = request_.address;
  plain.from_tag = request_.from_tag;
  return plain;
}

Result<Dict, RequestError> Subscriptions::subscribe_request() {
  if (!request_.call_id) return fail(error(RefusalReason::kMessage, "No call-id in message"));
  Call* call = manager_.find(*request_.call_id);
  if (call == nullptr) return fail(error(RefusalReason::kUnknownCall, "Unknown call-ID(s)"));
  const auto sources = select_sources(*call);
  if (!sources) return fail(sources.error());

  const bool named = request_.to_tag && !request_.to_tag->empty() &&
                     (!request_.by_rtpp_flags || request_.has_flag(Flag::kToTag));
  const std::string tag = named ? *request_.to_tag : random_hex(kGeneratedId);
  Leg* leg = call->leg_by_tag(tag);
  if (leg != nullptr && leg->from_offer_answer) return fail(error("Failed to request subscription"));
  if (leg == nullptr && call->legs.size() >= kMaxLegs)
    return fail(error(RefusalReason::kParties, "Too many parties in this call"));

  std::vector<Section> sections;
  const bool mix = request_.has_flag(Flag::kMix);
  for (Media* source : *sources) {
    if (source->leg == leg) return fail(error("Failed to request subscription"));
    if (mix) {
      const auto same = std::ranges::find(sections, source->type, &Section::type);
      if (same != sections.end()) {
        same->sources.push_back(source);
        continue;
      }
    }
    Section section;
    section.sources.push_back(source);
    section.type = source->type;
    if (!read_source(*source, section)) return fail(error("Failed to request subscription"));
    section.interface = choose_interface(source->interface);
    section.family =
        request_.address_family != AddressFamily::kNone ? request_.address_family : source->family;
    sections.push_back(std::move(section));
  }
  if (leg != nullptr) sections = in_order(std::move(sections), *leg);
  if (auto ok = open_all(*call, sections); !ok) {
    close_all(*call, sections);
    return fail(ok.error());
  }
  if (leg == nullptr) leg = &manager_.add_leg(*call, tag, clock_);
  leg->from_offer_answer = false;
  leg->id_index = manager_.id_index(*call, *request_.call_id);
  const std::string& label = !request_.set_label.empty() ? request_.set_label : request_.to_label;
  if (!label.empty()) leg->made_extras().label = label;
  drop_pub_sub(*leg, nullptr);
  drop_way_back(*leg);

  const bool inactive = request_.has_flag(Flag::kInactive);
  const bool both = request_.has_flag(Flag::kBidirectional) && !inactive;
  const sdp::Session* session = nullptr;
  const bool siprec = request_.has_flag(Flag::kSiprec);
  std::vector<Media*> medias;
  List from_tags;
  List tag_medias;
  Dict media_labels;
  for (Section& section : sections) {
    if (section.sources.empty()) {
      section.media->rejected = true;
      medias.push_back(section.media);
      continue;
    }
    if (session == nullptr) session = section.session;
    Media& media = place(*leg, section);
    section.direction = offered_direction(section);
    offer_crypto(media);
    auto& copies = media.made_extras().copies;
    if (siprec) media.extras->label = label_of(media, section);
    copies.clear();
    for (const Media* source : section.sources) copies.push_back(source->id);
    media.ice_controlling = true;
    media.may_receive = !inactive;
    media.may_send = both;
    for (Media* source : section.sources) {
      Subscription subscription{source, SubscriptionKind::kPubSub};
      subscription.egress = request_.has_flag(Flag::kEgress);
      media.subscriptions.push_back(subscription);
      if (request_.has_flag(Flag::kRtcpMirror)) {
        Subscription back{&media, SubscriptionKind::kPubSub};
        back.rtcp_only = true;
        source->subscriptions.push_back(back);
      }
    }
    const Media& first = *section.sources.front();
    from_tags.emplace_back(first.leg->tag);
    if (siprec) {
      const MediaTerms& terms = first.in_force();
      const std::string mode(to_string(sdp::Direction{terms.may_send, terms.may_receive}));
      Dict one;
      one.set("index", std::int64_t{first.index});
      one.set("type", first.type);
      one.set("label", media.extras->label);
      one.set("mode", mode);
      Dict party;
      party.set("tag", first.leg->tag);
      if (!first.leg->label().empty()) party.set("label", first.leg->label());
      party.set("medias", List{Value(one)});
      tag_medias.emplace_back(std::move(party));
      Dict labelled;
      labelled.set("tag", first.leg->tag);
      labelled.set("index", std::int64_t{first.index});
      labelled.set("type", first.type);
      if (!first.leg->label().empty()) labelled.set("label", first.leg->label());
      labelled.set("mode", mode);
      media_labels.set(media.extras->label, std::move(labelled));
    }
    medias.push_back(&media);
  }
  // Name and origin of the first source; whatever else its session level says is about its own session.
  sdp::Session shown;
  shown.origin = session->origin;
  shown.name = session->name;
  shown.timing = session->timing;
  Dict reply;
  reply.set("sdp", write(shown, medias, sections, *leg, false));
  if (siprec) {
    reply.set("tag-medias", std::move(tag_medias));
    reply.set("media-labels", std::move(media_labels));
  }
  if (from_tags.size() == 1) reply.set("from-tag", from_tags.front());
  reply.set("from-tags", std::move(from_tags));
  reply.set("to-tag", tag);
  finish(*call, false);
  return reply;
}

Result<Dict, RequestError> Subscriptions::subscribe_answer() {
  if (!request_.call_id) return fail(error(RefusalReason::kMessage, "No call-id in message"));
  if (!request_.to_tag) return fail(error(RefusalReason::kMessage, "No to-tag in message"));
  if (!request_.sdp) return fail(error(RefusalReason::kMessage, "No SDP body in message"));
  Call* call = manager_.find(*request_.call_id);
  if (call == nullptr) return fail(error(RefusalReason::kUnknownCall, "Unknown call-ID"));
  Leg* leg = call->leg_by_tag(*request_.to_tag);
  if (leg == nullptr || leg->from_offer_answer)
    return fail(error(RefusalReason::kUnknownParty, "To-tag not found"));
  sdp::Limits limits;
  limits.keeps_unknown_protocols = call->passthrough_unknown;
  const auto answer = sdp::parse(*request_.sdp, limits);
  if (!answer) return fail(error(RefusalReason::kSdp, "Failed to parse SDP"));
  const auto failed = [] { return fail(error("Failed to process subscription answer")); };

  std::vector<std::pair<Media*, const sdp::MediaSection*>> matched;
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
      matched.emplace_back(media, &section);
      continue;
    }
    if (const auto served = check_section(section); !served) return fail(served.error());
    if (const auto admitted = check_peer(section, media->local()); !admitted) return fail(admitted.error());
    if (const auto keyed = check_crypto(*media, section); !keyed) return fail(keyed.error());
    // Events and comfort noise may go, codecs only with `allow-transcoding`, and one must be left: nothing
    // here makes one codec out of another.
    std::size_t kept = 0;
    for (const PayloadEntry& offered : media->payloads) {
      const bool taken = std::ranges::any_of(
          section.codecs, [&](const sdp::Codec& c) { return c.payload_type == offered.type.value; });
      if (taken) {
        ++kept;
      } else if (!offered.is_event && offered.type.value != 13 &&
                 !request_.has_flag(Flag::kAllowTranscoding)) {
        return failed();
      }
    }
    if (section.is_rtp() && kept == 0 && !media->payloads.empty()) return failed();
    matched.emplace_back(media, &section);
  }
  for (auto& [media, section] : matched) {
    read_answer(*media, *section);
    take_crypto(*media, *section);
    if (media->extensions) settle_extensions(*media->extensions, sdp::extmaps_of(*answer, *section));
    media->may_receive = section->direction.receive;
    media->may_send = media->may_send && section->direction.send;
    media->mux_used = media->mux_offered_to_peer && section->rtcp_mux;
    media->mux_offered_to_peer = media->mux_used;
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
  for (const auto& [media, section] : matched) leg->section_order.push_back(media->index);
  finish(*call, false);
  return Dict{};
}

Result<Dict, RequestError> Subscriptions::unsubscribe() {
  if (!request_.call_id) return fail(error(RefusalReason::kMessage, "No call-id in message"));
  if (!request_.to_tag) return fail(error(RefusalReason::kMessage, "No to-tag in message"));
  Call* call = manager_.find(*request_.call_id);
  if (call == nullptr) return fail(error(RefusalReason::kUnknownCall, "Unknown call-ID"));
  Leg* leg = call->leg_by_tag(*request_.to_tag);
  if (leg == nullptr || !hears_by_pub_sub(*leg))
    return fail(error(RefusalReason::kUnknownParty, "To-tag not found"));
  Leg* source = nullptr;
  if (request_.has_flag(Flag::kDirectional) && request_.from_tag) {
    source = call->leg_by_tag(*request_.from_tag);
    if (source == nullptr) return fail(error(RefusalReason::kUnknownParty, "From-tag not found"));
  }
  drop_pub_sub(*leg, source);
  // A party that came by a dialogue, `publish` or `create` stays. With `directional` one direction of one
  // flow ends and nothing else.
  const bool was_made_to_listen = is_subscriber(*leg);
  if (was_made_to_listen && source == nullptr) drop_way_back(*leg);
  if (was_made_to_listen && !hears_by_pub_sub(*leg) && !is_heard(*leg)) manager_.destroy_leg(*call, *leg);
  call->touched = clock_.now;
  manager_.sync_plans(*call);
  return Dict{};
}

}  // namespace ferry
