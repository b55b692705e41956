// SPDX-License-Identifier: Apache-2.0
// Why requests are refused: one table for replies, metrics and operators (docs/reference/ng.md#errors).
#include "control/request/refusal.hpp"

#include "control/request/fault.hpp"
#include "control/request/request.hpp"

#include <algorithm>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

TEST(RefusalRows, HaveANameATextAndAnAdviceOfTheirOwn) {
  std::set<std::string_view> names;
  std::set<std::string_view> texts;
  for (const RefusalRow& row : kRefusalRows) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(texts.insert(row.text).second) << row.text;
    EXPECT_FALSE(row.advice.empty()) << row.name;
    EXPECT_TRUE(std::ranges::all_of(row.name, [](char c) { return (c >= 'a' && c <= 'z') || c == '-'; }))
        << row.name << " is a label of a metric";
    EXPECT_EQ(&row_of(row.refusal), &row);
  }
}

TEST(RefusalRows, C12_BeginWithThoseOfPorts) {
  for (const PortFailureRow& row : kPortFailureRows) {
    EXPECT_EQ(&row_of(row.failure), &row);
    EXPECT_EQ(row_of(refusal_for(row.failure)).name, row.name);
    EXPECT_EQ(row_of(refusal_for(row.failure)).text, row.text);
    EXPECT_EQ(row_of(refusal_for(row.failure)).advice, row.advice);
  }
}

TEST(RequestErrors, TheReasonIsTheFirstCause) {
  const RequestError part(RequestFault::kUnknownInterface, "lan");
  EXPECT_EQ(part.origin(), RequestFault::kUnknownInterface);
  EXPECT_EQ(part.refusal(), RefusalReason::kInterface);
  const RequestError whole = because(RequestFault::kNotMerged, part);
  EXPECT_EQ(whole.fault, RequestFault::kNotMerged);
  EXPECT_EQ(whole.origin(), RequestFault::kUnknownInterface);
  EXPECT_EQ(whole.refusal(), RefusalReason::kInterface);
  EXPECT_EQ(whole.name, "lan") << "what the words of the cause name";
  EXPECT_EQ(because(RequestFault::kNothingInjected, whole).origin(), RequestFault::kUnknownInterface)
      << "a cause keeps its own";
}

TEST(RequestErrors, EachLimitHasAFaultOfItsReason) {
  for (const RefusalReason limit :
       {RefusalReason::kSessions, RefusalReason::kCpu, RefusalReason::kLoad, RefusalReason::kBandwidth}) {
    const RequestError refused = fault_for_limit(limit);
    EXPECT_EQ(refused.refusal(), limit);
    EXPECT_EQ(in_words(refused), row_of(limit).text);
  }
}

}  // namespace
}  // namespace ferry::test
