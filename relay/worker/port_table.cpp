// SPDX-License-Identifier: Apache-2.0
// A shared port keeps two maps, ufrag to holder and endpoint to holder. A holder is a transport of this
// worker or the number of another worker. Ufrags are entered by signalling, endpoints by authentic checks.
//
// Trap: between workers news may overtake each other or get lost. So news of another worker only takes away
// what that worker has, and an endpoint that it has wrongly is put right by the next datagram from there.
#include "relay/worker/port_table.hpp"

#include "relay/base/memory.hpp"
#include "relay/core/classify.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace ferry {

static_assert(make_cookie(TransportId{UINT32_MAX, 0}, {Component::kRtcp, kMaxLocals - 1}) < kSharedCookie);
static_assert(make_cookie(SharedPortId{UINT32_MAX}, UINT8_MAX - 1, true) < kSharedCookie * 2);

PortTable::Sharer* PortTable::SharedPort::sharer(TransportId transport) noexcept {
  const auto at = sharers.find(transport.slot);
  return at != sharers.end() && at->second.id == transport ? &at->second : nullptr;
}

const PortTable::Sharer* PortTable::SharedPort::sharer(TransportId transport) const noexcept {
  const auto at = sharers.find(transport.slot);
  return at != sharers.end() && at->second.id == transport ? &at->second : nullptr;
}

PortTable::Check& PortTable::SharedPort::place_of(const stun::TransactionId& transaction) noexcept {
  // Random octets; the first one may be the mark of a worker.
  const auto place = static_cast<std::size_t>(transaction[1]) | static_cast<std::size_t>(transaction[2]) << 8;
  return checks[place % kChecks];
}

void PortTable::tell_endpoint(const SharedPort& port, const Endpoint& remote, const Binding& binding,
                              bool is_here) noexcept {
  if (news_ == nullptr || !binding.receiver) return;
  news_->tell_endpoint(*binding.receiver, port.id, remote,
                       is_here ? std::optional(binding.proof) : std::nullopt);
}

void PortTable::forget_ufrag(SharedPort& port, std::string& ufrag) noexcept {
  if (ufrag.empty()) return;
  // Another worker may have it by now: then its transport has moved there.
  if (const auto at = port.by_ufrag.find(ufrag); at != port.by_ufrag.end() && !at->second.worker) {
    port.by_ufrag.erase(at);
    if (news_ != nullptr) news_->tell_ufrag(port.id, ufrag, false);
  }
  ufrag.clear();
}

void PortTable::forget_remote(SharedPort& port, TransportId id, const Endpoint& remote) noexcept {
  Sharer* sharer = port.sharer(id);
  if (sharer == nullptr) return;
  const auto bound = std::span(sharer->remotes).first(sharer->bound);
  const auto found = std::ranges::find(bound, remote);
  if (found == bound.end()) return;
  *found = bound.back();
  --sharer->bound;
}

void PortTable::leave(SharedPort& port, TransportId id) noexcept {
  Sharer* leaving = port.sharer(id);
  if (leaving == nullptr) return;
  forget_ufrag(port, leaving->ufrag);
  forget_ufrag(port, leaving->former_ufrag);
  for (const Endpoint& remote : std::span(leaving->remotes).first(leaving->bound)) {
    const auto at = port.bindings.find(remote);
    if (at == port.bindings.end()) continue;
    tell_endpoint(port, remote, at->second, false);
    port.bindings.erase(at);
  }
  port.sharers.erase(id.slot);
}

PortTable::Bindings::iterator PortTable::weakest_of(SharedPort& port, Sharer& sharer) noexcept {
  const auto strength = [&](const Endpoint& remote) {
    const Binding& binding = port.bindings.find(remote)->second;
    return std::pair(binding.proof, binding.used);
  };
  const auto bound = std::span(sharer.remotes).first(sharer.bound);
  return port.bindings.find(*std::ranges::min_element(bound, {}, strength));
}

