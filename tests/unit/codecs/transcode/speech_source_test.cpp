// SPDX-License-Identifier: Apache-2.0
// The queue and the clock of one source, with packets that no honest sender makes.
#include "codecs/transcode/speech_source.hpp"

#include "relay/base/bytes.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace ferry::speech_source_test {
namespace {

using std::chrono::milliseconds;

constexpr PayloadType kSpeech{96};
constexpr PayloadType kEvents{101};
constexpr PayloadType kRed{102};
constexpr PayloadType kNoClock{103};
/// More packets wait nowhere.
constexpr std::size_t kMostWaiting = 128;

AudioConversion terms() {
  AudioConversion made;
  made.inputs = {{kSpeech, AudioInput::Kind::kSpeech, {"L16", 8000, 1, ""}},
                 {kEvents, AudioInput::Kind::kEvents, {"telephone-event", 8000, 1, ""}},
                 {kRed, AudioInput::Kind::kRedundant, {"red", 8000, 1, ""}},
                 {kNoClock, AudioInput::Kind::kSpeech, {"L16", 0, 1, ""}}};
  made.type = PayloadType{97};
  made.format = {"L16", 8000, 1, ""};
  return made;
}

/// A source and its clock; each packet comes 20 ms behind the one before.
struct World {
  World() { source.configure(conversion, 8000); }
  [[nodiscard]] static RtpView packet(std::uint16_t sequence, std::uint32_t timestamp, PayloadType type,
                                      Bytes payload) {
    RtpView rtp;
    rtp.ssrc = Ssrc{1};
    rtp.sequence = SeqNo{sequence};
    rtp.timestamp = timestamp;
    rtp.payload_type = type;
    rtp.payload = payload;
    return rtp;
  }
  void add(std::uint16_t sequence, std::uint32_t timestamp, PayloadType type, Bytes payload) {
    now += milliseconds(20);
    const auto input = std::ranges::find(conversion->inputs, type, &AudioInput::type);
    source.add(packet(sequence, timestamp, type, payload), *input, now);
  }
  void speak(std::uint16_t sequence, std::uint32_t timestamp) { add(sequence, timestamp, kSpeech, sound); }

  std::shared_ptr<const AudioConversion> conversion = std::make_shared<const AudioConversion>(terms());
  TranscodeFigures figures;
  SpeechSource source{figures};
  Instant now{std::chrono::hours(1)};
  std::vector<std::byte> sound = std::vector<std::byte>(320);
};

/// A payload of RED: so many blocks of 2 octets, 160 units apart, and then one of another type.
std::vector<std::byte> redundant(unsigned blocks, PayloadType older, PayloadType newest) {
  std::vector<std::byte> made;
  for (unsigned i = blocks; i > 0; --i) {
    const unsigned age = i * 160;
    made.push_back(static_cast<std::byte>(0x80 | older.value));
    made.push_back(static_cast<std::byte>(age >> 6));
    made.push_back(static_cast<std::byte>(age << 2 & 0xff));
    made.push_back(std::byte{2});
  }
  made.push_back(static_cast<std::byte>(newest.value));
  made.resize(made.size() + 2 * blocks + 4);
  return made;
}

TEST(SpeechSource, SpeechThatOnlyRedundancyBringsHasItsTime) {
  World world;
  world.add(1, 1600, kRed, redundant(2, kSpeech, kEvents));
  ASSERT_EQ(world.source.waiting(), 3u);
  EXPECT_TRUE(world.source.front_is_audio());
  EXPECT_LE(world.source.front_least(), world.now);
  EXPECT_EQ(world.source.decode().size(), 1u);
}

TEST(SpeechSource, SpeechWithoutAClockIsLeftOut) {
  World world;
  world.add(1, 160, kNoClock, world.sound);
  ASSERT_EQ(world.source.waiting(), 1u);
  EXPECT_FALSE(world.source.front_is_audio());
  EXPECT_EQ(world.figures.unknown_type, 1u);
  world.add(2, 320, kRed, redundant(1, kNoClock, kNoClock));
  EXPECT_EQ(world.source.waiting(), 2u);
  EXPECT_FALSE(world.source.front_is_audio());
  world.source.clear();
  world.speak(3, 480);
  EXPECT_EQ(world.source.front_least(), world.now);
}

TEST(SpeechSource, NoMoreThanItsRoomWaits) {
  // Timestamps stand still, so that what waits lasts no time.
  World world;
  world.speak(0, 0);
  for (std::uint16_t i = 1; i < 1000; ++i)
    world.source.add_other(World::packet(i, 0, kEvents, world.sound), world.now);
  EXPECT_EQ(world.source.waiting(), kMostWaiting);
  EXPECT_GT(world.figures.overruns, 0u);

  World other;
  for (std::uint16_t i = 1; i < 100; ++i)
    other.add(static_cast<std::uint16_t>(i * 16), 0, kRed, redundant(15, kSpeech, kSpeech));
  EXPECT_EQ(other.source.waiting(), kMostWaiting);
  EXPECT_EQ(other.figures.late, 0u) << "what has no room is not late";
}

TEST(SpeechSource, WhatIsLeftOutIsNotDecoded) {
  World world;
  const std::byte damaged[3] = {};
  world.add(1, 160, kSpeech, damaged);
  world.source.discard();
  EXPECT_EQ(world.figures.overruns, 1u);
  EXPECT_EQ(world.figures.damaged, 0u);
  EXPECT_FALSE(world.source.has_heard());
  EXPECT_EQ(world.source.front(), nullptr);
  // The same packet, decoded: it is damaged indeed.
  world.add(2, 320, kSpeech, damaged);
  EXPECT_TRUE(world.source.decode().empty());
  EXPECT_EQ(world.figures.damaged, 1u);
}

TEST(SpeechSource, NoPacketBelongsBehindItsArrival) {
  World world;
  world.speak(1, 160);
  (void)world.source.decode();
  // It waits for number 2, and the packet behind it says that its timestamp is far ahead.
  world.speak(3, 480 + (1u << 30));
  world.speak(4, 640);
  ASSERT_NE(world.source.front(), nullptr);
  EXPECT_EQ(world.source.front()->at, world.now - milliseconds(20));
  EXPECT_LE(world.source.front_least(), world.source.front()->at);
}

TEST(SpeechSource, TimestampsThatAlwaysJumpDoNotRunOutOfTime) {
  // Half of the clock's range a packet: three hundred years after 34,000 of them.
  World world;
  std::uint32_t timestamp = 0;
  for (unsigned i = 0; i < 80'000; ++i) {
    world.speak(static_cast<std::uint16_t>(i), timestamp);
    timestamp += 0x7fff'ffff;
    ASSERT_EQ(world.source.front_least(), world.now) << i;
    world.source.clear();
  }
}

}  // namespace
}  // namespace ferry::speech_source_test
