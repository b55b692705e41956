#include "control/session/peer_register.hpp"

#include <algorithm>

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr Duration kFreeTime = 10s;        // after the answer
constexpr Duration kDecideAhead = 1500ms;  // the next decision may come when the time is over
constexpr Duration kHeardTime = 60s;
constexpr std::size_t kPerHeard = 4;
constexpr Instant kNotYet = Instant::max();  // the limit has never applied to this peer

}  // namespace

Instant PeerRegister::Member::unheard_until() const noexcept {
  return stops_ ? entry_.answered_at + kFreeTime : Instant::max();
}

const std::shared_ptr<AddressErrors>& PeerRegister::Member::errors() const noexcept {
  return register_.addresses_.find(entry_.address)->second.errors;
}

void PeerRegister::follow(std::unique_ptr<Member>& member, Entry entry) {
  Instant since = kNotYet;
  if (member) {
    Entry& known = member->entry_;
    if (known.address == entry.address && known.epoch == entry.epoch &&
        known.is_limited == entry.is_limited) {
      known.call = entry.call;
      return;
    }
    // Hold, retrieval and another port of the same address are no new answer: with a re-INVITE every few
    // seconds a victim would be sent to for ever.
    const bool was_heard = known.activity->is_heard.load(std::memory_order_relaxed);
    if (known.address == entry.address && !was_heard) since = known.answered_at;
    member.reset();
  }
  if (since != kNotYet)
    entry.answered_at = since;
  else if (!entry.is_limited)
    entry.answered_at = kNotYet;
  member.reset(new Member(*this, std::move(entry)));  // make_unique has no access
  enter(*member);
}

void PeerRegister::enter(Member& member) {
  const Entry& entry = member.entry_;
  Address& address = addresses_[entry.address];
  if (!address.errors) address.errors = std::make_shared<AddressErrors>(entry.address);
  member.place_ = address.members.size();
  address.members.push_back(&member);
  if (!entry.is_limited || per_address_ == 0) return;
  address.unheard.push_back(&member);
  if (address.unheard.size() > per_address_) crowded_.insert(entry.address);
}

void PeerRegister::leave(Member& member) {
  const auto found = addresses_.find(member.entry_.address);
  Address& address = found->second;
  address.members.back()->place_ = member.place_;
  std::swap(address.members[member.place_], address.members.back());
  address.members.pop_back();
  std::erase(address.unheard, &member);
  if (!address.members.empty()) return;
  crowded_.erase(found->first);
  addresses_.erase(found);
}

std::size_t PeerRegister::allowed(const Address& address, std::size_t enough, Instant now) const {
  std::size_t allowed = per_address_;
  for (const Member* member : address.members) {
    if (allowed >= enough) break;
    const TransportActivity& activity = *member->entry_.activity;
    const Instant last{Duration{activity.last_packet_ns.load(std::memory_order_relaxed)}};
    const Duration silence = now - std::max(last, awake_since_);
    if (activity.is_heard.load(std::memory_order_relaxed) && silence <= kHeardTime) allowed += kPerHeard;
  }
  return allowed;
}

void PeerRegister::skip(Duration pause, Instant now) {
  awake_since_ = now;
  for (auto& [where, address] : addresses_) {
    for (Member* member : address.members) {
      if (member->entry_.answered_at != kNotYet) member->entry_.answered_at += pause;
    }
  }
}

std::unordered_set<std::uint64_t> PeerRegister::decide(Instant now) {
  std::unordered_set<std::uint64_t> changed;
  const auto set_stops = [&](Member& member, bool stops) {
    if (std::exchange(member.stops_, stops) != stops) changed.insert(member.entry_.call);
  };
  std::erase_if(crowded_, [&](const IpAddress& which) {
    Address& address = addresses_.find(which)->second;
    std::erase_if(address.unheard, [&](Member* member) {
      const bool is_heard = member->entry_.activity->is_heard.load(std::memory_order_relaxed);
      if (is_heard) set_stops(*member, false);
      return is_heard;
    });
    std::size_t free = allowed(address, address.unheard.size(), now);
    for (Member* member : address.unheard) {
      const bool is_due = now + kDecideAhead >= member->entry_.answered_at + kFreeTime;
      set_stops(*member, free == 0 && is_due);
      if (free > 0) --free;
    }
    return address.unheard.size() <= per_address_;
  });
  return changed;
}

}  // namespace ferry
