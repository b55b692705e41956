// SPDX-License-Identifier: Apache-2.0
// What the parties of a fax are shown: T.38 as audio, audio as T.38, and back (key `T.38`).

#include "tests/support/fax_call.hpp"

#include <functional>

#include <gtest/gtest.h>

namespace ferry::test::fax_offers_test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using Words = std::vector<std::string>;

json t38(const Words& words) { return {{"T.38", words}}; }
const std::string kImage = "image udptl t38";

/// Each test has a call of A, who has a modem, and B, who may speak T.38.
struct FaxOffers : ::testing::Test {
  /// A and B have a call with sound.
  void talk(const std::string& a = "8 0", const std::string& b = "8") {
    call.offer('A', voice_sdp(call.a, a));
    call.answer('B', voice_sdp(call.b, b));
    before_a = call.relay('A');
    before_b = call.relay('B');
  }
  /// B makes a fax of it, as an answering machine does.
  void fax() {
    talk();
    call.offer('B', image_sdp(call.b), t38({"decode"}));
    call.answer('A', voice_sdp(call.a));
  }
  [[nodiscard]] std::string kinds() const {
    std::string kinds;
    const json shown = call.show();
    for (const json& leg : shown["legs"]) kinds += leg["medias"][0].value("type", "?") + " ";
    return kinds;
  }
  /// What the relay says that it changes.
  [[nodiscard]] std::size_t changed() const { return call.show().value("changed", json::array()).size(); }
  void expect_same_ports() const {
    EXPECT_EQ(call.relay('A'), before_a);
    EXPECT_EQ(call.relay('B'), before_b);
  }

  std::unique_ptr<World> world = make_fax_world();
  FaxCall call{*world};
  Endpoint before_a, before_b;
};

TEST_F(FaxOffers, TheAnsweringMachineOffersT38AndTheOtherSideKeepsItsSound) {
  talk();
  const Shown offered =
      call.offer('B', image_sdp(call.b, "a=T38FaxUdpEC:t38UDPRedundancy\r\n"), t38({"decode"}));
  EXPECT_EQ(offered.media, "audio RTP/AVP 8 0") << "G.711 of its own offer";
  EXPECT_TRUE(offered.has("a=sendrecv"));
  const Shown answered = call.answer('A', voice_sdp(call.a));
  EXPECT_EQ(answered.media, kImage);
  EXPECT_TRUE(answered.has("a=T38FaxVersion:0"));
  EXPECT_TRUE(answered.has("a=T38FaxUdpEC:t38UDPRedundancy"));
  EXPECT_EQ(kinds(), "audio image ");
  expect_same_ports();
  EXPECT_EQ(changed(), 2u);
  EXPECT_EQ(call.show()["not_in_force"], json::array());
  const std::string told = call.show()["changed"].dump();
  EXPECT_NE(told.find("the fax in T.38 becomes PCMA/8000 (8), version 0 with redundancy, ECM"),
            std::string::npos)
      << told;
  const std::string explained = world->manager().explain(call.id(), false, world->clock()).dump();
  EXPECT_NE(explained.find("the fax in PCMA/8000 becomes T.38"), std::string::npos) << explained;

  const json queried = world->ng({{"command", "query"}, {"call-id", call.id()}});
  for (const char* tag : {"A", "B"}) {
    const std::string flags = queried["tags"][tag]["medias"][0]["flags"].dump();
    EXPECT_NE(flags.find("\"generator/sink\",\"transcoding\""), std::string::npos) << tag << flags;
  }

  // The fax is over.
  EXPECT_EQ(call.offer('B', voice_sdp(call.b)).media, "audio RTP/AVP 8");
  EXPECT_EQ(call.answer('A', voice_sdp(call.a)).media, "audio RTP/AVP 8");
  EXPECT_EQ(kinds(), "audio audio ");
  EXPECT_EQ(changed(), 0u);
  expect_same_ports();
}

TEST_F(FaxOffers, ACallMayBeginWithAFax) {
  EXPECT_EQ(call.offer('B', image_sdp(call.b), t38({"decode"})).media, "audio RTP/AVP 0 8")
      << "nobody knows what A has";
  EXPECT_EQ(call.answer('A', voice_sdp(call.a, "8")).media, kImage);
  EXPECT_EQ(changed(), 2u);
}

TEST_F(FaxOffers, ForceTurnsSoundIntoT38) {
  const Shown offered = call.offer('A', voice_sdp(call.a, "18 8 0"),
                                   {{"T.38", {"force", "no-ECM", "no-V.17", "FEC"}}, {"T.38 version", 3}});
  EXPECT_EQ(offered.media, kImage);
  for (const char* line : {"a=T38FaxVersion:3", "a=T38MaxBitRate:14400", "a=T38FaxUdpEC:t38UDPFEC"})
    EXPECT_TRUE(offered.has(line)) << line;
  const Shown answered = call.answer('B', image_sdp(call.b, "a=T38FaxUdpEC:t38UDPFEC\r\n"));
  EXPECT_EQ(answered.media, "audio RTP/AVP 8") << "the first of G.711";
  const std::string told = call.show()["changed"].dump();
  EXPECT_NE(told.find("version 0 with parity, no ECM, no V.17"), std::string::npos) << told;
}

