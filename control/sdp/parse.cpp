#include "control/sdp/sdp.hpp"
#include "control/sdp/words.hpp"
#include "relay/base/static_types.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <cctype>
#include <charconv>

namespace ferry::sdp {

namespace {

/// `IN IP4 192.0.2.1`. Host names and multicast with TTL are refused.
std::optional<IpAddress> parse_connection(std::string_view value) {
  if (next_word(value) != "IN") return std::nullopt;
  const std::string_view type = next_word(value);
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
  origin.address_type = next_word(value);
  origin.address = next_word(value);
  return network == "IN" && (origin.address_type == "IP4" || origin.address_type == "IP6") &&
         !origin.address.empty();
}

Attribute parse_attribute(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return {text, {}, text};
  return {text.substr(0, colon), text.substr(colon + 1), text};
}

std::optional<Direction> direction_of(std::string_view name) {
  if (name == "sendrecv") return Direction{true, true};
  if (name == "sendonly") return Direction{true, false};
  if (name == "recvonly") return Direction{false, true};
  if (name == "inactive") return Direction{false, false};
  return std::nullopt;
}

/// Splits `96 opus/48000/2` at the payload type. False if there is none.
bool split_payload_type(std::string_view value, unsigned& type, std::string_view& rest) {
  const auto blank = std::min(value.find(' '), value.size());
  if (!read_number(value.substr(0, blank), type) || type > 127) return false;
  rest = value.substr(blank);
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  return true;
}

void apply_rtpmap(Codec& codec, std::string_view rest) {
  codec.rtpmap = rest;
  const auto slash = std::min(rest.find('/'), rest.size());
  codec.name = rest.substr(0, slash);
  rest.remove_prefix(std::min(slash + 1, rest.size()));
  const auto second = std::min(rest.find('/'), rest.size());
  read_number(rest.substr(0, second), codec.clock_rate_hz);
  rest.remove_prefix(std::min(second + 1, rest.size()));
  codec.channels = 1;
  read_number(rest, codec.channels);
}

void interpret_codecs(MediaSection& media) {
  std::array<std::int16_t, 128> position{};
  position.fill(-1);
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
    if (position[type] < 0) position[type] = static_cast<std::int16_t>(media.codecs.size());
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

std::optional<Endpoint> parse_rtcp_attribute(std::string_view value) {
  Endpoint endpoint;
  if (!read_number(next_word(value), endpoint.port.value) || endpoint.port.value == 0) return std::nullopt;
  if (const auto address = parse_connection(value)) endpoint.address = *address;
  if (endpoint.address.is_unspecified()) return std::nullopt;
  return endpoint;
}

void interpret(MediaSection& media, const Session& session) {
  std::optional<Direction> direction;
  for (const Attribute& attribute : media.attributes) {
    if (const auto found = direction_of(attribute.name)) {
      direction = found;
    } else if (attribute.name == "mid") {
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
  for (const Attribute& attribute : session.attributes) {
    if (direction) break;
    direction = direction_of(attribute.name);
  }
  media.direction = direction.value_or(Direction{});
  if (media.is_rtp()) interpret_codecs(media);
}

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
  for (std::string_view format = next_word(value); !format.empty(); format = next_word(value)) {
    if (media.formats.size() == limits.formats) {
      error = SdpError::kTooManyFormats;
      return false;
    }
    media.formats.push_back(format);
  }
  return true;
}

/// Cuts the next line off. Line ends: CR LF, LF, CR.
std::string_view next_line(std::string_view& text) {
  const auto end = std::min(text.find_first_of("\r\n"), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end);
  if (text.starts_with("\r\n")) {
    text.remove_prefix(2);
  } else if (!text.empty()) {
    text.remove_prefix(1);
  }
  return line;
}

/// Event numbers of a telephone-event fmtp such as `0-15,66,70`; RFC 4733 §2.4.1: without it 0-15.
std::bitset<256> telephone_events(std::string_view fmtp) {
  std::bitset<256> events;
  if (fmtp.empty()) fmtp = "0-15";
  while (!fmtp.empty()) {
    const auto comma = std::min(fmtp.find(','), fmtp.size());
    const std::string_view part = fmtp.substr(0, comma);
    fmtp.remove_prefix(std::min(comma + 1, fmtp.size()));
    const auto dash = part.find('-');
    unsigned first = 0;
    if (!read_number(part.substr(0, dash), first)) continue;
    unsigned last = first;
    if (dash != std::string_view::npos && !read_number(part.substr(dash + 1), last)) continue;
    for (unsigned event = first; event <= last && event < events.size(); ++event) events.set(event);
  }
  return events;
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

const Attribute* MediaSection::find(std::string_view name) const {
  const auto found = std::ranges::find(attributes, name, &Attribute::name);
  return found == attributes.end() ? nullptr : &*found;
}

bool same_codec(const Codec& offered, const Codec& answered) noexcept {
  if (offered.payload_type == answered.payload_type && (answered.name.empty() || offered.name.empty()))
    return true;
  if (!equal_ignoring_case(offered.name, answered.name) || offered.clock_rate_hz != answered.clock_rate_hz ||
      offered.channels != answered.channels) {
    return false;
  }
  if (offered.payload_type == answered.payload_type ||
      !equal_ignoring_case(offered.name, "telephone-event")) {
    return true;
  }
  return (telephone_events(answered.fmtp) & ~telephone_events(offered.fmtp)).none();
}

std::string_view extmap_uri(std::string_view value) noexcept {
  const auto blank = value.find(' ');
  if (blank == std::string_view::npos) return {};
  value.remove_prefix(blank + 1);
  return value.substr(0, value.find(' '));
}

std::uint8_t silence_octet(const Codec& codec) noexcept {
  if (equal_ignoring_case(codec.name, "PCMU")) return 0xff;
  if (equal_ignoring_case(codec.name, "PCMA")) return 0xd5;
  if (equal_ignoring_case(codec.name, "G722")) return 0xfa;
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
  // L16 and whatever else writes samples down; at least 512 kbit/s.
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
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    if (line.empty()) break;
    if (++lines > limits.lines || line.size() > limits.line) return fail(SdpError::kTooLarge);
    const bool is_line = line.size() >= 2 && line[1] == '=' &&
                         std::string_view("vosiuepcbtrzkam").find(line[0]) != std::string_view::npos;
    if (limits.strict && !is_line) return fail(SdpError::kBadLine);
    if (line.size() < 2 || line[1] != '=') continue;
    const char kind = line[0];
    const std::string_view value = line.substr(2);
    if (kind == 'v') {
      // A second session description in one body: its sections join the first ones.
      version_seen = true;
      in_media = false;
      session_connection.reset();
      continue;
    }
    if (std::string_view("oscmtabiuep").find(kind) == std::string_view::npos) continue;
    if (!version_seen) return fail(SdpError::kLineBeforeVersion);
    MediaSection* media = in_media ? &session.media.back() : nullptr;
    if (media == nullptr && !session.media.empty() && kind != 'm' && kind != 'c' && kind != 'o') continue;
    Origin second;
    switch (kind) {
      case 'o':
        if (!parse_origin(value, session.media.empty() ? session.origin : second))
          return fail(SdpError::kBadLine);
        break;
      case 's':
        if (media == nullptr) session.name = value;
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
        break;
      }
      case 't':
        if (media == nullptr && session.timing.empty()) session.timing = value;
        break;
      case 'a':
        (media != nullptr ? media->attributes : session.attributes).push_back(parse_attribute(value));
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
  for (MediaSection& media : session.media) interpret(media, session);
  return session;
}

}  // namespace ferry::sdp
