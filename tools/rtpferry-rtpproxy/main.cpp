// SPDX-License-Identifier: Apache-2.0
// Starts rtpferryd by the command line of rtpproxy, so that unit files and scripts stay unchanged.

#include "tools/rtpferry-rtpproxy/translate.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

namespace {

constexpr const char* kHelp = R"(Usage: rtpferry-rtpproxy [rtpproxy's options] [-- options of rtpferryd]

  -f               stay in the foreground; -D: prompts may be in the directory it is started in
  -l A[/B]         local address, and that of the external interface; LABEL@A[=ADVERTISED] for more
  -6 A[/B]         the same for IPv6
  -A A[/B]         advertised addresses
  -s SPEC          control socket: udp:, udp6:, tcp:, tcp6:HOST[:PORT], unix:PATH, cunix:PATH, stdio:, systemd:
  -m PORT -M PORT  media ports (35000 to 65000)
  -t TOS           DSCP octet of media (0xB8)
  -T S -W S        end a session without media after, and before it is answered; -i: for each party apart
  -r DIR -S DIR    recordings, and where they grow; -a: every session, -P: as pcap, -R: without RTCP
  -n TARGET        who may be told of time-outs and DTMF
  -L N             limit of open files
  -u USER[:GROUP] -w MODE -p FILE -d LEVEL[:FACILITY] -c fifo|rr --nice N
  --bridge_symmetric --force_asymmetric
  -v -V            protocol versions, version of the program

Prompts are played from directories that are named: -- --rtpp-prompts=DIR
)";

int fail_with(const std::string& sentence) {
  fmt::print(stderr, "rtpferry-rtpproxy: {}\n", sentence);
  return 1;
}

/// rtpproxy needs no folder of its own. If an ordinary user cannot write the folder of rtpferryctl's socket,
/// the daemon gets no such socket.
void leave_out_control_socket(std::vector<std::string>& words) {
  constexpr const char* kFolder = "/run/rtpferry";
  const bool is_named = std::ranges::any_of(
      words, [](const std::string& word) { return word.starts_with("--control-socket"); });
  const bool can_be_made = access(kFolder, F_OK) != 0 && access("/run", W_OK) == 0;
  if (is_named || can_be_made || access(kFolder, W_OK) == 0) return;
  words.emplace_back("--control-socket=none");
  fmt::print(stderr,
             "rtpferry-rtpproxy: {} cannot be written: rtpferryctl finds this relay only with -- "
             "--control-socket=PATH\n",
             kFolder);
}

/// Returns the path of the daemon beside this program; else its name, for the search path.
std::string daemon_path() {
  std::string self(4096, '\0');
  const ssize_t size = readlink("/proc/self/exe", self.data(), self.size());
  self.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  const std::string beside = self.substr(0, self.rfind('/') + 1) + "rtpferryd";
  return access(beside.c_str(), X_OK) == 0 ? beside : "rtpferryd";
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments == std::vector<std::string>{"--help"} || arguments == std::vector<std::string>{"-h"}) {
    fmt::print("{}", kHelp);
    return 0;
  }
  const auto start = ferry::translate_rtpproxy(arguments);
  if (!start) return fail_with(start.error());
  if (!start->text.empty()) {
    fmt::print("{}", start->text);
    return 0;
  }
  if (start->open_files) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = *start->open_files;
    limit.rlim_max = std::max<rlim_t>(limit.rlim_max, *start->open_files);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
      return fail_with(fmt::format("-L {}: {}", *start->open_files, strerror(errno)));
  }
  if (start->scheduler) {
    const sched_param priority{sched_get_priority_min(*start->scheduler)};
    if (sched_setscheduler(0, *start->scheduler, &priority) != 0)
      return fail_with(fmt::format("-c: {}", strerror(errno)));
  }
  if (start->nice != 0 && setpriority(PRIO_PROCESS, 0, start->nice) != 0)
    return fail_with(fmt::format("--nice {}: {}", start->nice, strerror(errno)));
  std::string program = daemon_path();
  std::vector<std::string> words = start->arguments;
  leave_out_control_socket(words);
  std::vector<char*> pointers = {program.data()};
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  execvp(program.c_str(), pointers.data());
  return fail_with(fmt::format("cannot start {}: {}", program, strerror(errno)));
}
