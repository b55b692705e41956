// SPDX-License-Identifier: Apache-2.0
// What `latch` and `endpoint-learning` ask for by name (LAT-3, LAT-4a, LAT-8): another port of
// the party's address, a party that comes back to its port, strangers at a port that nobody was told.

#include "tests/support/kernel_model.hpp"
#include "tests/support/world.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::learning_by_name_test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

struct Case {
  std::string name;
  json keys = json::object();  // of offer and answer
  SessionConfig session{};
  bool rtpproxy = false;
};

SessionConfig with(LatchPolicy policy, LearningAlgorithm algorithm = LearningAlgorithm::kRules) {
  SessionConfig session;
  session.latch = session.rtpproxy.latch = policy;
  session.learning = algorithm;
  return session;
}

/// A call of A and B in a world of its own; A moves to another port of its address and back.
class Call {
 public:
  Call(const Case& how, bool below) {
    WorldOptions options;
    options.session = how.session;
    options.rtpproxy = how.rtpproxy;
    if (below) options.offload = [](SimNetwork& network) { return std::make_unique<KernelModel>(network); };
    world_ = make_sim_world(options);
    for (const Endpoint& each : {a, other, b, x}) world_->open(each);
    if (how.rtpproxy) {
      for_b_ = say("U", a);
      for_a_ = say("L", b);
      return;
    }
    json request = offer("call", "A", audio_sdp(a));
    if (!how.keys.is_null()) request.update(how.keys);
    for_b_ = World::port_of(world_->ng(request));
    request = answer("call", "A", "B", audio_sdp(b));
    if (!how.keys.is_null()) request.update(how.keys);
    for_a_ = World::port_of(world_->ng(request));
  }
  /// 50 packets/s from `from`, to the port that `who` was told. The sequence goes on with the time.
  void stream(char who, const Endpoint& from, Duration start, Duration end, std::uint32_t ssrc) {
    for (Duration t = start; t < end; t += 20ms) {
      const Endpoint to{world_->relay_address(), who == 'B' ? for_b_ : for_a_};
      const Packet packet = rtp(who, ssrc, static_cast<std::uint16_t>(t / 20ms + 1));
      world_->at(t, [=, this] { world_->send(from, to, packet); });
    }
  }
  [[nodiscard]] std::size_t heard(const Endpoint& at, Duration from, Duration to) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        world_->received(), [&](const Received& r) { return r.at == at && r.when >= from && r.when < to; }));
  }
  void run(Duration end) { world_->run(end); }

  const Endpoint a{IpAddress::v4({198, 51, 1, 'A'}), UdpPort{4000}};
  const Endpoint other{IpAddress::v4({198, 51, 1, 'A'}), UdpPort{4100}};
  const Endpoint b{IpAddress::v4({198, 51, 1, 'B'}), UdpPort{4000}};
  const Endpoint x{IpAddress::v4({198, 51, 1, 'X'}), UdpPort{4000}};

 private:
  UdpPort say(const std::string& command, const Endpoint& media) {
    return World::port_of(world_->rtpproxy(command + " call " + media.address.to_string() + " " +
                                           std::to_string(media.port.value) + " A B"));
  }

  std::unique_ptr<World> world_;
  UdpPort for_a_;
  UdpPort for_b_;
};

TEST(FieldLearningByName, LAT8c_OffNeverFollowsAnotherPort) {
  const std::vector<Case> cases = {
      {"option latch=off", {}, with(LatchPolicy::kOff)},
      {"key latch", {{"latch", "off"}}},
      {"key endpoint-learning", {{"endpoint-learning", "off"}}},
      {"flag endpoint-learning-off", {{"flags", {"endpoint-learning-off"}}}},
      {"with media-handover", {{"latch", "off"}, {"flags", {"media-handover"}}}},
      {"rtpproxy protocol", {}, with(LatchPolicy::kOff), true},
  };
  for (const Case& each : cases) {
    for (const bool below : {false, true}) {
      Call call(each, below);
      const std::string what = each.name + (below ? ", kernel" : "");
      call.stream('B', call.b, 0s, 10s, 0xB);
      call.stream('A', call.a, 0s, 4s, 0xA);
      call.stream('A', call.other, 4700ms, 6s, 0xA);  // the same stream goes on, after 700 ms
      call.stream('A', call.a, 7s, 10s, 0xA);
      call.run(11s);
      EXPECT_EQ(call.heard(call.b, 4s, 7s), 0u) << what;
      EXPECT_EQ(call.heard(call.other, 0s, 11s), 0u) << what;
      EXPECT_EQ(call.heard(call.b, 7s, 11s), 150u) << what;
      EXPECT_EQ(call.heard(call.a, 0s, 11s), 500u) << what;
    }
  }
}

