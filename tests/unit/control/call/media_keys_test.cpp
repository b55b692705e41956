// SPDX-License-Identifier: Apache-2.0
// SDES of one section: which line is shown, which is taken, and which keys follow (RFC 4568, SRT-1 to
// SRT-15).
#include "control/call/media_keys.hpp"

#include "control/sdp/sdp.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::media_keys_test {
namespace {

const std::string kKeyA = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw";
const std::string kKeyB = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk";
constexpr const char* k80 = "AES_CM_128_HMAC_SHA1_80";
constexpr const char* k32 = "AES_CM_128_HMAC_SHA1_32";

std::string crypto(int tag, const std::string& suite, const std::string& key, const std::string& more = "") {
  return "a=crypto:" + std::to_string(tag) + " " + suite + " inline:" + key + more + "\r\n";
}

/// A section of a party, which outlives what is read of it.
struct Section {
  explicit Section(const std::string& lines, const std::string& profile = "RTP/SAVP",
                   const std::string& port = "4000")
      : text("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nm=audio " + port + " " +
             profile + " 8\r\n" + lines),
        session(sdp::parse(text).value()) {}
  [[nodiscard]] const sdp::MediaSection& media() const { return session.media.front(); }
  std::string text;
  sdp::Session session;
};
std::vector<sdp::CryptoLine> lines_of(const std::string& lines) {
  return usable_crypto(Section(lines).media());
}

const sdp::CryptoLine* shown(const MediaKeys& keys, std::string_view suite) {
  const auto found =
      std::ranges::find_if(keys.shown, [&](const auto& line) { return line.suite->name == suite; });
  return found == keys.shown.end() ? nullptr : &*found;
}

TEST(UsableCrypto, SRT12_LinesThatWeakenAndLinesThatCannotBeReadAreSkipped) {
  const auto lines =
      lines_of(crypto(1, k80, kKeyA, " UNENCRYPTED_SRTP") + crypto(2, k80, kKeyA, " UNAUTHENTICATED_SRTP") +
               crypto(3, k80, kKeyA, " UNENCRYPTED_SRTCP") + crypto(4, "X", kKeyA) + crypto(5, k80, "AAAA") +
               crypto(6, k80, kKeyA) + crypto(7, "NULL_HMAC_SHA1_80", kKeyB));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].tag, 6u);
  EXPECT_EQ(lines[1].tag, 7u) << "with those for compatibility only";
  std::string many;
  for (int tag = 1; tag < 40; ++tag) many += crypto(tag, k80, kKeyA);
  EXPECT_EQ(lines_of(many).size(), 24u);
}

TEST(OfferKeys, SRT6_KeysOfOursStayFromOfferToOffer) {
  MediaKeys keys;
  offer_keys(keys, {}, {}, {});
  ASSERT_EQ(keys.shown.size(), 8u) << "SRT-8";
  std::set<std::string> different;
  for (const auto& line : keys.shown) different.insert(sdp::write_crypto(line, {}).substr(30));
  EXPECT_EQ(different.size(), 8u) << "each suite has a key of its own";
  const auto before = keys.shown;
  const auto contexts = keys.contexts;
  offer_keys(keys, {}, {}, {});
  EXPECT_EQ(keys.shown, before);
  EXPECT_EQ(keys.contexts, contexts);
  MediaKeys other;
  offer_keys(other, {}, {}, {});
  EXPECT_NE(other.shown.front().key_and_salt, before.front().key_and_salt) << "SRT-1: of another m-line";
}

TEST(OfferKeys, SRT6_TheKeyThatAnsweredThePartyIsOfferedToIt) {
  MediaKeys keys;
  keys.theirs = lines_of(crypto(1, k80, kKeyA));
  answer_offerer(keys, nullptr, {});
  ASSERT_TRUE(keys.out);
  offer_keys(keys, {}, {}, {});
  EXPECT_EQ(shown(keys, k80)->key_and_salt, keys.out->key_and_salt);
  EXPECT_NE(shown(keys, k32)->key_and_salt, keys.out->key_and_salt);
}

