// SPDX-License-Identifier: Apache-2.0
// The simulated link itself: shares of what it does over many datagrams, order, and what each NAT lets
// through.

#include "tests/support/link.hpp"

#include "tests/support/world.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

constexpr int kMany = 100'000;
constexpr Duration kSpacing = 20ms;

Endpoint at(std::string_view text) { return Endpoint::parse(text).value(); }
IpAddress address(std::string_view text) { return IpAddress::parse(text).value(); }

/// One copy that arrived.
struct Arrival {
  Duration at{0};
  int number = 0;
};

/// Sends `count` datagrams, one each `kSpacing`; what arrives, in the order of arrival.
std::vector<Arrival> arrivals(LinkPath& path, int count) {
  std::vector<Arrival> all;
  for (int n = 0; n < count; ++n) {
    const Duration now = n * kSpacing;
    for (const Duration travel : path.carry(now)) all.push_back({now + travel, n});
  }
  std::ranges::stable_sort(all, {}, &Arrival::at);
  return all;
}
std::vector<Arrival> arrivals(const Trouble& trouble, int count = kMany, std::uint64_t seed = 1) {
  LinkPath path(seed, 0);
  path.set(trouble);
  return arrivals(path, count);
}
/// Arrivals that an earlier one has overtaken, as a share.
double overtaken(const std::vector<Arrival>& all) {
  int newest = -1;
  int late = 0;
  for (const Arrival& each : all) {
    if (each.number < newest) ++late;
    newest = std::max(newest, each.number);
  }
  return static_cast<double>(late) / static_cast<double>(all.size());
}
/// Six standard deviations of a share over many trials.
double tolerance(double share) { return 6 * std::sqrt(share * (1 - share) / kMany); }

TEST(LinkPath, WithoutTroubleAllArrivesAtOnce) {
  const auto all = arrivals(Trouble{}, 1000);
  ASSERT_EQ(all.size(), 1000u);
  for (const Arrival& each : all) EXPECT_EQ(each.at, each.number * kSpacing);
}

TEST(LinkPath, LosesItsShare) {
  for (const double share : {0.01, 0.1, 0.3, 1.0}) {
    LinkPath path(7, 0);
    path.set({.loss = share});
    const auto all = arrivals(path, kMany);
    EXPECT_NEAR(static_cast<double>(path.lost()) / kMany, share, tolerance(share)) << share;
    EXPECT_EQ(all.size() + path.lost(), path.sent());
    EXPECT_EQ(path.sent(), static_cast<std::uint64_t>(kMany));
  }
}

TEST(LinkPath, LosesInBurstsOfTheirLength) {
  const Trouble trouble{.burst_begin = 0.02, .burst_end = 0.2};
  int expected = 0;
  int lost = 0;
  int bursts = 0;
  for (const Arrival& each : arrivals(trouble)) {
    lost += each.number - expected;
    bursts += each.number > expected ? 1 : 0;
    expected = each.number + 1;
  }
  const double share = trouble.burst_begin / (trouble.burst_begin + trouble.burst_end);
  EXPECT_NEAR(static_cast<double>(lost) / kMany, share, 0.1 * share);
  EXPECT_NEAR(static_cast<double>(lost) / bursts, 1 / trouble.burst_end, 0.5);
}

TEST(LinkPath, ABurstMayLetSomeThrough) {
  LinkPath path(3, 0);
  path.set({.burst_begin = 1, .burst_end = 0, .burst_loss = 0.5});
  (void)arrivals(path, kMany);
  EXPECT_NEAR(static_cast<double>(path.lost()) / kMany, 0.5, tolerance(0.5));
}

TEST(LinkPath, ABurstEndsWithItsTrouble) {
  LinkPath path(1, 0);
  path.set({.burst_begin = 1, .burst_end = 0});
  EXPECT_TRUE(arrivals(path, 10).empty());
  path.set({});
  EXPECT_EQ(arrivals(path, 10).size(), 10u);
}

