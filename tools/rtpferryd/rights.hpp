// What the daemon may do once it has started: as little as possible (CTL-17).
#pragma once

#include "control/config/config.hpp"
#include "relay/base/result.hpp"
#include "tools/rtpferryd/places.hpp"

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace ferry {

/// Whom the daemon becomes.
struct NewUser {
  std::string name;  // empty: only ids are known
  uid_t uid = 0;
  gid_t gid = 0;
  /// The operator named a user or a group.
  bool is_named = false;
};

/// `user` and `group`. Without them root becomes `rtpferry`, or `nobody` where there is no such user; who is
/// not root stays who it is. Fails with a sentence.
[[nodiscard]] Result<NewUser, std::string> new_user(const Config& config);

/// Whether that is somebody else than who runs now.
[[nodiscard]] bool is_somebody_else(const NewUser& user);

/// What decides on capabilities.
struct CapabilityNeeds {
  bool is_root = false;           // user=root
  bool has_low_port = false;      // a control listener on a port that not everybody may bind
  bool has_low_media = false;     // and media ports, which are bound for each call
  bool gives_files_away = false;  // recording-owner, recording-group
  // Nobody was named, and whom we become cannot …
  bool lacks_recordings = false;  // make files in a folder of recordings
  bool lacks_sockets = false;     // make or remove a socket, remove the pid file
  bool lacks_peers = false;       // connect to the socket of a proxy
  bool lacks_keys = false;        // read a key or a prompt
  bool lacks_reload = false;      // read again what SIGHUP reads
};

/// A capability that is kept if an option needs it.
struct CapabilityRow {
  int capability;
  std::string_view name;
  /// For people: docs/operations.md says it too.
  std::string_view when;
  bool (*is_kept)(const CapabilityNeeds&);
  /// In force all the time; else only at the start, at the end and at SIGHUP.
  bool (*is_in_force)(const CapabilityNeeds&);
};
[[nodiscard]] std::span<const CapabilityRow> capability_rows();

/// Makes and gives away folders, becomes `user`, keeps the capabilities of the rows that apply, can gain
/// none, and opens no files any more but those of `places` and what libraries need. Threads have rights of
/// their own: where there are others already, `on_other_threads` runs a task on each. Throws
/// std::runtime_error with a sentence.
void give_up_rights(const Config& config, const NewUser& user, const std::vector<Place>& places,
                    const std::function<void(const std::function<void()>&)>& on_other_threads);

/// Where the kernel puts core files by this pattern (core(5)). Empty where it hands them to somebody, and for
/// the root of all files, which stays closed.
[[nodiscard]] std::string folder_of_cores(std::string_view pattern);

/// If not `in_core_dumps`, no core dump and no debugger of another user sees the keys of calls (SRT-15).
/// After the last change of user, which leaves them hidden.
void show_memory(bool in_core_dumps);

}  // namespace ferry