TEST(OfferKeys, TheOfferersLinesGoThroughUnlessRecrypted) {
  const auto theirs = lines_of(crypto(7, k32, kKeyA));
  MediaKeys keys;
  offer_keys(keys, theirs, {}, {});
  EXPECT_EQ(keys.shown.front().tag, 7u);
  EXPECT_EQ(keys.shown.front().key_and_salt, theirs[0].key_and_salt);
  EXPECT_TRUE(keys.shown.front().is_offerers);
  offer_keys(keys, theirs, {}, {.recrypt = true});
  EXPECT_NE(keys.shown.front().key_and_salt, theirs[0].key_and_salt)
      << "the offerer's key is not kept as ours";
  EXPECT_FALSE(keys.shown.front().is_offerers);
}

struct CheckRow {
  const char* name;
  std::string profile;
  std::string lines;
  bool was_secure;
  bool is_taken;
  std::string port = "4000";
};
void PrintTo(const CheckRow& row, std::ostream* out) { *out << row.name; }

class AnswersToAnOffer : public ::testing::TestWithParam<CheckRow> {};

TEST_P(AnswersToAnOffer, SRT13_AreTakenOrRefused) {
  const CheckRow& row = GetParam();
  MediaKeys keys;
  offer_keys(keys, {}, {}, {});
  const Section answer(row.lines, row.profile, row.port);
  SrtpConfig config;
  const auto verdict = check_answer(answer.media(), row.was_secure, &keys, config);
  EXPECT_EQ(verdict.has_value(), row.is_taken);
  if (!verdict) {
    EXPECT_EQ(verdict.error().refusal(), RefusalReason::kEncryption);
  }
  config.policy = SrtpPolicy::kAllow;
  EXPECT_TRUE(check_answer(answer.media(), row.was_secure, &keys, config)) << "srtp=allow";
}

