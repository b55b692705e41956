// SPDX-License-Identifier: Apache-2.0
// Running calls that become bad and recover, in virtual time: what is told then, what is counted, and which
// calls a list has first.

#include "control/session/health_watch.hpp"

#include "control/call/call.hpp"
#include "control/protocol/cli/cli_service.hpp"
#include "tests/support/world.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr Duration kPacketTime = 20ms;

class HealthWatchTest : public ::testing::Test {
 protected:
  struct Told {
    Duration at{0};
    std::string call;
    HealthNews news;
  };
  HealthWatchTest() {
    WorldOptions options;
    options.workers = 2;
    options.listener.on_health = [this](const Call& call, const HealthNews& news) {
      told_.push_back({world_->elapsed(), call.id, news});
    };
    world_ = make_sim_world(options);
    cli_ = std::make_unique<cli::CliService>(world_->manager(), world_->service(),
                                             [this] { return world_->clock(); });
  }

  /// A call of two parties, A and B, at addresses of their own.
  struct Pair {
    std::string id;
    Endpoint a, b;
    UdpPort to_a, to_b;
    std::uint16_t next_of_a = 1;
    std::uint16_t next_of_b = 1;
  };
  Pair dial(const std::string& id, unsigned row) {
    Pair pair;
    pair.id = id;
    pair.a = {world_->peer_address(row, 'a'), UdpPort{4000}};
    pair.b = {world_->peer_address(row, 'b'), UdpPort{5000}};
    world_->open(pair.a);
    world_->open(pair.b);
    pair.to_b = World::port_of(world_->ng(offer(id, "A", audio_sdp(pair.a))));
    pair.to_a = World::port_of(world_->ng(answer(id, "A", "B", audio_sdp(pair.b))));
    return pair;
  }
  /// Both sides speak for `time` from now on. Of B's packets the network takes those for which `arrives` is
  /// false.
  void talk(
      Pair& pair, Duration time, const std::function<bool(int)>& arrives = [](int) { return true; }) {
    for (int n = 0; n < time / kPacketTime; ++n) {
      say(pair.a, at(pair.to_a), 'A', pair.next_of_a++, n * kPacketTime);
      if (const std::uint16_t number = pair.next_of_b++; arrives(n))
        say(pair.b, at(pair.to_b), 'B', number, n * kPacketTime);
    }
  }
  /// A alone speaks for `time` from now on.
  void talk_alone(Pair& pair, Duration time) {
    for (int n = 0; n < time / kPacketTime; ++n)
      say(pair.a, at(pair.to_a), 'A', pair.next_of_a++, n * kPacketTime);
  }
  /// A packet of 20 ms with sound in it, `after` that time.
  void say(const Endpoint& from, const Endpoint& to, char sender, std::uint16_t number, Duration after) {
    world_->at(world_->elapsed() + after, [this, from, to, sender, number] {
      Packet packet = rtp(sender, static_cast<std::uint32_t>(sender), number);
      write_u32(packet, 4, static_cast<std::uint32_t>(world_->elapsed() / kPacketTime * 160));
      for (std::size_t i = kRtpFixedHeaderSize + 1; i < packet.size(); ++i)
        packet[i] = static_cast<std::byte>(i * 37 + number * 11);
      world_->send(from, to, packet);
    });
  }
  void run_for(Duration time) { world_->run(world_->elapsed() + time); }
  Endpoint at(UdpPort port) const { return {world_->relay_address(), port}; }
  json list(const std::string& sort = "severity") {
    return cli_->execute({{"command", "list"}, {"sort", sort}}, "test")["calls"];
  }
  json row(const std::string& id) {
    for (const json& each : list()) {
      if (each["call_id"] == id) return each;
    }
    return nullptr;
  }
  const HealthWatch& watch() { return world_->manager().health(); }
  std::uint64_t became_bad() const {
    const auto& counts = world_->manager().health().totals().became_bad;
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  }
  std::uint64_t recovered() const {
    const auto& counts = world_->manager().health().totals().recovered;
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  }

