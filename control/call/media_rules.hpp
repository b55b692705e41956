// SPDX-License-Identifier: Apache-2.0
// What a section of an SDP means for the packets of its media: rates, payload types, kind, and addresses.
// Pure; any thread.
#pragma once

#include "control/call/media_codecs.hpp"
#include "control/call/peer_guard.hpp"
#include "control/request/request.hpp"
#include "control/sdp/sdp.hpp"
#include "relay/core/forward/plan.hpp"

#include <vector>

namespace ferry {

/// How many legs a call may have (LIM-6).
constexpr std::size_t kMaxLegs = 64;

/// The rate limit of one section (LIM-1). Audio may have twice the octets of its fastest codec; video may
/// have one and a half times its bandwidth line, without one any number of octets.
RateLimit rate_limit(const sdp::MediaSection& section, const std::vector<sdp::Codec>& codecs);

/// What is known of the packets of one payload type.
PayloadEntry payload_entry(const NumberedFormat& codec);
/// The payload types that a party may send which was shown these codecs (DMX-4).
std::vector<PayloadEntry> payload_entries(const std::vector<sdp::Codec>& codecs);

/// How datagrams of the section are told apart (DMX-6).
TransportKind transport_kind(const sdp::MediaSection& section);

/// The SSRCs that the section names in `a=ssrc` and `a=ssrc-group` (RFC 5576 §4), 64 at most.
[[nodiscard]] std::vector<Ssrc> ssrcs_of(const sdp::MediaSection& section);

/// True if the section has `a=rtcp-fb` lines (RFC 4585 §4.2).
[[nodiscard]] bool names_feedback(const sdp::MediaSection& section);

/// True if the section takes PLI for one of its payload types (RFC 4585 §4.2).
[[nodiscard]] bool takes_pli(const sdp::MediaSection& section);
/// The same for full intra requests (FIR, RFC 5104 §7.1).
[[nodiscard]] bool takes_fir(const sdp::MediaSection& section);

/// True if the signalled address cannot be reached from the address that we advertise to the party: ours is
/// global, and the party's is private, shared, link-local or unspecified (LAT-4).
[[nodiscard]] bool is_void(const IpAddress& advertised, const IpAddress& signalled);

/// Where `section` says that its party receives RTP. With the flag `SIP-source-address`, or `by_default`
/// without `trust-address`, its address is the one that the party's signalling came from, unless ICE
/// candidates say where it is or the section is on hold by the unspecified address.
[[nodiscard]] Endpoint remote_of(const sdp::MediaSection& section, const Request& request, bool by_default);

/// Where a section whose RTP goes to `rtp` wants its RTCP (RFC 3550 §11, RFC 3605).
[[nodiscard]] Endpoint rtcp_of(const sdp::MediaSection& section, const Endpoint& rtp);

/// Where a section says that its party is, to be judged by LAT-11a. `rtp`: where its RTP goes. `takes_ice`:
/// its candidates count. `advertised`: our address as the party is told.
[[nodiscard]] NamedPeer named_peer(const sdp::MediaSection& section, const Endpoint& rtp, bool takes_ice,
                                   const IpAddress& advertised);

/// The endpoint of RTCP beside `rtp`, if signalling names no other (RFC 3550 §11).
[[nodiscard]] Endpoint with_next_port(const Endpoint& rtp);
/// Where a party says that it is which signals its RTP address alone.
[[nodiscard]] NamedPeer named_peer(const Endpoint& rtp, const IpAddress& advertised);

/// Refuses a section that has no address. A rejected section (port 0) is always fine.
[[nodiscard]] Result<void, RequestError> check_section(const sdp::MediaSection& section);

}  // namespace ferry
