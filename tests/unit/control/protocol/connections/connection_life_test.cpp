// SPDX-License-Identifier: Apache-2.0
// When a connection has to end (CTL-12): in virtual time.

#include "control/protocol/connections/connection_life.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1h};
constexpr LifeRules kHttp{.asks_at_once = true, .idle = 60s};
constexpr LifeRules kNg{};

using Reason = std::optional<CloseReason>;

/// When it ends, looked at each 250 ms for ten minutes, and why.
std::pair<Duration, Reason> end_of(ConnectionLife life, Instant from = kStart) {
  for (Duration passed{0}; passed < 10min; passed += 250ms) {
    if (const Reason why = life.due(from + passed)) return {passed, why};
  }
  return {10min, std::nullopt};
}

TEST(ConnectionLife, CTL12_SilenceAtTheBeginning) {
  EXPECT_EQ(end_of(ConnectionLife(kNg, false, kStart)), std::pair(Duration(10min), Reason()))
      << "NG connections never end for idleness";
  EXPECT_EQ(end_of(ConnectionLife(kHttp, false, kStart)),
            std::pair(Duration(10s), Reason(CloseReason::kRequestLate)));
  EXPECT_EQ(end_of(ConnectionLife(kHttp, true, kStart)),
            std::pair(Duration(10s), Reason(CloseReason::kHandshakeLate)));
  EXPECT_EQ(end_of(ConnectionLife(kNg, true, kStart)),
            std::pair(Duration(10s), Reason(CloseReason::kHandshakeLate)));
}

TEST(ConnectionLife, CTL12_AShortIdleTimeoutHoldsForTheFirstRequestToo) {
  constexpr LifeRules kShort{.asks_at_once = true, .idle = 1s};
  EXPECT_EQ(end_of(ConnectionLife(kShort, false, kStart)),
            std::pair(Duration(1s), Reason(CloseReason::kIdle)));
  EXPECT_EQ(end_of(ConnectionLife(kShort, true, kStart)),
            std::pair(Duration(10s), Reason(CloseReason::kHandshakeLate)))
      << "a handshake is no idleness";
  ConnectionLife begun(kShort, false, kStart);
  begun.on_input(true, kStart);
  EXPECT_EQ(end_of(begun), std::pair(Duration(10s), Reason(CloseReason::kRequestLate)));
}

TEST(ConnectionLife, CTL12_ARequestThatComesSlowlyIsLate) {
  for (const LifeRules& rules : {kNg, kHttp}) {
    ConnectionLife life(rules, false, kStart);
    life.on_request(kStart);
    // Octets keep coming: the deadline is that of the first one.
    for (Duration passed{0}; passed < 10s; passed += 500ms) {
      life.on_input(true, kStart + passed);
      EXPECT_FALSE(life.due(kStart + passed)) << passed.count();
    }
    life.on_input(true, kStart + 10s);
    EXPECT_EQ(life.due(kStart + 10s), CloseReason::kRequestLate);
  }
}

TEST(ConnectionLife, CTL12_EachRequestHasItsOwnTime) {
  ConnectionLife life(kNg, false, kStart);
  for (int n = 0; n < 20; ++n) {
    const Instant now = kStart + n * 9s;
    EXPECT_FALSE(life.due(now)) << n;
    life.on_request(now);
    life.on_input(true, now);  // the next one has begun
  }
}

TEST(ConnectionLife, CTL12_BlankLinesAreNoRequest) {
  ConnectionLife http(kHttp, false, kStart);
  for (Duration passed{0}; passed < 10s; passed += 1s) http.on_input(false, kStart + passed);
  EXPECT_EQ(http.due(kStart + 10s), CloseReason::kRequestLate);
  ConnectionLife later(kHttp, false, kStart);
  later.on_request(kStart + 1s);
  for (Duration passed{1s}; passed < 61s; passed += 1s) later.on_input(false, kStart + passed);
  EXPECT_FALSE(later.due(kStart + 60s));
  EXPECT_EQ(later.due(kStart + 61s), CloseReason::kIdle) << "and do not keep an idle one open";
}

