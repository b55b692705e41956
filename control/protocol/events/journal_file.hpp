// SPDX-License-Identifier: Apache-2.0
// The file in which events wait for their delivery.
#pragma once

#include "control/events/delivery_journal.hpp"
#include "relay/base/file_descriptor.hpp"
#include "relay/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::events {

/// A journal (`delivery_journal.hpp`) on the disk, which this process holds alone. Everything here waits for
/// the disk, so it must not be called on the control thread. What was written survives the end of the
/// process; a crash of the host may take the last seconds.
class JournalFile {
 public:
  /// The file is written anew when it has this many octets that no event needs any more, and more of them
  /// than of those that wait.
  static constexpr std::size_t kWaste = 4 * 1024 * 1024;

  /// Opens or makes the journal of a receiver in the folder `events` of the state folder, mode 0600. If
  /// another process holds it, the next name is tried. The error is a sentence.
  static Result<std::unique_ptr<JournalFile>, std::string> open(const std::string& state_directory,
                                                                const std::string& receiver);
  /// The other journals of a receiver that no process holds. They are left when processes overlap.
  static std::vector<std::unique_ptr<JournalFile>> left_behind(const std::string& state_directory,
                                                               const std::string& receiver);

  /// What an earlier process left.
  [[nodiscard]] JournalContents load();
  /// Notes lines to be written by `flush`. Without memory the next one writes the whole file.
  void add(const Event& event) noexcept;
  void remove(std::uint64_t number) noexcept;
  /// Deletes the file, whose events are elsewhere now.
  void erase();
  /// Writes what was noted. `waiting` is all that waits, for a file that is written anew. Returns errno; 0 =
  /// done. After a fault the next call writes the whole file, and nothing is lost if that succeeds.
  [[nodiscard]] int flush(const std::map<std::uint64_t, Event>& waiting);
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  JournalFile(std::string path, FileDescriptor file) : path_(std::move(path)), file_(std::move(file)) {}
  /// Writes a new file with what waits, in the place of the old one.
  [[nodiscard]] int renew(const std::map<std::uint64_t, Event>& waiting);

  std::string path_;
  FileDescriptor file_;
  std::string noted_;
  /// A part of a line may stand at the end of the file.
  bool is_damaged_ = false;
  /// Octets of the file that no event needs.
  std::size_t waste_ = 0;
  /// Octets of the line of each event that waits, and their sum.
  std::map<std::uint64_t, std::size_t> sizes_;
  std::size_t needed_ = 0;
};

}  // namespace ferry::events
