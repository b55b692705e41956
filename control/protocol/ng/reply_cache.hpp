// Replies by cookie, so that a retransmission gets the same bytes and nothing is done twice (CTL-3).
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "relay/base/types.hpp"

namespace ferry::ng {

/// Keeps each reply for `kKeep`, less only if the memory bound is reached: then the oldest goes first.
class ReplyCache {
 public:
  static constexpr Duration kKeep = std::chrono::seconds(60);

  explicit ReplyCache(std::size_t max_bytes = 256 * 1024 * 1024) : max_bytes_(max_bytes) {}

  /// `key` is source address and cookie. nullptr if unknown.
  [[nodiscard]] const std::string* find(std::string_view key) const {
    const auto found = replies_.find(key);
    return found == replies_.end() ? nullptr : &found->second;
  }

  void store(std::string key, std::string reply, Instant now) {
    while (!order_.empty() && (now - order_.front().stored > kKeep || bytes_ > max_bytes_)) drop_oldest();
    reply.shrink_to_fit();
    const auto [entry, is_new] = replies_.insert_or_assign(std::move(key), std::move(reply));
    if (!is_new) return;
    bytes_ += cost(*entry);
    order_.push_back({&*entry, now});
  }

  [[nodiscard]] std::size_t size() const { return replies_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Map = std::unordered_map<std::string, std::string, Hash, std::equal_to<>>;
  struct Age {
    const Map::value_type* entry;  // nodes of the map do not move
    Instant stored;
  };

  static std::size_t cost(const Map::value_type& entry) { return entry.first.size() + entry.second.size() + 160; }
  void drop_oldest() {
    const auto found = replies_.find(order_.front().entry->first);
    bytes_ -= cost(*found);
    replies_.erase(found);
    order_.pop_front();
  }

  Map replies_;
  std::deque<Age> order_;
  std::size_t bytes_ = 0;
  std::size_t max_bytes_;
};

}  // namespace ferry::ng
