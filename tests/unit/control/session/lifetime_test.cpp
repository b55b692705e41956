// SPDX-License-Identifier: Apache-2.0
// Beginning and end of calls, and when one is over by itself (docs/reference/ng.md#lifetime).
#include "control/session/lifetime.hpp"

#include "tests/support/session_parts.hpp"

#include <functional>
#include <stdexcept>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

/// Notes what it is told, in order.
struct Log final : CallObserver {
  void on_created(Call& call, Instant) override {
    if (fails) throw std::bad_alloc();
    told.push_back("created " + call.id);
  }
  void on_ending(Call& call, EndReason, const Clock&) override {
    told.push_back("ending " + std::to_string(call.legs.size()) + " parties");
  }
  void on_closing(Call&, const LocalPorts& ports, RemoveTransport&) override {
    told.push_back(ports.closed ? "closing" : "still open");
  }
  void on_closed(Call&) override { told.emplace_back("closed"); }
  void on_forgotten(Call& call) override { told.push_back("forgotten " + call.id); }
  void on_settled() override { told.emplace_back("settled"); }
  std::vector<std::string> told;
  bool fails = false;
};

TEST(Lifetime, ACallEndsInOrder) {
  SessionParts parts;
  Call& call = parts.add_call();
  Log log;
  parts.observers.add(log);
  parts.lifetime.end(call, EndReason::kRegular, parts.clock());
  EXPECT_EQ(log.told,
            (std::vector<std::string>{"ending 2 parties", "closing", "closing", "closed", "forgotten call"}));
  EXPECT_EQ(parts.calls.find("call"), nullptr);
  parts.lifetime.settle(parts.now());
  EXPECT_EQ(log.told.back(), "settled");
  EXPECT_EQ(parts.network.open_ports(), 0u);
  EXPECT_EQ(parts.plane.worker(0).transports(), 0u);
}

TEST(Lifetime, ANewCallGoesToTheWorkerWithTheFewestTransports) {
  SessionParts parts({.workers = 2});
  Call& first = parts.add_call("first");
  Call& second = parts.add_call("second");
  EXPECT_NE(first.worker, second.worker);
  parts.lifetime.end(first, EndReason::kRegular, parts.clock());
  parts.lifetime.settle(parts.now());
  Call& third = parts.add_call("third");
  EXPECT_NE(third.worker, second.worker) << "its place is free";
}

TEST(Lifetime, ACallThatAnObserverHasNoMemoryForIsNotThere) {
  SessionParts parts;
  Log log;
  log.fails = true;
  parts.observers.add(log);
  EXPECT_THROW(parts.lifetime.create("call", parts.clock()), std::bad_alloc);
  EXPECT_FALSE(parts.calls.is_taken("call"));
  log.fails = false;
  EXPECT_EQ(parts.lifetime.create("call", parts.clock()).id, "call");
}

TEST(Lifetime, CallsBeginWithTheOctetOfTheDaemon) {
  SessionParts::Options options;
  options.session.tos = 184;
  SessionParts parts(options);
  EXPECT_EQ(parts.lifetime.create("call", parts.clock()).tos, 184);
}

TEST(Lifetime, WhatADeletedPartyCountedStaysInSight) {
  for (const bool keep : {true, false}) {
    SessionParts parts;
    Call& call = parts.add_call();
    parts.lifetime.end_leg(call, *call.legs[0], keep);
    const Media& media = SessionParts::media(call, 0);
    EXPECT_TRUE(media.via->ports.empty());
    EXPECT_EQ(media.extras ? media.extras->last.size() : 0, keep ? 1u : 0u);
    parts.lifetime.settle(parts.now());
    EXPECT_EQ(parts.network.open_ports(), 2u) << "the other party's";
  }
}

/// A change of a call of two parties that both were heard 10 s ago, and when it is over then: seconds from
/// now, and why.
struct DueRow {
  const char* name;
  std::function<void(SessionParts&, Call&)> change;
  std::chrono::seconds in;
  EndReason reason;
  bool deleted = false;
};
void PrintTo(const DueRow& row, std::ostream* out) { *out << row.name; }

class DueRows : public testing::TestWithParam<DueRow> {};

TEST_P(DueRows, IsOverThenAndForThatReason) {
  const DueRow& row = GetParam();
  SessionParts parts;
  Call& call = parts.add_call();
  call.last_signal = parts.now();
  parts.pass(100s);
  const auto heard = (parts.now() - 10s).time_since_epoch();
  for (const std::size_t leg : {0u, 1u})
    SessionParts::ports(call, leg).activity->last_packet_ns = heard.count();
  row.change(parts, call);
  const Due due = parts.lifetime.due(call);
  EXPECT_EQ(due.at - parts.now(), Duration(row.in));
  EXPECT_EQ(due.reason, row.reason);
  EXPECT_EQ(due.deleted, row.deleted);
}

