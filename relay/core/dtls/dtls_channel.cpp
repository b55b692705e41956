// How a channel works: at most two handshakes run, the one in force and one beside it. Each remembers its
// path and its last flight. A reply goes where the peer's flight came from (DTL-6). First
// flights and repetitions go to the way that `drive` is told, which with ICE is the selected pair: when that
// changes, the channel sends the flight there at once and again after 50, 100 ... ms, until the association's
// own timer takes over. Certificates are judged when the peer shows them, or when their fingerprint is
// signalled later.
#include "relay/core/dtls/dtls_channel.hpp"

#include <algorithm>
#include <new>

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr Duration kFirstGap = 50ms;  // DTL-12: between repetitions on a new way, doubling
constexpr Duration kLastGap = 1600ms;

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

}  // namespace

class DtlsChannel::Owner final : public DtlsOwner {
 public:
  Owner(Running& running, Turn turn) : running_(running), turn_(turn) {}
  void send(Bytes datagram) noexcept override {
    if (!has_sent_) {
      running_.flight.clear();
      running_.again = {};
    }
    has_sent_ = true;
    try {
      running_.flight.emplace_back(datagram.begin(), datagram.end());
    } catch (const std::bad_alloc&) {
      running_.flight.clear();  // the association repeats it (C-12)
    }
    turn_.out.send_by(running_.path, datagram);
  }
  bool accepts(const DtlsAssociation& association) noexcept override {
    has_refused_ = !turn_.plan.peer.empty() && !is_signalled(association, turn_.plan);
    return !has_refused_;
  }
  [[nodiscard]] bool has_sent() const noexcept { return has_sent_; }
  [[nodiscard]] bool has_refused() const noexcept { return has_refused_; }

 private:
  Running& running_;
  Turn turn_;
  bool has_sent_ = false;
  bool has_refused_ = false;
};

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

