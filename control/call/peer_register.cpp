// SPDX-License-Identifier: Apache-2.0
#include "control/call/peer_register.hpp"

#include <algorithm>

namespace ferry {

using namespace std::chrono_literals;

namespace {

// The free time of an unheard peer, from the answer on (LAT-12b).
constexpr Duration kFreeTime = 10s;
// A decision acts this much ahead of the end of the free time, because the next one may be too late.
constexpr Duration kDecideAhead = 1500ms;
// A peer counts as heard for this long after its last packet.
constexpr Duration kHeardTime = 60s;
// Each heard peer of an address lets so many more unheard ones of it be sent to.
constexpr std::size_t kPerHeard = 4;
// The limit has never applied to this peer.
constexpr Instant kNotYet = Instant::max();

}  // namespace

PeerRegister::Member::Member(PeerRegister& owner, Entry entry)
    : register_(owner), known_{.entry = std::move(entry)} {
  register_.enter(known_);
}

PeerRegister::Member::~Member() { register_.leave(known_); }

Instant PeerRegister::Member::unheard_until() const noexcept {
  return known_.stops ? known_.entry.answered_at + kFreeTime : Instant::max();
}

const std::shared_ptr<AddressErrors>& PeerRegister::Member::errors() const noexcept {
  return register_.addresses_.find(known_.entry.address)->second.errors;
}

void PeerRegister::follow(std::unique_ptr<Member>& member, Entry entry) {
  Instant since = kNotYet;
  if (member) {
    const Entry& known = member->entry();
    if (known.address == entry.address && known.epoch == entry.epoch &&
        known.is_limited == entry.is_limited) {
      member->set_call(entry.call);
      return;
    }
    // Hold, retrieval and another port of the same address are no new answer. Otherwise a re-INVITE every few
    // seconds would let a victim be sent to for ever.
    const bool was_heard = known.activity->is_heard.load(std::memory_order_relaxed);
    if (known.address == entry.address && !was_heard) since = known.answered_at;
    member.reset();
  }
  if (since != kNotYet)
    entry.answered_at = since;
  else if (!entry.is_limited)
    entry.answered_at = kNotYet;
  member = std::make_unique<Member>(*this, std::move(entry));
}

void PeerRegister::enter(Known& member) {
  const Entry& entry = member.entry;
  Address& address = addresses_[entry.address];
  if (!address.errors) address.errors = std::make_shared<AddressErrors>(entry.address);
  member.place = address.members.size();
  address.members.push_back(&member);
  if (!entry.is_limited || per_address_ == 0) return;
  address.unheard.push_back(&member);
  if (address.unheard.size() > per_address_) crowded_.insert(entry.address);
}

void PeerRegister::leave(Known& member) {
  const auto found = addresses_.find(member.entry.address);
  Address& address = found->second;
  address.members.back()->place = member.place;
  std::swap(address.members[member.place], address.members.back());
  address.members.pop_back();
  std::erase(address.unheard, &member);
  if (!address.members.empty()) return;
  crowded_.erase(found->first);
  addresses_.erase(found);
}

std::size_t PeerRegister::allowed(const Address& address, std::size_t enough, Instant now) const {
  std::size_t allowed = per_address_;
  for (const Known* member : address.members) {
    if (allowed >= enough) break;
    const TransportActivity& activity = *member->entry.activity;
    const Instant last{Duration{activity.last_packet_ns.load(std::memory_order_relaxed)}};
    const Duration silence = now - std::max(last, awake_since_);
    if (activity.is_heard.load(std::memory_order_relaxed) && silence <= kHeardTime) allowed += kPerHeard;
  }
  return allowed;
}

void PeerRegister::skip(Duration pause, Instant now) {
  awake_since_ = now;
  for (auto& [where, address] : addresses_) {
    for (Known* member : address.members) {
      if (member->entry.answered_at != kNotYet) member->entry.answered_at += pause;
    }
  }
}

std::unordered_set<std::uint64_t> PeerRegister::decide(Instant now) {
  std::unordered_set<std::uint64_t> changed;
  const auto set_stops = [&](Known& member, bool stops) {
    if (std::exchange(member.stops, stops) != stops) changed.insert(member.entry.call);
  };
  // Only addresses with more unheard members than are free need a decision. A member that was heard meanwhile
  // leaves the list; the others keep the order of their answers, so the earliest are free.
  std::erase_if(crowded_, [&](const IpAddress& which) {
    Address& address = addresses_.find(which)->second;
    std::erase_if(address.unheard, [&](Known* member) {
      const bool is_heard = member->entry.activity->is_heard.load(std::memory_order_relaxed);
      if (is_heard) set_stops(*member, false);
      return is_heard;
    });
    std::size_t free = allowed(address, address.unheard.size(), now);
    for (Known* member : address.unheard) {
      const bool is_due = now + kDecideAhead >= member->entry.answered_at + kFreeTime;
      set_stops(*member, free == 0 && is_due);
      if (free > 0) --free;
    }
    return address.unheard.size() <= per_address_;
  });
  return changed;
}

}  // namespace ferry
