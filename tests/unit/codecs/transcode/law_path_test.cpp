// SPDX-License-Identifier: Apache-2.0
#include "codecs/transcode/law_path.hpp"

#include "tests/support/transcode.hpp"

#include <gtest/gtest.h>

namespace ferry::law_path_test {
namespace {

using std::chrono::milliseconds;

const AudioFormat kPcmu{"PCMU", 8000, 1, ""};
const AudioFormat kPcma{"PCMA", 8000, 1, ""};

TEST(TranslatesOnly, OnlyWhatNeedsNoSamples) {
  EXPECT_TRUE(translates_only(test::conversion(kPcmu, kPcma)));
  EXPECT_FALSE(translates_only(test::conversion({"G722", 8000, 1, ""}, kPcma)));
  EXPECT_FALSE(translates_only(test::conversion(kPcmu, {"opus", 48'000, 2, ""})));
  AudioConversion detecting = test::conversion(kPcmu, kPcma);
  detecting.detects_tones = true;
  EXPECT_FALSE(translates_only(detecting));
  AudioConversion guarded = test::conversion(kPcmu, kPcmu);
  guarded.guard = std::make_shared<const DigitGuard>();
  EXPECT_FALSE(translates_only(guarded)) << "a guard looks into the sound";
  AudioConversion with_events = test::conversion(kPcmu, kPcma);
  with_events.inputs.push_back(
      {PayloadType{101}, AudioInput::Kind::kEvents, {"telephone-event", 8000, 1, ""}});
  EXPECT_FALSE(translates_only(with_events)) << "the receiver has no events";
  with_events.events = OtherType{PayloadType{96}, 8000};
  EXPECT_TRUE(translates_only(with_events));
}

class LawPathTest : public ::testing::Test, protected MadePackets {
 protected:
  LawPathTest() {
    path.configure(std::make_shared<const AudioConversion>(test::conversion(kPcmu, kPcma)));
    path.restart();
    terms = std::make_shared<const AudioConversion>(test::conversion(kPcmu, kPcma));
    path.configure(terms);
  }
  void take(const MadePacket& packet) noexcept override {
    line.note(packet, now);
    got.push_back(packet);
    got.back().payload = {};
  }
  void hear(std::uint16_t sequence, std::size_t octets = 160) {
    const std::vector<std::byte> payload(octets, std::byte{0xff});
    RtpView rtp;
    rtp.ssrc = Ssrc{1};
    rtp.sequence = SeqNo{sequence};
    rtp.timestamp = sequence * 160u;
    rtp.payload_type = PayloadType{96};
    rtp.payload = payload;
    ASSERT_TRUE(path.takes(rtp, terms->inputs[0]));
    path.hear(rtp, terms->inputs[0], now, *this);
  }
  TranscodeFigures figures;
  LineClock line;
  LawPath path{figures, line};
  std::shared_ptr<const AudioConversion> terms;
  Instant now{std::chrono::hours(1)};
  std::vector<MadePacket> got;
};

TEST_F(LawPathTest, PacketsLeaveAtOnceAndLossStaysLoss) {
  hear(10);
  now += milliseconds(20);
  hear(11);
  now += milliseconds(60);
  hear(14);
  EXPECT_EQ(got.size(), 2u) << "what overtook others waits a moment";
  ASSERT_TRUE(path.due());
  now = *path.due();
  path.run(now, *this);
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[1].units, 160u);
  EXPECT_EQ(got[2].lost, 2);
  EXPECT_EQ(got[2].units, 480u);
  EXPECT_TRUE(got[0].marker);
  EXPECT_FALSE(got[2].marker) << "a loss is no pause";
}

TEST_F(LawPathTest, APacketThatOvertookOthersIsPutBehindThem) {
  hear(10);
  hear(12);
  EXPECT_EQ(got.size(), 1u);
  hear(11);
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[1].lost, 0);
  EXPECT_EQ(got[2].lost, 0);
  hear(13);
  EXPECT_EQ(got.size(), 4u);
}

TEST_F(LawPathTest, AnotherPacketTimeIsNotItsBusiness) {
  const std::vector<std::byte> payload(80);
  RtpView rtp;
  rtp.payload = payload;
  EXPECT_FALSE(path.takes(rtp, terms->inputs[0]));
  rtp.payload = {};
  EXPECT_FALSE(path.takes(rtp, terms->inputs[0]));
}

}  // namespace
}  // namespace ferry::law_path_test
