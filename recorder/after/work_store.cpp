// SPDX-License-Identifier: Apache-2.0
// Files of one folder, one for each piece of work. A lock says which process has the folder; it goes with the
// process. Entries are written so that they survive a crash of the host (`Folder::store`), because a hook or
// an upload that is forgotten is worse than one that is done twice.
#include "recorder/after/work_store.hpp"

#include "recorder/files/names.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <set>

#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ferry {

namespace {

constexpr const char* kLock = "lock";
constexpr std::string_view kFailed = "failed/";
constexpr std::string_view kSetAside = "set-aside/";
constexpr unsigned kMostDaemons = 16;  // on one recording directory
constexpr FileRights kOursAlone{0600, 0700, std::nullopt, std::nullopt};

// The folder of all daemons' work; in it a folder for each recording directory, and for each further daemon
// with the same one.
std::string root_of(const std::string& state_directory) { return state_directory + "/after-call"; }

std::string name_of(const std::string& recording_directory) { return safe_name(recording_directory); }

std::string numbered(const std::string& name, unsigned number) {
  return number == 1 ? name : fmt::format("{}+{}", name, number);
}

/// Why a folder cannot be trusted; empty if it can. Another user who could write there could have our hook
/// run for files of his choice.
std::string fault_of_owner(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return fmt::format("cannot look at '{}': {}", path, strerror(errno));
  if (!S_ISDIR(info.st_mode)) return fmt::format("'{}' is no folder", path);
  if (info.st_uid != geteuid()) return fmt::format("'{}' belongs to another user", path);
  if ((info.st_mode & 0077) != 0 && chmod(path.c_str(), kOursAlone.directory_mode) != 0)
    return fmt::format("cannot close '{}' to others: {}", path, strerror(errno));
  return {};
}

/// Locks a folder for this process. The error is errno; EWOULDBLOCK: another process has it.
Result<FileDescriptor, int> lock(const Folder& folder) {
  auto file = folder.open_file(kLock);
  if (!file) file = folder.create(kLock);
  // Another process may have made it in between.
  if (!file) file = folder.open_file(kLock);
  if (!file) return file;
  if (flock(file->get(), LOCK_EX | LOCK_NB) == 0) return file;
  return fail(errno);
}

// Entries in `failed/` and `set-aside/` do not wait for anybody.
bool is_waiting_entry(const std::string& name) {
  return name.find('/') == std::string::npos && name.ends_with(".json");
}

}  // namespace

WorkStore::WorkStore(std::shared_ptr<const Folder> parent, std::shared_ptr<const Folder> folder,
                     FileDescriptor lock, std::string recording_directory)
    : parent_(std::move(parent)),
      folder_(std::move(folder)),
      lock_(std::move(lock)),
      recording_directory_(std::move(recording_directory)) {
  for (const std::string& name : folder_->files()) {
    if (name.starts_with(kFailed) && name.ends_with(".json")) ++failed_;
  }
}

// Only the first folder is looked for: a second daemon's folder never is there without it.
bool WorkStore::exists(const std::string& state_directory, const std::string& recording_directory) {
  struct stat info {};
  const std::string path = root_of(state_directory) + "/" + name_of(recording_directory);
  return lstat(path.c_str(), &info) == 0;
}

Result<std::unique_ptr<WorkStore>, std::string> WorkStore::open(const std::string& state_directory,
                                                                const std::string& recording_directory) {
  auto parent = Folder::open(root_of(state_directory), kOursAlone);
  if (!parent) return fail(parent.error());
  if (std::string fault = fault_of_owner((*parent)->path()); !fault.empty()) return fail(std::move(fault));
  const std::string name = name_of(recording_directory);
  // The folder of another daemon with the same recording directory is locked; the next number is tried.
  for (unsigned number = 1; number <= kMostDaemons; ++number) {
    auto folder = Folder::open((*parent)->path_of(numbered(name, number)), kOursAlone);
    if (!folder) return fail(folder.error());
    if (std::string fault = fault_of_owner((*folder)->path()); !fault.empty()) return fail(std::move(fault));
    auto locked = lock(**folder);
    if (locked)
      return std::unique_ptr<WorkStore>(
          new WorkStore(std::move(*parent), std::move(*folder), std::move(*locked), recording_directory));
    if (locked.error() != EWOULDBLOCK)
      return fail(fmt::format("cannot lock '{}': {}", (*folder)->path(), strerror(locked.error())));
  }
  return fail(fmt::format("{} other daemons have the folders of '{}'", kMostDaemons, recording_directory));
}

