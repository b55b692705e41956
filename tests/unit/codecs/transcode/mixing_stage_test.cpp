// SPDX-License-Identifier: Apache-2.0
// Conferences in virtual time: everybody hears exactly the others, whatever their codecs and networks.
#include "codecs/transcode/mixing_stage.hpp"

#include "tests/support/mixing.hpp"
#include "tests/support/speech.hpp"

#include <string>

namespace ferry::mixing_stage_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::amplitude_at;
using test::decibels;
using test::mixed;
using test::MixWorld;
using test::Sent;
using test::tone_of;
using test::TranscodeSender;

const AudioFormat kPcmu{"PCMU", 8000, 1, ""};
const AudioFormat kPcma{"PCMA", 8000, 1, ""};
const AudioFormat kG722{"G722", 8000, 1, ""};
const AudioFormat kOpus{"opus", 48000, 2, ""};
const AudioFormat kWide{"L16", 16000, 1, ""};
const AudioFormat kNarrow{"L16", 8000, 1, ""};
const AudioFormat kAdpcm{"G726-32", 8000, 1, ""};
const AudioFormat kGsm{"GSM", 8000, 1, ""};

constexpr Instant kStart = MixWorld::kStart;

/// Rate of the samples of a codec.
CodecSettings settings_of(const AudioFormat& format) {
  CodecSettings settings;
  if (format.encoding == "opus") settings = {16'000, 0, 0, -1, false};
  return settings;
}
std::vector<std::int16_t> decoded(const MixWorld& world, const AudioFormat& format, std::uint32_t& rate) {
  CodecSettings settings = settings_of(format);
  settings.channels = 1;
  rate = make_audio_decoder(format, settings).value()->sample_rate_hz();
  return test::samples_of(world.heard, format, settings);
}

struct Party {
  AudioFormat format;
  double hertz;
  double amplitude = 3000;
};

/// The stages of a conference: what each of the parties hears. Packets of each party leave at its own phase.
struct Conference {
  explicit Conference(const std::vector<Party>& all, unsigned length_s) : parties(all), worlds(all.size()) {
    for (std::size_t from = 0; from < parties.size(); ++from) {
      TranscodeSender sender(parties[from].format, settings_of(parties[from].format), 20);
      const std::size_t length = std::size_t{sender.rate_hz()} * length_s;
      packets.push_back(
          sender.packets(tone_of(parties[from].hertz, parties[from].amplitude, sender.rate_hz(), length)));
    }
    for (std::size_t to = 0; to < parties.size(); ++to) {
      for (std::size_t from = 0; from < parties.size(); ++from) {
        AudioConversion terms = mixed(parties[from].format, parties[to].format);
        terms.settings.sample_rate_hz = settings_of(parties[from].format).sample_rate_hz;
        if (from != to) worlds[to].tell(from, terms);
      }
    }
  }
  void speak(std::size_t from, Instant first) {
    for (std::size_t to = 0; to < parties.size(); ++to) {
      if (to != from) worlds[to].arrive(from, packets[from], first, 20);
    }
  }
  void run(Instant until) {
    for (MixWorld& each : worlds) each.run(until);
  }
  /// How loud `to` hears `from` between two times, dB against what it said.
  [[nodiscard]] double level(std::size_t to, std::size_t from, double begin_s, double end_s) const {
    std::uint32_t rate = 0;
    const auto heard = decoded(worlds[to], parties[to].format, rate);
    const auto begin = static_cast<std::size_t>(begin_s * rate);
    const auto end = std::min(static_cast<std::size_t>(end_s * rate), heard.size());
    if (begin >= end) return -200;
    const double found =
        amplitude_at(parties[from].hertz, std::span(heard).subspan(begin, end - begin), rate);
    return decibels(found / parties[from].amplitude);
  }
  std::vector<Party> parties;
  std::vector<MixWorld> worlds;
  std::vector<std::vector<Sent>> packets;
};

void expect_each_hears_the_others(const std::vector<Party>& parties) {
  Conference room(parties, 4);
  for (std::size_t from = 0; from < parties.size(); ++from) room.speak(from, kStart + milliseconds(7 * from));
  room.run(kStart + seconds(4));
  for (std::size_t to = 0; to < parties.size(); ++to) {
    for (std::size_t from = 0; from < parties.size(); ++from) {
      SCOPED_TRACE(parties[from].format.encoding + std::to_string(from) + " at " +
                   parties[to].format.encoding + std::to_string(to));
      const double level = room.level(to, from, 1, 3.9);
      if (from == to)
        EXPECT_LT(level, -30) << "nobody hears himself";
      else
        EXPECT_NEAR(level, 0, parties[to].format.encoding == "opus" ? 2.5 : 1.5);
    }
    EXPECT_LE(room.worlds[to].worst(), milliseconds(40));
  }
}

TEST(MixingStage, ThreePartiesWithThreeCodecsHearExactlyTheOthers) {
  expect_each_hears_the_others({{kPcmu, 500}, {kOpus, 800}, {kG722, 1300}});
}

TEST(MixingStage, EightPartiesHearExactlyTheOthers) {
  expect_each_hears_the_others({{kPcmu, 450},
                                {kPcma, 600},
                                {kG722, 750},
                                {kOpus, 900},
                                {kWide, 1050},
                                {kNarrow, 1200},
                                {kAdpcm, 1350},
                                {kPcmu, 1500}});
}

TEST(MixingStage, AVoiceIsAsLoudAsItWas) {
  Conference room({{kNarrow, 500}, {kPcmu, 700, 9000}, {kPcma, 1100, 4000}}, 3);
  room.speak(1, kStart);
  room.speak(2, kStart + milliseconds(3));
  room.run(kStart + seconds(3));
  EXPECT_NEAR(room.level(0, 1, 1, 2.9), 0, 0.1);
  EXPECT_NEAR(room.level(0, 2, 1, 2.9), 0, 0.1);
}

TEST(MixingStage, OneSourceAloneIsWhatItWasBitByBit) {
  MixWorld world;
  world.tell(1, mixed(kPcmu, kPcmu));
  TranscodeSender sender(kPcmu, {}, 20);
  const auto packets = sender.packets(test::speech(8000, 2));
  world.arrive(1, packets, kStart, 20);
  world.run(kStart + seconds(3));
  ASSERT_EQ(world.heard.size(), packets.size());
  for (std::size_t i = 0; i < packets.size(); ++i) {
    EXPECT_EQ(world.heard[i].payload, packets[i].payload) << i;
    EXPECT_EQ(world.heard[i].at, kStart + milliseconds(20 * i)) << "without delay";
  }
  EXPECT_EQ(world.stage().sources(), 0u);
}

TEST(MixingStage, AVoiceBesideAPauseIsWhatItWasBitByBit) {
  // The other one sends comfort noise alone.
  AudioConversion terms = mixed(kPcma, kPcma);
  terms.inputs.push_back({PayloadType{13}, AudioInput::Kind::kComfortNoise, {"CN", 8000, 1, ""}});
  MixWorld world;
  world.tell(1, terms);
  world.tell(2, terms);
  TranscodeSender sender(kPcma, {}, 20);
  const auto packets = sender.packets(test::speech(8000, 4));
  world.arrive(1, packets, kStart, 20);
  std::vector<Sent> silence(20);
  for (std::size_t i = 0; i < silence.size(); ++i) {
    silence[i].type = PayloadType{13};
    silence[i].sequence = static_cast<std::uint16_t>(i);
    silence[i].timestamp = static_cast<std::uint32_t>(1600 * i);
    silence[i].payload = {std::byte{70}};
  }
  world.arrive(2, silence, kStart + milliseconds(5), 200);
  world.run(kStart + seconds(4));
  EXPECT_EQ(world.stage().sources(), 2u);
  std::size_t same = 0;
  for (const test::Heard& each : world.heard) {
    const auto found = std::ranges::find(packets, each.payload, &Sent::payload);
    same += found != packets.end() ? 1 : 0;
  }
  EXPECT_GE(same, packets.size() - 4);
}

TEST(MixingStage, LossAndJitterOfOneAreNotHeardInTheOthers) {
  Conference room({{kNarrow, 500}, {kPcmu, 700}, {kPcmu, 1100}, {kG722, 1600}}, 8);
  room.speak(1, kStart);
  room.speak(3, kStart + milliseconds(11));
  // Party 2 has a bad network.
  test::LinkRandom random(3, 1);
  Instant at = kStart + milliseconds(4);
  for (Sent packet : room.packets[2]) {
    packet.from = 2;
    packet.ssrc = Ssrc{2};
    if (!random.chance(0.05)) room.worlds[0].arrive(at + milliseconds(random.below(40)), packet);
    at += milliseconds(20);
  }
  room.run(kStart + seconds(8));
  EXPECT_NEAR(room.level(0, 1, 2, 7.9), 0, 0.3);
  EXPECT_NEAR(room.level(0, 3, 2, 7.9), 0, 1);
  EXPECT_NEAR(room.level(0, 2, 2, 7.9), 0, 3);
  EXPECT_LE(room.worlds[0].worst(), milliseconds(60));
  std::size_t count = 0;
  for (const auto& each : room.worlds[0].heard) count += each.at > kStart + seconds(2) ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(count), 300, 4) << "a packet each 20 ms, whatever one network does";
}

