// SPDX-License-Identifier: Apache-2.0
// Measures what it costs to keep media and control apart (docs/adr/0010): per packet, a batch of datagrams
// with and without the daemon's filter of system calls and fence around files; per set-up, a fence between
// control and worker as two threads and as two processes, and sockets handed from one process to the other.
// Rounds are interleaved; medians are printed.

#include "relay/rights/file_fence.hpp"
#include "relay/rights/syscall_filter.hpp"
#include "tools/rtpferryd/syscalls.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <thread>
#include <vector>

#include <linux/futex.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace ferry;

constexpr int kRounds = 15;
constexpr std::size_t kPayload = 172;
constexpr std::size_t kPlanOctets = 512;  // what a set-up tells a worker

double seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

/// Nanoseconds for one of `count` times `task`.
double cost(clockid_t clock, int count, const std::function<void()>& task) {
  const double start = seconds(clock);
  for (int i = 0; i < count; ++i) task();
  return (seconds(clock) - start) * 1e9 / count;
}

/// `task` in a child; what it returns comes back by a pipe.
double in_child(const std::function<double()>& task) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) return 0;
  const pid_t child = fork();
  double result = 0;
  if (child == 0) {
    result = task();
    _exit(write(ends[1], &result, sizeof result) == sizeof result ? 0 : 1);
  }
  close(ends[1]);
  if (read(ends[0], &result, sizeof result) != sizeof result) result = 0;
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return result;
}

/// Datagrams to oneself, `batch` at a time: nanoseconds a packet, sent and received.
double packets(unsigned batch) {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof own;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&own), size) != 0) return 0;
  getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&own), size) != 0) return 0;
  std::vector<std::array<char, kPayload>> data(batch);
  std::vector<iovec> pieces(batch);
  std::vector<mmsghdr> messages(batch);
  for (unsigned i = 0; i < batch; ++i) {
    pieces[i] = {data[i].data(), kPayload};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const int turns = static_cast<int>(32'000 / batch);
  const double turn = cost(CLOCK_THREAD_CPUTIME_ID, turns, [&] {
    sendmmsg(fd, messages.data(), batch, 0);
    recvmmsg(fd, messages.data(), batch, MSG_DONTWAIT, nullptr);
  });
  close(fd);
  return turn / batch;
}

double calls() {
  return cost(CLOCK_THREAD_CPUTIME_ID, 100'000, [] { syscall(SYS_getppid); });
}

double confined(bool with_filter, const std::function<double()>& measure) {
  return in_child([=] {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    FileFence fence;
    fence.open("/usr", FileFence::Use::kRead);
    if (FileFence::is_known_here() && !fence.close()) return 0.0;
    if (with_filter && !allow_only(daemon_calls({}))) return 0.0;
    return measure();
  });
}

/// A word that two sides share, and a wait for it to change.
struct Turnstile {
  std::atomic<std::uint32_t> asked{0};
  std::atomic<std::uint32_t> answered{0};
  std::array<char, kPlanOctets> plan{};
};

void wait_for(std::atomic<std::uint32_t>& word, std::uint32_t value) {
  for (std::uint32_t seen = word.load(); seen != value; seen = word.load())
    syscall(SYS_futex, &word, FUTEX_WAIT, seen, nullptr, nullptr, 0);
}
void say(std::atomic<std::uint32_t>& word, std::uint32_t value) {
  word.store(value);
  syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

constexpr int kFences = 2000;

void answer_all(Turnstile& shared) {
  for (std::uint32_t n = 1; n <= kFences; ++n) {
    wait_for(shared.asked, n);
    say(shared.answered, n);
  }
}
double ask_all(Turnstile& shared) {
  std::uint32_t n = 0;
  return cost(CLOCK_MONOTONIC, kFences, [&] {
    std::memset(shared.plan.data(), static_cast<int>(n), shared.plan.size());
    say(shared.asked, ++n);
    wait_for(shared.answered, n);
  });
}

double fence_of_threads() {
  Turnstile shared;
  std::jthread worker([&] { answer_all(shared); });
  return ask_all(shared);
}

double fence_of_processes() {
  auto* shared = static_cast<Turnstile*>(
      mmap(nullptr, sizeof(Turnstile), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  new (shared) Turnstile;
  const pid_t worker = fork();
  if (worker == 0) {
    answer_all(*shared);
    _exit(0);
  }
  const double result = ask_all(*shared);
  waitpid(worker, nullptr, 0);
  munmap(shared, sizeof(Turnstile));
  return result;
}

/// A message there and one back; with the sockets of a call in it, if `sockets` is not 0.
double messages_between_processes(std::size_t sockets) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()) != 0) return 0;
  std::array<char, kPlanOctets> plan{};
  const pid_t media = fork();
  if (media == 0) {
    close(ends[0]);
    while (recv(ends[1], plan.data(), plan.size(), 0) > 0) {
      iovec data{plan.data(), 16};
      alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * 8)> control{};
      msghdr message{};
      message.msg_iov = &data;
      message.msg_iovlen = 1;
      std::array<int, 8> mine{};
      for (std::size_t i = 0; i < sockets; ++i) mine[i] = socket(AF_INET, SOCK_DGRAM, 0);
      if (sockets != 0) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(sizeof(int) * sockets);
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * sockets);
        std::memcpy(CMSG_DATA(header), mine.data(), sizeof(int) * sockets);
      }
      sendmsg(ends[1], &message, 0);
      for (std::size_t i = 0; i < sockets; ++i) close(mine[i]);
    }
    _exit(0);
  }
  close(ends[1]);
  const double result = cost(CLOCK_MONOTONIC, kFences, [&] {
    send(ends[0], plan.data(), plan.size(), 0);
    iovec data{plan.data(), plan.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * 8)> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    recvmsg(ends[0], &message, 0);
    std::array<int, 8> theirs{};
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr) {
      std::memcpy(theirs.data(), CMSG_DATA(header), sizeof(int) * sockets);
      for (std::size_t i = 0; i < sockets; ++i) close(theirs[i]);
    }
  });
  close(ends[0]);
  waitpid(media, nullptr, 0);
  return result;
}

struct Kind {
  const char* what;
  std::function<double()> measure;
  std::vector<double> seen{};
};

}  // namespace

int main() {
  std::vector<Kind> kinds = {
      {"a system call, no filter", [] { return in_child(calls); }},
      {"a system call, seccomp and Landlock", [] { return confined(true, calls); }},
      {"packet, batches of 64, no filter", [] { return in_child([] { return packets(64); }); }},
      {"packet, batches of 64, Landlock", [] { return confined(false, [] { return packets(64); }); }},
      {"packet, batches of 64, seccomp and Landlock",
       [] { return confined(true, [] { return packets(64); }); }},
      {"packet, one by one, no filter", [] { return in_child([] { return packets(1); }); }},
      {"packet, one by one, seccomp and Landlock", [] { return confined(true, [] { return packets(1); }); }},
      {"fence, two threads", fence_of_threads},
      {"fence, two processes, shared memory", fence_of_processes},
      {"fence, two processes, messages", [] { return messages_between_processes(0); }},
      {"fence, two processes, messages with four sockets", [] { return messages_between_processes(4); }}};
  for (int round = 0; round < kRounds; ++round) {
    for (Kind& kind : kinds) kind.seen.push_back(kind.measure());
  }
  for (const Kind& kind : kinds) std::printf("%-50s %8.0f ns\n", kind.what, median(kind.seen));
  return 0;
}
