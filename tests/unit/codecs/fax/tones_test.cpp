// SPDX-License-Identifier: Apache-2.0
// Signals of fax machines, and sounds that are none.

#include "codecs/fax/tones.hpp"

#include "tests/support/fax.hpp"

#include <array>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::tones_test {
namespace {

/// The signals that are recognized in so many seconds of what `speak` fills.
std::vector<FaxTone> heard(double seconds, const std::function<void(std::span<std::int16_t>)>& speak) {
  FaxTones tones;
  std::vector<FaxTone> found;
  for (int i = 0; i < static_cast<int>(seconds * 50); ++i) {
    std::array<std::int16_t, 160> samples{};
    speak(samples);
    if (const auto tone = tones.hear(samples)) found.push_back(*tone);
  }
  return found;
}

/// What a spandsp generator makes of a signal.
std::vector<FaxTone> heard_of(int kind, double seconds) {
  const std::unique_ptr<modem_connect_tones_tx_state_t, int (*)(modem_connect_tones_tx_state_t*)> source(
      modem_connect_tones_tx_init(nullptr, kind), modem_connect_tones_tx_free);
  return heard(seconds, [&](std::span<std::int16_t> out) {
    modem_connect_tones_tx(source.get(), out.data(), static_cast<int>(out.size()));
  });
}

TEST(FaxTones, ACallingMachineIsHeardAtItsFirstTone) {
  EXPECT_EQ(heard_of(MODEM_CONNECT_TONES_FAX_CNG, 1), std::vector{FaxTone::kCng});
  EXPECT_EQ(heard_of(MODEM_CONNECT_TONES_FAX_CNG, 8).size(), 3u) << "once for each time that it begins";
}

TEST(FaxTones, AnAnsweringToneIsNoProof) {
  EXPECT_EQ(heard_of(MODEM_CONNECT_TONES_ANS, 3), std::vector{FaxTone::kCed});
}

TEST(FaxTones, OtherSignalsAreNone) {
  const std::vector<int> others = {MODEM_CONNECT_TONES_ANSAM_PR, MODEM_CONNECT_TONES_CALLING_TONE,
                                   MODEM_CONNECT_TONES_BELL_ANS};
  for (const int kind : others) EXPECT_TRUE(heard_of(kind, 4).empty()) << modem_connect_tone_to_str(kind);
}

TEST(FaxTones, AnAnsweringMachineIsProvedByItsPreamble) {
  const FaxFolder folder;
  SoundMachine machine({.receives = folder.path + "/none.tif"});
  const auto found = heard(6, [&](std::span<std::int16_t> out) { machine.speak(out); });
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found.front(), FaxTone::kCed);
  EXPECT_EQ(found.back(), FaxTone::kPreamble);
}

TEST(FaxTones, SilenceAndNoiseAreNone) {
  EXPECT_TRUE(heard(5, [](std::span<std::int16_t>) {}).empty());
  std::mt19937 random(1);
  std::normal_distribution<float> level(0, 3000);
  const auto noise = [&](std::span<std::int16_t> out) {
    for (auto& sample : out) sample = static_cast<std::int16_t>(level(random));
  };
  EXPECT_TRUE(heard(10, noise).empty());
}

TEST(FaxTones, NamesAreThoseOfT30) {
  EXPECT_EQ(to_string(FaxTone::kCng), "CNG");
  EXPECT_EQ(to_string(FaxTone::kCed), "CED");
  EXPECT_EQ(to_string(FaxTone::kPreamble), "V.21 preamble");
}

}  // namespace
}  // namespace ferry::test::tones_test