  std::vector<Told> told_;
  std::unique_ptr<World> world_;
  std::unique_ptr<cli::CliService> cli_;
};

TEST_F(HealthWatchTest, ACallThatIsHeardIsFine) {
  Pair call = dial("c", 1);
  talk(call, 60s);
  run_for(60s);
  EXPECT_TRUE(told_.empty());
  const json found = row("c");
  EXPECT_EQ(found["severity"], "fine") << found;
  EXPECT_EQ(found["verdict"], "fine");
  EXPECT_EQ(found["hears"], "all");
  EXPECT_EQ(found["bad"], false);
}

TEST_F(HealthWatchTest, OneWayFromTheStartAlarmsOnce) {
  Pair call = dial("c", 1);
  talk_alone(call, 60s);
  run_for(60s);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_TRUE(told_[0].news.is_bad);
  EXPECT_EQ(told_[0].call, "c");
  EXPECT_GE(told_[0].at, 5s);
  EXPECT_LE(told_[0].at, 9s);
  EXPECT_EQ(told_[0].news.cause, Cause::kNeverSent);
  EXPECT_FALSE(told_[0].news.sentence.empty());
  EXPECT_EQ(became_bad(), 1u);
  EXPECT_EQ(watch().totals().became_bad[static_cast<std::size_t>(Cause::kNeverSent)], 1u);
  EXPECT_EQ(watch().bad_calls().hear_nothing, 1u);
  const json found = row("c");
  EXPECT_EQ(found["severity"], "fault") << found;
  EXPECT_EQ(found["hears"], "nothing");
  EXPECT_EQ(found["bad"], true);
  EXPECT_EQ(found["verdict"], "never-sent");
  EXPECT_EQ(found["where"]["media"], 1);
}

TEST_F(HealthWatchTest, ASideThatStopsAlarmsAndItsReturnRecovers) {
  Pair call = dial("c", 1);
  talk(call, 20s);
  run_for(20s);
  talk_alone(call, 20s);
  run_for(20s);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_TRUE(told_[0].news.is_bad);
  EXPECT_GE(told_[0].at, 25s);
  EXPECT_LE(told_[0].at, 30s);
  talk(call, 40s);
  run_for(40s);
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_FALSE(told_[1].news.is_bad);
  EXPECT_EQ(told_[1].news.cause, told_[0].news.cause);
  EXPECT_GE(told_[1].news.lasted, 8s);
  EXPECT_LE(told_[1].at, 62s);
  EXPECT_EQ(became_bad(), 1u);
  EXPECT_EQ(recovered(), 1u);
  EXPECT_EQ(watch().bad_calls().hear_nothing, 0u);
}

TEST_F(HealthWatchTest, LossAboveTheThresholdForTenSeconds) {
  Pair call = dial("c", 1);
  talk(call, 20s);
  run_for(20s);
  talk(call, 40s, [](int n) { return n % 4 != 0; });
  run_for(40s);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_TRUE(told_[0].news.is_bad);
  EXPECT_GE(told_[0].at, 28s);
  EXPECT_LE(told_[0].at, 33s);
  EXPECT_EQ(watch().bad_calls().hear_some, 1u);
  const json found = row("c");
  EXPECT_EQ(found["hears"], "some") << found;
  EXPECT_NEAR(found["loss_10s_percent"].get<double>(), 25, 3);
  talk(call, 40s);
  run_for(40s);
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_FALSE(told_[1].news.is_bad);
}

TEST_F(HealthWatchTest, AShortHoleIsNoAlarm) {
  Pair call = dial("c", 1);
  talk(call, 20s);
  run_for(20s);
  talk_alone(call, 3s);
  run_for(3s);
  talk(call, 40s);
  run_for(40s);
  EXPECT_TRUE(told_.empty());
}

