// SPDX-License-Identifier: Apache-2.0
// a=crypto lines and the lines of an offer, against what the recorded dialogues show.

#include "control/sdp/sdes.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::sdp {
namespace {

constexpr const char* kKeyA = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw";
constexpr const char* kKeyB = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk";

CryptoLine line(const std::string& value) {
  const auto parsed = parse_crypto(value);
  EXPECT_TRUE(parsed.has_value()) << value;
  return parsed.value_or(CryptoLine{});
}

SecretBytes<46> zeros(const SrtpSuiteRow& suite) {
  return SecretBytes<46>(std::vector<std::byte>(std::size_t{suite.key} + suite.salt));
}

/// "TAG SUITE", and "*" behind lines that have the offerer's key.
std::vector<std::string> summary(const std::vector<CryptoLine>& lines) {
  std::vector<std::string> all;
  for (const CryptoLine& each : lines) {
    all.push_back(std::to_string(each.tag) + " " + std::string(each.suite->name) +
                  (each.key_and_salt == zeros(*each.suite) ? "" : "*"));
  }
  return all;
}

const std::vector<CryptoLine> kTwo = {line(std::string("1 AES_CM_128_HMAC_SHA1_80 inline:") + kKeyA),
                                      line(std::string("2 AES_CM_128_HMAC_SHA1_32 inline:") + kKeyB)};

TEST(SdesLine, ReadsAndWritesAllParts) {
  const std::string value =
      std::string("1 AES_CM_128_HMAC_SHA1_80 inline:") + kKeyA + "|2^20|1:4 UNENCRYPTED_SRTCP KDR=3";
  const CryptoLine parsed = line(value);
  EXPECT_EQ(parsed.tag, 1u);
  EXPECT_EQ(parsed.key_and_salt.size(), 30u);
  EXPECT_EQ(std::to_integer<char>(parsed.key_and_salt.get()[0]), '1');
  EXPECT_EQ(parsed.mki, (std::vector<std::byte>{{}, {}, {}, std::byte{1}}));
  EXPECT_EQ(parsed.parameters, (std::vector<std::string>{"UNENCRYPTED_SRTCP", "KDR=3"}));
  EXPECT_EQ(write_crypto(parsed, {}),
            std::string("1 AES_CM_128_HMAC_SHA1_80 inline:") + kKeyA + "|1:4 UNENCRYPTED_SRTCP KDR=3");
  EXPECT_EQ(write_crypto(kTwo[1], {false, true}),
            std::string("2 AES_CM_128_HMAC_SHA1_32 inline:") + kKeyB + "|2^31");
  EXPECT_EQ(line(std::string("7 aes_cm_128_hmac_sha1_80 inline:") + kKeyA + "|1048576;inline:" + kKeyB).tag,
            7u);
}

TEST(SdesLine, PaddingIsTakenAndGivenWhenAsked) {
  CryptoLine wide;
  wide.tag = 3;
  wide.suite = find_crypto_suite("AES_256_CM_HMAC_SHA1_80");
  wide.key_and_salt = SecretBytes<46>(std::vector<std::byte>(46, std::byte{0x41}));
  const std::string padded = write_crypto(wide, {true, false});
  const std::string bare = write_crypto(wide, {});
  EXPECT_TRUE(padded.ends_with("=="));
  EXPECT_EQ(bare + "==", padded);
  EXPECT_EQ(line(padded), wide);
  EXPECT_EQ(line(bare), wide);
}

TEST(SdesLine, WhatIsWrongIsPassedOver) {
  for (const std::string& value :
       {std::string("x AES_CM_128_HMAC_SHA1_80"), std::string("1 AES_CM_128_HMAC_SHA1_80 inline:AAAA"),
        std::string("1 FOO_BAR inline:") + kKeyA, std::string("1 AES_CM_128_HMAC_SHA1_80 ") + kKeyA,
        std::string("3 AES_CM_128_HMAC_SHA1_32 inline:") + kKeyB + "==",
        std::string("1 AES_256_CM_HMAC_SHA1_80 inline:") + kKeyA,
        std::string("1234567890 AES_CM_128_HMAC_SHA1_80 inline:") + kKeyA,
        std::string("1 AES_CM_128_HMAC_SHA1_80 inline:") + kKeyA + "|1:9",
        std::string("1 AES_CM_128_HMAC_SHA1_80 inline:") + kKeyA + "|256:1",
        std::string("1 AES_CM_128_HMAC_SHA1_80 inline:") + kKeyA + "|nonsense",
        std::string("1 AES_CM_128_HMAC_SHA1_80 inline:!!!!NDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw"),
        std::string(), std::string("1"), std::string("1 "), std::string(" ")}) {
    EXPECT_FALSE(parse_crypto(value).has_value()) << value;
  }
}

TEST(SdesOffer, TheOfferersLinesComeFirstThenNewOnesBehindItsHighestTag) {
  const auto lines = summary(sdes_offer(kTwo, {}, {.legacy = true}, zeros));
  ASSERT_EQ(lines.size(), 12u);
  EXPECT_EQ(lines[0], "1 AES_CM_128_HMAC_SHA1_80*");
  EXPECT_EQ(lines[1], "2 AES_CM_128_HMAC_SHA1_32*");
  EXPECT_EQ(lines[2], "3 AEAD_AES_256_GCM");
  EXPECT_EQ(lines[11], "12 NULL_HMAC_SHA1_32");
  EXPECT_EQ(sdes_offer({}, {}, {.legacy = true}, zeros).front().key_and_salt.size(), 44u);
}

TEST(SdesOffer, SRT8_LegacySuitesAreOfferedOnRequestOnly) {
  EXPECT_EQ(sdes_offer({}, {}, {}, zeros).size(), 8u);
  EXPECT_EQ(sdes_offer({}, {}, {.legacy = true}, zeros).size(), 12u);
}

TEST(SdesOffer, RemovedSuitesLeaveTheirNumberToTheNext) {
  SdesPolicy policy;
  policy.without = {"AES_CM_128_HMAC_SHA1_32", "NULL_HMAC_SHA1_80"};
  const auto lines = summary(sdes_offer(kTwo, policy, {.legacy = true}, zeros));
  ASSERT_EQ(lines.size(), 10u);
  EXPECT_EQ(lines[0], "1 AES_CM_128_HMAC_SHA1_80*");
  EXPECT_EQ(lines[1], "2 AEAD_AES_256_GCM");
  EXPECT_EQ(lines[9], "10 NULL_HMAC_SHA1_32");
}

TEST(SdesOffer, OnlyWinsAndOrderMovesLinesButNotNumbers) {
  SdesPolicy only;
  only.only = {"AES_CM_128_HMAC_SHA1_32", "aead_aes_256_gcm"};
  only.without = {"AEAD_AES_256_GCM"};
  EXPECT_EQ(summary(sdes_offer(kTwo, only, {.legacy = true}, zeros)),
            (std::vector<std::string>{"2 AES_CM_128_HMAC_SHA1_32*", "3 AEAD_AES_256_GCM"}));
  SdesPolicy order;
  order.order = {"AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM"};
  const auto lines = summary(sdes_offer(kTwo, order, {.legacy = true}, zeros));
  EXPECT_EQ((std::vector<std::string>(lines.begin(), lines.begin() + 4)),
            (std::vector<std::string>{"2 AES_CM_128_HMAC_SHA1_32*", "4 AEAD_AES_128_GCM",
                                      "1 AES_CM_128_HMAC_SHA1_80*", "3 AEAD_AES_256_GCM"}));
}

TEST(SdesOffer, WithRecryptTheOfferersLinesGetKeysOfOurOwn) {
  const auto lines = summary(sdes_offer(kTwo, {}, {.recrypt = true}, zeros));
  ASSERT_EQ(lines.size(), 8u);
  EXPECT_EQ(lines[0], "1 AES_CM_128_HMAC_SHA1_80");
  EXPECT_EQ(lines[1], "2 AES_CM_128_HMAC_SHA1_32");
}

TEST(SdesOffer, NoNewNoneAtAll) {
  SdesPolicy none;
  none.off = true;
  EXPECT_TRUE(sdes_offer(kTwo, none, {.legacy = true}, zeros).empty());
  SdesPolicy theirs;
  theirs.no_new = true;
  const auto lines = sdes_offer(kTwo, theirs, {.legacy = true}, zeros);
  EXPECT_EQ(lines.size(), 2u);
}

TEST(SdesLine, SRT12_ParametersThatWeakenAreKnown) {
  for (const char* word : {"UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP"})
    EXPECT_TRUE(line(std::string("1 AES_CM_128_HMAC_SHA1_80 inline:") + kKeyA + " KDR=3 " + word).weakens())
        << word;
  EXPECT_FALSE(line(std::string("1 AES_CM_128_HMAC_SHA1_80 inline:") + kKeyA + " KDR=3 WSH=64").weakens());
  EXPECT_FALSE(kTwo[0].weakens());
}

TEST(SdesLine, IsReadAsItWasWritten) {
  EXPECT_TRUE(rc::check([] {
    CryptoLine made;
    made.tag = *rc::gen::inRange<std::uint32_t>(0, 1'000'000'000);
    made.suite = &kSrtpSuites[*rc::gen::inRange<std::size_t>(0, kSrtpSuites.size())];
    std::vector<std::byte> key(std::size_t{made.suite->key} + made.suite->salt);
    for (std::byte& octet : key) octet = static_cast<std::byte>(*rc::gen::inRange(0, 256));
    made.key_and_salt = SecretBytes<46>(key);
    const auto mki = *rc::gen::inRange(0, 9);
    for (int i = 0; i < mki; ++i) made.mki.push_back(static_cast<std::byte>(*rc::gen::inRange(0, 256)));
    if (*rc::gen::arbitrary<bool>()) made.parameters = {"KDR=3", "WSH=64"};
    const CryptoStyle style{*rc::gen::arbitrary<bool>(), *rc::gen::arbitrary<bool>()};
    RC_ASSERT(parse_crypto(write_crypto(made, style)) == made);
  }));
}

TEST(SdesOffer, TagsAreUniqueAndTheOfferersKeysStayTheirs) {
  EXPECT_TRUE(rc::check([] {
    const auto names = [] {
      return *rc::gen::container<std::vector<std::string>>(
          rc::gen::element<std::string>("AES_CM_128_HMAC_SHA1_80", "aes_cm_128_hmac_sha1_32",
                                        "AEAD_AES_256_GCM", "NULL_HMAC_SHA1_80", "x"));
    };
    SdesPolicy policy;
    policy.without = names();
    policy.only = names();
    policy.order = names();
    policy.no_new = *rc::gen::arbitrary<bool>();
    const SdesOfferRules rules{*rc::gen::arbitrary<bool>(), *rc::gen::arbitrary<bool>()};
    const auto lines = sdes_offer(kTwo, policy, rules, zeros);
    std::vector<std::uint32_t> tags;
    for (const CryptoLine& each : lines) {
      tags.push_back(each.tag);
      RC_ASSERT(rules.legacy || !each.suite->is_legacy);
      RC_ASSERT(policy.allows(*each.suite));
      RC_ASSERT(each.is_offerers == (each.key_and_salt != zeros(*each.suite)));
      RC_ASSERT(!(rules.recrypt && each.is_offerers));
      RC_ASSERT(!policy.no_new || each.tag <= 2);
    }
    std::ranges::sort(tags);
    RC_ASSERT(std::ranges::adjacent_find(tags) == tags.end());
  }));
}

}  // namespace
}  // namespace ferry::sdp
