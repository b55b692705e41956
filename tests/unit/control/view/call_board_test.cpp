// SPDX-License-Identifier: Apache-2.0
// The list of calls of the web page, with calls on a network in memory.
#include "control/view/call_board.hpp"

#include "control/view/call_row.hpp"
#include "tests/support/packets.hpp"
#include "tests/support/small_relay.hpp"

#include <set>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class CallBoardTest : public testing::Test {
 protected:
  explicit CallBoardTest(const SmallRelay::Options& options = {}) : relay_(options) {}
  json rows(CallBoard::Wish wish = {}) { return board_.rows(wish, relay_.clock()); }
  json row(const std::string& call_id) {
    const json reply = rows();
    for (const json& each : reply["calls"]) {
      if (each["call_id"] == call_id) return each;
    }
    return nullptr;
  }
  /// Each of `speakers` sends a packet of 20 ms fifty times a second; those of A for which `loses` is true
  /// are lost. The relay looks at its calls meanwhile.
  void talk(
      std::chrono::seconds time, const std::vector<std::pair<Call*, std::string>>& speakers,
      const std::function<bool(int)>& loses = [](int) { return false; }) {
    for (int tick = 0; tick < time.count() * 50; ++tick) {
      ++packet_;
      for (const auto& [call, from] : speakers) {
        const std::size_t leg = from.starts_with("198.51.100.1:") ? 0 : 1;
        const LocalPorts& ports = call->legs[leg]->medias[0]->via->ports[0];
        Packet packet = rtp('v', 100 + static_cast<std::uint32_t>(leg), packet_, 8, 160);
        write_u32(packet, 4, 160u * packet_);
        if (leg == 0 && loses(packet_)) continue;
        relay_.network.send_to_relay({*Endpoint::parse(from), {ports.local->address, ports.port}, packet});
      }
      relay_.network.advance_to(relay_.network.now() + 20ms);
      relay_.plane.worker(0).run_until_idle();
      if (tick % 5 == 0) (void)relay_.manager.watch(relay_.clock());
      if (tick % 50 == 0) {
        relay_.manager.sweep(relay_.clock());
        relay_.flush();
        board_.tick(relay_.clock());
      }
    }
  }
  static std::vector<std::uint64_t> order(const json& reply) { return reply["order"]; }
  static std::set<std::string> names(const json& reply) {
    std::set<std::string> all;
    for (const json& each : reply["calls"]) all.insert(each["call_id"]);
    return all;
  }

  SmallRelay relay_;
  CallBoard board_{relay_.manager.services(), relay_.manager.health(), "mark"};
  std::uint16_t packet_ = 0;
};

/// With ports for thousands of calls.
class CrowdedBoardTest : public CallBoardTest {
 protected:
  CrowdedBoardTest() : CallBoardTest({.first = UdpPort{10000}, .last = UdpPort{59999}}) {}
};

TEST_F(CallBoardTest, NoCalls) {
  const json reply = rows();
  EXPECT_EQ(reply["total"], 0);
  EXPECT_TRUE(reply["order"].empty());
  EXPECT_TRUE(reply["calls"].empty());
}

TEST_F(CallBoardTest, ARowSaysWhatTheCallIsAndWhereItsPacketsGo) {
  Call& call = relay_.add_call("one", "A", "B");
  talk(12s, {{&call, "198.51.100.1:4000"}, {&call, "198.51.100.2:5000"}});
  const json shown = row("one");
  EXPECT_EQ(shown["severity"], "fine") << shown.dump(1);
  EXPECT_EQ(shown["answered"], true);
  EXPECT_EQ(shown["deleting"], false);
  EXPECT_GT(shown["figures"]["mos"].get<double>(), 4.0);
  EXPECT_EQ(shown["figures"]["loss"], 0.0);
  const json& media = shown["parties"][0]["medias"][0];
  EXPECT_EQ(shown["parties"][0]["name"], "A");
  EXPECT_EQ(media["type"], "audio");
  EXPECT_EQ(media["codec"], "PCMA");
  EXPECT_EQ(media["path"], "user");
  EXPECT_EQ(media["from"], "198.51.100.1:4000");
  EXPECT_EQ(media["to"], "198.51.100.1:4000");
  EXPECT_EQ(media["says"]["verdict"], "fine");
  EXPECT_EQ(media["hears"]["reception"], "all");
  EXPECT_FALSE(shown.contains("sentence")) << "a call without a fault needs none";
}

