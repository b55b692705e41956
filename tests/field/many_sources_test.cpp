// SPDX-License-Identifier: Apache-2.0
// Senders that take a new SSRC again and again: a camera with every group of pictures, a PBX with every
// prompt. However many there are, at most the one packet of each that waits for its confirmation is missing
// (SRT-7a, SSR-1).

#include "tests/support/secure_call.hpp"

#include <set>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

struct Kind {
  const char* what;
  Suite a;
  Suite b;
  bool recrypts = false;
};
const Kind kKinds[] = {
    {"plain", std::nullopt, std::nullopt},           {"encrypted to plain", kCm80, std::nullopt},
    {"plain to encrypted", std::nullopt, kCm80},     {"one key through", kCm80, kCm80},
    {"a key for each side", kCm80, kCm80, true},     {"another suite", kGcm, kCm80},
    {"plain to encrypted, GCM", std::nullopt, kGcm},
};

/// `count` packets of A under its SSRC, 20 ms apart; how many B hears.
std::size_t heard_of(SecureCall& call, unsigned count) {
  // B speaks first, so that it is a party that was heard.
  call.deliver(call.b(), call.next(call.b()));
  std::size_t heard = 0;
  for (unsigned n = 0; n < count; ++n) {
    call.deliver(call.a(), call.next(call.a()));
    call.pass();
    for (const Packet& packet : call.heard(call.b())) heard += sender_of(packet) == 'A' ? 1u : 0u;
  }
  return heard;
}

void set_up(SecureCall& call, const Kind& kind) {
  EXPECT_EQ(
      call.offer(kind.recrypts ? std::vector<std::string>{"recrypt"} : std::vector<std::string>())["result"],
      "ok");
  EXPECT_EQ(call.answer()["result"], "ok");
}

void restart(SecureCall& call) {
  World& world = call.world();
  const json record = json::parse(world.manager().export_call(call.id(), world.clock()).dump());
  world.manager().terminate(call.id(), world.clock());
  world.manager().flush(world.clock());
  ASSERT_TRUE(world.manager().restore_call(record, world.clock()));
}

