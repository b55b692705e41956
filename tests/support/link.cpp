// SPDX-License-Identifier: Apache-2.0
#include "tests/support/link.hpp"

#include <algorithm>

namespace ferry::test {

LinkRandom::LinkRandom(std::uint64_t seed, std::uint64_t part) {
  std::seed_seq words{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
                      static_cast<std::uint32_t>(part)};
  engine_.seed(words);
}

// The distributions of the standard library differ between its implementations; these do not.
bool LinkRandom::chance(double share) { return static_cast<double>(engine_() >> 11) * 0x1p-53 < share; }

Duration LinkRandom::up_to(Duration most) {
  return Duration(static_cast<Duration::rep>(below(static_cast<std::uint64_t>(most.count()) + 1)));
}

Duration LinkPath::travel(Duration now) {
  Duration time = trouble_.delay + random_.up_to(trouble_.jitter);
  if (trouble_.keeps_order) time = std::max(time, newest_ - now);
  newest_ = std::max(newest_, now + time);
  return random_.chance(trouble_.held) ? time + trouble_.held_for : time;
}

std::vector<Duration> LinkPath::carry(Duration now) {
  ++sent_;
  const bool was_in_burst = is_in_burst_ && now - burst_began_ < trouble_.burst_longest;
  is_in_burst_ = was_in_burst ? !random_.chance(trouble_.burst_end) : random_.chance(trouble_.burst_begin);
  if (is_in_burst_ && !was_in_burst) burst_began_ = now;
  // Both are asked each time, so that the numbers drawn do not depend on the state.
  const bool is_lost_alone = random_.chance(trouble_.loss);
  const bool is_lost_in_burst = random_.chance(trouble_.burst_loss) && is_in_burst_;
  if (is_lost_alone || is_lost_in_burst) {
    ++lost_;
    return {};
  }
  std::vector<Duration> travels = {travel(now)};
  if (random_.chance(trouble_.doubled)) travels.push_back(travel(now));
  return travels;
}

std::string_view to_string(NatKind kind) {
  switch (kind) {
    case NatKind::kFullCone:
      return "full cone";
    case NatKind::kAddressRestricted:
      return "address restricted";
    case NatKind::kPortRestricted:
      return "port restricted";
    case NatKind::kSymmetric:
      return "symmetric";
  }
  return "unknown";
}

UdpPort Nat::fresh_port() {
  for (;;) {
    const auto port = static_cast<std::uint16_t>(20000 + random_.below(40000));
    if (used_.insert(port).second) return UdpPort{port};
  }
}

Endpoint Nat::leave(const Endpoint& inside, const Endpoint& to) {
  const Endpoint only = kind_ == NatKind::kSymmetric ? to : Endpoint{};
  auto mapping = std::ranges::find_if(
      mappings_, [&](const Mapping& each) { return each.inside == inside && each.only == only; });
  if (mapping == mappings_.end())
    mapping = mappings_.insert(mappings_.end(), {inside, only, {outside_, fresh_port()}, {}});
  mapping->remotes.insert(to);
  return mapping->outside;
}

std::optional<Endpoint> Nat::enter(const Endpoint& at, const Endpoint& from) const {
  const auto mapping =
      std::ranges::find_if(mappings_, [&](const Mapping& each) { return each.outside == at; });
  if (mapping == mappings_.end()) return std::nullopt;
  bool is_let_in = false;
  switch (kind_) {
    case NatKind::kFullCone:
      is_let_in = true;
      break;
    case NatKind::kAddressRestricted:
      is_let_in = std::ranges::any_of(mapping->remotes,
                                      [&](const Endpoint& each) { return each.address == from.address; });
      break;
    case NatKind::kPortRestricted:
    case NatKind::kSymmetric:
      is_let_in = mapping->remotes.contains(from);
      break;
  }
  return is_let_in ? std::optional(mapping->inside) : std::nullopt;
}

Access& Link::make(const IpAddress& peer, const Trouble& trouble) {
  const std::uint64_t up = parts_++;
  const std::uint64_t down = parts_++;
  Access& access =
      accesses_.insert_or_assign(peer, Access{LinkPath(seed_, up), LinkPath(seed_, down), {}}).first->second;
  access.set(trouble);
  return access;
}

Access& Link::join(const IpAddress& peer, const Trouble& trouble) { return make(peer, trouble); }

Access& Link::join(const IpAddress& peer, const Trouble& trouble, NatKind kind, const IpAddress& outside) {
  Access& access = make(peer, trouble);
  access.nat.emplace(kind, outside, seed_, parts_++);
  return access;
}

Link::Passage Link::to_relay(const Endpoint& from, const Endpoint& to, Duration now) {
  const auto found = accesses_.find(from.address);
  if (found == accesses_.end()) return {from, {Duration(0)}};
  Access& access = found->second;
  // A NAT makes its mapping for whatever leaves, also if the datagram is lost behind it.
  const Endpoint seen = access.nat ? access.nat->leave(from, to) : from;
  if (access.is_cut) return {seen, {}};
  return {seen, access.up.carry(now)};
}

Access* Link::seen_at(const IpAddress& address) {
  const auto found = std::ranges::find_if(accesses_, [&](const auto& each) {
    return (each.second.nat ? each.second.nat->outside() : each.first) == address;
  });
  return found == accesses_.end() ? nullptr : &found->second;
}

std::vector<Duration> Link::to_peer(const Endpoint& to, Duration now) {
  Access* access = seen_at(to.address);
  return access != nullptr ? access->down.carry(now) : std::vector<Duration>{Duration(0)};
}

std::optional<Endpoint> Link::arrive(const Endpoint& at, const Endpoint& from) {
  const Access* access = seen_at(at.address);
  if (access == nullptr) {
    const auto hidden = accesses_.find(at.address);
    return hidden == accesses_.end() ? std::optional(at) : std::nullopt;
  }
  if (access->is_cut) return std::nullopt;
  return access->nat ? access->nat->enter(at, from) : std::optional(at);
}

}  // namespace ferry::test
