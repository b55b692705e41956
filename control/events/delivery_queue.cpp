// SPDX-License-Identifier: Apache-2.0
#include "control/events/delivery_queue.hpp"

#include <algorithm>
#include <chrono>

namespace ferry::events {

Duration back_off(unsigned tries) {
  using std::chrono::seconds;
  constexpr seconds kLongest{60};
  constexpr unsigned kDoublings = 6;
  if (tries == 0) return Duration{0};
  return std::min(seconds(1) * (1 << std::min(tries - 1, kDoublings)), kLongest);
}

void DeliveryQueue::queue(const Line& line) {
  if (!line.is_under_way && !line.numbers.empty()) waiting_.emplace(line.due, line.numbers.front());
}

void DeliveryQueue::unqueue(const Line& line) { waiting_.erase({line.due, line.numbers.front()}); }

std::optional<std::uint64_t> DeliveryQueue::add(Event event) {
  const std::uint64_t number = event.number;
  Line& line = lines_[event.call_id];
  line.numbers.push_back(number);
  if (line.numbers.size() == 1) queue(line);
  events_.emplace(number, std::move(event));
  if (events_.size() <= most_) return std::nullopt;
  for (const auto& [oldest, each] : events_) {
    const Line& its = lines_.at(each.call_id);
    if (its.is_under_way && its.numbers.front() == oldest) continue;
    drop(oldest);
    return oldest;
  }
  return std::nullopt;
}

void DeliveryQueue::drop(std::uint64_t number) {
  const auto event = events_.find(number);
  const auto found = lines_.find(event->second.call_id);
  Line& line = found->second;
  if (line.numbers.front() == number) {
    unqueue(line);
    line.numbers.pop_front();
    line.due = {};
    line.tries = 0;
    queue(line);
  } else {
    line.numbers.erase(std::ranges::find(line.numbers, number));
  }
  if (line.numbers.empty()) lines_.erase(found);
  events_.erase(event);
}

const Event* DeliveryQueue::take(Instant now) {
  const std::size_t most = tries_ == 0 ? kParallel : 1;
  if (waiting_.empty() || under_way_ >= most || now < hold_until_ || now < waiting_.begin()->first)
    return nullptr;
  const Event& event = events_.at(waiting_.begin()->second);
  waiting_.erase(waiting_.begin());
  lines_.at(event.call_id).is_under_way = true;
  ++under_way_;
  return &event;
}

std::optional<Instant> DeliveryQueue::next_due() const {
  const std::size_t most = tries_ == 0 ? kParallel : 1;
  if (waiting_.empty() || under_way_ >= most) return std::nullopt;
  return std::max(hold_until_, waiting_.begin()->first);
}

void DeliveryQueue::on_taken(std::uint64_t number) {
  const auto event = events_.find(number);
  const auto found = lines_.find(event->second.call_id);
  Line& line = found->second;
  line.numbers.pop_front();
  line.is_under_way = false;
  line.due = {};
  line.tries = 0;
  --under_way_;
  tries_ = 0;
  hold_until_ = {};
  queue(line);
  if (line.numbers.empty()) lines_.erase(found);
  events_.erase(event);
}

void DeliveryQueue::on_failed(std::uint64_t number, bool is_refused, Instant now) {
  Line& line = lines_.at(events_.at(number).call_id);
  line.is_under_way = false;
  --under_way_;
  if (is_refused) {
    tries_ = 0;
    hold_until_ = {};
    line.due = now + back_off(++line.tries);
  } else if (now >= hold_until_) {
    // Several may fail at once; they count as one.
    hold_until_ = now + back_off(++tries_);
  }
  queue(line);
}

}  // namespace ferry::events
