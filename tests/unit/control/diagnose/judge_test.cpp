// SPDX-License-Identifier: Apache-2.0
// Who hears whom, seen from the senders.

#include "control/diagnose/judge.hpp"

#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::judge_test {
namespace {

TEST(Hearers, TurnTheSourcesOfListenersRound) {
  CallEvidence call;
  call.legs.resize(3);
  call.legs[0].medias.resize(2);  // places 0 and 1
  call.legs[2].medias.resize(2);  // places 2 and 3; the second leg has none
  call.legs[0].medias[0].sources = {{2, 0, false, false}};
  call.legs[0].medias[1].sources = {{2, 1, false, false}, {2, 0, false, false}};
  call.legs[2].medias[0].sources = {{0, 0, false, false}};
  call.legs[2].medias[1].sources = {{0, 1, false, false}};
  call.legs[2].medias[1].is_rejected = true;
  const Hearers hearers(call);
  EXPECT_EQ(hearers.first_place, (std::vector<std::size_t>{0, 2, 2}));
  ASSERT_EQ(hearers.of.size(), 4u);
  using Heard = std::vector<std::pair<std::size_t, std::size_t>>;
  const Heard expected[] = {{{2, 0}}, {}, {{0, 0}, {0, 1}}, {{0, 1}}};
  for (std::size_t place = 0; place < 4; ++place) {
    Heard found;
    for (const MediaEvidence::Source& each : hearers.of[place]) found.emplace_back(each.leg, each.media);
    EXPECT_EQ(found, expected[place]) << "of place " << place;
  }
}

}  // namespace
}  // namespace ferry::test::judge_test
