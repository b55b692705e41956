// SPDX-License-Identifier: Apache-2.0
#include "control/events/delivery_journal.hpp"

#include "control/events/delivery_queue.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ferry::events {

std::string line_to_add(const Event& event) { return fmt::format("+ {}\n", event.text); }
std::string line_to_remove(std::uint64_t number) { return fmt::format("- {}\n", number); }

std::optional<Event> parse_event(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto number = json.find("id");
  const auto name = json.find("type");
  const auto call = json.find("call-id");
  if (number == json.end() || !number->is_number_unsigned() || name == json.end() || !name->is_string() ||
      call == json.end() || !call->is_string())
    return std::nullopt;
  const auto type = parse_event_type(name->get_ref<const std::string&>());
  if (!type) return std::nullopt;
  return Event{number->get<std::uint64_t>(), *type, call->get<std::string>(), std::string(text)};
}

void JournalReader::forget(std::map<std::uint64_t, Event>::iterator event) {
  octets_ -= octets_of(event->second);
  waiting_.erase(event);
}

void JournalReader::add_line(std::string_view line) {
  if (line.empty()) return;
  if (line.starts_with("+ ")) {
    if (auto event = parse_event(line.substr(2))) {
      if (const auto old = waiting_.find(event->number); old != waiting_.end()) forget(old);
      octets_ += octets_of(*event);
      waiting_.emplace(event->number, std::move(*event));
      for (; octets_ > most_octets_ && !waiting_.empty(); ++contents_.left_out) forget(waiting_.begin());
      return;
    }
  } else if (line.starts_with("- ")) {
    std::uint64_t number = 0;
    const auto [stop, error] = std::from_chars(line.data() + 2, line.data() + line.size(), number);
    if (error == std::errc{} && stop == line.data() + line.size()) {
      if (const auto found = waiting_.find(number); found != waiting_.end()) forget(found);
      return;
    }
  }
  ++contents_.damaged;
}

void JournalReader::add(std::string_view part) {
  while (!part.empty()) {
    const auto end = part.find('\n');
    const std::string_view piece = part.substr(0, end);
    part.remove_prefix(std::min(piece.size() + 1, part.size()));
    const bool is_whole = end != std::string_view::npos;
    if (!is_skipping_ && begun_.size() + piece.size() > kLongestLine) {
      ++contents_.damaged;
      is_skipping_ = true;
      begun_.clear();
    }
    if (is_skipping_) {
      is_skipping_ = !is_whole;
    } else if (!is_whole) {
      begun_ += piece;
    } else if (begun_.empty()) {
      add_line(piece);
    } else {
      begun_ += piece;
      add_line(begun_);
      begun_.clear();
    }
  }
}

JournalContents JournalReader::finish() {
  if (!begun_.empty()) ++contents_.damaged;
  for (auto& [number, event] : waiting_) contents_.waiting.push_back(std::move(event));
  waiting_.clear();
  return std::move(contents_);
}

JournalContents read_journal(std::string_view text) {
  JournalReader reader(DeliveryQueue::kMostOctets);
  reader.add(text);
  return reader.finish();
}

}  // namespace ferry::events
