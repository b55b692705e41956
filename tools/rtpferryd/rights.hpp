// What the daemon may do once it has started: as little as possible.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace ferry {

/// Becomes `user` and `group` (empty: stays who it is) and keeps no capability but CAP_NET_BIND_SERVICE, if
/// it had it; a process that stays root keeps what files need too (CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER).
/// It can gain none. The folders of `files` are made for the user first where they are missing; one called
/// `rtpferry` that root left is given to the user. Threads have
/// rights of their own: where there are others already, `on_other_threads` runs a task on each. Throws
/// std::runtime_error with a sentence.
void give_up_rights(const std::string& user, const std::string& group, const std::vector<std::string>& files,
                    bool runs_programs,
                    const std::function<void(const std::function<void()>&)>& on_other_threads);

/// No core dump and no debugger of another user sees the keys of calls (media-security SRT-15). After the
/// last change of user, which resets it.
void hide_memory();

}  // namespace ferry
