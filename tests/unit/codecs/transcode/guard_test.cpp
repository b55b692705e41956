// SPDX-License-Identifier: Apache-2.0
// Guarded digits: whatever a source presses, as events, as tones or as both, its receivers get something else
// (NG key `DTMF-security`), or get it later (`delay-buffer`, `DTMF-delay`).
#include "codecs/tone/digit_detector.hpp"
#include "codecs/tone/digit_tone.hpp"
#include "codecs/transcode/transcoder.hpp"
#include "relay/base/bytes.hpp"
#include "relay/media/light.hpp"
#include "tests/support/speech.hpp"
#include "tests/support/transcode.hpp"

#include <cmath>
#include <numbers>
#include <string>

namespace ferry::guard_test {
namespace {

using std::chrono::milliseconds;
using test::Heard;
using test::Sent;
using test::TranscodeWorld;

const AudioFormat kPcma{"PCMA", 8000, 1, ""};
constexpr PayloadType kEvents{101};
constexpr char kNames[] = "0123456789*#ABCD";

/// How a party tells its digits.
enum class By : std::uint8_t { kByEvents, kByTones, kByBoth };

AudioConversion guarded(const DigitGuard& guard, bool receiver_has_events) {
  AudioConversion terms = test::conversion(kPcma, kPcma);
  terms.inputs.push_back({kEvents, AudioInput::Kind::kEvents, {"telephone-event", 8000, 1, ""}});
  if (receiver_has_events) terms.events = OtherType{kEvents, 8000};
  terms.guard = std::make_shared<const DigitGuard>(guard);
  return terms;
}
DigitGuard covered(DigitCover cover) {
  DigitGuard guard;
  guard.cover = cover;
  return guard;
}

/// A party that speaks and presses keys of 120 ms, with pauses of 160 ms and more. Other packets than those
/// of 20 ms are for tones alone.
void dial(TranscodeWorld& world, By by, const std::string& digits, std::uint64_t seed = 3,
          unsigned packet_ms = 20) {
  test::LinkRandom random(seed, 5);
  std::vector<std::int16_t> all = test::speech(8000, 0.6);
  struct Press {
    std::size_t packet;
    std::uint8_t event;
  };
  std::vector<Press> presses;
  for (const char name : digits) {
    all.resize((all.size() + 1280 + random.below(8) * 160) / 160 * 160);
    const auto event = static_cast<std::uint8_t>(std::string_view(kNames).find(name));
    presses.push_back({all.size() / 160, event});
    std::vector<std::int16_t> tone(960);
    if (by != By::kByEvents) DigitTone(event, 8, 8000).fill(tone, true);
    all.insert(all.end(), tone.begin(), tone.end());
  }
  all.resize(all.size() + 3200);
  const auto tail = test::speech(8000, 0.6);
  all.insert(all.end(), tail.begin(), tail.end());
  test::TranscodeSender sender(kPcma, {}, packet_ms);
  std::uint16_t sequence = 100;
  Duration now{0};
  std::size_t index = 0;
  for (Sent each : sender.packets(all)) {
    const std::uint32_t at = each.timestamp;
    bool is_audio = true;
    for (const Press& press : presses) {
      if (index < press.packet || index >= press.packet + 6) continue;
      is_audio = by != By::kByEvents;
      if (by == By::kByTones) continue;
      const auto n = static_cast<std::uint32_t>(index - press.packet + 1);
      for (unsigned copy = 0; copy < (n == 6 ? 3u : 1u); ++copy) {
        Sent event;
        event.type = kEvents;
        event.sequence = sequence++;
        event.timestamp = at - (n - 1) * 160;
        event.payload = {std::byte{press.event}, static_cast<std::byte>((n == 6 ? 0x80 : 0) | 8),
                         static_cast<std::byte>(n * 160 >> 8), static_cast<std::byte>(n * 160 & 255)};
        world.arrive(TranscodeWorld::kStart + now, event);
      }
    }
    if (is_audio) {
      each.sequence = sequence++;
      world.arrive(TranscodeWorld::kStart + now, each);
    }
    now += milliseconds(packet_ms);
    ++index;
  }
  world.run(TranscodeWorld::kStart + now + std::chrono::seconds(4));
}

std::string tones_in(const std::vector<Heard>& heard) {
  const auto samples = test::samples_of(heard, kPcma);
  DigitDetector detector;
  std::string text;
  for (std::size_t at = 0; at + 160 <= samples.size(); at += 160) {
    const auto change = detector.hear(std::span(samples).subspan(at, 160));
    if (change && change->begins) text += kNames[change->event];
  }
  return text;
}
std::string events_in(const std::vector<Heard>& heard) {
  std::string text;
  std::int64_t last = INT64_MIN;
  for (const Heard& each : heard) {
    if (each.type != kEvents) continue;
    if (each.position != last) text += kNames[read_u8(each.payload, 0) & 15];
    last = each.position;
  }
  return text;
}
/// Timestamps never go back.
void expect_one_time(const std::vector<Heard>& heard) {
  for (std::size_t i = 1; i < heard.size(); ++i) ASSERT_GE(heard[i].position, heard[i - 1].position) << i;
}

TEST(Guard, NothingOfADigitLeavesInAnyModeHoweverItWasPressed) {
  const std::string digits = "1593*74#68D2";
  for (const By by : {By::kByEvents, By::kByTones, By::kByBoth}) {
    for (const DigitCover cover : {DigitCover::kDrop, DigitCover::kSilence, DigitCover::kTone}) {
      for (const bool has_events : {false, true}) {
        TranscodeWorld world(guarded(covered(cover), has_events));
        dial(world, by, digits);
        const auto what = ::testing::Message()
                          << static_cast<int>(by) << " " << static_cast<int>(cover) << " " << has_events;
        EXPECT_EQ(tones_in(world.heard), "") << what;
        EXPECT_EQ(events_in(world.heard), "") << what;
        expect_one_time(world.heard);
        EXPECT_GT(world.heard.size(), 60u) << "speech is heard";
      }
    }
  }
}

TEST(Guard, AnotherDigitTakesThePlaceOfEach) {
  const std::string digits = "1593*74#68D2";
  for (const By by : {By::kByEvents, By::kByTones, By::kByBoth}) {
    for (const bool has_events : {false, true}) {
      const auto what = ::testing::Message() << static_cast<int>(by) << " " << has_events;
      const auto got = [&](DigitCover cover) {
        TranscodeWorld world(guarded(covered(cover), has_events));
        dial(world, by, digits);
        expect_one_time(world.heard);
        // Each digit in one form and never in two.
        EXPECT_EQ((has_events ? tones_in(world.heard) : events_in(world.heard)), "") << what;
        return has_events ? events_in(world.heard) : tones_in(world.heard);
      };
      EXPECT_EQ(got(DigitCover::kZero), std::string(digits.size(), '0')) << what;
      EXPECT_EQ(got(DigitCover::kDigit), digits) << what;
      const std::string random = got(DigitCover::kRandomDigit);
      EXPECT_EQ(random.size(), digits.size()) << what;
      EXPECT_EQ(random.find_first_not_of("0123456789"), std::string::npos) << what;
      EXPECT_NE(random, digits) << what;
    }
  }
}

TEST(Guard, ATonePitchIsHeardInPlaceOfADigit) {
  DigitGuard guard = covered(DigitCover::kTone);
  guard.frequencies_hz = {1100};
  for (const By by : {By::kByEvents, By::kByTones}) {
    TranscodeWorld world(guarded(guard, false));
    dial(world, by, "5");
    const auto samples = test::samples_of(world.heard, kPcma);
    double most = 0;
    for (std::size_t at = 0; at + 160 <= samples.size(); at += 160) {
      double re = 0;
      double im = 0;
      double energy = 1;
      for (std::size_t i = 0; i < 160; ++i) {
        const double phase = 2 * std::numbers::pi * 1100 * static_cast<double>(i) / 8000;
        re += samples[at + i] * std::cos(phase);
        im += samples[at + i] * std::sin(phase);
        energy += static_cast<double>(samples[at + i]) * samples[at + i];
      }
      if (energy > 1e6) most = std::max(most, 2 * (re * re + im * im) / (160 * energy));
    }
    EXPECT_GT(most, 0.9) << static_cast<int>(by);
  }
}

TEST(Guard, APacketOfAnyLengthHasNothingOfTheTone) {
  const std::pair<int, unsigned> rows[] = {{10, 20}, {40, 20},  {60, 20}, {20, 40},
                                           {20, 60}, {20, 120}, {60, 120}};
  for (const auto& [ptime, packet_ms] : rows) {
    AudioConversion terms = guarded(covered(DigitCover::kSilence), false);
    terms.ptime_ms = static_cast<std::uint16_t>(ptime);
    TranscodeWorld world(terms);
    dial(world, By::kByTones, "1593", 3, packet_ms);
    // Not even a part of one: whatever leaves between the speech at both ends is silent.
    const auto samples = test::samples_of(world.heard, kPcma);
    const std::size_t begin = 8000 * 8 / 10;
    ASSERT_GT(samples.size(), begin + 8000);
    const auto between = std::span(samples).subspan(begin, samples.size() - begin - 8000);
    std::size_t loud = 0;
    for (const std::int16_t each : between) loud += std::abs(each) > 1000 ? 1 : 0;
    EXPECT_LT(loud, 80u) << ptime << " ms of " << packet_ms << " ms: less than 10 ms of all tones";
  }
}

TEST(Guard, AllAudioLeavesLaterByTheDelay) {
  const auto first_at = [](int delay) {
    DigitGuard guard;
    guard.delay_ms = static_cast<std::uint16_t>(delay);
    TranscodeWorld world(guarded(guard, true));
    dial(world, By::kByEvents, "5");
    EXPECT_EQ(events_in(world.heard), "5");
    expect_one_time(world.heard);
    Duration event{0};
    for (const Heard& each : world.heard) {
      if (each.type == kEvents && event == Duration{0}) event = each.at - TranscodeWorld::kStart;
    }
    return std::pair(world.heard.front().at - TranscodeWorld::kStart, event);
  };
  const auto [none, event_none] = first_at(0);
  for (const int delay : {100, 500, 2000}) {
    const auto [audio, event] = first_at(delay);
    EXPECT_NEAR(static_cast<double>((audio - none) / milliseconds(1)), delay, 25);
    EXPECT_NEAR(static_cast<double>((event - event_none) / milliseconds(1)), delay, 25);
  }
}

TEST(Guard, WhatIsDelayedIsHeardToItsEnd) {
  DigitGuard guard;
  guard.delay_ms = 1500;
  TranscodeWorld world(guarded(guard, true));
  dial(world, By::kByEvents, "");
  std::size_t audible = 0;
  const auto samples = test::samples_of(world.heard, kPcma);
  for (std::size_t at = 0; at + 160 <= samples.size(); at += 160)
    audible += test::rms_of(std::span(samples).subspan(at, 160)) > 300 ? 1 : 0;
  EXPECT_GT(audible, 45u) << "1.2 s of speech, less its pauses";
}

TEST(Guard, EventsAloneCanBeDelayed) {
  DigitGuard guard;
  guard.events_delay_ms = 300;
  TranscodeWorld world(guarded(guard, true));
  dial(world, By::kByEvents, "159");
  EXPECT_EQ(events_in(world.heard), "159");
  expect_one_time(world.heard);
}

TEST(Guard, NoGuardedConversionIsLightWork) {
  AudioConversion terms = test::conversion(kPcma, kPcma);
  EXPECT_TRUE(is_light(terms));
  terms.guard = std::make_shared<const DigitGuard>(covered(DigitCover::kSilence));
  EXPECT_FALSE(is_light(terms)) << "it belongs on a media thread";
}

}  // namespace
}  // namespace ferry::guard_test
