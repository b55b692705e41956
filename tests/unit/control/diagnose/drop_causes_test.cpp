// The table of what each drop reason means for who hears whom.

#include "control/diagnose/drop_causes.hpp"

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
    if (reason.reason == DropReason::kNone) continue;
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
    if (row.owner == DropOwner::kStranger)
      EXPECT_EQ(row_of(row.arriving).severity, Severity::kFault) << to_string(row.reason);
  }
}

}  // namespace
}  // namespace ferry::test
