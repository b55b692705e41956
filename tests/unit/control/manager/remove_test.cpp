// SPDX-License-Identifier: Apache-2.0
// delete and list by the front door: when a call is shown that goes (docs/reference/ng.md#delete).
#include "control/manager/manager.hpp"
#include "tests/support/small_relay.hpp"

#include <algorithm>

namespace ferry::test {
namespace {

class RemoveTest : public testing::Test {
 protected:
  Outcome remove(const Request& request) {
    const Outcome done =
        relay_.manager.remove(request, relay_.clock(), [this](const Call& call, const auto&) {
          ++shown_;
          ports_ = relay_.network.open_ports();
          legs_ = call.legs.size();
          deleted_ =
              std::ranges::count_if(call.legs, [](const auto& leg) { return leg->delete_at.has_value(); });
        });
    relay_.flush();
    return done;
  }
  SmallRelay relay_;
  Call& call_ = relay_.add_call();
  int shown_ = 0;
  std::size_t ports_ = 0;
  std::size_t legs_ = 0;
  std::ptrdiff_t deleted_ = 0;
};

TEST_F(RemoveTest, ACallThatGoesAtOnceIsShownAsItWas) {
  Request request = SmallRelay::request("call");
  request.delete_delay_s = 0;
  ASSERT_TRUE(remove(request));
  EXPECT_EQ(shown_, 1);
  EXPECT_EQ(legs_, 2u);
  EXPECT_EQ(ports_, 4u);
  EXPECT_EQ(relay_.manager.find("call"), nullptr);
  EXPECT_EQ(relay_.network.open_ports(), 0u);
}

TEST_F(RemoveTest, ACallThatGoesLaterIsShownOnceAndNotAtItsEnd) {
  ASSERT_TRUE(remove(SmallRelay::request("call")));
  EXPECT_EQ(shown_, 1);
  EXPECT_EQ(deleted_, 2);
  relay_.pass(std::chrono::seconds(31));
  EXPECT_EQ(relay_.manager.find("call"), nullptr);
  EXPECT_EQ(shown_, 1);
}

TEST_F(RemoveTest, NobodyIsShownACallThatStays) {
  EXPECT_FALSE(remove(SmallRelay::request("nobody")));
  EXPECT_FALSE(remove(SmallRelay::request("call", "X")));
  EXPECT_EQ(shown_, 0);
  EXPECT_EQ(call_.legs.size(), 2u);
}

TEST_F(RemoveTest, WithoutAViewerItIsDeletedAllTheSame) {
  Request request = SmallRelay::request("call");
  request.delete_delay_s = 0;
  ASSERT_TRUE(relay_.manager.remove(request, relay_.clock()));
  EXPECT_EQ(relay_.manager.size(), 0u);
}

TEST_F(RemoveTest, AListHasAsManyCallsAsAreAskedFor) {
  relay_.add_call("second", "C", "D");
  relay_.add_call("third", "E", "F");
  Request request;
  auto ids = relay_.manager.list(request).value();
  std::ranges::sort(ids);
  EXPECT_EQ(ids, (std::vector<std::string>{"call", "second", "third"}));
  request.limit = 2;
  EXPECT_EQ(relay_.manager.list(request).value().size(), 2u);
  request.limit = -1;
  EXPECT_EQ(relay_.manager.list(request).error().fault, RequestFault::kNegativeLimit);
}

}  // namespace
}  // namespace ferry::test