TEST(LinkPath, ABurstLastsNoLongerThanItMay) {
  LinkPath path(1, 0);
  path.set({.burst_begin = 1, .burst_end = 0, .burst_longest = 10 * kSpacing});
  EXPECT_TRUE(arrivals(path, 10).empty());
  path.set({.burst_begin = 0.02, .burst_end = 0, .burst_longest = 10 * kSpacing});
  int expected = 0;
  int bursts = 0;
  for (const Arrival& each : arrivals(path, kMany)) {
    const int lost = each.number - expected;
    // The next burst may follow at once, so a gap is one burst or several.
    EXPECT_EQ(lost % 10, 0) << "before " << each.number;
    bursts += lost / 10;
    expected = each.number + 1;
  }
  EXPECT_GT(bursts, kMany / 100);
}

TEST(LinkPath, DoublesItsShare) {
  const auto all = arrivals({.doubled = 0.2});
  EXPECT_NEAR(static_cast<double>(all.size()) / kMany - 1, 0.2, tolerance(0.2));
}

TEST(LinkPath, DelayAloneKeepsTheOrder) {
  const auto all = arrivals({.loss = 0.1, .delay = 70ms, .doubled = 0.1});
  EXPECT_EQ(overtaken(all), 0);
  for (const Arrival& each : all) EXPECT_EQ(each.at, each.number * kSpacing + 70ms);
}

TEST(LinkPath, JitterIsWithinItsBoundsAndOvertakes) {
  const auto all = arrivals({.delay = 30ms, .jitter = 60ms});
  Duration sum{0};
  for (const Arrival& each : all) {
    const Duration travel = each.at - each.number * kSpacing;
    ASSERT_GE(travel, 30ms);
    ASSERT_LE(travel, 90ms);
    sum += travel;
  }
  EXPECT_NEAR(static_cast<double>((sum / kMany).count()), static_cast<double>(Duration(60ms).count()),
              static_cast<double>(Duration(1ms).count()));
  EXPECT_GT(overtaken(all), 0.2);
  EXPECT_EQ(overtaken(arrivals({.jitter = 15ms})), 0) << "less than the distance of two packets";
}

TEST(LinkPath, AQueueJittersWithoutOvertaking) {
  const auto all = arrivals({.jitter = 60ms, .keeps_order = true});
  EXPECT_EQ(overtaken(all), 0);
  const auto [least, most] = std::ranges::minmax_element(
      all, {}, [](const Arrival& each) { return each.at - each.number * kSpacing; });
  EXPECT_GT((most->at - most->number * kSpacing) - (least->at - least->number * kSpacing), 40ms);
}

TEST(LinkPath, HeldDatagramsAreOvertaken) {
  for (const bool keeps_order : {false, true}) {
    const auto all = arrivals({.keeps_order = keeps_order, .held = 0.1, .held_for = 50ms});
    // One whose two followers are held as well is overtaken by nobody.
    const double share = 0.1 * (1 - 0.1 * 0.1);
    EXPECT_NEAR(overtaken(all), share, tolerance(share)) << keeps_order;
  }
}

TEST(LinkPath, ASeedRepeatsItselfAndAnotherDoesNot) {
  const Trouble trouble{.loss = 0.3, .delay = 10ms, .jitter = 50ms, .doubled = 0.1};
  const auto told = [&](std::uint64_t seed) {
    std::string text;
    for (const Arrival& each : arrivals(trouble, 200, seed))
      text += std::to_string(each.number) + "@" + std::to_string(each.at.count()) + " ";
    return text;
  };
  EXPECT_EQ(told(5), told(5));
  EXPECT_NE(told(5), told(6));
  EXPECT_NE(told(5), told(5 + (std::uint64_t{1} << 32)));
}

TEST(Link, OnePeersFateDoesNotDependOnWhatAnotherSends) {
  const IpAddress a = address("198.51.1.1");
  const IpAddress b = address("198.51.1.2");
  const Endpoint relay = at("198.18.0.1:30000");
  const auto fate = [&](bool b_speaks) {
    Link link(9);
    link.join(a, {.loss = 0.5});
    link.join(b, {.loss = 0.5});
    std::vector<bool> arrived;
    for (int n = 0; n < 100; ++n) {
      arrived.push_back(!link.to_relay({a, UdpPort{4000}}, relay, {}).travels.empty());
      if (b_speaks) (void)link.to_relay({b, UdpPort{4000}}, relay, {});
      arrived.push_back(!link.to_peer({a, UdpPort{4000}}, {}).empty());
    }
    return arrived;
  };
  EXPECT_EQ(fate(false), fate(true));
}

