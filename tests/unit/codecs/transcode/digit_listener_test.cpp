// SPDX-License-Identifier: Apache-2.0
// Digits in speech that passes: found once each, and nothing made of it.
#include "codecs/transcode/digit_listener.hpp"

#include "codecs/tone/digit_tone.hpp"
#include "tests/support/speech.hpp"
#include "tests/support/transcode.hpp"

#include <cstdlib>
#include <string>

namespace ferry::digit_listener_test {
namespace {

using std::chrono::milliseconds;
using test::Heard;
using test::Sent;
using test::TranscodeWorld;

constexpr char kNames[] = "0123456789*#ABCD";

AudioConversion heard_of(const AudioFormat& format) {
  AudioConversion terms;
  terms.inputs = {test::speech_input(96, format),
                  {PayloadType{101}, AudioInput::Kind::kEvents, {"telephone-event", 8000, 1, ""}}};
  terms.only_listens = terms.detects_tones = true;
  return terms;
}

/// Tones of 60 to 160 ms with pauses of 60 ms and more, speech before and between some.
std::vector<std::int16_t> dialled(const std::string& wanted, std::uint32_t rate) {
  test::LinkRandom random(8, 2);
  std::vector<std::int16_t> all = test::speech(rate, 1.0);
  all.resize(all.size() + rate / 5);
  for (const char name : wanted) {
    DigitTone tone(static_cast<std::uint8_t>(std::string_view(kNames).find(name)), 8, rate);
    std::vector<std::int16_t> samples(rate * (60 + random.below(100)) / 1000);
    tone.fill(samples, true);
    all.insert(all.end(), samples.begin(), samples.end());
    all.resize(all.size() + rate * (60 + random.below(200)) / 1000);
  }
  all.resize(all.size() + rate / 2);
  return all;
}

std::string found(const AudioFormat& format, const std::string& wanted, double loss,
                  std::vector<Heard>* heard = nullptr) {
  TranscodeWorld world(heard_of(format));
  test::TranscodeSender sender(format, {}, 20);
  test::LinkPath link(9, 1);
  test::Trouble trouble;
  trouble.loss = loss;
  trouble.delay = milliseconds(20);
  trouble.jitter = milliseconds(15);
  link.set(trouble);
  Duration now{0};
  for (const Sent& each : sender.packets(dialled(wanted, sender.rate_hz()))) {
    for (const Duration travel : link.carry(now)) world.arrive(TranscodeWorld::kStart + now + travel, each);
    now += milliseconds(20);
  }
  world.run(TranscodeWorld::kStart + now + milliseconds(500));
  if (heard != nullptr) *heard = world.heard;
  std::string text;
  for (const Heard& each : world.heard) text += kNames[FoundDigit::read(each.payload)->event];
  return text;
}

std::string random_digits(std::size_t count) {
  test::LinkRandom random(12, 1);
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += kNames[random.below(16)];
  return text;
}

TEST(DigitListener, FindsAThousandDigitsOnceEach) {
  const char* text = std::getenv("FERRY_DIGITS");
  const std::string wanted = random_digits(text == nullptr ? 1000 : std::strtoul(text, nullptr, 10));
  std::vector<Heard> heard;
  EXPECT_EQ(found({"PCMA", 8000, 1, ""}, wanted, 0, &heard), wanted);
  for (const Heard& each : heard) {
    const auto digit = FoundDigit::read(each.payload);
    EXPECT_GE(digit->duration_ms, 40);
    EXPECT_LE(digit->duration_ms, 220);
  }
}

TEST(DigitListener, HearsOtherCodecsAndThroughLoss) {
  const std::string wanted = random_digits(100);
  EXPECT_EQ(found({"G722", 8000, 1, ""}, wanted, 0), wanted);
  EXPECT_EQ(found({"opus", 48'000, 2, ""}, wanted, 0), wanted);
  const std::string lossy = found({"PCMU", 8000, 1, ""}, wanted, 0.01);
  EXPECT_GE(lossy.size(), 95u);
}

TEST(DigitListener, HearsNothingInSpeech) {
  TranscodeWorld world(heard_of({"PCMU", 8000, 1, ""}));
  test::TranscodeSender sender({"PCMU", 8000, 1, ""}, {}, 20);
  Duration now{0};
  for (const Sent& each : sender.packets(test::speech(8000, 60))) {
    world.arrive(TranscodeWorld::kStart + now, each);
    now += milliseconds(20);
  }
  world.run(TranscodeWorld::kStart + now);
  EXPECT_TRUE(world.heard.empty());
}

TEST(DigitListener, AToneEndsWithItsSource) {
  TranscodeWorld world(heard_of({"PCMU", 8000, 1, ""}));
  test::TranscodeSender sender({"PCMU", 8000, 1, ""}, {}, 20);
  std::vector<std::int16_t> samples(1600);
  const std::size_t at = samples.size();
  samples.resize(at + 1600);
  DigitTone(7, 8, 8000).fill(std::span(samples).subspan(at), false);
  Duration now{0};
  for (const Sent& each : sender.packets(samples)) {
    world.arrive(TranscodeWorld::kStart + now, each);
    now += milliseconds(20);
  }
  world.run(TranscodeWorld::kStart + now + milliseconds(100));
  EXPECT_TRUE(world.heard.empty()) << "the key is down";
  world.run(TranscodeWorld::kStart + now + milliseconds(300));
  ASSERT_EQ(world.heard.size(), 1u);
  const auto digit = FoundDigit::read(world.heard[0].payload);
  EXPECT_EQ(digit->event, 7);
  EXPECT_NEAR(digit->duration_ms, 200, 50);
  EXPECT_FALSE(world.stage().due());
}

TEST(FoundDigit, IsReadAsItWasWritten) {
  const FoundDigit digit{11, 8, 1234};
  EXPECT_EQ(FoundDigit::read(digit.payload()), digit);
  EXPECT_FALSE(FoundDigit::read(Bytes{}));
}

}  // namespace
}  // namespace ferry::digit_listener_test
