// SPDX-License-Identifier: Apache-2.0
// The tables that octets choose from. Their order is part of the corpus: tests/fuzz/session_seeds.py reads
// the commands and sections from here, and old findings stay what they were while rows are only added at the
// end.

#include "tests/support/request_grammar.hpp"

#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace ferry::test {

using nlohmann::json;

namespace {

// Names that most requests should agree on stand there more than once.
constexpr const char* kTags[] = {"A", "B", "A", "B", "A", "B", "C", ""};
constexpr const char* kHosts[] = {"198.51.100.10", "198.51.100.20", "198.51.100.10", "198.51.100.20",
                                  "198.51.100.10", "198.51.100.20", "192.168.7.7",   "198.18.0.1",
                                  "0.0.0.0",       "224.0.0.1",     "127.0.0.1",     "2001:db8::10",
                                  "not.an.address"};
constexpr const char* kDirections[] = {"", "a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"};

// The texts of sections. `@H` and `@P` are the host and the port.
constexpr const char* kIce =
    "a=ice-ufrag:abcd1234\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=candidate:1 1 UDP 2130706431 @H @P typ "
    "host\r\n";
constexpr const char* kDtls =
    "a=setup:actpass\r\na=fingerprint:sha-256 "
    "01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF\r\n";
constexpr const char* kSdes =
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw\r\n"
    "a=crypto:2 AEAD_AES_256_GCM inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ\r\n";

struct Section {
  std::string_view line;  // behind "m="
  const char* first = "";
  const char* second = "";
  const char* third = "";
};
constexpr Section kSections[] = {
    {"audio @P RTP/AVP 8 0 101", "a=rtpmap:101 telephone-event/8000\r\n"},
    {"audio @P RTP/SAVP 0 8", kSdes},
    {"audio @P UDP/TLS/RTP/SAVPF 111 0", kIce, kDtls,
     "a=rtcp-mux\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\na=extmap:1 "
     "urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"},
    {"audio @P RTP/AVP 8", kIce},
    {"audio @P UDP/TLS/RTP/SAVP 8", kDtls},
    {"audio @P RTP/AVP 0", "a=rtcp-mux\r\n"},
    {"audio @P RTP/AVP 8", "a=rtcp:60000\r\n"},
    {"video @P RTP/AVPF 96", "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n"},
    {"video @P UDP/TLS/RTP/SAVPF 96", kIce, kDtls, "a=rtcp-mux\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\n"},
    {"image @P udptl t38", "a=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n"},
    {"audio 0 RTP/AVP 0 8"},
    {"audio @P RTP/SAVPF 0", kSdes, kDtls, kIce},
    {"message @P TCP/MSRP *", "a=path:msrp://@H:@P/x;tcp\r\n"},
    {"application @P UDP/DTLS/SCTP webrtc-datachannel", kIce, kDtls, "a=sctp-port:5000\r\n"},
    {"application @P TCP/WB *"},
    {"audio @P RTP/AVP 8 0 18", "b=AS:64\r\na=ptime:20\r\na=maxptime:40\r\n"},
};

struct Command {
  const char* name;
  bool has_sdp = false;
  bool has_to_tag = false;
  const char* more = "{}";  // other keys
};
constexpr Command kCommands[] = {
    {"offer", true},
    {"answer", true, true},
    {"offer", true, true},  // a re-offer
    {"delete", false, true},
    {"query"},
    {"subscribe request", false, true},
    {"subscribe answer", true, true},
    {"unsubscribe", false, true},
    {"publish", true},
    {"start recording"},
    {"stop recording"},
    {"pause recording"},
    {"block media"},
    {"unblock media"},
    {"silence media"},
    {"unsilence media"},
    {"block DTMF"},
    {"unblock DTMF"},
    {"start forwarding"},
    {"stop forwarding"},
    {"play media"},
    {"stop media"},
    {"delete"},
    {"connect", false, true},
    {"mesh", false, false, R"({"calls": ["c0", "c1"], "tags": [{"from": "A", "to": ["B1"]}]})"},
    {"create", false, true},
    {"create answer", true, true},
    {"transform", true, false,
     R"({"media": [{"id": "m", "type": "audio", "destination": {"family": "IP4", "address": "198.51.100.10", "port": 4000}}]})"},
    {"inject start", false, true, R"({"source-tag": "A"})"},
    {"inject stop", false, true, R"({"source-tag": "A"})"},
    {"list"},
    {"statistics"},
    {"ping"},
    // Calls are made and changed more often than all else.
    {"offer", true},
    {"offer", true},
    {"offer", true},
    {"offer", true, true},
    {"offer", true, true},
    {"offer", true, true},
    {"answer", true, true},
    {"answer", true, true},
    {"answer", true, true},
    {"answer", true, true},
    {"answer", true, true},
    {"answer", true, true},
    {"subscribe request", false, true},
    {"subscribe answer", true, true},
    {"connect", false, true, R"({"to-call-id": "c1"})"},
    {"inject start", false, true, R"({"source-tag": "A", "source-call-id": "c0"})"},
};

/// Keys and flags besides; merged into the request, lists joined.
const json& extras() {
  static const json kExtras = json::parse(R"([
    {"flags": ["trust-address"]}, {"ICE": "remove"}, {"ICE": "force"}, {"DTLS": "off"}, {"DTLS": "passive"},
    {"SDES": ["off"]}, {"SDES": ["prefer"]}, {"transport-protocol": "RTP/AVP"}, {"transport-protocol": "RTP/SAVP"},
    {"transport-protocol": "UDP/TLS/RTP/SAVPF"}, {"rtcp-mux": ["offer"]}, {"rtcp-mux": ["demux"]}, {"rtcp-mux": ["accept"]},
    {"rtcp-mux": ["reject"]}, {"rtcp-mux": ["require"]}, {"replace": ["origin", "session-connection"]},
    {"replace": ["zero-address", "username", "session-name"]}, {"direction": ["plain", "global"]},
    {"direction": ["global", "plain"]}, {"direction": ["ring", "ring"]}, {"direction": ["nowhere", "plain"]},
    {"address-family": "IP6"}, {"address-family": "IP4"}, {"received-from": ["IP4", "198.51.100.10"]},
    {"received-from": ["IP4", "203.0.113.66"]}, {"via-branch": "z9hG4bK1"}, {"via-branch": "z9hG4bK2"},
    {"label": "one"}, {"set-label": "two"}, {"to-label": "one"}, {"from-label": "two"}, {"metadata": "said"},
    {"record call": "yes"}, {"record call": "no"}, {"delete-delay": 0}, {"delete-delay": 5}, {"latch": "any"},
    {"latch": "off"}, {"latch": "uncontested"}, {"endpoint-learning": "immediate"}, {"endpoint-learning": "delayed"},
    {"tos": 184}, {"tos": -1}, {"media-address": "203.0.113.5"}, {"drop-traffic": "start"}, {"drop-traffic": "stop"},
    {"media echo": "blackhole"}, {"media echo": "both"}, {"media echo": "off"}, {"all": "all"}, {"all": "offer-answer"},
    {"alias-key": "sdp"}, {"OSRTP": ["offer"]}, {"OSRTP": ["accept"]}, {"to-call-id": "c1"}, {"to-call-id": "c2"},
    {"source-tag": "A"}, {"source-call-id": "c1"}, {"from-tags": ["A", "B"]}, {"codec": {"strip": ["PCMU"]}},
    {"codec": {"transcode": ["opus"]}}, {"ptime": 40}, {"sdp-attr": {"audio": {"add": ["x-note:1"], "remove": ["ptime:20"]}}},
    {"sdp-media-remove": ["video"]}, {"extmap": {"strip": ["all"]}}, {"address": "198.51.100.10"}, {"instance": "i"},
    {"interface": "plain"}, {"strict-payload-types": "on"}, {"passthrough-unknown": "yes"}, {"dtmf-log-destination": "192.0.2.9:9"},
    {"trigger": "*1"}, {"sip-message-type": "reply", "sip-code": 200}, {"calls": ["c0", "c1"]},
    {"medias": [{"type": "audio", "codec": ["PCMA"]}]}, {"tags": {"A": ["B"]}},
    {"flags": ["strict-source"]}, {"flags": ["media-handover"]}, {"flags": ["asymmetric"]}, {"flags": ["unidirectional"]},
    {"flags": ["port-latching"]}, {"flags": ["no-port-latching"]}, {"flags": ["to-tag"]}, {"flags": ["directional"]},
    {"flags": ["new-branch"]}, {"flags": ["provisional"]}, {"flags": ["fragment"]}, {"flags": ["reset"]},
    {"flags": ["nat-wait", "pierce-NAT"]}, {"flags": ["siprec"]}, {"flags": ["mix"]}, {"flags": ["rtcp-mirror"]},
    {"flags": ["egress"]}, {"flags": ["inactive"]}, {"flags": ["bidirectional"]}, {"flags": ["unsubscribe"]},
    {"flags": ["trickle-ICE"]}, {"flags": ["reject-ICE"]}, {"flags": ["WebRTC"]}, {"flags": ["no-tls-id"]},
    {"flags": ["recrypt", "pad-crypto"]}, {"flags": ["allow-no-codec-media"]}, {"flags": ["single-codec"]},
    {"flags": ["block-dtmf"]}, {"flags": ["all"]}, {"flags": ["fatal"]}, {"flags": ["loop-protect"]},
    {"flags": ["generate-mid", "full-rtcp-attribute"]}, {"flags": ["original-sendrecv", "no-rtcp-attribute"]}
  ])");
  return kExtras;
}

