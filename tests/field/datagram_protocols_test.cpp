// SPDX-License-Identifier: Apache-2.0
// Which datagrams beside RTP pass: an SDP must name a protocol that is spoken over UDP, and they must have
// its form (DMX-6). Before, a section of any protocol, TCP among them, was a way for any datagram to any
// host.
#include "tests/support/kernel_model.hpp"
#include "tests/support/shapes.hpp"
#include "tests/support/world.hpp"

#include <regex>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

std::unique_ptr<World> make_world(bool kernel) {
  WorldOptions options;
  options.session.timeout = options.session.silent_timeout = options.session.rtpproxy.timeout = 1h;
  if (kernel) options.offload = [](SimNetwork& network) { return std::make_unique<KernelModel>(network); };
  return make_sim_world(options);
}

/// Names of the datagrams that `at` got.
std::set<std::string> names_at(const World& world, const Endpoint& at) {
  std::set<std::string> names;
  for (const Received& each : world.received()) {
    if (each.at != at) continue;
    for (const Shape& shape : shapes()) {
      if (shape.packet == each.packet) names.insert(shape.name);
    }
  }
  return names;
}

std::set<std::string> all_names() {
  std::set<std::string> names;
  for (const Shape& shape : shapes()) names.insert(shape.name);
  return names;
}

/// A call of audio and one section of another protocol, answered.
class SectionCall {
 public:
  SectionCall(World& world, const std::string& protocol, const json& more = {},
              const char* type = "application")
      : world_(world) {
    const auto with = [&](const Endpoint& audio, const Endpoint& other) {
      return audio_sdp(audio,
                       fmt::format("m={} {} {} *\r\na=floorctrl:c-s\r\n", type, other.port.value, protocol));
    };
    for (const Endpoint& each : {a_, b_, other_a_, other_b_}) world.open(each);
    json o = offer("c", "A", with(a_, other_a_));
    if (more.is_object()) o.update(more);
    offered = world.ng(o);
    answered = world.ng(answer("c", "A", "B", with(b_, other_b_)));
    to_b = second_port(offered);
    to_a = second_port(answered);
  }

  static std::uint16_t second_port(const json& reply) {
    const auto sdp = reply.value("sdp", std::string());
    std::smatch found;
    static const std::regex kSection(R"(m=(?!audio)\S+ (\d+) )");
    if (!std::regex_search(sdp, found, kSection)) return 0;
    return static_cast<std::uint16_t>(std::stoi(found[1]));
  }
  /// Both parties send one datagram of each kind, `past` ports behind the one of the section.
  void send_all(std::uint16_t past = 0) {
    for (const Shape& shape : shapes()) {
      const auto at = [&](std::uint16_t port) {
        return Endpoint{world_.relay_address(), UdpPort{static_cast<std::uint16_t>(port + past)}};
      };
      if (to_a != 0) world_.send(other_a_, at(to_a), shape.packet);
      if (to_b != 0) world_.send(other_b_, at(to_b), shape.packet);
    }
  }
  [[nodiscard]] json media(std::size_t leg) const {
    return world_.manager().show("c", world_.clock())["legs"][leg]["medias"][1];
  }
  [[nodiscard]] std::string cause() const {
    const json all = world_.manager().explain("c", false, world_.clock());
    for (const json& each : all.at("verdicts")) {
      if (each["leg"] == "A" && each["direction"] == "from" && each["media"] == 2) return each["cause"];
    }
    return {};
  }

  json offered;
  json answered;
  /// Ports that B and A send to; 0 = the section was refused.
  std::uint16_t to_b = 0;
  std::uint16_t to_a = 0;
  const Endpoint other_a_ = Endpoint::parse("192.0.2.10:5000").value();
  const Endpoint other_b_ = Endpoint::parse("192.0.2.20:5000").value();

 private:
  World& world_;
  const Endpoint a_ = Endpoint::parse("192.0.2.10:4000").value();
  const Endpoint b_ = Endpoint::parse("192.0.2.20:4000").value();
};

