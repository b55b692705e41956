// SPDX-License-Identifier: Apache-2.0
#include "codecs/transcode/event_packets.hpp"

#include "tests/support/transcode.hpp"

namespace ferry::event_packets_test {
namespace {

const AudioFormat kPcmu{"PCMU", 8000, 1, ""};
const AudioFormat kG722{"G722", 8000, 1, ""};
constexpr PayloadType kEvents{101};

class Count final : public MadePackets {
 public:
  void take(const MadePacket&) noexcept override { ++packets; }
  unsigned packets = 0;
};

TEST(EventPackets, ALongTimeAtOnceIsFewPackets) {
  PacketEncoder place;
  ASSERT_TRUE(place.configure(test::conversion(kPcmu, kG722), 8000));
  EventPackets events;
  events.begin({kEvents, 192'000}, 5, 10, 0);
  Count out;
  // 176 segments of a third of a second.
  events.go_on(std::chrono::minutes(1), place, out);
  EXPECT_LE(out.packets, 5u);
  // The next packets bring what is left, a few segments at a time.
  const Duration before = events.length();
  events.go_on(std::chrono::minutes(1), place, out);
  EXPECT_LE(out.packets, 10u);
  EXPECT_GT(events.length(), before);
}

TEST(EventPackets, AClockThatNobodyHasIsNoWayToTellOfDigits) {
  for (const std::uint32_t clock_hz : {0u, 1u, 999u, 192'001u, UINT32_MAX}) {
    SCOPED_TRACE(clock_hz);
    AudioConversion terms = test::conversion(kPcmu, kG722);
    terms.inputs.push_back({kEvents, AudioInput::Kind::kEvents, {"telephone-event", 8000, 1, ""}});
    terms.events = OtherType{kEvents, clock_hz};
    test::TranscodeWorld world(terms);
    test::Sent press;
    press.type = kEvents;
    press.payload = {std::byte{5}, std::byte{0x8a}, std::byte{3}, std::byte{32}};
    world.hear(press);
    world.run(world.now() + std::chrono::milliseconds(300));
    // 100 ms of a tone.
    EXPECT_EQ(world.figures().digits, 1u);
    EXPECT_GE(world.heard.size(), 5u);
    EXPECT_LE(world.heard.size(), 30u);
    for (const test::Heard& each : world.heard) EXPECT_EQ(each.type, PayloadType{97});
  }
}

}  // namespace
}  // namespace ferry::event_packets_test
