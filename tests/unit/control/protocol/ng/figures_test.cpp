// SPDX-License-Identifier: Apache-2.0
// The figures of `statistics`: the reply has what the table says, in its order.

#include "control/protocol/ng/figures.hpp"

#include "tests/support/world.hpp"

#include <set>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

std::vector<std::string> names_of(const Dict& dict) {
  std::vector<std::string> names;
  for (const DictEntry& entry : dict) names.push_back(entry.key);
  return names;
}

std::vector<std::string> rows_of(std::string_view part) {
  std::vector<std::string> names;
  for (const ng::FigureRow& row : ng::figure_rows()) {
    if (row.part == part) names.emplace_back(row.name);
  }
  return names;
}

TEST(Figures, TheReplyHasEachRowInTheOrderOfTheTable) {
  const auto world = make_sim_world();
  const Dict statistics = world->service().statistics();
  EXPECT_EQ(names_of(statistics), (std::vector<std::string>{"currentstatistics", "totalstatistics", "mos",
                                                            "voip_metrics", "controlstatistics", "interfaces",
                                                            "transcoders", "poller_threads", "bufferpools"}));
  for (const char* part : {"currentstatistics", "totalstatistics"})
    EXPECT_EQ(names_of(*statistics.find(part)->dict()), rows_of(part)) << part;
  // Behind the five values of each of five measurements.
  auto counts = names_of(*statistics.find("voip_metrics")->dict());
  counts.erase(counts.begin(), counts.begin() + 25);
  EXPECT_EQ(counts, rows_of("voip_metrics"));
}

TEST(Figures, NoRowStandsTwiceOrWithoutAMeaning) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const ng::FigureRow& row : ng::figure_rows()) {
    EXPECT_TRUE(seen.emplace(row.part, row.name).second) << row.part << ": " << row.name;
    EXPECT_FALSE(row.meaning.empty()) << row.name;
  }
  EXPECT_EQ(seen.size(), 18u + 24u + 5u);
}

TEST(Figures, RatesAreDividedBetweenUserSpaceAndTheKernel) {
  const auto world = make_sim_world();
  const ng::StatisticsSource source{world->manager(), {100, 5000, 3, 60, 2000}, std::chrono::seconds(61)};
  const Dict statistics = ng::make_statistics(source, {});
  const Dict& current = *statistics.find("currentstatistics")->dict();
  const std::pair<const char*, std::int64_t> expected[] = {
      {"packetrate", 100},     {"packetrate_user", 40},   {"packetrate_kernel", 60}, {"byterate", 5000},
      {"byterate_user", 3000}, {"byterate_kernel", 2000}, {"errorrate", 3},          {"errorrate_user", 3},
      {"errorrate_kernel", 0}, {"sessionsown", 0},        {"sessionstotal", 0}};
  for (const auto& [name, value] : expected) EXPECT_EQ(*current.find(name), Value(value)) << name;
  EXPECT_EQ(*statistics.find("totalstatistics")->dict()->find("uptime"), Value("61"));
}

}  // namespace
}  // namespace ferry::test
