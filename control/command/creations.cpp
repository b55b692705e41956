// SPDX-License-Identifier: Apache-2.0
// Parties that the relay makes itself: `create`, `create answer`, `transform` (docs/reference/ng.md#create).
//
// `create` makes an SDP out of types and codecs that the client names, opens ports for it, and offers it. A
// second `create` for the same party offers again in its dialogue, so its sections keep their places.
// `transform` has no SDP: streams come in at a port of the relay and leave it again toward the destination,
// in the codecs that the client names.
//
// Trap: names of types and codecs become text of an SDP. `is_known_media_type` and `named_section` let only
// harmless names pass.

#include "control/call/conversions.hpp"
#include "control/call/media_rules.hpp"
#include "control/call/session_config.hpp"
#include "control/command/forwarding.hpp"
#include "control/command/media_control.hpp"
#include "control/command/subscriptions.hpp"
#include "control/negotiate/codecs.hpp"
#include "control/negotiate/directions.hpp"
#include "control/negotiate/extensions.hpp"
#include "control/negotiate/named_codecs.hpp"
#include "control/session/call_register.hpp"
#include "control/session/lifetime.hpp"
#include "relay/base/random.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace ferry {

namespace {

/// True if the build can make each input of the stream into its output.
bool can_transform(const WishedStream& stream, const CodecCatalogue& catalogue) {
  return std::ranges::all_of(stream.codecs, [&](const WishedStream::Pair& pair) {
    const AudioFormat& input = pair.input.format;
    const AudioFormat& output = pair.output.format;
    return passes_as(input, output) || kind_of(output) != AudioInput::Kind::kSpeech ||
           (catalogue.decodes(input) && catalogue.encodes(output));
  });
}

/// Notes what comes in and what the destination gets, as if an SDP of each had said it.
void name_codecs(Media& media, const WishedStream& stream) {
  std::vector<NumberedFormat> inputs;
  std::vector<NumberedFormat> outputs;
  const auto add = [](std::vector<NumberedFormat>& list, const WishedCodec& codec) {
    if (std::ranges::find(list, codec.type, &NumberedFormat::type) == list.end())
      list.push_back({codec.type, codec.format});
  };
  for (const WishedStream::Pair& pair : stream.codecs) {
    add(inputs, pair.input);
    add(outputs, pair.output);
  }
  media.shown_codecs = CodecList(inputs);
  media.said_codecs = CodecList(outputs);
  for (const NumberedFormat& each : inputs) {
    media.payloads.push_back(payload_entry(each));
    media.shown.set(each.type.value);
  }
}

}  // namespace

