// SPDX-License-Identifier: Apache-2.0
// Stages that live on one thread, in virtual time.

#include "relay/media/stage_host.hpp"

#include "tests/support/echo_stage.hpp"

#include <array>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::stage_host_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kBegin{10s};

struct Made {
  unsigned worker;
  std::uint64_t serial;
  unsigned type;
};

class StageHostTest : public testing::Test, public HostOutlet {
 protected:
  bool hear(std::uint64_t serial, Instant at, std::uint64_t from = 1, int becomes = -1) {
    HeardPacket packet;
    packet.serial = serial;
    packet.from = from;
    packet.at = at;
    if (becomes >= 0) {
      AudioConversion conversion;
      conversion.type = PayloadType{static_cast<std::uint8_t>(becomes)};
      packet.conversion = std::make_shared<const AudioConversion>(conversion);
    }
    static constexpr std::array<std::byte, 4> kPayload{};
    return host.hear(packet, kPayload);
  }
  void take(unsigned worker, const StageOwner& owner, const MadePacket& packet) noexcept override {
    made.push_back({worker, owner.serial, packet.type.value});
  }
  void take_datagram(unsigned worker, const StageOwner& owner, Bytes datagram) noexcept override {
    datagrams.push_back({worker, owner.serial, static_cast<unsigned>(datagram.size())});
  }
  static StageOwner owner(std::uint64_t serial) { return {serial, {}, {}, {}}; }

  test::EchoStages stages;
  StageHost host{[this](const StageOwner& whose) { return stages.make(whose); }, *this};
  std::vector<Made> made;
  /// With their octets as the type.
  std::vector<Made> datagrams;
};

TEST_F(StageHostTest, ADatagramIsHeardAsOne) {
  host.begin(3, owner(1));
  HeardPacket packet;
  packet.serial = 1;
  packet.at = kBegin;
  packet.is_datagram = true;
  const std::array<std::byte, 17> octets{};
  EXPECT_FALSE(host.hear(packet, octets)) << "nobody has said what becomes of it";
  packet.conversion = std::make_shared<const AudioConversion>();
  EXPECT_TRUE(host.hear(packet, octets));
  EXPECT_TRUE(made.empty());
  ASSERT_EQ(datagrams.size(), 1u);
  EXPECT_EQ(datagrams[0].worker, 3u);
  EXPECT_EQ(datagrams[0].serial, 1u);
  EXPECT_EQ(datagrams[0].type, 17u);
}

TEST_F(StageHostTest, AStageLivesFromItsBeginToItsEnd) {
  EXPECT_FALSE(hear(1, kBegin, 1, 9)) << "nobody knows it yet";
  host.begin(3, owner(1));
  EXPECT_TRUE(hear(1, kBegin, 1, 9));
  ASSERT_EQ(made.size(), 1u);
  EXPECT_EQ(made[0].worker, 3u);
  EXPECT_EQ(made[0].serial, 1u);
  EXPECT_EQ(made[0].type, 9u);
  host.end(1);
  EXPECT_EQ(stages.alive, 0u);
  EXPECT_FALSE(hear(1, kBegin, 1, 9));
}

TEST_F(StageHostTest, EachSourceKeepsItsConversionUntilItGetsAnother) {
  host.begin(0, owner(1));
  EXPECT_FALSE(hear(1, kBegin)) << "nobody said what it becomes";
  hear(1, kBegin, 1, 9);
  hear(1, kBegin, 2, 8);
  hear(1, kBegin, 1);
  hear(1, kBegin, 2);
  hear(1, kBegin, 1, 111);
  hear(1, kBegin, 1);
  std::vector<unsigned> types;
  for (const Made& each : made) types.push_back(each.type);
  EXPECT_EQ(types, (std::vector<unsigned>{9, 8, 9, 8, 111, 111}));
}

TEST_F(StageHostTest, StagesAreDrivenInTheOrderInWhichTheyAreDue) {
  stages.delay = 30ms;
  host.begin(0, owner(1));
  host.begin(0, owner(2));
  EXPECT_FALSE(host.due());
  hear(2, kBegin, 1, 9);
  hear(1, kBegin + 10ms, 1, 9);
  hear(2, kBegin + 20ms, 1, 9);
  EXPECT_EQ(host.due(), kBegin + 30ms);
  host.drive(kBegin + 29ms);
  EXPECT_TRUE(made.empty());
  host.drive(kBegin + 45ms);
  ASSERT_EQ(made.size(), 2u);
  EXPECT_EQ(made[0].serial, 2u);
  EXPECT_EQ(made[1].serial, 1u);
  EXPECT_EQ(host.due(), kBegin + 50ms);
  host.drive(kBegin + 50ms);
  EXPECT_EQ(made.size(), 3u);
  EXPECT_FALSE(host.due());
}

