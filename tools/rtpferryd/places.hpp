// SPDX-License-Identifier: Apache-2.0
// Lists the files and folders that the configuration names, and what the daemon does with them.
#pragma once

#include "control/config/config.hpp"
#include "control/protocol/rtpproxy/listeners.hpp"

#include <string>
#include <vector>

#include <sys/types.h>

namespace ferry {

/// One file or folder.
struct Place {
  /// What the daemon does there.
  enum class Use : std::uint8_t {
    /// Folder in which several threads make files all the time.
    kRecordings,
    /// Folder in which work after calls waits; without it that work is lost over a restart, and nothing else.
    kState,
    /// Socket that the control thread makes at the start and removes at the end.
    kSocket,
    /// File that is made before rights are given up, and removed at the end.
    kPidFile,
    /// File that the control thread reads at the start and at SIGHUP.
    kReadAgain,
    /// File that the recorder's threads read for each recording.
    kReadOften,
    /// Folder whose files are read when a call needs them: prompts and codecs.
    kPrompts,
    /// Socket of another program, to which the control thread connects at any time.
    kConnected,
  };
  /// Name of the option.
  std::string option;
  std::string path;
  Use use = Use::kRecordings;
  /// Mode of a folder that has to be made for it.
  mode_t mode = 0755;

  /// The folder in which files are made or found.
  [[nodiscard]] std::string folder() const;
  /// True if the daemon only reads there.
  [[nodiscard]] bool is_read_only() const {
    return use == Use::kReadAgain || use == Use::kReadOften || use == Use::kPrompts;
  }
};

/// Lists the places of a configuration. `rtpproxy_sockets` are its sockets of the rtpproxy protocol.
[[nodiscard]] std::vector<Place> places_of(const Config& config,
                                           const std::vector<rtpproxy::ListenSpec>& rtpproxy_sockets);

/// Makes missing folders of `places` as far as it may, and gives those to `user` and `group`. If it runs as
/// root, it also gives away a folder of recordings that belongs to root and is empty, and a folder called
/// `rtpferry` that an earlier start left to root. Throws std::runtime_error with a sentence.
void give_folders(const std::vector<Place>& places, uid_t user, gid_t group);

/// Returns why this process, with the rights that are in force, cannot use the place as it has to: a
/// sentence, or an empty text if it can. Files that do not exist are not judged.
[[nodiscard]] std::string what_is_lacking(const Place& place);

}  // namespace ferry
