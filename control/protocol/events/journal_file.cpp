// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/events/journal_file.hpp"

#include "control/events/delivery_queue.hpp"
#include "control/protocol/events/journal_folder.hpp"
#include "relay/base/memory.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ferry::events {

namespace {

/// A file is written in parts of this size.
constexpr std::size_t kPart = 64 * 1024;

/// Opens and locks a file; with `O_CREAT` in `flags` it is made. Sets errno if it cannot.
FileDescriptor open_locked(const std::string& path, int flags) {
  FileDescriptor file(::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | flags, 0600));
  if (!file || flock(file.get(), LOCK_EX | LOCK_NB) != 0) return {};
  // The process that held it may have put a new file there meanwhile.
  struct stat ours {
  }, there{};
  if (fstat(file.get(), &ours) != 0 || stat(path.c_str(), &there) != 0 || ours.st_ino != there.st_ino) {
    errno = EWOULDBLOCK;
    return {};
  }
  return file;
}

/// Writes all of it. Returns errno; 0 = done.
int write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

}  // namespace

Result<std::unique_ptr<JournalFile>, std::string> JournalFile::open(const std::string& state_directory,
                                                                    const std::string& receiver) {
  const std::string folder = journal_folder(state_directory);
  mkdir(state_directory.c_str(), 0700);
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return fail(fmt::format("{}: {}", folder, std::strerror(errno)));
  for (int n = 1; n <= kMostJournals; ++n) {
    std::string path = journal_path(state_directory, receiver, n);
    FileDescriptor file = open_locked(path, O_CREAT);
    if (file) return std::unique_ptr<JournalFile>(new JournalFile(std::move(path), std::move(file)));
    if (errno != EWOULDBLOCK) return fail(fmt::format("{}: {}", path, std::strerror(errno)));
  }
  return fail(fmt::format("{}: other processes hold all journals", folder));
}

std::vector<std::unique_ptr<JournalFile>> JournalFile::left_behind(const std::string& state_directory,
                                                                   const std::string& receiver) {
  std::vector<std::unique_ptr<JournalFile>> all;
  for (int n = 1; n <= kMostJournals; ++n) {
    std::string path = journal_path(state_directory, receiver, n);
    if (FileDescriptor file = open_locked(path, 0))
      all.emplace_back(new JournalFile(std::move(path), std::move(file)));
  }
  return all;
}

JournalContents JournalFile::load() {
  JournalReader reader(DeliveryQueue::kMostOctets);
  std::array<char, 65536> block{};
  char last = '\n';
  waste_ = 0;
  lseek(file_.get(), 0, SEEK_SET);
  for (ssize_t got = 0; (got = ::read(file_.get(), block.data(), block.size())) > 0;) {
    const auto size = static_cast<std::size_t>(got);
    reader.add({block.data(), size});
    waste_ += size;
    last = block[size - 1];
  }
  JournalContents contents = reader.finish();
  sizes_.clear();
  needed_ = 0;
  for (const Event& event : contents.waiting) {
    const std::size_t line = line_to_add(event).size();
    sizes_[event.number] = line;
    needed_ += line;
  }
  waste_ -= std::min(waste_, needed_);
  // What is left out must not come back at the next start.
  is_damaged_ = last != '\n' || contents.left_out != 0;
  return contents;
}

void JournalFile::add(const Event& event) noexcept {
  const bool had = had_memory([&] {
    const std::string line = line_to_add(event);
    if (sizes_.try_emplace(event.number, line.size()).second) needed_ += line.size();
    if (!is_damaged_) noted_ += line;
  });
  is_damaged_ |= !had;
}

void JournalFile::remove(std::uint64_t number) noexcept {
  if (const auto found = sizes_.find(number); found != sizes_.end()) {
    waste_ += found->second;
    needed_ -= found->second;
    sizes_.erase(found);
  }
  const bool had = had_memory([&] {
    const std::string line = line_to_remove(number);
    waste_ += line.size();
    if (!is_damaged_) noted_ += line;
  });
  is_damaged_ |= !had;
}

void JournalFile::erase() { ::unlink(path_.c_str()); }

int JournalFile::flush(const std::map<std::uint64_t, Event>& waiting) {
  // The cost of a new file is that of what waits, so the waste must be worth it.
  const std::size_t most = waiting.empty() ? kWaste / 64 : std::max(kWaste, needed_);
  if (is_damaged_ || waste_ > most) return renew(waiting);
  const int error = write_all(file_.get(), std::exchange(noted_, {}));
  is_damaged_ = error != 0;
  return error;
}

int JournalFile::renew(const std::map<std::uint64_t, Event>& waiting) {
  const std::string fresh = path_ + ".new";
  FileDescriptor file(
      ::open(fresh.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file || flock(file.get(), LOCK_EX | LOCK_NB) != 0) return errno;
  std::string text;
  const auto write_part = [&](std::size_t least) {
    return text.size() < least ? 0 : write_all(file.get(), std::exchange(text, {}));
  };
  for (const auto& [number, event] : waiting) {
    text += line_to_add(event);
    if (const int error = write_part(kPart); error != 0) return error;
  }
  if (const int error = write_part(0); error != 0) return error;
  if (fdatasync(file.get()) != 0 || rename(fresh.c_str(), path_.c_str()) != 0) return errno;
  file_ = std::move(file);
  noted_.clear();
  is_damaged_ = false;
  waste_ = 0;
  return 0;
}

}  // namespace ferry::events
