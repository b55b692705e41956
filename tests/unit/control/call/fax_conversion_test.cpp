// SPDX-License-Identifier: Apache-2.0
// What a fax gateway makes of each media for the other one.
#include "control/call/fax_conversion.hpp"

#include <gtest/gtest.h>

namespace ferry::test::fax_terms_test {
namespace {

const NumberedFormat kPcma{PayloadType{8}, {"PCMA", 8000, 1, {}}};
const NumberedFormat kPcmu{PayloadType{0}, {"PCMU", 8000, 1, {}}};
const NumberedFormat kEvents{PayloadType{101}, {"telephone-event", 8000, 1, {}}};
using Formats = std::vector<NumberedFormat>;

struct FaxTermsTest : ::testing::Test {
  FaxTermsTest() {
    FaxTerms terms;
    terms.gateway = 7;
    terms.settings.version = 2;
    t38.kind = TransportKind::kUdptl;
    t38.fax = sound.fax = std::make_shared<const FaxTerms>(terms);
    sound.said_codecs = CodecList(Formats{kEvents, kPcma});
    sound.shown_codecs = CodecList(Formats{kPcma, kPcmu});
  }
  MediaTerms t38;
  MediaTerms sound;
};

TEST_F(FaxTermsTest, EachSideGetsItsRole) {
  const auto to_sound = convert_fax(t38, sound, nullptr);
  ASSERT_TRUE(to_sound && to_sound->fax);
  EXPECT_EQ(to_sound->fax->role, FaxSide::Role::kToSound);
  EXPECT_EQ(to_sound->fax->gateway, 7u);
  EXPECT_EQ(to_sound->fax->t38.version, 2);
  EXPECT_EQ(to_sound->type, kPcma.type) << "the first that the party takes itself";
  const auto to_t38 = convert_fax(sound, t38, nullptr);
  ASSERT_TRUE(to_t38 && to_t38->fax);
  EXPECT_EQ(to_t38->fax->role, FaxSide::Role::kToDatagrams);
  EXPECT_EQ(to_t38->fax->gateway, 7u) << "both directions share it";
  EXPECT_EQ(to_t38->inputs.front().type, kPcma.type);
  for (const AudioInput& each : to_t38->inputs) EXPECT_EQ(each.kind, AudioInput::Kind::kSpeech);
}

TEST_F(FaxTermsTest, APartyThatHasSaidNothingGetsWhatItWasShown) {
  sound.said_codecs = {};
  sound.shown_codecs = CodecList(Formats{kPcmu, kPcma});
  EXPECT_EQ(convert_fax(t38, sound, nullptr)->type, kPcmu.type);
  sound.shown_codecs = CodecList(Formats{kEvents});
  EXPECT_FALSE(convert_fax(t38, sound, nullptr)) << "no G.711 at all";
}

TEST_F(FaxTermsTest, WithoutAGatewayBetweenThemNothingIsConverted) {
  MediaTerms other = sound;
  other.fax = nullptr;
  EXPECT_FALSE(convert_fax(t38, other, nullptr)) << "a listener";
  FaxTerms another = *t38.fax;
  another.gateway = 8;
  other.fax = std::make_shared<const FaxTerms>(another);
  EXPECT_FALSE(convert_fax(t38, other, nullptr)) << "a party of another fax";
  EXPECT_FALSE(convert_fax(t38, t38, nullptr));
  EXPECT_FALSE(convert_fax(sound, sound, nullptr));
}

TEST_F(FaxTermsTest, EqualPlansShareTheirParts) {
  const auto first = convert_fax(t38, sound, nullptr);
  const auto second = convert_fax(t38, sound, &*first);
  EXPECT_EQ(*first, *second);
  FaxTerms changed = *t38.fax;
  changed.settings.ecm = false;
  t38.fax = sound.fax = std::make_shared<const FaxTerms>(changed);
  EXPECT_NE(*first, *convert_fax(t38, sound, &*first));
}

}  // namespace
}  // namespace ferry::test::fax_terms_test