TEST(ConnectionLife, CTL12_IdleHttpEndsAndWebSocketsDoNot) {
  ConnectionLife life(kHttp, false, kStart);
  life.on_request(kStart + 5s);
  EXPECT_EQ(end_of(life, kStart + 5s), std::pair(Duration(60s), Reason(CloseReason::kIdle)));
  life.may_idle();
  EXPECT_EQ(end_of(life, kStart + 5s).second, Reason());
  const ConnectionLife silent({.asks_at_once = true, .idle = 5s}, false, kStart);
  EXPECT_EQ(end_of(silent), std::pair(Duration(5s), Reason(CloseReason::kIdle)))
      << "before its first octet too";
  ConnectionLife never({.asks_at_once = true, .idle = 0s}, false, kStart);
  never.on_request(kStart);
  EXPECT_EQ(end_of(never).second, Reason()) << "http-idle-timeout=0";
}

TEST(ConnectionLife, CTL12_AfterTheHandshakeTheRequestHasItsTime) {
  ConnectionLife life(kHttp, true, kStart);
  life.on_open(kStart + 9s);
  EXPECT_FALSE(life.due(kStart + 18s));
  EXPECT_EQ(life.due(kStart + 19s), CloseReason::kRequestLate);
}

TEST(ConnectionLife, CTL12_WhoTakesNothingIsClosed) {
  constexpr std::uint64_t kMega = 1024 * 1024;
  const struct {
    const char* who;
    std::uint64_t waiting;
    std::uint64_t taken_each_second;
    Reason why;
  } rows[] = {
      {"takes nothing of much", kMega, 0, CloseReason::kUnread},
      {"takes nothing of little", 100, 0, CloseReason::kUnread},
      {"takes an octet now and then", kMega, 10, CloseReason::kUnread},
      {"reads over a slow link", kMega, 8 * 1024, std::nullopt},
      {"reads it all", 100, 100, std::nullopt},
  };
  for (const auto& row : rows) {
    ConnectionLife life(kNg, false, kStart);
    Reason why;
    std::uint64_t taken = 0;
    for (Duration passed{0}; passed < 60s && !why; passed += 1s) {
      life.on_output(row.waiting - taken, taken, kStart + passed);
      why = life.due(kStart + passed);
      EXPECT_TRUE(!why || passed >= 10s);
      taken = std::min(row.waiting, taken + row.taken_each_second);
    }
    EXPECT_EQ(why, row.why) << row.who;
  }
}

TEST(ConnectionLife, CTL12_RepliesThatComeAllTheTimeAreNoFault) {
  ConnectionLife life(kNg, false, kStart);
  // Something waits at each look, and the peer takes all of it until the next.
  for (std::uint64_t n = 0; n < 100; ++n) {
    life.on_output(3000, n * 3000, kStart + n * 1s);
    EXPECT_FALSE(life.due(kStart + n * 1s)) << n;
  }
}

TEST(ConnectionLife, CTL12_WhileNothingIsReadNoRequestIsLate) {
  ConnectionLife life(kNg, false, kStart);
  life.on_input(true, kStart);
  life.on_pause(kStart + 2s);
  std::uint64_t taken = 0;
  for (Duration passed{2s}; passed < 30s; passed += 1s, taken += 64 * 1024) {
    life.on_output(1'000'000, taken, kStart + passed);
    EXPECT_FALSE(life.due(kStart + passed)) << passed.count();
  }
  life.on_resume(kStart + 30s);
  life.on_output(0, taken, kStart + 30s);
  EXPECT_FALSE(life.due(kStart + 37s)) << "it had 2 s, and 8 s are left";
  EXPECT_EQ(life.due(kStart + 38s), CloseReason::kRequestLate);
}

// Pings between the fragments of a message drew pongs, and these gave the message more time.
TEST(ConnectionLife, CTL12_SmallRepliesGiveARequestNoMoreTime) {
  ConnectionLife life(kNg, false, kStart);
  life.on_input(true, kStart);
  for (unsigned n = 0; n < 40; ++n) {
    const Instant now = kStart + n * 250ms;
    life.on_output(n % 2 * 100, n * 100, now);
    EXPECT_FALSE(life.due(now)) << n;
  }
  life.on_output(100, 4000, kStart + 10s);
  EXPECT_EQ(life.due(kStart + 10s), CloseReason::kRequestLate);
}

}  // namespace
}  // namespace ferry::test
