// SPDX-License-Identifier: Apache-2.0
// Files below one directory, and nowhere else (CTL-10). Names come from outside (Call-ID, requests), so the
// kernel itself keeps them inside: openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS refuses any path that
// leaves the directory or passes a link, also if somebody changes it at the same moment. Everything else here
// goes through `open_below`, or works on the last part of a name inside a directory opened that way.
//
// New files never replace others: O_EXCL and RENAME_NOREPLACE. Contents are replaced whole, by a file beside
// it that takes the name.
#include "recorder/files/folder.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ferry {

namespace {

// The folder of a name; empty if the name has none.
std::string parent_of(std::string_view name) {
  const auto slash = name.rfind('/');
  return std::string(slash == std::string_view::npos ? std::string_view() : name.substr(0, slash));
}

// Copies a whole file. Returns errno; 0: good.
int copy_all(int from, int to) {
  std::array<char, 1 << 16> block;
  lseek(from, 0, SEEK_SET);
  while (true) {
    const ssize_t got = read(from, block.data(), block.size());
    if (got == 0) return 0;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    for (ssize_t at = 0; at < got;) {
      const ssize_t put = write(to, block.data() + at, static_cast<std::size_t>(got - at));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return errno;
      at += put;
    }
  }
}

}  // namespace

Folder::Folder(std::string path, FileDescriptor directory, const FileRights& rights)
    : path_(std::move(path)), directory_(std::move(directory)), rights_(rights) {}

Result<std::shared_ptr<const Folder>, std::string> Folder::open(const std::string& path,
                                                                const FileRights& rights) {
  // The operator's own path may be made of links. What is below it may not.
  for (std::size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (mkdir(part.c_str(), rights.directory_mode) != 0 && errno != EEXIST)
      return fail(fmt::format("cannot make '{}': {}", part, strerror(errno)));
    if (at == std::string::npos) break;
  }
  FileDescriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return fail(fmt::format("cannot open '{}': {}", path, strerror(errno)));
  std::string clean = path;
  while (clean.size() > 1 && clean.ends_with('/')) clean.pop_back();
  return std::shared_ptr<const Folder>(new Folder(std::move(clean), std::move(directory), rights));
}

std::string Folder::path_of(std::string_view name) const { return path_ + "/" + std::string(name); }

Result<FileDescriptor, int> Folder::open_below(const std::string& name, int flags, mode_t mode) const {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  // The kernel walks the path itself, so nobody can exchange a part of it between a check and its use.
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const auto fd = syscall(SYS_openat2, directory_.get(), name.c_str(), &how, sizeof how);
  if (fd < 0) return fail(errno);
  return FileDescriptor(static_cast<int>(fd));
}

int Folder::give(int fd, mode_t mode) const {
  // Whatever the umask says: the operator chose these rights.
  if (fchmod(fd, mode) != 0) return errno;
  if (!rights_.owner && !rights_.group) return 0;
  return fchown(fd, rights_.owner.value_or(static_cast<uid_t>(-1)),
                rights_.group.value_or(static_cast<gid_t>(-1))) == 0
             ? 0
             : errno;
}

int Folder::make_parents(const std::string& name) const {
  for (std::size_t at = name.find('/'); at != std::string::npos; at = name.find('/', at + 1)) {
    const std::string part = name.substr(0, at);
    // It is there already, as a folder and not as a link.
    if (open_below(part, O_PATH | O_DIRECTORY, 0)) continue;
    // Made in the folder above, which was opened safely.
    const auto above = open_below(parent_of(part).empty() ? "." : parent_of(part), O_RDONLY | O_DIRECTORY, 0);
    if (!above) return above.error();
    const std::string last = part.substr(part.rfind('/') == std::string::npos ? 0 : part.rfind('/') + 1);
    if (mkdirat(above->get(), last.c_str(), rights_.directory_mode) != 0) {
      // Another thread may have made it in between.
      if (errno != EEXIST) return errno;
      continue;
    }
    if (const auto made = open_below(part, O_RDONLY | O_DIRECTORY, 0)) {
      if (const int wrong = give(made->get(), rights_.directory_mode)) return wrong;
    }
  }
  return 0;
}

Result<FileDescriptor, int> Folder::create(const std::string& name) const {
  if (const int wrong = make_parents(name)) return fail(wrong);
  // Closed to others until it has its owner and rights.
  auto file = open_below(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!file) return file;
  if (const int wrong = give(file->get(), rights_.file_mode)) {
    remove(name);
    return fail(wrong);
  }
  return file;
}

Result<FileDescriptor, int> Folder::open_file(const std::string& name) const {
  return open_below(name, O_RDWR, 0);
}

Result<std::string, int> Folder::read(const std::string& name) const {
  constexpr off_t kLongest = 16 << 20;
  const auto file = open_below(name, O_RDONLY, 0);
  if (!file) return fail(file.error());
  struct stat info {};
  if (fstat(file->get(), &info) != 0) return fail(errno);
  if (!S_ISREG(info.st_mode)) return fail(EINVAL);
  if (info.st_size > kLongest) return fail(EFBIG);
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t got = pread(file->get(), text.data() + at, text.size() - at, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno);
    if (got == 0) text.resize(at);
    at += static_cast<std::size_t>(got);
  }
  return text;
}

bool Folder::exists(const std::string& name) const {
  return open_below(name, O_PATH | O_NOFOLLOW, 0).has_value();
}

