// SPDX-License-Identifier: Apache-2.0
// Datagrams that are larger than a link: up to 9,000 octets pass, larger ones are counted by name.

#include "tests/support/secure_call.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::size_t kLargest = 9000;

Packet packet_of(char sender, std::uint32_t ssrc, std::uint16_t sequence, std::size_t size) {
  return rtp(sender, ssrc, sequence, 8, size - kRtpFixedHeaderSize);
}

TEST(FieldLargeDatagrams, SizesUpToTheLimitPassWhole) {
  for (const bool rtpproxy : {false, true}) {
    WorldOptions options;
    options.rtpproxy = rtpproxy;
    const auto world = make_sim_world(options);
    const Endpoint a{world->peer_address(1, 'A'), UdpPort{4000}};
    const Endpoint b{world->peer_address(1, 'B'), UdpPort{4000}};
    world->open(a);
    world->open(b);
    UdpPort for_a;
    UdpPort for_b;
    if (rtpproxy) {
      for_b = World::port_of(world->rtpproxy("U call " + a.address.to_string() + " 4000 A B"));
      for_a = World::port_of(world->rtpproxy("L call " + b.address.to_string() + " 4000 A B"));
    } else {
      for_b = World::port_of(world->ng(offer("call", "A", audio_sdp(a))));
      for_a = World::port_of(world->ng(answer("call", "A", "B", audio_sdp(b))));
    }
    std::uint16_t sequence = 1;
    for (const std::size_t size : {12ul, 172ul, 1472ul, 1473ul, 2048ul, 2049ul, 4000ul, 8972ul, kLargest,
                                   kLargest + 1, 20'000ul, 65'507ul}) {
      for (const bool back : {false, true}) {
        const std::size_t before = world->received().size();
        world->send(back ? b : a, {world->relay_address(), back ? for_b : for_a},
                    packet_of(back ? 'B' : 'A', back ? 0xB : 0xA, sequence, size));
        const bool passes = size <= kLargest;
        ASSERT_EQ(world->received().size() - before, passes ? 1u : 0u) << size;
        if (passes) {
          EXPECT_EQ(world->received().back().packet.size(), size);
          EXPECT_EQ(world->received().back().at, back ? a : b);
        }
      }
      ++sequence;
      world->run(world->elapsed() + 1s);
    }
    const std::string shown = world->manager().show(rtpproxy ? "call A" : "call", world->clock()).dump();
    EXPECT_NE(shown.find("\"too-long\":3"), std::string::npos) << shown;
  }
}

class FieldLargeDatagramsSrtp : public Backends {};
INSTANTIATE_TEST_SUITE_P(All, FieldLargeDatagramsSrtp,
                         ::testing::ValuesIn(srtp_backend_names().begin(), srtp_backend_names().end()),
                         backend_name);

TEST_P(FieldLargeDatagramsSrtp, EncryptedOnEitherSide) {
  const auto world = make_sim_world(options());
  const std::vector<Suite> sides = {std::nullopt, kCm80, kGcm};
  unsigned row = 0;
  for (const Suite a : sides) {
    for (const Suite b : sides) {
      ++row;
      SecureCall call(*world, row, a, b, row);
      call.set_up();
      std::uint16_t sequence = 1;
      for (const std::size_t size : {200ul, 2040ul, 4090ul, kLargest - 16}) {
        call.pass(1s);
        for (const std::size_t side : {0u, 1u}) {
          const Packet packet = packet_of(side == 0 ? 'A' : 'B', call.party(side).ssrc, sequence, size);
          ASSERT_EQ(call.across(side, packet), packet) << "call " << row << ", " << size << " octets";
        }
        ++sequence;
      }
    }
  }
}

TEST(FieldLargeDatagrams, CopiesOfThemPassToo) {
  const auto world = make_sim_world({});
  const Endpoint a{world->peer_address(1, 'A'), UdpPort{4000}};
  const Endpoint b{world->peer_address(1, 'B'), UdpPort{4000}};
  const Endpoint s{world->peer_address(1, 'S'), UdpPort{4000}};
  for (const Endpoint& each : {a, b, s}) world->open(each);
  world->ng(offer("call", "A", audio_sdp(a)));
  const UdpPort for_a = World::port_of(world->ng(answer("call", "A", "B", audio_sdp(b))));
  const json asked =
      world->ng({{"command", "subscribe request"}, {"call-id", "call"}, {"from-tag", "A"}, {"to-tag", "S"}});
  ASSERT_EQ(asked["result"], "ok") << asked.dump();
  const json subscribed = world->ng({{"command", "subscribe answer"},
                                     {"call-id", "call"},
                                     {"to-tag", "S"},
                                     {"sdp", audio_sdp(s, "a=recvonly\r\n")}});
  ASSERT_EQ(subscribed["result"], "ok") << subscribed.dump();
  world->send(a, {world->relay_address(), for_a}, packet_of('A', 0xA, 1, kLargest));
  EXPECT_EQ(world->count(b, 'A'), 1u);
  EXPECT_EQ(world->count(s, 'A'), 1u);
  for (const Received& each : world->received()) EXPECT_EQ(each.packet.size(), kLargest);
}

}  // namespace
}  // namespace ferry::test
