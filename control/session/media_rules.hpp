// What a section of an SDP means for the packets of its media.
#pragma once

#include "control/sdp/sdp.hpp"
#include "control/session/peer_guard.hpp"
#include "control/session/request.hpp"
#include "relay/core/forward/plan.hpp"

#include <vector>

namespace ferry {

constexpr std::size_t kMaxLegs = 64;  // LIM-6

/// LIM-1 for one section: of an audio stream twice the fastest codec, of video what its bandwidth line says.
RateLimit rate_limit(const sdp::MediaSection& section, const std::vector<sdp::Codec>& codecs);

/// Payload types that a party which was shown these codecs may send (DMX-4).
std::vector<PayloadEntry> payload_entries(const std::vector<sdp::Codec>& codecs);

/// How datagrams of the section are told apart (DMX-6).
TransportKind transport_kind(const sdp::MediaSection& section);

/// LAT-4: the address that we advertise to a party is global, and the one that it signals cannot be reached
/// from there.
[[nodiscard]] bool is_void(const IpAddress& advertised, const IpAddress& signalled);

/// Where a section whose RTP goes to `rtp` wants its RTCP (RFC 3550 §11, RFC 3605).
[[nodiscard]] Endpoint rtcp_of(const sdp::MediaSection& section, const Endpoint& rtp);

/// What a section says of where its party is, RTP at `rtp`, to be judged by LAT-11a. `takes_ice`: candidates
/// count. `advertised`: our address as the party is told.
[[nodiscard]] NamedPeer named_peer(const sdp::MediaSection& section, const Endpoint& rtp, bool takes_ice,
                                   const IpAddress& advertised);

/// RTCP beside RTP where nothing else is said (RFC 3550 §11).
[[nodiscard]] Endpoint with_next_port(const Endpoint& rtp);
/// The same of a party that signals its RTP address alone.
[[nodiscard]] NamedPeer named_peer(const Endpoint& rtp, const IpAddress& advertised);

/// Refuses a section that cannot be served: no address, or keys by DTLS alone (pretending otherwise would be
/// silence without a reason). A rejected section (port 0) is always fine.
[[nodiscard]] Result<void, RequestError> check_section(const sdp::MediaSection& section);

}  // namespace ferry
