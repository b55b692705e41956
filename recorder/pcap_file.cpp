// SPDX-License-Identifier: Apache-2.0
// Writes packets by libpcap. It writes to a FILE, so a FILE is made whose octets go to `append`
// (fopencookie). The relay sees neither IP nor Ethernet headers; they are made up here from the two
// endpoints, with right checksums, so that Wireshark does not complain.
#include "recorder/pcap_file.hpp"

#include <algorithm>
#include <chrono>
#include <new>

#include <pcap/pcap.h>

namespace ferry {

namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kUdp = 8;
constexpr std::size_t kIpv4 = 20;
constexpr std::size_t kIpv6 = 40;
constexpr std::uint8_t kUdpProtocol = 17;
constexpr std::uint8_t kHops = 64;
// Octets of a pcap file's own header.
constexpr std::size_t kFileHead = 24;

// Adds 16-bit words in network order; an odd octet is the first half of a word (RFC 1071).
std::uint32_t add(std::uint32_t sum, Bytes bytes) {
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += read_u16(bytes, i);
  if (bytes.size() % 2 != 0) sum += static_cast<std::uint32_t>(read_u8(bytes, bytes.size() - 1)) << 8;
  return sum;
}

/// Folds a sum and inverts it (RFC 1071).
std::uint16_t fold(std::uint32_t sum) {
  while ((sum >> 16) != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

void put(MutableBytes to, std::size_t at, const IpAddress& address) {
  const std::size_t size = address.is_v4() ? 4 : 16;
  for (std::size_t i = 0; i < size; ++i) to[at + i] = std::byte{address.octets()[i]};
}

void write_ipv4(MutableBytes ip, const CapturedDatagram& datagram) {
  write_u8(ip, 0, 0x45);
  write_u16(ip, 2, static_cast<std::uint16_t>(kIpv4 + kUdp + datagram.size));
  // Not fragmented.
  write_u16(ip, 6, 0x4000);
  write_u8(ip, 8, kHops);
  write_u8(ip, 9, kUdpProtocol);
  put(ip, 12, datagram.from.address);
  put(ip, 16, datagram.to.address);
  write_u16(ip, 10, fold(add(0, ip.first(kIpv4))));
}

void write_ipv6(MutableBytes ip, const CapturedDatagram& datagram) {
  write_u8(ip, 0, 0x60);
  write_u16(ip, 4, static_cast<std::uint16_t>(kUdp + datagram.size));
  write_u8(ip, 6, kUdpProtocol);
  write_u8(ip, 7, kHops);
  put(ip, 8, datagram.from.address);
  put(ip, 24, datagram.to.address);
}

/// The UDP header. Its checksum (RFC 768) is zero, "there is none", if only the start of the datagram is
/// known.
void write_udp(MutableBytes udp, const CapturedDatagram& datagram, Bytes addresses) {
  write_u16(udp, 0, datagram.from.port.value);
  write_u16(udp, 2, datagram.to.port.value);
  const auto length = static_cast<std::uint16_t>(kUdp + datagram.size);
  write_u16(udp, 4, length);
  if (datagram.size != datagram.payload.size()) return;
  const std::uint16_t sum =
      fold(add(add(add(std::uint32_t{kUdpProtocol} + length, addresses), udp.first(kUdp)), datagram.payload));
  write_u16(udp, 6, sum == 0 ? 0xffff : sum);
}

}  // namespace

PcapFile::PcapFile(std::unique_ptr<OutputFile> output, PcapFormat format)
    : PacketFile(std::move(output), kFileHead), format_(format) {
  handle_ = pcap_open_dead(format == PcapFormat::kRaw ? DLT_RAW : DLT_EN10MB, 65535);
  cookie_io_functions_t calls{};
  calls.write = [](void* self, const char* from, std::size_t size) {
    static_cast<PcapFile*>(self)->append({reinterpret_cast<const std::byte*>(from), size});
    return static_cast<ssize_t>(size);
  };
  FILE* file = fopencookie(this, "w", calls);
  if (handle_ == nullptr || file == nullptr) throw std::bad_alloc();
  // Unbuffered: whatever libpcap writes must be in `append` before `count` is called.
  setvbuf(file, nullptr, _IONBF, 0);
  dumper_ = pcap_dump_fopen(handle_, file);
  if (dumper_ == nullptr) {
    fclose(file);
    pcap_close(handle_);
    throw std::bad_alloc();
  }
}

PcapFile::~PcapFile() {
  pcap_dump_close(dumper_);
  pcap_close(handle_);
}

void PcapFile::write(const CapturedDatagram& datagram) {
  const bool is_v4 = datagram.from.address.is_v4();
  const std::size_t link = format_ == PcapFormat::kEthernet ? kEthernet : 0;
  const std::size_t ip = is_v4 ? kIpv4 : kIpv6;
  frame_.assign(link + ip + kUdp, std::byte{0});
  const MutableBytes headers(frame_);
  if (link != 0) {
    // The relay saw no Ethernet: locally administered addresses tell the two ends apart.
    write_u8(headers, 0, 2);
    write_u8(headers, 5, 2);
    write_u8(headers, 6, 2);
    write_u8(headers, 11, 1);
    write_u16(headers, 12, is_v4 ? 0x0800 : 0x86dd);
  }
  const MutableBytes network = headers.subspan(link);
  is_v4 ? write_ipv4(network, datagram) : write_ipv6(network, datagram);
  write_udp(network.subspan(ip), datagram, is_v4 ? network.subspan(12, 8) : network.subspan(8, 32));
  frame_.insert(frame_.end(), datagram.payload.begin(), datagram.payload.end());
  const auto since = datagram.at.time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
  pcap_pkthdr header{};
  header.ts.tv_sec = seconds.count();
  header.ts.tv_usec = std::chrono::duration_cast<std::chrono::microseconds>(since - seconds).count();
  // `caplen` is what is here, `len` what the packet had.
  header.caplen = static_cast<bpf_u_int32>(frame_.size());
  header.len = static_cast<bpf_u_int32>(link + ip + kUdp + datagram.size);
  pcap_dump(reinterpret_cast<u_char*>(dumper_), &header, reinterpret_cast<const u_char*>(frame_.data()));
  count();
}

}  // namespace ferry
