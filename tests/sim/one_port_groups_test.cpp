// SPDX-License-Identifier: Apache-2.0
// Browsers with audio and video in one BUNDLE group, parties behind one address, reloaded pages, publishers
// and subscribers: all on the one port for ICE, served by one or more workers in turn (ONE-1 to ONE-6).

#include "tests/support/browser_group.hpp"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::one_port_groups_test {
namespace {

using namespace ferry::test;
using nlohmann::json;
using namespace std::chrono_literals;

constexpr UdpPort kIcePort{29'000};

class Groups : public GroupCall, public ::testing::TestWithParam<std::size_t> {
 protected:
  Groups() : GroupCall(options()) {}
  static WorldOptions options() {
    WorldOptions made;
    made.ice_port = kIcePort;
    made.workers = GetParam();
    return made;
  }
  [[nodiscard]] Endpoint one_port() const { return {world_->relay_address(), kIcePort}; }
};
INSTANTIATE_TEST_SUITE_P(Workers, Groups, ::testing::Values(1, 2, 3));

TEST_P(Groups, AGroupIsOneTransportOnThePort) {
  const std::size_t before = world_->open_ports();
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  const json answered = browser_offers(browser, kBothParts);
  EXPECT_EQ(ports_of(answered), (std::vector<std::uint16_t>{29000, 29000})) << answered;
  EXPECT_NE(answered["sdp"].get<std::string>().find("a=group:BUNDLE 0 1\r\n"), std::string::npos);
  EXPECT_EQ(world_->open_ports(), before + 4) << "two pairs for the phone";
  pass({&browser}, 2s);
  EXPECT_EQ(talk(browser), kAllArrived);
  ok({{"command", "delete"}, {"call-id", "c"}, {"delete-delay", 0}});
  EXPECT_EQ(world_->open_ports(), before);
}

TEST_P(Groups, APhoneOffersAGroupToABrowser) {
  json request = offer("c", "A", phone_sdp(2));
  request.update({{"flags", {"WebRTC"}}});
  const json offered = ok(request);
  EXPECT_EQ(ports_of(offered), (std::vector<std::uint16_t>{29000, 29000})) << offered;
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  browser.hears(offered);
  relay_ = ports_of(ok(answer("c", "A", "B", group_sdp(browser, {{"audio", "1"}, {"video", "2"}}))));
  pass({&browser}, 2s);
  EXPECT_EQ(talk(browser), kAllArrived);
}

TEST_P(Groups, ASectionThatIsAddedJoinsWithoutARestart) {
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  browser_offers(browser, {{"audio", "0"}});
  pass({&browser}, 2s);
  const std::string ufrag = browser.plan.peer.ufrag;
  const json answered = browser_offers(browser, kBothParts);
  EXPECT_EQ(ports_of(answered), (std::vector<std::uint16_t>{29000, 29000})) << answered;
  EXPECT_EQ(browser.plan.peer.ufrag, ufrag);
  EXPECT_EQ(talk(browser), kAllArrived) << "at once";
}

TEST_P(Groups, TheTransportStaysWhenItsTaggedSectionGoesAway) {
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  browser_offers(browser, kBothParts);
  pass({&browser}, 2s);
  ASSERT_EQ(talk(browser), kAllArrived);
  const std::string ufrag = browser.plan.peer.ufrag;
  const json answered = browser_offers(browser, {{"audio", "0", false}, {"video", "1"}}, false);
  EXPECT_EQ(ports_of(answered), (std::vector<std::uint16_t>{0, 29000})) << answered;
  EXPECT_EQ(browser.plan.peer.ufrag, ufrag);
  EXPECT_EQ(talk(browser, false), (GroupCounts{0, 20, 0, 20}));
}

TEST_P(Groups, AFirstSectionThatIsRefusedLeavesThePortToTheNext) {
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  const json answered = browser_offers(browser, kBothParts, false);
  EXPECT_EQ(ports_of(answered), (std::vector<std::uint16_t>{0, 29000})) << answered;
  pass({&browser}, 2s);
  EXPECT_EQ(talk(browser, false), (GroupCounts{0, 20, 0, 20}));
}

TEST_P(Groups, APageThatReloadsComesBackFromTheSameSocket) {
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  IcePhone page(*world_, at('B', 5001), "page", true);
  browser_offers(browser, kBothParts);
  pass({&browser}, 2s);
  ASSERT_EQ(talk(browser), kAllArrived);
  // New credentials and a new certificate in the same call.
  page.begin();
  browser_offers(page, kBothParts);
  pass({&page}, 2s);
  EXPECT_EQ(talk(page), kAllArrived);
}

TEST_P(Groups, ONE3_APageThatReloadsIntoAnotherCallHasItsSocketOnceItIsQuiet) {
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  IcePhone page(*world_, at('B', 5001), "page", true);
  browser_offers(browser, kBothParts);
  pass({&browser}, 2s);
  ASSERT_EQ(talk(browser), kAllArrived);
  // The former call is still there; nobody has told the relay that its page is gone.
  page.begin();
  json request = offer("d", "B", group_sdp(page, kBothParts));
  request.update({{"transport-protocol", "RTP/AVP"}, {"ICE", "remove"}, {"rtcp-mux", {"demux"}}});
  relay_ = ports_of(ok(request));
  page.hears(ok(answer("d", "B", "A", phone_sdp(2))));
  pass({&page}, 10s);
  EXPECT_EQ(talk(page), kAllArrived);
}

TEST_P(Groups, PartiesBehindOneAddressAreKeptApart) {
  // One NAT gives them one address and three ports; two talk to each other, the third has a call of its own.
  IcePhone alice(*world_, at('N', 5000), "alice", true);
  IcePhone bob(*world_, at('N', 5001), "bob", true);
  IcePhone carol(*world_, at('N', 5002), "carol", true);
  json request = offer("d", "alice", group_sdp(alice, kBothParts));
  request.update({{"flags", {"WebRTC"}}});
  bob.hears(ok(request));
  alice.hears(ok(answer("d", "alice", "bob", group_sdp(bob, kBothParts))));
  browser_offers(carol, kBothParts);
  pass({&alice, &bob, &carol}, 2s);
  for (std::uint16_t n = 0; n < 20; ++n) {
    alice.send(rtp('a', 1, n));
    bob.send(rtp('b', 2, n, kVideoType));
    pass({&alice, &bob, &carol}, 20ms);
  }
  EXPECT_EQ(heard(bob, kAudioType), 20u);
  EXPECT_EQ(heard(alice, kVideoType), 20u);
  EXPECT_EQ(heard(alice, kAudioType) + heard(bob, kVideoType), 0u);
  EXPECT_TRUE(carol.heard.empty()) << "nothing of the other call";
  EXPECT_EQ(talk(carol), kAllArrived);
}

TEST_P(Groups, APublisherAndASubscriberLiveOnThePort) {
  const std::size_t before = world_->open_ports();
  IcePhone speaker(*world_, at('B', 5001), "bob", true);
  IcePhone hearer(*world_, at('C', 5002), "carol", true);
  const json published = ok({{"command", "publish"},
                             {"call-id", "room"},
                             {"from-tag", "bob"},
                             {"sdp", group_sdp(speaker, kBothParts)}});
  EXPECT_EQ(ports_of(published), (std::vector<std::uint16_t>{29000, 29000})) << published;
  speaker.hears(published);
  const json offered = ok({{"command", "subscribe request"},
                           {"call-id", "room"},
                           {"from-tag", "bob"},
                           {"to-tag", "carol"},
                           {"flags", {"WebRTC"}}});
  EXPECT_EQ(ports_of(offered), (std::vector<std::uint16_t>{29000, 29000})) << offered;
  hearer.hears(offered);
  const auto text = offered["sdp"].get<std::string>();
  const auto shown = sdp::parse(text);
  ASSERT_TRUE(shown);
  const std::string answered = group_sdp(
      hearer, {{"audio", std::string(shown->media[0].mid)}, {"video", std::string(shown->media[1].mid)}});
  ok({{"command", "subscribe answer"}, {"call-id", "room"}, {"to-tag", "carol"}, {"sdp", answered}});
  EXPECT_EQ(world_->open_ports(), before) << "no port of their own";
  pass({&speaker, &hearer}, 2s);
  for (std::uint16_t n = 0; n < 20; ++n) {
    speaker.send(rtp('B', 2, n));
    speaker.send(rtp('B', 12, n, kVideoType));
    pass({&speaker, &hearer}, 20ms);
  }
  EXPECT_EQ(heard(hearer, kAudioType), 20u);
  EXPECT_EQ(heard(hearer, kVideoType), 20u);
  // Asked again without a word, the subscriber is shown the same port.
  const json again = ok({{"command", "subscribe request"},
                         {"call-id", "room"},
                         {"from-tag", "bob"},
                         {"to-tag", "carol"},
                         {"flags", {"WebRTC"}}});
  EXPECT_EQ(ports_of(again), ports_of(offered));
  ok({{"command", "delete"}, {"call-id", "room"}, {"delete-delay", 0}});
  EXPECT_EQ(world_->open_ports(), before);
}

TEST_P(Groups, ONE3_APublisherThatMightHaveNoIceHasPortsOfItsOwn) {
  const std::string plain = audio_sdp(at('B', 5001));
  const json published =
      ok({{"command", "publish"}, {"call-id", "room"}, {"from-tag", "bob"}, {"sdp", plain}});
  EXPECT_NE(World::port_of(published), kIcePort);
  const json offered = ok({{"command", "subscribe request"},
                           {"call-id", "room"},
                           {"from-tag", "bob"},
                           {"to-tag", "carol"},
                           {"ICE", "force"}});
  EXPECT_NE(World::port_of(offered), kIcePort);
}

}  // namespace
}  // namespace ferry::one_port_groups_test
