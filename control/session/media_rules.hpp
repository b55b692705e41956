// What a section of an SDP means for the packets of its media.
#pragma once

#include "control/sdp/sdp.hpp"
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

/// Refuses a section that cannot be served: no address, or keys by DTLS alone (pretending otherwise would be
/// silence without a reason). A rejected section (port 0) is always fine.
[[nodiscard]] Result<void, RequestError> check_section(const sdp::MediaSection& section);

}  // namespace ferry
