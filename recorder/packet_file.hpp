// SPDX-License-Identifier: Apache-2.0
// A file of packets, whatever its form.
#pragma once

#include "recorder/files/output.hpp"
#include "relay/base/address.hpp"

#include <memory>
#include <vector>

namespace ferry {

/// One datagram with the addresses it had on the wire.
struct CapturedDatagram {
  /// Source and destination.
  Endpoint from;
  Endpoint to;
  WallTime at{};
  /// Borrowed for the call.
  Bytes payload;
  /// Octets of the whole datagram; more than `payload` has if only its start is known.
  std::size_t size = 0;
};

/// The base of packet files. Belongs to one thread. Packets gather in memory until `flush`. If the disk does
/// not take them, they are lost and counted, and the file can still be read.
class PacketFile {
 public:
  virtual ~PacketFile() = default;
  PacketFile(const PacketFile&) = delete;
  PacketFile& operator=(const PacketFile&) = delete;

  /// Appends a packet to what waits in memory.
  virtual void write(const CapturedDatagram& datagram) = 0;
  /// Writes what waits. Returns 0, or errno of what failed.
  int flush();
  /// Packets that were written.
  [[nodiscard]] std::uint64_t packets() const { return written_; }
  /// Packets that the disk did not take.
  [[nodiscard]] std::uint64_t lost() const { return lost_; }
  /// Octets that wait in memory.
  [[nodiscard]] std::size_t waiting_bytes() const { return waiting_.size(); }
  /// Octets in the file.
  [[nodiscard]] std::uint64_t size() const { return output_->size(); }

 protected:
  /// `head_size`: octets at the start without which the file cannot be read.
  PacketFile(std::unique_ptr<OutputFile> output, std::size_t head_size)
      : output_(std::move(output)), head_size_(head_size) {}
  /// Adds octets of the file to what waits; `count` says that a packet is complete.
  void append(Bytes octets) { waiting_.insert(waiting_.end(), octets.begin(), octets.end()); }
  void count() { ++waiting_packets_; }

 private:
  std::unique_ptr<OutputFile> output_;
  std::size_t head_size_;
  std::vector<std::byte> waiting_;
  std::uint64_t waiting_packets_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t lost_ = 0;
};

/// The form that rtpproxy writes when nothing else is asked for: for each datagram a header of 30 octets in
/// the host's byte order, then the datagram.
class AdHocFile final : public PacketFile {
 public:
  explicit AdHocFile(std::unique_ptr<OutputFile> output) : PacketFile(std::move(output), 0) {}
  void write(const CapturedDatagram& datagram) override;
};

}  // namespace ferry
