// SPDX-License-Identifier: Apache-2.0
// All calls, by their names and numbers.
#pragma once

#include "control/call/call.hpp"
#include "control/call/totals.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace ferry {

/// The calls that share a name, for a range loop. Borrows; good until the register changes.
class NamedCalls {
 public:
  using Iterator = std::unordered_multimap<std::string_view, Call*>::const_iterator;
  NamedCalls(Iterator first, Iterator last) : first_(first), last_(last) {}
  [[nodiscard]] Iterator begin() const { return first_; }
  [[nodiscard]] Iterator end() const { return last_; }
  [[nodiscard]] bool empty() const { return first_ == last_; }

 private:
  Iterator first_;
  Iterator last_;
};

/// Owns the calls. A call has one id, and the ids of calls that were merged into it. A session of the
/// rtpproxy protocol also has a Call-ID that it may share with other sessions. Control thread only.
class CallRegister {
 public:
  /// The call with this id, with this id after a merge, or with a Call-ID that no other call shares. Null if
  /// there is none.
  [[nodiscard]] Call* find(std::string_view call_id) const;
  /// True if a call has this id, or has it after a merge.
  [[nodiscard]] bool is_taken(const std::string& id) const {
    return calls_.contains(id) || merged_ids_.contains(id);
  }
  /// The call with this `Call::serial`. Null if it is gone.
  [[nodiscard]] Call* by_serial(std::uint64_t serial) const;

  /// Makes a call without parties. `id` must not be taken. The caller chooses the worker.
  Call& create(const std::string& id, const Clock& clock);
  /// Adds a party with a number of its own. `tag` may be empty.
  Leg& add_leg(Call& call, std::string tag, const Clock& clock);
  /// Adds a media to the leg, with an id that no other media has.
  Media& add_media(Leg& leg, unsigned index, std::string_view type);
  /// Notes the id of a restored media: new ones get higher ids.
  void keep_media_number(MediaId id) { next_media_ = std::max(next_media_, id.value + 1); }
  /// Destroys the call, whose ports must be closed. `shared_name` is the name that it shares; empty if it has
  /// none.
  void erase(Call& call, std::string_view shared_name = {});

  /// Makes `call` known by `id` as well.
  void add_merged_id(const std::string& id, Call& call) { merged_ids_.emplace(id, &call); }
  /// The value of `Leg::id_index` for a party that came under `id`.
  [[nodiscard]] static std::uint8_t id_index(const Call& call, std::string_view id);

  /// Gives the call a name that others may share. `name` is borrowed until the call is erased, so it must be
  /// a view into the call's own id.
  void add_shared_name(std::string_view name, Call& call) { shared_names_.emplace(name, &call); }
  /// All calls with the shared name, as pairs of the name and the call.
  [[nodiscard]] NamedCalls sharing(std::string_view name) const {
    const auto [first, last] = shared_names_.equal_range(name);
    return {first, last};
  }
  [[nodiscard]] std::size_t count_sharing(std::string_view name) const { return shared_names_.count(name); }
  /// All calls that have a shared name.
  [[nodiscard]] const auto& with_shared_names() const { return shared_names_; }

  [[nodiscard]] std::size_t size() const { return calls_.size(); }
  [[nodiscard]] bool empty() const { return calls_.empty(); }
  /// All calls by their ids, in no order.
  [[nodiscard]] const auto& all() const { return calls_; }

 private:
  struct StringHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, std::unique_ptr<Call>, StringHash, std::equal_to<>> calls_;
  std::unordered_map<std::string, Call*, StringHash, std::equal_to<>> merged_ids_;
  std::unordered_map<std::uint64_t, Call*> by_serial_;
  std::unordered_multimap<std::string_view, Call*> shared_names_;
  std::uint64_t next_serial_ = 1;
  std::uint32_t next_media_ = 1;
};

}  // namespace ferry
