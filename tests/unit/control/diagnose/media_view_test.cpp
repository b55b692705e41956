// SPDX-License-Identifier: Apache-2.0
// What the ports of one media counted, added up.

#include "control/diagnose/media_view.hpp"

#include <chrono>

#include <gtest/gtest.h>

namespace ferry::test::media_view_test {
namespace {

using namespace std::chrono_literals;

constexpr MediaId kMedia{1};
constexpr MediaId kOther{2};

SsrcCounters stream(std::uint32_t ssrc, std::uint64_t packets, Duration at, std::uint32_t highest = 0) {
  SsrcCounters counters;
  counters.ssrc = Ssrc{ssrc};
  counters.packets = packets;
  counters.last_packet = Instant{at};
  counters.highest_extended = highest;
  return counters;
}

RecentStream recent(std::uint32_t packets) {
  RecentStream result;
  result.counts.packets = packets;
  return result;
}

/// The snapshot of a port that got `packets` of SSRC 5, the last one at `at`, and sent as many.
TransportSnapshot port(std::uint64_t packets, Duration at) {
  TransportSnapshot snapshot;
  snapshot.counters[0].packets_in = packets;
  snapshot.counters[0].bytes_in = 172 * packets;
  snapshot.counters[1].errors_out = 1;
  snapshot.last_packet[0] = Instant{at};
  snapshot.recent_sent = static_cast<std::uint32_t>(packets);
  TransportSnapshot::Source source;
  source.media = kMedia;
  source.ingress = {stream(5, packets, at, static_cast<std::uint32_t>(packets) - 1)};
  source.ingress_recent = {recent(static_cast<std::uint32_t>(packets))};
  source.egress = {stream(6, packets, at)};
  source.egress_recent = {recent(static_cast<std::uint32_t>(packets))};
  snapshot.sources = {source};
  return snapshot;
}

const Endpoint kLocal = *Endpoint::parse("192.0.2.1:30000");

TEST(MediaView, AddsUpThePresentPortAndFormerOnesInAnyOrder) {
  const TransportSnapshot former = port(100, 10s);
  const TransportSnapshot present = port(30, 12s);
  for (const bool present_first : {true, false}) {
    MediaView view;
    if (present_first) view.add(kMedia, present, true, kLocal);
    view.add(kMedia, former, false, *Endpoint::parse("192.0.2.1:30002"));
    if (!present_first) view.add(kMedia, present, true, kLocal);
    EXPECT_EQ(view.active, &present);
    EXPECT_EQ(view.counters[0].packets_in, 130u);
    EXPECT_EQ(view.counters[0].bytes_in, 172u * 130);
    EXPECT_EQ(view.counters[1].errors_out, 2u);
    EXPECT_EQ(view.last_packet[0], Instant{12s});
    EXPECT_EQ(view.recent_sent, 130u);
    ASSERT_EQ(view.ingress.size(), 1u) << "one SSRC is one stream";
    EXPECT_EQ(view.ingress[0].counters.packets, 130u);
    EXPECT_EQ(view.ingress[0].counters.highest_extended, 29u) << "as the newest packet says";
    EXPECT_EQ(view.ingress[0].recent.counts.packets, 30u) << "of the port that heard it last";
    ASSERT_EQ(view.egress.size(), 1u);
    EXPECT_EQ(view.egress[0].counters.packets, 130u);
    EXPECT_EQ(view.egress[0].recent.counts.packets, 30u);
    ASSERT_EQ(view.former.size(), 1u);
    EXPECT_EQ(view.former[0].packets, 100u);
    EXPECT_EQ(view.former[0].last_packet, Instant{10s});
  }
}

TEST(MediaView, TheLastSecondsOfAClosedPortAreOver) {
  const TransportSnapshot closed = port(100, 10s);
  MediaView view;
  view.add(kMedia, closed, false, {});
  EXPECT_EQ(view.recent_sent, 0u);
  EXPECT_TRUE(view.former.empty()) << "it has no port any more";
  EXPECT_EQ(view.counters[0].packets_in, 100u) << "but its counts stay";
  EXPECT_EQ(view.active, nullptr);
}

TEST(MediaView, OnlyTheStreamsOfTheMediaCount) {
  TransportSnapshot both = port(100, 10s);
  both.sources.push_back(both.sources[0]);
  both.sources[1].media = kOther;
  both.sources[1].ingress[0].ssrc = Ssrc{99};
  MediaView view;
  view.add(kMedia, both, true, kLocal);
  ASSERT_EQ(view.ingress.size(), 1u);
  EXPECT_EQ(view.ingress[0].counters.ssrc, Ssrc{5});
}

TEST(MediaView, TheNewestStreamIsTheOneHeardLast) {
  TransportSnapshot snapshot;
  snapshot.sources.resize(1);
  snapshot.sources[0].media = kMedia;
  snapshot.sources[0].ingress = {stream(1, 10, 3s), stream(2, 10, 9s), stream(3, 10, 5s)};
  snapshot.sources[0].egress = {stream(4, 10, 8s), stream(5, 10, 2s)};
  MediaView view;
  EXPECT_EQ(view.newest_stream(), nullptr);
  EXPECT_EQ(view.newest_sent(), nullptr);
  view.add(kMedia, snapshot, true, kLocal);
  EXPECT_EQ(view.newest_stream()->counters.ssrc, Ssrc{2});
  EXPECT_EQ(view.newest_sent()->counters.ssrc, Ssrc{4});
  EXPECT_EQ(view.ingress[0].recent.span, Duration{0}) << "a restored stream knows no last seconds";
}

TEST(MediaView, TheNewestReportOnAStreamCounts) {
  TransportSnapshot first = port(1, 1s);
  TransportSnapshot second = port(1, 1s);
  ListenerReport report;
  report.about = Ssrc{6};
  report.at = Instant{5s};
  report.cumulative_lost = 5;
  first.sources[0].reports = {report};
  report.at = Instant{9s};
  report.cumulative_lost = 9;
  second.sources[0].reports = {report};
  for (const bool newest_first : {true, false}) {
    MediaView view;
    view.add(kMedia, newest_first ? second : first, false, kLocal);
    view.add(kMedia, newest_first ? first : second, true, kLocal);
    ASSERT_EQ(view.reports.size(), 1u);
    EXPECT_EQ(view.reports[0].cumulative_lost, 9);
  }
}

TEST(MediaView, RefusalsAndFailuresOfAllPortsStandNewestFirst) {
  const auto refusal = [](DropReason reason, Duration last, std::uint32_t times) {
    Refusal result;
    result.reason = reason;
    result.last = Instant{last};
    result.times = times;
    return result;
  };
  TransportSnapshot former;
  former.evidence.emplace();
  former.evidence->refusals[0] = refusal(DropReason::kProbation, 3s, 1);
  former.evidence->refusals[1] = refusal(DropReason::kForeignSource, 8s, 2);
  former.evidence->failures[0].times = 4;
  former.evidence->failures[0].last = Instant{2s};
  former.evidence->roll_over.last = Instant{7s};
  TransportSnapshot present;
  present.evidence.emplace();
  present.evidence->refusals[0] = refusal(DropReason::kForeignSource, 5s, 1);
  present.evidence->refusals[1] = refusal(DropReason::kTooLong, 9s, 0);  // a free place
  present.evidence->failures[0].times = 1;
  present.evidence->failures[0].last = Instant{6s};
  present.evidence->roll_over.last = Instant{4s};
  MediaView view;
  view.add(kMedia, former, false, kLocal);
  view.add(kMedia, present, true, kLocal);
  ASSERT_EQ(view.refusals.size(), 3u);
  EXPECT_EQ(view.refusals[0].last, Instant{8s});
  EXPECT_EQ(view.refusals[2].last, Instant{3s});
  EXPECT_EQ(view.refusal(DropReason::kForeignSource)->times, 2u) << "the newest of that reason";
  EXPECT_EQ(view.refusal(DropReason::kTooLong), nullptr);
  ASSERT_EQ(view.failures.size(), 2u);
  EXPECT_EQ(view.failures[0].last, Instant{6s});
  EXPECT_EQ(view.roll_over.last, Instant{7s});
}

}  // namespace
}  // namespace ferry::test::media_view_test