TEST_F(CallBoardTest, ALossyCallSaysWhatIsWrongAndWhatToDo) {
  Call& lossy = relay_.add_call("lossy");
  talk(24s, {{&lossy, "198.51.100.1:4000"}, {&lossy, "198.51.100.2:5000"}}, [](int n) { return n % 4 == 0; });
  const json reply = rows();
  const json& first = reply["calls"][0];
  EXPECT_EQ(first["severity"], "fault") << first.dump(1);
  EXPECT_EQ(first["verdict"], "broken-up");
  EXPECT_EQ(first["hears"], "some");
  EXPECT_NEAR(first["figures"]["loss"].get<double>(), 25, 3);
  EXPECT_FALSE(first["sentence"].get<std::string>().empty());
  EXPECT_FALSE(first["advice"].get<std::string>().empty());
  EXPECT_TRUE(first.contains("since_ms"));
}

TEST_F(CallBoardTest, CallsInTroubleComeBeforeTheOthers) {
  Call& well = relay_.add_call("well");
  relay_.add_call("deaf");
  talk(24s, {{&well, "198.51.100.1:4000"}, {&well, "198.51.100.2:5000"}});
  const json reply = rows();
  EXPECT_EQ(order(reply), (std::vector<std::uint64_t>{relay_.manager.find("deaf")->serial, well.serial}));
  EXPECT_EQ(row("deaf")["hears"], "nothing");
  EXPECT_EQ(row("deaf")["verdict"], "never-sent");
}

TEST_F(CallBoardTest, OnlyNewsLeaveForAClientWithACursor) {
  relay_.add_call("first");
  const json all = rows();
  EXPECT_EQ(names(all), std::set<std::string>{"first"});
  const std::string cursor = all["cursor"];
  EXPECT_EQ(names(rows({.cursor = cursor})), std::set<std::string>{}) << "nothing has changed";
  relay_.add_call("second");
  const json news = rows({.cursor = cursor});
  EXPECT_EQ(names(news), std::set<std::string>{"second"});
  EXPECT_EQ(news["order"].size(), 2u) << "the order is of all calls";
  relay_.network.advance_to(relay_.network.now() + 1s);
  Request gone = SmallRelay::request("first");
  gone.delete_delay_s = 30;
  ASSERT_TRUE(relay_.manager.remove(gone, relay_.clock()).has_value());
  relay_.flush();
  const json after = rows({.cursor = news["cursor"]});
  EXPECT_EQ(names(after), std::set<std::string>{"first"});
  EXPECT_EQ(after["calls"][0]["deleting"], true);
}

TEST_F(CallBoardTest, ACursorOfAnotherProcessIsVoid) {
  relay_.add_call("call");
  for (const char* cursor : {"mark-0", "other-99", "mark-", "mark", "mark-x", "mark-99x", ""})
    EXPECT_EQ(names(rows({.cursor = cursor})), std::set<std::string>{"call"}) << cursor;
  EXPECT_EQ(names(rows({.cursor = "mark-99"})), std::set<std::string>{});
}

TEST_F(CallBoardTest, CallsAreFoundByCallIdAndTag) {
  relay_.add_call("alpha", "caller", "callee");
  relay_.add_call("beta", "x", "y");
  EXPECT_EQ(names(rows({.match = "lph"})), std::set<std::string>{"alpha"});
  EXPECT_EQ(names(rows({.match = "callee"})), std::set<std::string>{"alpha"});
  const json none = rows({.match = "gamma"});
  EXPECT_EQ(none["found"], 0);
  EXPECT_EQ(none["total"], 2);
}

