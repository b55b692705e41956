#include "relay/worker/port_table.hpp"

#include "relay/base/memory.hpp"
#include "relay/core/classify.hpp"
#include "relay/core/ice/stun.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace ferry {

static_assert(make_cookie(TransportId{UINT32_MAX, 0}, {Component::kRtcp, kMaxLocals - 1}) < kSharedCookie);
static_assert(make_cookie(SharedPortId{UINT32_MAX}, {Component::kRtcp, kMaxLocals - 1}) < kSharedCookie * 2);

namespace {

/// The ufrag of the side that a request is for; empty if the datagram is no request or names nobody.
std::string_view requested_ufrag(Bytes datagram) noexcept {
  if (classify(datagram) != DatagramClass::kStun || datagram.size() > PortTable::kMaxRequest) return {};
  const auto message = stun::parse(datagram);
  if (!message || message->kind != stun::Kind::kRequest) return {};
  const std::size_t colon = message->username.find(':');
  return colon == std::string_view::npos ? std::string_view{} : message->username.substr(0, colon);
}

}  // namespace

PortTable::Sharer* PortTable::SharedPort::sharer(TransportId id) noexcept {
  const auto at = sharers.find(id.slot);
  return at != sharers.end() && at->second.id == id ? &at->second : nullptr;
}

void PortTable::SharedPort::forget_ufrag(std::string& ufrag) noexcept {
  if (const auto at = by_ufrag.find(ufrag); at != by_ufrag.end()) by_ufrag.erase(at);
  ufrag.clear();
}

void PortTable::SharedPort::leave(TransportId id) noexcept {
  Sharer* leaving = sharer(id);
  if (leaving == nullptr) return;
  forget_ufrag(leaving->ufrag);
  forget_ufrag(leaving->former_ufrag);
  for (const Endpoint& remote : std::span(leaving->remotes).first(leaving->bound)) bindings.erase(remote);
  sharers.erase(id.slot);
}

PortTable::Bindings::node_type PortTable::SharedPort::take_oldest(Sharer& sharer) noexcept {
  const auto bound = std::span(sharer.remotes).first(sharer.bound);
  const auto used = [&](const Endpoint& remote) { return bindings.find(remote)->second.used; };
  const auto oldest = std::ranges::min_element(bound, {}, used);
  auto taken = bindings.extract(*oldest);
  *oldest = bound.back();
  --sharer.bound;
  return taken;
}

TransportEntry* PortTable::find_sharing(std::uint64_t cookie, const Endpoint& from, Bytes datagram) noexcept {
  SharedPort* port = shared_of(cookie);
  if (port == nullptr) return nullptr;
  if (const auto at = port->bindings.find(from); at != port->bindings.end()) {
    at->second.used = ++uses_;
    return transports_.find(at->second.id);
  }
  const std::string_view ufrag = requested_ufrag(datagram);
  if (ufrag.empty()) return nullptr;
  const auto at = port->by_ufrag.find(ufrag);
  return at != port->by_ufrag.end() ? transports_.find(at->second) : nullptr;
}

TransportEntry* PortTable::find_bound(std::uint64_t cookie, const Endpoint& remote) const noexcept {
  if (!is_shared(cookie)) return transports_.at(slot_of(cookie));
  const SharedPort* port = shared_of(cookie);
  if (port == nullptr) return nullptr;
  const auto at = port->bindings.find(remote);
  return at != port->bindings.end() ? transports_.find(at->second.id) : nullptr;
}

SharedPortId PortTable::add_shared(std::size_t most) {
  auto port = std::make_unique<SharedPort>(most);
  auto free = std::ranges::find_if(shared_, [](const auto& each) { return each == nullptr; });
  if (free == shared_.end()) free = shared_.emplace(free);
  *free = std::move(port);
  return {static_cast<std::uint32_t>(free - shared_.begin())};
}

void PortTable::remove_shared(SharedPortId port) noexcept {
  if (port.value < shared_.size()) shared_[port.value].reset();
}

bool PortTable::set_ufrag(SharedPortId port, TransportId id, std::string_view ufrag) {
  SharedPort* at = shared(port.value);
  if (at == nullptr || ufrag.empty() || ufrag.find(':') != std::string_view::npos) return false;
  const auto known = at->by_ufrag.find(ufrag);
  if (known != at->by_ufrag.end()) {
    Sharer* owner = known->second == id ? at->sharer(id) : nullptr;
    if (owner == nullptr) return false;
    // One of its own two: the current one changes nothing, the former one becomes the current one again.
    if (owner->ufrag != ufrag) std::swap(owner->ufrag, owner->former_ufrag);
    return true;
  }
  std::string text(ufrag);
  const auto entered = at->sharers.try_emplace(id.slot);
  Sharer& sharer = entered.first->second;
  if (entered.second) sharer.id = id;
  if (sharer.id != id) return false;  // the transport that had the slot has not left yet
  at->by_ufrag.emplace(text, id);
  at->forget_ufrag(sharer.former_ufrag);
  sharer.former_ufrag = std::exchange(sharer.ufrag, std::move(text));
  return true;
}

void PortTable::drop_former_ufrag(SharedPortId port, TransportId id) noexcept {
  SharedPort* at = shared(port.value);
  if (Sharer* sharer = at != nullptr ? at->sharer(id) : nullptr) at->forget_ufrag(sharer->former_ufrag);
}

bool PortTable::bind(SharedPortId port, TransportId id, const Endpoint& remote) noexcept {
  SharedPort* at = shared(port.value);
  Sharer* sharer = at != nullptr ? at->sharer(id) : nullptr;
  if (sharer == nullptr || !remote.is_set()) return false;
  if (const auto known = at->bindings.find(remote); known != at->bindings.end()) {
    if (known->second.id != id) return false;
    known->second.used = ++uses_;
    return true;
  }
  const bool is_full = at->bindings.size() >= at->max_bindings;
  if (is_full && sharer->bound == 0) return false;
  if (is_full || sharer->bound == sharer->remotes.size()) {
    // The new binding takes over the memory of the one that gives way.
    auto node = at->take_oldest(*sharer);
    node.key() = remote;
    node.mapped().used = ++uses_;
    at->bindings.insert(std::move(node));
  } else if (!had_memory([&] { at->bindings.emplace(remote, Binding{id, ++uses_}); })) {
    return false;
  }
  sharer->remotes[sharer->bound++] = remote;
  return true;
}

void PortTable::unbind(SharedPortId port, TransportId id, const Endpoint& remote) noexcept {
  SharedPort* at = shared(port.value);
  Sharer* sharer = at != nullptr ? at->sharer(id) : nullptr;
  if (sharer == nullptr) return;
  const auto bound = std::span(sharer->remotes).first(sharer->bound);
  const auto found = std::ranges::find(bound, remote);
  if (found == bound.end()) return;
  at->bindings.erase(remote);
  *found = bound.back();
  --sharer->bound;
}

void PortTable::remove(TransportId id) noexcept {
  for (const auto& port : shared_) {
    if (port) port->leave(id);
  }
}

std::size_t PortTable::bindings(SharedPortId port) const noexcept {
  const SharedPort* at = shared(port.value);
  return at != nullptr ? at->bindings.size() : 0;
}

}  // namespace ferry
