// SPDX-License-Identifier: Apache-2.0
// Events of the workers, as the observers hear of them.
#include "control/session/worker_events.hpp"

#include "tests/support/packets.hpp"
#include "tests/support/session_parts.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::worker_events_test {
namespace {

constexpr PayloadType kEvents{101};

/// Writes down what it is told.
struct Noting final : CallObserver {
  void on_dtmf(Call&, Leg& leg, const DtmfEvent& event) override {
    told.push_back(leg.tag + " pressed " + std::to_string(event.event));
  }
  void on_event(const MediaTransport& transport, TransportEvent) override {
    told.push_back(transport.leg->tag + " of " + transport.call().id);
  }
  void on_prompt_ended() override { told.emplace_back("a prompt ended"); }
  std::vector<std::string> told;
};

class WorkerEventsTest : public testing::Test {
 protected:
  WorkerEventsTest() {
    parts_.observers.add(noting_);
    for (const std::size_t leg : {0u, 1u})
      SessionParts::media(call_, leg)
          .payloads.push_back({.type = kEvents, .is_event = true, .clock_rate_hz = 8000});
    parts_.plans.sync(call_);
    parts_.plane.fence();
  }
  /// A packet of A: speech, or `event` (RFC 4733), which may be its last.
  void send(std::uint16_t number, int event = -1, bool is_last = false) {
    Packet packet = rtp('A', 1, number);
    if (event >= 0) {
      packet.resize(kRtpFixedHeaderSize + 4);
      const auto size = static_cast<std::uint16_t>(160 * number);
      write_rtp_header(packet, kEvents, false, SeqNo{number}, 8000, Ssrc{1});
      packet[12] = static_cast<std::byte>(event);
      packet[13] = static_cast<std::byte>(is_last ? 0x80 | 8 : 8);
      packet[14] = static_cast<std::byte>(size >> 8);
      packet[15] = static_cast<std::byte>(size & 255);
    }
    parts_.network.send_to_relay({SessionParts::media(call_, 0).via->remote_rtp,
                                  {parts_.local().address, SessionParts::ports(call_, 0).port},
                                  packet});
    parts_.plane.worker(0).run_once();
  }
  using Told = std::vector<std::string>;

  SessionParts parts_;
  Call& call_ = parts_.add_call();
  Noting noting_;
};

TEST_F(WorkerEventsTest, APressIsToldOnceItIsOver) {
  send(1);
  send(2);
  send(3, 5);
  send(4, 5);
  parts_.events.pass();
  EXPECT_EQ(noting_.told, Told{});
  send(5, 5, true);
  send(6, 5, true);
  parts_.events.pass();
  EXPECT_EQ(noting_.told, Told{"A pressed 5"});
  parts_.events.pass();
  EXPECT_EQ(noting_.told, Told{"A pressed 5"}) << "once";
}

TEST_F(WorkerEventsTest, APressThatIsOpenEndsWithThePorts) {
  send(1);
  send(2);
  send(3, 7);
  parts_.events.end_presses(call_, SessionParts::ports(call_, 1));
  EXPECT_EQ(noting_.told, Told{}) << "B presses nothing";
  parts_.events.end_presses(call_);
  EXPECT_EQ(noting_.told, Told{"A pressed 7"});
  parts_.events.end_presses(call_);
  EXPECT_EQ(noting_.told, Told{"A pressed 7"}) << "once";
}

TEST_F(WorkerEventsTest, OfATransportThatIsGoneNobodyIsTold) {
  send(1);
  send(2);
  send(3, 5, true);
  const TransportId id = SessionParts::ports(call_, 0).transport;
  parts_.plane.set_owner(0, id, nullptr);
  parts_.events.pass();
  EXPECT_EQ(noting_.told, Told{});
  parts_.plane.set_owner(0, id, SessionParts::media(call_, 0).via);
}

}  // namespace
}  // namespace ferry::test::worker_events_test
