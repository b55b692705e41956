// SPDX-License-Identifier: Apache-2.0
// Reads captures that others have made: pcap and pcapng by libpcap, and the ad-hoc form of rtpproxy; also
// packed with gzip.
#pragma once

#include "recorder/pcap_file.hpp"
#include "relay/base/result.hpp"

#include <memory>
#include <string>

namespace ferry {

/// Reads UDP datagrams of IPv4 and IPv6 in the order of the file. Link types: Ethernet (with VLAN tags), raw
/// IP, Linux cooked (both versions), loopback. Anything else in the file is passed over and counted.
class CaptureReader {
 public:
  virtual ~CaptureReader() = default;
  /// Opens a capture. The error is a sentence: there is no such file, or it is no capture.
  static Result<std::unique_ptr<CaptureReader>, std::string> open(const std::string& path);
  /// Reads the next datagram. False at the end. The payload is borrowed until the next call.
  virtual bool next(CapturedDatagram& datagram) = 0;
  /// Octets of the file read so far, for a progress bar.
  [[nodiscard]] virtual std::uint64_t position() const = 0;
  /// Packets that were no whole UDP datagrams.
  [[nodiscard]] virtual std::uint64_t passed_over() const = 0;
};

}  // namespace ferry
