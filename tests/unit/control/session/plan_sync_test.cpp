// SPDX-License-Identifier: Apache-2.0
// Workers follow the calls: what they are told, and that it is only what changed.
#include "control/session/plan_sync.hpp"

#include "tests/support/packets.hpp"
#include "tests/support/session_parts.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

/// Counts what observers are told of plans.
struct Told final : CallObserver {
  void on_planned(Call& call) override { planned.push_back(call.id); }
  void on_moved(Call&, const MediaTransport& transport, const LocalPorts&, TransportId) override {
    moved.push_back(transport.leg->tag);
  }
  std::vector<std::string> planned;
  std::vector<std::string> moved;
};

class PlanSyncTest : public testing::Test {
 protected:
  PlanSyncTest() { parts_.observers.add(told_); }
  std::uint64_t posted(std::size_t worker) { return parts_.plane.worker(worker).posted(); }
  SessionParts parts_{{.workers = 2}};
  Told told_;
};

TEST_F(PlanSyncTest, ANewCallIsInstalledAndOnlyDifferencesFollow) {
  Call& call = parts_.add_call();
  EXPECT_EQ(parts_.plane.worker(call.worker).transports(), 2u);
  EXPECT_EQ(told_.planned, std::vector<std::string>{"call"});
  const std::uint64_t before = posted(call.worker);
  parts_.plans.sync(call);
  EXPECT_EQ(posted(call.worker), before) << "nothing changed";
  EXPECT_EQ(told_.planned.size(), 2u);
  const auto plan_of_b = SessionParts::ports(call, 1).plan;
  SessionParts::media(call, 0).may_receive = false;
  parts_.plans.sync(call);
  EXPECT_GT(posted(call.worker), before);
  EXPECT_LE(posted(call.worker), before + 2) << "one command for each plan that differs";
  EXPECT_NE(SessionParts::ports(call, 1).plan, plan_of_b) << "what B sends does not go to A any more";
}

TEST_F(PlanSyncTest, PortsHaveTheirOwnerBeforePacketsFlow) {
  Call& call = parts_.add_call();
  for (const std::size_t leg : {0u, 1u}) {
    const LocalPorts& ports = SessionParts::ports(call, leg);
    MediaTransport* transport = SessionParts::media(call, leg).via;
    EXPECT_EQ(parts_.interfaces.owner_of({parts_.local().address, ports.port}), transport);
    EXPECT_EQ(parts_.plane.owner(call.worker, ports.transport), transport);
  }
}

TEST_F(PlanSyncTest, PacketsGoWhereThePlanSays) {
  Call& call = parts_.add_call();
  std::vector<Endpoint> reached;
  parts_.network.set_outlet([&](const SimDatagram& datagram) {
    reached.push_back(datagram.to);
    return true;
  });
  const auto speak = [&](std::uint16_t sequence) {
    parts_.network.send_to_relay({at("198.51.100.1:4000"),
                                  {parts_.local().address, SessionParts::ports(call, 0).port},
                                  rtp('A', 1, sequence)});
    parts_.plane.worker(call.worker).run_once();
  };
  for (std::uint16_t n = 1; n <= 3; ++n) speak(n);
  EXPECT_EQ(reached, std::vector<Endpoint>(3, at("198.51.100.2:5000")));
  call.blocked = true;
  parts_.plans.sync(call);
  parts_.plane.fence();
  speak(4);
  EXPECT_EQ(reached.size(), 3u) << "the call is blocked";
}

// LIM-5: the other call is planned again when it turns out that this one leads to it.
TEST_F(PlanSyncTest, LIM5_ACallThatLeadsToAnotherHasBothPlannedAgain) {
  Call& first = parts_.add_call("first");
  Call& second = parts_.lifetime.create("second", parts_.clock());
  const Endpoint door{parts_.local().address, SessionParts::ports(first, 1).port};
  SessionParts::join(parts_.add_party(second, "C", "198.51.100.3:6000"),
                     parts_.add_party(second, "D", door.to_string()));
  told_.planned.clear();
  parts_.plans.sync(second);
  EXPECT_EQ(told_.planned, (std::vector<std::string>{"second", "first"}));
  parts_.plane.fence();
}

TEST_F(PlanSyncTest, AllCallsArePlannedAgainOnDemand) {
  parts_.add_call("first");
  parts_.add_call("second");
  told_.planned.clear();
  parts_.plans.sync_all();
  EXPECT_EQ(told_.planned.size(), 2u);
}

