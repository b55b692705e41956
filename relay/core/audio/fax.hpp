// SPDX-License-Identifier: Apache-2.0
// What a party of a fax call over T.38 has agreed to.
//
// Control decides it from SDP and the request (`FaxTerms`), and `codecs/fax` obeys it. Plain immutable
// values; plans share them.
#pragma once

#include "relay/core/udptl/udptl.hpp"

#include <cstddef>
#include <cstdint>

namespace ferry {

/// How the datagrams of a stream protect its IFP packets (T38FaxUdpEC).
struct UdptlProtection {
  UdptlView::Recovery recovery = UdptlView::Recovery::kEarlier;
  /// With redundancy: how many earlier packets each datagram repeats.
  std::size_t earlier = 3;
  /// With parity: groups, and packets in each. So many packets in a row may be lost as there are groups.
  std::size_t groups = 3;
  std::size_t span = 3;
  bool operator==(const UdptlProtection&) const = default;
};

/// What both parties of a T.38 session have agreed to, as far as the relay obeys it.
struct T38Settings {
  /// T38FaxVersion, 0 to 3. Control sets it from the answer.
  int version = 0;
  /// How datagrams toward the T.38 party protect their packets (its T38FaxUdpEC).
  UdptlProtection protection{};
  /// T38FaxMaxDatagram of the T.38 party, octets; 0 = it says nothing. `datagram_room` says what it means.
  std::uint32_t max_datagram = 0;
  /// False: pages travel without error correction, whatever the machines want.
  bool ecm = true;
  /// The modems that the machines may agree on; false hides one from both.
  bool v17 = true;
  bool v27ter = true;
  bool v29 = true;
  bool operator==(const T38Settings&) const = default;
};

}  // namespace ferry
