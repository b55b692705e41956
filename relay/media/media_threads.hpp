// SPDX-License-Identifier: Apache-2.0
// The media threads of the process.
#pragma once

#include "relay/media/media_thread.hpp"
#include "relay/media/remote_stages.hpp"

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace ferry {

/// Owns the media threads. It is made before the workers and outlives them.
class MediaThreads {
 public:
  /// `threads` of them; 0 = stages run in the workers. `workers` is the number of workers, `now` their clock.
  /// `make` makes a stage, on any thread. Throws std::bad_alloc, and std::system_error without a descriptor.
  MediaThreads(std::size_t threads, std::size_t workers, MakeStage make, std::function<Instant()> now);
  /// Ends the threads. No worker runs any more.
  ~MediaThreads();
  MediaThreads(const MediaThreads&) = delete;
  MediaThreads& operator=(const MediaThreads&) = delete;

  /// Starts the threads. Throws with a sentence for the operator if the host gives none.
  void start();
  /// Makes what makes the stages of a worker. `wake` ends the worker's sleep, on any thread. Throws
  /// std::bad_alloc.
  [[nodiscard]] std::unique_ptr<StageMaker> maker_for(unsigned worker, std::function<void()> wake);

  [[nodiscard]] std::size_t size() const noexcept { return threads_.size(); }
  [[nodiscard]] const MediaThread& thread(std::size_t index) const noexcept { return *threads_[index]; }
  /// Load of the thread that has most time left, percent of the last second: the next stage gets this thread.
  /// 0 without threads. Any thread may ask.
  [[nodiscard]] unsigned least_load() const noexcept;
  /// One turn of each thread, for tests that do not start them. Returns the number of packets and orders.
  std::size_t turn() noexcept;

 private:
  MakeStage make_;
  std::vector<std::unique_ptr<MediaThread>> threads_;
  std::vector<std::thread> running_;
  std::atomic<bool> are_running_{false};
  std::atomic<bool> stop_{false};
};

}  // namespace ferry