INSTANTIATE_TEST_SUITE_P(
    Table, AnswersToAnOffer,
    ::testing::Values(
        CheckRow{"ALineThatWasOffered", "RTP/SAVP", crypto(7, k80, kKeyA), true, true},
        CheckRow{"WithATagOfItsOwn", "RTP/SAVP", crypto(99, k80, kKeyA), true, true},
        CheckRow{"TheSecondOfTwo", "RTP/SAVP", crypto(1, "NULL_HMAC_SHA1_80", kKeyA) + crypto(2, k80, kKeyA),
                 true, true},
        CheckRow{"ASuiteThatNobodyOffered", "RTP/SAVP", crypto(1, "F8_128_HMAC_SHA1_80", kKeyA), true, false},
        CheckRow{"NoLine", "RTP/SAVP", "", true, false},
        CheckRow{"ALineThatWeakens", "RTP/SAVP", crypto(7, k80, kKeyA, " UNENCRYPTED_SRTP"), true, false},
        CheckRow{"Plain", "RTP/AVP", "", true, false},
        CheckRow{"PlainWithKeys", "RTP/AVP", crypto(7, k80, kKeyA), true, false},
        CheckRow{"PlainToPlain", "RTP/AVP", "", false, true},
        CheckRow{"Rejected", "RTP/AVP", "", true, true, "0"}, CheckRow{"NoRtp", "udptl", "", true, true}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(AnswersToNoOffer, SRT13_AreRefusedToo) {
  EXPECT_FALSE(check_answer(Section(crypto(1, k80, kKeyA)).media(), true, nullptr, {}));
}

TEST(TakeAnswer, AgreesToTheLineOfTheSameTagFirst) {
  MediaKeys keys;
  offer_keys(keys, {}, {}, {});
  const auto* of_80 = shown(keys, k80);
  const auto* of_32 = shown(keys, k32);
  const std::string lines = crypto(50, k80, kKeyA) + crypto(static_cast<int>(of_32->tag), k32, kKeyB);
  ASSERT_TRUE(take_answer(keys, Section(lines).media(), 0));
  EXPECT_EQ(keys.in->suite->name, k32);
  EXPECT_EQ(keys.in->key_and_salt, lines_of(lines)[1].key_and_salt) << "what the party sends with";
  EXPECT_EQ(keys.out->key_and_salt, of_32->key_and_salt);
  ASSERT_TRUE(take_answer(keys, Section(crypto(50, k80, kKeyA)).media(), 0));
  EXPECT_EQ(keys.out->key_and_salt, of_80->key_and_salt);
  EXPECT_FALSE(take_answer(keys, Section("").media(), 0));
  EXPECT_FALSE(keys.in || keys.out) << "nothing is agreed then";
}

TEST(TakeAnswer, SRT8_LegacySuitesAreNeverChosen) {
  MediaKeys keys;
  offer_keys(keys, {}, {}, {.legacy = true});
  const auto* null = shown(keys, "NULL_HMAC_SHA1_80");
  ASSERT_NE(null, nullptr);
  EXPECT_FALSE(
      take_answer(keys, Section(crypto(static_cast<int>(null->tag), "NULL_HMAC_SHA1_80", kKeyA)).media(), 0));
}

TEST(TakeAnswer, Rfc8643_KeysOnAPlainProfileCountIfTheyWereOffered) {
  MediaKeys keys;
  offer_keys(keys, {}, {}, {});
  const Section answer(crypto(7, k80, kKeyA), "RTP/AVP");
  EXPECT_FALSE(take_answer(keys, answer.media(), 0));
  keys.offered_to_peer = true;
  EXPECT_TRUE(take_answer(keys, answer.media(), 0));
}

TEST(AnswerOfferer, ASharedKeyGoesThroughOnBothSides) {
  const std::string lines =
      crypto(1, "AEAD_AES_128_GCM", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3OA==") + crypto(4, k80, kKeyA);
  MediaKeys offerer;
  offerer.theirs = lines_of(lines);
  MediaKeys answerer;
  offer_keys(answerer, offerer.theirs, {}, {});
  ASSERT_TRUE(take_answer(answerer, Section(crypto(4, k80, kKeyB)).media(), 0));
  answer_offerer(offerer, &answerer, {});
  EXPECT_EQ(offerer.in->tag, 4u) << "the line that the answerer took, not the first one";
  EXPECT_EQ(offerer.out->tag, 4u) << "RFC 4568 §5.1.2: an answer has the tag of the line that it takes";
  EXPECT_EQ(offerer.out->key_and_salt, answerer.in->key_and_salt);
  EXPECT_EQ(answerer.out->key_and_salt, offerer.in->key_and_salt);
  EXPECT_TRUE(offerer.out_is_relayed && answerer.out_is_relayed);
  // The offerer is to have another suite after all.
  Sdes wishes;
  wishes.for_offerer = {"AEAD_AES_128_GCM"};
  answer_offerer(offerer, &answerer, wishes);
  EXPECT_EQ(offerer.in->tag, 1u);
  EXPECT_FALSE(offerer.out_is_relayed || answerer.out_is_relayed) << "each side has keys of its own";
  EXPECT_NE(offerer.out->key_and_salt, answerer.in->key_and_salt);
}

struct ChoiceRow {
  const char* name;
  std::function<void(Sdes&)> wish;
  std::uint32_t tag;
};
void PrintTo(const ChoiceRow& row, std::ostream* out) { *out << row.name; }

class ChoicesForTheOfferer : public ::testing::TestWithParam<ChoiceRow> {};

// docs/reference/ng.md#sdes: if a policy leaves no suite, the offerer is answered with its first usable line.
TEST_P(ChoicesForTheOfferer, FollowTheWishes) {
  MediaKeys offerer;
  offerer.theirs =
      lines_of(crypto(1, "NULL_HMAC_SHA1_80", kKeyA) + crypto(2, k80, kKeyA) + crypto(3, k32, kKeyB));
  Sdes wishes;
  GetParam().wish(wishes);
  answer_offerer(offerer, nullptr, wishes);
  ASSERT_TRUE(offerer.in && offerer.out);
  EXPECT_EQ(offerer.in->tag, GetParam().tag);
  EXPECT_EQ(offerer.out->tag, GetParam().tag);
  EXPECT_EQ(offerer.out->suite, offerer.in->suite);
  EXPECT_NE(offerer.out->key_and_salt, offerer.in->key_and_salt)
      << "SRT-1: one key never serves both directions";
  const auto before = offerer.out->key_and_salt;
  answer_offerer(offerer, nullptr, wishes);
  EXPECT_EQ(offerer.out->key_and_salt, before) << "SRT-6";
}

INSTANTIATE_TEST_SUITE_P(
    Table, ChoicesForTheOfferer,
    ::testing::Values(
        ChoiceRow{"SRT8_FirstUsable", [](Sdes&) {}, 2},
        ChoiceRow{"Preferred", [](Sdes& s) { s.for_offerer = {"aes_cm_128_hmac_sha1_32"}; }, 3},
        ChoiceRow{"PreferredThatIsNotThere", [](Sdes& s) { s.for_offerer = {"AEAD_AES_256_GCM"}; }, 2},
        ChoiceRow{"SRT8_PreferredLegacy", [](Sdes& s) { s.for_offerer = {"NULL_HMAC_SHA1_80"}; }, 2},
        ChoiceRow{"Without", [](Sdes& s) { s.policy.without = {k80}; }, 3},
        ChoiceRow{"Only", [](Sdes& s) { s.policy.only = {k32}; }, 3},
        ChoiceRow{"NothingIsLeft", [](Sdes& s) { s.policy.only = {"AEAD_AES_256_GCM"}; }, 2}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(AnswerOfferer, StaticKeepsTheSuite) {
  MediaKeys offerer;
  offerer.theirs = lines_of(crypto(1, k32, kKeyB));
  answer_offerer(offerer, nullptr, {});
  offerer.theirs = lines_of(crypto(1, k80, kKeyA) + crypto(2, k32, kKeyB));
  MediaKeys other = offerer;
  Sdes wishes;
  answer_offerer(other, nullptr, wishes);
  EXPECT_EQ(other.in->suite->name, k80);
  wishes.keeps_suite = true;
  answer_offerer(offerer, nullptr, wishes);
  EXPECT_EQ(offerer.in->suite->name, k32);
}

TEST(AnswerOfferer, WithoutAUsableLineNothingIsAgreed) {
  MediaKeys offerer;
  offerer.theirs = lines_of(crypto(1, k80, kKeyA));
  answer_offerer(offerer, nullptr, {});
  offerer.theirs = lines_of(crypto(1, "NULL_HMAC_SHA1_80", kKeyA));
  answer_offerer(offerer, nullptr, {});
  EXPECT_FALSE(offerer.in || offerer.out);
}

TEST(Wishes, OfTheOfferCountForTheAnswerAndSuitesOfTheAnswerWin) {
  Sdes of_offer;
  of_offer.policy.only = {"a"};
  of_offer.policy.without = {"b"};
  of_offer.policy.no_new = of_offer.keeps_suite = of_offer.is_preferred = true;
  of_offer.for_offerer = {"c"};
  const Sdes bare = wishes_in_force({}, of_offer);
  EXPECT_EQ(bare.policy.only, std::vector<std::string>{"a"});
  EXPECT_EQ(bare.policy.without, std::vector<std::string>{"b"});
  EXPECT_EQ(bare.for_offerer, std::vector<std::string>{"c"});
  EXPECT_TRUE(bare.policy.no_new && bare.keeps_suite && bare.is_preferred);
  Sdes of_answer;
  of_answer.policy.only = {"x"};
  of_answer.policy.without = {"y"};
  of_answer.for_offerer = {"z"};
  const Sdes both = wishes_in_force(of_answer, of_offer);
  EXPECT_EQ(both.policy.only, std::vector<std::string>{"x"});
  EXPECT_EQ(both.policy.without, std::vector<std::string>{"y"});
  EXPECT_EQ(both.for_offerer, std::vector<std::string>{"z"});
}

/// Makes no cipher.
struct PaperBackend final : SrtpBackend {
  [[nodiscard]] std::unique_ptr<SrtpCipher> make(const SrtpMasterKey&) const override { return nullptr; }
};

TEST(SrtpPlans, HaveTheAgreedKeysCutIntoKeyAndSalt) {
  MediaKeys keys;
  offer_keys(keys, {}, {}, {});
  ASSERT_TRUE(take_answer(keys, Section(crypto(7, k80, kKeyA, "|1:4")).media(), 0));
  SrtpConfig config;
  config.backend = std::make_shared<PaperBackend>();
  const auto plan = srtp_plan(keys, config, MediaId{5}, false);
  ASSERT_EQ(plan->receive.size(), 1u);
  const Bytes theirs = keys.in->key_and_salt.get();
  EXPECT_EQ(plan->receive[0].key, SecretBytes<32>(theirs.first(16)));
  EXPECT_EQ(plan->receive[0].salt, SecretBytes<14>(theirs.subspan(16)));
  EXPECT_EQ(plan->receive[0].mki.size(), 4u);
  ASSERT_TRUE(plan->send);
  EXPECT_EQ(plan->send->key, SecretBytes<32>(keys.out->key_and_salt.get().first(16)));
  EXPECT_EQ(plan->party, (SrtpParty{5, 0}));
  MediaKeys without;
  without.in = keys.in;
  without.out = keys.out;
  EXPECT_TRUE(srtp_plan(without, {}, MediaId{5}, false)->receive.empty()) << "SRT-11: nobody can decrypt";
}

TEST(SrtpPlans, SRT11_AreThereWithoutKeysWhileNothingIsAgreed) {
  MediaKeys keys;
  const auto plan = srtp_plan(keys, {}, MediaId{5}, false);
  ASSERT_NE(plan, nullptr);
  EXPECT_TRUE(plan->receive.empty());
  EXPECT_FALSE(plan->send);
  EXPECT_NE(plan->contexts, nullptr);
  EXPECT_EQ(srtp_plan(keys, {}, MediaId{5}, false), plan) << "shared until something changes";
}

TEST(SrtpPlans, SRT4_VideoHasALongerReplayList) {
  EXPECT_EQ(replay_window(false), 128);
  EXPECT_EQ(replay_window(true), 1024);
  MediaKeys keys;
  EXPECT_EQ(srtp_plan(keys, {}, MediaId{5}, true)->window, 1024);
}

TEST(SrtpPlans, SRT4_AreMadeAnewWhenVideoJoinsUnderTheSameKeys) {
  MediaKeys keys;
  const auto of_audio = srtp_plan(keys, {}, MediaId{5}, false);
  EXPECT_EQ(of_audio->window, 128);
  const auto of_both = srtp_plan(keys, {}, MediaId{5}, true);
  EXPECT_EQ(of_both->window, 1024);
  EXPECT_EQ(of_both->contexts, of_audio->contexts) << "the counters go on";
  EXPECT_EQ(srtp_plan(keys, {}, MediaId{5}, true), of_both) << "shared until something changes";
}

TEST(SrtpPlans, AreMadeAnewWhenTheAgreementChangesOnly) {
  MediaKeys keys;
  offer_keys(keys, {}, {}, {});
  const Section answer(crypto(7, k80, kKeyA));
  ASSERT_TRUE(take_answer(keys, answer.media(), 0));
  const auto plan = srtp_plan(keys, {}, MediaId{5}, false);
  ASSERT_TRUE(take_answer(keys, answer.media(), 0));
  EXPECT_EQ(srtp_plan(keys, {}, MediaId{5}, false), plan) << "the same answer again";
  ASSERT_TRUE(take_answer(keys, answer.media(), 1));
  EXPECT_EQ(srtp_plan(keys, {}, MediaId{5}, false), plan) << "who has the same key is the same party";
  ASSERT_TRUE(take_answer(keys, Section(crypto(7, k80, kKeyB)).media(), 1));
  const auto other = srtp_plan(keys, {}, MediaId{5}, false);
  EXPECT_NE(other, plan);
  EXPECT_FALSE(other->party == plan->party) << "SRT-9: another branch under the same key of ours";
  EXPECT_EQ(other->contexts, plan->contexts) << "SRT-6: counters go on";
  forget_agreement(keys);
  EXPECT_NE(srtp_plan(keys, {}, MediaId{5}, false), other);
}

}  // namespace
}  // namespace ferry::test::media_keys_test
