// Bounded queue between exactly one producer thread and one consumer thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>
#include <vector>

namespace ferry {

/// Lock-free ring. `push` belongs to one thread, `pop` to another; capacity is rounded up to a power of two.
template <class T>
class SpscRing {
 public:
  explicit SpscRing(std::size_t capacity) {
    std::size_t size = 2;
    while (size < capacity) size *= 2;
    slots_.resize(size);
  }

  /// False when full; `value` is then left as it was.
  bool push(T&& value) {
    const auto head = head_.load(std::memory_order_relaxed);
    if (head - tail_.load(std::memory_order_acquire) == slots_.size()) return false;
    slots_[head & (slots_.size() - 1)] = std::move(value);
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

  /// False when empty; `value` is then left as it was.
  bool pop(T& value) {
    const auto tail = tail_.load(std::memory_order_relaxed);
    if (tail == head_.load(std::memory_order_acquire)) return false;
    value = std::exchange(slots_[tail & (slots_.size() - 1)], T{});
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  [[nodiscard]] bool empty() const {
    return tail_.load(std::memory_order_acquire) == head_.load(std::memory_order_acquire);
  }

 private:
  std::vector<T> slots_;
  alignas(64) std::atomic<std::size_t> head_{0};
  alignas(64) std::atomic<std::size_t> tail_{0};
};

}  // namespace ferry
