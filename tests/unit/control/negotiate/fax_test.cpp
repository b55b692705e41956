// SPDX-License-Identifier: Apache-2.0
// Sections of fax and of audio in place of each other, as the dialogues t38-* of tests/golden/ng have them.
#include "control/negotiate/fax.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::fax_test {
namespace {

using Words = std::vector<std::string>;
constexpr UdptlView::Recovery kParity = UdptlView::Recovery::kParity;
constexpr UdptlView::Recovery kEarlier = UdptlView::Recovery::kEarlier;

/// A body with one section, kept with its views.
struct Body {
  explicit Body(const std::string& section)
      : text("v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n" + section),
        session(sdp::parse(text).value()) {}
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;
  [[nodiscard]] const sdp::MediaSection& section() const { return session.media.at(0); }
  std::string text;
  sdp::Session session;
};
const std::string kImage = "m=image 40000 udptl t38\r\n";
const std::string kAudio = "m=audio 40000 RTP/AVP 8\r\na=sendrecv\r\n";

Words lines(const sdp::MediaSection& section) {
  Words all;
  for (const sdp::Attribute& each : section.attributes) all.emplace_back(each.text);
  return all;
}
std::vector<int> types(const std::vector<sdp::Codec>& codecs) {
  std::vector<int> all;
  for (const sdp::Codec& each : codecs) all.push_back(each.payload_type);
  return all;
}
FaxWishes wishes(const Words& words, std::optional<std::int64_t> version = {}) {
  FaxWishes read;
  for (const std::string& each : words) EXPECT_TRUE(take_fax_word(read, each)) << each;
  read.version = t38_version(version.value_or(0));
  return read;
}

TEST(Fax, OnlyWhatIsAskedForAndPossibleIsConverted) {
  struct Row {
    const char* section;
    Words words;
    FaxConversion conversion;
  };
  const std::vector<Row> rows = {
      {"m=image 40000 udptl t38\r\n", {"decode"}, FaxConversion::kToAudio},
      {"m=image 40000 UDPTL T38\r\n", {"decode"}, FaxConversion::kToAudio},
      {"m=image 40000 udptl t38\r\n", {}, FaxConversion::kNone},
      {"m=image 40000 udptl t38\r\n", {"force"}, FaxConversion::kNone},
      {"m=image 40000 udptl t38\r\n", {"decode", "force"}, FaxConversion::kToAudio},
      {"m=image 40000 udptl t38\r\n", {"decode", "stop"}, FaxConversion::kNone},
      {"m=image 0 udptl t38\r\n", {"decode"}, FaxConversion::kNone},
      {"m=image 40000 UDP/TLS/UDPTL t38\r\n", {"decode"}, FaxConversion::kNone},
      {"m=image 40000 udptl t37\r\n", {"decode"}, FaxConversion::kNone},
      {"m=audio 40000 RTP/AVP 8\r\n", {"decode"}, FaxConversion::kNone},
      {"m=audio 40000 RTP/AVP 8\r\n", {"force"}, FaxConversion::kToImage},
      {"m=audio 40000 RTP/AVP 18 0\r\n", {"decode", "force"}, FaxConversion::kToImage},
      {"m=audio 40000 RTP/AVP 8\r\n", {"force", "stop"}, FaxConversion::kNone},
      {"m=audio 40000 RTP/AVP 18\r\n", {"force"}, FaxConversion::kNone},
      {"m=audio 0 RTP/AVP 8\r\n", {"force"}, FaxConversion::kNone},
      {"m=video 40000 RTP/AVP 31\r\n", {"force"}, FaxConversion::kNone},
  };
  for (const Row& row : rows) {
    const Body body(row.section);
    EXPECT_EQ(fax_conversion(body.section(), wishes(row.words)), row.conversion)
        << row.section << testing::PrintToString(row.words);
  }
}

TEST(Fax, WhatADeviceSaysIsReadInItsSpelling) {
  struct Row {
    const char* lines;
    T38Terms terms;
  };
  const std::vector<Row> rows = {
      {"", {}},
      {"a=T38FaxVersion:3\r\na=T38MaxBitRate:14400\r\na=T38FaxMaxDatagram:90\r\na=T38FaxUdpEC:t38UDPFEC\r\n",
       {.version = 3, .recovery = kParity, .max_datagram = 90, .max_bit_rate = 14'400}},
      {"a=t38faxversion: 2\r\na=T38faxUdpEC:T38udpfec\r\n", {.version = 2, .recovery = kParity}},
      {"a=T38FaxUdpEC:t38UDPRedundancy\r\na=T38FaxRateManagement:localTCF\r\n", {.transfers_tcf = false}},
      {"a=T38FaxUdpEC:t38UDPNoEC\r\na=T38FaxRateManagement:transferredTCF\r\n", {.takes_recovery = false}},
      {"a=T38FaxVersion:7\r\na=T38FaxMaxDatagram:x\r\n", {.version = 3}},
      {"a=T38FaxFillBitRemoval:0\r\na=T38FaxTranscodingMMR\r\n", {}},
  };
  for (const Row& row : rows) {
    const Body body(kImage + row.lines);
    EXPECT_EQ(read_t38(body.section()), row.terms) << row.lines;
  }
}

Words image_lines(const char* version, const char* recovery, const char* direction) {
  return {std::string("T38FaxVersion:") + version,
          "T38MaxBitRate:14400",
          "T38FaxRateManagement:transferredTCF",
          "T38FaxMaxBuffer:1800",
          "T38FaxMaxDatagram:512",
          std::string("T38FaxUdpEC:") + recovery,
          direction};
}

TEST(Fax, AudioIsShownAsAnImageOfOurOwn) {
  struct Row {
    std::string section;
    Words words;
    std::optional<std::int64_t> version;
    Words lines;
  };
  const std::vector<Row> rows = {
      {kAudio, {"force"}, {}, image_lines("0", "t38UDPRedundancy", "sendrecv")},
      {kAudio, {"force", "no-V.17", "no-IAF", "FEC"}, 3, image_lines("3", "t38UDPFEC", "sendrecv")},
      {"m=audio 1 RTP/AVP 8\r\na=silenceSupp:off\r\na=ptime:20\r\na=sendonly\r\n",
       {"force"},
       {},
       image_lines("0", "t38UDPRedundancy", "sendonly")},
  };
  for (const Row& row : rows) {
    const Body body(row.section);
    std::deque<std::string> texts;
    const sdp::MediaSection image =
        image_offer(body.section(), wishes(row.words, static_cast<int>(row.version.value_or(0))), texts);
    EXPECT_EQ(image.type, "image");
    EXPECT_EQ(image.protocol.text, "udptl");
    EXPECT_EQ(image.formats, (std::vector<std::string_view>{"t38"}));
    EXPECT_EQ(lines(image), row.lines);
    EXPECT_EQ(image.port, body.section().port);
    EXPECT_EQ(image.connection, body.section().connection);
    EXPECT_TRUE(is_t38(image));
    EXPECT_TRUE(image.codecs.empty());
  }
}

TEST(Fax, AnAnswerTakesTheVersionAndTheProtectionOfTheOffer) {
  const Body audio(kAudio);
  std::deque<std::string> texts;
  const auto answer = [&](const T38Terms& offered, std::optional<std::int64_t> version) {
    return lines(image_answer(audio.section(), offered,
                              wishes({"decode"}, static_cast<int>(version.value_or(0))), texts));
  };
  EXPECT_EQ(answer({}, {}), image_lines("0", "t38UDPRedundancy", "sendrecv"));
  EXPECT_EQ(answer({.version = 3, .recovery = kParity}, {}), image_lines("0", "t38UDPFEC", "sendrecv"));
  EXPECT_EQ(answer({.version = 2}, 3), image_lines("2", "t38UDPRedundancy", "sendrecv"));
}

TEST(Fax, AnImageIsShownAsTheG711ThatThePartyKnows) {
  struct Row {
    const char* known;
    bool is_answer;
    std::vector<int> types;
  };
  const std::vector<Row> rows = {
      {"8", false, {8}},  {"18 8 101 0", false, {8, 0}}, {"18", false, {0, 8}}, {"18 8 101 0", true, {8}},
      {"0 8", true, {0}},
  };
  for (const Row& row : rows) {
    const Body image(kImage + "a=T38FaxVersion:0\r\na=T38FaxMaxDatagram:90\r\n");
    const Body known(std::string("m=audio 41000 RTP/AVP ") + row.known +
                     "\r\na=rtpmap:101 telephone-event/8000\r\n");
    const sdp::MediaSection audio =
        audio_section(image.section(), g711_of(known.section().codecs), row.is_answer);
    EXPECT_EQ(audio.type, "audio");
    EXPECT_EQ(audio.protocol.text, "RTP/AVP");
    EXPECT_TRUE(audio.is_rtp());
    EXPECT_EQ(types(audio.codecs), row.types) << row.known;
    EXPECT_EQ(audio.formats.size(), row.types.size()) << "also where the section is written as rejected";
    EXPECT_TRUE(lines(audio).empty());
    EXPECT_EQ(audio.port, image.section().port);
    EXPECT_EQ(audio.direction, sdp::Direction{});
  }
}

TEST(Fax, ARejectedSectionStaysRejected) {
  const Body image("m=image 0 udptl t38\r\n");
  EXPECT_EQ(audio_section(image.section(), {}, true).port, 0);
  const Body audio("m=audio 0 RTP/AVP 8\r\n");
  std::deque<std::string> texts;
  EXPECT_EQ(image_answer(audio.section(), {}, {}, texts).port, 0);
}

TEST(Fax, TheGatewayObeysThePartyAndTheRequest) {
  const T38Terms terms{.version = 3, .recovery = kParity, .max_datagram = 300};
  const T38Settings settings = t38_settings(terms, wishes({"force", "no-ECM", "no-V.29"}), 2);
  EXPECT_EQ(settings, (T38Settings{.version = 2,
                                   .protection = {.recovery = kParity},
                                   .max_datagram = 300,
                                   .ecm = false,
                                   .v29 = false}));
  const T38Settings bare = t38_settings({.takes_recovery = false}, {}, 0);
  EXPECT_EQ(bare.protection, (UdptlProtection{.recovery = kEarlier, .earlier = 0}));
}

}  // namespace
}  // namespace ferry::test::fax_test
