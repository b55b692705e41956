// SPDX-License-Identifier: Apache-2.0
#include "control/session/early_fragments.hpp"

#include <algorithm>
#include <utility>

namespace ferry {

void EarlyFragments::drop_old(Instant now) {
  while (!held_.empty() && now - held_.front().at >= kKept) held_.pop_front();
}

void EarlyFragments::hold(std::string_view call_id, std::string_view tag, std::string_view fragment,
                          Instant now) {
  drop_old(now);
  if (fragment.size() > kLongest) return;
  held_.push_back({std::string(call_id), std::string(tag), std::string(fragment), now});
  const auto is_its = [&](const Held& each) { return each.is_of(call_id, tag); };
  if (static_cast<std::size_t>(std::ranges::count_if(held_, is_its)) > kMostOfOne)
    held_.erase(std::ranges::find_if(held_, is_its));
  if (held_.size() > kMost) held_.pop_front();
}

std::vector<std::string> EarlyFragments::take(std::string_view call_id, std::string_view tag, Instant now) {
  drop_old(now);
  std::vector<std::string> taken;
  for (Held& each : held_) {
    if (each.is_of(call_id, tag)) taken.push_back(std::move(each.text));
  }
  if (!taken.empty()) std::erase_if(held_, [&](const Held& each) { return each.is_of(call_id, tag); });
  return taken;
}

}  // namespace ferry
