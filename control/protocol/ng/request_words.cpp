// SPDX-License-Identifier: Apache-2.0
// Applies words of keys and flags to a request. request_parser.cpp has the tables of keys and flags; this
// file knows what each word means.
//
// Three lists of the request keep what has no effect: `unknown_flags` for words that nobody knows,
// `not_in_force` for those that this version does not carry out, and `option_fault` for an option that makes
// the whole request fail. Most words accept the spelling variants that `normalise` makes equal.

#include "control/protocol/ng/request_words.hpp"

#include "control/protocol/ng/rtpp_flags.hpp"
#include "control/sdp/dtls.hpp"

#include <algorithm>
#include <array>

namespace ferry::ng {

std::string normalise(std::string_view name) {
  std::string text(name);
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if (c == ' ' || c == '_') c = '-';
  }
  return text;
}

namespace words {

namespace {

/// Splits names at semicolons.
std::vector<std::string> names_of(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const auto end = std::min(text.find(';'), text.size());
    if (end != 0) names.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return names;
}

/// The list of the operation of that name, of `codec` or a `codec-` flag; null if it is unknown.
std::vector<std::string>* codec_operation(Request& request, std::string_view name) {
  struct Row {
    std::string_view name;
    std::vector<std::string> sdp::CodecOperations::*list;
  };
  static constexpr std::array<Row, 9> kRows = {{{"strip", &sdp::CodecOperations::strip},
                                                {"except", &sdp::CodecOperations::except},
                                                {"offer", &sdp::CodecOperations::offer},
                                                {"transcode", &sdp::CodecOperations::transcode},
                                                {"mask", &sdp::CodecOperations::mask},
                                                {"accept", &sdp::CodecOperations::accept},
                                                {"consume", &sdp::CodecOperations::consume},
                                                {"ignore", &sdp::CodecOperations::ignore},
                                                {"set", &sdp::CodecOperations::set}}};
  const auto row = std::ranges::find(kRows, name, &Row::name);
  return row == kRows.end() ? nullptr : &(request.codecs.*(row->list));
}

/// Makes the whole request fail. The first reason counts.
void refuse_option(Request& request, RequestFault fault) {
  if (!request.option_fault) request.option_fault = fault;
}

/// Finds the section of an edit; `none` and `global` mean the session level. False if it is unknown.
bool attr_section(Request& request, std::string_view name, std::string& section) {
  section = normalise(name);
  if (section == "none" || section == "global") {
    section.clear();
  } else if (!sdp::is_known_media_type(section)) {
    refuse_option(request, RequestFault::kUnknownSectionType);
    return false;
  }
  return true;
}

/// Adds the substitution `from>to`. A text without the sign changes nothing.
void add_substitution(Request& request, const std::string& section, std::string_view text) {
  const auto arrow = text.find('>');
  if (arrow == std::string_view::npos) return;
  request.sdp_attr.push_back({sdp::AttributeEdit::Kind::kSubstitute, section, unescape(text.substr(0, arrow)),
                              unescape(text.substr(arrow + 1))});
}

/// Reads one command of `sdp-attr` for one section. Members may be texts, and for `substitute` also pairs.
void attr_command(Request& request, const std::string& section, std::string_view command,
                  const Value& value) {
  using Kind = sdp::AttributeEdit::Kind;
  if (command != "add" && command != "remove" && command != "substitute") {
    refuse_option(request, RequestFault::kUnknownManipulation);
    return;
  }
  const List* list = value.list();
  if (list == nullptr) {
    // A text in place of a list is added as a whole line.
    if (const auto* text = value.string(); text != nullptr && command == "add")
      request.sdp_attr.push_back({Kind::kAddLine, section, *text, {}});
    return;
  }
  for (const Value& member : *list) {
    const auto* text = member.string();
    if (command == "substitute") {
      const List* pair = member.list();
      if (text != nullptr) {
        add_substitution(request, section, *text);
      } else if (pair != nullptr && pair->size() == 2 && (*pair)[0].string() != nullptr &&
                 (*pair)[1].string() != nullptr) {
        request.sdp_attr.push_back(
            {Kind::kSubstitute, section, unescape(*(*pair)[0].string()), unescape(*(*pair)[1].string())});
      }
    } else if (text != nullptr) {
      request.sdp_attr.push_back(
          {command == "add" ? Kind::kAdd : Kind::kRemove, section, unescape(*text), {}});
    }
  }
}

}  // namespace

void set_string(std::optional<std::string>& target, const Value& value) {
  if (const auto* text = value.string()) target = *text;
}

void set_string(std::string& target, const Value& value) {
  if (const auto* text = value.string()) target = *text;
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

void fax_word(Request& request, std::string_view word) {
  if (!take_fax_word(request.fax, word)) request.unknown_flags.push_back("t.38-" + normalise(word));
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

void bundle_word(Request& request, std::string_view word) {
  static constexpr std::array<std::string_view, 5> kWords = {"accept", "reject", "offer", "require",
                                                             "strict"};
  const std::string name = normalise(word);
  const auto found = std::ranges::find(kWords, name);
  if (found == kWords.end()) {
    request.unknown_flags.push_back("bundle-" + name);
    return;
  }
  request.bundle.set(static_cast<std::size_t>(found - kWords.begin()));
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

bool is_yes(std::string_view word) {
  const std::string name = normalise(word);
  return name == "yes" || name == "on" || name == "true";
}

void switch_word(Request& request, std::optional<bool>& target, std::string_view name,
                 std::string_view word) {
  const std::string said = normalise(word);
  if (is_yes(said))
    target = true;
  else if (said == "no" || said == "off" || said == "false")
    target = false;
  else
    request.unknown_flags.push_back(std::string(name) + "-" + said);
}

void record_word(Request& request, const Value& value) {
  const auto* text = value.string();
  if (text == nullptr) return;
  const std::string name = normalise(*text);
  if (is_yes(name))
    request.record = RecordCall::kYes;
  else if (name == "no" || name == "off")
    request.record = RecordCall::kNo;
  else if (name == "discard" || name == "discard-recording")
    request.record = RecordCall::kDiscard;
  else
    request.unknown_flags.push_back("record-call=" + name);
}

void sdes_word(Request& request, std::string_view word) {
  const std::string name = normalise(word);
  Sdes& sdes = request.sdes;
  const auto behind = [&](std::string_view prefix) { return word.substr(prefix.size()); };
  // The relay never leaves out encryption or authentication (SRT-12), so there is nothing to ask for or to
  // forbid.
  static constexpr std::array<std::string_view, 3> kParameters = {"encrypted-srtp", "encrypted-srtcp",
                                                                  "authenticated-srtp"};
  const std::string_view positive = std::string_view(name).substr(name.starts_with("un") ? 2 : 0);
  if (name == "off" || name == "no" || name == "disable" || name == "disabled") {
    sdes.policy.off = true;
  } else if (std::ranges::find(kParameters, positive) != kParameters.end()) {
    if (name.starts_with("un")) request.not_in_force.push_back("sdes-" + name);
  } else if (name == "nonew") {
    sdes.policy.no_new = true;
  } else if (name == "pad") {
    sdes.style.pad = true;
  } else if (name == "lifetime") {
    sdes.style.lifetime = true;
  } else if (name == "static") {
    sdes.keeps_suite = true;
  } else if (name == "prefer" || name == "priority") {
    sdes.is_preferred = true;
  } else if (name.starts_with("no-")) {
    sdes.policy.without.emplace_back(behind("no-"));
  } else if (name.starts_with("only-")) {
    sdes.policy.only.emplace_back(behind("only-"));
  } else if (name.starts_with("order:")) {
    sdes.policy.order = names_of(behind("order:"));
  } else if (name.starts_with("offerer-pref:")) {
    sdes.for_offerer = names_of(behind("offerer-pref:"));
  } else {
    request.unknown_flags.push_back("sdes-" + name);
  }
}

void dtls_word(Request& request, std::string_view word) {
  const std::string name = normalise(word);
  if (name == "off" || name == "no" || name == "disable" || name == "disabled") {
    request.dtls.off = true;
  } else if (name == "passive" || name == "active") {
    request.dtls.passive = name == "passive";
  } else {
    request.unknown_flags.push_back("dtls-" + name);
  }
}

void ice_word(Request& request, std::string_view word) {
  const std::string name = normalise(word);
  if (name == "remove") {
    request.ice.offer = IceWishes::Offer::kNever;
  } else if (name == "force") {
    request.ice.offer = IceWishes::Offer::kAlways;
  } else if (name == "default") {
    request.ice.offer = IceWishes::Offer::kAsOffered;
  } else if (name == "trickle") {
    request.ice.trickles = true;
  } else if (name == "ice2") {
    request.ice.says_ice2 = true;
  } else if (name == "optional") {
    request.ice.offer = IceWishes::Offer::kBeside;
  } else if (name == "force-relay") {
    request.ice.offer = IceWishes::Offer::kRelayed;
  } else if (name == "lite") {
    ice_lite_word(request, "forward");
  } else if (name == "no-lite") {
    ice_lite_word(request, "off");
  } else if (name.starts_with("lite-")) {
    ice_lite_word(request, name.substr(5));
  } else {
    request.unknown_flags.push_back("ice-" + name);
  }
}

void ice_lite_word(Request& request, std::string_view word) {
  const std::string name = normalise(word);
  IceWishes& ice = request.ice;
  if (name == "forward" || name == "fwd" || name == "offer") {
    ice.is_lite_to_receiver = true;
  } else if (name == "backward" || name == "bkw" || name == "answer") {
    ice.is_lite_to_sender = true;
  } else if (name == "both") {
    ice.is_lite_to_receiver = ice.is_lite_to_sender = true;
  } else if (name == "off" || name == "no" || name == "none" || name == "disable" || name == "disabled") {
    ice.is_lite_to_receiver = ice.is_lite_to_sender = false;
  } else {
    request.unknown_flags.push_back("ice-lite-" + name);
  }
}

void web_rtc(Request& request) {
  request.transport_protocol = "UDP/TLS/RTP/SAVPF";
  request.ice.offer = IceWishes::Offer::kAlways;
  request.ice.trickles = true;
  request.sdes.policy.off = true;
  for (const RtcpMux word : {RtcpMux::kOffer, RtcpMux::kRequire})
    request.rtcp_mux.set(static_cast<std::size_t>(word));
  for (const Bundle word : {Bundle::kOffer, Bundle::kRequire})
    request.bundle.set(static_cast<std::size_t>(word));
  for (const Flag flag : {Flag::kNoRtcpAttribute, Flag::kGenerateMid})
    request.flags.set(static_cast<std::size_t>(flag));
}

void fingerprint_word(Request& request, const Value& value) {
  if (const auto* text = value.string()) {
    if (const auto hash = sdp::parse_hash(*text)) {
      request.dtls.hash = hash;
    } else {
      request.unknown_flags.push_back("dtls-fingerprint=" + normalise(*text));
    }
  }
}

void osrtp_word(Request& request, std::string_view word) {
  const std::string name = normalise(word);
  Osrtp& osrtp = request.osrtp;
  if (name == "offer" || name == "offer-rfc") {
    osrtp.offer = true;
  } else if (name == "offer-legacy") {
    osrtp.offer_doubled = true;
  } else if (name == "accept-rfc") {
    osrtp.accept = true;
  } else if (name == "accept-legacy") {
    osrtp.accept_doubled = true;
  } else if (name == "accept") {
    osrtp.accept = osrtp.accept_doubled = true;
  } else {
    request.unknown_flags.push_back("osrtp-" + name);
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

void set_address(std::optional<IpAddress>& target, const Value& value) {
  if (const auto* text = value.string()) target = IpAddress::parse(*text);
}

void all_word(Request& request, std::string_view word) {
  struct Row {
    std::string_view name;
    AllParties all;
  };
  static constexpr std::array<Row, 7> kRows = {{{"none", AllParties::kNone},
                                                {"all", AllParties::kAll},
                                                {"offer-answer", AllParties::kOfferAnswer},
                                                {"except-offer-answer", AllParties::kExceptOfferAnswer},
                                                {"not-offer-answer", AllParties::kExceptOfferAnswer},
                                                {"non-offer-answer", AllParties::kExceptOfferAnswer},
                                                {"flows", AllParties::kFlows}}};
  const std::string name = normalise(word);
  const auto row = std::ranges::find(kRows, name, &Row::name);
  if (row == kRows.end()) {
    request.unknown_flags.push_back("all=" + name);
  } else {
    request.all = row->all;
  }
}

void alias_key_word(Request& request, std::string_view word) {
  const std::string name = normalise(word);
  if (name == "sdp") {
    request.alias_key = AliasKey::kSdp;
  } else if (name == "address" || name == "endpoint") {
    request.alias_key = AliasKey::kAddress;
  } else if (name == "off" || name == "none" || name == "no") {
    request.alias_key = AliasKey::kOff;
  } else {
    request.unknown_flags.push_back("alias-key=" + name);
  }
}

void echo_word(Request& request, std::string_view word) {
  const std::string name = normalise(word);
  if (name == "blackhole" || name == "sinkhole") {
    request.echo = MediaEcho::kBlackhole;
  } else if (name == "forward") {
    request.echo = MediaEcho::kForward;
  } else if (name == "backwards") {
    request.echo = MediaEcho::kBackwards;
  } else if (name == "both") {
    request.echo = MediaEcho::kBoth;
  } else if (name == "off" || name == "none" || name == "no") {
    request.echo = MediaEcho::kOff;
  } else {
    request.unknown_flags.push_back("media-echo=" + name);
  }
}

void codec_dict(Request& request, const Value& value) {
  const Dict* dict = value.dict();
  if (dict == nullptr) return;
  for (const auto& [key, words] : *dict) {
    const std::string name = normalise(key);
    if (auto* list = codec_operation(request, name)) {
      each_word(words, [&](std::string_view word) { list->push_back(unescape(word)); });
    } else {
      request.unknown_flags.push_back("codec-" + name);
    }
  }
}

void codec_flag(Request& request, std::string_view rest) {
  const auto dash = std::min(rest.find('-'), rest.size());
  const std::string name = normalise(rest.substr(0, dash));
  auto* list = codec_operation(request, name);
  if (list == nullptr || dash + 1 >= rest.size()) {
    request.unknown_flags.push_back("codec-" + normalise(rest));
    return;
  }
  list->push_back(unescape(rest.substr(dash + 1)));
}

void sdp_attr(Request& request, const Value& value) {
  const Dict* sections = value.dict();
  if (sections == nullptr) {
    refuse_option(request, RequestFault::kWrongType);
    return;
  }
  for (const auto& [name, commands] : *sections) {
    std::string section;
    if (!attr_section(request, name, section)) return;
    if (commands.dict() == nullptr) {
      refuse_option(request, RequestFault::kWrongContent);
      return;
    }
    for (const auto& [command, words] : *commands.dict())
      attr_command(request, section, normalise(command), words);
  }
}

void sdp_attr_flag(Request& request, std::string_view rest) {
  const auto first = std::min(rest.find('-'), rest.size());
  const auto second = std::min(rest.find('-', std::min(first + 1, rest.size())), rest.size());
  std::string section;
  if (second >= rest.size() || !attr_section(request, rest.substr(first + 1, second - first - 1), section))
    return;
  const std::string command = normalise(rest.substr(0, first));
  attr_command(request, section, command, Value(List{Value(rest.substr(second + 1))}));
}

void media_remove(Request& request, const Value& value) {
  const List* list = value.list();
  if (list == nullptr) {
    refuse_option(request, RequestFault::kWrongType);
    return;
  }
  for (const Value& member : *list) {
    const auto* text = member.string();
    const std::string type = text == nullptr ? std::string() : normalise(*text);
    if (type != "other" && !sdp::is_known_media_type(type)) {
      refuse_option(request, RequestFault::kUnknownSectionType);
      return;
    }
    request.media_remove.push_back(type);
  }
}

void extmap_dict(Request& request, const Value& value) {
  if (value.dict() == nullptr) return;
  for (const auto& [key, words] : *value.dict()) {
    const std::string name = normalise(key);
    auto* list = name == "strip" ? &request.extmap_strip : name == "mask" ? &request.extmap_mask : nullptr;
    if (list == nullptr) {
      request.unknown_flags.push_back("extmap-" + name);
    } else {
      each_word(words, [&](std::string_view word) { list->emplace_back(word); });
    }
  }
}

void player_word(Request& request, std::string_view word) {
  const std::string name = normalise(word);
  if (name == "always" || name == "force") {
    request.audio_player = AudioPlayer::kAlways;
  } else if (name == "transcoding" || name == "on" || name == "yes") {
    request.audio_player = AudioPlayer::kTranscoding;
  } else if (name == "off" || name == "no") {
    request.audio_player = AudioPlayer::kOff;
  } else if (name == "default") {
    request.audio_player = AudioPlayer::kDefault;
  } else {
    request.unknown_flags.push_back("audio-player=" + name);
  }
}

void drop_traffic_word(Request& request, const Value& value) {
  each_word(value, [&](std::string_view word) {
    const std::string name = normalise(word);
    // A request that says both starts it (docs/reference/ng.md#learning).
    if (name == "start") request.drop_traffic = true;
    if (name == "stop" && !request.drop_traffic.value_or(false)) request.drop_traffic = false;
  });
}

bool is_branch_word(std::string_view text) {
  while (!text.empty()) {
    bool found = false;
    for (const std::string_view word : {"auto", "extra", "next", "1", "2", "-", "_", ",", "|", "/"}) {
      if (!text.starts_with(word)) continue;
      text.remove_prefix(word.size());
      found = true;
      break;
    }
    if (!found) return false;
  }
  return true;
}

}  // namespace words

}  // namespace ferry::ng
