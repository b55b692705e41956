// SPDX-License-Identifier: Apache-2.0
// Writes the sentences of `explain` and `show` about a DTLS handshake that is not complete: the stage that it
// reached, the sources that took part, the packets that the relay refused, and the alerts that came (DTL-13).
#pragma once

#include "control/diagnose/media_view.hpp"
#include "relay/core/dtls/dtls_channel.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// Facts about the handshake. All of it is borrowed for one call.
struct HandshakeFacts {
  /// Name of the party, and the address of its SDP; nothing can be sent to an unset address.
  std::string_view party;
  Endpoint destination;
  /// The relay begins the handshake, not the party.
  bool relay_begins = false;
  const MediaView& seen;
  /// Writes an instant for people.
  std::function<std::string(Instant)> when;
};

/// True if the source whose handshake came furthest showed a certificate that does not fit the fingerprint in
/// the SDP.
[[nodiscard]] bool has_wrong_certificate(const HandshakeFacts& facts);
/// Returns one sentence: the stage that was reached, and what is waited for.
[[nodiscard]] std::string tell_handshake(const HandshakeFacts& facts);
/// Returns the facts, one a line: who took part, the alerts, and the packets that were refused.
[[nodiscard]] std::vector<std::string> list_handshake(const HandshakeFacts& facts);

}  // namespace ferry
