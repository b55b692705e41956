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
  std::string spool_name;
  /// Behind the common part of the names: `-2.wav`, `.pcap`.
  std::string ending;
  /// What the manifest says of it already; size and hashes are added.
  nlohmann::json about;
};

/// Text from outside in quotation marks for a log line: nothing in it breaks the line or passes for its end.
[[nodiscard]] std::string in_quotes(std::string_view text);

/// What log lines call a recording: an engineer looks for the Call-ID.
[[nodiscard]] std::string recording_title(std::string_view call_id, std::string_view id);

struct FinishedRecording {
  [[nodiscard]] std::string title() const;
  std::string id;
  std::shared_ptr<const Folder> spool;
  std::string manifest_spool_name;
  /// Path of the files in the recording directory without their endings.
  std::string base;
  std::vector<FinishedFile> files;
  nlohmann::json manifest;
  bool discard = false;
  /// An earlier process ended while it brought the files to their place: `base` is final, and some are there.
  bool is_placing = false;
  /// Of what a dead process left: nobody else takes it meanwhile.
  std::shared_ptr<const FileDescriptor> lock;
};

}  // namespace ferry
