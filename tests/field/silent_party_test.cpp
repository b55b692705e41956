// SPDX-License-Identifier: Apache-2.0
// Parties that send nothing: media goes on to them (LAT-12), and who abuses that is stopped.
//
// Each call has a party A that talks and a party B that does not. `Calls` sets them up over either protocol,
// with the kernel's model below or without, and counts what reaches B.

#include "tests/support/kernel_model.hpp"
#include "tests/support/world.hpp"

#include <functional>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test::silent_party_test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

/// Where and how a test runs.
struct Place {
  std::string name;
  bool rtpproxy = false;
  bool below = false;
  std::size_t workers = 1;
};

const std::vector<Place> kPlaces = {{"NG", false, false},
                                    {"NG, kernel", false, true},
                                    {"rtpproxy", true, false},
                                    {"rtpproxy, kernel", true, true}};

/// What the SDP of B or its messages say beside its address; for NG.
struct Kind {
  std::string name;
  std::string attributes;
  json keys = json::object();
};

class Calls {
 public:
  explicit Calls(const Place& place, SessionConfig session = {}) {
    WorldOptions options;
    options.rtpproxy = place.rtpproxy;
    options.workers = place.workers;
    options.session = session;
    if (place.below)
      options.offload = [](SimNetwork& network) { return std::make_unique<KernelModel>(network); };
    world_ = make_sim_world(options);
  }

  struct Call {
    std::string id;
    Endpoint a, b;
    Endpoint for_a, for_b;  // where A and B send to
  };

  /// All B share one address unless `b_host` says otherwise.
  Call make(const Kind& kind = {}, char b_host = 'B') {
    Call call;
    call.id = fmt::format("call-{}", next_);
    const UdpPort port{static_cast<std::uint16_t>(4000 + 2 * next_++)};
    call.a = {world_->peer_address(1, 'A'), port};
    call.b = {world_->peer_address(1, b_host), port};
    world_->open(call.a);
    world_->open(call.b);
    call.for_b = to_relay(signal(call, 'A', call.a));
    call.for_a = to_relay(signal(call, 'B', call.b, kind));
    return call;
  }
  /// Where the next party has to send to.
  UdpPort signal(const Call& call, char who, const Endpoint& media, const Kind& kind = {}) {
    if (world_->is_rtpproxy())
      return World::port_of(world_->rtpproxy(fmt::format("{} {} {} {} A B", who == 'A' ? "U" : "L", call.id,
                                                         media.address.to_string(), media.port.value)));
    json request = who == 'A' ? offer(call.id, "A", audio_sdp(media, kind.attributes))
                              : answer(call.id, "A", "B", audio_sdp(media, kind.attributes));
    if (!kind.keys.is_null()) request.update(kind.keys);
    return World::port_of(world_->ng(request));
  }
  /// A talks to B in [from, to) at 50 packets a second, or every `gap`.
  void talk(const Call& call, Duration from, Duration to, Duration gap = 20ms) {
    for (Duration t = from; t < to; t += gap) {
      const auto n = static_cast<std::uint16_t>(t / gap + 1);
      world_->at(t, [=, this] { world_->send(call.a, call.for_a, rtp('A', 0xA, n)); });
    }
  }
  /// B sends `packet` every `gap`, through its RTCP port if `rtcp` is set.
  void keep(const Call& call, const Packet& packet, bool rtcp, Duration from, Duration to,
            Duration gap = 1s) {
    const auto port = [rtcp](const Endpoint& e) {
      return Endpoint{e.address, UdpPort{static_cast<std::uint16_t>(e.port.value + (rtcp ? 1 : 0))}};
    };
    for (Duration t = from; t < to; t += gap)
      world_->at(t, [=, this] { world_->send(port(call.b), port(call.for_b), packet); });
  }
  /// Packets that reached B in [from, to).
  [[nodiscard]] std::size_t heard(const Call& call, Duration from, Duration to) const {
    return static_cast<std::size_t>(std::ranges::count_if(world_->received(), [&](const Received& r) {
      return r.at == call.b && r.when >= from && r.when < to;
    }));
  }
  World& world() { return *world_; }

 private:
  [[nodiscard]] Endpoint to_relay(UdpPort port) const { return {world_->relay_address(), port}; }

  std::unique_ptr<World> world_;
  std::uint16_t next_ = 0;
};

Packet stun_indication() {
  Packet packet(20);
  write_u16(packet, 0, 0x0011);
  write_u32(packet, 4, 0x2112a442);
  return packet;
}

// ---------------------------------------------------------------- one silent party

