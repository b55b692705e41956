// SPDX-License-Identifier: Apache-2.0
// Ways to a host as the kernel has them, in a network namespace of its own: which are found, which are none,
// and how changes are told.

#include "relay/netlink/next_hops.hpp"

#include "tests/support/child.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

namespace ferry::next_hops_test {
namespace {

using namespace std::chrono_literals;
using Mac = std::array<std::uint8_t, 6>;

IpAddress address(const std::string& text) {
  const bool is_v6 = text.find(':') != std::string::npos;
  return Endpoint::parse(is_v6 ? "[" + text + "]:1" : text + ":1")->address;
}
Mac mac(std::uint8_t last) { return {2, 0, 0, 0, 0, last}; }

bool ip(const std::string& arguments) {
  return std::system(("ip " + arguments + " 2>/dev/null").c_str()) == 0;
}

/// What a child ends with if this host cannot play its case.
constexpr int kCannot = 77;

/// Root of a network namespace of its own. False if this host does not let us.
bool enter_namespace() {
  const uid_t user = geteuid();
  if (user == 0) return unshare(CLONE_NEWNET) == 0;
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
  std::ofstream("/proc/self/uid_map") << "0 " << user << " 1\n";
  return geteuid() == 0;
}

/// Runs `task` where the host has one link `a0`: 192.0.2.1/24, 192.0.2.2/24 and 2001:db8::1/64.
template <class Task>
void play(const Task& task) {
  const int result = result_of_child([&] {
    if (!enter_namespace() || !ip("link add a0 address 02:00:00:00:00:01 type veth peer name b0"))
      return kCannot;
    for (const char* each : {"link set lo up", "addr add 192.0.2.1/24 dev a0", "addr add 192.0.2.2/24 dev a0",
                             "addr add 2001:db8::1/64 dev a0 nodad", "link set b0 up", "link set a0 up",
                             "neigh add 192.0.2.10 lladdr 02:00:00:00:00:10 dev a0 nud permanent",
                             "neigh add 192.0.2.11 lladdr 02:00:00:00:00:11 dev a0 nud stale",
                             "neigh add 192.0.2.254 lladdr 02:00:00:00:00:fe dev a0 nud permanent",
                             "neigh add 2001:db8::10 lladdr 02:00:00:00:00:60 dev a0 nud permanent"})
      EXPECT_TRUE(ip(each)) << each;
    task();
    return testing::Test::HasFailure() ? 1 : 0;
  });
  if (result == kCannot) GTEST_SKIP() << "cannot make a network namespace with such links";
  EXPECT_EQ(result, 0);
}

TEST(RouteQuery, FindsTheWayOrSaysThatThereIsNone) {
  play([] {
    for (const char* each :
         {"route add 198.51.100.0/24 via 192.0.2.254 mtu 1400",
          "route add 198.51.101.0/24 via 192.0.2.254 mtu 9000", "route add blackhole 203.0.113.0/24",
          "route add unreachable 203.0.114.0/24", "route add 198.51.102.0/24 via inet6 2001:db8::10 dev a0",
          // Of our second address everything goes to another router.
          "route add default via 192.0.2.11 dev a0 table 100", "rule add from 192.0.2.2 table 100"})
      EXPECT_TRUE(ip(each)) << each;
    struct Row {
      const char* what;
      const char* local;
      const char* remote;
      HopAnswer answer;
      std::uint8_t mac = 0;
      unsigned mtu = 0;
      const char* neighbour = "";
    };
    const std::vector<Row> rows = {
        {"on the link", "192.0.2.1", "192.0.2.10", HopAnswer::kFound, 0x10, 1500, "192.0.2.10"},
        {"a neighbour that was not asked for lately", "192.0.2.1", "192.0.2.11", HopAnswer::kFound, 0x11,
         1500, "192.0.2.11"},
        {"nobody knows its MAC address yet", "192.0.2.1", "192.0.2.77", HopAnswer::kLater},
        {"behind a router, with the MTU of the route", "192.0.2.1", "198.51.100.7", HopAnswer::kFound, 0xfe,
         1400, "192.0.2.254"},
        {"the link's MTU is the smaller one", "192.0.2.1", "198.51.101.7", HopAnswer::kFound, 0xfe, 1500,
         "192.0.2.254"},
        {"rules may look at the source", "192.0.2.2", "198.51.100.7", HopAnswer::kFound, 0x11, 1500,
         "192.0.2.11"},
        {"IPv6", "2001:db8::1", "2001:db8::10", HopAnswer::kFound, 0x60, 1500, "2001:db8::10"},
        {"IPv6 that nobody knows", "2001:db8::1", "2001:db8::77", HopAnswer::kLater},
        {"IPv4 by an IPv6 router", "192.0.2.1", "198.51.102.7", HopAnswer::kNone},
        {"this host", "192.0.2.1", "192.0.2.2", HopAnswer::kNone},
        {"loopback", "127.0.0.1", "127.0.0.1", HopAnswer::kNone},
        {"the broadcast of the link", "192.0.2.1", "192.0.2.255", HopAnswer::kNone},
        {"a group", "192.0.2.1", "239.1.1.1", HopAnswer::kNone},
        {"a black hole", "192.0.2.1", "203.0.113.7", HopAnswer::kNone},
        {"unreachable", "192.0.2.1", "203.0.114.7", HopAnswer::kNone},
        {"no route", "192.0.2.1", "8.8.8.8", HopAnswer::kNone},
        {"an address that is not ours", "10.9.9.9", "192.0.2.10", HopAnswer::kNone},
        {"two families", "192.0.2.1", "2001:db8::10", HopAnswer::kNone}};
    RouteQuery query;
    for (const Row& row : rows) {
      NextHop hop;
      ASSERT_EQ(query.resolve(address(row.local), address(row.remote), hop), row.answer) << row.what;
      if (row.answer != HopAnswer::kFound) continue;
      NextHop expected;
      expected.ifindex = if_nametoindex("a0");
      expected.mtu = row.mtu;
      expected.destination = mac(row.mac);
      expected.source = mac(1);
      expected.neighbour = address(row.neighbour);
      EXPECT_EQ(hop, expected) << row.what;
    }
    EXPECT_TRUE(ip("link set a0 down"));
    NextHop hop;
    EXPECT_EQ(query.resolve(address("192.0.2.1"), address("192.0.2.10"), hop), HopAnswer::kNone);
  });
}

TEST(RouteQuery, AVlanIsNamedWithTheLinkBelowIt) {
  play([] {
    RouteQuery query;
    const unsigned below = if_nametoindex("a0");
    EXPECT_TRUE(query.vlans_on(below).empty());
    if (!ip("link add link a0 name a0.7 type vlan id 7")) _exit(kCannot);  // a kernel without VLANs
    for (const char* each :
         {"link add link a0 name a0.9 type vlan id 9",
          "link add link a0 name a0.5 type vlan protocol 802.1ad id 5",
          "link add link b0 name b0.8 type vlan id 8", "addr add 10.7.0.1/24 dev a0.7", "link set a0.7 up",
          "neigh add 10.7.0.2 lladdr 02:00:00:00:00:72 dev a0.7 nud permanent",
          "addr add 10.5.0.1/24 dev a0.5", "link set a0.5 up",
          "neigh add 10.5.0.2 lladdr 02:00:00:00:00:52 dev a0.5 nud permanent"})
      EXPECT_TRUE(ip(each)) << each;
    NextHop hop;
    ASSERT_EQ(query.resolve(address("10.7.0.1"), address("10.7.0.2"), hop), HopAnswer::kFound);
    EXPECT_EQ(hop.ifindex, if_nametoindex("a0.7"));
    EXPECT_EQ(hop.lower_ifindex, below);
    EXPECT_EQ(hop.vlan, 7);
    EXPECT_EQ(hop.destination, mac(0x72));
    std::vector<std::uint16_t> vlans = query.vlans_on(below);
    std::ranges::sort(vlans);
    EXPECT_EQ(vlans, (std::vector<std::uint16_t>{7, 9})) << "not 802.1ad, and none of another link";
    NextHop of_provider;
    ASSERT_EQ(query.resolve(address("10.5.0.1"), address("10.5.0.2"), of_provider), HopAnswer::kFound);
    EXPECT_EQ(of_provider.vlan, 0) << "its tag is another one";
  });
}

/// Notes what is published; the kernel's events come on another thread.
class Published {
 public:
  struct Change {
    std::uint32_t id = 0;
    HopSource::Pair pair;
    std::optional<NextHop> hop;
  };
  NextHops::Publish taker() {
    return [this](std::uint32_t id, const HopSource::Pair& pair, const NextHop* hop) {
      const std::lock_guard lock(mutex_);
      changes_.push_back({id, pair, hop == nullptr ? std::nullopt : std::optional(*hop)});
      changed_.notify_all();
    };
  }
  std::size_t count() {
    const std::lock_guard lock(mutex_);
    return changes_.size();
  }
  /// Change number `n`, from 0; an empty one if it does not come.
  Change wait_for(std::size_t n) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, 10s, [&] { return changes_.size() > n; })) return {};
    return changes_[n];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Change> changes_;
};