struct ProtocolCase {
  const char* protocol;
  bool has_port = true;
  /// The only datagram that passes; null = none.
  const char* passes = nullptr;
  /// Why the others are refused.
  const char* reason = nullptr;
};

void PrintTo(const ProtocolCase& row, std::ostream* out) { *out << row.protocol; }

constexpr ProtocolCase kProtocols[] = {
    {"udptl", true, "udptl", "malformed-udptl"},
    {"UDPTL", true, "udptl", "malformed-udptl"},
    {"UDP/TLS/UDPTL", true, "dtls", "malformed-dtls"},
    {"udp/tls/udptl", true, "dtls", "malformed-dtls"},
    {"UDP/BFCP", true, "bfcp", "malformed-bfcp"},
    {"udp/bfcp", true, "bfcp", "malformed-bfcp"},
    {"UDP/TLS/BFCP", true, "dtls", "malformed-dtls"},
    {"TCP/WB", true, nullptr, "over-tcp"},
    {"tcp/wb", true, nullptr, "over-tcp"},
    {"TCP", true, nullptr, "over-tcp"},
    {"TCP/MSRP", true, nullptr, "over-tcp"},
    {"TCP/TLS/MSRP", true, nullptr, "over-tcp"},
    {"TCP/BFCP", true, nullptr, "over-tcp"},
    {"TCP/TLS/BFCP", true, nullptr, "over-tcp"},
    {"TCP/MRCPv2", true, nullptr, "over-tcp"},
    {"TCP/RTP/AVP", true, nullptr, "over-tcp"},
    {"TCP/UDPTL", true, nullptr, "over-tcp"},
    {"TCP/DTLS/SCTP", false},
    {"UDP/DTLS/SCTP", false},
    {"DTLS/SCTP", false},
    {"UDP", false},
    {"udp", false},
    {"UDP/WB", false},
    {"UDP/TLS", false},
    {"UDP/MSRP", false},
    {"TCPX/WB", false},
    {"RTP/XYZ", false},
    {"SCTP", false},
    {"FOO/BAR", false},
};

class FieldDatagrams : public testing::TestWithParam<ProtocolCase> {};

TEST_P(FieldDatagrams, DMX6_PassOnlyInTheFormOfAProtocolOverUdp) {
  const ProtocolCase& row = GetParam();
  for (const bool kernel : {false, true}) {
    const auto world = make_world(kernel);
    SectionCall call(*world, row.protocol);
    ASSERT_EQ(call.offered["result"], "ok");
    ASSERT_EQ(call.answered["result"], "ok");
    EXPECT_EQ(call.to_b != 0, row.has_port) << call.offered;
    EXPECT_EQ(call.to_a != 0, row.has_port) << call.answered;
    call.send_all();
    call.send_all(1);  // the second port of the pair carries no RTCP of such a section
    const std::set<std::string> passes =
        row.passes != nullptr ? std::set<std::string>{row.passes} : std::set<std::string>{};
    EXPECT_EQ(names_at(*world, call.other_b_), passes);
    EXPECT_EQ(names_at(*world, call.other_a_), passes);
    EXPECT_EQ(world->count(call.other_b_), passes.size()) << "by the first port alone";
    if (row.reason != nullptr) {
      EXPECT_GE(call.media(0)["drops"].value(row.reason, 0u), shapes().size() - 1);
    }
    const bool is_channel = std::string(row.protocol).ends_with("/SCTP");
    EXPECT_EQ(call.cause() == "not-relayed", row.passes == nullptr && !is_channel) << call.cause();
  }
}