TEST(FieldSilentParty, LAT12_I09_EveryPacketArrivesForTheWholeCall) {
  const std::vector<Kind> kinds = {
      {"recvonly", "a=recvonly\r\n", {}},
      {"sendrecv, silence suppression", "", {}},
      {"provisional answer (183)", "", {{"flags", {"provisional"}}}},
      {"signalling came from elsewhere", "a=recvonly\r\n", {{"received-from", {"IP4", "192.0.2.200"}}}},
      {"signalling came from the party", "a=recvonly\r\n", {{"received-from", {"IP4", "198.51.1.66"}}}},
      {"asymmetric", "", {{"flags", {"asymmetric"}}}},
  };
  for (const Place& place : kPlaces) {
    for (const Kind& kind : kinds) {
      Calls calls(place);
      const auto call = calls.make(kind);
      calls.talk(call, 0s, 60s);
      calls.world().run(61s);
      EXPECT_EQ(calls.heard(call, 0s, 61s), 3000u) << place.name << ": " << kind.name;
      if (place.rtpproxy) break;  // it says nothing of all that
    }
  }
}

TEST(FieldSilentParty, LAT12_AHeldPartyAtAnotherPortHearsMusic) {
  for (const Place& place : kPlaces) {
    Calls calls(place);
    auto call = calls.make();
    calls.talk(call, 0s, 60s);
    for (Duration t = 0s; t < 3s; t += 20ms)
      calls.world().at(t, [&, t] {
        calls.world().send(call.b, call.for_b, rtp('B', 0xB, static_cast<std::uint16_t>(t / 20ms + 1)));
      });
    const Endpoint other{call.b.address, UdpPort{5000}};
    calls.world().open(other);
    calls.world().at(5s, [&] {
      calls.signal(call, 'A', call.a, {"", "a=sendonly\r\n", {{"to-tag", "B"}}});
      calls.signal(call, 'B', other, {"", "a=recvonly\r\n", {}});
    });
    calls.world().run(61s);
    call.b = other;
    EXPECT_GE(calls.heard(call, 5s, 61s), 55u * 50 - 1) << place.name;
  }
}

TEST(FieldSilentParty, LAT12_ASilentCallerHearsRingBack) {
  Calls calls(kPlaces[0]);
  const auto call = calls.make({"", "", {{"flags", {"provisional"}}}});
  for (Duration t = 0s; t < 40s; t += 20ms)
    calls.world().at(t, [&, t] {
      calls.world().send(call.b, call.for_b, rtp('B', 0xB, static_cast<std::uint16_t>(t / 20ms + 1)));
    });
  calls.world().run(41s);
  EXPECT_EQ(calls.world().count(call.a, 'B'), 2000u);
}

// ---------------------------------------------------------------- many at one address

TEST(FieldSilentParty, LAT12_I07_TwentyOfFortyUnheardGoOn) {
  for (const Place& place : kPlaces) {
    Calls calls(place);
    std::vector<Calls::Call> all;
    for (int i = 0; i < 40; ++i) all.push_back(calls.make());
    for (const auto& call : all) calls.talk(call, 0s, 30s);
    calls.world().run(31s);
    std::size_t goes_on = 0;
    for (const auto& call : all) {
      EXPECT_GE(calls.heard(call, 0s, 10s), 499u) << place.name << ": all are heard for 10 s";
      const std::size_t late = calls.heard(call, 10100ms, 31s);
      EXPECT_TRUE(late == 0 || late >= 994) << place.name << ": " << late;
      goes_on += late > 0 ? 1u : 0u;
    }
    EXPECT_EQ(goes_on, 20u) << place.name;
  }
}

/// Makes 40 calls with `kind` to one address; gives how many still hear A after 15 s.
std::size_t going_on(Calls& calls, std::vector<Calls::Call>& all, const Kind& kind = {}) {
  for (int i = 0; i < 40; ++i) all.push_back(calls.make(kind));
  for (const auto& call : all) calls.talk(call, 0s, 20s, 100ms);
  calls.world().run(21s);
  return static_cast<std::size_t>(
      std::ranges::count_if(all, [&](const auto& call) { return calls.heard(call, 15s, 20s) > 40; }));
}

