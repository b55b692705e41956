// SPDX-License-Identifier: Apache-2.0
// The attack rows D-01 to D-07 and I-01 to I-07 (docs/rules.md) on a browser whose audio and video share a
// BUNDLE group: at ports of its own, and at the one port for ICE with one worker and with several.
//
// Each row attacks a call while it connects, while it talks, or both. Afterwards everything that was said has
// arrived, nothing of a stranger's has, and the stranger has got no answer.

#include "tests/support/browser_group.hpp"
#include "tests/support/fake_dtls.hpp"

#include <cstddef>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::browser_attacks_test {
namespace {

using namespace ferry::test;
using nlohmann::json;
using namespace std::chrono_literals;

/// Where the browser's leg lives.
struct Place {
  std::string name;
  /// 0: it has ports of its own.
  std::uint16_t ice_port;
  std::size_t workers;
};
const std::vector<Place> kPlaces = {{"OwnPorts", 0, 1},
                                    {"OwnPortsOfTwoWorkers", 0, 2},
                                    {"OnePort", 29'000, 1},
                                    {"OnePortOfThreeWorkers", 29'000, 3}};

class Attacked : public GroupCall, public ::testing::TestWithParam<Place> {
 protected:
  /// `dtls`: makes the handshakes of both sides in virtual time; null: OpenSSL does.
  explicit Attacked(const std::shared_ptr<FakeDtls>& dtls = nullptr)
      : GroupCall(options(dtls)),
        browser_(*world_, at('B', 5001), "bob", true, "active", dtls ? dtls->make_identity() : nullptr) {
    for (std::uint16_t n = 0; n < 50; ++n) world_->open(at('X', stranger_port(n)));
  }
  static WorldOptions options(const std::shared_ptr<FakeDtls>& dtls) {
    WorldOptions made;
    if (dtls) {
      made.session.dtls.backend = dtls;
      made.on_time = [dtls](Instant now) { dtls->now = now; };
    }
    if (GetParam().ice_port != 0) made.ice_port = UdpPort{GetParam().ice_port};
    made.workers = GetParam().workers;
    return made;
  }
  static std::uint16_t stranger_port(std::uint16_t n) { return static_cast<std::uint16_t>(7000 + n); }
  [[nodiscard]] Endpoint stranger(std::uint16_t n = 0) const { return at('X', stranger_port(n)); }
  /// Where the relay is for the browser, as its SDP says.
  [[nodiscard]] Endpoint relay() const { return browser_.plan.candidates.front().at; }
  void call() { browser_offers(browser_, kBothParts); }
  /// Until the browser has keys; how long that took.
  [[nodiscard]] Duration connect(Duration most = 5s) {
    Duration took{0};
    for (; took < most && browser_.keys_end() == nullptr; took += 20ms) pass({&browser_}, 20ms);
    EXPECT_NE(browser_.keys_end(), nullptr) << "no keys after " << most.count() / 1'000'000 << " ms";
    return took;
  }
  /// Datagrams that came to any place of the stranger.
  [[nodiscard]] std::size_t sent_to_stranger() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        world_->received(), [&](const Received& each) { return each.at.address == stranger().address; }));
  }
  /// A check with this password, as the browser would send it.
  [[nodiscard]] Packet check(const std::string& password, std::uint32_t n) const {
    return stun_check(browser_.check_name(), password, n);
  }
  static Packet hello(std::uint64_t seed = 1) {
    return dtls_message(kClientHello, 0, hello_body(random_of(seed)));
  }
  /// Places of the stranger that the relay has asked back.
  [[nodiscard]] std::size_t checked_places() const {
    std::set<Endpoint> places;
    for (const Received& each : world_->received()) {
      if (each.at.address == stranger().address && read_u16(each.packet, 0) == 0x0001) places.insert(each.at);
    }
    return places.size();
  }

  IcePhone browser_;
};
INSTANTIATE_TEST_SUITE_P(Places, Attacked, ::testing::ValuesIn(kPlaces),
                         [](const auto& place) { return place.param.name; });

TEST_P(Attacked, DTL2_D01_AStrangersHelloAfterIceIsIgnored) {
  call();
  while (!browser_.agent.selected(Component::kRtp)) pass({&browser_}, 20ms);
  for (std::uint16_t n = 0; n < 50; ++n) world_->send(stranger(n), relay(), hello(n));
  EXPECT_LE(connect(), 500ms);
  for (std::uint16_t n = 0; n < 50; ++n) world_->send(stranger(n), relay(), hello(n));
  EXPECT_EQ(talk(browser_), kAllArrived);
  EXPECT_EQ(sent_to_stranger(), 0u);
}

TEST_P(Attacked, DTL13_D02_HellosWithTheBrowsersOwnAddressCostAtMostThreeTries) {
  call();
  for (std::uint64_t n = 0; n < 8; ++n) world_->send(browser_.at(), relay(), hello(n));
  while (!browser_.agent.selected(Component::kRtp)) pass({&browser_}, 20ms);
  for (std::uint64_t n = 0; n < 8; ++n) world_->send(browser_.at(), relay(), hello(100 + n));
  EXPECT_LE(connect(8s), 7s) << "three tries: 1 s, 2 s and 4 s (RFC 6347 section 4.2.4.1)";
  EXPECT_EQ(talk(browser_), kAllArrived);
  for (std::uint64_t n = 0; n < 8; ++n) world_->send(browser_.at(), relay(), hello(200 + n));
  EXPECT_EQ(talk(browser_), kAllArrived);
}

TEST_P(Attacked, D03_AFloodOfHellosCostsNoCallAndNoAnswer) {
  call();
  for (std::uint32_t n = 0; n < 5'000; ++n) {
    world_->send(stranger(static_cast<std::uint16_t>(n % 50)), relay(), hello(n));
    if (n % 100 == 0) pass({&browser_}, 20ms);
  }
  static_cast<void>(connect());
  EXPECT_EQ(talk(browser_), kAllArrived);
  EXPECT_EQ(sent_to_stranger(), 0u);
}

TEST_P(Attacked, DTL3_D04_AHelloThatComesBeforeItsCheckIsUsed) {
  call();
  browser_.begin_handshake();
  world_->run(world_->elapsed() + 20ms);
  EXPECT_LE(connect(), 600ms) << "it would repeat the hello after a second";
  pass({&browser_}, 200ms);
  EXPECT_EQ(talk(browser_), kAllArrived);
}

TEST_P(Attacked, DTL8_D05_NothingPassesWithoutTheCertificateOfTheSdp) {
  // Its SDP has the fingerprint of somebody else.
  IcePhone other(*world_, at('O', 5003), "other", true);
  const auto line = [](const std::string& sdp) {
    const auto begin = sdp.find("a=fingerprint:");
    return sdp.substr(begin, sdp.find("\r\n", begin) - begin);
  };
  std::string sdp = group_sdp(browser_, kBothParts);
  const std::string own = line(sdp);
  for (auto found = sdp.find(own); found != std::string::npos; found = sdp.find(own))
    sdp.replace(found, own.size(), line(other.sdp()));
  json request = offer("c", "B", sdp);
  request.update({{"transport-protocol", "RTP/AVP"}, {"ICE", "remove"}, {"rtcp-mux", {"demux"}}});
  relay_ = ports_of(ok(request));
  browser_.hears(ok(answer("c", "B", "A", phone_sdp(2))));
  pass({&browser_}, 5s);
  const GroupCounts talked = talk(browser_);
  EXPECT_EQ(talked, (GroupCounts{0, 0, 0, 0}));
}

/// Handshakes that are repeated in virtual time.
class Lossy : public Attacked {
 protected:
  Lossy() : Attacked(std::make_shared<FakeDtls>()) {}
};
INSTANTIATE_TEST_SUITE_P(Places, Lossy, ::testing::ValuesIn(kPlaces),
                         [](const auto& place) { return place.param.name; });

TEST_P(Lossy, D06_AHandshakeThroughALossyPathCompletes) {
  // The browser is cut off for a third of the time, by chance, until it has keys.
  call();
  std::mt19937 random(1);
  for (Duration done{0}; done < 60s && browser_.keys_end() == nullptr; done += 20ms) {
    browser_.dead.clear();
    if (random() % 3 == 0) browser_.dead.insert(browser_.at());
    pass({&browser_}, 20ms);
  }
  browser_.dead.clear();
  ASSERT_NE(browser_.keys_end(), nullptr);
  pass({&browser_}, 1s);
  EXPECT_EQ(talk(browser_), kAllArrived);
}

TEST_P(Attacked, D07_PlainAlertsOnALiveAssociationAreIgnored) {
  call();
  static_cast<void>(connect());
  for (const std::uint8_t level : std::array<std::uint8_t, 2>{1, 2}) {
    for (const std::uint8_t description : std::array<std::uint8_t, 3>{0, 40, 42}) {
      world_->send(browser_.at(), relay(), dtls_alert(level, description));
      world_->send(stranger(), relay(), dtls_alert(level, description));
    }
  }
  EXPECT_EQ(talk(browser_), kAllArrived);
  pass({&browser_}, 40s);
  EXPECT_EQ(talk(browser_), kAllArrived);
  EXPECT_EQ(sent_to_stranger(), 0u);
}

TEST_P(Attacked, ICE1_I01_I02_WhatHasNoPasswordIsNotAnswered) {
  call();
  static_cast<void>(connect());
  for (std::uint32_t n = 0; n < 1'000; ++n) {
    const Endpoint from = stranger(static_cast<std::uint16_t>(n % 50));
    Packet broken = check(browser_.plan.peer.password, n);
    broken[broken.size() / 2] ^= std::byte{1};
    world_->send(from, relay(), broken);
    world_->send(from, relay(), check("a wrong password", n));
    world_->send(from, relay(), check("", n));
    world_->send(from, relay(), rtp('X', 1, static_cast<std::uint16_t>(n)));
    if (n % 100 == 0) pass({&browser_}, 20ms);
  }
  EXPECT_EQ(talk(browser_), kAllArrived);
  EXPECT_EQ(sent_to_stranger(), 0u);
}

TEST_P(Attacked, ICE4_I03_CandidatesAreBoundedAndForbiddenPlacesGetNothing) {
  // 500 candidates behind its own: a host that never answers, names, and places that nobody may be at.
  std::string sdp = group_sdp(browser_, kBothParts);
  std::string more;
  for (unsigned n = 0; n < 500; ++n) {
    const std::string address = n % 5 == 0   ? "224.0.0.1"
                                : n % 5 == 1 ? "127.0.0.1"
                                : n % 5 == 2 ? "somebody.local"
                                : n % 5 == 3 ? "0.0.0.0"
                                             : stranger().address.to_string();
    more +=
        fmt::format("a=candidate:{} 1 UDP {} {} {} typ host\r\n", 100 + n, 1000 + n, address, 7000 + n % 50);
  }
  const std::string own = browser_.candidate();
  sdp.insert(sdp.find(own) + own.size(), more);
  json request = offer("c", "B", sdp);
  request.update({{"transport-protocol", "RTP/AVP"}, {"ICE", "remove"}, {"rtcp-mux", {"demux"}}});
  relay_ = ports_of(ok(request));
  browser_.hears(ok(answer("c", "B", "A", phone_sdp(2))));
  static_cast<void>(connect());
  EXPECT_EQ(talk(browser_), kAllArrived);
  pass({&browser_}, 40s);
  // A place that was named gets checks at most: 7 tries for each of the candidates that are kept (ICE-4).
  EXPECT_LE(sent_to_stranger(), 50u * 8u);
  for (const Received& each : world_->received()) {
    if (each.at.address != stranger().address) continue;
    ASSERT_LE(read_u8(each.packet, 0), 3) << "no media goes there";
  }
}

TEST_P(Attacked, ICE4_I04_AWrongPasswordGetsNothingAndARightOneFewPlaces) {
  call();
  static_cast<void>(connect());
  for (std::uint16_t n = 0; n < 50; ++n) world_->send(stranger(n), relay(), check("a wrong password", n));
  pass({&browser_}, 1s);
  EXPECT_EQ(sent_to_stranger(), 0u);
  EXPECT_EQ(talk(browser_), kAllArrived);
  // Somebody who has read the SDP: he is answered, and a bounded number of his places are remembered.
  for (std::uint16_t n = 0; n < 50; ++n)
    world_->send(stranger(n), relay(), check(browser_.plan.peer.password, 100u + n));
  pass({&browser_}, 1s);
  EXPECT_GT(sent_to_stranger(), 0u) << "else the check was none";
  // Ten are kept (ICE-4). One of them that has been idle may have given way to another within the second.
  EXPECT_LE(checked_places(), 20u);
  EXPECT_EQ(talk(browser_), kAllArrived);
}

TEST_P(Attacked, ICE9_I05_MediaStopsWithinThirtySecondsWhenTheBrowserIsGone) {
  call();
  static_cast<void>(connect());
  EXPECT_EQ(talk(browser_), kAllArrived);
  // Its page is closed. The phone goes on, and so does a stranger.
  browser_.dead = {browser_.at()};
  const auto media = [&] {
    return static_cast<std::size_t>(std::ranges::count_if(world_->received(), [&](const Received& each) {
      return each.at == browser_.at() && !each.packet.empty() && read_u8(each.packet, 0) >= 128;
    }));
  };
  std::size_t last = media();
  Duration stopped{0};
  for (Duration done{0}; done < 45s; done += 20ms) {
    world_->send(at('A', 4000), {world_->relay_address(), UdpPort{relay_[0]}}, rtp('A', 1, sequence_++));
    world_->send(stranger(), relay(), check("a wrong password", sequence_));
    world_->run(world_->elapsed() + 20ms);
    if (media() > last) stopped = done;
    last = media();
  }
  EXPECT_GT(stopped, 5s);
  EXPECT_LE(stopped, 31s);
}

TEST_P(Attacked, ICE3_I06_ANewAddressOfTheBrowserTakesOverWithoutAGap) {
  // Its new address is checked and nominated while the old one still works, as ICE does it.
  browser_.is_also_at(at('B', 5051));
  browser_.plan.controlling = true;
  call();
  static_cast<void>(connect());
  EXPECT_EQ(talk(browser_), kAllArrived);
  browser_.restart();
  browser_offers(browser_, kBothParts);
  EXPECT_EQ(talk(browser_), kAllArrived);
}

TEST_P(Attacked, LAT12_I07_CallsThatNameAHostThatNeverAnswersSendItChecksAlone) {
  std::vector<std::unique_ptr<IcePhone>> victims;
  for (unsigned n = 0; n < 40; ++n) {
    const std::string id = fmt::format("call-{}", n);
    auto& phone = victims.emplace_back(std::make_unique<IcePhone>(
        *world_, stranger(static_cast<std::uint16_t>(n)), fmt::format("v{}", n), true));
    json request = offer(id, "B", group_sdp(*phone, kBothParts));
    request.update({{"transport-protocol", "RTP/AVP"}, {"ICE", "remove"}, {"rtcp-mux", {"demux"}}});
    relay_ = ports_of(ok(request));
    ok(answer(id, "B", "A", phone_sdp(2)));
    for (std::uint16_t i = 0; i < 20; ++i)
      world_->send(at('A', 4000), {world_->relay_address(), UdpPort{relay_[0]}}, rtp('A', 1, i));
  }
  world_->run(world_->elapsed() + 60s);
  std::size_t checks = 0;
  for (const Received& each : world_->received()) {
    if (each.at.address != stranger().address) continue;
    ASSERT_LE(read_u8(each.packet, 0), 3) << "media, or a handshake, went to a host that never answered";
    ++checks;
  }
  EXPECT_LE(checks, 40u * 8u) << "seven tries a pair (RFC 8489 section 6.2.1)";
}

}  // namespace
}  // namespace ferry::browser_attacks_test
