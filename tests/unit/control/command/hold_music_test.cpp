// SPDX-License-Identifier: Apache-2.0
// Music on hold: when it begins and ends, and what the other party is shown (docs/reference/ng.md#playback).
#include "control/command/hold_music.hpp"

#include "control/command/playback_control.hpp"
#include "tests/support/listening_relay.hpp"

namespace ferry::test::hold_music_test {
namespace {

using namespace std::chrono_literals;
using Kind = SoundName::Kind;

const Endpoint kA = Endpoint::parse("198.51.100.1:4000").value();
const Endpoint kB = Endpoint::parse("198.51.100.2:5000").value();

class HoldMusicTest : public testing::Test {
 protected:
  /// A call in which A has announced music.
  void begin(HoldMusicWish wish = {SoundName{Kind::kTone, "dial/de"}, {}, {}}) {
    Request offer = SmallRelay::request("call", "A", {}, audio_at("198.51.100.1:4000"));
    offer.hold_music = std::move(wish);
    all.relay.offer(offer).value();
    all.relay.answer(SmallRelay::request("call", "A", "B", audio_at("198.51.100.2:5000"))).value();
  }
  /// `from` offers again with a direction, and the other one answers. Returns the SDP that the other one was
  /// shown.
  std::string again(const std::string& from, std::string_view direction,
                    std::string_view answered = "a=sendrecv\r\n") {
    const std::string to = from == "A" ? "B" : "A";
    const auto sdp = [](const std::string& who, std::string_view more) {
      return audio_at(who == "A" ? "198.51.100.1:4000" : "198.51.100.2:5000", more);
    };
    const auto shown = all.relay.offer(SmallRelay::request("call", from, to, sdp(from, direction))).value();
    all.relay.answer(SmallRelay::request("call", from, to, sdp(to, answered))).value();
    return *shown.sdp;
  }
  /// Packets that a party is sent in 200 ms.
  std::size_t heard(const Endpoint& who) {
    all.all.clear();
    all.pass(200ms);
    return all.heard(who).size();
  }

  ListeningRelay all;
};

TEST_F(HoldMusicTest, PlaysWhileThePartyHearsNobody) {
  begin();
  EXPECT_EQ(heard(kB), 0u);
  again("A", "a=sendonly\r\n", "a=recvonly\r\n");
  EXPECT_EQ(heard(kB), 10u);
  EXPECT_EQ(heard(kA), 0u);
  again("A", "a=sendonly\r\n", "a=recvonly\r\n");
  EXPECT_EQ(heard(kB), 10u) << "the same hold again";
  again("A", "a=sendrecv\r\n");
  EXPECT_EQ(heard(kB), 0u);
  again("A", "a=inactive\r\n", "a=inactive\r\n");
  EXPECT_EQ(heard(kB), 10u);
  EXPECT_EQ(heard(kA), 0u) << "B's answer is no hold of its own";
  again("A", "");
  EXPECT_EQ(heard(kB), 0u);
}

TEST_F(HoldMusicTest, GoesOnAsOneStream) {
  begin();
  again("A", "a=sendonly\r\n", "a=recvonly\r\n");
  all.pass(500ms);
  again("A", "a=sendrecv\r\n");
  again("A", "a=sendonly\r\n", "a=recvonly\r\n");
  all.pass(500ms);
  const auto heard = all.heard(kB);
  for (std::size_t i = 1; i < heard.size(); ++i) {
    ASSERT_EQ(heard[i].ssrc, heard[0].ssrc);
    ASSERT_EQ(heard[i].sequence, static_cast<std::uint16_t>(heard[i - 1].sequence + 1));
  }
}

TEST_F(HoldMusicTest, ThePartyThatAnnouncedNoneHasNone) {
  begin();
  again("B", "a=sendonly\r\n", "a=recvonly\r\n");
  EXPECT_EQ(heard(kA) + heard(kB), 0u);
}

TEST_F(HoldMusicTest, GoesBeforeSoundsThatAreAskedFor) {
  begin();
  again("A", "a=sendonly\r\n", "a=recvonly\r\n");
  Request request = SmallRelay::request("call", "B");
  request.play.sound = SoundName{Kind::kTone, "busy"};
  EXPECT_TRUE(all.relay.ask(&PlaybackControl::play_media, request)) << "and does nothing";
  const auto stopped = all.relay.ask(&PlaybackControl::stop_media, SmallRelay::request("call", "B"));
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().fault, RequestFault::kMusicOnHold);
  all.all.clear();
  all.pass(1s);
  EXPECT_GT(share_at(ListeningRelay::decoded(all.heard(kB)), 425), 0.95) << "still the music";
}

TEST_F(HoldMusicTest, WhatCannotBePlayedRefusesTheOfferThatHolds) {
  begin({SoundName{Kind::kFile, "/none.wav"}, {}, {}});
  const auto before = all.relay.everything();
  const auto done =
      all.relay.offer(SmallRelay::request("call", "A", "B", audio_at("198.51.100.1:4000", "a=sendonly\r\n")));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().fault, RequestFault::kUnplayableFile);
  EXPECT_EQ(all.relay.everything(), before);
}

TEST_F(HoldMusicTest, TheOtherPartyIsShownWhatTheWishSays) {
  using Shown = HoldMusicWish::Shown;
  const struct {
    Shown shown;
    bool zero;
    const char* said;
    const char* direction;
    const char* connection;
  } rows[] = {
      {Shown::kSendOnly, false, "a=sendonly\r\n", "a=sendonly", "c=IN IP4 198.18.0.1"},
      {Shown::kSendOnly, false, "a=inactive\r\n", "a=sendonly", "c=IN IP4 198.18.0.1"},
      {Shown::kSendReceive, false, "a=sendonly\r\n", "a=sendrecv", "c=IN IP4 198.18.0.1"},
      {Shown::kReflected, false, "a=inactive\r\n", "a=inactive", "c=IN IP4 198.18.0.1"},
      {Shown::kSendOnly, true, "a=sendonly\r\n", "a=sendonly", "c=IN IP4 0.0.0.0"},
      {Shown::kSendReceive, true, "a=sendrecv\r\n", "a=sendrecv", "c=IN IP4 198.18.0.1"},
  };
  begin();
  for (const auto& row : rows) {
    all.relay.manager.find("call")->legs[0]->ensure_sounds().hold_music =
        std::make_unique<HoldMusicWish>(HoldMusicWish{SoundName{Kind::kTone, "dial"}, row.shown, row.zero});
    const std::string sdp = again("A", row.said, "a=recvonly\r\n");
    EXPECT_NE(sdp.find(row.direction), std::string::npos) << row.said << sdp;
    EXPECT_NE(sdp.find(row.connection), std::string::npos) << row.said << sdp;
  }
}

}  // namespace
}  // namespace ferry::test::hold_music_test
