// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/events/journal_file.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/sha.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ferry::events {

namespace {

constexpr int kMostProcesses = 16;

/// A name for the receiver that can stand in a path.
std::string name_of_receiver(const std::string& receiver) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(receiver.data()), receiver.size(), digest.data());
  std::string name;
  for (std::size_t i = 0; i < 8; ++i) name += fmt::format("{:02x}", digest[i]);
  return name;
}

FileDescriptor open_locked(const std::string& path) {
  FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
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
  const std::string folder = state_directory + "/events";
  mkdir(state_directory.c_str(), 0700);
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return fail(fmt::format("{}: {}", folder, std::strerror(errno)));
  const std::string name = folder + "/webhook-" + name_of_receiver(receiver);
  for (int n = 1; n <= kMostProcesses; ++n) {
    std::string path = n == 1 ? name + ".journal" : fmt::format("{}-{}.journal", name, n);
    FileDescriptor file = open_locked(path);
    if (file) return std::unique_ptr<JournalFile>(new JournalFile(std::move(path), std::move(file)));
    if (errno != EWOULDBLOCK) return fail(fmt::format("{}: {}", path, std::strerror(errno)));
  }
  return fail(fmt::format("{}: other processes hold all journals", folder));
}

JournalContents JournalFile::load() {
  std::string text;
  std::array<char, 65536> block{};
  lseek(file_.get(), 0, SEEK_SET);
  for (ssize_t got = 0; (got = ::read(file_.get(), block.data(), block.size())) > 0;)
    text.append(block.data(), static_cast<std::size_t>(got));
  JournalContents contents = read_journal(text);
  waste_ = text.size();
  for (const Event& event : contents.waiting) {
    const std::size_t line = line_to_add(event).size();
    sizes_[event.number] = line;
    waste_ -= line;
  }
  is_damaged_ = !text.empty() && text.back() != '\n';
  return contents;
}

void JournalFile::add(const Event& event) {
  const std::string line = line_to_add(event);
  sizes_[event.number] = line.size();
  if (!is_damaged_) noted_ += line;
}

void JournalFile::remove(std::uint64_t number) {
  const std::string line = line_to_remove(number);
  waste_ += line.size();
  if (const auto found = sizes_.find(number); found != sizes_.end()) {
    waste_ += found->second;
    sizes_.erase(found);
  }
  if (!is_damaged_) noted_ += line;
}

int JournalFile::flush(const std::map<std::uint64_t, Event>& waiting) {
  if (is_damaged_ || waste_ > (waiting.empty() ? kWaste / 64 : kWaste)) return renew(waiting);
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
  for (const auto& [number, event] : waiting) text += line_to_add(event);
  if (const int error = write_all(file.get(), text); error != 0) return error;
  if (fdatasync(file.get()) != 0 || rename(fresh.c_str(), path_.c_str()) != 0) return errno;
  file_ = std::move(file);
  noted_.clear();
  is_damaged_ = false;
  waste_ = 0;
  return 0;
}

}  // namespace ferry::events
