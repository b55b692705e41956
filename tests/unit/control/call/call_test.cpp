// SPDX-License-Identifier: Apache-2.0
// The model: who is whose partner, and what of a media is in force (LAT-12b, LAT-15, RTC-3).
#include "control/call/call.hpp"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

struct ThreeLegs {
  ThreeLegs() {
    for (const char* tag : {"A", "B", "C"}) {
      auto leg = std::make_unique<Leg>();
      leg->call = &call;
      leg->tag = tag;
      leg->add_media().protocol = "RTP/AVP";
      call.legs.push_back(std::move(leg));
    }
  }
  Leg& leg(std::size_t n) { return *call.legs[n]; }
  Media& media(std::size_t n) { return *leg(n).medias[0]; }
  void hear(std::size_t receiver, std::size_t source,
            SubscriptionKind kind = SubscriptionKind::kOfferAnswer) {
    media(receiver).subscriptions.push_back({&media(source), kind});
  }
  Call call;
};

TEST(Legs, AreFoundByTagAliasLabelAndBranch) {
  ThreeLegs it;
  it.leg(1).aliases = {"B2", "B3"};
  it.leg(1).ensure_extras().label = "two";
  it.leg(2).via_branch = "z9hG4bK1";
  EXPECT_EQ(it.call.leg_by_tag("B"), &it.leg(1));
  EXPECT_EQ(it.call.leg_by_tag("B3"), &it.leg(1));
  EXPECT_EQ(it.call.leg_by_tag("X"), nullptr);
  it.leg(0).tag = "";
  EXPECT_EQ(it.call.leg_by_tag(""), nullptr) << "a party whose tag is not known yet has no name";
  EXPECT_EQ(it.call.leg_by_label("two"), &it.leg(1));
  EXPECT_EQ(it.call.leg_by_label(""), nullptr);
  EXPECT_EQ(it.call.leg_by_branch("z9hG4bK1"), &it.leg(2));
  EXPECT_EQ(it.call.leg_by_branch(""), nullptr);
  EXPECT_EQ(it.leg(1).number_of("B2"), 0u);
  EXPECT_EQ(it.leg(1).number_of("B3"), 1u);
}

TEST(Legs, PartnersDoOfferAndAnswerWithEachOther) {
  ThreeLegs it;
  it.hear(0, 1);
  it.hear(2, 0, SubscriptionKind::kPubSub);
  EXPECT_EQ(it.call.partner_of(it.leg(0)), &it.leg(1));
  EXPECT_EQ(it.call.partner_of(it.leg(1)), &it.leg(0)) << "one way is enough";
  EXPECT_EQ(it.call.partner_of(it.leg(2)), nullptr) << "a subscriber has none";
  it.hear(2, 1);
  EXPECT_EQ(it.call.associated(it.leg(1)), (std::vector{&it.leg(0), &it.leg(2)}));
  EXPECT_TRUE(it.call.subscribes(it.leg(0), it.leg(1)));
  EXPECT_FALSE(it.call.subscribes(it.leg(1), it.leg(0)));
  EXPECT_FALSE(it.call.subscribes(it.leg(2), it.leg(0)));
}

TEST(Transports, CarryTheMediasThatPointToThem) {
  ThreeLegs it;
  Media& second = it.leg(0).add_media();
  ASSERT_EQ(it.leg(0).transports.size(), 2u);
  EXPECT_EQ(it.media(0).via->medias(), std::vector{&it.media(0)});
  second.via = it.media(0).via;
  EXPECT_EQ(second.via->medias(), (std::vector{&it.media(0), &second}));
  EXPECT_EQ(&second.via->call(), &it.call);
  EXPECT_EQ(second.leg, &it.leg(0));
}

