// SPDX-License-Identifier: Apache-2.0
// A ring of octets. `head_` and `tail_` only grow; their place in memory is the rest of the division by the
// capacity. The producer alone writes `head_`, the consumer alone writes `tail_`. Each one reads the other's
// with acquire, so it sees the octets that the other has finished with.
//
// A packet never wraps around the end: if it does not fit there, a mark (kSkip) fills the rest, and the
// packet begins at the start of memory. A mark always fits, because every entry is a multiple of 16 octets
// long, and so is the capacity.
#include "recorder/packet_queue.hpp"

#include <cstring>
#include <new>
#include <type_traits>

#include <sys/mman.h>

namespace ferry {

PacketQueue::PacketQueue(std::size_t bytes) {
  static_assert(std::is_trivially_copyable_v<Header>);
  constexpr std::size_t kPage = 4096;
  // Whole pages, and never so small that a single datagram could not fit.
  capacity_ = std::max<std::size_t>((bytes + kPage - 1) / kPage * kPage, 1u << 16);
  // Without a reservation in swap, pages are taken as they are used.
  void* memory =
      mmap(nullptr, capacity_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<std::byte*>(memory);
}

PacketQueue::~PacketQueue() { munmap(memory_, capacity_); }

bool PacketQueue::push(const QueuedPacket& packet, Bytes datagram) noexcept {
  const std::size_t wanted = space(datagram.size());
  const std::uint64_t head = head_.load(std::memory_order_relaxed);
  const std::uint64_t tail = tail_.load(std::memory_order_acquire);
  const std::size_t at = head % capacity_;
  const std::size_t to_end = capacity_ - at;
  const std::size_t skipped = wanted > to_end ? to_end : 0;
  const std::size_t used = head - tail + skipped + wanted;
  // The writer is behind. The packet is lost for the recording; the caller counts it.
  if (used > capacity_) return false;
  // The mark stands where the size of the next packet would.
  if (skipped != 0) std::memcpy(memory_ + at, &kSkip, sizeof kSkip);
  std::byte* place = skipped != 0 ? memory_ : memory_ + at;
  const Header header{static_cast<std::uint32_t>(datagram.size()), packet};
  std::memcpy(place, &header, sizeof header);
  if (!datagram.empty()) std::memcpy(place + sizeof header, datagram.data(), datagram.size());
  if (used > peak_.load(std::memory_order_relaxed)) peak_.store(used, std::memory_order_relaxed);
  head_.store(head + skipped + wanted, std::memory_order_release);
  return true;
}

bool PacketQueue::front(QueuedPacket& packet, Bytes& datagram) noexcept {
  std::uint64_t tail = tail_.load(std::memory_order_relaxed);
  if (tail == head_.load(std::memory_order_acquire)) return false;
  std::uint32_t size = 0;
  std::memcpy(&size, memory_ + tail % capacity_, sizeof size);
  if (size == kSkip) {
    tail += capacity_ - tail % capacity_;
    tail_.store(tail, std::memory_order_release);
  }
  const std::byte* place = memory_ + tail % capacity_;
  Header header;
  std::memcpy(&header, place, sizeof header);
  packet = header.packet;
  datagram = {place + sizeof header, header.size};
  return true;
}

void PacketQueue::pop() noexcept {
  const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
  std::uint32_t size = 0;
  std::memcpy(&size, memory_ + tail % capacity_, sizeof size);
  tail_.store(tail + space(size), std::memory_order_release);
}

}  // namespace ferry