TEST_P(FieldDatagrams, DMX6_PassthroughUnknownOpensOnlyWhatNobodyKnows) {
  const ProtocolCase& row = GetParam();
  const bool is_channel = std::string(row.protocol).ends_with("/SCTP");
  const std::vector<json> ways = {{{"flags", {"passthrough-unknown"}}},
                                  {{"flags", {"passthrough unknown"}}},
                                  {{"passthrough-unknown", "yes"}},
                                  {{"passthrough unknown", "on"}}};
  for (const json& way : ways) {
    const auto world = make_world(false);
    SectionCall call(*world, row.protocol, way);
    ASSERT_EQ(call.answered["result"], "ok");
    EXPECT_EQ(call.to_b != 0, !is_channel) << way;
    EXPECT_EQ(call.to_a != 0, !is_channel) << "the answer need not say it again";
    call.send_all();
    const std::set<std::string> known =
        row.passes != nullptr ? std::set<std::string>{row.passes} : std::set<std::string>{};
    const bool is_opened = !row.has_port && !is_channel;
    EXPECT_EQ(names_at(*world, call.other_b_), is_opened ? all_names() : known) << way;
  }
}

INSTANTIATE_TEST_SUITE_P(Relatives, FieldDatagrams, testing::ValuesIn(kProtocols));

TEST(FieldDatagramsTcp, DMX6_KeepTheirLinesAndAPort) {
  const auto world = make_world(false);
  const SectionCall call(*world, "TCP/WB");
  const std::string sdp = call.offered["sdp"];
  EXPECT_NE(sdp.find(fmt::format("m=application {} TCP/WB *\r\n", call.to_b)), std::string::npos) << sdp;
  EXPECT_NE(sdp.find("a=floorctrl:c-s\r\n"), std::string::npos) << sdp;
}

TEST(FieldDatagramsTcp, DMX6_AreNoStreamsWithoutMediaAndTakeNobodysPlace) {
  WorldOptions options;
  options.session.unheard_per_address = 1;
  const auto world = make_sim_world(options);
  const Endpoint a = Endpoint::parse("192.0.2.10:4000").value();
  const Endpoint b = Endpoint::parse("192.0.2.20:4000").value();
  const auto sdp = [](const Endpoint& at) {
    return fmt::format(
        "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=application 5000 TCP/WB *\r\n"
        "m=audio 4000 RTP/AVP 8\r\n",
        at.address.to_string());
  };
  world->open(b);
  world->ng(offer("c", "A", sdp(a)));
  const json answered = world->ng(answer("c", "A", "B", sdp(b)));
  std::smatch found;
  const auto text = answered["sdp"].get<std::string>();
  ASSERT_TRUE(std::regex_search(text, found, std::regex(R"(m=audio (\d+) )"))) << text;
  const UdpPort to_a{static_cast<std::uint16_t>(std::stoi(found[1]))};
  for (std::uint16_t n = 0; n < 600; ++n)
    world->at(n * 20ms, [&, n] { world->send(a, {world->relay_address(), to_a}, rtp('A', 0xA, n)); });
  world->run(12s);
  EXPECT_EQ(world->count(b), 600u) << "the one unheard party of this address is the audio (LAT-12)";
  world->ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "A"}, {"delete-delay", 0}});
  EXPECT_EQ(world->manager().totals().zero_way, 0u);
  EXPECT_EQ(world->manager().totals().one_way, 1u) << "the audio";
}

TEST(FieldDatagramsUnknown, DMX6_AWordOfTheCallCountsUntilTheNextOne) {
  const auto world = make_world(false);
  const auto again = [&](const json& more) {
    json o = offer("c", "A",
                   audio_sdp(Endpoint::parse("192.0.2.10:4000").value(), "m=application 5000 FOO/BAR *\r\n"));
    o["to-tag"] = "B";
    if (more.is_object()) o.update(more);
    return SectionCall::second_port(world->ng(o));
  };
  SectionCall call(*world, "FOO/BAR", {{"passthrough-unknown", "yes"}});
  ASSERT_NE(call.to_b, 0);
  EXPECT_NE(again({}), 0) << "a re-offer without the word";
  EXPECT_EQ(again({{"passthrough-unknown", "no"}}), 0);
  EXPECT_EQ(again({}), 0) << "and from now on";
  EXPECT_NE(again({{"flags", {"passthrough-unknown"}}}), 0);
}

