// SPDX-License-Identifier: Apache-2.0
// A bounded queue from the control thread to the thread of an output.
#pragma once

#include "relay/base/memory.hpp"

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
  /// `most` bounds the values that wait, and `most_octets` what they take. `wake` is called on the thread
  /// that adds one; it must not wait.
  Outbox(std::size_t most, std::size_t most_octets, std::function<void()> wake)
      : most_(most), most_octets_(most_octets), wake_(std::move(wake)) {}

  /// Adds a value that takes so many octets. If too much waits, or without memory, it is lost and counted.
  void add(Value value, std::size_t octets = 0) {
    {
      const std::lock_guard guard(lock_);
      if (values_.size() >= most_ || octets_ + octets > most_octets_ ||
          !had_memory([&] { values_.push_back(std::move(value)); })) {
        ++lost_;
        return;
      }
      octets_ += octets;
    }
    wake_();
  }
  /// Takes all values, in their order.
  [[nodiscard]] std::vector<Value> take() {
    const std::lock_guard guard(lock_);
    octets_ = 0;
    return std::exchange(values_, {});
  }
  /// Values that were lost since the start. Any thread.
  [[nodiscard]] std::uint64_t lost() const { return lost_.load(); }
  /// Notes a value that could not even be made.
  void note_lost() { ++lost_; }

 private:
  std::size_t most_;
  std::size_t most_octets_;
  std::function<void()> wake_;
  std::mutex lock_;
  std::vector<Value> values_;
  std::size_t octets_ = 0;
  std::atomic<std::uint64_t> lost_{0};
};

}  // namespace ferry::events
