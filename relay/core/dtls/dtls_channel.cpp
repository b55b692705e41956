#include "relay/core/dtls/dtls_channel.hpp"

#include <algorithm>

namespace ferry {

using namespace std::chrono_literals;

namespace {

/// Whom a ClientHello came from, and what stays the same when it comes again with a cookie.
std::vector<std::byte> cookie_facts(const Endpoint& from, const ClientHello& hello) {
  std::vector<std::byte> facts(from.address.octets().size() + 3);
  std::ranges::copy(std::as_bytes(std::span(from.address.octets())), facts.begin());
  write_u8(facts, 16, static_cast<std::uint8_t>(from.address.family()));
  write_u16(facts, 17, from.port.value);
  facts.insert(facts.end(), hello.random.begin(), hello.random.end());
  facts.insert(facts.end(), hello.session_id.begin(), hello.session_id.end());
  return facts;
}

bool is_same(Bytes cookie, const DtlsIdentity::Cookie& wanted) noexcept {
  if (cookie.size() != wanted.size()) return false;
  std::byte differs{};
  for (std::size_t i = 0; i < wanted.size(); ++i) differs |= cookie[i] ^ wanted[i];
  return differs == std::byte{};
}

/// Of one association to one peer.
class ToPeer final : public DtlsOutput {
 public:
  ToPeer(DatagramOutput& out, const Endpoint& peer) : out_(out), peer_(peer) {}
  void send(Bytes datagram) noexcept override { out_.send(peer_, datagram); }