TEST(FieldDatagramsUnknown, DMX6_AloneIsOkWithPortZero) {
  const auto world = make_world(false);
  const json out = world->ng(offer("c", "A",
                                   "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 "
                                   "0\r\nm=application 5000 FOO/BAR *\r\n"));
  EXPECT_EQ(out["result"], "ok");
  EXPECT_NE(out["sdp"].get<std::string>().find("m=application 0 FOO/BAR *\r\n"), std::string::npos) << out;
  EXPECT_EQ(world->open_ports(), 0u);
}

TEST(FieldDatagramsUnknown, DMX6_SectionsOfTypeMessageAreNotRelayedAtAll) {
  const auto world = make_world(false);
  const SectionCall call(*world, "FOO/MSRP", {}, "message");
  EXPECT_EQ(call.to_b, 5000) << "the party's own port";
}

TEST(FieldDatagramsSource, DMX6_AStrangerIsNotHeardEvenInTheRightForm) {
  for (const char* protocol : {"udptl", "UDP/BFCP", "UDP/TLS/UDPTL"}) {
    const auto world = make_world(false);
    SectionCall call(*world, protocol);
    const Endpoint stranger = Endpoint::parse("198.51.100.66:5000").value();
    for (int round = 0; round < 5; ++round) {
      for (const Shape& shape : shapes())
        world->send(stranger, {world->relay_address(), UdpPort{call.to_a}}, shape.packet);
    }
    EXPECT_TRUE(names_at(*world, call.other_b_).empty()) << protocol;
  }
}

// ---- The rtpproxy protocol: what its commands say of the media (ADR 6) ----

TEST(FieldDatagramsRefused, DMX6_UdptlOnAStreamOfRtpHasANameOfItsOwn) {
  const auto world = make_world(false);
  const Endpoint a = Endpoint::parse("192.0.2.10:4000").value();
  world->ng(offer("c", "A", audio_sdp(a)));
  const UdpPort to_a = World::port_of(world->ng(answer("c", "A", "B", audio_sdp(a))));
  for (const unsigned sequence : {0u, 1u, 0x1400u, 0x5000u, 0x7fffu})
    world->send(a, {world->relay_address(), to_a}, udptl_packet(static_cast<std::uint16_t>(sequence)));
  const json shown = world->manager().show("c", world->clock());
  EXPECT_EQ(shown["legs"][0]["medias"][0]["drops"].value("udptl-unexpected", 0), 5);
}

/// One step of a session: a command, `fax` (UDPTL of the owner), `rtp N` (one packet of type N), `marked N`
/// (with the marker bit) or `wait`.
struct RtpproxyCase {
  const char* name;
  std::vector<std::string> steps;
  /// What the other party got of the last step.
  bool passes = false;
};

void PrintTo(const RtpproxyCase& row, std::ostream* out) { *out << row.name; }

