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

/// Between SIGTERM and SIGKILL.
constexpr auto kGrace = 5s;

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> list;
  list.reserve(words.size() + 1);
  for (std::string& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  return list;
}

/// Returns an errno value; 0 = it runs, as the leader of a process group of its own.
int spawn(const ProgramOrder& order, pid_t& process) {
  std::vector<std::string> words = order.words;
  std::vector<std::string> environment = order.environment;
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
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

/// True once the process is over, false at `until` or, where it is asked for, at a stop.
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

/// Ends the process and what it started. The unreaped leader keeps the group's number from being another's.
void end_group(pid_t process, int process_fd) {
  kill(-process, SIGTERM);
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
  if (const int wrong = spawn(order, process)) return {End::kNotStarted, wrong};
  const FileDescriptor process_fd(static_cast<int>(syscall(SYS_pidfd_open, process, 0)));
  const int wrong_fd = process_fd ? 0 : errno;
  bool is_over = false;
  if (wrong_fd == 0) {
    const std::stop_callback tell(stop, [&] { eventfd_write(stopped.get(), 1); });
    is_over = wait_for_end(process_fd.get(), stopped.get(), steady_clock::now() + order.time_out);
  }
  if (!is_over) end_group(process, process_fd.get());
  int status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  if (wrong_fd != 0) return {End::kNotStarted, wrong_fd};
  if (!is_over) return {stop.stop_requested() ? End::kStopped : End::kTimedOut, 0};
  if (WIFEXITED(status)) return {End::kExited, WEXITSTATUS(status)};
  return {End::kSignalled, WTERMSIG(status)};
}

}  // namespace ferry
