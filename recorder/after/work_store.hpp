// Where the work after calls outlives the relay (CTL-15): a folder in the state directory with a file for
// each piece.
//
// In STATE/after-call/DIRECTORY/ lies what waits; DIRECTORY is the recording directory, percent-encoded.
//
// In its folder `failed/` lies what was given up. Moved back by hand, it is tried again at the next start.
//
// In its folder `set-aside/` lies what cannot be done: torn, not ours, or of a kind that is switched off.
//
// A daemon locks its folder. A second one with the same recording directory uses DIRECTORY+2 and so on;
// whoever starts takes over what lies in such folders and nobody holds any more.
#pragma once

#include "recorder/after/work_entry.hpp"
#include "recorder/files/folder.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ferry {

/// Everything waits for the disk, so never on the control thread, but for `failed`. `keep`, `forget` and
/// `give_up` are safe on several threads for different entries. Errors are errno values; 0 = none.
class WorkStore {
 public:
  using Tell = std::function<void(const std::string& sentence)>;

  /// Makes the folders (0700) and takes the lock. The error is a sentence.
  static Result<std::unique_ptr<WorkStore>, std::string> open(const std::string& state_directory,
                                                              const std::string& recording_directory);
  /// Whether an earlier start left a folder there: then it is worth opening even if nothing is to be done
  /// now.
  static bool exists(const std::string& state_directory, const std::string& recording_directory);

  /// What an earlier process left, in no order. Files that are no entries of ours are set aside,
  /// and `tell` gets a sentence about each.
  [[nodiscard]] std::vector<WorkEntry> load(const Tell& tell);
  /// After it returned 0 the entry is there after a crash, of the host too.
  [[nodiscard]] int keep(const WorkEntry& entry) const;
  void forget(const WorkEntry& entry) const;
  /// Moves the entry to `failed/`, with the reason in it and its tries counted from 0.
  [[nodiscard]] int give_up(const WorkEntry& entry);
  /// Moves the entry to `set-aside/`.
  void set_aside(const std::string& file_name) const;

  [[nodiscard]] const std::string& path() const { return folder_->path(); }
  /// Entries in `failed/` at the start and since. Any thread.
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