TEST(MixingStage, PartiesComeAndGoWithoutAJumpOnTheTimeline) {
  Conference room({{kPcma, 500}, {kPcmu, 700}, {kOpus, 1100}, {kG722, 1600}}, 20);
  MixWorld& world = room.worlds[0];
  const auto speak = [&](std::uint64_t from, double begin_s, double end_s) {
    auto first = room.packets[from].begin();
    const std::vector<Sent> part(first, first + static_cast<std::ptrdiff_t>((end_s - begin_s) * 50));
    world.arrive(from, part, kStart + milliseconds(static_cast<int>(begin_s * 1000)), 20);
  };
  speak(1, 0, 20);
  speak(2, 2, 6);
  speak(3, 4, 8);
  world.run(kStart + seconds(20));
  EXPECT_EQ(world.stage().sources(), 0u) << "one is left, for more than five seconds";
  EXPECT_NEAR(room.level(0, 1, 0.5, 1.9), 0, 1);
  EXPECT_NEAR(room.level(0, 1, 4.5, 5.8), 0, 1);
  EXPECT_NEAR(room.level(0, 2, 4.5, 5.8), 0, 1.5);
  EXPECT_NEAR(room.level(0, 3, 4.5, 5.8), 0, 1.5);
  EXPECT_NEAR(room.level(0, 1, 14, 19.5), 0, 1);
  EXPECT_LT(room.level(0, 2, 14, 19.5), -40);
  EXPECT_LE(world.worst(), milliseconds(60));
  for (std::size_t i = 1; i < world.heard.size(); ++i) {
    const std::int64_t step = world.heard[i].position - world.heard[i - 1].position;
    EXPECT_GT(step, 0) << i;
    EXPECT_LE(step, 8 * 60) << "at most 60 ms without sound, where one more begins to speak; packet " << i;
    EXPECT_LE(world.heard[i].at - world.heard[i - 1].at, milliseconds(60)) << i;
  }
}

