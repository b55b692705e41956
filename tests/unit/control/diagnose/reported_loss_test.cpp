// SPDX-License-Identifier: Apache-2.0
// What a listener's RTCP says of the way behind the relay. Each row changes one thing in a call in which 500
// packets left in the last ten seconds and the listener reports a tenth of them as missing.

#include "control/diagnose/reported_loss.hpp"

#include <chrono>
#include <functional>

#include <gtest/gtest.h>

namespace ferry::test::reported_loss_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kNow{1h};

struct Story {
  CallEvidence call;
  MediaEvidence listener;
  MediaView::OutStream& sent() { return listener.seen.egress[0]; }
  ListenerReport& report() { return listener.seen.reports[0]; }

  Story() {
    call.now = kNow;
    MediaView::OutStream out;
    out.counters.ssrc = Ssrc{7};
    out.counters.packets = 3000;
    out.counters.highest_extended = 2999;
    out.counters.first_packet = kNow - 60s;
    out.counters.last_packet = kNow;
    out.recent.span = 10s;
    out.recent.counts.packets = out.recent.counts.expected = 500;
    listener.seen.egress.push_back(out);
    ListenerReport said;
    said.about = Ssrc{7};
    said.at = kNow - 1s;
    said.highest_extended = 2950;
    said.highest_before = 2700;
    said.cumulative_lost = 50;
    said.fraction_lost = 26;
    said.earlier = {0, 2450, kNow - 11s, 0};
    listener.seen.reports.push_back(said);
  }
  [[nodiscard]] double percent() const { return lost_behind_percent(call, listener); }
};

TEST(ReportedLoss, CountsWhatWasLostBehindTheRelayInTheLastSeconds) {
  const struct {
    const char* what;
    std::function<void(Story&)> change;
    double percent;
  } rows[] = {
      {"what is reported", [](Story&) {}, 10},
      {"nothing is reported", [](Story& s) { s.listener.seen.reports.clear(); }, 0},
      {"of another stream", [](Story& s) { s.report().about = Ssrc{8}; }, 0},
      {"an old report", [](Story& s) { s.report().at = kNow - 15s; }, 0},
      {"a report that is nearly old", [](Story& s) { s.report().at = kNow - 14s; }, 10},
      {"nothing more is sent", [](Story& s) { s.sent().counters.last_packet = kNow - 5s; }, 0},
      {"as much never left here", [](Story& s) { s.sent().recent.counts.packets = 450; }, 0},
      {"half of it never left here", [](Story& s) { s.sent().recent.counts.packets = 475; }, 5},
      {"half of it never left, in the report's time", [](Story& s) { s.report().lost_here = 25; }, 5},
      {"what never left before that time is none of it",
       [](Story& s) { s.report().lost_here = s.report().earlier.lost_here = 25; }, 10},
      {"more never left than is reported", [](Story& s) { s.report().lost_here = 200; }, 0},
      {"copies made it look like a gain", [](Story& s) { s.report().cumulative_lost = -20; }, 0},
  };
  for (const auto& row : rows) {
    Story story;
    row.change(story);
    EXPECT_NEAR(story.percent(), row.percent, 0.2) << row.what;
  }
}

TEST(ReportedLoss, OfSeveralStreamsIsTheMeanOfAllThatWasSent) {
  Story story;
  MediaView::OutStream other = story.sent();
  other.counters.ssrc = Ssrc{8};
  other.recent.counts.packets = other.recent.counts.expected = 1500;
  story.listener.seen.egress.push_back(other);
  EXPECT_NEAR(story.percent(), 2.5, 0.1) << "nothing is said of three quarters";
  story.listener.seen.egress[1].counters.first_packet = kNow - 1500ms;
  EXPECT_NEAR(story.percent(), 10, 0.1) << "too young to be in a report";
}

TEST(ReportedLoss, OfAReportThatReachesBackIsTheNewestFraction) {
  Story story;
  story.report().earlier.highest_extended = 1000;  // 1,950 packets between the two reports
  story.report().earlier.at = kNow - 40s;
  story.report().cumulative_lost = 900;
  story.report().fraction_lost = 64;
  EXPECT_NEAR(story.percent(), 25, 0.1);
  story.report().lost_here = 25;
  EXPECT_NEAR(story.percent(), 15, 0.1) << "a tenth of 250 never left since the report before";
  story.report().at = kNow - 6s;
  EXPECT_EQ(story.percent(), 0) << "and it is of now for six seconds";
}

}  // namespace
}  // namespace ferry::test::reported_loss_test
