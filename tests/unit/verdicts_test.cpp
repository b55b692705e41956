// SPDX-License-Identifier: Apache-2.0
// What is counted of a stream, what is concluded from it, and what is kept of its packets; without a running
// call.

#include "control/diagnose/explain.hpp"
#include "tests/support/world.hpp"

#include <random>
#include <set>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

StreamStats counted(const std::vector<std::uint16_t>& sequences) {
  StreamStats stats;
  Instant now{1h};
  for (const std::uint16_t sequence : sequences) {
    RtpView view;
    view.sequence = SeqNo{sequence};
    view.timestamp = sequence * 160u;
    stats.count(view, 172, 8000, now += 20ms);
  }
  return stats;
}

TEST(Quality, RunsOfMissingPacketsAreBursts) {
  const SsrcCounters c = counted({1, 2, 5, 6, 10, 11}).counters();
  EXPECT_EQ(c.loss_bursts, 2u);
  EXPECT_EQ(c.longest_loss_burst, 3u);
  EXPECT_EQ(c.lost(), 5u);
}

TEST(Quality, LatePacketsCloseAndSplitBursts) {
  EXPECT_EQ(counted({1, 3, 2, 4}).counters().loss_bursts, 0u) << "closed";
  EXPECT_EQ(counted({1, 5, 3, 6}).counters().loss_bursts, 2u) << "split";
  EXPECT_EQ(counted({1, 5, 4, 3, 2, 6}).counters().loss_bursts, 0u) << "shrunk, then closed";
  EXPECT_EQ(counted({10, 8, 11}).counters().loss_bursts, 1u) << "9, when 8 came before the first";
  EXPECT_EQ(counted({10, 9, 11}).counters().loss_bursts, 0u);
}

TEST(Quality, BurstsAreThoseOfTheSequencesThatNeverCame) {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::uint16_t> sent;
    std::set<int> missing;
    for (std::uint16_t n = 100; n < 400; ++n) {
      if (n > 105 && n < 390 && random() % 10 == 0)
        missing.insert(n);
      else
        sent.push_back(n);
    }
    for (std::size_t i = 6; i + 6 < sent.size(); ++i) {
      if (random() % 8 == 0) std::swap(sent[i], sent[i + random() % 4]);
    }
    unsigned bursts = 0;
    for (const int n : missing) bursts += missing.contains(n - 1) ? 0u : 1u;
    const SsrcCounters c = counted(sent).counters();
    ASSERT_EQ(c.lost(), missing.size());
    ASSERT_EQ(c.loss_bursts, bursts) << "round " << round;
  }
}

TEST(Quality, DriftOfTheSendersClock) {
  for (const double ppm : {-200.0, 0.0, 150.0}) {
    StreamStats stats;
    RtpView view;
    const Instant start{1h};
    for (int n = 0; n < 3000; ++n) {
      view.sequence = SeqNo{static_cast<std::uint16_t>(n)};
      view.timestamp = static_cast<std::uint32_t>(n * 160);
      const auto at = std::chrono::nanoseconds(static_cast<std::int64_t>(n * 20e6 * (1 + ppm / 1e6)));
      stats.count(view, 172, 8000, start + at);
    }
    const auto drift = stats.counters().drift();
    ASSERT_TRUE(drift);
    EXPECT_NEAR(drift->ppm, ppm, 5);
    EXPECT_LT(drift->error_ppm, 20);
  }
}

