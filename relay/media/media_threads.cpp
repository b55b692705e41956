// SPDX-License-Identifier: Apache-2.0
#include "relay/media/media_threads.hpp"

#include "relay/base/thread_name.hpp"
#include "relay/media/direct_stages.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace ferry {

MediaThreads::MediaThreads(std::size_t threads, std::size_t workers, MakeStage make,
                           std::function<Instant()> now)
    : make_(std::move(make)) {
  for (std::size_t i = 0; i < threads; ++i)
    threads_.push_back(std::make_unique<MediaThread>(i, make_, workers, now));
}

MediaThreads::~MediaThreads() {
  stop_ = true;
  for (const auto& thread : threads_) thread->ring();
  for (std::thread& each : running_) each.join();
}

void MediaThreads::start() {
  are_running_ = true;
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    MediaThread* const thread = threads_[i].get();
    try {
      running_.emplace_back([this, thread, i] {
        name_thread("media-" + std::to_string(i));
        thread->run(stop_);
      });
    } catch (const std::system_error& e) {
      throw std::runtime_error(fmt::format(
          "the host gives no thread for media thread {} of {}: {} (TasksMax of the unit, ulimit -u, or fewer "
          "by media-threads)",
          i + 1, threads_.size(), e.code().message()));
    }
  }
}

std::unique_ptr<StageMaker> MediaThreads::maker_for(unsigned worker, std::function<void()> wake) {
  if (threads_.empty()) return std::make_unique<DirectStages>(make_);
  return std::make_unique<RemoteStages>(threads_, worker, make_, std::move(wake), are_running_);
}

unsigned MediaThreads::least_load() const noexcept {
  if (threads_.empty()) return 0;
  return (*std::ranges::min_element(threads_, {}, [](const auto& thread) { return thread->load(); }))->load();
}

std::size_t MediaThreads::turn() noexcept {
  std::size_t count = 0;
  for (const auto& thread : threads_) count += thread->turn();
  return count;
}

}  // namespace ferry
