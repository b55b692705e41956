#include "tools/rtpferryd/rights.hpp"

#include "relay/base/capabilities.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ferry {

namespace {

[[noreturn]] void fail_with(const std::string& what) {
  throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

/// A folder of this program that an earlier start made as root, like /run/rtpferry.
bool is_left_by_root(const std::filesystem::path& folder) {
  struct stat info {};
  return folder.filename() == "rtpferry" && lstat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
         info.st_uid == 0;
}

void make_folders(const std::vector<std::string>& files, uid_t user, gid_t group) {
  for (const std::string& file : files) {
    const auto folder = std::filesystem::path(file).parent_path();
    std::error_code error;
    if (folder.empty() || (!std::filesystem::create_directories(folder, error) && !is_left_by_root(folder)))
      continue;
    if (chown(folder.c_str(), user, group) != 0) fail_with(fmt::format("chown {}", folder.string()));
  }
}

void change_user(const std::string& user, const std::string& group, const std::vector<std::string>& files) {
  uid_t uid = getuid();
  gid_t gid = getgid();
  if (!user.empty()) {
    errno = 0;
    const passwd* known = getpwnam(user.c_str());
    if (known == nullptr) throw std::runtime_error(fmt::format("user: there is no user '{}'", user));
    uid = known->pw_uid;
    gid = known->pw_gid;
  }
  if (!group.empty()) {
    const ::group* known = getgrnam(group.c_str());
    if (known == nullptr) throw std::runtime_error(fmt::format("group: there is no group '{}'", group));
    gid = known->gr_gid;
  }
  if (uid == getuid() && gid == getgid()) return;
  make_folders(files, uid, gid);
  prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
  const bool done = (user.empty() ? setgroups(1, &gid) : initgroups(user.c_str(), gid)) == 0 &&
                    setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0;
  if (!done) fail_with(fmt::format("cannot become user {} and group {}", uid, gid));
}

}  // namespace

void give_up_rights(const std::string& user, const std::string& group, const std::vector<std::string>& files,
                    bool runs_programs,
                    const std::function<void(const std::function<void()>&)>& on_other_threads) {
  change_user(user, group, files);
  std::vector<int> kept = {CAP_NET_BIND_SERVICE};
  if (geteuid() == 0) kept.insert(kept.end(), {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER});
  // What is run for it must not be root.
  if (geteuid() == 0 && runs_programs) kept.insert(kept.end(), {CAP_SETUID, CAP_SETGID});
  if (on_other_threads) on_other_threads([&] { keep_only(kept); });
  keep_only(kept);
}

void hide_memory() {
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) fail_with("cannot exclude keys from core dumps");
}

}  // namespace ferry
