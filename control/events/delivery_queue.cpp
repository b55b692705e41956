// SPDX-License-Identifier: Apache-2.0
#include "control/events/delivery_queue.hpp"

#include "relay/base/memory.hpp"

#include <algorithm>
#include <chrono>

namespace ferry::events {

namespace {

/// What the maps of a queue and of a journal take for each event.
constexpr std::size_t kOverhead = 256;

}  // namespace

Duration back_off(unsigned tries) {
  using std::chrono::seconds;
  constexpr seconds kLongest{60};
  constexpr unsigned kDoublings = 6;
  if (tries == 0) return Duration{0};
  return std::min(seconds(1) * (1 << std::min(tries - 1, kDoublings)), kLongest);
}

std::size_t octets_of(const Event& event) { return event.text.size() + 2 * event.call_id.size() + kOverhead; }

void DeliveryQueue::queue(Line& line) noexcept {
  if (line.is_under_way || line.numbers.empty()) return;
  line.place.value() = {line.due, line.numbers.front()};
  waiting_.insert(std::move(line.place));
}

void DeliveryQueue::unqueue(Line& line) noexcept {
  line.place = waiting_.extract({line.due, line.numbers.front()});
}

DeliveryQueue::Added DeliveryQueue::add(Event event) {
  Added added;
  const std::uint64_t number = event.number;
  const auto [at, is_new] = events_.try_emplace(number, std::move(event));
  if (!is_new) return {false, {}};
  const std::string& call = at->second.call_id;
  try {
    Line& line = lines_[call];
    if (line.numbers.empty()) {
      Places one;
      one.emplace(line.due, number);
      line.place = one.extract(one.begin());
    }
    line.numbers.push_back(number);
    if (line.numbers.size() == 1) queue(line);
  } catch (...) {
    const auto line = lines_.find(call);
    if (line != lines_.end() && line->second.numbers.empty()) lines_.erase(line);
    events_.erase(at);
    throw;
  }
  octets_ += octets_of(at->second);
  while (events_.size() > most_ || octets_ > most_octets_) {
    const auto oldest = oldest_to_drop();
    // Without memory the next event drops more.
    if (!oldest || !had_memory([&] { added.dropped.reserve(added.dropped.size() + 1); })) break;
    drop(*oldest);
    added.dropped.push_back(*oldest);
  }
  return added;
}

std::optional<std::uint64_t> DeliveryQueue::oldest_to_drop() const {
  for (const auto& [number, event] : events_) {
    const Line& line = lines_.at(event.call_id);
    if (!line.is_under_way || line.numbers.front() != number) return number;
  }
  return std::nullopt;
}

void DeliveryQueue::pop(Lines::iterator found) noexcept {
  Line& line = found->second;
  const auto event = events_.find(line.numbers.front());
  octets_ -= octets_of(event->second);
  line.numbers.pop_front();
  line.due = {};
  line.tries = line.strikes = 0;
  queue(line);
  if (line.numbers.empty()) lines_.erase(found);
  events_.erase(event);
}

void DeliveryQueue::drop(std::uint64_t number) noexcept {
  const auto event = events_.find(number);
  const auto found = lines_.find(event->second.call_id);
  Line& line = found->second;
  if (line.numbers.front() == number) {
    unqueue(line);
    pop(found);
    return;
  }
  line.numbers.erase(std::ranges::find(line.numbers, number));
  octets_ -= octets_of(event->second);
  events_.erase(event);
}

const Event* DeliveryQueue::take(Instant now) noexcept {
  const std::size_t most = tries_ == 0 ? kParallel : 1;
  if (waiting_.empty() || under_way_ >= most || now < hold_until_ || now < waiting_.begin()->first)
    return nullptr;
  const Event& event = events_.find(waiting_.begin()->second)->second;
  Line& line = lines_.find(event.call_id)->second;
  line.place = waiting_.extract(waiting_.begin());
  line.is_under_way = true;
  ++under_way_;
  return &event;
}

std::optional<Instant> DeliveryQueue::next_due() const noexcept {
  const std::size_t most = tries_ == 0 ? kParallel : 1;
  if (waiting_.empty() || under_way_ >= most) return std::nullopt;
  return std::max(hold_until_, waiting_.begin()->first);
}

void DeliveryQueue::on_taken(std::uint64_t number) noexcept {
  const auto found = lines_.find(events_.find(number)->second.call_id);
  found->second.is_under_way = false;
  --under_way_;
  ++taken_;
  tries_ = refused_ = 0;
  hold_until_ = {};
  pop(found);
}

bool DeliveryQueue::on_failed(std::uint64_t number, bool is_refused, Instant now) noexcept {
  const auto found = lines_.find(events_.find(number)->second.call_id);
  Line& line = found->second;
  line.is_under_way = false;
  --under_way_;
  if (line.tries == 0) line.taken_before = taken_;
  // It is the event, not the receiver, that does not work.
  if (std::exchange(line.taken_before, taken_) != taken_) ++line.strikes;
  if (is_refused && line.tries == 0) ++refused_;
  line.due = now + back_off(++line.tries);
  if (is_refused && refused_ < kMostRefused) {
    tries_ = 0;
    hold_until_ = {};
  } else if (now >= hold_until_) {
    // Several may fail at once; they count as one.
    hold_until_ = now + back_off(++tries_);
  }
  if (line.strikes >= kMostStrikes) {
    pop(found);
    return true;
  }
  queue(line);
  return false;
}

}  // namespace ferry::events
