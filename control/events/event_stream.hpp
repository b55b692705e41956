// SPDX-License-Identifier: Apache-2.0
// The events of this relay in the order in which they happened.
#pragma once

#include "control/events/event.hpp"

#include <array>
#include <deque>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace ferry::events {

/// Is called on the control thread, so it must not wait.
class EventSubscriber {
 public:
  virtual ~EventSubscriber() = default;
  /// An event was published. It is borrowed for the call.
  virtual void on_event(const Event& event) = 0;
};

/// How many events there were since the start.
struct EventCounts {
  std::array<std::uint64_t, kEventTypes> published{};
  /// Events that a receiver missed, because it was too slow or came too late, counted for each receiver.
  std::uint64_t lost = 0;
  /// Events that were not made, or not given to a subscriber, for lack of memory.
  std::uint64_t without_memory = 0;
};

/// Numbers the events, keeps the newest ones for those who come late, and calls the subscribers. Control
/// thread only.
class EventStream {
 public:
  /// How many events are kept, and how many octets of them. The newest one is kept whatever its size.
  static constexpr std::size_t kMostKept = 4096;
  static constexpr std::size_t kMostOctets = 8 * 1024 * 1024;

  /// `first` is the number of the first event; above all numbers that this relay gave before.
  explicit EventStream(std::uint64_t first) : first_(first), oldest_(first) {}
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;

  /// Publishes an event with these fields beside those that all events have. `fields` is an object. Long
  /// texts and lists are cut. Throws std::bad_alloc without memory, and has published nothing then. A
  /// subscriber that throws it misses the event.
  const Event& publish(EventType type, std::string_view call_id, nlohmann::json fields, WallTime now);
  /// The subscriber must outlive the stream, or unsubscribe. Both may be called while an event is published.
  void subscribe(EventSubscriber& subscriber);
  void unsubscribe(const EventSubscriber& subscriber);
  [[nodiscard]] std::size_t subscribers() const;
  /// What their list takes, which may have places of those that left.
  [[nodiscard]] std::size_t places() const { return subscribers_.size(); }

  /// Numbers of the first event of this process, of the oldest that is kept, and of the next one.
  [[nodiscard]] std::uint64_t first() const { return first_; }
  [[nodiscard]] std::uint64_t oldest() const { return oldest_; }
  [[nodiscard]] std::uint64_t next() const { return oldest_ + kept_.size(); }
  /// The event with this number, which must be kept.
  [[nodiscard]] const Event& at(std::uint64_t number) const { return kept_[number - oldest_]; }

  /// Notes that a receiver missed events.
  void note_lost(std::uint64_t events) { counts_.lost += events; }
  void note_lack_of_memory() { ++counts_.without_memory; }
  [[nodiscard]] const EventCounts& counts() const { return counts_; }

 private:
  std::uint64_t first_;
  std::uint64_t oldest_;
  std::deque<Event> kept_;
  std::size_t octets_ = 0;
  /// Null entries are subscribers that left while an event was published.
  std::vector<EventSubscriber*> subscribers_;
  /// How many calls of `publish` are under way, one within the other.
  unsigned publishing_ = 0;
  EventCounts counts_;
};

/// The text of an event: `fields` with the four fields that all events have.
[[nodiscard]] std::string text_of(std::uint64_t number, EventType type, std::string_view call_id,
                                  nlohmann::json fields, WallTime now);

}  // namespace ferry::events
