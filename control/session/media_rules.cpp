#include "control/session/media_rules.hpp"

#include "control/value/value.hpp"

#include <algorithm>

namespace ferry {

namespace {

constexpr std::uint32_t kAudioPackets = 250;   // LIM-1
constexpr std::uint32_t kVideoPackets = 5000;  // LIM-1

}  // namespace

RateLimit rate_limit(const sdp::MediaSection& section, const std::vector<sdp::Codec>& codecs) {
  if (section.type == "video") {
    RateLimit limit{kVideoPackets, 0};
    for (const std::string_view line : section.bandwidth) {
      const auto colon = line.find(':');
      if (colon == std::string_view::npos) continue;
      const auto number = Value(line.substr(colon + 1)).as_integer();
      if (!number || *number <= 0 || *number > 4'000'000'000) continue;
      const std::uint64_t bits = line.starts_with("TIAS:") ? static_cast<std::uint64_t>(*number)
                                 : line.starts_with("AS:") ? static_cast<std::uint64_t>(*number) * 1000
                                                           : 0;
      if (bits != 0)
        limit.bytes_per_second =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(bits * 3 / 16, UINT32_MAX));
    }
    return limit;
  }
  if (!section.is_rtp()) return {kAudioPackets * 2, 0};
  std::uint32_t octets = 0;
  for (const sdp::Codec& codec : codecs) octets = std::max(octets, sdp::peak_octets_per_second(codec));
  if (octets == 0) return {kAudioPackets, 0};
  constexpr std::uint32_t kHeaders = 32;  // fixed header and a few extension elements
  return {kAudioPackets, octets * 2 + kAudioPackets * kHeaders};
}

std::vector<PayloadEntry> payload_entries(const std::vector<sdp::Codec>& codecs) {
  std::vector<PayloadEntry> entries;
  entries.reserve(codecs.size());
  for (const sdp::Codec& codec : codecs) {
    PayloadEntry entry;
    entry.type = PayloadType{codec.payload_type};
    entry.clock_rate_hz = codec.clock_rate_hz;
    if (sdp::equal_ignoring_case(codec.name, "PCMU")) entry.g711 = G711Law::kMu;
    if (sdp::equal_ignoring_case(codec.name, "PCMA")) entry.g711 = G711Law::kA;
    entry.silence = sdp::silence_octet(codec);
    entry.is_event = sdp::equal_ignoring_case(codec.name, "telephone-event");
    entries.push_back(entry);
  }
  return entries;
}

TransportKind transport_kind(const sdp::MediaSection& section) {
  if (section.is_rtp()) return TransportKind::kRtp;
  if (section.protocol.kind == sdp::ProtocolClass::kUdptl) return TransportKind::kUdptl;
  switch (sdp::carriage_of(section.protocol.text)) {
    case sdp::Carriage::kDtls:
      return TransportKind::kDtls;
    case sdp::Carriage::kBfcp:
      return TransportKind::kBfcp;
    case sdp::Carriage::kTcp:
      return TransportKind::kOverTcp;
    case sdp::Carriage::kDataChannel:  // its port is 0
    case sdp::Carriage::kDatagrams:
    case sdp::Carriage::kUnknown:
      break;
  }
  return TransportKind::kOpaque;
}

Result<void, RequestError> check_section(const sdp::MediaSection& section) {
  if (section.port == 0) return {};
  if (!section.connection) return fail(error("Incomplete SDP specification"));
  return {};
}

}  // namespace ferry
