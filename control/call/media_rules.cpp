// SPDX-License-Identifier: Apache-2.0
#include "control/call/media_rules.hpp"

#include "control/sdp/ice.hpp"
#include "control/sdp/words.hpp"

#include <algorithm>
#include <string>
#include <string_view>

namespace ferry {

namespace {

// Packets per second (LIM-1); sections without RTP, such as T.38, may have twice as many.
constexpr std::uint32_t kAudioPackets = 250;
// Packets per second (LIM-1).
constexpr std::uint32_t kVideoPackets = 5000;

/// True if the section takes this feedback for one of its payload types (RFC 4585 §4.2).
bool takes_feedback(const sdp::MediaSection& section, std::string_view kind, std::string_view what) {
  return std::ranges::any_of(section.attributes, [&](const sdp::Attribute& attribute) {
    std::string_view rest = attribute.value;
    if (attribute.name != "rtcp-fb") return false;
    const std::string_view type = sdp::next_word(rest);
    const bool is_known = type == "*" || std::ranges::any_of(section.codecs, [&](const sdp::Codec& codec) {
                            return std::to_string(codec.payload_type) == type;
                          });
    return is_known && sdp::next_word(rest) == kind && sdp::next_word(rest) == what;
  });
}

}  // namespace

RateLimit rate_limit(const sdp::MediaSection& section, const std::vector<sdp::Codec>& codecs) {
  if (section.type == "video") {
    RateLimit limit{kVideoPackets, 0};
    for (const std::string_view line : section.bandwidth) {
      const auto colon = line.find(':');
      if (colon == std::string_view::npos) continue;
      std::int64_t number = 0;
      if (!sdp::read_number(line.substr(colon + 1), number) || number <= 0 || number > 4'000'000'000)
        continue;
      // `b=TIAS` is in bit/s and `b=AS` in kbit/s (RFC 3890, RFC 4566 §5.8).
      const std::uint64_t bits = line.starts_with("TIAS:") ? static_cast<std::uint64_t>(number)
                                 : line.starts_with("AS:") ? static_cast<std::uint64_t>(number) * 1000
                                                           : 0;
      if (bits != 0)
        // One and a half times the bits, in octets.
        limit.bytes_per_second =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(bits * 3 / 16, UINT32_MAX));
    }
    return limit;
  }
  if (!section.is_rtp()) return {kAudioPackets * 2, 0};
  std::uint32_t octets = 0;
  for (const sdp::Codec& codec : codecs) octets = std::max(octets, sdp::peak_octets_per_second(codec));
  if (octets == 0) return {kAudioPackets, 0};
  // The fixed header and a few extension elements, in octets.
  constexpr std::uint32_t kHeaders = 32;
  return {kAudioPackets, octets * 2 + kAudioPackets * kHeaders};
}

PayloadEntry payload_entry(const NumberedFormat& codec) {
  const std::string& name = codec.format.encoding;
  PayloadEntry entry;
  entry.type = codec.type;
  entry.clock_rate_hz = codec.format.clock_rate_hz;
  if (sdp::equal_ignoring_case(name, "PCMU")) entry.g711 = G711Law::kMu;
  if (sdp::equal_ignoring_case(name, "PCMA")) entry.g711 = G711Law::kA;
  entry.silence = sdp::silence_octet(name);
  entry.is_event = sdp::equal_ignoring_case(name, "telephone-event");
  return entry;
}

std::vector<PayloadEntry> payload_entries(const std::vector<sdp::Codec>& codecs) {
  std::vector<PayloadEntry> entries;
  entries.reserve(codecs.size());
  for (const sdp::Codec& codec : codecs) entries.push_back(payload_entry(numbered_format(codec)));
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

std::vector<Ssrc> ssrcs_of(const sdp::MediaSection& section) {
  constexpr std::size_t kMost = 64;  // SSR-1: more never live at a time
  std::vector<Ssrc> ssrcs;
  for (const sdp::Attribute& attribute : section.attributes) {
    const bool is_group = attribute.name == "ssrc-group";
    if (attribute.name != "ssrc" && !is_group) continue;
    std::string_view rest = attribute.value;
    if (is_group) sdp::next_word(rest);  // semantics
    // Only the first word of `a=ssrc` is an SSRC, and all words of a group are.
    for (std::string_view word = sdp::next_word(rest); !word.empty(); word = sdp::next_word(rest)) {
      Ssrc ssrc;
      const bool is_new = sdp::read_number(word, ssrc.value) && std::ranges::find(ssrcs, ssrc) == ssrcs.end();
      if (is_new && ssrcs.size() < kMost) ssrcs.push_back(ssrc);
      if (!is_group) break;
    }
  }
  return ssrcs;
}

bool names_feedback(const sdp::MediaSection& section) { return section.find("rtcp-fb") != nullptr; }

bool takes_pli(const sdp::MediaSection& section) { return takes_feedback(section, "nack", "pli"); }
bool takes_fir(const sdp::MediaSection& section) { return takes_feedback(section, "ccm", "fir"); }

bool is_void(const IpAddress& advertised, const IpAddress& signalled) {
  return advertised.is_global() && (signalled.is_private() || signalled.is_shared() ||
                                    signalled.is_link_local() || signalled.is_unspecified());
}

Endpoint with_next_port(const Endpoint& rtp) {
  return {rtp.address, UdpPort{static_cast<std::uint16_t>(rtp.port.value + 1)}};
}

Endpoint remote_of(const sdp::MediaSection& section, const Request& request, bool by_default) {
  Endpoint remote{section.connection.value_or(IpAddress::unspecified(AddressFamily::kIpv4)),
                  UdpPort{section.port}};
  const bool use_source =
      request.has_flag(Flag::kSipSourceAddress) || (by_default && !request.has_flag(Flag::kTrustAddress));
  if (!use_source || !request.received_from || remote.address.is_unspecified()) return remote;
  if (!sdp::read_ice(section).is_there()) remote.address = *request.received_from;
  return remote;
}

Endpoint rtcp_of(const sdp::MediaSection& section, const Endpoint& rtp) {
  Endpoint rtcp = with_next_port(rtp);
  if (!section.rtcp || section.port_count > 1) return rtcp;
  rtcp.port = section.rtcp->port;
  // If the source of signalling replaced the address of RTP, it replaces that of RTCP too.
  const bool is_of_family = section.rtcp->address.family() == rtp.address.family();
  if (is_of_family && rtp.address == section.connection) rtcp.address = section.rtcp->address;
  return rtcp;
}

NamedPeer named_peer(const Endpoint& rtp, const IpAddress& advertised) {
  NamedPeer named;
  named.rtp = rtp;
  if (rtp.is_reachable()) named.rtcp = with_next_port(rtp);
  named.is_void = is_void(advertised, rtp.address);
  return named;
}

NamedPeer named_peer(const sdp::MediaSection& section, const Endpoint& rtp, bool takes_ice,
                     const IpAddress& advertised) {
  // No datagram goes there (RFC 4145).
  if (transport_kind(section) == TransportKind::kOverTcp) return {};
  NamedPeer named = named_peer(rtp, advertised);
  named.rtcp = {};
  if (!section.is_rtp() && !section.is_data_channel()) return named;
  if (section.is_rtp() && rtp.is_reachable()) named.rtcp = rtcp_of(section, rtp);
  named.has_mux = section.rtcp_mux || named.rtcp == rtp;
  const sdp::IceDescription ice = sdp::read_ice(section);
  named.has_ice = takes_ice && ice.is_there();
  named.trickles = ice.trickles;
  if (!named.has_ice) return named;
  for (const sdp::IceCandidateLine& each : ice.candidates) named.candidates.push_back(each.at);
  return named;
}

Result<void, RequestError> check_section(const sdp::MediaSection& section) {
  if (section.port == 0) return {};
  if (!section.connection) return fail(RequestFault::kIncompleteSection);
  return {};
}

}  // namespace ferry
