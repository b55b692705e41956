// SPDX-License-Identifier: Apache-2.0
// The order in which events are delivered to a receiver that must get each of them at least once.
#pragma once

#include "control/events/event.hpp"
#include "relay/base/types.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ferry::events {

/// Events that wait for one receiver, and those that are under way to it. Events of one call are delivered
/// one after another, in their order; calls do not wait for each other. An event leaves the queue once the
/// receiver has taken it. If nobody answers, or if every call is refused, one event at a time is tried, with
/// growing pauses, and each time that of another call. If the receiver refuses an event, its call alone
/// waits. An event that fails again and again while the receiver takes others is given up.
///
/// Pure: callers bring the time. One thread at a time. Only `add` allocates.
class DeliveryQueue {
 public:
  /// The most events that are under way at a time.
  static constexpr std::size_t kParallel = 8;
  /// So many calls are refused in a row, and no event is taken meanwhile: then the receiver does not work.
  static constexpr unsigned kMostRefused = 16;
  /// An event is given up after so many failures, each followed by an event that the receiver took.
  static constexpr unsigned kMostStrikes = 20;
  /// The most octets that wait (`octets_of`).
  static constexpr std::size_t kMostOctets = 64 * 1024 * 1024;

  /// `most` and `most_octets` bound what waits.
  explicit DeliveryQueue(std::size_t most, std::size_t most_octets = kMostOctets)
      : most_(most), most_octets_(most_octets) {}

  /// What became of an event that was to be added.
  struct Added {
    /// False if the queue has an event with its number already; that one stays.
    bool is_new = true;
    /// Numbers of the oldest events, which had to go because too much waits.
    std::vector<std::uint64_t> dropped;
  };
  /// Adds an event. Throws std::bad_alloc without memory; the queue is as before then.
  Added add(Event event);
  /// The event to be tried now; it counts as under way until `on_taken` or `on_failed`. Null if there is
  /// none. Good until then.
  [[nodiscard]] const Event* take(Instant now) noexcept;
  /// When `take` may have an event; nothing: only after a change of the queue.
  [[nodiscard]] std::optional<Instant> next_due() const noexcept;
  /// The receiver has taken the event.
  void on_taken(std::uint64_t number) noexcept;
  /// The receiver did not take the event. `is_refused`: it answered, so that other events may be taken. True
  /// if the event was given up and is gone.
  [[nodiscard]] bool on_failed(std::uint64_t number, bool is_refused, Instant now) noexcept;

  /// Events that wait or are under way, and their octets.
  [[nodiscard]] std::size_t size() const { return events_.size(); }
  [[nodiscard]] std::size_t octets() const { return octets_; }
  [[nodiscard]] std::size_t under_way() const { return under_way_; }
  /// True if the last attempts say that the receiver does not work.
  [[nodiscard]] bool is_failing() const { return tries_ != 0; }
  /// All events, by their numbers.
  [[nodiscard]] const std::map<std::uint64_t, Event>& events() const { return events_; }

 private:
  /// Lines that may be tried: when, and the number of their first event.
  using Places = std::set<std::pair<Instant, std::uint64_t>>;
  /// The events of one call.
  struct Line {
    std::deque<std::uint64_t> numbers;
    /// When its first event is due, and how often that one failed.
    Instant due{};
    unsigned tries = 0;
    /// Its failures after which the receiver took another event, and how many were taken before the last one.
    unsigned strikes = 0;
    std::uint64_t taken_before = 0;
    bool is_under_way = false;
    /// Its entry while it is not among those that wait, so that nothing is allocated later.
    Places::node_type place;
  };
  using Lines = std::unordered_map<std::string, Line>;

  /// Puts the line among those that wait, if it has an event that may be tried.
  void queue(Line& line) noexcept;
  void unqueue(Line& line) noexcept;
  /// Takes the first event of a line out that is not among those that wait.
  void pop(Lines::iterator line) noexcept;
  /// Takes an event out of the queue that is not under way.
  void drop(std::uint64_t number) noexcept;
  /// The number of the oldest event that is not under way; nothing if all are.
  [[nodiscard]] std::optional<std::uint64_t> oldest_to_drop() const;

  std::size_t most_;
  std::size_t most_octets_;
  std::map<std::uint64_t, Event> events_;
  std::size_t octets_ = 0;
  /// By Call-ID; none is empty.
  Lines lines_;
  Places waiting_;
  std::size_t under_way_ = 0;
  /// How often nobody answered in a row, and until when nothing is tried because of that.
  unsigned tries_ = 0;
  Instant hold_until_{};
  /// Calls that were refused since an event was taken the last time.
  unsigned refused_ = 0;
  /// Events that were taken.
  std::uint64_t taken_ = 0;
};

/// How long an event waits that has failed `tries` times: 1 s, 2 s, 4 s … up to 60 s.
[[nodiscard]] Duration back_off(unsigned tries);
/// The memory that an event takes while it waits, about.
[[nodiscard]] std::size_t octets_of(const Event& event);

}  // namespace ferry::events
