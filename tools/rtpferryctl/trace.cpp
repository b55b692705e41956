// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryctl/trace.hpp"

#include "control/log/printable_json.hpp"
#include "relay/base/address.hpp"
#include "tools/rtpferryctl/exit_codes.hpp"

#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <pcap/pcap.h>
#include <sys/time.h>

namespace ferry::ctl {

using nlohmann::json;

namespace {

/// Turns pairs of hexadecimal digits into octets.
std::vector<std::uint8_t> octets_of(const std::string& hex) {
  std::vector<std::uint8_t> octets;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    octets.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return octets;
}

/// Makes an IP packet for the capture file: headers as on the wire, as far as they are known, and the start
/// of the datagram.
std::vector<std::uint8_t> as_ip_packet(const Endpoint& from, const Endpoint& to, std::size_t size,
                                       const std::vector<std::uint8_t>& start) {
  udphdr udp{};
  udp.source = htons(from.port.value);
  udp.dest = htons(to.port.value);
  udp.len = htons(static_cast<std::uint16_t>(sizeof udp + size));
  std::vector<std::uint8_t> packet;
  const auto append = [&](const void* bytes, std::size_t length) {
    const auto* octets = static_cast<const std::uint8_t*>(bytes);
    packet.insert(packet.end(), octets, octets + length);
  };
  if (to.address.is_v6()) {
    ip6_hdr ip{};
    ip.ip6_flow = htonl(0x60000000);
    ip.ip6_plen = udp.len;
    ip.ip6_nxt = IPPROTO_UDP;
    ip.ip6_hlim = 64;
    std::memcpy(&ip.ip6_src, from.address.octets().data(), 16);
    std::memcpy(&ip.ip6_dst, to.address.octets().data(), 16);
    append(&ip, sizeof ip);
  } else {
    iphdr ip{};
    ip.version = 4;
    ip.ihl = 5;
    ip.tot_len = htons(static_cast<std::uint16_t>(sizeof ip + sizeof udp + size));
    ip.ttl = 64;
    ip.protocol = IPPROTO_UDP;
    std::memcpy(&ip.saddr, from.address.octets().data(), 4);
    std::memcpy(&ip.daddr, to.address.octets().data(), 4);
    append(&ip, sizeof ip);
  }
  append(&udp, sizeof udp);
  append(start.data(), start.size());
  return packet;
}

void print(const json& packet) {
  const auto start = octets_of(packet["start"].get<std::string>());
  std::string what;
  if (packet["is_rtcp"].get<bool>()) {
    what = start.size() > 1 ? fmt::format("RTCP {}", start[1]) : "RTCP";
  } else if (start.size() >= 12 && start[0] >> 6 == 2) {
    const auto word = [&](std::size_t at) {
      return static_cast<std::uint32_t>(start[at]) << 24 | static_cast<std::uint32_t>(start[at + 1]) << 16 |
             static_cast<std::uint32_t>(start[at + 2]) << 8 | start[at + 3];
    };
    what = fmt::format("PT {:<3} seq {:<5} ts {:<10} ssrc {:08x}{}", start[1] & 127, start[2] << 8 | start[3],
                       word(4), word(8), (start[1] & 128) != 0 ? " M" : "");
  } else {
    what = "no RTP";
  }
  fmt::print("{:>9.3f} {:<12} {:>21} > {:<21} {:>5} {} {}\n", packet["t"].get<double>(),
             packet["leg"].get<std::string>(), packet["from"].get<std::string>(),
             packet["to"].get<std::string>(), packet["size"].get<std::size_t>(), what,
             packet["verdict"].get<std::string>());
}

}  // namespace

int run_trace(Client& client, const TraceOptions& options) {
  const json request = {{"command", "trace"},
                        {"call_id", options.call_id},
                        {"count", options.count},
                        {"seconds", options.seconds}};
  auto line = client.ask(request);
  if (line && line->contains("error")) {
    fmt::print(stderr, "rtpferryctl: {}\n", (*line)["error"].get<std::string>());
    return kExitRefused;
  }
  constexpr int kSnap = 65535;
  const std::unique_ptr<pcap_t, decltype(&pcap_close)> handle(pcap_open_dead(DLT_RAW, kSnap), &pcap_close);
  std::unique_ptr<pcap_dumper_t, decltype(&pcap_dump_close)> file(nullptr, &pcap_dump_close);
  if (!options.pcap.empty()) {
    file.reset(pcap_dump_open(handle.get(), options.pcap.c_str()));
    if (!file) {
      fmt::print(stderr, "rtpferryctl: {}\n", pcap_geterr(handle.get()));
      return kExitRefused;
    }
  }
  timeval began{};
  gettimeofday(&began, nullptr);
  std::size_t packets = 0;
  while ((line = client.next())) {
    if (line->contains("end")) {
      const auto lost = (*line)["lost"].get<std::uint64_t>();
      if (options.as_json) fmt::print("{}\n", to_ascii(*line));
      fmt::print(stderr, "{}: {} packets{}\n", (*line)["end"].get<std::string>(), packets,
                 lost == 0 ? std::string() : fmt::format(", {} lost on the way here", lost));
      return 0;
    }
    ++packets;
    if (file) {
      const auto from = Endpoint::parse((*line)["from"].get<std::string>()).value_or(Endpoint{});
      const auto to = Endpoint::parse((*line)["to"].get<std::string>()).value_or(Endpoint{});
      const auto size = (*line)["size"].get<std::size_t>();
      const auto start = octets_of((*line)["start"].get<std::string>());
      const auto packet = as_ip_packet(from, to, size, start);
      pcap_pkthdr header{};
      const double at = static_cast<double>(began.tv_sec) + static_cast<double>(began.tv_usec) / 1e6 +
                        (*line)["t"].get<double>();
      header.ts.tv_sec = static_cast<time_t>(at);
      header.ts.tv_usec = static_cast<suseconds_t>((at - static_cast<double>(header.ts.tv_sec)) * 1e6);
      header.caplen = static_cast<bpf_u_int32>(packet.size());
      header.len = static_cast<bpf_u_int32>(packet.size() - start.size() + size);
      pcap_dump(reinterpret_cast<u_char*>(file.get()), &header, packet.data());
    } else if (options.as_json) {
      fmt::print("{}\n", to_ascii(*line));
    } else {
      print(*line);
    }
    std::fflush(stdout);
  }
  fmt::print(stderr, "rtpferryctl: no answer on {}: {}\n", client.path(), client.error());
  return kExitNoDaemon;
}

}  // namespace ferry::ctl
