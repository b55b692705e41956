// SPDX-License-Identifier: Apache-2.0
// The process stands still (SIGSTOP, a paused virtual machine, a host without time for it): nothing ends for
// that, and nobody hears the past (row C-13).
//
// Relatives by what the call is, by whether its packets waited meanwhile or never came, by how long it took
// against the time-out that it would have met, and by what forwards.

#include "tests/support/kernel_model.hpp"
#include "tests/support/secure_call.hpp"
#include "tests/support/world.hpp"

#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

std::uint64_t dropped(World& world, DropReason reason) {
  return world.manager().plane().worker(0).totals().drops[static_cast<std::size_t>(reason)].load();
}

struct Place {
  const char* name;
  bool rtpproxy = false;
  bool below = false;
};
constexpr Place kPlaces[] = {
    {"NG"}, {"NG, kernel", false, true}, {"rtpproxy", true}, {"rtpproxy, kernel", true, true}};

/// A call of two parties that talk.
class Talk {
 public:
  explicit Talk(const Place& place) {
    WorldOptions options;
    options.rtpproxy = place.rtpproxy;
    if (place.below)
      options.offload = [](SimNetwork& network) { return std::make_unique<KernelModel>(network); };
    world = make_sim_world(options);
    a = {world->peer_address(1, 'A'), UdpPort{4000}};
    b = {world->peer_address(1, 'B'), UdpPort{4000}};
    for (const Endpoint& each : {a, b}) world->open(each);
    for_b = {world->relay_address(), signal('A', a)};
    for_a = {world->relay_address(), signal('B', b)};
  }
  UdpPort signal(char who, const Endpoint& media) {
    if (world->is_rtpproxy())
      return World::port_of(world->rtpproxy(fmt::format("{} call {} {} A B", who == 'A' ? "U" : "L",
                                                        media.address.to_string(), media.port.value)));
    return World::port_of(world->ng(who == 'A' ? offer("call", "A", audio_sdp(media))
                                               : answer("call", "A", "B", audio_sdp(media))));
  }
  /// Both talk in [from, to), with time stamps that follow the time.
  void talk(Duration from, Duration to) {
    for (Duration t = from; t < to; t += 20ms) {
      const auto n = static_cast<std::uint16_t>(t / 20ms);
      world->at(t, [=, this] {
        world->send(a, for_a, rtp('A', 1, n));
        world->send(b, for_b, rtp('B', 2, n));
      });
    }
  }
  void stand_still(Duration from, Duration to) {
    world->at(from, [this] { world->stop(); });
    world->at(to, [this] { world->go_on(); });
  }
  [[nodiscard]] std::size_t heard(const Endpoint& who, Duration from, Duration to) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        world->received(), [&](const Received& r) { return r.at == who && r.when >= from && r.when < to; }));
  }

  std::unique_ptr<World> world;
  Endpoint a, b;
  Endpoint for_a, for_b;
};

TEST(FieldPauses, C13_EveryCallLivesThroughEveryPause) {
  for (const Place& place : kPlaces) {
    for (const bool waits : {true, false}) {
      for (const Duration pause : {Duration{3s}, Duration{70s}, Duration{2h}}) {
        if (waits && pause > 1h) continue;  // no socket holds an hour
        Talk call(place);
        const Duration back = 5s + 10ms + pause;
        call.talk(0s, 5s);
        if (waits) call.talk(5s + 20ms, back);
        call.stand_still(5s + 10ms, back);
        call.talk(back + 20ms, back + 65s);
        call.world->run(back + 65s);
        const std::string what =
            fmt::format("{}, {} s, {}", place.name, pause / 1s, waits ? "packets wait" : "nothing comes");
        EXPECT_EQ(call.world->manager().size(), 1u) << what;
        for (const Endpoint& each : {call.a, call.b}) {
          EXPECT_GE(call.heard(each, back + 20ms, back + 65s), 64u * 50) << what;
          if (place.below) continue;  // what the kernel forwards did not wait
          EXPECT_LE(call.heard(each, 5s + 10ms, back + 19ms), 10u) << what << ": 200 ms of old sound";
        }
      }
    }
  }
}

