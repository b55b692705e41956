// SPDX-License-Identifier: Apache-2.0
// Starts programs for the daemon in a process of its own.
//
// Daemon and launcher talk over a pair of sockets. The first message settles what may be started and as whom.
// Each later one is an order with a socket of its own: the result comes back on it. If the daemon closes its
// direction of that socket before, the program is to be stopped. For each order the launcher forks a process
// that runs the program and waits for its end, so that the launcher itself never waits.
//
// The launcher trusts no message: it checks sizes, ends texts with a zero itself, and starts only the settled
// program with a file below the settled folder.
//
// The trap: whatever is open in the launcher stays open there. With the daemon's end of another process's
// socket, that process would not notice that the daemon has ended.

#include "tools/rtpferryd/launcher.hpp"

#include "recorder/files/folder.hpp"
#include "relay/base/capabilities.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ferry {

namespace {

using End = ProgramResult::End;

constexpr std::size_t kMaxPath = 4096;
constexpr const char* kSearchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

template <std::size_t kSize>
using Text = std::array<char, kSize>;

struct Settlement {
  uid_t uid = 0;
  gid_t gid = 0;
  Text<64> user{};
  Text<kMaxPath> program{};
  Text<kMaxPath> folder{};
  // Folder from which relative paths begin.
  Text<kMaxPath> works_in{};
};

struct Order {
  std::int64_t time_out_ms = 0;
  Text<kMaxPath> argument{};
};

struct Outcome {
  End end = End::kNotStarted;
  int code = 0;
};

/// Stores a text with a zero behind it. False if there is no room for both.
template <std::size_t kSize>
bool put(Text<kSize>& into, std::string_view text) {
  if (text.size() >= kSize) return false;
  text.copy(into.data(), text.size());
  return true;
}

/// The launcher trusts no message: the last octet is a zero, whatever came.
template <std::size_t kSize>
std::string_view text_of(Text<kSize>& from) {
  from.back() = '\0';
  return from.data();
}

/// Receives a whole message, with at most one descriptor. False at the end, or if the message has another
/// size.
template <class Message>
bool receive(int socket, Message& message, FileDescriptor* with = nullptr) {
  iovec data{&message, sizeof message};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t size = 0;
  do size = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  while (size < 0 && errno == EINTR);
  const cmsghdr* attached = CMSG_FIRSTHDR(&header);
  if (attached != nullptr && attached->cmsg_level == SOL_SOCKET && attached->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(attached), sizeof fd);
    FileDescriptor got(fd);
    if (with != nullptr) *with = std::move(got);
  }
  return size == static_cast<ssize_t>(sizeof message);
}

template <class Message>
bool send_whole(int socket, const Message& message, int with = -1) {
  iovec data{const_cast<Message*>(&message), sizeof message};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  if (with >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* attached = CMSG_FIRSTHDR(&header);
    attached->cmsg_level = SOL_SOCKET;
    attached->cmsg_type = SCM_RIGHTS;
    attached->cmsg_len = CMSG_LEN(sizeof with);
    std::memcpy(CMSG_DATA(attached), &with, sizeof with);
  }
  return sendmsg(socket, &header, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof message);
}

/// True if `path` lies below `folder` and has no `..` in it.
bool is_below(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() + 1 && path.starts_with(folder) && path[folder.size()] == '/' &&
         path.find("/../") == std::string_view::npos && !path.ends_with("/..");
}

/// Runs one program and reports how it ended, in a process of its own.
[[noreturn]] void carry_out(Order& order, std::string_view program, std::string_view folder,
                            const FileDescriptor& caller) {
  // This process waits for its child; the launcher does not wait for its own.
  std::signal(SIGCHLD, SIG_DFL);
  Outcome outcome{End::kNotStarted, EPERM};
  if (const std::string_view argument = text_of(order.argument); is_below(argument, folder)) {
    std::stop_source stop;
    const int fd = caller.get();
    std::thread([stop, fd]() mutable {
      pollfd gone{fd, POLLIN | POLLRDHUP, 0};
      while (poll(&gone, 1, -1) < 0 && errno == EINTR) {
      }
      stop.request_stop();
    }).detach();
    const ProgramResult result = run_program({.words = {std::string(program), std::string(argument)},
                                              .environment = {kSearchPath},
                                              .time_out = std::chrono::milliseconds(order.time_out_ms)},
                                             stop.get_token());
    outcome = {result.end, result.code};
  }
  send_whole(caller.get(), outcome);
  _exit(0);
}

