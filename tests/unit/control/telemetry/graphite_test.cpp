// SPDX-License-Identifier: Apache-2.0
// Lines for Graphite.

#include "control/telemetry/graphite.hpp"

#include "tests/support/world.hpp"

#include <map>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using telemetry::GraphiteInterval;
using telemetry::GraphiteRow;
using namespace std::chrono_literals;

constexpr WallTime kNoon{std::chrono::seconds(1'700'000'000)};

std::map<std::string, std::string> values(const std::string& lines) {
  std::map<std::string, std::string> all;
  std::istringstream text(lines);
  for (std::string line; std::getline(text, line);) {
    std::istringstream words(line);
    std::string name, value, time, more;
    words >> name >> value >> time;
    EXPECT_FALSE(words >> more) << line;
    EXPECT_EQ(time.substr(0, 8), "17000000") << line;
    EXPECT_TRUE(all.emplace(name, value).second) << name << " stands twice";
  }
  return all;
}

Dict statistics(std::int64_t calls, std::int64_t packets) {
  Dict current;
  current.set("sessionsown", calls);
  Dict total;
  total.set("managedsessions", calls);
  total.set("relayedpackets", packets);
  total.set("totalcallsduration", "30.000000");
  total.set("regularterminatedsessions", packets == 0 ? 0 : 3);
  Dict all;
  all.set("currentstatistics", std::move(current));
  all.set("totalstatistics", std::move(total));
  return all;
}

TEST(Graphite, EachRowFindsItsFigureInStatistics) {
  const auto world = make_sim_world();
  GraphiteInterval interval("");
  (void)interval.lines(world->service().statistics(), kNoon);
  const auto found = values(interval.lines(world->service().statistics(), kNoon));
  std::set<std::string_view> names;
  for (const GraphiteRow& row : telemetry::graphite_rows()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    std::string name(row.name);
    if (name.ends_with('*')) name.replace(name.size() - 1, 1, "plain");
    EXPECT_TRUE(found.contains(name)) << name;
  }
}

TEST(Graphite, GrowthIsThatOfTheIntervalAndTheFirstOneHasNone) {
  GraphiteInterval interval("relay1.");
  auto first = values(interval.lines(statistics(5, 1000), kNoon));
  EXPECT_EQ(first["relay1.current_sessions_own"], "5");
  EXPECT_FALSE(first.contains("relay1.relayed_packets"));
  auto second = values(interval.lines(statistics(6, 1250), kNoon));
  EXPECT_EQ(second["relay1.relayed_packets"], "250");
  EXPECT_EQ(second["relay1.managed_sess"], "1");
  EXPECT_EQ(second["relay1.average_call_dur"], "0");
}

TEST(Graphite, TheMeanDurationIsOfCallsThatEndedInTheInterval) {
  GraphiteInterval interval("");
  (void)interval.lines(statistics(5, 0), kNoon);
  Dict later = statistics(5, 1);
  later.find("totalstatistics")->dict()->set("totalcallsduration", "90.000000");
  EXPECT_EQ(values(interval.lines(later, kNoon))["average_call_dur"], "20") << "60 s more, 3 calls more";
}

TEST(Graphite, CommandsAndCallsAreCountedByTheSecond) {
  GraphiteInterval interval("");
  interval.note_command("offer", 10ms);
  interval.note_command("offer", 30ms);
  interval.end_second(4);
  interval.end_second(2);
  auto found = values(interval.lines({}, kNoon));
  EXPECT_EQ(found["offer_count"], "2");
  EXPECT_EQ(found["offer_time_min"], "0.010000");
  EXPECT_EQ(found["offer_time_max"], "0.030000");
  EXPECT_EQ(found["offer_time_avg"], "0.020000");
  EXPECT_EQ(found["offers_ps_min"], "0");
  EXPECT_EQ(found["offers_ps_max"], "2");
  EXPECT_EQ(found["offers_ps_avg"], "1");
  EXPECT_EQ(found["managed_sess_min"], "2");
  EXPECT_EQ(found["managed_sess_max"], "4");
  EXPECT_EQ(found["call_dur"], "6");
  interval.end_second(3);
  found = values(interval.lines({}, kNoon));
  EXPECT_EQ(found["offer_count"], "2") << "of all time";
  EXPECT_EQ(found["offer_time_max"], "0");
  EXPECT_EQ(found["offers_ps_max"], "0");
  EXPECT_EQ(found["managed_sess_min"], "3") << "the interval begins anew";
}

TEST(Graphite, NamesHaveNoBlanksAndNoDotsOfTheirOwn) {
  GraphiteInterval interval("");
  interval.note_command("start recording", 1ms);
  Dict interface;
  interface.set("name", "eth0.100 x");
  Dict ports;
  ports.set("used", 2);
  interface.set("ports", std::move(ports));
  List interfaces;
  interfaces.emplace_back(std::move(interface));
  Dict all;
  all.set("interfaces", std::move(interfaces));
  const auto found = values(interval.lines(all, kNoon));
  EXPECT_TRUE(found.contains("start_recording_count"));
  EXPECT_TRUE(found.contains("ports_used_eth0_100_x"));
}

}  // namespace
}  // namespace ferry::test
