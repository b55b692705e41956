// SPDX-License-Identifier: Apache-2.0
// What is dropped between the packets that came for a listener and those that left.

#include "control/diagnose/way_out.hpp"

#include "tests/support/call_story.hpp"

#include <chrono>
#include <functional>
#include <optional>

#include <gtest/gtest.h>

namespace ferry::test::way_out_test {
namespace {

using namespace std::chrono_literals;

struct Drop {
  DropReason reason = DropReason::kNone;
  std::uint32_t times = 0;
  std::optional<DropTrait> trait;
};

/// A call that was signalled a minute ago.
CallEvidence settled() {
  CallEvidence call;
  call.now = Instant{1h};
  call.last_signal = call.now - 60s;
  return call;
}

WayOut way_out(const CallEvidence& call, const std::vector<Drop>& drops) {
  MediaEvidence listener;
  listener.seen.recent_drops.span = 10s;
  for (const Drop& each : drops)
    listener.seen.recent_drops.add(DropSide::kLeaving, each.reason, each.times, each.trait);
  return way_out_to(call, listener);
}

TEST(WayOut, CountsEachDropWhereItBelongs) {
  using R = DropReason;
  const struct {
    const char* what;
    std::vector<Drop> drops;
    double own;
    double raw;
    double wanted;
    DropReason reason;
  } rows[] = {
      {"nothing", {}, 0, 0, 0, R::kNone},
      {"no key", {{R::kNoKey, 50, {}}}, 50, 50, 0, R::kNoKey},
      {"of two reasons the greater", {{R::kNoKey, 20, {}}, {R::kLoop, 30, {}}}, 50, 50, 0, R::kLoop},
      {"a command", {{R::kBlocked, 50, {}}}, 0, 0, 50, R::kNone},
      {"the host refused what had left", {{R::kSendFailed, 50, {}}}, 50, 0, 0, R::kSendFailed},
      {"numbers that had left before", {{R::kReplayed, 50, {}}}, 0, 0, 0, R::kReplayed},
      {"copies are missed by nobody",
       {{R::kTooLate, 50, {}}, {R::kTooLate, 50, DropTrait::kCopy}},
       0,
       0,
       0,
       R::kNone},
      {"what lies beside the speech", {{R::kFeedbackNotAgreed, 50, {}}}, 0, 0, 0, R::kNone},
  };
  for (const auto& row : rows) {
    const WayOut out = way_out(settled(), row.drops);
    EXPECT_EQ(out.own, row.own) << row.what;
    EXPECT_EQ(out.raw, row.raw) << row.what;
    EXPECT_EQ(out.wanted, row.wanted) << row.what;
    EXPECT_EQ(out.reason, row.reason) << row.what;
    EXPECT_EQ(out.wanted_reason, row.wanted > 0 ? DropReason::kBlocked : DropReason::kNone) << row.what;
  }
}

TEST(WayOut, WhileACallIsSetUpItMaySendToNobody) {
  CallEvidence call = settled();
  for (const bool is_new : {true, false}) {
    call.last_signal = call.now - (is_new ? 10s : 11s);
    const WayOut out = way_out(call, {{DropReason::kNoDestination, 50, {}}});
    EXPECT_EQ(out.set_up, is_new ? 50 : 0);
    EXPECT_EQ(out.own, is_new ? 0 : 50);
    EXPECT_EQ(way_out(call, {{DropReason::kLoop, 50, {}}}).own, 50) << "that needs no set-up";
  }
}

TEST(WayOut, APortWithoutMarksCountsOnlyReasonsOfTheWayOut) {
  MediaEvidence listener;
  listener.seen.drops.add(DropReason::kLoop, 50);
  listener.seen.drops.add(DropReason::kNoKey, 70);  // may be of packets that arrived
  const WayOut out = way_out_to(settled(), listener);
  EXPECT_EQ(out.own, 50);
  EXPECT_EQ(out.reason, DropReason::kLoop);
}

TEST(WayOut, CommandsAreCountedWhereThePacketsComeFrom) {
  RecentDrops sender;
  sender.span = 10s;
  sender.add(DropSide::kArriving, DropReason::kBlocked, 40);
  sender.add(DropSide::kArriving, DropReason::kNoSink, 60);
  sender.add(DropSide::kArriving, DropReason::kTooLong, 500);
  CallEvidence call = settled();
  WayOut out;
  count_commands(out, call, sender);
  EXPECT_EQ(out.wanted_before, 100);
  EXPECT_EQ(out.wanted_reason, DropReason::kNoSink);
  call.last_signal = call.now - 3s;
  out = {};
  count_commands(out, call, sender);
  EXPECT_EQ(out.wanted_before, 40) << "while the call is set up, there may be no sink";
  EXPECT_EQ(out.wanted_reason, DropReason::kBlocked);
}

TEST(WayOut, APromptIsNoticedOnEitherSide) {
  const CallEvidence call = settled();
  const MediaEvidence quiet;
  EXPECT_FALSE(has_prompt(call, quiet, quiet));
  MediaEvidence side;
  side.seen.recent_drops.add(DropSide::kArriving, DropReason::kPromptPlaying, 1);
  EXPECT_TRUE(has_prompt(call, quiet, side));
  EXPECT_FALSE(has_prompt(call, side, quiet));
  side = {};
  side.seen.recent_drops.add(DropSide::kLeaving, DropReason::kPromptPlaying, 1);
  EXPECT_TRUE(has_prompt(call, side, quiet));
  side = {};
  Refusal refusal;
  refusal.reason = DropReason::kPromptPlaying;
  for (const Duration ago : {4s, 5s}) {
    refusal.last = call.now - ago;
    side.seen.refusals = {refusal};
    EXPECT_EQ(has_prompt(call, quiet, side), ago == 4s);
  }
}

/// 500 packets came from A in ten seconds, and as many left toward B.
struct Relayed {
  CallEvidence call = settled();
  MediaEvidence sender;
  MediaEvidence listener;
  WayOut out;
  MediaView::Stream& in() { return sender.seen.ingress[0]; }
  StreamMark& sent() { return listener.seen.egress[0].recent.counts; }
  /// Three seconds of speech, of which one left.
  void speaks_briefly() {
    in().recent.counts.packets = in().recent.counts.expected = 150;
    in().recent.counts.bytes = 150 * 172;
    sent().packets = sent().expected = 50;
    sent().bytes = 50 * 172;
  }

