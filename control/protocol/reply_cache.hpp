// SPDX-License-Identifier: Apache-2.0
// Keeps replies by cookie, so that a retransmission gets the same octets and nothing is done twice (CTL-3).
#pragma once

#include "relay/base/types.hpp"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_set>

namespace ferry {

/// Keeps each reply for `kKeep`. If the memory bound is reached, the oldest replies go earlier. Control
/// thread only.
class ReplyCache {
 public:
  static constexpr Duration kKeep = std::chrono::seconds(60);

  /// `max_bytes` bounds the octets of keys and replies, with about 80 more for each.
  explicit ReplyCache(std::size_t max_bytes = 256 * 1024 * 1024) : max_bytes_(max_bytes) {}

  /// Returns the reply with this key (source address and cookie); nothing if there is none. The view is valid
  /// until the next `store`.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view key) const {
    const auto found = replies_.find(key);
    if (found == replies_.end()) return std::nullopt;
    return found->reply();
  }

  /// Keeps a reply, unless one with this key is kept already. Removes what is too old.
  void store(std::string_view key, std::string_view reply, Instant now) {
    while (!order_.empty() && (now - order_.front().stored > kKeep || bytes_ > max_bytes_)) drop_oldest();
    const auto [entry, is_new] = replies_.emplace(key, reply);
    if (!is_new) return;
    bytes_ += cost(*entry);
    order_.push_back({&*entry, now});
  }

  [[nodiscard]] std::size_t size() const { return replies_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  /// Key and reply in one allocation, because two of these are kept for each call of the last minute.
  class Entry {
   public:
    Entry(std::string_view key, std::string_view reply)
        : text_(std::make_unique<char[]>(key.size() + reply.size())),
          key_size_(static_cast<std::uint32_t>(key.size())),
          reply_size_(static_cast<std::uint32_t>(reply.size())) {
      std::copy(reply.begin(), reply.end(), std::copy(key.begin(), key.end(), text_.get()));
    }
    [[nodiscard]] std::string_view key() const { return {text_.get(), key_size_}; }
    [[nodiscard]] std::string_view reply() const { return {text_.get() + key_size_, reply_size_}; }

   private:
    std::unique_ptr<char[]> text_;
    std::uint32_t key_size_;
    std::uint32_t reply_size_;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
    std::size_t operator()(const Entry& entry) const { return (*this)(entry.key()); }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Entry& a, const Entry& b) const { return a.key() == b.key(); }
    bool operator()(const Entry& a, std::string_view b) const { return a.key() == b; }
    bool operator()(std::string_view a, const Entry& b) const { return a == b.key(); }
  };
  /// When an entry was stored. The order of these is the order of storing.
  struct Age {
    /// Points into the set, whose nodes never move.
    const Entry* entry;
    Instant stored;
  };

  /// Octets that an entry takes, with an estimate for the containers.
  static std::size_t cost(const Entry& entry) { return entry.key().size() + entry.reply().size() + 80; }
  void drop_oldest() {
    const auto found = replies_.find(*order_.front().entry);
    bytes_ -= cost(*found);
    replies_.erase(found);
    order_.pop_front();
  }

  std::unordered_set<Entry, Hash, Equal> replies_;
  std::deque<Age> order_;
  std::size_t bytes_ = 0;
  std::size_t max_bytes_;
};

}  // namespace ferry
