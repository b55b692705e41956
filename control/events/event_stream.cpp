// SPDX-License-Identifier: Apache-2.0
#include "control/events/event_stream.hpp"

#include "control/log/printable_json.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace ferry::events {

std::string text_of(std::uint64_t number, EventType type, std::string_view call_id, nlohmann::json fields,
                    WallTime now) {
  fields["id"] = number;
  fields["type"] = to_string(type);
  fields["time"] = iso_time(now);
  fields["call-id"] = call_id;
  return to_ascii(std::move(fields));
}

const Event& EventStream::publish(EventType type, std::string_view call_id, nlohmann::json fields,
                                  WallTime now) {
  const std::uint64_t number = next();
  kept_.push_back(
      {number, type, std::string(call_id), text_of(number, type, call_id, std::move(fields), now)});
  octets_ += kept_.back().text.size();
  while (kept_.size() > 1 && (kept_.size() > kMostKept || octets_ > kMostOctets)) {
    octets_ -= kept_.front().text.size();
    kept_.pop_front();
    ++oldest_;
  }
  ++counts_.published[static_cast<std::size_t>(type)];
  // By index: a subscriber may come or go meanwhile.
  for (std::size_t i = 0; i < subscribers_.size(); ++i) {
    if (subscribers_[i] != nullptr) subscribers_[i]->on_event(kept_.back());
  }
  std::erase(subscribers_, nullptr);
  return kept_.back();
}

void EventStream::subscribe(EventSubscriber& subscriber) { subscribers_.push_back(&subscriber); }

void EventStream::unsubscribe(const EventSubscriber& subscriber) {
  const auto found = std::ranges::find(subscribers_, &subscriber);
  if (found != subscribers_.end()) *found = nullptr;
}

std::size_t EventStream::subscribers() const {
  return subscribers_.size() -
         static_cast<std::size_t>(std::ranges::count(subscribers_, static_cast<EventSubscriber*>(nullptr)));
}

}  // namespace ferry::events