const HopSource::Pair kToPhone{address("192.0.2.1"), address("192.0.2.10")};
const HopSource::Pair kToRouter{address("192.0.2.1"), address("192.0.2.254")};
const HopSource::Pair kToNobody{address("192.0.2.1"), address("192.0.2.77")};

TEST(NextHops, AWayHasOneNumberAsLongAsSomebodyHoldsIt) {
  play([] {
    Published published;
    NextHops hops(8, published.taker());
    std::uint32_t first = 0;
    std::uint32_t second = 0;
    std::uint32_t other = 0;
    EXPECT_EQ(hops.acquire(kToPhone, first), HopAnswer::kFound);
    EXPECT_EQ(hops.acquire(kToPhone, second), HopAnswer::kFound);
    EXPECT_EQ(hops.acquire(kToRouter, other), HopAnswer::kFound);
    EXPECT_EQ(first, second);
    EXPECT_NE(first, other);
    EXPECT_EQ(hops.size(), 2u);
    ASSERT_EQ(published.count(), 2u) << "told once for each way";
    EXPECT_EQ(published.wait_for(0).id, first);
    EXPECT_EQ(published.wait_for(0).pair, kToPhone);
    ASSERT_TRUE(published.wait_for(0).hop);
    EXPECT_EQ(published.wait_for(0).hop->destination, mac(0x10));
    hops.release(kToPhone);
    EXPECT_EQ(published.count(), 2u) << "somebody still holds it";
    hops.release(kToPhone);
    ASSERT_EQ(published.count(), 3u);
    EXPECT_EQ(published.wait_for(2).id, first);
    EXPECT_FALSE(published.wait_for(2).hop);
    hops.release(kToPhone);  // nobody holds it
    EXPECT_EQ(published.count(), 3u);
    EXPECT_EQ(hops.size(), 1u);
  });
}

