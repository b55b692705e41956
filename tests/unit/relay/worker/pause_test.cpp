// SPDX-License-Identifier: Apache-2.0
// Row C-13 in the worker's own loop: it notices that it was stopped, and what waited comes before what is
// due.

#include "relay/worker/worker.hpp"
#include "tests/support/packets.hpp"

#include <atomic>
#include <deque>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;
using test::Packet;
using test::rtp;

const Endpoint kParty{IpAddress::v4({192, 0, 2, 10}), UdpPort{4000}};
const Endpoint kOther{IpAddress::v4({192, 0, 2, 21}), UdpPort{4000}};

/// An engine in virtual time. What happens in each sleep is the test's.
class ScriptedIo final : public PacketIo {
 public:
  using Sleep = std::function<void(ScriptedIo&, Instant deadline)>;
  ScriptedIo(std::deque<Sleep> sleeps, std::atomic<bool>& stop) : sleeps_(std::move(sleeps)), stop_(stop) {}

  bool attach(PortHandle, std::uint64_t cookie) noexcept override {
    cookies_.push_back(cookie);
    return true;
  }
  void detach(PortHandle) noexcept override {}
  [[nodiscard]] Endpoint local_of(PortHandle) const noexcept override { return {}; }
  std::size_t receive(std::span<PacketBuffer> batch) noexcept override {
    if (ready_.empty()) return 0;
    PacketBuffer buffer = pool_.allocate();
    std::ranges::copy(ready_.front(), buffer.space().begin());
    buffer.set_data_size(ready_.front().size());
    ready_.pop_front();
    buffer->remote = kParty;
    buffer->cookie = cookies_.front();
    batch[0] = std::move(buffer);
    return 1;
  }
  void send(std::span<PacketBuffer> batch, std::span<SendError> errors) noexcept override {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      errors[i] = SendError::kNone;
      batch[i].reset();
      ++sent;
    }
  }
  PacketBuffer allocate() noexcept override { return pool_.allocate(); }
  [[nodiscard]] Stock stock() const noexcept override { return {}; }
  void wait(Instant deadline) noexcept override {
    deadlines.push_back(deadline - time);
    if (sleeps_.empty()) {
      stop_.store(true);
      return;
    }
    const Sleep sleep = std::move(sleeps_.front());
    sleeps_.pop_front();
    sleep(*this, deadline);
  }
  void wake() noexcept override {}
  [[nodiscard]] Instant now() const noexcept override { return time; }

  void arrives(Packet packet) { ready_.push_back(std::move(packet)); }

  Instant time{1h};
  std::size_t sent = 0;
  std::vector<Duration> deadlines;

 private:
  std::deque<Sleep> sleeps_;
  std::atomic<bool>& stop_;
  std::deque<Packet> ready_;
  std::vector<std::uint64_t> cookies_;
  PacketPool pool_{64};
};

struct Outcome {
  std::size_t sent = 0;
  std::uint64_t pauses = 0;
  std::uint64_t stale = 0;
  std::vector<Duration> deadlines;
};

/// A worker with a call of two parties, of which one sends, runs until there is no sleep left.
Outcome run(std::deque<ScriptedIo::Sleep> sleeps, bool has_call = true) {
  std::atomic<bool> stop{false};
  auto made = std::make_unique<ScriptedIo>(std::move(sleeps), stop);
  ScriptedIo& io = *made;
  Worker worker(std::move(made), std::make_shared<const OwnMedia>(std::vector<OwnMedia::Range>{}));
  for (std::uint32_t side = 0; has_call && side < 2; ++side) {
    TransportPlan plan;
    plan.rtp_latch.signalled = side == 0 ? kParty : kOther;
    SourcePlan source;
    source.media = MediaId{side + 1};
    source.payloads = {{PayloadType{8}, G711Law::kNone, 0, false, 8000}};
    source.sinks.resize(1);
    source.sinks[0].via = {1 - side, 0};
    source.sinks[0].to = MediaId{2 - side};
    plan.sources = {source};
    InstallTransport command;
    command.id = {side, 0};
    command.plan = std::make_shared<const TransportPlan>(std::move(plan));
    command.ports[0] = PortHandle{static_cast<std::int32_t>(side)};
    command.activity = std::make_shared<TransportActivity>();
    worker.post(std::move(command));
  }
  worker.run(stop);
  return {io.sent, worker.totals().pauses.load(),
          worker.totals().drops[static_cast<std::size_t>(DropReason::kStaleAfterPause)].load(), io.deadlines};
}

/// A sleep that a packet of the party ends after 20 ms.
ScriptedIo::Sleep packet(std::uint16_t number) {
  return [number](ScriptedIo& io, Instant) {
    io.time += 20ms;
    io.arrives(rtp('A', 1, number));
  };
}

TEST(WorkerPause, C13_AStoppedWorkerTakesInWhatWaitedThoughASignalEndedItsSleep) {
  // A signal ends the sleep before the engine has looked (EINTR of epoll_wait).
  const auto stopped = [](ScriptedIo& io, Instant) { io.time += 6s; };
  const auto looks = [](ScriptedIo& io, Instant) {
    for (std::uint16_t n = 3; n < 303; ++n) io.arrives(rtp('A', 1, n));
  };
  std::deque<ScriptedIo::Sleep> sleeps = {packet(1), packet(2), stopped, looks};
  for (int n = 0; n < 301; ++n) sleeps.emplace_back([](ScriptedIo&, Instant) {});  // one by one
  const Outcome seen = run(std::move(sleeps));
  EXPECT_EQ(seen.pauses, 1u);
  EXPECT_EQ(seen.stale, 290u);
  EXPECT_EQ(seen.sent, 2u + 10u);
}

TEST(WorkerPause, C13_ASleepThatEndsInTimeIsNoPause) {
  const auto sleeps_well = [](ScriptedIo& io, Instant deadline) { io.time = deadline; };
  const auto oversleeps = [](ScriptedIo& io, Instant deadline) { io.time = deadline + 990ms; };
  EXPECT_EQ(run({10, sleeps_well}).pauses, 0u);
  EXPECT_EQ(run({10, oversleeps}).pauses, 0u);
  EXPECT_EQ(run({10, sleeps_well}, false).pauses, 0u) << "without calls it sleeps longer";
}

TEST(WorkerPause, C13_WithCallsItWakesUpOftenEnoughToNotice) {
  const auto sleeps_well = [](ScriptedIo& io, Instant deadline) { io.time = deadline; };
  for (const Duration each : run({10, sleeps_well}).deadlines) EXPECT_LE(each, 1s);
  const auto seen = run({10, sleeps_well}).deadlines;
  EXPECT_LE(seen.back(), 250ms);
}

TEST(WorkerPause, C13_EveryPauseCounts) {
  const auto stopped = [](ScriptedIo& io, Instant deadline) { io.time = deadline + 2s; };
  const auto looks = [](ScriptedIo&, Instant) {};
  const Outcome seen = run({packet(1), stopped, looks, packet(101), stopped, looks, packet(201)});
  EXPECT_EQ(seen.pauses, 2u);
}

}  // namespace
}  // namespace ferry
