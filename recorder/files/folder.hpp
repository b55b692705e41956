// A directory under which recordings are made. Nothing is opened outside of it, no link is followed, nothing
// is overwritten (CTL-10).
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

/// Who may read what is made.
struct FileRights {
  mode_t file_mode = 0640;
  mode_t directory_mode = 0750;
  std::optional<uid_t> owner;
  std::optional<gid_t> group;
};

/// Paths are relative to the folder. Errors are errno values. Safe on any thread.
class Folder {
 public:
  /// Opens the directory, which is made if it is not there. The error is a sentence.
  static Result<std::shared_ptr<const Folder>, std::string> open(const std::string& path,
                                                                 const FileRights& rights);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string path_of(std::string_view name) const;
  /// A file that did not exist, for reading and writing; the folders on the way are made.
  [[nodiscard]] Result<FileDescriptor, int> create(const std::string& name) const;
  [[nodiscard]] Result<FileDescriptor, int> open_file(const std::string& name) const;
  /// A whole file of at most 16 MiB; EFBIG if it is longer.
  [[nodiscard]] Result<std::string, int> read(const std::string& name) const;
  [[nodiscard]] bool exists(const std::string& name) const;
  /// Why no file can have that name (a link on the way, a part too long, no rights); 0 if one can or does.
  /// Makes the folders on the way.
  [[nodiscard]] int fault_of_name(const std::string& name) const;
  /// Moves a finished file to `to` under `name`; copies where the two are on different file systems. EEXIST
  /// if there is such a file.
  [[nodiscard]] int move_to(const std::string& from, const Folder& to, const std::string& name) const;
  /// Swaps the contents of a file that we made whole: a new one beside it takes its name.
  [[nodiscard]] int replace(const std::string& name, std::string_view contents) const;
  /// The same; after it returned 0 the contents are there after a crash of the host, too.
  [[nodiscard]] int store(const std::string& name, std::string_view contents) const;
  void remove(const std::string& name) const;
  void remove_folder(const std::string& name) const;
  /// Waits until names made, moved and removed here would survive a crash of the host.
  void sync() const;
  /// Names of the files in `sub` (empty = the folder itself) and below it, in no order; hidden ones are left
  /// out.
  [[nodiscard]] std::vector<std::string> files(const std::string& sub = {}) const;
  /// Octets that unprivileged users can still write.
  [[nodiscard]] std::uint64_t free_bytes() const;

 private:
  Folder(std::string path, FileDescriptor directory, const FileRights& rights);
  [[nodiscard]] Result<FileDescriptor, int> open_below(const std::string& name, int flags, mode_t mode) const;
  [[nodiscard]] int make_parents(const std::string& name) const;
  [[nodiscard]] int give(int fd, mode_t mode) const;
  [[nodiscard]] int write_part(const std::string& name, std::string_view contents, bool is_durable) const;
  [[nodiscard]] int put(const std::string& name, std::string_view contents, bool is_durable) const;
  void list(const std::string& sub, std::vector<std::string>& into) const;

  std::string path_;
  FileDescriptor directory_;
  FileRights rights_;
};

}  // namespace ferry