Result<PartyMade, RequestError> Subscriptions::create() {
  std::vector<WishedSection> wanted = request_.sections.members;
  const auto is_served = [](const WishedSection& one) { return sdp::is_known_media_type(one.type); };
  if (!std::ranges::all_of(wanted, is_served)) return fail(RequestFault::kUnservedMediaType);
  if (request_.sections.fault) return fail(*request_.sections.fault);
  if (wanted.empty()) wanted.push_back({"audio", request_.codecs.offer});
  if (wanted.size() > 32) return fail(RequestFault::kTooManySections);

  std::vector<Section> sections;
  for (const WishedSection& one : wanted) {
    const sdp::MediaSection& section = bare_.emplace_back(named_section(one.type, one.codecs, texts_));
    Section& each = sections.emplace_back();
    each.source = &section;
    each.type = section.type;
    const sdp::Protocol wished = sdp::parse_protocol(request_.transport_protocol);
    each.protocol = wished.kind == sdp::ProtocolClass::kRtp ? wished.text : std::string_view("RTP/AVP");
    each.codecs = section.codecs;
    each.interface = choose_interface(nullptr);
    each.family = request_.address_family != AddressFamily::kNone               ? request_.address_family
                  : each.interface->address_of(AddressFamily::kIpv4) != nullptr ? AddressFamily::kIpv4
                                                                                : AddressFamily::kIpv6;
  }
  bool is_new = false;
  const auto found = call_or_new(is_new);
  if (!found) return fail(found.error());
  Call* call = *found;
  const auto give_up = [&](RequestError why) -> Result<PartyMade, RequestError> {
    if (is_new) services_.lifetime.forget(*call);
    return fail(std::move(why));
  };
  const std::string tag = request_.from_tag.value_or(random_hex(kGeneratedId));
  Leg* leg = call->leg_by_tag(tag);
  // `create` offers again to a party that it made before. A party of another command has a dialogue of its
  // own.
  const bool is_foreign = leg != nullptr && !(leg->extras && leg->extras->by_create);
  if (is_foreign || (leg == nullptr && call->legs.size() >= kMaxLegs))
    return give_up(is_foreign ? RequestFault::kTagTaken : RequestFault::kTooManyParties);
  if (leg != nullptr) {
    // Sections stay where they are; those that are not wanted any more get port 0 (RFC 3264 section 8).
    sections.resize(std::max(sections.size(), leg->medias.size()));
    for (std::size_t i = 0; i < leg->medias.size(); ++i) sections[i].media = leg->medias[i].get();
  }
  for (Section& section : sections)
    section.has_ice = section.interface != nullptr && has_ice_offer(section.media);
  group_offer(sections, leg);
  for (Section& section : sections) section.shares = may_share_toward(section, leg);
  if (const auto opened = open_all(*call, sections); !opened) {
    close_all(*call, sections);
    return give_up(because(RequestFault::kNoSectionOpened, opened.error()));
  }
  if (leg == nullptr) leg = &services_.calls.add_leg(*call, tag, clock_);
  leg->from_offer_answer = false;
  leg->ensure_extras().by_create = true;
  leg->id_index = CallRegister::id_index(*call, call->id);
  leg->delete_at.reset();
  call->delete_at.reset();  // signalling of a party revives (docs/reference/ng.md#delete)
  if (!request_.label.empty()) leg->ensure_extras().label = request_.label;
  leg->keep_ice_lite(request_.ice.is_lite_to_receiver);
  leg->section_order.clear();
  keep_bundle(*leg, sections);
  std::vector<Media*> medias;
  for (Section& section : sections) {
    if (section.interface == nullptr) section.media->rejected = true;
    medias.push_back(section.interface == nullptr ? section.media : &place(*leg, section));
  }
  join_carriers(medias, sections);
  for (std::size_t i = 0; i < medias.size(); ++i) {
    if (sections[i].interface != nullptr) offer_transport(*medias[i], sections[i]);
    leg->section_order.push_back(medias[i]->index);
  }
  sdp::Session own;
  PartyMade party{call->id, tag, write(own, medias, sections, *leg, true, false), {}};
  finish(*call, is_new);
  return party;
}

Result<void, RequestError> Subscriptions::create_answer() {
  if (!request_.sdp) return fail(RequestFault::kNoSdp);
  if (!request_.call_id) return fail(RequestFault::kNoCallId);
  if (!request_.from_tag) return fail(RequestFault::kNoFromTag);
  Call* call = services_.calls.find(*request_.call_id);
  if (call == nullptr) return fail(RequestFault::kUnknownCall);
  Leg* leg = call->leg_by_tag(*request_.from_tag);
  if (leg == nullptr) return fail(RequestFault::kUnknownFromTag);
  if (leg->from_offer_answer) return fail(RequestFault::kPartyInDialogue);
  auto answer = sdp::parse(*request_.sdp);
  if (!answer) return fail(RequestFault::kUnreadableSdp);
  const auto groups = read_answered_groups(*answer, *leg);
  std::vector<std::vector<LeftOutPeer>> left_out;
  for (std::size_t i = 0; i < answer->media.size(); ++i) {
    const sdp::MediaSection& section = answer->media[i];
    if (const auto served = check_section(section); !served) return fail(served.error());
    if (i >= leg->medias.size()) continue;
    auto checked = check_answer(*leg->medias[i], section);
    if (!checked) return fail(checked.error());
    left_out.push_back(std::move(*checked));
  }
  // An answer without sections says nothing new: a party repeats itself.
  if (answer->media.empty()) return {};
  std::vector<Media*> answered;
  for (std::size_t i = 0; i < leg->medias.size(); ++i) {
    if (i < answer->media.size())
      answered.push_back(leg->medias[i].get());
    else
      leg->medias[i]->rejected = true;
  }
  const std::vector<bool> carries = join_answer(*answer, groups, answered);
  for (const bool is_carrier : {true, false}) {
    for (std::size_t i = 0; i < answered.size(); ++i) {
      if (carries[i] != is_carrier) continue;
      const sdp::MediaSection& section = answer->media[i];
      take_answer(*answered[i], section, std::move(left_out[i]), is_carrier);
      settle_codecs(*answered[i]);
      take_direction(*answered[i], section.direction);
    }
  }
  if (const ExtensionRules rules = extension_rules(request_); leg->has_bundle()) {
    for (std::size_t i = 0; i < answered.size(); ++i) {
      if (answered[i]->extensions)
        ExtensionSide(*answered[i]->extensions, rules)
            .take_answer(sdp::extmaps_of(*answer, answer->media[i]));
    }
  }
  leg->last_sdp = *request_.sdp;
  finish(*call, false);
  return {};
}

