// SPDX-License-Identifier: Apache-2.0
// Parses SDP in two passes over each section.
//
// `parse` cuts the body into lines and keeps the a= lines of the session and of each section as they are.
// `interpret` then reads the attributes of a section, with those of the session as fallback, and settles its
// port. No text is copied: all results are views into the body.
//
// Devices write SDP that RFC 8866 does not allow, and a relay must not refuse it without need. So blanks,
// names in capitals, unknown lines and repeated attributes are tolerated, and a second description in one
// body is joined to the first. Bounds on octets, lines, sections and formats hold against bodies that only
// cost time (CTL-4, LIM-6).
//
// The trap: `without_secrets` (secrets.cpp) hides keys by reading lines in the same way. A line that only one
// of the two understands as a key would be shown.

#include "control/sdp/sdp.hpp"
#include "control/sdp/words.hpp"
#include "relay/core/rtp/static_types.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <cctype>
#include <charconv>
#include <unordered_set>

namespace ferry::sdp {

namespace {

/// The address type `IP4` or `IP6`, in any case; other texts unchanged.
std::string_view address_type(std::string_view written) {
  if (equal_ignoring_case(written, "IP4")) return "IP4";
  return equal_ignoring_case(written, "IP6") ? std::string_view("IP6") : written;
}

/// Parses `IN IP4 192.0.2.1`. Host names and multicast addresses with a TTL are refused.
std::optional<IpAddress> parse_connection(std::string_view value) {
  if (!equal_ignoring_case(next_word(value), "IN")) return std::nullopt;
  const std::string_view type = address_type(next_word(value));
  const auto address = IpAddress::parse(next_word(value));
  if (!address) return std::nullopt;
  if (type == "IP4" ? address->is_v4() : type == "IP6" && address->is_v6()) return address;
  return std::nullopt;
}

bool parse_origin(std::string_view value, Origin& origin) {
  origin.username = next_word(value);
  origin.session_id = next_word(value);
  origin.version = next_word(value);
  const std::string_view network = next_word(value);
  origin.address_type = address_type(next_word(value));
  origin.address = next_word(value);
  return equal_ignoring_case(network, "IN") &&
         (origin.address_type == "IP4" || origin.address_type == "IP6") && !origin.address.empty();
}

/// Attributes that the relay understands. Their names are in small letters (RFC 8866 §5.13), but some devices
/// write capitals.
constexpr std::array<std::string_view, 36> kKnownAttributes = {
    "bundle-only",  "candidate",
    "crypto",       "end-of-candidates",
    "extmap",       "extmap-allow-mixed",
    "fingerprint",  "fmtp",
    "group",        "ice-lite",
    "ice-mismatch", "ice-options",
    "ice-pwd",      "ice-ufrag",
    "inactive",     "label",
    "maxptime",     "mid",
    "msid",         "ptime",
    "recvonly",     "remote-candidates",
    "rid",          "rtcp",
    "rtcp-fb",      "rtcp-mux",
    "rtcp-xr",      "rtcp-mux-only",
    "rtcp-rsize",   "rtpmap",
    "sendonly",     "sendrecv",
    "setup",        "simulcast",
    "ssrc",         "tls-id",
};

Attribute parse_attribute(std::string_view text) {
  text = trim(text);
  const auto colon = std::min(text.find(':'), text.size());
  Attribute attribute{trim(text.substr(0, colon)), trim(text.substr(std::min(colon + 1, text.size()))), text};
  const auto known = std::ranges::find_if(
      kKnownAttributes, [&](std::string_view name) { return equal_ignoring_case(name, attribute.name); });
  if (known != kKnownAttributes.end()) attribute.name = *known;
  return attribute;
}

std::optional<Direction> direction_of(std::string_view name) {
  if (name == "sendrecv") return Direction{true, true};
  if (name == "sendonly") return Direction{true, false};
  if (name == "recvonly") return Direction{false, true};
  if (name == "inactive") return Direction{false, false};
  return std::nullopt;
}

/// The directions, in the order in which they count if a section has several
/// (docs/reference/ng.md#direction).
constexpr std::array<std::string_view, 4> kDirectionNames = {"recvonly", "sendonly", "inactive", "sendrecv"};

std::optional<Direction> direction_among(const std::vector<Attribute>& attributes) {
  for (const std::string_view name : kDirectionNames) {
    if (std::ranges::find(attributes, name, &Attribute::name) != attributes.end()) return direction_of(name);
  }
  return std::nullopt;
}

/// Splits `96 opus/48000/2` behind the payload type. False if it does not begin with one.
bool split_payload_type(std::string_view value, unsigned& type, std::string_view& rest) {
  if (!read_number(next_word(value), type) || type > 127) return false;
  rest = trim(value);
  return true;
}

/// Stores an a=rtpmap. A static type keeps its meaning from RFC 3551 §6: the line only changes how it is
/// written.
void apply_rtpmap(Codec& codec, std::string_view rest) {
  codec.rtpmap = rest;
  if (static_type(codec.payload_type) != nullptr) return;
  const RtpMap map = read_rtpmap(rest);
  codec.name = encoding_name(map.name);
  codec.clock_rate_hz = map.clock_rate_hz;
  // Opus always has two channels (RFC 7587 §7), whatever devices write.
  codec.channels = codec.name == "opus" ? 2 : map.channels;
}

/// Finds the codec of each payload type by `position`, because lines of attributes come in any order. A type
/// that is listed twice counts once.
void interpret_codecs(MediaSection& media) {
  std::array<std::int16_t, 128> position{};
  position.fill(-1);
  media.codecs.reserve(std::min(media.formats.size(), position.size()));
  for (const std::string_view format : media.formats) {
    Codec codec;
    unsigned type = 0;
    if (!read_number(format, type) || type > 127) continue;
    codec.payload_type = static_cast<std::uint8_t>(type);
    if (const StaticType* known = static_type(codec.payload_type)) {
      codec.name = known->name;
      codec.clock_rate_hz = known->clock_rate_hz;
      codec.channels = known->channels;
    }
    if (position[type] >= 0) continue;
    position[type] = static_cast<std::int16_t>(media.codecs.size());
    media.codecs.push_back(codec);
  }
  for (const Attribute& attribute : media.attributes) {
    const bool rtpmap = attribute.name == "rtpmap";
    const bool fmtp = attribute.name == "fmtp";
    if (!rtpmap && !fmtp && attribute.name != "rtcp-fb") continue;
    unsigned type = 0;
    std::string_view rest;
    if (!split_payload_type(attribute.value, type, rest) || position[type] < 0) continue;
    Codec& codec = media.codecs[static_cast<std::size_t>(position[type])];
    if (rtpmap) {
      apply_rtpmap(codec, rest);
    } else if (fmtp) {
      codec.fmtp = rest;
    } else {
      codec.feedback.push_back(rest);
    }
  }
}

/// Parses the value of a=rtcp (RFC 3605). Port 0 and unspecified addresses count as no line.
std::optional<Endpoint> parse_rtcp_attribute(std::string_view value) {
  Endpoint endpoint;
  if (!read_number(next_word(value), endpoint.port.value) || endpoint.port.value == 0) return std::nullopt;
  if (const auto address = parse_connection(value)) endpoint.address = *address;
  if (endpoint.address.is_unspecified()) return std::nullopt;
  return endpoint;
}

/// Reads the attributes of a section; those of the session count where RFCs let them stand for all sections.
void interpret(MediaSection& media, const Session& session, const Limits& limits) {
  for (const Attribute& attribute : media.attributes) {
    if (attribute.name == "mid") {
      media.mid = attribute.value;
    } else if (attribute.name == "label") {
      media.label = attribute.value;
    } else if (attribute.name == "rtcp") {
      media.rtcp = parse_rtcp_attribute(attribute.value);
    } else if (attribute.name == "rtcp-mux") {
      media.rtcp_mux = true;
    } else if (attribute.name == "rtcp-rsize") {
      media.rtcp_reduced_size = true;
    } else if (attribute.name == "ptime") {
      media.ptime = attribute.value;
    } else if (attribute.name == "maxptime") {
      media.maxptime = attribute.value;
    } else if (attribute.name == "crypto") {
      media.has_crypto = true;
    } else if (attribute.name == "fingerprint") {
      media.has_crypto = true;
      media.fingerprints.push_back(attribute.value);
    } else if (attribute.name == "setup") {
      media.setup = attribute.value;
    } else if (attribute.name == "tls-id") {
      media.tls_id = attribute.value;
    } else if (attribute.name == "ice-ufrag") {
      media.ice_ufrag = attribute.value;
    } else if (attribute.name == "ice-pwd") {
      media.ice_password = attribute.value;
    } else if (attribute.name == "ice-options") {
      media.ice_options = attribute.value;
    } else if (attribute.name == "candidate") {
      media.candidates.push_back(attribute.value);
    }
  }
  const bool has_fingerprint = !media.fingerprints.empty();
  for (const Attribute& attribute : session.attributes) {
    if (attribute.name == "fingerprint" && !has_fingerprint) media.fingerprints.push_back(attribute.value);
    if (attribute.name == "setup" && media.setup.empty()) media.setup = attribute.value;
    if (attribute.name == "tls-id" && media.tls_id.empty()) media.tls_id = attribute.value;
    if (attribute.name == "ice-ufrag" && media.ice_ufrag.empty()) media.ice_ufrag = attribute.value;
    if (attribute.name == "ice-pwd" && media.ice_password.empty()) media.ice_password = attribute.value;
    if (attribute.name == "ice-options" && media.ice_options.empty()) media.ice_options = attribute.value;
    if (attribute.name == "ice-lite") media.ice_lite = true;
  }
  auto direction = direction_among(media.attributes);
  if (!direction) direction = direction_among(session.attributes);
  media.has_direction = direction.has_value();
  media.direction = direction.value_or(Direction{});
  if (media.is_rtp()) interpret_codecs(media);
  // DMX-6: a section whose protocol cannot be relayed is read as rejected.
  const bool is_unknown = carriage_of(media.protocol.text) == Carriage::kUnknown && media.type != "message" &&
                          !limits.keeps_unknown_protocols;
  if (is_unknown || media.is_data_channel()) media.port = 0;
}

/// Formats of a usual m= line.
constexpr std::size_t kUsualFormats = 4;

/// Parses the value of an m= line.
bool parse_media(std::string_view value, MediaSection& media, const Limits& limits, SdpError& error) {
  error = SdpError::kBadLine;
  media.type = next_word(value);
  std::string_view port = next_word(value);
  media.protocol = parse_protocol(next_word(value));
  if (const auto slash = port.find('/'); slash != std::string_view::npos) {
    if (!read_number(port.substr(slash + 1), media.port_count)) return false;
    port = port.substr(0, slash);
  }
  if (media.type.empty() || media.protocol.text.empty() || !read_number(port, media.port)) return false;
  media.said_port = media.port;
  media.formats.reserve(kUsualFormats);
  for (std::string_view format = next_word(value); !format.empty(); format = next_word(value)) {
    if (media.formats.size() == limits.formats) {
      error = SdpError::kTooManyFormats;
      return false;
    }
    media.formats.push_back(format);
  }
  return true;
}

/// Reads the events of an a=fmtp for telephone-event, such as `0-15,66,70`; an empty one means 0-15 (RFC 4733
/// §2.4.1). Nothing if the text is no such list.
std::optional<std::bitset<256>> telephone_events(std::string_view fmtp) {
  std::bitset<256> events;
  if (fmtp.empty()) fmtp = "0-15";
  while (!fmtp.empty()) {
    const auto comma = std::min(fmtp.find(','), fmtp.size());
    const std::string_view part = trim(fmtp.substr(0, comma));
    fmtp.remove_prefix(std::min(comma + 1, fmtp.size()));
    const auto dash = part.find('-');
    unsigned first = 0;
    if (!read_number(part.substr(0, dash), first)) return std::nullopt;
    unsigned last = first;
    if (dash != std::string_view::npos && !read_number(part.substr(dash + 1), last)) return std::nullopt;
    for (unsigned event = first; event <= last && event < events.size(); ++event) events.set(event);
  }
  return events;
}

/// Attributes of a usual section.
constexpr std::size_t kUsualAttributes = 8;
/// Attributes among which the same line is searched for one by one. A longer section is searched by a set, so
/// that a large SDP costs no time that grows with the square of its length.
constexpr std::size_t kSearchedAttributes = 16;

/// Adds an attribute to its section, unless the section has the same line already. `seen` has the lines of a
/// long section, and is empty otherwise.
void add_attribute(std::vector<Attribute>& attributes, std::unordered_set<std::string_view>& seen,
                   std::string_view value) {
  const Attribute attribute = parse_attribute(value);
  if (attribute.name.empty()) return;
  if (attributes.size() < kSearchedAttributes) {
    if (std::ranges::find(attributes, attribute.text, &Attribute::text) != attributes.end()) return;
    if (attributes.empty()) attributes.reserve(kUsualAttributes);
  } else {
    if (seen.empty()) {
      for (const Attribute& each : attributes) seen.insert(each.text);
    }
    if (!seen.insert(attribute.text).second) return;
  }
  attributes.push_back(attribute);
}

}  // namespace

std::string_view to_string(SdpError error) noexcept {
  switch (error) {
    case SdpError::kTooLarge:
      return "SDP body or line too large";
    case SdpError::kBadLine:
      return "broken line";
    case SdpError::kLineBeforeVersion:
      return "line before v=";
    case SdpError::kTooManyMedia:
      return "too many media sections";
    case SdpError::kTooManyFormats:
      return "too many formats in a section";
  }
  return "unknown";
}

std::string_view to_string(Direction direction) noexcept {
  if (direction.send) return direction.receive ? "sendrecv" : "sendonly";
  return direction.receive ? "recvonly" : "inactive";
}

bool is_direction(std::string_view attribute) noexcept {
  return std::ranges::find(kDirectionNames, attribute) != kDirectionNames.end();
}

Protocol parse_protocol(std::string_view text) noexcept {
  static constexpr std::array<Protocol, 7> kKnown = {{
      {ProtocolClass::kRtp, false, false, false, "RTP/AVP"},
      {ProtocolClass::kRtp, false, true, false, "RTP/AVPF"},
      {ProtocolClass::kRtp, true, false, false, "RTP/SAVP"},
      {ProtocolClass::kRtp, true, true, false, "RTP/SAVPF"},
      {ProtocolClass::kRtp, true, false, true, "UDP/TLS/RTP/SAVP"},
      {ProtocolClass::kRtp, true, true, true, "UDP/TLS/RTP/SAVPF"},
      {ProtocolClass::kUdptl, false, false, false, "udptl"},
  }};
  for (const Protocol& known : kKnown) {
    if (equal_ignoring_case(known.text, text)) return known;
  }
  Protocol other;
  other.text = text;
  return other;
}

Carriage carriage_of(std::string_view protocol) noexcept {
  struct Row {
    std::string_view text;
    Carriage carriage;
  };
  static constexpr auto kRows = std::to_array<Row>({{"UDP/TLS/UDPTL", Carriage::kDtls},
                                                    {"UDP/BFCP", Carriage::kBfcp},
                                                    {"UDP/TLS/BFCP", Carriage::kDtls},
                                                    {"UDP/DTLS/SCTP", Carriage::kDataChannel},
                                                    {"TCP/DTLS/SCTP", Carriage::kDataChannel},
                                                    {"DTLS/SCTP", Carriage::kDataChannel},
                                                    {"SCTP/DTLS", Carriage::kDataChannel}});
  for (const Row& row : kRows) {
    if (equal_ignoring_case(row.text, protocol)) return row.carriage;
  }
  if (parse_protocol(protocol).kind != ProtocolClass::kOther) return Carriage::kDatagrams;
  const std::string_view first = protocol.substr(0, protocol.find('/'));
  return equal_ignoring_case(first, "TCP") ? Carriage::kTcp : Carriage::kUnknown;
}

const Attribute* MediaSection::find(std::string_view name) const {
  const auto found = std::ranges::find(attributes, name, &Attribute::name);
  return found == attributes.end() ? nullptr : &*found;
}

std::string_view encoding_name(std::string_view written) noexcept {
  struct Row {
    // Without dots.
    std::string_view written;
    std::string_view name;
  };
  static constexpr std::array<Row, 12> kRows = {{{"G729", "G729"},
                                                 {"G729A", "G729"},
                                                 {"G729B", "G729"},
                                                 {"G729AB", "G729"},
                                                 {"G723", "G723"},
                                                 {"G7231", "G723"},
                                                 {"G721", "G726-32"},
                                                 {"G722", "G722"},
                                                 {"G728", "G728"},
                                                 {"G711U", "PCMU"},
                                                 {"G711A", "PCMA"},
                                                 {"opus", "opus"}}};
  const auto matches = [&](const Row& row) {
    std::size_t at = 0;
    for (const char c : written) {
      if (c == '.') continue;
      if (at == row.written.size() || !equal_ignoring_case({&c, 1}, row.written.substr(at, 1))) return false;
      ++at;
    }
    return at == row.written.size();
  };
  const auto* const row = std::ranges::find_if(kRows, matches);
  return row == kRows.end() ? written : row->name;
}

RtpMap read_rtpmap(std::string_view value) noexcept {
  const auto next_part = [&] {
    const auto slash = std::min(value.find('/'), value.size());
    const std::string_view part = trim(value.substr(0, slash));
    value.remove_prefix(std::min(slash + 1, value.size()));
    return part;
  };
  RtpMap map;
  map.name = next_part();
  read_number(next_part(), map.clock_rate_hz);
  read_number(next_part(), map.channels);
  return map;
}

bool same_codec(const Codec& offered, const Codec& answered) noexcept {
  // From this number on, payload types have no meaning of their own (RFC 3551 §6).
  constexpr std::uint8_t kFirstFree = 35;
  const bool same_number = offered.payload_type == answered.payload_type;
  // Without a name on both sides only the number can be compared.
  const bool has_no_name = answered.name.empty() || offered.name.empty();
  if (has_no_name || (same_number && offered.payload_type < kFirstFree)) return same_number;
  if (!equal_ignoring_case(offered.name, answered.name) || offered.clock_rate_hz != answered.clock_rate_hz ||
      offered.channels != answered.channels) {
    return false;
  }
  if (same_number || !equal_ignoring_case(offered.name, "telephone-event")) return true;
  const auto known = telephone_events(offered.fmtp);
  const auto wanted = telephone_events(answered.fmtp);
  return !known || !wanted || (*wanted & ~*known).none();
}

std::uint8_t silence_octet(std::string_view codec) noexcept {
  if (equal_ignoring_case(codec, "PCMU")) return 0xff;
  if (equal_ignoring_case(codec, "PCMA")) return 0xd5;
  if (equal_ignoring_case(codec, "G722")) return 0xfa;
  return 0;
}

std::uint32_t peak_octets_per_second(const Codec& codec) noexcept {
  struct Row {
    std::string_view name;
    std::uint32_t octets;
  };
  static constexpr std::array<Row, 13> kRows = {{{"PCMU", 8000},
                                                 {"PCMA", 8000},
                                                 {"G722", 8000},
                                                 {"G729", 1000},
                                                 {"G723", 800},
                                                 {"GSM", 1650},
                                                 {"iLBC", 1900},
                                                 {"AMR", 1600},
                                                 {"AMR-WB", 3100},
                                                 {"EVS", 16000},
                                                 {"opus", 64000},
                                                 {"CN", 400},
                                                 {"telephone-event", 800}}};
  for (const Row& row : kRows) {
    if (equal_ignoring_case(row.name, codec.name)) return row.octets;
  }
  // L16 and unknown codecs may send plain samples: at least 512 kbit/s.
  return std::max<std::uint32_t>(64'000, codec.clock_rate_hz * 2 * codec.channels);
}

Result<Session, SdpError> parse(std::string_view text, const Limits& limits) {
  if (text.size() > limits.bytes) return fail(SdpError::kTooLarge);
  if (const auto nul = text.find('\0'); nul != std::string_view::npos) text = text.substr(0, nul);
  Session session;
  std::optional<IpAddress> session_connection;
  bool version_seen = false;
  bool in_media = false;
  std::size_t lines = 0;
  // Attributes of the present section.
  std::unordered_set<std::string_view> seen;
  while (!text.empty()) {
    std::string_view line = next_line(text);
    if (line.empty()) break;
    if (++lines > limits.lines || line.size() > limits.line) return fail(SdpError::kTooLarge);
    const bool is_line = line.size() >= 2 && line[1] == '=' &&
                         std::string_view("vosiuepcbtrzkam").find(line[0]) != std::string_view::npos;
    if (limits.strict && !is_line) return fail(SdpError::kBadLine);
    const std::size_t written = line.size();
    line = trim(line);
    const bool had_blanks = line.size() < written;
    if (line.size() < 2 || line[1] != '=') continue;
    const char kind = line[0];
    const std::string_view value = trim(line.substr(2));
    if (kind == 'v') {
      // A second session description in one body: its sections join those of the first.
      version_seen = true;
      in_media = false;
      session_connection.reset();
      continue;
    }
    if (std::string_view("oscmtabiuep").find(kind) == std::string_view::npos) continue;
    if (!version_seen) return fail(SdpError::kLineBeforeVersion);
    MediaSection* media = in_media ? &session.media.back() : nullptr;
    // Other session lines of a second description are skipped.
    if (media == nullptr && !session.media.empty() && kind != 'm' && kind != 'c' && kind != 'o') continue;
    Origin second;
    switch (kind) {
      case 'o':
        if (!parse_origin(value, session.media.empty() ? session.origin : second))
          return fail(SdpError::kBadLine);
        break;
      case 's':
        // `s= ` is a name that consists of one blank (RFC 8866 §5.3).
        if (media == nullptr) session.name = value.empty() && had_blanks ? " " : value;
        break;
      case 'c': {
        const auto address = parse_connection(value);
        if (!address) return fail(SdpError::kBadLine);
        (media != nullptr ? media->connection : session_connection) = *address;
        break;
      }
      case 'm': {
        if (session.media.size() == limits.media) return fail(SdpError::kTooManyMedia);
        MediaSection section;
        SdpError error{};
        if (!parse_media(value, section, limits, error)) return fail(error);
        section.connection = session_connection;
        session.media.push_back(std::move(section));
        in_media = true;
        seen.clear();
        break;
      }
      case 't':
        if (media == nullptr && session.timing.empty()) session.timing = value;
        break;
      case 'a':
        add_attribute(media != nullptr ? media->attributes : session.attributes, seen, value);
        break;
      case 'b':
        (media != nullptr ? media->bandwidth : session.bandwidth).push_back(value);
        break;
      case 'i':
        if (media != nullptr) {
          media->information.push_back(value);
        } else {
          session.descriptive.push_back(line);
        }
        break;
      default:  // u= e= p=
        if (media == nullptr) session.descriptive.push_back(line);
        break;
    }
  }
  for (MediaSection& media : session.media) interpret(media, session, limits);
  return session;
}

}  // namespace ferry::sdp
