// Control's hand on the workers: which worker has a call, commands to it, and "everything I said is done".
#pragma once

#include "relay/base/bell.hpp"
#include "relay/worker/worker.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace ferry {

/// Control thread only. With threads each worker runs on its own; without (tests, simulation) `fence` runs
/// them.
class MediaPlane {
 public:
  MediaPlane(std::vector<std::unique_ptr<Worker>> workers, bool threads);
  ~MediaPlane();
  MediaPlane(const MediaPlane&) = delete;
  MediaPlane& operator=(const MediaPlane&) = delete;

  [[nodiscard]] std::size_t workers() const { return workers_.size(); }
  [[nodiscard]] Worker& worker(std::size_t index) { return *workers_[index]->worker; }
  /// The worker with the fewest transports.
  [[nodiscard]] std::size_t least_loaded() const;

  TransportId allocate(std::size_t worker);
  /// After the transport was removed or extracted.
  void free(std::size_t worker, TransportId id);

  /// Whom the events of a transport concern: any pointer of the caller's.
  void set_owner(std::size_t worker, TransportId id, void* owner) {
    workers_[worker]->owners[id.slot] = {id.generation, owner};
  }
  [[nodiscard]] void* owner(std::size_t worker, TransportId id) const;

  /// `must_complete`: the next `fence` waits for it; else it is only on its way.
  void post(std::size_t worker, WorkerCommand command, bool must_complete);
  /// Wakes workers that have something to do and waits for what must be complete.
  void fence();
  /// Readable while workers have events.
  [[nodiscard]] int event_fd() const { return bell_.fd(); }
  /// Handles events of all workers.
  void poll_events(const std::function<void(std::size_t worker, const WorkerEvent&)>& handle);

 private:
  struct Slot {
    std::unique_ptr<Worker> worker;
    std::vector<std::uint32_t> generations;
    std::vector<std::uint32_t> free_slots;
    std::vector<std::pair<std::uint32_t, void*>> owners;  // generation, owner
    std::size_t live = 0;
    bool must_wake = false;
    bool must_wait = false;
    std::thread thread;
  };
  Bell bell_;
  std::vector<std::unique_ptr<Slot>> workers_;
  std::atomic<bool> stop_{false};
  bool threads_;
};

}  // namespace ferry
