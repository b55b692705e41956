// SPDX-License-Identifier: Apache-2.0
// Payload types that no SDP of the call has: phones send comfort noise, events and numbers of their own
// (DMX-4).
#include "tests/support/kernel_model.hpp"
#include "tests/support/world.hpp"

#include <optional>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::uint32_t kAlice = 0xa11ce;
constexpr std::uint32_t kBob = 0xb0b;

/// A call of two phones with PCMA and PCMU, answered; both were heard and are locked.
class Pair {
 public:
  explicit Pair(WorldOptions options = {}, const json& more_offer = {}, const json& more_answer = {})
      : world_(make_sim_world(options)) {
    json o = offer("c", "A", audio_sdp(a_, offered_));
    json w = answer("c", "A", "B", audio_sdp(b_, answered_));
    world_->open(a_);
    world_->open(b_);
    if (more_offer.is_object()) o.update(more_offer);
    if (more_answer.is_object()) w.update(more_answer);
    to_b_ = {world_->relay_address(), World::port_of(world_->ng(o))};
    to_a_ = {world_->relay_address(), World::port_of(world_->ng(w))};
  }

  void talk(std::uint8_t type = 8) {
    alice(type);
    bob(type);
  }
  void alice(std::uint8_t type, std::uint32_t ssrc = kAlice) {
    world_->send(a_, to_a_, rtp('A', ssrc, next_a_++, type));
  }
  void bob(std::uint8_t type, std::uint32_t ssrc = kBob) {
    world_->send(b_, to_b_, rtp('B', ssrc, next_b_++, type));
  }
  /// Packets of `type` that Bob got, and that Alice got.
  [[nodiscard]] std::size_t bob_got(std::uint8_t type) const { return got(b_, type); }
  [[nodiscard]] std::size_t alice_got(std::uint8_t type) const { return got(a_, type); }
  [[nodiscard]] json media(const char* tag) {
    const json call = world_->manager().show("c", world_->clock());
    for (const json& leg : call.at("legs")) {
      if (leg["tag"] == tag) return leg["medias"][0];
    }
    return nullptr;
  }
  [[nodiscard]] std::uint64_t drops(const char* tag, const char* reason) {
    return media(tag).value("drops", json::object()).value(reason, std::uint64_t{0});
  }
  [[nodiscard]] std::string cause(const char* tag) {
    const json all = world_->manager().explain("c", false, world_->clock());
    for (const json& each : all.at("verdicts")) {
      if (each["leg"] == tag && each["direction"] == "from") return each["cause"];
    }
    return {};
  }
  [[nodiscard]] std::string latch(const char* tag) { return media(tag)["streams"][0]["latch_state"]; }
  World& operator*() { return *world_; }
  World* operator->() { return world_.get(); }

  const Endpoint a_{IpAddress::v4({192, 0, 2, 10}), UdpPort{4000}};
  const Endpoint b_{IpAddress::v4({192, 0, 2, 20}), UdpPort{5000}};
  Endpoint to_a_;
  Endpoint to_b_;
  std::uint16_t next_a_ = 1;
  std::uint16_t next_b_ = 1;

 private:
  [[nodiscard]] std::size_t got(const Endpoint& at, std::uint8_t type) const {
    return static_cast<std::size_t>(std::ranges::count_if(world_->received(), [&](const Received& r) {
      return r.at == at && (read_u8(r.packet, 1) & 0x7f) == type;
    }));
  }
  std::string offered_ = "";
  std::string answered_ = "";
  std::unique_ptr<World> world_;
};

/// How a call is made and what the parties then do; who gets packets of types that were not negotiated.
struct TypeCase {
  const char* name;
  json offer = json::object();
  json answer = json::object();
  /// Command after the answer; null = none.
  json command = nullptr;
  std::uint8_t type = 13;
  bool bob_hears_alice = true;
  bool alice_hears_bob = true;
  bool strict_daemon = false;
  bool strict_interface = false;
};

void PrintTo(const TypeCase& row, std::ostream* out) { *out << row.name; }

json flags(std::initializer_list<const char*> words) {
  return {{"flags", std::vector<std::string>(words.begin(), words.end())}};
}
json codec(const char* operation, const char* name) { return {{"codec", {{operation, {name}}}}}; }

/// What Bob answers if he was shown nothing else.
json only_pcma() {
  return {
      {"sdp",
       "v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n"
       "a=rtpmap:8 PCMA/8000\r\n"}};
}