/// `@C` call, `@H` host, `@P` port, `@F` and `@T` tags, `;1` as they are.
constexpr const char* kRtpproxy[] = {
    "U @C @H @P @F",
    "L @C @H @P @F @T",
    "U @C @H @P @F @T",
    "D @C @F @T",
    "Q @C @F @T",
    "U @C @H @P @F;1",
    "L @C @H @P @F;1 @T;1",
    "Uc8,0 @C @H @P @F",
    "Uz40c0 @C @H @P @F",
    "Ua @C @H @P @F",
    "Us @C @H @P @F @T",
    "Uw @C @H @P @F",
    "Un @C @H @P @F @T",
    "U6 @C 2001:db8::10 @P @F",
    "Ul198.18.0.1 @C @H @P @F",
    "D @C @F",
    "Dw @C @F @T",
    "P10 @C ring session @F @T",
    "S @C @F @T",
    "R @C @F @T",
    "C @C 198.51.100.77:4000 @F @T",
    "N @C @F",
    "U @C @H @P @F @T && S ttl=33 && S tos=32",
    "I",
    "G nsess_created",
    "X",
};

std::string filled(std::string text, std::string_view mark, std::string_view value) {
  for (std::size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += value.size())
    text.replace(at, mark.size(), value);
  return text;
}

