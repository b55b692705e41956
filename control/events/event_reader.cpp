// SPDX-License-Identifier: Apache-2.0
#include "control/events/event_reader.hpp"

#include <utility>

#include <nlohmann/json.hpp>

namespace ferry::events {

EventReader::EventReader(EventStream& stream, EventFilter filter, std::optional<std::uint64_t> after,
                         std::function<WallTime()> wall)
    : stream_(stream), filter_(std::move(filter)), wall_(std::move(wall)), at_(stream.next()) {
  if (!after) return;
  const std::uint64_t wanted = *after + 1;
  lost_unknown_ = wanted < stream.first() || wanted > stream.next();
  at_ = lost_unknown_ ? stream.oldest() : wanted;
}

std::optional<Event> EventReader::next() {
  std::uint64_t count = 0;
  if (at_ < stream_.oldest()) {
    count = stream_.oldest() - at_;
    at_ = stream_.oldest();
  }
  if (count != 0 || lost_unknown_) {
    nlohmann::json fields = nlohmann::json::object();
    if (!std::exchange(lost_unknown_, false)) fields["count"] = count;
    stream_.note_lost(count);
    // The number of the newest lost event, so that the receiver can resume behind it.
    return Event{at_ - 1, EventType::kLost, {}, text_of(at_ - 1, EventType::kLost, {}, fields, wall_())};
  }
  while (at_ < stream_.next()) {
    const Event& event = stream_.at(at_);
    // A copy that fails for lack of memory is made later.
    std::optional<Event> wanted;
    if (filter_.wants(event)) wanted = event;
    ++at_;
    if (wanted) return wanted;
  }
  return std::nullopt;
}

}  // namespace ferry::events