const TypeCase kTypes[] = {
    {.name = "ComfortNoise"},
    {.name = "EventsOfAnotherNumber", .type = 96},
    {.name = "AsymmetricDynamicNumber", .type = 127},
    {.name = "AStaticCodecThatNobodyOffered", .type = 9},
    {.name = "RtcpConflictRangeWithoutMux", .type = 72},
    {.name = "RtcpConflictRangeWithMux",
     .offer = {{"rtcp-mux", {"offer", "require"}}},
     .answer = {{"rtcp-mux", {"offer", "require"}}},
     .type = 72,
     .alice_hears_bob = false},
    {.name = "FlagStrict",
     .offer = flags({"strict-payload-types"}),
     .bob_hears_alice = false,
     .alice_hears_bob = false},
    {.name = "FlagStrictInTheAnswer",
     .answer = flags({"strict payload types"}),
     .bob_hears_alice = false,
     .alice_hears_bob = false},
    {.name = "KeyStrict",
     .offer = {{"strict-payload-types", "yes"}},
     .bob_hears_alice = false,
     .alice_hears_bob = false},
    {.name = "DaemonStrict", .bob_hears_alice = false, .alice_hears_bob = false, .strict_daemon = true},
    {.name = "TheCallOverridesTheDaemon", .offer = {{"strict-payload-types", "no"}}, .strict_daemon = true},
    {.name = "InterfaceStrict", .bob_hears_alice = false, .alice_hears_bob = false, .strict_interface = true},
    {.name = "CodecStrippedInTheOffer", .offer = codec("strip", "PCMU"), .alice_hears_bob = false},
    {.name = "StrippedCodecItself",
     .offer = codec("strip", "PCMU"),
     .answer = only_pcma(),
     .type = 0,
     .bob_hears_alice = false,
     .alice_hears_bob = false},
    {.name = "CodecMaskedInTheOffer",
     .offer = codec("mask", "PCMU"),
     .answer = only_pcma(),
     .type = 0,
     .bob_hears_alice = false,
     .alice_hears_bob = false},
    {.name = "AllCodecsButOne",
     .offer = {{"codec", {{"strip", {"all"}}, {"except", {"PCMA"}}}}},
     .alice_hears_bob = false},
    {.name = "SingleCodecInTheAnswer", .answer = flags({"single-codec"}), .bob_hears_alice = false},
    {.name = "EventsBlocked",
     .command = {{"command", "block DTMF"}, {"call-id", "c"}},
     .bob_hears_alice = false,
     .alice_hears_bob = false},
    {.name = "EventsOfOnePartyBlocked",
     .command = {{"command", "block DTMF"}, {"call-id", "c"}, {"from-tag", "A"}, {"flags", {"directional"}}},
     .type = 96,
     .bob_hears_alice = false},
    {.name = "MediaSilenced",
     .command = {{"command", "silence media"}, {"call-id", "c"}},
     .bob_hears_alice = false,
     .alice_hears_bob = false},
};

class FieldPayloadTypes : public testing::TestWithParam<TypeCase> {};

TEST_P(FieldPayloadTypes, DMX4_PassFromALockedSourceUnlessSomebodySaysNo) {
  const TypeCase& row = GetParam();
  WorldOptions options;
  options.session.strict_payload_types = row.strict_daemon;
  options.strict_payload_types = row.strict_interface;
  Pair call(options, row.offer, row.answer);
  call.talk();
  if (!row.command.is_null()) {
    const json reply = call->ng(row.command);
    ASSERT_EQ(reply["result"], "ok") << reply;
  }
  for (int i = 0; i < 3; ++i) {
    call.alice(row.type);
    call.bob(row.type);
  }
  EXPECT_EQ(call.bob_got(row.type), row.bob_hears_alice ? 3u : 0u);
  EXPECT_EQ(call.alice_got(row.type), row.alice_hears_bob ? 3u : 0u);
  EXPECT_EQ(call.drops("A", "unknown-payload-type") + call.drops("A", "blocked"),
            row.bob_hears_alice ? 0u : 3u);
  EXPECT_EQ(call.drops("B", "unknown-payload-type") + call.drops("B", "blocked"),
            row.alice_hears_bob ? 0u : 3u);
}