int Folder::fault_of_name(const std::string& name) const {
  if (const int wrong = make_parents(name)) return wrong;
  const auto opened = open_below(name, O_PATH | O_NOFOLLOW, 0);
  return opened || opened.error() == ENOENT ? 0 : opened.error();
}

int Folder::move_to(const std::string& from, const Folder& to, const std::string& name) const {
  if (const int wrong = to.make_parents(name)) return wrong;
  const std::string from_parent = parent_of(from);
  const std::string to_parent = parent_of(name);
  const auto source = open_below(from_parent.empty() ? "." : from_parent, O_RDONLY | O_DIRECTORY, 0);
  const auto target = to.open_below(to_parent.empty() ? "." : to_parent, O_RDONLY | O_DIRECTORY, 0);
  if (!source) return source.error();
  if (!target) return target.error();
  const auto last_of = [](const std::string& path, const std::string& parent) {
    return parent.empty() ? path : path.substr(parent.size() + 1);
  };
  const std::string last = last_of(from, from_parent);
  // RENAME_NOREPLACE: a file that somebody else has put there stays, and EEXIST says so.
  if (renameat2(source->get(), last.c_str(), target->get(), last_of(name, to_parent).c_str(),
                RENAME_NOREPLACE) == 0)
    return 0;
  // On one file system that is all. Over two, the file is copied.
  if (errno != EXDEV) return errno;
  const auto whole = open_below(from, O_RDONLY, 0);
  if (!whole) return whole.error();
  // Copied under another name first: half a file never has the final name.
  const std::string growing = name + ".part";
  const auto copy = to.create(growing);
  if (!copy) return copy.error();
  int wrong = copy_all(whole->get(), copy->get());
  if (wrong == 0 && fdatasync(copy->get()) != 0) wrong = errno;
  if (wrong == 0) wrong = to.move_to(growing, to, name);
  if (wrong != 0) {
    to.remove(growing);
    return wrong;
  }
  remove(from);
  return 0;
}

int Folder::write_part(const std::string& name, std::string_view contents, bool is_durable) const {
  // A rest of an earlier attempt may lie there.
  remove(name);
  const auto file = create(name);
  if (!file) return file.error();
  int wrong = 0;
  while (!contents.empty() && wrong == 0) {
    const ssize_t put = write(file->get(), contents.data(), contents.size());
    if (put >= 0)
      contents.remove_prefix(static_cast<std::size_t>(put));
    else if (errno != EINTR)
      wrong = errno;
  }
  if (wrong == 0 && is_durable && fdatasync(file->get()) != 0) wrong = errno;
  if (wrong != 0) remove(name);
  return wrong;
}

// Readers see the old contents or the new ones: rename exchanges the name in one step.
int Folder::put(const std::string& name, std::string_view contents, bool is_durable) const {
  const std::string growing = name + ".part";
  if (const int wrong = write_part(growing, contents, is_durable)) return wrong;
  const std::string parent = parent_of(name);
  const auto directory = open_below(parent.empty() ? "." : parent, O_RDONLY | O_DIRECTORY, 0);
  if (!directory) return directory.error();
  const std::size_t skip = parent.empty() ? 0 : parent.size() + 1;
  if (renameat(directory->get(), growing.c_str() + skip, directory->get(), name.c_str() + skip) != 0)
    return errno;
  // The new name is only safe once the directory is.
  return is_durable && fsync(directory->get()) != 0 ? errno : 0;
}

int Folder::replace(const std::string& name, std::string_view contents) const {
  return put(name, contents, false);
}

int Folder::store(const std::string& name, std::string_view contents) const {
  return put(name, contents, true);
}

void Folder::remove(const std::string& name) const {
  const std::string parent = parent_of(name);
  const auto directory = open_below(parent.empty() ? "." : parent, O_RDONLY | O_DIRECTORY, 0);
  if (directory) unlinkat(directory->get(), name.c_str() + (parent.empty() ? 0 : parent.size() + 1), 0);
}

void Folder::remove_folder(const std::string& name) const {
  unlinkat(directory_.get(), name.c_str(), AT_REMOVEDIR);
}

void Folder::sync() const { fsync(directory_.get()); }

// Walks folders below each other; links are neither followed nor listed.
void Folder::list(const std::string& sub, std::vector<std::string>& into) const {
  const auto directory = open_below(sub.empty() ? "." : sub, O_RDONLY | O_DIRECTORY, 0);
  DIR* stream = directory ? fdopendir(dup(directory->get())) : nullptr;
  if (stream == nullptr) return;
  while (const dirent* entry = readdir(stream)) {
    const std::string name = entry->d_name;
    // Hidden names are the spool and the like.
    if (name.starts_with('.')) continue;
    const std::string path = sub.empty() ? name : sub + "/" + name;
    struct stat info {};
    if (fstatat(directory->get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISDIR(info.st_mode)) list(path, into);
    if (S_ISREG(info.st_mode)) into.push_back(path);
  }
  closedir(stream);
}

std::vector<std::string> Folder::files(const std::string& sub) const {
  std::vector<std::string> names;
  list(sub, names);
  return names;
}

std::uint64_t Folder::free_bytes() const {
  struct statvfs info {};
  return fstatvfs(directory_.get(), &info) == 0 ? info.f_bavail * info.f_frsize : 0;
}

}  // namespace ferry
