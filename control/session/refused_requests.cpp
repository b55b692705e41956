// SPDX-License-Identifier: Apache-2.0
// What was refused lately. Entries stand in one list for each reason, in the order of their last refusal, and
// are found by the hash of their Call-ID. When all lists together are too long or too large, the longest list
// loses its oldest entry. So a flood for one reason pushes out its own entries, whatever Call-IDs it has, and
// those of other reasons stay. Call-IDs are cut when they are kept; their whole length and their hash tell
// apart those that begin alike.

#include "control/session/refused_requests.hpp"

#include "control/session/explanation_json.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ferry {

using nlohmann::json;

namespace {

constexpr RateLimit kLines{RefusedRequests::kLinesPerSecond, 0};

std::uint64_t hash_of(std::string_view text) { return std::hash<std::string_view>{}(text); }

std::string cut(std::string_view text, std::size_t longest) { return std::string(text.substr(0, longest)); }

bool has_id(const RefusedRequests::Entry& entry, std::string_view call_id, std::uint64_t hash) {
  return entry.call_id_hash == hash && entry.call_id_size == call_id.size() &&
         entry.call_id == call_id.substr(0, RefusedRequests::kLongestCallId);
}

}  // namespace

std::size_t RefusedRequests::Entry::bytes() const {
  return sizeof(Entry) + call_id.size() + command.size() + from_tag.size() + to_tag.size() + text.size();
}

RefusedRequests::Entry* RefusedRequests::find(const RefusedRequest& request, std::uint64_t hash) {
  const auto [first, last] = by_call_id_.equal_range(hash);
  for (auto each = first; each != last; ++each) {
    Entry& entry = *each->second;
    if (entry.refusal != request.refusal || !has_id(entry, request.call_id, hash)) continue;
    if (entry.protocol != request.protocol || entry.command != request.command.substr(0, kLongestTag))
      continue;
    Entries& list = entries_[static_cast<std::size_t>(request.refusal)];
    list.splice(list.end(), list, each->second);
    return &entry;
  }
  return nullptr;
}

RefusedRequests::Line RefusedRequests::note(const RefusedRequest& request, Instant now, WallTime wall) {
  const auto reason = static_cast<std::size_t>(request.refusal);
  ++totals_[reason].count;
  totals_[reason].last_at = now;
  if (!request.call_id.empty() && (request.changes || request.ends)) {
    const std::uint64_t hash = hash_of(request.call_id);
    Entry* entry = find(request, hash);
    // Everything that needs memory comes first: without memory nothing is kept, and the older entries stay.
    std::string from_tag = cut(request.from_tag, kLongestTag);
    std::string to_tag = cut(request.to_tag, kLongestTag);
    std::string text = cut(request.text, kLongestText);
    if (entry == nullptr) {
      Entries made(1);
      entry = &made.back();
      entry->call_id = cut(request.call_id, kLongestCallId);
      entry->call_id_size = request.call_id.size();
      entry->call_id_hash = hash;
      entry->command = cut(request.command, kLongestTag);
      entry->protocol = request.protocol;
      entry->refusal = request.refusal;
      entry->first = wall;
      by_call_id_.emplace(hash, made.begin());
      entries_[reason].splice(entries_[reason].end(), made);
      ++size_;
    } else {
      bytes_ -= entry->bytes();
    }
    entry->from_tag = std::move(from_tag);
    entry->to_tag = std::move(to_tag);
    entry->text = std::move(text);
    entry->client = request.client;
    entry->ends = request.ends;
    ++entry->count;
    entry->last = wall;
    entry->last_at = now;
    bytes_ += entry->bytes();
    while (size_ > kMaxEntries || bytes_ > kMaxBytes) drop_one();
  }
  Log& log = log_[reason];
  if (!log.bucket.take(kLines, 1, now)) {
    ++log.left_out;
    return {.is_wanted = false, .left_out = 0};
  }
  return {.is_wanted = true, .left_out = std::exchange(log.left_out, 0)};
}

void RefusedRequests::drop_one() {
  Entries& longest = *std::ranges::max_element(entries_, {}, &Entries::size);
  const auto oldest = longest.begin();
  const auto [first, last] = by_call_id_.equal_range(oldest->call_id_hash);
  by_call_id_.erase(std::find_if(first, last, [&](const auto& each) { return each.second == oldest; }));
  bytes_ -= oldest->bytes();
  --size_;
  longest.erase(oldest);
}

std::uint64_t RefusedRequests::take_untold(RefusalReason refusal, Instant now) {
  Log& log = log_[static_cast<std::size_t>(refusal)];
  if (log.left_out == 0 || !log.bucket.take(kLines, 1, now)) return 0;
  return std::exchange(log.left_out, 0);
}

std::vector<const RefusedRequests::Entry*> RefusedRequests::of_call(std::string_view call_id) const {
  std::vector<const Entry*> found;
  const auto take = [&](std::string_view id, const auto& is_wanted) {
    const std::uint64_t hash = hash_of(id);
    const auto [first, last] = by_call_id_.equal_range(hash);
    for (auto each = first; each != last; ++each) {
      if (has_id(*each->second, id, hash) && is_wanted(*each->second)) found.push_back(&*each->second);
    }
  };
  take(call_id, [](const Entry&) { return true; });
  if (const auto blank = call_id.rfind(' '); blank != std::string_view::npos) {
    const std::string_view tag = call_id.substr(blank + 1, kLongestTag);
    take(call_id.substr(0, blank),
         [&](const Entry& entry) { return entry.from_tag == tag || entry.to_tag == tag; });
  }
  std::ranges::sort(found, {}, [](const Entry* entry) { return entry->last_at; });
  return found;
}

std::string in_words(const RefusedRequests::Entry& entry) {
  std::string text = entry.command;
  if (!entry.from_tag.empty()) text += fmt::format(" from {}", entry.from_tag);
  if (!entry.to_tag.empty()) text += fmt::format(" to {}", entry.to_tag);
  text += entry.count == 1 ? " was refused" : fmt::format(" was refused {} times", entry.count);
  return text + ": " + entry.text;
}

json refused_json(const std::vector<const RefusedRequests::Entry*>& entries, Instant now) {
  json list = json::array();
  for (const RefusedRequests::Entry* entry : entries) {
    const RefusalRow& row = row_of(entry->refusal);
    list.push_back({{"command", entry->command},
                    {"protocol", entry->protocol},
                    {"client", entry->client.to_string()},
                    {"from_tag", entry->from_tag},
                    {"to_tag", entry->to_tag},
                    {"reason", row.name},
                    {"text", entry->text},
                    {"sentence", in_words(*entry)},
                    {"advice", row.advice},
                    {"count", entry->count},
                    {"first_at_ms", unix_ms(entry->first)},
                    {"last_at_ms", unix_ms(entry->last)},
                    {"age_s", std::chrono::duration<double>(now - entry->last_at).count()}});
  }
  return list;
}

}  // namespace ferry