INSTANTIATE_TEST_SUITE_P(Table, FieldPayloadTypes, testing::ValuesIn(kTypes),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(FieldPayloadTypesOfStrangers, DMX4_FoundNothing) {
  Pair call;
  // Neither of them locks: the party's own address is not enough.
  call.alice(13);
  call.alice(13);
  EXPECT_EQ(call.bob_got(13), 0u);
  EXPECT_EQ(call.latch("A"), "learning");
  call.talk();
  EXPECT_EQ(call.latch("A"), "locked");
  // A new SSRC is not admitted by them.
  for (int i = 0; i < 4; ++i) call.alice(13, 0xbad);
  EXPECT_EQ(call.bob_got(13), 0u);
  call.alice(8, 0xbad);
  EXPECT_EQ(call.bob_got(8), 1u) << "the first of two";
  // Neither does a jump of the numbers begin with them.
  call.next_a_ = 20'000;
  call.alice(13);
  call.alice(8);
  EXPECT_EQ(call.bob_got(8), 1u) << "the first number behind the jump is that of this packet";
  // Somebody else's are foreign.
  const Endpoint stranger{IpAddress::v4({203, 0, 113, 5}), UdpPort{9}};
  call->send(stranger, call.to_a_, rtp('X', kAlice, 3, 13));
  EXPECT_EQ(call.bob_got(13), 0u);
  EXPECT_EQ(call.drops("A", "foreign-source"), 1u);
}

TEST(FieldPayloadTypesCounted, DMX4_NoLossIsMadeOfThemAndTheyAreANote) {
  Pair call;
  call->run(1s);
  std::uint8_t beat = 0;
  for (int i = 0; i < 50; ++i) {
    call->at(1s + i * 20ms, [&call, &beat] { call.talk(++beat % 5 == 0 ? 13 : 8); });
  }
  call->run(2500ms);
  EXPECT_EQ(call.bob_got(13), 10u);
  EXPECT_EQ(call.cause("A"), "other-type-passes");
  const json seen = call.media("A");
  EXPECT_EQ(seen["received"][0]["lost"], 0);
  EXPECT_EQ(seen["received"][0]["packets"], 50);
  EXPECT_EQ(seen["other_type_packets"], 10);
  EXPECT_EQ(call->manager().plane().worker(0).totals().other_type_packets.load(), 20u);
}

TEST(FieldPayloadTypesBelow, DMX4_TheKernelFollowsTheSameRule) {
  KernelModel* kernel = nullptr;
  WorldOptions options;
  options.offload = [&](SimNetwork& network) {
    auto made = std::make_unique<KernelModel>(network);
    kernel = made.get();
    return made;
  };
  Pair call(options);
  std::uint8_t beat = 0;
  for (int i = 0; i < 200; ++i)
    call->at(1s + i * 20ms, [&call, &beat] { call.talk(++beat % 5 == 0 ? 13 : 8); });
  call->run(6s);
  EXPECT_EQ(call.bob_got(13), 40u);
  EXPECT_EQ(call.bob_got(8), 160u);
  EXPECT_EQ(call.cause("A"), "other-type-passes");
  ASSERT_NE(kernel, nullptr);
  EXPECT_GT(call->forwarded_by_kernel(), 350u) << "the first of a type goes up, the others stay below";
  // A command sends them up again, and they are dropped there.
  ASSERT_EQ(call->ng({{"command", "block DTMF"}, {"call-id", "c"}})["result"], "ok");
  for (int i = 0; i < 5; ++i) {
    call->at(7s + i * 20ms, [&call] { call.talk(13); });
  }
  call->run(8s);
  EXPECT_EQ(call.bob_got(13), 40u);
  EXPECT_EQ(call.drops("A", "unknown-payload-type"), 5u);
}

TEST(FieldPayloadTypesAsymmetric, DMX4_TheSetIsThatOfOurOwnOffer) {
  // RFC 3264 §6.1: each side names the numbers that it wants to get, and is shown its own (docs/adr/0015).
  // Strict, so that only the sets decide.
  WorldOptions options;
  options.session.strict_payload_types = true;
  auto world = make_sim_world(options);
  const Endpoint a{IpAddress::v4({192, 0, 2, 10}), UdpPort{4000}};
  const Endpoint b{IpAddress::v4({192, 0, 2, 20}), UdpPort{5000}};
  const auto sdp = [](const Endpoint& at, int events) {
    return fmt::format(
        "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP 8 {2}\r\n"
        "a=rtpmap:8 PCMA/8000\r\na=rtpmap:{2} telephone-event/8000\r\n",
        at.address.to_string(), at.port.value, events);
  };
  const Endpoint to_b{world->relay_address(), World::port_of(world->ng(offer("c", "A", sdp(a, 101))))};
  const Endpoint to_a{world->relay_address(), World::port_of(world->ng(answer("c", "A", "B", sdp(b, 96))))};
  world->open(b);
  world->send(a, to_a, rtp('A', kAlice, 1));
  world->send(b, to_b, rtp('B', kBob, 1));
  world->send(a, to_a, rtp('A', kAlice, 2, 96));
  world->send(b, to_b, rtp('B', kBob, 2, 101));
  EXPECT_EQ(world->count(b, 'A'), 1u) << "A was never shown 96";
  EXPECT_EQ(world->count(a, 'B'), 2u);
  world->send(a, to_a, rtp('A', kAlice, 3, 101));
  EXPECT_EQ(world->count(b, 'A'), 2u);
  EXPECT_EQ(read_u8(world->received().back().packet, 1) & 0x7f, 96) << "B knows events by its own number";
  // Who sends under its own number is understood, too, where it means nothing else.
  world->send(b, to_b, rtp('B', kBob, 3, 96));
  EXPECT_EQ(world->count(a, 'B'), 3u);
  EXPECT_EQ(read_u8(world->received().back().packet, 1) & 0x7f, 101);
}

}  // namespace
}  // namespace ferry::test
