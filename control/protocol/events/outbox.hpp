// SPDX-License-Identifier: Apache-2.0
// A bounded queue from the control thread to the thread of an output.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace ferry::events {

/// Values on their way to another thread. The control thread holds the lock for the time of a move, and never
/// waits for work of the other thread.
template <class Value>
class Outbox {
 public:
  /// `most` bounds the values that wait. `wake` is called on the thread that adds one; it must not wait.
  Outbox(std::size_t most, std::function<void()> wake) : most_(most), wake_(std::move(wake)) {}

  /// Adds a value. If too many wait, it is lost and counted.
  void add(Value value) {
    {
      const std::lock_guard guard(lock_);
      if (values_.size() >= most_) {
        ++lost_;
        return;
      }
      values_.push_back(std::move(value));
    }
    wake_();
  }
  /// Takes all values, in their order.
  [[nodiscard]] std::vector<Value> take() {
    const std::lock_guard guard(lock_);
    return std::exchange(values_, {});
  }
  /// Values that were lost since the start. Any thread.
  [[nodiscard]] std::uint64_t lost() const { return lost_.load(); }

 private:
  std::size_t most_;
  std::function<void()> wake_;
  std::mutex lock_;
  std::vector<Value> values_;
  std::atomic<std::uint64_t> lost_{0};
};

}  // namespace ferry::events