/// Tags of different calls differ, so that calls can be merged: "A", "A1", "A2".
std::string tag_of(const std::string& call, Choices& choices) {
  const std::string tag = choices.of(kTags);
  return tag.empty() || call == kCallIds[0] ? tag : tag + call.back();
}

std::string port_of(std::size_t choice) { return std::to_string(4000 + 2 * choice); }

/// Leaves out, repeats or exchanges lines, and changes characters.
std::string spoiled_sdp(const std::string& sdp, std::size_t times, Choices& choices) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < sdp.size();) {
    const std::size_t end = sdp.find("\r\n", at);
    lines.push_back(sdp.substr(at, end - at));
    at = end + 2;
  }
  for (std::size_t n = 0; n < times && !lines.empty(); ++n) {
    const std::size_t line = choices.below(std::min<std::size_t>(lines.size(), 256));
    const auto at = lines.begin() + static_cast<std::ptrdiff_t>(line);
    switch (choices.below(4)) {
      case 0:
        lines.erase(at);
        break;
      case 1:
        lines.insert(at, std::string(*at));
        break;
      case 2:
        std::swap(*at, lines.back());
        break;
      default:
        if (!at->empty())
          (*at)[choices.below(std::min<std::size_t>(at->size(), 256))] =
              static_cast<char>(choices.below(256));
    }
  }
  std::string text;
  for (const std::string& line : lines) text += line + "\r\n";
  return text;
}

void add_extra(json& request, const json& extra) {
  for (const auto& [key, value] : extra.items()) {
    json& place = request[key];
    if (!place.is_array()) {
      place = value;
    } else if (value.is_array()) {
      place.insert(place.end(), value.begin(), value.end());
    }
  }
}

/// One key is missing, or has a value of another kind.
void spoil_request(json& request, Choices& choices) {
  auto at = request.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(choices.below(request.size())));
  if (at.key() == "command") return;
  switch (choices.below(4)) {
    case 0:
      request.erase(at);
      return;
    case 1:
      *at = -1;
      return;
    case 2:
      *at = json::array({"x", json::object()});
      return;
    default:
      *at = std::string(3000, 'y');
  }
}

}  // namespace

std::string make_sdp(Choices& choices) {
  const std::string host = choices.of(kHosts);
  const std::size_t first_port = choices.below(100);
  const char* family = host.find(':') != std::string::npos ? "IP6" : "IP4";
  std::string sdp = fmt::format("v=0\r\no=- 1 {0} IN {1} {2}\r\ns=-\r\nc=IN {1} {2}\r\nt=0 0\r\n", first_port,
                                family, host);
  const std::size_t sections = 1 + choices.below(3);
  for (std::size_t n = 0; n < sections; ++n) {
    const Section& section = choices.of(kSections);
    const std::string_view direction = choices.of(kDirections);
    std::string text =
        fmt::format("m={}\r\n{}{}{}", section.line, section.first, section.second, section.third);
    if (!direction.empty()) text += fmt::format("{}\r\n", direction);
    sdp += filled(filled(text, "@H", host), "@P", port_of(first_port + n));
  }
  const std::size_t changes = choices.below(16);
  return changes < 13 ? sdp : spoiled_sdp(sdp, changes - 12, choices);
}

json make_request(Choices& choices) {
  const Command& command = choices.of(kCommands);
  const std::string call = choices.of(kCallIds);
  const std::string from = tag_of(call, choices);
  json request = json::parse(command.more);
  const std::string to = tag_of(request.value("to-call-id", call), choices);
  request["command"] = command.name;
  request["call-id"] = call;
  if (!from.empty()) request["from-tag"] = from;
  if (command.has_to_tag && !to.empty()) request["to-tag"] = to;
  if (command.has_sdp) request["sdp"] = make_sdp(choices);
  for (std::size_t more = choices.below(8); more > 4; --more) add_extra(request, choices.of(extras()));
  if (choices.rarely(24)) spoil_request(request, choices);
  return request;
}

std::string make_classic_command(Choices& choices) {
  std::string text = choices.of(kRtpproxy);
  text = filled(text, "@C", choices.of(kCallIds));
  text = filled(text, "@H", choices.of(kHosts));
  text = filled(text, "@P", port_of(choices.below(100)));
  text = filled(text, "@F", fmt::format("{}", choices.of(kTags)));
  return filled(text, "@T", fmt::format("{}", choices.of(kTags)));
}

}  // namespace ferry::test
