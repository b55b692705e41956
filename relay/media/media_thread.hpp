// SPDX-License-Identifier: Apache-2.0
// One media thread: its lanes to all workers, its stages, its loop.
#pragma once

#include "relay/base/bell.hpp"
#include "relay/media/lanes.hpp"
#include "relay/media/order_list.hpp"
#include "relay/media/stage_host.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace ferry {

/// A worker as media threads see it. It outlives every stage that it began, and takes leave of all threads
/// before it is gone.
struct MediaClient {
  /// Ends the worker's sleep. Any thread.
  std::function<void()> wake;
  /// True while the worker is to look at its lanes: it has been woken for them.
  std::atomic<bool> has_made{false};
};

/// Runs stages for all workers. Sans-IO but for `run` and the bell; `turn` is one turn of its loop.
///
/// Threads: `run`, `turn` and `due` belong to its own thread; `set_client` to one that knows that no packet
/// of that worker is under way; all else to any thread. The lanes have one worker at their other end.
class MediaThread final : private HostOutlet {
 public:
  /// `number` is its place among the threads; `now` is the clock of the workers.
  MediaThread(std::size_t number, MakeStage make, std::size_t workers, std::function<Instant()> now)
      : number_(number),
        host_(std::move(make), *this),
        clients_(workers),
        now_(std::move(now)),
        losses_(workers) {
    for (std::size_t i = 0; i < workers; ++i) lanes_.push_back(std::make_unique<Lanes>());
    made_for_.resize(workers);
    ends_.resize(workers);
  }

  [[nodiscard]] std::size_t number() const noexcept { return number_; }
  [[nodiscard]] Lanes& lanes_of(unsigned worker) noexcept { return *lanes_[worker]; }
  void set_client(unsigned worker, MediaClient* client) noexcept { clients_[worker].store(client); }
  /// Gives an order, and wakes the thread.
  void give(std::unique_ptr<MediaOrder> order) noexcept {
    orders_.give(std::move(order));
    bell_.ring();
  }
  /// Says that a packet was put into a lane.
  void ring() noexcept { bell_.ring(); }

  /// Runs until `stop` becomes true and somebody rings. Sleeps while nothing is due.
  void run(const std::atomic<bool>& stop) noexcept;
  /// Takes in what waits, and drives what is due. Returns the number of packets and orders.
  std::size_t turn() noexcept;
  /// When a stage has something to make; nothing = never.
  [[nodiscard]] std::optional<Instant> due() const noexcept { return host_.due(); }

  /// Share of the last second in which it was busy, percent.
  [[nodiscard]] unsigned load() const noexcept { return load_.load(std::memory_order_relaxed); }
  /// Stages that it has, or is about to have.
  [[nodiscard]] std::size_t stages() const noexcept { return stages_.load(std::memory_order_relaxed); }
  /// Counts a stage that is about to begin (+1), or that has ended (-1).
  void count_stage(int by) noexcept {
    stages_.fetch_add(static_cast<std::size_t>(by), std::memory_order_relaxed);
  }
  /// Packets of one worker that got lost here, since it asked last.
  struct Losses {
    /// They were made, and the worker's lane had no room.
    std::atomic<std::uint64_t> without_room{0};
    /// Their stage was gone.
    std::atomic<std::uint64_t> without_stage{0};
  };
  [[nodiscard]] Losses& losses_of(unsigned worker) noexcept { return losses_[worker]; }
  /// Linux thread id; 0 before it runs.
  [[nodiscard]] std::int64_t thread_id() const noexcept { return thread_id_.load(std::memory_order_relaxed); }

 private:
  void take(unsigned worker, const StageOwner& owner, const MadePacket& packet) noexcept override;
  void take_datagram(unsigned worker, const StageOwner& owner, Bytes datagram) noexcept override;
  /// Puts what was made for `worker` into its lane.
  void put(unsigned worker, FinishedPacket head, Bytes octets) noexcept;
  void follow(const MediaOrder& order) noexcept;
  /// Wakes the workers that something was made for.
  void wake_clients() noexcept;
  /// Sleeps until a time that is less than a second away, whatever rings. Returns the time then.
  [[nodiscard]] Instant gather_until(Instant until, Instant now) const noexcept;
  /// Sleeps until the bell rings or `until` passes.
  void sleep(Instant until) noexcept;
  /// Adds `busy` to the present second, which ends at `now` or later.
  void measure(Duration busy, Instant now) noexcept;

  std::size_t number_;
  OrderList orders_;
  Bell bell_;
  StageHost host_;
  std::vector<std::unique_ptr<Lanes>> lanes_;
  std::vector<std::atomic<MediaClient*>> clients_;
  std::function<Instant()> now_;
  /// By worker: something was made for it, or lost, since it was woken.
  std::vector<bool> made_for_;
  /// By worker: the end of its lane in the present turn.
  std::vector<std::size_t> ends_;
  std::vector<Losses> losses_;
  std::atomic<unsigned> load_{0};
  std::atomic<std::size_t> stages_{0};
  std::atomic<std::int64_t> thread_id_{0};
  /// When the second that is measured began, and how long the thread was busy in it.
  Instant second_{};
  Duration busy_{0};
};

}  // namespace ferry