TEST(MixingStage, DigitsOfAnySourcePassOneAtATime) {
  AudioConversion terms = mixed(kPcmu, kPcma);
  terms.inputs.push_back({PayloadType{110}, AudioInput::Kind::kEvents, {"telephone-event", 8000, 1, ""}});
  terms.events = OtherType{PayloadType{101}, 8000};
  MixWorld world;
  for (const std::uint64_t from : {1, 2, 3}) {
    world.tell(from, terms);
    TranscodeSender sender(kPcmu, {}, 20);
    world.arrive(from, sender.packets(test::speech(8000, 4)), kStart + milliseconds(3 * from), 20);
  }
  const auto press = [&](std::uint64_t from, std::uint8_t digit, Instant at) {
    for (unsigned n = 1; n <= 8; ++n, at += milliseconds(20)) {
      Sent packet;
      packet.from = from;
      packet.ssrc = Ssrc{static_cast<std::uint32_t>(0x1000 + from)};
      packet.sequence = static_cast<std::uint16_t>(n);
      packet.timestamp = digit * 16'000u;
      packet.type = PayloadType{110};
      const unsigned duration = 160 * std::min(n, 6u);
      packet.payload = {std::byte{digit}, std::byte{static_cast<std::uint8_t>(n >= 6 ? 0x8a : 0x0a)},
                        static_cast<std::byte>(duration >> 8), static_cast<std::byte>(duration)};
      world.arrive(at, packet);
    }
  };
  press(2, 5, kStart + milliseconds(1000));
  press(3, 7, kStart + milliseconds(2000));
  // Together with another key: one of them is told.
  press(2, 8, kStart + milliseconds(3000));
  press(1, 9, kStart + milliseconds(3040));
  world.run(kStart + seconds(4));
  std::string digits;
  std::int64_t last = -1;
  unsigned ends = 0;
  for (const test::Heard& each : world.heard) {
    if (each.type.value != 101) continue;
    if (each.position != last) digits += static_cast<char>('0' + read_u8(each.payload, 0));
    last = each.position;
    ends += (read_u8(each.payload, 1) & 0x80) != 0 ? 1 : 0;
  }
  EXPECT_EQ(digits, "578");
  EXPECT_EQ(ends, 9u);
  EXPECT_LE(world.worst(), milliseconds(200)) << "packets of a press have the time of its beginning";
}

