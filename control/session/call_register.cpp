// SPDX-License-Identifier: Apache-2.0
#include "control/session/call_register.hpp"

#include <algorithm>
#include <chrono>

namespace ferry {

Call* CallRegister::find(std::string_view call_id) const {
  if (const auto found = calls_.find(call_id); found != calls_.end()) return found->second.get();
  if (const auto merged = merged_ids_.find(call_id); merged != merged_ids_.end()) return merged->second;
  const auto named = sharing(call_id);
  return !named.empty() && std::next(named.begin()) == named.end() ? named.begin()->second : nullptr;
}

Call* CallRegister::by_serial(std::uint64_t serial) const {
  const auto found = by_serial_.find(serial);
  return found == by_serial_.end() ? nullptr : found->second;
}

Call& CallRegister::create(const std::string& id, const Clock& clock) {
  auto call = std::make_unique<Call>();
  call->id = id;
  call->created = clock.wall;
  call->created_at = call->last_signal = clock.now;
  call->serial = next_serial_++;
  Call& created = *call;
  by_serial_.emplace(call->serial, call.get());
  calls_.emplace(id, std::move(call));
  return created;
}

Leg& CallRegister::add_leg(Call& call, std::string tag, const Clock& clock) {
  auto leg = std::make_unique<Leg>();
  leg->call = &call;
  leg->tag = std::move(tag);
  leg->number = call.next_leg++;
  leg->created_unix = std::chrono::duration_cast<std::chrono::seconds>(clock.wall.time_since_epoch()).count();
  call.legs.push_back(std::move(leg));
  return *call.legs.back();
}

Media& CallRegister::add_media(Leg& leg, unsigned index, std::string_view type) {
  Media& media = leg.add_media();
  media.id = MediaId{next_media_++};
  media.index = index;
  media.type = type;
  return media;
}

void CallRegister::erase(Call& call, std::string_view shared_name) {
  by_serial_.erase(call.serial);
  const auto [first, last] = shared_names_.equal_range(shared_name);
  const auto named = std::find_if(first, last, [&](const auto& each) { return each.second == &call; });
  if (named != last) shared_names_.erase(named);
  if (call.extras) {
    for (const std::string& other : call.extras->other_ids) merged_ids_.erase(other);
  }
  // A copy, because the key must not die while it is looked for.
  const std::string id = call.id;
  calls_.erase(id);
}

std::uint8_t CallRegister::id_index(const Call& call, std::string_view id) {
  if (call.id == id || !call.extras) return 0;
  const auto& others = call.extras->other_ids;
  const auto found = std::ranges::find(others, id);
  return found == others.end() ? std::uint8_t{0} : static_cast<std::uint8_t>(found - others.begin() + 1);
}

}  // namespace ferry
