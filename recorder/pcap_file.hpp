// Packet files as Wireshark reads them, by libpcap.
#pragma once

#include "recorder/files/output.hpp"
#include "recorder/settings.hpp"
#include "relay/base/address.hpp"

#include <cstdio>
#include <memory>
#include <vector>

struct pcap;
struct pcap_dumper;

namespace ferry {

/// One datagram with the addresses it had on the wire.
struct CapturedDatagram {
  Endpoint from;
  Endpoint to;
  WallTime at{};
  Bytes payload;  // borrowed
  /// Octets of the datagram, if `payload` is only its start.
  std::size_t size = 0;
};

/// One file, link type raw IP or Ethernet. Owned by one thread. Packets gather in memory until `flush`; a
/// flush that the disk does not take loses those packets and leaves a file that can be read.
class PcapFile {
 public:
  PcapFile(std::unique_ptr<Output> output, PcapFormat format);
  ~PcapFile();
  PcapFile(const PcapFile&) = delete;
  PcapFile& operator=(const PcapFile&) = delete;

  void write(const CapturedDatagram& datagram);
  /// errno; 0 = good.
  int flush();
  [[nodiscard]] std::uint64_t packets() const { return written_; }
  /// Packets that the disk did not take.
  [[nodiscard]] std::uint64_t lost() const { return lost_; }
  [[nodiscard]] std::size_t waiting_bytes() const { return waiting_.size(); }
  [[nodiscard]] std::uint64_t size() const { return output_->size(); }

 private:
  std::unique_ptr<Output> output_;
  PcapFormat format_;
  std::vector<std::byte> waiting_;
  std::uint64_t waiting_packets_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t lost_ = 0;
  pcap* handle_ = nullptr;
  pcap_dumper* dumper_ = nullptr;
  std::vector<std::byte> frame_;
};

}  // namespace ferry
