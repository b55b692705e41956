// SPDX-License-Identifier: Apache-2.0
// Copies of what parties send, to an address that a command names (docs/reference/ng.md#forwarding).
#include "control/command/forwarding.hpp"

#include "control/command/media_control.hpp"
#include "tests/support/small_relay.hpp"

namespace ferry::test {
namespace {

const Command kStart = command(&MediaControl::start_forwarding);
const Command kStop = command(&MediaControl::stop_forwarding);

Request to(const char* destination, bool of_a = false) {
  Request request = SmallRelay::request("call", "A");
  request.destination = destination;
  if (of_a) request.flags.set(static_cast<std::size_t>(Flag::kDirectional));
  return request;
}

TEST(Forwarding, EachMediaHasTwoPortsBehindTheOther) {
  SmallRelay relay;
  Call& call = relay.add_call();
  ASSERT_TRUE(relay.run(kStart, to("udp:192.0.2.9:6000")));
  ASSERT_EQ(call.legs.size(), 3u);
  Leg& copy = *call.legs[2];
  EXPECT_TRUE(is_forward(copy));
  ASSERT_EQ(copy.medias.size(), 2u) << "one for each party that came by offer and answer";
  for (const std::size_t i : {0u, 1u}) {
    const Media& media = *copy.medias[i];
    const auto port = static_cast<std::uint16_t>(6000 + 2 * i);
    EXPECT_EQ(media.via->remote_rtp, (Endpoint{*IpAddress::parse("192.0.2.9"), UdpPort{port}}));
    EXPECT_EQ(media.via->remote_rtcp.port.value, port + 1);
    EXPECT_FALSE(media.may_send) << "nothing is taken from there";
    ASSERT_EQ(media.subscriptions.size(), 1u);
    EXPECT_EQ(media.subscriptions[0].source, call.legs[i]->medias[0].get());
  }
  EXPECT_EQ(relay.network.open_ports(), 8u);
}

TEST(Forwarding, OfOnePartyAlone) {
  SmallRelay relay;
  Call& call = relay.add_call();
  ASSERT_TRUE(relay.run(kStart, to("udp:192.0.2.9:6000", true)));
  ASSERT_EQ(call.legs.size(), 3u);
  ASSERT_EQ(call.legs[2]->medias.size(), 1u);
  EXPECT_EQ(call.legs[2]->medias[0]->subscriptions[0].source->leg->tag, "A");
}

TEST(Forwarding, EndsForAPartyOrForAll) {
  SmallRelay relay;
  Call& call = relay.add_call();
  relay.run(kStart, to("udp:192.0.2.9:6000"));
  ASSERT_TRUE(relay.run(kStop, to("", true)));
  std::size_t flows = 0;
  for (const auto& leg : call.legs) {
    if (!is_forward(*leg)) continue;
    for (const auto& media : leg->medias) {
      for (const Subscription& each : media->subscriptions) {
        ++flows;
        EXPECT_EQ(each.source->leg->tag, "B");
      }
    }
  }
  EXPECT_EQ(flows, 1u);
  ASSERT_TRUE(relay.run(kStop, to("")));
  EXPECT_EQ(call.legs.size(), 2u);
  EXPECT_EQ(relay.network.open_ports(), 4u);
}

// The protocol tells it as a warning.
TEST(Forwarding, WithoutADestinationNothingHappens) {
  SmallRelay relay;
  Call& call = relay.add_call();
  const Outcome outcome = relay.run(kStart, to(""));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().fault, RequestFault::kNoDestination);
  EXPECT_EQ(call.legs.size(), 2u);
}

TEST(Forwarding, CTL6_WithoutPortsForAllNothingIsForwarded) {
  SmallRelay relay({.last = UdpPort{30005}});
  relay.add_call();
  const auto before = relay.everything();
  const Outcome outcome = relay.run(kStart, to("udp:192.0.2.9:6000"));
  ASSERT_FALSE(outcome) << "two pairs are wanted, and one is free";
  EXPECT_EQ(outcome.error().refusal(), refusal_for(PortFailure::kExhausted));
  EXPECT_EQ(relay.everything(), before);
}

TEST(Forwarding, LIM6_ItsPartiesCount) {
  SmallRelay relay({.last = UdpPort{30999}});
  Call& call = relay.add_call();
  while (call.legs.size() < 64) ASSERT_TRUE(relay.run(kStart, to("udp:192.0.2.9:6000", true)));
  const Outcome outcome = relay.run(kStart, to("udp:192.0.2.9:6000", true));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().refusal(), RefusalReason::kParties);
}

}  // namespace
}  // namespace ferry::test