const RtpproxyCase kRtpproxy[] = {
    {"FaxWhereNoCommandHasAList", {"U", "L", "fax"}, true},
    {"FaxBesideAudioWithoutLists", {"U", "L", "rtp 8", "fax"}, false},
    {"FaxBesideALongCallWithoutLists", {"U", "L", "rtp 8", "rtp 8", "rtp 8", "wait", "fax"}, false},
    {"FaxAfterAReInviteWithoutLists", {"U", "L", "rtp 8", "U", "L", "rtp 8", "fax"}, true},
    {"FaxWhileTheReInviteWaits", {"U", "L", "rtp 8", "U", "fax"}, true},
    {"FaxWhenTheReInviteHasLapsed", {"U", "L", "rtp 8", "U", "wait", "fax"}, false},
    {"TheOfferListsTypes", {"Uc8,0", "L", "fax"}, false},
    {"TheAnswerListsTypes", {"U", "Lc8", "fax"}, false},
    {"BothListTypes", {"Uc8,0,101", "Lc8,101", "fax"}, false},
    {"AFaxIsProposed", {"Uc8", "Lc8", "rtp 8", "U", "fax"}, true},
    {"AFaxIsAgreed", {"Uc8", "Lc8", "rtp 8", "U", "L", "fax"}, true},
    {"RtpGoesOnBesideAProposedFax", {"Uc8", "Lc8", "rtp 8", "U", "fax", "rtp 8"}, true},
    {"RtpGoesOnBesideAFax", {"Uc8", "Lc8", "rtp 8", "U", "L", "fax", "rtp 8"}, true},
    {"TheAnswerToTheFaxIsAudio", {"Uc8", "Lc8", "rtp 8", "U", "Lc8", "fax"}, false},
    {"TheProposedFaxHasLapsed", {"Uc8", "Lc8", "rtp 8", "U", "wait", "fax"}, false},
    {"BackToAudio", {"Uc8", "Lc8", "U", "L", "fax", "Uc8", "Lc8", "fax"}, false},
    {"AReInviteWithAList", {"Uc8", "Lc8", "rtp 8", "Uc8", "fax"}, false},
    {"HoldWithAList", {"Uc8", "Lc8", "rtp 8", "Uc8", "Lc8", "fax"}, false},
    {"AnyTypeWithoutLists", {"U", "L", "rtp 96"}, true},
    {"AListedType", {"Uc8,96", "Lc96", "rtp 96"}, true},
    {"AStaticTypeThatNoListHas", {"Uc0,101", "Lc0,101", "rtp 8"}, true},
    {"AStaticTypeThatComesLater", {"Uc0,101", "Lc0,101", "rtp 0", "rtp 18"}, true},
    {"AnUnlistedTypeFoundsNothing", {"Uc8", "Lc8", "rtp 96"}, false},
    {"AnUnlistedTypeOfWhoIsHeard", {"Uc8", "Lc8", "rtp 8", "rtp 96"}, true},
    {"TheTypesAreThoseOfTheSdpThatWasShown", {"Uc8", "Lc96", "rtp 96"}, true},
    {"AListOfTheOtherSideAlone", {"Uc8", "L", "rtp 96"}, true},
    {"DMX4_63", {"U", "L", "rtp 63"}, true},
    {"DMX4_64", {"U", "L", "rtp 64"}, false},
    {"DMX4_72", {"U", "L", "rtp 72"}, false},
    {"DMX4_77OfWhoIsHeard", {"U", "L", "rtp 8", "rtp 8", "rtp 77"}, false},
    {"DMX4_95", {"U", "L", "rtp 95"}, false},
    {"DMX4_96", {"U", "L", "rtp 96"}, true},
    {"DMX4_72Listed", {"Uc8,72", "Lc8,72", "rtp 72"}, true},
    {"DMX4_72Unlisted", {"Uc8", "Lc8", "rtp 8", "rtp 8", "rtp 72"}, false},
    {"DMX2_RtcpOnTheRtpPort", {"U", "L", "rtp 8", "rtcp"}, false},
    {"DMX2_AMarked72", {"U", "L", "rtp 8", "marked 72"}, false},
    {"DMX2_AMarked95", {"Uc8", "Lc8", "rtp 8", "marked 95"}, false},
};

class FieldRtpproxyMedia : public testing::TestWithParam<RtpproxyCase> {};

/// Carries the steps out; what B got of the last one.
std::size_t play(World& world, const RtpproxyCase& row) {
  const Endpoint a{world.peer_address(1, 'A'), UdpPort{4000}};
  const Endpoint b{world.peer_address(1, 'B'), UdpPort{4000}};
  world.open(a);
  world.open(b);
  UdpPort to_a;
  std::uint16_t sequence = 1;
  std::size_t before = 0;
  const auto send = [&](Packet packet) { world.send(a, {world.relay_address(), to_a}, packet); };
  for (const std::string& step : row.steps) {
    before = world.count(b);
    const std::string word = step.substr(0, step.find(' '));
    const auto type = [&] { return static_cast<std::uint8_t>(std::stoi(step.substr(word.size()))); };
    if (word == "fax") {
      send(udptl_packet(sequence++));
    } else if (word == "rtp") {
      send(rtp('A', 0xA, sequence++, type()));
    } else if (word == "marked") {
      Packet packet = rtp('A', 0xA, sequence++, type());
      packet[1] |= std::byte{0x80};
      send(packet);
    } else if (word == "rtcp") {
      send(receiver_report(0xA));
    } else if (word == "wait") {
      world.run(world.elapsed() + 181s);
    } else {
      const Endpoint& media = step[0] == 'U' ? a : b;
      const UdpPort port = World::port_of(
          world.rtpproxy(fmt::format("{} c {} {} A B", step, media.address.to_string(), media.port.value)));
      if (step[0] == 'L') to_a = port;
    }
  }
  return world.count(b) - before;
}