 private:
  DatagramOutput& out_;
  Endpoint peer_;
};

}  // namespace

std::string_view to_string(DtlsChannel::State state) noexcept {
  switch (state) {
    case DtlsChannel::State::kWaiting:
      return "waiting";
    case DtlsChannel::State::kHandshaking:
      return "handshaking";
    case DtlsChannel::State::kUnverified:
      return "unverified";
    case DtlsChannel::State::kReady:
      return "ready";
    case DtlsChannel::State::kMismatch:
      return "mismatch";
    case DtlsChannel::State::kFailed:
      return "failed";
  }
  return "unknown";
}

bool DtlsChannel::hold(const Endpoint& from, Bytes datagram, Instant now) {
  const bool is_free = !held_.from.is_set() || now - held_.since > kHeldTime;
  if (is_free) {
    if (!parse_client_hello(datagram)) return false;
    held_ = {from, now, {}, 0};
  }
  if (held_.from != from || held_.octets + datagram.size() > kHeldOctets) return false;
  held_.octets += datagram.size();
  held_.datagrams.emplace_back(datagram.begin(), datagram.end());
  return true;
}

void DtlsChannel::release(Turn turn) {
  const Held held = std::exchange(held_, {});
  for (const auto& datagram : held.datagrams) take(held.from, datagram, turn);
}

bool DtlsChannel::take(const Endpoint& from, Bytes datagram, Turn turn) {
  const std::vector<std::byte> records = sift_records(datagram);
  if (records.empty()) return false;
  if (const auto hello = parse_client_hello(records)) {
    on_hello(from, records, *hello, turn);
  } else if (assembly_.take(records)) {
    begin_server(from, assembly_.take_record(), true, turn);
  } else if (Running& running = next_ ? next_ : current_) {
    feed(running, from, records, turn);
  }
  return true;
}

void DtlsChannel::on_hello(const Endpoint& from, Bytes records, const ClientHello& hello, Turn turn) {
  if (turn.plan.role == DtlsRole::kClient) return;
  // Of an association that we have: its peer did not hear us.
  for (Running* each : {&next_, &current_}) {
    if (*each && std::ranges::equal(each->random, hello.random)) {
      feed(*each, from, records, turn);
      return;
    }
  }
  std::ranges::copy(hello.random, assembling_.begin());
  if (turn.is_proven && hello.cookie.empty()) {
    begin_server(from, records, false, turn);
    return;
  }
  const auto cookie = turn.plan.identity->cookie(cookie_facts(from, hello));
  if (!is_same(hello.cookie, cookie)) {
    const auto request = hello_verify_request(hello, cookie);
    if (request.size() <= records.size()) turn.out.send(from, request);  // LIM-2
    return;
  }
  if (assembly_.take(records)) begin_server(from, assembly_.take_record(), true, turn);
}

bool DtlsChannel::may_start(Instant now) noexcept {
  const auto oldest = std::ranges::min_element(starts_);
  if (*oldest != Instant{} && now - *oldest < kStartTime) return false;
  *oldest = now;
  return true;
}

void DtlsChannel::begin_server(const Endpoint& from, Bytes hello, bool after_cookie, Turn turn) {
  Running begun;
  begun.place = turn.budget.take(from.address);
  if (!begun.place || !may_start(turn.now)) return;
  begun.association = turn.plan.identity->make(DtlsRole::kServer, after_cookie);
  begun.peer = from;
  begun.random = assembling_;
  // A live association keeps its keys until the new one has verified (DTL-11).
  Running& place = current_ && current_.is_established ? next_ : current_;
  place = std::move(begun);
  if (!keys_) state_ = State::kHandshaking;
  feed(place, from, hello, turn);
}

void DtlsChannel::begin_client(const Endpoint& peer, Turn turn) {
  Running begun;
  begun.association = turn.plan.identity->make(DtlsRole::kClient, false);
  begun.peer = peer;
  begun.role = DtlsRole::kClient;
  Running& place = current_ && current_.is_established ? next_ : current_;
  place = std::move(begun);
  if (!keys_) state_ = State::kHandshaking;
  ToPeer out(turn.out, peer);
  settle(place, place.association->start(out), turn);
}

void DtlsChannel::feed(Running& running, const Endpoint& from, Bytes records, Turn turn) {
  running.peer = from;  // DTL-6
  ToPeer out(turn.out, from);
  settle(running, running.association->take(records, out), turn);
}

void DtlsChannel::settle(Running& running, DtlsAssociation::State state, Turn turn) {
  if (state == DtlsAssociation::State::kFailed) {
    fail(running, State::kFailed, News::kFailed);
    return;
  }
  if (state != DtlsAssociation::State::kEstablished || running.is_established) return;
  running.is_established = true;
  running.established = turn.now;
  running.place.reset();
  verify(running, turn);
}

void DtlsChannel::verify(Running& running, Turn turn) {
  if (turn.plan.peer.empty()) {
    if (!keys_) state_ = State::kUnverified;
    return;
  }
  auto keys = is_signalled(*running.association, turn.plan) ? running.association->keys() : std::nullopt;
  if (!keys) {
    fail(running, State::kMismatch, News::kMismatch);
    return;
  }
  keys_ = std::move(keys);
  peer_ = running.peer;
  state_ = State::kReady;
  is_wanted_ = false;
  news_ = News::kReady;
  rounds_ = 0;
  if (&running == &next_) current_ = std::exchange(next_, Running{});
}

void DtlsChannel::fail(Running& running, State state, News news) {
  running = {};
  news_ = news;
  if (!keys_) state_ = state;
}

void DtlsChannel::drive(const Endpoint& peer, Turn turn) {
  if (association_ != turn.plan.association) {
    association_ = turn.plan.association;
    is_wanted_ = true;
    rounds_ = 0;
    next_ = {};
    if (!current_.is_established) current_ = {};
    if (!keys_ && state_ != State::kUnverified) state_ = State::kWaiting;  // a mismatch was of the former one
  }
  // Who was to wait is to begin: the answer said so.
  if (turn.plan.role == DtlsRole::kClient && current_ && !current_.is_established &&
      current_.role == DtlsRole::kServer)
    current_ = {};
  if (current_ && state_ == State::kUnverified && !turn.plan.peer.empty()) verify(current_, turn);
  const bool runs = (current_ && !current_.is_established) || static_cast<bool>(next_);
  if (turn.plan.role == DtlsRole::kClient && is_wanted_ && !runs && peer.is_reachable() &&
      state_ != State::kUnverified && state_ != State::kMismatch && rounds_ < kRounds) {
    ++rounds_;
    begin_client(peer, turn);
  }
  for (Running* each : {&next_, &current_}) {
    if (!*each) continue;
    if (each->is_established) {
      // A late copy of the peer's last flight is answered for a while.
      if (keys_ && turn.now - each->established >= kKept) each->association.reset();
      continue;
    }
    const auto left = each->association->timer();
    if (!left || *left > 0ns) continue;
    ToPeer out(turn.out, each->peer);
    settle(*each, each->association->on_time(out), turn);
  }
}

std::optional<Instant> DtlsChannel::due(Instant now) const noexcept {
  constexpr Duration kLeast = 5ms;  // the back end has a clock of its own
  std::optional<Instant> first;
  const auto at = [&](Instant when) { first = first ? std::min(*first, when) : when; };
  for (const Running* each : {&next_, &current_}) {
    if (!*each) continue;
    if (each->is_established) {
      if (keys_) at(each->established + kKept);
    } else if (const auto left = each->association->timer()) {
      at(now + std::max<Duration>(*left, kLeast));
    }
  }
  return first;
}

void DtlsChannel::restore(const DtlsKeys& keys, std::uint32_t association) {
  keys_ = keys;
  association_ = association;
  is_wanted_ = false;
  state_ = State::kReady;
}

void DtlsChannel::leave_budget() noexcept {
  next_.place.reset();
  current_.place.reset();
}

}  // namespace ferry