TEST(FieldSilentParty, LAT12_WhoIsLimited) {
  struct Case {
    std::string name;
    Kind kind;
    std::size_t goes_on;
    std::size_t workers = 1;
    std::size_t per_address = 20;
  };
  const std::vector<Case> cases = {
      {"nobody answers", {}, 20},
      {"on four workers", {}, 20, 4},
      {"unheard-per-address = 5", {}, 5, 2, 5},
      {"unheard-per-address = 0", {}, 40, 1, 0},
      {"recvonly", {"", "a=recvonly\r\n", {}}, 20},
      {"provisional answers", {"", "", {{"flags", {"provisional"}}}}, 20},
      {"signalling came from there", {"", "", {{"received-from", {"IP4", "198.51.1.66"}}}}, 40},
      {"signalling came from elsewhere", {"", "", {{"received-from", {"IP4", "192.0.2.200"}}}}, 20},
      {"unidirectional", {"", "", {{"flags", {"unidirectional"}}}}, 40},
      {"asymmetric", {"", "", {{"flags", {"asymmetric"}}}}, 40},
  };
  for (const Case& each : cases) {
    SessionConfig session;
    session.unheard_per_address = each.per_address;
    Calls calls({each.name, false, false, each.workers}, session);
    std::vector<Calls::Call> all;
    EXPECT_EQ(going_on(calls, all, each.kind), each.goes_on) << each.name;
  }
}

TEST(FieldSilentParty, LAT12_EachPartyOfTheAddressThatIsHeardAllowsFourMore) {
  for (const Place& place : {kPlaces[0], kPlaces[3]}) {
    Calls calls(place);
    const auto loud = calls.make();
    calls.talk(loud, 0s, 20s);
    for (Duration t = 0s; t < 20s; t += 20ms)
      calls.world().at(t, [&, t] {
        calls.world().send(loud.b, loud.for_b, rtp('B', 0xB, static_cast<std::uint16_t>(t / 20ms + 1)));
      });
    std::vector<Calls::Call> all;
    EXPECT_EQ(going_on(calls, all), 24u) << place.name;
  }
}

TEST(FieldSilentParty, LAT12_AnyValidPacketCountsAsHeard) {
  struct Case {
    std::string name;
    Packet packet;
    bool rtcp = false;
    bool counts = true;
  };
  Packet other_version = rtp('B', 0xB, 1);
  write_u8(other_version, 0, 0);
  const std::vector<Case> cases = {
      {"RTP", rtp('B', 0xB, 1)},
      {"RTP without payload", rtp('B', 0xB, 1, 8, 0)},
      {"RTCP", receiver_report(0xB), true},
      {"empty datagram (RFC 6263 4.1)", {}},
      {"unknown payload type (4.6)", rtp('B', 0xB, 1, 55)},
      {"other version (4.5)", other_version},
      {"STUN indication (4.4)", stun_indication()},
      {"three octets of nothing", bytes_of({1, 2, 3}), false, false},
  };
  for (const Place& place : {kPlaces[0], kPlaces[1]}) {
    for (const Case& each : cases) {
      Calls calls(place);
      std::vector<Calls::Call> all;
      for (int i = 0; i < 22; ++i) all.push_back(calls.make());
      for (const auto& call : all) calls.talk(call, 0s, 30s);
      calls.keep(all.back(), each.packet, each.rtcp, 15s, 15500ms);
      calls.world().run(30s);
      EXPECT_EQ(calls.heard(all.back(), 11s, 15s), 0u) << each.name;
      EXPECT_EQ(calls.heard(all.back(), 16s, 30s) > 600, each.counts) << place.name << ": " << each.name;
    }
  }
}

TEST(FieldSilentParty, LAT12_ThePlaceOfACallThatEndsIsFree) {
  SessionConfig session;
  session.delete_delay = 0s;
  Calls calls(kPlaces[0], session);
  std::vector<Calls::Call> all;
  for (int i = 0; i < 21; ++i) all.push_back(calls.make());
  for (const auto& call : all) calls.talk(call, 0s, 30s);
  calls.world().at(20s, [&] {
    calls.world().ng({{"command", "delete"}, {"call-id", all.front().id}, {"from-tag", "A"}});
  });
  calls.world().run(30s);
  EXPECT_EQ(calls.heard(all.back(), 11s, 20s), 0u);
  EXPECT_GT(calls.heard(all.back(), 22s, 30s), 390u);
}

TEST(FieldSilentParty, LAT12_OtherAddressesAreNotLimited) {
  Calls calls(kPlaces[0]);
  std::vector<Calls::Call> all;
  for (int i = 0; i < 40; ++i) all.push_back(calls.make({}, static_cast<char>('B' + i % 2 * 20)));
  for (const auto& call : all) calls.talk(call, 0s, 20s, 100ms);
  calls.world().run(20s);
  for (const auto& call : all) EXPECT_EQ(calls.heard(call, 0s, 20s), 200u);
}

