// SPDX-License-Identifier: Apache-2.0
// How much a party spoke, and how much of it is missing: each packet is counted once.

#include "control/diagnose/spoken.hpp"

#include "tests/support/call_story.hpp"

#include <chrono>
#include <functional>

#include <gtest/gtest.h>

namespace ferry::test::spoken_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kNow{1h};

TEST(SaysPause, ByItsLastPacket) {
  const struct {
    const char* what;
    int type;
    std::uint16_t octets;
    bool by_bye;
    bool pauses;
  } rows[] = {
      {"speech of G.711", 8, 160, false, false},
      {"comfort noise", 13, 20, false, true},
      {"comfort noise with a marker", 128 | 13, 20, false, true},
      {"a silence frame of G.729", 18, 2, false, true},
      {"one behind speech", 18, 22, false, true},
      {"speech of G.729", 18, 20, false, false},
      {"22 octets of another codec", 96, 22, false, false},
      {"a short frame of AMR or Opus", 96, 8, false, true},
      {"one octet more", 96, 9, false, false},
      {"no packet yet", 96, 0, false, false},
      {"BYE", 8, 160, true, true},
  };
  for (const auto& row : rows) {
    SsrcCounters stream;
    stream.last_payload_type = static_cast<std::uint8_t>(row.type);
    stream.last_payload_size = row.octets;
    stream.idle_by_bye = row.by_bye;
    EXPECT_EQ(says_pause(stream), row.pauses) << row.what;
  }
}

TEST(SaysPause, AlsoByComfortNoiseThatWasRefused) {
  const struct {
    const char* what;
    std::uint8_t component;
    std::uint8_t type;
    Duration last;
    bool pauses;
  } rows[] = {{"after the last packet", 0, 13, 2s, true},
              {"before it", 0, 13, -1s, false},
              {"speech", 0, 8, 2s, false},
              {"at the RTCP port", 1, 13, 2s, false}};
  for (const auto& row : rows) {
    MediaView seen;
    Refusal refusal;
    refusal.reason = DropReason::kUnknownPayloadType;
    refusal.component = row.component;
    refusal.type = PayloadType{row.type};
    refusal.last = kNow + row.last;
    refusal.times = 1;
    seen.refusals = {refusal};
    EXPECT_EQ(says_pause_in_refused(seen, kNow), row.pauses) << row.what;
  }
}

/// A minute of 50 packets a second, until now.
MediaView::Stream running() {
  MediaView::Stream stream;
  stream.counters.packets = 3000;
  stream.counters.highest_extended = 2999;
  stream.counters.first_packet = kNow - 60s;
  stream.counters.last_packet = kNow;
  stream.recent.span = 10s;
  stream.recent.counts.packets = stream.recent.counts.expected = 500;
  return stream;
}

TEST(PacketRate, IsThatOfTheTimeInWhichTheStreamRan) {
  const struct {
    const char* what;
    std::function<void(MediaView::Stream&)> change;
    double rate;
  } rows[] = {
      {"a running stream", [](auto&) {}, 50},
      {"it stopped four seconds ago",
       [](auto& s) {
         s.counters.last_packet = kNow - 4s;
         s.recent.counts.expected = 300;
       },
       50},
      {"nothing is known of the last seconds", [](auto& s) { s.recent = {}; }, 50},
      {"a pause in the last seconds",
       [](auto& s) {
         s.recent.counts.expected = 25;
         s.counters.highest_extended = 2524;  // and for 9.5 s of the call
         s.counters.longest_gap_ticks = 9'500'000'000 >> 10;
       },
       50},
      {"it speaks now and then",
       [](auto& s) {
         s.recent.counts.expected = 20;
         s.counters.packets = 120;
         s.counters.highest_extended = 119;
       },
       2},
      {"too little to say",
       [](auto& s) {
         s.recent.counts.expected = 19;
         s.counters.packets = 49;
       },
       0},
  };
  for (const auto& row : rows) {
    MediaView::Stream stream = running();
    row.change(stream);
    EXPECT_NEAR(packet_rate(stream, kNow), row.rate, 1) << row.what;
  }
}

TEST(Dropped, PacketsOfStrangersAndCopiesAreNoneOfTheParty) {
  MediaEvidence media;
  media.seen.recent_drops.span = 10s;
  constexpr auto kSide = DropSide::kArriving;
  constexpr auto kReason = DropReason::kNotAuthentic;
  media.seen.recent_drops.add(kSide, kReason, 100);
  media.seen.recent_drops.add(kSide, kReason, 30, DropTrait::kForeign);
  media.seen.recent_drops.add(kSide, kReason, 20, DropTrait::kCopy);
  media.seen.recent_drops.add(DropSide::kLeaving, kReason, 500);
  const Dropped of_reason = dropped({}, media, kReason);
  EXPECT_EQ(of_reason.own, 50);
  EXPECT_EQ(of_reason.foreign, 30);
  EXPECT_EQ(of_reason.copies, 20);
  EXPECT_EQ(of_reason.packets(), 100);
  EXPECT_EQ(dropped({}, media, DropReason::kReplayed).packets(), 0);
}