TEST(FieldPauses, C13_OldSoundIsDroppedByName) {
  Talk call(kPlaces[0]);
  call.talk(0s, 15s);
  call.stand_still(5s - 1ms, 10s - 1ms);
  call.world->run(15s);
  EXPECT_EQ(dropped(*call.world, DropReason::kStaleAfterPause), 2u * 240);
  EXPECT_EQ(call.heard(call.b, 0s, 15s), 750u - 240);
  const json found = call.world->manager().explain("call", false, call.world->clock());
  EXPECT_NE(found.dump().find("stood-still"), std::string::npos) << found.dump(1);
}

TEST(FieldPauses, C13_WhoIsSilentAfterwardsIsStillNoticed) {
  for (const Place& place : kPlaces) {
    Talk call(place);
    call.talk(0s, 5s);
    call.stand_still(5s, 125s);
    call.world->run(125s + 50s);
    EXPECT_NE(call.world->manager().size(), 0u) << place.name;
    call.world->run(125s + 70s);
    EXPECT_EQ(call.world->manager().size(), 0u) << place.name;
  }
}

TEST(FieldPauses, C13_AnAnswerThatWaitedCounts) {
  // An offer of a new call waits for 300 s, one within a call for 180 s.
  for (const bool is_new : {true, false}) {
    const auto world = make_sim_world();
    const Endpoint a{world->peer_address(1, 'A'), UdpPort{4000}};
    const Endpoint b{world->peer_address(1, 'B'), UdpPort{4000}};
    const Endpoint moved{world->peer_address(1, 'B'), UdpPort{4400}};
    world->open(a);
    for (const Endpoint& each : {b, moved}) world->open(each);
    const Endpoint for_b{world->relay_address(), World::port_of(world->ng(offer("call", "A", audio_sdp(a))))};
    const UdpPort port = World::port_of(world->ng(answer("call", "A", "B", audio_sdp(b))));
    world->send(b, for_b, rtp('B', 2, 1));
    if (is_new)
      world->ng(offer("other", "A", audio_sdp(a)));
    else
      world->at(1s, [&] { world->ng(offer("call", "B", audio_sdp(moved))); });
    world->at(2s, [&] { world->stop(); });
    world->at(402s, [&] { world->go_on(); });
    // Until the answer the proposed source is heard as well (LAT-15).
    for (const std::uint16_t n : {std::uint16_t{1}, std::uint16_t{2}})
      world->at(403s, [&, n] { world->send(moved, for_b, rtp('N', 7, n)); });
    json answered;
    world->at(404s, [&] {
      answered = is_new ? world->ng(answer("other", "A", "C", audio_sdp(b)))
                        : world->ng(answer("call", "B", "A", audio_sdp(a)));
    });
    world->at(405s, [&] { world->send(a, {world->relay_address(), port}, rtp('A', 1, 1)); });
    world->run(406s);
    EXPECT_EQ(answered.value("result", ""), "ok") << answered.dump();
    EXPECT_EQ(world->count(a, 'N'), is_new ? 0u : 2u);
    EXPECT_EQ(world->count(moved, 'A'), is_new ? 0u : 1u);
    EXPECT_EQ(world->manager().size(), is_new ? 2u : 1u);
  }
}

TEST(FieldPauses, C13_EncryptedCallsGoOnWithTheirCounters) {
  for (const Suite a : {Suite{}, Suite{SrtpSuite::kAes128Cm80}, Suite{SrtpSuite::kAeadAes256Gcm}}) {
    const auto world = make_sim_world();
    SecureCall call(*world, 1, a, SrtpSuite::kAes128Cm80);
    call.set_up();
    for (std::uint16_t n = 0; n < 100; ++n) {
      if (n == 50) {
        world->stop();
        call.pass(70s);
        world->go_on();
      }
      call.pass();
      EXPECT_EQ(call.across(0, rtp('A', 1, n)), rtp('A', 1, n));
      EXPECT_EQ(call.across(1, rtp('B', 2, n)), rtp('B', 2, n));
    }
    EXPECT_EQ(world->manager().size(), 1u);
  }
}

}  // namespace
}  // namespace ferry::test
