// The spool: a folder for each running process, and what processes left behind that ended in the middle.
#pragma once

#include "recorder/files/folder.hpp"
#include "recorder/finished.hpp"
#include "recorder/settings.hpp"

#include <functional>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

namespace ferry {

/// A folder in the spool that is ours as long as we live: the lock in it goes with the process.
struct ClaimedSpool {
  std::shared_ptr<const Folder> parent;
  std::shared_ptr<const Folder> folder;
  std::string name;
  FileDescriptor lock;
};

/// What the spool says of a recording while its files move: everything that the next start needs to go on.
[[nodiscard]] nlohmann::json describe_placing(const FinishedRecording& finished);

/// Throws std::runtime_error with a sentence if that cannot be.
[[nodiscard]] ClaimedSpool claim_spool(std::shared_ptr<const Folder> spool, const FileRights& rights);
/// Removes the folder if nothing is left in it.
void release_spool(ClaimedSpool& claimed);

/// Hands over what is in folders whose process is gone, each recording marked "interrupted" unless only
/// its files were on the way to their place.
void finish_leftovers(const std::shared_ptr<const Folder>& spool, const std::string& own,
                      const FileRights& rights, const std::function<void(FinishedRecording)>& finish);

}  // namespace ferry
