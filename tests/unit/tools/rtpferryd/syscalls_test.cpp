// SPDX-License-Identifier: Apache-2.0
// The daemon's table of system calls, in children under its filter (CTL-17).
#include "tools/rtpferryd/syscalls.hpp"

#include "tests/support/child.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

namespace ferry::syscalls_test {
namespace {

constexpr int kKilled = 256 + SIGSYS;

/// The errno of a call under the daemon's filter, 0 if it was carried out, or what ended the process.
int outcome(const CallNeeds& needs, const std::function<long()>& call) {
  return result_of_child([&] {
    if (!allow_only(daemon_calls(needs))) return 255;
    errno = 0;
    return call() < 0 ? errno : 0;
  });
}

struct Row {
  const char* what;
  std::function<long()> call;
  int outcome = 0;
};

long open_socket(int family, int type, int protocol = 0) {
  return socket(family, type | SOCK_CLOEXEC, protocol);
}
long bpf_command(int command) {
  std::array<char, 128> attributes{};
  return syscall(SYS_bpf, command, attributes.data(), attributes.size());
}

TEST(DaemonCalls, CTL17_WhatServingNeedsIsCarriedOut) {
  const std::array rows = {
      Row{"a media socket", [] { return open_socket(AF_INET, SOCK_DGRAM); }},
      Row{"a media socket of IPv6", [] { return open_socket(AF_INET6, SOCK_DGRAM); }},
      Row{"a control socket", [] { return open_socket(AF_UNIX, SOCK_STREAM); }},
      Row{"routes", [] { return open_socket(AF_NETLINK, SOCK_RAW); }},
      Row{"a thread",
          [] {
            std::atomic<bool> ran{false};
            std::thread([&] { ran = true; }).join();
            return ran ? 0L : -1L;
          }},
      Row{"interfaces and their addresses",
          [] {
            ifaddrs* all = nullptr;
            const long result = getifaddrs(&all);
            freeifaddrs(all);
            return result;
          }},
      Row{"the number of an interface", [] { return if_nametoindex("lo") == 0 ? -1L : 0L; }},
      Row{"a name",
          [] {
            addrinfo* all = nullptr;
            const int result = getaddrinfo("localhost", nullptr, nullptr, &all);
            if (all != nullptr) freeaddrinfo(all);
            return result == EAI_SYSTEM ? -1L : 0L;
          }},
      Row{"figures of the host", [] { return std::ifstream("/proc/self/statm") ? 0L : -1L; }},
      Row{"memory",
          [] {
            void* mine = mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            return mine == MAP_FAILED ? -1L : munmap(mine, 1 << 20);
          }},
      Row{"a library",
          [] {
            const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
            return mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) == MAP_FAILED ? -1L : 0L;
          }},
      Row{"a lower priority", [] { return setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 19); }},
      Row{"the name of a thread", [] { return prctl(PR_SET_NAME, "worker-0", 0, 0, 0); }},
      Row{"a limit", [] {
            rlimit limit{};
            return getrlimit(RLIMIT_NOFILE, &limit);
          }}};
  for (const Row& row : rows) EXPECT_EQ(outcome({}, row.call), row.outcome) << row.what;
}

TEST(DaemonCalls, CTL17_WhatOnlyAnIntruderWantsIsRefused) {
  const std::array rows = {
      Row{"another process", [] { return syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0); },
          ENOSYS},
      Row{"another process, hidden", [] { return syscall(SYS_clone3, nullptr, 0); }, ENOSYS},
      Row{"another process, the old way", [] { return syscall(SYS_vfork); }, ENOSYS},
      Row{"another program",
          [] {
            const std::array<char*, 1> none = {nullptr};
            return execve("/bin/true", none.data(), none.data());
          },
          kKilled},
      Row{"another's memory", [] { return syscall(SYS_ptrace, 0, 0, 0, 0); }, kKilled},
      Row{"another's end", [] { return kill(getppid(), 0); }, ENOSYS},
      Row{"a file system", [] { return syscall(SYS_mount, "", "/", "tmpfs", 0, nullptr); }, kKilled},
      Row{"a module", [] { return syscall(SYS_finit_module, -1, "", 0); }, kKilled},
      Row{"another user", [] { return syscall(SYS_setresuid, 0, 0, 0); }, kKilled},
      Row{"a program for the kernel", [] { return bpf_command(BPF_PROG_LOAD); }, kKilled},
      Row{"raw frames", [] { return open_socket(AF_PACKET, SOCK_RAW); }, ENOSYS},
      Row{"code in writable memory",
          [] {
            return mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                        0) == MAP_FAILED
                       ? -1L
                       : 0L;
          },
          ENOSYS},
      Row{"code from written memory",
          [] {
            void* mine = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            return static_cast<long>(mprotect(mine, 4096, PROT_READ | PROT_EXEC));
          },
          ENOSYS},
      Row{"keystrokes for a terminal", [] { return syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x"); },
          ENOSYS},
      Row{"another limit",
          [] {
            const rlimit limit{1, 1};
            return setrlimit(RLIMIT_CORE, &limit);
          },
          ENOSYS}};
  for (const Row& row : rows) EXPECT_EQ(outcome({}, row.call), row.outcome) << row.what;
}

TEST(DaemonCalls, CTL17_OffloadAddsItsMapsAndNothingElse) {
  const CallNeeds offload{.offload = true};
  for (const int command : {BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM, BPF_PROG_TEST_RUN})
    EXPECT_NE(outcome(offload, [&] { return bpf_command(command); }), ENOSYS) << command;
  for (const int command : {BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_PROG_ATTACH, BPF_LINK_CREATE, BPF_OBJ_PIN})
    EXPECT_EQ(outcome(offload, [&] { return bpf_command(command); }), ENOSYS) << command;
}

TEST(DaemonCalls, CTL17_DpdkAddsItsSocketsAndStartsNoProgram) {
  const CallNeeds dpdk{.dpdk = true};
  EXPECT_NE(outcome(dpdk, [] { return open_socket(AF_PACKET, SOCK_RAW); }), ENOSYS);
  EXPECT_EQ(outcome(dpdk, [] { return prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); }), 0);
  EXPECT_EQ(outcome(dpdk, [] { return bpf_command(BPF_PROG_LOAD); }), ENOSYS);
  EXPECT_EQ(outcome(dpdk, [] { return syscall(SYS_execve, "/bin/true", nullptr, nullptr); }), kKilled);
}

TEST(DaemonCalls, CTL17_ItsOwnSignalsArrive) {
  EXPECT_EQ(outcome({}, [] { return raise(SIGURG); }), 0);
  EXPECT_EQ(outcome({}, []() -> long { abort(); }), 256 + SIGABRT) << "a broken invariant still ends it";
}

}  // namespace
}  // namespace ferry::syscalls_test
