// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/connections/connection_table.hpp"

#include <algorithm>

namespace ferry {

IpAddress counted_as(const IpAddress& address, Standing standing) {
  if (standing != Standing::kStranger || !address.is_v6()) return address;
  auto octets = address.octets();
  std::fill(octets.begin() + 8, octets.end(), std::uint8_t{0});
  return IpAddress::v6(octets);
}

std::size_t ConnectionTable::limit_of(Standing standing) const {
  const std::size_t quarter = std::max<std::size_t>(1, limits_.total / 4);
  return standing == Standing::kStranger ? std::min(limits_.of_stranger, quarter) : quarter;
}

std::optional<ConnectionTable::Id> ConnectionTable::oldest_of_heaviest() const {
  const auto is_lighter = [](const Source& a, const Source& b) {
    if (a.size() != b.size()) return a.size() < b.size();
    // If two sources have equally many, the one with a silent connection is heavier, then the one with the
    // older connection.
    if (a.silent.empty() != b.silent.empty()) return a.silent.empty();
    return a.oldest() > b.oldest();
  };
  const Source* heaviest = nullptr;
  for (const auto& [key, source] : sources_) {
    if (key.standing == Standing::kOperator) continue;
    if (heaviest == nullptr || is_lighter(*heaviest, source)) heaviest = &source;
  }
  return heaviest == nullptr ? std::nullopt : std::optional(heaviest->oldest());
}

ConnectionTable::Admission ConnectionTable::admit(const IpAddress& address, Standing standing) {
  Admission admission;
  const Key key{standing, counted_as(address, standing)};
  const auto known = sources_.find(key);
  if (known != sources_.end() && known->second.size() >= limit_of(standing)) {
    admission.evicted = known->second.oldest();
    admission.why = CloseReason::kSourceFull;
  } else if (entries_.size() >= limits_.total) {
    admission.evicted = oldest_of_heaviest();
  }
  if (admission.evicted) remove(*admission.evicted);
  admission.id = ++last_id_;
  const auto source = sources_.try_emplace(key).first;
  source->second.silent.push_back(admission.id);
  entries_.emplace(admission.id, Entry{source, std::prev(source->second.silent.end()), false});
  return admission;
}

void ConnectionTable::on_request(Id id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  Source& source = entry.source->second;
  source.talking.splice(source.talking.end(), entry.is_talking ? source.talking : source.silent, entry.place);
  entry.is_talking = true;
}

void ConnectionTable::remove(Id id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  const Entry entry = found->second;
  Source& source = entry.source->second;
  (entry.is_talking ? source.talking : source.silent).erase(entry.place);
  if (source.size() == 0) sources_.erase(entry.source);
  entries_.erase(found);
}

}  // namespace ferry