TEST(Quality, DriftStartsAgainWhenTheSenderCountsElsewhere) {
  StreamStats stats;
  RtpView view;
  Instant now{1h};
  for (int n = 0; n < 1000; ++n) {
    view.sequence = SeqNo{static_cast<std::uint16_t>(n)};
    view.timestamp = static_cast<std::uint32_t>(n * 160 + (n > 300 ? 900'000 : 0));
    stats.count(view, 172, 8000, now += 20ms);
  }
  ASSERT_TRUE(stats.counters().drift());
  EXPECT_NEAR(stats.counters().drift()->ppm, 0, 5);
}

TEST(Quality, MosOfG107) {
  QualityFigures perfect;
  EXPECT_NEAR(estimate_mos(perfect), 4.4, 0.02);
  QualityFigures lossy = perfect;
  lossy.loss_percent = 5;
  // Ie-eff = 95 * 5 / (5 + 25.1) = 15.8; R = 93.2 - 15.8 - 0.24.
  EXPECT_NEAR(estimate_mos(lossy), 3.92, 0.02);
  QualityFigures bursty = lossy;
  bursty.burst_ratio = 4;
  EXPECT_LT(estimate_mos(bursty), estimate_mos(lossy));
  QualityFigures g729 = perfect;
  g729.equipment_impairment = 11;
  g729.loss_robustness = 19;
  EXPECT_NEAR(estimate_mos(g729), 4.1, 0.05);
  QualityFigures far = perfect;
  far.one_way = 400ms;
  EXPECT_LT(estimate_mos(far), 3.5);
  QualityFigures nothing = perfect;
  nothing.loss_percent = 100;
  EXPECT_GE(estimate_mos(nothing), 1.0);
}

/// Two parties that talk to each other, as a worker would tell it.
class Verdicts : public ::testing::Test {
 protected:
  Verdicts() {
    call_.call_id = "c";
    call_.now = now_;
    call_.last_signal = now_ - 60s;
    call_.is_answered = true;
    for (std::uint8_t n = 1; n <= 2; ++n) {
      LegEvidence& leg = call_.legs.emplace_back();
      leg.name = n == 1 ? "A" : "B";
      MediaEvidence& media = leg.medias.emplace_back();
      media.index = 1;
      media.type = "audio";
      media.signalled = {IpAddress::v4({192, 0, 2, n}), UdpPort{4000}};
      media.local = {IpAddress::v4({198, 51, 100, 1}), UdpPort{static_cast<std::uint16_t>(30000 + n * 2)}};
      media.shown.set(8);
      media.sources.push_back({n == 1 ? 1u : 0u, 0});
      snapshots_[n - 1].latch[0].state = Latch::State::kLocked;
      snapshots_[n - 1].latch[0].peer = snapshots_[n - 1].destination[0] = media.signalled;
      snapshots_[n - 1].verified = true;
      media.seen.active = &snapshots_[n - 1];
      MediaView::Stream stream;
      stream.counters.packets = 3000;
      stream.counters.highest_extended = 2999;
      stream.counters.last_payload_type = 8;
      stream.counters.first_packet = now_ - 60s;
      stream.counters.last_packet = now_;
      media.seen.ingress.push_back(stream);
      media.seen.egress.push_back({stream.counters});  // it is sent what the other one sends
      media.seen.counters[0].packets_in = 3000;
      media.seen.counters[0].packets_out = 3000;
      media.seen.last_packet[0] = now_;
    }
  }
  MediaEvidence& a() { return call_.legs[0].medias[0]; }
  void heard_last(Instant when) {
    a().seen.last_packet[0] = a().seen.ingress[0].counters.last_packet = when;
    call_.legs[1].medias[0].seen.egress[0].counters.last_packet = when;
  }
  Cause from(std::size_t leg = 0) { return explain(call_).verdicts[leg * 2].cause; }
  Cause to(std::size_t leg = 0) { return explain(call_).verdicts[leg * 2 + 1].cause; }
  void refuse(DropReason reason, std::uint8_t type, Instant last, std::uint32_t times = 1000) {
    Refusal refusal;
    refusal.reason = reason;
    refusal.type = PayloadType{type};
    refusal.last = last;
    refusal.times = times;
    refusal.from = {IpAddress::v4({203, 0, 113, 9}), UdpPort{9}};
    a().seen.refusals.push_back(refusal);
  }

  Instant now_{1h};
  CallEvidence call_;
  std::array<TransportSnapshot, 2> snapshots_;
};

TEST_F(Verdicts, BothHearEachOther) {
  EXPECT_EQ(explain(call_).worst(), Severity::kFine);
  EXPECT_EQ(explain(call_).verdicts.size(), 4u);
}

TEST_F(Verdicts, SilenceIsAFaultOnlyIfNobodyWantedIt) {
  heard_last(now_ - 20s);
  EXPECT_EQ(from(), Cause::kStopped);
  EXPECT_EQ(to(1), Cause::kStopped) << "and B's row says whom he does not hear";
  call_.last_signal = now_ - 2s;
  EXPECT_EQ(from(), Cause::kWaiting) << "just resumed";
  call_.last_signal = now_ - 60s;
  a().seen.ingress[0].counters.last_payload_type = 13;
  EXPECT_EQ(from(), Cause::kSilenceSuppressed) << "comfort noise";
  a().seen.ingress[0].counters.last_payload_type = 8;
  a().seen.ingress[0].counters.idle_by_bye = true;
  EXPECT_EQ(from(), Cause::kSilenceSuppressed) << "RTCP BYE";
  a().seen.ingress[0].counters.idle_by_bye = false;
  a().may_send = false;
  EXPECT_EQ(from(), Cause::kHold);
  a().may_send = true;
  call_.legs[1].medias[0].may_receive = false;
  EXPECT_EQ(from(), Cause::kHold) << "B holds";
}

TEST_F(Verdicts, PacketsInFlightWhenTheCodecChangedAreNoFault) {
  a().shown.reset();
  a().shown.set(0);
  a().earlier.set(8);
  call_.last_signal = now_ - 500ms;
  EXPECT_EQ(from(), Cause::kFine);
  refuse(DropReason::kUnknownPayloadType, 8, now_ - 400ms);
  EXPECT_EQ(from(), Cause::kFine);
  call_.last_signal = now_ - 3s;
  EXPECT_EQ(from(), Cause::kCodecMismatch);
}

TEST_F(Verdicts, AFewRefusedPacketsOfAHealthyStreamAreNoFault) {
  refuse(DropReason::kUnknownPayloadType, 126, now_, 20);
  EXPECT_EQ(from(), Cause::kFine) << "events that nobody negotiated";
  a().seen.refusals.clear();
  refuse(DropReason::kForeignSource, 8, now_, 500);
  EXPECT_EQ(from(), Cause::kOtherSourceToo) << "who is heard is not to blame";
  heard_last(now_ - 6s);
  EXPECT_EQ(from(), Cause::kSourceRefused);
}

TEST_F(Verdicts, RtcpOnTheRtpPortIsNoMedia) {
  a().is_muxed = true;
  a().seen.ingress.clear();
  EXPECT_EQ(from(), Cause::kOnlyRtcp);
  a().is_muxed = false;
  EXPECT_EQ(from(), Cause::kFine) << "something that is no RTP was taken there: T.38";
}

TEST_F(Verdicts, WhoHangsUpIsNotUnreachable) {
  a().seen.failures.push_back({SendError::kPortUnreachable, a().signalled, {}, 1, now_, now_});
  EXPECT_EQ(to(), Cause::kFine) << "one message";
  a().seen.failures[0].times = 50;
  EXPECT_EQ(to(), Cause::kUnreachable);
  a().seen.failures[0].last = now_ - 10s;
  EXPECT_EQ(to(), Cause::kFine) << "over";
  snapshots_[0].paused[0] = true;
  EXPECT_EQ(to(), Cause::kUnreachable) << "media is paused, as it answered with errors (LAT-12)";
}

TEST_F(Verdicts, KeysAreMissedFromTheAnswerOn) {
  a().is_encrypted = true;
  EXPECT_EQ(from(), Cause::kNoKey);
  call_.is_answered = false;
  EXPECT_EQ(from(), Cause::kFine);
}

TEST_F(Verdicts, DMX6_ASectionThatIsNotRelayedIsNoFault) {
  a().unrelayed = "TCP/WB runs over TCP";
  EXPECT_EQ(from(), Cause::kNotRelayed) << "although nothing came";
  EXPECT_EQ(to(), Cause::kNotRelayed);
  a().is_rejected = true;
  EXPECT_EQ(from(), Cause::kNotRelayed) << "the relay declined it, not the party";
}

TEST_F(Verdicts, ARefusedAnswerIsNamed) {
  call_.is_answered = false;
  MediaEvidence& b = call_.legs[1].medias[0];
  b.signalled = {};
  EXPECT_EQ(from(1), Cause::kWaiting);
  call_.refused = RefusedMessage{true, false, "Ran out of ports", now_};
  EXPECT_EQ(to(1), Cause::kAnswerRefused);
  call_.refused->wrong_family = true;
  EXPECT_EQ(to(1), Cause::kWrongFamily);
}

TEST(FlightRing, KeepsTheLastTenSecondsInAFixedPlace) {
  FlightRing ring;
  Instant now{1h};
  const Endpoint from{IpAddress::v4({192, 0, 2, 1}), UdpPort{4000}};
  for (std::uint16_t n = 0; n < 2000; ++n)
    ring.add(from, false, rtp('A', 1, n), 172, n % 7 == 0 ? DropReason::kDirection : DropReason::kNone, false,
             now += 20ms);
  std::vector<std::uint16_t> seen;
  ring.for_each([&](const FlightEntry& entry, Instant at) {
    seen.push_back(entry.sequence);
    EXPECT_EQ(at, now - (1999 - entry.sequence) * 20ms);
    EXPECT_EQ(entry.reason, entry.sequence % 7 == 0 ? DropReason::kDirection : DropReason::kNone);
    EXPECT_EQ(ring.source(entry), from);
  });
  ASSERT_EQ(seen.size(), 501u);
  EXPECT_EQ(seen.front(), 1499);
  EXPECT_EQ(seen.back(), 1999);
  EXPECT_LE(ring.footprint(), 9000u);
}

TEST(FlightRing, ManySourcesShareTheLastPlace) {
  FlightRing ring;
  for (std::uint8_t n = 1; n < 40; ++n)
    ring.add({IpAddress::v4({10, 0, 0, n}), UdpPort{9}}, true, {}, 0, DropReason::kForeignSource, false,
             Instant{1h});
  int visited = 0;
  ring.for_each([&](const FlightEntry& entry, Instant) {
    ++visited;
    EXPECT_LT(entry.source, FlightRing::kSources);
  });
  EXPECT_EQ(visited, 39);
}

}  // namespace
}  // namespace ferry::test
