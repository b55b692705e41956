// Packets on their way from a worker to a writer thread: bounded, copied once, nothing waits.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/bytes.hpp"
#include "relay/core/forward/plan.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace ferry {

/// What is known of a packet beside its octets.
struct QueuedPacket {
  std::uint64_t recording = 0;
  TransportId transport;
  MediaId media;
  Endpoint from;
  Endpoint to;  // set if the packet left this relay
  Instant at{};
  /// Of the whole datagram.
  std::uint32_t size = 0;
  bool is_rtcp = false;
  /// Of the relay's port.
  Component port = Component::kRtp;
};

/// Lock-free between one producer thread and one consumer thread. Memory is touched as it is used.
class PacketQueue {
 public:
  explicit PacketQueue(std::size_t bytes);
  ~PacketQueue();
  PacketQueue(const PacketQueue&) = delete;
  PacketQueue& operator=(const PacketQueue&) = delete;

  /// False if there is no room; nothing is queued then.
  bool push(const QueuedPacket& packet, Bytes datagram) noexcept;
  /// The oldest packet, borrowed until `pop`. False if there is none.
  bool front(QueuedPacket& packet, Bytes& datagram) noexcept;
  void pop() noexcept;
  /// Position behind the newest packet, and of the oldest: to stop at what was there at a time.
  [[nodiscard]] std::uint64_t head() const noexcept { return head_.load(std::memory_order_acquire); }
  [[nodiscard]] std::uint64_t tail() const noexcept { return tail_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  /// Highest share of the room that was ever used, octets.
  [[nodiscard]] std::size_t peak() const noexcept { return peak_.load(std::memory_order_relaxed); }

 private:
  struct Header {
    std::uint32_t size = 0;  // of the octets that follow; kSkip = go on at the beginning
    QueuedPacket packet;
  };
  static constexpr std::uint32_t kSkip = UINT32_MAX;
  static constexpr std::size_t kAlign = 16;
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
