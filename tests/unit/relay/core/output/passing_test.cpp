// SPDX-License-Identifier: Apache-2.0
// Packets that need nothing but other numbers: `PassedStream`, and the outputs that use it.
#include "relay/core/output/passing.hpp"

#include "relay/core/output/output.hpp"

#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;

TEST(PassedStream, APacketFromBeforeTheFirstOneHasNoPlace) {
  PassedStream passing(Ssrc{1}, SeqNo{65'530}, {Ssrc{1}, 5, 0});
  EXPECT_TRUE(passing.take(SeqNo{65'530}));
  EXPECT_FALSE(passing.take(SeqNo{65'529}));
  EXPECT_TRUE(passing.take(SeqNo{2})) << "the numbers wrap around";
  EXPECT_TRUE(passing.take(SeqNo{65'531})) << "late, and behind the first one";
  EXPECT_FALSE(passing.is_settled());
}

TEST(PassedStream, ItIsSettledOnceNothingFromBeforeCanCome) {
  PassedStream passing(Ssrc{1}, SeqNo{1000}, {});
  for (std::uint16_t n = 1000; n < 1100; ++n) {
    ASSERT_TRUE(passing.take(SeqNo{n}));
    ASSERT_FALSE(passing.is_settled()) << n;
  }
  ASSERT_TRUE(passing.take(SeqNo{1100}));
  EXPECT_TRUE(passing.is_settled());
  // A packet so far behind the newest one needs confirmation now, so it does not come here.
  for (std::uint32_t n = 1101; n < 100'000; ++n)
    ASSERT_TRUE(passing.take(SeqNo{static_cast<std::uint16_t>(n)}));
  passing.unsettle();
  for (int n = 0; n < PassedStream::kMostBehind; ++n) {
    ASSERT_FALSE(passing.is_settled());
    ASSERT_TRUE(passing.take(SeqNo{static_cast<std::uint16_t>(n)}));
  }
  EXPECT_TRUE(passing.is_settled());
}

/// A receiver's output, a stream that has left as it came, and what the party gets.
class PassingOutput : public ::testing::Test, private OutputSender {
 protected:
  struct Got {
    Ssrc ssrc;
    SeqNo sequence;
    std::uint32_t timestamp = 0;
    bool marker = false;
    bool operator==(const Got&) const = default;
  };
  PassingOutput() { output.take_over(Ssrc{0xa}, SeqNo{99}, 15'840, now); }

  /// A digit of 60 ms.
  void press() {
    stop();
    ASSERT_TRUE(output.send_digit({.event = 5, .length = 60ms, .type = PayloadType{101}}, now));
    for (int n = 0; n < 4; ++n) {
      now += 20ms;
      output.drive(now, true, *this);
    }
    ASSERT_FALSE(output.hears_nobody());
  }
  void stop() {
    if (got.empty()) return;
    output.stop_passing(got.back().ssrc, got.back().sequence, got.back().timestamp, last_at);
  }
  DropReason hear(std::uint16_t sequence, std::uint64_t from = 1, std::uint32_t ssrc = 0xa,
                  bool restarts = false) {
    RtpView rtp;
    rtp.ssrc = Ssrc{ssrc};
    rtp.sequence = SeqNo{sequence};
    rtp.timestamp = std::uint32_t{sequence} * 160;
    rtp.payload_type = PayloadType{8};
    const SourcePacket packet{
        .from = from, .rtp = rtp, .conversion = kNone, .clock_rate_hz = 8000, .restarts = restarts};
    EXPECT_TRUE(output.can_pass(packet));
    if (output.is_passing() && !output.goes_on_passing(packet)) {
      if (output.keeps_floor(packet, last_at, now)) return DropReason::kOtherSpeaks;
      stop();
    }
    const Passage passage = output.pass(packet, now, *this);
    if (passage.refusal == DropReason::kNone) {
      got.push_back({passage.shift.ssrc, passage.shift.of(rtp.sequence), passage.shift.of(rtp.timestamp),
                     passage.marker});
      last_at = now;
    }
    return passage.refusal;
  }
  void speak(std::uint16_t from, std::uint16_t to) {
    for (std::uint16_t n = from; n < to; ++n, now += 20ms) ASSERT_EQ(hear(n), DropReason::kNone) << n;
  }
  bool send(const OutputPacket& packet) noexcept override {
    got.push_back({packet.at.ssrc, packet.at.sequence, packet.at.timestamp, packet.at.marker});
    last_at = now;
    return true;
  }
  bool send_datagram(Bytes) noexcept override { return false; }

  const std::shared_ptr<const AudioConversion> kNone;
  Output output;
  Instant now{1h};
  /// When the last packet left.
  Instant last_at{1h};
  std::vector<Got> got;
};

TEST_F(PassingOutput, SSR2_WhatComesBehindADigitKeepsItsDistances) {
  press();
  const std::size_t digit = got.size();
  ASSERT_EQ(hear(104), DropReason::kNone);
  ASSERT_EQ(hear(107), DropReason::kNone) << "two are lost";
  ASSERT_EQ(hear(106), DropReason::kNone) << "one comes late";
  EXPECT_EQ(hear(103), DropReason::kTooLate) << "from before the first one";
  ASSERT_EQ(got.size(), digit + 3);
  const Got& first = got[digit];
  EXPECT_EQ(first.ssrc, Ssrc{0xa});
  EXPECT_EQ(distance(first.sequence, got[digit - 1].sequence), 1);
  EXPECT_TRUE(first.marker);
  EXPECT_EQ(got[digit + 1].sequence.value, first.sequence.value + 3);
  EXPECT_EQ(got[digit + 1].timestamp, first.timestamp + 480);
  EXPECT_FALSE(got[digit + 1].marker);
  EXPECT_EQ(got[digit + 2].sequence.value, first.sequence.value + 2);
}

TEST_F(PassingOutput, SSR2_AnotherDigitGoesOnBehindWhatWasPassed) {
  press();
  speak(104, 300);
  EXPECT_TRUE(output.settled_shift(1, Ssrc{0xa}));
  EXPECT_FALSE(output.settled_shift(2, Ssrc{0xa})) << "another source";
  EXPECT_FALSE(output.settled_shift(1, Ssrc{0xb})) << "another stream";
  const Got last = got.back();
  press();
  EXPECT_FALSE(output.settled_shift(1, Ssrc{0xa}));
  bool is_behind = false;
  for (std::size_t i = 1; i < got.size(); ++i) {
    ASSERT_EQ(distance(got[i].sequence, got[i - 1].sequence), 1);
    is_behind = is_behind || got[i - 1] == last;
  }
  EXPECT_TRUE(is_behind);
}

TEST_F(PassingOutput, SSR2_AnotherSourceWaitsUntilThisOneIsSilent) {
  press();
  speak(104, 300);
  ASSERT_TRUE(output.settled_shift(1, Ssrc{0xa}));
  EXPECT_EQ(hear(5000, 2, 0xb), DropReason::kOtherSpeaks);
  EXPECT_FALSE(output.settled_shift(1, Ssrc{0xa})) << "user space has to see who speaks";
  speak(300, 301);
  const Got last = got.back();
  now += Output::kFloor;
  ASSERT_EQ(hear(5001, 2, 0xb), DropReason::kNone);
  EXPECT_EQ(got.back().ssrc, Ssrc{0xa}) << "one stream, whoever speaks";
  EXPECT_EQ(distance(got.back().sequence, last.sequence), 1);
  EXPECT_EQ(hear(301), DropReason::kOtherSpeaks);
}

TEST_F(PassingOutput, SSR4_ASenderThatBeginsAnewGoesOnWithoutAJump) {
  press();
  speak(104, 300);
  const Got last = got.back();
  ASSERT_EQ(hear(40'000, 1, 0xa, true), DropReason::kNone);
  EXPECT_EQ(distance(got.back().sequence, last.sequence), 1);
  EXPECT_FALSE(output.settled_shift(1, Ssrc{0xa})) << "packets of the old numbers may still come";
  EXPECT_EQ(hear(39'999), DropReason::kTooLate);
  // Another SSRC of the same source is no jump either.
  ASSERT_EQ(hear(7, 1, 0xc), DropReason::kNone);
  EXPECT_EQ(got.back().ssrc, Ssrc{0xa});
  EXPECT_EQ(distance(got.back().sequence, last.sequence), 2);
}

TEST_F(PassingOutput, AStageOrAnotherPacketTimeEndsIt) {
  press();
  RtpView rtp;
  rtp.ssrc = Ssrc{0xa};
  SourcePacket packet{.from = 1, .rtp = rtp, .conversion = kNone};
  EXPECT_TRUE(output.can_pass(packet));
  packet.ptime_ms = 40;
  EXPECT_FALSE(output.can_pass(packet));
  packet.ptime_ms = 0;
  const auto converted = std::make_shared<const AudioConversion>();
  EXPECT_FALSE(output.can_pass({.from = 1, .rtp = rtp, .conversion = converted}));
  ASSERT_TRUE(output.send_digit({.event = 5, .length = 60ms, .type = PayloadType{101}}, now));
  EXPECT_FALSE(output.can_pass(packet)) << "a digit is heard";
}

}  // namespace
}  // namespace ferry
