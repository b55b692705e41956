// SPDX-License-Identifier: Apache-2.0
// What proxies and operators are told when no pair of ports can be opened, and that it goes on afterwards
// (C-12).

#include "control/call/port_failure.hpp"
#include "tests/support/world.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using nlohmann::json;

struct FailureCase {
  PortError error;
  PortFailure failure;
  /// Of the rtpproxy protocol, for the first side and for the second.
  const char* first;
  const char* second;
};

constexpr FailureCase kFailures[] = {
    {PortError::kInUse, PortFailure::kExhausted, "E72", "E71"},
    {PortError::kNoAddress, PortFailure::kNoAddress, "E72", "E71"},
    {PortError::kNoDescriptors, PortFailure::kNoDescriptors, "E72", "E71"},
    {PortError::kNoMemory, PortFailure::kNoMemory, "E81", "E81"},
    {PortError::kOther, PortFailure::kRefused, "E72", "E71"},
};

const Endpoint kAlice = Endpoint::parse("192.0.2.1:4000").value();

json offer_of(const char* call, bool knows_load_limit = false) {
  json o = offer(call, "A", audio_sdp(kAlice));
  if (knows_load_limit) o["supports"] = {"load limit"};
  return o;
}

class PortFailureTest : public testing::TestWithParam<FailureCase> {
 protected:
  [[nodiscard]] std::uint64_t counted() const {
    return world_->manager().port_failures().times[static_cast<std::size_t>(GetParam().failure)];
  }
  std::unique_ptr<World> world_ = make_sim_world();
};

TEST_P(PortFailureTest, C12_ProxiesGoToTheNextRelayAndReadWhy) {
  const FailureCase& row = GetParam();
  const std::string text(row_of(row.failure).text);
  const bool is_exhausted = row.failure == PortFailure::kExhausted;
  world_->fail_ports(row.error);
  const json plain = world_->ng(offer_of("one"));
  EXPECT_EQ(plain["result"], "error");
  EXPECT_EQ(plain["error-reason"], is_exhausted ? "Ran out of ports" : "Parallel session limit reached");
  EXPECT_EQ(plain.value("message", ""), is_exhausted ? "" : text);
  const json announced = world_->ng(offer_of("two", true));
  EXPECT_EQ(announced["result"], is_exhausted ? "error" : "load limit");
  EXPECT_EQ(announced[is_exhausted ? "error-reason" : "message"], text);
  EXPECT_EQ(world_->manager().size(), 0u);
  EXPECT_EQ(world_->open_ports(), 0u);
  EXPECT_EQ(counted(), 2u);
  EXPECT_EQ(world_->manager().totals().rejected, 2u);
  world_->fail_ports({});
  EXPECT_EQ(world_->ng(offer_of("one"))["result"], "ok") << "it is over";
}

TEST_P(PortFailureTest, C12_ACallThatNeedsAnotherPortStaysAsItWasAndExplains) {
  const FailureCase& row = GetParam();
  ASSERT_EQ(world_->ng(offer_of("one"))["result"], "ok");
  const json before = world_->ng({{"command", "query"}, {"call-id", "one"}});
  world_->fail_ports(row.error);
  const json moved = answer("one", "A", "B", audio_sdp(Endpoint::parse("198.51.100.2:4000").value()));
  json asks = moved;
  asks["flags"] = {"no-port-latching"};
  asks["direction"] = {"global", "global"};
  EXPECT_EQ(world_->ng(asks)["result"], "error");
  EXPECT_EQ(world_->ng({{"command", "query"}, {"call-id", "one"}}), before) << "CTL-6";
  const json explained = world_->manager().explain("one", false, world_->clock());
  EXPECT_NE(explained.dump().find(row_of(row.failure).text), std::string::npos) << explained.dump(1);
  world_->fail_ports({});
  EXPECT_EQ(world_->ng(asks)["result"], "ok");
}

TEST_P(PortFailureTest, C12_TheRtpproxyProtocolHasNumbers) {
  const FailureCase& row = GetParam();
  world_->fail_ports(row.error);
  EXPECT_EQ(world_->rtpproxy("U c 192.0.2.1 4000 A"), row.first);
  EXPECT_EQ(world_->manager().size(), 0u);
  world_->fail_ports({});
  EXPECT_NE(World::port_of(world_->rtpproxy("U c 192.0.2.1 4000 A")).value, 0);
  world_->fail_ports(row.error);
  EXPECT_EQ(world_->rtpproxy("L c 192.0.2.2 4000 A B"), row.second);
  EXPECT_EQ(counted(), 2u);
  world_->fail_ports({});
  EXPECT_NE(World::port_of(world_->rtpproxy("L c 192.0.2.2 4000 A B")).value, 0);
}

INSTANTIATE_TEST_SUITE_P(Each, PortFailureTest, testing::ValuesIn(kFailures),
                         [](const auto& test) { return std::string(row_of(test.param.failure).name); });

TEST(PortFailureRows, C12_AnIpVersionThatTheInterfaceHasNotIsNoLackOfPorts) {
  const auto world = make_sim_world();
  json asks = offer_of("one");
  asks["address-family"] = "IP6";
  const json out = world->ng(asks);
  EXPECT_EQ(out["error-reason"], "Parallel session limit reached");
  EXPECT_EQ(out["message"], row_of(PortFailure::kNoFamily).text);
}

TEST(PortFailureRows, C12_NgAndRtpproxyCallsOfOneNameDoNotMeet) {
  const auto world = make_sim_world();
  ASSERT_EQ(world->ng(offer_of("c A"))["result"], "ok");
  EXPECT_EQ(world->rtpproxy("U c 192.0.2.1 4000 A"), "E72");
  EXPECT_EQ(world->manager().port_failures().times, PortFailures{}.times);
}

TEST(PortFailureRows, EachRowHasATextOfItsOwn) {
  for (const PortFailureRow& a : kPortFailureRows) {
    for (const PortFailureRow& b : kPortFailureRows) {
      if (a.failure == b.failure) continue;
      EXPECT_NE(a.text, b.text);
      EXPECT_NE(a.name, b.name);
    }
  }
}

}  // namespace
}  // namespace ferry::test