TEST_F(PlanSyncTest, ACallMovesWithWhatItsTransportsKnow) {
  Call& call = parts_.add_call();
  const std::size_t from = call.worker;
  const std::size_t to = 1 - from;
  for (std::uint16_t n = 1; n <= 3; ++n) {
    parts_.network.send_to_relay({at("198.51.100.1:4000"),
                                  {parts_.local().address, SessionParts::ports(call, 0).port},
                                  rtp('A', 1, n)});
  }
  parts_.plane.worker(from).run_once();
  EXPECT_FALSE(parts_.plans.move(call, from)) << "it is there";
  EXPECT_FALSE(parts_.plans.move(call, 2)) << "there is no such worker";
  EXPECT_TRUE(told_.moved.empty());
  ASSERT_TRUE(parts_.plans.move(call, to));
  EXPECT_EQ(call.worker, to);
  EXPECT_EQ(told_.moved, (std::vector<std::string>{"A", "B"}));
  EXPECT_EQ(parts_.plane.worker(from).transports(), 0u);
  EXPECT_EQ(parts_.plane.worker(to).transports(), 2u);
  const TransportSnapshot snapshot = parts_.snapshots.read_one(call, SessionParts::ports(call, 0));
  EXPECT_EQ(snapshot.counters[0].packets_in, 3u);
  EXPECT_EQ(snapshot.latch[0].peer, at("198.51.100.1:4000"));
  EXPECT_EQ(parts_.plane.owner(to, SessionParts::ports(call, 0).transport), SessionParts::media(call, 0).via);
  EXPECT_EQ(parts_.network.open_ports(), 4u) << "on the same ports";
}

// docs/reference/ng.md#learning: empty RTP packets until something arrives, for 10 s.
TEST_F(PlanSyncTest, PiercingEndsWithTheFirstPacketOrAfterTenSeconds) {
  for (const bool is_heard : {false, true}) {
    SessionParts parts;
    Call& call = parts.add_call();
    SessionParts::media(call, 0).via->pierce = true;
    std::size_t probes = 0;
    parts.network.set_outlet([&](const SimDatagram& datagram) {
      probes += datagram.to == at("198.51.100.1:4000") ? 1u : 0u;
      return true;
    });
    parts.plans.start_piercing(call, parts.now());
    parts.plane.fence();
    EXPECT_EQ(probes, 1u) << "at once";
    for (int second = 0; second < 20; ++second) {
      parts.pass(1s);
      if (is_heard && second == 4) {
        parts.network.send_to_relay({at("198.51.100.1:4000"),
                                     {parts.local().address, SessionParts::ports(call, 0).port},
                                     rtp('A', 1, 1)});
        parts.plane.worker(0).run_once();
      }
      parts.plans.pierce(parts.now());
      parts.plane.fence();
    }
    EXPECT_EQ(probes, is_heard ? 5u : 11u);
  }
}

TEST_F(PlanSyncTest, PiercingForgetsACallThatIsGone) {
  Call& call = parts_.add_call();
  SessionParts::media(call, 0).via->pierce = true;
  parts_.plans.start_piercing(call, parts_.now());
  parts_.lifetime.end(call, EndReason::kRegular, parts_.clock());
  parts_.lifetime.settle(parts_.now());
  parts_.pass(1s);
  const std::uint64_t before = posted(0) + posted(1);
  parts_.plans.pierce(parts_.now());
  EXPECT_EQ(posted(0) + posted(1), before);
}

// LAT-12b, by the register that the plans ask: of 21 silent parties at one address one is stopped.
TEST_F(PlanSyncTest, LAT12b_OneOfTooManySilentPartiesOfAnAddressIsStopped) {
  SessionParts parts({.last = UdpPort{30199}});
  const auto limited = [&] {
    std::size_t count = 0;
    for (const auto& [id, call] : parts.calls.all())
      count += SessionParts::ports(*call, 1).plan->unheard_until != Instant::max() ? 1u : 0u;
    return count;
  };
  for (std::uint16_t n = 0; n < 21; ++n) {
    Call& call = parts.lifetime.create("call" + std::to_string(n), parts.clock());
    Media& a = parts.add_party(call, "A", "198.51.100.1:" + std::to_string(4000 + 2 * n));
    SessionParts::join(a, parts.add_party(call, "B", "203.0.113.9:" + std::to_string(4000 + 2 * n)));
    a.via->rules.unidirectional = true;  // need not speak
    call.last_signal = parts.now();
    parts.plans.sync(call);
    parts.plane.fence();
  }
  for (int second = 0; second < 15; ++second) {
    parts.pass(1s);
    parts.plans.limit_unheard(parts.now());
    parts.plane.fence();
  }
  EXPECT_EQ(limited(), 1u);
}

}  // namespace
}  // namespace ferry::test
