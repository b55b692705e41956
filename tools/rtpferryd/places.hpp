// The files and folders that the configuration names, and what the daemon does there.
#pragma once

#include "control/config/config.hpp"
#include "control/protocol/rtpp/listeners.hpp"

#include <string>
#include <vector>

#include <sys/types.h>

namespace ferry {

struct Place {
  enum class Use : std::uint8_t {
    kRecordings,  // folder: files are made in it all the time, by several threads
    kState,       // folder: work after calls waits in it; without it nothing is lost but over a restart
    kSocket,      // made at the start, removed at the end, by the control thread
    kPidFile,     // made before rights are given up, removed at the end
    kReadAgain,   // read at the start and at SIGHUP, by the control thread
    kReadOften,   // read for each recording, by the recorder's threads
    kPrompts,     // folder: what is in it is read when a call needs it, like codecs
    kConnected,   // a socket of somebody else, connected to at any time by the control thread
  };
  /// As the command line spells it.
  std::string option;
  std::string path;
  Use use = Use::kRecordings;
  /// Of a folder that has to be made for it.
  mode_t mode = 0755;

  /// The folder in which files are made or found.
  [[nodiscard]] std::string folder() const;
  [[nodiscard]] bool is_read_only() const {
    return use == Use::kReadAgain || use == Use::kReadOften || use == Use::kPrompts;
  }
};

[[nodiscard]] std::vector<Place> places_of(const Config& config,
                                           const std::vector<rtpp::ListenSpec>& classic);

/// Makes the missing folders of `places` where it may, and gives them to `user` and `group`. Root gives away
/// a folder of recordings that is its own and empty, too, and one called `rtpferry` that it left. Throws
/// std::runtime_error with a sentence.
void give_folders(const std::vector<Place>& places, uid_t user, gid_t group);

/// Why this process, with the rights that are in force, cannot do there what it is to do: a sentence. Empty
/// if it can. Files that do not exist are not judged.
[[nodiscard]] std::string what_is_lacking(const Place& place);

}  // namespace ferry
