// SPDX-License-Identifier: Apache-2.0
#include "control/events/delivery_journal.hpp"

#include <algorithm>
#include <charconv>
#include <map>

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

JournalContents read_journal(std::string_view text) {
  JournalContents contents;
  std::map<std::uint64_t, Event> waiting;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.empty()) continue;
    const bool is_whole = end != std::string_view::npos;
    if (is_whole && line.starts_with("+ ")) {
      if (auto event = parse_event(line.substr(2))) {
        waiting.insert_or_assign(event->number, std::move(*event));
        continue;
      }
    } else if (is_whole && line.starts_with("- ")) {
      std::uint64_t number = 0;
      const auto [stop, error] = std::from_chars(line.data() + 2, line.data() + line.size(), number);
      if (error == std::errc{} && stop == line.data() + line.size()) {
        waiting.erase(number);
        continue;
      }
    }
    ++contents.damaged;
  }
  for (auto& [number, event] : waiting) contents.waiting.push_back(std::move(event));
  return contents;
}

}  // namespace ferry::events
