// SPDX-License-Identifier: Apache-2.0
// One stream on the time of a recording: place, order, loss, comfort noise, events and changes of codec.

#include "recorder/audio/audio_stream.hpp"

#include "codecs/audio/sample_timeline.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kRate = 8000;
/// L16 has no loss of its own: the samples that go in come out.
constexpr std::uint8_t kL16 = 96;
constexpr std::uint8_t kEvents = 101;
constexpr std::uint8_t kComfortNoise = 13;

const std::vector<RecordedFormat>& formats() {
  static const std::vector<RecordedFormat> all = {{PayloadType{kL16}, "L16", kRate, 1, ""},
                                                  {PayloadType{kEvents}, "telephone-event", kRate, 1, ""},
                                                  {PayloadType{kComfortNoise}, "CN", kRate, 1, ""},
                                                  {PayloadType{97}, "L16", kRate, 2, ""},
                                                  {PayloadType{98}, "G999", kRate, 1, ""},
                                                  {PayloadType{100}, "PCMU", 100'000'007, 1, ""}};
  return all;
}

/// A stream and the recording that it is placed in.
class AudioStreamTest : public testing::Test {
 protected:
  explicit AudioStreamTest(LossPolicy loss = LossPolicy::kSilence)
      : stream_(Instant{10s}, kRate, loss, EventPolicy::kTone) {}

