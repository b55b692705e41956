// SPDX-License-Identifier: Apache-2.0
// Real threads: a worker's thread and media threads, with stages that come and go.

#include "relay/media/media_threads.hpp"

#include "tests/support/echo_stage.hpp"

#include <array>
#include <atomic>
#include <cmath>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::media_threads_test {
namespace {

Instant steady() { return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()); }

std::shared_ptr<const AudioConversion> heavy() {
  AudioConversion made;
  made.format.encoding = "opus";
  made.type = PayloadType{111};
  return std::make_shared<const AudioConversion>(made);
}

/// Says each payload again. Counts those that live, on whatever thread.
class Echo final : public OutputStage {
 public:
  explicit Echo(std::atomic<int>& alive) : alive_(alive) { ++alive_; }
  ~Echo() override { --alive_; }
  Echo(const Echo&) = delete;
  Echo& operator=(const Echo&) = delete;
  void hear(std::uint64_t, const std::shared_ptr<const AudioConversion>& conversion, const RtpView& rtp,
            Instant, MadePackets& out) noexcept override {
    out.take({conversion->type, false, 160, rtp.payload, 8000});
  }
  [[nodiscard]] std::optional<Instant> due() const noexcept override { return std::nullopt; }
  void drive(Instant, MadePackets&) noexcept override {}

 private:
  std::atomic<int>& alive_;
};

class Count final : public MadeElsewhere, public MadePackets {
 public:
  void take(const StageOwner&, const MadePacket&) noexcept override { ++came; }
  void take_datagram(const StageOwner&, Bytes) noexcept override { ++came; }
  void take_datagram(Bytes) noexcept override {}
  void take(const MadePacket&) noexcept override {}
  void lose(DropReason, std::size_t packets) noexcept override { lost += packets; }
  std::size_t came = 0;
  std::size_t lost = 0;
};

/// One worker: makes stages, lets them hear, and ends them, until all came back.
void work(MediaThreads& threads, unsigned number, std::atomic<std::size_t>& missing) {
  constexpr std::size_t kStages = 200;
  constexpr std::size_t kPackets = 20;
  std::atomic<bool> is_awake{false};
  auto maker = threads.maker_for(number, [&] {
    is_awake.store(true, std::memory_order_release);
    is_awake.notify_all();
  });
  Count count;
  std::size_t sent = 0;
  const auto conversion = heavy();
  const std::array<std::byte, 160> payload{};
  for (std::uint32_t n = 0; n < kStages; ++n) {
    auto stage = maker->make({(std::uint64_t{number} << 48) + n, {n, 0}, MediaId{n}, {n + 1, 0}});
    const std::size_t before = count.came + count.lost;
    for (std::size_t i = 0; i < kPackets; ++i, ++sent) {
      RtpView rtp;
      rtp.payload = payload;
      while (stage->refusal() != DropReason::kNone) maker->collect(count);
      stage->hear(1, conversion, rtp, steady(), count);
      maker->flush();
    }
    // Half of them end while their packets are under way.
    while (n % 2 == 0 && count.came + count.lost < before + kPackets) {
      is_awake.wait(false, std::memory_order_acquire);
      is_awake.store(false, std::memory_order_relaxed);
      maker->collect(count);
    }
  }
  while (count.came + count.lost < sent) {
    maker->collect(count);
    std::this_thread::yield();
  }
  missing += sent - count.came - count.lost;
}

TEST(MediaThreads, SeveralWorkersAndThreadsLoseNothingUncounted) {
  std::atomic<int> alive{0};
  std::atomic<std::size_t> missing{0};
  {
    MediaThreads threads(
        2, 2, [&](const StageOwner&) { return std::make_unique<Echo>(alive); }, steady);
    threads.start();
    std::vector<std::thread> workers;
    for (unsigned number = 0; number < 2; ++number)
      workers.emplace_back([&, number] { work(threads, number, missing); });
    for (std::thread& worker : workers) worker.join();
  }
  EXPECT_EQ(alive.load(), 0);
  EXPECT_EQ(missing.load(), 0u);
}

TEST(MediaThreads, AThreadCountsTinyNumbersAsZero) {
  /// Halves the smallest normal number on the thread.
  class Halve final : public OutputStage {
   public:
    explicit Halve(std::atomic<float>& result) : result_(result) {}
    void hear(std::uint64_t, const std::shared_ptr<const AudioConversion>&, const RtpView&, Instant,
              MadePackets&) noexcept override {
      volatile float least = std::numeric_limits<float>::min();
      result_ = least / 2;
      result_.notify_all();
    }
    [[nodiscard]] std::optional<Instant> due() const noexcept override { return std::nullopt; }
    void drive(Instant, MadePackets&) noexcept override {}

   private:
    std::atomic<float>& result_;
  };
  std::atomic<float> result{1};
  MediaThreads threads(
      1, 1, [&](const StageOwner&) { return std::make_unique<Halve>(result); }, steady);
  threads.start();
  const auto maker = threads.maker_for(0, [] {});
  const auto stage = maker->make({1, {}, {}, {}});
  Count count;
  stage->hear(1, heavy(), {}, steady(), count);
  maker->flush();
  result.wait(1);
  EXPECT_EQ(result.load(), 0.0F);
}

}  // namespace
}  // namespace ferry::media_threads_test