/// Becomes the user as whom programs run. True if that worked.
bool become(Settlement& settled) {
  const std::string_view user = text_of(settled.user);
  if (geteuid() == 0) {
    const bool has_groups =
        user.empty() ? setgroups(1, &settled.gid) == 0 : initgroups(settled.user.data(), settled.gid) == 0;
    if (!has_groups || setresgid(settled.gid, settled.gid, settled.gid) != 0 ||
        setresuid(settled.uid, settled.uid, settled.uid) != 0)
      return false;
  }
  keep_only({});
  return true;
}

/// The launcher's whole life.
[[noreturn]] void live(int socket) {
  prctl(PR_SET_NAME, "rtpferry-start");
  // Closes the sockets of other processes: open here, they would hide the daemon's end from these processes.
  close_all_but(socket);
  setsid();
  // The daemon decides when the launcher ends, not the terminal.
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD}) std::signal(number, SIG_IGN);
  const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO}) dup2(nowhere, standard);
  Settlement settled;
  if (!receive(socket, settled) || chdir(text_of(settled.works_in).data()) != 0 || !become(settled)) _exit(0);
  const Outcome ready{End::kExited, 0};
  if (!send_whole(socket, ready)) _exit(0);
  const std::string_view program = text_of(settled.program);
  const std::string_view folder = text_of(settled.folder);
  Order order;
  for (FileDescriptor caller; receive(socket, order, &caller); caller = FileDescriptor()) {
    if (!caller) continue;
    if (fork() == 0) carry_out(order, program, folder, caller);
  }
  _exit(0);
}

/// Closes everything but `socket` in the new process. With the daemon's end of the helper's socket in it, the
/// helper would not notice that the daemon closed that socket.
void keep_open_only(int socket) {
  const auto kept = static_cast<unsigned>(socket);
  // Standard input, output and error stay.
  if (kept > STDERR_FILENO + 1) close_range(STDERR_FILENO + 1, kept - 1, 0);
  close_range(kept + 1, ~0u, 0);
}

}  // namespace

Result<std::unique_ptr<Launcher>, std::string> Launcher::start() {
  std::array<int, 2> sockets{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets.data()) != 0)
    return fail(fmt::format("no process for hooks: {}", std::strerror(errno)));
  const pid_t process = fork();
  if (process < 0) {
    const int error = errno;
    close(sockets[0]);
    close(sockets[1]);
    return fail(fmt::format("no process for hooks: {}", std::strerror(error)));
  }
  if (process == 0) {
    keep_open_only(sockets[1]);
    live(sockets[1]);
  }
  close(sockets[1]);
  return std::unique_ptr<Launcher>(new Launcher(sockets[0], process));
}

Launcher::~Launcher() {
  close(socket_);
  while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<void, std::string> Launcher::settle(const LauncherSettings& settings) {
  Settlement settlement;
  settlement.uid = settings.uid;
  settlement.gid = settings.gid;
  if (!put(settlement.user, settings.user) || !put(settlement.program, settings.program) ||
      !put(settlement.folder, settings.folder) ||
      !put(settlement.works_in, std::filesystem::current_path().string()))
    return fail(std::string("recording-hook: its path or that of recording-dir is too long"));
  Outcome ready;
  if (!send_whole(socket_, settlement) || !receive(socket_, ready))
    return fail(
        fmt::format("recording-hook: the process that starts it cannot become user {}", settings.uid));
  return {};
}

ProgramResult Launcher::run(const ProgramOrder& order, const std::stop_token& stop) const {
  Order asked{order.time_out.count(), {}};
  if (order.words.empty() || !put(asked.argument, order.words.back()))
    return {End::kNotStarted, ENAMETOOLONG};
  std::array<int, 2> sockets{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets.data()) != 0)
    return {End::kNotStarted, errno};
  const FileDescriptor mine(sockets[0]);
  {
    const FileDescriptor theirs(sockets[1]);
    if (!send_whole(socket_, asked, theirs.get())) return {End::kNotStarted, errno};
  }
  // Closing our direction of the socket asks for the stop; the outcome still comes on the other.
  const std::stop_callback tell(stop, [&] { shutdown(mine.get(), SHUT_WR); });
  Outcome outcome;
  if (!receive(mine.get(), outcome)) return {End::kNotStarted, ESRCH};
  return {outcome.end, outcome.code};
}

void fill_standard_streams() noexcept {
  int lowest = -1;
  do lowest = open("/dev/null", O_RDWR);
  while (lowest >= 0 && lowest <= STDERR_FILENO);
  if (lowest > STDERR_FILENO) close(lowest);
}

}  // namespace ferry
