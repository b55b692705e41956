#include "control/protocol/ng/request_parser.hpp"

#include <algorithm>
#include <array>

namespace ferry::ng {

namespace {

using C = Capability;

void set_string(std::optional<std::string>& target, const Value& value) {
  // An integer where a string is wanted counts as missing (NG section 2).
  if (const auto* text = value.string()) target = *text;
}
void set_string(std::string& target, const Value& value) {
  if (const auto* text = value.string()) target = *text;
}

/// Calls `use` for each member of a list, or of a string split at commas; blanks around members are removed.
template <class Use>
void each_word(const Value& value, Use use) {
  if (const auto* list = value.list()) {
    for (const Value& member : *list) {
      if (const auto* text = member.string()) use(std::string_view(*text));
    }
    return;
  }
  const auto* text = value.string();
  if (text == nullptr) return;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto comma = std::min(rest.find(','), rest.size());
    std::string_view word = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    while (word.starts_with(' ')) word.remove_prefix(1);
    while (word.ends_with(' ')) word.remove_suffix(1);
    if (!word.empty()) use(word);
  }
}

template <Flag kFlag>
void set_flag(Request& request, std::string_view) {
  request.flags.set(static_cast<std::size_t>(kFlag));
}

void replace_word(Request& request, std::string_view word) {
  struct Row {
    std::string_view name;
    std::initializer_list<Replace> words;
  };
  static const std::array<Row, 8> rows = {{
      {"origin", {Replace::kOrigin}},
      {"session-connection", {Replace::kSessionConnection}},
      {"sdp-version", {Replace::kSdpVersion}},
      {"username", {Replace::kUsername}},
      {"session-name", {Replace::kSessionName}},
      {"zero-address", {Replace::kZeroAddress}},
      {"origin-full", {Replace::kOrigin, Replace::kSdpVersion, Replace::kUsername}},
      {"force-increment-sdp-ver", {Replace::kForceIncrementVersion}},
  }};
  const std::string name = normalise(word);
  const auto row = std::ranges::find(rows, name, &Row::name);
  if (row == rows.end()) {
    request.unknown_flags.push_back("replace-" + name);
    return;
  }
  for (const Replace one : row->words) request.replaces.set(static_cast<std::size_t>(one));
}

void rtcp_mux_word(Request& request, std::string_view word) {
  static constexpr std::array<std::string_view, 5> kWords = {"offer", "require", "demux", "accept", "reject"};
  const std::string name = normalise(word);
  const auto found = std::ranges::find(kWords, name);
  if (found == kWords.end()) {
    request.unknown_flags.push_back("rtcp-mux-" + name);
    return;
  }
  request.rtcp_mux.set(static_cast<std::size_t>(found - kWords.begin()));
}

void learning_word(Request& request, std::string_view word) {
  const std::string name = normalise(word);
  if (name == "off") {
    request.latch = LatchPolicy::kOff;
    request.learning = LearningAlgorithm::kRules;
  } else if (name == "immediate") {
    request.learning = LearningAlgorithm::kImmediate;
  } else if (name == "delayed") {
    request.learning = LearningAlgorithm::kDelayed;
  } else if (name == "heuristic") {
    request.learning = LearningAlgorithm::kHeuristic;
  } else {
    request.unknown_flags.push_back("endpoint-learning-" + name);
  }
}

void add_direction(Request& request, std::string_view name) {
  if (request.sender_interface.empty()) {
    request.sender_interface = name;
  } else if (request.receiver_interface.empty()) {
    request.receiver_interface = name;
  }
}

AddressFamily family_of(std::string_view word) {
  const std::string name = normalise(word);
  if (name == "ip4") return AddressFamily::kIpv4;
  if (name == "ip6") return AddressFamily::kIpv6;
  return AddressFamily::kNone;
}

void flag_word(Request& request, std::string_view word);

// clang-format off
constexpr KeyRow kKeys[] = {
  {"command", [](Request& r, const Value& v) { set_string(r.command, v); }, C::kNow, "what to do"},
  {"call-id", [](Request& r, const Value& v) { set_string(r.call_id, v); }, C::kNow, "call key"},
  {"from-tag", [](Request& r, const Value& v) { set_string(r.from_tag, v); }, C::kNow, "party key, NG section 6"},
  {"to-tag", [](Request& r, const Value& v) { set_string(r.to_tag, v); }, C::kNow, "party key, NG section 6"},
  {"via-branch", [](Request& r, const Value& v) { set_string(r.via_branch, v); }, C::kNow, "branch key of a forked call"},
  {"label", [](Request& r, const Value& v) { set_string(r.label, v); }, C::kNow, "names the party"},
  {"from-label", [](Request& r, const Value& v) { set_string(r.label, v); }, C::kNow, "same as label"},
  {"set-label", [](Request& r, const Value& v) { set_string(r.set_label, v); }, C::kSignalling, "names the selected party"},
  {"sdp", [](Request& r, const Value& v) { set_string(r.sdp, v); }, C::kNow, "the SDP body"},
  {"metadata", [](Request& r, const Value& v) { set_string(r.metadata, v); }, C::kNow, "free text kept with the party"},
  {"limit", [](Request& r, const Value& v) { r.limit = v.as_integer(true); }, C::kNow, "list: at most that many calls"},
  {"delete-delay", [](Request& r, const Value& v) { r.delete_delay_s = v.as_integer(true); }, C::kNow, "delete: seconds the call lives on"},
  {"flags", [](Request& r, const Value& v) { each_word(v, [&](auto w) { flag_word(r, w); }); }, C::kNow, "list of words"},
  {"replace", [](Request& r, const Value& v) { each_word(v, [&](auto w) { replace_word(r, w); }); }, C::kNow, "what of the SDP is replaced"},
  {"rtcp-mux", [](Request& r, const Value& v) { each_word(v, [&](auto w) { rtcp_mux_word(r, w); }); }, C::kNow, "offer, require, demux, accept, reject"},
  {"received-from", [](Request& r, const Value& v) {
     // [family, address], a bare address, or an empty list from a proxy without a message at hand.
     if (const auto* list = v.list()) {
       if (list->size() == 2 && (*list)[1].string() != nullptr) r.received_from = IpAddress::parse(*(*list)[1].string());
     } else if (const auto* text = v.string()) {
       r.received_from = IpAddress::parse(*text);
     }
   }, C::kNow, "source address of the SIP message"},
  {"media-address", [](Request& r, const Value& v) { if (const auto* t = v.string()) r.media_address = IpAddress::parse(*t); }, C::kNow, "address printed in the SDP"},
  {"address-family", [](Request& r, const Value& v) { if (const auto* t = v.string()) r.address_family = family_of(*t); }, C::kNow, "IP4 or IP6 for the receiver's side"},
  {"direction", [](Request& r, const Value& v) {
     const auto* list = v.list();
     if (list == nullptr) return;  // a string is ignored (NG 9.2)
     r.sender_interface.clear();
     r.receiver_interface.clear();
     for (const Value& member : *list) if (const auto* t = member.string()) add_direction(r, *t);
   }, C::kNow, "logical interfaces of sender's and receiver's side"},
  {"from-interface", [](Request& r, const Value& v) { set_string(r.sender_interface, v); }, C::kNow, "interface of the sender's side"},
  {"to-interface", [](Request& r, const Value& v) { set_string(r.receiver_interface, v); }, C::kNow, "interface of the receiver's side"},
  {"transport-protocol", [](Request& r, const Value& v) { set_string(r.transport_protocol, v); }, C::kNow, "profile toward the receiver"},
  {"tos", [](Request& r, const Value& v) { if (const auto n = v.as_integer(true)) r.tos = static_cast<int>(std::clamp<std::int64_t>(*n, -1, 256)); }, C::kNow, "DSCP octet of the call's packets"},
  {"latch", [](Request& r, const Value& v) { if (const auto* t = v.string()) if (const auto p = parse_latch_policy(normalise(*t))) r.latch = p; }, C::kNow, "which sources may be learned: off, signalled, uncontested, any (unsafe)"},
  {"endpoint-learning", [](Request& r, const Value& v) { each_word(v, [&](auto w) { learning_word(r, w); }); }, C::kNow, "off, or a learning algorithm that accepts any source (unsafe)"},
  {"supports", [](Request& r, const Value& v) { each_word(v, [&](auto w) { if (normalise(w) == "load-limit") r.supports_load_limit = true; }); }, C::kNow, "what the client understands"},
  {"sip-message-type", [](Request& r, const Value& v) {
     if (const auto* t = v.string()) {
       const std::string name = normalise(*t);
       if (name.ends_with("request")) r.sip_message = SipMessage::kRequest;
       if (name.ends_with("reply") || name.ends_with("response")) r.sip_message = SipMessage::kReply;
     }
   }, C::kNow, "sip-request or sip-reply"},
  {"sip-code", [](Request& r, const Value& v) { r.sip_code = v.as_integer(true).value_or(0); }, C::kNow, "response code"},
  {"sip-response-code", [](Request& r, const Value& v) { r.sip_code = v.as_integer(true).value_or(0); }, C::kNow, "response code"},
  {"body", nullptr, C::kNow, "cli: command line"},
  {"rtpp-flags", nullptr, C::kSignalling, "flags string parsed by the relay"},
  {"template", nullptr, C::kSignalling, "name of a template"},
  {"alias-key", nullptr, C::kSignalling, "aliases of from-tags"},
  {"all", nullptr, C::kSignalling, "party selection"},
  {"address", nullptr, C::kSignalling, "party selection"},
  {"to-label", nullptr, C::kSignalling, "party selection"},
  {"from-tags", nullptr, C::kPubSub, "party selection"},
  {"to-call-id", nullptr, C::kPubSub, "connect"},
  {"source-tag", nullptr, C::kPubSub, "inject"},
  {"source-call-id", nullptr, C::kPubSub, "inject"},
  {"calls", nullptr, C::kPubSub, "mesh"},
  {"tags", nullptr, C::kPubSub, "mesh"},
  {"media", nullptr, C::kPubSub, "transform"},
  {"medias", nullptr, C::kPubSub, "create"},
  {"instance", nullptr, C::kPubSub, "transform"},
  {"interface", nullptr, C::kPubSub, "interface of one-party commands"},
  {"peer", nullptr, C::kSignalling, "interface by route"},
  {"inbound-peer", nullptr, C::kSignalling, "interface by route"},
  {"outbound-peer", nullptr, C::kSignalling, "interface by route"},
  {"xmlrpc-callback", nullptr, C::kSignalling, "time-out call-back"},
  {"sdp-attr", nullptr, C::kSignalling, "SDP text edits"},
  {"sdp-media-remove", nullptr, C::kSignalling, "sections hidden from the far side"},
  {"extmap", nullptr, C::kSignalling, "header extensions"},
  {"bundle", nullptr, C::kIce, "BUNDLE"},
  {"drop-traffic", nullptr, C::kSignalling, "drop all RTP of the call"},
  {"media-echo", nullptr, C::kSignalling, "echo or black hole"},
  {"passthrough", nullptr, C::kSignalling, "relay unparsed"},
  {"passthru", nullptr, C::kSignalling, "relay unparsed"},
  {"repacketize", nullptr, C::kCodecs, "packet time"},
  {"codec", nullptr, C::kCodecs, "codec operations"},
  {"codecs", nullptr, C::kCodecs, "codec operations"},
  {"ptime", nullptr, C::kCodecs, "packet time toward the answerer"},
  {"ptime-reverse", nullptr, C::kCodecs, "packet time toward the offerer"},
  {"reverse-ptime", nullptr, C::kCodecs, "packet time toward the offerer"},
  {"generate-rtcp", nullptr, C::kCodecs, "RTCP of our own"},
  {"delay-buffer", nullptr, C::kCodecs, "delay of audio"},
  {"audio-player", nullptr, C::kPlayback, "mixing player"},
  {"player", nullptr, C::kPlayback, "mixing player"},
  {"dtls", nullptr, C::kIce, "DTLS"},
  {"dtls-reverse", nullptr, C::kIce, "DTLS"},
  {"dtls-fingerprint", nullptr, C::kIce, "DTLS"},
  {"ice", nullptr, C::kIce, "ICE"},
  {"ice-lite", nullptr, C::kIce, "ICE"},
  {"sdes", nullptr, C::kSrtp, "SDES"},
  {"osrtp", nullptr, C::kSrtp, "OSRTP"},
  {"t.38", nullptr, C::kT38, "T.38 gateway"},
  {"t38", nullptr, C::kT38, "T.38 gateway"},
  {"t.38-version", nullptr, C::kT38, "T.38 gateway"},
  {"record-call", nullptr, C::kRecording, "recording"},
  {"recording-file", nullptr, C::kRecording, "recording"},
  {"recording-destination", nullptr, C::kRecording, "recording"},
  {"output-destination", nullptr, C::kRecording, "recording"},
  {"output-file", nullptr, C::kRecording, "recording"},
  {"recording-dir", nullptr, C::kRecording, "recording"},
  {"recording-path", nullptr, C::kRecording, "recording"},
  {"recording-directory", nullptr, C::kRecording, "recording"},
  {"recording-folder", nullptr, C::kRecording, "recording"},
  {"recording-pattern", nullptr, C::kRecording, "recording"},
  {"output-pattern", nullptr, C::kRecording, "recording"},
  {"recording-media-slot-offer", nullptr, C::kRecording, "recording"},
  {"recording-media-slot-answer", nullptr, C::kRecording, "recording"},
  {"recording-media-slots", nullptr, C::kRecording, "recording"},
  {"pause", nullptr, C::kRecording, "recording"},
  {"file", nullptr, C::kPlayback, "playback"},
  {"blob", nullptr, C::kPlayback, "playback"},
  {"blob64", nullptr, C::kPlayback, "playback"},
  {"db-id", nullptr, C::kPlayback, "playback"},
  {"repeat-times", nullptr, C::kPlayback, "playback"},
  {"repeat-duration", nullptr, C::kPlayback, "playback"},
  {"start-pos", nullptr, C::kPlayback, "playback"},
  {"moh", nullptr, C::kPlayback, "music on hold"},
  {"code", nullptr, C::kPlayback, "DTMF"},
  {"digit", nullptr, C::kPlayback, "DTMF"},
  {"duration", nullptr, C::kPlayback, "DTMF"},
  {"volume", nullptr, C::kPlayback, "DTMF"},
  {"dtmf-security", nullptr, C::kPlayback, "DTMF"},
  {"dtmf-security-trigger", nullptr, C::kPlayback, "DTMF"},
  {"dtmf-security-trigger-end", nullptr, C::kPlayback, "DTMF"},
  {"dtmf-delay", nullptr, C::kPlayback, "DTMF"},
  {"dtmf-log-dest", nullptr, C::kPlayback, "DTMF"},
  {"dtmf-log-destination", nullptr, C::kPlayback, "DTMF"},
  {"trigger", nullptr, C::kPlayback, "DTMF"},
  {"trigger-end", nullptr, C::kPlayback, "DTMF"},
  {"end-trigger", nullptr, C::kPlayback, "DTMF"},
  {"trigger-end-time", nullptr, C::kPlayback, "DTMF"},
  {"trigger-end-digits", nullptr, C::kPlayback, "DTMF"},
  {"frequency", nullptr, C::kPlayback, "DTMF"},
  {"frequencies", nullptr, C::kPlayback, "DTMF"},
};

constexpr FlagRow kFlags[] = {
  {"trust-address", set_flag<Flag::kTrustAddress>, false, C::kNow, "use the addresses of the SDP (default)"},
  {"sip-source-address", set_flag<Flag::kSipSourceAddress>, false, C::kNow, "use received-from instead"},
  {"symmetric", [](Request&, std::string_view) {}, false, C::kNow, "default behaviour"},
  {"asymmetric", set_flag<Flag::kAsymmetric>, false, C::kNow, "send to the SDP address, whatever source is seen"},
  {"unidirectional", set_flag<Flag::kUnidirectional>, false, C::kNow, "one-way stream, no limit for silent peers"},
  {"strict-source", set_flag<Flag::kStrictSource>, false, C::kNow, "always in force; matters under latch=any only"},
  {"media-handover", set_flag<Flag::kMediaHandover>, false, C::kNow, "follow a changed source within the latch rules"},
  {"port-latching", set_flag<Flag::kPortLatching>, false, C::kNow, "keep the local port"},
  {"no-port-latching", set_flag<Flag::kNoPortLatching>, false, C::kNow, "never keep the local port"},
  {"to-tag", set_flag<Flag::kToTag>, false, C::kNow, "delete: honour to-tag"},
  {"fatal", set_flag<Flag::kFatal>, false, C::kNow, "delete: no such call is an error"},
  {"fast", set_flag<Flag::kFast>, false, C::kNow, "delete: reply without statistics"},
  {"directional", set_flag<Flag::kDirectional>, false, C::kNow, "honour from-tag"},
  {"all", set_flag<Flag::kAll>, false, C::kNow, "whole call"},
  {"new-branch", set_flag<Flag::kNewBranch>, false, C::kNow, "answer with a new tag is a new party"},
  {"provisional", set_flag<Flag::kProvisional>, false, C::kNow, "answer is not final"},
  {"no-rtcp-attribute", set_flag<Flag::kNoRtcpAttribute>, false, C::kNow, "no a=rtcp"},
  {"full-rtcp-attribute", set_flag<Flag::kFullRtcpAttribute>, false, C::kNow, "a=rtcp with address"},
  {"original-sendrecv", set_flag<Flag::kOriginalSendrecv>, false, C::kNow, "copy direction attributes"},
  {"generate-mid", set_flag<Flag::kGenerateMid>, false, C::kNow, "add a=mid"},
  {"loop-protect", set_flag<Flag::kLoopProtect>, false, C::kSignalling, "mark SDP that passed us"},
  {"fragment", set_flag<Flag::kFragment>, false, C::kIce, "trickle ICE fragment"},
  {"reset", nullptr, false, C::kSignalling, "forget what was learned"},
  {"replace-", replace_word, true, C::kNow, "as replace"},
  {"rtcp-mux-", rtcp_mux_word, true, C::kNow, "as rtcp-mux"},
  {"endpoint-learning-", learning_word, true, C::kNow, "as endpoint-learning"},
  {"internal", [](Request& r, std::string_view) { add_direction(r, "internal"); }, false, C::kNow, "as direction"},
  {"external", [](Request& r, std::string_view) { add_direction(r, "external"); }, false, C::kNow, "as direction"},
  {"nat-wait", nullptr, false, C::kSignalling, ""},
  {"pierce-nat", nullptr, false, C::kSignalling, ""},
  {"strip-extmap", nullptr, false, C::kSignalling, ""},
  {"no-passthrough", nullptr, false, C::kSignalling, ""},
  {"passthrough", nullptr, false, C::kSignalling, ""},
  {"sdp-attr-", nullptr, true, C::kSignalling, ""},
  {"from-tags-", nullptr, true, C::kPubSub, ""},
  {"siprec", nullptr, false, C::kPubSub, ""},
  {"mix", nullptr, false, C::kPubSub, ""},
  {"rtcp-mirror", nullptr, false, C::kPubSub, ""},
  {"mirror-rtcp", nullptr, false, C::kPubSub, ""},
  {"inactive", nullptr, false, C::kPubSub, ""},
  {"bidirectional", nullptr, false, C::kPubSub, ""},
  {"egress", nullptr, false, C::kPubSub, ""},
  {"unsubscribe", nullptr, false, C::kPubSub, ""},
  {"no-redis-update", nullptr, false, C::kSignalling, ""},
  {"debug", nullptr, false, C::kSignalling, ""},
  {"debugging", nullptr, false, C::kSignalling, ""},
  {"trickle-ice", nullptr, false, C::kIce, ""},
  {"ice-reject", nullptr, false, C::kIce, ""},
  {"reject-ice", nullptr, false, C::kIce, ""},
  {"webrtc", nullptr, false, C::kIce, ""},
  {"no-tls-id", nullptr, false, C::kIce, ""},
  {"bundle-", nullptr, true, C::kIce, ""},
  {"sdes-", nullptr, true, C::kSrtp, ""},
  {"osrtp-", nullptr, true, C::kSrtp, ""},
  {"pad-crypto", nullptr, false, C::kSrtp, ""},
  {"recrypt", nullptr, false, C::kSrtp, ""},
  {"generate-rtcp", nullptr, false, C::kCodecs, ""},
  {"always-transcode", nullptr, false, C::kCodecs, ""},
  {"force-transcoding", nullptr, false, C::kCodecs, ""},
  {"allow-transcoding", nullptr, false, C::kCodecs, ""},
  {"allow-asymmetric-codecs", nullptr, false, C::kCodecs, ""},
  {"allow-no-codec-media", nullptr, false, C::kCodecs, ""},
  {"allow-empty-codec-media", nullptr, false, C::kCodecs, ""},
  {"single-codec", nullptr, false, C::kCodecs, ""},
  {"reuse-codecs", nullptr, false, C::kCodecs, ""},
  {"no-codec-renegotiation", nullptr, false, C::kCodecs, ""},
  {"static-codecs", nullptr, false, C::kCodecs, ""},
  {"asymmetric-codecs", [](Request&, std::string_view) {}, false, C::kNow, "obsolete"},
  {"symmetric-codecs", [](Request&, std::string_view) {}, false, C::kNow, "obsolete"},
  {"reorder-codecs", [](Request&, std::string_view) {}, false, C::kNow, "obsolete"},
  {"codec-", nullptr, true, C::kCodecs, ""},
  {"transcode-", nullptr, true, C::kCodecs, ""},
  {"no-jitter-buffer", nullptr, false, C::kCodecs, ""},
  {"t38-", nullptr, true, C::kT38, ""},
  {"t.38-", nullptr, true, C::kT38, ""},
  {"record-call", nullptr, false, C::kRecording, ""},
  {"discard-recording", nullptr, false, C::kRecording, ""},
  {"exclude-recording", nullptr, false, C::kRecording, ""},
  {"skip-recording-db", nullptr, false, C::kRecording, ""},
  {"recording-announcement", nullptr, false, C::kRecording, ""},
  {"recording-vsc", nullptr, false, C::kRecording, ""},
  {"pause", nullptr, false, C::kRecording, ""},
  {"inject-dtmf", nullptr, false, C::kPlayback, ""},
  {"detect-dtmf", nullptr, false, C::kPlayback, ""},
  {"block-dtmf", nullptr, false, C::kPlayback, ""},
  {"block-short", nullptr, false, C::kPlayback, ""},
  {"block-short-packets", nullptr, false, C::kPlayback, ""},
  {"block-egress", nullptr, false, C::kPlayback, ""},
  {"audio-player", nullptr, false, C::kPlayback, ""},
  {"player", nullptr, false, C::kPlayback, ""},
  {"no-audio-player", nullptr, false, C::kPlayback, ""},
  {"no-player", nullptr, false, C::kPlayback, ""},
  {"early-media", nullptr, false, C::kPlayback, ""},
};
// clang-format on

/// VSC keys come in many spellings; one test serves them all.
bool is_vsc_key(std::string_view name) { return name.starts_with("vsc-"); }

void note_capability(Request& request, Capability capability, const std::string& name) {
  if (capability != C::kNow) request.not_in_force.push_back(name);
}

void flag_word(Request& request, std::string_view word) {
  const std::string name = normalise(word);
  for (const FlagRow& row : kFlags) {
    const bool matches =
        row.prefix ? name.starts_with(row.name) && name.size() > row.name.size() : name == row.name;
    if (!matches) continue;
    if (row.apply != nullptr) row.apply(request, word.substr(row.prefix ? row.name.size() : 0));
    note_capability(request, row.capability, name);
    return;
  }
  request.unknown_flags.push_back(name);
}

/// True if one insertion, deletion, replacement or swap of neighbours makes the two equal.
bool differ_by_one(std::string_view a, std::string_view b) {
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > 1) return false;
  std::size_t i = 0;
  while (i < a.size() && a[i] == b[i]) ++i;
  const auto rest = [](std::string_view text, std::size_t at) {
    return text.substr(std::min(at, text.size()));
  };
  if (a.size() != b.size()) return rest(a, i) == rest(b, i + 1);
  if (rest(a, i + 1) == rest(b, i + 1)) return true;
  return i + 1 < a.size() && a[i] == b[i + 1] && a[i + 1] == b[i] && rest(a, i + 2) == rest(b, i + 2);
}

}  // namespace

