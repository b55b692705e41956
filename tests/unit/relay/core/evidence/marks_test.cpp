// SPDX-License-Identifier: Apache-2.0
// The last seconds by marks: windows, sequences that wrap or begin anew, streams that stop or came by an
// export, marks that come early or late.

#include "relay/core/evidence/marks.hpp"

#include "relay/core/evidence/drop_ledger.hpp"
#include "relay/core/rtp/stream_stats.hpp"
#include "tests/support/packets.hpp"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::marks_test {
namespace {

using namespace std::chrono_literals;
using test::rtp;

constexpr Instant kBegin{1h};

/// A stream of a packet every 20 ms that is marked every two seconds, in virtual time.
class MarkedStream {
 public:
  explicit MarkedStream(std::uint16_t first = 1000) : next_(first) {}

  /// `keeps(n)`: packet n of these arrives.
  void run(
      Duration time, const std::function<bool(int)>& keeps = [](int) { return true; }) {
    const Instant end = now_ + time;
    for (int n = 0; now_ < end; ++n) {
      if (keeps(n)) arrives(next_);
      ++next_;
      pass(20ms);
    }
  }
  void arrives(std::uint16_t number) {
    const test::Packet packet = rtp('A', 1, number);
    if (stats_.check(SeqNo{number}) != StreamStats::Check::kOk) return;
    stats_.count(*parse_rtp(packet), packet.size(), 8000, now_);
  }
  void pass(Duration time) {
    const Instant end = now_ + time;
    while (now_ < end) {
      now_ = std::min(end, now_ + 20ms);
      if (now_ - times_.newest_at() >= interval) mark();
    }
  }
  void mark() {
    times_.add(now_);
    stats_.mark(times_);
  }
  void jump_to(std::uint16_t number) { next_ = number; }
  void restore() {
    stats_ = StreamStats(stats_.counters());
    times_.restart(now_);
    stats_.mark(times_);
  }
  [[nodiscard]] RecentStream recent() const { return stats_.recent(times_, now_); }
  [[nodiscard]] std::uint16_t next() const { return next_; }
  [[nodiscard]] const StreamStats& stats() const { return stats_; }
  StreamStats& stats() { return stats_; }

  Duration interval = kMarkInterval;

