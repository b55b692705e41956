// SPDX-License-Identifier: Apache-2.0
// Gives up all rights that the daemon does not need once it has started (CTL-17).
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

/// The user that the daemon becomes.
struct NewUser {
  /// Empty: only the ids are known.
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  /// True if the operator named a user or a group.
  bool is_named = false;
};

/// Returns the user and group of the options. Without them root becomes `rtpferry`, or `nobody` if there is
/// no such user; anybody else stays the same. Fails with a sentence.
[[nodiscard]] Result<NewUser, std::string> new_user(const Config& config);

/// True if that is another user or group than the one that runs now.
[[nodiscard]] bool is_somebody_else(const NewUser& user);

/// Facts that decide which capabilities are kept.
struct CapabilityNeeds {
  /// The daemon stays root (`user=root`).
  bool is_root = false;
  /// A control listener has a port that not everybody may bind.
  bool has_low_port = false;
  /// Media ports, which are bound for each call, are such ports.
  bool has_low_media = false;
  /// Recordings belong to another user or group (`recording-owner`, `recording-group`).
  bool gives_files_away = false;
  // No user was named, and the user that the daemon becomes cannot do one of the following.
  /// Make files in a folder of recordings.
  bool lacks_recordings = false;
  /// Make or remove a socket, or remove the pid file.
  bool lacks_sockets = false;
  /// Connect to the socket of a proxy.
  bool lacks_peers = false;
  /// Read a key or a prompt.
  bool lacks_keys = false;
  /// Read again what SIGHUP reads.
  bool lacks_reload = false;
};

/// A capability that is kept if an option needs it.
struct CapabilityRow {
  int capability;
  std::string_view name;
  /// When it is kept, for people; docs/operations.md says it, too.
  std::string_view when;
  /// True if it is kept.
  bool (*is_kept)(const CapabilityNeeds&);
  /// True if it is in force all the time; else only at the start, at the end and at SIGHUP.
  bool (*is_in_force)(const CapabilityNeeds&);
};
/// All capabilities that may be kept.
[[nodiscard]] std::span<const CapabilityRow> capability_rows();

/// Makes and gives away folders, becomes `user`, and keeps only the capabilities of the rows that apply; it
/// can gain none later. From then on only files of `places` and those that libraries need can be opened. Each
/// thread has rights of its own: if there are other threads, `on_other_threads` runs a task on each. Throws
/// std::runtime_error with a sentence.
void give_up_rights(const Config& config, const NewUser& user, const std::vector<Place>& places,
                    const std::function<void(const std::function<void()>&)>& on_other_threads);

/// Returns the folder in which the kernel puts core files by this pattern (core(5)). Empty if it hands them
/// to a program, and for the root folder, which stays closed.
[[nodiscard]] std::string folder_of_cores(std::string_view pattern);

/// Decides whether core dumps may contain the keys of calls (SRT-15). If not, no core dump and no debugger of
/// another user sees them. Call it after the last change of user, which hides the memory in any case.
void show_memory(bool in_core_dumps);

}  // namespace ferry
