// SPDX-License-Identifier: Apache-2.0
// Digits in every direction: events to events, events to tones, tones to events.
#include "codecs/tone/digit_detector.hpp"
#include "codecs/tone/digit_tone.hpp"
#include "codecs/transcode/sample_time.hpp"
#include "codecs/transcode/transcoder.hpp"
#include "relay/base/bytes.hpp"
#include "tests/support/speech.hpp"
#include "tests/support/transcode.hpp"

#include <cstdlib>
#include <map>
#include <string>

namespace ferry::digits_test {
namespace {

using std::chrono::milliseconds;
using test::Heard;
using test::Sent;
using test::TranscodeWorld;

const AudioFormat kPcmu{"PCMU", 8000, 1, ""};
const AudioFormat kL16{"L16", 8000, 1, ""};
const AudioFormat kG722{"G722", 8000, 1, ""};
const AudioFormat kOpus{"opus", 48000, 2, ""};
constexpr PayloadType kEvents{101};
constexpr char kNames[] = "0123456789*#ABCD";

/// FERRY_DIGITS: how many of them; the issue wants 1,000.
std::size_t digits() {
  const char* text = std::getenv("FERRY_DIGITS");
  return text == nullptr ? 150 : std::strtoul(text, nullptr, 10);
}

AudioInput event_input(std::uint32_t clock_hz = 8000) {
  return {kEvents, AudioInput::Kind::kEvents, {"telephone-event", clock_hz, 1, ""}};
}

/// A phone that speaks and presses keys, each packet over a link.
class Presser {
 public:
  Presser(TranscodeWorld& world, double loss, std::uint64_t seed) : world_(world), link_(seed, 1) {
    test::Trouble trouble;
    trouble.loss = loss;
    trouble.delay = milliseconds(20);
    link_.set(trouble);
  }
  void speak(unsigned packets) {
    for (unsigned i = 0; i < packets; ++i) {
      Sent packet;
      packet.type = PayloadType{96};
      packet.timestamp = timestamp_;
      packet.payload.assign(160, std::byte{0xff});
      send(packet);
      advance();
    }
  }
  /// A key that is down for so many packet times.
  void press(std::uint8_t event, unsigned packets) {
    const std::uint32_t start = timestamp_;
    for (unsigned i = 1; i <= packets; ++i) {
      packet_of(event, start, i * 160, i == packets);
      advance();
    }
    packet_of(event, start, packets * 160, true);
    packet_of(event, start, packets * 160, true);
  }
  void send_raw(const Sent& packet) { send(packet); }
  void advance() {
    timestamp_ += 160;
    now_ += milliseconds(20);
  }
  [[nodiscard]] Duration now() const { return now_; }

