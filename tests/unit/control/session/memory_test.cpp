// SPDX-License-Identifier: Apache-2.0
// Row C-12, memory, on the control side: it ends while control asks the workers what they know of calls. At
// every allocation on the way, nothing that workers still write to is freed, and the calls go on.
//
// `operator new` is replaced in this program. Workers run on the thread of the test, and only when control
// waits for them: a command that nobody waited for is still to be done.

#include "control/call/call.hpp"
#include "tests/support/failing_memory.hpp"
#include "tests/support/world.hpp"

#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class WithoutMemory : public ::testing::Test {
 protected:
  WithoutMemory() {
    WorldOptions options;
    options.workers = 2;
    world_ = make_sim_world(options);
    for (unsigned n = 0; n < kCalls; ++n) {
      const Endpoint a{world_->peer_address(n + 1, 'a'), UdpPort{4000}};
      const Endpoint b{world_->peer_address(n + 1, 'b'), UdpPort{5000}};
      world_->ng(offer(name_of(n), "A", audio_sdp(a)));
      EXPECT_EQ(world_->ng(answer(name_of(n), "A", "B", audio_sdp(b)))["result"], "ok");
    }
    world_->run(20s);
  }

  static std::string name_of(unsigned n) { return "call-" + std::to_string(n); }
  /// Commands that were given to the workers, and that no worker has carried out yet.
  [[nodiscard]] std::uint64_t undone() {
    std::uint64_t sum = 0;
    MediaPlane& plane = world_->manager().plane();
    for (std::size_t i = 0; i < plane.workers(); ++i)
      sum += plane.worker(i).posted() - plane.worker(i).completed();
    return sum;
  }

  /// Runs `look` again and again, each time with one more allocation before the one that fails, until none
  /// does. `look` gives false if it went without its answer. How often it did.
  std::size_t fail_everywhere(const std::function<bool()>& look) {
    std::size_t without = 0;
    for (long first = 0; first < kMost; ++first) {
      EXPECT_EQ(undone(), 0u);
      const long before = FailingMemory::failed;
      FailingMemory::failures = 1;
      FailingMemory::left = first;
      const bool is_answered = look();
      FailingMemory::left = -1;
      if (undone() != 0) {
        // What the workers are to write to is gone: they must not run any more.
        ADD_FAILURE() << undone() << " commands were left undone when allocation " << first << " failed";
        std::abort();
      }
      if (!is_answered) ++without;
      if (FailingMemory::failed == before) return without;
    }
    ADD_FAILURE() << "it takes more than " << kMost << " allocations";
    return without;
  }
  /// True if `ask` gave an answer, false if it had no memory.
  static bool had_answer(const std::function<json()>& ask) {
    try {
      return !ask().is_null();
    } catch (const std::bad_alloc&) {
      return false;
    }
  }

  static constexpr unsigned kCalls = 3;
  static constexpr long kMost = 100'000;
  std::unique_ptr<World> world_;
};

TEST_F(WithoutMemory, C12_ATurnOfTheWatchIsLeftOutAndTheNextOneLooks) {
  SessionManager& manager = world_->manager();
  // So late that each turn finds all calls due.
  Clock clock = world_->clock();
  const std::size_t without = fail_everywhere([&] {
    clock.now += HealthWatch::kRoutineTime + 1s;
    return manager.watch(clock);
  });
  EXPECT_GT(without, 50u) << "it fails at many places";
  clock.now += HealthWatch::kRoutineTime + 1s;
  EXPECT_TRUE(manager.watch(clock));
  for (unsigned n = 0; n < kCalls; ++n)
    EXPECT_EQ(manager.health().of(*manager.find(name_of(n))).looked_at(), clock.now) << n;
}

TEST_F(WithoutMemory, C12_WhoAsksForACallGetsNoAnswerAndNothingIsFreedUnderTheWorkers) {
  SessionManager& manager = world_->manager();
  const Clock clock = world_->clock();
  // What workers write to is large. JSON, of small pieces, needs memory to be destroyed, and has none then.
  FailingMemory::least = sizeof(TransportSnapshot);
  const struct {
    const char* what;
    std::function<json()> ask;
  } cases[] = {
      {"show", [&] { return manager.show("call-0", clock); }},
      {"explain", [&] { return manager.explain("call-0", false, clock); }},
      {"explain --packets", [&] { return manager.explain("call-0", true, clock); }},
      {"export", [&] { return manager.export_call("call-0", clock); }},
  };
  for (const auto& each : cases) {
    EXPECT_GE(fail_everywhere([&] { return had_answer(each.ask); }), 2u) << each.what;
    EXPECT_TRUE(had_answer(each.ask)) << each.what;
  }
  FailingMemory::least = 0;
  world_->run(world_->elapsed() + 5s);
}

}  // namespace
}  // namespace ferry::test
