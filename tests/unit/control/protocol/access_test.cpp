// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/access.hpp"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

TEST(Access, CTL3_WhoIsRefusedIsCountedForTheDoctor) {
  AccessList access({*Network::parse("192.0.2.0/24")}, false);
  const IpAddress proxy = IpAddress::v4({198, 51, 100, 9});
  const Instant now{1h};
  EXPECT_TRUE(access.admit(IpAddress::v4({192, 0, 2, 5}), now));
  EXPECT_TRUE(access.refusals().empty());
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(access.admit(proxy, now));
  ASSERT_EQ(access.refusals().size(), 1u);
  EXPECT_EQ(access.refusals()[0].source, proxy);
  EXPECT_EQ(access.refusals()[0].count, 3u);
}

TEST(Access, CTL16_AnAllowListThatIsReadAgainReplacesTheOldOne) {
  AccessList access({*Network::parse("192.0.2.0/24")}, false);
  const IpAddress old_proxy = IpAddress::v4({192, 0, 2, 5});
  const IpAddress new_proxy = IpAddress::v4({198, 51, 100, 9});
  const Instant now{1h};
  ASSERT_TRUE(access.admit(old_proxy, now));
  ASSERT_FALSE(access.admit(new_proxy, now));
  access.set_allowed({*Network::parse("198.51.100.0/24")});
  EXPECT_FALSE(access.admit(old_proxy, now));
  EXPECT_TRUE(access.admit(new_proxy, now));
  EXPECT_TRUE(access.is_trusted(new_proxy));
  EXPECT_FALSE(access.is_trusted(old_proxy));
}

