// SPDX-License-Identifier: Apache-2.0
// Gives up rights in an order that cannot be changed:
// - the fence of files (Landlock) is prepared while everything can be opened;
// - folders are given away while root can do that;
// - the user changes, which drops all capabilities in force;
// - each place is tried as the new user: what is out of its reach decides which capabilities stay;
// - capabilities are reduced and the fence is closed, on every thread.
//
// If the operator named a user, no capability is kept for places out of its reach, except for sockets. The
// start fails instead and says what to do, or goes on without what is not essential.

#include "tools/rtpferryd/rights.hpp"

#include "codecs/audio/plugin.hpp"
#include "control/log/log.hpp"
#include "relay/base/capabilities.hpp"
#include "relay/rights/file_fence.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace ferry {

namespace {

using Use = Place::Use;
using Needs = CapabilityNeeds;

constexpr const char* kOwnUser = "rtpferry";
constexpr const char* kNobody = "nobody";
constexpr uid_t kNobodysId = 65534;

constexpr std::array kCapabilityRows = {
    CapabilityRow{CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE",
                  "a listener or media ports below net.ipv4.ip_unprivileged_port_start (1024)",
                  [](const Needs& n) { return n.has_low_port || n.has_low_media; },
                  [](const Needs& n) { return n.has_low_media; }},
    CapabilityRow{
        CAP_CHOWN, "CAP_CHOWN", "recording-owner or recording-group is another than its own; user=root",
        [](const Needs& n) { return n.gives_files_away || n.is_root; }, [](const Needs&) { return true; }},
    CapabilityRow{
        CAP_FOWNER, "CAP_FOWNER", "recording-owner or recording-group is another than its own; user=root",
        [](const Needs& n) { return n.gives_files_away || n.is_root; }, [](const Needs&) { return true; }},
    CapabilityRow{CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE",
                  "the same; a socket in a folder of root; or no user is named and a folder is not its own",
                  [](const Needs& n) {
                    return n.gives_files_away || n.is_root || n.lacks_recordings || n.lacks_peers ||
                           n.lacks_sockets;
                  },
                  [](const Needs& n) {
                    return n.gives_files_away || n.is_root || n.lacks_recordings || n.lacks_peers;
                  }},
    CapabilityRow{CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH",
                  "no user is named, and rtpferry or nobody may not read a file that is named",
                  [](const Needs& n) { return n.lacks_keys || n.lacks_reload; },
                  [](const Needs& n) { return n.lacks_keys; }}};

[[noreturn]] void fail_with(const std::string& what) {
  throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

/// PR_SET_KEEPCAPS keeps the permitted capabilities over the change of user; none is in force afterwards.
void become(const NewUser& user) {
  prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
  const bool has_groups =
      user.name.empty() ? setgroups(1, &user.gid) == 0 : initgroups(user.name.c_str(), user.gid) == 0;
  if (!has_groups || setresgid(user.gid, user.gid, user.gid) != 0 ||
      setresuid(user.uid, user.uid, user.uid) != 0)
    fail_with(fmt::format("cannot become user {} and group {} (user=root stays root)", user.uid, user.gid));
}

unsigned first_port_of_everybody() {
  unsigned port = 1024;
  std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> port;
  return port;
}

/// Needs that follow from options alone.
Needs needs_of_options(const Config& config, const NewUser& user) {
  Needs needs;
  needs.is_root = user.uid == 0;
  const unsigned everybodys = first_port_of_everybody();
  const auto is_low = [&](const Endpoint& local) {
    return local.port.value != 0 && local.port.value < everybodys;
  };
  for (const auto* listeners : {&config.listen_ng, &config.listen_tcp_ng, &config.listen_http,
                                &config.listen_https, &config.listen_cli})
    needs.has_low_port = needs.has_low_port || std::ranges::any_of(*listeners, is_low);
  for (const std::string& text : config.listen_rtpp) {
    const auto spec = rtpproxy::parse_listen_spec(text);
    needs.has_low_port = needs.has_low_port || (spec && is_low(spec->endpoint));
  }
  const auto is_low_port = [&](UdpPort port) { return port.value != 0 && port.value < everybodys; };
  needs.has_low_media = is_low_port(config.port_min) || is_low_port(config.ice_port) ||
                        std::ranges::any_of(config.interfaces, [&](const InterfaceSpec& each) {
                          return is_low_port(each.port_min.value_or(UdpPort{})) ||
                                 is_low_port(each.ice_port.value_or(UdpPort{}));
                        });
  const RecorderSettings& recorder = config.recorder;
  needs.gives_files_away = !recorder.directory.empty() && (recorder.owner.value_or(user.uid) != user.uid ||
                                                           recorder.group.value_or(user.gid) != user.gid);
  return needs;
}

/// Notes that a place of this use is out of reach.
void note(Needs& needs, Use use) {
  needs.lacks_recordings |= use == Use::kRecordings || use == Use::kState;
  needs.lacks_sockets |= use == Use::kSocket || use == Use::kPidFile;
  needs.lacks_peers |= use == Use::kConnected;
  needs.lacks_keys |= use == Use::kReadOften || use == Use::kPrompts;
  needs.lacks_reload |= use == Use::kReadAgain;
}

/// Returns what the daemon loses without a place; empty if it cannot do without it.
std::string_view what_goes_on_without(const Place& place) {
  if (place.option == "config-file") return "SIGHUP will not read it";
  if (place.use == Use::kPidFile) return "it will not be removed at the end";
  if (place.use == Use::kState) return "events and work after calls will not survive a restart";
  if (place.use == Use::kConnected) return "nobody will be told of sessions that time out";
  return {};
}

/// Tries `places` as the new user with no capability in force, and notes in `needs` what is out of its reach.
/// For a user that the operator named, that is an error.
void try_places(const NewUser& user, const std::vector<Place>& places, Needs& needs) {
  for (const Place& place : places) {
    const std::string lack = what_is_lacking(place);
    if (lack.empty()) continue;
    const std::string who = user.name.empty() ? fmt::format("{}", user.uid) : user.name;
    const std::string ways =
        fmt::format("give it to user {} (chown, chmod), or start with user=NAME or user=root", who);
    // Sockets in /run are usual, even if the operator named a user.
    if (!user.is_named || place.use == Use::kSocket) {
      note(needs, place.use);
      log::warn("{}; a capability is kept for it: {}", lack, ways);
    } else if (const std::string_view harm = what_goes_on_without(place); !harm.empty()) {
      log::warn("{} by user {}: {}", lack, who, harm);
    } else {
      throw std::runtime_error(fmt::format("{}: {}", lack, ways));
    }
  }
}

/// Opens what libraries read while the daemon runs: names, time zones, certificates, plugins, figures of the
/// host.
void open_system(FileFence& fence, const Config& config) {
  for (const char* folder :
       {"/etc", "/usr", "/lib", "/lib64", "/proc", "/sys", "/dev", "/run/systemd/resolve", "/run/resolvconf",
        "/run/NetworkManager", "/var/lib/ca-certificates"})
    fence.open(folder, FileFence::Use::kRead);
  fence.open("/dev/null", FileFence::Use::kWrite);
  fence.open(config.codec_plugins.empty() ? codec_plugin_folder() : config.codec_plugins,
             FileFence::Use::kRead);
  if (config.core_dumps) {
    std::string pattern;
    std::ifstream file("/proc/sys/kernel/core_pattern");
    std::getline(file, pattern);
    fence.open(folder_of_cores(pattern), FileFence::Use::kWrite);
  }
  if (config.engine != EngineKind::kDpdk) return;
  // Memory and devices of DPDK, and files that it removes at its end.
  for (const char* folder : {"/dev/hugepages", "/dev/vfio", "/run/dpdk", "/var/run/dpdk", "/tmp/dpdk"})
    fence.open(folder, FileFence::Use::kWrite);
}

/// Opens the places of the configuration, each for what the daemon does there.
void open_places(FileFence& fence, const std::vector<Place>& places) {
  for (const Place& place : places) {
    switch (place.use) {
      case Use::kRecordings:
      case Use::kState:
        fence.open(place.path, FileFence::Use::kWrite);
        break;
      case Use::kSocket:
      case Use::kPidFile:
        fence.open(place.folder(), FileFence::Use::kSockets);
        break;
      case Use::kConnected:
        break;
      default:
        // Opens the folder: a renewed file is another file under the same name. The target of a link is
        // opened in the same way.
        fence.open(place.folder(), FileFence::Use::kRead);
        std::error_code error;
        if (const auto real = std::filesystem::canonical(place.path, error); !error)
          fence.open(place.use == Use::kPrompts ? real : real.parent_path(), FileFence::Use::kRead);
    }
  }
}

struct KeptCapabilities {
  std::vector<int> all;
  std::vector<int> in_force;
};

KeptCapabilities kept_for(const Needs& needs) {
  KeptCapabilities kept;
  for (const CapabilityRow& row : kCapabilityRows) {
    if (!row.is_kept(needs)) continue;
    kept.all.push_back(row.capability);
    if (row.is_in_force(needs)) kept.in_force.push_back(row.capability);
  }
  return kept;
}

}  // namespace

std::span<const CapabilityRow> capability_rows() { return kCapabilityRows; }

Result<NewUser, std::string> new_user(const Config& config) {
  NewUser user{{}, getuid(), getgid(), !config.user.empty() || !config.group.empty()};
  const passwd* known = nullptr;
  if (!config.user.empty()) {
    known = getpwnam(config.user.c_str());
    if (known == nullptr) return fail(fmt::format("user: there is no user '{}'", config.user));
  } else if (geteuid() == 0) {
    known = getpwnam(kOwnUser);
    if (known == nullptr) known = getpwnam(kNobody);
    if (known == nullptr) user = {{}, kNobodysId, kNobodysId, user.is_named};
  }
  if (known != nullptr) user = {known->pw_name, known->pw_uid, known->pw_gid, user.is_named};
  if (!config.group.empty()) {
    const ::group* group = getgrnam(config.group.c_str());
    if (group == nullptr) return fail(fmt::format("group: there is no group '{}'", config.group));
    user.gid = group->gr_gid;
  }
  return user;
}

bool is_somebody_else(const NewUser& user) { return user.uid != getuid() || user.gid != getgid(); }

void give_up_rights(const Config& config, const NewUser& user, const std::vector<Place>& places,
                    const std::function<void(const std::function<void()>&)>& on_other_threads) {
  const bool changes = is_somebody_else(user);
  give_folders(places, user.uid, user.gid);
  FileFence fence;
  open_system(fence, config);
  open_places(fence, places);
  Needs needs = needs_of_options(config, user);
  if (changes) {
    if (config.user.empty() && user.name != kOwnUser)
      log::warn("started as root: the daemon becomes nobody, for there is no user '{}' (user=NAME chooses)",
                kOwnUser);
    become(user);
    if (user.uid != 0) try_places(user, places, needs);
  }
  const KeptCapabilities kept = kept_for(needs);
  const bool has_fence = FileFence::is_known_here();
  const auto give_up = [&] {
    keep_only(kept.all, kept.in_force);
    if (!has_fence) return;
    if (const auto closed = fence.close(); !closed) throw std::runtime_error(closed.error());
  };
  if (on_other_threads) on_other_threads(give_up);
  give_up();
  if (!has_fence)
    log::warn("this kernel has no Landlock: files are kept apart by their owners and modes alone");
}

std::string folder_of_cores(std::string_view pattern) {
  // A program or a socket takes the core file.
  if (pattern.empty() || pattern.starts_with('|') || pattern.starts_with('@')) return {};
  std::error_code error;
  const auto folder = std::filesystem::absolute(pattern, error).parent_path();
  return error || folder == folder.root_path() ? std::string() : folder.string();
}

void show_memory(bool in_core_dumps) {
  if (prctl(PR_SET_DUMPABLE, in_core_dumps ? 1 : 0, 0, 0, 0) != 0)
    fail_with("cannot decide whether keys are in core dumps");
}

}  // namespace ferry
