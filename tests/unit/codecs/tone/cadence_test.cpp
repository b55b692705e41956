// SPDX-License-Identifier: Apache-2.0
// Tones: their texts, their frequencies, their cadence, and that nothing clicks.
#include "codecs/tone/cadence.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

namespace ferry::cadence_test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kRate = 8000;

std::vector<std::int16_t> made(const Cadence& cadence, Duration time, std::uint32_t rate = kRate) {
  std::vector<std::int16_t> samples(static_cast<std::size_t>(time / 1ms) * rate / 1000);
  CadenceSource(cadence, rate).next(samples);
  return samples;
}

/// Level of one frequency in dBm0, where the peak of a sine of 0 dBm0 is 22,500.
double level_of(std::span<const std::int16_t> samples, double hertz, std::uint32_t rate = kRate) {
  double re = 0;
  double im = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double angle = 2 * std::numbers::pi * hertz * static_cast<double>(i) / rate;
    re += samples[i] * std::cos(angle);
    im += samples[i] * std::sin(angle);
  }
  return 20 *
         std::log10(std::max(1e-9, 2 * std::hypot(re, im) / static_cast<double>(samples.size()) / 22'500));
}

/// Lengths of sound and silence in turn, in ms, by the energy of each 5 ms.
std::vector<int> bursts_of(std::span<const std::int16_t> samples) {
  constexpr std::size_t kBlock = kRate / 200;
  std::vector<int> lengths{0};
  bool is_loud = true;
  for (std::size_t at = 0; at + kBlock <= samples.size(); at += kBlock) {
    const bool loud =
        std::ranges::any_of(samples.subspan(at, kBlock), [](int each) { return std::abs(each) > 500; });
    if (loud != is_loud) lengths.push_back(0);
    is_loud = loud;
    lengths.back() += 5;
  }
  return lengths;
}

TEST(Cadence, TonesOfCountriesHaveTheirFrequenciesAndTimes) {
  const struct {
    const char* name;
    std::vector<double> hertz;
    std::vector<int> bursts;
  } rows[] = {
      {"ringback/cn", {450}, {1000, 4000, 1000}},
      {"ringback/us", {440, 480}, {2000, 4000, 2000}},
      {"ringback/gb", {400, 450}, {400, 200, 400, 2000, 400}},
      {"ringing/de", {425}, {1000, 4000, 1000}},
      {"busy/cn", {450}, {350, 350, 350}},
      {"busy/de", {425}, {480, 480, 480}},
      {"congestion/us", {480, 620}, {250, 250, 250}},
      {"congestion/es", {425}, {200, 200, 200, 200, 200, 600, 200}},
      {"record/cn", {950}, {400, 14600, 400}},
      {"450/1000,0/4000", {450}, {1000, 4000}},
  };
  const ToneTable tones;
  for (const auto& row : rows) {
    const auto cadence = tones.find(row.name);
    ASSERT_TRUE(cadence) << row.name;
    Duration time{0};
    for (const int ms : row.bursts) time += std::chrono::milliseconds(ms);
    const auto samples = made(*cadence, time);
    const auto bursts = bursts_of(samples);
    ASSERT_EQ(bursts.size(), row.bursts.size()) << row.name;
    for (std::size_t i = 0; i < bursts.size(); ++i) EXPECT_NEAR(bursts[i], row.bursts[i], 5) << row.name;
    // The level of the sum is -10 dBm0, ramps aside.
    const auto first = std::span(samples).first(static_cast<std::size_t>(row.bursts[0]) * kRate / 1000);
    const double each = kToneLevel - 10 * std::log10(static_cast<double>(row.hertz.size()));
    for (const double hertz : row.hertz)
      EXPECT_NEAR(level_of(first, hertz), each, 0.5) << row.name << " " << hertz;
    EXPECT_LT(level_of(first, 1000), -40) << row.name;
  }
}

TEST(Cadence, EveryCountryHasItsFourTones) {
  const ToneTable tones;
  for (const char* country : {"cn", "us", "ca", "gb", "de", "at", "ch", "fr", "it", "es", "nl",
                              "be", "ru", "jp", "in", "au", "nz", "br", "mx", "za", "kr"}) {
    EXPECT_TRUE(is_tone_country(country));
    for (const char* word : {"dial", "ringback", "busy", "congestion", "sit", "howler", "record", "silence"})
      EXPECT_TRUE(tones.find(std::string(word) + "/" + country)) << word << " " << country;
  }
  EXPECT_FALSE(is_tone_country("xx"));
  for (const char* name : {"", "busy/xx", "hum", "busy/", "450/", "450/0", "450,440/100"})
    EXPECT_FALSE(tones.find(name)) << name;
}

TEST(Cadence, SpecialInformationRisesInThreeSteps) {
  const auto samples = made(*ToneTable().find("sit"), 990ms);
  const std::size_t step = 330 * kRate / 1000;
  const double hertz[] = {950, 1400, 1800};
  for (std::size_t i = 0; i < 3; ++i) {
    const auto part = std::span(samples).subspan(i * step, step);
    EXPECT_NEAR(level_of(part, hertz[i]), kToneLevel, 0.5);
    EXPECT_LT(level_of(part, hertz[(i + 1) % 3]), -35);
  }
}

TEST(Cadence, AModulatedToneHasSideBands) {
  const auto samples = made(*ToneTable().find("dial/in"), 1000ms);
  EXPECT_GT(level_of(samples, 400), -18);
  for (const double side : {375.0, 425.0}) EXPECT_GT(level_of(samples, side), level_of(samples, 400) - 9);
}

TEST(Cadence, SilenceIsSilent) {
  EXPECT_TRUE(
      std::ranges::all_of(made(*ToneTable().find("silence"), 100ms), [](int each) { return each == 0; }));
}

TEST(Cadence, NothingClicks) {
  // A click is a step that no sine of the tone makes. Fading lowers steps, so the bound is that of the tone
  // itself.
  for (const char* name : {"ringback/cn", "busy/us", "sit", "howler", "congestion/au", "dial"}) {
    const auto cadence = *ToneTable().find(name);
    double largest = 0;
    for (const ToneBurst& burst : cadence.bursts) {
      double steps = 0;
      for (std::size_t i = 0; i < burst.hertz.size() && burst.hertz[i] != 0; ++i)
        steps +=
            22'500 * std::pow(10, burst.level_dbm0[i] / 20) * 2 * std::numbers::pi * burst.hertz[i] / kRate;
      largest = std::max(largest, steps);
    }
    const auto samples = made(cadence, 6s);
    for (std::size_t i = 1; i < samples.size(); ++i)
      ASSERT_LE(std::abs(samples[i] - samples[i - 1]), largest * 1.05 + 2) << name << " " << i;
    EXPECT_LT(std::abs(samples.front()), 100) << name;
  }
}

TEST(Cadence, APhaseRunsOnSoThatASecondIsALoop) {
  const auto samples = made(*ToneTable().find("dial/us"), 2s);
  for (std::size_t i = 0; i < kRate; ++i) ASSERT_NEAR(samples[i], samples[i + kRate], 1) << i;
}

TEST(Cadence, WhatIsNoneIsRefusedWithASentence) {
  for (const char* text :
       {"",          ",",        "abc",          "450/abc",        "450/-1",   "450/0",
        "0/100,450", "450@/100", "450@1/100",    "450@-61/100",    "4000/100", "450+/100",
        "+450/100",  "450*/100", "450*25*3/100", "450+400*25/100", "0*25/100", "1+2+3+4+5/100",
        "nan/100",   "inf/1",    "450/700000"}) {
    const auto read = parse_cadence(text);
    EXPECT_FALSE(read) << text;
    if (!read) {
      EXPECT_FALSE(read.error().empty());
    }
  }
  std::string many = "450/100";
  for (int i = 0; i < 32; ++i) many += ",0/100";
  EXPECT_FALSE(parse_cadence(many));
}

TEST(Cadence, OwnTonesComeBeforeBuiltInOnes) {
  ToneTable tones("cn");
  EXPECT_EQ(tones.find("ringback")->turn(), 5s) << "of the country that is set";
  ASSERT_TRUE(tones.define("ringback/cn", "600/300,0/700"));
  ASSERT_TRUE(tones.define("gong", "440/2000,0/1000"));
  EXPECT_EQ(tones.find("ringback/cn")->turn(), 1s);
  EXPECT_EQ(tones.find("ringback")->turn(), 1s);
  EXPECT_EQ(tones.find("ringback/us")->turn(), 6s);
  EXPECT_EQ(tones.find("gong")->turn(), 3s);
  EXPECT_FALSE(tones.define("gong", "x"));
  EXPECT_FALSE(tones.define("", "450"));
  EXPECT_FALSE(tones.define("450", "450")) << "what begins with a digit is a cadence";
}

TEST(Cadence, DigitsHaveTheirTwoFrequencies) {
  const struct {
    std::uint8_t event;
    double low;
    double high;
  } rows[] = {{0, 941, 1336},  {1, 697, 1209},  {2, 697, 1336},  {3, 697, 1477},
              {4, 770, 1209},  {5, 770, 1336},  {6, 770, 1477},  {7, 852, 1209},
              {8, 852, 1336},  {9, 852, 1477},  {10, 941, 1209}, {11, 941, 1477},
              {12, 697, 1633}, {13, 770, 1633}, {14, 852, 1633}, {15, 941, 1633}};
  for (const auto& row : rows) {
    const auto samples = made(dtmf_cadence(row.event, -8, 200ms), 200ms);
    EXPECT_NEAR(level_of(samples, row.low), -9, 0.8) << int{row.event};
    EXPECT_NEAR(level_of(samples, row.high), -7, 0.8) << int{row.event};
  }
}

}  // namespace
}  // namespace ferry::cadence_test
