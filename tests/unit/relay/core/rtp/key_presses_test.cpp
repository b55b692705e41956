// SPDX-License-Identifier: Apache-2.0
// DTMF presses in telephone-events: each is told once, however its packets come (RFC 4733).

#include "relay/core/rtp/key_presses.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::key_presses_test {
namespace {

using namespace std::chrono_literals;

/// A packet of an event.
struct EventPacket {
  std::uint8_t event = 5;
  std::uint32_t timestamp = 1000;
  std::uint16_t duration = 160;
  bool end = false;
  bool marker = false;
  std::uint32_t ssrc = 7;
};

class KeyPressesTest : public testing::Test {
 protected:
  /// What the packet ends: first the former press, then its own.
  std::vector<DtmfEvent> event(const EventPacket& packet) {
    octets_ = {std::byte{packet.event}, std::byte(packet.end ? 0x8a : 0x0a), std::byte(packet.duration >> 8),
               std::byte(packet.duration & 0xff)};
    RtpView rtp = view(packet.ssrc, packet.timestamp);
    rtp.marker = packet.marker;
    rtp.payload = octets_;
    const auto told = presses_.on_event(rtp, {8000, IpAddress::v4({192, 0, 2, 1}), now_});
    std::vector<DtmfEvent> all;
    if (told.former) all.push_back(*told.former);
    if (told.own) all.push_back(*told.own);
    return all;
  }
  static RtpView view(std::uint32_t ssrc, std::uint32_t timestamp) {
    RtpView rtp;
    rtp.ssrc = Ssrc{ssrc};
    rtp.timestamp = timestamp;
    return rtp;
  }

  std::array<std::byte, 4> octets_{};
  KeyPresses presses_;
  Instant now_{1h};
};

TEST_F(KeyPressesTest, APressEndsWithItsEndBitAndIsToldOnce) {
  for (std::uint16_t duration = 160; duration < 800; duration = static_cast<std::uint16_t>(duration + 160))
    EXPECT_TRUE(event({.duration = duration}).empty());
  EXPECT_TRUE(presses_.is_open());
  const auto told = event({.duration = 800, .end = true});
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].event, 5);
  EXPECT_EQ(told[0].duration, 800);
  EXPECT_EQ(told[0].duration_ms, 100u);
  EXPECT_EQ(told[0].volume, 10);
  EXPECT_EQ(told[0].source, IpAddress::v4({192, 0, 2, 1}));
  // RFC 4733 section 2.5.1.4: the last packet comes three times.
  EXPECT_TRUE(event({.duration = 800, .end = true}).empty());
  EXPECT_TRUE(event({.duration = 800, .end = true}).empty());
  EXPECT_TRUE(event({.duration = 320}).empty()) << "and one of the middle, late";
  EXPECT_FALSE(presses_.is_open());
}

TEST_F(KeyPressesTest, TheLongestDurationCountsWhenPacketsChangePlaces) {
  static_cast<void>(event({.duration = 640}));
  const auto told = event({.duration = 480, .end = true});
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].duration, 640);
}

TEST_F(KeyPressesTest, AnotherPressEndsTheOneBefore) {
  static_cast<void>(event({.event = 1, .duration = 400}));
  const auto told = event({.event = 2, .timestamp = 5000, .marker = true});
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].event, 1);
  EXPECT_EQ(told[0].duration, 400);
  EXPECT_TRUE(presses_.is_open()) << "the new one is";
  // The same key pressed twice in a row is two presses.
  const auto again = event({.event = 2, .timestamp = 9000, .marker = true});
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].event, 2);
}

TEST_F(KeyPressesTest, SegmentsOfALongPressAreOnePress) {
  static_cast<void>(event({.timestamp = 1000, .duration = 0xffff}));
  EXPECT_TRUE(event({.timestamp = 1000 + 0xffff, .duration = 800}).empty())
      << "it goes on where the first stops";
  const auto told = event({.timestamp = 1000 + 0xffff, .duration = 1600, .end = true});
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].duration, 0xffff) << "the field cannot hold it";
  EXPECT_EQ(told[0].duration_ms, (0xffffu + 1600u) * 1000 / 8000);
  EXPECT_TRUE(event({.timestamp = 1000, .duration = 0xffff}).empty()) << "a late packet of the first segment";
}

