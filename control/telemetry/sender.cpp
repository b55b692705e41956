// SPDX-License-Identifier: Apache-2.0
#include "control/telemetry/sender.hpp"

#include "relay/base/memory.hpp"

#include <utility>

#include <fmt/format.h>

namespace ferry::telemetry {

Sender::Sender(std::unique_ptr<Channel> channel, Options options)
    : channel_(std::move(channel)), options_(std::move(options)) {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

Sender::~Sender() {
  stop_soon();
  thread_.join();
}

void Sender::stop_soon() { thread_.request_stop(); }

void Sender::send(std::string message) {
  const std::lock_guard lock(mutex_);
  if (message.size() > options_.backlog) {
    ++figures_.full;
    return;
  }
  figures_.waiting += message.size();
  backlog_.push_back(std::move(message));
  while (figures_.waiting > options_.backlog) {
    figures_.waiting -= backlog_.front().size();
    backlog_.pop_front();
    ++figures_.full;
  }
  changed_.notify_one();
}

Sender::Figures Sender::figures() const {
  const std::lock_guard lock(mutex_);
  Figures now = figures_;
  now.waiting += in_hand_;
  return now;
}

void Sender::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    // If there is no memory to send a message, it is the one that is lost.
    (void)had_memory([&] {
      const std::string message = next(stop);
      if (!message.empty()) deliver(message, stop);
    });
  }
}

std::string Sender::next(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait(lock, stop, [this] { return !backlog_.empty(); })) return {};
  std::string message = std::move(backlog_.front());
  backlog_.pop_front();
  figures_.waiting -= message.size();
  in_hand_ = message.size();
  return message;
}

void Sender::deliver(const std::string& message, const std::stop_token& stop) {
  bool was_open = is_open_;
  while (!stop.stop_requested()) {
    std::string why;
    if (!is_open_) why = channel_->open(stop);
    is_open_ = why.empty();
    if (is_open_) {
      const Delivery delivery = channel_->send(message, stop);
      if (delivery.outcome == Delivery::Outcome::kSent) return note_sent();
      if (delivery.outcome == Delivery::Outcome::kRefused) return note_refused(delivery.why);
      is_open_ = false;
      why = delivery.why;
      // A connection that had rested may be closed by now, which says nothing of the server.
      if (std::exchange(was_open, false)) continue;
    }
    if (stop.stop_requested()) return;
    note_down(why);
    wait(options_.backoff.failed(), stop);
  }
}

void Sender::wait(std::chrono::milliseconds pause, const std::stop_token& stop) {
  std::mutex unused;
  std::unique_lock lock(unused);
  std::condition_variable_any never;
  never.wait_for(lock, stop, pause, [] { return false; });
}

void Sender::note_down(const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    figures_.is_up = false;
  }
  if (std::exchange(is_told_down_, true) || !options_.say) return;
  options_.say(true, fmt::format("{} takes no reports: {}; it is tried again", options_.name, why));
}

void Sender::note_sent() {
  Figures now;
  {
    const std::lock_guard lock(mutex_);
    figures_.is_up = true;
    ++figures_.sent;
    in_hand_ = 0;
    now = figures_;
  }
  is_told_refused_ = false;
  options_.backoff.succeeded();
  if (!std::exchange(is_told_down_, false) || !options_.say) return;
  options_.say(false, fmt::format("{} takes reports again; {} were given up since the start", options_.name,
                                  now.full + now.failed));
}

void Sender::note_refused(const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    ++figures_.failed;
    figures_.is_up = false;
    in_hand_ = 0;
  }
  if (std::exchange(is_told_refused_, true) || !options_.say) return;
  options_.say(true, fmt::format("{} refuses a report: {}", options_.name, why));
}

}  // namespace ferry::telemetry
