// The last seconds by marks: windows, sequences that wrap or begin anew, streams that stop or came by an
// export, marks that come early or late; drops by side; what a party reports.

#include "relay/core/evidence/marks.hpp"

#include "relay/core/evidence/drop_ledger.hpp"
#include "relay/core/evidence/report_history.hpp"
#include "relay/core/rtp/sent_stream.hpp"
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

TEST(DropLedger, TellsSideReasonAndWhen) {
  MarkTimes times(kBegin);
  DropLedger ledger;
  Instant now = kBegin;
  const auto mark = [&] {
    times.add(now += 2s);
    ledger.mark(times);
  };
  ledger.add(DropSide::kArriving, DropReason::kNoKey, 3, {});
  for (int i = 0; i < 10; ++i) mark();
  ledger.add(DropSide::kLeaving, DropReason::kNoKey, 5, now);
  mark();
  ledger.add(DropSide::kLeaving, DropReason::kNoKey, 2, now);
  ledger.add(DropSide::kArriving, DropReason::kForeignSource, 1, {});
  const RecentDrops recent = ledger.recent(times, now + 500ms);
  EXPECT_EQ(recent.span, 10s + 500ms);
  EXPECT_EQ(recent.of(DropSide::kLeaving, DropReason::kNoKey), 7u);
  EXPECT_EQ(recent.of(DropSide::kArriving, DropReason::kNoKey), 0u) << "long ago";
  EXPECT_EQ(recent.of(DropSide::kArriving, DropReason::kForeignSource), 1u);
  EXPECT_EQ(ledger.recent_of(DropSide::kLeaving, times), 7u);
  EXPECT_EQ(ledger.counters()[DropReason::kNoKey], 10u) << "both sides";
  EXPECT_EQ(ledger.of(DropReason::kForeignSource), 1u);
  ASSERT_EQ(ledger.leaving().size(), 1u);
  const Refusal leaving = ledger.leaving().front();
  EXPECT_EQ(leaving.reason, DropReason::kNoKey);
  EXPECT_EQ(leaving.times, 7u);
  EXPECT_EQ(leaving.first, now - 2s);
  EXPECT_EQ(leaving.last, now);
  for (int i = 0; i < 6; ++i) mark();
  EXPECT_EQ(ledger.recent_of(DropSide::kLeaving, times), 0u);
}

TEST(DropLedger, ATraitIsNoDropOfItsOwn) {
  MarkTimes times(kBegin);
  DropLedger ledger;
  ledger.add(DropSide::kArriving, DropReason::kReplayed, 5, {});
  ledger.add_trait(DropSide::kArriving, DropReason::kReplayed, DropTrait::kCopy, 3);
  ledger.add_trait(DropSide::kLeaving, DropReason::kReplayed, DropTrait::kCopy);
  const RecentDrops recent = ledger.recent(times, kBegin + 1s);
  EXPECT_EQ(recent.of(DropSide::kArriving, DropReason::kReplayed), 5u);
  EXPECT_EQ(recent.of(DropSide::kArriving, DropReason::kReplayed, DropTrait::kCopy), 3u);
  EXPECT_EQ(recent.of(DropSide::kArriving, DropReason::kReplayed, DropTrait::kForeign), 0u);
  EXPECT_EQ(recent.of(DropSide::kLeaving, DropReason::kReplayed, DropTrait::kCopy), 1u);
  EXPECT_EQ(ledger.counters()[DropReason::kReplayed], 5u);
  EXPECT_EQ(ledger.of(DropReason::kReplayed), 5u);
  EXPECT_EQ(ledger.recent_of(DropSide::kArriving, times), 5u);
  EXPECT_TRUE(ledger.leaving().empty());
  for (Instant now = kBegin; now < kBegin + 14s;) {
    times.add(now += 2s);
    ledger.mark(times);
  }
  EXPECT_EQ(
      ledger.recent(times, kBegin + 15s).of(DropSide::kArriving, DropReason::kReplayed, DropTrait::kCopy), 0u)
      << "long ago";
}