TEST_F(HealthWatchTest, HoldIsNoAlarm) {
  struct Case {
    const char* id;
    const char* asked;
    const char* answered;
    bool a_plays_music;
  };
  const Case cases[] = {{"inactive", "a=inactive\r\n", "a=inactive\r\n", false},
                        {"sendonly", "a=sendonly\r\n", "a=recvonly\r\n", true}};
  unsigned row = 1;
  for (const Case& each : cases) {
    Pair call = dial(each.id, row++);
    talk(call, 20s);
    run_for(20s);
    world_->ng(offer(each.id, "A", audio_sdp(call.a, each.asked)));
    world_->ng(answer(each.id, "A", "B", audio_sdp(call.b, each.answered)));
    if (each.a_plays_music) talk_alone(call, 120s);
    run_for(120s);
    EXPECT_TRUE(told_.empty()) << each.id << ": " << told_.front().news.sentence;
    EXPECT_NE(this->row(each.id)["severity"], "fault") << this->row(each.id);
  }
}

TEST_F(HealthWatchTest, ACallThatNobodyHasAnsweredIsNoAlarm) {
  const Endpoint a{world_->peer_address(1, 'a'), UdpPort{4000}};
  world_->ng(offer("c", "A", audio_sdp(a)));
  run_for(60s);
  EXPECT_TRUE(told_.empty());
}

TEST_F(HealthWatchTest, FlappingIsToldOnceInThirtySeconds) {
  Pair call = dial("c", 1);
  for (int round = 0; round < 12; ++round) {
    talk(call, 12s);
    run_for(12s);
    talk_alone(call, 9s);
    run_for(9s);
  }
  talk(call, 60s);
  run_for(60s);
  EXPECT_GE(became_bad(), 10u);
  EXPECT_EQ(became_bad(), recovered());
  std::vector<Duration> bad;
  for (const Told& each : told_) {
    if (each.news.is_bad) bad.push_back(each.at);
  }
  EXPECT_EQ(told_.size(), 2 * bad.size()) << "pairs";
  EXPECT_LT(bad.size(), became_bad());
  for (std::size_t i = 1; i < bad.size(); ++i) EXPECT_GE(bad[i] - bad[i - 1], 30s);
}

TEST_F(HealthWatchTest, AStopOfTheProcessIsNoAlarm) {
  Pair call = dial("c", 1);
  talk(call, 90s);
  run_for(20s);
  world_->stop();
  run_for(30s);
  world_->go_on();
  run_for(40s);
  EXPECT_TRUE(told_.empty());
}

TEST_F(HealthWatchTest, ADeletedCallFallsSilentWithoutAnAlarm) {
  Pair call = dial("c", 1);
  talk(call, 10s);
  run_for(10s);
  world_->ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "A"}, {"delete-delay", 50}});
  run_for(40s);
  EXPECT_TRUE(told_.empty());
  EXPECT_EQ(row("c")["severity"], "fine") << row("c");
  run_for(20s);
  EXPECT_EQ(watch().size(), 0u);
}

TEST_F(HealthWatchTest, ACallThatIsRevivedIsJudgedAsItIsNow) {
  const auto explained = [&] { return cli_->execute({{"command", "explain"}, {"call_id", "c"}}, "test"); };
  Pair call = dial("c", 1);
  talk(call, 10s);
  run_for(10s);
  world_->ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "A"}, {"delete-delay", 50}});
  ASSERT_EQ(explained()["severity"], "fine") << explained();
  // New signalling revives it (docs/reference/ng.md#delete); then B falls silent.
  world_->ng(offer("c", "A", audio_sdp(call.a)));
  world_->ng(answer("c", "A", "B", audio_sdp(call.b)));
  talk_alone(call, 20s);
  run_for(20s);
  EXPECT_EQ(explained()["state"], "running");
  EXPECT_EQ(explained()["severity"], "fault") << explained();
  EXPECT_EQ(told_.size(), 1u);
}

