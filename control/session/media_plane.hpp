// SPDX-License-Identifier: Apache-2.0
// Control's access to the workers: which worker has a call, commands to it, and the fence that waits for
// them.
#pragma once

#include "relay/base/bell.hpp"
#include "relay/worker/exchange.hpp"
#include "relay/worker/worker.hpp"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

namespace ferry {

struct MediaTransport;

/// Owns the workers. Control thread only. With threads each worker runs on its own; without them (tests,
/// simulation) `fence` runs the workers.
class MediaPlane {
 public:
  /// Starts the threads. Throws with a sentence for the operator if the host gives none.
  MediaPlane(std::vector<std::unique_ptr<Worker>> workers, bool threads);
  ~MediaPlane();
  MediaPlane(const MediaPlane&) = delete;
  MediaPlane& operator=(const MediaPlane&) = delete;

  /// The number of workers.
  [[nodiscard]] std::size_t workers() const { return workers_.size(); }
  [[nodiscard]] Worker& worker(std::size_t index) { return *workers_[index]->worker; }
  /// Receivers whose audio is converted now.
  [[nodiscard]] std::uint64_t converted() const;
  /// The index of the worker with the fewest transports.
  [[nodiscard]] std::size_t least_loaded() const;

  /// Lets all workers serve the port `local` together, each by its handle. False if one of them cannot. Call
  /// it before the first call.
  bool share(const Endpoint& local, const std::vector<PortHandle>& handles);
  /// Ends all shared ports. No call uses them any more; afterwards their handles may be released.
  void unshare();
  /// The socket that a worker has of a shared port; a closed handle if the port is not shared.
  [[nodiscard]] PortHandle shared(const Endpoint& local, std::size_t worker) const;

  /// A name for a new transport at the worker.
  TransportId allocate(std::size_t worker);
  /// Gives the name back. To be called after the transport was removed or extracted.
  void free(std::size_t worker, TransportId id);

  /// Notes the transport of the model that the events of `id` concern. Null = nobody's.
  void set_owner(std::size_t worker, TransportId id, MediaTransport* owner) {
    workers_[worker]->owners[id.slot] = {id.generation, owner};
  }
  /// That transport. Null if the name was given to another one meanwhile.
  [[nodiscard]] MediaTransport* owner(std::size_t worker, TransportId id) const;

  /// Sends a command. With `must_complete` the next `fence` waits for it; otherwise it is only on its way. A
  /// full ring makes it wait.
  void post(std::size_t worker, WorkerCommand command, bool must_complete);
  /// Wakes the workers that have something to do, and waits for the commands that must be complete.
  void fence();
  /// Descriptor that is readable while workers have events.
  [[nodiscard]] int event_fd() const { return bell_.fd(); }
  /// Handles the events of all workers.
  void poll_events(const std::function<void(std::size_t worker, const WorkerEvent&)>& handle);

 private:
  /// One worker, with control's notes about it.
  struct Slot {
    std::unique_ptr<Worker> worker;
    /// How often each slot of the worker was used; which slots are free.
    std::vector<std::uint32_t> generations;
    std::vector<std::uint32_t> free_slots;
    /// For each slot the generation that the owner belongs to, and the owner.
    std::vector<std::pair<std::uint32_t, MediaTransport*>> owners;
    /// Number of its transports.
    std::size_t live = 0;
    /// True if it has commands that it was not woken for, or that the next fence waits for.
    bool must_wake = false;
    bool must_wait = false;
    std::thread thread;
  };
  Bell bell_;
  std::vector<std::unique_ptr<Slot>> workers_;
  /// The handles of each shared port, by worker.
  std::map<Endpoint, std::vector<PortHandle>> shared_;
  /// Null before the first shared port, and with one worker.
  std::shared_ptr<Exchange> exchange_;
  std::atomic<bool> stop_{false};
  bool threads_;
};

/// Fences at the end of its scope. A function that posts commands which write into its own memory makes one
/// after that memory: if a further command fails for lack of memory, workers still write into what was posted
/// before.
class FenceAtEnd {
 public:
  explicit FenceAtEnd(MediaPlane& plane) : plane_(plane) {}
  ~FenceAtEnd() { plane_.fence(); }
  FenceAtEnd(const FenceAtEnd&) = delete;
  FenceAtEnd& operator=(const FenceAtEnd&) = delete;

 private:
  MediaPlane& plane_;
};

}  // namespace ferry
