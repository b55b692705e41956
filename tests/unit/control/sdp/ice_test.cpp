// SPDX-License-Identifier: Apache-2.0
// The ICE attributes of a section, and trickle fragments (RFC 8839, RFC 8840).
#include "control/sdp/ice.hpp"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::sdp::ice_test {
namespace {

const std::string kUfrag = "8hhY";
const std::string kPassword = "asd88fgpdd777uzjYhagZg";  // RFC 8839 §5.4

struct Row {
  const char* name;
  std::string value;
  /// `component priority endpoint`; empty = it is none.
  std::string candidate;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class Candidates : public ::testing::TestWithParam<Row> {};

TEST_P(Candidates, AreReadIfAPacketCanGoThere) {
  const auto read = parse_candidate(GetParam().value);
  const std::string text = !read ? std::string()
                                 : std::to_string(read->component) + " " + std::to_string(read->priority) +
                                       " " + read->at.to_string();
  EXPECT_EQ(text, GetParam().candidate);
}

INSTANTIATE_TEST_SUITE_P(
    Table, Candidates,
    ::testing::Values(
        Row{"Rfc8839Host", "1 1 UDP 2130706431 203.0.113.141 8998 typ host",
            "1 2130706431 203.0.113.141:8998"},
        Row{"Rfc8839Reflexive", "2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998",
            "1 1694498815 192.0.2.3:45664"},
        Row{"OfRtcp", "1 2 udp 1 192.0.2.3 9 typ host", "2 1 192.0.2.3:9"},
        Row{"Ipv6", "1 1 UDP 4294967295 2001:db8::1 9 typ host", "1 4294967295 [2001:db8::1]:9"},
        Row{"WithExtensions", "1 1 UDP 1 192.0.2.3 9 typ host generation 0 network-id 1", "1 1 192.0.2.3:9"},
        Row{"ICE5_MdnsName", "1 1 UDP 1 8d1b7e7a-3b1c.local 9 typ host", ""},
        Row{"ICE5_HostName", "1 1 UDP 1 example.org 9 typ host", ""},
        Row{"Tcp", "1 1 TCP 1 192.0.2.3 9 typ host tcptype active", ""},
        Row{"ComponentThree", "1 3 UDP 1 192.0.2.3 9 typ host", ""},
        Row{"ComponentZero", "1 0 UDP 1 192.0.2.3 9 typ host", ""},
        Row{"PriorityAboveAll", "1 1 UDP 4294967296 192.0.2.3 9 typ host", ""},
        Row{"PortZero", "1 1 UDP 1 192.0.2.3 0 typ host", ""},
        Row{"PortAboveAll", "1 1 UDP 1 192.0.2.3 65536 typ host", ""},
        Row{"Short", "1 1 UDP 1 192.0.2.3", ""}, Row{"Nothing", "", ""}),
    [](const auto& each) { return std::string(each.param.name); });

IceDescription read(const std::string& lines) {
  const std::string text =
      "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 8\r\n" + lines;
  return read_ice(parse(text)->media.front());
}
IceDescription with(const std::string& ufrag, const std::string& password) {
  return read("a=ice-ufrag:" + ufrag + "\r\na=ice-pwd:" + password + "\r\n");
}

TEST(ReadIce, BothCredentialsMakeIce) {
  const IceDescription ice = with(kUfrag, kPassword);
  EXPECT_TRUE(ice.is_there());
  EXPECT_FALSE(ice.is_too_short());
  EXPECT_EQ(ice.ufrag, kUfrag);
  EXPECT_EQ(ice.password, kPassword);
  EXPECT_FALSE(ice.trickles || ice.is_lite);
  EXPECT_FALSE(read("a=ice-ufrag:" + kUfrag + "\r\n").is_there());
  EXPECT_FALSE(read("a=ice-pwd:" + kPassword + "\r\n").is_there());
  EXPECT_FALSE(read("a=candidate:1 1 UDP 1 192.0.2.3 9 typ host\r\n").is_there());
}

// RFC 8839 §5.4: ice-ufrag has 4 to 256 characters, ice-pwd 22 to 256.
TEST(ReadIce, Rfc8839Lengths_ShortOnesAreUsedAndLongOnesNot) {
  EXPECT_TRUE(with("abc", kPassword).is_there());
  EXPECT_TRUE(with("abc", kPassword).is_too_short());
  EXPECT_TRUE(with(kUfrag, std::string(21, 'p')).is_too_short());
  EXPECT_FALSE(with(kUfrag, std::string(22, 'p')).is_too_short());
  EXPECT_TRUE(with(std::string(256, 'u'), std::string(256, 'p')).is_there());
  EXPECT_FALSE(with(std::string(257, 'u'), kPassword).is_there());
  EXPECT_FALSE(with(kUfrag, std::string(257, 'p')).is_there());
  EXPECT_FALSE(IceDescription{}.is_too_short()) << "it has none";
}

TEST(ReadIce, OptionsAreWords) {
  EXPECT_TRUE(read("a=ice-options:ice2 trickle\r\n").trickles);
  EXPECT_TRUE(read("a=ice-options:trickle\r\n").trickles);
  EXPECT_FALSE(read("a=ice-options:trickle2 ice2\r\n").trickles);
  EXPECT_FALSE(read("").trickles);
}

TEST(ReadIce, ICE4_ASectionBringsTwentyCandidates) {
  std::string lines = "a=candidate:1 1 TCP 1 192.0.2.3 9 typ host\r\n";
  for (int i = 1; i <= 30; ++i)
    lines += "a=candidate:1 1 UDP 1 192.0.2.3 " + std::to_string(i) + " typ host\r\n";
  const IceDescription ice = read(lines);
  ASSERT_EQ(ice.candidates.size(), 20u);
  EXPECT_EQ(ice.candidates.front().at.port.value, 1) << "those that are skipped do not count";
  EXPECT_EQ(ice.candidates.back().at.port.value, 20);
}

const std::string kCredentials = "a=ice-ufrag:" + kUfrag + "\r\na=ice-pwd:" + kPassword + "\r\n";

// RFC 8840 §9: credentials before the sections, pseudo m-lines with mids.
TEST(Fragments, Rfc8840_HaveCandidatesByMid) {
  const auto fragment =
      parse_fragment(kCredentials +
                     "m=audio 9 RTP/AVP 0\r\na=mid:1\r\na=candidate:1 1 UDP 5 192.0.2.3 9 typ host\r\n"
                     "a=end-of-candidates\r\nm=video 9 RTP/AVP 96\r\na=mid:2\r\n");
  ASSERT_TRUE(fragment);
  ASSERT_EQ(fragment->sections.size(), 2u);
  EXPECT_EQ(fragment->sections[0].mid, "1");
  EXPECT_EQ(fragment->sections[0].ice.ufrag, kUfrag);
  EXPECT_EQ(fragment->sections[0].ice.password, kPassword);
  ASSERT_EQ(fragment->sections[0].ice.candidates.size(), 1u);
  EXPECT_EQ(fragment->sections[1].mid, "2");
  EXPECT_EQ(fragment->sections[1].ice.ufrag, kUfrag) << "the session's are everybody's";
  EXPECT_TRUE(fragment->sections[1].ice.candidates.empty());
}

TEST(Fragments, CredentialsOfASectionAreItsOwn) {
  const auto fragment = parse_fragment(
      "m=audio 9 RTP/AVP 0\na=ice-ufrag:aaaa\na=ice-pwd:" + kPassword +
      "\na=mid:1\nm=audio 9 RTP/AVP 0\na=ice-ufrag:bbbb\na=ice-pwd:" + kPassword + "\na=mid:2\n");
  ASSERT_TRUE(fragment);
  ASSERT_EQ(fragment->sections.size(), 2u);
  EXPECT_EQ(fragment->sections[0].ice.ufrag, "aaaa");
  EXPECT_EQ(fragment->sections[1].ice.ufrag, "bbbb");
}

TEST(Fragments, WithoutAnMLineThereIsOneSection) {
  const auto fragment =
      parse_fragment(kCredentials + "a=mid:0\r\na=candidate:1 1 UDP 5 192.0.2.3 9 typ host\r\n");
  ASSERT_TRUE(fragment);
  ASSERT_EQ(fragment->sections.size(), 1u);
  EXPECT_EQ(fragment->sections[0].mid, "0");
  EXPECT_EQ(fragment->sections[0].ice.candidates.size(), 1u);
  EXPECT_EQ(fragment->sections[0].ice.ufrag, kUfrag);
}

// A BUNDLE group has one transport, whose candidates need no section.
TEST(Fragments, CandidatesBeforeTheSectionsAreThoseOfTheSession) {
  const std::string candidate = "a=candidate:1 1 UDP 5 192.0.2.3 9 typ host\r\n";
  const auto alone = parse_fragment(kCredentials + candidate);
  ASSERT_TRUE(alone);
  EXPECT_TRUE(alone->sections.empty());
  EXPECT_EQ(alone->session.candidates.size(), 1u);
  EXPECT_EQ(alone->session.ufrag, kUfrag);
  EXPECT_EQ(alone->session.password, kPassword);
  const auto both = parse_fragment("a=group:BUNDLE 1 0\r\n" + kCredentials + candidate +
                                   "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n" + candidate + candidate);
  ASSERT_TRUE(both);
  EXPECT_EQ(both->session.candidates.size(), 1u);
  ASSERT_EQ(both->sections.size(), 1u);
  EXPECT_EQ(both->sections[0].mid, "0");
  EXPECT_EQ(both->sections[0].ice.candidates.size(), 2u);
}

TEST(Fragments, WhatIsNoneIsNone) {
  for (const char* none : {"", "\r\n\r\n", "hello", "a", "a:b", "A=ice-ufrag:x", "a=mid:1\r\nhello\r\n"})
    EXPECT_FALSE(parse_fragment(none)) << none;
  std::string many;
  for (int i = 0; i < 32; ++i) many += "m=audio 9 RTP/AVP 0\r\n";
  EXPECT_TRUE(parse_fragment(many));
  EXPECT_FALSE(parse_fragment(many + "m=audio 9 RTP/AVP 0\r\n")) << "LIM-6";
}

TEST(Candidates, AreReadWhateverTheyAre) {
  EXPECT_TRUE(rc::check([] {
    const auto component = *rc::gen::inRange(0, 4);
    const auto priority = *rc::gen::arbitrary<std::uint32_t>();
    const auto port = *rc::gen::arbitrary<std::uint16_t>();
    const IpAddress address =
        *rc::gen::arbitrary<bool>() ? *IpAddress::parse("192.0.2.7") : *IpAddress::parse("::7");
    const auto read = parse_candidate("f " + std::to_string(component) + " UdP " + std::to_string(priority) +
                                      " " + address.to_string() + " " + std::to_string(port) + " typ host");
    const bool is_good = (component == 1 || component == 2) && port != 0;
    RC_ASSERT(read.has_value() == is_good);
    if (read)
      RC_ASSERT(*read == (IceCandidateLine{
                             static_cast<std::uint16_t>(component), priority, {address, UdpPort{port}}}));
  }));
}

}  // namespace
}  // namespace ferry::sdp::ice_test
