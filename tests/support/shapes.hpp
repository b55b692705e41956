// SPDX-License-Identifier: Apache-2.0
// Datagrams of protocols beside RTP, and of services that a stranger would like to reach.
#pragma once

#include "tests/support/packets.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace ferry::test {

struct Shape {
  std::string name;
  Packet packet;
};

inline Packet text_packet(std::string_view text) {
  Packet packet;
  for (const char c : text) packet.push_back(static_cast<std::byte>(c));
  return packet;
}

/// UDPTL with one IFP packet and no earlier ones (ITU-T T.38 §9.1).
inline Packet udptl_packet(std::uint16_t sequence = 1) {
  Packet packet = bytes_of({0, 0, 2, 0xaa, 0xbb, 0, 0});
  write_u16(packet, 0, sequence);
  return packet;
}

/// One handshake record of DTLS 1.2.
inline Packet dtls_packet() { return bytes_of({22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 1, 2, 3, 4}); }

/// Hello of BFCP over UDP (RFC 8855 §5.3.11).
inline Packet bfcp_packet() { return bytes_of({0x40, 11, 0, 0, 0, 0, 0, 1, 0, 2, 0, 3}); }

/// One datagram of each kind. The first three are of protocols that a section may be of.
inline std::vector<Shape> shapes() {
  Packet ntp(48, std::byte{0});
  ntp[0] = std::byte{0x23};
  ntp[2] = std::byte{6};
  ntp[3] = std::byte{0x20};
  return {
      {"udptl", udptl_packet()},
      {"dtls", dtls_packet()},
      {"bfcp", bfcp_packet()},
      {"rtp", rtp('A', 0xA, 1)},
      {"dns query", bytes_of({0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 'w', 'w', 'w', 0, 0, 1, 0, 1})},
      {"snmp get", bytes_of({0x30, 0x1a, 2, 1, 1, 4, 6, 'p', 'u', 'b', 'l', 'i', 'c', 0xa0, 0x0d})},
      {"ntp", ntp},
      {"stun", bytes_of({0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})},
      {"memcached", bytes_of({0, 1, 0, 0, 0, 1, 0, 0, 's', 't', 'a', 't', 's', 13, 10})},
      {"sip", text_packet("OPTIONS sip:x@198.51.100.1 SIP/2.0\r\n\r\n")},
      {"syslog", text_packet("<34>Oct 11 22:14:15 host su: nobody")},
      {"one octet", bytes_of({0x20})},
  };
}

}  // namespace ferry::test
