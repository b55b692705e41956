// SPDX-License-Identifier: Apache-2.0
// Lists the allowed system calls, with a table for each purpose.
//
// A call that is missing here fails with ENOSYS and appears in the kernel's audit log (type=1326, with its
// number). If new code needs one, add it to the table of its purpose. Calls that start programs, reach other
// processes or change what the process may do stay out, so that an attacker who takes over a worker has none
// of them. Some calls are allowed only with certain arguments.

#include "tools/rtpferryd/syscalls.hpp"

#include <array>

#include <linux/bpf.h>
#include <linux/prctl.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ferry {

namespace {

constexpr AllowedCall call(int number) { return {number}; }
constexpr AllowedCall if_int(int number, unsigned argument, std::uint64_t value) {
  return {number, argument, kWholeInt, value};
}

constexpr std::array kMemory = {
    call(SCMP_SYS(brk)), call(SCMP_SYS(munmap)), call(SCMP_SYS(mremap)), call(SCMP_SYS(madvise)),
    // Code is mapped from files (libraries of the resolver, codecs) and is never writable.
    AllowedCall{SCMP_SYS(mmap), 2, PROT_WRITE | PROT_EXEC, 0},
    AllowedCall{SCMP_SYS(mmap), 2, PROT_WRITE | PROT_EXEC, PROT_WRITE},
    AllowedCall{SCMP_SYS(mmap), 2, PROT_WRITE | PROT_EXEC, PROT_EXEC},
    AllowedCall{SCMP_SYS(mprotect), 2, PROT_EXEC, 0}};

constexpr std::array kThreads = {
    // No process may be forked. clone3 hides its flags in memory, so it is refused, and the C library falls
    // back to clone.
    AllowedCall{SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD},
    call(SCMP_SYS(futex)),
    call(SCMP_SYS(set_robust_list)),
    call(SCMP_SYS(rseq)),
    call(SCMP_SYS(exit)),
    call(SCMP_SYS(exit_group)),
    call(SCMP_SYS(sched_yield)),
    call(SCMP_SYS(sched_getaffinity)),
    call(SCMP_SYS(gettid)),
    call(SCMP_SYS(getpid)),
    call(SCMP_SYS(getcpu)),
    call(SCMP_SYS(rt_sigaction)),
    call(SCMP_SYS(rt_sigprocmask)),
    call(SCMP_SYS(rt_sigreturn)),
    call(SCMP_SYS(sigaltstack)),
    call(SCMP_SYS(restart_syscall)),
    call(SCMP_SYS(wait4)),                           // for the helper and the launcher, at the end
    if_int(SCMP_SYS(setpriority), 0, PRIO_PROCESS),  // media threads let the workers go first
    if_int(SCMP_SYS(prctl), 0, PR_SET_NAME),
    if_int(SCMP_SYS(prctl), 0, PR_GET_NAME),
    if_int(SCMP_SYS(prctl), 0, PR_SET_VMA),
    if_int(SCMP_SYS(prctl), 0, PR_GET_DUMPABLE)};

constexpr std::array kTime = {call(SCMP_SYS(clock_gettime)),   call(SCMP_SYS(clock_getres)),
                              call(SCMP_SYS(clock_nanosleep)), call(SCMP_SYS(nanosleep)),
                              call(SCMP_SYS(gettimeofday)),    call(SCMP_SYS(time))};

// The fence in rights.cpp decides which files may be opened.
constexpr std::array kFiles = {call(SCMP_SYS(openat)),
                               call(SCMP_SYS(openat2)),
                               call(SCMP_SYS(open)),
                               call(SCMP_SYS(close)),
                               call(SCMP_SYS(read)),
                               call(SCMP_SYS(readv)),
                               call(SCMP_SYS(pread64)),
                               call(SCMP_SYS(write)),
                               call(SCMP_SYS(writev)),
                               call(SCMP_SYS(pwrite64)),
                               call(SCMP_SYS(lseek)),
                               call(SCMP_SYS(fstat)),
                               call(SCMP_SYS(newfstatat)),
                               call(SCMP_SYS(stat)),
                               call(SCMP_SYS(lstat)),
                               call(SCMP_SYS(statx)),
                               call(SCMP_SYS(fstatfs)),
                               call(SCMP_SYS(statfs)),
                               call(SCMP_SYS(access)),
                               call(SCMP_SYS(faccessat)),
                               call(SCMP_SYS(faccessat2)),
                               call(SCMP_SYS(getdents64)),
                               call(SCMP_SYS(readlink)),
                               call(SCMP_SYS(readlinkat)),
                               call(SCMP_SYS(getcwd)),
                               call(SCMP_SYS(umask)),
                               call(SCMP_SYS(fcntl)),
                               call(SCMP_SYS(dup)),
                               call(SCMP_SYS(dup2)),
                               call(SCMP_SYS(dup3)),
                               call(SCMP_SYS(pipe2)),
                               call(SCMP_SYS(flock)),
                               call(SCMP_SYS(ftruncate)),
                               call(SCMP_SYS(fallocate)),
                               call(SCMP_SYS(fadvise64)),
                               call(SCMP_SYS(fsync)),
                               call(SCMP_SYS(fdatasync)),
                               call(SCMP_SYS(syncfs)),
                               call(SCMP_SYS(sync_file_range)),
                               call(SCMP_SYS(sendfile)),
                               call(SCMP_SYS(copy_file_range)),
                               call(SCMP_SYS(rename)),
                               call(SCMP_SYS(renameat)),
                               call(SCMP_SYS(renameat2)),
                               call(SCMP_SYS(link)),
                               call(SCMP_SYS(linkat)),
                               call(SCMP_SYS(unlink)),
                               call(SCMP_SYS(unlinkat)),
                               call(SCMP_SYS(mkdir)),
                               call(SCMP_SYS(mkdirat)),
                               call(SCMP_SYS(rmdir)),
                               call(SCMP_SYS(chmod)),
                               call(SCMP_SYS(fchmod)),
                               call(SCMP_SYS(fchmodat)),
                               call(SCMP_SYS(chown)),
                               call(SCMP_SYS(fchown)),
                               call(SCMP_SYS(fchownat)),
                               call(SCMP_SYS(utimensat)),
                               if_int(SCMP_SYS(ioctl), 1, TCGETS)};

constexpr std::array kNetwork = {if_int(SCMP_SYS(socket), 0, AF_INET),
                                 if_int(SCMP_SYS(socket), 0, AF_INET6),
                                 if_int(SCMP_SYS(socket), 0, AF_UNIX),
                                 if_int(SCMP_SYS(socket), 0, AF_NETLINK),
                                 call(SCMP_SYS(socketpair)),
                                 call(SCMP_SYS(bind)),
                                 call(SCMP_SYS(listen)),
                                 call(SCMP_SYS(accept)),
                                 call(SCMP_SYS(accept4)),
                                 call(SCMP_SYS(connect)),
                                 call(SCMP_SYS(getsockname)),
                                 call(SCMP_SYS(getpeername)),
                                 call(SCMP_SYS(getsockopt)),
                                 call(SCMP_SYS(setsockopt)),
                                 call(SCMP_SYS(shutdown)),
                                 call(SCMP_SYS(sendto)),
                                 call(SCMP_SYS(recvfrom)),
                                 call(SCMP_SYS(sendmsg)),
                                 call(SCMP_SYS(recvmsg)),
                                 call(SCMP_SYS(sendmmsg)),
                                 call(SCMP_SYS(recvmmsg)),
                                 if_int(SCMP_SYS(ioctl), 1, FIONREAD),
                                 if_int(SCMP_SYS(ioctl), 1, FIONBIO),
                                 if_int(SCMP_SYS(ioctl), 1, SIOCGIFINDEX),
                                 if_int(SCMP_SYS(ioctl), 1, SIOCGIFNAME),
                                 if_int(SCMP_SYS(ioctl), 1, SIOCGIFCONF),
                                 if_int(SCMP_SYS(ioctl), 1, SIOCGIFFLAGS),
                                 if_int(SCMP_SYS(ioctl), 1, SIOCGIFMTU)};

constexpr std::array kEvents = {
    call(SCMP_SYS(epoll_create1)), call(SCMP_SYS(epoll_ctl)),      call(SCMP_SYS(epoll_wait)),
    call(SCMP_SYS(epoll_pwait)),   call(SCMP_SYS(epoll_pwait2)),   call(SCMP_SYS(poll)),
    call(SCMP_SYS(ppoll)),         call(SCMP_SYS(select)),         call(SCMP_SYS(pselect6)),
    call(SCMP_SYS(eventfd2)),      call(SCMP_SYS(timerfd_create)), call(SCMP_SYS(timerfd_settime)),
    call(SCMP_SYS(signalfd4))};

constexpr std::array kHost = {
    call(SCMP_SYS(getrandom)), call(SCMP_SYS(uname)), call(SCMP_SYS(sysinfo)), call(SCMP_SYS(getrusage)),
    call(SCMP_SYS(getrlimit)),
    AllowedCall{SCMP_SYS(prlimit64), 2, ~std::uint64_t{0}, 0},  // limits are read only
    call(SCMP_SYS(getuid)), call(SCMP_SYS(geteuid)), call(SCMP_SYS(getgid)), call(SCMP_SYS(getegid)),
    call(SCMP_SYS(getppid)),
    // Kept capabilities are put in force at times; none can be gained.
    call(SCMP_SYS(capget)), call(SCMP_SYS(capset))};

/// Workers use the maps that the helper made; nothing can be loaded or attached.
constexpr std::array kOffload = {
    if_int(SCMP_SYS(bpf), 0, BPF_MAP_LOOKUP_ELEM),   if_int(SCMP_SYS(bpf), 0, BPF_MAP_UPDATE_ELEM),
    if_int(SCMP_SYS(bpf), 0, BPF_MAP_DELETE_ELEM),   if_int(SCMP_SYS(bpf), 0, BPF_MAP_GET_NEXT_KEY),
    if_int(SCMP_SYS(bpf), 0, BPF_MAP_LOOKUP_BATCH),  if_int(SCMP_SYS(bpf), 0, BPF_PROG_TEST_RUN),
    if_int(SCMP_SYS(bpf), 0, BPF_OBJ_GET_INFO_BY_FD)};

constexpr std::array kDpdk = {
    if_int(SCMP_SYS(socket), 0, AF_PACKET), if_int(SCMP_SYS(socket), 0, AF_XDP), call(SCMP_SYS(ioctl)),
    call(SCMP_SYS(mlock)), call(SCMP_SYS(munlock)), call(SCMP_SYS(mbind)), call(SCMP_SYS(get_mempolicy)),
    call(SCMP_SYS(set_mempolicy)), call(SCMP_SYS(sched_setaffinity)), call(SCMP_SYS(sched_getparam)),
    call(SCMP_SYS(sched_getscheduler)), call(SCMP_SYS(membarrier)), call(SCMP_SYS(inotify_rm_watch)),
    if_int(SCMP_SYS(prctl), 0, PR_SET_TIMERSLACK),  // workers that sleep for microseconds

    // Its drivers remove their own XDP programs and maps at the end.
    if_int(SCMP_SYS(bpf), 0, BPF_MAP_LOOKUP_ELEM), if_int(SCMP_SYS(bpf), 0, BPF_MAP_UPDATE_ELEM),
    if_int(SCMP_SYS(bpf), 0, BPF_MAP_DELETE_ELEM), if_int(SCMP_SYS(bpf), 0, BPF_OBJ_GET_INFO_BY_FD),
    if_int(SCMP_SYS(bpf), 0, BPF_PROG_GET_FD_BY_ID), if_int(SCMP_SYS(bpf), 0, BPF_LINK_DETACH)};

}  // namespace

std::vector<AllowedCall> daemon_calls(const CallNeeds& needs) {
  std::vector<AllowedCall> all;
  const auto add = [&](const auto& table) { all.insert(all.end(), table.begin(), table.end()); };
  add(kMemory);
  add(kThreads);
  add(kTime);
  add(kFiles);
  add(kNetwork);
  add(kEvents);
  add(kHost);
  const auto own = static_cast<std::uint64_t>(getpid());
  all.push_back(if_int(SCMP_SYS(tgkill), 0, own));
  all.push_back(if_int(SCMP_SYS(kill), 0, own));
  if (needs.offload) add(kOffload);
  if (needs.dpdk) add(kDpdk);
  return all;
}

}  // namespace ferry
