// Parties that the relay makes itself: `create`, `create answer`, `transform` (NG reference).

#include "control/session/media_control.hpp"
#include "control/session/media_rules.hpp"
#include "control/session/subscriptions.hpp"
#include "relay/base/random.hpp"
#include "relay/base/static_types.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace ferry {

namespace {

/// Clock rate and channels of a dynamic type that a client names without them; 8000 and 1 for all others.
/// Opus has no other ones (RFC 7587 §7).
struct UsualRate {
  std::string_view name;
  std::uint32_t clock_rate_hz;
  std::uint32_t channels;
};
constexpr std::array<UsualRate, 10> kUsualRates = {{{"opus", 48000, 2},
                                                    {"AMR-WB", 16000, 1},
                                                    {"EVS", 16000, 1},
                                                    {"VP8", 90000, 1},
                                                    {"VP9", 90000, 1},
                                                    {"AV1", 90000, 1},
                                                    {"H264", 90000, 1},
                                                    {"H265", 90000, 1},
                                                    {"H263-1998", 90000, 1},
                                                    {"rtx", 90000, 1}}};

/// `NAME[/clock[/channels[/...]]]` of a client (NG 9.7) as a codec without a number; the parts behind the
/// channels are about encoders. The name is empty if a number cannot be read.
sdp::Codec codec_of(std::string_view specification) {
  std::array<std::string_view, 3> parts;
  for (std::string_view& part : parts) {
    const auto end = std::min(specification.find('/'), specification.size());
    part = specification.substr(0, end);
    specification.remove_prefix(std::min(end + 1, specification.size()));
  }
  const auto* const usual = std::ranges::find_if(
      kUsualRates, [&](const UsualRate& row) { return sdp::equal_ignoring_case(row.name, parts[0]); });
  const bool is_known = usual != kUsualRates.end();
  sdp::Codec codec;
  codec.clock_rate_hz = is_known ? usual->clock_rate_hz : 8000;
  codec.channels = is_known ? usual->channels : 1;
  const auto read = [](std::string_view text, std::uint32_t& number) {
    if (text.empty()) return true;
    const auto value = Value(text).as_integer();
    if (!value || *value < 1 || *value > 1'000'000) return false;
    number = static_cast<std::uint32_t>(*value);
    return true;
  };
  if (!read(parts[1], codec.clock_rate_hz) || !read(parts[2], codec.channels)) return {};
  if (sdp::equal_ignoring_case(parts[0], "opus")) codec.clock_rate_hz = 48000, codec.channels = 2;
  codec.name = parts[0];
  return codec;
}

}  // namespace

