// SPDX-License-Identifier: Apache-2.0
// A queue of packets from one worker to one writer thread: bounded, lock-free; a packet is copied once and
// nobody waits.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/bytes.hpp"
#include "relay/core/forward/plan.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace ferry {

/// Everything about a packet besides its octets. Trivially copyable.
struct QueuedPacket {
  /// Number of the recording, as `WriterCommand` has it.
  std::uint64_t recording = 0;
  TransportId transport;
  MediaId media;
  /// Its source; nothing useful if `to` is set.
  Endpoint from;
  /// Set if the packet leaves this relay: where it goes.
  Endpoint to;
  /// When the relay received it.
  Instant at{};
  /// Octets of the whole datagram.
  std::uint32_t size = 0;
  bool is_rtcp = false;
  /// Whether the relay's port is the one for RTP or the one for RTCP.
  Component port = Component::kRtp;
};

/// The worker's thread pushes, the writer's thread takes; no lock. Pages are taken from the host as they are
/// used.
class PacketQueue {
 public:
  /// `bytes`: room, rounded up to pages. Throws std::bad_alloc.
  explicit PacketQueue(std::size_t bytes);
  ~PacketQueue();
  PacketQueue(const PacketQueue&) = delete;
  PacketQueue& operator=(const PacketQueue&) = delete;

  /// Copies a packet into the queue. False if there is no room; then nothing is queued. Worker only.
  bool push(const QueuedPacket& packet, Bytes datagram) noexcept;
  /// The oldest packet, borrowed until `pop`. False if the queue is empty. Writer only.
  bool front(QueuedPacket& packet, Bytes& datagram) noexcept;
  /// Removes the oldest packet; there must be one. Writer only.
  void pop() noexcept;
  /// Positions behind the newest and at the oldest packet; they only grow. A reader remembers `head` to stop
  /// at what was there at that time.
  [[nodiscard]] std::uint64_t head() const noexcept { return head_.load(std::memory_order_acquire); }
  [[nodiscard]] std::uint64_t tail() const noexcept { return tail_.load(std::memory_order_relaxed); }
  /// Room in octets.
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  /// The most octets that were ever in use.
  [[nodiscard]] std::size_t peak() const noexcept { return peak_.load(std::memory_order_relaxed); }

 private:
  /// The head of an entry, before the octets of the packet.
  struct Header {
    /// Number of octets that follow; kSkip: nothing here, go on at the beginning of memory.
    std::uint32_t size = 0;
    QueuedPacket packet;
  };
  static constexpr std::uint32_t kSkip = UINT32_MAX;
  static constexpr std::size_t kAlign = 16;
  /// Octets of memory for a packet of `octets` octets.
  static std::size_t space(std::size_t octets) noexcept {
    return (sizeof(Header) + octets + kAlign - 1) / kAlign * kAlign;
  }
  std::byte* memory_ = nullptr;
  std::size_t capacity_ = 0;
  std::atomic<std::size_t> peak_{0};
  alignas(64) std::atomic<std::uint64_t> head_{0};
  alignas(64) std::atomic<std::uint64_t> tail_{0};
};

}  // namespace ferry