Result<TransformMade, RequestError> Subscriptions::transform() {
  if (!request_.instance.empty() && services_.loop_mark.ends_with(":" + request_.instance))
    return fail(RequestFault::kTransformLoop);
  const std::vector<WishedStream>& streams = request_.streams.members;
  std::vector<Section> sections;
  for (const WishedStream& stream : streams) {
    Section& section = sections.emplace_back();
    section.type = stream.type.empty() ? std::string_view("audio") : std::string_view(stream.type);
    section.protocol = "RTP/AVP";
    section.interface = choose_interface(nullptr);
    section.family = stream.destination.address.family();
    const LocalAddress* local = section.interface->address_of(section.family);
    const auto admitted = Forwarding(services_).check(stream.destination, local);
    if (!admitted) return fail(admitted.error());
    if (!can_transform(stream, services_.config.codecs)) return fail(RequestFault::kTransformChangesCodec);
  }
  if (request_.streams.fault) return fail(*request_.streams.fault);
  bool is_new = false;
  const auto found = call_or_new(is_new);
  if (!found) return fail(found.error());
  Call* call = *found;
  const std::string tag = request_.from_tag.value_or(random_hex(kGeneratedId));
  std::optional<RequestError> refused;
  if (call->leg_by_tag(tag) != nullptr)
    refused = RequestFault::kTagTaken;
  else if (sections.size() > 32 || call->legs.size() >= kMaxLegs)
    refused = RequestFault::kTooManyParties;
  else if (const auto opened = open_all(*call, sections); !opened)
    refused = because(RequestFault::kNoSectionOpened, opened.error());
  if (refused) {
    close_all(*call, sections);
    if (is_new) services_.lifetime.forget(*call);
    return fail(std::move(*refused));
  }
  Leg& leg = services_.calls.add_leg(*call, tag, clock_);
  leg.from_offer_answer = false;
  leg.id_index = CallRegister::id_index(*call, call->id);
  TransformMade made{call->id, tag, {}};
  for (std::size_t i = 0; i < sections.size(); ++i) {
    Media& media = place(leg, sections[i]);
    // Whoever sends here is heard, if nobody else does. Packets go to the destination, not back to their
    // source.
    media.via->rules.policy = LatchPolicy::kUncontested;
    media.via->rules.asymmetric = true;
    media.via->rules.unidirectional = true;
    media.via->remote_rtp = media.via->remote_rtcp = streams[i].destination;
    media.via->mux_used = true;
    media.rate = {500, 0};
    name_codecs(media, streams[i]);
    media.subscriptions.push_back({&media, SubscriptionKind::kPubSub});
    const LocalPorts& ports = *media.via->active_ports();
    media.via->remote_known = true;
    made.streams.push_back({streams[i].id, {ports.local->advertised, ports.port}});
  }
  finish(*call, is_new);
  return made;
}

}  // namespace ferry
