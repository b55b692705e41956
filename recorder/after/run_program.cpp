// SPDX-License-Identifier: Apache-2.0
#include "recorder/after/run_program.hpp"

#include "recorder/files/folder.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ferry {

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// How long a program has after SIGTERM, before SIGKILL.
constexpr auto kGrace = 5s;

// The words as exec wants them, with a null at the end. The pointers point into `words`.
std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> list;
  list.reserve(words.size() + 1);
  for (std::string& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  return list;
}

/// Starts a program as the leader of a process group of its own. Returns errno; 0: it runs.
int spawn(const ProgramOrder& order, pid_t& process) {
  std::vector<std::string> words = order.words;
  std::vector<std::string> environment = order.environment;
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  // Standard error stays ours, so that a hook's complaints reach the daemon's log.
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  // The daemon blocks and ignores signals; the program must not inherit that.
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  sigset_t all;
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  const int wrong = posix_spawnp(&process, words.front().c_str(), &files, &attributes, pointers(words).data(),
                                 pointers(environment).data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  return wrong;
}

/// Waits for the end of a process. True: it is over. False: `until` has passed, or `stop_fd` became readable
/// (-1: it never does).
bool wait_for_end(int process_fd, int stop_fd, steady_clock::time_point until) {
  std::array<pollfd, 2> fds = {{{process_fd, POLLIN, 0}, {stop_fd, POLLIN, 0}}};
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(
        std::max(until - steady_clock::now(), steady_clock::duration(0)));
    const int got =
        poll(fds.data(), fds.size(), static_cast<int>(std::min<std::int64_t>(left.count(), 1'000'000)));
    if (got < 0 && errno == EINTR) continue;
    if (fds[0].revents != 0) return true;
    if (fds[1].revents != 0 || steady_clock::now() >= until) return false;
  }
}

/// Ends the process and everything that it started. The leader is not reaped yet, so the group's number
/// cannot belong to others.
void end_group(pid_t process, int process_fd) {
  kill(-process, SIGTERM);
  // Without waiting for the others of the group: they have the grace of the leader.
  wait_for_end(process_fd, -1, steady_clock::now() + kGrace);
  kill(-process, SIGKILL);
}

}  // namespace

std::string describe(const ProgramResult& result) {
  switch (result.end) {
    case ProgramResult::End::kExited:
      return fmt::format("ended with status {}", result.code);
    case ProgramResult::End::kSignalled:
      return fmt::format("ended with signal {}", result.code);
    case ProgramResult::End::kNotStarted:
      return fmt::format("could not be started: {}", std::strerror(result.code));
    case ProgramResult::End::kTimedOut:
      return "was ended after its time-out";
    case ProgramResult::End::kStopped:
      return "was ended because the relay stops";
  }
  return {};
}

ProgramResult run_program(const ProgramOrder& order, const std::stop_token& stop) {
  using End = ProgramResult::End;
  const FileDescriptor stopped(eventfd(0, EFD_CLOEXEC));
  if (!stopped) return {End::kNotStarted, errno};
  pid_t process = 0;
  // A descriptor, unlike the number, cannot mean another process later.
  if (const int wrong = spawn(order, process)) return {End::kNotStarted, wrong};
  const FileDescriptor process_fd(static_cast<int>(syscall(SYS_pidfd_open, process, 0)));
  // Without a descriptor nobody could wait with a time-out, so the program is ended at once.
  const int wrong_fd = process_fd ? 0 : errno;
  bool is_over = false;
  if (wrong_fd == 0) {
    // A stop that was requested before is told at once.
    const std::stop_callback tell(stop, [&] { eventfd_write(stopped.get(), 1); });
    is_over = wait_for_end(process_fd.get(), stopped.get(), steady_clock::now() + order.time_out);
  }
  if (!is_over) end_group(process, process_fd.get());
  int status = 0;
  // Reaped in any case: a dead child would stay in the process table.
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  if (wrong_fd != 0) return {End::kNotStarted, wrong_fd};
  if (!is_over) return {stop.stop_requested() ? End::kStopped : End::kTimedOut, 0};
  if (WIFEXITED(status)) return {End::kExited, WEXITSTATUS(status)};
  return {End::kSignalled, WTERMSIG(status)};
}

}  // namespace ferry