// Times of SessionConfig: 60 s without media, an hour on hold, 300 s of an offer.
const DueRow kDueRows[] = {
    {"MediaFlows", [](SessionParts&, Call&) {}, 50s, EndReason::kTimeout},
    {"OneOfThemKeepsIt",
     [](SessionParts& p, Call& c) {
       SessionParts::ports(c, 0).activity->last_packet_ns = p.now().time_since_epoch().count();
     },
     60s, EndReason::kTimeout},
    {"SignallingCountsAsMedia", [](SessionParts& p, Call& c) { c.last_signal = p.now(); }, 60s,
     EndReason::kTimeout},
    {"AnOfferWaits", [](SessionParts&, Call& c) { SessionParts::media(c, 1).via->remote_known = false; },
     290s, EndReason::kOfferTimeout},
    {"OnHold", [](SessionParts&, Call& c) { SessionParts::media(c, 0).may_send = false; }, 3590s,
     EndReason::kSilentTimeout},
    {"Rejected", [](SessionParts&, Call& c) { SessionParts::media(c, 0).rejected = true; }, 3590s,
     EndReason::kSilentTimeout},
    {"TheFinalTimeIsEarlier", [](SessionParts& p, Call&) { p.config.final_timeout = 120s; }, 20s,
     EndReason::kFinalTimeout},
    {"TheFinalTimeIsLater", [](SessionParts& p, Call&) { p.config.final_timeout = 500s; }, 50s,
     EndReason::kTimeout},
    {"Deleted", [](SessionParts& p, Call& c) { c.delete_at = p.now() + 30s; }, 30s, EndReason::kRegular,
     true},
    {"APartyIsDeleted", [](SessionParts& p, Call& c) { c.legs[1]->delete_at = p.now() + 7s; }, 7s,
     EndReason::kRegular, true},
    {"ADeletedPartyWithoutPortsIsGone",
     [](SessionParts& p, Call& c) {
       c.legs[1]->delete_at = p.now() + 7s;
       p.desk.close_all(c, *SessionParts::media(c, 1).via);
     },
     50s, EndReason::kTimeout},
    // The 50 s that are left, the pause, and a second of grace after it.
    {"C13_APauseIsNoSilence", [](SessionParts& p, Call&) { p.lifetime.after_pause(p.now() - 8s, p.now()); },
     59s, EndReason::kTimeout},
    {"C13_APauseBeforeTheLastPacketIsOver",
     [](SessionParts& p, Call&) { p.lifetime.after_pause(p.now() - 30s, p.now() - 20s); }, 50s,
     EndReason::kTimeout},
    {"ASubscriberKeepsNobodyAlive",
     [](SessionParts& p, Call& c) {
       Media& media = SessionParts::media(c, 1);
       media.leg->from_offer_answer = media.may_send = false;
       SessionParts::ports(c, 1).activity->last_packet_ns = p.now().time_since_epoch().count();
     },
     50s, EndReason::kTimeout},
    {"WhatIsNotRelayedKeepsNobodyAlive",
     [](SessionParts& p, Call& c) {
       SessionParts::media(c, 1).untouched = true;
       SessionParts::ports(c, 1).activity->last_packet_ns = p.now().time_since_epoch().count();
     },
     50s, EndReason::kTimeout},
    {"OnlyListenersAreLeft",
     [](SessionParts& p, Call& c) {
       for (const std::size_t leg : {0u, 1u}) {
         Media& media = SessionParts::media(c, leg);
         media.leg->from_offer_answer = media.may_send = false;
       }
       c.touched = p.now() - 20s;
     },
     40s, EndReason::kTimeout},
};
INSTANTIATE_TEST_SUITE_P(Lifetime, DueRows, testing::ValuesIn(kDueRows),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(Lifetime, LAT15_AWaitingOfferIsLookedAtWhenItEnds) {
  SessionParts parts;
  Call& call = parts.add_call();
  call.last_signal = parts.now();
  call.proposals.push_back({call.legs[0].get(), call.legs[1].get(), parts.now() + 20s, {}, {}});
  EXPECT_EQ(parts.lifetime.next_look(call), parts.now() + 20s);
}

TEST(Lifetime, ASweepPassesOnlyCallsWhoseTimeHasCome) {
  SessionParts parts;
  Call& soon = parts.add_call("soon");
  Call& late = parts.add_call("late");
  Call& gone = parts.add_call("gone");
  const Instant start = parts.now();
  parts.lifetime.schedule(soon, start + 10s, start);
  parts.lifetime.schedule(late, start + 3600s, start);
  parts.lifetime.schedule(gone, start + 5s, start);
  parts.lifetime.end(gone, EndReason::kForced, parts.clock());
  EXPECT_EQ(parts.lifetime.next_due(start + 9s), nullptr);
  EXPECT_EQ(parts.lifetime.next_due(start + 10s), &soon);
  EXPECT_EQ(parts.lifetime.next_due(start + 59s), nullptr) << "it stays out of the queue";
  EXPECT_EQ(parts.lifetime.next_due(start + 60s), &late) << "looked at once a minute at least";
  EXPECT_EQ(late.scheduled_at, start + 60s);
}

TEST(Lifetime, AnEarlierLookReplacesALaterOne) {
  SessionParts parts;
  Call& call = parts.add_call();
  const Instant start = parts.now();
  parts.lifetime.schedule(call, start + 50s, start);
  call.delete_at = start + 5s;
  parts.lifetime.schedule_next(call, start);
  EXPECT_EQ(call.scheduled_at, start + 5s);
  EXPECT_EQ(parts.lifetime.next_due(start + 5s), &call);
  call.delete_at = start + 400s;
  call.scheduled_at = start + 5s;
  parts.lifetime.schedule_next(call, start);
  EXPECT_EQ(call.scheduled_at, start + 5s) << "no later one";
}

}  // namespace
}  // namespace ferry::test
