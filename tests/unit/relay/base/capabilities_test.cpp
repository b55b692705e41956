// SPDX-License-Identifier: Apache-2.0
// Capabilities of a thread, in children that give them up (CTL-17).
#include "relay/base/capabilities.hpp"

#include "tests/support/child.hpp"

#include <array>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace ferry {
namespace {

bool has(cap_value_t capability, cap_flag_t set) {
  cap_t mine = cap_get_proc();
  cap_flag_value_t value = CAP_CLEAR;
  cap_get_flag(mine, capability, set, &value);
  cap_free(mine);
  return value == CAP_SET;
}

class Capabilities : public testing::Test {
 protected:
  void SetUp() override {
    if (!has(CAP_CHOWN, CAP_PERMITTED) || !has(CAP_DAC_OVERRIDE, CAP_PERMITTED))
      GTEST_SKIP() << "needs a process that has capabilities to give up";
  }
};

TEST_F(Capabilities, CTL17_KeepsWhatIsNamedAndNothingElse) {
  EXPECT_EQ(result_of_child([] {
              keep_only(std::array{CAP_CHOWN});
              return has(CAP_CHOWN, CAP_EFFECTIVE) && !has(CAP_DAC_OVERRIDE, CAP_PERMITTED) &&
                             prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
                         ? 0
                         : 1;
            }),
            0);
}

TEST(Descriptors, CTL17_AChildKeepsOnlyItsOwnEnd) {
  std::array<int, 2> first{};
  std::array<int, 2> second{};
  ASSERT_EQ(pipe(first.data()), 0);
  ASSERT_EQ(pipe(second.data()), 0);
  for (const int kept : {first[0], first[1], second[0], second[1]}) {
    EXPECT_EQ(result_of_child([&] {
                close_all_but(kept);
                int open = 0;
                for (const int each : {first[0], first[1], second[0], second[1]})
                  open += fcntl(each, F_GETFD) >= 0 ? 1 : 0;
                return open == 1 && fcntl(kept, F_GETFD) >= 0 && fcntl(STDERR_FILENO, F_GETFD) >= 0 ? 0 : 1;
              }),
              0);
  }
  for (const int each : {first[0], first[1], second[0], second[1]}) close(each);
}

TEST_F(Capabilities, CTL17_WhatWaitsIsInForceOnlyWhileItIsRaised) {
  EXPECT_EQ(result_of_child([] {
              keep_only(std::array{CAP_CHOWN, CAP_DAC_OVERRIDE}, std::array{CAP_CHOWN});
              if (has(CAP_DAC_OVERRIDE, CAP_EFFECTIVE)) return 1;
              {
                const RaisedRights raised;
                if (!has(CAP_DAC_OVERRIDE, CAP_EFFECTIVE) || !has(CAP_CHOWN, CAP_EFFECTIVE)) return 2;
                if (has(CAP_NET_ADMIN, CAP_EFFECTIVE)) return 3;
              }
              return has(CAP_DAC_OVERRIDE, CAP_EFFECTIVE) || !has(CAP_CHOWN, CAP_EFFECTIVE) ? 4 : 0;
            }),
            0);
}

}  // namespace
}  // namespace ferry
