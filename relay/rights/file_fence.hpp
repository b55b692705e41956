// SPDX-License-Identifier: Apache-2.0
// Limits the files that a thread may still open (Landlock, CTL-17).
#pragma once

#include "relay/base/result.hpp"

#include <cstdint>
#include <string>

namespace ferry {

/// Collects places that stay open, then closes everything else. Descriptors that are open already keep what
/// they can do.
class FileFence {
 public:
  enum class Use : std::uint8_t {
    /// Read the files below it, and list folders.
    kRead,
    /// Also write, make, move and remove files and folders.
    kWrite,
    /// Make and remove Unix sockets, remove files, list folders.
    kSockets,
  };

  /// If this kernel has no Landlock, the fence does nothing, and `close` says so.
  FileFence();
  ~FileFence();
  FileFence(const FileFence&) = delete;
  FileFence& operator=(const FileFence&) = delete;

  /// True if this kernel has Landlock.
  [[nodiscard]] static bool is_known_here() noexcept;
  /// Keeps `path` open, a folder or a file; links are followed. A path that does not exist is no error:
  /// nothing can be opened there.
  void open(const std::string& path, Use use);
  /// From now on the calling thread, and the threads and processes that it starts, can open nothing else.
  /// Call it once; other threads of the process call it for themselves. Needs no_new_privs. The error is a
  /// sentence, and nothing has changed then.
  [[nodiscard]] Result<void, std::string> close() const;

 private:
  /// Descriptor of the set of rules; -1: none.
  int rules_ = -1;
  /// The rights that this kernel can refuse.
  std::uint64_t handled_ = 0;
};

}  // namespace ferry
