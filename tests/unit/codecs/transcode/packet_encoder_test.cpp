// SPDX-License-Identifier: Apache-2.0
#include "codecs/transcode/packet_encoder.hpp"

#include "tests/support/speech.hpp"
#include "tests/support/transcode.hpp"

#include <gtest/gtest.h>

namespace ferry::packet_encoder_test {
namespace {

const AudioFormat kPcma{"PCMA", 8000, 1, ""};

class PacketEncoderTest : public ::testing::Test, protected MadePackets {
 protected:
  void take(const MadePacket& packet) noexcept override {
    got.push_back(packet);
    octets.push_back(packet.payload.size());
  }
  PacketEncoder encoder;
  std::vector<MadePacket> got;
  std::vector<std::size_t> octets;
};

TEST_F(PacketEncoderTest, PacketsLieAsFarApartAsTheirPositions) {
  ASSERT_TRUE(encoder.configure(test::conversion(kPcma, kPcma), 8000));
  EXPECT_EQ(encoder.packet_samples(), 160u);
  const auto samples = test::speech(8000, 0.02);
  encoder.go_on_after(77);
  ASSERT_TRUE(encoder.encode(samples, 1000, false, *this));
  ASSERT_TRUE(encoder.encode(samples, 1160, false, *this));
  encoder.note_other(1200);
  ASSERT_TRUE(encoder.encode(samples, 1320, false, *this));
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[0].units, 77u);
  EXPECT_TRUE(got[0].marker);
  EXPECT_EQ(got[1].units, 160u);
  EXPECT_FALSE(got[1].marker);
  EXPECT_EQ(got[2].units, 120u) << "behind what somebody else has sent";
  EXPECT_EQ(octets[0], 160u);
}

TEST_F(PacketEncoderTest, ThePacketTimeIsOneThatTheCodecHas) {
  AudioConversion gsm = test::conversion(kPcma, {"GSM", 8000, 1, ""}, 30);
  ASSERT_TRUE(encoder.configure(gsm, 8000));
  EXPECT_EQ(encoder.packet_samples() % 160, 0u);
  AudioConversion nobody = test::conversion(kPcma, {"nobody", 8000, 1, ""});
  EXPECT_FALSE(encoder.configure(nobody, 8000));
  EXPECT_FALSE(encoder.is_ready());
}

TEST_F(PacketEncoderTest, SilenceBecomesComfortNoiseIfTheReceiverHasIt) {
  AudioConversion terms = test::conversion(kPcma, kPcma);
  terms.comfort_noise = OtherType{PayloadType{13}, 8000};
  ASSERT_TRUE(encoder.configure(terms, 8000));
  const auto loud = test::speech(8000, 0.02);
  const std::vector<std::int16_t> quiet(160, 3);
  ASSERT_TRUE(encoder.encode(loud, 0, false, *this));
  ASSERT_TRUE(encoder.encode(quiet, 160, true, *this));
  EXPECT_EQ(got.back().type, PayloadType{13});
  ASSERT_TRUE(encoder.encode(loud, 320, false, *this));
  EXPECT_EQ(got.back().type, PayloadType{97});
  EXPECT_TRUE(got.back().marker) << "speech begins again (RFC 3389 §4)";
}

TEST_F(PacketEncoderTest, ALawHasTwoChannelsOnlyWhereTheCodecHas) {
  ASSERT_TRUE(encoder.configure(test::conversion(kPcma, {"L16", 8000, 2, ""}), 8000));
  ASSERT_TRUE(encoder.encode(test::speech(8000, 0.02), 0, false, *this));
  EXPECT_EQ(octets[0], 160u * 2 * 2);
}

}  // namespace
}  // namespace ferry::packet_encoder_test
