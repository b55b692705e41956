// SPDX-License-Identifier: Apache-2.0
// What a payload number means: a static one is its codec whatever a=rtpmap calls it (RFC 3551 §6), format
// parameters take no codec away, and the codec that was answered stays in the answer (RFC 3264 §6.1).

#include "control/sdp/codec_list.hpp"
#include "tests/support/world.hpp"

#include <sstream>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using nlohmann::json;

constexpr IpAddress kCaller = IpAddress::v4({203, 0, 113, 11});
constexpr IpAddress kCallee = IpAddress::v4({203, 0, 113, 12});

std::string body(const IpAddress& address, const std::string& formats, const std::string& attributes) {
  std::string text = "v=0\r\no=- 1 1 IN IP4 " + address.to_string() + "\r\ns=-\r\nc=IN IP4 " +
                     address.to_string() + "\r\nt=0 0\r\nm=audio 4000 RTP/AVP " + formats + "\r\n";
  std::istringstream lines(attributes);
  for (std::string line; std::getline(lines, line, '|');) text += "a=" + line + "\r\n";
  return text;
}

/// The numbers of the first m= line.
std::string formats_of(const json& reply) {
  if (!reply.contains("sdp")) return reply.dump();
  const std::string text = reply["sdp"];
  const auto start = text.find("RTP/AVP ") + 8;
  return text.substr(start, text.find("\r\n", start) - start);
}

struct Names {
  const char* what;
  const char* offered;
  const char* offered_lines;
  const char* answered;
  const char* answered_lines;
  const char* left;  // formats of the answer that the caller gets
};

class FieldCodecNames : public ::testing::TestWithParam<Names> {};

TEST_P(FieldCodecNames, RFC3264_WhatWasAnsweredStays) {
  const Names& row = GetParam();
  const auto world = make_sim_world();
  const json out = world->ng(offer("c", "a", body(kCaller, row.offered, row.offered_lines)));
  EXPECT_EQ(formats_of(out), row.offered) << "the offer goes on with all its numbers";
  const json back = world->ng(answer("c", "a", "b", body(kCallee, row.answered, row.answered_lines)));
  EXPECT_EQ(formats_of(back), row.left) << row.what;
}

#define EVENTS "rtpmap:101 telephone-event/8000"

INSTANTIATE_TEST_SUITE_P(
    Relatives, FieldCodecNames,
    ::testing::Values(
        Names{"annex in the name", "0 18 101", "rtpmap:18 G729a/8000|" EVENTS, "18 101",
              "rtpmap:18 G729/8000|" EVENTS, "18 101"},
        Names{"the other way", "0 18 101", "rtpmap:18 G729/8000|" EVENTS, "18 101",
              "rtpmap:18 G729A/8000/1|" EVENTS, "18 101"},
        Names{"no rtpmap in the answer", "0 18 101", "rtpmap:18 G729a/8000|" EVENTS, "18 101", EVENTS,
              "18 101"},
        Names{"no rtpmap in the offer", "0 18 101", EVENTS, "18 101", "rtpmap:18 G.729B/8000|" EVENTS,
              "18 101"},
        Names{"dots", "0 4 101", "rtpmap:4 G723.1/8000|" EVENTS, "4 101", "rtpmap:4 G723/8000|" EVENTS,
              "4 101"},
        Names{"reserved number, old name", "0 2 101", "rtpmap:2 G726-32/8000|" EVENTS, "2 101",
              "rtpmap:2 G721/8000|" EVENTS, "2 101"},
        Names{"misspelt", "0 8 101", "rtpmap:0 PCMU/8000|" EVENTS, "0 101", "rtpmap:0 PMCU/8000|" EVENTS,
              "0 101"},
        Names{"law's name", "0 8 101", "rtpmap:8 PCMA/8000|" EVENTS, "8 101", "rtpmap:8 alaw/8000|" EVENTS,
              "8 101"},
        Names{"G.722's real rate", "9 0 101", "rtpmap:9 G722/8000|" EVENTS, "9 101",
              "rtpmap:9 G722/16000|" EVENTS, "9 101"},
        Names{"channels", "0 8", "rtpmap:8 PCMA/8000", "8", "rtpmap:8 PCMA/8000/1", "8"},
        Names{"no clock", "0 8", "rtpmap:8 PCMA/8000", "8", "rtpmap:8 pcma", "8"},
        Names{"a dynamic number with old name", "97 0", "rtpmap:97 G729a/8000", "97", "rtpmap:97 G729/8000",
              "97"},
        Names{"dynamic, own number, old name", "97 0", "rtpmap:97 G.729/8000", "18", "", "97"},
        Names{"opus without channels", "111 0 101", "rtpmap:111 opus/48000/2|" EVENTS, "111 101",
              "rtpmap:111 OPUS/48000|" EVENTS, "111 101"},
        Names{"opus with one", "111 0", "rtpmap:111 opus/48000/2", "96", "rtpmap:96 opus/48000/1", "111"},
        Names{"dynamic without rtpmap in the answer", "98 0 101", "rtpmap:98 iLBC/8000|" EVENTS, "98 101",
              EVENTS, "98 101"},
        Names{"another name for the offered number", "98 0 101", "rtpmap:98 X-NEW/8000|" EVENTS, "98 101",
              "rtpmap:98 X-new2/8000|" EVENTS, "98 101"},
        Names{"a codec that nobody offered", "0 101", EVENTS, "96 101", "rtpmap:96 speex/8000|" EVENTS,
              "96 101"},
        Names{"odd fmtp", "18 101", "fmtp:18 annexb=no|" EVENTS, "18 101",
              "fmtp:18 annexb=perhaps;;=x|" EVENTS, "18 101"},
        Names{"fmtp of nothing", "0 101", EVENTS "|fmtp:101 0-15", "0 101", EVENTS "|fmtp:0 mode=9|fmtp:101",
              "0 101"},
        Names{"a list of events that is none, under another number", "0 101", EVENTS "|fmtp:101 0-15", "0 96",
              "rtpmap:96 telephone-event/8000|fmtp:96 events=0-15", "0 101"},
        Names{"events, no name on either side", "0 101", "fmtp:101 0-15", "0 101", EVENTS, "0 101"},
        Names{"a video's worth of names leaves what is common", "97 96",
              "rtpmap:97 H264/90000|rtpmap:96 VP8/90000", "97", "rtpmap:97 h264/90000|fmtp:97 nobody-knows",
              "97"}));

