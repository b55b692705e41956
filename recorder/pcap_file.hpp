// SPDX-License-Identifier: Apache-2.0
// Packet files in pcap format, written by libpcap.
#pragma once

#include "recorder/packet_file.hpp"
#include "recorder/settings.hpp"

#include <cstdio>
#include <memory>
#include <vector>

struct pcap;
struct pcap_dumper;

namespace ferry {

/// A pcap file with link type raw IP or Ethernet. IP and UDP headers are made up from the two endpoints.
class PcapFile final : public PacketFile {
 public:
  /// Throws std::bad_alloc.
  PcapFile(std::unique_ptr<OutputFile> output, PcapFormat format);
  ~PcapFile() override;

  void write(const CapturedDatagram& datagram) override;

 private:
  PcapFormat format_;
  pcap* handle_ = nullptr;
  pcap_dumper* dumper_ = nullptr;
  /// Memory for one frame.
  std::vector<std::byte> frame_;
};

}  // namespace ferry