std::string_view to_string(Capability capability) noexcept {
  switch (capability) {
    case C::kNow:
      return "now";
    case C::kSignalling:
      return "signalling";
    case C::kSrtp:
      return "SRTP";
    case C::kIce:
      return "ICE/DTLS";
    case C::kCodecs:
      return "codecs";
    case C::kT38:
      return "T.38";
    case C::kRecording:
      return "recording";
    case C::kPlayback:
      return "playback";
    case C::kPubSub:
      return "publish/subscribe";
  }
  return "unknown";
}

std::string normalise(std::string_view name) {
  std::string text(name);
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if (c == ' ' || c == '_') c = '-';
  }
  return text;
}

std::span<const KeyRow> key_rows() { return kKeys; }
std::span<const FlagRow> flag_rows() { return kFlags; }

Request parse_request(const Dict& dict) {
  Request request;
  for (const auto& [key, value] : dict) {
    const std::string name = normalise(key);
    const auto row = std::ranges::find(kKeys, name, &KeyRow::name);
    if (row == std::end(kKeys)) {
      if (is_vsc_key(name)) {
        request.not_in_force.push_back(name);
      } else {
        request.unknown_keys.push_back(name);
      }
      continue;
    }
    if (row->apply != nullptr) row->apply(request, value);
    note_capability(request, row->capability, name);
  }
  return request;
}

std::string_view suggest(std::string_view name, bool flag) {
  if (flag) {
    for (const FlagRow& row : kFlags) {
      if (!row.prefix && differ_by_one(row.name, name)) return row.name;
    }
    return {};
  }
  for (const KeyRow& row : kKeys) {
    if (differ_by_one(row.name, name)) return row.name;
  }
  return {};
}

}  // namespace ferry::ng