TEST(DropLedger, WhatWasRestoredIsNotRecent) {
  DropCounters before;
  before.add(DropReason::kBlocked, 40);
  DropLedger ledger;
  ledger.restore(before);
  const MarkTimes times(kBegin);
  EXPECT_EQ(ledger.counters(), before);
  EXPECT_EQ(ledger.recent(times, kBegin + 1s).of(DropSide::kArriving, DropReason::kBlocked), 0u);
  ledger.add(DropSide::kArriving, DropReason::kBlocked, 2, {});
  EXPECT_EQ(ledger.recent(times, kBegin + 1s).of(DropSide::kArriving, DropReason::kBlocked), 2u);
}

ReportBlock block(std::int32_t lost, std::uint32_t highest, std::uint8_t fraction = 0) {
  ReportBlock made;
  made.about = Ssrc{7};
  made.cumulative_lost = lost;
  made.highest_sequence = highest;
  made.fraction_lost = fraction;
  return made;
}

TEST(ReportHistory, EarlierIsTheNewestOfTenSecondsAgoOrTheOldest) {
  struct Row {
    Duration every;
    int reports;
    Duration earlier;  // before the newest
  };
  for (const Row& row : {Row{5s, 1, 0s}, Row{5s, 2, 5s}, Row{5s, 3, 10s}, Row{5s, 9, 10s}, Row{4s, 9, 12s},
                         Row{1s, 4, 3s}, Row{1s, 40, 10s}, Row{100ms, 400, 10s}, Row{30s, 4, 30s}}) {
    ReportHistory history;
    Instant now = kBegin;
    for (int i = 0; i < row.reports; ++i)
      history.add(Ssrc{9}, block(i, static_cast<std::uint32_t>(100 * i)), now += row.every);
    const std::string what = std::to_string(row.every / 1ms) + " ms, " + std::to_string(row.reports);
    if (row.reports == 1) {
      EXPECT_EQ(history.newest().earlier.at, Instant{}) << what;
      continue;
    }
    EXPECT_GE(now - history.newest().earlier.at, row.earlier) << what;
    EXPECT_LE(now - history.newest().earlier.at, row.earlier + kMarkInterval) << what;
    EXPECT_EQ(history.newest().at, now);
    EXPECT_NEAR(history.newest().recent_loss_percent(), 1, 0.01) << what;
  }
}