TEST_P(FieldRtpproxyMedia, DMX6_DMX4_WhatNoCommandSaidDoesNotPass) {
  for (const bool kernel : {false, true})
    EXPECT_EQ(play(*make_world(kernel), GetParam()), GetParam().passes ? 1u : 0u) << (kernel ? "kernel" : "");
}

INSTANTIATE_TEST_SUITE_P(Relatives, FieldRtpproxyMedia, testing::ValuesIn(kRtpproxy),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(FieldRtpproxyShapes, DMX6_NothingButUdptlPassesBesideRtp) {
  const auto world = make_world(false);
  const Endpoint a{world->peer_address(1, 'A'), UdpPort{4000}};
  const Endpoint b{world->peer_address(1, 'B'), UdpPort{4000}};
  world->open(b);
  world->rtpproxy(fmt::format("U c {} 4000 A B", a.address.to_string()));
  const UdpPort to_a = World::port_of(world->rtpproxy(fmt::format("L c {} 4000 A B", b.address.to_string())));
  for (const Shape& shape : shapes()) {
    if (shape.name != "rtp") world->send(a, {world->relay_address(), to_a}, shape.packet);
  }
  EXPECT_EQ(names_at(*world, b), std::set<std::string>{"udptl"});
}

TEST(FieldDatagramsRestore, DMX6_WhatWasSaidSurvives) {
  for (const char* protocol : {"TCP/WB", "UDP/BFCP", "FOO/BAR"}) {
    const auto world = make_world(false);
    SectionCall call(*world, protocol, {{"passthrough-unknown", "yes"}});
    const json record = world->manager().export_call("c", world->clock());
    world->ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "A"}, {"delete-delay", 0}});
    const auto restored = world->manager().restore_call(record, world->clock());
    ASSERT_TRUE(restored) << restored.error();
    world->manager().flush(world->clock());
    call.send_all();
    const std::string name = protocol;
    const std::set<std::string> passes = name == "FOO/BAR"    ? all_names()
                                         : name == "UDP/BFCP" ? std::set<std::string>{"bfcp"}
                                                              : std::set<std::string>{};
    EXPECT_EQ(names_at(*world, call.other_b_), passes) << protocol;
  }
}

TEST(FieldRtpproxyRestore, DMX6_WhatWasSaidSurvives) {
  const auto world = make_world(false);
  const Endpoint a{world->peer_address(1, 'A'), UdpPort{4000}};
  world->rtpproxy(fmt::format("Uc8 c {} 4000 A B", a.address.to_string()));
  const UdpPort to_a = World::port_of(world->rtpproxy("Lc8 c 198.51.100.7 4000 A B"));
  const Endpoint b = Endpoint::parse("198.51.100.7:4000").value();
  world->open(b);
  const json record = world->manager().export_call("c A", world->clock());
  ASSERT_EQ(world->rtpproxy("X"), "0");
  const auto restored = world->manager().restore_call(record, world->clock());
  ASSERT_TRUE(restored) << restored.error();
  world->manager().flush(world->clock());
  world->send(a, {world->relay_address(), to_a}, udptl_packet());
  world->send(a, {world->relay_address(), to_a}, rtp('A', 0xA, 1, 96));
  EXPECT_EQ(world->count(b), 0u);
  world->send(a, {world->relay_address(), to_a}, rtp('A', 0xA, 1));
  EXPECT_EQ(world->count(b), 1u);
}

}  // namespace
}  // namespace ferry::test