TEST(FieldManySources, SRT7a_ANewSsrcAgainAndAgain) {
  const auto world = make_sim_world();
  unsigned row = 0;
  for (const Kind& kind : kKinds) {
    SecureCall call(*world, ++row, kind.a, kind.b);
    set_up(call, kind);
    std::mt19937 random(row);
    for (unsigned source = 0; source < 200; ++source) {
      call.a().ssrc = static_cast<std::uint32_t>(random());
      call.a().sequence = static_cast<std::uint16_t>(random() % 60'000);
      EXPECT_GE(heard_of(call, 12), 11u) << kind.what << ", source " << source;
      if (source % 40 == 39) {
        restart(call);
        EXPECT_GE(heard_of(call, 12), 11u) << kind.what << " restored at source " << source;
      }
    }
    EXPECT_EQ(call.bad, 0u) << kind.what;
  }
}

TEST(FieldManySources, SRT7a_AFormerSsrcComesBack) {
  const auto world = make_sim_world();
  unsigned row = 0;
  for (const Kind& kind : kKinds) {
    SecureCall call(*world, ++row, kind.a, kind.b);
    set_up(call, kind);
    std::vector<Packet> wire;
    call.a().ssrc = 1;
    call.a().sequence = 500;
    for (int n = 0; n < 12; ++n) {
      wire.push_back(call.next(call.a()));
      call.deliver(call.a(), wire.back());
      call.pass();
    }
    for (std::uint32_t ssrc = 2; ssrc < 150; ++ssrc) {
      call.a().ssrc = ssrc;
      call.a().sequence = 9000;
      EXPECT_GE(heard_of(call, 12), 11u) << kind.what << " " << ssrc;
    }
    call.heard(call.b());
    // What was sent under the first one is not heard again, whatever has happened since.
    if (kind.a) {
      for (const Packet& packet : wire) call.deliver(call.a(), packet);
      EXPECT_TRUE(call.heard(call.b()).empty()) << kind.what;
    }
    call.a().ssrc = 1;
    call.a().sequence = 512;
    EXPECT_GE(heard_of(call, 12), 11u) << kind.what << ": it goes on";
    call.a().ssrc = 1;
    call.a().sequence = 10'000;
    EXPECT_GE(heard_of(call, 12), 11u) << kind.what << ": it leaps";
    if (!kind.a) {
      call.a().sequence = 600;
      EXPECT_GE(heard_of(call, 12), 11u) << kind.what << ": it steps back";
    }
    EXPECT_EQ(call.bad, 0u) << kind.what;
  }
}

TEST(FieldManySources, SRT7a_WhatIsForgottenIsSealedUnderAnSsrcOfOursOrRefusedByName) {
  const auto world = make_sim_world();
  const auto sweep = [&](SecureCall& call) {
    call.deliver(call.b(), call.next(call.b()));
    for (std::uint32_t ssrc = 1; ssrc <= 4700; ++ssrc) {
      for (std::uint16_t n = 0; n < 2; ++n) {
        call.deliver(call.a(), call.sealed(call.a(), rtp('A', ssrc, static_cast<std::uint16_t>(100 + n))));
      }
      call.pass(250ms);
    }
    call.heard(call.b());
  };
  // From an encrypted sender: nobody knows whether this packet is a replay.
  SecureCall in(*world, 1, kCm80, std::nullopt, 1);
  set_up(in, kKinds[1]);
  sweep(in);
  in.a().ssrc = 3;
  in.a().sequence = 102;
  EXPECT_EQ(heard_of(in, 10), 0u);
  EXPECT_EQ(in.drops(in.a(), "ssrc-forgotten"), 10u);
  in.a().ssrc = 4600;
  EXPECT_GE(heard_of(in, 10), 9u) << "remembered";
  in.a().ssrc = 9999;
  EXPECT_GE(heard_of(in, 10), 9u) << "new";
  // Toward an encrypted receiver: under an SSRC of ours.
  SecureCall out(*world, 2, std::nullopt, kCm80, 2);
  set_up(out, kKinds[2]);
  sweep(out);
  out.a().ssrc = 3;
  out.a().sequence = 100;
  EXPECT_GE(heard_of(out, 10), 9u);
  EXPECT_EQ(out.bad, 0u);
  EXPECT_NE(read_u32(out.captured.back(), 8), 3u);
  restart(out);
  EXPECT_EQ(heard_of(out, 10), 10u);
  EXPECT_NE(read_u32(out.captured.back(), 8), 3u);
  EXPECT_EQ(out.bad, 0u);
}

TEST(FieldManySources, SSR1_SeveralThatBeginAtOnceAreAllAdmitted) {
  const auto world = make_sim_world();
  unsigned row = 0;
  for (const Suite b : {Suite(), Suite(kCm80)}) {
    for (const std::uint32_t count : {2u, 3u, 4u, 5u}) {
      SecureCall call(*world, ++row, std::nullopt, b);
      call.set_up();
      EXPECT_EQ(heard_of(call, 5), 5u);
      call.pass(2s);
      std::map<std::uint32_t, std::size_t> heard;
      for (std::uint16_t n = 0; n < 30; ++n) {
        for (std::uint32_t ssrc = 1; ssrc <= count; ++ssrc)
          call.deliver(call.a(), rtp('A', 1000 + ssrc, static_cast<std::uint16_t>(100 * ssrc + n)));
        call.pass(40ms);
        for (const Packet& packet : call.heard(call.b())) ++heard[read_u32(packet, 8)];
      }
      EXPECT_EQ(heard.size(), count);
      for (const auto& [ssrc, packets] : heard) EXPECT_EQ(packets, 30u) << ssrc << " of " << count;
      EXPECT_EQ(call.bad, 0u);
    }
  }
}

TEST(FieldManySources, SSR3_SsrcZeroAndOneForBoth) {
  const auto world = make_sim_world();
  unsigned row = 0;
  for (const Kind& kind : kKinds) {
    for (const std::uint32_t ssrc : {0u, 77u, 0xffffffffu}) {
      SecureCall call(*world, ++row, kind.a, kind.b);
      set_up(call, kind);
      for (std::uint16_t n = 0; n < 30; ++n) {
        for (const std::size_t from : {0u, 1u}) {
          const Packet packet = rtp(from == 0 ? 'A' : 'B', ssrc, static_cast<std::uint16_t>(65'520 + n));
          ASSERT_EQ(call.across(from, packet), packet) << kind.what << " " << ssrc;
        }
        call.pass();
      }
      const Packet report = sender_report(ssrc, 1, ssrc);
      EXPECT_EQ(call.across(0, report, true), report) << kind.what;
      EXPECT_EQ(call.bad, 0u) << kind.what;
    }
  }
}

}  // namespace
}  // namespace ferry::test