Result<Dict, RequestError> Subscriptions::create() {
  struct Wanted {
    std::string type;
    std::vector<std::string> codecs;
  };
  std::vector<Wanted> wanted;
  if (const List* list = request_.medias.list()) {
    for (const Value& member : *list) {
      const Dict* dict = member.dict();
      const Value* type = dict == nullptr ? nullptr : dict->find("type");
      if (type == nullptr || type->string() == nullptr)
        return fail(error(RefusalReason::kMessage, "wrong content given"));
      Wanted one{*type->string(), {}};
      if (!sdp::is_known_media_type(one.type))
        return fail(error(RefusalReason::kUnsupported, "unsupported sdp section"));
      const Value* codecs = dict->find("codecs");
      if (codecs != nullptr && codecs->list() != nullptr) {
        for (const Value& codec : *codecs->list()) {
          if (codec.string() != nullptr) one.codecs.push_back(*codec.string());
        }
      }
      wanted.push_back(std::move(one));
    }
  } else if (request_.medias.string() != nullptr || request_.medias.dict() != nullptr) {
    return fail(error(RefusalReason::kMessage, "wrong type used"));
  }
  if (wanted.empty()) wanted.push_back({"audio", request_.codecs.offer});
  for (Wanted& one : wanted) {
    // They become text of an SDP: nothing but names and numbers.
    std::erase_if(one.codecs, [](const std::string& codec) {
      return codec.empty() || codec.size() > 64 || std::ranges::any_of(codec, [](unsigned char c) {
               return std::isalnum(c) == 0 && c != '-' && c != '.' && c != '_' && c != '/';
             });
    });
  }
  if (wanted.size() > 32) return fail(error("failed to create SDP"));

  std::deque<sdp::MediaSection> made;
  std::vector<Section> sections;
  for (Wanted& one : wanted) {
    if (one.codecs.empty() && one.type == "audio") one.codecs = {"PCMU", "PCMA"};
    if (one.codecs.empty()) one.codecs = {"H264/90000"};
    sdp::MediaSection& section = made.emplace_back();
    texts_.push_back(one.type);
    section.type = texts_.back();
    section.protocol = sdp::parse_protocol("RTP/AVP");
    std::uint8_t dynamic = 96;
    for (const std::string& specification : one.codecs) {
      sdp::Codec codec;
      for (std::uint8_t type = 0; type < 96 && codec.name.empty(); ++type) {
        const StaticType* known = static_type(type);
        if (known == nullptr) continue;
        codec = {type, known->name, known->clock_rate_hz, known->channels, {}, {}, {}};
        if (!sdp::matches_specification(specification, codec)) codec = {};
      }
      if (codec.name.empty()) {
        codec = codec_of(specification);
        if (dynamic > 127 || codec.name.empty()) continue;
        std::string map = std::string(codec.name) + '/' + std::to_string(codec.clock_rate_hz);
        if (codec.channels > 1) map += '/' + std::to_string(codec.channels);
        texts_.push_back(std::move(map));
        codec.payload_type = dynamic++;
        codec.rtpmap = texts_.back();
        codec.name = codec.rtpmap.substr(0, codec.name.size());
      }
      section.codecs.push_back(codec);
    }
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
  const auto give_up = [&](RequestError why) -> Result<Dict, RequestError> {
    if (is_new) manager_.forget(*call);
    return fail(std::move(why));
  };
  const std::string tag = request_.from_tag.value_or(random_hex(kGeneratedId));
  Leg* leg = call->leg_by_tag(tag);
  // A party that `create` made before is offered to again; one that came by other commands has a dialogue of
  // its own.
  const bool is_foreign = leg != nullptr && !(leg->extras && leg->extras->by_create);
  if (is_foreign || (leg == nullptr && call->legs.size() >= kMaxLegs))
    return give_up(error(is_foreign ? RefusalReason::kNameTaken : RefusalReason::kParties,
                         "failed to set up call/monologue"));
  if (leg != nullptr) {
    // Sections stay where they are, those that are not wanted any more with port 0 (RFC 3264 section 8).
    sections.resize(std::max(sections.size(), leg->medias.size()));
    for (std::size_t i = 0; i < leg->medias.size(); ++i) sections[i].media = leg->medias[i].get();
  }
  if (const auto opened = open_all(*call, sections); !opened) {
    close_all(*call, sections);
    return give_up(because("failed to create SDP", opened.error()));
  }
  if (leg == nullptr) leg = &manager_.add_leg(*call, tag, clock_);
  leg->from_offer_answer = false;
  leg->made_extras().by_create = true;
  leg->id_index = manager_.id_index(*call, call->id);
  leg->delete_at.reset();
  call->delete_at.reset();  // signalling of a party revives (NG section 13)
  if (!request_.label.empty()) leg->made_extras().label = request_.label;
  leg->section_order.clear();
  std::vector<Media*> medias;
  for (Section& section : sections) {
    if (section.interface == nullptr) {
      section.media->rejected = true;
      medias.push_back(section.media);
    } else {
      medias.push_back(&place(*leg, section));
      offer_crypto(*medias.back());
    }
    leg->section_order.push_back(medias.back()->index);
  }
  sdp::Session own;
  Dict reply;
  reply.set("call-id", call->id);
  reply.set("from-tag", tag);
  reply.set("sdp", write(own, medias, sections, *leg, true));
  finish(*call, is_new);
  return reply;
}

Result<Dict, RequestError> Subscriptions::create_answer() {
  if (!request_.sdp) return fail(error(RefusalReason::kMessage, "No SDP body in message"));
  if (!request_.call_id) return fail(error(RefusalReason::kMessage, "No call-id in message"));
  if (!request_.from_tag) return fail(error(RefusalReason::kMessage, "No from-tag in message"));
  Call* call = manager_.find(*request_.call_id);
  if (call == nullptr) return fail(error(RefusalReason::kUnknownCall, "unknown call-ID"));
  Leg* leg = call->leg_by_tag(*request_.from_tag);
  if (leg == nullptr) return fail(error(RefusalReason::kUnknownParty, "from-tag not found"));
  if (leg->from_offer_answer) return fail(error("failed to perform answer"));
  const auto answer = sdp::parse(*request_.sdp);
  if (!answer) return fail(error(RefusalReason::kSdp, "Failed to parse SDP"));
  for (std::size_t i = 0; i < answer->media.size(); ++i) {
    const sdp::MediaSection& section = answer->media[i];
    if (const auto served = check_section(section); !served) return fail(served.error());
    if (i >= leg->medias.size()) continue;
    if (const auto admitted = check_peer(section, leg->medias[i]->local()); !admitted)
      return fail(admitted.error());
    if (const auto keyed = check_crypto(*leg->medias[i], section); !keyed) return fail(keyed.error());
  }
  if (answer->media.empty()) return Dict{};  // nothing new, as of a party that repeats itself
  for (std::size_t i = 0; i < leg->medias.size(); ++i) {
    Media& media = *leg->medias[i];
    if (i >= answer->media.size()) {
      media.rejected = true;
      continue;
    }
    const sdp::MediaSection& section = answer->media[i];
    read_answer(media, section);
    take_crypto(media, section);
    media.may_send = section.direction.send;
    media.may_receive = section.direction.receive;
    media.mux_used = media.mux_offered_to_peer && section.rtcp_mux;
    media.mux_offered_to_peer = media.mux_used;
  }
  leg->last_sdp = *request_.sdp;
  finish(*call, false);
  return Dict{};
}

Result<Dict, RequestError> Subscriptions::transform() {
  if (!request_.instance.empty() && manager_.loop_mark().ends_with(":" + request_.instance))
    return fail(error("Transform loop detected"));
  struct Stream {
    std::string id;
    Endpoint destination;
  };
  std::vector<Stream> streams;
  std::vector<Section> sections;
  if (const List* list = request_.medias.list()) {
    for (const Value& member : *list) {
      const Dict* dict = member.dict();
      if (dict == nullptr) return fail(error(RefusalReason::kMessage, "wrong content given"));
      const auto text = [](const Dict* from, std::string_view key) -> std::string_view {
        const Value* value = from == nullptr ? nullptr : from->find(key);
        return value != nullptr && value->string() != nullptr ? std::string_view(*value->string())
                                                              : std::string_view();
      };
      const Value* destination = dict->find("destination");
      const Dict* where = destination == nullptr ? nullptr : destination->dict();
      if (where == nullptr || text(where, "family").empty()) return fail(error("Failed to set up transform"));
      const auto address = IpAddress::parse(text(where, "address"));
      const Value* port = where->find("port");
      const auto number = port == nullptr ? std::nullopt : port->as_integer(true);
      if (!address || !number || *number <= 0 || *number > 65535)
        return fail(error(RefusalReason::kMessage, "Failed to parse destination address"));
      Stream& stream = streams.emplace_back();
      stream.id = text(dict, "id");
      stream.destination = {*address, UdpPort{static_cast<std::uint16_t>(*number)}};
      // What goes in must come out: there is no codec in between.
      const Value* codecs = dict->find("codec");
      if (codecs != nullptr && codecs->list() != nullptr) {
        for (const Value& pair : *codecs->list()) {
          const Value* input = pair.dict() == nullptr ? nullptr : pair.dict()->find("input");
          const Value* output = pair.dict() == nullptr ? nullptr : pair.dict()->find("output");
          if (input == nullptr || output == nullptr || !(*input == *output))
            return fail(error("Failed to set up transform"));
        }
      }
      Section& section = sections.emplace_back();
      section.type = text(dict, "type").empty() ? std::string_view("audio") : text(dict, "type");
      section.protocol = "RTP/AVP";
      section.interface = choose_interface(nullptr);
      section.family = address->family();
      const LocalAddress* local = section.interface->address_of(section.family);
      const auto admitted = manager_.check_destination(stream.destination, local);
      if (!admitted) return fail(admitted.error());
    }
  } else if (request_.medias.string() != nullptr) {
    return fail(error(RefusalReason::kMessage, "wrong type used"));
  }
  bool is_new = false;
  const auto found = call_or_new(is_new);
  if (!found) return fail(found.error());
  Call* call = *found;
  const std::string tag = request_.from_tag.value_or(random_hex(kGeneratedId));
  std::optional<RequestError> refused;
  if (call->leg_by_tag(tag) != nullptr)
    refused = error(RefusalReason::kNameTaken, "Failed to set up transform");
  else if (sections.size() > 32 || call->legs.size() >= kMaxLegs)
    refused = error(RefusalReason::kParties, "Failed to set up transform");
  else if (const auto opened = open_all(*call, sections); !opened)
    refused = because("Failed to set up transform", opened.error());
  if (refused) {
    close_all(*call, sections);
    if (is_new) manager_.forget(*call);
    return fail(std::move(*refused));
  }
  Leg& leg = manager_.add_leg(*call, tag, clock_);
  leg.from_offer_answer = false;
  leg.id_index = manager_.id_index(*call, call->id);
  List medias;
  for (std::size_t i = 0; i < sections.size(); ++i) {
    Media& media = place(leg, sections[i]);
    // Whoever sends here is heard if nobody else does; it goes to the destination, not back.
    media.rules.policy = LatchPolicy::kUncontested;
    media.rules.asymmetric = true;
    media.rules.unidirectional = true;
    media.remote_rtp = media.remote_rtcp = streams[i].destination;
    media.mux_used = true;
    media.rate = {500, 0};
    media.subscriptions.push_back({&media, SubscriptionKind::kPubSub});
    const PortSet& ports = *media.active_ports();
    media.remote_known = true;
    Dict one;
    one.set("id", streams[i].id);
    one.set("family", ports.local->advertised.is_v6() ? "IP6" : "IP4");
    one.set("address", ports.local->advertised.to_string());
    one.set("port", std::int64_t{ports.port.value});
    medias.emplace_back(std::move(one));
  }
  Dict reply;
  reply.set("call-id", call->id);
  reply.set("from-tag", tag);
  reply.set("media", std::move(medias));
  finish(*call, is_new);
  return reply;
}

}  // namespace ferry
