// SPDX-License-Identifier: Apache-2.0
// Calls in a world of their own, and the events that others see of them.
#include "control/events/call_events.hpp"

#include "control/manager/manager.hpp"
#include "tests/support/failing_memory.hpp"
#include "tests/support/noting_recorder.hpp"
#include "tests/support/world.hpp"

#include <map>
#include <set>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::test::call_events_test {
namespace {

using events::EventType;
using nlohmann::json;
using namespace std::chrono_literals;

class CallEventsTest : public ::testing::Test, private events::EventSubscriber {
 protected:
  explicit CallEventsTest(WorldOptions options = {}) {
    options.recorder = &recorder_;
    world_ = make_sim_world(options);
    world_->manager().add(calls_);
    stream_.subscribe(*this);
    for (const Endpoint& each : {a_, b_}) world_->open(each);
  }
  ~CallEventsTest() override { stream_.unsubscribe(*this); }
  void on_event(const events::Event& event) override { told_.push_back(json::parse(event.text)); }

  /// The relay's ports toward both parties.
  std::pair<UdpPort, UdpPort> dial(const std::string& id = "c", const std::string& caller = "A",
                                   const std::string& callee = "B") {
    const UdpPort to_b = World::port_of(world_->ng(offer(id, caller, audio_sdp(a_))));
    const UdpPort to_a = World::port_of(world_->ng(answer(id, caller, callee, audio_sdp(b_))));
    return {to_a, to_b};
  }
  /// Packets of one party, one each 20 ms.
  void talk(const Endpoint& from, UdpPort to, char sender, int packets) {
    for (int n = 0; n < packets; ++n) {
      world_->at(world_->elapsed() + n * 20ms, [this, from, to, sender] {
        const std::uint16_t number = ++last_[sender];
        Packet packet = rtp(sender, static_cast<std::uint32_t>(sender), number);
        write_u32(packet, 4, std::uint32_t{number} * 160);
        // No silence.
        for (std::size_t i = kRtpFixedHeaderSize + 1; i < packet.size(); ++i)
          packet[i] = static_cast<std::byte>(i * 37 + number * 11u);
        world_->send(from, {world_->relay_address(), to}, packet);
      });
    }
  }
  void run_for(Duration time) {
    world_->run(world_->elapsed() + time);
    world_->manager().poll_events();
    calls_.look();
  }
  void end(const std::string& id = "c") {
    world_->ng({{"command", "delete"}, {"call-id", id}, {"from-tag", "A"}, {"delete-delay", 0}});
  }
  [[nodiscard]] std::vector<std::string> types() const {
    std::vector<std::string> all;
    for (const json& each : told_) all.push_back(each["type"]);
    return all;
  }
  /// The events of one type.
  [[nodiscard]] std::vector<json> of(EventType type) const {
    std::vector<json> all;
    for (const json& each : told_) {
      if (each["type"] == to_string(type)) all.push_back(each);
    }
    return all;
  }

