// SPDX-License-Identifier: Apache-2.0
// Names and values of counters (docs/reference/rtpproxy.md#query, docs/reference/rtpproxy.md#statistics).
#include "control/protocol/rtpproxy/statistics.hpp"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
using rtpproxy::query_counter;
using rtpproxy::statistic;

/// Figures of which no two are equal, so that a name cannot show another's.
RtpproxyFigures figures() {
  RtpproxyFigures f;
  f.ttl_s = 41;
  f.from.counters[0].packets_in = 100;
  f.other.counters[0].packets_in = 200;
  f.from.counters[0].packets_out = 31;
  f.other.counters[0].packets_out = 12;
  f.from.longest_gap = 1500ms;
  f.from.expected = 11;
  f.from.received = 12;
  f.from.duplicates = 13;
  f.from.lost = 14;
  f.from.not_rtp = 15;
  f.from.jitter = 1.5;
  f.from.jitter_max = 2.5;
  f.from.jitter_mean = 3.5;
  return f;
}

TEST(RtpproxyStatistics, CountersOfASessionHaveTheirNames) {
  const RtpproxyFigures f = figures();
  const std::pair<const char*, const char*> rows[] = {
      {"ttl", "41"},
      {"npkts_ina", "100"},
      {"npkts_ino", "200"},
      {"longest_ipi", "1.500000"},
      {"rtpa_nsent", "11"},
      {"rtpa_nrcvd", "12"},
      {"rtpa_ndups", "13"},
      {"rtpa_nlost", "14"},
      {"rtpa_perrs", "15"},
      {"rtpa_jlast", "1.500000"},
      {"rtpa_jmax", "2.500000"},
      {"rtpa_javg", "3.500000"},
      {"nrelayed", nullptr},
      {"ndropped", nullptr},
  };
  for (const auto& [name, value] : rows) {
    const auto text = query_counter(name, f);
    ASSERT_TRUE(text) << name;
    if (value != nullptr) {
      EXPECT_EQ(*text, value) << name;
    }
  }
  EXPECT_EQ(query_counter("nrelayed", f), std::to_string(f.relayed()));
  EXPECT_EQ(query_counter("ndropped", f), std::to_string(f.dropped()));
  for (const char* unknown : {"", "TTL", "ttl ", "rtpb_nsent"})
    EXPECT_FALSE(query_counter(unknown, f)) << unknown;
}

TEST(RtpproxyStatistics, CountersOfTheRelayHaveTheirNames) {
  RtpproxyTotals sessions;
  sessions.created = 1;
  sessions.destroyed = 2;
  sessions.timed_out = 3;
  sessions.completed = 4;
  sessions.without_rtp = 5;
  sessions.one_way_rtp = 6;
  sessions.without_rtcp = 7;
  sessions.one_way_rtcp = 8;
  sessions.prompts_started = 9;
  sessions.prompts_ended = 10;
  sessions.duration_s = 11.25;
  sessions.expected = 12;
  sessions.received = 13;
  sessions.duplicates = 14;
  sessions.lost = 15;
  sessions.not_rtp = 16;
  const rtpproxy::CommandTotals commands{21, 22, 23, 24, 25};
  const rtpproxy::PacketTotals packets{31, 32, 33, 34, 35, 36, 37};
  const std::pair<const char*, const char*> rows[] = {
      {"nsess_created", "1"},
      {"nsess_destroyed", "2"},
      {"nsess_timeout", "3"},
      {"nsess_complete", "4"},
      {"nsess_nortp", "5"},
      {"nsess_owrtp", "6"},
      {"nsess_nortcp", "7"},
      {"nsess_owrtcp", "8"},
      {"nplrs_created", "9"},
      {"nplrs_destroyed", "10"},
      {"total_duration", "11.250000"},
      {"rtpa_nsent", "12"},
      {"rtpa_nrcvd", "13"},
      {"rtpa_ndups", "14"},
      {"rtpa_nlost", "15"},
      {"rtpa_perrs", "16"},
      {"ncmds_rcvd", "21"},
      {"ncmds_rcvd_ndups", "22"},
      {"ncmds_succd", "23"},
      {"ncmds_errs", "24"},
      {"ncmds_repld", "25"},
      {"npkts_rcvd", "31"},
      {"npkts_relayed", "32"},
      {"npkts_played", "33"},
      {"npkts_discard", "34"},
      {"npkts_resizer_in", "35"},
      {"npkts_resizer_out", "36"},
      {"npkts_resizer_discard", "37"},
      {"pps_in", "2.500000"},
  };
  for (const auto& [name, value] : rows)
    EXPECT_EQ(statistic(name, sessions, commands, packets, 2.5), value) << name;
  EXPECT_FALSE(statistic("nsess", sessions, commands, packets, 2.5));
  EXPECT_FALSE(statistic("", sessions, commands, packets, 2.5));
}

}  // namespace
}  // namespace ferry::test