  /// Sends 20 ms of `value`; packet n of the stream belongs at n * 20 ms of the recording.
  void send(int number, std::int16_t value, Duration late = 0ms, std::uint8_t type = kL16) {
    std::vector<std::byte> payload(320);
    for (std::size_t i = 0; i < 160; ++i) write_u16(payload, 2 * i, static_cast<std::uint16_t>(value));
    send_octets(number, number * 160, payload, 10s + number * Duration(20ms) + late, type);
  }
  void send_octets(int number, int timestamp, Bytes payload, Duration at, std::uint8_t type) {
    RtpView rtp;
    rtp.sequence = SeqNo{static_cast<std::uint16_t>(65'530 + number)};
    rtp.timestamp = 0xFFFF'F000u + static_cast<std::uint32_t>(timestamp);
    rtp.payload_type = PayloadType{type};
    rtp.payload = payload;
    stream_.on_packet(rtp, Instant{at}, formats());
  }
  void release(Duration since_start) { stream_.release(Instant{10s + since_start}, place_); }
  /// All samples of the recording, one for each 20 ms: the value, or -1 if they differ.
  std::vector<int> finish(int packets) {
    stream_.finish(place_);
    std::vector<std::int16_t> out;
    line_.take(packets * 160, out);
    std::vector<int> values;
    for (std::size_t at = 0; at < out.size(); at += 160) {
      const auto part = std::span(out).subspan(at, 160);
      values.push_back(std::ranges::count(part, part.front()) == 160 ? part.front() : -1);
    }
    return values;
  }

  SampleTimeline line_{1};
  PlaceSamples place_ = [this](const AudioFrame& frame) {
    EXPECT_EQ(frame.rate_hz, kRate);
    EXPECT_EQ(frame.channels, 1u);
    return line_.add(0, frame);
  };
  AudioStream stream_;
};

TEST_F(AudioStreamTest, PacketsLieWhereTheirTimestampsSay) {
  // Jitter, another order, a copy; numbers and timestamps wrap on the way.
  send(0, 100);
  send(2, 300, 5ms);
  send(1, 200, 30ms);
  send(1, 999, 31ms);
  send(3, 400, 90ms);
  EXPECT_EQ(finish(5), (std::vector<int>{100, 200, 300, 400, 0}));
  EXPECT_TRUE(stream_.report().gaps.empty());
  EXPECT_EQ(stream_.report().anchors, 1u);
  ASSERT_EQ(stream_.report().codecs.size(), 1u);
  EXPECT_EQ(stream_.report().codecs[0].name, "L16/8000");
}

TEST_F(AudioStreamTest, APacketWaitsBeforeItIsPlaced) {
  send(0, 100);
  release(AudioStream::kHold - 1ms);
  EXPECT_EQ(line_.filled(), 0);
  release(AudioStream::kHold);
  EXPECT_EQ(line_.filled(), 160);
  send(1, 200, AudioStream::kHold);
  send(0, 999, AudioStream::kHold);
  EXPECT_EQ(stream_.report().late_packets, 1u) << "it was placed already";
}

TEST_F(AudioStreamTest, LossIsSilenceAndIsReported) {
  send(0, 100);
  send(3, 400);
  EXPECT_EQ(finish(4), (std::vector<int>{100, 0, 0, 400}));
  ASSERT_EQ(stream_.report().gaps.size(), 1u);
  EXPECT_EQ(stream_.report().gaps[0].packets, 2u);
  EXPECT_EQ(stream_.report().gaps[0].at, 60ms);
}

TEST_F(AudioStreamTest, WhatIsMissingFromAPauseIsNoLoss) {
  send(0, 100);
  release(1s);
  stream_.excuse_gap();
  send(60, 400);
  static_cast<void>(finish(61));
  EXPECT_TRUE(stream_.report().gaps.empty());
}

TEST_F(AudioStreamTest, ComfortNoiseIsSilence) {
  send(0, 100);
  const std::byte level{70};
  send_octets(1, 160, {&level, 1}, 10s + 20ms, kComfortNoise);
  send(5, 400);
  EXPECT_EQ(finish(6), (std::vector<int>{100, 0, 0, 0, 0, 400}));
}

TEST_F(AudioStreamTest, ChannelsAreAveraged) {
  std::vector<std::byte> payload(640);
  for (std::size_t i = 0; i < 160; ++i) {
    write_u16(payload, 4 * i, 1000);
    write_u16(payload, 4 * i + 2, static_cast<std::uint16_t>(-400));
  }
  send_octets(0, 0, payload, 10s, 97);
  EXPECT_EQ(finish(1), (std::vector<int>{300}));
}

TEST_F(AudioStreamTest, AChangeOfCodecIsReportedAndWhatNobodyDecodesIsNamedOnce) {
  send(0, 100);
  send(1, 200, 0ms, 98);
  send(2, 200, 0ms, 98);
  send(3, 300, 0ms, 99);
  send(4, 300, 0ms, 99);
  send(5, 400);
  const auto out = finish(6);
  EXPECT_EQ(out.front(), 100);
  EXPECT_EQ(out.back(), 400);
  EXPECT_EQ(stream_.report().problems,
            (std::vector<std::string>{"no decoder for G999", "payload type 99 was never described"}));
  std::vector<std::string> names;
  for (const CodecChange& each : stream_.report().codecs) names.push_back(each.name);
  EXPECT_EQ(names, (std::vector<std::string>{"L16/8000", "G999/8000", "L16/8000"}));
}

// A resampler of such a rate finds no memory for its filter, and a stream that throws stops all of its
// recording.
TEST_F(AudioStreamTest, ARateThatNobodyHasIsNamedAndThrowsNothing) {
  send(0, 100);
  send(1, 200, 0ms, 100);
  EXPECT_NO_THROW(stream_.finish(place_));
  EXPECT_EQ(stream_.report().problems, (std::vector<std::string>{"PCMU at 100000007 Hz is not decoded"}));
}

TEST_F(AudioStreamTest, DamagedPacketsAreCountedAndKeepTheTime) {
  send(0, 100);
  const std::vector<std::byte> odd(319);
  send_octets(1, 160, odd, 10s + 20ms, kL16);
  send(2, 300);
  EXPECT_EQ(finish(3), (std::vector<int>{100, 0, 300}));
  EXPECT_EQ(stream_.report().damaged_packets, 1u);
}

TEST_F(AudioStreamTest, AnEventSoundsOnceHoweverOftenItsPacketsCome) {
  // The digit 5 for 100 ms, in updates of 20 ms; the last one comes three times (RFC 4733 section 2.5.1.4).
  const auto update = [&](int number, int duration, bool end) {
    const std::byte payload[] = {std::byte{5}, end ? std::byte{0x8a} : std::byte{0x0a},
                                 std::byte(duration >> 8), std::byte(duration & 0xff)};
    send_octets(number, 0, payload, 10s + number * Duration(20ms), kEvents);
  };
  for (int i = 0; i < 5; ++i) update(i, 160 * (i + 1), false);
  for (int i = 5; i < 8; ++i) update(i, 800, true);
  stream_.finish(place_);
  EXPECT_EQ(line_.filled(), 800);
  std::vector<std::int16_t> out;
  line_.take(800, out);
  // Two tones of the same level: their sum at the start, 0, and a peak of twice the level of -10 dBm0.
  EXPECT_EQ(out[0], 0);
  EXPECT_NEAR(*std::ranges::max_element(out), 10'119, 300);
}

class ConcealedStreamTest : public AudioStreamTest {
 protected:
  ConcealedStreamTest() : AudioStreamTest(LossPolicy::kConceal) {}
};

TEST_F(ConcealedStreamTest, TheDecoderFillsAGapToTheSample) {
  // A-law: the last period goes on, fading. 0xd5 is near 0 and 0x2a is loud.
  std::vector<std::byte> loud(160);
  for (std::size_t i = 0; i < loud.size(); ++i) loud[i] = i / 20 % 2 == 0 ? std::byte{0xaa} : std::byte{0x2a};
  for (const int number : {0, 1, 2, 4, 5})
    send_octets(number, number * 160, loud, 10s + number * Duration(20ms), 8);
  stream_.finish(place_);
  ASSERT_EQ(line_.filled(), 6 * 160);
  std::vector<std::int16_t> out;
  line_.take(6 * 160, out);
  const auto energy = [&](int packet) {
    double sum = 0;
    for (const std::int16_t sample : std::span(out).subspan(static_cast<std::size_t>(packet) * 160, 160))
      sum += static_cast<double>(sample) * sample;
    return sum;
  };
  EXPECT_GT(energy(3), energy(2) / 4) << "not silence";
  EXPECT_LT(energy(3), energy(2)) << "but fading";
  EXPECT_EQ(energy(4), energy(2)) << "and what follows lies where it belongs";
}

}  // namespace
}  // namespace ferry
