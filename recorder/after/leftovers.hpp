// SPDX-License-Identifier: Apache-2.0
// The spool: a folder for each running process, and the remains of processes that ended in the middle.
#pragma once

#include "recorder/files/folder.hpp"
#include "recorder/finished.hpp"
#include "recorder/settings.hpp"

#include <functional>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

namespace ferry {

/// A folder in the spool that is this process's as long as it lives. The lock in it goes with the process,
/// however that ends.
struct ClaimedSpool {
  std::shared_ptr<const Folder> parent;
  std::shared_ptr<const Folder> folder;
  std::string name;
  FileDescriptor lock;
};

/// The manifest in the spool while files move. It says everything that the next start needs to go on.
[[nodiscard]] nlohmann::json describe_placing(const FinishedRecording& finished);

/// Makes a folder in the spool and locks it. Throws std::runtime_error with a sentence.
[[nodiscard]] ClaimedSpool claim_spool(std::shared_ptr<const Folder> spool, const FileRights& rights);
/// Removes the folder, if nothing is left in it.
void release_spool(ClaimedSpool& claimed);

/// Hands `finish` the recordings in folders whose process is gone. Each is marked "interrupted", unless it
/// was complete and only its files were on the way. `own`: name of this process's folder.
void finish_leftovers(const std::shared_ptr<const Folder>& spool, const std::string& own,
                      const FileRights& rights, const std::function<void(FinishedRecording)>& finish);

}  // namespace ferry
