// SPDX-License-Identifier: Apache-2.0
// Commands go to each worker through a ring. A fence wakes all workers with commands first and only then
// waits, so that they work at the same time; a worker whose commands need not be complete is woken and not
// waited for.
#include "control/session/media_plane.hpp"

#include "relay/base/thread_name.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <stdexcept>
#include <system_error>

#include <fmt/format.h>
#include <pthread.h>

namespace ferry {

namespace {

/// Ends the threads that were started, and waits for them.
template <class Slots>
void end_threads(std::atomic<bool>& stop, Slots& slots) {
  stop = true;
  for (auto& slot : slots) {
    if (!slot->thread.joinable()) continue;
    slot->worker->wake();
    slot->thread.join();
  }
}

}  // namespace

MediaPlane::MediaPlane(std::vector<std::unique_ptr<Worker>> workers, bool threads) : threads_(threads) {
  for (auto& worker : workers) {
    auto slot = std::make_unique<Slot>();
    slot->worker = std::move(worker);
    slot->worker->set_bell(&bell_);
    slot->worker->set_number(static_cast<unsigned>(workers_.size()));
    workers_.push_back(std::move(slot));
  }
  if (!threads_) return;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    Worker* worker = workers_[i]->worker.get();
    try {
      workers_[i]->thread = std::thread([this, worker, i] {
        name_thread("worker-" + std::to_string(i));
        worker->run(stop_);
      });
    } catch (const std::system_error& e) {
      end_threads(stop_, workers_);
      throw std::runtime_error(fmt::format(
          "the host gives no thread for media worker {} of {}: {} (TasksMax of the unit, ulimit -u, or fewer "
          "by num-threads)",
          i + 1, workers_.size(), e.code().message()));
    }
  }
}

MediaPlane::~MediaPlane() { end_threads(stop_, workers_); }

std::uint64_t MediaPlane::converted() const {
  std::uint64_t sum = 0;
  for (const auto& slot : workers_) sum += slot->worker->totals().stages.load(std::memory_order_relaxed);
  return sum;
}

std::size_t MediaPlane::least_loaded() const {
  const auto found = std::ranges::min_element(workers_, {}, [](const auto& slot) { return slot->live; });
  return static_cast<std::size_t>(found - workers_.begin());
}

bool MediaPlane::share(const Endpoint& local, const std::vector<PortHandle>& handles) {
  if (workers() > 1 && !exchange_) exchange_ = std::make_shared<Exchange>(workers());
  // Not a vector of bool, whose elements have no address.
  std::deque<bool> served(workers(), false);
  for (std::size_t i = 0; i < workers(); ++i) post(i, AddSharedPort{handles[i], exchange_, &served[i]}, true);
  fence();
  shared_[local] = handles;
  return std::ranges::all_of(served, std::identity{});
}

void MediaPlane::unshare() {
  for (const auto& [local, handles] : shared_) {
    for (std::size_t i = 0; i < workers(); ++i) post(i, RemoveSharedPort{handles[i]}, true);
  }
  fence();
  shared_.clear();
}

PortHandle MediaPlane::shared(const Endpoint& local, std::size_t worker) const {
  const auto found = shared_.find(local);
  return found != shared_.end() ? found->second[worker] : PortHandle{};
}

TransportId MediaPlane::allocate(std::size_t worker) {
  Slot& slot = *workers_[worker];
  ++slot.live;
  if (slot.free_slots.empty()) {
    slot.generations.push_back(0);
    slot.owners.emplace_back();
    return {static_cast<std::uint32_t>(slot.generations.size() - 1), 0};
  }
  const std::uint32_t index = slot.free_slots.back();
  slot.free_slots.pop_back();
  return {index, ++slot.generations[index]};
}

MediaTransport* MediaPlane::owner(std::size_t worker, TransportId id) const {
  const auto& owners = workers_[worker]->owners;
  if (id.slot >= owners.size() || owners[id.slot].first != id.generation) return nullptr;
  return owners[id.slot].second;
}

void MediaPlane::free(std::size_t worker, TransportId id) {
  Slot& slot = *workers_[worker];
  --slot.live;
  slot.owners[id.slot].second = nullptr;
  slot.free_slots.push_back(id.slot);
}

void MediaPlane::post(std::size_t worker, WorkerCommand command, bool must_complete) {
  Slot& slot = *workers_[worker];
  slot.must_wake = true;
  slot.must_wait |= must_complete;
  // If the ring is full, `post` leaves the command as it was, so it may be moved again.
  while (!slot.worker->post(std::move(command))) {  // NOLINT(bugprone-use-after-move)
    slot.must_wait = true;
    fence();
    slot.must_wake = true;
  }
}

void MediaPlane::fence() {
  for (auto& slot : workers_) {
    if (!slot->must_wake) continue;
    if (threads_) {
      slot->worker->wake();
    } else {
      slot->worker->run_once();
    }
  }
  for (auto& slot : workers_) {
    if (threads_ && slot->must_wait) slot->worker->wait_completed();
    slot->must_wake = slot->must_wait = false;
  }
}

void MediaPlane::poll_events(const std::function<void(std::size_t, const WorkerEvent&)>& handle) {
  bell_.quiet();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    for (WorkerEvent event; workers_[i]->worker->next_event(event);) handle(i, event);
  }
}

}  // namespace ferry
