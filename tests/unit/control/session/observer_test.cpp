// SPDX-License-Identifier: Apache-2.0
// Whoever listens is told in the order in which it was added.
#include "control/session/observer.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

struct Named final : CallObserver {
  Named(std::string n, std::vector<std::string>& l, bool w = false) : name(std::move(n)), log(l), wants(w) {}
  void on_closed(Call& call) override { log.push_back(name + " " + call.id); }
  bool wants_decisions(const Call&) override {
    log.push_back(name + " asked");
    return wants;
  }
  std::string name;
  std::vector<std::string>& log;
  bool wants;
};

TEST(CallObservers, AllAreToldInTheirOrderUntilTheyAreRemoved) {
  std::vector<std::string> log;
  Named first("first", log);
  Named second("second", log);
  CallObservers observers;
  Call call;
  call.id = "call";
  observers.tell(&CallObserver::on_closed, call);
  EXPECT_TRUE(log.empty());
  observers.add(first);
  observers.add(second);
  observers.tell(&CallObserver::on_closed, call);
  EXPECT_EQ(log, (std::vector<std::string>{"first call", "second call"}));
  observers.remove(first);
  observers.tell(&CallObserver::on_closed, call);
  EXPECT_EQ(log.back(), "second call");
  EXPECT_EQ(log.size(), 3u);
}

TEST(CallObservers, DecisionsAreWantedIfAnybodyReadsThem) {
  std::vector<std::string> log;
  Call call;
  for (const auto& [a, b] : {std::pair(false, false), {true, false}, {false, true}}) {
    Named first("first", log, a);
    Named second("second", log, b);
    CallObservers observers;
    observers.add(first);
    observers.add(second);
    EXPECT_EQ(observers.wants_decisions(call), a || b);
  }
  EXPECT_FALSE(CallObservers().wants_decisions(call));
}

// A class that overrides one of them need not know the others.
TEST(CallObservers, ByDefaultNothingIsDone) {
  CallObserver nobody;
  CallObservers observers;
  observers.add(nobody);
  Call call;
  Leg leg;
  const DtmfEvent event{};
  observers.tell(&CallObserver::on_created, call, Instant{});
  observers.tell(&CallObserver::on_dtmf, call, leg, event);
  observers.tell(&CallObserver::on_settled);
  EXPECT_FALSE(observers.wants_decisions(call));
}

}  // namespace
}  // namespace ferry::test