PortTable::Bindings::node_type PortTable::take(SharedPort& port, Sharer& sharer,
                                               Bindings::iterator binding) noexcept {
  auto taken = port.bindings.extract(binding);
  tell_endpoint(port, taken.key(), taken.mapped(), false);
  const auto bound = std::span(sharer.remotes).first(sharer.bound);
  *std::ranges::find(bound, taken.key()) = bound.back();
  --sharer.bound;
  return taken;
}

PortTable::Found PortTable::reach(SharedPort& port, const Holder& holder, bool is_bound,
                                  bool was_passed_on) const noexcept {
  // What another worker has passed on is not passed on again, so that nothing goes round.
  if (holder.worker) {
    Found other;
    if (!was_passed_on) other.worker = holder.worker;
    other.is_bound = is_bound;
    return other;
  }
  const Sharer* sharer = port.sharer(holder.id);
  if (sharer == nullptr) return {};
  return {transports_.find(holder.id), {Component::kRtp, sharer->local}, {}, is_bound};
}

namespace {

/// The worker whose check an answer answers: an answer carries no ufrag, but the mark of the worker that has
/// asked. Nothing for anything else.
std::optional<WorkerNumber> asker_of(Bytes datagram) noexcept {
  const auto message = classify(datagram) == DatagramClass::kStun ? stun::parse(datagram) : std::nullopt;
  if (!message || (message->kind != stun::Kind::kSuccess && message->kind != stun::Kind::kError)) return {};
  return static_cast<WorkerNumber>(message->transaction[0]);
}

}  // namespace

std::optional<PortTable::Holder> PortTable::named_by(SharedPort& port, Bytes datagram) noexcept {
  if (classify(datagram) != DatagramClass::kStun || datagram.size() > kMaxRequest) return {};
  const auto message = stun::parse(datagram);
  if (!message) return {};
  if (message->kind == stun::Kind::kSuccess || message->kind == stun::Kind::kError) {
    const Check& check = port.place_of(message->transaction);
    const bool is_it = check.is_set && check.transaction == message->transaction;
    return is_it ? std::optional(Holder{check.id, {}}) : std::nullopt;
  }
  const std::size_t colon = message->username.find(':');
  if (message->kind != stun::Kind::kRequest || colon == std::string_view::npos) return {};
  const auto at = port.by_ufrag.find(message->username.substr(0, colon));
  return at != port.by_ufrag.end() ? std::optional(at->second) : std::nullopt;
}

PortTable::Found PortTable::find_sharing(std::uint64_t cookie, const Endpoint& from, Bytes datagram,
                                         Instant now) noexcept {
  SharedPort* port = shared(shared_port_of(cookie).value);
  if (port == nullptr) return {};
  const auto at = port->bindings.find(from);
  Binding* binding = at != port->bindings.end() ? &at->second : nullptr;
  const auto passed_on = passed_on_by(cookie);
  // The other worker believes that the endpoint is bound here, and it is not any more.
  if (passed_on && (cookie & kKnownThere) != 0 && (binding == nullptr || binding->holder.worker) &&
      news_ != nullptr)
    news_->tell_endpoint(*passed_on, port->id, from, std::nullopt);
  const auto named = named_by(*port, datagram);
  if (named && (binding == nullptr || *named != binding->holder)) {
    // It names another session than its source is known for. While that one is in use, it is not let in.
    if (binding != nullptr && binding->is_in_use(now)) return {};
    return reach(*port, *named, false, passed_on.has_value());
  }
  const auto asker = named ? std::nullopt : asker_of(datagram);
  if (asker && news_ != nullptr && !passed_on && (binding == nullptr || !binding->is_in_use(now))) {
    // Whoever has the endpoint by a check alone must not keep back the answer that would prove more.
    Found answered = binding != nullptr ? reach(*port, binding->holder, true, false) : Found{};
    answered.is_bound = answered.worker == asker;
    answered.worker = asker;
    return answered;
  }
  if (binding == nullptr) return {};
  binding->used = ++uses_;
  // An answer to somebody else's check is no life of its holder. Nor is DTLS: a page that comes back begins a
  // handshake, maybe before its answer has come, and would keep itself out.
  const bool is_elses = asker && binding->holder.worker != asker;
  if (!is_elses && classify(datagram) != DatagramClass::kDtls) binding->heard = now;
  return reach(*port, binding->holder, true, passed_on.has_value());
}