  NotingRecorder recorder_;
  events::EventStream stream_{1};
  events::CallEvents calls_{stream_, [this] { return world_->clock().wall; }, events::DigitDisplay::kShown};
  std::unique_ptr<World> world_;
  std::vector<json> told_;
  Endpoint a_{IpAddress::v4({192, 0, 2, 10}), UdpPort{4000}};
  Endpoint b_{IpAddress::v4({192, 0, 2, 20}), UdpPort{5000}};
  /// The number of the last packet of each sender.
  std::map<char, std::uint16_t> last_;
};
using Types = std::vector<std::string>;

TEST_F(CallEventsTest, ACallFromItsBeginningToItsEnd) {
  const auto [to_a, to_b] = dial();
  EXPECT_EQ(types(), Types{"call-start"});
  EXPECT_EQ(told_[0]["tags"], json({"A"}));
  talk(a_, to_a, 'A', 5);
  run_for(200ms);
  ASSERT_EQ(types(), (Types{"call-start", "media-start"}));
  EXPECT_EQ(told_[1]["tag"], "A");
  EXPECT_EQ(told_[1]["media"], 1);
  EXPECT_EQ(told_[1]["kind"], "audio");
  talk(b_, to_b, 'B', 5);
  run_for(200ms);
  end();
  ASSERT_EQ(types(), (Types{"call-start", "media-start", "media-start", "call-end"}));
  EXPECT_EQ(told_[2]["tag"], "B");
  const json& last = told_.back();
  EXPECT_EQ(last["reason"], to_string(EndReason::kRegular));
  EXPECT_EQ(last["streams"].size(), 2u);
  EXPECT_EQ(last["streams"][0]["packets_in"], 5);
  EXPECT_GT(last["duration"], 0.0);
  for (const json& each : told_) EXPECT_EQ(each["call-id"], "c") << each;
  EXPECT_EQ(calls_.waiting(), 0u);
}

TEST_F(CallEventsTest, AnAddressThatIsNotThatOfTheSdpIsLearned) {
  const auto [to_a, to_b] = dial();
  const Endpoint behind_nat{a_.address, UdpPort{4444}};
  world_->open(behind_nat);
  talk(behind_nat, to_a, 'A', 5);
  run_for(200ms);
  ASSERT_EQ(types(), (Types{"call-start", "media-start", "latched"}));
  EXPECT_EQ(told_[2]["tag"], "A");
  EXPECT_EQ(told_[2]["media"], 1);
  EXPECT_EQ(told_[2]["kind"], "audio");
}

TEST_F(CallEventsTest, OnlyCallsOfWhichAPartyWasNotHeardAreLookedAt) {
  const auto [to_a, to_b] = dial();
  talk(a_, to_a, 'A', 3);
  run_for(1s);
  EXPECT_EQ(calls_.waiting(), 1u);
  talk(b_, to_b, 'B', 3);
  run_for(1s);
  EXPECT_EQ(calls_.waiting(), 0u);
  EXPECT_EQ(of(EventType::kMediaStart).size(), 2u);
  // A later offer makes the relay look once more, and nothing is told twice.
  world_->ng(offer("c", "A", audio_sdp(a_)));
  EXPECT_EQ(calls_.waiting(), 1u);
  run_for(100ms);
  EXPECT_EQ(of(EventType::kMediaStart).size(), 2u);
}

TEST_F(CallEventsTest, ManyCallsAreLookedAtInTurnsAndLeaveInAnyOrder) {
  for (int n = 0; n < 40; ++n) world_->ng(offer(std::to_string(n), "A", audio_sdp(a_)));
  EXPECT_EQ(calls_.waiting(), 40u);
  for (int n = 0; n < 40; n += 2) end(std::to_string(n));
  EXPECT_EQ(calls_.waiting(), 20u);
  run_for(100ms);
  for (int n = 39; n > 0; n -= 2) end(std::to_string(n));
  EXPECT_EQ(calls_.waiting(), 0u);
  EXPECT_EQ(of(EventType::kCallEnd).size(), 40u);
}

TEST_F(CallEventsTest, ARefusedFirstMessageIsNoCall) {
  world_->ng(offer("c", "A", "v=0\r\nno SDP\r\n"));
  end();
  EXPECT_TRUE(told_.empty()) << told_[0];
}

TEST_F(CallEventsTest, ATimeOutIsToldBeforeTheEnd) {
  const auto [to_a, to_b] = dial();
  talk(a_, to_a, 'A', 3);
  talk(b_, to_b, 'B', 3);
  run_for(100s);
  const auto timeout = of(EventType::kTimeout);
  ASSERT_EQ(timeout.size(), 1u);
  EXPECT_EQ(timeout[0]["reason"], to_string(EndReason::kTimeout));
  const auto ended = of(EventType::kCallEnd);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0]["reason"], timeout[0]["reason"]);
  EXPECT_LT(timeout[0]["id"], ended[0]["id"]);
}

