// SPDX-License-Identifier: Apache-2.0
// Which stage a receiver has, by what it makes.
#include "codecs/stage/receiver_stage.hpp"

#include "tests/support/packets.hpp"

#include <array>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::receiver_stage_test {
namespace {

using namespace std::chrono_literals;
using Conversion = std::shared_ptr<const AudioConversion>;

const AudioFormat kPcma{"PCMA", 8000, 1, ""};
const AudioFormat kPcmu{"PCMU", 8000, 1, ""};

/// Counts what stages make.
struct Made final : MadePackets {
  void take(const MadePacket& packet) noexcept override { types.push_back(packet.type.value); }
  void take_datagram(Bytes) noexcept override { ++datagrams; }
  std::vector<unsigned> types;
  std::size_t datagrams = 0;
};

Conversion laws() {
  AudioConversion made;
  made.inputs = {{PayloadType{0}, AudioInput::Kind::kSpeech, kPcmu}};
  made.type = PayloadType{8};
  made.format = kPcma;
  return std::make_shared<const AudioConversion>(made);
}
Conversion fax(FaxSide::Role role, std::uint64_t gateway = 1) {
  AudioConversion made;
  made.inputs = {{PayloadType{0}, AudioInput::Kind::kSpeech, kPcmu}};
  made.type = PayloadType{0};
  made.format = kPcmu;
  FaxSide side;
  side.role = role;
  side.gateway = gateway;
  made.fax = std::make_shared<const FaxSide>(side);
  return std::make_shared<const AudioConversion>(made);
}

struct ReceiverStageTest : ::testing::Test {
  /// A packet of 20 ms of PCMU, and the time that it takes.
  void speak(OutputStage& stage, std::uint64_t from, const Conversion& conversion) {
    RtpView rtp;
    rtp.ssrc = Ssrc{static_cast<std::uint32_t>(from)};
    rtp.sequence = SeqNo{sequence++};
    rtp.timestamp = sequence * 160u;
    rtp.payload_type = PayloadType{0};
    static const std::vector<std::byte> kSilence(160, std::byte{0xff});
    rtp.payload = kSilence;
    stage.hear(from, conversion, rtp, now, made);
    pass(stage);
  }
  void pass(OutputStage& stage) {
    now += 20ms;
    while (stage.due() && *stage.due() <= now) stage.drive(now, made);
  }
  void datagram(OutputStage& stage, const Conversion& conversion) {
    static constexpr std::array<std::byte, 6> kUdptl = {std::byte{0}, std::byte{0}, std::byte{1},
                                                        std::byte{0}, std::byte{0}, std::byte{0}};
    stage.hear_datagram(1, conversion, kUdptl, now, made);
    pass(stage);
  }
  StageFactory factory;
  Instant now{1h};
  std::uint16_t sequence = 1;
  Made made;
};

TEST_F(ReceiverStageTest, TheConversionOfThePacketChoosesTheStage) {
  const auto stage = factory({});
  EXPECT_FALSE(stage->due());
  for (int i = 0; i < 5; ++i) speak(*stage, 1, laws());
  EXPECT_EQ(made.types, std::vector<unsigned>(5, 8)) << "transcoding";
  made = {};
  for (int i = 0; i < 5; ++i) datagram(*stage, fax(FaxSide::Role::kToSound));
  EXPECT_GE(made.types.size(), 5u) << "sound of a modem each 20 ms";
  EXPECT_EQ(made.types.front(), 0u);
  made = {};
  for (int i = 0; i < 5; ++i) pass(*stage);
  EXPECT_EQ(made.types.size(), 5u) << "also if nothing comes";
  made = {};
  for (int i = 0; i < 5; ++i) speak(*stage, 1, laws());
  EXPECT_EQ(made.types, std::vector<unsigned>(5, 8)) << "and back";
}

TEST_F(ReceiverStageTest, OtherSourcesAreNotHeardBesideAFax) {
  const auto stage = factory({});
  const Conversion side = fax(FaxSide::Role::kToSound);
  datagram(*stage, side);
  made = {};
  speak(*stage, 2, laws());
  EXPECT_EQ(made.types, std::vector<unsigned>{0}) << "the modem goes on";
}

}  // namespace
}  // namespace ferry::test::receiver_stage_test
