// SPDX-License-Identifier: Apache-2.0
// A key press is told once, however it ends: by its end packets, by the next press, by audio that goes on, by
// silence, or with the call (RFC 4733 §2.5).

#include "relay/core/rtp/key_presses.hpp"
#include "tests/support/world.hpp"

#include <gtest/gtest.h>

namespace ferry::test::dtmf_ends_test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::uint32_t kSsrc = 0x1234;

struct Event {
  std::uint32_t timestamp = 0;
  int key = 0;
  int duration = 0;
  bool end = false;
  bool marker = false;
  std::uint32_t ssrc = kSsrc;
};

Packet event_packet(const Event& event, std::uint16_t sequence) {
  Packet packet(kRtpFixedHeaderSize + 4);
  write_rtp_header(packet, PayloadType{101}, event.marker, SeqNo{sequence}, event.timestamp,
                   Ssrc{event.ssrc});
  write_u8(packet, 12, static_cast<std::uint8_t>(event.key));
  write_u8(packet, 13, static_cast<std::uint8_t>((event.end ? 0x80 : 0) | 10));
  write_u16(packet, 14, static_cast<std::uint16_t>(event.duration));
  return packet;
}

/// One call in virtual time, and what was told of it.
class Call {
 public:
  Call() {
    WorldOptions options;
    options.listener.on_dtmf = [this](const ferry::Call&, const Leg& leg, const DtmfEvent& event) {
      told_.push_back(static_cast<int>(event.event));
      durations_.push_back(event.duration_ms);
      EXPECT_EQ(leg.tag, "a");
    };
    world_ = make_sim_world(options);
    world_->open(caller_);
    world_->open(callee_);
    const std::string events = "a=rtpmap:101 telephone-event/8000\r\n";
    const auto body = [&](const Endpoint& at) {
      std::string text = audio_sdp(at, events);
      text.insert(text.find("RTP/AVP 8 0") + 11, " 101");
      return text;
    };
    world_->ng(offer("c", "a", body(caller_)));
    const json back = world_->ng(answer("c", "a", "b", body(callee_)));
    relay_ = {world_->relay_address(), World::port_of(back)};
    audio(10, 20ms);
  }

  void send(const Event& event, Duration gap = 20ms) {
    world_->send(caller_, relay_, event_packet(event, sequence_++));
    wait(gap);
  }
  /// Packets of audio whose time stamps go on.
  void audio(int packets, Duration gap = 20ms) {
    for (int i = 0; i < packets; ++i) {
      Packet packet = rtp('a', kSsrc, sequence_++);
      write_u32(packet, 4, timestamp_);
      timestamp_ += 160;
      world_->send(caller_, relay_, packet);
      wait(gap);
    }
  }
  /// A whole press: `updates` packets, then `ends`.
  std::uint32_t press(int key, int updates = 5, int ends = 3, bool marker = true) {
    const std::uint32_t at = timestamp_;
    for (int i = 0; i < updates; ++i) send({at, key, 160 * (i + 1), false, marker && i == 0});
    for (int i = 0; i < ends; ++i)
      send({at, key, 160 * (updates + 1), true, marker && updates == 0 && i == 0});
    timestamp_ += 160 * static_cast<std::uint32_t>(updates + 3);
    return at;
  }
  void wait(Duration time) {
    now_ += time;
    world_->run(now_);
    world_->manager().poll_events();
  }
  void skip(std::uint32_t units) { timestamp_ += units; }
  [[nodiscard]] std::uint32_t timestamp() const { return timestamp_; }
  [[nodiscard]] const std::vector<int>& told() const { return told_; }
  [[nodiscard]] const std::vector<std::uint32_t>& durations() const { return durations_; }
  [[nodiscard]] World& world() { return *world_; }