TEST(ReportHistory, AnotherReporterOrOneThatBeganAnewBeginsAnew) {
  for (const bool is_other : {true, false}) {
    ReportHistory history;
    history.add(Ssrc{9}, block(500, 70'000), kBegin);
    history.add(Ssrc{9}, block(500, 70'300), kBegin + 5s);
    history.add(is_other ? Ssrc{10} : Ssrc{9}, is_other ? block(0, 70'400, 64) : block(0, 90, 64),
                kBegin + 10s);
    EXPECT_EQ(history.newest().earlier, ListenerReport::Earlier{});
    EXPECT_EQ(history.newest().recent_loss_percent(), 25.0) << "what the only report says";
  }
}

TEST(SentStream, CountsLossDuplicatesAndReorderingOfWhatLeft) {
  SentStream sent(Ssrc{1});
  Instant now = kBegin;
  for (const unsigned number : {65533u, 65534u, 65534u, 0u, 65535u, 3u}) {
    sent.count(SeqNo{static_cast<std::uint16_t>(number)}, 0, 172, now += 20ms);
  }
  EXPECT_EQ(sent.counters().packets, 6u);
  EXPECT_EQ(sent.counters().expected(), 7u);
  EXPECT_EQ(sent.counters().duplicates, 1u);
  EXPECT_EQ(sent.counters().reordered, 1u);
  EXPECT_EQ(sent.counters().lost(), 2u);
  EXPECT_EQ(sent.counters().first_packet, kBegin + 20ms);
  const MarkTimes times(kBegin);
  EXPECT_EQ(sent.recent(times, now).lost(), 2u);
  EXPECT_EQ(sent.recent(times, now).longest_burst, 2u);
}

TEST(SentStream, SSR4_AJumpIsAResetAndNoLoss) {
  struct Row {
    int step;
    bool is_reset;
  };
  for (const Row& row : {Row{3000, true}, Row{2999, false}, Row{-101, true}, Row{-102, true},
                         Row{-100, false}, Row{-5000, true}, Row{30'000, true}, Row{-32'768, true}}) {
    SentStream sent(Ssrc{1});
    std::uint16_t number = 6000;
    for (int i = 0; i < 200; ++i) sent.count(SeqNo{number++}, 0, 172, kBegin);
    number = static_cast<std::uint16_t>(number - 1 + row.step);
    for (int i = 0; i < 50; ++i) sent.count(SeqNo{number++}, 0, 172, kBegin);
    EXPECT_EQ(sent.counters().resets, row.is_reset ? 1u : 0u) << row.step;
    EXPECT_EQ(sent.counters().lost(), row.step == 2999 ? 2998u : 0u) << row.step;
    if (row.is_reset) {
      EXPECT_EQ(sent.counters().expected(), 250u) << row.step;
    }
  }
}

TEST(SentStream, OnePacketThatIsVeryLateBeginsNoRun) {
  SentStream sent(Ssrc{1});
  for (std::uint16_t n = 1000; n < 1500; ++n) {
    sent.count(SeqNo{n}, 0, 172, kBegin);
    if (n == 1400) sent.count(SeqNo{1200}, 0, 172, kBegin);
  }
  EXPECT_EQ(sent.counters().resets, 0u);
  EXPECT_EQ(sent.counters().lost(), 0u);
  EXPECT_EQ(sent.counters().expected(), 500u);
}

/// What the kernel forwards in batches is counted as what user space forwards one by one.
TEST(SentStream, BatchesCountAsPacketsDo) {
  StreamStats above;
  SentStream one_by_one(Ssrc{1});
  SentStream batches(Ssrc{1});
  SsrcCounters before;
  Instant now = kBegin;
  int in_batch = 0;
  for (int i = 0; i < 3000; ++i) {
    std::vector<int> numbers = {i};
    if (i % 11 == 3) numbers.clear();   // lost
    if (i % 50 == 7) numbers = {i, i};  // twice
    if (i % 40 == 9) numbers = {};      // comes late
    if (i % 40 == 10) numbers = {i, i - 1};
    for (const int each : numbers) {
      const auto number = static_cast<std::uint16_t>(each);
      const test::Packet packet = rtp('A', 1, number);
      ASSERT_EQ(above.check(SeqNo{number}), StreamStats::Check::kOk);
      above.count(*parse_rtp(packet), packet.size(), 8000, now += 20ms);
      one_by_one.count(SeqNo{number}, parse_rtp(packet)->timestamp, packet.size(), now);
      if (i == 0) {
        batches.count(SeqNo{number}, parse_rtp(packet)->timestamp, packet.size(), now);
        before = above.counters();
      } else {
        ++in_batch;
      }
    }
    if (in_batch < 97) continue;
    in_batch = 0;
    const SsrcCounters& after = above.counters();
    OffloadedTraffic below;
    below.packets = after.packets - before.packets;
    below.bytes = after.bytes - before.bytes;
    below.before = SeqNo{static_cast<std::uint16_t>(before.highest_extended)};
    below.advanced = true;
    below.duplicates = static_cast<std::int32_t>(after.duplicates - before.duplicates);
    below.reordered = static_cast<std::int32_t>(after.reordered - before.reordered);
    below.loss_bursts = static_cast<std::int32_t>(after.loss_bursts - before.loss_bursts);
    below.longest_burst = above.state().new_burst;
    below.seen = above.state().seen;
    below.stream = &after;
    batches.count(below);
    before = after;
    ASSERT_EQ(batches.counters(), one_by_one.counters()) << i;
  }
  EXPECT_GT(batches.counters().lost(), 200u);
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
