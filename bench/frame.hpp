// SPDX-License-Identifier: Apache-2.0
// Ethernet frames with UDP over IPv4, as the generators of the benches write them by themselves.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>

namespace ferry::bench {

/// Everything in front of the payload.
struct FrameHeaders {
  ethhdr eth;
  iphdr ip;
  udphdr udp;
} __attribute__((packed));

/// Ends of a frame; ports in host order, addresses as text.
struct FrameWay {
  std::string source;
  std::uint16_t source_port = 0;
  std::string destination;
  std::uint16_t destination_port = 0;
  std::string source_mac;
  std::string destination_mac;
};

/// Reads a MAC address. Throws if it is none.
inline void read_mac(const std::string& text, unsigned char* to) {
  if (std::sscanf(text.c_str(), "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", to, to + 1, to + 2, to + 3, to + 4,
                  to + 5) != 6)
    throw std::runtime_error("no MAC address: " + text);
}

/// The headers of a frame with so many octets of payload; without a UDP checksum.
inline FrameHeaders make_headers(const FrameWay& way, std::size_t payload) {
  FrameHeaders frame{};
  read_mac(way.source_mac, frame.eth.h_source);
  read_mac(way.destination_mac, frame.eth.h_dest);
  frame.eth.h_proto = htons(ETH_P_IP);
  frame.ip.version = 4;
  frame.ip.ihl = 5;
  frame.ip.tot_len = htons(static_cast<std::uint16_t>(sizeof(iphdr) + sizeof(udphdr) + payload));
  frame.ip.frag_off = htons(0x4000);
  frame.ip.ttl = 64;
  frame.ip.protocol = IPPROTO_UDP;
  inet_pton(AF_INET, way.source.c_str(), &frame.ip.saddr);
  inet_pton(AF_INET, way.destination.c_str(), &frame.ip.daddr);
  std::uint32_t sum = 0;
  std::array<std::uint16_t, 10> words;
  std::memcpy(words.data(), &frame.ip, sizeof words);
  for (const auto word : words) sum += word;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  frame.ip.check = static_cast<std::uint16_t>(~sum);
  frame.udp.source = htons(way.source_port);
  frame.udp.dest = htons(way.destination_port);
  frame.udp.len = htons(static_cast<std::uint16_t>(sizeof(udphdr) + payload));
  return frame;
}

/// A socket that sends whole frames by an interface, without its queue. Throws if there is none.
inline int open_frame_socket(const std::string& interface) {
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  const int one = 1;
  setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
  if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
    throw std::runtime_error("no packet socket at " + interface);
  return fd;
}

}  // namespace ferry::bench