TEST(Dropped, WithoutLastSecondsTheNewestRefusalTells) {
  const struct {
    const char* what;
    std::function<void(Refusal&)> change;
    double own;
    double foreign;
  } rows[] = {
      {"from the party", [](Refusal&) {}, 7, 0},
      {"from its other port", [](Refusal& r) { r.from.port = UdpPort{9}; }, 7, 0},
      {"from another host", [](Refusal& r) { r.from = *Endpoint::parse("192.0.2.9:4000"); }, 0, 7},
      {"at the RTCP port", [](Refusal& r) { r.component = 1; }, 0, 7},
      {"RTCP at the RTP port", [](Refusal& r) { r.is_rtcp = true; }, 0, 7},
      {"long ago", [](Refusal& r) { r.last = kNow - 5s; }, 0, 0},
  };
  for (const auto& row : rows) {
    TransportSnapshot port;
    port.latch[0].peer = *Endpoint::parse("192.0.2.1:4000");
    CallEvidence call;
    call.now = kNow;
    MediaEvidence media;
    media.seen.active = &port;
    Refusal refusal;
    refusal.reason = DropReason::kTooLong;
    refusal.from = port.latch[0].peer;
    refusal.last = kNow - 1s;
    refusal.times = 7;
    row.change(refusal);
    media.seen.refusals = {refusal};
    const Dropped result = dropped(call, media, DropReason::kTooLong);
    EXPECT_EQ(result.own, row.own) << row.what;
    EXPECT_EQ(result.foreign, row.foreign) << row.what;
  }
}

TEST(Dropped, APercentageIsOfAllThatCame) {
  MediaEvidence media;
  media.seen.ingress = {running()};
  media.seen.recent_drops.span = 10s;
  // A packet without a key is not counted as received, and one that has no sink is.
  EXPECT_NEAR(dropped_percent(media, DropReason::kNoKey, 500), 50, 0.01);
  EXPECT_NEAR(dropped_percent(media, DropReason::kTooLate, 500), 100, 0.01);
  EXPECT_EQ(dropped_percent(media, DropReason::kNoKey, 0), 0);
  media.seen.recent_drops.span = Duration{0};
  media.seen.counters[0].packets_in = 1500;
  EXPECT_NEAR(dropped_percent(media, DropReason::kNoKey, 500), 25, 0.01) << "of the whole call";
}

TEST(NumbersRepeated, WithoutPacketsThatCameTwice) {
  MediaEvidence receiver;
  receiver.seen.recent_drops.add(DropSide::kLeaving, DropReason::kReplayed, 30);
  receiver.seen.recent_drops.add(DropSide::kArriving, DropReason::kReplayed, 100);
  EXPECT_EQ(numbers_repeated(receiver), 30);
  receiver.seen.recent_drops.add(DropSide::kLeaving, DropReason::kReplayed, 25, DropTrait::kCopy);
  EXPECT_EQ(numbers_repeated(receiver), 5);
}

TEST(Spoken, EachPacketIsMissingOnce) {
  const struct {
    const char* what;
    std::function<void(CallStory&)> change;
    double missing_percent;
    DropReason reason;
  } rows[] = {
      {"a call that is well", [](CallStory&) {}, 0, DropReason::kNone},
      {"lost on the way", [](CallStory& s) { s.loses(A, 10); }, 10, DropReason::kNone},
      {"refused, with gaps in the numbers", [](CallStory& s) { s.refuses(A, DropReason::kNotAuthentic, 20); },
       20, DropReason::kNotAuthentic},
      {"refused, and counted as received", [](CallStory& s) { s.refuses(A, DropReason::kTooLate, 20); }, 20,
       DropReason::kTooLate},
      {"refused by a command", [](CallStory& s) { s.refuses(A, DropReason::kBlocked, 50); }, 0,
       DropReason::kNone},
      {"copies that are refused", [](CallStory& s) { s.refuses_copies(A, DropReason::kReplayed, 25); }, 0,
       DropReason::kNone},
      {"somebody else is refused", [](CallStory& s) { s.refuses_stranger(A, DropReason::kTooLong, 100); }, 0,
       DropReason::kNone},
      {"it came twice", [](CallStory& s) { s.doubles(A, 30); }, 0, DropReason::kNone},
      {"it stands still", [](CallStory& s) { s.stops(A, 4s); }, 40, DropReason::kNone},
      {"it pauses and says so", [](CallStory& s) { s.pauses_with_comfort_noise(A, 4s); }, 0,
       DropReason::kNone},
      {"it is on hold", [](CallStory& s) { s.holds_both(4s); }, 0, DropReason::kNone},
  };
  for (const auto& row : rows) {
    CallStory story;
    row.change(story);
    const CallEvidence& call = story.evidence();
    const Spoken spoken = spoken_by(call, call.legs[0].medias[0]);
    EXPECT_NEAR(spoken.ear.missing_percent(), row.missing_percent, 2) << row.what;
    EXPECT_EQ(spoken.reason, row.reason) << row.what;
  }
}

TEST(Spoken, AStreamThatStandsStillIsAHole) {
  CallStory story;
  story.stops(A, 2s);
  const CallEvidence& call = story.evidence();
  const Spoken spoken = spoken_by(call, call.legs[0].medias[0]);
  EXPECT_EQ(spoken.halted, CallStory::now() - 2s);
  EXPECT_NEAR(spoken.still, 100, 5);
  EXPECT_GE(spoken.ear.hole, 2s);
  CallStory goes_on;
  const CallEvidence& other = goes_on.evidence();
  EXPECT_EQ(spoken_by(other, other.legs[0].medias[0]).halted, Instant{});
}

TEST(Spoken, OnlySpeechHasAMos) {
  CallStory story(2, {"audio", "video"});
  const CallEvidence& call = story.evidence();
  EXPECT_TRUE(spoken_by(call, call.legs[0].medias[0]).ear.mos);
  EXPECT_FALSE(spoken_by(call, call.legs[0].medias[1]).ear.mos);
}

}  // namespace
}  // namespace ferry::test::spoken_test