/// What a NAT of one kind does after its host has sent to `kRelay` alone.
struct NatRow {
  NatKind kind;
  bool same_mapping;  // for another remote endpoint
  bool from_same;
  bool from_other_port;
  bool from_other_address;
};
constexpr NatRow kNatRows[] = {
    {NatKind::kFullCone, true, true, true, true},
    {NatKind::kAddressRestricted, true, true, true, false},
    {NatKind::kPortRestricted, true, true, false, false},
    {NatKind::kSymmetric, false, true, false, false},
};
const Endpoint kInside = Endpoint::parse("10.0.0.2:4000").value();
const Endpoint kRelay = Endpoint::parse("198.18.0.1:30000").value();
const Endpoint kRelayOtherPort = Endpoint::parse("198.18.0.1:30002").value();
const Endpoint kElsewhere = Endpoint::parse("192.0.2.9:30000").value();
const IpAddress kOutside = IpAddress::parse("198.51.1.66").value();

class Nats : public ::testing::TestWithParam<NatRow> {
 protected:
  Nat nat_{GetParam().kind, kOutside, 1, 0};
};
INSTANTIATE_TEST_SUITE_P(All, Nats, ::testing::ValuesIn(kNatRows), [](const auto& each) {
  std::string name(to_string(each.param.kind));
  std::ranges::replace(name, ' ', '_');
  return name;
});

TEST_P(Nats, LetsInWhatItsKindLetsIn) {
  const NatRow& row = GetParam();
  const Endpoint seen = nat_.leave(kInside, kRelay);
  EXPECT_EQ(seen.address, kOutside);
  const auto is_let_in = [&](const Endpoint& from) { return nat_.enter(seen, from) == kInside; };
  EXPECT_EQ(is_let_in(kRelay), row.from_same);
  EXPECT_EQ(is_let_in(kRelayOtherPort), row.from_other_port);
  EXPECT_EQ(is_let_in(kElsewhere), row.from_other_address);
  // A port that nobody mapped, of the NAT or inside.
  const Endpoint closed{kOutside, UdpPort{static_cast<std::uint16_t>(seen.port.value ^ 1)}};
  EXPECT_EQ(nat_.enter(closed, kRelay), std::nullopt);
  EXPECT_EQ(nat_.enter(kInside, kRelay), std::nullopt);
}

TEST_P(Nats, LetsInWhomTheHostHasSentTo) {
  (void)nat_.leave(kInside, kRelay);
  const Endpoint seen = nat_.leave(kInside, kElsewhere);
  EXPECT_EQ(nat_.enter(seen, kElsewhere), kInside);
}

TEST_P(Nats, MapsAsItsKindMaps) {
  const Endpoint seen = nat_.leave(kInside, kRelay);
  EXPECT_EQ(nat_.leave(kInside, kRelay), seen);
  EXPECT_EQ(nat_.leave(kInside, kElsewhere) == seen, GetParam().same_mapping);
  EXPECT_EQ(nat_.leave(kInside, kRelayOtherPort) == seen, GetParam().same_mapping);
  const Endpoint neighbour = nat_.leave(at("10.0.0.2:4001"), kRelay);
  EXPECT_NE(neighbour, seen);
  EXPECT_EQ(nat_.enter(neighbour, kRelay), at("10.0.0.2:4001"));
}

TEST_P(Nats, ARebindingTakesThePortAwayForEver) {
  std::set<Endpoint> all;
  for (int n = 0; n < 1000; ++n) {
    const Endpoint seen = nat_.leave(kInside, kRelay);
    EXPECT_TRUE(all.insert(seen).second) << "a port that was used before";
    EXPECT_EQ(nat_.enter(seen, kRelay), kInside);
    nat_.rebind();
    ASSERT_EQ(nat_.enter(seen, kRelay), std::nullopt);
  }
  const IpAddress elsewhere = address("198.51.1.67");
  nat_.rebind(elsewhere);
  EXPECT_EQ(nat_.leave(kInside, kRelay).address, elsewhere);
}

