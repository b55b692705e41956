// SPDX-License-Identifier: Apache-2.0
// Pairs go round: `ready_` (may be drawn), in use, `resting_`, and after 10 s `ready_` again. Drawing at
// random from the older half keeps ports hard to guess and gives each one a long pause.
//
// One address has one pool, even if several interfaces name it. Addresses that commands ask for later have
// pools of their own, in `asked_for_`; nothing that was given out ever moves.
//
// Trap: an address may be the unspecified one. `owner_of` and `collect_own_media` then count every address of
// the host.
#include "control/ports/interfaces.hpp"

#include "relay/base/random.hpp"
#include "relay/io/portable/socket_address.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <ifaddrs.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ferry {

PortPool::PortPool(UdpPort first, UdpPort last, std::span<const PortSpan> excluded)
    : first_(first), last_(last), open_(std::make_shared<OpenPorts>(first, std::max(first, last))) {
  std::vector<std::uint16_t> ports;
  for (unsigned port = (first.value + 1u) & ~1u; port + 1 <= last.value; port += 2) {
    const auto has_port = [&](const PortSpan& span) {
      return span.first.value <= port + 1 && port <= span.last.value;
    };
    if (std::ranges::none_of(excluded, has_port)) ports.push_back(static_cast<std::uint16_t>(port));
  }
  // Shuffled, so that two daemons, or one after a restart, do not begin with the same pairs.
  for (std::size_t i = ports.size(); i > 1; --i) {
    std::swap(ports[i - 1], ports[random_below(static_cast<std::uint32_t>(i))]);
  }
  ready_.assign(ports.begin(), ports.end());
  total_ = ports.size();
  owners_.resize(first <= last ? (last.value - first.value) / 2u + 1 : 0);
}

std::optional<PortPool::Pair> PortPool::draw(Instant now) {
  while (!resting_.empty() && now - resting_.front().freed_at >= kRest) {
    ready_.push_back(resting_.front().port);
    resting_.pop_front();
  }
  if (!ready_.empty()) {
    const auto half = static_cast<std::uint32_t>((ready_.size() + 1) / 2);
    std::swap(ready_.front(), ready_[random_below(half)]);
    const UdpPort port{ready_.front()};
    ready_.pop_front();
    mark(port, true);
    return Pair{port, {}};
  }
  // No pair has rested: reuse the oldest one, and bar its last peer.
  if (resting_.empty()) return std::nullopt;
  const Resting oldest = resting_.front();
  resting_.pop_front();
  ++forced_reuses_;
  mark(UdpPort{oldest.port}, true);
  return Pair{UdpPort{oldest.port}, oldest.peer};
}

bool PortPool::take(UdpPort rtp) {
  if (const auto found = std::ranges::find(ready_, rtp.value); found != ready_.end()) {
    ready_.erase(found);
    mark(rtp, true);
    return true;
  }
  const auto found = std::ranges::find(resting_, rtp.value, &Resting::port);
  if (found == resting_.end()) return false;
  resting_.erase(found);
  mark(rtp, true);
  return true;
}

void PortPool::give_back(UdpPort rtp, const Endpoint& last_peer, Instant now) {
  mark(rtp, false);
  resting_.push_back({rtp.value, now, last_peer});
}

const LocalAddress* LogicalInterface::address_of(AddressFamily family) const {
  const auto found =
      std::ranges::find_if(addresses, [&](const LocalAddress& a) { return a.address.family() == family; });
  return found == addresses.end() ? nullptr : &*found;
}

