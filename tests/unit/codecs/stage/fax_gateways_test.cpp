// SPDX-License-Identifier: Apache-2.0
#include "codecs/stage/fax_gateways.hpp"

#include <gtest/gtest.h>

namespace ferry::test::fax_gateways_test {
namespace {

TEST(FaxGateways, BothStagesOfACallFindTheSameOne) {
  const auto board = std::make_shared<FaxBoard>();
  FaxGateways gateways(board);
  EXPECT_FALSE(board->progress_of(5));
  auto one = gateways.find_or_make(5, {});
  EXPECT_EQ(gateways.find_or_make(5, {}), one);
  EXPECT_NE(gateways.find_or_make(6, {}), one);
  one->show();
  EXPECT_EQ(board->progress_of(5), FaxProgress{}) << "nothing so far";
  one->slot->pages = 2;
  one->slot->is_corrected = true;
  EXPECT_EQ(board->progress_of(5), (FaxProgress{.pages = 2, .is_corrected = true}));
  const std::weak_ptr<ShownGateway> known = one;
  one.reset();
  EXPECT_FALSE(board->progress_of(5));
  EXPECT_TRUE(known.expired()) << "the table keeps none alive";
  EXPECT_NE(gateways.find_or_make(5, {}), nullptr) << "the number may come again";
}

}  // namespace
}  // namespace ferry::test::fax_gateways_test
