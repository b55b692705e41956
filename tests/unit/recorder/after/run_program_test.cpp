// SPDX-License-Identifier: Apache-2.0
// Programs and their ends.

#include "recorder/after/run_program.hpp"

#include "tests/support/recordings.hpp"

#include <csignal>
#include <cstdio>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
using End = ProgramResult::End;

constexpr auto kAmple = 60s;  // never reached by a program that ends on its own

ProgramResult shell(const std::string& script, std::chrono::milliseconds time_out = kAmple,
                    const std::stop_token& stop = {}) {
  return run_program({{"/bin/sh", "-c", script}, {"PATH=/bin:/usr/bin", "COLOUR=green"}, time_out}, stop);
}

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(RunProgram, TellsEveryEnd) {
  EXPECT_TRUE(shell("exit 0").is_good());
  const ProgramResult bad = shell("exit 3");
  EXPECT_FALSE(bad.is_good());
  EXPECT_EQ(describe(bad), "ended with status 3");
  EXPECT_EQ(describe(shell("kill -9 $$")), "ended with signal 9");
  const ProgramResult absent = run_program({{"/nowhere/hook"}, {}, kAmple}, {});
  EXPECT_EQ(absent.end, End::kNotStarted);
  EXPECT_EQ(describe(absent), "could not be started: No such file or directory");
}

TEST(RunProgram, GivesItsWordsAndItsEnvironmentAlone) {
  const TemporaryFolder home;
  setenv("SECRET", "of the relay", 1);
  EXPECT_TRUE(
      run_program({{"/bin/sh", "-c", "echo \"$1|$COLOUR|$SECRET\" > " + home.path("said"), "sh", "a b;c"},
                   {"COLOUR=green"},
                   kAmple},
                  {})
          .is_good());
  EXPECT_EQ(contents(home.path("said")), "a b;c|green|\n");
}

/// Whether one of the processes lives whose numbers the script has written.
bool lives(const std::string& path) {
  std::ifstream file(path);
  for (pid_t process = 0; file >> process;) {
    const std::string state = contents("/proc/" + std::to_string(process) + "/stat");
    if (!state.empty() && state.find(") Z") == std::string::npos) return true;
  }
  return false;
}

/// What was killed needs a moment to be gone, and has no parent left that knows when. False if it never goes.
bool end(const std::string& path) {
  const auto until = std::chrono::steady_clock::now() + 20s;
  while (lives(path) && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  return !contents(path).empty() && !lives(path);
}

TEST(RunProgram, CTL15_EndsAtItsTimeOutWithEverythingItStarted) {
  const TemporaryFolder home;
  // Nobody waits for what it says, should it live on.
  const std::string script = "sleep 60 > /dev/null 2>&1 & echo $! $$ > " + home.path("processes") + "; wait";
  const ProgramResult result = shell(script, 300ms);
  EXPECT_EQ(result.end, End::kTimedOut);
  EXPECT_EQ(describe(result), "was ended after its time-out");
  EXPECT_TRUE(end(home.path("processes")));
}

TEST(RunProgram, CTL15_WhoDoesNotListenIsKilled) {
  const TemporaryFolder home;
  const std::string script = "trap '' TERM; (trap '' TERM; sleep 60) > /dev/null 2>&1 & echo $! $$ > " +
                             home.path("processes") + "; while :; do sleep 1; done";
  EXPECT_EQ(shell(script, 300ms).end, End::kTimedOut);
  EXPECT_TRUE(end(home.path("processes")));
}

TEST(RunProgram, CTL15_EndsWhenTheRelayStops) {
  std::stop_source stop;
  std::jthread caller([&] { EXPECT_EQ(shell("sleep 600", kAmple, stop.get_token()).end, End::kStopped); });
  stop.request_stop();
  caller.join();
  EXPECT_EQ(shell("sleep 600", kAmple, stop.get_token()).end, End::kStopped) << "asked for before it began";
}

}  // namespace
}  // namespace ferry::test
