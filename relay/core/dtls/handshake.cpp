// How a handshake works: what the association sends is kept as its flight and leaves for the path that its
// source spoke from last. A client toward a source that has not proved to be there spends no more octets than
// came from it, until its second flight: that leaves only after the peer signed our random number. A client
// whose peer says two different things under one message number gives the round up, unless it makes progress,
// and says so by an alert, so that a peer which waits in the middle of it begins anew too (DTL-13).
#include "relay/core/dtls/handshake.hpp"

#include <algorithm>
#include <new>

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr Duration kFirstGap = 50ms;  // DTL-12: between repetitions on a new way, doubling
constexpr Duration kLastGap = 1600ms;
constexpr Duration kKept = 30s;
constexpr Duration kDoubt = 700ms;  // DTL-13: the next round begins within 1 s

/// The datagram is one that a client sends before it knows whether anybody is there.
bool is_first_of_client(Bytes datagram) noexcept {
  return is_hello_piece(datagram) || plain_alert(datagram).has_value();
}

}  // namespace

class DtlsHandshake::Owner final : public DtlsOwner {
 public:
  Owner(DtlsHandshake& handshake, DtlsTurn turn) : handshake_(handshake), turn_(turn) {}
  void send(Bytes datagram) noexcept override {
    if (!has_sent_) {
      handshake_.flight_.clear();
      handshake_.again_ = {};
      handshake_.was_withheld_ = false;
    }
    has_sent_ = true;
    // Its second flight follows the peer's signature of our random number.
    if (!is_first_of_client(datagram)) {
      handshake_.credit_.reset();
      handshake_.doubted_ = {};
    }
    try {
      handshake_.flight_.emplace_back(datagram.begin(), datagram.end());
    } catch (const std::bad_alloc&) {
      handshake_.flight_.clear();  // the association repeats it (C-12)
    }
    handshake_.put(datagram, turn_);
  }
  bool accepts(const DtlsAssociation& association) noexcept override {
    has_refused_ = !turn_.plan.peer.empty() && !is_signalled(association, turn_.plan);
    return !has_refused_;
  }
  [[nodiscard]] bool has_sent() const noexcept { return has_sent_; }
  [[nodiscard]] bool has_refused() const noexcept { return has_refused_; }

 private:
  DtlsHandshake& handshake_;
  DtlsTurn turn_;
  bool has_sent_ = false;
  bool has_refused_ = false;
};

DtlsHandshake::DtlsHandshake(const Path& path, std::unique_ptr<DtlsAssociation> association,
                             const ClientHello& hello, DtlsBudget::Place place)
    : association_(std::move(association)),
      path_(path),
      hello_sequence_(hello.message_sequence),
      place_(std::move(place)) {
  std::ranges::copy(hello.random, random_.begin());
}

DtlsHandshake::DtlsHandshake(const Path& path, std::unique_ptr<DtlsAssociation> association,
                             std::optional<std::size_t> credit, DtlsBudget::Place place)
    : association_(std::move(association)),
      path_(path),
      role_(DtlsRole::kClient),
      place_(std::move(place)),
      credit_(credit),
      watch_(std::make_unique<FlightWatch>()) {}

bool DtlsHandshake::began_with(const ClientHello& hello) const noexcept {
  return association_ != nullptr && role_ == DtlsRole::kServer && hello_sequence_ == hello.message_sequence &&
         std::ranges::equal(random_, hello.random);
}

void DtlsHandshake::put(Bytes datagram, DtlsTurn turn) {
  if (credit_) {
    if (*credit_ < datagram.size()) {
      was_withheld_ = true;
      return;
    }
    *credit_ -= datagram.size();
  }
  turn.out.send_by(path_, datagram);
}

DtlsHandshake::Outcome DtlsHandshake::start(DtlsTurn turn) {
  Owner owner(*this, turn);
  return settle(association_->start(owner), owner.has_refused(), false, turn);
}

DtlsHandshake::Outcome DtlsHandshake::take(const Path& from, Bytes records, DtlsTurn turn, bool* has_sent) {
  path_ = from;  // DTL-6
  if (watch_ && !watch_->note(records) && doubted_ == Instant{}) doubted_ = turn.now;
  Owner owner(*this, turn);
  const auto state = association_->take(records, owner);
  if (has_sent != nullptr) *has_sent = owner.has_sent();
  return settle(state, owner.has_refused(), false, turn);
}

void DtlsHandshake::earn(std::size_t octets, DtlsTurn turn) {
  if (!credit_) return;
  *credit_ += octets;
  if (was_withheld_) repeat(turn);
}

DtlsHandshake::Outcome DtlsHandshake::settle(DtlsAssociation::State state, bool is_refused, bool is_by_time,
                                             DtlsTurn turn) {
  if (state == DtlsAssociation::State::kFailed) {
    return is_refused ? Outcome::kRefused : is_by_time ? Outcome::kUnanswered : Outcome::kBroken;
  }
  if (state != DtlsAssociation::State::kEstablished || is_established()) return Outcome::kGoesOn;
  established_ = turn.now;
  place_.reset();
  flight_ = {};
  again_ = doubted_ = {};
  credit_.reset();
  watch_.reset();
  return Outcome::kEstablished;
}

void DtlsHandshake::repeat(DtlsTurn turn) {
  was_withheld_ = false;
  for (const auto& datagram : flight_) put(datagram, turn);
}

void DtlsHandshake::move(const Path& way, DtlsTurn turn) {
  path_ = way;
  association_->hurry();
  repeat(turn);
  gap_ = kFirstGap;
  again_ = turn.now + gap_;
}

void DtlsHandshake::refuse(DtlsTurn turn) {
  Owner owner(*this, turn);
  association_->refuse(owner);
}

DtlsHandshake::Outcome DtlsHandshake::drive(const Path& way, DtlsTurn turn) {
  if (is_established()) return Outcome::kGoesOn;
  if (doubted_ != Instant{} && turn.now - doubted_ >= kDoubt) {
    put(fatal_alert(), turn);
    return Outcome::kBroken;
  }
  const auto left = association_->timer();
  if (left && *left <= 0ns) {
    if (way.is_set()) path_ = way;
    again_ = {};
    Owner owner(*this, turn);
    const auto state = association_->on_time(owner);
    return settle(state, owner.has_refused(), true, turn);
  }
  if (again_ != Instant{} && turn.now >= again_) {
    repeat(turn);
    gap_ *= 2;
    again_ = gap_ <= kLastGap ? turn.now + gap_ : Instant{};
  }
  return Outcome::kGoesOn;
}

void DtlsHandshake::skip(Duration pause) noexcept {
  for (Instant* each : {&established_, &again_, &doubted_}) postpone(*each, pause);
}

Instant DtlsHandshake::over_at() const noexcept { return established_ + kKept; }

bool DtlsHandshake::is_over(Instant now) const noexcept { return is_established() && now >= over_at(); }

std::optional<Instant> DtlsHandshake::due(Instant now) const noexcept {
  constexpr Duration kLeast = 5ms;  // the back end has a clock of its own
  std::optional<Instant> first;
  const auto at = [&](Instant when) { first = first ? std::min(*first, when) : when; };
  if (!is_under_way()) return first;
  if (const auto left = association_->timer()) at(now + std::max<Duration>(*left, kLeast));
  if (again_ != Instant{}) at(std::max(again_, now));
  if (doubted_ != Instant{}) at(std::max(doubted_ + kDoubt, now));
  return first;
}

}  // namespace ferry