TEST_F(CallEventsTest, OneWayIsToldWhenItBeginsAndWhenItIsOver) {
  const auto [to_a, to_b] = dial();
  talk(a_, to_a, 'A', 3000);
  world_->at(world_->elapsed() + 20s, [this, to = to_b] { talk(b_, to, 'B', 2000); });
  for (int n = 0; n < 600; ++n) {
    run_for(100ms);
    world_->manager().watch(world_->clock());
  }
  const auto told = of(EventType::kOneWay);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0]["state"], "bad");
  EXPECT_EQ(told[0]["cause"], "never-sent");
  EXPECT_EQ(told[0]["tag"], "A") << "who hears nothing";
  EXPECT_EQ(told[0]["media"], 1);
  EXPECT_NE(told[0]["sentence"], "");
  EXPECT_EQ(told[1]["state"], "recovered");
  EXPECT_GT(told[1]["lasted"], 5.0);
  EXPECT_TRUE(of(EventType::kQuality).empty());
}

TEST_F(CallEventsTest, BadQualityIsOfAnotherType) {
  dial();
  HealthNews news;
  news.is_bad = true;
  news.cause = Cause::kBrokenUp;
  news.sentence = "A hears B badly";
  news.leg = "B";
  news.media = 1;
  const Call& call = *world_->manager().find("c");
  calls_.on_health(call, news);
  HealthNews recovered;
  recovered.cause = Cause::kBrokenUp;
  recovered.lasted = 3s;
  calls_.on_health(call, recovered);
  const auto told = of(EventType::kQuality);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0]["sentence"], "A hears B badly");
  EXPECT_EQ(told[1]["state"], "recovered");
  EXPECT_EQ(told[1]["lasted"], 3.0);
}

TEST_F(CallEventsTest, KeysAreToldAsPeopleWriteThem) {
  dial();
  Call& call = *world_->manager().find("c");
  DtmfEvent hash;
  hash.event = 11;
  hash.volume = 10;
  hash.duration_ms = 90;
  calls_.on_dtmf(call, *call.legs[0], hash);
  DtmfEvent flash;
  flash.event = 16;
  calls_.on_dtmf(call, *call.legs[1], flash);
  const auto told = of(EventType::kDtmf);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0]["digit"], "#");
  EXPECT_EQ(told[0]["event"], 11);
  EXPECT_EQ(told[0]["duration-ms"], 90);
  EXPECT_EQ(told[0]["volume"], 10);
  EXPECT_EQ(told[0]["tag"], "A");
  EXPECT_FALSE(told[1].contains("digit")) << "a flash of the hook is no digit";
}

TEST_F(CallEventsTest, NoDigitIsToldUnlessItIsAskedFor) {
  dial();
  Call& call = *world_->manager().find("c");
  events::CallEvents hiding(stream_, [this] { return world_->clock().wall; });
  DtmfEvent seven;
  seven.event = 7;
  hiding.on_dtmf(call, *call.legs[0], seven);
  const auto told = of(EventType::kDtmf);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_FALSE(told[0].contains("digit"));
  EXPECT_FALSE(told[0].contains("event")) << "the event of RFC 4733 is the digit";
}

TEST_F(CallEventsTest, NoDigitIsToldWhileTheRecordingIsPausedOrDigitsAreGuarded) {
  auto message = offer("c", "A", audio_sdp(a_));
  message["record-call"] = "yes";
  world_->ng(message);
  world_->ng(answer("c", "A", "B", audio_sdp(b_)));
  Call& call = *world_->manager().find("c");
  DtmfEvent seven;
  seven.event = 7;
  const auto is_told = [&] {
    calls_.on_dtmf(call, *call.legs[0], seven);
    return told_.back().contains("digit") || told_.back().contains("event");
  };
  EXPECT_TRUE(is_told());
  world_->ng({{"command", "pause recording"}, {"call-id", "c"}});
  EXPECT_FALSE(is_told());
  world_->ng({{"command", "start recording"}, {"call-id", "c"}});
  EXPECT_TRUE(is_told());
  world_->ng({{"command", "block DTMF"}, {"call-id", "c"}});
  EXPECT_FALSE(is_told());
  world_->ng({{"command", "unblock DTMF"}, {"call-id", "c"}});
  EXPECT_TRUE(is_told());
}

