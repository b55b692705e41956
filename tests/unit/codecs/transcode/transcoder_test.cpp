// SPDX-License-Identifier: Apache-2.0
// The whole stage in virtual time: one codec to another one, timelines, pacing.
#include "codecs/transcode/transcoder.hpp"

#include "tests/support/speech.hpp"
#include "tests/support/transcode.hpp"

namespace ferry::transcoder_test {
namespace {

using std::chrono::milliseconds;
using test::conversion;
using test::Heard;
using test::Sent;
using test::TranscodeSender;
using test::TranscodeWorld;

const AudioFormat kPcmu{"PCMU", 8000, 1, ""};
const AudioFormat kPcma{"PCMA", 8000, 1, ""};
const AudioFormat kG722{"G722", 8000, 1, ""};
const AudioFormat kOpus{"opus", 48000, 2, ""};

/// Packets every so many ms, from the start on.
void arrive(TranscodeWorld& world, const std::vector<Sent>& packets, unsigned packet_ms) {
  Instant at = TranscodeWorld::kStart;
  for (const Sent& each : packets) {
    world.arrive(at, each);
    at += milliseconds(packet_ms);
  }
}

TEST(Transcoder, OrderlyPacketsLeaveAtOnce) {
  TranscodeWorld world(conversion(kPcmu, kG722));
  TranscodeSender sender(kPcmu, {}, 20);
  const auto packets = sender.packets(test::speech(8000, 4));
  arrive(world, packets, 20);
  world.run(TranscodeWorld::kStart + std::chrono::seconds(4) - milliseconds(20));
  ASSERT_EQ(world.heard.size(), packets.size());
  for (std::size_t i = 0; i < world.heard.size(); ++i) {
    const Heard& each = world.heard[i];
    EXPECT_EQ(each.at, TranscodeWorld::kStart + milliseconds(20 * i)) << i;
    EXPECT_EQ(each.position, static_cast<std::int64_t>(160 * i));
    EXPECT_EQ(each.marker, i == 0);
    EXPECT_EQ(each.payload.size(), 160u);
    EXPECT_EQ(each.type, PayloadType{97});
  }
  EXPECT_EQ(world.figures().concealed_ms, 0u);
}

struct Lengths {
  unsigned in;
  std::uint16_t out;
};

TEST(Transcoder, OtherPacketTimesArePaced) {
  const Lengths table[] = {{40, 20}, {20, 40}, {20, 30}, {30, 20}, {60, 20}, {10, 20}, {20, 10}, {20, 60}};
  for (const Lengths& row : table) {
    SCOPED_TRACE(std::to_string(row.in) + " to " + std::to_string(row.out));
    TranscodeWorld world(conversion(kPcmu, kG722, row.out));
    TranscodeSender sender(kPcmu, {}, row.in);
    arrive(world, sender.packets(test::speech(8000, 6)), row.in);
    world.run(TranscodeWorld::kStart + milliseconds(5900));
    ASSERT_GT(world.heard.size(), 5900u / row.out - 5);
    for (std::size_t i = 1; i < world.heard.size(); ++i) {
      const Heard& each = world.heard[i];
      EXPECT_EQ(each.position, world.heard[i - 1].position + row.out * 8) << i;
      const auto off = std::chrono::abs(each.at - world.heard[0].at - milliseconds(row.out * i));
      EXPECT_LE(off, milliseconds(1)) << i;
    }
    EXPECT_EQ(world.figures().concealed_ms, 0u);
    EXPECT_EQ(world.figures().late, 0u);
  }
}

TEST(Transcoder, SoundStaysAsItWas) {
  struct Pair {
    AudioFormat from;
    AudioFormat to;
    CodecSettings settings;
    double most_distance;
  };
  const CodecSettings at_8k{8000, 0, 0, -1, false};
  const Pair table[] = {{kPcmu, kG722, {}, 2.5}, {kG722, kPcma, {}, 2.5}, {kPcma, kOpus, at_8k, 6},
                        {kOpus, kPcmu, {}, 6},   {kG722, kG722, {}, 2.5}, {kOpus, kG722, {}, 6}};
  for (const Pair& row : table) {
    SCOPED_TRACE(row.from.encoding + " to " + row.to.encoding);
    AudioConversion terms = conversion(row.from, row.to);
    terms.settings = row.settings;
    TranscodeWorld world(terms);
    TranscodeSender sender(row.from, {}, 20);
    arrive(world, sender.packets(test::speech(sender.rate_hz(), 3)), 20);
    world.run(TranscodeWorld::kStart + milliseconds(2970));
    const auto heard = test::samples_of(world.heard, row.to, {8000, 1, 0, -1, false});
    ASSERT_GT(heard.size(), 20'000u);
    const std::uint32_t rate = row.to.encoding == "G722" ? 16'000 : 8000;
    Resampler down(rate, 8000);
    std::vector<std::int16_t> narrow(down.room_for(heard.size()));
    narrow.resize(down.run(heard, narrow));
    const auto original = test::speech(8000, 2.5);
    const std::size_t delay = test::delay_of(std::span(original).first(8000), narrow, 800);
    EXPECT_LT(delay, 200u);
    EXPECT_LT(test::spectral_distance(original, std::span<const std::int16_t>(narrow).subspan(delay)),
              row.most_distance);
  }
}

TEST(Transcoder, WhatNobodyEncodesIsCountedAndLeftOut) {
  const auto speech = test::speech(8000, 1);
  TranscodeWorld world(conversion(kPcmu, kG722));
  TranscodeSender sender(kPcmu, {}, 20);
  arrive(world, sender.packets(speech), 20);
  world.run(TranscodeWorld::kStart + milliseconds(310));
  const std::size_t before = world.heard.size();
  // The former conversion is gone when the next one comes.
  world.change(conversion(kPcmu, {"nothing", 8000, 1, ""}));
  world.run(TranscodeWorld::kStart + milliseconds(610));
  EXPECT_LE(world.heard.size(), before + 1);
  EXPECT_EQ(world.figures().no_encoder, 15u);
  world.change(conversion(kPcmu, kG722));
  world.run(TranscodeWorld::kStart + milliseconds(990));
  EXPECT_GE(world.heard.size(), before + 15);
}

TEST(Transcoder, OneLawToTheOtherIsALookUp) {
  TranscodeWorld world(conversion(kPcmu, kPcma));
  Sent packet;
  packet.type = PayloadType{96};
  packet.payload.resize(160);
  std::vector<std::byte> wanted(160);
  for (std::uint16_t i = 0; i < 100; ++i) {
    for (std::size_t k = 0; k < 160; ++k) packet.payload[k] = static_cast<std::byte>(k * 7 + i);
    packet.sequence = i;
    packet.timestamp = i * 160u;
    world.run(TranscodeWorld::kStart + milliseconds(20 * i));
    // One is lost on its way.
    if (i == 50) continue;
    world.hear(packet);
    if (i == 51) {
      // It waits a moment for the one before it.
      EXPECT_EQ(world.heard.size(), 50u);
      world.run(world.now() + milliseconds(30));
    }
    translate_g711(Law::kMu, packet.payload, wanted);
    EXPECT_EQ(world.heard.back().payload, wanted);
    EXPECT_EQ(world.heard.back().position, i * 160);
    EXPECT_EQ(world.heard.back().lost, i == 51 ? 1 : 0) << i;
  }
}

}  // namespace
}  // namespace ferry::transcoder_test