InterfaceSpec parse_interface_spec(std::string_view text) {
  InterfaceSpec spec;
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) {
    if (const auto equals = text.find('='); equals != std::string_view::npos) {
      spec.name = text.substr(0, equals);
      spec.alias_of = text.substr(equals + 1);
      return spec;
    }
    spec.name = "default";
  } else {
    spec.name = text.substr(0, slash);
    text.remove_prefix(slash + 1);
  }
  const auto mark = text.find('!');
  spec.address = text.substr(0, mark);
  if (mark != std::string_view::npos) spec.advertised = text.substr(mark + 1);
  // IPv6 addresses customarily stand in brackets.
  for (std::string* address : {&spec.address, &spec.advertised}) {
    if (address->starts_with('[') && address->ends_with(']'))
      *address = address->substr(1, address->size() - 2);
  }
  return spec;
}

namespace {

/// The addresses of a system interface; an empty name stands for all interfaces.
std::vector<IpAddress> every_system_address(const std::string& name) {
  std::vector<IpAddress> found;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return found;
  for (const ifaddrs* entry = all; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || (!name.empty() && name != entry->ifa_name)) continue;
    const int family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    SocketAddress address;
    const std::size_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    std::copy_n(reinterpret_cast<const std::byte*>(entry->ifa_addr), size,
                reinterpret_cast<std::byte*>(address.get()));
    found.push_back(address.endpoint().address);
  }
  freeifaddrs(all);
  return found;
}

/// The same, but only addresses that can carry media: no link-local ones.
std::vector<IpAddress> system_addresses(const std::string& name) {
  std::vector<IpAddress> found = every_system_address(name);
  std::erase_if(found, [](const IpAddress& address) { return address.is_link_local(); });
  return found;
}

/// True if a socket can be bound to the address.
bool is_local(const IpAddress& address) {
  const SocketAddress socket_address(Endpoint{address, UdpPort{0}});
  const int fd = socket(socket_address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool ok = bind(fd, socket_address.get(), socket_address.size()) == 0;
  close(fd);
  return ok;
}

}  // namespace

Result<InterfaceSet, std::string> InterfaceSet::build(const std::vector<InterfaceSpec>& specs,
                                                      UdpPort port_min, UdpPort port_max, bool check_local,
                                                      UdpPort ice_port) {
  InterfaceSet set;
  // One pool per address: two names of one address share its ports.
  std::map<IpAddress, std::shared_ptr<PortPool>> pools;
  std::map<IpAddress, UdpPort> ice_ports;
  std::uint8_t index = 0;
  // All settings are checked before the result, so that the operator sees every mistake at once.
  std::vector<std::string> wrongs;
  for (const InterfaceSpec& spec : specs) {
    if (!spec.alias_of.empty()) {
      set.aliases_.emplace_back(spec.name, spec.alias_of);
      continue;
    }
    const auto wrong = [&](const std::string& what) {
      wrongs.push_back(fmt::format("interface '{}': {}", spec.name, what));
    };
    std::vector<IpAddress> addresses;
    if (const auto address = IpAddress::parse(spec.address)) {
      addresses.push_back(*address);
    } else if (spec.address == "any") {
      addresses = system_addresses({});
      std::erase_if(addresses, [](const IpAddress& each) { return each.is_loopback(); });
    } else if (!spec.address.empty()) {
      addresses = system_addresses(spec.address);
    }
    if (addresses.empty()) {
      wrong(spec.address.empty() ? "no address"
            : spec.address == "any"
                ? "this host has no address but loopback and link-local ones"
                : fmt::format("'{}' is neither an IP address nor a system interface with addresses",
                              spec.address));
      continue;
    }
    std::optional<IpAddress> advertised;
    if (!spec.advertised.empty()) {
      advertised = IpAddress::parse(spec.advertised);
      if (!advertised) {
        wrong(fmt::format("advertised address '{}' is not an IP address", spec.advertised));
        continue;
      }
    }
    const UdpPort first = spec.port_min.value_or(port_min);
    const UdpPort last = spec.port_max.value_or(port_max);
    if (first.value == 0 || PortPool(first, last, spec.excluded_ports).total() == 0) {
      wrong(fmt::format("the port range {}-{} holds no even/odd pair", first.value, last.value));
      continue;
    }
    auto logical = std::ranges::find(set.interfaces_, spec.name, &LogicalInterface::name);
    if (logical == set.interfaces_.end())
      logical = set.interfaces_.insert(logical, LogicalInterface{spec.name, {}, false});
    logical->strict_payload_types |= spec.strict_payload_types;
    for (const IpAddress& address : addresses) {
      if (advertised && advertised->family() != address.family()) {
        wrong(fmt::format("{} and its advertised address {} are of different families", address.to_string(),
                          advertised->to_string()));
        continue;
      }
      if (check_local && !is_local(address)) {
        wrong(fmt::format("{} is not an address of this host", address.to_string()));
        continue;
      }
      auto& pool = pools[address];
      if (!pool) pool = std::make_shared<PortPool>(first, last, spec.excluded_ports);
      const UdpPort shared = spec.ice_port.value_or(ice_port);
      if (shared.value != 0 && shared >= pool->first() && shared <= pool->last()) {
        wrong(fmt::format("ice-port {} lies in the port range {}-{}", shared.value, pool->first().value,
                          pool->last().value));
        continue;
      }
      if (const auto other = ice_ports.emplace(address, shared).first; other->second != shared) {
        wrong(
            fmt::format("{} has ice-port {} and {}", address.to_string(), other->second.value, shared.value));
        continue;
      }
      logical->addresses.push_back({address, advertised.value_or(address), pool, index, shared});
      if (index < UINT8_MAX) ++index;
    }
  }
  for (const auto& [name, target] : set.aliases_) {
    if (std::ranges::find(specs, target, &InterfaceSpec::name) == specs.end())
      wrongs.push_back(fmt::format("interface alias '{}': there is no interface '{}'", name, target));
  }
  if (set.interfaces_.empty() && wrongs.empty()) wrongs.emplace_back("no interface is configured");
  if (!wrongs.empty()) return fail(fmt::format("{}", fmt::join(wrongs, "\n")));
  set.port_min_ = port_min;
  set.port_max_ = port_max;
  set.check_local_ = check_local;
  set.collect_own_media();
  return set;
}

