// SPDX-License-Identifier: Apache-2.0
// The SDP that goes out: its lines in the order of docs/reference/ng.md#sdp, and what is never passed on.
#include "control/sdp/write.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::sdp::write_test {
namespace {

const std::string kHead = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
const IpAddress kOurs = *IpAddress::parse("203.0.113.1");

/// A body, and an edit of it that shows every section at our address, with ports from 30000.
struct Written {
  explicit Written(std::string body) : text(std::move(body)), session(parse(text).value()) {
    edit.origin = session.origin;
    edit.name = session.name;
    std::uint16_t port = 30000;
    for (const MediaSection& media : session.media) {
      SectionEdit section;
      section.source = &media;
      section.port = media.port == 0 ? std::uint16_t{0} : port;
      section.connection = kOurs;
      section.protocol = media.protocol;
      section.mid = media.mid;
      section.label = media.label;
      section.codecs = media.codecs;
      section.direction = media.direction;
      if (media.is_rtp()) section.ptime = media.ptime;
      if (media.is_rtp()) section.maxptime = media.maxptime;
      edit.sections.push_back(section);
      port += 2;
    }
  }
  [[nodiscard]] std::string whole() const { return write(session, edit); }
  /// The lines from the first `m=` on, without `m=` and `c=`.
  [[nodiscard]] std::string lines() const {
    std::string all = whole();
    all.erase(0, all.find("m="));
    all.erase(0, all.find("\r\n") + 2);
    if (all.starts_with("c=")) all.erase(0, all.find("\r\n") + 2);
    return all;
  }
  /// The lines of the session behind `t=`.
  [[nodiscard]] std::string of_session() const {
    std::string all = whole();
    all.erase(std::min(all.find("m="), all.size()));
    const auto timing = all.find("\r\nt=");
    return all.substr(all.find("\r\n", timing + 2) + 2);
  }
  SectionEdit& section() { return edit.sections.front(); }
  std::string text;
  Session session;
  SessionEdit edit;
};

TEST(Write, LinesStandInTheirOrder) {
  Written out(
      "v=0\r\no=me 7 8 IN IP4 192.0.2.1\r\ns=talk\r\ni=about\r\nb=CT:99\r\nt=1 2\r\nr=7d 1h 0 "
      "25h\r\nk=clear:x\r\n"
      "a=X-session\r\nm=audio 4000 RTP/AVPF 96 0\r\ni=voice\r\nb=TIAS:1\r\nb=RS:1\r\nb=RR:1\r\nb=AS:64\r\n"
      "a=ice-ufrag:theirs\r\na=X-odd:1\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 "
      "minptime=10;useinbandfec=1\r\n"
      "a=rtcp-fb:96 nack\r\na=rtcp-fb:* ccm "
      "fir\r\na=extmap-allow-mixed\r\na=mid:a\r\na=label:l\r\na=ptime:20\r\n"
      "a=maxptime:60\r\na=rtcp:4001\r\na=crypto:1 theirs\r\n");
  out.edit.extra_attributes = {"rtpferry:mark"};
  SectionEdit& section = out.section();
  section.extmaps = {"1 urn:a"};
  section.rtcp_port = std::uint16_t{30001};
  section.rtcp_mux = true;
  section.crypto = {"1 SUITE inline:ours"};
  section.dtls = {"actpass", "sha-256 00", "id"};
  section.ice = {.ufrag = "uf",
                 .password = "pw",
                 .candidates = {"c1", "c2"},
                 .trickles = true,
                 .remote_candidates = "1 198.51.100.1 9"};
  EXPECT_EQ(out.whole(),
            "v=0\r\no=me 7 8 IN IP4 192.0.2.1\r\ns=talk\r\ni=about\r\nb=CT:99\r\nt=1 2\r\na=X-session\r\n"
            "a=rtpferry:mark\r\nm=audio 30000 RTP/AVPF 96 0\r\ni=voice\r\nc=IN IP4 "
            "203.0.113.1\r\nb=AS:64\r\nb=RR:1\r\n"
            "b=RS:1\r\nb=TIAS:1\r\na=mid:a\r\na=label:l\r\na=rtpmap:96 opus/48000/2\r\n"
            "a=fmtp:96 useinbandfec=1; minptime=10\r\na=rtcp-fb:96 nack\r\na=rtpmap:0 PCMU/8000\r\n"
            "a=extmap-allow-mixed\r\na=extmap:1 urn:a\r\na=X-odd:1\r\na=rtcp-fb:* ccm fir\r\na=sendrecv\r\n"
            "a=rtcp:30001\r\na=rtcp-mux\r\na=crypto:1 SUITE inline:ours\r\na=setup:actpass\r\n"
            "a=fingerprint:sha-256 "
            "00\r\na=tls-id:id\r\na=ptime:20\r\na=maxptime:60\r\na=ice-ufrag:uf\r\na=ice-pwd:pw\r\n"
            "a=ice-options:trickle\r\na=candidate:c1\r\na=candidate:c2\r\na=end-of-candidates\r\n"
            "a=remote-candidates:1 198.51.100.1 9\r\n");
}

struct LinesRow {
  const char* name;
  /// The m-line and lines of the sender's section.
  std::string section;
  /// The same as it is shown, without `m=` and `c=`.
  std::string shown;
};
void PrintTo(const LinesRow& row, std::ostream* out) { *out << row.name; }

class LinesOfASection : public ::testing::TestWithParam<LinesRow> {};

TEST_P(LinesOfASection, AreShown) {
  EXPECT_EQ(Written(kHead + GetParam().section).lines(), GetParam().shown);
}

const std::string kAvp = "m=audio 4000 RTP/AVP 8\r\n";
const std::string kPcma = "a=rtpmap:8 PCMA/8000\r\n";
const std::string kSendrecv = "a=sendrecv\r\n";
INSTANTIATE_TEST_SUITE_P(
    Table, LinesOfASection,
    ::testing::Values(
        LinesRow{"StaticTypesAreNamed", kAvp, kPcma + kSendrecv},
        LinesRow{"NumbersWithoutANameAreNot", "m=audio 4000 RTP/AVP 72\r\n", kSendrecv},
        LinesRow{"OneChannelIsNotWritten", kAvp + "a=rtpmap:8 PCMA / 8000/1\r\n", kPcma + kSendrecv},
        LinesRow{"TwoChannelsAre", "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 L16/44100/2\r\n",
                 "a=rtpmap:96 L16/44100/2\r\n" + kSendrecv},
        LinesRow{"FmtpIsCopied", kAvp + "a=fmtp:8 b=2;a=1\r\n", kPcma + "a=fmtp:8 b=2;a=1\r\n" + kSendrecv},
        LinesRow{"TheDirectionIsWrittenOnce", kAvp + "a=inactive\r\na=X\r\na=recvonly\r\n",
                 kPcma + "a=X\r\na=recvonly\r\n"},
        LinesRow{"UnknownAttributesPass", kAvp + "a=X-a:1 2\r\na=ssrc:1 cname:x\r\na=rtcp-x\r\n",
                 kPcma + "a=X-a:1 2\r\na=ssrc:1 cname:x\r\na=rtcp-x\r\n" + kSendrecv},
        LinesRow{"WhatWouldLeadPastUsDoesNot",
                 kAvp + "a=rtcp:9\r\na=rtcp-mux\r\na=rtcp-mux-only\r\na=crypto:1 "
                        "x\r\na=fingerprint:x\r\na=setup:active\r\n"
                        "a=tls-id:x\r\na=ice-ufrag:x\r\na=ice-pwd:x\r\na=ice-options:x\r\na=ice-lite\r\na="
                        "ice-mismatch\r\n"
                        "a=candidate:x\r\na=remote-candidates:x\r\na=end-of-candidates\r\na=extmap:1 "
                        "x\r\na=bundle-only\r\n",
                 kPcma + kSendrecv},
        LinesRow{"InCapitalsNeither", kAvp + "a=Candidate:x\r\na=CRYPTO:1 x\r\na=ICE-Pwd:x\r\n",
                 kPcma + kSendrecv},
        LinesRow{"RTC3_NoFeedbackTowardAvp",
                 "m=audio 4000 RTP/AVP 8\r\na=rtcp-fb:8 nack\r\na=rtcp-fb:* "
                 "x\r\na=rtcp-rsize\r\na=rtcp-xr:rcvr-rtt\r\n",
                 kPcma + kSendrecv},
        LinesRow{"RTC3_FeedbackTowardAvpf",
                 "m=audio 4000 RTP/SAVPF 8\r\na=rtcp-fb:8 nack\r\na=rtcp-fb:* "
                 "x\r\na=rtcp-rsize\r\na=rtcp-xr:rcvr-rtt\r\n",
                 kPcma + "a=rtcp-fb:8 nack\r\na=rtcp-fb:* x\r\na=rtcp-rsize\r\na=rtcp-xr:rcvr-rtt\r\n" +
                     kSendrecv},
        LinesRow{"FaxKeepsItsAttributes", "m=image 4000 udptl t38\r\na=T38FaxVersion:0\r\na=rtpmap:8 x\r\n",
                 "a=T38FaxVersion:0\r\na=rtpmap:8 x\r\n"},
        LinesRow{"FaxKeepsItsOwnDirection", "m=image 4000 udptl t38\r\na=sendonly\r\na=x\r\n",
                 "a=sendonly\r\na=x\r\n"},
        LinesRow{"BesideRtpKeysPassAndCandidatesDoNot",
                 "m=application 4000 UDP/TLS/BFCP *\r\na=fingerprint:x\r\na=setup:active\r\na=candidate:x\r\n"
                 "a=ice-ufrag:x\r\na=ice-pwd:x\r\na=ice-options:x\r\na=floorctrl:s-only\r\n",
                 "a=fingerprint:x\r\na=setup:active\r\na=floorctrl:s-only\r\n"}),
    [](const auto& each) { return std::string(each.param.name); });

struct SessionRow {
  const char* name;
  std::string session;
  std::string shown;
  std::string sections = kAvp;
};
void PrintTo(const SessionRow& row, std::ostream* out) { *out << row.name; }

class LinesOfTheSession : public ::testing::TestWithParam<SessionRow> {};

TEST_P(LinesOfTheSession, AreShown) {
  Written out(kHead + GetParam().session + GetParam().sections);
  EXPECT_EQ(out.of_session(), GetParam().shown);
}

const std::string kAvpf = "m=audio 4000 RTP/AVPF 8\r\n";
INSTANTIATE_TEST_SUITE_P(
    Table, LinesOfTheSession,
    ::testing::Values(
        SessionRow{"OthersPass", "a=tool:x\r\na=msid-semantic: WMS\r\n",
                   "a=tool:x\r\na=msid-semantic: WMS\r\n"},
        SessionRow{
            "WhatWeReadOrWriteDoesNot",
            "a=sendonly\r\na=fingerprint:x\r\na=setup:x\r\na=tls-id:x\r\na=ice-ufrag:x\r\na=ice-pwd:x\r\n"
            "a=ice-options:x\r\na=ice-lite\r\na=candidate:x\r\na=crypto:x\r\na=extmap:1 x\r\na=rtcp:1\r\n"
            "a=rtcp-mux\r\na=ptime:20\r\na=rtcp-fb:* x\r\n",
            ""},
        SessionRow{"BundleDoesNot", "a=group:BUNDLE a b\r\na=group:bundle a b\r\n", "",
                   kAvp + "a=mid:a\r\n" + kAvp + "a=mid:b\r\n"},
        SessionRow{"WEB4_GroupsOfOtherKinds", "a=group:LS a b\r\n", "a=group:LS a b\r\n",
                   kAvp + "a=mid:a\r\n" + kAvp + "a=mid:b\r\n"},
        SessionRow{"WEB4_WithoutSectionsThatAreNotShown", "a=group:LS a b c\r\n", "a=group:LS a\r\n",
                   kAvp + "a=mid:a\r\nm=audio 0 RTP/AVP 8\r\na=mid:b\r\n"},
        SessionRow{"WEB4_NoneWithoutMembers", "a=group:LS b c\r\n", "",
                   kAvp + "a=mid:a\r\nm=audio 0 RTP/AVP 8\r\na=mid:b\r\n"},
        SessionRow{"RTC3_FeedbackIfEverySectionHasIt", "a=rtcp-rsize\r\n", "a=rtcp-rsize\r\n", kAvpf + kAvpf},
        SessionRow{"RTC3_NotIfOneHasNot", "a=rtcp-rsize\r\n", "", kAvpf + kAvp},
        SessionRow{"RTC3_OthersThanRtpDoNotCount", "a=rtcp-rsize\r\n", "a=rtcp-rsize\r\n",
                   kAvpf + "m=image 4000 udptl t38\r\n"}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(Write, WEB4_AGroupHasTheReceiversNames) {
  Written out(kHead + "a=group:LS a b\r\n" + kAvp + "a=mid:a\r\n" + kAvp + "a=mid:b\r\n");
  out.edit.sections[0].mid = "0";
  out.edit.sections[1].mid = "1";
  EXPECT_EQ(out.of_session(), "a=group:LS 0 1\r\n");
  out.edit.sections[1].mid = {};
  EXPECT_EQ(out.of_session(), "a=group:LS 0\r\n") << "the receiver has no name for it";
}

TEST(Write, TimingIsComplete) {
  const auto timing = [](const std::string& line) {
    const std::string all =
        Written("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\n" + line + kAvp).whole();
    return all.substr(all.find("t="), all.find("m=") - all.find("t="));
  };
  EXPECT_EQ(timing(""), "t=0 0\r\n");
  EXPECT_EQ(timing("t=5\r\n"), "t=5 0\r\n");
  EXPECT_EQ(timing("t=5  6\r\n"), "t=5 6\r\n");
}

// docs/reference/ng.md#rejected-sections: port 0, `c=` with the unspecified address, mid and label, and
// nothing else.
TEST(Write, ARejectedSectionKeepsItsPlaceAndShowsNothing) {
  Written out(
      kHead +
      "m=video 0 RTP/SAVPF 96 97\r\ni=x\r\nb=AS:1\r\na=mid:v\r\na=label:l\r\na=X\r\na=crypto:1 x\r\n" + kAvp);
  const std::string all = out.whole();
  EXPECT_NE(
      all.find("m=video 0 RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:v\r\na=label:l\r\nm=audio 30002"),
      std::string::npos)
      << all;
  out.section().connection = *IpAddress::parse("2001:db8::1");
  EXPECT_NE(out.whole().find("c=IN IP6 ::\r\n"), std::string::npos);
  out.section().merged = true;
  EXPECT_NE(out.whole().find("m=video 0 RTP/SAVPF 96 97\r\nm=audio"), std::string::npos);
}

TEST(Write, ASectionThatTheSenderLeftOutIsRejected) {
  Written out(kHead + kAvp);
  SectionEdit gone;
  gone.type = "video";
  gone.protocol_text = "RTP/AVP";
  gone.formats = {"96", "97"};
  gone.connection = kOurs;
  gone.mid = "v";
  out.edit.sections.push_back(gone);
  EXPECT_TRUE(out.whole().ends_with("m=video 0 RTP/AVP 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:v\r\n"))
      << out.whole();
}

TEST(Write, ADataChannelIsRejectedWhateverItsPortIs) {
  Written out(kHead + "m=application 4000 UDP/DTLS/SCTP webrtc-datachannel\r\na=sctp-port:5000\r\n");
  out.section().port = 30000;
  EXPECT_TRUE(
      out.whole().ends_with("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n"));
}

TEST(Write, AnUntouchedSectionIsTheSendersOwn) {
  Written out(kHead +
              "m=message 4000 TCP/MSRP *\r\nc=IN IP4 "
              "198.51.100.7\r\ni=x\r\nb=AS:1\r\na=path:msrp://x\r\na=setup:x\r\n");
  out.section().untouched = true;
  out.section().connection = *out.session.media[0].connection;
  EXPECT_TRUE(
      out.whole().ends_with("m=message 4000 TCP/MSRP *\r\ni=x\r\nc=IN IP4 198.51.100.7\r\nb=AS:1\r\n"
                            "a=path:msrp://x\r\na=setup:x\r\n"))
      << out.whole();
}

TEST(Write, FB4_TransportCcNeedsFeedbackOnBothSides) {
  for (const bool has_feedback : {true, false}) {
    Written out(kHead + (has_feedback ? kAvpf : kAvp) +
                "a=rtcp-fb:8 transport-cc\r\na=rtcp-fb:* transport-cc\r\n"
                "a=rtcp-fb:8 nack\r\n");
    out.section().protocol = parse_protocol("RTP/AVPF");
    const std::string cc = has_feedback ? "a=rtcp-fb:8 transport-cc\r\n" : "";
    const std::string all_cc = has_feedback ? "a=rtcp-fb:* transport-cc\r\n" : "";
    EXPECT_EQ(out.lines(), kPcma + cc + "a=rtcp-fb:8 nack\r\n" + all_cc + kSendrecv);
  }
}

TEST(Write, FB5_OnlyAPartyWithFeedbackIsShownTheStreamsOfOne) {
  const std::string kStreams =
      "a=msid:s t\r\na=ssrc:7 cname:c\r\na=ssrc-group:FID 7 8\r\na=rid:h send\r\na=simulcast:send h\r\n";
  const std::string kMixed = "a=extmap-allow-mixed\r\n";
  for (const bool sender_has : {true, false}) {
    for (const bool receiver_has : {true, false}) {
      std::string body = kHead + (sender_has ? kAvpf : kAvp) + kStreams + kMixed;
      Written out(body.insert(body.find("m="), "a=msid-semantic: WMS s\r\n"));
      out.section().protocol = parse_protocol(receiver_has ? "RTP/AVPF" : "RTP/AVP");
      const bool is_stripped = sender_has && !receiver_has;
      EXPECT_EQ(out.lines(), kPcma + (is_stripped ? "" : kMixed + kStreams) + kSendrecv);
      EXPECT_EQ(out.of_session(), is_stripped ? "" : "a=msid-semantic: WMS s\r\n");
      // The sections of a group say it even if the sender does not.
      Written of_group(kHead + (sender_has ? kAvpf : kAvp));
      of_group.section().protocol = out.section().protocol;
      of_group.section().allows_mixed_extensions = true;
      EXPECT_EQ(of_group.lines(), kPcma + (is_stripped ? "" : kMixed) + kSendrecv);
    }
  }
}

TEST(Write, TheFormatsAreThoseThatAreLeft) {
  Written out(kHead + "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:0 x\r\n");
  std::erase_if(out.section().codecs, [](const Codec& codec) { return codec.payload_type == 0; });
  std::ranges::reverse(out.section().codecs);
  EXPECT_NE(out.whole().find("m=audio 30000 RTP/AVP 101 8\r\n"), std::string::npos);
  EXPECT_EQ(out.lines(), "a=rtpmap:101 telephone-event/8000\r\n" + kPcma + kSendrecv);
  Written none(kHead + "m=audio 4000 RTP/AVP\r\n");
  EXPECT_NE(none.whole().find("m=audio 30000 RTP/AVP 0\r\n"), std::string::npos) << "an m-line has a format";
}

TEST(Write, AnyLiteAgentIsSaidOnceForAllSections) {
  Written out(kHead + kAvp + kAvp);
  EXPECT_EQ(out.of_session(), "");
  for (SectionEdit& section : out.edit.sections) section.ice.is_lite = true;
  EXPECT_EQ(out.of_session(), "a=ice-lite\r\n");
  for (SectionEdit& section : out.edit.sections) section.port = 0;
  EXPECT_EQ(out.of_session(), "") << "no section has ICE";
}

TEST(Write, OptionsOfIceStandInOneLine) {
  struct Row {
    bool trickles, says_ice2;
    const char* line;
  };
  for (const Row& row :
       {Row{false, false, ""}, Row{true, false, "a=ice-options:trickle\r\n"},
        Row{false, true, "a=ice-options:ice2\r\n"}, Row{true, true, "a=ice-options:trickle ice2\r\n"}}) {
    Written out(kHead + kAvp);
    out.section().ice = {.ufrag = "u", .password = "p", .trickles = row.trickles, .says_ice2 = row.says_ice2};
    const std::string end = row.trickles ? "a=end-of-candidates\r\n" : "";
    EXPECT_EQ(out.lines(), kPcma + kSendrecv + "a=ice-ufrag:u\r\na=ice-pwd:p\r\n" + row.line + end);
  }
}

TEST(Write, WordsOfTheRequestDecideAboutDirectionAndRtcp) {
  Written out(kHead + kAvp + "a=sendonly\r\n");
  out.section().print_direction = false;
  EXPECT_EQ(out.lines(), kPcma);
  out.section().rtcp_port = std::uint16_t{30001};
  EXPECT_EQ(out.lines(), kPcma + "a=rtcp:30001\r\n");
  out.section().rtcp_full_form = true;
  EXPECT_EQ(out.lines(), kPcma + "a=rtcp:30001 IN IP4 203.0.113.1\r\n");
}

TEST(OpusFmtp, HasAFixedOrder) {
  struct Row {
    const char* fmtp;
    const char* canonical;
  };
  const Row rows[] = {{"", ""},
                      {"useinbandfec=1", "useinbandfec=1"},
                      {"minptime=10;useinbandfec=1", "useinbandfec=1; minptime=10"},
                      {" sprop-stereo=1 ; stereo=1;", "stereo=1; sprop-stereo=1"},
                      {"x=1;maxaveragebitrate=2;y;usedtx=1", "usedtx=1; maxaveragebitrate=2; x=1; y"},
                      {"stereo=1;;cbr=1", "stereo=1; cbr=1"}};
  for (const Row& row : rows) {
    EXPECT_EQ(canonical_opus_fmtp(row.fmtp), row.canonical);
    EXPECT_EQ(canonical_opus_fmtp(row.canonical), row.canonical) << "it stays so";
  }
}

/// Some lines of a section, one of each kind at most.
std::string random_lines() {
  static const std::vector<std::string> kLines = {"i=x",
                                                  "b=AS:64",
                                                  "b=TIAS:9",
                                                  "b=RR:1",
                                                  "a=mid:a",
                                                  "a=label:b",
                                                  "a=ptime:20",
                                                  "a=maxptime:40",
                                                  "a=sendonly",
                                                  "a=recvonly",
                                                  "a=rtpmap:96 opus/48000/2",
                                                  "a=rtpmap:96 PCMA/8000/1",
                                                  "a=fmtp:96 b=1;stereo=1",
                                                  "a=X-odd: y z",
                                                  "a=rtcp-fb:96 nack",
                                                  "a=rtcp-fb:* ccm fir",
                                                  "a=rtcp-rsize",
                                                  "a=ssrc:1 cname:x",
                                                  "a=rtcp:9",
                                                  "a=rtcp-mux",
                                                  "a=candidate:1 1 UDP 1 192.0.2.9 9 typ host",
                                                  "a=ice-ufrag:abcd",
                                                  "a=crypto:1 x",
                                                  "a=setup:active",
                                                  "y=1"};
  std::string text;
  for (const std::string& line : kLines) {
    if (*rc::gen::inRange(0, 3) == 0) text += line + "\r\n";
  }
  return text;
}

TEST(Write, WhatWasWrittenIsReadAndWrittenAlike) {
  EXPECT_TRUE(rc::check([] {
    std::string body = kHead;
    const auto count = *rc::gen::inRange(1, 4);
    for (int i = 0; i < count; ++i) {
      body +=
          *rc::gen::element<std::string>("m=audio 4000 RTP/AVP 96 8 72", "m=video 4000 RTP/AVPF 96",
                                         "m=audio 0 RTP/SAVP 8 96", "m=image 4000 udptl t38",
                                         "m=application 4000 UDP/BFCP *", "m=application 4000 TCP/BFCP *") +
          "\r\n" + random_lines();
    }
    const std::string once = Written(body).whole();
    RC_LOG() << once;
    RC_ASSERT(Written(once).whole() == once);
    RC_ASSERT(Written(once).session.media.size() == Written(body).session.media.size());
    for (const char* of_sender : {"192.0.2.9", "a=ice-ufrag", " 4000 "})
      RC_ASSERT(once.find(of_sender) == std::string::npos);
    const Written again(once);
    for (const MediaSection& media : again.session.media) RC_ASSERT(!(media.is_rtp() && media.has_crypto));
  }));
}

}  // namespace
}  // namespace ferry::sdp::write_test
