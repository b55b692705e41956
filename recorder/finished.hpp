// SPDX-License-Identifier: Apache-2.0
// A recording whose files are closed, on its way from the writer to its place.
#pragma once

#include "recorder/files/folder.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace ferry {

/// One closed file in the spool.
struct FinishedFile {
  /// Its name in the spool.
  std::string spool_name;
  /// The end of its final name, behind the common part: `-2.wav`, `.pcap`.
  std::string ending;
  /// Its entry in the manifest so far; the finisher adds size and hashes.
  nlohmann::json about;
};

/// Text from outside in quotation marks, for a log line. Nothing in it can break the line or pass for its
/// end.
[[nodiscard]] std::string in_quotes(std::string_view text);

/// The name of a recording in log lines: the Call-ID first, because an engineer looks for that.
[[nodiscard]] std::string recording_title(std::string_view call_id, std::string_view id);

/// Everything that the finisher needs to know. The writer makes it; the clean-up at the start makes it from
/// an old manifest.
struct FinishedRecording {
  /// Its name in log lines (`recording_title`).
  [[nodiscard]] std::string title() const;
  std::string id;
  /// The folder that the files are in now.
  std::shared_ptr<const Folder> spool;
  std::string manifest_spool_name;
  /// Path of the files below the recording directory, without their endings.
  std::string base;
  std::vector<FinishedFile> files;
  nlohmann::json manifest;
  /// Delete the files instead of placing them.
  bool discard = false;
  /// An earlier process ended while it brought the files to their place: `base` is final, and some of them
  /// are there.
  bool is_placing = false;
  /// Set for what a dead process left: keeps other processes from taking it meanwhile.
  std::shared_ptr<const FileDescriptor> lock;
};

}  // namespace ferry
