// SPDX-License-Identifier: Apache-2.0
// seccomp: the process keeps a list of system calls for good. Everything else fails, and the hostile ones end
// the process.
//
// ENOSYS is the answer, not EPERM, because libraries understand it: the C library and OpenSSL then take the
// older call, as they do on an older kernel. With EPERM they give up.
#include "relay/rights/syscall_filter.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include <fmt/format.h>
#include <seccomp.h>

namespace ferry {

namespace {

struct ReleaseFilter {
  void operator()(void* filter) const { seccomp_release(filter); }
};

// Calls that nothing here makes, but that somebody who has broken in would try. A process may still allow one
// of them for itself: the helper's table has `bpf`.
constexpr std::array kHostile = {
    // Another program, or the memory of another process.
    SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_getfd),
    // Code in the kernel, or in its reach.
    SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load), SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
    // Another view of the file system or of the host, other rights, other users.
    SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(fsopen),
    SCMP_SYS(fsmount), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(unshare), SCMP_SYS(setns),
    SCMP_SYS(open_by_handle_at), SCMP_SYS(mknodat), SCMP_SYS(swapon), SCMP_SYS(reboot), SCMP_SYS(acct),
    SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(sethostname), SCMP_SYS(setdomainname),
    SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(setuid), SCMP_SYS(setgid),
    SCMP_SYS(setreuid), SCMP_SYS(setresuid), SCMP_SYS(setregid), SCMP_SYS(setresgid), SCMP_SYS(setgroups)};

int add_rule(scmp_filter_ctx filter, const AllowedCall& call) {
  if (call.mask == 0) return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call.number, 0);
  const scmp_arg_cmp test{call.argument, SCMP_CMP_MASKED_EQ, call.mask, call.value};
  return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call.number, 1, &test);
}

}  // namespace

std::span<const int> hostile_calls() noexcept { return kHostile; }

Result<void, std::string> allow_only(std::span<const AllowedCall> allowed) {
  const std::unique_ptr<void, ReleaseFilter> filter(seccomp_init(SCMP_ACT_ERRNO(ENOSYS)));
  if (!filter) return fail(std::string("no memory for the filter of system calls"));
  int error = 0;
  // Rules are added one after the other; the first error is the one to report.
  const auto note = [&](int result) { error = error == 0 ? result : error; };
  // A call of another architecture (32 bits, x32) would mean something else than its number says.
  note(seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
  // The filter takes all threads of the process at once.
  note(seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1));
  // The audit log names the calls that were refused.
  note(seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_LOG, 1));
  note(seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE,
                        2));  // a tree instead of a list, so that a long table costs little
  for (const AllowedCall& call : allowed) {
    // Rows of the same call are alternatives; a row that is there already does no harm.
    if (const int result = add_rule(filter.get(), call); result != -EEXIST) note(result);
  }
  for (const int number : kHostile) {
    if (std::ranges::find(allowed, number, &AllowedCall::number) == allowed.end())
      note(seccomp_rule_add(filter.get(), SCMP_ACT_KILL_PROCESS, number, 0));
  }
  if (error == 0) error = seccomp_load(filter.get());
  if (error != 0)
    return fail(fmt::format("the filter of system calls is refused: {}", std::strerror(-error)));
  return {};
}

}  // namespace ferry
