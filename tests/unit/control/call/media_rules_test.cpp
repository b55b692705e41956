// SPDX-License-Identifier: Apache-2.0
// What a section means for the packets of its media: limits, payload types, kinds, and where its party is.
#include "control/call/media_rules.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::media_rules_test {
namespace {

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }
Endpoint at(std::string_view text) { return Endpoint::parse(text).value(); }

/// A section, which outlives what is read of it.
struct Section {
  explicit Section(const std::string& lines, const std::string& connection = "c=IN IP4 198.51.100.7\r\n")
      : text("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n" + connection + "t=0 0\r\n" + lines),
        session(sdp::parse(text, {.keeps_unknown_protocols = true}).value()) {}
  [[nodiscard]] const sdp::MediaSection& media() const { return session.media.front(); }
  std::string text;
  sdp::Session session;
};

struct LimitRow {
  const char* name;
  std::string lines;
  RateLimit limit;
};
void PrintTo(const LimitRow& row, std::ostream* out) { *out << row.name; }

class Limits : public ::testing::TestWithParam<LimitRow> {};

// LIM-1: audio 250 packets a second and twice the octets of its fastest codec, video 5,000 packets and 1.5
// times its b= line, other protocols 500 packets.
TEST_P(Limits, LIM1_FollowFromTheSection) {
  const Section section(GetParam().lines);
  const RateLimit limit = rate_limit(section.media(), section.media().codecs);
  EXPECT_EQ(limit.packets_per_second, GetParam().limit.packets_per_second);
  EXPECT_EQ(limit.bytes_per_second, GetParam().limit.bytes_per_second);
}