  Relayed() {
    MediaView::Stream stream;
    stream.counters.packets = 3000;
    stream.counters.highest_extended = 2999;
    stream.counters.first_packet = call.now - 60s;
    stream.counters.last_packet = call.now;
    stream.recent.span = 10s;
    stream.recent.counts.packets = stream.recent.counts.expected = 500;
    stream.recent.counts.bytes = 500 * 172;
    sender.seen.ingress = {stream};
    listener.seen.egress = {{stream.counters, stream.recent}};
    listener.sources.resize(1);
  }
};

TEST(WayOut, WhatNeitherLeftNorHasAReasonIsMissing) {
  const struct {
    const char* what;
    std::function<void(Relayed&)> change;
    double missing;
  } rows[] = {
      {"all left", [](Relayed&) {}, 0},
      {"a fifth did not", [](Relayed& r) { r.sent().packets = 400, r.sent().bytes = 400 * 172; }, 100},
      {"a few are under way", [](Relayed& r) { r.sent().packets = 491, r.sent().bytes = 491 * 172; }, 0},
      {"there is a reason",
       [](Relayed& r) { r.sent().packets = 400, r.sent().bytes = 400 * 172, r.out.raw = 100; }, 0},
      {"a command is one, too",
       [](Relayed& r) { r.sent().packets = 400, r.sent().bytes = 400 * 172, r.out.wanted = 100; }, 0},
      {"longer packets are fewer", [](Relayed& r) { r.sent().packets = 250, r.sent().bytes = 250 * 332; }, 0},
      {"several senders", [](Relayed& r) { r.listener.sources.resize(2), r.sent().packets = 100; }, 0},
      {"copies that came are none",
       [](Relayed& r) { r.in().recent.counts.packets = 600, r.in().recent.counts.bytes = 600 * 172; }, 0},
      {"the way out was marked later",
       [](Relayed& r) {
         r.listener.seen.egress[0].recent.span = 8s;
         r.sent().packets = 400, r.sent().bytes = 400 * 172;
       },
       0},
      {"the same of a stream that was slower before",
       [](Relayed& r) {
         r.in().counters.highest_extended = 599;
         r.listener.seen.egress[0].recent.span = 8s;
         r.sent().packets = 400, r.sent().bytes = 400 * 172;
       },
       0},
      {"a third left of a short speech", [](Relayed& r) { r.speaks_briefly(); }, 100},
      {"the speech ended before the way out was marked",
       [](Relayed& r) {
         r.speaks_briefly();
         r.listener.seen.egress[0].recent.span = 8s;
       },
       0},
      {"too little came", [](Relayed& r) { r.in().recent.counts.expected = 49, r.sent().packets = 10; }, 0},
      {"nothing left at all", [](Relayed& r) { r.sent().packets = 0; }, 0},
      {"a prompt was played",
       [](Relayed& r) {
         r.sent().packets = 400, r.sent().bytes = 400 * 172;
         r.listener.seen.recent_drops.add(DropSide::kLeaving, DropReason::kPromptPlaying, 1);
       },
       0},
  };
  for (const auto& row : rows) {
    Relayed relayed;
    row.change(relayed);
    EXPECT_NEAR(missing_without_reason(relayed.out, relayed.call, relayed.listener, relayed.sender, 500),
                row.missing, 1)
        << row.what;
  }
}

}  // namespace
}  // namespace ferry::test::way_out_test
