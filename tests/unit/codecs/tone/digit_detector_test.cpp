// SPDX-License-Identifier: Apache-2.0
#include "codecs/tone/digit_detector.hpp"

#include "codecs/tone/digit_tone.hpp"
#include "tests/support/speech.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::digit_detector_test {
namespace {

using std::chrono::milliseconds;

struct Found {
  std::string digits;
  std::vector<Duration> lengths;
  /// Samples from the begin of the first tone until it was reported.
  std::size_t first_at = 0;
};

Found listen(std::span<const std::int16_t> samples) {
  DigitDetector detector;
  Found found;
  for (std::size_t at = 0; at + 160 <= samples.size(); at += 160) {
    const auto change = detector.hear(samples.subspan(at, 160));
    if (!change) continue;
    if (change->begins) {
      if (found.digits.empty()) found.first_at = at + 160;
      found.digits += "0123456789*#ABCD"[change->event];
    } else {
      found.lengths.push_back(change->length);
    }
  }
  return found;
}

void add_tone(std::vector<std::int16_t>& to, std::uint8_t event, std::size_t samples, std::size_t pause) {
  const std::size_t at = to.size();
  to.resize(at + samples);
  DigitTone(event, 8, 8000).fill(std::span(to).subspan(at), true);
  to.resize(to.size() + pause);
}

TEST(DigitDetector, FindsEachDigitOnceAndKnowsItsLength) {
  for (std::uint8_t event = 0; event < 16; ++event) {
    std::vector<std::int16_t> samples(1600);
    add_tone(samples, event, 1200, 1600);
    const Found found = listen(samples);
    ASSERT_EQ(found.digits, std::string(1, "0123456789*#ABCD"[event]));
    ASSERT_EQ(found.lengths.size(), 1u);
    EXPECT_NEAR(static_cast<double>(found.lengths[0].count()) / 1e6, 150, 25);
    EXPECT_LE(found.first_at, 1600 + 8 * 45 + 160u) << "DigitDetector::kLatency";
  }
}

TEST(DigitDetector, AShortBreakIsOnePressAndALongOneIsTwo) {
  std::vector<std::int16_t> one(1600);
  add_tone(one, 5, 640, 80);  // 10 ms
  add_tone(one, 5, 640, 1600);
  EXPECT_EQ(listen(one).digits, "5");
  std::vector<std::int16_t> two(1600);
  add_tone(two, 5, 640, 480);  // 60 ms
  add_tone(two, 5, 640, 1600);
  EXPECT_EQ(listen(two).digits, "55");
}

TEST(DigitDetector, HearsNoDigitInSpeechAndNoise) {
  EXPECT_EQ(listen(test::speech(8000, 30)).digits, "");
  EXPECT_EQ(listen(test::low_noise(80'000, 3000)).digits, "");
}

}  // namespace
}  // namespace ferry::digit_detector_test
