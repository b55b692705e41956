// SPDX-License-Identifier: Apache-2.0
// Which sections of an SDP are a BUNDLE group, which of them carries the transport, and what the others read
// like (BND-1, BND-3, BND-5, BND-12).

#include "control/negotiate/bundle.hpp"

#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::bundle_groups_test {
namespace {

using Sections = std::vector<std::size_t>;

struct Row {
  const char* name;
  const char* groups;
  const char* media;
  std::vector<Sections> members;
  std::set<std::size_t> refused = {};
};

#define AUDIO "m=audio 4000 RTP/AVP 8\r\na=mid:0\r\n"
#define VIDEO "m=video 9 RTP/AVP 96\r\na=mid:1\r\n"

const Row kRows[] = {
    {"NoGroup", "", AUDIO VIDEO, {}},
    {"Both", "a=group:BUNDLE 0 1\r\n", AUDIO VIDEO, {{0, 1}}},
    {"OrderOfTags", "a=group:BUNDLE 1 0\r\n", AUDIO VIDEO, {{1, 0}}},
    {"SmallLetters", "a=group:bundle 0 1 \r\n", AUDIO VIDEO, {{0, 1}}},
    {"OneMember", "a=group:BUNDLE 0\r\n", AUDIO VIDEO, {{0}}},
    {"UnknownMid", "a=group:BUNDLE x 0 1\r\n", AUDIO VIDEO, {{0, 1}}},
    {"OnlyUnknownMids", "a=group:BUNDLE x y\r\n", AUDIO VIDEO, {}},
    {"OtherSemantics", "a=group:LS 0 1\r\n", AUDIO VIDEO, {}},
    {"NamedTwice", "a=group:BUNDLE 0 0 1\r\n", AUDIO VIDEO, {{0, 1}}},
    {"InTwoGroups", "a=group:BUNDLE 0\r\na=group:BUNDLE 0 1\r\n", AUDIO VIDEO, {{0}, {1}}},
    {"RejectedMember", "a=group:BUNDLE 0 1\r\n", AUDIO "m=video 0 RTP/AVP 96\r\na=mid:1\r\n", {{0}}},
    {"BundleOnly",
     "a=group:BUNDLE 0 1\r\n",
     AUDIO "m=video 0 RTP/AVP 96\r\na=mid:1\r\na=bundle-only\r\n",
     {{0, 1}}},
    {"BundleOnlyIsTagged",
     "a=group:BUNDLE 1 0\r\n",
     AUDIO "m=video 0 RTP/AVP 96\r\na=mid:1\r\na=bundle-only\r\n",
     {{0, 1}}},
    {"NobodyHasAPort", "a=group:BUNDLE 1\r\n", "m=video 0 RTP/AVP 96\r\na=mid:1\r\na=bundle-only\r\n", {}},
    {"FirstRefused", "a=group:BUNDLE 0 1\r\n", AUDIO VIDEO, {{1}}, {0}},
    {"AllRefused", "a=group:BUNDLE 0 1\r\n", AUDIO VIDEO, {}, {0, 1}},
    {"DataChannel",
     "a=group:BUNDLE 2 0\r\n",
     AUDIO VIDEO "m=application 4004 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n",
     {{0}}},
    {"OtherProfile",
     "a=group:BUNDLE 0 1 2\r\n",
     AUDIO "m=video 9 RTP/SAVP 96\r\na=mid:1\r\n"
           "m=video 9 RTP/AVP 96\r\na=mid:2\r\n",
     {{0, 2}}},
    {"TheProfileIsThatOfTheCarrier",
     "a=group:BUNDLE 1 0\r\n",
     AUDIO "m=video 9 RTP/SAVP 96\r\na=mid:1\r\n",
     {{1}}},
    {"NotRtp", "a=group:BUNDLE 0 2\r\n", AUDIO VIDEO "m=image 4004 udptl t38\r\na=mid:2\r\n", {{0}}},
};

class BundleGroups : public ::testing::TestWithParam<Row> {};

std::string body(const Row& row) {
  return std::string("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n") +
         row.groups + row.media;
}

TEST_P(BundleGroups, AreRead) {
  const Row& row = GetParam();
  const std::string text = body(row);
  const auto session = sdp::parse(text);
  ASSERT_TRUE(session);
  std::vector<Sections> members;
  for (const BundleGroup& group :
       bundle_groups(*session, [&](std::size_t at) { return row.refused.contains(at); }))
    members.push_back(group.sections);
  EXPECT_EQ(members, row.members);
}

INSTANTIATE_TEST_SUITE_P(Rows, BundleGroups, ::testing::ValuesIn(kRows),
                         [](const auto& row) { return row.param.name; });

sdp::Session shared(const std::string& text) {
  auto session = sdp::parse(text);
  EXPECT_TRUE(session);
  share_transport(*session, bundle_groups(*session));
  return *session;
}

TEST(MayNeedGroup, BND9_GroupsWithOnePlaceAlone) {
  struct Case {
    const char* media;
    bool may_need;
  };
  const Case cases[] = {
      {AUDIO, true},  // a client with max-bundle, or one with a single section
      {AUDIO VIDEO, true},
      {AUDIO "m=video 0 RTP/AVP 96\r\na=mid:1\r\na=bundle-only\r\n", true},
      {AUDIO "m=video 4000 RTP/AVP 96\r\na=mid:1\r\n", true},
      {AUDIO "m=video 4002 RTP/AVP 96\r\na=mid:1\r\n", false},
      {"m=image 4004 udptl t38\r\na=mid:0\r\n", false},
  };
  for (const Case& each : cases) {
    const std::string with = body({"", "a=group:BUNDLE 0 1\r\n", each.media, {}});
    EXPECT_EQ(may_need_group(*sdp::parse(with)), each.may_need) << each.media;
    const std::string without = body({"", "", each.media, {}});
    EXPECT_FALSE(may_need_group(*sdp::parse(without))) << each.media;
  }
}

TEST(ShareTransport, BND1_KeysOfTheFirstCountForAll) {
  const std::string text =
      "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\n"
      "m=audio 4000 RTP/SAVP 8\r\na=mid:0\r\na=crypto:1 of the first\r\n"
      "m=video 4000 RTP/SAVP 96\r\na=mid:1\r\n"
      "m=video 4000 RTP/SAVP 97\r\na=mid:2\r\na=crypto:1 of its own\r\na=X-odd\r\n";
  const sdp::Session session = shared(text);
  for (const sdp::MediaSection& section : session.media) {
    ASSERT_NE(section.find("crypto"), nullptr) << section.mid;
    EXPECT_EQ(section.find("crypto")->value, "1 of the first") << section.mid;
  }
  EXPECT_NE(session.media[2].find("X-odd"), nullptr);
}

TEST(ShareTransport, BND1_MembersReadLikeTheFirst) {
  const std::string text =
      "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
      "m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\nc=IN IP4 192.0.2.1\r\na=mid:0\r\na=rtcp-mux\r\na=ice-ufrag:u\r\n"
      "a=ice-pwd:p\r\na=setup:active\r\na=fingerprint:sha-256 AA\r\na=candidate:1 1 udp 1 192.0.2.1 4000 typ "
      "host\r\n"
      "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=rtcp-rsize\r\na=setup:passive\r\n"
      "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\n";
  const sdp::Session session = shared(text);
  const sdp::MediaSection& member = session.media[1];
  EXPECT_EQ(member.port, 4000);
  EXPECT_EQ(member.connection, IpAddress::parse("192.0.2.1"));
  EXPECT_TRUE(member.rtcp_mux);
  EXPECT_EQ(member.ice_ufrag, "u");
  EXPECT_EQ(member.setup, "active");
  EXPECT_EQ(member.fingerprints.size(), 1u);
  EXPECT_EQ(member.candidates.size(), 1u);
  EXPECT_TRUE(session.media[0].rtcp_reduced_size);
  EXPECT_EQ(member.mid, "1");
  // The group does not name the third one.
  EXPECT_EQ(session.media[2].port, 9);
  EXPECT_TRUE(session.media[2].candidates.empty());
}

TEST(ShareTransport, ARefusedSectionOfTheGroupMayHaveTheCandidates) {
  const std::string text =
      "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
      "m=application 4000 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 192.0.2.1\r\na=mid:0\r\n"
      "a=candidate:1 1 udp 1 192.0.2.1 4000 typ host\r\n"
      "m=audio 9 UDP/TLS/RTP/SAVPF 8\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=ice-ufrag:u\r\n";
  const sdp::Session session = shared(text);
  EXPECT_EQ(session.media[1].candidates.size(), 1u);
  EXPECT_EQ(session.media[1].ice_ufrag, "u");
  EXPECT_EQ(session.media[0].port, 0);
}

#undef AUDIO
#undef VIDEO

}  // namespace
}  // namespace ferry::bundle_groups_test
