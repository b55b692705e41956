// SPDX-License-Identifier: Apache-2.0
// Sums, the limiter, and who is heard in a large room.
#include "codecs/transcode/mixer.hpp"

#include "tests/support/mixing.hpp"

#include <array>
#include <cstdlib>

namespace ferry::mixer_test {
namespace {

using test::amplitude_at;
using test::decibels;
using test::tone_of;

constexpr std::size_t kFrame = 160;
constexpr Instant kBegin{std::chrono::hours(1)};

/// Sources with a tone each.
class Room {
 public:
  void enter(double hertz, double amplitude) { tones_.push_back({hertz, amplitude, {}}); }
  void set(std::size_t who, double amplitude) { tones_[who].amplitude = amplitude; }
  void run(int frames) {
    for (int n = 0; n < frames; ++n, ++frame_) {
      std::vector<std::vector<std::int16_t>> samples;
      std::vector<Mixer::Input> inputs;
      for (Tone& each : tones_)
        samples.push_back(tone_of(each.hertz, each.amplitude, 8000, kFrame, frame_ * kFrame));
      for (std::size_t i = 0; i < tones_.size(); ++i) inputs.push_back({&tones_[i].voice, samples[i]});
      const auto sum = mixer.mix(inputs, kBegin + std::chrono::milliseconds(20 * frame_));
      heard.insert(heard.end(), sum.begin(), sum.end());
    }
  }
  /// Amplitude of a source's tone in the last `frames`, against its own, dB.
  [[nodiscard]] double level(std::size_t who, std::size_t frames) const {
    const std::size_t length = frames * kFrame;
    const double found =
        amplitude_at(tones_[who].hertz, std::span(heard).subspan(heard.size() - length), 8000);
    return decibels(found / tones_[who].amplitude);
  }
  Mixer mixer;
  std::vector<std::int16_t> heard;

 private:
  struct Tone {
    double hertz;
    double amplitude;
    Mixer::Voice voice;
  };
  std::vector<Tone> tones_;
  std::size_t frame_ = 0;
};

TEST(SoftlyLimited, WhatIsBelowTheKneePassesAndNothingWraps) {
  for (std::int32_t sum = -23'170; sum <= 23'170; ++sum) ASSERT_EQ(softly_limited(sum), sum);
  std::int32_t before = -32'768;
  for (std::int64_t sum = INT32_MIN; sum <= INT32_MAX; sum += 65'521) {
    const std::int32_t made = softly_limited(static_cast<std::int32_t>(sum));
    ASSERT_GE(made, before) << sum;
    ASSERT_LE(std::abs(made), 32'767);
    before = made;
  }
  EXPECT_EQ(softly_limited(40'000), -softly_limited(-40'000));
  EXPECT_NEAR(softly_limited(23'200), 23'200, 1) << "no step at the knee";
}

TEST(Mixer, OneVoicePassesBitByBit) {
  Mixer mixer;
  Mixer::Voice voice;
  const std::array<std::int16_t, 4> loud = {32'767, -32'768, 30'000, -1};
  const std::array<Mixer::Input, 1> inputs = {{{&voice, loud}}};
  const auto sum = mixer.mix(inputs, kBegin);
  EXPECT_TRUE(std::ranges::equal(sum, loud));
}

TEST(Mixer, VoicesAreAddedAtTheirOwnLevel) {
  Room room;
  room.enter(500, 6000);
  room.enter(900, 8000);
  room.enter(1700, 1000);
  room.run(50);
  for (std::size_t who = 0; who < 3; ++who) EXPECT_NEAR(room.level(who, 50), 0, 0.1) << who;
}

TEST(Mixer, SumsAboveFullScaleAreBentAndStayBelowIt) {
  Room room;
  for (int i = 0; i < 4; ++i) room.enter(400 + 200 * i, 20'000);
  room.run(50);
  int highest = 0;
  for (const std::int16_t each : room.heard) highest = std::max(highest, std::abs(int{each}));
  EXPECT_GT(highest, 30'000);
  for (std::size_t who = 0; who < 4; ++who) EXPECT_GT(room.level(who, 50), -12) << who;
}

TEST(Mixer, InALargeRoomTheLoudestAreHeard) {
  Room room;
  for (int i = 0; i < 10; ++i) room.enter(300 + 150 * i, i < 4 ? 3000 : 300);
  room.run(100);
  EXPECT_EQ(room.mixer.heard(), 4u);
  for (std::size_t who = 0; who < 10; ++who) {
    if (who < 4)
      EXPECT_NEAR(room.level(who, 50), 0, 0.1) << who;
    else
      EXPECT_LT(room.level(who, 50), -40) << who;
  }
}

TEST(Mixer, WhoBecomesLoudIsHeardAtOnceAndWhoFallsBackGoesAfterTheHangover) {
  Room room;
  for (int i = 0; i < 10; ++i) room.enter(300 + 150 * i, i < 4 ? 3000 : 300);
  room.run(50);
  room.set(7, 6000);
  // A frame to fade in.
  room.run(11);
  EXPECT_NEAR(room.level(7, 10), 0, 0.2);
  EXPECT_EQ(room.mixer.heard(), 5u) << "the one that it pushed out goes on for 500 ms";
  room.run(20);
  EXPECT_EQ(room.mixer.heard(), 4u);
}

TEST(Mixer, SmallRoomsHearEverybody) {
  Room room;
  for (int i = 0; i < 8; ++i) room.enter(300 + 150 * i, i == 0 ? 6000 : 200);
  room.run(50);
  EXPECT_EQ(room.mixer.heard(), 8u);
  for (std::size_t who = 0; who < 8; ++who) EXPECT_NEAR(room.level(who, 50), 0, 0.3) << who;
}

}  // namespace
}  // namespace ferry::mixer_test
