// SPDX-License-Identifier: Apache-2.0
// Finds recording settings that cannot work, before the first call.
#pragma once

#include "recorder/settings.hpp"

#include <string>
#include <vector>

namespace ferry {

/// A sentence for each setting by which every recording would be lost or left unfinished: a folder that
/// cannot be made or written, a pattern that leaves the folder, a key that cannot be read, a hook that is no
/// program.
///
/// Each sentence begins with the option's name. Reads files and makes nothing. Empty if nothing is recorded.
/// `user_changes`: the daemon will run as another user, so folders are only checked for faults that no user
/// could overcome.
std::vector<std::string> faults_of(const RecorderSettings& settings, bool user_changes);

/// Why a file cannot be made at `path` (absolute): there is no folder on the way to it, or it may not be
/// written. Empty if it can.
std::string fault_of_place(const std::string& path, bool user_changes);

}  // namespace ferry
