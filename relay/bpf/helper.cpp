// SPDX-License-Identifier: Apache-2.0
// The helper process. The daemon forks it early, while it still has rights; from then on the helper does two
// things for the daemon, load and attach, and nothing else (CTL-17).
//
// Its life: fork → close all inherited descriptors but the socket → leave the terminal's session → give up
// rights and system calls → serve requests until the daemon's end of the socket closes. Then it takes the
// programs off their interfaces and exits.
//
// The socket is of type SOCK_SEQPACKET: one message is one request or one reply, in host structures, because
// both ends are the same binary. Descriptors travel with the reply (SCM_RIGHTS).
//
// A fault in it can do little damage: it runs as nobody with three capabilities, opens files for reading
// only, and may make no memory executable. The list of calls below is what libbpf needs. A call that is
// missing there gets ENOSYS, and the daemon reports that the kernel refuses the programs.
#include "relay/bpf/helper.hpp"

#include "relay/base/capabilities.hpp"
#include "relay/rights/syscall_filter.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <span>

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ferry::bpf {

namespace {

enum class Command : std::uint32_t { kLoad, kAttach };

// One message from the daemon.
struct Request {
  Command command = Command::kLoad;
  std::uint16_t first_port = 0;
  std::uint16_t last_port = 0;
  std::uint32_t workers = 0;
  std::uint32_t ring_octets = 0;
  OffloadMode mode = OffloadMode::kOff;
  bool is_named = false;
  std::array<char, IFNAMSIZ> interface {};
};

// One message from the helper; descriptors of a load come with it.
struct Reply {
  bool good = false;
  OffloadMode mode = OffloadMode::kOff;
  std::uint32_t ifindex = 0;
  /// The error of a load, or the reason of an attachment. Ends with a zero; longer texts are cut.
  std::array<char, 240> text{};
};

constexpr std::size_t kMaxDescriptors = 128;
// How long the daemon waits for a reply. The verifier of a slow host takes seconds.
constexpr time_t kPatienceSeconds = 30;
using ControlSpace = std::array<char, CMSG_SPACE(sizeof(int) * kMaxDescriptors)>;

void set_text(Reply& reply, const std::string& text) {
  std::copy_n(text.begin(), std::min(text.size(), reply.text.size() - 1), reply.text.begin());
}

bool send_reply(int socket, Reply& reply, std::span<const int> descriptors) {
  iovec data{&reply, sizeof reply};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  alignas(cmsghdr) ControlSpace control{};
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  return sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof reply);
}

bool receive_reply(int socket, Reply& reply, std::vector<int>& descriptors) {
  iovec data{&reply, sizeof reply};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  alignas(cmsghdr) ControlSpace control{};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  do size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (size < 0 && errno == EINTR);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    descriptors.resize((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(descriptors.data(), CMSG_DATA(header), descriptors.size() * sizeof(int));
  }
  reply.text.back() = '\0';
  return size == static_cast<ssize_t>(sizeof reply);
}

/// Serves requests until the daemon's end of the socket closes, or something that is no request comes.
void serve(int socket) {
  std::unique_ptr<Programs> programs;
  Request request;
  for (;;) {
    const ssize_t size = recv(socket, &request, sizeof request, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size != static_cast<ssize_t>(sizeof request)) return;
    Reply reply;
    std::vector<int> descriptors;
    if (request.command == Command::kLoad) {
      // The programs of an earlier load go first: two at a time would be attached twice.
      programs.reset();
      auto loaded = Programs::load(
          {UdpPort{request.first_port}, UdpPort{request.last_port}, request.workers, request.ring_octets});
      reply.good = loaded.has_value();
      if (loaded) {
        programs = std::move(*loaded);
        const ProgramHandles has = programs->handles();
        descriptors = {has.flows, has.hops, has.counters, has.orders, has.variables, has.control};
        descriptors.insert(descriptors.end(), has.rings.begin(), has.rings.end());
      } else {
        set_text(reply, loaded.error());
      }
    } else if (programs) {
      request.interface.back() = '\0';
      const Attachment got = programs->attach(request.interface.data(), request.mode, request.is_named);
      reply.good = true;
      reply.mode = got.mode;
      reply.ifindex = got.ifindex;
      set_text(reply, got.reason);
    }
    if (!send_reply(socket, reply, descriptors)) return;
  }
}

constexpr uid_t kNobody = 65534;

/// The system calls that loading and attaching need, through libbpf. A call with numbers is allowed only for
/// those arguments.
constexpr std::array kCalls = {
    // Requests and replies.
    AllowedCall{SCMP_SYS(recvfrom)}, AllowedCall{SCMP_SYS(recvmsg)}, AllowedCall{SCMP_SYS(sendmsg)},
    AllowedCall{SCMP_SYS(sendto)}, AllowedCall{SCMP_SYS(poll)}, AllowedCall{SCMP_SYS(ppoll)},
    AllowedCall{SCMP_SYS(close)}, AllowedCall{SCMP_SYS(exit_group)}, AllowedCall{SCMP_SYS(rt_sigreturn)},
    AllowedCall{SCMP_SYS(restart_syscall)},
    // Programs, maps and links; and /sys/kernel/btf, which says how the kernel lays out its types. Files are
    // only read.
    AllowedCall{SCMP_SYS(bpf)}, AllowedCall{SCMP_SYS(openat), 2, O_ACCMODE, O_RDONLY},
    AllowedCall{SCMP_SYS(read)}, AllowedCall{SCMP_SYS(pread64)}, AllowedCall{SCMP_SYS(lseek)},
    AllowedCall{SCMP_SYS(fstat)}, AllowedCall{SCMP_SYS(newfstatat)}, AllowedCall{SCMP_SYS(statx)},
    AllowedCall{SCMP_SYS(faccessat)}, AllowedCall{SCMP_SYS(faccessat2)}, AllowedCall{SCMP_SYS(access)},
    AllowedCall{SCMP_SYS(fcntl)}, AllowedCall{SCMP_SYS(dup3)}, AllowedCall{SCMP_SYS(uname)},
    AllowedCall{SCMP_SYS(prlimit64)}, AllowedCall{SCMP_SYS(getpid)},
    // Interfaces: what they are is asked by ioctl, their filters are set by netlink.
    AllowedCall{SCMP_SYS(socket), 0, kWholeInt, AF_INET},
    AllowedCall{SCMP_SYS(socket), 0, kWholeInt, AF_UNIX},
    AllowedCall{SCMP_SYS(socket), 0, kWholeInt, AF_NETLINK}, AllowedCall{SCMP_SYS(bind)},
    AllowedCall{SCMP_SYS(getsockname)}, AllowedCall{SCMP_SYS(setsockopt)},
    AllowedCall{SCMP_SYS(ioctl), 1, kWholeInt, SIOCGIFINDEX},
    AllowedCall{SCMP_SYS(ioctl), 1, kWholeInt, SIOCGIFHWADDR},
    AllowedCall{SCMP_SYS(ioctl), 1, kWholeInt, SIOCETHTOOL},
    // Memory and time. Nothing may become executable.
    AllowedCall{SCMP_SYS(brk)}, AllowedCall{SCMP_SYS(munmap)}, AllowedCall{SCMP_SYS(mremap)},
    AllowedCall{SCMP_SYS(madvise)}, AllowedCall{SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    AllowedCall{SCMP_SYS(mprotect), 2, PROT_EXEC, 0}, AllowedCall{SCMP_SYS(futex)},
    AllowedCall{SCMP_SYS(getrandom)}, AllowedCall{SCMP_SYS(clock_gettime)},
    AllowedCall{SCMP_SYS(gettimeofday)}, AllowedCall{SCMP_SYS(clock_nanosleep)}};

/// Becomes the user nobody and keeps three capabilities and the calls above. False: it could not, so it must
/// not serve.
bool give_up_the_rest() {
  // KEEPCAPS lets the capabilities survive the change of user. A root without the right to change users, as
  // in some containers, has no more to give up.
  prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
  if (geteuid() == 0 && setgroups(0, nullptr) == 0 && setresgid(kNobody, kNobody, kNobody) == 0 &&
      setresuid(kNobody, kNobody, kNobody) != 0)
    return false;
  keep_only(std::array{CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON});
  return allow_only(kCalls).has_value();
}

/// The helper's life, from its first moment to its last.
[[noreturn]] void live(int socket) {
  prctl(PR_SET_NAME, "rtpferry-helper");
  // Inherited sockets of the daemon are closed. A copy that stayed open here would keep their far ends from
  // noticing when the daemon closes them.
  close_all_but(socket);
  // The daemon says when to end, not a signal of the terminal or of the service manager.
  setsid();
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(number, SIG_IGN);
  const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(nowhere, standard);
  if (give_up_the_rest()) serve(socket);
  _exit(0);
}

}  // namespace

Result<std::unique_ptr<Helper>, std::string> Helper::start() {
  std::array<int, 2> sockets{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets.data()) != 0)
    return fail(fmt::format("no helper process: {}", std::strerror(errno)));
  const pid_t process = fork();
  if (process < 0) {
    const int error = errno;
    close(sockets[0]);
    close(sockets[1]);
    return fail(fmt::format("no helper process: {}", std::strerror(error)));
  }
  if (process == 0) {
    close(sockets[0]);
    live(sockets[1]);
  }
  close(sockets[1]);
  // A helper that hangs must not stop the calls.
  const timeval patience{kPatienceSeconds, 0};
  setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return std::unique_ptr<Helper>(new Helper(sockets[0], process));
}

bool Helper::is_gone() noexcept {
  // Nothing is ever sent without a request, so "readable" means "closed".
  char octet = 0;
  const bool gone = recv(socket_, &octet, sizeof octet, MSG_PEEK | MSG_DONTWAIT) == 0;
  if (gone) waitpid(process_, nullptr, WNOHANG);
  return gone;
}

Helper::~Helper() {
  // Closing the socket ends the helper; waiting for it makes sure that the programs are off.
  close(socket_);
  while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<ProgramHandles, std::string> Helper::load(const ProgramSettings& settings) {
  Request request;
  request.first_port = settings.first.value;
  request.last_port = settings.last.value;
  request.workers = settings.workers;
  request.ring_octets = settings.ring_octets;
  Reply reply;
  std::vector<int> descriptors;
  constexpr std::size_t kFixed = 6;
  if (send(socket_, &request, sizeof request, MSG_NOSIGNAL) < 0 ||
      !receive_reply(socket_, reply, descriptors))
    return fail(std::string("the helper process is gone"));
  if (!reply.good || descriptors.size() < kFixed) return fail(std::string(reply.text.data()));
  ProgramHandles handles;
  const std::array<int*, kFixed> to = {&handles.flows,  &handles.hops,      &handles.counters,
                                       &handles.orders, &handles.variables, &handles.control};
  for (std::size_t i = 0; i < kFixed; ++i) *to[i] = descriptors[i];
  handles.rings.assign(descriptors.begin() + kFixed, descriptors.end());
  return handles;
}

Attachment Helper::attach(const std::string& interface, OffloadMode wanted, bool is_named) {
  Request request;
  request.command = Command::kAttach;
  request.mode = wanted;
  request.is_named = is_named;
  std::copy_n(interface.begin(), std::min(interface.size(), request.interface.size() - 1),
              request.interface.begin());
  Reply reply;
  std::vector<int> none;
  if (send(socket_, &request, sizeof request, MSG_NOSIGNAL) < 0 || !receive_reply(socket_, reply, none) ||
      !reply.good)
    return {interface, if_nametoindex(interface.c_str()), OffloadMode::kOff, "the helper process is gone"};
  return {interface, reply.ifindex, reply.mode, reply.text.data()};
}

}  // namespace ferry::bpf