TEST(NextHops, NothingIsHeldWithoutAWayOrANumber) {
  play([] {
    Published published;
    NextHops hops(1, published.taker());
    std::uint32_t id = 0;
    EXPECT_EQ(hops.acquire(kToNobody, id), HopAnswer::kLater);
    EXPECT_EQ(hops.acquire({address("192.0.2.1"), address("8.8.8.8")}, id), HopAnswer::kNone);
    EXPECT_EQ(hops.size(), 0u);
    EXPECT_EQ(published.count(), 0u);
    ASSERT_EQ(hops.acquire(kToPhone, id), HopAnswer::kFound);
    EXPECT_EQ(id, 1u);
    EXPECT_EQ(hops.acquire(kToRouter, id), HopAnswer::kNone) << "all numbers are in use";
    EXPECT_EQ(hops.size(), 1u);
    hops.release(kToPhone);
    id = 0;
    ASSERT_EQ(hops.acquire(kToRouter, id), HopAnswer::kFound);
    EXPECT_EQ(id, 1u) << "a number that was given back serves again";
  });
}

TEST(NextHops, AChangeOfTheNeighbourOrTheRouteIsTold) {
  play([] {
    Published published;
    NextHops hops(8, published.taker());
    std::uint32_t phone = 0;
    std::uint32_t router = 0;
    ASSERT_EQ(hops.acquire(kToPhone, phone), HopAnswer::kFound);
    ASSERT_EQ(hops.acquire(kToRouter, router), HopAnswer::kFound);
    // Another neighbour first: nothing that is held changes with it.
    EXPECT_TRUE(ip("neigh add 192.0.2.30 lladdr 02:00:00:00:00:30 dev a0 nud permanent"));
    EXPECT_TRUE(ip("neigh replace 192.0.2.10 lladdr 02:00:00:00:00:99 dev a0 nud permanent"));
    Published::Change change = published.wait_for(2);
    EXPECT_EQ(change.id, phone);
    ASSERT_TRUE(change.hop);
    EXPECT_EQ(change.hop->destination, mac(0x99));
    EXPECT_TRUE(ip("neigh del 192.0.2.10 dev a0"));
    change = published.wait_for(3);
    EXPECT_EQ(change.id, phone);
    EXPECT_FALSE(change.hop);
    EXPECT_EQ(hops.size(), 2u) << "it is held all the same";
    EXPECT_TRUE(ip("neigh add 192.0.2.10 lladdr 02:00:00:00:00:10 dev a0 nud permanent"));
    change = published.wait_for(4);
    EXPECT_EQ(change.id, phone) << "under its number";
    ASSERT_TRUE(change.hop);
    EXPECT_EQ(change.hop->destination, mac(0x10));
    EXPECT_TRUE(ip("link set a0 mtu 1300"));
    const Published::Change one = published.wait_for(5);
    const Published::Change two = published.wait_for(6);
    ASSERT_TRUE(one.hop && two.hop);
    EXPECT_EQ(one.hop->mtu, 1300u);
    EXPECT_EQ(two.hop->mtu, 1300u);
    EXPECT_EQ(one.id + two.id, phone + router) << "the link concerns both";
  });
}

TEST(NextHops, AWayThatWasLostIsAskedForWithTheNextUser) {
  play([] {
    Published published;
    NextHops hops(8, published.taker());
    std::uint32_t id = 0;
    ASSERT_EQ(hops.acquire(kToPhone, id), HopAnswer::kFound);
    EXPECT_TRUE(ip("neigh del 192.0.2.10 dev a0"));
    ASSERT_FALSE(published.wait_for(1).hop);
    std::uint32_t again = 0;
    EXPECT_EQ(hops.acquire(kToPhone, again), HopAnswer::kLater);
    EXPECT_EQ(again, 0u);
    EXPECT_EQ(hops.size(), 1u) << "the first user has it still";
    hops.release(kToPhone);
    EXPECT_EQ(hops.size(), 0u) << "the second one held nothing";
  });
}

}  // namespace
}  // namespace ferry::next_hops_test
