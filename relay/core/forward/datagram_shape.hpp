// What a datagram of a protocol beside RTP must look like to be passed on whole (DMX-6).
//
// Each function looks at one whole UDP payload, which it borrows. Nothing is allocated and nothing fails;
// safe on any thread. A right shape proves nothing about the sender: the source rule comes on top.
#pragma once

#include "relay/base/bytes.hpp"

namespace ferry {

/// A UDPTL packet (ITU-T T.38 §9.1): sequence number, primary IFP packet, and the error recovery that every
/// packet has, as earlier packets or as parity. Fewer than eight octets of zero may follow.
[[nodiscard]] bool is_udptl(Bytes datagram) noexcept;

/// DTLS records from the first octet to the last (RFC 6347 §4.1): versions 1.0 and 1.2, and the records of
/// DTLS 1.3 that state their length and have no connection id (RFC 9147 §4).
[[nodiscard]] bool is_dtls(Bytes datagram) noexcept;

/// A BFCP message or a fragment of one (RFC 8855 §5.1): a version, a primitive and lengths that add up.
/// Fewer than four octets may follow.
[[nodiscard]] bool is_bfcp(Bytes datagram) noexcept;

}  // namespace ferry