TransportEntry* PortTable::find_bound(std::uint64_t cookie, const Endpoint& remote) const noexcept {
  if (!is_shared(cookie)) return transports_.at(slot_of(cookie));
  const SharedPort* port = shared(shared_port_of(cookie).value);
  if (port == nullptr) return nullptr;
  const auto at = port->bindings.find(remote);
  return at != port->bindings.end() && !at->second.holder.worker ? transports_.find(at->second.holder.id)
                                                                 : nullptr;
}

SharedPortId PortTable::add_shared(PortHandle handle, std::size_t most) {
  auto free = std::ranges::find_if(shared_, [](const auto& each) { return each == nullptr; });
  const SharedPortId id{static_cast<std::uint32_t>(free - shared_.begin())};
  auto port = std::make_unique<SharedPort>(id, handle, most);
  if (free == shared_.end()) free = shared_.emplace(free);
  *free = std::move(port);
  return id;
}

void PortTable::remove_shared(SharedPortId port) noexcept {
  if (port.value < shared_.size()) shared_[port.value].reset();
}

std::optional<SharedPortId> PortTable::shared_by(PortHandle handle) const noexcept {
  for (const auto& port : shared_) {
    if (port && port->handle == handle && handle.is_open()) return port->id;
  }
  return std::nullopt;
}