TEST_F(FaxOffers, ForceByFlagsAndTemplates) {
  EXPECT_EQ(call.offer('A', voice_sdp(call.a), {{"flags", {"T.38-force", "T38-no-V.34"}}}).media, kImage);
}

TEST_F(FaxOffers, WithoutAWordNothingIsConverted) {
  talk();
  EXPECT_EQ(call.offer('B', image_sdp(call.b)).media, kImage);
  EXPECT_EQ(call.answer('A', image_sdp(call.a)).media, kImage);
  EXPECT_EQ(changed(), 0u);
}

TEST_F(FaxOffers, SoundWithoutG711StaysAsItIs) {
  EXPECT_EQ(call.offer('A', voice_sdp(call.a, "18"), t38({"force"})).media, "audio RTP/AVP 18");
}

TEST_F(FaxOffers, StopGoesBackToSound) {
  fax();
  EXPECT_EQ(call.offer('A', voice_sdp(call.a), t38({"stop"})).media, "audio RTP/AVP 8");
  EXPECT_EQ(call.answer('B', voice_sdp(call.b)).media, "audio RTP/AVP 8");
  EXPECT_EQ(kinds(), "audio audio ");
  EXPECT_EQ(changed(), 0u);
  expect_same_ports();
}

TEST_F(FaxOffers, LaterOffersOfEitherPartyGoThroughTheGateway) {
  fax();
  const std::string before = call.show()["changed"].dump();
  EXPECT_EQ(call.offer('A', voice_sdp(call.a)).media, kImage) << "a session timer of A";
  EXPECT_EQ(call.answer('B', image_sdp(call.b)).media, "audio RTP/AVP 8");
  EXPECT_EQ(call.offer('B', image_sdp(call.b)).media, "audio RTP/AVP 8") << "and one of B, without a word";
  EXPECT_EQ(call.answer('A', voice_sdp(call.a)).media, kImage);
  EXPECT_EQ(call.show()["changed"].dump(), before);
  expect_same_ports();
}

TEST_F(FaxOffers, RefusedT38IsPort0AndTheCallLivesOn) {
  const struct {
    const char* what;
    std::string sdp;
  } rows[] = {
      {"port 0", section_sdp({call.a.address, UdpPort{0}}, "audio {} RTP/AVP 8", "")},
      {"no G.711", voice_sdp(call.a, "18")},
      {"T.38 where sound was offered", image_sdp(call.a)},
  };
  talk();
  for (const auto& row : rows) {
    call.offer('B', image_sdp(call.b), t38({"decode"}));
    const Shown answered = call.answer('A', row.sdp);
    EXPECT_EQ(call.reply()["result"], "ok") << row.what;
    EXPECT_EQ(answered.media, kImage) << row.what;
    EXPECT_EQ(answered.port.value, 0) << row.what;
    EXPECT_EQ(changed(), 0u) << row.what;
    EXPECT_EQ(call.offer('B', voice_sdp(call.b)).media.substr(0, 13), "audio RTP/AVP") << row.what;
    EXPECT_NE(call.answer('A', voice_sdp(call.a)).port.value, 0) << row.what;
    expect_same_ports();
  }
}

TEST_F(FaxOffers, AnAnswerToForceThatIsNoT38IsARefusal) {
  talk();
  for (const std::string& sdp : {voice_sdp(call.b), section_sdp(call.b, "image {} udptl t37", ""),
                                 section_sdp({call.b.address, UdpPort{0}}, "image {} udptl t38", "")}) {
    call.offer('A', voice_sdp(call.a), t38({"force"}));
    const Shown answered = call.answer('B', sdp);
    EXPECT_EQ(answered.media, "audio RTP/AVP 8") << sdp;
    EXPECT_EQ(answered.port.value, 0) << sdp;
    EXPECT_EQ(changed(), 0u) << sdp;
  }
}

TEST_F(FaxOffers, LAT15_ARefusalWithoutAnAnswerLeavesWhatWasAgreed) {
  talk();
  EXPECT_EQ(call.offer('B', image_sdp(call.b), t38({"decode"})).media, "audio RTP/AVP 8 0");
  EXPECT_EQ(changed(), 0u) << "what is agreed counts until the answer";
  world->send(call.a, call.relay('A'), rtp('A', 1, 1));
  EXPECT_EQ(world->count(call.b, 'A'), 1u) << "and sound passes";
  // 488: no answer comes, and B goes on with sound.
  EXPECT_EQ(call.offer('B', voice_sdp(call.b), t38({"stop"})).media, "audio RTP/AVP 8");
  EXPECT_EQ(call.answer('A', voice_sdp(call.a)).media, "audio RTP/AVP 8");
  EXPECT_EQ(changed(), 0u);
  expect_same_ports();
}