TEST_F(CallEventsTest, WithoutMemoryEventsAreCountedAndTheCallIsForgottenAllTheSame) {
  const std::string id(200, 'c');
  dial(id);
  Call& call = *world_->manager().find(id);
  DtmfEvent seven;
  seven.event = 7;
  const std::size_t before = told_.size();
  // Every text that has the Call-ID fails, and nothing is thrown at whoever tells.
  FailingMemory::least = id.size();
  FailingMemory::failures = 1'000'000;
  FailingMemory::left = 0;
  calls_.on_dtmf(call, *call.legs[0], seven);
  calls_.on_recording(call, RecordingStep::kBegan, "a test");
  calls_.on_planned(call);
  calls_.look();
  calls_.on_ending(call, EndReason::kTimeout, world_->clock());
  FailingMemory::left = -1;
  FailingMemory::failures = 0;
  FailingMemory::least = 0;
  EXPECT_GE(stream_.counts().without_memory, 3u);
  EXPECT_EQ(told_.size(), before);
  EXPECT_EQ(calls_.waiting(), 0u) << "no pointer to the call is left";
  calls_.on_dtmf(call, *call.legs[0], seven);
  EXPECT_EQ(told_.size(), before + 1);
}

TEST_F(CallEventsTest, RecordingsBeginAndEndWithinTheCall) {
  auto message = offer("c", "A", audio_sdp(a_));
  message["record-call"] = "yes";
  world_->ng(message);
  world_->ng({{"command", "stop recording"}, {"call-id", "c"}});
  world_->ng({{"command", "start recording"}, {"call-id", "c"}});
  end();
  ASSERT_EQ(types(), (Types{"call-start", "recording-start", "recording-end", "recording-start",
                            "recording-end", "call-end"}));
  EXPECT_TRUE(told_[2]["reason"].get<std::string>().starts_with("stopped by"));
  EXPECT_TRUE(told_[4]["reason"].get<std::string>().starts_with("the call ended"));
}

TEST_F(CallEventsTest, ACallThatBecomesPartOfAnotherEnds) {
  dial("c");
  dial("d", "C", "D");
  const json done = world_->ng(
      {{"command", "connect"}, {"call-id", "c"}, {"from-tag", "A"}, {"to-call-id", "d"}, {"to-tag", "C"}});
  ASSERT_EQ(done["result"], "ok") << done;
  auto ended = of(EventType::kCallEnd);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0]["reason"], "merged");
  EXPECT_EQ((std::set<std::string>{ended[0]["call-id"], ended[0]["into"]}),
            (std::set<std::string>{"c", "d"}));
  run_for(1s);
  // Each Call-ID ends the parties that came under it.
  for (const char* id : {"c", "d"}) world_->ng({{"command", "delete"}, {"call-id", id}, {"delete-delay", 0}});
  EXPECT_EQ(world_->manager().size(), 0u);
  EXPECT_EQ(calls_.waiting(), 0u);
}

TEST_F(CallEventsTest, CallsThatGoOnEndWhenTheRelayStops) {
  dial("c");
  dial("d");
  calls_.stop();
  const auto ended = of(EventType::kCallEnd);
  ASSERT_EQ(ended.size(), 2u);
  EXPECT_EQ(ended[0]["reason"], "relay-stopped");
}

TEST_F(CallEventsTest, CallsThatAreJustEndingEndWhenTheRelayStops) {
  dial("c");
  Call& call = *world_->manager().find("c");
  // Its report would come with the next look at the workers.
  calls_.on_ending(call, EndReason::kRegular, world_->clock());
  calls_.stop();
  const auto ended = of(EventType::kCallEnd);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0]["reason"], to_string(EndReason::kRegular));
}

class RtpproxyEventsTest : public CallEventsTest {
 protected:
  RtpproxyEventsTest() : CallEventsTest(options()) {}
  static WorldOptions options() {
    WorldOptions made;
    made.rtpproxy = true;
    return made;
  }
};

TEST_F(RtpproxyEventsTest, SessionsHaveTheCallIdThatTheProxyKnows) {
  world_->rtpproxy("U c 192.0.2.10 4000 A");
  world_->rtpproxy("D c A");
  ASSERT_EQ(types(), (Types{"call-start", "call-end"}));
  EXPECT_EQ(told_[0]["call-id"], "c");
  EXPECT_EQ(told_[1]["call-id"], "c");
}

}  // namespace
}  // namespace ferry::test::call_events_test