TEST(Access, LIM4_ASprayOfForgedSourcesCostsNoMemory) {
  AccessList access({}, false);
  for (unsigned i = 0; i < 10'000; ++i)
    EXPECT_FALSE(
        access.admit(IpAddress::v4({10, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}),
                     Instant{1h}));
  EXPECT_EQ(access.refused(), 10'000u);
  EXPECT_LE(access.refusals().size(), 32u);
}

TEST(Access, CTL3_TheOperatorIsToldWhichListenerRefusedWhomAndWhen) {
  AccessList access({}, false);
  const IpAddress proxy = IpAddress::v4({198, 51, 100, 9});
  access.admit(proxy, Instant{1h}, "NG over UDP on 192.0.2.1:2223");
  access.admit(proxy, Instant{1h} + 5s, "NG over UDP on 192.0.2.1:2223");
  access.admit(proxy, Instant{1h} + 7s, "HTTP on 192.0.2.1:8080");
  ASSERT_EQ(access.refusals().size(), 2u);
  const AccessList::Refusal& udp = access.refusals()[0];
  EXPECT_EQ(udp.listener, "NG over UDP on 192.0.2.1:2223");
  EXPECT_EQ(udp.count, 2u);
  EXPECT_EQ(udp.first, Instant{1h});
  EXPECT_EQ(udp.last, Instant{1h} + 5s);
  EXPECT_EQ(access.refusals()[1].listener, "HTTP on 192.0.2.1:8080");
}

TEST(Access, CTL8_AClientWithoutTheTokenIsAnotherCaseThanOneThatIsNotAllowed) {
  AccessList access({}, false);
  const IpAddress client = IpAddress::v4({198, 51, 100, 9});
  access.admit(client, Instant{1h}, "HTTP");
  access.note_without_token(client, Instant{1h}, "HTTP");
  access.note_without_token(client, Instant{1h}, "HTTP");
  EXPECT_EQ(access.refused(), 1u);
  EXPECT_EQ(access.refused_without_token(), 2u);
  ASSERT_EQ(access.refusals().size(), 2u);
  EXPECT_EQ(access.refusals()[0].why, TurnedAway::kNotAllowed);
  EXPECT_EQ(access.refusals()[1].why, TurnedAway::kNoToken);
  AccessList open({}, true);
  while (open.admit(client, Instant{1h}, "NG")) {
  }
  ASSERT_EQ(open.refusals().size(), 1u);
  EXPECT_EQ(open.refusals()[0].why, TurnedAway::kBudget) << "its address is allowed, its rate is not";
}

TEST(Access, LIM4_AProxyThatGoesOnIsNotPushedOutByASprayOfForgedSources) {
  AccessList access({}, false);
  const IpAddress proxy = IpAddress::v4({198, 51, 100, 9});
  Instant now{1h};
  for (unsigned i = 0; i < 10'000; ++i, now += 1ms) {
    access.admit(IpAddress::v4({10, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}), now,
                 "NG");
    if (i % 5 == 0) access.admit(proxy, now, "NG");
  }
  const auto found = std::ranges::find(access.refusals(), proxy, &AccessList::Refusal::source);
  ASSERT_NE(found, access.refusals().end());
  EXPECT_EQ(found->count, 2000u);
}

/// One after the other, `sources` forged sources send `each` datagrams, all of it within a second.
void flood(AccessList& access, unsigned sources, unsigned each, Instant now, std::string_view listener) {
  for (unsigned n = 0; n < sources * each; ++n) {
    const unsigned source = n / each;
    access.admit(
        IpAddress::v4({10, 0, static_cast<std::uint8_t>(source >> 8), static_cast<std::uint8_t>(source)}),
        now + n * 1us, listener);
  }
}

TEST(Access, LIM4_WhoHasTriedForSomeMinutesIsNotPushedOutByABurstOfManyForgedSources) {
  for (const unsigned sources : {32u, 33u, 100u}) {
    AccessList access({}, false);
    const IpAddress proxy = IpAddress::v4({198, 51, 100, 9});
    for (int minute = 0; minute < 3; ++minute) access.admit(proxy, Instant{1h} + minute * 1min, "NG");
    flood(access, sources, 50, Instant{1h} + 3min, "NG");
    const auto found = std::ranges::find(access.refusals(), proxy, &AccessList::Refusal::source);
    ASSERT_NE(found, access.refusals().end()) << sources << " forged sources";
    EXPECT_EQ(found->count, 3u);
    EXPECT_EQ(access.refusals().size(), 32u);
  }
}

TEST(Access, LIM4_AFloodAtOneListenerPushesOutNobodyOfAnotherOne) {
  AccessList access({}, false);
  const IpAddress client = IpAddress::v4({198, 51, 100, 9});
  access.admit(client, Instant{1h}, "HTTP");
  access.note_without_token(client, Instant{1h}, "HTTP");
  flood(access, 1000, 20, Instant{1h}, "NG");
  EXPECT_EQ(std::ranges::count(access.refusals(), client, &AccessList::Refusal::source), 2);
  // Who comes in the midst of a flood at another listener finds a place, and keeps it.
  const IpAddress late = IpAddress::v4({198, 51, 100, 10});
  access.admit(late, Instant{1h} + 1s, "text commands");
  flood(access, 1000, 20, Instant{1h} + 2s, "NG");
  EXPECT_EQ(std::ranges::count(access.refusals(), late, &AccessList::Refusal::source), 1);
}

TEST(Access, LIM4_AClientHasALineInTheLogOnceAMinuteAndAllTogetherHaveTen) {
  AccessList access({}, false);
  const IpAddress proxy = IpAddress::v4({198, 51, 100, 9});
  Instant now{1h};
  std::set<Instant> told;
  for (; now < Instant{1h} + 10min; now += 1s) {
    access.admit(proxy, now, "NG");
    ASSERT_EQ(access.refusals().size(), 1u);
    told.insert(access.refusals()[0].told_at.value());
  }
  EXPECT_EQ(told.size(), 10u);
  EXPECT_EQ(access.refusals()[0].count, 600u);
  EXPECT_GE(access.refusals()[0].told, 541u) << "a line says how many came since the last one";
  now += 1min;
  for (std::uint8_t i = 0; i < 30; ++i) access.admit(IpAddress::v4({10, 0, 0, i}), now, "NG");
  EXPECT_EQ(std::ranges::count_if(access.refusals(), [&](const auto& each) { return each.told_at == now; }),
            10);
}

/// A relay with media ports 30000 to 30010 at one address, another one advertised, and at every address.
class MediaSources : public ::testing::Test {
 protected:
  bool admits(const char* source, bool is_open_control = false) {
    AccessList access({*Network::parse("0.0.0.0/0"), *Network::parse("::/0")}, is_open_control, own_);
    const bool admitted = access.admit_datagram(Endpoint::parse(source).value(), Instant{1h});
    EXPECT_EQ(access.refused_from_media(), admitted ? 0u : 1u) << source;
    EXPECT_EQ(access.refused(), 0u) << "not the refusal of a stranger";
    return admitted;
  }

  std::shared_ptr<OpenPorts> ports_ = std::make_shared<OpenPorts>(UdpPort{30000}, UdpPort{30010});
  std::shared_ptr<OpenPorts> everywhere_ = std::make_shared<OpenPorts>(UdpPort{40000}, UdpPort{40010});
  std::shared_ptr<const OwnMedia> own_ = std::make_shared<const OwnMedia>(std::vector<OwnMedia::Range>{
      {IpAddress::v4({192, 0, 2, 1}), ports_},
      {IpAddress::v4({203, 0, 113, 77}), ports_},
      {IpAddress::unspecified(AddressFamily::kIpv4), everywhere_},
  });
};

TEST_F(MediaSources, LAT11a_ADatagramFromAnOpenMediaPortIsNoCommandWhateverControlAllowSays) {
  ports_->set(UdpPort{30002}, true);
  everywhere_->set(UdpPort{40004}, true);
  for (const bool is_open_control : {false, true}) {
    for (const char* own : {"192.0.2.1:30002", "203.0.113.77:30002", "[::ffff:192.0.2.1]:30002",
                            "127.0.0.1:40004", "127.0.0.7:40004"})
      EXPECT_FALSE(admits(own, is_open_control)) << own;
    // A proxy may have a free port of the range, and any port at another address.
    for (const char* others : {"192.0.2.1:30004", "203.0.113.77:30004", "192.0.2.1:5060", "127.0.0.1:30002",
                               "192.0.2.2:30002", "127.0.0.1:40006"})
      EXPECT_TRUE(admits(others, is_open_control)) << others;
  }
  ports_->set(UdpPort{30002}, false);
  EXPECT_TRUE(admits("192.0.2.1:30002")) << "closed: it may be a proxy's now";
}

TEST_F(MediaSources, LAT11a_WithoutMediaOnlyTheNetworkCounts) {
  AccessList access({}, false);
  EXPECT_TRUE(access.admit_datagram(Endpoint::parse("127.0.0.1:30002").value(), Instant{1h}));
  EXPECT_FALSE(access.admit_datagram(Endpoint::parse("192.0.2.1:30002").value(), Instant{1h}));
  EXPECT_EQ(access.refused(), 1u);
}

TEST(Access, LAT11a_EachListenerTellsItsPortWheneverItOpens) {
  AccessList access({}, false);
  int told = 0;
  access.set_on_listening([&] { ++told; });
  std::vector<int> sockets;
  for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
    sockets.push_back(socket(AF_INET, type, 0));
    sockaddr_in loopback{};
    loopback.sin_family = AF_INET;
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(bind(sockets.back(), reinterpret_cast<const sockaddr*>(&loopback), sizeof loopback), 0);
    access.note_listener(sockets.back());
  }
  sockets.push_back(socket(AF_UNIX, SOCK_STREAM, 0));
  access.note_listener(sockets.back());
  access.note_listener(-1);
  EXPECT_EQ(told, 2);
  ASSERT_EQ(access.listening().size(), 2u);
  for (const UdpPort port : access.listening()) EXPECT_NE(port.value, 0);
  for (const int each : sockets) close(each);
}

}  // namespace
}  // namespace ferry::test