const LogicalInterface* InterfaceSet::find(std::string_view name) const {
  for (const auto& [alias, target] : aliases_) {
    if (alias == name) name = target;
  }
  const auto found = std::ranges::find(interfaces_, name, &LogicalInterface::name);
  if (found != interfaces_.end()) return &*found;
  std::vector<const LogicalInterface*> group;
  for (const LogicalInterface& logical : interfaces_) {
    if (logical.name.size() > name.size() && logical.name.starts_with(name) &&
        logical.name[name.size()] == ':') {
      group.push_back(&logical);
    }
  }
  return group.empty() ? nullptr : group[next_in_group_++ % group.size()];
}

bool InterfaceSet::has(std::string_view name) const {
  static constexpr std::string_view kWords[] = {"internal", "external", "round-robin-calls"};
  if (std::ranges::find(kWords, name) != std::end(kWords)) return true;
  const auto is_alias = [&](const auto& alias) { return alias.first == name; };
  const auto is_named = [&](const LogicalInterface& logical) {
    return logical.name == name || (logical.name.size() > name.size() && logical.name.starts_with(name) &&
                                    logical.name[name.size()] == ':');
  };
  return std::ranges::any_of(aliases_, is_alias) || std::ranges::any_of(interfaces_, is_named);
}

const LogicalInterface* InterfaceSet::toward(const IpAddress& peer) const {
  const auto own = route_lookup_ ? route_lookup_(peer) : std::nullopt;
  if (!own) return nullptr;
  for (const LogicalInterface& logical : interfaces_) {
    for (const LocalAddress& local : logical.addresses) {
      if (local.address == *own) return &logical;
    }
  }
  return nullptr;
}