TEST_F(FaxOffers, LAT15_ALateAnswerIsStillTurnedBack) {
  talk();
  call.offer('B', image_sdp(call.b), t38({"decode"}));
  world->run(world->elapsed() + 200s);
  EXPECT_EQ(call.answer('A', voice_sdp(call.a)).media, kImage) << "the offer has lapsed meanwhile";
  EXPECT_EQ(changed(), 2u);
}

TEST_F(FaxOffers, VersionsAreTheLowerOfBoth) {
  const struct {
    const char* offered;
    int wanted;
    const char* shown;
  } rows[] = {{"0", 3, "0"}, {"3", 0, "0"}, {"3", 2, "2"}, {"9", 9, "3"}, {"-1", 3, "0"}, {"x", 1, "0"}};
  for (const auto& row : rows) {
    FaxCall one(*world, 40 + static_cast<unsigned>(&row - rows));
    std::string sdp = image_sdp(one.b);
    sdp.replace(sdp.find("Version:0"), 9, std::string("Version:") + row.offered);
    one.offer('B', sdp, {{"T.38", {"decode"}}, {"T.38 version", row.wanted}});
    EXPECT_TRUE(one.answer('A', voice_sdp(one.a)).has(std::string("a=T38FaxVersion:") + row.shown))
        << row.offered << " and " << row.wanted;
  }
}

TEST_F(FaxOffers, TheProfileOfTheSoundIsTheOneOfBefore) {
  talk();
  json request = {{"transport-protocol", "RTP/AVPF"}};
  EXPECT_EQ(call.offer('B', voice_sdp(call.b), request).media, "audio RTP/AVPF 8");
  call.answer('A', section_sdp(call.a, "audio {} RTP/AVPF 8", ""));
  EXPECT_EQ(call.offer('B', image_sdp(call.b), t38({"decode"})).media, "audio RTP/AVPF 8");
  EXPECT_EQ(call.answer('A', section_sdp(call.a, "audio {} RTP/AVPF 8", "")).media, kImage);
  EXPECT_EQ(call.offer('B', voice_sdp(call.b)).media, "audio RTP/AVPF 8") << "also behind the fax";
}

TEST_F(FaxOffers, HoldIsShownOnBothSides) {
  fax();
  EXPECT_TRUE(call.offer('A', section_sdp(call.a, "audio {} RTP/AVP 8", "a=sendonly\r\n")).has("a=sendonly"));
  EXPECT_TRUE(call.answer('B', image_sdp(call.b, "a=recvonly\r\n")).has("a=recvonly"));
}

TEST_F(FaxOffers, OddSdpIsAnsweredAndEndsNothing) {
  talk();
  const std::string long_line = "a=T38FaxMaxDatagram:" + std::string(2000, '9') + "\r\n";
  const struct {
    std::string sdp;
    std::string shown;
  } rows[] = {
      {image_sdp(call.b, long_line), "audio RTP/AVP 8 0"},
      {section_sdp(call.b, "image {} udptl t38", ""), "audio RTP/AVP 8 0"},
      {section_sdp(call.b, "image {} UDPTL T38", "a=T38FaxUdpEC:\r\na=T38FaxRateManagement:localTCF\r\n"),
       "audio RTP/AVP 8 0"},
      {section_sdp(call.b, "image {} udptl", ""), "image udptl"},
      {section_sdp(call.b, "image {} RTP/AVP t38", ""), ""},
      {section_sdp(call.b, "image {} UDP/TLS/UDPTL t38", ""), "image UDP/TLS/UDPTL t38"},
      {section_sdp(call.b, "image {} TCP t38", ""), "image TCP t38"},
  };
  for (const auto& row : rows) {
    const Shown shown = call.offer('B', row.sdp, t38({"decode", "force"}));
    EXPECT_TRUE(row.shown.empty() || shown.media == row.shown) << shown.media << " for " << row.sdp;
    EXPECT_EQ(call.reply()["result"], "ok") << row.sdp;
  }
  EXPECT_EQ(call.offer('B', voice_sdp(call.b)).media, "audio RTP/AVP 8");
  EXPECT_EQ(call.answer('A', voice_sdp(call.a)).media, "audio RTP/AVP 8");
  EXPECT_EQ(changed(), 0u);
  expect_same_ports();
}

TEST_F(FaxOffers, AFaxBesideAudioIsConvertedAlone) {
  const std::string both = voice_sdp(call.b) + "m=image 4002 udptl t38\r\na=T38FaxVersion:0\r\n";
  const Shown offered = call.offer('B', both, t38({"decode"}));
  EXPECT_EQ(offered.media, "audio RTP/AVP 8");
  EXPECT_EQ(
      std::ranges::count_if(offered.lines, [](const auto& line) { return line.starts_with("m=audio"); }), 2);
  const Shown answered = call.answer('A', voice_sdp(call.a) + "m=audio 0 RTP/AVP 0\r\n");
  EXPECT_TRUE(answered.has("m=image 0 udptl t38"));
  EXPECT_NE(answered.port.value, 0);
}

}  // namespace
}  // namespace ferry::test::fax_offers_test
