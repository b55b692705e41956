// SPDX-License-Identifier: Apache-2.0
// Where media may live: how interfaces are written and found, and how their ports are drawn (PRT-1, PRT-2).
#include "control/ports/interfaces.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }
Endpoint at(std::string_view text) { return Endpoint::parse(text).value(); }

// --- Ports.

TEST(PortPools, PRT1_DrawFromTheHalfThatWasFreedLongestAgo) {
  PortPool pool(UdpPort{30000}, UdpPort{30199});
  const Instant start{1h};
  std::vector<UdpPort> drawn;
  for (int i = 0; i < 10; ++i) drawn.push_back(pool.draw(start)->rtp);
  for (const UdpPort port : drawn) pool.give_back(port, {}, start);
  // Rested again, these ten are the most recently freed: none of the next 40 draws may be one of them.
  const Instant later = start + 11s;
  for (int i = 0; i < 40; ++i) {
    const UdpPort port = pool.draw(later)->rtp;
    EXPECT_EQ(std::count(drawn.begin(), drawn.end(), port), 0);
  }
}

TEST(PortPools, PRT1_TwoPoolsDoNotDrawAlike) {
  std::vector<UdpPort> orders[2];
  for (auto& order : orders) {
    PortPool pool(UdpPort{30000}, UdpPort{30199});
    while (const auto pair = pool.draw({})) order.push_back(pair->rtp);
  }
  EXPECT_NE(orders[0], orders[1]) << "equal by chance once in 10^150";
}

TEST(PortPools, PRT2_RestIsAPreferenceNeverARefusal) {
  PortPool pool(UdpPort{30000}, UdpPort{30003});
  const Instant start{1h};
  const auto first = pool.draw(start);
  const auto second = pool.draw(start);
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(first->barred.is_set());
  EXPECT_FALSE(pool.draw(start));
  pool.give_back(first->rtp, at("192.0.2.10:4000"), start);
  pool.give_back(second->rtp, at("192.0.2.20:4000"), start + 1s);
  EXPECT_EQ(pool.resting(), 2u);
  const auto again = pool.draw(start + 2s);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->rtp, first->rtp) << "freed longest ago";
  EXPECT_EQ(again->barred, at("192.0.2.10:4000"));
  EXPECT_EQ(pool.forced_reuses(), 1u);
  const auto rested = pool.draw(start + 11s);
  ASSERT_TRUE(rested);
  EXPECT_EQ(rested->rtp, second->rtp);
  EXPECT_FALSE(rested->barred.is_set()) << "ten seconds are over";
  EXPECT_EQ(pool.forced_reuses(), 1u);
}

TEST(PortPools, PRT2_APairRestsTenSecondsWhileOthersAreFree) {
  PortPool pool(UdpPort{30000}, UdpPort{30003});
  const Instant start{1h};
  const UdpPort first = pool.draw(start)->rtp;
  pool.give_back(first, {}, start);
  EXPECT_NE(pool.draw(start + 9s)->rtp, first);
}

TEST(PortPools, HaveWholePairsFromEvenPortsOnly) {
  struct Row {
    std::uint16_t first;
    std::uint16_t last;
    std::set<int> pairs;
  };
  const Row rows[] = {{30000, 30003, {30000, 30002}},
                      {30001, 30004, {30002}},
                      {30000, 30002, {30000}},
                      {30001, 30002, {}},
                      {30000, 30000, {}},
                      {30003, 30000, {}},
                      {65534, 65535, {65534}},
                      {65535, 65535, {}}};
  for (const Row& row : rows) {
    PortPool pool(UdpPort{row.first}, UdpPort{row.last});
    EXPECT_EQ(pool.total(), row.pairs.size()) << row.first << "-" << row.last;
    std::set<int> drawn;
    while (const auto pair = pool.draw({})) drawn.insert(pair->rtp.value);
    EXPECT_EQ(drawn, row.pairs) << row.first << "-" << row.last;
  }
}

