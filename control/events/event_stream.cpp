// SPDX-License-Identifier: Apache-2.0
#include "control/events/event_stream.hpp"

#include "control/log/printable_json.hpp"
#include "relay/base/memory.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

namespace ferry::events {

namespace {

/// Sentences name two parties, so they may be longer.
constexpr std::size_t kMostSentence = 4 * kMostText;

/// Cuts long texts and lists. Returns how many elements of lists were left out.
std::size_t bound(nlohmann::json& value, std::size_t most) {
  std::size_t left_out = 0;
  if (value.is_string()) {
    auto& text = value.get_ref<std::string&>();
    if (text.size() > most) text = cut(text, most);
  } else if (value.is_array()) {
    if (value.size() > kMostElements) {
      left_out = value.size() - kMostElements;
      value.erase(value.begin() + static_cast<std::ptrdiff_t>(kMostElements), value.end());
    }
    for (nlohmann::json& each : value) left_out += bound(each, most);
  } else if (value.is_object()) {
    for (const auto& [name, each] : value.items())
      left_out += bound(each, name == "sentence" ? kMostSentence : most);
  }
  return left_out;
}

}  // namespace

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
  if (const std::size_t left_out = bound(fields, kMostText); left_out != 0) fields["left-out"] = left_out;
  std::string shown = cut(call_id);
  std::string text = text_of(number, type, shown, std::move(fields), now);
  kept_.push_back({number, type, std::move(shown), std::move(text)});
  octets_ += kept_.back().text.size();
  while (kept_.size() > 1 && (kept_.size() > kMostKept || octets_ > kMostOctets)) {
    octets_ -= kept_.front().text.size();
    kept_.pop_front();
    ++oldest_;
  }
  ++counts_.published[static_cast<std::size_t>(type)];
  ++publishing_;
  // By index: a subscriber may come or go meanwhile.
  for (std::size_t i = 0; i < subscribers_.size(); ++i) {
    if (subscribers_[i] != nullptr && !had_memory([&] { subscribers_[i]->on_event(kept_.back()); }))
      note_lack_of_memory();
  }
  if (--publishing_ == 0) std::erase(subscribers_, nullptr);
  return kept_.back();
}

void EventStream::subscribe(EventSubscriber& subscriber) { subscribers_.push_back(&subscriber); }

void EventStream::unsubscribe(const EventSubscriber& subscriber) {
  const auto found = std::ranges::find(subscribers_, &subscriber);
  if (found == subscribers_.end()) return;
  if (publishing_ == 0)
    subscribers_.erase(found);
  else
    *found = nullptr;
}

std::size_t EventStream::subscribers() const {
  return subscribers_.size() -
         static_cast<std::size_t>(std::ranges::count(subscribers_, static_cast<EventSubscriber*>(nullptr)));
}

}  // namespace ferry::events
