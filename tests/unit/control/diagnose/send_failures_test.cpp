// SPDX-License-Identifier: Apache-2.0
// What the host and the network answer to packets that leave: when it is a verdict, and which.

#include "control/diagnose/send_failures.hpp"

#include <chrono>
#include <functional>
#include <optional>

#include <gtest/gtest.h>

namespace ferry::test::send_failures_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kNow{1h};
const Endpoint kPeer = *Endpoint::parse("192.0.2.9:4000");

/// One party to which 500 packets left in ten seconds, and one kind of error.
struct Failing {
  CallEvidence call;
  TransportSnapshot port;
  SendFailure failure;
  Failing(SendError error, std::uint32_t times, Duration first, Duration last) {
    call.now = kNow;
    call.legs.resize(1);
    call.legs[0].name = "B";
    port.destination[0] = kPeer;
    failure = {error, kPeer, {}, times, kNow - first, kNow - last};
    MediaView::OutStream out;
    out.counters.last_packet = kNow;
    out.recent.span = 10s;
    out.recent.counts.packets = 500;
    MediaEvidence media;
    media.seen.egress = {out};
    media.seen.recent_drops.span = 10s;
    call.legs[0].medias = {media};
  }
  MediaView& seen() { return call.legs[0].medias[0].seen; }
  /// The verdict if there is one. `ended` tells whether errors are over.
  std::optional<MediaVerdict> verdict(bool* ended = nullptr) {
    seen().active = &port;
    seen().failures = {failure};
    const Hearers hearers(call);
    const JudgedMedia judged{call, call.legs[0], call.legs[0].medias[0], {}, hearers, 0, true};
    SendFailures failures(judged);
    auto result = failures.verdict();
    if (ended != nullptr) *ended = failures.have_ended();
    return result;
  }
};

TEST(SendFailures, EachErrorHasItsCause) {
  const struct {
    SendError error;
    Cause cause;
  } rows[] = {{SendError::kPortUnreachable, Cause::kUnreachable},
              {SendError::kHostUnreachable, Cause::kUnreachable},
              {SendError::kNoRoute, Cause::kNoRoute},
              {SendError::kNoNeighbour, Cause::kNoRoute},
              {SendError::kNotPermitted, Cause::kLocalFirewall},
              {SendError::kWrongFamily, Cause::kWrongFamily},
              {SendError::kOther, Cause::kSendFailed}};
  for (const auto& row : rows) {
    const auto verdict = Failing(row.error, 10, 5s, 0s).verdict();
    ASSERT_TRUE(verdict) << to_string(row.error);
    EXPECT_EQ(to_string(verdict->cause), to_string(row.cause)) << to_string(row.error);
    EXPECT_NE(verdict->sentence.find("B"), std::string::npos);
    EXPECT_FALSE(verdict->evidence.empty());
  }
}

TEST(SendFailures, WhatIsNoVerdict) {
  const struct {
    const char* what;
    std::function<void(Failing&)> change;
    bool has_ended;
  } rows[] = {
      {"two errors are too few", [](Failing& f) { f.failure.times = 2; }, false},
      {"about an address that is used no more",
       [](Failing& f) { f.failure.to = *Endpoint::parse("192.0.2.8:4000"); }, false},
      {"no ICMP error for three seconds, while packets left", [](Failing& f) { f.failure.last = kNow - 4s; },
       true},
      {"long ago", [](Failing& f) { f.failure.last = kNow - 11s; }, false},
  };
  for (const auto& row : rows) {
    Failing failing(SendError::kPortUnreachable, 10, 20s, 1s);
    ASSERT_TRUE(failing.verdict());
    row.change(failing);
    bool has_ended = false;
    EXPECT_FALSE(failing.verdict(&has_ended)) << row.what;
    EXPECT_EQ(has_ended, row.has_ended) << row.what;
  }
}

TEST(SendFailures, ErrorsOfTheNetworkAreGradedByTheTimeInWhichTheyCame) {
  const struct {
    const char* what;
    std::uint32_t times;
    Duration first;
    Duration last;
    bool is_paused;
    bool is_over;
    Severity severity;
  } rows[] = {
      {"for five seconds, one a second", 6, 5s, 0s, false, false, Severity::kFault},
      {"for two seconds", 6, 2s, 0s, false, false, Severity::kNote},
      {"three in a minute", 3, 60s, 0s, false, false, Severity::kNote},
      {"media is paused since then", 3, 60s, 20s, true, false, Severity::kFault},
      {"the call was deleted just then", 6, 3s, 0s, false, true, Severity::kFault},
      {"the party had hung up", 6, 2500ms, 0s, false, true, Severity::kNote},
  };
  for (const auto& row : rows) {
    Failing failing(SendError::kHostUnreachable, row.times, row.first, row.last);
    failing.port.paused[0] = row.is_paused;
    failing.call.is_over = row.is_over;
    const auto verdict = failing.verdict();
    ASSERT_TRUE(verdict) << row.what;
    EXPECT_EQ(verdict->severity(), row.severity) << row.what;
    EXPECT_EQ(verdict->reception(), row.severity == Severity::kFault ? Reception::kNothing : Reception::kSome)
        << row.what;
  }
}

TEST(SendFailures, RefusalsOfTheHostAreGradedByTheirShare) {
  const struct {
    std::uint32_t failed;
    Severity severity;
    Reception reception;
  } rows[] = {{20, Severity::kNote, Reception::kSome},
              {50, Severity::kFault, Reception::kSome},
              {490, Severity::kFault, Reception::kNothing},
              {500, Severity::kFault, Reception::kNothing}};
  for (const auto& row : rows) {
    Failing failing(SendError::kNoRoute, row.failed, 10s, 0s);
    failing.seen().recent_drops.add(DropSide::kLeaving, DropReason::kSendFailed, row.failed);
    const auto verdict = failing.verdict();
    ASSERT_TRUE(verdict);
    EXPECT_EQ(verdict->severity(), row.severity) << row.failed;
    EXPECT_EQ(verdict->reception(), row.reception) << row.failed;
  }
}

}  // namespace
}  // namespace ferry::test::send_failures_test