std::vector<WorkEntry> WorkStore::load(const Tell& tell) {
  // Before the folder is listed: what is taken over lies there then.
  take_over(tell);
  tell_of_strangers(tell);
  std::vector<WorkEntry> entries;
  for (const std::string& name : folder_->files()) {
    if (name.find('/') != std::string::npos || name == kLock) continue;
    // Half written when its process ended.
    if (name.ends_with(".part")) {
      folder_->remove(name);
      continue;
    }
    auto entry = read(name);
    if (entry) {
      entries.push_back(std::move(*entry));
      continue;
    }
    set_aside(name);
    tell(fmt::format("'{}' in {} is no work after a call ({}): it was moved to {}", name, path(),
                     entry.error(), kSetAside));
  }
  return entries;
}

Result<WorkEntry, std::string> WorkStore::read(const std::string& file_name) const {
  const auto text = folder_->read(file_name);
  if (!text) return fail(std::string(strerror(text.error())));
  auto entry = parse_work_entry(*text);
  if (!entry) return entry;
  // Somebody may have copied or renamed it: one file is one piece.
  if (entry->file_name() != file_name) return fail(std::string("its name is that of another entry"));
  if (entry->directory != recording_directory_)
    return fail(fmt::format("its files are in {}", entry->directory));
  return entry;
}

/// Moves entries here out of the folders of second daemons that are gone.
void WorkStore::take_over(const Tell& tell) const {
  const std::string name = name_of(recording_directory_);
  for (unsigned number = 1; number <= kMostDaemons; ++number) {
    const std::string other = parent_->path_of(numbered(name, number));
    if (other == path() || access(other.c_str(), F_OK) != 0) continue;
    const auto folder = Folder::open(other, kOursAlone);
    if (!folder || !lock(**folder)) continue;
    for (const std::string& file : (*folder)->files()) {
      if (!file.ends_with(".json")) continue;
      // EEXIST: the same piece is here too, so it stays where it is.
      if (const int wrong = (*folder)->move_to(file, *folder_, file))
        tell(fmt::format("cannot take over {}: {}", (*folder)->path_of(file), strerror(wrong)));
    }
  }
}

/// Tells of work for another recording directory. Only a daemon with that directory does it, and perhaps none
/// will come.
void WorkStore::tell_of_strangers(const Tell& tell) const {
  const std::string name = name_of(recording_directory_);
  std::set<std::string> folders;
  for (const std::string& file : parent_->files()) {
    const auto slash = file.find('/');
    const std::string folder = file.substr(0, std::min(slash, file.size()));
    const bool is_ours = folder == name || folder.starts_with(name + "+");
    if (slash != std::string::npos && !is_ours && is_waiting_entry(file.substr(slash + 1)))
      folders.insert(folder);
  }
  for (const std::string& each : folders) {
    const auto folder = Folder::open(parent_->path_of(each), kOursAlone);
    if (folder && lock(**folder))
      tell(fmt::format("work after calls waits in {}: only a daemon with that recording-dir does it",
                       (*folder)->path()));
  }
}

int WorkStore::keep(const WorkEntry& entry) const {
  return folder_->store(entry.file_name(), to_text(entry));
}

// Synced, or a crash of the host could bring the entry back and a hook would run twice.
void WorkStore::forget(const WorkEntry& entry) const {
  folder_->remove(entry.file_name());
  folder_->sync();
}

int WorkStore::give_up(const WorkEntry& entry) {
  WorkEntry last = entry;
  // Tried again from the start if somebody moves it back by hand.
  last.tries = 0;
  if (const int wrong = keep(last)) return wrong;
  const std::string name = entry.file_name();
  const std::string target = std::string(kFailed) + name;
  const bool is_known = folder_->exists(target);
  folder_->remove(target);
  if (const int wrong = folder_->move_to(name, *folder_, target)) return wrong;
  folder_->sync();
  if (!is_known) ++failed_;
  return 0;
}

void WorkStore::set_aside(const std::string& file_name) const {
  const std::string target = std::string(kSetAside) + file_name;
  folder_->remove(target);
  // If even that fails, the file stays, and the next start looks at it again.
  if (folder_->move_to(file_name, *folder_, target) == 0) folder_->sync();
}

}  // namespace ferry