TEST(FieldCodecNames_Flags, EitherSpellingNamesACodec) {
  struct Row {
    const char* operation;
    const char* specification;
    const char* rtpmap;
    const char* left;
  };
  const std::vector<Row> rows = {
      {"strip", "G729", "18 G729a/8000", "8 101"},         {"strip", "G729a", "18 G729/8000", "8 101"},
      {"strip", "g.729", "18 G729AB/8000", "8 101"},       {"strip", "PMCA", "8 PMCA/8000", "18 101"},
      {"strip", "pcma", "8 PMCA/8000", "18 101"},          {"strip", "PCMA/8000/1", "8 PCMA/8000", "18 101"},
      {"mask", "G729a", "18 G729/8000", "8 101"},          {"mask", "G723", "18 G729/8000", "8 18 101"},
      {"strip", "G729/16000", "18 G729/8000", "8 18 101"},
  };
  for (const Row& row : rows) {
    const auto world = make_sim_world();
    json request =
        offer("c", "a", body(kCaller, "8 18 101", std::string("rtpmap:") + row.rtpmap + "|" EVENTS));
    request["codec"] = {{row.operation, {row.specification}}};
    EXPECT_EQ(formats_of(world->ng(request)), row.left) << row.operation << " " << row.specification;
  }
  const auto world = make_sim_world();
  json request = offer("c", "a", body(kCaller, "8 18 101", "rtpmap:18 G729a/8000|" EVENTS));
  request["codec"] = {{"strip", {"all"}}, {"except", {"G729"}}};
  EXPECT_EQ(formats_of(world->ng(request)), "18") << "except";
  request["call-id"] = "d";
  request["codec"] = {{"strip", {"all"}}, {"offer", {"G729a", "telephone-event"}}};
  EXPECT_EQ(formats_of(world->ng(request)), "18 101");
}

TEST(FieldCodecNames_Flags, AStaticNumberIsPassedOnAsTheSideWritesIt) {
  const auto world = make_sim_world();
  const std::string out = world->ng(offer("c", "a", body(kCaller, "18 9", "rtpmap:18 G729a/8000")))["sdp"];
  EXPECT_NE(out.find("a=rtpmap:18 G729a/8000\r\n"), std::string::npos) << out;
  EXPECT_NE(out.find("a=rtpmap:9 G722/8000\r\n"), std::string::npos) << out;
}

}  // namespace
}  // namespace ferry::test