 private:
  const Endpoint caller_{IpAddress::v4({203, 0, 113, 11}), UdpPort{4000}};
  const Endpoint callee_{IpAddress::v4({203, 0, 113, 12}), UdpPort{5000}};
  std::unique_ptr<World> world_;
  Endpoint relay_;
  std::vector<int> told_;
  std::vector<std::uint32_t> durations_;
  std::uint16_t sequence_ = 100;
  std::uint32_t timestamp_ = 16'000;
  Duration now_{0};
};

struct Row {
  const char* what;
  void (*act)(Call&);
  std::vector<int> told;
};

class FieldDtmfEnds : public ::testing::TestWithParam<Row> {};

TEST_P(FieldDtmfEnds, RFC4733_EachPressIsToldOnce) {
  Call call;
  GetParam().act(call);
  call.wait(2s);
  EXPECT_EQ(call.told(), GetParam().told) << GetParam().what;
}

INSTANTIATE_TEST_SUITE_P(
    Relatives, FieldDtmfEnds,
    ::testing::Values(
        Row{"ordinary", [](Call& c) { c.press(5); }, {5}},
        Row{"no marker", [](Call& c) { c.press(5, 5, 3, false); }, {5}},
        Row{"one end packet and no more", [](Call& c) { c.press(8, 0, 1); }, {8}},
        Row{"no end, then another key", [](Call& c) { c.press(3, 5, 0), c.press(4); }, {3, 4}},
        Row{"no end, then the same key", [](Call& c) { c.press(3, 5, 0), c.press(3); }, {3, 3}},
        Row{"no end, then the same key without marker",
            [](Call& c) { c.press(3, 5, 0), c.press(3, 5, 3, false); },
            {3, 3}},
        Row{"no end of three",
            [](Call& c) { c.press(1, 2, 0), c.press(1, 2, 0), c.press(2, 2, 0); },
            {1, 1, 2}},
        Row{"no end, then the end packet of another",
            [](Call& c) { c.press(1, 2, 0), c.press(2, 0, 1); },
            {1, 2}},
        Row{"no end, audio goes on", [](Call& c) { c.press(7, 5, 0), c.audio(20); }, {7}},
        Row{"no end, silence", [](Call& c) { c.press(7, 5, 0); }, {7}},
        Row{"one packet of no duration",
            [](Call& c) {
              c.send({c.timestamp(), 9, 0, false, true});
            },
            {9}},
        Row{"a first packet of no duration",
            [](Call& c) {
              c.send({c.timestamp(), 9, 0, false, true}), c.press(9, 5, 3, false);
            },
            {9}},
        Row{"late packets after the end",
            [](Call& c) {
              const std::uint32_t at = c.press(2);
              c.send({at, 2, 160}), c.send({at, 2, 480}), c.send({at, 2, 960, true});
            },
            {2}},
        Row{"late packets after another press",
            [](Call& c) {
              const std::uint32_t at = c.press(2, 5, 0);
              c.press(6);
              c.send({at, 2, 960, true}), c.send({at, 2, 960, true});
            },
            {2, 6}},
        Row{"late packets in another press",
            [](Call& c) {
              const std::uint32_t at = c.press(2, 5, 0);
              const std::uint32_t next = c.timestamp();
              c.send({next, 6, 160, false, true}), c.send({at, 2, 960, true}), c.send({next, 6, 320});
              c.send({at, 2, 960, true}), c.send({next, 6, 480, true});
            },
            {2, 6}},
        Row{"late packets after audio ended it",
            [](Call& c) {
              const std::uint32_t at = c.press(2, 5, 0);
              c.audio(30);
              c.send({at, 2, 960, true});
            },
            {2}},
        Row{"each packet twice",
            [](Call& c) {
              for (int i = 1; i < 8; ++i)
                c.send({c.timestamp(), 4, 160 * i, i > 4}, 0ms), c.send({c.timestamp(), 4, 160 * i, i > 4});
            },
            {4}},
        Row{"audio beside the event",
            [](Call& c) {
              const std::uint32_t at = c.timestamp();
              for (int i = 1; i < 40; ++i) c.send({at, 4, 160 * i}, 1ms), c.audio(1);
              c.send({at, 4, 160 * 40, true});
            },
            {4}},
        Row{"a second segment is the same press",
            [](Call& c) {
              const std::uint32_t at = c.timestamp();
              for (int i = 0; i <= 40; ++i) c.send({at, 1, std::min(0xffff, 1638 * i), false, i == 0}, 200ms);
              c.send({at + 0xffff, 1, 1600}), c.send({at + 0xffff, 1, 3200, true});
              c.send({at + 0xffff, 1, 3200, true});
            },
            {1}},
        Row{"three segments, some of their ends lost",
            [](Call& c) {
              const std::uint32_t at = c.timestamp();
              for (int i = 0; i < 39; ++i) c.send({at, 1, 1638 * i, false, i == 0}, 200ms);
              for (int i = 1; i < 40; ++i) c.send({at + 0xffff, 1, 1638 * i}, 200ms);
              c.send({at + 2 * 0xffff, 1, 160}), c.send({at, 1, 0xffff}),
                  c.send({at + 2 * 0xffff, 1, 320, true});
            },
            {1}},
        Row{"short segments",
            [](Call& c) {
              const std::uint32_t at = c.timestamp();
              c.send({at, 1, 400, false, true}), c.send({at, 1, 800}), c.send({at + 800, 1, 400});
              c.send({at + 800, 1, 800}), c.send({at + 1600, 1, 400, true});
            },
            {1}},
        Row{"another key at the place of a segment",
            [](Call& c) {
              const std::uint32_t at = c.timestamp();
              c.send({at, 1, 400, false, true}), c.send({at, 1, 800}), c.send({at + 800, 2, 400, true});
            },
            {1, 2}},
        Row{"a source that changes in a press",
            [](Call& c) {
              c.press(1, 3, 0);
              c.send({77, 2, 160, false, true, 0x9999}, 5ms), c.send({77, 2, 320, false, false, 0x9999}, 5ms);
              c.send({77, 2, 480, true, false, 0x9999}, 5ms), c.send({77, 2, 480, true, false, 0x9999}, 5ms);
            },
            {1, 2}},
        Row{"the call is deleted",
            [](Call& c) {
              c.press(6, 3, 0);
              c.world().ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "a"}, {"delete delay", 0}});
            },
            {6}},
        Row{"the party is deleted after an end",
            [](Call& c) {
              c.press(6);
              c.world().ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "a"}, {"delete delay", 0}});
            },
            {6}}));

