// SPDX-License-Identifier: Apache-2.0
// Data channels are not relayed: the section has port 0 on both sides, and nothing in the output lets the
// browsers find each other past the relay (SCT-1, SCT-2, SCT-3).

#include "tests/support/world.hpp"

#include <regex>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using nlohmann::json;

const std::string kHead = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
const std::string kAudio =
    "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 203.0.113.11\r\na=rtpmap:0 "
    "PCMU/8000\r\na=mid:0\r\na=rtcp-mux\r\n";
const std::string kIce =
    "a=ice-ufrag:BROWSER1\r\na=ice-pwd:BROWSERBROWSERBROWSER1\r\n"
    "a=candidate:1 1 udp 2122260223 203.0.113.11 51743 typ host\r\na=end-of-candidates\r\n";
const std::string kDtls =
    "a=fingerprint:sha-256 "
    "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n"
    "a=setup:actpass\r\n";

std::string channel(const std::string& protocol, const std::string& port = "51743") {
  return "m=application " + port + " " + protocol +
         " webrtc-datachannel\r\nc=IN IP4 203.0.113.11\r\na=mid:1\r\n" + kIce + kDtls +
         "a=sctp-port:5000\r\na=max-message-size:262144\r\n";
}

/// Turns a browser's SDP into a phone's: its audio is not encrypted.
std::string plain(std::string text) {
  text = std::regex_replace(text, std::regex("UDP/TLS/RTP/SAVPF"), "RTP/AVP");
  return std::regex_replace(text, std::regex("a=(fingerprint|setup):[^\r]*\r\n"), "");
}

void expect_refused(const std::string& sdp, const std::string& protocol) {
  EXPECT_NE(sdp.find("m=application 0 " + protocol + " webrtc-datachannel\r\n"), std::string::npos) << sdp;
  for (const char* secret : {"BROWSER", "51743", "203.0.113.11", "sctp-port"})
    EXPECT_EQ(sdp.find(secret), std::string::npos) << secret << "\n" << sdp;
  // A group has the audio alone (SCT-1, BND-12).
  if (const auto group = sdp.find("a=group:"); group != std::string::npos) {
    EXPECT_EQ(sdp.substr(group, sdp.find("\r\n", group) - group), "a=group:BUNDLE 0") << sdp;
  }
}

class FieldDataChannel : public ::testing::TestWithParam<const char*> {};

TEST_P(FieldDataChannel, SCT2_HasPortZeroOnBothSides) {
  const std::string protocol = GetParam();
  const std::vector<std::string> offers = {
      kHead + kAudio + kIce + kDtls + channel(protocol),
      kHead + "a=group:BUNDLE 0 1\r\n" + kAudio + kIce + kDtls + channel(protocol),
      kHead + "a=group:BUNDLE 0 1\r\n" + kIce + kDtls + kAudio + channel(protocol, "9"),
      kHead + channel(protocol) + kAudio + kIce + kDtls,
      kHead + "a=group:bundle 1 0 \r\n" + kAudio + kIce + kDtls +
          std::regex_replace(channel(protocol), std::regex("\r\n"), " \r\n"),
  };
  const std::vector<json> ways = {json::object(),
                                  {{"transport-protocol", "RTP/AVP"}, {"ICE", {"remove"}}},
                                  {{"flags", {"generate-mid"}}, {"ICE", {"force"}}, {"replace", {"origin"}}}};
  for (const std::string& text : offers) {
    for (const json& way : ways) {
      const auto world = make_sim_world();
      json request = offer("c", "a", text);
      request.update(way);
      const json out = world->ng(request);
      ASSERT_EQ(out["result"], "ok") << out.dump();
      expect_refused(out["sdp"], protocol);
      // The far side answers with a channel of its own all the same.
      const bool is_plain = way.contains("transport-protocol");
      const json back = world->ng(answer("c", "a", "b", is_plain ? plain(text) : text));
      ASSERT_EQ(back["result"], "ok") << back.dump();
      expect_refused(back["sdp"], protocol);
      // A re-offer of the other side adds one.
      const json again = world->ng(offer("c", "b", text));
      ASSERT_EQ(again["result"], "ok") << again.dump();
      expect_refused(again["sdp"], protocol);
    }
  }
}

TEST_P(FieldDataChannel, SCT3_AloneIsRefused) {
  const auto world = make_sim_world();
  const json out = world->ng(offer("c", "a", kHead + channel(GetParam())));
  EXPECT_EQ(out["result"], "error");
  EXPECT_EQ(world->open_ports(), 0u);
}

TEST_P(FieldDataChannel, OpensNoPort) {
  const auto world = make_sim_world();
  world->ng(offer("plain", "a", kHead + kAudio));
  const std::size_t plain = world->open_ports();
  world->ng(offer("channel", "a", kHead + kAudio + channel(GetParam())));
  EXPECT_EQ(world->open_ports(), 2 * plain);
}

INSTANTIATE_TEST_SUITE_P(Relatives, FieldDataChannel,
                         ::testing::Values("UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "DTLS/SCTP", "udp/dtls/sctp",
                                           "SCTP/DTLS"));

TEST(FieldDataChannel_Beside, OtherDatagramSectionsKeepTheirLinesButNoIce) {
  const auto world = make_sim_world();
  const std::string out = world->ng(offer("c", "a",
                                          kHead + kAudio +
                                              "m=application 5070 UDP/BFCP *\r\nc=IN IP4 203.0.113.11\r\n"
                                              "a=floorctrl:c-s\r\na=setup:actpass\r\n" +
                                              kIce))["sdp"];
  EXPECT_NE(out.find("a=floorctrl:c-s\r\na=setup:actpass\r\n"), std::string::npos) << out;
  EXPECT_EQ(out.find("m=application 0"), std::string::npos);
  EXPECT_EQ(out.find("BROWSER"), std::string::npos) << out;
  EXPECT_EQ(out.find("a=candidate"), std::string::npos) << out;
}

}  // namespace
}  // namespace ferry::test