bool InterfaceSet::is_shared(const Endpoint& endpoint) const {
  return std::ranges::any_of(interfaces_, [&](const LogicalInterface& logical) {
    return std::ranges::any_of(logical.addresses, [&](const LocalAddress& local) {
      const bool here =
          local.address == endpoint.address || local.advertised == endpoint.address ||
          (local.address.is_unspecified() && local.address.family() == endpoint.address.family());
      return here && local.ice_port.value != 0 && local.ice_port == endpoint.port;
    });
  });
}

void InterfaceSet::collect_own_media() {
  std::vector<OwnMedia::Range> ranges;
  const auto add = [&](const LocalAddress& local, const std::shared_ptr<const OpenPorts>& ports) {
    ranges.push_back({local.address, ports});
    if (local.advertised != local.address) ranges.push_back({local.advertised, ports});
    if (!local.address.is_unspecified()) return;
    for (const IpAddress& address : system_addresses({})) {
      if (address.family() == local.address.family()) ranges.push_back({address, ports});
    }
  };
  for (const LogicalInterface& logical : interfaces_) {
    for (const LocalAddress& local : logical.addresses) {
      add(local, local.ports->open_ports());
      if (local.ice_port.value == 0) continue;
      // The daemon does not start without it, so it is open for as long as there are parties.
      auto shared = std::make_shared<OpenPorts>(local.ice_port, local.ice_port);
      shared->set(local.ice_port, true);
      add(local, shared);
    }
  }
  own_ = std::make_shared<OwnMedia>(std::move(ranges));
}

const LocalAddress* InterfaceSet::known_address(const IpAddress& address) const {
  for (const LogicalInterface& logical : interfaces_) {
    const auto found = std::ranges::find(logical.addresses, address, &LocalAddress::address);
    if (found != logical.addresses.end()) return &*found;
  }
  const auto found = std::ranges::find(asked_for_, address, &LocalAddress::address);
  return found == asked_for_.end() ? nullptr : &*found;
}

const LocalAddress* InterfaceSet::local_address(const IpAddress& address) {
  if (const LocalAddress* known = known_address(address)) return known;
  if (address.is_unspecified() || address.is_multicast() || (check_local_ && !is_local(address)))
    return nullptr;
  auto ports = std::make_shared<PortPool>(port_min_, port_max_);
  if (!own_->add({address, ports->open_ports()})) return nullptr;
  std::size_t index = asked_for_.size();
  for (const LogicalInterface& logical : interfaces_) index += logical.addresses.size();
  return &asked_for_.emplace_back(
      LocalAddress{address, address, std::move(ports),
                   static_cast<std::uint8_t>(std::min<std::size_t>(UINT8_MAX, index)), UdpPort{}});
}

std::vector<IpAddress> InterfaceSet::host_addresses() const {
  std::vector<IpAddress> found;
  if (check_local_) found = every_system_address({});
  const auto add = [&](const LocalAddress& local) {
    found.push_back(local.address);
    found.push_back(local.advertised);
  };
  for (const LogicalInterface& logical : interfaces_) std::ranges::for_each(logical.addresses, add);
  std::ranges::for_each(asked_for_, add);
  std::ranges::sort(found);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

MediaTransport* InterfaceSet::owner_of(const Endpoint& endpoint) const {
  // Most endpoints are none of ours; this test is cheap.
  if (!own_->contains(endpoint)) return nullptr;
  const auto owner = [&](const LocalAddress& local) -> MediaTransport* {
    const bool here = local.address == endpoint.address || local.advertised == endpoint.address ||
                      (local.address.is_unspecified() && local.address.family() == endpoint.address.family());
    return here ? local.ports->owner(endpoint.port) : nullptr;
  };
  for (const LogicalInterface& logical : interfaces_) {
    for (const LocalAddress& local : logical.addresses) {
      if (MediaTransport* found = owner(local)) return found;
    }
  }
  for (const LocalAddress& local : asked_for_) {
    if (MediaTransport* found = owner(local)) return found;
  }
  return nullptr;
}

}  // namespace ferry
