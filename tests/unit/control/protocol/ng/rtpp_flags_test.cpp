// SPDX-License-Identifier: Apache-2.0
// docs/reference/ng.md#rtpp-flags: the string, read without errors.
#include "control/protocol/ng/rtpp_flags.hpp"

#include "control/protocol/ng/json_codec.hpp"
#include "control/protocol/ng/request_parser.hpp"

#include <random>
#include <string>

#include <gtest/gtest.h>

namespace ferry::test::rtpp_flags_test {
namespace {

Request parse(std::initializer_list<std::pair<const char*, Value>> keys,
              const ng::Templates& templates = {}) {
  Dict dict;
  for (const auto& [key, value] : keys) dict.set(key, value);
  return ng::parse_request(dict, templates);
}

/// A string, its keys as JSON, and its flags with blanks between them.
struct Row {
  const char* name;
  const char* text;
  const char* keys;
  const char* flags;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class RtppFlagsRows : public testing::TestWithParam<Row> {};

TEST_P(RtppFlagsRows, IsRead) {
  const ng::RtppFlags read = ng::parse_rtpp_flags(GetParam().text);
  EXPECT_EQ(ng::encode_json(Value(read.keys)), GetParam().keys);
  std::string flags;
  for (const std::string& flag : read.flags) flags += (flags.empty() ? "" : " ") + flag;
  EXPECT_EQ(flags, GetParam().flags);
}

const Row kRows[] = {
    {"Nothing", " \t\r\n", "{}", ""},
    {"WordsAreFlags", "trust-address  symmetric", "{}", "trust-address symmetric"},
    {"AKeyHasAText", "label=caller", R"({"label":"caller"})", ""},
    {"AListInBrackets", "codec-strip=[G729 PCMU]", R"({"codec-strip":["G729","PCMU"]})", ""},
    {"CommasBetweenMembersAreIgnored", "replace=[origin, username,]", R"({"replace":["origin","username"]})",
     ""},
    {"ADictionaryInBrackets", "codec=[strip=[G729] offer=[PCMA]]",
     R"({"codec":{"strip":["G729"],"offer":["PCMA"]}})", ""},
    {"AListInAList", "sdp-attr=[[a b] c]", R"({"sdp-attr":[["a","b"],"c"]})", ""},
    {"BlanksAroundTheSign", "label = caller next", R"({"label":"caller"})", "next"},
    {"AnEmptyValue", "label= trust-address", R"({"label":""})", "trust-address"},
    {"ABracketMayStandBehindABlank", "replace= [origin]", R"({"replace":["origin"]})", ""},
    {"ARepeatedKeyCollects", "direction=a direction=b", R"({"direction":["a","b"]})", ""},
    {"ARepeatedListCollects", "replace=[a b] replace=c replace=[d]", R"({"replace":["a","b","c","d"]})", ""},
    {"StraySignsSayNothing", "=x ] [ a ===b", R"({"a":"==b"})", ""},
    {"AListWithoutEnd", "replace=[origin username", R"({"replace":["origin","username"]})", ""},
    {"ASignInAValueBelongsToIt", "metadata=a=b", R"({"metadata":"a=b"})", ""},
};
INSTANTIATE_TEST_SUITE_P(Strings, RtppFlagsRows, testing::ValuesIn(kRows),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(RtppFlags, EightLevelsAndNoMore) {
  const auto depth_of = [](const ng::RtppFlags& read) {
    std::size_t depth = 0;
    for (const Value* value = read.keys.find("a"); value != nullptr;) {
      const List* list = value->list();
      if (list == nullptr) break;
      ++depth;
      value = list->empty() ? nullptr : list->data();
    }
    return depth;
  };
  EXPECT_EQ(depth_of(ng::parse_rtpp_flags("a=[[[[[[[[x]]]]]]]]")), 8u);
  EXPECT_LE(depth_of(ng::parse_rtpp_flags("a=" + std::string(40, '[') + "x")), 9u);
}

TEST(RtppFlags, Escapes) {
  EXPECT_EQ(ng::unescape("x--1..2"), "x=1 2");
  EXPECT_EQ(ng::unescape("a-b.c"), "a-b.c") << "one of them is itself";
  EXPECT_EQ(ng::unescape("---"), "=-");
  EXPECT_EQ(ng::unescape(""), "");
}

TEST(RtppFlags, WordsKeysListsAndDictionaries) {
  const Request r = parse(
      {{"rtpp-flags",
        "replace-origin ICE=remove codec=[strip=[G729 opus/48000/2] offer=[PCMA]] to-tag=tt from-tag=ff "
        "direction=a direction=b media-address=192.0.2.9 sdp-attr=[audio=[add=[x--1..2]]] strange=1 "
        "oddword"}});
  EXPECT_TRUE(has(r.replaces, Replace::kOrigin));
  EXPECT_EQ(r.ice.offer, IceWishes::Offer::kNever);
  EXPECT_EQ(r.codecs.strip, (std::vector<std::string>{"G729", "opus/48000/2"}));
  EXPECT_EQ(r.codecs.offer, (std::vector<std::string>{"PCMA"}));
  EXPECT_EQ(r.to_tag, "tt");
  EXPECT_TRUE(r.has_flag(Flag::kToTag)) << "to-tag= marks the tag as meant";
  EXPECT_EQ(r.from_tag, "ff");
  EXPECT_TRUE(r.has_flag(Flag::kDirectional)) << "from-tag= makes it directional";
  EXPECT_EQ(r.sender_interface, "a");
  EXPECT_EQ(r.receiver_interface, "b");
  EXPECT_EQ(r.media_address, IpAddress::parse("192.0.2.9"));
  ASSERT_EQ(r.sdp_attr.size(), 1u);
  EXPECT_EQ(r.sdp_attr[0].text, "x=1 2") << "escapes";
  EXPECT_EQ(r.unknown_keys, (std::vector<std::string>{"strange"}));
  EXPECT_EQ(r.unknown_flags, (std::vector<std::string>{"oddword"}));
  EXPECT_TRUE(r.by_rtpp_flags);
}

TEST(RtppFlags, InternalAndExternalAreDirections) {
  const Request r = parse({{"rtpp-flags", "internal external internal"}});
  EXPECT_EQ(r.sender_interface, "internal");
  EXPECT_EQ(r.receiver_interface, "external") << "more are ignored";
}

TEST(RtppFlags, CodecListsWithoutTheDictionary) {
  const Request r = parse({{"rtpp-flags", "codec-strip=[all] codec-offer=[PCMA PCMU] transcode=[opus]"}});
  EXPECT_EQ(r.codecs.strip, (std::vector<std::string>{"all"}));
  EXPECT_EQ(r.codecs.offer, (std::vector<std::string>{"PCMA", "PCMU"}));
  EXPECT_EQ(r.codecs.transcode, (std::vector<std::string>{"opus"}));
}

TEST(RtppFlags, InsideItselfItIsAnUnknownKey) {
  const Request r = parse({{"rtpp-flags", "rtpp-flags=trust-address"}});
  EXPECT_EQ(r.unknown_keys, (std::vector<std::string>{"rtpp-flags"}));
  EXPECT_FALSE(r.has_flag(Flag::kTrustAddress));
}

TEST(RtppFlags, TransportWordsCombineBitByBitAfterAllOthers) {
  const auto protocol = [](const char* words) { return parse({{"rtpp-flags", words}}).transport_protocol; };
  for (const char* whole :
       {"RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"})
    EXPECT_EQ(protocol(whole), whole);
  EXPECT_EQ(protocol("SRTP AVPF"), "RTP/SAVPF");
  EXPECT_EQ(protocol("RTP"), "RTP/AVP");
  EXPECT_EQ(protocol("DTLS"), "UDP/TLS/RTP/SAVP") << "keys come by DTLS for encrypted media alone";
  EXPECT_EQ(protocol("RTP/SAVPF RTP"), "RTP/AVPF");
  EXPECT_EQ(protocol("UDP/TLS/RTP/SAVPF AVP"), "UDP/TLS/RTP/SAVP");
  EXPECT_EQ(protocol("RTP/AVP transport-protocol=RTP/SAVP"), "RTP/AVP");
  EXPECT_EQ(protocol("replace-origin"), "");
}

TEST(RtppFlags, BranchWordsOfTheClientModuleAreNoBranch) {
  for (const char* word : {"via-branch=1", "via-branch=auto", "via-branch=auto-next", "via-branch=extra"})
    EXPECT_EQ(parse({{"via-branch", "z9hG4bKreal"}, {"rtpp-flags", word}}).via_branch, "z9hG4bKreal") << word;
  EXPECT_EQ(parse({{"rtpp-flags", "via-branch=z9hG4bKmine"}}).via_branch, "z9hG4bKmine");
}

TEST(RtppFlags, NoTextIsTooBroken) {
  std::mt19937 random(5);
  const std::string letters = "ab=[] -.\t\"{}/";
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (auto n = random() % 40; n > 0; --n) text += letters[random() % letters.size()];
    parse({{"rtpp-flags", Value(text)}});
  }
  parse({{"rtpp-flags", Value(std::string(100'000, '['))}});
  std::string deep;
  for (int i = 0; i < 50'000; ++i) deep += "a=[";
  parse({{"rtpp-flags", Value(deep)}});
}

}  // namespace
}  // namespace ferry::test::rtpp_flags_test
