// SPDX-License-Identifier: Apache-2.0
// Bounded queue between exactly one producer thread and one consumer thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>
#include <vector>

namespace ferry {

/// Lock-free ring. Only the producer calls `push`, only the consumer calls `pop`. The constructor allocates
/// all memory.
template <class T>
class SpscRing {
 public:
  /// Makes room for `capacity` values, rounded up to a power of two and at least 2.
  explicit SpscRing(std::size_t capacity) {
    std::size_t size = 2;
    while (size < capacity) size *= 2;
    slots_.resize(size);
  }

  /// Producer only. False if the ring is full; `value` is then left as it was.
  bool push(T&& value) {
    const auto head = head_.load(std::memory_order_relaxed);
    if (head - tail_.load(std::memory_order_acquire) == slots_.size()) return false;
    slots_[head & (slots_.size() - 1)] = std::move(value);
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

  /// Consumer only. False if the ring is empty; `value` is then left as it was.
  bool pop(T& value) {
    const auto tail = tail_.load(std::memory_order_relaxed);
    if (tail == head_.load(std::memory_order_acquire)) return false;
    value = std::exchange(slots_[tail & (slots_.size() - 1)], T{});
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  /// Either thread. The other thread may change the answer at any moment.
  [[nodiscard]] bool empty() const {
    return tail_.load(std::memory_order_acquire) == head_.load(std::memory_order_acquire);
  }

 private:
  std::vector<T> slots_;
  // Both counters only rise; a slot is the counter modulo the size. Each lies in a cache line of its own, so
  // that the two threads do not slow each other down.
  alignas(64) std::atomic<std::size_t> head_{0};
  alignas(64) std::atomic<std::size_t> tail_{0};
};

}  // namespace ferry