 private:
  std::uint16_t next_;
  Instant now_ = kBegin;
  MarkTimes times_{kBegin};
  StreamStats stats_;
};

/// Packets of a whole stream in a time.
double packets_in(Duration time) { return static_cast<double>(time / 20ms); }

bool one_in_ten_is_lost(int n) { return n % 10 != 5; }

TEST(Marks, WindowsTellTheLastTenToTwelveSeconds) {
  MarkedStream stream;
  stream.run(60s);
  for (int i = 0; i < 25; ++i) {
    stream.run(140ms);
    EXPECT_GE(stream.recent().span, 10s);
    EXPECT_LE(stream.recent().span, 12s);
    EXPECT_NEAR(stream.recent().counts.packets, packets_in(stream.recent().span), 1);
    EXPECT_EQ(stream.recent().counts.bytes, stream.recent().counts.packets * rtp('A', 1, 1).size());
    EXPECT_EQ(stream.recent().lost(), 0u);
  }
}

TEST(Marks, AYoungStreamTellsAllOfItsTime) {
  MarkedStream stream;
  EXPECT_EQ(stream.recent().span, 0s) << "nothing came yet";
  for (const Duration time : {100ms, 1000ms, 2500ms, 5000ms}) {
    MarkedStream young;
    young.pass(700ms);
    young.run(time, one_in_ten_is_lost);
    EXPECT_EQ(young.recent().span, time);
    EXPECT_EQ(young.recent().counts.packets, young.stats().counters().packets);
    EXPECT_EQ(young.recent().lost(), young.stats().counters().lost());
  }
}

TEST(Marks, ACountThatBecomesLessIsNoLoss) {
  // As when a stream comes back from the kernel with the kernel's counts.
  using Count = std::function<void(SsrcCounters&)>;
  const Count steps[] = {
      [](SsrcCounters& c) { c.duplicates -= 2; },
      [](SsrcCounters& c) { c.reordered -= 2; },
      [](SsrcCounters& c) {
        c.packets -= 2;
        c.highest_extended -= 2;
      },
      [](SsrcCounters& c) { c.resets -= 2; },
  };
  for (const Count& back : steps) {
    SsrcCounters counters;
    counters.packets = counters.duplicates = counters.reordered = counters.resets = 100;
    counters.base_extended = 1;
    counters.highest_extended = 100;
    counters.first_packet = kBegin;
    counters.packets += counters.duplicates;
    MarkTimes times(kBegin);
    StreamMarks marks;
    for (int n = 1; n <= static_cast<int>(kMarks); ++n) {
      times.add(kBegin + n * kMarkInterval);
      marks.mark(counters, 0, times);
    }
    back(counters);
    const RecentStream recent = marks.recent(counters, 0, times, times.newest_at() + 1s);
    EXPECT_EQ(recent.lost(), 0u);
    EXPECT_EQ(recent.counts, StreamMark{});
  }
}

TEST(Marks, AStreamThatBeganLateHadNothingBefore) {
  MarkedStream stream;
  stream.pass(31s);
  stream.run(3s, one_in_ten_is_lost);
  EXPECT_EQ(stream.recent().span, 3s);
  EXPECT_EQ(stream.recent().counts.packets, 135u);
  EXPECT_EQ(stream.recent().lost(), 15u);
}

TEST(Marks, LossLatelyAndLossLongAgoAreToldApart) {
  MarkedStream early;
  early.run(10s, one_in_ten_is_lost);
  early.run(20s);
  EXPECT_EQ(early.recent().lost(), 0u);
  EXPECT_EQ(early.recent().longest_burst, 0u);
  EXPECT_GT(early.stats().counters().lost(), 40u);

  MarkedStream lately;
  lately.run(60s);
  lately.run(5s, one_in_ten_is_lost);
  EXPECT_EQ(lately.recent().lost(), 25u);
  EXPECT_EQ(lately.recent().longest_burst, 1u);
  EXPECT_EQ(lately.recent().counts.loss_bursts, 25u);
}

TEST(Marks, TheSequenceMayWrapInTheWindow) {
  for (const std::uint16_t first : {std::uint16_t{65535}, std::uint16_t{65000}, std::uint16_t{62536}}) {
    MarkedStream stream(first);
    stream.run(60s, one_in_ten_is_lost);
    EXPECT_NEAR(stream.recent().loss_percent(), 10, 0.5) << first;
    EXPECT_EQ(stream.recent().counts.resets, 0u);
  }
}

TEST(Marks, CountsMayWrapInTheWindow) {
  for (const std::uint64_t packets : {(1ull << 32) - 100, (1ull << 33) - 1}) {
    SsrcCounters counters;
    counters.packets = packets;
    counters.bytes = packets * 160;
    counters.expected_before_reset = packets;
    counters.jitter_sum_q4 = (1ull << 32) - 5;
    MarkTimes times(kBegin);
    StreamMarks marks;
    Instant now = kBegin + 2s;
    times.add(now);
    marks.mark(counters, 0, times);
    counters.packets += 500;
    counters.bytes += 500 * 160;
    counters.highest_extended += 510;
    counters.jitter_sum_q4 += 500 * 16 * 8;
    counters.clock_rate_hz = 8000;
    const RecentStream recent = marks.recent(counters, 7, times, now + 10s);
    EXPECT_EQ(recent.counts.packets, 500u);
    EXPECT_EQ(recent.counts.bytes, 80'000u);
    EXPECT_EQ(recent.lost(), 10u);
    EXPECT_EQ(recent.longest_burst, 7u);
    EXPECT_EQ(recent.jitter, 1ms);
  }
}

TEST(Marks, SSR4_ASequenceThatBeginsAnewIsNoLoss) {
  for (const std::uint16_t to : {std::uint16_t{40'000}, std::uint16_t{5}}) {
    MarkedStream stream(9000);
    stream.run(30s);
    stream.jump_to(to);
    stream.run(5s);
    EXPECT_EQ(stream.recent().counts.resets, 1u) << to;
    EXPECT_EQ(stream.recent().lost(), 0u) << to;
    EXPECT_NEAR(stream.recent().counts.packets, packets_in(stream.recent().span) - 1, 1) << to;
  }
}

TEST(Marks, AStreamThatStoppedHasNothingInTheWindow) {
  MarkedStream stream;
  stream.run(30s, one_in_ten_is_lost);
  stream.pass(6s);
  EXPECT_GT(stream.recent().counts.packets, 100u);
  EXPECT_LT(stream.recent().counts.packets, 300u);
  stream.pass(6s);
  EXPECT_EQ(stream.recent().counts, StreamMark{});
  EXPECT_EQ(stream.recent().longest_burst, 0u);
  EXPECT_GE(stream.recent().span, 10s) << "that nothing came is known";
  stream.run(3s);
  EXPECT_EQ(stream.recent().counts.packets, 150u);
}

TEST(Marks, OfARestoredStreamNothingIsKnownBefore) {
  MarkedStream stream;
  stream.run(30s, one_in_ten_is_lost);
  stream.restore();
  EXPECT_EQ(stream.recent().span, 0s);
  EXPECT_EQ(stream.recent().counts, StreamMark{});
  stream.run(3s, one_in_ten_is_lost);
  EXPECT_EQ(stream.recent().span, 3s);
  EXPECT_EQ(stream.recent().counts.packets, 135u);
  stream.run(30s);
  EXPECT_EQ(stream.recent().lost(), 0u);
  EXPECT_GE(stream.recent().span, 10s);
}

TEST(Marks, BeforeItsFirstMarkHereARestoredStreamTellsNothing) {
  SsrcCounters counters;
  counters.packets = 1000;
  counters.first_packet = kBegin - 60s;
  const MarkTimes times(kBegin);
  EXPECT_EQ(StreamMarks{}.recent(counters, 0, times, kBegin + 1s), RecentStream{});
}

TEST(Marks, MarksMayComeEarlyOrLate) {
  for (const Duration interval : {1500ms, 1950ms, 2100ms, 2600ms}) {
    MarkedStream stream;
    stream.interval = interval;
    stream.run(40s);
    stream.run(5s, one_in_ten_is_lost);
    const RecentStream recent = stream.recent();
    EXPECT_GE(recent.span, 5 * interval);
    EXPECT_LE(recent.span, 6 * (interval + 20ms));
    EXPECT_NEAR(recent.counts.expected, packets_in(recent.span), 1) << "the span says what the counts are of";
    EXPECT_EQ(recent.lost(), 25u);
  }
}

TEST(Marks, APauseOfTheProcessIsNotInTheWindow) {
  MarkTimes times(kBegin);
  times.add(kBegin + 2s);
  times.skip(30s);
  EXPECT_EQ(times.newest_at(), kBegin + 32s);
  EXPECT_EQ(times.oldest_at(), kBegin + 30s);
}

TEST(Marks, TheLongestBurstIsThatOfTheWindow) {
  MarkedStream stream;
  stream.run(10s);
  stream.run(2s, [](int n) { return n < 20 || n >= 60; });  // 40 in a row
  stream.run(2s, [](int n) { return n < 20 || n >= 32; });  // 12
  stream.run(6s);
  EXPECT_EQ(stream.recent().longest_burst, 40u);
  stream.run(2s);
  EXPECT_EQ(stream.recent().longest_burst, 12u);
  stream.run(4s);
  EXPECT_EQ(stream.recent().longest_burst, 0u);
  EXPECT_EQ(stream.stats().counters().longest_loss_burst, 40u);
}

TEST(Marks, ABurstThatOnlyCameLateIsNone) {
  MarkedStream stream;
  stream.run(20s);
  const std::uint16_t late = stream.next();
  stream.run(400ms, [](int n) { return n >= 15; });
  for (std::uint16_t n = 0; n < 15; ++n) stream.arrives(static_cast<std::uint16_t>(late + n));
  EXPECT_EQ(stream.recent().lost(), 0u);
  EXPECT_EQ(stream.recent().longest_burst, 0u);
  EXPECT_EQ(stream.recent().counts.loss_bursts, 0u);
  EXPECT_EQ(stream.recent().counts.reordered, 15u);
}

TEST(Marks, DuplicatesDoNotHideLoss) {
  MarkedStream stream;
  stream.run(20s);
  for (int i = 0; i < 100; ++i) {
    stream.run(20ms, [&](int) { return i % 10 != 5; });
    if (i % 10 == 3) stream.arrives(static_cast<std::uint16_t>(stream.next() - 1));
  }
  EXPECT_EQ(stream.recent().counts.duplicates, 10u);
  EXPECT_EQ(stream.recent().lost(), 10u);
}

TEST(Marks, JitterIsThatOfTheWindow) {
  MarkedStream stream;
  for (int i = 0; i < 2000; ++i) {
    stream.arrives(static_cast<std::uint16_t>(i));
    stream.pass(20ms);
  }
  EXPECT_EQ(stream.recent().jitter, 0ms) << "time stamps of the test follow the numbers";
  for (int i = 2000; i < 2600; ++i) {
    stream.pass(i % 2 == 0 ? 10ms : 0ms);
    stream.arrives(static_cast<std::uint16_t>(i));
    stream.pass(i % 2 == 0 ? 10ms : 20ms);
  }
  EXPECT_GT(stream.recent().jitter, 8ms);
  EXPECT_LT(stream.recent().jitter, 11ms);
}

// A transport that counts nothing for a while keeps no marks, and must tell what one with marks tells.
TEST(TransportMarks, TheTimesOfAQuietTransportAreThoseOfOneThatMarked) {
  for (int before = 0; before <= 9; ++before) {
    TransportMarks quiet(kBegin);
    MarkTimes always(kBegin);
    Instant now = kBegin;
    for (int n = 0; n < before; ++n) {
      now += kMarkInterval;
      EXPECT_FALSE(quiet.add(now, 0, false));
      always.add(now);
      EXPECT_EQ(quiet.times().newest_at(), always.newest_at());
      EXPECT_EQ(quiet.times().former_at(), always.former_at());
      EXPECT_EQ(quiet.times().oldest_at(), always.oldest_at());
    }
    EXPECT_EQ(quiet.footprint(), 0u);
    EXPECT_EQ(quiet.sent_since_oldest(7), 7u) << "all of it is new";
    for (int n = 0; n < 9; ++n) {
      now += kMarkInterval;
      ASSERT_TRUE(quiet.add(now, 10 * static_cast<std::uint32_t>(n), true));
      always.add(now);
      EXPECT_EQ(quiet.newest_at(), now);
      EXPECT_EQ(quiet.times().former_at(), always.former_at());
      EXPECT_EQ(quiet.times().oldest_at(), always.oldest_at());
    }
    EXPECT_EQ(quiet.sent_since_oldest(100), 70u) << "30 had left at the oldest of six marks";
    EXPECT_GT(quiet.footprint(), 0u);
    quiet.skip(1min);
    EXPECT_EQ(quiet.newest_at(), now + 1min);
    EXPECT_EQ(quiet.times().oldest_at(), always.oldest_at() + 1min);
  }
}

TEST(TransportMarks, CountsFromElsewhereAreNotRecent) {
  TransportMarks marks(kBegin);
  ASSERT_TRUE(marks.restart(kBegin + 1min, 500, true));
  EXPECT_EQ(marks.sent_since_oldest(503), 3u);
  EXPECT_EQ(marks.times().oldest_at(), kBegin + 1min);
  EXPECT_FALSE(marks.restart(kBegin + 2min, 0, false));
  EXPECT_EQ(marks.footprint(), 0u);
  EXPECT_EQ(marks.times().oldest_at(), kBegin + 2min);
}

TEST(TransportMarks, DropsBeforeMarksThatHadNoMemoryAreNotRecent) {
  DropLedger drops;
  drops.add(DropSide::kArriving, DropReason::kForeignSource, 5, kBegin);
  drops.restart_marks();
  drops.add(DropSide::kArriving, DropReason::kForeignSource, 2, kBegin);
  EXPECT_EQ(drops.recent_of(DropSide::kArriving, MarkTimes(kBegin)), 2u);
}

}  // namespace
}  // namespace ferry::marks_test
