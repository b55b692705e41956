// SPDX-License-Identifier: Apache-2.0
// Calls that are over: what is reported of them, and which are kept for `explain`.
#include "control/session/endings.hpp"

#include "tests/support/packets.hpp"
#include "tests/support/session_parts.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

struct Reports final : CallObserver {
  void on_report(const CallReport& report) override { all.push_back(report); }
  std::vector<CallReport> all;
};

class EndingsTest : public testing::Test {
 protected:
  EndingsTest() {
    parts_.observers.add(endings_);
    parts_.observers.add(reports_);
  }
  void speak(Call& call, std::size_t leg, std::uint16_t packets = 3) {
    const LocalPorts& ports = SessionParts::ports(call, leg);
    for (std::uint16_t n = 1; n <= packets; ++n)
      parts_.network.send_to_relay({SessionParts::media(call, leg).via->remote_rtp,
                                    {parts_.local().address, ports.port},
                                    rtp(leg == 0 ? 'A' : 'B', static_cast<std::uint32_t>(leg) + 1, n)});
    parts_.plane.worker(0).run_once();
  }
  void end(Call& call, EndReason reason = EndReason::kRegular) {
    parts_.lifetime.end(call, reason, parts_.clock());
    parts_.lifetime.settle(parts_.now());
  }
  SessionParts parts_;
  Endings endings_{parts_.totals, parts_.observers};
  Reports reports_;
};

TEST_F(EndingsTest, AReportHasWhatTheWorkersCountedToTheEnd) {
  Call& call = parts_.add_call();
  parts_.pass(10s);
  speak(call, 0, 5);
  speak(call, 1, 7);
  parts_.lifetime.end(call, EndReason::kRegular, parts_.clock());
  EXPECT_TRUE(reports_.all.empty()) << "the workers have not told it yet";
  parts_.lifetime.settle(parts_.now());
  ASSERT_EQ(reports_.all.size(), 1u);
  const CallReport& report = reports_.all[0];
  EXPECT_EQ(report.call_id, "call");
  EXPECT_EQ(report.duration, Duration(10s));
  EXPECT_EQ(report.reason, EndReason::kRegular);
  ASSERT_EQ(report.streams.size(), 2u);
  EXPECT_EQ(report.streams[0].leg, "A");
  EXPECT_EQ(report.streams[0].media, 1u);
  EXPECT_EQ(report.streams[0].type, "audio");
  EXPECT_EQ(report.streams[0].packets_in, 5u);
  EXPECT_EQ(report.streams[0].packets_out, 7u);
  EXPECT_EQ(report.streams[0].stream.ssrc, Ssrc{1});
  EXPECT_EQ(report.streams[1].packets_in, 7u);
  parts_.lifetime.settle(parts_.now());
  EXPECT_EQ(reports_.all.size(), 1u) << "once";
}

// docs/reference/ng.md#statistics: zerowaystreams, onewaystreams, the ends by their reason, and durations.
TEST_F(EndingsTest, StatisticsOfEndedCalls) {
  const struct {
    bool a;
    bool b;
    std::uint64_t zero_way;
    std::uint64_t one_way;
  } rows[] = {{true, true, 0, 0}, {true, false, 0, 1}, {false, true, 0, 2}, {false, false, 1, 2}};
  std::uint64_t calls = 0;
  for (const auto& row : rows) {
    Call& call = parts_.add_call();
    parts_.pass(2s);
    if (row.a) speak(call, 0);
    if (row.b) speak(call, 1);
    end(call, EndReason::kForced);
    EXPECT_EQ(parts_.totals.zero_way, row.zero_way) << row.a << row.b;
    EXPECT_EQ(parts_.totals.one_way, row.one_way) << row.a << row.b;
    EXPECT_EQ(parts_.totals.ended[static_cast<std::size_t>(EndReason::kForced)], ++calls);
  }
  EXPECT_DOUBLE_EQ(parts_.totals.duration_sum_s, 8);
  EXPECT_DOUBLE_EQ(parts_.totals.duration_square_sum_s2, 16);
}

TEST_F(EndingsTest, SectionsThatAreNotRelayedAreNoSilentStreams) {
  for (const int kind : {0, 1}) {
    Call& call = parts_.add_call();
    for (const std::size_t leg : {0u, 1u}) {
      Media& media = SessionParts::media(call, leg);
      (kind == 0 ? media.untouched : media.rejected) = true;
    }
    end(call);
  }
  EXPECT_EQ(parts_.totals.zero_way, 0u);
}

TEST_F(EndingsTest, ATimedOutCallIsKeptWithItsVerdict) {
  end(parts_.add_call("good"));
  Call& call = parts_.add_call("bad");
  parts_.pass(60s);
  end(call, EndReason::kTimeout);
  EXPECT_EQ(endings_.kept("good"), nullptr);
  const KeptCall* kept = endings_.kept("bad");
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(kept->explanation.worst(), Severity::kFault);
  EXPECT_FALSE(kept->explanation.summary().empty()) << "the words are made, too";
  EXPECT_EQ(kept->reason, EndReason::kTimeout);
  EXPECT_EQ(kept->ended, parts_.clock().wall);
  EXPECT_EQ(kept->duration, Duration(60s));
  EXPECT_EQ(endings_.kept_size().calls, 1u);
  EXPECT_GT(endings_.kept_size().bytes, kept->explanation.footprint());
}

TEST_F(EndingsTest, AVerdictOfTheDeletionStands) {
  Call& call = parts_.add_call();
  Explanation found;
  found.call_id = "as it was";
  call.ensure_extras().at_deletion = std::make_unique<Explanation>(found);
  end(call);
  ASSERT_EQ(reports_.all.size(), 1u);
  EXPECT_EQ(reports_.all[0].explanation.call_id, "as it was");
}

TEST_F(EndingsTest, TheNewestOfANameIsFoundAndSessionsByTheirCallId) {
  for (const char* id : {"call tag1", "call tag2", "callee"}) {
    Call& call = parts_.add_call(id);
    parts_.pass(60s);
    end(call, EndReason::kTimeout);
  }
  ASSERT_NE(endings_.kept("call"), nullptr);
  EXPECT_EQ(endings_.kept("call")->call_id, "call tag2") << "the tag stands behind a blank";
  EXPECT_EQ(endings_.kept("call tag1")->call_id, "call tag1");
  EXPECT_EQ(endings_.kept("cal"), nullptr);
}

TEST_F(EndingsTest, TheOldestGiveWay) {
  for (int n = 0; n < 260; ++n) {
    Call& call = parts_.add_call("call" + std::to_string(n));
    parts_.pass(11s);
    end(call, EndReason::kTimeout);
  }
  EXPECT_EQ(endings_.kept_size().calls, 256u);
  EXPECT_LE(endings_.kept_size().bytes, 8u << 20);
  EXPECT_EQ(endings_.kept("call3"), nullptr);
  EXPECT_NE(endings_.kept("call4"), nullptr);
}

TEST_F(EndingsTest, ACallThatIsBegunTwiceIsCountedOnce) {
  Call& call = parts_.add_call();
  endings_.begin(call, EndReason::kRegular, parts_.clock());
  end(call);
  EXPECT_EQ(parts_.totals.ended[static_cast<std::size_t>(EndReason::kRegular)], 1u);
  EXPECT_EQ(reports_.all.size(), 1u);
}

}  // namespace
}  // namespace ferry::test
