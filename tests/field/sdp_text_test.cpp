// SPDX-License-Identifier: Apache-2.0
// SDP as devices write it: blanks and tabs at the ends of lines and between words, capitals, lines that stand
// twice, hold in each of its forms; and what goes out is clean.

#include "control/protocol/ng/rtpp_flags.hpp"
#include "control/sdp/ice.hpp"
#include "control/sdp/secrets.hpp"
#include "tests/support/world.hpp"

#include <regex>
#include <sstream>

#include <gtest/gtest.h>

namespace ferry::test::sdp_text_test {
namespace {

using nlohmann::json;

constexpr const char* kKey = "AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw";

std::string clean(const std::string& direction = "sendrecv", const std::string& connection = "203.0.113.11",
                  const std::string& session = "", const std::string& extra = "") {
  return "v=0\r\no=- 4711 1 IN IP4 203.0.113.11\r\ns=-\r\nc=IN IP4 " + connection + "\r\nt=0 0\r\n" +
         session +
         "m=audio 4000 RTP/AVP 8 0 18 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:18 G729/8000\r\n"
         "a=fmtp:18 annexb=no\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
         "a=maxptime:40\r\na=rtcp:4007\r\na=mid:1\r\na=X-odd:1\r\n" +
         (direction.empty() ? "" : "a=" + direction + "\r\n") + extra;
}

std::string replaced(const std::string& text, const std::string& pattern, const std::string& with) {
  return std::regex_replace(text, std::regex(pattern), with);
}

std::vector<std::string> lines_of(const std::string& text, const std::string& pattern) {
  std::vector<std::string> found;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (std::regex_search(line, std::regex(pattern))) found.push_back(line);
  }
  return found;
}

const std::string kDirections = "^a=(send|recv|inactive)";

/// An offer's SDP as the other side gets it, without the ports that differ from call to call.
std::string passed_on(const std::string& body, const json& keys = {}) {
  const auto world = make_sim_world();
  json request = offer("c", "a", body);
  if (keys.is_object()) request.update(keys);
  const json reply = world->ng(request);
  if (!reply.contains("sdp")) return reply.dump();
  return replaced(replaced(reply["sdp"], "m=audio \\d+", "m=audio PORT"), "a=rtcp:\\d+", "a=rtcp:PORT");
}

struct Spoilt {
  const char* what;
  std::string (*how)(const std::string&);
};

class FieldSdpText : public ::testing::TestWithParam<Spoilt> {};

TEST_P(FieldSdpText, RFC8866_WhatTheValuesSayIsTaken) {
  const auto how = GetParam().how;
  for (const char* direction : {"sendrecv", "sendonly", "recvonly", "inactive"})
    EXPECT_EQ(passed_on(how(clean(direction))), passed_on(clean(direction))) << direction;
  EXPECT_EQ(passed_on(how(clean("", "203.0.113.11", "a=sendonly\r\n"))),
            passed_on(clean("", "203.0.113.11", "a=sendonly\r\n")))
      << "a direction of the session";
  // Keys: the far side is plain, the answer has a key for the offerer.
  const auto world = make_sim_world();
  json secure =
      offer("k", "a", how(replaced(clean(), "RTP/AVP", "RTP/SAVP") + "a=crypto:1 " + kKey + "\r\n"));
  secure["transport-protocol"] = "RTP/AVP";
  secure["DTLS"] = "off";
  const json out = world->ng(secure);
  ASSERT_EQ(out["result"], "ok") << out.dump();
  EXPECT_EQ(out["sdp"].get<std::string>().find("inline:"), std::string::npos);
  const json back = world->ng(answer("k", "a", "b", how(clean())));
  ASSERT_EQ(back["result"], "ok") << back.dump();
  EXPECT_EQ(lines_of(back["sdp"], "^a=crypto:1 ").size(), 1u) << back["sdp"];
  // ICE: credentials and candidates.
  const std::string ice =
      "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n"
      "a=candidate:1 1 UDP 2130706431 203.0.113.11 4000 typ host\r\n";
  const json with_ice = world->ng(offer("i", "a", how(clean("sendrecv", "203.0.113.11", "", ice))));
  ASSERT_TRUE(with_ice.contains("sdp")) << with_ice.dump();
  EXPECT_EQ(lines_of(with_ice["sdp"], "^a=ice-ufrag:").size(), 1u) << with_ice["sdp"];
  EXPECT_TRUE(lines_of(with_ice["sdp"], "abcd").empty());
  EXPECT_EQ(world->ng(answer("i", "a", "b", how(clean())))["result"], "ok");
  const json shown = world->manager().show("i", world->clock())["legs"][0]["medias"][0];
  ASSERT_TRUE(shown.contains("ice")) << shown.dump();
  EXPECT_EQ(shown["ice"]["peer_candidates"], 1);
}

INSTANTIATE_TEST_SUITE_P(
    Relatives, FieldSdpText,
    ::testing::Values(
        Spoilt{"a blank at the end of each line",
               [](const std::string& s) { return replaced(s, "\r\n", " \r\n"); }},
        Spoilt{"tabs at the end of each line",
               [](const std::string& s) { return replaced(s, "\r\n", "\t\t\r\n"); }},
        Spoilt{"blanks before each line", [](const std::string& s) { return replaced(s, "\r\n", "\r\n  "); }},
        Spoilt{"blanks before each value",
               [](const std::string& s) { return replaced(s, "(^|\n)([a-z])=", "$1$2= "); }},
        Spoilt{"two blanks between words",
               [](const std::string& s) { return replaced(s, "(\\S) (?=\\S)", "$1  "); }},
        Spoilt{"tabs between words",
               [](const std::string& s) { return replaced(s, "(\\S) (?=\\S)", "$1\t"); }},
        Spoilt{"blanks after colons",
               [](const std::string& s) { return replaced(s, "(a=[a-z-]+):", "$1: "); }},
        Spoilt{"blanks before colons",
               [](const std::string& s) { return replaced(s, "(a=[a-z-]+):", "$1 :"); }},
        Spoilt{"LF only", [](const std::string& s) { return replaced(s, "\r\n", "\n"); }},
        Spoilt{"LF only and blanks", [](const std::string& s) { return replaced(s, "\r\n", " \n"); }},
        Spoilt{"CR CR LF", [](const std::string& s) { return replaced(s, "\r\n", "\r\r\n"); }},
        Spoilt{"small letters in c= and o=",
               [](const std::string& s) { return replaced(s, "IN IP4", "in ip4"); }},
        Spoilt{"no end of the last line", [](const std::string& s) { return s.substr(0, s.size() - 2); }},
        Spoilt{"a blank in place of it",
               [](const std::string& s) { return s.substr(0, s.size() - 2) + " "; }},
        Spoilt{"each attribute twice",
               [](const std::string& s) { return replaced(s, "(a=.*\r\n)", "$1$1"); }},
        Spoilt{"an empty a= line", [](const std::string& s) { return replaced(s, "(a=ptime)", "a=\r\n$1"); }},
        Spoilt{"an a= line of a blank",
               [](const std::string& s) { return replaced(s, "(a=ptime)", "a= \r\n$1"); }},
        Spoilt{"lines that are none",
               [](const std::string& s) { return replaced(s, "(a=ptime)", " =x\r\n\tfoo\r\n$1"); }},
        Spoilt{"capitals", [](const std::string& s) {
                 std::string text = s;
                 for (const char* name :
                      {"rtpmap", "fmtp", "ptime", "rtcp", "sendonly", "sendrecv", "recvonly", "inactive",
                       "mid", "crypto", "candidate", "ice-ufrag", "ice-pwd"}) {
                   std::string capitals(name);
                   for (char& c : capitals) c = static_cast<char>(std::toupper(c));
                   text = replaced(text, std::string("a=") + name + "(?=[:\r])", "a=" + capitals);
                 }
                 return text;
               }}));

TEST(FieldSdpText_Hold, ASectionHasOneDirection) {
  struct Row {
    const char* session;
    const char* direction;
    const char* connection;
    const char* out;
  };
  const std::vector<Row> rows = {
      {"", "sendonly ", "203.0.113.11", "sendonly"},
      {"", " sendonly\t", "203.0.113.11", "sendonly"},
      {"", "SendOnly", "203.0.113.11", "sendonly"},
      {"a=sendonly\r\n", "", "203.0.113.11", "sendonly"},
      {"a=inactive \r\n", "", "203.0.113.11", "inactive"},
      {"a=sendrecv\r\n", "sendonly", "203.0.113.11", "sendonly"},
      {"a=sendonly\r\n", "sendrecv", "203.0.113.11", "sendrecv"},
      {"", "sendrecv\r\na=sendonly", "203.0.113.11", "sendonly"},
      {"", "sendonly\r\na=sendrecv", "203.0.113.11", "sendonly"},
      {"", "inactive\r\na=inactive", "203.0.113.11", "inactive"},
      {"", "", "203.0.113.11", "sendrecv"},
      {"", "sendrecv", "0.0.0.0", "sendonly"},
      {"", "recvonly", "0.0.0.0", "inactive"},
      {"", "sendonly", "0.0.0.0", "sendonly"},
      {"", "inactive", "0.0.0.0", "inactive"},
      {"", "", "0.0.0.0", "sendonly"},
  };
  const std::vector<json> wishes = {json::object(), {{"replace", {"zero-address"}}}};
  for (const Row& row : rows) {
    for (const json& keys : wishes) {
      const std::string out = passed_on(clean(row.direction, row.connection, row.session), keys);
      EXPECT_EQ(lines_of(out, kDirections), std::vector<std::string>{std::string("a=") + row.out})
          << row.session << row.direction << " " << row.connection << keys.dump();
    }
  }
}

TEST(FieldSdpText_Hold, OriginalSendrecvKeepsWhatWasReceivedOnce) {
  const json keys = {{"flags", {"original-sendrecv"}}};
  EXPECT_EQ(lines_of(passed_on(clean("sendonly "), keys), kDirections),
            std::vector<std::string>{"a=sendonly"});
  EXPECT_EQ(lines_of(passed_on(clean("", "203.0.113.11", "a=sendonly\r\n"), keys), kDirections),
            std::vector<std::string>{"a=sendonly"})
      << "hold of the session is not lost";
  EXPECT_EQ(lines_of(passed_on(clean("sendrecv", "0.0.0.0"), keys), kDirections),
            std::vector<std::string>{"a=sendrecv"});
  EXPECT_TRUE(lines_of(passed_on(clean(""), keys), kDirections).empty()) << "none was received";
}

TEST(FieldSdpText_Hold, AnAddedDirectionTakesThePlaceOfTheSections) {
  const json keys = {{"sdp-attr", {{"audio", {{"add", {"sendonly"}}}}}}};
  EXPECT_EQ(lines_of(passed_on(clean(), keys), kDirections), std::vector<std::string>{"a=sendonly"});
}

TEST(FieldSdpText_Hold, WEB10_TheZeroAddressIsHoldInReOffersAndAnswersAndNotWithIce) {
  const auto world = make_sim_world();
  world->ng(offer("c", "a", clean()));
  world->ng(answer("c", "a", "b", clean()));
  const std::string held = world->ng(offer("c", "a", clean("sendrecv", "0.0.0.0")))["sdp"];
  EXPECT_EQ(lines_of(held, kDirections), std::vector<std::string>{"a=sendonly"});
  EXPECT_EQ(lines_of(held, "^c="), std::vector<std::string>{"c=IN IP4 0.0.0.0"});
  const std::string back = world->ng(answer("c", "a", "b", clean("recvonly", "0.0.0.0")))["sdp"];
  EXPECT_EQ(lines_of(back, kDirections), std::vector<std::string>{"a=inactive"});
  const std::string ice = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=ice-options:trickle\r\n";
  const std::string trickling = world->ng(offer("i", "a", clean("sendrecv", "0.0.0.0", "", ice)))["sdp"];
  EXPECT_EQ(lines_of(trickling, kDirections), std::vector<std::string>{"a=sendrecv"});
  EXPECT_TRUE(lines_of(trickling, "^c=.* 0\\.0\\.0\\.0").empty()) << trickling;
}

TEST(FieldSdpText_Lines, NoRtpmapIsMadeUpForADynamicType) {
  const std::string bare =
      "v=0\r\no=- 1 1 IN IP4 203.0.113.11\r\ns=-\r\nc=IN IP4 203.0.113.11\r\nt=0 0\r\n"
      "m=audio 4000 RTP/AVP 8 101 35 96\r\na=fmtp:101 0-15\r\n";
  const std::string out = passed_on(bare);
  EXPECT_EQ(lines_of(out, "^m="), std::vector<std::string>{"m=audio PORT RTP/AVP 8 101 35 96"});
  EXPECT_EQ(lines_of(out, "^a=rtpmap"), std::vector<std::string>{"a=rtpmap:8 PCMA/8000"});
  EXPECT_EQ(lines_of(out, "^a=fmtp"), std::vector<std::string>{"a=fmtp:101 0-15"});
  const auto world = make_sim_world();
  world->ng(offer("c", "a", bare));
  const std::string back = world->ng(answer("c", "a", "b", bare))["sdp"];
  EXPECT_EQ(lines_of(back, "^a=rtpmap"), std::vector<std::string>{"a=rtpmap:8 PCMA/8000"});
}

TEST(FieldSdpText_Lines, RFC8285_ExtmapAllowMixedOfTheSessionIsSaidInItsSections) {
  const char* const level = "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n";
  const std::string out = passed_on(clean("sendrecv", "203.0.113.11", "a=extmap-allow-mixed\r\n", level));
  EXPECT_EQ(lines_of(out, "^a=extmap-allow-mixed$").size(), 1u) << out;
  EXPECT_GT(out.find("a=extmap-allow-mixed\r\n"), out.find("m=audio")) << out;
  const std::string without = passed_on(clean("sendrecv", "203.0.113.11", "a=extmap-allow-mixed\r\n"));
  EXPECT_TRUE(lines_of(without, "^a=extmap-allow-mixed$").empty()) << without;
  EXPECT_EQ(lines_of(passed_on(clean("sendrecv", "203.0.113.11", "", "a=extmap-allow-mixed \r\n")),
                     "^a=extmap-allow-mixed$")
                .size(),
            1u);
}

TEST(FieldSdpText_Lines, NoSecretStaysInARecordHoweverItIsWritten) {
  for (const char* line :
       {"a=crypto:1 SECRET\r\n", "a=CRYPTO:1 SECRET\r\n", " a=crypto:1 SECRET \r\n", "a= crypto :1 SECRET\n",
        "\ta=Crypto:1 SECRET\r", "a=ice-pwd:SECRET\r\n", "a=ICE-PWD: SECRET\n", "a=ice-pwd :SECRET",
        "k=clear:SECRET\r\n", " k=clear:SECRET\n"}) {
    const std::string text = sdp::without_secrets(std::string("v=0\ra=ptime:20\n") + line);
    EXPECT_EQ(text.find("SECRET"), std::string::npos) << line;
    EXPECT_EQ(text.rfind("v=0\ra=ptime:20\n", 0), 0u) << "the rest stays as it was";
    EXPECT_NE(text.find("(left out)\r\n"), std::string::npos) << line;
  }
  EXPECT_EQ(sdp::without_secrets(clean()), clean());
}

TEST(FieldSdpText_Ice, ShortCredentialsAreUsedAndTold) {
  struct Row {
    const char* ufrag;
    const char* password;
    bool is_short;
  };
  for (const Row& row : {Row{"abcd", "0123456789012345678901", false}, Row{"abcd", "0123456789", true},
                         Row{"abc", "0123456789012345678901", true}, Row{"a", "b", true}}) {
    const auto world = make_sim_world();
    const std::string ice = std::string("a=ice-ufrag:") + row.ufrag + "\r\na=ice-pwd:" + row.password +
                            "\r\na=candidate:1 1 UDP 2130706431 203.0.113.11 4000 typ host\r\n";
    const std::string out = world->ng(offer("c", "a", clean("sendrecv", "203.0.113.11", "", ice)))["sdp"];
    EXPECT_EQ(lines_of(out, "^a=ice-pwd:").size(), 1u) << row.password;
    const std::string back = world->ng(answer("c", "a", "b", clean()))["sdp"];
    EXPECT_EQ(lines_of(back, "^a=ice-pwd:").size(), 1u) << "it offered ICE and is answered with it";
    const json shown = world->manager().show("c", world->clock());
    EXPECT_EQ(shown["legs"][0]["medias"][0]["ice"].value("short_credentials", false), row.is_short);
    const std::string explained = world->manager().explain("c", false, world->clock()).dump();
    EXPECT_EQ(explained.find("shorter than RFC 8839") != std::string::npos, row.is_short);
  }
}

TEST(FieldSdpText_Flags, BlanksInRtppFlagsMeanNothing) {
  const std::vector<std::string> spellings = {
      "replace=[origin session-connection] label=x",
      " replace=[ origin   session-connection ]  label=x ",
      "\treplace=[\torigin\tsession-connection\t]\tlabel=x\t",
      "replace = [origin session-connection] label=x",
      "replace= [origin session-connection] label=x",
      "replace =[origin session-connection] label = x",
      "replace=[origin, session-connection] label=x",
      "replace=[ origin , session-connection, ] label=x",
      "replace=[origin\r\n session-connection]\r\n label=x",
  };
  const auto wanted = ng::parse_rtpp_flags(spellings.front());
  for (const std::string& text : spellings) {
    const auto flags = ng::parse_rtpp_flags(text);
    EXPECT_EQ(flags.keys, wanted.keys) << text;
    EXPECT_EQ(flags.flags, wanted.flags) << text;
    const std::string out = passed_on(clean(), {{"rtpp-flags", text}});
    EXPECT_EQ(lines_of(out, "^o="), std::vector<std::string>{"o=- 4711 1 IN IP4 198.18.0.1"}) << text;
  }
  const auto nested = ng::parse_rtpp_flags("codec=[strip=[PCMA] mask=[PCMU opus/48000/2]]");
  for (const char* text : {"codec = [ strip = [ PCMA ] mask = [ PCMU  opus/48000/2 ] ]",
                           "codec=[\tstrip=[PCMA ]\tmask= [PCMU\topus/48000/2] ]"})
    EXPECT_EQ(ng::parse_rtpp_flags(text).keys, nested.keys) << text;
  const auto empty = ng::parse_rtpp_flags("label= trust-address");
  EXPECT_EQ(empty.flags, std::vector<std::string>{"trust-address"}) << "an empty value takes no flag";
}

}  // namespace
}  // namespace ferry::test::sdp_text_test
