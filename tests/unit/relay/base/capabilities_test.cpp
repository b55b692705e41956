// Capabilities of a thread, in children that give them up (CTL-17).
#include "relay/base/capabilities.hpp"

#include "tests/support/child.hpp"

#include <array>

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/capability.h>
#include <sys/prctl.h>

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
