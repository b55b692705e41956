// SPDX-License-Identifier: Apache-2.0
// The ways to receivers: written by the thread that watches routes, read by all workers without waiting.
#pragma once

#include "relay/io/dpdk/frames.hpp"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace ferry::dpdk {

/// How a frame to a receiver leaves.
struct Way {
  static constexpr std::uint16_t kNoPort = 0xffff;
  /// DPDK's number of the port; kNoPort: there is no way now.
  std::uint16_t port = kNoPort;
  /// Tag to write; 0: none.
  std::uint16_t vlan = 0;
  /// Longest IP packet, in octets.
  std::uint16_t mtu = 0;
  MacAddress source{};
  MacAddress destination{};
};

/// Ways by number, the numbers being those of `NextHops`. One writer at a time, any number of readers. Each
/// slot has a version that is odd while it is written; a reader that sees it change reports "no way" instead
/// of waiting, and its packet goes by the socket.
class HopTable {
 public:
  /// Room for numbers up to `ids`. Throws std::bad_alloc.
  explicit HopTable(std::uint32_t ids)
      : slots_(static_cast<Slot*>(std::calloc(ids + std::size_t{1}, sizeof(Slot)))) {
    /// Pages that are never touched take no memory.
    if (!slots_) throw std::bad_alloc();
  }

  /// Sets a way; one without a port means that there is none now.
  void write(std::uint32_t id, const Way& way) noexcept {
    Slot& slot = slots_[id];
    const std::uint64_t version = std::atomic_ref(slot.version).load(std::memory_order_relaxed);
    std::atomic_ref(slot.version).store(version + 1, std::memory_order_release);
    std::atomic_thread_fence(std::memory_order_release);
    std::atomic_ref(slot.words[0]).store(pack(way.destination, way.port), std::memory_order_release);
    std::atomic_ref(slot.words[1]).store(pack(way.source, way.vlan), std::memory_order_release);
    std::atomic_ref(slot.words[2]).store(way.mtu, std::memory_order_release);
    std::atomic_ref(slot.version).store(version + 2, std::memory_order_release);
  }

  /// The way of that number. False: there is none now, or it is being written at this moment.
  [[nodiscard]] bool read(std::uint32_t id, Way& way) const noexcept {
    Slot& slot = slots_[id];
    const std::uint64_t version = std::atomic_ref(slot.version).load(std::memory_order_acquire);
    const std::uint64_t first = std::atomic_ref(slot.words[0]).load(std::memory_order_acquire);
    const std::uint64_t second = std::atomic_ref(slot.words[1]).load(std::memory_order_acquire);
    way.mtu = static_cast<std::uint16_t>(std::atomic_ref(slot.words[2]).load(std::memory_order_acquire));
    if (version == 0 || (version & 1) != 0 ||
        std::atomic_ref(slot.version).load(std::memory_order_acquire) != version)
      return false;
    way.port = unpack(first, way.destination);
    way.vlan = unpack(second, way.source);
    return way.port != Way::kNoPort;
  }

 private:
  /// A way in three words, so that each word is written and read at once.
  struct Slot {
    /// Odd: being written. 0: never written.
    std::uint64_t version;
    std::uint64_t words[3];
  };
  struct Free {
    void operator()(Slot* memory) const noexcept { std::free(memory); }
  };
  /// A MAC address and a number in one word, so that a slot is three words.
  static std::uint64_t pack(const MacAddress& mac, std::uint16_t number) noexcept {
    std::uint64_t word = number;
    for (const std::uint8_t octet : mac) word = word << 8 | octet;
    return word;
  }
  static std::uint16_t unpack(std::uint64_t word, MacAddress& mac) noexcept {
    for (std::size_t i = mac.size(); i-- > 0; word >>= 8) mac[i] = static_cast<std::uint8_t>(word);
    return static_cast<std::uint16_t>(word);
  }

  std::unique_ptr<Slot[], Free> slots_;
};

}  // namespace ferry::dpdk
