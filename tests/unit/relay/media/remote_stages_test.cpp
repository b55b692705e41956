// SPDX-License-Identifier: Apache-2.0
// A worker and its media threads, one turn at a time: where a stage is, what gets there, what comes back.

#include "relay/media/remote_stages.hpp"

#include "relay/media/media_threads.hpp"
#include "tests/support/echo_stage.hpp"

#include <array>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::remote_stages_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kBegin{10s};

std::shared_ptr<const AudioConversion> to(std::string encoding, std::uint8_t type) {
  AudioConversion made;
  made.inputs = {{PayloadType{8}, AudioInput::Kind::kSpeech, {"PCMA", 8000, 1, ""}}};
  made.type = PayloadType{type};
  made.format = {std::move(encoding), 8000, 1, ""};
  return std::make_shared<const AudioConversion>(made);
}

struct Came {
  std::uint64_t serial;
  unsigned type;
  std::size_t octets;
};

/// Takes what comes back to the worker, and what is made in it.
class Desk final : public MadeElsewhere, public MadePackets {
 public:
  void take(const StageOwner& owner, const MadePacket& packet) noexcept override {
    came.push_back({owner.serial, packet.type.value, packet.payload.size()});
  }
  void take_datagram(const StageOwner& owner, Bytes datagram) noexcept override {
    datagrams.emplace_back(owner.serial, datagram.size());
  }
  void lose(DropReason reason, std::size_t packets) noexcept override { lost[reason] += packets; }
  void take(const MadePacket& packet) noexcept override { here.push_back(packet.type.value); }
  void take_datagram(Bytes datagram) noexcept override { datagrams.emplace_back(0, datagram.size()); }
  std::vector<Came> came;
  /// Serial of the stage (0 = made in the worker) and octets.
  std::vector<std::pair<std::uint64_t, std::size_t>> datagrams;
  std::vector<unsigned> here;
  std::map<DropReason, std::size_t> lost;
};

class RemoteStagesTest : public testing::Test {
 protected:
  explicit RemoteStagesTest(std::size_t count = 2)
      : threads(
            count, 2, [this](const StageOwner& owner) { return stages.make(owner); }, [this] { return now; }),
        maker(threads.maker_for(1, [this] { ++wakes; })) {}

  std::unique_ptr<OutputStage> make(std::uint64_t serial, std::uint32_t via = 1, std::uint32_t from = 0) {
    return maker->make({serial, {via, 0}, MediaId{via}, {from, 0}});
  }
  void hear(OutputStage& stage, const std::shared_ptr<const AudioConversion>& conversion,
            std::uint64_t from = 1, std::size_t octets = 160) {
    RtpView rtp;
    rtp.payload_type = PayloadType{8};
    const std::vector<std::byte> payload(octets);
    rtp.payload = payload;
    if (const DropReason refusal = stage.refusal(); refusal != DropReason::kNone)
      ++refused;
    else
      stage.hear(from, conversion, rtp, now, desk);
  }
  void hear_datagram(OutputStage& stage, const std::shared_ptr<const AudioConversion>& conversion,
                     std::size_t octets) {
    const std::vector<std::byte> datagram(octets);
    stage.hear_datagram(1, conversion, datagram, now, desk);
  }
  void settle() {
    threads.turn();
    maker->collect(desk);
  }

  Instant now = kBegin;
  unsigned wakes = 0;
  unsigned refused = 0;
  test::EchoStages stages;
  Desk desk;
  MediaThreads threads;
  std::unique_ptr<StageMaker> maker;
  const std::shared_ptr<const AudioConversion> heavy = to("G722", 9);
  const std::shared_ptr<const AudioConversion> light = to("PCMU", 0);
};

TEST_F(RemoteStagesTest, DatagramsGoThereAndComeBack) {
  const auto fax = [] {
    AudioConversion made = *to("PCMA", 8);
    made.fax = std::make_shared<const FaxSide>();
    return std::make_shared<const AudioConversion>(made);
  }();
  const auto stage = make(7);
  hear_datagram(*stage, fax, 33);
  hear(*stage, fax);
  hear_datagram(*stage, fax, Lanes::kLongest + 1);
  EXPECT_TRUE(desk.datagrams.empty()) << "a modem is no light work";
  settle();
  EXPECT_EQ(desk.datagrams, (std::vector<std::pair<std::uint64_t, std::size_t>>{{7, 33}}));
  EXPECT_EQ(desk.came.size(), 1u);
  EXPECT_EQ(desk.lost[DropReason::kMediaOverload], 1u) << "too long for a lane";
}

