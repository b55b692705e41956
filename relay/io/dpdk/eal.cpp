// SPDX-License-Identifier: Apache-2.0
// Starts DPDK's environment (EAL). It can be started once in a process and never stopped, it keeps pointers
// to its arguments, prints to stdout when it dislikes one, and pins the calling thread. So much of this file
// keeps those effects away from the rest of the daemon.
#include "relay/io/dpdk/eal.hpp"

#include <algorithm>
#include <cstdio>
#include <future>

#include <fcntl.h>
#include <pthread.h>
#include <rte_alarm.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_memory.h>
#include <sys/mman.h>
#include <unistd.h>

namespace ferry::dpdk {

namespace {

/// Passes lines of DPDK's log on to ours. Lives as long as the process, as the environment does.
struct LogStream {
  std::function<void(std::string_view)> log;
  // A line that has not ended yet.
  std::string line;
  bool is_starting = true;
  // The first line about an error during the start: it tells the operator more than the error code does.
  std::string first;

  static ssize_t write(void* self, const char* text, std::size_t size) {
    auto& stream = *static_cast<LogStream*>(self);
    for (const char c : std::string_view(text, size)) {
      if (c != '\n') {
        stream.line += c;
        continue;
      }
      if (stream.line.empty()) continue;
      if (stream.log) stream.log(stream.line);
      if (stream.first.empty() && stream.is_starting &&
          rte_log_cur_msg_loglevel() <= static_cast<int>(RTE_LOG_ERR))
        stream.first = stream.line;
      stream.line.clear();
    }
    return static_cast<ssize_t>(size);
  }
};

// True if the operator gave one of `options`, alone or with a value.
bool says(const std::vector<std::string>& arguments, std::initializer_list<std::string_view> options) {
  return std::ranges::any_of(arguments, [&](const std::string& argument) {
    return std::ranges::any_of(options, [&](std::string_view option) {
      return argument == option || argument.starts_with(std::string(option) + "=");
    });
  });
}

/// Gives the calling thread its CPUs back: the environment pins the thread that starts it.
class KeepAffinity {
 public:
  KeepAffinity() { pthread_getaffinity_np(pthread_self(), sizeof set_, &set_); }
  ~KeepAffinity() { pthread_setaffinity_np(pthread_self(), sizeof set_, &set_); }
  KeepAffinity(const KeepAffinity&) = delete;
  KeepAffinity& operator=(const KeepAffinity&) = delete;

 private:
  cpu_set_t set_{};
};

/// Keeps stdout quiet. The environment prints its whole usage text when it dislikes an argument.
class Silence {
 public:
  Silence() : output_(dup(STDOUT_FILENO)) {
    std::fflush(stdout);
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere < 0) return;
    dup2(nowhere, STDOUT_FILENO);
    close(nowhere);
  }
  ~Silence() {
    std::fflush(stdout);
    if (output_ < 0) return;
    dup2(output_, STDOUT_FILENO);
    close(output_);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

 private:
  int output_;
};

/// Without hugepages the memory is many small pages, and each packet touches several of them. The kernel may
/// join them if it is asked to.
void ask_for_large_pages() {
  rte_memseg_contig_walk(
      [](const rte_memseg_list*, const rte_memseg* segment, std::size_t length, void*) {
        madvise(segment->addr, length, MADV_HUGEPAGE);
        return 0;
      },
      nullptr);
}

}  // namespace

Result<void, std::string> start_eal(const std::vector<std::string>& arguments,
                                    std::function<void(std::string_view)> log) {
  static bool is_started = false;
  if (is_started) return {};
  // These would print and end the process.
  if (says(arguments, {"-h", "--help", "-v", "--version"}))
    return fail(std::string("dpdk-eal: no help or version from here"));
  static LogStream stream;
  stream.log = std::move(log);
  cookie_io_functions_t functions{};
  functions.write = LogStream::write;
  if (FILE* file = fopencookie(&stream, "w", functions)) {
    setvbuf(file, nullptr, _IOLBF, 256);
    rte_openlog_stream(file);
  }
  // The environment keeps pointers to them.
  static std::vector<std::string> words;
  words = {"rtpferryd"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  // Unless the operator wants it, nothing lies in /run that another process could join. Without hugepages the
  // option for that has another name.
  if (!says(arguments, {"--in-memory", "--no-shconf", "--file-prefix", "--huge-dir", "--proc-type"}))
    words.emplace_back(says(arguments, {"--no-huge"}) ? "--no-shconf" : "--in-memory");
  if (!says(arguments, {"--telemetry", "--no-telemetry"})) words.emplace_back("--no-telemetry");
  static std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const KeepAffinity keep;
  int used = 0;
  {
    const Silence silence;
    used = rte_eal_init(static_cast<int>(words.size()), argv.data());
  }
  if (used < 0) {
    std::string why = "dpdk-eal: DPDK does not start: " + std::string(rte_strerror(rte_errno));
    if (!stream.first.empty()) why += " (" + stream.first + ")";
    return fail(std::move(why));
  }
  is_started = true;
  stream.is_starting = false;
  if (rte_eal_has_hugepages() == 0) ask_for_large_pages();
  // It stops at the first word that it does not know.
  if (static_cast<std::size_t>(used) + 1 < words.size())
    return fail("dpdk-eal: '" + words[static_cast<std::size_t>(used) + 1] + "' is no argument of it");
  return {};
}

void on_eal_threads(const std::function<void()>& task) {
  // The lcores idle until they are given something to do.
  unsigned lcore = 0;
  RTE_LCORE_FOREACH_WORKER(lcore) {
    rte_eal_remote_launch(
        [](void* what) {
          (*static_cast<const std::function<void()>*>(what))();
          return 0;
        },
        const_cast<std::function<void()>*>(&task), lcore);
  }
  rte_eal_mp_wait_lcore();
  // The interrupt thread only runs alarms: one is set for it at once.
  struct Call {
    const std::function<void()>& task;
    std::promise<void> done;
  } call{task, {}};
  const auto done = call.done.get_future();
  const int armed = rte_eal_alarm_set(
      1,
      [](void* what) {
        auto& it = *static_cast<Call*>(what);
        it.task();
        it.done.set_value();
      },
      &call);
  if (armed == 0) done.wait();
}

}  // namespace ferry::dpdk