TEST(PortPools, ACertainPairIsTakenOnce) {
  PortPool pool(UdpPort{30000}, UdpPort{30003});
  EXPECT_TRUE(pool.take(UdpPort{30002}));
  EXPECT_FALSE(pool.take(UdpPort{30002}));
  EXPECT_FALSE(pool.take(UdpPort{30001}));
  EXPECT_FALSE(pool.take(UdpPort{40000}));
  EXPECT_EQ(pool.used(), 1u);
  pool.give_back(UdpPort{30002}, {}, Instant{1h});
  EXPECT_TRUE(pool.take(UdpPort{30002})) << "it rests";
  EXPECT_EQ(pool.draw(Instant{1h})->rtp, UdpPort{30000});
  EXPECT_FALSE(pool.draw(Instant{1h}));
}

TEST(PortPools, OwnersAreFoundByBothPortsOfTheirPair) {
  MediaTransport* const low = reinterpret_cast<MediaTransport*>(0x10);  // only compared
  MediaTransport* const high = reinterpret_cast<MediaTransport*>(0x20);
  for (const std::uint16_t first : {std::uint16_t{30002}, std::uint16_t{30001}}) {
    PortPool pool(UdpPort{first}, UdpPort{30005});
    pool.set_owner(UdpPort{30002}, low);
    pool.set_owner(UdpPort{30004}, high);
    EXPECT_EQ(pool.owner(UdpPort{30002}), low) << first;
    EXPECT_EQ(pool.owner(UdpPort{30003}), low) << first;
    EXPECT_EQ(pool.owner(UdpPort{30004}), high) << first;
    EXPECT_EQ(pool.owner(UdpPort{30005}), high) << first;
    EXPECT_EQ(pool.owner(UdpPort{30001}), nullptr) << first;
    EXPECT_EQ(pool.owner(UdpPort{30006}), nullptr) << first;
    pool.set_owner(UdpPort{30002}, nullptr);
    EXPECT_EQ(pool.owner(UdpPort{30003}), nullptr);
  }
}

TEST(PortPools, NoPairIsDrawnTwiceAndCountsAddUp) {
  EXPECT_TRUE(rc::check([] {
    PortPool pool(UdpPort{30000}, UdpPort{30015});
    std::set<std::uint16_t> held;
    Instant now{1h};
    const auto steps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 4));
    for (const int step : steps) {
      now += std::chrono::seconds(step);
      if (step == 0 && !held.empty()) {
        pool.give_back(UdpPort{*held.begin()}, at("192.0.2.9:9"), now);
        held.erase(held.begin());
      } else if (const auto pair = pool.draw(now)) {
        RC_ASSERT(pair->rtp.value % 2 == 0);
        RC_ASSERT(held.insert(pair->rtp.value).second);
      } else {
        RC_ASSERT(held.size() == pool.total());
      }
      RC_ASSERT(pool.used() == held.size());
      for (std::uint16_t port = 30000; port < 30016; ++port)
        RC_ASSERT(pool.open_ports()->contains(UdpPort{port}) ==
                  held.contains(static_cast<std::uint16_t>(port & ~1)));
    }
  }));
}

// --- How an interface is written.

struct SpecRow {
  const char* text;
  const char* name;
  const char* address;
  const char* advertised;
  const char* alias_of;
};
void PrintTo(const SpecRow& row, std::ostream* out) { *out << row.text; }

class InterfaceSpecs : public ::testing::TestWithParam<SpecRow> {};

TEST_P(InterfaceSpecs, AreTakenApart) {
  const InterfaceSpec spec = parse_interface_spec(GetParam().text);
  EXPECT_EQ(spec.name, GetParam().name);
  EXPECT_EQ(spec.address, GetParam().address);
  EXPECT_EQ(spec.advertised, GetParam().advertised);
  EXPECT_EQ(spec.alias_of, GetParam().alias_of);
}

INSTANTIATE_TEST_SUITE_P(
    Table, InterfaceSpecs,
    ::testing::Values(SpecRow{"192.0.2.1", "default", "192.0.2.1", "", ""},
                      SpecRow{"pub/192.0.2.1", "pub", "192.0.2.1", "", ""},
                      SpecRow{"pub/10.0.0.1!192.0.2.1", "pub", "10.0.0.1", "192.0.2.1", ""},
                      SpecRow{"10.0.0.1!192.0.2.1", "default", "10.0.0.1", "192.0.2.1", ""},
                      SpecRow{"pub/[2001:db8::1]![2001:db8::2]", "pub", "2001:db8::1", "2001:db8::2", ""},
                      SpecRow{"pub:1/eth0", "pub:1", "eth0", "", ""},
                      SpecRow{"old=pub", "old", "", "", "pub"}, SpecRow{"", "default", "", "", ""}));

