// SPDX-License-Identifier: Apache-2.0
// A file descriptor with an owner.
#pragma once

#include <utility>

#include <unistd.h>

namespace ferry {

/// Owns one file descriptor and closes it in the destructor. Movable, not copyable. -1 means that it holds
/// none.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() { reset(); }
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  /// The descriptor, which stays owned here; -1 if there is none.
  [[nodiscard]] int get() const { return fd_; }
  /// True if it holds a descriptor.
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }
  /// Hands the descriptor over to the caller, who has to close it. Afterwards this object holds none.
  int release() { return std::exchange(fd_, -1); }
  /// Closes the descriptor that it holds, if any, and takes ownership of `fd`.
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace ferry
