// SPDX-License-Identifier: Apache-2.0
// How a handshake works.
//
// Whatever the association sends is kept as its flight, and leaves for the path that its source spoke from
// last. It is repeated when the association's timer says so, or at once when the way to the peer changes.
//
// A client toward a source that has not proved to be there sends no more octets than came from it (LIM-2).
// That ends with its second flight, because the peer has then signed our random number.
//
// A client whose peer says two different things under one message number follows one of them and may be
// following a forger. If it makes no progress for 0.7 s, it gives the round up. It says so with an alert, so
// that a peer in the middle of the handshake begins anew too (DTL-13).
#include "relay/core/dtls/handshake.hpp"

#include <algorithm>
#include <new>

namespace ferry {

using namespace std::chrono_literals;

namespace {

// DTL-12: time between repetitions on a new way; it doubles each time.
constexpr Duration kFirstGap = 50ms;
constexpr Duration kLastGap = 1600ms;
// How long a complete handshake answers late copies of the peer's last flight.
constexpr Duration kKept = 30s;
// DTL-13: how long a doubtful round may go on, so that the next one begins within 1 s.
constexpr Duration kDoubt = 700ms;

/// True for a datagram that a client sends before it knows whether anybody is there.
bool is_first_of_client(Bytes datagram) noexcept {
  return is_hello_piece(datagram) || plain_alert(datagram).has_value();
}

}  // namespace

// Joins the association to its handshake for one call: keeps the flight, sends it, and judges the
// certificate.
class DtlsHandshake::Owner final : public DtlsOwner {
 public:
  Owner(DtlsHandshake& handshake, DtlsTurn turn) : handshake_(handshake), turn_(turn) {}
  void send(Bytes datagram) noexcept override {
    // The first datagram of a call begins a new flight.
    if (!has_sent_) {
      handshake_.flight_.clear();
      handshake_.again_ = {};
      handshake_.was_withheld_ = false;
    }
    has_sent_ = true;
    // The second flight follows the peer's signature of our random number, so the peer is there and no
    // forger.
    if (!is_first_of_client(datagram)) {
      handshake_.credit_.reset();
      handshake_.doubted_ = {};
    }
    try {
      handshake_.flight_.emplace_back(datagram.begin(), datagram.end());
    } catch (const std::bad_alloc&) {
      handshake_.flight_.clear();  // the association's own timer repeats it then (C-12)
    }
    handshake_.put(datagram, turn_);
  }
  bool accepts(const DtlsAssociation& association) noexcept override {
    // Without a signalled fingerprint every certificate is accepted for now; `verify` judges it later
    // (DTL-9).
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
    // LIM-2: no more leaves for an unproven source than came from it. What is withheld follows once more has
    // come.
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
  path_ = from;  // DTL-6: replies go where the flight came from
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
    // The blame: the certificate, the time, or something that came.
    return is_refused ? Outcome::kRefused : is_by_time ? Outcome::kUnanswered : Outcome::kBroken;
  }
  if (state != DtlsAssociation::State::kEstablished || is_established()) return Outcome::kGoesOn;
  // Nothing needs to be repeated, limited or watched any more.
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
  // The tries toward the old way say nothing about the new one.
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
  // The association's timer runs on a clock of its own, so it is asked and not calculated.
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
    // After the longest gap only the association's own timer repeats.
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
  constexpr Duration kLeast = 5ms;  // the back end has a clock of its own, which may lag behind
  std::optional<Instant> first;
  const auto at = [&](Instant when) { first = first ? std::min(*first, when) : when; };
  if (!is_under_way()) return first;
  if (const auto left = association_->timer()) at(now + std::max<Duration>(*left, kLeast));
  if (again_ != Instant{}) at(std::max(again_, now));
  if (doubted_ != Instant{}) at(std::max(doubted_ + kDoubt, now));
  return first;
}

}  // namespace ferry
