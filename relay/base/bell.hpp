// SPDX-License-Identifier: Apache-2.0
// Wakes a thread that sleeps on a descriptor after something was put into one of its queues.
#pragma once

#include <atomic>
#include <cstdint>
#include <system_error>

#include <sys/eventfd.h>
#include <unistd.h>

namespace ferry {

/// An eventfd that several threads ring and one thread listens to. Between two calls of `quiet` it makes at
/// most one system call, however often it rings. The constructor throws std::system_error if the process has
/// no descriptor left.
class Bell {
 public:
  Bell() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  ~Bell() { close(fd_); }
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;

  /// Readable from a ring until `quiet`. The bell owns it.
  [[nodiscard]] int fd() const noexcept { return fd_; }

  /// Call it after filling the queue. Safe on any thread.
  void ring() noexcept {
    if (rings_.exchange(true, std::memory_order_acq_rel)) return;
    constexpr std::uint64_t kOne = 1;
    [[maybe_unused]] const auto written = write(fd_, &kOne, sizeof kOne);
  }
  /// True from a ring until `quiet`.
  [[nodiscard]] bool is_rung() const noexcept { return rings_.load(std::memory_order_acquire); }
  /// Call it on the listening thread before emptying the queue. A value that arrives during the emptying then
  /// rings again; in the other order that ring could get lost.
  void quiet() noexcept {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = read(fd_, &count, sizeof count);
    rings_.exchange(false, std::memory_order_acq_rel);
  }

 private:
  int fd_;
  std::atomic<bool> rings_{false};
};

}  // namespace ferry