bool PortTable::set_ufrag(SharedPortId port, TransportId id, std::string_view ufrag, std::uint8_t local) {
  SharedPort* at = shared(port.value);
  if (at == nullptr || ufrag.empty() || ufrag.find(':') != std::string_view::npos) return false;
  const auto known = at->by_ufrag.find(ufrag);
  if (known != at->by_ufrag.end() && !known->second.worker) {
    Sharer* owner = known->second.id == id ? at->sharer(id) : nullptr;
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
  sharer.local = local;
  // A transport that has moved here brings a ufrag that the former worker had.
  if (known != at->by_ufrag.end()) {
    --at->ufrags_of_others;
    known->second = {id, {}};
  } else {
    at->by_ufrag.emplace(text, Holder{id, {}});
  }
  forget_ufrag(*at, sharer.former_ufrag);
  sharer.former_ufrag = std::exchange(sharer.ufrag, std::move(text));
  if (news_ != nullptr) news_->tell_ufrag(port, sharer.ufrag, true);
  return true;
}

void PortTable::drop_former_ufrag(SharedPortId port, TransportId id) noexcept {
  SharedPort* at = shared(port.value);
  if (Sharer* sharer = at != nullptr ? at->sharer(id) : nullptr) forget_ufrag(*at, sharer->former_ufrag);
}

bool PortTable::join(TransportEntry& entry) {
  bool joined = true;
  entry.shares_port = false;
  for (std::size_t local = 0; local < entry.locals(); ++local) {
    const LocalPort which{Component::kRtp, static_cast<std::uint8_t>(local)};
    const auto port = shared_by(entry.port(which));
    if (!port) continue;
    entry.shares_port = true;
    const auto& ice = entry.state.plan().ice;
    if (!ice)
      leave(*shared(port->value), entry.id);
    else
      joined = set_ufrag(*port, entry.id, ice->own.ufrag, which.local) && joined;
  }
  return joined;
}

void PortTable::follow(TransportEntry& entry) noexcept {
  const Handshakes& handshakes = entry.state.parts().handshakes;
  const bool is_lost = handshakes.ice_state() == IceAgent::State::kExpired;
  const bool is_settled = handshakes.has_current_pair();
  if (!is_lost && !is_settled) return;
  for (const auto& port : shared_) {
    Sharer* sharer = port ? port->sharer(entry.id) : nullptr;
    if (sharer == nullptr) continue;
    if (is_settled) forget_ufrag(*port, sharer->former_ufrag);
    for (std::size_t left = sharer->bound; is_lost && left > 0; --left)
      unbind(port->id, entry.id, Endpoint(sharer->remotes[0]));
  }
}

bool PortTable::bind(std::uint64_t cookie, TransportId id, const Endpoint& remote, BindingProof proof,
                     Instant now) noexcept {
  SharedPort* at = shared(shared_port_of(cookie).value);
  Sharer* sharer = at != nullptr ? at->sharer(id) : nullptr;
  if (sharer == nullptr || !remote.is_set()) return false;
  const auto passed_on = passed_on_by(cookie);
  // From now on it is as good as the answer that proved it.
  Binding made{{id, {}}, ++uses_, now, std::min(proof, BindingProof::kAnswer), passed_on};
  // Told even if nothing changes here: the receiving worker does not know the endpoint, or has lost it.
  const bool is_news = passed_on && (cookie & kKnownThere) == 0;
  const auto known = at->bindings.find(remote);
  if (known != at->bindings.end() && known->second.holder == made.holder) {
    const bool is_elsewhere = known->second.receiver != passed_on;
    if (is_elsewhere) tell_endpoint(*at, remote, known->second, false);
    const bool is_stronger = made.proof > known->second.proof;
    made.proof = std::max(made.proof, known->second.proof);
    known->second = made;
    if (is_news || is_elsewhere || is_stronger) tell_endpoint(*at, remote, made, true);
    return true;
  }
  if (known != at->bindings.end() && !known->second.gives_way_to(proof, now)) return false;
  const bool is_full = known == at->bindings.end() && at->bindings.size() >= at->max_bindings;
  if (is_full && sharer->bound == 0) return false;
  Bindings::node_type room;
  if (is_full || sharer->bound == sharer->remotes.size()) {
    const auto weakest = weakest_of(*at, *sharer);
    // Whoever has read the password can send checks from any number of addresses. They must not push out the
    // one where the party answers.
    if (proof == BindingProof::kCheck && weakest->second.is_in_use(now)) return false;
    room = take(*at, *sharer, weakest);
  }
  if (known != at->bindings.end()) {
    // It moves: the party uses the endpoint for another session now.
    if (!known->second.holder.worker) forget_remote(*at, known->second.holder.id, remote);
    known->second = made;
  } else if (!room.empty()) {
    // The new binding takes over the memory of the one that gives way.
    room.key() = remote;
    room.mapped() = made;
    at->bindings.insert(std::move(room));
  } else if (!had_memory([&] { at->bindings.emplace(remote, made); })) {
    return false;
  }
  sharer->remotes[sharer->bound++] = remote;
  if (passed_on && proof == BindingProof::kMove && news_ != nullptr)
    news_->tell_endpoint(*passed_on, at->id, remote, proof);
  else if (passed_on)
    tell_endpoint(*at, remote, made, true);
  return true;
}

std::vector<MovedBinding> PortTable::bindings_of(TransportId id, WorkerNumber here) const {
  std::vector<MovedBinding> bound;
  for (const auto& port : shared_) {
    const Sharer* sharer = port ? port->sharer(id) : nullptr;
    if (sharer == nullptr) continue;
    for (const Endpoint& remote : std::span(sharer->remotes).first(sharer->bound)) {
      const auto at = port->bindings.find(remote);
      if (at == port->bindings.end()) continue;
      bound.push_back({port->id, remote, at->second.proof, at->second.receiver.value_or(here)});
    }
  }
  return bound;
}

void PortTable::bind_moved(TransportEntry& entry, WorkerNumber here, Instant now) noexcept {
  for (const MovedBinding& each : entry.moved) {
    const std::uint64_t cookie =
        each.receiver == here ? make_cookie(each.port) : make_cookie(each.port, each.receiver, false);
    const auto proof = each.proof == BindingProof::kCheck ? BindingProof::kCheck : BindingProof::kMove;
    static_cast<void>(bind(cookie, entry.id, each.remote, proof, now));
  }
  entry.moved.clear();
}

void PortTable::unbind(SharedPortId port, TransportId id, const Endpoint& remote) noexcept {
  SharedPort* at = shared(port.value);
  if (at == nullptr) return;
  const auto known = at->bindings.find(remote);
  if (known == at->bindings.end() || known->second.holder != Holder{id, {}}) return;
  forget_remote(*at, id, remote);
  tell_endpoint(*at, remote, known->second, false);
  at->bindings.erase(known);
}

void PortTable::note_check(SharedPortId port, TransportId id,
                           const stun::TransactionId& transaction) noexcept {
  if (SharedPort* at = shared(port.value)) at->place_of(transaction) = {transaction, id, true};
}

void PortTable::remove(TransportId id) noexcept {
  for (const auto& port : shared_) {
    if (port) leave(*port, id);
  }
}

void PortTable::set_ufrag_of_other(SharedPortId port, std::string_view ufrag, WorkerNumber worker,
                                   bool is_there) {
  SharedPort* at = shared(port.value);
  if (at == nullptr) return;
  const auto known = at->by_ufrag.find(ufrag);
  if (!is_there) {
    if (known == at->by_ufrag.end() || known->second.worker != worker) return;
    at->by_ufrag.erase(known);
    --at->ufrags_of_others;
    return;
  }
  if (known != at->by_ufrag.end()) {
    // One of this worker's transports has it: news from before that transport came here.
    if (known->second.worker) known->second.worker = worker;
    return;
  }
  if (at->ufrags_of_others >= kMaxUfragsOfOthers) return;
  at->by_ufrag.emplace(std::string(ufrag), Holder{{}, worker});
  ++at->ufrags_of_others;
}

void PortTable::set_endpoint_of_other(SharedPortId port, const Endpoint& remote, WorkerNumber worker,
                                      std::optional<BindingProof> proof, Instant now) noexcept {
  SharedPort* at = shared(port.value);
  if (at == nullptr) return;
  const auto known = at->bindings.find(remote);
  if (!proof) {
    if (known != at->bindings.end() && known->second.holder.worker == worker) at->bindings.erase(known);
    return;
  }
  const Binding made{{{}, worker}, ++uses_, now, std::min(*proof, BindingProof::kAnswer), {}};
  if (known != at->bindings.end()) {
    const bool is_its_own = known->second.holder.worker == worker;
    if (!is_its_own && !known->second.gives_way_to(*proof, now)) return;
    if (!known->second.holder.worker) forget_remote(*at, known->second.holder.id, remote);
    known->second = made;
  } else if (at->bindings.size() < at->max_bindings) {
    // Without memory the endpoint stays a stranger, and the next check tells of it again (C-12).
    static_cast<void>(had_memory([&] { at->bindings.emplace(remote, made); }));
  }
}

bool PortTable::is_bound(SharedPortId port, const Endpoint& remote) const noexcept {
  const SharedPort* at = shared(port.value);
  return at != nullptr && at->bindings.contains(remote);
}

std::size_t PortTable::bindings(SharedPortId port) const noexcept {
  const SharedPort* at = shared(port.value);
  return at != nullptr ? at->bindings.size() : 0;
}

std::size_t PortTable::sharers(SharedPortId port) const noexcept {
  const SharedPort* at = shared(port.value);
  return at != nullptr ? at->sharers.size() : 0;
}

}  // namespace ferry