TEST(FieldLearningByName, LAT8_TheSignalledPortTakesTheStreamBack) {
  const std::vector<Case> cases = {
      {"default"},
      {"latch=uncontested", {{"latch", "uncontested"}}},
      {"latch=any", {{"latch", "any"}}},
      {"media-handover", {{"flags", {"media-handover"}}}},
      {"rtpproxy protocol", {}, {}, true},
  };
  for (const Case& each : cases) {
    for (const bool below : {false, true}) {
      Call call(each, below);
      const std::string what = each.name + (below ? ", kernel" : "");
      call.stream('B', call.b, 0s, 20s, 0xB);
      call.stream('A', call.a, 0s, 4s, 0xA);
      call.stream('A', call.other, 4700ms, 12s, 0xA);
      call.stream('A', call.a, 12s, 20s, 0xA);
      call.run(21s);
      EXPECT_EQ(call.heard(call.other, 4800ms, 12s), 360u) << what << ": NAT rebinding";
      EXPECT_EQ(call.heard(call.b, 12s, 21s), 400u) << what;
      EXPECT_GE(call.heard(call.a, 12s, 21s), 399u) << what;
    }
  }
}

TEST(FieldLearningByName, LAT4a_AStrangerAtAPortThatNobodyWasToldIsNotTheCaller) {
  const std::vector<Case> cases = {
      {"heuristic", {}, with(LatchPolicy::kSignalled, LearningAlgorithm::kHeuristic)},
      {"delayed", {}, with(LatchPolicy::kSignalled, LearningAlgorithm::kDelayed)},
      {"immediate", {}, with(LatchPolicy::kSignalled, LearningAlgorithm::kImmediate)},
      {"key endpoint-learning", {{"endpoint-learning", "heuristic"}}},
      {"latch=any", {{"latch", "any"}}},
      {"default"},
      {"uncontested", {{"latch", "uncontested"}}},
  };
  for (const Case& each : cases) {
    WorldOptions options;
    options.session = each.session;
    const auto world = make_sim_world(options);
    const Endpoint a{world->peer_address(1, 'A'), UdpPort{4000}};
    const Endpoint b{world->peer_address(1, 'B'), UdpPort{4000}};
    const Endpoint x{world->peer_address(1, 'X'), UdpPort{4000}};
    for (const Endpoint& e : {a, b, x}) world->open(e);
    json request = offer("call", "A", audio_sdp(a));
    if (!each.keys.is_null()) request.update(each.keys);
    const UdpPort for_b = World::port_of(world->ng(request));
    // X guesses: it sends to every port there is.
    const IpAddress relay = world->relay_address();
    for (Duration t = 0s; t < 3s; t += 20ms)
      world->at(t, [&, t] {
        for (std::uint16_t port = 30000; port < 30100; port += 2) {
          if (UdpPort{port} == for_b) continue;
          world->send(x, {relay, UdpPort{port}}, rtp('X', 0xEE, static_cast<std::uint16_t>(t / 20ms + 1)));
        }
      });
    for (Duration t = 0s; t < 10s; t += 20ms)  // B speaks before its answer (RFC 3960)
      world->at(t, [&, t] {
        world->send(b, {relay, for_b}, rtp('B', 0xB, static_cast<std::uint16_t>(t / 20ms + 1)));
      });
    UdpPort for_a;
    world->at(3500ms, [&] {
      json back = answer("call", "A", "B", audio_sdp(b));
      if (!each.keys.is_null()) back.update(each.keys);
      for_a = World::port_of(world->ng(back));
    });
    for (Duration t = 4s; t < 10s; t += 20ms)
      world->at(t, [&, t] {
        world->send(a, {relay, for_a}, rtp('A', 0xA, static_cast<std::uint16_t>(t / 20ms + 1)));
      });
    world->run(11s);
    EXPECT_EQ(world->count(x), 0u) << each.name;
    EXPECT_EQ(world->count(b, 'X') + world->count(a, 'X'), 0u) << each.name;
    EXPECT_EQ(world->count(b, 'A'), 300u) << each.name;
    EXPECT_GE(world->count(a, 'B'), 300u) << each.name;
  }
}

}  // namespace
}  // namespace ferry::test::learning_by_name_test
