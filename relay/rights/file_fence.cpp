// SPDX-License-Identifier: Apache-2.0
// Landlock: a thread closes the file system for itself and for what it starts.
//
// A set of rules names the rights that it handles; all of these are refused everywhere except where a rule
// allows them. Rights that it does not handle stay as they are, so the set handles everything that this
// kernel knows. Later versions of Landlock know more rights, and naming one that the kernel does not know is
// an error. That is why the version is asked first.
#include "relay/rights/file_fence.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ferry {

namespace {

// Truncating (LANDLOCK_ACCESS_FS_TRUNCATE), from version 3 on. The headers of Debian 12 do not have the name.
constexpr std::uint64_t kTruncate = 1u << 14;

// No use includes LANDLOCK_ACCESS_FS_EXECUTE: no program is run from anywhere.
constexpr std::uint64_t kReads = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kSocketUse =
    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kWrites = kReads | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
                                  LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                                  LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REFER | kTruncate;
/// The rights of version 1: bits 0 to 12.
constexpr std::uint64_t kFirstRights = (1u << 13) - 1;
/// The rights that a rule for a single file may have; with others the kernel refuses the rule.
constexpr std::uint64_t kFileRights =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate;

// Version of Landlock in this kernel; -1 if it has none.
long version() noexcept {
  return syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

std::uint64_t rights_of(FileFence::Use use) {
  switch (use) {
    case FileFence::Use::kRead:
      return kReads;
    case FileFence::Use::kWrite:
      return kWrites;
    case FileFence::Use::kSockets:
      return kSocketUse;
  }
  return 0;
}

}  // namespace

FileFence::FileFence() {
  const long known = version();
  if (known < 1) return;
  handled_ = kFirstRights | (known >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0) | (known >= 3 ? kTruncate : 0);
  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = handled_;
  rules_ = static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0));
}

FileFence::~FileFence() {
  if (rules_ >= 0) ::close(rules_);
}

bool FileFence::is_known_here() noexcept { return version() >= 1; }

void FileFence::open(const std::string& path, Use use) {
  // No Landlock here; `close` says so.
  if (rules_ < 0) return;
  const int place = ::open(path.c_str(), O_PATH | O_CLOEXEC);
  // Not there: nothing can be opened there either.
  if (place < 0) return;
  struct stat info {};
  const bool is_folder = fstat(place, &info) == 0 && S_ISDIR(info.st_mode);
  landlock_path_beneath_attr rule{};
  rule.allowed_access = rights_of(use) & handled_ & (is_folder ? ~std::uint64_t{0} : kFileRights);
  rule.parent_fd = place;
  syscall(SYS_landlock_add_rule, rules_, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  ::close(place);
}

Result<void, std::string> FileFence::close() const {
  if (rules_ < 0) return fail(std::string("this kernel has no Landlock"));
  if (syscall(SYS_landlock_restrict_self, rules_, 0) != 0)
    return fail(fmt::format("Landlock refuses: {}", std::strerror(errno)));
  return {};
}

}  // namespace ferry