TEST(Transports, LAT15_WhatWasAgreedIsInForce) {
  ThreeLegs it;
  MediaTransport& transport = *it.media(0).via;
  it.leg(0).received_from = *IpAddress::parse("198.51.100.1");
  transport.remote_rtp = *Endpoint::parse("198.51.100.1:4000");
  EXPECT_EQ(&transport.in_force(), static_cast<TransportTerms*>(&transport));
  EXPECT_EQ(transport.received_from(), it.leg(0).received_from);
  transport.agreed = std::make_unique<AgreedTransportTerms>();
  transport.agreed->received_from = *IpAddress::parse("203.0.113.1");
  transport.ensure_ice();
  EXPECT_FALSE(transport.in_force().remote_rtp.is_set());
  EXPECT_EQ(transport.received_from(), *IpAddress::parse("203.0.113.1"));
  EXPECT_EQ(transport.ice_in_force(), nullptr) << "it is proposed only";
  transport.ports.resize(2);
  transport.active = 1;
  EXPECT_EQ(transport.active_ports(), &transport.ports[1]);
  EXPECT_EQ(transport.used_ports(), &transport.ports[0]);
  transport.agreed.reset();
  EXPECT_EQ(transport.used_ports(), &transport.ports[1]);
  EXPECT_NE(transport.ice_in_force(), nullptr);
  transport.ports[1].closed = true;
  EXPECT_FALSE(transport.has_open_ports());
}

TEST(Medias, LAT12b_WhoReceivesAndNeverSendsOnlyListens) {
  ThreeLegs it;
  Media& media = it.media(0);
  EXPECT_FALSE(media.only_listens());
  media.may_send = false;
  EXPECT_FALSE(media.only_listens()) << "a party on hold comes back";
  it.leg(0).from_offer_answer = false;
  EXPECT_TRUE(media.only_listens());
  media.may_send = true;
  EXPECT_FALSE(media.only_listens());
}

struct ProfileRow {
  const char* profile;
  bool is_encrypted;
  bool takes_feedback;
};
void PrintTo(const ProfileRow& row, std::ostream* out) { *out << row.profile; }

class Profiles : public ::testing::TestWithParam<ProfileRow> {};

TEST_P(Profiles, RTC3_DecideAboutEncryptionAndFeedback) {
  ThreeLegs it;
  Media& media = it.media(0);
  media.protocol = GetParam().profile;
  if (media.protocol == "udptl") media.kind = TransportKind::kUdptl;
  EXPECT_EQ(media.is_encrypted(), GetParam().is_encrypted);
  EXPECT_EQ(media.takes_feedback(), GetParam().takes_feedback);
  media.settle_encryption();
  media.answered = true;
  media.protocol = "RTP/AVP";  // the next offer
  EXPECT_EQ(media.is_encrypted(), GetParam().is_encrypted) << "until its answer";
  EXPECT_EQ(media.takes_feedback(), GetParam().takes_feedback);
}

INSTANTIATE_TEST_SUITE_P(
    Table, Profiles,
    ::testing::Values(ProfileRow{"RTP/AVP", false, false}, ProfileRow{"RTP/AVPF", false, true},
                      ProfileRow{"RTP/SAVP", true, false}, ProfileRow{"RTP/SAVPF", true, true},
                      ProfileRow{"UDP/TLS/RTP/SAVP", true, false},
                      ProfileRow{"UDP/TLS/RTP/SAVPF", true, true}, ProfileRow{"udptl", false, true}));

TEST(Medias, Rfc8643_KeysOnAPlainProfileEncryptOnceTheyAreAgreed) {
  ThreeLegs it;
  Media& media = it.media(0);
  MediaKeys& keys = media.via->ensure_keys();
  media.settle_encryption();
  media.answered = true;
  EXPECT_FALSE(media.is_encrypted()) << "offered only";
  keys.in.emplace();
  media.settle_encryption();
  EXPECT_TRUE(media.is_encrypted());
  keys.in.reset();
  media.via->ensure_dtls().in_use = true;
  media.settle_encryption();
  EXPECT_TRUE(media.is_encrypted());
}

TEST(Medias, AddressesThatWereLeftOutAreThoseOfTheNewestSdp) {
  Media media;
  media.note_left_out({});
  EXPECT_EQ(media.extras, nullptr) << "most have none";
  media.note_left_out({{LeftOutPeer::Kind::kRtcp, *Endpoint::parse("127.0.0.1:9"), PeerDenial::kLoopback}});
  ASSERT_NE(media.left_out(), nullptr);
  EXPECT_EQ(media.left_out()->size(), 1u);
  media.note_left_out({});
  EXPECT_EQ(media.left_out(), nullptr);
}

}  // namespace
}  // namespace ferry::test
