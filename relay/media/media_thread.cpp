// SPDX-License-Identifier: Apache-2.0
#include "relay/media/media_thread.hpp"

#include "relay/media/denormals.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

namespace ferry {

using namespace std::chrono_literals;

namespace {

/// An idle thread wakes up so often, so that its load is that of the last second.
constexpr Duration kLongestSleep = 1s;
/// While work is dense, the thread gathers it for so long: a wake-up costs as much as a frame of some codecs.
/// What is made leaves at most so much later.
constexpr Duration kGather = 900us;
/// Work is dense if the turn before began at most this long ago.
constexpr Duration kDense = 3 * kGather;
/// Nice value of the thread. Packets that only pass go first where threads have to share a core.
constexpr int kNice = 10;

}  // namespace

void MediaThread::run(const std::atomic<bool>& stop) noexcept {
  thread_id_.store(gettid(), std::memory_order_relaxed);
  flush_denormals();
  // Without the right to do so the thread runs like any other.
  (void)setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
  Instant begun = second_ = now_();
  bool is_dense = false;
  while (!stop.load(std::memory_order_relaxed)) {
    bell_.quiet();
    turn();
    Instant now = now_();
    measure(now - begun, now);
    const Instant next = std::min(host_.due().value_or(now + kLongestSleep), now + kLongestSleep);
    if (is_dense || next <= begun + kGather) now = gather_until(begun + kGather, now);
    if (next > now && !bell_.is_rung()) sleep(next);
    now = now_();
    is_dense = now - std::exchange(begun, now) < kDense;
  }
}

std::size_t MediaThread::turn() noexcept {
  // The ends come first: a stage whose packets are before them has begun in the orders behind them.
  std::size_t count = 0;
  for (std::size_t worker = 0; worker < lanes_.size(); ++worker) ends_[worker] = lanes_[worker]->heard.end();
  for (auto order = orders_.take_all(); order; order = std::move(order->next), ++count) follow(*order);
  for (std::size_t worker = 0; worker < lanes_.size(); ++worker) {
    count += lanes_[worker]->heard.drain(ends_[worker], [&](HeardPacket& packet, Bytes payload) {
      if (packet.share) packet.share->fetch_sub(Lanes::share_of(payload.size()), std::memory_order_relaxed);
      if (host_.hear(packet, payload)) return;
      losses_[worker].without_stage.fetch_add(1, std::memory_order_relaxed);
      made_for_[worker] = true;
    });
  }
  host_.drive(now_());
  wake_clients();
  return count;
}

void MediaThread::follow(const MediaOrder& order) noexcept {
  switch (order.kind) {
    case MediaOrder::Kind::kBegin:
      host_.begin(order.worker, order.owner);
      return;
    case MediaOrder::Kind::kEnd:
      host_.end(order.owner.serial);
      return;
    case MediaOrder::Kind::kLeave:
      host_.end_all(order.worker);
      made_for_[order.worker] = false;
      set_client(order.worker, nullptr);
      order.done->store(true, std::memory_order_release);
      order.done->notify_all();
      return;
  }
}

void MediaThread::take(unsigned worker, const StageOwner& owner, const MadePacket& packet) noexcept {
  put(worker, {owner, packet.units, packet.clock_rate_hz, packet.lost, packet.type, packet.marker, false},
      packet.payload);
}

void MediaThread::take_datagram(unsigned worker, const StageOwner& owner, Bytes datagram) noexcept {
  FinishedPacket head;
  head.owner = owner;
  head.is_datagram = true;
  put(worker, head, datagram);
}

void MediaThread::put(unsigned worker, FinishedPacket head, Bytes octets) noexcept {
  if (octets.size() > Lanes::kLongest || !lanes_[worker]->made.push(std::move(head), octets))
    losses_[worker].without_room.fetch_add(1, std::memory_order_relaxed);
  made_for_[worker] = true;
}

void MediaThread::wake_clients() noexcept {
  for (std::size_t worker = 0; worker < made_for_.size(); ++worker) {
    if (!made_for_[worker]) continue;
    made_for_[worker] = false;
    MediaClient* const client = clients_[worker].load();
    // Waking is a system call: one is enough until the worker has looked.
    if (client != nullptr && !client->has_made.exchange(true)) client->wake();
  }
}

void MediaThread::sleep(Instant until) noexcept {
  const Duration rest = std::max(until - now_(), Duration{0});
  const timespec time{static_cast<time_t>(rest.count() / 1'000'000'000),
                      static_cast<long>(rest.count() % 1'000'000'000)};
  pollfd bell{bell_.fd(), POLLIN, 0};
  ppoll(&bell, 1, &time, nullptr);
}

Instant MediaThread::gather_until(Instant until, Instant now) const noexcept {
  if (now >= until) return now;
  const timespec time{0, static_cast<long>((until - now).count())};
  nanosleep(&time, nullptr);
  return now_();
}

void MediaThread::measure(Duration busy, Instant now) noexcept {
  busy_ += busy;
  const Duration length = now - second_;
  if (length < 1s) return;
  load_.store(static_cast<unsigned>(std::min<Duration::rep>(100, 100 * busy_ / length)),
              std::memory_order_relaxed);
  second_ = now;
  busy_ = Duration{0};
}

}  // namespace ferry