TEST(FieldSilentParty, LAT12_TheLimitSurvivesExportAndRestore) {
  Calls calls(kPlaces[0]);
  std::vector<Calls::Call> all;
  for (int i = 0; i < 21; ++i) all.push_back(calls.make());
  for (const auto& call : all) calls.talk(call, 0s, 30s);
  calls.world().at(14s, [&] {
    SessionManager& manager = calls.world().manager();
    const json record = manager.export_call(all.back().id, calls.world().clock());
    ASSERT_TRUE(manager.terminate(all.back().id, calls.world().clock()));
    manager.flush(calls.world().clock());
    ASSERT_TRUE(manager.restore_call(record, calls.world().clock()));
  });
  calls.world().run(30s);
  EXPECT_EQ(calls.heard(all.back(), 11s, 14s), 0u);
  EXPECT_LE(calls.heard(all.back(), 14s, 30s), 51u) << "its answer is not new";
}

// ---------------------------------------------------------------- ICMP errors

TEST(FieldSilentParty, LAT12_I08_AHostThatRefusesIsPausedAndProbed) {
  for (const Place& place : kPlaces) {
    Calls calls(place);
    const auto call = calls.make();
    calls.world().refuse(call.b);
    calls.talk(call, 0s, 20s);
    calls.world().at(10s, [&] { calls.world().open(call.b); });
    calls.world().run(20s);
    const json shown = calls.world().manager().show(calls.world().is_rtpproxy() ? call.id + " A" : call.id,
                                                    calls.world().clock());
    const std::string text = shown.dump();
    EXPECT_NE(text.find("peer-unreachable"), std::string::npos) << place.name;
    EXPECT_GE(calls.heard(call, 12s, 20s), 399u) << place.name << ": it listens again";
  }
}

TEST(FieldSilentParty, LAT12_ErrorsOfAPartyThatIsHeardPauseNothing) {
  for (const Place& place : kPlaces) {
    Calls calls(place);
    const auto call = calls.make();
    calls.talk(call, 0s, 20s);
    for (Duration t = 0s; t < 20s; t += 20ms)
      calls.world().at(t, [&, t] {
        calls.world().send(call.b, call.for_b, rtp('B', 0xB, static_cast<std::uint16_t>(t / 20ms + 1)));
      });
    // It restarts: for 4 s nobody listens, and it goes on to send.
    calls.world().at(8s, [&] { calls.world().refuse(call.b); });
    calls.world().at(12s, [&] { calls.world().open(call.b); });
    calls.world().run(20s);
    EXPECT_GE(calls.heard(call, 12s, 20s), 399u) << place.name;
  }
}

TEST(FieldSilentParty, LAT12_APartyThatRefusesInTheMiddleResumesByItsOwnPacket) {
  for (const Place& place : kPlaces) {
    Calls calls(place);
    const auto call = calls.make();
    calls.talk(call, 0s, 40s);
    const auto speak = [&](Duration from, Duration to) {
      for (Duration t = from; t < to; t += 20ms)
        calls.world().at(t, [&, t] {
          calls.world().send(call.b, call.for_b, rtp('B', 0xB, static_cast<std::uint16_t>(t / 20ms + 1)));
        });
    };
    speak(0s, 5s);
    calls.world().at(5s, [&] { calls.world().refuse(call.b); });
    calls.world().at(30s, [&] { calls.world().open(call.b); });
    speak(30010ms, 40s);
    calls.world().run(40s);
    EXPECT_GE(calls.heard(call, 30100ms, 40s), 494u) << place.name;
  }
}

TEST(FieldSilentParty, LAT12_ThePauseOfRtcpLeavesRtpAlone) {
  Calls calls(kPlaces[0]);
  const auto call = calls.make();
  calls.world().refuse({call.b.address, UdpPort{static_cast<std::uint16_t>(call.b.port.value + 1)}});
  calls.talk(call, 0s, 20s);
  for (Duration t = 0s; t < 20s; t += 200ms)
    calls.world().at(t, [&] {
      calls.world().send({call.a.address, UdpPort{static_cast<std::uint16_t>(call.a.port.value + 1)}},
                         {call.for_a.address, UdpPort{static_cast<std::uint16_t>(call.for_a.port.value + 1)}},
                         receiver_report(0xA));
    });
  calls.world().run(20s);
  EXPECT_EQ(calls.heard(call, 0s, 20s), 1000u);
}

}  // namespace
}  // namespace ferry::test::silent_party_test