TEST_F(CallBoardTest, ALimitHoldsAndTheNumberFoundIsTold) {
  for (int i = 0; i < 5; ++i) relay_.add_call(fmt::format("call-{}", i));
  const json reply = rows({.limit = 2});
  EXPECT_EQ(reply["order"].size(), 2u);
  EXPECT_EQ(reply["calls"].size(), 2u);
  EXPECT_EQ(reply["found"], 5);
}

TEST_F(CrowdedBoardTest, CTL12_ARequestMakesABoundedNumberOfRowsAndTheRestComesLater) {
  const std::size_t calls = CallBoard::kNewRows + 20;
  for (std::size_t i = 0; i < calls; ++i) relay_.add_call(fmt::format("call-{}", i));
  const json first = rows({.limit = CallBoard::kMostRows});
  EXPECT_EQ(first["order"].size(), calls);
  EXPECT_EQ(first["calls"].size(), CallBoard::kNewRows);
  EXPECT_EQ(first["calls"][0]["id"], first["order"][0]) << "the worst come first";
  const json second = rows({.cursor = first["cursor"], .limit = CallBoard::kMostRows});
  EXPECT_EQ(second["calls"].size(), 20u);
  EXPECT_TRUE(rows({.cursor = second["cursor"], .limit = CallBoard::kMostRows})["calls"].empty());
}

TEST_F(CrowdedBoardTest, CTL12_ABoundedNumberOfRowsIsKeptAndThoseInUseStay) {
  const std::size_t calls = CallBoard::kMostKept + 200;
  for (std::size_t i = 0; i < calls; ++i) relay_.add_call(fmt::format("call-{:05}", i));
  // Each text is found in ten calls.
  for (std::size_t i = 0; i < calls / 10; ++i) {
    relay_.network.advance_to(relay_.network.now() + 1ms);
    rows({.match = "call-00000"});
    rows({.match = fmt::format("call-{:04}", i)});
    ASSERT_LE(board_.kept(), CallBoard::kMostKept);
  }
  EXPECT_EQ(board_.kept(), CallBoard::kMostKept);
  const std::string cursor = rows({.match = "call-00000"})["cursor"];
  EXPECT_TRUE(rows({.match = "call-00000", .cursor = cursor})["calls"].empty())
      << "it was asked for all the time";
  EXPECT_EQ(rows({.match = "call-0001", .cursor = cursor})["calls"].size(), 10u)
      << "forgotten, and made anew";
}

TEST_F(CallBoardTest, ATimelineHasSamplesOfTheWholeCall) {
  Call& call = relay_.add_call("call");
  EXPECT_TRUE(board_.timeline(call.serial)["samples"].empty());
  talk(30s, {{&call, "198.51.100.1:4000"}, {&call, "198.51.100.2:5000"}},
       [](int n) { return n > 900 && n % 4 == 0; });
  const json timeline = board_.timeline(call.serial);
  const json& samples = timeline["samples"];
  ASSERT_GE(samples.size(), 4u) << timeline.dump(1);
  EXPECT_EQ(timeline["call_id"], "call");
  EXPECT_GE(samples.front()["at_ms"].get<std::int64_t>(), timeline["begun_ms"].get<std::int64_t>());
  EXPECT_EQ(samples.back()["verdict"], "broken-up") << timeline.dump(1);
  EXPECT_GT(samples.back()["loss"].get<double>(), 10);
  EXPECT_TRUE(board_.timeline(99).is_null());
}

TEST_F(CallBoardTest, ACallThatIsGoneIsForgotten) {
  Call& call = relay_.add_call("call");
  const std::uint64_t serial = call.serial;
  rows();
  board_.tick(relay_.clock());
  board_.tick(relay_.clock());
  EXPECT_FALSE(board_.timeline(serial)["samples"].empty());
  relay_.manager.terminate("call", relay_.clock());
  relay_.flush();
  board_.tick(relay_.clock());
  EXPECT_TRUE(rows()["order"].empty());
  EXPECT_TRUE(board_.timeline(serial).is_null());
}

}  // namespace
}  // namespace ferry::test
