// The files that a thread may still open (Landlock, CTL-17).
#pragma once

#include "relay/base/result.hpp"

#include <cstdint>
#include <string>

namespace ferry {

/// Collects places, then closes everything else. Whoever has a descriptor already keeps what it can do.
class FileFence {
 public:
  enum class Use : std::uint8_t {
    kRead,     // files below it
    kWrite,    // and make, change, move and remove them
    kSockets,  // make and remove Unix sockets, remove files
  };

  /// Without Landlock in this kernel it is empty, and `close` says so.
  FileFence();
  ~FileFence();
  FileFence(const FileFence&) = delete;
  FileFence& operator=(const FileFence&) = delete;

  [[nodiscard]] static bool is_known_here() noexcept;
  /// `path`, a folder or a file, links followed. One that is not there is no error: nothing is to be opened
  /// there.
  void open(const std::string& path, Use use);
  /// From now on the calling thread, and those that it starts, open what was named alone. Once; other
  /// threads of the process call it for themselves. Needs no_new_privs. Fails with a sentence.
  [[nodiscard]] Result<void, std::string> close() const;

 private:
  int rules_ = -1;
  std::uint64_t handled_ = 0;
};

}  // namespace ferry
