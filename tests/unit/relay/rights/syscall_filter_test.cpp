// SPDX-License-Identifier: Apache-2.0
// The filter of system calls, in children that install it (CTL-17).
#include "relay/rights/syscall_filter.hpp"

#include "tests/support/child.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

namespace ferry {
namespace {

constexpr int kKilled = 256 + SIGSYS;

/// What a child needs to end, and what a sanitizer that is linked in does meanwhile.
std::vector<AllowedCall> with(std::vector<AllowedCall> more) {
  for (const int call : {SCMP_SYS(exit_group), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(madvise),
                         SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigprocmask), SCMP_SYS(prctl)})
    more.push_back({call});
  return more;
}

/// The errno of a call under the filter, 0 if it was carried out.
template <class Call>
int outcome(const std::vector<AllowedCall>& allowed, const Call& call) {
  return result_of_child([&] {
    if (!allow_only(allowed)) return 255;
    errno = 0;
    return call() < 0 ? errno : 0;
  });
}

TEST(SyscallFilter, CTL17_OnlyWhatIsAllowedIsCarriedOut) {
  const auto ask_pid = [] { return syscall(SYS_getppid); };
  EXPECT_EQ(outcome(with({{SCMP_SYS(getppid)}}), ask_pid), 0);
  EXPECT_EQ(outcome(with({}), ask_pid), ENOSYS) << "as on a kernel that does not know it";
}

TEST(SyscallFilter, CTL17_AnArgumentMayDecide) {
  const auto only =
      with({{SCMP_SYS(socket), 0, kWholeInt, AF_INET}, {SCMP_SYS(socket), 0, kWholeInt, AF_UNIX}});
  const auto open_socket = [](int family, int type) {
    return [family, type] { return socket(family, type, 0); };
  };
  EXPECT_EQ(outcome(only, open_socket(AF_INET, SOCK_DGRAM)), 0);
  EXPECT_EQ(outcome(only, open_socket(AF_UNIX, SOCK_STREAM)), 0);
  EXPECT_EQ(outcome(only, open_socket(AF_INET6, SOCK_DGRAM)), ENOSYS);
  EXPECT_EQ(outcome(only, open_socket(AF_PACKET, SOCK_RAW)), ENOSYS);
}

TEST(SyscallFilter, CTL17_HostileCallsEndTheProcess) {
  for (const int number : hostile_calls()) {
    if (number < 0) continue;  // not on this architecture
    EXPECT_EQ(outcome(with({}), [&] { return syscall(number, 0, 0, 0, 0, 0, 0); }), kKilled)
        << "call " << number;
  }
}

TEST(SyscallFilter, CTL17_AHostileCallIsAllowedWhereATableSaysSo) {
  const auto reads_maps = with({{SCMP_SYS(bpf), 0, kWholeInt, 1}});
  EXPECT_EQ(outcome(reads_maps, [] { return syscall(SYS_bpf, 1, nullptr, 0); }), EINVAL)
      << "the kernel judged it";
  EXPECT_EQ(outcome(reads_maps, [] { return syscall(SYS_bpf, 5, nullptr, 0); }), ENOSYS);
}

TEST(SyscallFilter, CTL17_HoldsForThreadsThatRunAlready) {
  const int result = result_of_child([] {
    std::array<int, 2> to{};
    std::array<int, 2> back{};
    if (pipe(to.data()) != 0 || pipe(back.data()) != 0) return 254;
    std::thread([&] {
      char octet = 0;
      if (write(back[1], "r", 1) != 1 || read(to[0], &octet, 1) != 1) return;
      octet = static_cast<char>(syscall(SYS_getppid) < 0 ? errno : 0);
      if (write(back[1], &octet, 1) == 1) pause();
    }).detach();
    char seen = 0;
    if (read(back[0], &seen, 1) != 1) return 253;
    if (!allow_only(with({{SCMP_SYS(write)}, {SCMP_SYS(read)}, {SCMP_SYS(pause)}}))) return 255;
    return write(to[1], "g", 1) == 1 && read(back[0], &seen, 1) == 1 ? static_cast<int>(seen) : 252;
  });
  EXPECT_EQ(result, ENOSYS);
}

TEST(SyscallFilter, CTL17_NothingIsGainedBehindIt) {
  const int result = result_of_child([] {
    if (!allow_only(with({{SCMP_SYS(prctl)}}))) return 255;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2 ? 0 : 1;
  });
  EXPECT_EQ(result, 0);
}

}  // namespace
}  // namespace ferry
