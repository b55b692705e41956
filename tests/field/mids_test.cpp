// SPDX-License-Identifier: Apache-2.0
// WEB-1: the name of a section (a=mid, RFC 5888) that a party gave or was shown first stays for the dialogue,
// whoever offers. A browser refuses a description in which one changed.

#include "tests/support/dialogue.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

using test::Dialogue;
using test::Sections;
using test::Words;

Words mids_of(const std::string& text) {
  Words mids;
  const auto parsed = sdp::parse(text);
  if (!parsed) return {"no SDP"};
  for (const auto& section : parsed->media) mids.emplace_back(section.mid);
  return mids;
}

Words groups_of(const std::string& text) { return test::values_of(text, "group", -1); }

const Words kGenerate = {"generate-mid"};

TEST(FieldMids, WEB1_APartyKeepsItsMidsWhoeverOffers) {
  struct Row {
    const char* what;
    // A offers first, B answers; then B offers and A answers.
    Sections a;
    Words first_flags;
    Sections b;
    Sections b_again;
    Words again_flags;
    Words toward_b;
    Words toward_a;        // in the answer
    Words again_toward_a;  // in B's offer
    Words again_toward_b;  // in the answer to it
  };
  const Row rows[] = {
      {"a browser calls, the phone re-INVITEs with generate-mid",
       {{"0"}},
       {},
       {{""}},
       {{""}},
       kGenerate,
       {"0"},
       {"0"},
       {"0"},
       {""}},
      {"the same without the flag", {{"0"}}, {}, {{""}}, {{""}}, {}, {"0"}, {"0"}, {"0"}, {""}},
      {"a browser is called by a phone, the phone again",
       {{""}},
       kGenerate,
       {{"1"}},
       {{"1"}},
       {},
       {"1"},
       {""},
       {"1"},
       {"1"}},
      {"audio and video with names",
       {{"audio"}, {"video", "video"}},
       {},
       {{""}, {"", "video"}},
       {{""}, {"", "video"}},
       kGenerate,
       {"audio", "video"},
       {"audio", "video"},
       {"audio", "video"},
       {"", ""}},
      {"the phone has names of its own",
       {{"0"}, {"1", "video"}},
       {},
       {{"0"}, {"1", "video"}},
       {{"a"}, {"v", "video"}},
       {},
       {"0", "1"},
       {"0", "1"},
       {"0", "1"},
       {"a", "v"}},
      {"numbers that the relay would make are in use",
       {{"2"}, {"1", "video"}},
       {},
       {{""}, {"", "video"}},
       {{""}, {"", "video"}},
       kGenerate,
       {"2", "1"},
       {"2", "1"},
       {"2", "1"},
       {"", ""}},
      {"video was refused by its m-line alone",
       {{"0"}, {"1", "video"}},
       {},
       {{""}, {"", "video", true}},
       {{""}, {"", "video", true}},
       kGenerate,
       {"0", "1"},
       {"0", "1"},
       {"0", "1"},
       {"", ""}},
      {"nobody has mids", {{""}}, {}, {{""}}, {{""}}, {}, {""}, {""}, {""}, {""}},
      {"only one section has one",
       {{"x"}, {"", "video"}},
       {},
       {{""}, {"", "video"}},
       {{""}, {"", "video"}},
       {},
       {"x", ""},
       {"x", ""},
       {"x", ""},
       {"", ""}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    Dialogue call;
    EXPECT_EQ(mids_of(call.offer('A', 'B', row.a, row.first_flags)), row.toward_b);
    EXPECT_EQ(mids_of(call.answer('A', 'B', row.b)), row.toward_a);
    EXPECT_EQ(mids_of(call.offer('B', 'A', row.b_again, row.again_flags)), row.again_toward_a);
    EXPECT_EQ(mids_of(call.answer('B', 'A', row.a)), row.again_toward_b);
    // And once more from the other side: a refresh says the same.
    EXPECT_EQ(mids_of(call.offer('A', 'B', row.a, row.first_flags)).size(), row.a.size());
    EXPECT_EQ(mids_of(call.answer('A', 'B', row.b)), row.toward_a);
  }
}

TEST(FieldMids, WEB1_ARefusedReofferLeavesTheMids) {
  Dialogue call;
  call.offer('A', 'B', {{"0"}});
  call.answer('A', 'B', {{""}});
  EXPECT_EQ(mids_of(call.offer('B', 'A', {{""}, {"", "video"}}, kGenerate)), (Words{"0", "2"}));
  // 488: the relay hears nothing of it. The next ones say the same.
  EXPECT_EQ(mids_of(call.offer('B', 'A', {{""}}, kGenerate))[0], "0");
  EXPECT_EQ(mids_of(call.offer('B', 'A', {{""}, {"", "video"}}, kGenerate)), (Words{"0", "2"}));
}

TEST(FieldMids, WEB1_ANewSectionGetsANameThatIsFree) {
  struct Row {
    const char* what;
    Sections a;
    Sections b;  // offers later, one section more
    Words flags;
    Words expected;
  };
  const Row rows[] = {
      {"generated beside other numbers", {{"0"}}, {{""}, {"", "video"}}, kGenerate, {"0", "2"}},
      {"its number is in use", {{"2"}}, {{""}, {"", "video"}}, kGenerate, {"2", "3"}},
      {"the phone's own name", {{"0"}}, {{"0"}, {"video", "video"}}, {}, {"0", "video"}},
      {"the phone's own name means another section here", {{"1"}}, {{"0"}, {"1", "video"}}, {}, {"1", "2"}},
      {"two new ones", {{"3"}}, {{""}, {"", "video"}, {"", "video"}}, kGenerate, {"3", "2", "4"}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    Dialogue call;
    call.offer('A', 'B', row.a);
    call.answer('A', 'B', {{row.b[0].mid}});
    EXPECT_EQ(mids_of(call.offer('B', 'A', row.b, row.flags)), row.expected);
  }
}

TEST(FieldMids, WEB1_AStoppedSectionIsUsedAgainUnderItsNewName) {
  Dialogue call;
  call.offer('A', 'B', {{"0"}, {"1", "video"}});
  call.answer('A', 'B', {{"0"}, {"1", "video"}});
  call.offer('A', 'B', {{"0"}, {"1", "video", true}});
  call.answer('A', 'B', {{"0"}, {"1", "video", true}});
  EXPECT_EQ(mids_of(call.offer('A', 'B', {{"0"}, {"2", "video"}})), (Words{"0", "2"}));
  EXPECT_EQ(mids_of(call.answer('A', 'B', {{"0"}, {"2", "video"}})), (Words{"0", "2"}));
}

TEST(FieldMids, WEB4_GroupsNameTheReceiversSections) {
  struct Row {
    const char* what;
    Words groups;
    Sections b;
    Words expected;
  };
  const Words both = {"group:LS a v"};
  const Row rows[] = {
      {"in the receiver's mids", both, {{"a"}, {"v", "video"}}, {"LS 0 1"}},
      {"without a rejected section", both, {{"a"}, {"v", "video", true}}, {"LS 0"}},
      {"of sections that are not there", {"group:LS x y"}, {{"a"}, {"v", "video"}}, {}},
      {"one of them is not there", {"group:FID x v"}, {{"a"}, {"v", "video"}}, {"FID 1"}},
      {"two groups", {"group:LS a v", "group:FID v a"}, {{"a"}, {"v", "video"}}, {"LS 0 1", "FID 1 0"}},
      {"without members", {"group:LS"}, {{"a"}, {"v", "video"}}, {}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    Dialogue call;
    call.offer('A', 'B', {{"0"}, {"1", "video"}});
    call.answer('A', 'B', {{"0"}, {"1", "video"}});
    EXPECT_EQ(groups_of(call.offer('B', 'A', row.b, {}, row.groups)), row.expected);
  }
}

}  // namespace
}  // namespace ferry