TEST(MixingStage, AJoinInAPressDoesNotRepeatTheDigit) {
  AudioConversion terms = mixed(kPcmu, kG722);
  terms.inputs.push_back({PayloadType{110}, AudioInput::Kind::kEvents, {"telephone-event", 8000, 1, ""}});
  terms.events = OtherType{PayloadType{101}, 8000};
  MixWorld world;
  world.tell(1, terms);
  world.tell(2, terms);
  TranscodeSender sender(kPcmu, {}, 20);
  world.arrive(1, sender.packets(test::speech(8000, 1)), kStart, 20);
  for (unsigned n = 1; n <= 10; ++n) {
    Sent packet;
    packet.from = 1;
    packet.ssrc = Ssrc{0x1001};
    packet.sequence = static_cast<std::uint16_t>(65'550 + n);
    packet.timestamp = 0xffff'0000 + 8000;
    packet.type = PayloadType{110};
    packet.payload = {std::byte{4}, std::byte{static_cast<std::uint8_t>(n >= 8 ? 0x8a : 0x0a)},
                      static_cast<std::byte>(160 * n >> 8), static_cast<std::byte>(160 * n)};
    world.arrive(kStart + milliseconds(1000 + 20 * n), packet);
  }
  TranscodeSender other(kPcmu, {}, 20);
  world.arrive(2, other.packets(test::speech(8000, 1)), kStart + milliseconds(1090), 20);
  world.run(kStart + seconds(3));
  std::string digits;
  std::int64_t last = -1;
  for (const test::Heard& each : world.heard) {
    if (each.type.value != 101) continue;
    if (each.position != last) digits += static_cast<char>('0' + read_u8(each.payload, 0));
    last = each.position;
  }
  EXPECT_EQ(digits, "4");
}

TEST(MixingStage, PausesOfAllArePausesOfTheReceiver) {
  AudioConversion terms = mixed(kPcmu, kPcma);
  terms.inputs.push_back({PayloadType{13}, AudioInput::Kind::kComfortNoise, {"CN", 8000, 1, ""}});
  terms.comfort_noise = OtherType{PayloadType{13}, 8000};
  MixWorld world;
  for (const std::uint64_t from : {1, 2}) {
    world.tell(from, terms);
    TranscodeSender sender(kPcmu, {}, 20);
    auto packets = sender.packets(test::speech(8000, 1));
    for (int n = 0; n < 10; ++n) {
      Sent silence = packets.back();
      silence.sequence = static_cast<std::uint16_t>(silence.sequence + 1);
      silence.timestamp += n == 0 ? 160 : 1600;
      silence.type = PayloadType{13};
      silence.payload = {std::byte{60}};
      world.arrive(kStart + milliseconds(1000 + 200 * n + 3 * static_cast<int>(from)), [&] {
        Sent one = silence;
        one.from = from;
        one.ssrc = Ssrc{static_cast<std::uint32_t>(0x1000 + from)};
        return one;
      }());
      packets.push_back(silence);
    }
    packets.resize(50);
    world.arrive(from, packets, kStart + milliseconds(3 * from), 20);
  }
  world.run(kStart + milliseconds(2900));
  std::size_t noise = 0;
  std::size_t speech = 0;
  for (const test::Heard& each : world.heard) {
    if (each.at < kStart + milliseconds(1300)) continue;
    ++(each.type.value == 13 ? noise : speech);
  }
  EXPECT_GE(noise, 2u);
  EXPECT_LE(noise, 12u);
  EXPECT_EQ(speech, 0u) << "a pause costs nothing";
}

TEST(MixingStage, MoreSourcesThanTheMostAreLeftOutUntilThereIsRoom) {
  MixWorld world;
  const std::uint64_t all = MixingStage::kMostSources + 3;
  for (std::uint64_t from = 1; from <= all; ++from) {
    world.tell(from, mixed(kPcmu, kPcmu));
    TranscodeSender sender(kPcmu, {}, 20);
    // The first three fall silent.
    const double length = from <= 3 ? 1 : 10;
    world.arrive(from, sender.packets(test::speech(8000, length)), kStart + milliseconds(from), 20);
  }
  world.run(kStart + seconds(3));
  EXPECT_EQ(world.stage().sources(), MixingStage::kMostSources);
  EXPECT_GT(world.stage().left_out(), 100u);
  world.run(kStart + seconds(8));
  const std::uint64_t before = world.stage().left_out();
  world.run(kStart + seconds(9));
  EXPECT_EQ(world.stage().left_out(), before);
  EXPECT_EQ(world.stage().sources(), MixingStage::kMostSources);
}

TEST(MixingStage, WithoutMixingOneIsHeardAtATime) {
  MixWorld world;
  for (const std::uint64_t from : {1, 2}) {
    world.tell(from, test::conversion(kPcmu, kPcma));
    TranscodeSender sender(kPcmu, {}, 20);
    world.arrive(from, sender.packets(test::speech(8000, 1)), kStart + milliseconds(3 * from), 20);
  }
  world.run(kStart + seconds(2));
  EXPECT_EQ(world.stage().sources(), 0u);
  EXPECT_EQ(world.stage().receiver().figures().other_speaks, 50u);
}

TEST(MixingStage, MixingEndsWhenSignallingEndsIt) {
  MixWorld world;
  for (const std::uint64_t from : {1, 2}) {
    world.tell(from, mixed(kPcmu, kPcma));
    TranscodeSender sender(kPcmu, {}, 20);
    world.arrive(from, sender.packets(test::speech(8000, from == 1 ? 4 : 2)), kStart + milliseconds(3 * from),
                 20);
  }
  world.run(kStart + milliseconds(1990));
  EXPECT_EQ(world.stage().sources(), 2u);
  world.tell(1, test::conversion(kPcmu, kPcma));
  world.run(kStart + seconds(4));
  EXPECT_EQ(world.stage().sources(), 0u);
  EXPECT_LE(world.worst(), milliseconds(60));
  EXPECT_NEAR(static_cast<double>(world.heard.size()), 200, 4);
}

}  // namespace
}  // namespace ferry::mixing_stage_test
