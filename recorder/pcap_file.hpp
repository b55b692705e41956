// Packet files as Wireshark reads them, by libpcap.
#pragma once

#include "recorder/packet_file.hpp"
#include "recorder/settings.hpp"

#include <cstdio>
#include <memory>
#include <vector>

struct pcap;
struct pcap_dumper;

namespace ferry {

/// Link type raw IP or Ethernet.
class PcapFile final : public PacketFile {
 public:
  PcapFile(std::unique_ptr<Output> output, PcapFormat format);
  ~PcapFile() override;

  void write(const CapturedDatagram& datagram) override;

 private:
  PcapFormat format_;
  pcap* handle_ = nullptr;
  pcap_dumper* dumper_ = nullptr;
  std::vector<std::byte> frame_;
};

}  // namespace ferry