 private:
  void packet_of(std::uint8_t event, std::uint32_t start, unsigned duration, bool ends) {
    Sent packet;
    packet.type = kEvents;
    packet.timestamp = start;
    packet.payload = {std::byte{event}, std::byte{static_cast<std::uint8_t>(ends ? 0x8a : 0x0a)},
                      static_cast<std::byte>(duration >> 8), static_cast<std::byte>(duration & 255)};
    send(packet);
  }
  void send(Sent packet) {
    packet.sequence = sequence_++;
    for (const Duration travel : link_.carry(now_))
      world_.arrive(TranscodeWorld::kStart + now_ + travel, packet);
  }
  TranscodeWorld& world_;
  test::LinkPath link_;
  Duration now_{0};
  std::uint16_t sequence_ = 65'000;
  std::uint32_t timestamp_ = 0xffff'0000;
};

/// Presses as a receiver counts them: one for each timestamp.
struct Press {
  std::uint8_t event = 0;
  std::uint32_t duration = 0;
  std::size_t ends = 0;
  std::int64_t position = 0;
};
std::vector<Press> presses_in(const std::vector<Heard>& heard) {
  std::vector<Press> all;
  std::int64_t last = INT64_MIN;
  for (const Heard& each : heard) {
    EXPECT_GE(each.position, last) << "time never goes back";
    last = each.position;
    if (each.type != kEvents) continue;
    const std::uint8_t event = read_u8(each.payload, 0);
    const std::uint32_t duration = read_u16(each.payload, 2);
    const bool is_new = all.empty() || all.back().position != each.position;
    // A segment of a long press is no new press.
    const bool is_segment = is_new && !all.empty() && all.back().ends == 0;
    EXPECT_EQ(each.marker, is_new && !is_segment);
    if (is_new) all.push_back({event, 0, 0, each.position});
    EXPECT_EQ(all.back().event, event);
    EXPECT_GE(duration, all.back().duration) << "durations rise";
    all.back().duration = duration;
    if ((read_u8(each.payload, 1) & 0x80) != 0) ++all.back().ends;
  }
  return all;
}

std::string names_of(const std::vector<Press>& presses) {
  std::string text;
  for (const Press& each : presses) text += kNames[each.event & 15];
  return text;
}

TEST(Digits, EventsStayEventsUnderLoss) {
  struct Row {
    AudioFormat to;
    std::uint32_t clock_hz;
  };
  const Row table[] = {{kG722, 8000}, {kOpus, 48'000}};
  for (const Row& row : table) {
    AudioConversion terms = test::conversion(kPcmu, row.to);
    terms.settings.sample_rate_hz = 8000;
    terms.inputs.push_back(event_input());
    terms.events = OtherType{kEvents, row.clock_hz};
    TranscodeWorld world(terms);
    Presser phone(world, 0.05, 3);
    test::LinkRandom random(5, 1);
    std::string wanted;
    phone.speak(10);
    for (std::size_t i = 0; i < digits(); ++i) {
      const auto event = static_cast<std::uint8_t>(random.below(16));
      wanted += kNames[event];
      phone.press(event, static_cast<unsigned>(3 + random.below(8)));
      phone.speak(static_cast<unsigned>(3 + random.below(10)));
    }
    world.run(TranscodeWorld::kStart + phone.now() + milliseconds(500));
    const auto presses = presses_in(world.heard);
    EXPECT_EQ(names_of(presses), wanted);
    for (const Press& each : presses) {
      EXPECT_GE(each.ends, 3u);
      EXPECT_LE(each.ends, 3u);
      EXPECT_GE(each.duration, row.clock_hz * 20 / 1000);
      EXPECT_LE(each.duration, row.clock_hz * 200 / 1000);
    }
  }
}

TEST(Digits, DurationsAreScaledToTheReceiversClock) {
  AudioConversion terms = test::conversion(kPcmu, kOpus);
  terms.settings.sample_rate_hz = 8000;
  terms.inputs.push_back(event_input());
  terms.events = OtherType{kEvents, 48'000};
  TranscodeWorld world(terms);
  Presser phone(world, 0, 1);
  phone.speak(5);
  phone.press(7, 6);
  phone.speak(10);
  world.run(TranscodeWorld::kStart + phone.now() + milliseconds(500));
  const auto presses = presses_in(world.heard);
  ASSERT_EQ(presses.size(), 1u);
  EXPECT_EQ(presses[0].duration, 5760u) << "120 ms at 48 kHz";
  EXPECT_EQ(presses[0].ends, 3u);
  EXPECT_EQ(presses[0].position, 5 * 960);
  // The speech behind it begins where the key was released.
  const auto after = std::ranges::find_if(
      world.heard, [&](const Heard& each) { return each.position > presses[0].position; });
  ASSERT_NE(after, world.heard.end());
  EXPECT_EQ(after->position, 11 * 960);
  EXPECT_FALSE(after->marker);
}

TEST(Digits, ALongPressBecomesSegments) {
  AudioConversion terms = test::conversion(kPcmu, kOpus);
  terms.settings.sample_rate_hz = 8000;
  terms.inputs.push_back(event_input());
  terms.events = OtherType{kEvents, 48'000};
  TranscodeWorld world(terms);
  Presser phone(world, 0, 1);
  phone.speak(5);
  phone.press(1, 100);
  world.run(TranscodeWorld::kStart + phone.now() + milliseconds(500));
  const auto segments = presses_in(world.heard);
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].duration, 65'535u);
  EXPECT_EQ(segments[0].ends, 0u);
  EXPECT_EQ(segments[1].duration, 96'000u - 65'535u);
  EXPECT_EQ(segments[1].ends, 3u);
}

TEST(Digits, APressWithoutAnEndEnds) {
  AudioConversion terms = test::conversion(kPcmu, kG722);
  terms.inputs.push_back(event_input());
  terms.events = OtherType{kEvents, 8000};
  TranscodeWorld world(terms);
  Presser phone(world, 0, 1);
  Sent packet;
  packet.type = kEvents;
  packet.payload = {std::byte{5}, std::byte{10}, std::byte{1}, std::byte{0x40}};
  phone.send_raw(packet);
  world.run(TranscodeWorld::kStart + milliseconds(600));
  const auto presses = presses_in(world.heard);
  ASSERT_EQ(presses.size(), 1u);
  EXPECT_EQ(presses[0].duration, 320u);
  EXPECT_EQ(presses[0].ends, 3u);
}

TEST(Digits, APressCannotClaimMoreThanItsTime) {
  AudioConversion terms = test::conversion(kPcmu, kG722);
  terms.inputs.push_back(event_input());
  terms.events = OtherType{kEvents, 8000};
  TranscodeWorld world(terms);
  Presser phone(world, 0, 1);
  phone.speak(3);
  // Eight seconds at once, and another press behind it.
  Sent packet;
  packet.type = kEvents;
  packet.timestamp = 0xffff'0000 + 480;
  packet.payload = {std::byte{5}, std::byte{10}, std::byte{0xff}, std::byte{0xff}};
  phone.send_raw(packet);
  phone.advance();
  phone.press(6, 4);
  phone.speak(10);
  world.run(TranscodeWorld::kStart + phone.now() + milliseconds(500));
  const auto presses = presses_in(world.heard);
  ASSERT_EQ(names_of(presses), "56");
  EXPECT_LE(presses[0].duration, 8 * 600u);
  EXPECT_LE(world.heard.back().position, 8 * 1100);
}

/// What a detector hears in samples of 8 kHz.
std::string heard_by_detector(std::span<const std::int16_t> samples) {
  DigitDetector detector;
  std::string text;
  for (; samples.size() >= 160; samples = samples.subspan(160)) {
    const auto change = detector.hear(samples.first(160));
    if (change && change->begins) text += kNames[change->event];
  }
  return text;
}

TEST(Digits, EventsBecomeTones) {
  AudioConversion terms = test::conversion(kPcmu, kL16);
  terms.inputs.push_back(event_input());
  TranscodeWorld world(terms);
  Presser phone(world, 0.05, 7);
  test::LinkRandom random(6, 1);
  std::string wanted;
  phone.speak(10);
  for (std::size_t i = 0; i < digits(); ++i) {
    const auto event = static_cast<std::uint8_t>(random.below(16));
    wanted += kNames[event];
    phone.press(event, static_cast<unsigned>(3 + random.below(8)));
    phone.speak(static_cast<unsigned>(4 + random.below(10)));
  }
  world.run(TranscodeWorld::kStart + phone.now() + milliseconds(500));
  const auto samples = test::samples_of(world.heard, kL16);
  EXPECT_EQ(heard_by_detector(samples), wanted);
}

/// 100 ms tones between pauses, some speech before.
std::vector<std::int16_t> dialled(const std::string& wanted, test::LinkRandom& random) {
  std::vector<std::int16_t> all = test::speech(8000, 1.0);
  all.resize(all.size() + 1600);
  for (const char name : wanted) {
    DigitTone tone(static_cast<std::uint8_t>(std::string_view(kNames).find(name)), 8, 8000);
    std::vector<std::int16_t> samples(800);
    tone.fill(samples, true);
    all.insert(all.end(), samples.begin(), samples.end());
    all.resize(all.size() + 800 + random.below(1600));
  }
  all.resize(all.size() + 4000);
  return all;
}

std::string found_in_band(double loss, const std::string& wanted, std::vector<Heard>* heard = nullptr) {
  AudioConversion terms = test::conversion(kPcmu, kL16);
  terms.events = OtherType{kEvents, 8000};
  terms.detects_tones = true;
  TranscodeWorld world(terms);
  test::TranscodeSender sender(kPcmu, {}, 20);
  test::LinkRandom random(8, 2);
  test::LinkPath link(9, 1);
  test::Trouble trouble;
  trouble.loss = loss;
  trouble.delay = milliseconds(20);
  link.set(trouble);
  Duration now{0};
  for (const Sent& each : sender.packets(dialled(wanted, random))) {
    for (const Duration travel : link.carry(now)) world.arrive(TranscodeWorld::kStart + now + travel, each);
    now += milliseconds(20);
  }
  world.run(TranscodeWorld::kStart + now + milliseconds(500));
  if (heard != nullptr) *heard = world.heard;
  return names_of(presses_in(world.heard));
}

std::string random_digits(std::size_t count) {
  test::LinkRandom random(11, 1);
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += kNames[random.below(16)];
  return text;
}

TEST(Digits, TonesBecomeEvents) {
  const std::string wanted = random_digits(digits());
  std::vector<Heard> heard;
  EXPECT_EQ(found_in_band(0, wanted, &heard), wanted);
  for (const Press& each : presses_in(heard)) {
    EXPECT_GE(each.duration, 8 * 70u);
    EXPECT_LE(each.duration, 8 * 150u);
    EXPECT_EQ(each.ends, 3u);
  }
  // Nothing of a tone leaves as sound.
  EXPECT_EQ(heard_by_detector(test::samples_of(heard, kL16)), "");
  EXPECT_EQ(found_in_band(0.005, wanted), wanted);
  // None twice, and hardly one lost.
  const std::string lossy = found_in_band(0.05, wanted);
  EXPECT_LE(lossy.size(), wanted.size());
  EXPECT_GE(lossy.size(), wanted.size() * 99 / 100);
}

// A phone that counts durations in another clock than it says: a press of 200 ms that is said to last 1,200.
TEST(Digits, APressInAWrongClockDoesNotPutTheLineAhead) {
  AudioConversion terms = test::conversion(kPcmu, kL16);
  terms.inputs.push_back(event_input());
  terms.events = OtherType{kEvents, 8000};
  TranscodeWorld world(terms);
  Presser phone(world, 0, 1);
  for (int presses = 0; presses < 10; ++presses) {
    phone.speak(20);
    const Duration began = phone.now();
    const auto timestamp = static_cast<std::uint32_t>(0xffff'0000 + began / milliseconds(20) * 160);
    for (unsigned i = 1; i <= 10; ++i, phone.advance()) {
      Sent packet;
      packet.type = kEvents;
      packet.timestamp = timestamp;
      packet.payload = {std::byte{5}, std::byte{static_cast<std::uint8_t>(i == 10 ? 0x8a : 0x0a)},
                        std::byte{0}, std::byte{0}};
      write_u16(packet.payload, 2, static_cast<std::uint16_t>(i * 960));
      phone.send_raw(packet);
    }
  }
  phone.speak(20);
  world.run(TranscodeWorld::kStart + phone.now() + std::chrono::seconds(1));
  ASSERT_GT(world.heard.size(), 200u);
  Duration ahead{0};
  for (const Heard& each : world.heard) {
    const Duration line = each.at - world.heard[0].at - time_of(each.position, 8000);
    ahead = std::max<Duration>(ahead, -line);
  }
  EXPECT_LE(ahead, milliseconds(120));
}

// Signalling that changes nothing, in the middle of a press: speech must not leave before the press has
// ended.
TEST(Digits, APressSurvivesAnEqualConversion) {
  AudioConversion terms = test::conversion(kPcmu, kL16);
  terms.inputs.push_back(event_input());
  terms.events = OtherType{kEvents, 8000};
  TranscodeWorld world(terms);
  Presser phone(world, 0, 1);
  phone.speak(20);
  Sent packet;
  packet.type = kEvents;
  packet.timestamp = 0xffff'0000 + 20 * 160;
  packet.payload = {std::byte{5}, std::byte{10}, std::byte{0}, std::byte{160}};
  phone.send_raw(packet);
  phone.advance();
  world.run(TranscodeWorld::kStart + phone.now() + milliseconds(25));
  world.change(terms);
  // The end of the press comes behind packets of speech, as a phone that mixes them up sends it.
  phone.speak(5);
  packet.payload = {std::byte{5}, std::byte{0x8a}, std::byte{3}, std::byte{192}};
  phone.send_raw(packet);
  phone.speak(20);
  world.run(TranscodeWorld::kStart + phone.now() + std::chrono::seconds(1));
  const auto presses = presses_in(world.heard);
  ASSERT_EQ(presses.size(), 1u);
  EXPECT_EQ(presses[0].ends, 3u);
}

}  // namespace
}  // namespace ferry::digits_test