const std::string kVideo = "m=video 4000 RTP/AVP 96\r\n";
constexpr std::uint32_t kHeaders = 250 * 32;  // of 250 packets
INSTANTIATE_TEST_SUITE_P(
    Table, Limits,
    ::testing::Values(
        LimitRow{"Audio", "m=audio 4000 RTP/AVP 8\r\n", {250, 16000 + kHeaders}},
        LimitRow{"TheFastestCodec", "m=audio 4000 RTP/AVP 18 8\r\n", {250, 16000 + kHeaders}},
        LimitRow{"AudioWithoutCodecs", "m=audio 4000 RTP/AVP\r\n", {250, 0}},
        LimitRow{"Video", kVideo, {5000, 0}},
        LimitRow{"VideoWithAs", kVideo + "b=AS:1000\r\n", {5000, 187'500}},
        LimitRow{"VideoWithTias", kVideo + "b=TIAS:1000000\r\n", {5000, 187'500}},
        LimitRow{"OtherBandwidthsSayNothing", kVideo + "b=RS:100\r\nb=CT:5\r\n", {5000, 0}},
        LimitRow{"BandwidthOfNothing", kVideo + "b=AS:0\r\nb=AS\r\nb=AS:x\r\nb=TIAS:-5\r\n", {5000, 0}},
        LimitRow{"BandwidthAboveAll", kVideo + "b=AS:4000000000\r\n", {5000, UINT32_MAX}},
        LimitRow{"Fax", "m=image 4000 udptl t38\r\n", {500, 0}},
        LimitRow{"Floor", "m=application 4000 UDP/BFCP *\r\n", {500, 0}}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(PayloadEntries, DMX4_SayWhatEachTypeIs) {
  const Section section(
      "m=audio 4000 RTP/AVP 0 8 9 101 96\r\na=rtpmap:101 telephone-event/8000\r\n"
      "a=rtpmap:96 opus/48000/2\r\n");
  const auto entries = payload_entries(section.media().codecs);
  ASSERT_EQ(entries.size(), 5u);
  EXPECT_EQ(entries[0].g711, G711Law::kMu);
  EXPECT_EQ(entries[0].silence, 0xff);
  EXPECT_EQ(entries[1].g711, G711Law::kA);
  EXPECT_EQ(entries[1].type, PayloadType{8});
  EXPECT_EQ(entries[1].silence, 0xd5);
  EXPECT_EQ(entries[2].g711, G711Law::kNone);
  EXPECT_EQ(entries[2].silence, 0xfa);
  EXPECT_TRUE(entries[3].is_event);
  EXPECT_FALSE(entries[4].is_event);
  EXPECT_EQ(entries[4].clock_rate_hz, 48000u);
  EXPECT_EQ(entries[4].silence, 0);
}

TEST(TransportKinds, DMX6_FollowFromTheProtocol) {
  struct Row {
    const char* protocol;
    TransportKind kind;
  };
  const Row rows[] = {{"RTP/AVP", TransportKind::kRtp},      {"UDP/TLS/RTP/SAVPF", TransportKind::kRtp},
                      {"udptl", TransportKind::kUdptl},      {"UDP/TLS/UDPTL", TransportKind::kDtls},
                      {"UDP/BFCP", TransportKind::kBfcp},    {"UDP/TLS/BFCP", TransportKind::kDtls},
                      {"TCP/BFCP", TransportKind::kOverTcp}, {"TCP", TransportKind::kOverTcp},
                      {"UDP/OTHER", TransportKind::kOpaque}, {"UDP/DTLS/SCTP", TransportKind::kOpaque}};
  for (const Row& row : rows)
    EXPECT_EQ(transport_kind(Section(std::string("m=x 4000 ") + row.protocol + " 8\r\n").media()), row.kind)
        << row.protocol;
}

struct VoidRow {
  const char* advertised;
  const char* signalled;
  bool is_void;
};
void PrintTo(const VoidRow& row, std::ostream* out) { *out << row.advertised << " " << row.signalled; }

class VoidAddresses : public ::testing::TestWithParam<VoidRow> {};

TEST_P(VoidAddresses, LAT4_CannotBeMeantForUs) {
  EXPECT_EQ(is_void(ip(GetParam().advertised), ip(GetParam().signalled)), GetParam().is_void);
}

INSTANTIATE_TEST_SUITE_P(
    Table, VoidAddresses,
    ::testing::Values(VoidRow{"203.0.113.1", "10.0.0.1", true}, VoidRow{"203.0.113.1", "192.168.1.1", true},
                      VoidRow{"203.0.113.1", "172.31.255.255", true},
                      VoidRow{"203.0.113.1", "172.32.0.0", false}, VoidRow{"203.0.113.1", "100.64.0.1", true},
                      VoidRow{"203.0.113.1", "169.254.1.1", true}, VoidRow{"203.0.113.1", "0.0.0.0", true},
                      VoidRow{"203.0.113.1", "198.51.100.1", false}, VoidRow{"2001:db8::1", "fc00::1", true},
                      VoidRow{"2001:db8::1", "fe80::1", true}, VoidRow{"2001:db8::1", "::", true},
                      VoidRow{"10.0.0.1", "192.168.1.1", false}, VoidRow{"100.64.0.1", "10.0.0.1", false},
                      VoidRow{"127.0.0.1", "10.0.0.1", false}));

TEST(FeedbackOfASection, IsThatOfItsTypes) {
  struct FeedbackRow {
    const char* lines;
    bool names, pli, fir;
  };
  for (const FeedbackRow& row :
       {FeedbackRow{"", false, false, false}, FeedbackRow{"a=rtcp-fb:96 nack pli\r\n", true, true, false},
        FeedbackRow{"a=rtcp-fb:96 ccm fir\r\n", true, false, true},
        FeedbackRow{"a=rtcp-fb:* nack pli\r\na=rtcp-fb:* ccm fir\r\n", true, true, true},
        FeedbackRow{"a=rtcp-fb:97 nack pli\r\n", true, false, false},
        FeedbackRow{"a=rtcp-fb:96 nack\r\na=rtcp-fb:96 ccm tmmbr\r\n", true, false, false}}) {
    const Section section(std::string("m=video 4000 RTP/AVPF 96\r\na=rtpmap:96 VP8/90000\r\n") + row.lines);
    EXPECT_EQ(names_feedback(section.media()), row.names) << row.lines;
    EXPECT_EQ(takes_pli(section.media()), row.pli) << row.lines;
    EXPECT_EQ(takes_fir(section.media()), row.fir) << row.lines;
  }
}

TEST(SsrcsOfASection, AreThoseOfItsLines) {
  const auto values = [](const std::string& lines) {
    std::vector<std::uint32_t> all;
    const Section section("m=video 4000 RTP/AVP 96\r\n" + lines);
    for (const Ssrc each : ssrcs_of(section.media())) all.push_back(each.value);
    return all;
  };
  using Values = std::vector<std::uint32_t>;
  EXPECT_EQ(values(""), Values{});
  EXPECT_EQ(values("a=ssrc:7 cname:c\r\na=ssrc:7 msid:s t\r\na=ssrc:4294967295\r\n"),
            (Values{7, 4294967295}));
  EXPECT_EQ(values("a=ssrc-group:FID 7 8\r\na=ssrc:8 cname:c\r\n"), (Values{7, 8}));
  EXPECT_EQ(values("a=ssrc:x cname:c\r\na=ssrc:4294967296 c\r\na=ssrc:\r\na=ssrc-group:FID\r\n"), Values{});
  std::string many;
  for (int n = 0; n < 100; ++n) many += "a=ssrc:" + std::to_string(n) + " cname:c\r\n";
  EXPECT_EQ(values(many).size(), 64u) << "SSR-1";
}

struct RtcpRow {
  const char* name;
  std::string lines;
  const char* rtp;
  const char* rtcp;
};
void PrintTo(const RtcpRow& row, std::ostream* out) { *out << row.name; }

class RtcpAddresses : public ::testing::TestWithParam<RtcpRow> {};

// docs/reference/ng.md#rtcp-address
TEST_P(RtcpAddresses, AreThoseOfTheSection) {
  const Section section(GetParam().lines);
  EXPECT_EQ(rtcp_of(section.media(), at(GetParam().rtp)), at(GetParam().rtcp));
}

const std::string kAudio = "m=audio 4000 RTP/AVP 8\r\n";
INSTANTIATE_TEST_SUITE_P(
    Table, RtcpAddresses,
    ::testing::Values(RtcpRow{"NextPort", kAudio, "198.51.100.7:4000", "198.51.100.7:4001"},
                      RtcpRow{"APort", kAudio + "a=rtcp:9\r\n", "198.51.100.7:4000", "198.51.100.7:9"},
                      RtcpRow{"AnAddress", kAudio + "a=rtcp:9 IN IP4 198.51.100.8\r\n", "198.51.100.7:4000",
                              "198.51.100.8:9"},
                      RtcpRow{"WEB10_NoAddress", kAudio + "a=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n",
                              "198.51.100.7:4000", "198.51.100.7:4001"},
                      RtcpRow{"OfAnotherFamily", kAudio + "a=rtcp:9 IN IP6 2001:db8::1\r\n",
                              "198.51.100.7:4000", "198.51.100.7:9"},
                      RtcpRow{"WhereSignallingCameFrom", kAudio + "a=rtcp:9 IN IP4 198.51.100.8\r\n",
                              "203.0.113.5:4000", "203.0.113.5:9"},
                      RtcpRow{"SeveralPorts", "m=audio 4000/2 RTP/AVP 8\r\na=rtcp:9\r\n", "198.51.100.7:4000",
                              "198.51.100.7:4001"}),
    [](const auto& each) { return std::string(each.param.name); });

const std::string kIce =
    "a=ice-ufrag:Qz8d\r\na=ice-pwd:4hJk8LmN2pQrStUvWxYzAbCd\r\na=candidate:1 1 UDP 5 198.51.100.9 5000 typ "
    "host\r\n";

TEST(NamedPeers, AreWhereTheSectionSays) {
  const Section plain(kAudio);
  const NamedPeer named = named_peer(plain.media(), at("198.51.100.7:4000"), true, ip("203.0.113.1"));
  EXPECT_EQ(named.rtp, at("198.51.100.7:4000"));
  EXPECT_EQ(named.rtcp, at("198.51.100.7:4001"));
  EXPECT_FALSE(named.has_mux || named.is_void || named.has_ice || named.trickles);
  EXPECT_TRUE(named_peer(plain.media(), at("10.0.0.7:4000"), true, ip("203.0.113.1")).is_void) << "LAT-4";
  EXPECT_FALSE(named_peer(plain.media(), at("0.0.0.0:4000"), true, ip("203.0.113.1")).rtcp.is_set())
      << "hold";
  EXPECT_TRUE(
      named_peer(Section(kAudio + "a=rtcp-mux\r\n").media(), named.rtp, true, ip("203.0.113.1")).has_mux);
  EXPECT_TRUE(
      named_peer(Section(kAudio + "a=rtcp:4000\r\n").media(), named.rtp, true, ip("203.0.113.1")).has_mux);
}

TEST(NamedPeers, CandidatesCountIfIceIsTaken) {
  const Section section(kAudio + kIce + "a=ice-options:trickle\r\n");
  const NamedPeer taken = named_peer(section.media(), at("198.51.100.7:4000"), true, ip("203.0.113.1"));
  EXPECT_TRUE(taken.has_ice && taken.trickles);
  EXPECT_EQ(taken.candidates, std::vector{at("198.51.100.9:5000")});
  const NamedPeer refused = named_peer(section.media(), at("198.51.100.7:4000"), false, ip("203.0.113.1"));
  EXPECT_FALSE(refused.has_ice);
  EXPECT_TRUE(refused.candidates.empty());
}

TEST(NamedPeers, OtherSectionsHaveOnePortAndTcpHasNone) {
  const NamedPeer fax = named_peer(Section("m=image 4000 udptl t38\r\n").media(), at("198.51.100.7:4000"),
                                   true, ip("203.0.113.1"));
  EXPECT_EQ(fax.rtp, at("198.51.100.7:4000"));
  EXPECT_FALSE(fax.rtcp.is_set());
  const NamedPeer tcp =
      named_peer(Section("m=x 4000 TCP/BFCP *\r\n").media(), at("127.0.0.1:22"), true, ip("203.0.113.1"));
  EXPECT_FALSE(tcp.rtp.is_set()) << "RFC 4145: no datagram goes there";
  const NamedPeer command = named_peer(at("198.51.100.7:4000"), ip("203.0.113.1"));
  EXPECT_EQ(command.rtcp, at("198.51.100.7:4001"));
  EXPECT_FALSE(named_peer(at("0.0.0.0:4000"), ip("203.0.113.1")).rtcp.is_set());
}

TEST(CheckSection, NeedsAnAddressUnlessItIsRejected) {
  EXPECT_TRUE(check_section(Section(kAudio).media()));
  const auto refused = check_section(Section(kAudio, "").media());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().refusal(), RefusalReason::kSdp);
  EXPECT_TRUE(check_section(Section("m=audio 0 RTP/AVP 8\r\n", "").media()));
}

}  // namespace
}  // namespace ferry::test::media_rules_test