// --- The set.

std::vector<InterfaceSpec> specs(const std::vector<std::string_view>& texts) {
  std::vector<InterfaceSpec> all;
  for (const auto text : texts) all.push_back(parse_interface_spec(text));
  return all;
}
InterfaceSet built(const std::vector<std::string_view>& texts) {
  auto set = InterfaceSet::build(specs(texts), UdpPort{30000}, UdpPort{30009}, false);
  EXPECT_TRUE(set) << set.error();
  return std::move(*set);
}
std::string fault(const std::vector<InterfaceSpec>& all, std::uint16_t first = 30000,
                  std::uint16_t last = 30009) {
  const auto set = InterfaceSet::build(all, UdpPort{first}, UdpPort{last}, false);
  return set ? "" : set.error();
}

TEST(InterfaceSets, NameWhatIsWrongWithEach) {
  EXPECT_EQ(fault({}), "no interface is configured");
  EXPECT_EQ(fault(specs({"a/"})), "interface 'a': no address");
  EXPECT_EQ(
      fault(specs({"a/no-such-device0"})),
      "interface 'a': 'no-such-device0' is neither an IP address nor a system interface with addresses");
  EXPECT_EQ(fault(specs({"a/192.0.2.1!host"})),
            "interface 'a': advertised address 'host' is not an IP address");
  EXPECT_EQ(fault(specs({"a/192.0.2.1!2001:db8::1"})),
            "interface 'a': 192.0.2.1 and its advertised address 2001:db8::1 are of different families");
  EXPECT_EQ(fault(specs({"a/192.0.2.1"}), 30001, 30002),
            "interface 'a': the port range 30001-30002 holds no even/odd pair");
  EXPECT_NE(fault(specs({"a/192.0.2.1"}), 0, 9), "");
  EXPECT_EQ(fault(specs({"a/192.0.2.1", "b=c"})), "interface alias 'b': there is no interface 'c'");
  EXPECT_EQ(fault(specs({"a/", "b/192.0.2.1!x"})),
            "interface 'a': no address\ninterface 'b': advertised address 'x' is not an IP address");
  InterfaceSpec narrow = parse_interface_spec("a/192.0.2.1");
  narrow.port_min = UdpPort{40001};
  narrow.port_max = UdpPort{40001};
  EXPECT_NE(fault({narrow}).find("40001-40001"), std::string::npos) << "its own range counts";
}

TEST(InterfaceSets, ThePortOfIceLegsIsThatOfTheDaemonUnlessASectionNamesOne) {
  auto all = specs({"a/192.0.2.1!203.0.113.1", "b/192.0.2.2", "c/192.0.2.3"});
  all[1].ice_port = UdpPort{443};
  all[2].ice_port = UdpPort{0};
  const auto set = InterfaceSet::build(all, UdpPort{30000}, UdpPort{30009}, false, UdpPort{3478});
  ASSERT_TRUE(set) << set.error();
  EXPECT_EQ(set->all()[0].addresses[0].ice_port, UdpPort{3478});
  EXPECT_EQ(set->all()[1].addresses[0].ice_port, UdpPort{443});
  EXPECT_EQ(set->all()[2].addresses[0].ice_port, UdpPort{0});
  EXPECT_TRUE(set->own_media()->contains({ip("192.0.2.1"), UdpPort{3478}})) << "LAT-11a, LIM-5";
  EXPECT_TRUE(set->own_media()->contains({ip("203.0.113.1"), UdpPort{3478}}));
  EXPECT_FALSE(set->own_media()->contains({ip("192.0.2.2"), UdpPort{3478}}));
  EXPECT_TRUE(set->is_shared({ip("192.0.2.1"), UdpPort{3478}}));
  EXPECT_TRUE(set->is_shared({ip("203.0.113.1"), UdpPort{3478}})) << "as advertised";
  EXPECT_TRUE(set->is_shared({ip("192.0.2.2"), UdpPort{443}}));
  EXPECT_FALSE(set->is_shared({ip("192.0.2.2"), UdpPort{3478}}));
  EXPECT_FALSE(set->is_shared({ip("192.0.2.3"), UdpPort{0}}));
  EXPECT_FALSE(set->is_shared({ip("192.0.2.9"), UdpPort{3478}}));
}

