// SPDX-License-Identifier: Apache-2.0
// One receiver's place in the stream of events.
#pragma once

#include "control/events/event_filter.hpp"
#include "control/events/event_stream.hpp"

#include <functional>
#include <optional>

namespace ferry::events {

/// Reads the events that a receiver wants, one after another. It keeps no events itself: the stream does, for
/// all receivers. A receiver that falls behind what the stream keeps gets an event `lost` in their place.
/// Control thread only.
class EventReader {
 public:
  /// `stream` must outlive the reader. `after` is the number of the last event that the receiver has; unset:
  /// it wants only what comes from now on. With a number that this process never gave, it gets all that is
  /// kept, with `lost` before it. `wall` says when events `lost` were noticed.
  EventReader(EventStream& stream, EventFilter filter, std::optional<std::uint64_t> after,
              std::function<WallTime()> wall);

  /// The next event; nothing if there is none yet. The event is the caller's.
  [[nodiscard]] std::optional<Event> next();

 private:
  EventStream& stream_;
  EventFilter filter_;
  std::function<WallTime()> wall_;
  /// The number of the event that is looked at next.
  std::uint64_t at_;
  /// The receiver missed events, and nobody knows how many.
  bool lost_unknown_ = false;
};

}  // namespace ferry::events
