// SPDX-License-Identifier: Apache-2.0
// Reads captures that others have made. Nothing in them is trusted: every length is checked against what is
// there. What is no whole UDP datagram is passed over and counted, since a capture may hold anything.
#include "recorder/convert/capture.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <pcap/pcap.h>
#include <pcap/sll.h>
#include <zlib.h>

namespace ferry {

namespace {

constexpr std::uint8_t kUdp = 17;
constexpr std::uint16_t kIpv4Type = 0x0800;
constexpr std::uint16_t kIpv6Type = 0x86dd;

IpAddress address_at(Bytes packet, std::size_t at, bool is_v6) {
  if (is_v6) {
    std::array<std::uint8_t, 16> octets{};
    for (std::size_t i = 0; i < octets.size(); ++i) octets[i] = read_u8(packet, at + i);
    return IpAddress::v6(octets);
  }
  return IpAddress::v4(
      {read_u8(packet, at), read_u8(packet, at + 1), read_u8(packet, at + 2), read_u8(packet, at + 3)});
}

/// Finds a UDP datagram (RFC 768) in an IP packet (RFC 791, RFC 8200). Fragments and extension headers are
/// passed over. The payload may be cut short by the capture; `size` says how long it was.
bool read_udp(Bytes ip, CapturedDatagram& datagram) {
  if (ip.empty()) return false;
  const unsigned version = read_u8(ip, 0) >> 4;
  std::size_t header = 0;
  if (version == 4) {
    // The header may have options. Fragments, and packets cut off within the UDP header, are no datagrams for
    // us.
    header = (read_u8(ip, 0) & 0x0fu) * 4u;
    if (header < 20 || ip.size() < header + 8 || read_u8(ip, 9) != kUdp || (read_u16(ip, 6) & 0x3fff) != 0)
      return false;
    datagram.from.address = address_at(ip, 12, false);
    datagram.to.address = address_at(ip, 16, false);
  } else if (version == 6) {
    header = 40;
    if (ip.size() < header + 8 || read_u8(ip, 6) != kUdp) return false;
    datagram.from.address = address_at(ip, 8, true);
    datagram.to.address = address_at(ip, 24, true);
  } else {
    return false;
  }
  const Bytes udp = ip.subspan(header);
  const std::size_t length = read_u16(udp, 4);
  if (length < 8) return false;
  datagram.from.port = UdpPort{read_u16(udp, 0)};
  datagram.to.port = UdpPort{read_u16(udp, 2)};
  // A capture with a short snap length holds the start of a packet only.
  datagram.size = length - 8;
  datagram.payload = udp.subspan(8, std::min(datagram.size, udp.size() - 8));
  return true;
}

class PcapReader final : public CaptureReader {
 public:
  PcapReader(pcap_t* handle, int link) : handle_(handle), link_(link) {}
  ~PcapReader() override { pcap_close(handle_); }
  PcapReader(const PcapReader&) = delete;
  PcapReader& operator=(const PcapReader&) = delete;

  bool next(CapturedDatagram& datagram) override {
    pcap_pkthdr* header = nullptr;
    const u_char* data = nullptr;
    while (pcap_next_ex(handle_, &header, &data) == 1) {
      const Bytes frame(reinterpret_cast<const std::byte*>(data), header->caplen);
      if (read_udp(network(frame), datagram)) {
        datagram.at =
            WallTime{std::chrono::seconds(header->ts.tv_sec) + std::chrono::microseconds(header->ts.tv_usec)};
        return true;
      }
      ++passed_over_;
    }
    return false;
  }
  [[nodiscard]] std::uint64_t position() const override {
    FILE* file = pcap_file(handle_);
    return file == nullptr ? 0 : static_cast<std::uint64_t>(std::max(0L, ftell(file)));
  }
  [[nodiscard]] std::uint64_t passed_over() const override { return passed_over_; }
  [[nodiscard]] static bool is_known(int link) {
    return link == DLT_EN10MB || link == DLT_RAW || link == DLT_LINUX_SLL || link == DLT_LINUX_SLL2 ||
           link == DLT_NULL || link == DLT_LOOP || link == DLT_IPV4 || link == DLT_IPV6;
  }

 private:
  // The IP packet in a frame; empty if there is none.
  [[nodiscard]] Bytes network(Bytes frame) const {
    const auto behind = [&](std::size_t octets) {
      return frame.size() > octets ? frame.subspan(octets) : Bytes{};
    };
    switch (link_) {
      case DLT_EN10MB: {
        // VLAN tags, also two of them.
        std::size_t at = 12;
        while (frame.size() >= at + 2 && (read_u16(frame, at) == 0x8100 || read_u16(frame, at) == 0x88a8))
          at += 4;
        const bool is_ip =
            frame.size() >= at + 2 && (read_u16(frame, at) == kIpv4Type || read_u16(frame, at) == kIpv6Type);
        return is_ip ? behind(at + 2) : Bytes{};
      }
      // Linux cooked captures, as of the device "any": a header of fixed length. It names the protocol, but
      // the version number in the IP header does so too.
      case DLT_LINUX_SLL:
        return behind(SLL_HDR_LEN);
      case DLT_LINUX_SLL2:
        return behind(SLL2_HDR_LEN);
      // Loopback: four octets with the address family.
      case DLT_NULL:
      case DLT_LOOP:
        return behind(4);
      default:
        return frame;
    }
  }
  pcap_t* handle_;
  int link_;
  std::uint64_t passed_over_ = 0;
};

struct CloseCapture {
  void operator()(FILE* file) const { fclose(file); }
};

/// rtpproxy's ad-hoc form: a packed header of 30 octets in host order before each datagram. It has the
/// address that a packet came from, but not the one it went to.
class AdHocReader final : public CaptureReader {
 public:
  static constexpr std::size_t kHeader = 30;
  explicit AdHocReader(std::unique_ptr<FILE, CloseCapture> file) : file_(std::move(file)) {}