TEST(InterfaceSets, ThePortOfIceLegsIsNoneOfThePairsAndOneForAnAddress) {
  const auto fault_of = [](std::vector<InterfaceSpec> all, std::uint16_t port) {
    const auto set = InterfaceSet::build(all, UdpPort{30000}, UdpPort{30008}, false, UdpPort{port});
    return set ? "" : set.error();
  };
  for (const std::uint16_t inside : std::array<std::uint16_t, 3>{30000, 30005, 30008})
    EXPECT_NE(fault_of(specs({"a/192.0.2.1"}), inside).find("lies in the port range 30000-30008"),
              std::string::npos)
        << inside;
  for (const std::uint16_t outside : std::array<std::uint16_t, 5>{0, 1, 29999, 30009, 65535})
    EXPECT_EQ(fault_of(specs({"a/192.0.2.1"}), outside), "") << outside;
  auto two = specs({"a/192.0.2.1", "b/192.0.2.1"});
  EXPECT_EQ(fault_of(two, 3478), "") << "two names of one address";
  two[1].ice_port = UdpPort{3479};
  EXPECT_EQ(fault_of(two, 3478), "interface 'b': 192.0.2.1 has ice-port 3478 and 3479");
}

TEST(InterfaceSets, AddressesOfOneNameAreOneInterface) {
  InterfaceSpec strict = parse_interface_spec("a/2001:db8::1");
  strict.strict_payload_types = true;
  auto all = specs({"a/192.0.2.1!203.0.113.1", "b/192.0.2.1"});
  all.push_back(strict);
  const auto set = InterfaceSet::build(all, UdpPort{30000}, UdpPort{30009}, false);
  ASSERT_TRUE(set);
  ASSERT_EQ(set->all().size(), 2u);
  const LogicalInterface& a = *set->default_interface();
  EXPECT_EQ(a.name, "a");
  EXPECT_TRUE(a.strict_payload_types);
  ASSERT_EQ(a.addresses.size(), 2u);
  EXPECT_EQ(a.address_of(AddressFamily::kIpv4)->advertised, ip("203.0.113.1"));
  EXPECT_EQ(a.address_of(AddressFamily::kIpv6)->advertised, ip("2001:db8::1"));
  const LogicalInterface& b = *set->find("b");
  EXPECT_EQ(b.address_of(AddressFamily::kIpv6), nullptr);
  EXPECT_EQ(b.addresses[0].ports, a.addresses[0].ports) << "one address, one pool";
  EXPECT_NE(a.addresses[1].ports, a.addresses[0].ports);
  EXPECT_EQ(a.addresses[0].index, 0);
  EXPECT_EQ(b.addresses[0].index, 1);
  EXPECT_EQ(a.addresses[1].index, 2);
}

TEST(InterfaceSets, AreFoundByNameAliasAndGroup) {
  const InterfaceSet set = built({"pub:1/192.0.2.1", "pub:2/192.0.2.2", "public/192.0.2.3", "old=pub:2"});
  EXPECT_EQ(set.find("public")->name, "public");
  EXPECT_EQ(set.find("old")->name, "pub:2");
  std::vector<std::string> turns;
  for (int i = 0; i < 4; ++i) turns.push_back(set.find("pub")->name);
  EXPECT_EQ(turns, (std::vector<std::string>{"pub:1", "pub:2", "pub:1", "pub:2"})) << "in turn";
  EXPECT_EQ(set.find("pu"), nullptr);
  EXPECT_EQ(set.find(""), nullptr);
  for (const char* name : {"pub:1", "pub", "public", "old", "internal", "external", "round-robin-calls"})
    EXPECT_TRUE(set.has(name)) << name;
  for (const char* name : {"pu", "publ", "pub:3", "", "default"}) EXPECT_FALSE(set.has(name)) << name;
}

