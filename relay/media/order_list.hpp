// SPDX-License-Identifier: Apache-2.0
// Orders to a media thread: what must not get lost, whatever waits in the lanes.
#pragma once

#include "relay/core/output/stage.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace ferry {

/// One order.
struct MediaOrder {
  enum class Kind : std::uint8_t {
    /// A stage begins: its packets follow.
    kBegin,
    /// A stage ends; its packets may still be in the lanes.
    kEnd,
    /// A worker takes leave: nothing may wake it any more.
    kLeave,
  };
  Kind kind = Kind::kBegin;
  /// The worker that gives it.
  unsigned worker = 0;
  /// kBegin, kEnd: whose stage it is.
  StageOwner owner;
  /// kLeave: becomes true when the thread has understood; null otherwise.
  std::shared_ptr<std::atomic<bool>> done;
  /// The order before it in the list.
  std::unique_ptr<MediaOrder> next;
};

/// A list of orders without a bound. Any thread may give one, in an object of its own, so that giving cannot
/// fail. One thread takes them.
class OrderList {
 public:
  OrderList() = default;
  ~OrderList() {
    // One after the other: a long list would take a deep stack.
    for (auto order = take_all(); order; order = std::move(order->next)) {
    }
  }
  OrderList(const OrderList&) = delete;
  OrderList& operator=(const OrderList&) = delete;

  void give(std::unique_ptr<MediaOrder> order) noexcept {
    MediaOrder* const given = order.release();
    MediaOrder* top = top_.load(std::memory_order_relaxed);
    do {
      // The list owns what is below; no order is released while it is in the list.
      static_cast<void>(given->next.release());
      given->next.reset(top);
    } while (!top_.compare_exchange_weak(top, given, std::memory_order_release, std::memory_order_relaxed));
  }
  /// All orders that were given, the oldest first; null if there are none.
  [[nodiscard]] std::unique_ptr<MediaOrder> take_all() noexcept {
    std::unique_ptr<MediaOrder> newest(top_.exchange(nullptr, std::memory_order_acquire));
    std::unique_ptr<MediaOrder> oldest;
    while (newest) {
      std::unique_ptr<MediaOrder> below = std::move(newest->next);
      newest->next = std::move(oldest);
      oldest = std::exchange(newest, std::move(below));
    }
    return oldest;
  }

 private:
  std::atomic<MediaOrder*> top_{nullptr};
};

}  // namespace ferry