TEST_F(HealthWatchTest, APartyThatIsDeletedIsNotWaitedFor) {
  // A's call rings two phones, and both answer; the proxy deletes the part of B.
  const Endpoint a{world_->peer_address(1, 'a'), UdpPort{4000}};
  const Endpoint c{world_->peer_address(1, 'c'), UdpPort{6000}};
  for (const Endpoint& each : {a, c}) world_->open(each);
  UdpPort to_a;
  UdpPort to_c;
  for (const char* branch : {"to-b", "to-c"}) {
    json asked = offer("c", "A", audio_sdp(a));
    asked["via-branch"] = branch;
    to_c = World::port_of(world_->ng(asked));
  }
  const std::pair<const char*, Endpoint> phones[] = {{"B", {world_->peer_address(1, 'b'), UdpPort{5000}}},
                                                     {"C", c}};
  for (const auto& [tag, phone] : phones) {
    json answered = answer("c", "A", tag, audio_sdp(phone));
    answered["via-branch"] = tag == std::string_view("B") ? "to-b" : "to-c";
    to_a = World::port_of(world_->ng(answered));
  }
  const json deleted = world_->ng({{"command", "delete"},
                                   {"call-id", "c"},
                                   {"from-tag", "A"},
                                   {"to-tag", "B"},
                                   {"flags", {"to-tag"}},
                                   {"delete-delay", 50}});
  ASSERT_EQ(deleted["result"], "ok") << deleted;
  const Call* call = world_->manager().find("c");
  ASSERT_FALSE(call->delete_at);
  ASSERT_TRUE(std::ranges::any_of(call->legs, [](const auto& leg) { return leg->delete_at.has_value(); }));
  for (int n = 0; n < 40s / kPacketTime; ++n) {
    say(a, at(to_a), 'A', static_cast<std::uint16_t>(n), n * kPacketTime);
    say(c, at(to_c), 'C', static_cast<std::uint16_t>(n), n * kPacketTime);
  }
  run_for(40s);
  for (const Told& each : told_) ADD_FAILURE() << each.news.sentence;
  const json explained = cli_->execute({{"command", "explain"}, {"call_id", "c"}}, "test");
  for (const json& verdict : explained["verdicts"]) EXPECT_NE(verdict["leg"], "B") << verdict;
}

TEST_F(HealthWatchTest, ABadCallThatIsDeletedCountsNoLonger) {
  Pair call = dial("c", 1);
  talk_alone(call, 20s);
  run_for(20s);
  ASSERT_EQ(watch().bad_calls().hear_nothing, 1u);
  world_->ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "A"}, {"delete-delay", 20}});
  EXPECT_EQ(watch().bad_calls().hear_nothing, 0u);
  EXPECT_EQ(row("c")["severity"], "fault") << "it is shown as it was";
  run_for(40s);
  EXPECT_EQ(watch().size(), 0u);
  EXPECT_EQ(told_.size(), 1u);
}

TEST_F(HealthWatchTest, TheListHasTheWorstFirst) {
  // Older calls are the better ones, so that no other order gives this one.
  Pair fine = dial("fine", 1);
  Pair lossy = dial("lossy", 2);
  Pair mute = dial("mute", 3);
  talk(fine, 30s);
  talk(lossy, 30s, [](int n) { return n % 4 != 0; });
  talk_alone(mute, 30s);
  run_for(30s);
  const json calls = list();
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(calls[0]["call_id"], "mute") << calls.dump(1);
  EXPECT_EQ(calls[1]["call_id"], "lossy");
  EXPECT_EQ(calls[2]["call_id"], "fine");
  const json first = cli_->execute({{"command", "top"}, {"limit", 1}}, "test")["calls"];
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0]["call_id"], "mute");
  EXPECT_EQ(list("age")[0]["call_id"], "fine") << "another order if it is asked for";
}

TEST_F(HealthWatchTest, TopTellsOfRefusedRequestsTheNewestReasonFirst) {
  const auto refused = [&] { return cli_->execute({{"command", "top"}}, "test")["refused_requests"]; };
  EXPECT_EQ(refused(), json::array());
  world_->ng(offer("no-sdp", "A", "v=0\r\nthis is none"));
  world_->ng(offer("no-sdp", "A", "v=0\r\nthis is none"));
  run_for(3s);
  const Endpoint b{world_->peer_address(1, 'b'), UdpPort{5000}};
  world_->ng(answer("no-call", "A", "B", audio_sdp(b)));
  run_for(2s);
  const json list = refused();
  ASSERT_EQ(list.size(), 2u) << list;
  EXPECT_EQ(list[0]["reason"], "unknown-call");
  EXPECT_EQ(list[0]["count"], 1);
  EXPECT_NEAR(list[0]["age_s"].get<double>(), 2, 0.1);
  EXPECT_EQ(list[1]["reason"], "sdp");
  EXPECT_EQ(list[1]["count"], 2);
  EXPECT_NEAR(list[1]["age_s"].get<double>(), 5, 0.1);
}

