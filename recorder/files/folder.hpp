// SPDX-License-Identifier: Apache-2.0
// A directory in which recordings are made. Nothing outside of it is opened, no link is followed, and no file
// of others is overwritten (CTL-10).
#pragma once

#include "relay/base/file_descriptor.hpp"
#include "relay/base/result.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace ferry {

/// Rights and owner of files and folders that are made. Owner and group unset: the daemon's.
struct FileRights {
  mode_t file_mode = 0640;
  mode_t directory_mode = 0750;
  std::optional<uid_t> owner;
  std::optional<gid_t> group;
};

/// Files below one directory. Names are relative to it and may have slashes. Errors are errno values; 0:
/// none. Any thread.
class Folder {
 public:
  /// Opens the directory, and makes it if it is not there. The error is a sentence.
  static Result<std::shared_ptr<const Folder>, std::string> open(const std::string& path,
                                                                 const FileRights& rights);

  /// The directory as it was named, without a slash behind it.
  [[nodiscard]] const std::string& path() const { return path_; }
  /// The whole path of a name, for messages and programs.
  [[nodiscard]] std::string path_of(std::string_view name) const;
  /// Makes a file, for reading and writing; EEXIST if there is one. Makes the folders on the way.
  [[nodiscard]] Result<FileDescriptor, int> create(const std::string& name) const;
  /// Opens a file that is there, for reading and writing.
  [[nodiscard]] Result<FileDescriptor, int> open_file(const std::string& name) const;
  /// The contents of a file of at most 16 MiB; EFBIG if it is longer.
  [[nodiscard]] Result<std::string, int> read(const std::string& name) const;
  /// True if there is anything of that name, a link too.
  [[nodiscard]] bool exists(const std::string& name) const;
  /// Why no file can have that name: a link on the way, a part that is too long, no rights. 0 if one can or
  /// does. Makes the folders on the way.
  [[nodiscard]] int fault_of_name(const std::string& name) const;
  /// Moves a finished file to `to` under `name`, or copies it if the two are on different file systems.
  /// EEXIST if there is such a file.
  [[nodiscard]] int move_to(const std::string& from, const Folder& to, const std::string& name) const;
  /// Replaces a file's contents as a whole: readers see the old or the new ones. The file must be one of
  /// ours.
  [[nodiscard]] int replace(const std::string& name, std::string_view contents) const;
  /// Does the same as `replace`; after 0 was returned the contents survive a crash of the host.
  [[nodiscard]] int store(const std::string& name, std::string_view contents) const;
  /// Removes a file; an empty folder. Errors are ignored.
  void remove(const std::string& name) const;
  void remove_folder(const std::string& name) const;
  /// Waits until names that were made, moved and removed in the directory would survive a crash of the host.
  void sync() const;
  /// Names of all files in `sub` and below it, in no order, without hidden ones. `sub` empty: the directory
  /// itself.
  [[nodiscard]] std::vector<std::string> files(const std::string& sub = {}) const;
  /// Octets that users without privileges can still write.
  [[nodiscard]] std::uint64_t free_bytes() const;

 private:
  Folder(std::string path, FileDescriptor directory, const FileRights& rights);
  /// Opens a name below the directory, by the kernel's own check.
  [[nodiscard]] Result<FileDescriptor, int> open_below(const std::string& name, int flags, mode_t mode) const;
  /// Makes the folders on the way to a name.
  [[nodiscard]] int make_parents(const std::string& name) const;
  /// Sets rights and owner of what was made.
  [[nodiscard]] int give(int fd, mode_t mode) const;
  /// Writes a file beside, which `put` then gives its name. `is_durable`: it survives a crash of the host.
  [[nodiscard]] int write_part(const std::string& name, std::string_view contents, bool is_durable) const;
  [[nodiscard]] int put(const std::string& name, std::string_view contents, bool is_durable) const;
  void list(const std::string& sub, std::vector<std::string>& into) const;

  std::string path_;
  FileDescriptor directory_;
  FileRights rights_;
};

}  // namespace ferry