TEST(FieldDtmfEnds_Duration, IsThatOfAllSegments) {
  Call call;
  const std::uint32_t at = call.timestamp();
  for (int i = 0; i <= 40; ++i) call.send({at, 1, std::min(0xffff, 1638 * i), false, i == 0}, 200ms);
  call.send({at + 0xffff, 1, 1600, true});
  call.skip(2 * 0xffff);
  call.press(2, 9, 0);
  call.audio(20);
  EXPECT_EQ(call.told(), (std::vector<int>{1, 2}));
  EXPECT_EQ(call.durations(), (std::vector<std::uint32_t>{(0xffff + 1600) / 8, 180}))
      << "as far as it was heard";
}

TEST(FieldDtmfEnds_Restart, AnOpenPressIsToldByTheRelayThatTakesTheCallOver) {
  Call call;
  call.press(3, 4, 0);
  const json record = call.world().manager().export_call("c", call.world().clock());
  std::vector<int> told;
  WorldOptions options;
  options.listener.on_dtmf = [&](const ferry::Call&, const Leg&, const DtmfEvent& e) {
    told.push_back(e.event);
  };
  const auto other = make_sim_world(options);
  const auto restored = other->manager().restore_call(record, other->clock());
  ASSERT_TRUE(restored) << restored.error();
  EXPECT_EQ(other->manager().export_call("c", other->clock())["sections"], record["sections"]);
  other->run(1s);
  other->manager().poll_events();
  EXPECT_EQ(told, std::vector<int>{3});
}

}  // namespace
}  // namespace ferry::test::dtmf_ends_test