TEST_F(HealthWatchTest, AListLooksAnewAtItsFirstCalls) {
  constexpr std::size_t kMany = 300;
  for (std::size_t n = 0; n < kMany; ++n) {
    const Endpoint a{world_->peer_address(static_cast<unsigned>(n % 250), 'a'), UdpPort{4000}};
    world_->ng(offer("call-" + std::to_string(n), "A", audio_sdp(a)));
  }
  // How long ago each call was looked at, in the order of the list.
  const auto ages = [&] {
    std::vector<Duration> all;
    for (const json& each : list("age")) {
      const Call* call = world_->manager().find(each["call_id"].get<std::string>());
      all.push_back(world_->clock().now - watch().of(*call).looked_at());
    }
    return all;
  };
  run_for(20s);
  run_for(500ms);  // no turn comes at this moment
  const std::vector<Duration> listed = ages();
  ASSERT_EQ(listed.size(), kMany);
  EXPECT_LE(*std::max_element(listed.begin(), listed.begin() + 256), 1s);
  EXPECT_GT(std::count(listed.begin(), listed.begin() + 256, 0s), 200) << "most were old";
  EXPECT_EQ(std::count(listed.begin() + 256, listed.end(), 0s), 0);
  run_for(100ms);
  const std::vector<Duration> again = ages();
  EXPECT_EQ(std::count(again.begin(), again.end(), 0s), 0) << "a look is good for a second";
}

TEST_F(HealthWatchTest, ACallThatIsRestoredIsNoAlarmAtOnce) {
  Pair call = dial("c", 1);
  talk(call, 10s);
  run_for(10s);
  const json record = json::parse(world_->manager().export_call("c", world_->clock()).dump());
  world_->manager().terminate("c", world_->clock());
  world_->manager().flush(world_->clock());
  EXPECT_EQ(watch().size(), 0u);
  run_for(20s);
  ASSERT_TRUE(world_->manager().restore_call(record, world_->clock()));
  const Duration restored = world_->elapsed();
  talk_alone(call, 20s);
  run_for(20s);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_GE(told_[0].at - restored, 5s);
}

TEST_F(HealthWatchTest, AMoveToAnotherWorkerIsNoAlarm) {
  Pair call = dial("c", 1);
  talk(call, 60s);
  for (int n = 0; n < 10; ++n) {
    run_for(6s);
    const std::size_t worker = world_->manager().find("c")->worker;
    ASSERT_TRUE(world_->manager().move_call("c", 1 - worker));
  }
  EXPECT_TRUE(told_.empty());
  EXPECT_EQ(row("c")["severity"], "fine") << row("c");
}

TEST_F(HealthWatchTest, CallsThatComeAndGoWhileTheyAreWatched) {
  // Every place of the watch is left and taken again, in all orders.
  std::uint32_t random = 7;
  const auto draw = [&](std::uint32_t below) {
    return (random = random * 1664525 + 1013904223) / 65536 % below;
  };
  std::vector<std::string> running;
  for (int round = 0; round < 600; ++round) {
    const std::string id = "call-" + std::to_string(round);
    if (running.size() < 12 && draw(3) != 0) {
      dial(id, 1 + draw(200));
      running.push_back(id);
    } else if (!running.empty()) {
      const auto gone = running.begin() + draw(static_cast<std::uint32_t>(running.size()));
      world_->manager().terminate(*gone, world_->clock());  // it may have ended by its time-out
      world_->manager().flush(world_->clock());
      running.erase(gone);
    }
    run_for(700ms);
    ASSERT_EQ(watch().size(), world_->manager().size());
    ASSERT_EQ(list().size(), world_->manager().size());
  }
  world_->manager().terminate_all(world_->clock());
  world_->manager().flush(world_->clock());
  EXPECT_EQ(watch().size(), 0u);
  run_for(3s);
}

