// SPDX-License-Identifier: Apache-2.0
// T.38 in SDP. What the relay says of itself does not depend on the partner: the buffer of spandsp, the
// longest IFP packet that it reads, and 14,400 bit/s, which is what its modems can do at most. A phone that
// said less to the partner said it about the partner's fax machine; modems find their speed by themselves
// (T.30).
#include "control/negotiate/fax.hpp"

#include "control/sdp/words.hpp"
#include "relay/core/rtp/static_types.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace ferry {

namespace {

constexpr std::string_view kRedundancy = "t38UDPRedundancy";
constexpr std::string_view kParity = "t38UDPFEC";
constexpr std::string_view kNoRecovery = "t38UDPNoEC";
constexpr std::uint8_t kPcmu = 0;
constexpr std::uint8_t kPcma = 8;

/// The value of the first attribute of that name, in any case; nothing if there is none.
std::optional<std::string_view> value_of(const sdp::MediaSection& section, std::string_view name) {
  const auto found = std::ranges::find_if(section.attributes, [&](const sdp::Attribute& each) {
    return sdp::equal_ignoring_case(each.name, name);
  });
  if (found == section.attributes.end()) return std::nullopt;
  return found->value;
}

/// Its number; 0 if it is absent or none.
std::uint32_t number_of(const sdp::MediaSection& section, std::string_view name) {
  std::uint32_t number = 0;
  const auto value = value_of(section, name);
  return value && sdp::read_number(*value, number) ? number : 0;
}

/// Adds a line `a=name:value`, or `a=name` if the value is empty.
void add(sdp::MediaSection& section, std::string_view name, std::string_view value,
         std::deque<std::string>& texts) {
  std::string text(name);
  if (!value.empty()) text.append(":").append(value);
  const std::string_view whole = texts.emplace_back(std::move(text));
  section.attributes.push_back(
      {whole.substr(0, name.size()), whole.substr(std::min(name.size() + 1, whole.size())), whole});
}

/// A section of the partner's that has its address, port and direction and nothing else.
sdp::MediaSection bare(const sdp::MediaSection& partner) {
  sdp::MediaSection section;
  section.port = partner.port;
  section.said_port = partner.said_port;
  section.connection = partner.connection;
  section.direction = partner.direction;
  section.has_direction = partner.has_direction;
  section.mid = partner.mid;
  section.label = partner.label;
  return section;
}

sdp::MediaSection image_section(const sdp::MediaSection& audio, int version, UdptlView::Recovery recovery,
                                std::deque<std::string>& texts) {
  sdp::MediaSection image = bare(audio);
  image.type = "image";
  image.protocol = sdp::parse_protocol("udptl");
  image.formats = {"t38"};
  add(image, "T38FaxVersion", std::to_string(version), texts);
  add(image, "T38MaxBitRate", "14400", texts);
  add(image, "T38FaxRateManagement", "transferredTCF", texts);
  add(image, "T38FaxMaxBuffer", "1800", texts);
  add(image, "T38FaxMaxDatagram", "512", texts);
  add(image, "T38FaxUdpEC", recovery == UdptlView::Recovery::kParity ? kParity : kRedundancy, texts);
  // Sections that are not RTP show the line of their source.
  add(image, sdp::to_string(audio.direction), {}, texts);
  return image;
}

sdp::Codec static_codec(std::uint8_t payload_type) {
  const StaticType& known = *static_type(payload_type);
  return {payload_type, known.name, known.clock_rate_hz, known.channels, {}, {}, {}};
}

}  // namespace

bool is_t38(const sdp::MediaSection& section) {
  const bool has_format = std::ranges::any_of(
      section.formats, [](std::string_view each) { return sdp::equal_ignoring_case(each, "t38"); });
  return section.type == "image" && section.protocol.kind == sdp::ProtocolClass::kUdptl &&
         section.port != 0 && has_format;
}

std::vector<sdp::Codec> g711_of(const std::vector<sdp::Codec>& codecs) {
  std::vector<sdp::Codec> found;
  for (const sdp::Codec& each : codecs)
    if (each.payload_type == kPcmu || each.payload_type == kPcma) found.push_back(each);
  return found;
}

FaxConversion fax_conversion(const sdp::MediaSection& offered, const FaxWishes& wishes) {
  if (wishes.stop) return FaxConversion::kNone;
  if (wishes.decode && is_t38(offered)) return FaxConversion::kToAudio;
  const bool is_audio = offered.type == "audio" && offered.is_rtp() && offered.port != 0;
  if (wishes.force && is_audio && !g711_of(offered.codecs).empty()) return FaxConversion::kToImage;
  return FaxConversion::kNone;
}

T38Terms read_t38(const sdp::MediaSection& image) {
  T38Terms terms;
  terms.version = t38_version(number_of(image, "T38FaxVersion"));
  terms.max_datagram = number_of(image, "T38FaxMaxDatagram");
  terms.max_bit_rate = number_of(image, "T38MaxBitRate");
  const std::string_view recovery = value_of(image, "T38FaxUdpEC").value_or("");
  if (sdp::equal_ignoring_case(recovery, kParity)) terms.recovery = UdptlView::Recovery::kParity;
  terms.takes_recovery = !sdp::equal_ignoring_case(recovery, kNoRecovery);
  terms.transfers_tcf =
      !sdp::equal_ignoring_case(value_of(image, "T38FaxRateManagement").value_or(""), "localTCF");
  return terms;
}

sdp::MediaSection image_offer(const sdp::MediaSection& audio, const FaxWishes& wishes,
                              std::deque<std::string>& texts) {
  const auto recovery = wishes.fec ? UdptlView::Recovery::kParity : UdptlView::Recovery::kEarlier;
  return image_section(audio, wishes.version, recovery, texts);
}

sdp::MediaSection image_answer(const sdp::MediaSection& audio, const T38Terms& offered,
                               const FaxWishes& wishes, std::deque<std::string>& texts) {
  return image_section(audio, std::min(offered.version, wishes.version), offered.recovery, texts);
}

sdp::MediaSection audio_section(const sdp::MediaSection& image, const std::vector<sdp::Codec>& g711,
                                bool is_answer) {
  sdp::MediaSection audio = bare(image);
  audio.type = "audio";
  audio.protocol = sdp::parse_protocol("RTP/AVP");
  audio.codecs = g711;
  if (g711.empty()) audio.codecs = {static_codec(kPcmu), static_codec(kPcma)};
  if (is_answer) audio.codecs.resize(1);
  // Both are static types, whose numbers need no text of their own.
  for (const sdp::Codec& each : audio.codecs)
    audio.formats.emplace_back(each.payload_type == kPcmu ? "0" : "8");
  return audio;
}

T38Settings t38_settings(const T38Terms& terms, const FaxWishes& wishes, int shown_version) {
  T38Settings settings;
  settings.version = std::min(terms.version, shown_version);
  settings.protection.recovery = terms.recovery;
  if (!terms.takes_recovery) settings.protection.earlier = 0;
  settings.max_datagram = terms.max_datagram;
  settings.ecm = wishes.ecm;
  settings.v17 = wishes.v17;
  settings.v27ter = wishes.v27ter;
  settings.v29 = wishes.v29;
  return settings;
}

}  // namespace ferry