  bool next(CapturedDatagram& datagram) override {
    std::array<std::byte, kHeader> header{};
    if (fread(header.data(), 1, header.size(), file_.get()) != header.size() ||
        !read_header(header, datagram))
      return false;
    payload_.resize(datagram.size);
    if (fread(payload_.data(), 1, payload_.size(), file_.get()) != payload_.size()) return false;
    datagram.payload = payload_;
    return true;
  }
  [[nodiscard]] std::uint64_t position() const override {
    return static_cast<std::uint64_t>(std::max(0L, ftell(file_.get())));
  }
  [[nodiscard]] std::uint64_t passed_over() const override { return 0; }

  static bool read_header(Bytes header, CapturedDatagram& datagram) {
    std::uint16_t family = 0;
    std::uint16_t length = 0;
    double seconds = 0;
    std::memcpy(&family, header.data(), sizeof family);
    std::memcpy(&seconds, header.data() + 20, sizeof seconds);
    std::memcpy(&length, header.data() + 28, sizeof length);
    // The form has no magic number, so implausible values mean that this is not such a file.
    if ((family != 2 && family != 10) || !(seconds > 0 && seconds < 1e11) || length < 8) return false;
    datagram.from = {address_at(header, 4, family == 10), UdpPort{read_u16(header, 2)}};
    datagram.to = {IpAddress::unspecified(family == 10 ? AddressFamily::kIpv6 : AddressFamily::kIpv4),
                   UdpPort{0}};
    datagram.at = WallTime{std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds))};
    datagram.size = length;
    return true;
  }

 private:
  std::unique_ptr<FILE, CloseCapture> file_;
  std::vector<std::byte> payload_;
};

}  // namespace

namespace {

/// Opens a file as it is. A gzip file is unpacked into a temporary file without a name.
Result<std::unique_ptr<FILE, CloseCapture>, std::string> open_unpacked(const std::string& path) {
  std::unique_ptr<FILE, CloseCapture> file(fopen(path.c_str(), "re"));
  if (!file) return fail(fmt::format("cannot read '{}': {}", path, strerror(errno)));
  std::array<unsigned char, 2> start{};
  const bool is_packed = fread(start.data(), 1, start.size(), file.get()) == start.size() &&
                         start[0] == 0x1f && start[1] == 0x8b;
  rewind(file.get());
  if (!is_packed) return file;
  const std::unique_ptr<gzFile_s, decltype(&gzclose)> packed(gzopen(path.c_str(), "rbe"), gzclose);
  std::unique_ptr<FILE, CloseCapture> unpacked(tmpfile());
  if (!packed || !unpacked) return fail(fmt::format("cannot unpack '{}': {}", path, strerror(errno)));
  std::vector<char> block(1 << 16);
  while (true) {
    const int got = gzread(packed.get(), block.data(), static_cast<unsigned>(block.size()));
    // If the file was cut off, the part before the cut counts.
    if (got <= 0) break;
    if (fwrite(block.data(), 1, static_cast<std::size_t>(got), unpacked.get()) !=
        static_cast<std::size_t>(got))
      return fail(fmt::format("cannot unpack '{}': {}", path, strerror(errno)));
  }
  rewind(unpacked.get());
  return unpacked;
}

}  // namespace

Result<std::unique_ptr<CaptureReader>, std::string> CaptureReader::open(const std::string& path) {
  auto opened = open_unpacked(path);
  if (!opened) return fail(opened.error());
  std::unique_ptr<FILE, CloseCapture> file = std::move(*opened);
  std::array<std::byte, AdHocReader::kHeader + 2> start{};
  const std::size_t got = fread(start.data(), 1, start.size(), file.get());
  rewind(file.get());
  std::array<char, PCAP_ERRBUF_SIZE> why{};
  if (pcap_t* handle = pcap_fopen_offline(file.get(), why.data())) {
    // libpcap closes it.
    static_cast<void>(file.release());
    const int link = pcap_datalink(handle);
    if (PcapReader::is_known(link)) return std::make_unique<PcapReader>(handle, link);
    pcap_close(handle);
    return fail(fmt::format("'{}' has packets of a link type that is not understood ({})", path, link));
  }
  rewind(file.get());
  CapturedDatagram first;
  // Two octets more than the header: the first datagram must begin like RTP.
  const bool is_ad_hoc = got == start.size() && AdHocReader::read_header(start, first) &&
                         (read_u8(start, AdHocReader::kHeader) >> 6) == 2;
  if (is_ad_hoc) return std::make_unique<AdHocReader>(std::move(file));
  return fail(fmt::format("'{}' is no capture: {}", path, why.data()));
}

}  // namespace ferry