TEST_F(HealthWatchTest, AMergedCallIsOneCall) {
  const Endpoint a{world_->peer_address(1, 'a'), UdpPort{4000}};
  const Endpoint b{world_->peer_address(1, 'b'), UdpPort{4000}};
  world_->ng(offer("one", "A", audio_sdp(a)));
  world_->ng(offer("two", "B", audio_sdp(b)));
  EXPECT_EQ(watch().size(), 2u);
  const json connected = world_->ng({{"command", "connect"},
                                     {"call-id", "one"},
                                     {"from-tag", "A"},
                                     {"to-call-id", "two"},
                                     {"to-tag", "B"}});
  ASSERT_EQ(connected["result"], "ok") << connected;
  EXPECT_EQ(watch().size(), 1u);
  run_for(60s);
  EXPECT_EQ(list().size(), 1u);
}

TEST(HealthWatchTurns, AreBoundedAndReachEveryCall) {
  HealthWatch watch;
  std::vector<std::unique_ptr<Call>> calls;
  const Instant start{1h};
  constexpr std::size_t kMany = 5000;
  for (std::size_t n = 0; n < kMany; ++n) {
    calls.push_back(std::make_unique<Call>());
    calls.back()->last_signal = start;
    watch.add(*calls.back(), start);
  }
  std::set<const Call*> reached;
  Instant now = start + 1h;  // all are overdue
  std::size_t turns = 0;
  for (; reached.size() < kMany && turns < 10'000; ++turns) {
    const auto& due = watch.next(now);
    ASSERT_LE(due.size(), HealthWatch::kGlances);
    for (const Call* call : due) {
      EXPECT_TRUE(reached.insert(call).second) << "not twice while others wait";
      watch.take(*call, {}, now);
    }
    now += HealthWatch::kTurnInterval;
  }
  EXPECT_EQ(reached.size(), kMany);
  EXPECT_LE(turns, kMany / HealthWatch::kGlances + 100);
}

TEST_F(HealthWatchTest, LargeCallsDoNotComeTogetherInOneTurn) {
  // Two parties with 32 m-lines each, as many as an SDP may have: two such calls are the 128 media of a turn.
  constexpr unsigned kCalls = 6;
  const auto sdp = [&](unsigned row, char who) {
    std::string text = audio_sdp({world_->peer_address(row, who), UdpPort{4000}});
    for (unsigned i = 1; i < 32; ++i) text += "m=audio " + std::to_string(4000 + 2 * i) + " RTP/AVP 8\r\n";
    return text;
  };
  const auto name = [](unsigned n) { return "call-" + std::to_string(n); };
  for (unsigned n = 0; n < kCalls; ++n) {
    const json offered = world_->ng(offer(name(n), "A", sdp(n + 1, 'a')));
    ASSERT_EQ(offered["result"], "ok") << offered;
    ASSERT_EQ(world_->ng(answer(name(n), "A", "B", sdp(n + 1, 'b')))["result"], "ok");
    ASSERT_EQ(world_->manager().find(name(n))->legs[1]->medias.size(), 32u);
  }
  run_for(20s);
  // Nobody looked for so long that each turn finds all calls due.
  Clock clock = world_->clock();
  std::set<std::string> reached;
  for (int turn = 0; turn < 3; ++turn) {
    clock.now += HealthWatch::kRoutineTime + 1s;
    ASSERT_TRUE(world_->manager().watch(clock));
    std::size_t looks = 0;
    for (unsigned n = 0; n < kCalls; ++n) {
      if (watch().of(*world_->manager().find(name(n))).looked_at() != clock.now) continue;
      reached.insert(name(n));
      ++looks;
    }
    EXPECT_EQ(looks, 2u) << "turn " << turn;
  }
  EXPECT_EQ(reached.size(), kCalls) << "the next turn goes on where the last one ended";
}

}  // namespace
}  // namespace ferry::test