TEST_F(KeyPressesTest, AMarkerOrAnotherKeyIsNoSegment) {
  for (const bool marker : {true, false}) {
    presses_ = {};
    static_cast<void>(event({.timestamp = 1000, .duration = 800}));
    EventPacket next{.timestamp = 1800, .marker = marker};
    if (!marker) next.event = 6;
    EXPECT_EQ(event(next).size(), 1u) << marker;
  }
}

TEST_F(KeyPressesTest, AudioWellBehindThePressEndsIt) {
  static_cast<void>(event({.timestamp = 1000, .duration = 800}));
  EXPECT_FALSE(presses_.on_audio(view(7, 1800 + 1600), 8000))
      << "a fifth of a second: devices send audio beside";
  EXPECT_FALSE(presses_.on_audio(view(8, 1800 + 1601), 8000)) << "another stream";
  EXPECT_FALSE(presses_.on_audio(view(7, 1800 + 1601), 48'000)) << "another clock";
  const auto told = presses_.on_audio(view(7, 1800 + 1601), 8000);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->duration, 800);
  EXPECT_FALSE(presses_.on_audio(view(7, 9000), 8000)) << "only once";
}

TEST_F(KeyPressesTest, SilenceEndsIt) {
  EXPECT_FALSE(presses_.due());
  static_cast<void>(event({}));
  EXPECT_EQ(presses_.due(), now_ + KeyPresses::kNoUpdate);
  EXPECT_FALSE(presses_.on_time(now_ + KeyPresses::kNoUpdate - 1ns));
  EXPECT_TRUE(presses_.on_time(now_ + KeyPresses::kNoUpdate));
  EXPECT_FALSE(presses_.on_time(now_ + 1h));
}

TEST_F(KeyPressesTest, C13_APauseOfTheProcessIsNoSilence) {
  static_cast<void>(event({}));
  presses_.skip(10s);
  EXPECT_FALSE(presses_.on_time(now_ + 10s));
  EXPECT_TRUE(presses_.on_time(now_ + 10s + KeyPresses::kNoUpdate));
}

TEST_F(KeyPressesTest, APayloadThatIsTooShortIsIgnored) {
  RtpView rtp = view(7, 1000);
  rtp.payload = Bytes(octets_).first(3);
  const auto told = presses_.on_event(rtp, {8000, {}, now_});
  EXPECT_FALSE(told.former || told.own);
  EXPECT_FALSE(presses_.is_open());
}

// A sequence of presses, of which packets are lost, come twice or change places with their neighbours. While
// one of each press comes, each is told once, in order.
TEST_F(KeyPressesTest, EachPressIsToldOnceWhateverTheNetworkDoes) {
  rc::check([this] {
    presses_ = {};
    const auto keys = *rc::gen::container<std::vector<std::uint8_t>>(rc::gen::inRange<std::uint8_t>(0, 16));
    std::vector<std::uint8_t> told;
    const auto note = [&](const std::vector<DtmfEvent>& events) {
      for (const DtmfEvent& each : events) told.push_back(each.event);
    };
    std::uint32_t timestamp = *rc::gen::arbitrary<std::uint32_t>();
    for (const std::uint8_t key : keys) {
      // Three updates, then the end three times.
      std::vector<EventPacket> packets;
      for (int i = 1; i <= 6; ++i)
        packets.push_back({.event = key,
                           .timestamp = timestamp,
                           .duration = static_cast<std::uint16_t>(160 * std::min(i, 4)),
                           .end = i >= 4,
                           .marker = i == 1});
      const auto order = *rc::gen::nonEmpty(
          rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, 6)));
      for (const std::size_t each : order) note(event(packets[each]));
      // A second of silence: nothing that looks like a segment.
      timestamp += 8000;
    }
    if (const auto last = presses_.end()) told.push_back(last->event);
    RC_ASSERT(told == keys);
  });
}

}  // namespace
}  // namespace ferry::key_presses_test
