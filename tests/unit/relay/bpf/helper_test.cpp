// SPDX-License-Identifier: Apache-2.0
// The process that loads and attaches the kernel programs: what it may do, and what its end means (CTL-17).
#include "relay/bpf/helper.hpp"

#include "relay/bpf/bpf_engine.hpp"
#include "tests/support/child.hpp"

#include <csignal>
#include <fstream>
#include <map>
#include <string>

#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>

namespace ferry::bpf {
namespace {

/// The lines of /proc/PID/status.
std::map<std::string, std::string> status_of(pid_t process) {
  std::map<std::string, std::string> lines;
  std::ifstream file("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(':');
    const auto value = line.find_first_not_of(" \t", colon + 1);
    lines[line.substr(0, colon)] = value == std::string::npos ? std::string() : line.substr(value);
  }
  return lines;
}

/// Waits for the end of the helper, as the daemon's loop does.
bool ends(const Helper& helper) {
  pollfd end{helper.descriptor(), POLLIN, 0};
  return poll(&end, 1, 10'000) == 1;
}

/// In a network namespace of its own, where the programs may be loaded.
template <class Task>
void play(const Task& task) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const int result = result_of_child([&] {
    if (unshare(CLONE_NEWNET) != 0) return 77;
    task();
    return testing::Test::HasFailure() ? 1 : 0;
  });
  if (result == 77) GTEST_SKIP() << "cannot make a network namespace";
  EXPECT_EQ(result, 0);
}

ProgramSettings some_ports() { return {UdpPort{30000}, UdpPort{30010}, 1, 1 << 16}; }

TEST(Helper, CTL17_HasItsThreeCapabilitiesAFilterAndNoUsersRights) {
  play([] {
    auto helper = Helper::start();
    ASSERT_TRUE(helper) << helper.error();
    auto loaded = (*helper)->load(some_ports());  // also: it has given up by now
    if (!loaded && loaded.error().starts_with("no rights")) return;
    ASSERT_TRUE(loaded) << loaded.error();
    auto status = status_of((*helper)->process());
    // CAP_NET_ADMIN 12, CAP_PERFMON 38, CAP_BPF 39.
    EXPECT_EQ(status["CapPrm"], "000000c000001000");
    EXPECT_EQ(status["CapEff"], "000000c000001000");
    EXPECT_EQ(status["CapInh"], "0000000000000000");
    EXPECT_EQ(status["CapAmb"], "0000000000000000");
    EXPECT_EQ(status["Seccomp"], "2");
    EXPECT_EQ(status["NoNewPrivs"], "1");
    EXPECT_EQ(status["Uid"], "65534\t65534\t65534\t65534");
    EXPECT_EQ(status["Groups"], "");
  });
}

TEST(Helper, CTL17_ItsFilterLeavesWhatItIsThereFor) {
  play([] {
    auto helper = Helper::start();
    ASSERT_TRUE(helper);
    if (auto loaded = (*helper)->load(some_ports()); !loaded) return;
    for (const OffloadMode mode : {OffloadMode::kTc, OffloadMode::kClsact, OffloadMode::kXdpGeneric}) {
      const Attachment got = (*helper)->attach("lo", mode, true);
      EXPECT_EQ(got.mode, mode) << to_string(mode) << ": " << got.reason;
    }
    EXPECT_FALSE((*helper)->is_gone());
  });
}

TEST(Helper, CTL17_ItsEndIsSeenAndSwitchesTheForwardingOff) {
  play([] {
    auto helper = Helper::start();
    ASSERT_TRUE(helper);
    const pid_t process = (*helper)->process();
    auto engine = BpfEngine::load(std::move(*helper), some_ports());
    if (!engine) return;
    (*engine)->keep_alive(Instant{});
    ASSERT_EQ((*engine)->attach("lo", OffloadMode::kTc, true).mode, OffloadMode::kTc);
    EXPECT_FALSE((*engine)->check_helper());
    kill(process, SIGKILL);
    pollfd end{(*engine)->helper_descriptor(), POLLIN, 0};
    ASSERT_EQ(poll(&end, 1, 10'000), 1);
    EXPECT_TRUE((*engine)->check_helper());
    EXPECT_TRUE((*engine)->is_off());
    ASSERT_EQ((*engine)->attachments().size(), 1u);
    EXPECT_EQ((*engine)->attachments().front().mode, OffloadMode::kOff);
    EXPECT_NE((*engine)->attachments().front().reason.find("helper process is gone"), std::string::npos);
    EXPECT_TRUE((*engine)->check_interfaces().empty()) << "nobody is asked any more";
    auto offload = (*engine)->make_offload();
    ASSERT_NE(offload, nullptr);
    OffloadFlow flow;
    OffloadState state;
    OffloadInstallation one{&flow, &state, OffloadAnswer::kTaken};
    offload->install({&one, 1});
    EXPECT_EQ(one.answer, OffloadAnswer::kRefused);
  });
}

TEST(Helper, CTL17_WhatIsAskedOfADeadHelperFailsAtOnce) {
  play([] {
    auto helper = Helper::start();
    ASSERT_TRUE(helper);
    kill((*helper)->process(), SIGKILL);
    EXPECT_TRUE(ends(**helper));
    EXPECT_TRUE((*helper)->is_gone());
    EXPECT_FALSE((*helper)->load(some_ports()));
    EXPECT_EQ((*helper)->attach("lo", OffloadMode::kTc, true).mode, OffloadMode::kOff);
  });
}

}  // namespace
}  // namespace ferry::bpf
