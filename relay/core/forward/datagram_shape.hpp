// SPDX-License-Identifier: Apache-2.0
// Checks the form of protocols that pass beside RTP as whole datagrams (DMX-6).
//
// Each function looks at one whole UDP payload, which it borrows. It allocates nothing and is safe on any
// thread. A right form proves nothing about the sender: the source rule has to be applied as well.
#pragma once

#include "relay/base/bytes.hpp"

namespace ferry {

/// True for a UDPTL packet (ITU-T T.38 §9.1): sequence number, primary IFP packet, and the error recovery
/// that every packet has, as earlier packets or as parity. Up to seven octets of zero may follow.
[[nodiscard]] bool is_udptl(Bytes datagram) noexcept;

/// True if the datagram consists of whole DTLS records (RFC 6347 §4.1) of the versions 1.0 and 1.2. Records
/// of DTLS 1.3 count if they state their length and have no connection id (RFC 9147 §4).
[[nodiscard]] bool is_dtls(Bytes datagram) noexcept;

/// True for a BFCP message or a fragment of one (RFC 8855 §5.1): a known version, a known primitive, and
/// lengths that add up. Up to three octets may follow.
[[nodiscard]] bool is_bfcp(Bytes datagram) noexcept;

}  // namespace ferry