bool DtlsChannel::hold(const Path& from, Bytes datagram, Instant now) {
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

bool DtlsChannel::take(const Path& from, Bytes datagram, Turn turn) {
  const std::vector<std::byte> records = sift_records(datagram);
  if (records.empty()) return false;
  if (const auto hello = parse_client_hello(records)) {
    on_hello(from, records, *hello, turn);
  } else if (assembly_.take(records)) {
    begin_server(from, assembly_.take_record(), true, turn);
  } else if (Running* running = running_with(from)) {
    feed(*running, from, records, turn);
  }
  return true;
}

DtlsChannel::Running* DtlsChannel::running_with(const Path& from) noexcept {
  for (Running* each : {&next_, &current_}) {
    if (*each && each->path == from) return each;
  }
  if (next_) return &next_;
  return current_ ? &current_ : nullptr;
}

void DtlsChannel::on_hello(const Path& from, Bytes records, const ClientHello& hello, Turn turn) {
  if (turn.plan.role == DtlsRole::kClient) return;
  // Of an association that we have: its peer did not hear us.
  for (Running* each : {&next_, &current_}) {
    if (*each && std::ranges::equal(each->random, hello.random)) {
      const bool is_elsewhere = each->path != from;
      if (!feed(*each, from, records, turn) && is_elsewhere && turn.is_proven) repeat(*each, turn);
      return;
    }
  }
  std::ranges::copy(hello.random, assembling_.begin());
  if (turn.is_proven && hello.cookie.empty()) {
    begin_server(from, records, false, turn);
    return;
  }
  const auto cookie = turn.plan.identity->cookie(cookie_facts(from.peer, hello));
  if (!is_same(hello.cookie, cookie)) {
    const auto request = hello_verify_request(hello, cookie);
    if (request.size() <= records.size()) turn.out.send_by(from, request);  // LIM-2
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

void DtlsChannel::begin_server(const Path& from, Bytes hello, bool after_cookie, Turn turn) {
  Running begun;
  begun.place = turn.budget.take(from.peer.address);
  if (!begun.place || !may_start(turn.now)) return;
  begun.association = turn.plan.identity->make(DtlsRole::kServer, after_cookie);
  begun.path = from;
  begun.random = assembling_;
  // A live association keeps its keys until the new one has verified (DTL-11).
  Running& place = current_ && current_.is_established ? next_ : current_;
  place = std::move(begun);
  if (!keys_) state_ = State::kHandshaking;
  feed(place, from, hello, turn);
}

void DtlsChannel::begin_client(const Path& way, Turn turn) {
  Running begun;
  begun.association = turn.plan.identity->make(DtlsRole::kClient, false);
  begun.path = way;
  begun.role = DtlsRole::kClient;
  Running& place = current_ && current_.is_established ? next_ : current_;
  place = std::move(begun);
  if (!keys_) state_ = State::kHandshaking;
  Owner owner(place, turn);
  settle(place, place.association->start(owner), owner.has_refused(), turn);
}

bool DtlsChannel::feed(Running& running, const Path& from, Bytes records, Turn turn) {
  running.path = from;  // DTL-6
  Owner owner(running, turn);
  const auto state = running.association->take(records, owner);
  const bool has_sent = owner.has_sent();
  settle(running, state, owner.has_refused(), turn);
  return has_sent;
}

void DtlsChannel::repeat(const Running& running, Turn turn) {
  for (const auto& datagram : running.flight) turn.out.send_by(running.path, datagram);
}

void DtlsChannel::move(Running& running, Turn turn) {
  running.path = way_;
  running.association->hurry();
  repeat(running, turn);
  running.gap = kFirstGap;
  running.again = turn.now + running.gap;
}

void DtlsChannel::settle(Running& running, DtlsAssociation::State state, bool is_refused, Turn turn) {
  if (state == DtlsAssociation::State::kFailed) {
    if (is_refused)
      fail(running, State::kMismatch, News::kMismatch);
    else
      fail(running, State::kFailed, News::kFailed);
    return;
  }
  if (state != DtlsAssociation::State::kEstablished || running.is_established) return;
  running.is_established = true;
  running.established = turn.now;
  running.place.reset();
  running.flight = {};
  running.again = {};
  verify(running, turn);
}

void DtlsChannel::verify(Running& running, Turn turn) {
  if (turn.plan.peer.empty()) {
    if (!keys_) state_ = State::kUnverified;
    return;
  }
  if (!is_signalled(*running.association, turn.plan)) {
    Owner owner(running, turn);
    running.association->refuse(owner);
    fail(running, State::kMismatch, News::kMismatch);
    return;
  }
  auto keys = running.association->keys();
  if (!keys) {
    fail(running, State::kFailed, News::kFailed);
    return;
  }
  keys_ = std::move(keys);
  keyed_for_ = turn.plan.association;
  peer_ = running.path.peer;
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

void DtlsChannel::drive(const Path& way, Turn turn) {
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
  const bool has_moved = way.is_set() && way_ != way;
  if (has_moved) {
    way_ = way;
    rounds_ = 0;
  }
  const bool runs = (current_ && !current_.is_established) || static_cast<bool>(next_);
  if (turn.plan.role == DtlsRole::kClient && is_wanted_ && !runs && way.peer.is_reachable() &&
      state_ != State::kUnverified && state_ != State::kMismatch && rounds_ < kRounds) {
    ++rounds_;
    begin_client(way, turn);
  }
  for (Running* each : {&next_, &current_}) {
    if (*each) run(*each, has_moved, turn);
  }
}

void DtlsChannel::run(Running& running, bool has_moved, Turn turn) {
  if (running.is_established) {
    // A late copy of the peer's last flight is answered for a while.
    if (keys_ && turn.now - running.established >= kKept) running.association.reset();
    return;
  }
  const bool follows = way_.is_set() && (turn.is_proven || running.role == DtlsRole::kClient);
  if (follows && has_moved && running.path != way_) move(running, turn);
  const auto left = running.association->timer();
  if (left && *left <= 0ns) {
    if (follows && turn.is_proven) running.path = way_;
    running.again = {};
    Owner owner(running, turn);
    const auto state = running.association->on_time(owner);
    settle(running, state, owner.has_refused(), turn);
  } else if (running.again != Instant{} && turn.now >= running.again) {
    repeat(running, turn);
    running.gap *= 2;
    running.again = running.gap <= kLastGap ? turn.now + running.gap : Instant{};
  }
}

void DtlsChannel::skip(Duration pause) noexcept {
  const auto later = [pause](Instant& each) {
    if (each != Instant{}) each += pause;
  };
  for (Running* each : {&current_, &next_}) {
    later(each->established);
    later(each->again);
  }
  for (Instant& each : starts_) later(each);
  later(held_.since);
}

std::optional<Instant> DtlsChannel::due(Instant now) const noexcept {
  constexpr Duration kLeast = 5ms;  // the back end has a clock of its own
  std::optional<Instant> first;
  const auto at = [&](Instant when) { first = first ? std::min(*first, when) : when; };
  for (const Running* each : {&next_, &current_}) {
    if (!*each) continue;
    if (each->is_established) {
      if (keys_) at(each->established + kKept);
    } else {
      if (const auto left = each->association->timer()) at(now + std::max<Duration>(*left, kLeast));
      if (each->again != Instant{}) at(std::max(each->again, now));
    }
  }
  return first;
}

void DtlsChannel::restore(const DtlsKeys& keys, std::uint32_t association) {
  keys_ = keys;
  association_ = keyed_for_ = association;
  is_wanted_ = false;
  state_ = State::kReady;
}

void DtlsChannel::leave_budget() noexcept {
  next_.place.reset();
  current_.place.reset();
}

}  // namespace ferry