TEST_F(RemoteStagesTest, ADatagramOfLightWorkIsHeardInTheWorker) {
  const auto stage = make(7);
  hear_datagram(*stage, to("PCMA", 8), 20);
  EXPECT_EQ(desk.datagrams, (std::vector<std::pair<std::uint64_t, std::size_t>>{{0, 20}}));
}

TEST_F(RemoteStagesTest, WhatIsHeardOnAThreadComesBackToTheWorker) {
  auto stage = make(7);
  EXPECT_EQ(stages.alive, 0u) << "made on the thread, when there is something to hear";
  hear(*stage, heavy);
  hear(*stage, heavy);
  EXPECT_FALSE(stage->due());
  EXPECT_FALSE(maker->has_made());
  threads.turn();
  EXPECT_TRUE(maker->has_made());
  EXPECT_EQ(wakes, 1u) << "one call for a batch";
  EXPECT_EQ(maker->collect(desk), 2u);
  EXPECT_FALSE(maker->has_made());
  ASSERT_EQ(desk.came.size(), 2u);
  EXPECT_EQ(desk.came[1].serial, 7u);
  EXPECT_EQ(desk.came[1].type, 9u);
  EXPECT_EQ(desk.came[1].octets, 160u);
  stage.reset();
  EXPECT_EQ(stages.alive, 1u) << "it ends on its thread";
  threads.turn();
  EXPECT_EQ(stages.alive, 0u);
}

TEST_F(RemoteStagesTest, LightWorkStaysInTheWorkerUntilSomethingHeavyComes) {
  auto stage = make(7);
  hear(*stage, light);
  hear(*stage, light);
  EXPECT_EQ(desk.here, (std::vector<unsigned>{0, 0}));
  EXPECT_EQ(threads.turn(), 0u);
  hear(*stage, heavy, 2);
  settle();
  EXPECT_EQ(desk.came.size(), 1u);
  EXPECT_EQ(stages.alive, 1u) << "the one in the worker is gone";
  hear(*stage, light);
  settle();
  EXPECT_EQ(desk.here.size(), 2u);
  ASSERT_EQ(desk.came.size(), 2u) << "it stays on its thread";
  EXPECT_EQ(desk.came[1].type, 0u);
}

TEST_F(RemoteStagesTest, AStageInTheWorkerIsDrivenThere) {
  stages.delay = 30ms;
  auto stage = make(7);
  hear(*stage, light);
  EXPECT_EQ(stage->due(), kBegin + 30ms);
  stage->drive(kBegin + 30ms, desk);
  EXPECT_EQ(desk.here.size(), 1u);
}

TEST_F(RemoteStagesTest, AThreadDrivesWhatIsDue) {
  stages.delay = 30ms;
  auto stage = make(7);
  hear(*stage, heavy);
  settle();
  EXPECT_TRUE(desk.came.empty());
  now += 30ms;
  settle();
  EXPECT_EQ(desk.came.size(), 1u);
}

TEST_F(RemoteStagesTest, AnotherConversionHoldsFromItsFirstPacketOn) {
  auto stage = make(7);
  hear(*stage, heavy);
  hear(*stage, to("G722", 20));
  hear(*stage, heavy, 2);
  settle();
  ASSERT_EQ(desk.came.size(), 3u);
  EXPECT_EQ(desk.came[0].type, 9u);
  EXPECT_EQ(desk.came[1].type, 20u);
  EXPECT_EQ(desk.came[2].type, 9u);
}

TEST_F(RemoteStagesTest, TheStagesOfACallShareAThread) {
  std::vector<std::unique_ptr<OutputStage>> all;
  for (std::uint32_t call = 0; call < 6; ++call) {
    for (const std::uint32_t side : {0u, 1u}) {
      all.push_back(make(2 * call + side + 1, 10 * call + side, 10 * call + 1 - side));
      hear(*all.back(), heavy);
    }
    EXPECT_EQ(threads.thread(0).stages() % 2, 0u) << "both sides of each call";
  }
  EXPECT_EQ(threads.thread(0).stages(), 6u) << "and as many calls on each thread";
  EXPECT_EQ(threads.thread(1).stages(), 6u);
  all.clear();
  EXPECT_EQ(threads.thread(0).stages() + threads.thread(1).stages(), 0u);
}

