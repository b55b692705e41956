// SPDX-License-Identifier: Apache-2.0
// Bodies in, views out: what RFC 8866 says, what devices write, and the bounds of CTL-4 and LIM-6.
#include "control/sdp/sdp.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::sdp {
namespace {

const std::string kHead = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
const std::string kAudio = "m=audio 4000 RTP/AVP 8\r\n";

/// A body that outlives what was read of it.
struct Body {
  explicit Body(std::string body, const Limits& limits = {})
      : text(std::move(body)), session(parse(text, limits)) {}
  [[nodiscard]] const MediaSection& media(std::size_t n = 0) const { return session->media.at(n); }
  std::string text;
  Result<Session, SdpError> session;
};
Body audio(const std::string& lines, const std::string& of_session = "") {
  return Body(kHead + of_session + kAudio + lines);
}

// --- Lines.

struct LineRow {
  const char* name;
  std::string text;
};
void PrintTo(const LineRow& row, std::ostream* out) { *out << row.name; }

std::string with_ends(std::string_view line_end) {
  std::string text = kHead + kAudio + "a=mid:1\r\na=X-odd: z\r\n";
  for (std::size_t at = 0; (at = text.find("\r\n", at)) != std::string::npos; at += line_end.size())
    text.replace(at, 2, line_end);
  return text;
}

class WaysToWriteOneBody : public ::testing::TestWithParam<LineRow> {};

TEST_P(WaysToWriteOneBody, AreReadAlike) {
  const Body body(GetParam().text);
  ASSERT_TRUE(body.session);
  ASSERT_EQ(body.session->media.size(), 1u);
  EXPECT_EQ(body.session->origin.address, "192.0.2.1");
  EXPECT_EQ(body.media().type, "audio");
  EXPECT_EQ(body.media().port, 4000);
  EXPECT_EQ(body.media().formats, std::vector<std::string_view>{"8"});
  EXPECT_EQ(body.media().mid, "1");
  ASSERT_EQ(body.media().attributes.size(), 2u);
  EXPECT_EQ(body.media().attributes[1].name, "X-odd");
  EXPECT_EQ(body.media().attributes[1].value, "z");
  EXPECT_EQ(body.media().connection, IpAddress::parse("192.0.2.1"));
}

INSTANTIATE_TEST_SUITE_P(
    Table, WaysToWriteOneBody,
    ::testing::Values(
        LineRow{"CrLf", with_ends("\r\n")}, LineRow{"Lf", with_ends("\n")}, LineRow{"Cr", with_ends("\r")},
        LineRow{"CrCrLf", with_ends("\r\r\n")},
        LineRow{"BehindANul", with_ends("\r\n") + std::string(1, '\0') + "m=video 9 RTP/AVP 96\r\n"},
        LineRow{"BehindAnEmptyLine", with_ends("\r\n") + "\r\nm=video 9 RTP/AVP 96\r\n"},
        LineRow{"WithoutTheLastEnd", kHead + kAudio + "a=mid:1\r\na=X-odd: z"},
        LineRow{"BlanksAndTabs",
                "v=0 \r\no=-  1\t1 IN IP4 192.0.2.1\t\r\ns=-\r\nc= IN IP4  192.0.2.1 \r\n m=audio\t4000  "
                "RTP/AVP 8 "
                "\r\na=mid: 1 \r\na=X-odd : z\r\n"},
        LineRow{"Capitals",
                "v=0\r\no=- 1 1 in ip4 192.0.2.1\r\ns=-\r\nc=in ip4 192.0.2.1\r\nm=audio 4000 rtp/avp "
                "8\r\na=MID:1\r\na=X-odd:z\r\n"},
        LineRow{"UnknownLines", kHead + "q=1\r\nhello\r\nr=7d\r\nz=0 0\r\nk=clear:x\r\n" + kAudio +
                                    "a=mid:1\r\ny=2\r\na=X-odd:z\r\n"},
        LineRow{"AttributesTwice", kHead + kAudio + "a=mid:1\r\na=mid:1\r\na=X-odd: z\r\na=X-odd: z\r\n"},
        LineRow{"AConnectionOfItsOwn", "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\n" +
                                           kAudio + "c=IN IP4 192.0.2.1\r\na=mid:1\r\na=X-odd:z\r\n"}),
    [](const auto& each) { return std::string(each.param.name); });

struct ErrorRow {
  const char* name;
  std::string text;
  SdpError error;
  Limits limits;
};
void PrintTo(const ErrorRow& row, std::ostream* out) { *out << row.name; }

class BodiesThatAreNone : public ::testing::TestWithParam<ErrorRow> {};

TEST_P(BodiesThatAreNone, HaveAReason) {
  const auto session = parse(GetParam().text, GetParam().limits);
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error(), GetParam().error) << to_string(session.error());
}

