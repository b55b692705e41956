// SPDX-License-Identifier: Apache-2.0
// Keeps the work after calls over restarts (CTL-15): a folder in the state directory with a file for each
// piece.
//
// - STATE/after-call/DIRECTORY/ holds what waits. DIRECTORY is the recording directory, percent-encoded.
// - Its folder `failed/` holds what was given up. Moved back by hand, it is tried again at the next start.
// - Its folder `set-aside/` holds what cannot be done: torn, not ours, or of a kind that is switched off.
//
// A daemon locks its folder. A second one with the same recording directory uses DIRECTORY+2 and so on.
// Whoever starts takes over what lies in such folders if nobody holds them any more.
#pragma once

#include "recorder/after/work_entry.hpp"
#include "recorder/files/folder.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ferry {

/// The store of one daemon. Everything but `failed` and `path` waits for the disk, so it must not be called
/// on the control thread. `keep`, `forget` and `give_up` may be called on several threads for different
/// entries. Errors are errno values; 0: none.
class WorkStore {
 public:
  /// Takes sentences for the log.
  using Tell = std::function<void(const std::string& sentence)>;

  /// Makes the folders (mode 0700) and takes the lock. The error is a sentence.
  static Result<std::unique_ptr<WorkStore>, std::string> open(const std::string& state_directory,
                                                              const std::string& recording_directory);
  /// True if an earlier start left a folder there. Then opening it is worth while, even if nothing is to be
  /// done now.
  static bool exists(const std::string& state_directory, const std::string& recording_directory);

  /// Entries that an earlier process left, in no order. Files that are no entries of ours are set aside, and
  /// `tell` gets a sentence about each.
  [[nodiscard]] std::vector<WorkEntry> load(const Tell& tell);
  /// Writes an entry, in place of an older one of its name. After 0 was returned it survives a crash, of the
  /// host too.
  [[nodiscard]] int keep(const WorkEntry& entry) const;
  /// Removes an entry.
  void forget(const WorkEntry& entry) const;
  /// Moves an entry to `failed/`, with the reason in it and its tries counted from 0 again.
  [[nodiscard]] int give_up(const WorkEntry& entry);
  /// Moves an entry's file to `set-aside/`.
  void set_aside(const std::string& file_name) const;

  /// The folder.
  [[nodiscard]] const std::string& path() const { return folder_->path(); }
  /// Entries in `failed/`, those found at the start and those since. Any thread.
  [[nodiscard]] std::size_t failed() const { return failed_; }

 private:
  WorkStore(std::shared_ptr<const Folder> parent, std::shared_ptr<const Folder> folder, FileDescriptor lock,
            std::string recording_directory);
  void take_over(const Tell& tell) const;
  void tell_of_strangers(const Tell& tell) const;
  [[nodiscard]] Result<WorkEntry, std::string> read(const std::string& file_name) const;

  std::shared_ptr<const Folder> parent_;
  std::shared_ptr<const Folder> folder_;
  FileDescriptor lock_;
  std::string recording_directory_;
  std::atomic<std::size_t> failed_{0};
};

}  // namespace ferry