TEST_F(RemoteStagesTest, AFullLaneIsRefusedByNameAndNothingElseHappens) {
  auto stage = make(7);
  std::size_t taken = 0;
  for (; refused == 0; ++taken) hear(*stage, heavy, taken % 16);
  EXPECT_EQ(stage->refusal(), DropReason::kMediaOverload);
  EXPECT_GT(taken, 500u);
  settle();
  EXPECT_EQ(stage->refusal(), DropReason::kNone);
  EXPECT_EQ(desk.came.size() + desk.lost[DropReason::kMediaOverload], taken - 1);
}

TEST_F(RemoteStagesTest, AFloodOfOneSourceLeavesRoomForTheOthers) {
  auto flooded = make(7);
  auto other = make(8, 2, 3);
  for (int n = 0; n < 10'000; ++n) hear(*flooded, heavy, 1);
  EXPECT_EQ(refused, 0u) << "the lane is not full";
  for (int n = 0; n < 50; ++n) {
    hear(*flooded, heavy, 2);
    hear(*other, heavy, 1);
  }
  settle();
  std::size_t of_others = 0;
  for (const Came& each : desk.came) of_others += each.serial == 8 ? 1 : 0;
  EXPECT_EQ(of_others, 50u);
  EXPECT_EQ(desk.came.size() + desk.lost[DropReason::kMediaOverload], 10'100u)
      << "none is lost without a name";
  EXPECT_GT(desk.came.size(), 200u);
  // What was taken gives the share back.
  const std::size_t before = desk.came.size();
  for (int n = 0; n < 100; ++n) hear(*flooded, heavy, 1);
  settle();
  EXPECT_EQ(desk.came.size(), before + 100);
}

TEST_F(RemoteStagesTest, AShareIsGivenBackByWhateverBecomesOfItsPackets) {
  stages.is_full = true;  // no stage can be made on the thread
  auto stage = make(7);
  for (int round = 0; round < 10; ++round) {
    for (int n = 0; n < 100; ++n) hear(*stage, heavy);
    settle();
  }
  EXPECT_EQ(desk.lost[DropReason::kStageGone], 1000u);
  EXPECT_EQ(desk.lost[DropReason::kMediaOverload], 0u);
}

TEST_F(RemoteStagesTest, APacketThatNoLaneCanCarryIsLostByName) {
  auto stage = make(7);
  hear(*stage, heavy, 1, Lanes::kLongest + 1);
  maker->collect(desk);
  EXPECT_EQ(desk.lost[DropReason::kMediaOverload], 1u);
  hear(*stage, heavy);
  settle();
  EXPECT_EQ(desk.came.size(), 1u) << "the conversion was told again";
}

TEST_F(RemoteStagesTest, PacketsOfAStageThatEndedAreCounted) {
  auto stage = make(7);
  auto other = make(8, 2, 3);
  hear(*other, heavy);
  hear(*stage, heavy);
  stage.reset();
  hear(*other, heavy);
  // The orders come before the packets.
  settle();
  EXPECT_EQ(desk.lost[DropReason::kStageGone] + desk.came.size(), 3u);
  EXPECT_EQ(desk.lost[DropReason::kStageGone], 1u);
}

TEST_F(RemoteStagesTest, AWorkerThatEndsLeavesNothingBehind) {
  auto stage = make(7);
  hear(*stage, heavy);
  threads.turn();
  EXPECT_EQ(stages.alive, 1u);
  stage.reset();
  maker.reset();
  EXPECT_EQ(stages.alive, 0u);
  EXPECT_EQ(wakes, 1u);
}

TEST_F(RemoteStagesTest, WithoutThreadsStagesRunInTheWorker) {
  MediaThreads none(
      0, 2, [this](const StageOwner& owner) { return stages.make(owner); }, [this] { return now; });
  EXPECT_EQ(none.least_load(), 0u);
  const auto direct = none.maker_for(0, [] {});
  const auto stage = direct->make({1, {}, {}, {}});
  hear(*stage, heavy);
  EXPECT_EQ(desk.here.size(), 1u);
}

}  // namespace
}  // namespace ferry::remote_stages_test
