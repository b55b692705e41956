// SPDX-License-Identifier: Apache-2.0
// The order in which events are delivered to a receiver that must get each of them at least once.
#pragma once

#include "control/events/event.hpp"
#include "relay/base/types.hpp"

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

namespace ferry::events {

/// Events that wait for one receiver, and those that are under way to it. Events of one call are delivered
/// one after another, in their order; calls do not wait for each other. An event leaves the queue once the
/// receiver has taken it. If nobody answers, one event at a time is tried, with growing pauses, until
/// somebody does. If the receiver refuses an event, its call alone waits.
///
/// Pure: callers bring the time. One thread at a time.
class DeliveryQueue {
 public:
  /// The most events that are under way at a time.
  static constexpr std::size_t kParallel = 8;

  /// `most` bounds the events that wait.
  explicit DeliveryQueue(std::size_t most) : most_(most) {}

  /// Adds an event, whose number must be above all before. Returns the number of the oldest event, if that
  /// one had to go because too many wait.
  std::optional<std::uint64_t> add(Event event);
  /// The event to be tried now; it counts as under way until `on_taken` or `on_failed`. Null if there is
  /// none. Good until then.
  [[nodiscard]] const Event* take(Instant now);
  /// When `take` may have an event; nothing: only after a change of the queue.
  [[nodiscard]] std::optional<Instant> next_due() const;
  /// The receiver has taken the event.
  void on_taken(std::uint64_t number);
  /// The receiver did not take the event. `is_refused`: it answered, so that other events may be taken.
  void on_failed(std::uint64_t number, bool is_refused, Instant now);

  /// Events that wait or are under way.
  [[nodiscard]] std::size_t size() const { return events_.size(); }
  [[nodiscard]] std::size_t under_way() const { return under_way_; }
  /// True if the last attempt found nobody.
  [[nodiscard]] bool is_failing() const { return tries_ != 0; }
  /// All events, by their numbers.
  [[nodiscard]] const std::map<std::uint64_t, Event>& events() const { return events_; }

 private:
  /// The events of one call.
  struct Line {
    std::deque<std::uint64_t> numbers;
    /// When its first event is due, and how often that one was refused.
    Instant due{};
    unsigned tries = 0;
    bool is_under_way = false;
  };
  /// Puts the line among those that wait, if it has an event that may be tried.
  void queue(const Line& line);
  void unqueue(const Line& line);
  /// Takes an event out of the queue that is not under way.
  void drop(std::uint64_t number);

  std::size_t most_;
  std::map<std::uint64_t, Event> events_;
  /// By Call-ID; none is empty.
  std::unordered_map<std::string, Line> lines_;
  /// Lines that may be tried: when, and the number of their first event.
  std::set<std::pair<Instant, std::uint64_t>> waiting_;
  std::size_t under_way_ = 0;
  /// How often nobody answered in a row, and until when nothing is tried because of that.
  unsigned tries_ = 0;
  Instant hold_until_{};
};

/// How long an event waits that has failed `tries` times: 1 s, 2 s, 4 s … up to 60 s.
[[nodiscard]] Duration back_off(unsigned tries);

}  // namespace ferry::events
