// A file of packets, whatever its form.
#pragma once

#include "recorder/files/output.hpp"
#include "relay/base/address.hpp"

#include <memory>
#include <vector>

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

/// Owned by one thread. Packets gather in memory until `flush`; a flush that the disk does not take loses
/// those packets and leaves a file that can be read.
class PacketFile {
 public:
  virtual ~PacketFile() = default;
  PacketFile(const PacketFile&) = delete;
  PacketFile& operator=(const PacketFile&) = delete;

  virtual void write(const CapturedDatagram& datagram) = 0;
  /// errno; 0 = good.
  int flush();
  [[nodiscard]] std::uint64_t packets() const { return written_; }
  /// Packets that the disk did not take.
  [[nodiscard]] std::uint64_t lost() const { return lost_; }
  [[nodiscard]] std::size_t waiting_bytes() const { return waiting_.size(); }
  [[nodiscard]] std::uint64_t size() const { return output_->size(); }

 protected:
  /// `head_size`: octets without which it is no file.
  PacketFile(std::unique_ptr<Output> output, std::size_t head_size)
      : output_(std::move(output)), head_size_(head_size) {}
  void append(Bytes octets) { waiting_.insert(waiting_.end(), octets.begin(), octets.end()); }
  void count() { ++waiting_packets_; }

 private:
  std::unique_ptr<Output> output_;
  std::size_t head_size_;
  std::vector<std::byte> waiting_;
  std::uint64_t waiting_packets_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t lost_ = 0;
};

/// The form that rtpproxy writes of its own accord: a header of 30 octets for each datagram, in the host's
/// byte order, and the datagram (rtpproxy reference, section 9).
class AdHocFile final : public PacketFile {
 public:
  explicit AdHocFile(std::unique_ptr<Output> output) : PacketFile(std::move(output), 0) {}
  void write(const CapturedDatagram& datagram) override;
};

}  // namespace ferry
