// SPDX-License-Identifier: Apache-2.0
// DTLS-SRTP of one section: who begins, and when a new association does (RFC 5763 §5, RFC 8842 §4, DTL-1).
#include "control/call/media_dtls.hpp"

#include "control/sdp/sdp.hpp"
#include "tests/support/paper_dtls.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::media_dtls_test {
namespace {

using Way = sdp::Setup;  // gtest has a Setup of its own
const std::shared_ptr<const DtlsIdentity> kOurs = std::make_shared<PaperIdentity>();
const DtlsConfig kConfig{.backend = std::make_shared<PaperBackend>()};

sdp::DtlsDescription says(Way setup, std::string tls_id = "theirs", int certificate = 1,
                          FingerprintHash hash = FingerprintHash::kSha256) {
  return {{{hash, std::vector<std::byte>(row_of(hash).octets, static_cast<std::byte>(certificate))}},
          setup,
          std::move(tls_id)};
}
Endpoint at(std::string_view text) { return Endpoint::parse(text).value(); }

TEST(UsableDtls, DTL8_Sha1AloneCountsOnlyIfItIsAllowed) {
  DtlsConfig config = kConfig;
  EXPECT_TRUE(is_usable(says(Way::kActive), config));
  const auto weak = says(Way::kActive, "x", 1, FingerprintHash::kSha1);
  EXPECT_FALSE(is_usable(weak, config));
  auto both = weak;
  both.fingerprints.push_back(says(Way::kActive).fingerprints[0]);
  EXPECT_TRUE(is_usable(both, config));
  EXPECT_FALSE(is_usable({}, config));
  config.allow_sha1 = true;
  EXPECT_TRUE(is_usable(weak, config));
  config.backend = nullptr;
  EXPECT_FALSE(is_usable(says(Way::kActive), config)) << "nobody could take part";
}

struct RoleRow {
  const char* name;
  Way setup;
  std::optional<bool> passive_by_key;
  bool passive_by_option;
  DtlsRole ours;
};
void PrintTo(const RoleRow& row, std::ostream* out) { *out << row.name; }

class RolesInAnswers : public ::testing::TestWithParam<RoleRow> {};

// RFC 5763 §5 and docs/reference/ng.md#dtls.
TEST_P(RolesInAnswers, AreThoseThatTheOfferLeaves) {
  const RoleRow& row = GetParam();
  MediaDtls dtls;
  DtlsWishes wishes;
  wishes.passive = row.passive_by_key;
  DtlsConfig config = kConfig;
  config.is_passive = row.passive_by_option;
  note_dtls_offer(dtls, says(row.setup), wishes);
  EXPECT_TRUE(dtls.offered_by_peer);
  answer_dtls(dtls, {}, config, kOurs);
  EXPECT_EQ(dtls.role, row.ours);
  EXPECT_EQ(dtls_lines(dtls, true).setup, row.ours == DtlsRole::kServer ? "passive" : "active");
  EXPECT_TRUE(dtls.in_use);
}

constexpr auto kUnsaid = std::nullopt;
INSTANTIATE_TEST_SUITE_P(
    Table, RolesInAnswers,
    ::testing::Values(RoleRow{"DTL1_ActpassIsAnsweredActive", Way::kActpass, kUnsaid, false,
                              DtlsRole::kClient},
                      RoleRow{"ByOption", Way::kActpass, kUnsaid, true, DtlsRole::kServer},
                      RoleRow{"ByKey", Way::kActpass, true, false, DtlsRole::kServer},
                      RoleRow{"TheKeyCountsBeforeTheOption", Way::kActpass, false, true, DtlsRole::kClient},
                      RoleRow{"Passive", Way::kPassive, true, true, DtlsRole::kClient},
                      RoleRow{"Active", Way::kActive, false, false, DtlsRole::kServer},
                      RoleRow{"Nothing", Way::kNone, false, false, DtlsRole::kServer}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(DtlsOffers, DTL1_AreActpassWithOurCertificate) {
  MediaDtls dtls;
  EXPECT_TRUE(dtls_lines(dtls, false).setup.empty());
  offer_dtls(dtls, {}, kOurs);
  const auto lines = dtls_lines(dtls, false);
  EXPECT_EQ(lines.setup, "actpass");
  EXPECT_TRUE(lines.fingerprint.starts_with("sha-256 01:01"));
  EXPECT_GE(lines.tls_id.size(), 20u) << "RFC 8842 §4";
  EXPECT_TRUE(dtls_lines(dtls, true).setup.empty()) << "nothing was agreed";
  const std::string before = lines.tls_id;
  DtlsWishes wishes;
  wishes.hash = FingerprintHash::kSha512;
  offer_dtls(dtls, wishes, std::make_shared<PaperIdentity>());
  EXPECT_EQ(dtls.identity, kOurs) << "it stays for the life of the media";
  EXPECT_EQ(dtls_lines(dtls, false).tls_id, before);
  EXPECT_TRUE(dtls_lines(dtls, false).fingerprint.starts_with("sha-512 "));
  wishes.no_tls_id = true;
  offer_dtls(dtls, wishes, kOurs);
  EXPECT_TRUE(dtls_lines(dtls, false).tls_id.empty());
}

TEST(DtlsAnswers, WhoeverDoesNotSayBegins) {
  for (const Way setup : {Way::kActive, Way::kNone, Way::kActpass}) {
    MediaDtls dtls;
    offer_dtls(dtls, {}, kOurs);
    take_dtls_answer(dtls, says(setup));
    EXPECT_EQ(dtls.role, DtlsRole::kServer);
  }
  MediaDtls dtls;
  offer_dtls(dtls, {}, kOurs);
  take_dtls_answer(dtls, says(Way::kPassive));
  EXPECT_EQ(dtls.role, DtlsRole::kClient);
}

struct AgainRow {
  const char* name;
  sdp::DtlsDescription second;
  bool is_another;
};
void PrintTo(const AgainRow& row, std::ostream* out) { *out << row.name; }

class AnswersAgain : public ::testing::TestWithParam<AgainRow> {};

TEST_P(AnswersAgain, DTL1_BeginAnewIfCertificateIdOrRoleChange) {
  MediaDtls dtls;
  offer_dtls(dtls, {}, kOurs);
  take_dtls_answer(dtls, says(Way::kActive));
  const std::uint32_t before = dtls.association;
  offer_dtls(dtls, {}, kOurs);
  EXPECT_EQ(dtls.association, before) << "an offer alone is none";
  take_dtls_answer(dtls, GetParam().second);
  EXPECT_EQ(dtls.association != before, GetParam().is_another);
}

INSTANTIATE_TEST_SUITE_P(Table, AnswersAgain,
                         ::testing::Values(AgainRow{"TheSame", says(Way::kActive), false},
                                           AgainRow{"AnotherCertificate", says(Way::kActive, "theirs", 2),
                                                    true},
                                           AgainRow{"AnotherId", says(Way::kActive, "other"), true},
                                           AgainRow{"NoIdAnyMore", says(Way::kActive, ""), false},
                                           AgainRow{"AnotherRole", says(Way::kPassive), true}),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(DtlsReOffers, KeepTheRoleAndTheNameOfTheAssociation) {
  MediaDtls dtls;
  note_dtls_offer(dtls, says(Way::kPassive), {});
  answer_dtls(dtls, {}, kConfig, kOurs);
  ASSERT_EQ(dtls.role, DtlsRole::kClient);
  const std::string id = dtls.tls_id;
  const std::uint32_t association = dtls.association;
  DtlsConfig passive = kConfig;
  passive.is_passive = true;
  note_dtls_offer(dtls, says(Way::kActpass), {});
  answer_dtls(dtls, {}, passive, kOurs);
  EXPECT_EQ(dtls.role, DtlsRole::kClient) << "RFC 8842 §5.3: an established role stays";
  EXPECT_EQ(dtls.tls_id, id);
  EXPECT_EQ(dtls.association, association);
  note_dtls_offer(dtls, says(Way::kActpass, "theirs", 2), {});
  answer_dtls(dtls, {}, passive, kOurs);
  EXPECT_EQ(dtls.role, DtlsRole::kServer) << "another certificate begins anew";
  EXPECT_NE(dtls.tls_id, id);
  EXPECT_GT(dtls.association, association);
}

TEST(DtlsTransports, DTL1_AnotherPortIsAnotherAssociationAndTheAgreedOneComesBack) {
  MediaDtls dtls;
  offer_dtls(dtls, {}, kOurs);
  show_at(dtls, at("192.0.2.1:30000"));
  take_dtls_answer(dtls, says(Way::kActive));
  const std::string id = dtls.tls_id;
  const std::uint32_t association = dtls.association;
  show_at(dtls, at("192.0.2.1:30000"));
  EXPECT_EQ(dtls.tls_id, id);
  show_at(dtls, at("192.0.2.1:30002"));
  EXPECT_NE(dtls.tls_id, id);
  const std::uint32_t proposed = dtls.association;
  EXPECT_NE(proposed, association);
  show_at(dtls, at("192.0.2.1:30000"));
  EXPECT_EQ(dtls.tls_id, id) << "the offer that moved it was refused";
  EXPECT_EQ(dtls.association, association);
  show_at(dtls, at("192.0.2.1:30004"));
  take_dtls_answer(dtls, says(Way::kActive));
  show_at(dtls, at("192.0.2.1:30000"));
  EXPECT_NE(dtls.tls_id, id) << "that one is no longer agreed";
  MediaDtls nameless;
  DtlsWishes without;
  without.no_tls_id = true;
  offer_dtls(nameless, without, kOurs);
  show_at(nameless, at("192.0.2.1:30000"));
  show_at(nameless, at("192.0.2.1:30002"));
  EXPECT_TRUE(nameless.tls_id.empty());
  EXPECT_EQ(nameless.association, 2u);
}

TEST(DtlsPlans, SayWhoBeginsAndWhoIsExpected) {
  MediaDtls dtls;
  EXPECT_EQ(dtls_plan(dtls, false, 7, kConfig), nullptr);
  offer_dtls(dtls, {}, kOurs);
  show_at(dtls, at("192.0.2.1:30000"));
  const auto before = dtls_plan(dtls, false, 7, kConfig);
  ASSERT_NE(before, nullptr);
  EXPECT_EQ(before->role, DtlsRole::kServer) << "the peer may begin already";
  EXPECT_TRUE(before->peer.empty()) << "DTL-9";
  EXPECT_EQ(before->call, 7u) << "DTL-14";
  EXPECT_EQ(dtls_plan(dtls, false, 7, kConfig), before) << "shared until something changes";
  MediaDtls declined = dtls;
  declined.plan.reset();
  EXPECT_EQ(dtls_plan(declined, true, 7, kConfig), nullptr) << "answered without it";
  take_dtls_answer(dtls, says(Way::kPassive));
  const auto agreed = dtls_plan(dtls, true, 7, kConfig);
  EXPECT_EQ(agreed->role, DtlsRole::kClient);
  EXPECT_EQ(agreed->peer, says(Way::kPassive).fingerprints);
  EXPECT_EQ(agreed->association, before->association) << "the handshake that the peer began goes on";
  show_at(dtls, at("192.0.2.1:30002"));
  const auto moved = dtls_plan(dtls, true, 7, kConfig);
  EXPECT_EQ(moved->role, DtlsRole::kServer) << "at another address the answer says who begins";
  EXPECT_NE(moved->association, agreed->association);
  forget_dtls(dtls);
  EXPECT_EQ(dtls_plan(dtls, true, 7, kConfig), nullptr);
}

TEST(DtlsForgotten, WhateverComesNextIsAnotherHandshake) {
  MediaDtls dtls;
  offer_dtls(dtls, {}, kOurs);
  take_dtls_answer(dtls, says(Way::kActive));
  const std::uint32_t before = dtls.association;
  forget_dtls(dtls);
  EXPECT_FALSE(dtls.in_use);
  EXPECT_GT(dtls.association, before);
  take_dtls_answer(dtls, says(Way::kActive));
  EXPECT_GT(dtls.association, before);
  EXPECT_TRUE(dtls.in_use);
}

TEST(DtlsTaken, ByAnAnswerWithAFingerprintUnlessWordsSayOtherwise) {
  const std::string head =
      "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/SAVP 8\r\n";
  const std::string both = head +
                           "a=fingerprint:" + sdp::write_fingerprint(says(Way::kActive).fingerprints[0]) +
                           "\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n";
  const auto session = sdp::parse(both);
  const auto bare = sdp::parse(head);
  const sdp::MediaSection& answer = session->media.front();
  MediaDtls dtls;
  Request request;
  EXPECT_FALSE(takes_dtls(nullptr, answer, request, kConfig));
  EXPECT_FALSE(takes_dtls(&dtls, answer, request, kConfig)) << "it was not offered";
  dtls.offered_to_peer = true;
  EXPECT_TRUE(takes_dtls(&dtls, answer, request, kConfig));
  EXPECT_FALSE(takes_dtls(&dtls, bare->media.front(), request, kConfig));
  request.sdes.is_preferred = true;
  EXPECT_FALSE(takes_dtls(&dtls, answer, request, kConfig));
  request.sdes.is_preferred = false;
  request.dtls.off = true;
  EXPECT_FALSE(takes_dtls(&dtls, answer, request, kConfig));
}

}  // namespace
}  // namespace ferry::test::media_dtls_test
