// SPDX-License-Identifier: Apache-2.0
// The process that starts hooks: what it takes from an order, and what it does not (CTL-17).
#include "tools/rtpferryd/launcher.hpp"

#include "tests/support/child.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

namespace ferry {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using End = ProgramResult::End;

std::string read_all(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// A folder with a program; recordings are below `recordings`.
class LauncherTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "ferry-launcher-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    top_ = pattern;
    fs::permissions(top_, fs::perms::owner_all | fs::perms::group_all | fs::perms::others_all);
    fs::create_directory(top_ / "recordings");
    auto started = Launcher::start();
    ASSERT_TRUE(started) << started.error();
    launcher_ = std::move(*started);
  }
  void TearDown() override {
    launcher_.reset();
    fs::remove_all(top_);
  }

  void settle(const std::string& script) {
    std::ofstream(top_ / "program") << "#!/bin/sh\n" << script << "\n";
    fs::permissions(top_ / "program", fs::perms::owner_all | fs::perms::others_read | fs::perms::others_exec);
    const uid_t user = geteuid() == 0 ? 65534 : geteuid();
    const gid_t group = geteuid() == 0 ? 65534 : getegid();
    const auto done = launcher_->settle({top_ / "program", top_ / "recordings", {}, user, group});
    ASSERT_TRUE(done) << done.error();
  }
  ProgramResult run(const std::string& argument, std::chrono::milliseconds time_out = 20s) const {
    return launcher_->run({{argument}, {}, time_out}, {});
  }
  std::string manifest() const { return top_ / "recordings/call.json"; }

  fs::path top_;
  std::unique_ptr<Launcher> launcher_;
};

TEST_F(LauncherTest, CTL17_RunsTheProgramOfTheConfigurationWithTheFile) {
  settle("echo \"$0 $# $1\" > " + (top_ / "seen").string());
  const ProgramResult result = run(manifest());
  EXPECT_TRUE(result.is_good()) << describe(result);
  EXPECT_EQ(read_all(top_ / "seen"), fmt::format("{} 1 {}\n", (top_ / "program").string(), manifest()));
}

// A process that held the daemon's end of the helper's socket kept the helper, and the daemon waited for it.
TEST(Launcher, CTL17_HoldsNothingOpenThatIsNotItsOwn) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const auto launcher = Launcher::start();
  ASSERT_TRUE(launcher) << launcher.error();
  close(ends[1]);
  pollfd reader{ends[0], POLLIN, 0};
  EXPECT_EQ(poll(&reader, 1, 20'000), 1);
  EXPECT_NE(reader.revents & POLLHUP, 0);
  close(ends[0]);
}

TEST_F(LauncherTest, CTL17_AnOrderNamesNoOtherProgram) {
  settle("echo ours > " + (top_ / "seen").string());
  const ProgramOrder order{{"/bin/sh", "-c", "touch " + (top_ / "theirs").string(), manifest()}, {}, 20s};
  EXPECT_TRUE(launcher_->run(order, {}).is_good());
  EXPECT_EQ(read_all(top_ / "seen"), "ours\n");
  EXPECT_FALSE(fs::exists(top_ / "theirs"));
}

TEST_F(LauncherTest, CTL17_TakesNoArgumentOutsideTheRecordings) {
  settle("touch " + (top_ / "ran").string());
  const std::string below = top_ / "recordings";
  for (const std::string& argument :
       {std::string("--option"), std::string("/etc/passwd"), std::string(), below, below + "/",
        below + "2/a.json", below + "/../secret", below + "/a/..", std::string(5000, 'x')}) {
    const ProgramResult result = run(argument);
    EXPECT_EQ(result.end, End::kNotStarted) << argument;
  }
  EXPECT_FALSE(fs::exists(top_ / "ran"));
}

TEST_F(LauncherTest, CTL17_WhatItStartsHasNoCapabilityAndGainsNone) {
  settle("grep -E '^(CapPrm|CapEff|CapInh|CapAmb|NoNewPrivs|Seccomp|Uid):' /proc/self/status > " +
         (top_ / "seen").string() + "; env | sort >> " + (top_ / "seen").string());
  ASSERT_TRUE(run(manifest()).is_good());
  const std::string seen = read_all(top_ / "seen");
  for (const char* line : {"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000",
                           "CapEff:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1"})
    EXPECT_NE(seen.find(line), std::string::npos) << line << " in\n" << seen;
  if (geteuid() == 0) {
    EXPECT_NE(seen.find("Uid:\t65534\t65534\t65534\t65534"), std::string::npos) << seen;
  }
  EXPECT_EQ(seen.find("HOME="), std::string::npos) << "no variable of ours is handed on";
}

TEST_F(LauncherTest, CTL17_SaysHowAProgramEnded) {
  settle("case $1 in */good*) exit 0;; */bad*) exit 3;; *) kill -9 $$;; esac");
  const std::string below = top_ / "recordings";
  EXPECT_TRUE(run(below + "/good").is_good());
  const ProgramResult bad = run(below + "/bad");
  EXPECT_EQ(bad.end, End::kExited);
  EXPECT_EQ(bad.code, 3);
  const ProgramResult killed = run(below + "/killed");
  EXPECT_EQ(killed.end, End::kSignalled);
  EXPECT_EQ(killed.code, SIGKILL);
}

TEST_F(LauncherTest, CTL17_EndsAProgramThatTakesTooLong) {
  settle("sleep 100");
  EXPECT_EQ(run(manifest(), 100ms).end, End::kTimedOut);
}

TEST_F(LauncherTest, CTL17_EndsAProgramWhenTheCallerStops) {
  settle("touch " + (top_ / "runs").string() + "; sleep 100");
  std::stop_source stop;
  std::jthread asks([&] {
    while (!fs::exists(top_ / "runs")) std::this_thread::yield();
    stop.request_stop();
  });
  EXPECT_EQ(launcher_->run({{manifest()}, {}, 60s}, stop.get_token()).end, End::kStopped);
}

TEST_F(LauncherTest, CTL17_SeveralRunAtATime) {
  // Each waits for the other's file.
  settle("touch $1.runs; n=0; while [ $(ls " + (top_ / "recordings").string() +
         " | wc -l) -lt 2 ]; do sleep 0.05; n=$((n+1)); [ $n -lt 200 ] || exit 1; done");
  fs::permissions(top_ / "recordings", fs::perms::all);
  const std::string below = top_ / "recordings";
  ProgramResult first;
  std::jthread one([&] { first = run(below + "/a"); });
  EXPECT_TRUE(run(below + "/b").is_good());
  one.join();
  EXPECT_TRUE(first.is_good());
}

TEST_F(LauncherTest, CTL17_ItsEndIsAnErrorAndNoWait) {
  settle("exit 0");
  kill(launcher_->process(), SIGKILL);
  // The order before the kernel has closed its end may still get away: then its answer's end tells.
  EXPECT_EQ(run(manifest()).end, End::kNotStarted);
}

TEST(Launcher, CTL17_GetsNoNumberOfAStandardStreamThatIsClosed) {
  const std::vector<std::vector<int>> rows = {{}, {0}, {1}, {2}, {0, 1}, {1, 2}, {0, 1, 2}};
  for (const std::vector<int>& closed : rows) {
    EXPECT_EQ(result_of_child([&] {
                for (const int standard : closed) close(standard);
                fill_standard_streams();
                for (const int standard : {0, 1, 2})
                  if (fcntl(standard, F_GETFD) < 0) return 1 + standard;
                return dup(0) > 2 ? 0 : 9;
              }),
              0)
        << closed.size() << " closed";
  }
}

}  // namespace
}  // namespace ferry