TEST(InterfaceSets, TheRouteTowardAPeerChooses) {
  InterfaceSet set = built({"a/192.0.2.1", "b/192.0.2.2"});
  EXPECT_EQ(set.toward(ip("198.51.100.1")), nullptr) << "nobody knows the routes";
  set.set_route_lookup([](const IpAddress& peer) -> std::optional<IpAddress> {
    if (peer == ip("198.51.100.1")) return ip("192.0.2.2");
    if (peer == ip("198.51.100.2")) return ip("192.0.2.99");
    return std::nullopt;
  });
  EXPECT_EQ(set.toward(ip("198.51.100.1")), set.find("b"));
  EXPECT_EQ(set.toward(ip("198.51.100.2")), nullptr) << "none of ours";
  EXPECT_EQ(set.toward(ip("198.51.100.3")), nullptr);
  EXPECT_EQ(set.route_to(ip("198.51.100.2")), ip("192.0.2.99"));
}

TEST(InterfaceSets, AnAddressThatACommandAsksForStays) {
  InterfaceSet set = built({"a/192.0.2.1"});
  EXPECT_EQ(set.local_address(ip("192.0.2.1")), &set.default_interface()->addresses[0]);
  EXPECT_EQ(set.known_address(ip("192.0.2.7")), nullptr);
  const LocalAddress* asked = set.local_address(ip("192.0.2.7"));
  ASSERT_NE(asked, nullptr);
  EXPECT_EQ(asked->index, 1);
  EXPECT_EQ(asked->ports->total(), 5u) << "the usual range";
  for (int i = 0; i < 100; ++i) static_cast<void>(set.local_address(ip("198.51.100." + std::to_string(i))));
  EXPECT_EQ(set.local_address(ip("192.0.2.7")), asked);
  EXPECT_EQ(set.known_address(ip("192.0.2.7")), asked);
  EXPECT_EQ(set.local_address(ip("203.0.113.1")), nullptr) << "there were too many";
  for (const char* none : {"0.0.0.0", "::", "224.0.0.1"})
    EXPECT_EQ(set.local_address(ip(none)), nullptr) << none;
}

TEST(InterfaceSets, LAT11_OwnPortsAreKnownAsBoundAndAsAdvertised) {
  InterfaceSet set = built({"a/10.0.0.1!192.0.2.1", "any/0.0.0.0", "b/10.0.0.2"});
  MediaTransport* const owner = reinterpret_cast<MediaTransport*>(0x10);  // only compared
  const LocalAddress& local = set.find("a")->addresses[0];
  ASSERT_TRUE(local.ports->take(UdpPort{30002}));
  EXPECT_EQ(set.owner_of(at("10.0.0.1:30002")), nullptr) << "nobody has it yet";
  local.ports->set_owner(UdpPort{30002}, owner);
  EXPECT_EQ(set.owner_of(at("10.0.0.1:30002")), owner);
  EXPECT_EQ(set.owner_of(at("192.0.2.1:30002")), owner);
  EXPECT_EQ(set.owner_of(at("10.0.0.1:30004")), nullptr);
  EXPECT_EQ(set.owner_of(at("10.0.0.2:30002")), nullptr) << "a port of another address";
  EXPECT_TRUE(set.own_media()->contains(at("192.0.2.1:30003")));
  EXPECT_FALSE(set.own_media()->contains(at("192.0.2.1:30004")));
  const LocalAddress* asked = set.local_address(ip("10.0.0.9"));
  ASSERT_TRUE(asked != nullptr && asked->ports->take(UdpPort{30006}));
  asked->ports->set_owner(UdpPort{30006}, owner);
  EXPECT_EQ(set.owner_of(at("10.0.0.9:30006")), owner);
}

TEST(InterfaceSets, EveryAddressOfMediaIsThisHosts) {
  InterfaceSet set = built({"a/10.0.0.1!192.0.2.1", "b/10.0.0.1"});
  static_cast<void>(set.local_address(ip("10.0.0.9")));
  EXPECT_EQ(set.host_addresses(), (std::vector{ip("10.0.0.1"), ip("10.0.0.9"), ip("192.0.2.1")}));
}

}  // namespace
}  // namespace ferry::test