std::string many(std::size_t count, const std::string& line) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += line;
  return text;
}
INSTANTIATE_TEST_SUITE_P(
    Table, BodiesThatAreNone,
    ::testing::Values(
        ErrorRow{"CTL4_Octets", std::string(128 * 1024 + 1, 'x'), SdpError::kTooLarge, {}},
        ErrorRow{"CTL4_Lines", kHead + many(4096, "a=x\r\n"), SdpError::kTooLarge, {}},
        ErrorRow{"CTL4_OctetsOfALine",
                 kHead + "a=" + std::string(8 * 1024, 'x') + "\r\n",
                 SdpError::kTooLarge,
                 {}},
        ErrorRow{"LIM6_Sections", kHead + many(33, kAudio), SdpError::kTooManyMedia, {}},
        ErrorRow{"LIM6_Formats",
                 kHead + "m=audio 4000 RTP/AVP" + many(65, " 8") + "\r\n",
                 SdpError::kTooManyFormats,
                 {}},
        ErrorRow{"NoVersion", "o=- 1 1 IN IP4 192.0.2.1\r\n" + kAudio, SdpError::kLineBeforeVersion, {}},
        ErrorRow{"OriginWithoutAddress", "v=0\r\no=- 1 1 IN IP4\r\n", SdpError::kBadLine, {}},
        ErrorRow{"OriginOfAnotherNet", "v=0\r\no=- 1 1 ATM IP4 192.0.2.1\r\n", SdpError::kBadLine, {}},
        ErrorRow{"OriginOfAnotherType", "v=0\r\no=- 1 1 IN IP7 192.0.2.1\r\n", SdpError::kBadLine, {}},
        ErrorRow{"ConnectionToAName", kHead + kAudio + "c=IN IP4 example.org\r\n", SdpError::kBadLine, {}},
        ErrorRow{"ConnectionWithATtl", kHead + "c=IN IP4 233.252.0.1/127\r\n", SdpError::kBadLine, {}},
        ErrorRow{"ConnectionOfTheWrongType", kHead + "c=IN IP6 192.0.2.1\r\n", SdpError::kBadLine, {}},
        ErrorRow{"SectionWithoutPort", kHead + "m=audio\r\n", SdpError::kBadLine, {}},
        ErrorRow{"SectionWithoutProtocol", kHead + "m=audio 4000\r\n", SdpError::kBadLine, {}},
        ErrorRow{"SectionWithAPortAboveAll", kHead + "m=audio 65536 RTP/AVP 8\r\n", SdpError::kBadLine, {}},
        ErrorRow{"SectionWithANegativePort", kHead + "m=audio -1 RTP/AVP 8\r\n", SdpError::kBadLine, {}},
        ErrorRow{"SectionWithABadCount", kHead + "m=audio 4000/x RTP/AVP 8\r\n", SdpError::kBadLine, {}},
        ErrorRow{"StrictlyALineThatIsNone", kHead + "hello\r\n", SdpError::kBadLine, Limits{.strict = true}},
        ErrorRow{"StrictlyAnUnknownLetter", kHead + "q=1\r\n", SdpError::kBadLine, Limits{.strict = true}}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(Parse, TheBoundsThemselvesAreAllowed) {
  EXPECT_TRUE(parse(kHead + many(4096 - 5, "a=x\r\n"))) << "five lines are in the head";
  EXPECT_TRUE(parse(kHead + "a=" + std::string(8 * 1024 - 2, 'x') + "\r\n"));
  EXPECT_TRUE(parse(kHead + many(32, kAudio)));
  EXPECT_TRUE(parse(kHead + "m=audio 4000 RTP/AVP" + many(64, " 8") + "\r\n"));
  EXPECT_TRUE(parse(kHead + kAudio, Limits{.strict = true}));
}

TEST(Parse, ABodyWithoutSectionsIsNoError) {
  const Body none("");
  ASSERT_TRUE(none.session);
  EXPECT_TRUE(none.session->media.empty());
  EXPECT_EQ(none.session->origin.address, "0.0.0.0");
  EXPECT_EQ(none.session->name, "-");
  EXPECT_TRUE(Body(kHead).session);
}

TEST(Parse, EachErrorHasATextOfItsOwn) {
  std::vector<std::string_view> texts;
  for (const SdpError error : {SdpError::kTooLarge, SdpError::kBadLine, SdpError::kLineBeforeVersion,
                               SdpError::kTooManyMedia, SdpError::kTooManyFormats})
    texts.push_back(to_string(error));
  std::ranges::sort(texts);
  EXPECT_EQ(std::ranges::adjacent_find(texts), texts.end());
  EXPECT_EQ(to_string(static_cast<SdpError>(99)), "unknown");
}

TEST(Parse, LinesOfTheSessionAndOfASectionStayApart) {
  const Body body(
      "v=0\r\no=me 7 8 IN IP6 2001:db8::1\r\ns=talk\r\ni=about\r\nu=http://x/\r\ne=me@x\r\np=1\r\nb=CT:99\r\n"
      "t=1 2\r\nt=3 4\r\na=tool:x\r\nm=audio 4000/2 RTP/AVP 8\r\ni=voice\r\nc=IN IP6 "
      "2001:db8::2\r\nb=AS:64\r\n"
      "a=label:9\r\ns=nothing\r\nu=nothing\r\n");
  ASSERT_TRUE(body.session);
  const Session& session = *body.session;
  EXPECT_EQ(session.origin.username, "me");
  EXPECT_EQ(session.origin.session_id, "7");
  EXPECT_EQ(session.origin.version, "8");
  EXPECT_EQ(session.origin.address_type, "IP6");
  EXPECT_EQ(session.name, "talk");
  EXPECT_EQ(session.descriptive, (std::vector<std::string_view>{"i=about", "u=http://x/", "e=me@x", "p=1"}));
  EXPECT_EQ(session.bandwidth, std::vector<std::string_view>{"CT:99"});
  EXPECT_EQ(session.timing, "1 2") << "the first one";
  ASSERT_EQ(session.attributes.size(), 1u);
  EXPECT_EQ(session.attributes[0].text, "tool:x");
  EXPECT_EQ(body.media().information, std::vector<std::string_view>{"voice"});
  EXPECT_EQ(body.media().bandwidth, std::vector<std::string_view>{"AS:64"});
  EXPECT_EQ(body.media().label, "9");
  EXPECT_EQ(body.media().port_count, 2u);
  EXPECT_EQ(body.media().connection, IpAddress::parse("2001:db8::2"));
}

// RFC 8866 §5.3: a session without a name has `s= `.
TEST(Parse, Rfc8866NoName_IsOneBlank) {
  EXPECT_EQ(Body("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns= \r\n").session->name, " ");
  EXPECT_EQ(Body("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=\r\n").session->name, "");
}

// docs/reference/ng.md#offer-answer: a second `v=` in a body adds its sections to the first ones.
TEST(Parse, ASecondDescriptionAddsItsSections) {
  const Body body(kHead + kAudio +
                  "v=0\r\no=you 9 9 IN IP4 203.0.113.9\r\ns=other\r\nc=IN IP4 203.0.113.9\r\na=tool:y\r\n"
                  "m=video 5000 RTP/AVP 96\r\n");
  ASSERT_TRUE(body.session);
  ASSERT_EQ(body.session->media.size(), 2u);
  EXPECT_EQ(body.session->origin.username, "-");
  EXPECT_EQ(body.session->name, "-");
  EXPECT_TRUE(body.session->attributes.empty());
  EXPECT_EQ(body.media(0).connection, IpAddress::parse("192.0.2.1"));
  EXPECT_EQ(body.media(1).connection, IpAddress::parse("203.0.113.9"));
}

TEST(Parse, WithoutAConnectionASectionHasNoAddress) {
  const Body body("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n" + kAudio);
  ASSERT_TRUE(body.session);
  EXPECT_FALSE(body.media().connection);
}

// --- Attributes that are interpreted.

TEST(Parse, WhatTheSectionSaysCountsBeforeTheSession) {
  const std::string session =
      "a=fingerprint:sha-256 AA\r\na=setup:actpass\r\na=tls-id:s\r\na=ice-ufrag:su\r\na=ice-pwd:sp\r\n"
      "a=ice-options:trickle\r\na=ice-lite\r\n";
  const Body bare = audio("", session);
  EXPECT_EQ(bare.media().fingerprints, std::vector<std::string_view>{"sha-256 AA"});
  EXPECT_EQ(bare.media().setup, "actpass");
  EXPECT_EQ(bare.media().tls_id, "s");
  EXPECT_EQ(bare.media().ice_ufrag, "su");
  EXPECT_EQ(bare.media().ice_password, "sp");
  EXPECT_EQ(bare.media().ice_options, "trickle");
  EXPECT_TRUE(bare.media().ice_lite);
  EXPECT_FALSE(bare.media().has_crypto) << "a plain section keeps to itself";
  const Body own = audio(
      "a=fingerprint:sha-1 BB\r\na=fingerprint:sha-1 CC\r\na=setup:active\r\na=tls-id:m\r\na=ice-ufrag:mu\r\n"
      "a=ice-pwd:mp\r\na=ice-options:ice2\r\na=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\n",
      session);
  EXPECT_EQ(own.media().fingerprints, (std::vector<std::string_view>{"sha-1 BB", "sha-1 CC"}));
  EXPECT_EQ(own.media().setup, "active");
  EXPECT_EQ(own.media().tls_id, "m");
  EXPECT_EQ(own.media().ice_ufrag, "mu");
  EXPECT_EQ(own.media().ice_password, "mp");
  EXPECT_EQ(own.media().ice_options, "ice2");
  EXPECT_EQ(own.media().candidates.size(), 1u);
  EXPECT_TRUE(own.media().has_crypto);
}

TEST(Parse, OneLineSetsOneThing) {
  const Body body = audio("a=rtcp-mux\r\na=rtcp-rsize\r\na=ptime:20\r\na=maxptime:60\r\na=label:x\r\n");
  EXPECT_TRUE(body.media().rtcp_mux);
  EXPECT_TRUE(body.media().rtcp_reduced_size);
  EXPECT_EQ(body.media().ptime, "20");
  EXPECT_EQ(body.media().maxptime, "60");
  EXPECT_EQ(body.media().label, "x");
  EXPECT_FALSE(body.media().has_crypto);
  EXPECT_TRUE(audio("a=crypto:1 X inline:y\r\n").media().has_crypto);
  const Body bare = audio("");
  EXPECT_FALSE(bare.media().rtcp_mux || bare.media().rtcp_reduced_size || bare.media().ice_lite);
  EXPECT_NE(body.media().find("ptime"), nullptr);
  EXPECT_EQ(body.media().find("rtcp"), nullptr);
}

struct DirectionRow {
  const char* name;
  std::string session;
  std::string section;
  Direction direction;
  bool is_said;
};
void PrintTo(const DirectionRow& row, std::ostream* out) { *out << row.name; }

class DirectionOfASection : public ::testing::TestWithParam<DirectionRow> {};

// docs/reference/ng.md#direction: that of the section, else that of the session, else sendrecv; among several
// the first of recvonly, sendonly, inactive, sendrecv.
TEST_P(DirectionOfASection, IsRead) {
  const Body body = audio(GetParam().section, GetParam().session);
  EXPECT_EQ(body.media().direction, GetParam().direction);
  EXPECT_EQ(body.media().has_direction, GetParam().is_said);
}

INSTANTIATE_TEST_SUITE_P(
    Table, DirectionOfASection,
    ::testing::Values(
        DirectionRow{"Nothing", "", "", {true, true}, false},
        DirectionRow{"Sendonly", "", "a=sendonly\r\n", {true, false}, true},
        DirectionRow{"Recvonly", "", "a=recvonly\r\n", {false, true}, true},
        DirectionRow{"Inactive", "", "a=inactive\r\n", {false, false}, true},
        DirectionRow{"Sendrecv", "", "a=sendrecv\r\n", {true, true}, true},
        DirectionRow{"Capitals", "", "a=SendOnly\r\n", {true, false}, true},
        DirectionRow{"OfTheSession", "a=sendonly\r\n", "", {true, false}, true},
        DirectionRow{"TheSectionFirst", "a=sendonly\r\n", "a=sendrecv\r\n", {true, true}, true},
        DirectionRow{"RecvonlyBeforeSendonly", "", "a=sendonly\r\na=recvonly\r\n", {false, true}, true},
        DirectionRow{"SendonlyBeforeInactive", "", "a=inactive\r\na=sendonly\r\n", {true, false}, true},
        DirectionRow{"InactiveBeforeSendrecv", "", "a=sendrecv\r\na=inactive\r\n", {false, false}, true}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(Directions, AreWrittenAsTheyAreRead) {
  EXPECT_EQ(to_string(Direction{true, true}), "sendrecv");
  EXPECT_EQ(to_string(Direction{true, false}), "sendonly");
  EXPECT_EQ(to_string(Direction{false, true}), "recvonly");
  EXPECT_EQ(to_string(Direction{false, false}), "inactive");
  EXPECT_TRUE(is_direction("inactive"));
  EXPECT_FALSE(is_direction("rtcp"));
}

// RFC 3605 §2.1: `a=rtcp:` port [nettype addrtype address].
TEST(Parse, Rfc3605Rtcp_IsAPortWithOrWithoutAnAddress) {
  struct Row {
    const char* value;
    std::optional<Endpoint> rtcp;
  };
  const auto port = [](std::uint16_t number) { return Endpoint{{}, UdpPort{number}}; };
  const Row rows[] = {
      {"4001", port(4001)},
      {"53020 IN IP4 126.16.64.4", Endpoint::parse("126.16.64.4:53020")},
      {"53020 IN IP6 2001:db8::1", Endpoint::parse("[2001:db8::1]:53020")},
      {"4001 IN IP4 example.org", port(4001)},
      {"0", std::nullopt},
      {"4001 IN IP4 0.0.0.0", std::nullopt},
      {"65536", std::nullopt},
      {"", std::nullopt},
  };
  for (const Row& row : rows)
    EXPECT_EQ(audio(std::string("a=rtcp:") + row.value + "\r\n").media().rtcp, row.rtcp) << row.value;
}

// --- Protocols.

struct ProtocolRow {
  const char* text;
  ProtocolClass kind;
  bool secure;
  bool feedback;
  bool dtls;
  Carriage carriage;
};
void PrintTo(const ProtocolRow& row, std::ostream* out) { *out << row.text; }

class Protocols : public ::testing::TestWithParam<ProtocolRow> {};

TEST_P(Protocols, HaveTheirProperties) {
  const ProtocolRow& row = GetParam();
  std::string small(row.text);
  std::ranges::transform(small, small.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const std::string& text : {std::string(row.text), small}) {
    const Protocol protocol = parse_protocol(text);
    EXPECT_EQ(protocol.kind, row.kind);
    EXPECT_EQ(protocol.secure, row.secure);
    EXPECT_EQ(protocol.feedback, row.feedback);
    EXPECT_EQ(protocol.dtls, row.dtls);
    EXPECT_EQ(carriage_of(text), row.carriage) << text;
  }
  if (row.kind == ProtocolClass::kRtp) {
    EXPECT_EQ(parse_protocol(small).text, row.text) << "as RFCs write it";
  }
}

using PC = ProtocolClass;
INSTANTIATE_TEST_SUITE_P(
    Table, Protocols,
    ::testing::Values(ProtocolRow{"RTP/AVP", PC::kRtp, false, false, false, Carriage::kDatagrams},
                      ProtocolRow{"RTP/AVPF", PC::kRtp, false, true, false, Carriage::kDatagrams},
                      ProtocolRow{"RTP/SAVP", PC::kRtp, true, false, false, Carriage::kDatagrams},
                      ProtocolRow{"RTP/SAVPF", PC::kRtp, true, true, false, Carriage::kDatagrams},
                      ProtocolRow{"UDP/TLS/RTP/SAVP", PC::kRtp, true, false, true, Carriage::kDatagrams},
                      ProtocolRow{"UDP/TLS/RTP/SAVPF", PC::kRtp, true, true, true, Carriage::kDatagrams},
                      ProtocolRow{"udptl", PC::kUdptl, false, false, false, Carriage::kDatagrams},
                      ProtocolRow{"UDP/TLS/UDPTL", PC::kOther, false, false, false, Carriage::kDtls},
                      ProtocolRow{"UDP/BFCP", PC::kOther, false, false, false, Carriage::kBfcp},
                      ProtocolRow{"UDP/TLS/BFCP", PC::kOther, false, false, false, Carriage::kDtls},
                      ProtocolRow{"UDP/DTLS/SCTP", PC::kOther, false, false, false, Carriage::kDataChannel},
                      ProtocolRow{"TCP/DTLS/SCTP", PC::kOther, false, false, false, Carriage::kDataChannel},
                      ProtocolRow{"DTLS/SCTP", PC::kOther, false, false, false, Carriage::kDataChannel},
                      ProtocolRow{"SCTP/DTLS", PC::kOther, false, false, false, Carriage::kDataChannel},
                      ProtocolRow{"TCP", PC::kOther, false, false, false, Carriage::kTcp},
                      ProtocolRow{"TCP/TLS/BFCP", PC::kOther, false, false, false, Carriage::kTcp},
                      ProtocolRow{"TCP/RTP/AVP", PC::kOther, false, false, false, Carriage::kTcp},
                      ProtocolRow{"TCPX/Y", PC::kOther, false, false, false, Carriage::kUnknown},
                      ProtocolRow{"UDP", PC::kOther, false, false, false, Carriage::kUnknown},
                      ProtocolRow{"UDP/FEC", PC::kOther, false, false, false, Carriage::kUnknown}));

// DMX-6: data channels and unknown protocols get port 0; `passthrough-unknown` opens the unknown ones alone.
TEST(Parse, DMX6_PortsOfWhatCannotBeRelayedAreZero) {
  struct Row {
    const char* line;
    std::uint16_t port;
    std::uint16_t with_passthrough;
  };
  const Row rows[] = {
      {"m=audio 4000 RTP/AVP 8", 4000, 4000},
      {"m=image 4000 udptl t38", 4000, 4000},
      {"m=application 4000 UDP/BFCP *", 4000, 4000},
      {"m=application 4000 TCP/MRCPv2 1", 4000, 4000},
      {"m=application 4000 UDP/SPRT x", 0, 4000},
      {"m=application 4000 UDP/DTLS/SCTP webrtc-datachannel", 0, 0},
      {"m=message 4000 X/MSRP *", 4000, 4000},
  };
  for (const Row& row : rows) {
    const Body body(kHead + row.line + "\r\n");
    const Body open(kHead + row.line + "\r\n", Limits{.keeps_unknown_protocols = true});
    EXPECT_EQ(body.media().port, row.port) << row.line;
    EXPECT_EQ(open.media().port, row.with_passthrough) << row.line;
  }
}

// --- Codecs.

Body formats(const std::string& list, const std::string& lines) {
  return Body(kHead + "m=audio 4000 RTP/AVP " + list + "\r\n" + lines);
}

TEST(Codecs, AreFoundByTheirNumberInAnyOrderOfLines) {
  const Body body =
      formats("101 8 96",
              "a=fmtp:101 0-15\r\na=rtcp-fb:96 nack\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 ccm fir\r\n"
              "a=rtpmap:101 telephone-event/8000\r\na=rtpmap:77 X/1\r\na=rtpmap:x Y/1\r\n");
  const auto& codecs = body.media().codecs;
  ASSERT_EQ(codecs.size(), 3u);
  EXPECT_EQ(codecs[0].name, "telephone-event");
  EXPECT_EQ(codecs[0].fmtp, "0-15");
  EXPECT_EQ(codecs[1].name, "PCMA");
  EXPECT_EQ(codecs[1].clock_rate_hz, 8000u);
  EXPECT_TRUE(codecs[1].rtpmap.empty());
  EXPECT_EQ(codecs[2].name, "VP8");
  EXPECT_EQ(codecs[2].clock_rate_hz, 90000u);
  EXPECT_EQ(codecs[2].feedback, (std::vector<std::string_view>{"nack", "ccm fir"}));
}

TEST(Codecs, ANumberCountsOnceAndNoneIsAbove127) {
  const Body body = formats("8 8 0 128 x 127", "a=rtpmap:128 X/8000\r\na=rtpmap:127 opus/48000\r\n");
  const auto& codecs = body.media().codecs;
  ASSERT_EQ(codecs.size(), 3u);
  EXPECT_EQ(codecs[0].payload_type, 8);
  EXPECT_EQ(codecs[1].payload_type, 0);
  EXPECT_EQ(codecs[2].payload_type, 127);
  EXPECT_EQ(codecs[2].channels, 2u) << "RFC 7587 §7: opus has two, whatever is written";
}

// RFC 3551 §6: a static payload type keeps its meaning.
TEST(Codecs, Rfc3551StaticTypes_KeepTheirMeaning) {
  const Body body = formats("18 10 72", "a=rtpmap:18 speex/16000\r\na=rtpmap:10 L16/44100/2\r\n");
  const auto& codecs = body.media().codecs;
  ASSERT_EQ(codecs.size(), 3u);
  EXPECT_EQ(codecs[0].name, "G729");
  EXPECT_EQ(codecs[0].clock_rate_hz, 8000u);
  EXPECT_EQ(codecs[0].rtpmap, "speex/16000") << "as it is written";
  EXPECT_EQ(codecs[1].channels, 2u);
  EXPECT_TRUE(codecs[2].name.empty()) << "nothing says what 72 is";
}

TEST(Codecs, OnlyRtpHasThem) {
  EXPECT_TRUE(Body(kHead + "m=application 4000 UDP/BFCP 8\r\n").media().codecs.empty());
}

TEST(Codecs, OldNamesAndDotsMeanTheSame) {
  struct Row {
    const char* written;
    const char* name;
  };
  const Row rows[] = {{"G729a", "G729"},      {"g.729", "G729"}, {"G729AB", "G729"},
                      {"G.723.1", "G723"},    {"G7231", "G723"}, {"G721", "G726-32"},
                      {"G.711U", "PCMU"},     {"g711a", "PCMA"}, {"OPUS", "opus"},
                      {"G729C", "G729C"},     {"G72", "G72"},    {"speex", "speex"},
                      {"G726-32", "G726-32"}, {"", ""}};
  for (const Row& row : rows) EXPECT_EQ(encoding_name(row.written), row.name) << row.written;
}

TEST(Codecs, AMapHasNameClockAndChannels) {
  struct Row {
    const char* value;
    const char* name;
    std::uint32_t clock;
    std::uint32_t channels;
  };
  const Row rows[] = {{"PCMA/8000", "PCMA", 8000, 1},
                      {"L16/44100/2", "L16", 44100, 2},
                      {"opus / 48000 / 2", "opus", 48000, 2},
                      {"X", "X", 0, 1},
                      {"X/fast", "X", 0, 1},
                      {"X/8000/many", "X", 8000, 1},
                      {"X/8000/2/3", "X", 8000, 2},
                      {"", "", 0, 1}};
  for (const Row& row : rows) {
    const RtpMap map = read_rtpmap(row.value);
    EXPECT_EQ(map.name, row.name) << row.value;
    EXPECT_EQ(map.clock_rate_hz, row.clock) << row.value;
    EXPECT_EQ(map.channels, row.channels) << row.value;
  }
}

Codec codec(int type, std::string_view name, std::uint32_t rate, std::string_view fmtp,
            std::uint32_t channels = 1) {
  Codec made;
  made.payload_type = static_cast<std::uint8_t>(type);
  made.name = name;
  made.clock_rate_hz = rate;
  made.channels = channels;
  made.fmtp = fmtp;
  return made;
}

struct SameRow {
  const char* name;
  Codec offered;
  Codec answered;
  bool is_same;
};
void PrintTo(const SameRow& row, std::ostream* out) { *out << row.name; }

class OfferedAndAnswered : public ::testing::TestWithParam<SameRow> {};

TEST_P(OfferedAndAnswered, AreOneCodecOrTwo) {
  EXPECT_EQ(same_codec(GetParam().offered, GetParam().answered), GetParam().is_same);
}

constexpr std::string_view kEvents = "telephone-event";
INSTANTIATE_TEST_SUITE_P(
    Table, OfferedAndAnswered,
    ::testing::Values(
        SameRow{"FmtpMeansNothing", codec(0, "PCMU", 8000, "a=no"), codec(0, "pcmu", 8000, ""), true},
        SameRow{"AStaticNumberIsItsCodec", codec(18, "G729", 8000, ""), codec(18, "speex", 16000, ""), true},
        SameRow{"ADynamicNumberIsNot", codec(96, "speex", 8000, ""), codec(96, "opus", 8000, ""), false},
        SameRow{"AnotherNumber", codec(96, "opus", 48000, "", 2), codec(107, "OPUS", 48000, "x", 2), true},
        SameRow{"AnotherRate", codec(96, "speex", 8000, ""), codec(96, "speex", 16000, ""), false},
        SameRow{"OtherChannels", codec(96, "L16", 8000, ""), codec(97, "L16", 8000, "", 2), false},
        SameRow{"NamelessUnderOneNumber", codec(96, "", 0, ""), codec(96, "opus", 48000, ""), true},
        SameRow{"NamelessUnderTwoNumbers", codec(96, "", 0, ""), codec(97, "", 0, ""), false},
        SameRow{"FewerEvents", codec(101, kEvents, 8000, "0-16"), codec(98, kEvents, 8000, ""), true},
        SameRow{"MoreEvents", codec(100, kEvents, 8000, "0-15"), codec(101, kEvents, 8000, "0-16"), false},
        SameRow{"MoreEventsUnderOneNumber", codec(100, kEvents, 8000, "0-15"),
                codec(100, kEvents, 8000, "0-16"), true},
        SameRow{"Rfc4733NothingIs0To15", codec(100, kEvents, 8000, ""), codec(101, kEvents, 8000, "0-15"),
                true},
        SameRow{"SingleEvents", codec(100, kEvents, 8000, "0-11,66"), codec(101, kEvents, 8000, "66, 5-7"),
                true},
        SameRow{"ASingleEventMore", codec(100, kEvents, 8000, "0-11,66"), codec(101, kEvents, 8000, "67"),
                false},
        SameRow{"WhatCannotBeRead", codec(100, kEvents, 8000, "0-15"),
                codec(101, kEvents, 8000, "events=0-16"), true},
        SameRow{"ARangeWithoutEnd", codec(100, kEvents, 8000, "0-"), codec(101, kEvents, 8000, "0-16"),
                true}),
    [](const auto& each) { return std::string(each.param.name); });

// RFC 3551 §4.5.14 and RFC 7655: the octets of digital silence.
TEST(Codecs, SilenceHasAnOctetInSomeOfThem) {
  EXPECT_EQ(silence_octet("pcmu"), 0xff);
  EXPECT_EQ(silence_octet("PCMA"), 0xd5);
  EXPECT_EQ(silence_octet("G722"), 0xfa);
  EXPECT_EQ(silence_octet("opus"), 0);
}

TEST(Codecs, LIM1_UnknownOnesMayBePlainSamples) {
  EXPECT_EQ(peak_octets_per_second(codec(8, "pcma", 8000, "")), 8000u) << "64 kbit/s (RFC 3551 §4.5.14)";
  EXPECT_EQ(peak_octets_per_second(codec(18, "G729", 8000, "")), 1000u) << "8 kbit/s";
  EXPECT_EQ(peak_octets_per_second(codec(96, "new", 8000, "")), 64000u) << "at least";
  EXPECT_EQ(peak_octets_per_second(codec(10, "L16", 44100, "", 2)), 44100u * 4) << "16 bits, two channels";
}

// --- Whatever comes.

bool lies_in(std::string_view view, const std::string& text) {
  return view.empty() ||
         (view.data() >= text.data() && view.data() + view.size() <= text.data() + text.size());
}

TEST(Parse, ViewsLieInTheBodyWhateverItIs) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<std::string> words = {"v=0",
                                            "o=- 1 1 IN IP4 192.0.2.1",
                                            "s=-",
                                            "s= ",
                                            "c=IN IP4 192.0.2.1",
                                            "t=0 0",
                                            "m=audio 4000 RTP/AVP 8 96",
                                            "m=video 0 RTP/SAVPF 96",
                                            "m=x 5 Y z",
                                            "a=rtpmap:96 opus/48000/2",
                                            "a=fmtp:96 x",
                                            "a=rtcp-fb:96 nack",
                                            "a=mid:1",
                                            "a=",
                                            "a=:",
                                            "a= : ",
                                            "b=AS:5",
                                            "i=x",
                                            "a=setup:active",
                                            "a=crypto:1 x",
                                            "a=candidate:1",
                                            "\t"};
    std::string text;
    const auto count = *rc::gen::inRange(0, 24);
    for (int i = 0; i < count; ++i) {
      text += *rc::gen::elementOf(words);
      if (*rc::gen::inRange(0, 8) == 0) text += *rc::gen::string<std::string>();
      text += *rc::gen::element<std::string>("\r\n", "\n", "\r", "\r\r\n");
    }
    const auto session = parse(text);
    if (!session) return;
    for (const MediaSection& media : session->media) {
      RC_ASSERT(lies_in(media.type, text) && lies_in(media.mid, text) && lies_in(media.setup, text));
      for (const Attribute& attribute : media.attributes)
        RC_ASSERT(lies_in(attribute.text, text) && lies_in(attribute.value, text) && !attribute.name.empty());
      for (const Codec& each : media.codecs)
        RC_ASSERT(lies_in(each.rtpmap, text) && lies_in(each.fmtp, text));
      RC_ASSERT(media.codecs.size() <= media.formats.size());
    }
  }));
}

// Lines are searched one by one in a short section and by a set in a long one; 16 is where that changes.
TEST(Sections, HaveEachLineOnceHoweverLongTheyAre) {
  for (const std::size_t lines : {1u, 2u, 15u, 16u, 17u, 18u, 40u}) {
    std::string body = kHead + kAudio;
    for (int round = 0; round < 3; ++round) {
      for (std::size_t i = 0; i < lines; ++i) body += "a=line:" + std::to_string(i) + "\r\n";
    }
    // The next section begins anew.
    body += kAudio + "a=line:0\r\na=line:0\r\n";
    const auto session = parse(body);
    ASSERT_TRUE(session);
    ASSERT_EQ(session->media.size(), 2u);
    ASSERT_EQ(session->media[0].attributes.size(), lines);
    for (std::size_t i = 0; i < lines; ++i)
      EXPECT_EQ(session->media[0].attributes[i].value, std::to_string(i));
    EXPECT_EQ(session->media[1].attributes.size(), 1u);
  }
}

}  // namespace
}  // namespace ferry::sdp
