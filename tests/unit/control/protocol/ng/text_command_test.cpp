// SPDX-License-Identifier: Apache-2.0
// The text commands of the field: how a line is taken apart, and what it may not do.

#include "control/protocol/ng/text_command.hpp"

#include "tests/support/world.hpp"

#include <map>
#include <string>

#include <gtest/gtest.h>

namespace ferry::test::text_command_test {
namespace {

const Endpoint kPeer = *Endpoint::parse("192.0.2.10:4000");

/// Two parameters, as the daemon would have them.
class FewParameters final : public ParameterAccess {
 public:
  [[nodiscard]] std::vector<Parameter> list() const override {
    return {{"max-sessions", sessions_, "0", ""}, {"log-level", level_, "6", ""}};
  }
  std::string set(std::string_view name, std::string_view value) override {
    if (value == "bad\n") return "'bad\n' is no number";
    (name == "log-level" ? level_ : sessions_) = value;
    return {};
  }

 private:
  std::string sessions_ = "0";
  std::string level_ = "6";
};

class TextCommand : public ::testing::Test {
 protected:
  std::string text(std::string_view line) {
    const std::string result =
        ng::run_text_command(line, world_->manager(), world_->service(), world_->clock());
    world_->manager().flush(world_->clock());
    return result;
  }
  void call(const char* id) { world_->ng(offer(id, "A", audio_sdp(kPeer))); }

  std::unique_ptr<World> world_ = make_sim_world();
  FewParameters parameters_;
};

TEST_F(TextCommand, WordsAreWholeAndBlanksAtTheEndDoNotCount) {
  for (const char* line : {"list maxsessions", "list maxsessions \r\n", "list maxsessions\n"})
    EXPECT_EQ(text(line), "Maximum sessions configured: unlimited\n") << line;
  EXPECT_EQ(text("list sessions   all"), "No sessions on this media relay.\n");
  for (const char* line : {"", "list", "list maxsessionsx", "LIST maxsessions", " list maxsessions", "x"})
    EXPECT_TRUE(text(line).starts_with("Unknown or incomplete command: '")) << line;
  EXPECT_LT(text(std::string(100'000, 'x')).size(), 300u);
  EXPECT_EQ(text("a\x1b[2J").find('\x1b'), std::string::npos);
}

TEST_F(TextCommand, EveryRowOfTheHelpIsKnown) {
  std::string help = text("help");
  unsigned rows = 0;
  for (auto end = help.find('\n'); end != std::string::npos; help.erase(0, end + 1), end = help.find('\n')) {
    EXPECT_FALSE(text(help.substr(0, end)).starts_with("Unknown or incomplete command"))
        << help.substr(0, end);
    ++rows;
  }
  EXPECT_GE(rows, 20u);
}

TEST_F(TextCommand, CTL14_ACallIdIsTakenInTheFormInWhichItIsShown) {
  call("odd\x1b[id");
  const std::string shown = text("list sessions");
  EXPECT_EQ(shown, "callid: odd\\x1b[id\n");
  for (const char* written : {"odd\\x1b[id", "odd\x1b[id"})
    EXPECT_TRUE(text(std::string("list sessions ").append(written)).starts_with("callid: odd\\x1b[id\n"));
  EXPECT_EQ(text("call info odd\x1b"), "Call Id not found (odd\\x1b)\n");
  EXPECT_EQ(text("terminate odd\\x1b[id"), "Call odd\\x1b[id terminated\n");
  EXPECT_EQ(world_->manager().size(), 0u);
}

TEST_F(TextCommand, CTL7_NoTextEndsAllCalls) {
  call("c");
  for (const char* line :
       {"terminate all", "terminate own", "call terminate all", "terminate", "terminate  own "})
    EXPECT_EQ(text(line).find("terminated"), std::string::npos) << line;
  EXPECT_EQ(world_->manager().size(), 1u);
}

TEST_F(TextCommand, ParametersHaveTheNamesOfTheField) {
  EXPECT_EQ(text("get maxsessions"), "This relay has no run-time parameters\n");
  EXPECT_EQ(text("set maxsessions 5"), "This relay has no run-time parameters\n");
  EXPECT_EQ(text("params"), "This relay has no run-time parameters\n");
  world_->service().set_parameters(&parameters_);
  const std::pair<const char*, const char*> rows[] = {
      {"get maxsessions", "Maximum sessions: unlimited\n"},
      {"set maxsessions 5", "Success setting maxsessions to 5\n"},
      {"get maxsessions", "Maximum sessions: 5\n"},
      {"get max-sessions", "max-sessions: 5\n"},
      {"params diff", "max-sessions: 0 => 5\n"},
      {"params start", "max-sessions = 0\nlog-level = 6\n"},
      {"params", "max-sessions = 5\nlog-level = 6\n"},
      {"params all", "params takes start, current, diff or revert\n"},
      {"set maxsessions -1", "Success setting maxsessions to 0\n"},
      {"set maxsessions unlimited", "Success setting maxsessions to 0\n"},
      {"set loglevel 7", "Success setting loglevel to 7\n"},
      {"list loglevels", "loglevel: 7\n"},
      {"set maxsessions", "Missing parameter or value\n"},
      {"get speed", "Unknown parameter 'speed'\n"},
      {"params revert", "All parameters are as they were at the start\n"},
      {"params diff", ""},
      {"get loglevel", "loglevel: 6\n"},
      {"set controltos 4", "This can only be set at the start\n"},
      {"set redisdisabletime 4", "This relay shares no calls through Redis\n"},
  };
  for (const auto& [line, reply] : rows) EXPECT_EQ(text(line), reply) << line;
}

TEST_F(TextCommand, ACallIsDebuggedUntilItIsNot) {
  call("c d");
  EXPECT_EQ(text("debug c d on"), "Debugging of call c d is on\n");
  EXPECT_TRUE(world_->manager().find("c d")->debug);
  EXPECT_EQ(text("debug c d off"), "Debugging of call c d is off\n");
  EXPECT_FALSE(world_->manager().find("c d")->debug);
  EXPECT_EQ(text("debug nobody on"), "Call Id not found (nobody)\n");
  for (const char* line : {"debug", "debug on", "debug c", "debug c d", "debug c d maybe"})
    EXPECT_EQ(text(line), "debug takes a Call-ID, and on or off\n") << line;
}

TEST_F(TextCommand, WhatConcernsOtherRelaysSaysSo) {
  for (const char* line : {"active", "standby", "ksadd 3", "ksrm 3", "kslist", "list redisallowederrors"}) {
    const std::string reply = text(line);
    EXPECT_FALSE(reply.starts_with("Unknown")) << line;
    EXPECT_TRUE(reply.ends_with('\n')) << line;
  }
  EXPECT_EQ(text("usage"), text("help"));
  EXPECT_EQ(text("list counters"), text("list totals"));
  EXPECT_EQ(text("list transcoders"), "Current transcoded media: 0\n");
}

TEST_F(TextCommand, SessionsAreCountedByTheIpVersionOfTheirPorts) {
  call("one");
  call("two");
  const std::string counts = text("list numsessions");
  EXPECT_NE(counts.find("sessions own: 2\n"), std::string::npos) << counts;
  EXPECT_NE(counts.find("ipv4 only media: 2\n"), std::string::npos) << counts;
  EXPECT_NE(counts.find("ipv6 only media: 0\n"), std::string::npos) << counts;
  EXPECT_NE(text("list totals").find("Total managed sessions: 2\n"), std::string::npos);
}

}  // namespace
}  // namespace ferry::test::text_command_test