/// A call over a link: A plainly on the network, B behind a NAT.
class LinkInTheWorld : public ::testing::Test {
 protected:
  LinkInTheWorld() {
    WorldOptions options;
    options.link = link_ = std::make_shared<Link>(11);
    world_ = make_sim_world(options);
    b_access_ = &link_->join(b_.address, {}, NatKind::kPortRestricted, kOutside);
    world_->open(a_);
    world_->open(b_);
    const nlohmann::json offered = world_->ng(offer("c", "A", audio_sdp(a_)));
    b_relay_ = {world_->relay_address(), World::port_of(offered)};
    nlohmann::json answered = answer("c", "A", "B", audio_sdp(b_));
    answered["received-from"] = {"IP4", kOutside.to_string()};
    a_relay_ = {world_->relay_address(), World::port_of(world_->ng(answered))};
  }
  /// Each 20 ms one packet of each party.
  void talk(std::uint16_t count) {
    for (std::uint16_t n = 0; n < count; ++n, ++sequence_) {
      world_->send(b_, b_relay_, rtp('B', 2, sequence_));
      world_->send(a_, a_relay_, rtp('A', 1, sequence_));
      world_->run(world_->elapsed() + 20ms);
    }
  }

  std::shared_ptr<Link> link_;
  std::unique_ptr<World> world_;
  Access* b_access_ = nullptr;
  const Endpoint a_ = at("198.51.1.65:4000");
  const Endpoint b_ = at("10.0.0.2:4000");
  Endpoint a_relay_;
  Endpoint b_relay_;
  std::uint16_t sequence_ = 1;
};

TEST_F(LinkInTheWorld, TheRelaySeesTheNatAndThePeerItsOwnAddress) {
  talk(20);
  EXPECT_EQ(world_->count(a_, 'B'), 20u);
  EXPECT_GE(world_->count(b_, 'A'), 18u) << "all but what was sent before B was learned";
  for (const Received& each : world_->received()) EXPECT_EQ(each.from, each.at == b_ ? b_relay_ : a_relay_);
  // Nobody gets to an address behind a NAT from outside.
  const Endpoint hidden = at("10.0.0.2:5000");
  world_->open(hidden);
  world_->ng(answer("c", "A", "B", audio_sdp(hidden)));
  talk(20);
  EXPECT_EQ(world_->count(hidden), 0u);
}

TEST_F(LinkInTheWorld, DatagramsArriveAfterTheirDelay) {
  talk(5);
  b_access_->set({.delay = 35ms});
  const std::size_t before = world_->received().size();
  const Duration sent = world_->elapsed();
  world_->send(a_, a_relay_, rtp('A', 1, sequence_++));
  world_->run(sent + 34ms);
  EXPECT_EQ(world_->received().size(), before);
  world_->run(sent + 100ms);
  ASSERT_EQ(world_->received().size(), before + 1);
  EXPECT_EQ(world_->received().back().when, sent + 35ms);
}

TEST_F(LinkInTheWorld, WhatTheLinkLosesIsWhatIsMissing) {
  talk(5);
  b_access_->up.set({.loss = 0.3});
  b_access_->down.set({.loss = 0.1});
  const std::size_t at_a = world_->count(a_, 'B');
  const std::size_t at_b = world_->count(b_, 'A');
  const std::uint64_t sent = b_access_->down.sent();
  talk(1000);
  EXPECT_EQ(world_->count(a_, 'B') - at_a, 1000 - b_access_->up.lost());
  EXPECT_EQ(world_->count(b_, 'A') - at_b, 1000 - b_access_->down.lost());
  EXPECT_EQ(b_access_->down.sent() - sent, 1000u);
  EXPECT_GT(b_access_->up.lost(), 200u);
  EXPECT_GT(b_access_->down.lost(), 50u);
}

TEST_F(LinkInTheWorld, ACutAccessIsDeadBothWaysAndComesBack) {
  talk(5);
  const std::size_t at_a = world_->count(a_, 'B');
  const std::size_t at_b = world_->count(b_, 'A');
  b_access_->is_cut = true;
  talk(20);
  EXPECT_EQ(world_->count(a_, 'B'), at_a);
  EXPECT_EQ(world_->count(b_, 'A'), at_b);
  b_access_->is_cut = false;
  talk(20);
  EXPECT_EQ(world_->count(a_, 'B'), at_a + 20);
  EXPECT_EQ(world_->count(b_, 'A'), at_b + 20);
}

}  // namespace
}  // namespace ferry::test
