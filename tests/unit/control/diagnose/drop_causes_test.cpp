// SPDX-License-Identifier: Apache-2.0
// The table of what each drop reason means for who hears whom.

#include "control/diagnose/drop_causes.hpp"

#include "tests/support/call_story.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

TEST(DropCauses, EveryReasonHasAVerdictOnEachSideOrSaysWhyNot) {
  for (const DropReasonRow& reason : kDropReasonRows) {
    const DropCauseRow& row = row_of(reason.reason);
    const bool has_both = row.arriving != Cause::kFine && row.leaving != Cause::kFine;
    EXPECT_TRUE(has_both || !row.why_none.empty())
        << "the drop reason '" << reason.name
        << "' has no verdict on one side and no reason why: fill in its row of kDropCauseRows";
    EXPECT_TRUE(!has_both || row.why_none.empty())
        << reason.name << " has both verdicts and says why one is missing";
    // A stage that is gone belongs to no transport any more: the worker alone counts its packets.
    if (reason.reason == DropReason::kNone || reason.reason == DropReason::kStageGone) continue;
    EXPECT_TRUE(row.arriving != Cause::kFine || row.leaving != Cause::kFine)
        << "the drop reason '" << reason.name << "' has no verdict at all";
  }
}

TEST(DropCauses, WhatIsWantedIsNoFault) {
  for (const DropCauseRow& row : kDropCauseRows) {
    if (row.owner != DropOwner::kWanted) continue;
    for (const Cause cause : {row.arriving, row.leaving})
      EXPECT_NE(row_of(cause).severity, Severity::kFault)
          << to_string(row.reason) << ": " << to_string(cause);
  }
}

TEST(DropCauses, WhatComesFromAStrangerMayAlsoBeAllThatComes) {
  for (const DropCauseRow& row : kDropCauseRows) {
    if (row.owner == DropOwner::kStranger) {
      EXPECT_EQ(row_of(row.arriving).severity, Severity::kFault) << to_string(row.reason);
    }
  }
}

/// A's packets, half of them or a few, are refused as they arrive: the row of A is not fine.
TEST(DropCauses, APartThatIsRefusedAsItArrivesIsSeenAtTheSender) {
  for (const DropCauseRow& row : kDropCauseRows) {
    if (row.arriving == Cause::kFine || row.owner == DropOwner::kBeside) continue;
    for (const double percent : {50.0, 3.0}) {
      for (const When when : {When::kAlways, When::kLately}) {
        CallStory story;
        story.refuses(A, row.reason, percent, when);
        EXPECT_NE(story.from(A).severity(), Severity::kFine)
            << percent << " % refused as '" << to_string(row.reason) << "'\n"
            << story.rows();
        if (row.owner == DropOwner::kOwn && percent > 10) {
          EXPECT_EQ(story.from(A).cause, row.arriving) << to_string(row.reason) << "\n" << story.rows();
        }
        if (row.owner == DropOwner::kWanted) {
          EXPECT_EQ(story.from(A).severity(), Severity::kNote) << to_string(row.reason) << "\n"
                                                               << story.rows();
        }
        EXPECT_EQ(story.from(B).severity(), Severity::kFine)
            << "B is accused of '" << to_string(row.reason) << "'\n"
            << story.rows();
      }
    }
  }
}

/// The same at the ear: B misses what is refused of A, and A misses nothing.
TEST(DropCauses, WhatIsRefusedAsItArrivesIsMissedByTheListener) {
  for (const DropCauseRow& row : kDropCauseRows) {
    if (row.arriving == Cause::kFine || row.owner == DropOwner::kBeside || row.owner == DropOwner::kStranger)
      continue;
    for (const double percent : {50.0, 3.0}) {
      CallStory story;
      story.refuses(A, row.reason, percent);
      EXPECT_NE(story.to(B).severity(), Severity::kFine)
          << percent << " % refused as '" << to_string(row.reason) << "'\n"
          << story.rows();
      if (row.owner == DropOwner::kOwn && percent > 10) {
        ASSERT_TRUE(story.to(B).origin) << to_string(row.reason) << "\n" << story.rows();
        EXPECT_EQ(story.to(B).origin->leg, "A") << to_string(row.reason) << "\n" << story.rows();
      }
      EXPECT_EQ(story.to(A).severity(), Severity::kFine) << to_string(row.reason) << "\n" << story.rows();
    }
  }
}

/// Packets on their way out to B, half of them or a few, are dropped: the row of B as a listener is not fine.
TEST(DropCauses, APartThatIsDroppedOnTheWayOutIsSeenAtTheListener) {
  for (const DropCauseRow& row : kDropCauseRows) {
    if (row.leaving == Cause::kFine || row.owner == DropOwner::kBeside) continue;
    for (const double percent : {50.0, 3.0}) {
      CallStory story;
      story.drops_toward(B, row.reason, percent);
      EXPECT_NE(story.to(B).severity(), Severity::kFine)
          << percent << " % dropped as '" << to_string(row.reason) << "'\n"
          << story.rows();
      if (row.owner == DropOwner::kWanted) {
        EXPECT_EQ(story.to(B).severity(), Severity::kNote) << to_string(row.reason) << "\n" << story.rows();
      }
      for (const MediaVerdict* other : {&story.from(B), &story.to(A)}) {
        EXPECT_EQ(other->severity(), Severity::kFine) << to_string(row.reason) << "\n" << story.rows();
      }
    }
  }
}

TEST(DropCauses, APartThatIsDroppedOnTheWayOutIsNoFaultOfTheSenderUnlessItsPacketsAreWrong) {
  for (const DropCauseRow& row : kDropCauseRows) {
    if (row.leaving == Cause::kFine || row.owner != DropOwner::kOwn || row.is_senders_fault) continue;
    CallStory story;
    story.drops_toward(B, row.reason, 50);
    EXPECT_EQ(story.from(A).severity(), Severity::kFine) << to_string(row.reason) << "\n" << story.rows();
    EXPECT_EQ(story.from(B).severity(), Severity::kFine) << to_string(row.reason) << "\n" << story.rows();
  }
}

}  // namespace
}  // namespace ferry::test
