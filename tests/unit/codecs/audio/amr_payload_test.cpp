// SPDX-License-Identifier: Apache-2.0
// Payloads of AMR and AMR-WB: taken apart and put together, and damaged ones.

#include "codecs/audio/amr_payload.hpp"

#include "tests/support/tones.hpp"

#include <algorithm>

#include <rapidcheck.h>

namespace ferry {
namespace {

using test::bytes;

TEST(AmrFrames, DamagedPayloadsAreRefused) {
  const auto refuses = [](std::vector<std::uint8_t> payload, bool align) {
    return !amr_frames(bytes(payload.data(), payload.size()), {false, align});
  };
  EXPECT_TRUE(refuses({}, true));
  EXPECT_TRUE(refuses({0xf0}, true));
  EXPECT_TRUE(refuses({0xf0, 0x3c}, true)) << "a frame without its bits";
  EXPECT_TRUE(refuses({0xf0, 0xfc}, true)) << "another entry was promised";
  EXPECT_TRUE(refuses({0xf0, 0x4c, 0, 0, 0, 0, 0, 0, 0}, true)) << "a type that is not assigned";
  EXPECT_FALSE(refuses({0xf0, 0x7c}, true)) << "no data";
}

TEST(AmrFrames, EachFrameKeepsItsTypeItsBitsAndItsQuality) {
  // Two entries: a frame of 4.75 kbit/s (95 bits) that is good, and "no data" that is marked bad.
  std::vector<std::uint8_t> payload = {0xf0, 0x84, 0x78};
  for (std::uint8_t i = 1; i <= 12; ++i) payload.push_back(i);
  const auto frames = amr_frames(bytes(payload.data(), payload.size()), {false, true});
  ASSERT_TRUE(frames);
  ASSERT_EQ(frames->count, 2u);
  const AmrFrame& speech = frames->frames[0];
  EXPECT_EQ(speech.type, 0);
  EXPECT_TRUE(speech.good);
  ASSERT_EQ(speech.size, 13) << "a header and 95 bits";
  EXPECT_EQ(speech.storage[0], 0x04) << "type 0, good (RFC 4867 section 5.3)";
  EXPECT_EQ(speech.storage[1], 1);
  EXPECT_EQ(speech.storage[12], 12) << "the last bit is padding and 0 here";
  const AmrFrame& nothing = frames->frames[1];
  EXPECT_EQ(nothing.type, 15);
  EXPECT_FALSE(nothing.good);
  EXPECT_EQ(nothing.size, 1);
}

TEST(AmrFrames, TwelveFramesAreBelievedAndThirteenAreNot) {
  for (const std::size_t count : {12u, 13u}) {
    std::vector<std::uint8_t> payload = {0xf0};
    for (std::size_t i = 1; i < count; ++i) payload.push_back(0xfc);
    payload.push_back(0x7c);
    const auto frames = amr_frames(bytes(payload.data(), payload.size()), {false, true});
    EXPECT_EQ(frames.has_value(), count == 12) << count;
  }
}

/// A frame of a random type, with random bits and what is behind them 0.
AmrFrame some_frame(bool wideband) {
  AmrFrame frame;
  do {
    frame.type = *rc::gen::inRange<std::uint8_t>(0, 16);
  } while (amr_bits(frame.type, wideband) < 0);
  frame.good = *rc::gen::arbitrary<bool>();
  frame.storage[frame.size++] = static_cast<std::uint8_t>(frame.type << 3 | (frame.good ? 4 : 0));
  int left = amr_bits(frame.type, wideband);
  for (; left >= 8; left -= 8) frame.storage[frame.size++] = *rc::gen::arbitrary<std::uint8_t>();
  if (left > 0)
    frame.storage[frame.size++] =
        static_cast<std::uint8_t>(*rc::gen::arbitrary<std::uint8_t>() & ~(0xff >> left));
  return frame;
}

TEST(AmrFrames, WhatIsWrittenIsReadAgain) {
  rc::check([] {
    const AmrLayout layout{*rc::gen::arbitrary<bool>(), *rc::gen::arbitrary<bool>()};
    const auto request = *rc::gen::inRange<std::uint8_t>(0, 16);
    std::vector<AmrFrame> frames(*rc::gen::inRange<std::size_t>(1, AmrFrames::kMost + 1));
    for (AmrFrame& each : frames) each = some_frame(layout.wideband);
    // What lies in the room before is no part of the payload.
    std::vector<std::byte> payload(amr_most_octets(frames.size(), layout.wideband), std::byte{0xa5});
    const std::size_t size = write_amr_payload(frames, request, layout, payload);
    RC_ASSERT(size <= payload.size());
    payload.resize(size);
    const auto read = amr_frames(payload, layout);
    RC_ASSERT(read.has_value());
    RC_ASSERT(read->request == request);
    RC_ASSERT(read->count == frames.size());
    for (std::size_t i = 0; i < frames.size(); ++i) {
      RC_ASSERT(read->frames[i].type == frames[i].type);
      RC_ASSERT(read->frames[i].good == frames[i].good);
      RC_ASSERT(read->frames[i].size == frames[i].size);
      RC_ASSERT(read->frames[i].storage == frames[i].storage);
    }
    // One octet less cannot hold all of it, if the last octet has a bit of a frame.
    if (amr_bits(frames.back().type, layout.wideband) > 0) {
      payload.pop_back();
      RC_ASSERT(!amr_frames(payload, layout));
    }
  });
}

// RFC 4867 section 4.3.5.1: one frame of 12.2 kbit/s in the bandwidth-efficient form is 4 + 6 + 244 bits.
TEST(AmrFrames, SizesOfBothForms) {
  for (const auto& [type, wide, efficient, aligned] :
       {std::tuple{7, false, 32u, 33u}, std::tuple{0, false, 14u, 14u}, std::tuple{8, true, 61u, 62u},
        std::tuple{15, false, 2u, 2u}}) {
    AmrFrame frame;
    frame.type = static_cast<std::uint8_t>(type);
    std::vector<std::byte> room(100);
    EXPECT_EQ(write_amr_payload({&frame, 1}, 15, {wide, false}, room), efficient) << type;
    EXPECT_EQ(write_amr_payload({&frame, 1}, 15, {wide, true}, room), aligned) << type;
  }
}

TEST(AmrFrames, RandomOctetsAreReadOrRefused) {
  rc::check([] {
    const AmrLayout layout{*rc::gen::arbitrary<bool>(), *rc::gen::arbitrary<bool>()};
    const auto octets = *rc::gen::arbitrary<std::vector<std::uint8_t>>();
    const auto read = amr_frames(bytes(octets.data(), octets.size()), layout);
    if (!read) return;
    RC_ASSERT(read->count >= 1 && read->count <= AmrFrames::kMost);
    for (const AmrFrame& frame : std::span(read->frames).first(read->count))
      RC_ASSERT(frame.size == 1 + (amr_bits(frame.type, layout.wideband) + 7) / 8);
  });
}

}  // namespace
}  // namespace ferry