TEST_F(StageHostTest, AStageThatEndsIsNotDrivenAnyMore) {
  stages.delay = 30ms;
  host.begin(0, owner(1));
  hear(1, kBegin, 1, 9);
  host.end(1);
  host.drive(kBegin + 1s);
  EXPECT_TRUE(made.empty());
  EXPECT_FALSE(host.due());
}

TEST_F(StageHostTest, NothingStaleGathersInTheQueue) {
  /// Due ever earlier, for a long time.
  class Hasty final : public OutputStage {
   public:
    void hear(std::uint64_t, const std::shared_ptr<const AudioConversion>&, const RtpView&, Instant,
              MadePackets&) noexcept override {
      due_ -= 1ms;
    }
    [[nodiscard]] std::optional<Instant> due() const noexcept override { return due_; }
    void drive(Instant, MadePackets&) noexcept override {}

   private:
    Instant due_ = kBegin + 1h;
  };
  StageHost busy([](const StageOwner&) { return std::make_unique<Hasty>(); }, *this);
  for (std::uint64_t serial = 1; serial <= 3; ++serial) busy.begin(0, owner(serial));
  HeardPacket packet;
  for (int n = 0; n < 10'000; ++n) {
    packet.serial = 1 + static_cast<std::uint64_t>(n % 3);
    packet.conversion = std::make_shared<const AudioConversion>();
    packet.at = kBegin;
    busy.hear(packet, {});
    ASSERT_LE(busy.queued(), 16u);
  }
  EXPECT_EQ(busy.due(), kBegin + 1h - 3334ms) << "the earliest of all";
  for (std::uint64_t serial = 1; serial <= 3; ++serial) busy.end(serial);
  EXPECT_EQ(busy.queued(), 0u);
  EXPECT_FALSE(busy.due()) << "nobody is woken for stages that are gone";
}

TEST_F(StageHostTest, TheTimeOfAStageNeverGoesBack) {
  /// Notes each time.
  class Watch final : public OutputStage {
   public:
    explicit Watch(std::vector<Instant>& seen) : seen_(seen) {}
    void hear(std::uint64_t, const std::shared_ptr<const AudioConversion>&, const RtpView&, Instant now,
              MadePackets&) noexcept override {
      seen_.push_back(now);
      due_ = now + 10ms;
    }
    [[nodiscard]] std::optional<Instant> due() const noexcept override { return due_; }
    void drive(Instant now, MadePackets&) noexcept override {
      seen_.push_back(now);
      due_.reset();
    }

   private:
    std::vector<Instant>& seen_;
    std::optional<Instant> due_;
  };
  std::vector<Instant> seen;
  StageHost watched([&](const StageOwner&) { return std::make_unique<Watch>(seen); }, *this);
  watched.begin(0, owner(1));
  HeardPacket packet;
  packet.serial = 1;
  packet.conversion = std::make_shared<const AudioConversion>();
  packet.at = kBegin;
  watched.hear(packet, {});
  watched.drive(kBegin + 15ms);
  // It waited in a lane meanwhile.
  packet.at = kBegin + 5ms;
  watched.hear(packet, {});
  EXPECT_EQ(seen, (std::vector<Instant>{kBegin, kBegin + 15ms, kBegin + 15ms}));
}

TEST_F(StageHostTest, AWorkerThatLeavesTakesItsStagesAlong) {
  for (std::uint64_t n = 0; n < 4; ++n) host.begin(static_cast<unsigned>(n % 2), owner(n));
  host.end_all(1);
  EXPECT_EQ(host.stages(), 2u);
  EXPECT_EQ(stages.alive, 2u);
}

TEST_F(StageHostTest, AStageThatCannotBeMadeIsGone) {
  stages.is_full = true;
  host.begin(0, owner(1));
  EXPECT_EQ(host.stages(), 0u);
  EXPECT_FALSE(hear(1, kBegin, 1, 9));
}

}  // namespace
}  // namespace ferry::stage_host_test
