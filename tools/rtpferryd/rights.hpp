// What the daemon may do once it has started: as little as possible.
#pragma once

#include <string>
#include <vector>

namespace ferry {

/// Becomes `user` and `group` (empty: stays who it is), keeps no capability and can gain none. Without a user
/// a process of root keeps what files need (CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER). The folders of `files`
/// are made for the user first where they are missing. To be called before any thread starts. Throws
/// std::runtime_error with a sentence.
void give_up_rights(const std::string& user, const std::string& group, const std::vector<std::string>& files);

}  // namespace ferry
