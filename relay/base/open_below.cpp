// SPDX-License-Identifier: Apache-2.0
#include "relay/base/open_below.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ferry {

std::optional<std::string_view> name_below(std::string_view folder, std::string_view name) noexcept {
  if (!name.starts_with('/')) return name;
  if (!name.starts_with(folder) || name.size() <= folder.size() || name[folder.size()] != '/')
    return std::nullopt;
  return name.substr(folder.size() + 1);
}

FileDescriptor open_below(const std::string& folder, const std::string& name) noexcept {
  const FileDescriptor top(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return {};
  open_how how{};
  // A FIFO or a device must not block the thread.
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  FileDescriptor file(static_cast<int>(syscall(SYS_openat2, top.get(), name.c_str(), &how, sizeof how)));
  struct stat info {};
  if (!file || fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
  return file;
}

}  // namespace ferry
