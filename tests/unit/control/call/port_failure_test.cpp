// SPDX-License-Identifier: Apache-2.0
// Why no pair of ports could be opened (C-12); the texts of replies are in fault_texts_test.
#include "control/call/port_failure.hpp"

#include "control/request/fault.hpp"

#include <gtest/gtest.h>

namespace ferry::test::port_failure_test {
namespace {

struct Row {
  PortError error;
  PortFailure failure;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row_of(row.failure).name; }

class EngineErrors : public ::testing::TestWithParam<Row> {};

TEST_P(EngineErrors, C12_HaveAFaultOfTheirReason) {
  const auto [engine, failure] = GetParam();
  EXPECT_EQ(failure_of(engine), failure);
  const RequestError refused = fault_for(failure);
  EXPECT_EQ(refused.refusal(), refusal_for(failure));
  EXPECT_EQ(in_words(refused), row_of(failure).text);
}

INSTANTIATE_TEST_SUITE_P(Table, EngineErrors,
                         ::testing::Values(Row{PortError::kInUse, PortFailure::kExhausted},
                                           Row{PortError::kNoAddress, PortFailure::kNoAddress},
                                           Row{PortError::kNoDescriptors, PortFailure::kNoDescriptors},
                                           Row{PortError::kNoMemory, PortFailure::kNoMemory},
                                           Row{PortError::kOther, PortFailure::kRefused}));

TEST(PortFailureFaults, C12_TheWrongIpVersionIsSaidApart) {
  EXPECT_EQ(fault_for(PortFailure::kNoFamily), RequestFault::kNoFamily);
  EXPECT_EQ(fault_for(PortFailure::kExhausted), RequestFault::kNoPortsLeft);
}

}  // namespace
}  // namespace ferry::test::port_failure_test
