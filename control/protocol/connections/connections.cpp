// SPDX-License-Identifier: Apache-2.0
// Accepts, owns and frees the connections of all listeners.
//
// Three timers do the work that no socket triggers. `look_` lets every connection check its deadlines.
// `tidy_` frees ended connections and resumes those whose turn was over. `next_handshake_` paces TLS
// handshakes while clients wait for theirs.
#include "control/protocol/connections/connections.hpp"

#include "control/log/log.hpp"
#include "control/protocol/stream_listener.hpp"
#include "relay/io/portable/socket_address.hpp"

#include <cstring>
#include <new>

namespace ferry {

namespace {

constexpr timeval kLookEvery{0, 250'000};
constexpr timeval kHandshakeEvery{0, 5'000};
constexpr timeval kAtOnce{0, 0};
constexpr std::uint32_t kMostHandshakes = 200;
/// Least time between two log lines of one kind that clients cause (LIM-4).
constexpr std::chrono::seconds kBetweenLines{10};

}  // namespace

Listener::Listener(Connections& all, FileDescriptor listening, ListenerRules rules, OpenSession open)
    : all_(all),
      rules_(std::move(rules)),
      open_(std::move(open)),
      acceptor_(
          all.base(), std::move(listening), rules_.standing == Standing::kOperator ? &all.spare() : nullptr,
          [this](FileDescriptor socket, const sockaddr* from, socklen_t size) {
            all_.accept(*this, std::move(socket), from, size);
          },
          [this](int error) { all_.on_shortage(*this, error); }) {
  all_.note_listener(acceptor_.descriptor());
  if (rules_.tls != nullptr) all_.bound_handshakes(rules_.tls->handshakes_per_second());
}

Listener::~Listener() { all_.end_all_of(*this); }

void Listener::note_without_token(const IpAddress& source) const { all_.note_without_token(*this, source); }

std::uint16_t Listener::port() const {
  SocketAddress bound;
  getsockname(acceptor_.descriptor(), bound.get(), bound.size_pointer());
  return bound.endpoint().port.value;
}

Connections::Connections(event_base* base, AccessList& access, std::function<Instant()> now,
                         std::size_t max_clients)
    : base_(base),
      access_(access),
      now_(std::move(now)),
      table_({.total = max_clients}),
      handshakes_(kMostHandshakes),
      tidy_(evtimer_new(
          base, [](evutil_socket_t, short, void* self) { static_cast<Connections*>(self)->tidy(); }, this)),
      look_(event_new(
          base, -1, EV_PERSIST,
          [](evutil_socket_t, short, void* self) { static_cast<Connections*>(self)->look_at_all(); }, this)),
      next_handshake_(evtimer_new(
          base,
          [](evutil_socket_t, short, void* self) { static_cast<Connections*>(self)->begin_handshakes(); },
          this)) {
  if (!tidy_ || !look_ || !next_handshake_ || event_add(look_.get(), &kLookEvery) != 0)
    throw std::bad_alloc();
}

Connections::~Connections() = default;

Connection* Connections::find(Connection::Id id) {
  const auto found = open_.find(id);
  return found == open_.end() ? nullptr : found->second.connection.get();
}

/// The table admits every newcomer. It may name another connection that has to end for it.
void Connections::accept(const Listener& listener, FileDescriptor socket, const sockaddr* from,
                         socklen_t size) {
  const IpAddress source = stream_source(from, static_cast<int>(size));
  const bool is_local = from->sa_family == AF_UNIX;
  // The source is checked before TLS begins and before an octet is read.
  if (!is_local && !access_.admit(source, now_(), listener.rules().name)) {
    ++counts_.closed[static_cast<std::size_t>(CloseReason::kNotAllowed)];
    return;
  }
  const Standing standing = listener.rules().standing    ? *listener.rules().standing
                            : is_local                   ? Standing::kLocalSocket
                            : access_.is_trusted(source) ? Standing::kTrusted
                                                         : Standing::kStranger;
  const ConnectionTable::Admission admission = table_.admit(source, standing);
  if (admission.evicted) {
    note_crowd(admission.why);
    if (Connection* victim = find(*admission.evicted)) victim->end(admission.why);
  }
  ++counts_.accepted;
  ConnectionOwner& owner = *this;
  auto connection = std::make_unique<Connection>(owner, listener.rules(), admission.id, std::move(socket),
                                                 source, standing);
  Connection& started = *connection;
  open_.emplace(admission.id, Open{&listener, std::move(connection)});
  started.start(listener.open(started));
}

/// Collects the connections first, because ending one takes it out of `open_`.
void Connections::end_all_of(const Listener& listener) {
  std::vector<Connection*> its;
  for (const auto& [id, open] : open_) {
    if (open.listener == &listener) its.push_back(open.connection.get());
  }
  for (Connection* each : its) each->end(std::nullopt);
  std::erase_if(ended_, [&](const Open& each) { return each.listener == &listener; });
}

void Connections::on_shortage(const Listener& listener, int error) {
  ++counts_.pauses;
  const bool goes_on = shortage_at_ && now_() - *shortage_at_ < kBetweenLines;
  shortage_at_ = now_();
  // The shortage has been logged.
  if (goes_on) return;
  const log::Scope scope(log::Subsystem::kControl);
  log::error("{}: no connection can be taken ({}): raise the limit of descriptors (LimitNOFILE=, ulimit -n)",
             listener.rules().name, std::strerror(error));
}

void Connections::note_without_token(const Listener& listener, const IpAddress& source) {
  access_.note_without_token(source, now_(), listener.rules().name);
}

void Connections::bound_handshakes(std::uint32_t per_second) { handshakes_.bound(per_second); }

void Connections::note_crowd(CloseReason why) {
  if (crowd_told_ && now_() - *crowd_told_ < kBetweenLines) return;
  crowd_told_ = now_();
  const log::Scope scope(log::Subsystem::kControl);
  log::warn("control listeners: {} connections, {}: the oldest one gives way (max-clients={}, a source {})",
            table_.size(),
            why == CloseReason::kAllFull ? "which is all" : "and one source has all it may have",
            table_.limit(), table_.limit_of(Standing::kTrusted));
}

/// Only strangers have a budget of requests.
bool Connections::on_request(const Connection& connection) {
  table_.on_request(connection.id());
  if (connection.standing() != Standing::kStranger) return true;
  const auto found = open_.find(connection.id());
  return access_.admit(
      connection.source(), now_(),
      found == open_.end() ? std::string_view() : std::string_view(found->second.listener->rules().name));
}

void Connections::pump_later(const Connection& connection) {
  to_pump_.push_back(connection.id());
  event_add(tidy_.get(), &kAtOnce);
}

void Connections::queue_handshake(const Connection& connection) {
  handshakes_.add(connection.id(), counted_as(connection.source(), connection.standing()));
  begin_handshakes();
}

void Connections::begin_handshakes() {
  while (const auto next = handshakes_.next(now_())) {
    if (Connection* connection = find(*next)) connection->begin_handshake();
  }
  if (handshakes_.size() != 0) event_add(next_handshake_.get(), &kHandshakeEvery);
}

void Connections::on_end(const Connection& connection, std::optional<CloseReason> reason) {
  const auto found = open_.find(connection.id());
  if (reason) ++counts_.closed[static_cast<std::size_t>(*reason)];
  table_.remove(connection.id());
  handshakes_.remove(connection.id());
  if (found == open_.end()) return;
  ended_.push_back(std::move(found->second));
  open_.erase(found);
  event_add(tidy_.get(), &kAtOnce);
}

void Connections::tidy() {
  std::exchange(ended_, {}).clear();
  spare_.take();
  for (const Connection::Id id : std::exchange(to_pump_, {})) {
    if (Connection* connection = find(id)) connection->pump();
  }
}

void Connections::look_at_all() {
  const Instant now = now_();
  std::vector<Connection*> all;
  all.reserve(open_.size());
  for (const auto& [id, open] : open_) all.push_back(open.connection.get());
  // Connections that end here are freed later.
  for (Connection* each : all) each->look(now);
}

}  // namespace ferry
