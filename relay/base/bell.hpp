// Tells a thread that sleeps on a descriptor that there is something in its queues.
#pragma once

#include <atomic>
#include <cstdint>
#include <system_error>

#include <sys/eventfd.h>
#include <unistd.h>

namespace ferry {

/// Several threads ring, one hears. Between two `quiet` calls it costs one system call at most, however often
/// it rings. Throws std::system_error when the process has no descriptor left.
class Bell {
 public:
  Bell() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  ~Bell() { close(fd_); }
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;

  /// Readable while it rings.
  [[nodiscard]] int fd() const noexcept { return fd_; }

  /// After the queue was filled. Any thread.
  void ring() noexcept {
    if (rings_.exchange(true, std::memory_order_acq_rel)) return;
    constexpr std::uint64_t kOne = 1;
    [[maybe_unused]] const auto written = write(fd_, &kOne, sizeof kOne);
  }
  /// Before the queue is emptied, so that whatever is put in later rings again.
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
