// SPDX-License-Identifier: Apache-2.0
// What happens where nothing comes: pauses of the sender, comfort noise, loss, copies, other sources.
#include "codecs/audio/red.hpp"
#include "codecs/transcode/sample_time.hpp"
#include "codecs/transcode/transcoder.hpp"
#include "tests/support/speech.hpp"
#include "tests/support/transcode.hpp"

namespace ferry::pauses_test {
namespace {

using std::chrono::milliseconds;
using test::Heard;
using test::Sent;
using test::TranscodeSender;
using test::TranscodeWorld;

const AudioFormat kPcmu{"PCMU", 8000, 1, ""};
const AudioFormat kPcma{"PCMA", 8000, 1, ""};
const AudioFormat kL16{"L16", 8000, 1, ""};
const AudioFormat kG722{"G722", 8000, 1, ""};
const AudioFormat kOpus{"opus", 48000, 2, "useinbandfec=1"};
constexpr Instant kStart = TranscodeWorld::kStart;

/// Timestamps follow the clock on the wall to within a packet, and never go back.
void expect_one_line(const std::vector<Heard>& heard, Duration off = milliseconds(21)) {
  for (std::size_t i = 1; i < heard.size(); ++i) {
    EXPECT_GT(heard[i].position, heard[i - 1].position) << i;
    const Duration line = heard[i].at - heard[0].at - time_of(heard[i].position, heard[i].clock_rate_hz);
    EXPECT_LE(std::chrono::abs(line), off) << i;
  }
}

AudioConversion with_noise(AudioConversion terms, bool receiver_has_it) {
  terms.inputs.push_back({PayloadType{13}, AudioInput::Kind::kComfortNoise, {"CN", 8000, 1, ""}});
  if (receiver_has_it) terms.comfort_noise = OtherType{PayloadType{13}, 8000};
  return terms;
}

/// A second of speech, a descriptor of silence of that level, nothing for two seconds, and speech again.
void pause(TranscodeWorld& world, std::uint8_t level) {
  TranscodeSender sender(kPcmu, {}, 20);
  const auto packets = sender.packets(test::speech(8000, 2));
  for (std::size_t i = 0; i < 50; ++i) world.arrive(kStart + milliseconds(20 * i), packets[i]);
  Sent noise = packets[50];
  noise.type = PayloadType{13};
  noise.payload = {std::byte{level}};
  world.arrive(kStart + milliseconds(1000), noise);
  for (std::size_t i = 51; i < 100; ++i) {
    Sent later = packets[i];
    later.timestamp += 16'000;
    world.arrive(kStart + milliseconds(20 * i + 2000), later);
  }
  world.run(kStart + milliseconds(3950));
}

TEST(Pauses, NoiseIsHeardWhereTheReceiverHasNone) {
  TranscodeWorld world(with_noise(test::conversion(kPcmu, kL16), false));
  pause(world, 50);
  expect_one_line(world.heard);
  const auto samples = test::samples_of(world.heard, kL16);
  ASSERT_GE(samples.size(), 8000u * 39 / 10);
  const double rms = test::rms_of(std::span(samples).subspan(9600, 12'000));
  EXPECT_NEAR(20 * std::log10(32'768 / rms), 50, 3);
  EXPECT_GE(world.heard.size(), 190u) << "packets go on in the pause";
}

TEST(Pauses, NoiseStaysNoiseWhereTheReceiverHasIt) {
  TranscodeWorld world(with_noise(test::conversion(kPcmu, kL16), true));
  pause(world, 50);
  std::size_t noise = 0;
  for (std::size_t i = 0; i < world.heard.size(); ++i) {
    const Heard& each = world.heard[i];
    if (each.type == PayloadType{13}) {
      ++noise;
      EXPECT_FALSE(each.marker);
      EXPECT_NEAR(static_cast<int>(each.payload[0]), 50, 3);
    } else {
      EXPECT_EQ(each.marker, i == 0 || world.heard[i - 1].type == PayloadType{13}) << i;
    }
  }
  EXPECT_GE(noise, 4u);
  EXPECT_LE(noise, 12u) << "hardly more than one each 400 ms";
  expect_one_line(world.heard);
}

TEST(Pauses, OneLawToTheOtherMakesNoiseToo) {
  TranscodeWorld world(with_noise(test::conversion(kPcmu, kPcma), false));
  pause(world, 50);
  expect_one_line(world.heard, milliseconds(40));
  EXPECT_GE(world.heard.size(), 185u);
}

TEST(Pauses, SilenceWithoutAWordEndsAfterAMoment) {
  TranscodeWorld world(test::conversion(kPcmu, kG722));
  TranscodeSender sender(kPcmu, {}, 20);
  auto packets = sender.packets(test::speech(8000, 2));
  for (std::size_t i = 0; i < 50; ++i) world.arrive(kStart + milliseconds(20 * i), packets[i]);
  for (std::size_t i = 50; i < 100; ++i) {
    packets[i].timestamp += 8000 * 5;
    world.arrive(kStart + milliseconds(20 * i + 5000), packets[i]);
  }
  world.run(kStart + milliseconds(6950));
  expect_one_line(world.heard);
  std::size_t gaps = 0;
  for (std::size_t i = 1; i < world.heard.size(); ++i) {
    if (world.heard[i].position == world.heard[i - 1].position + 160) continue;
    ++gaps;
    EXPECT_TRUE(world.heard[i].marker);
    EXPECT_EQ(world.heard[i].at, kStart + milliseconds(6000)) << "the first packet is not held";
  }
  EXPECT_EQ(gaps, 1u);
  EXPECT_GE(world.figures().concealed_ms, 40u);
  EXPECT_LE(world.figures().concealed_ms, 80u);
}

TEST(Pauses, OpusFindsLostPacketsInTheNextOnes) {
  const auto quality = [](const AudioFormat& format) {
    TranscodeWorld world(test::conversion(format, kL16));
    TranscodeSender sender(format, {8000, 1, 0, -1, false}, 20);
    const auto speech = test::speech(8000, 12);
    const auto packets = sender.packets(speech);
    for (std::size_t i = 0; i < packets.size(); ++i)
      if (i % 9 != 5) world.arrive(kStart + milliseconds(20 * i), packets[i]);
    world.run(kStart + milliseconds(11'900));
    expect_one_line(world.heard, milliseconds(41));
    auto heard = test::samples_of(world.heard, kL16);
    // The last seconds: by then it pays to wait for the next packet.
    const auto original = std::span(speech).subspan(48'000, 40'000);
    const auto late = std::span<const std::int16_t>(heard).subspan(48'000);
    const std::size_t delay = test::delay_of(original.first(8000), late, 800);
    return test::snr_of(original, late.subspan(delay));
  };
  const double with = quality(kOpus);
  const double without = quality({"opus", 48000, 2, ""});
  EXPECT_GT(with, without + 1) << with << " against " << without;
}

TEST(Pauses, RedundantPayloadsMakeUpForLoss) {
  AudioConversion terms = test::conversion(kPcmu, kL16);
  terms.inputs.push_back({PayloadType{98}, AudioInput::Kind::kRedundant, {"red", 8000, 1, ""}});
  TranscodeWorld world(terms);
  TranscodeSender sender(kPcmu, {}, 20);
  const auto speech = test::speech(8000, 8);
  RedWriter writer(2);
  auto packets = sender.packets(speech);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    std::vector<std::byte> payload(1400);
    payload.resize(writer.write(PayloadType{96}, packets[i].timestamp, packets[i].payload, payload));
    packets[i].payload = payload;
    packets[i].type = PayloadType{98};
    if (i % 5 != 3) world.arrive(kStart + milliseconds(20 * i), packets[i]);
  }
  world.run(kStart + milliseconds(7900));
  EXPECT_GE(world.figures().recovered, 70u);
  // The first losses teach it that it pays to wait.
  EXPECT_LE(world.figures().concealed_ms, 200u);
  expect_one_line(world.heard, milliseconds(41));
}

TEST(Pauses, WhoSpeaksHasTheFloor) {
  TranscodeWorld world(test::conversion(kPcmu, kG722));
  TranscodeSender first(kPcmu, {}, 20);
  TranscodeSender second(kPcmu, {}, 20);
  const auto one = first.packets(test::speech(8000, 3));
  auto two = second.packets(test::speech(8000, 3));
  for (std::size_t i = 0; i < 50; ++i) world.arrive(kStart + milliseconds(20 * i), one[i]);
  for (std::size_t i = 25; i < 150; ++i) {
    two[i].from = 2;
    two[i].ssrc = Ssrc{0x2222};
    world.arrive(kStart + milliseconds(20 * i + 7), two[i]);
  }
  world.run(kStart + milliseconds(2950));
  EXPECT_NEAR(static_cast<double>(world.figures().other_speaks), 35, 2);
  expect_one_line(world.heard);
}

TEST(Pauses, AnotherStreamGoesOnWithoutAJump) {
  TranscodeWorld world(test::conversion(kPcmu, kG722));
  TranscodeSender sender(kPcmu, {}, 20);
  auto packets = sender.packets(test::speech(8000, 4));
  for (std::size_t i = 0; i < packets.size(); ++i) {
    // A new SSRC with new numbers, then a jump of the timestamps, then of the sequence.
    if (i >= 50) packets[i].ssrc = Ssrc{0x9999};
    if (i >= 50) packets[i].sequence = static_cast<std::uint16_t>(packets[i].sequence + 20'000);
    if (i >= 50) packets[i].timestamp += 0x4000'0000;
    if (i >= 100) packets[i].timestamp += 5'000'000;
    if (i >= 150) packets[i].sequence = static_cast<std::uint16_t>(packets[i].sequence + 5'000);
    world.arrive(kStart + milliseconds(20 * i), packets[i]);
  }
  world.run(kStart + milliseconds(3950));
  expect_one_line(world.heard);
  EXPECT_NEAR(static_cast<double>(world.heard.size()), 198, 3);
  for (std::size_t i = 1; i < world.heard.size(); ++i) EXPECT_FALSE(world.heard[i].marker) << i;
}

TEST(Pauses, AnotherConversionGoesOnWithoutAJump) {
  const AudioFormat table[] = {kPcma, kG722, kPcmu, kL16, kOpus, kPcma, {"GSM", 8000, 1, ""}};
  TranscodeWorld world(test::conversion(kPcmu, kG722));
  TranscodeSender sender(kPcmu, {}, 20);
  const auto packets = sender.packets(test::speech(8000, 7));
  for (std::size_t i = 0; i < packets.size(); ++i) world.arrive(kStart + milliseconds(20 * i), packets[i]);

  Duration line{0};
  std::size_t from = 0;
  for (std::size_t k = 0; k < std::size(table); ++k) {
    world.change(test::conversion(kPcmu, table[k]));
    world.run(kStart + milliseconds(1000 * (k + 1) - 10));
    ASSERT_GE(world.heard.size(), from + 48) << table[k].encoding;
    // Across clocks the line is measured as time.
    for (std::size_t i = std::max<std::size_t>(from, 1); i < world.heard.size(); ++i) {
      const auto step = world.heard[i].position - world.heard[i - 1].position;
      line += time_of(step, world.heard[i].clock_rate_hz);
      EXPECT_LE(std::chrono::abs(world.heard[i].at - world.heard[0].at - line), milliseconds(21)) << i;
    }
    from = world.heard.size();
  }
}

TEST(Pauses, AStallIsLeftOut) {
  TranscodeWorld world(test::conversion(kPcmu, kG722));
  TranscodeSender sender(kPcmu, {}, 20);
  const auto packets = sender.packets(test::speech(8000, 4));
  for (std::size_t i = 0; i < packets.size(); ++i) {
    // Half a second arrives at once.
    const std::size_t at = i >= 50 && i < 75 ? 75 : i;
    world.arrive(kStart + milliseconds(20 * at), packets[i]);
  }
  world.run(kStart + milliseconds(3950));
  expect_one_line(world.heard);
  EXPECT_GT(world.figures().overruns, 10u);
  EXPECT_LT(world.heard.size(), 200u);
}

}  // namespace
}  // namespace ferry::pauses_test
