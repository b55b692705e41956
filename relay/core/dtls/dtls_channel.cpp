// SPDX-License-Identifier: Apache-2.0
// How a channel works.
//
// Each source has a place with handshakes of its own (parties.hpp), so nothing that one source sends changes
// what another one does. The first handshake whose certificate is the signalled one gives the keys. The
// others go on, and a later one with the right certificate takes over (DTL-11, DTL-13). With ICE all sources
// are one, because ICE has authenticated them.
//
// Server: a ClientHello is answered with a cookie, and nothing is kept until the cookie comes back in the
// first piece of another ClientHello. A pair that passed an ICE check needs no cookie, unless a handshake
// with it has begun already: then the second ClientHello may be somebody else's.
//
// Client: rounds with the signalled address begin until one is complete. A round that was spoiled by
// something that came does not count; the next one begins soon after it.
//
// A reply goes where the peer's flight came from (DTL-6). First flights and repetitions go the way that
// `drive` was told. A certificate is judged when the peer shows it, or later, when its fingerprint is
// signalled (DTL-9).
#include "relay/core/dtls/dtls_channel.hpp"

#include <algorithm>
#include <new>

namespace ferry {

using namespace std::chrono_literals;

namespace {

/// The facts that a cookie covers: whom the ClientHello came from, and nothing of its contents. Somebody may
/// forge a ClientHello with the party's address; the cookie that it draws is then just as good for the party
/// itself (DTL-13). If the cookie covered the random number, the party would bring back a cookie that is not
/// its own and be asked again, which OpenSSL does not accept.
std::vector<std::byte> cookie_facts(const Endpoint& from) {
  std::vector<std::byte> facts(from.address.octets().size() + 3);
  std::ranges::copy(std::as_bytes(std::span(from.address.octets())), facts.begin());
  write_u8(facts, 16, static_cast<std::uint8_t>(from.address.family()));
  write_u16(facts, 17, from.port.value);
  return facts;
}

// Compares in constant time, so that nobody can guess a cookie octet by octet.
bool is_same(Bytes cookie, const DtlsIdentity::Cookie& wanted) noexcept {
  if (cookie.size() != wanted.size()) return false;
  std::byte differs{};
  for (std::size_t i = 0; i < wanted.size(); ++i) differs |= cookie[i] ^ wanted[i];
  return differs == std::byte{};
}

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

DtlsEvidence& DtlsChannel::ensure_evidence(Turn turn) {
  if (!evidence_) evidence_ = std::make_unique<DtlsEvidence>();
  evidence_->role = turn.plan.role;
  return *evidence_;
}

DtlsEvidence::Source& DtlsChannel::noted(const Endpoint& with, Turn turn) {
  const bool is_signalled = turn.is_proven || (turn.signalled.is_set() && with == turn.signalled);
  return ensure_evidence(turn).of(with, is_signalled, turn.now);
}

bool DtlsChannel::hold(const Path& from, Bytes datagram, Instant now) {
  const bool is_free = !held_.from.is_set() || now - held_.since > kHeldTime;
  // DTL-3: only a flight that begins with a ClientHello is held, and of one source at a time.
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
  // Emptied first: `take` may hold again.
  const Held held = std::exchange(held_, {});
  for (const auto& datagram : held.datagrams) static_cast<void>(take(held.from, datagram, turn));
}

DropReason DtlsChannel::take(const Path& from, Bytes datagram, Turn turn) {
  parties_.name(way_, turn.signalled, turn.is_proven);
  // The named sources are known now, so a new one cannot take the place of the party.
  const auto alert = plain_alert(datagram);
  // An alert in clear changes nothing, but explains why a handshake did not get on.
  if (alert && !keys_) ensure_evidence(turn).note(*alert, from.peer, turn.now);
  const std::vector<std::byte> records = sift_records(datagram);
  if (records.empty()) return alert ? DropReason::kDtlsAlert : DropReason::kMalformedDtls;
  ++noted(from.peer, turn).datagrams;
  DtlsParty* party = parties_.find(from, turn.is_proven);
  DtlsHandshake* taker = party != nullptr ? party->taker() : nullptr;
  // Whatever comes from a source earns credit toward it (LIM-2).
  if (taker != nullptr) taker->earn(datagram.size(), turn);
  const bool is_hello = is_hello_piece(records);
  if (turn.plan.role == DtlsRole::kServer && is_hello) {
    const auto hello = parse_client_hello(records);
    // A piece that does not hold the start of the message may be a later one.
    return hello ? on_hello(from, records, *hello, turn) : on_hello_piece(from, records, turn);
  }
  if (taker != nullptr) return on_records(*party, *taker, from, records, turn);
  return turn.plan.role == DtlsRole::kClient ? answer(from, records, turn) : DropReason::kDtlsNoHandshake;
}

DropReason DtlsChannel::on_records(DtlsParty& party, DtlsHandshake& taker, const Path& from, Bytes records,
                                   Turn turn) {
  // A forged message of an impossible kind would end the association, so it must not get there.
  if (!is_plausible(records, taker.role())) return DropReason::kMalformedDtls;
  party.heard = turn.now;
  DtlsEvidence::Source& seen = noted(from.peer, turn);
  seen.stage = std::max(seen.stage, DtlsStage::kUnderWay);
  settle(party, taker, taker.take(from, records, turn), turn);
  return DropReason::kNone;
}

DropReason DtlsChannel::on_hello(const Path& from, Bytes records, const ClientHello& hello, Turn turn) {
  DtlsEvidence::Source& seen = noted(from.peer, turn);
  ++seen.hellos;
  seen.stage = std::max(seen.stage, DtlsStage::kHello);
  DtlsParty* known = parties_.find(from, turn.is_proven);
  // A repetition of a ClientHello that began a handshake belongs to that handshake, whatever its cookie.
  DtlsHandshake* begun = known != nullptr ? known->begun_with(hello) : nullptr;
  if (begun != nullptr) {
    // The peer repeats its message because it did not hear us.
    const bool is_elsewhere = begun->path() != from;
    bool has_sent = false;
    const auto outcome = begun->take(from, records, turn, &has_sent);
    if (!has_sent && is_elsewhere && turn.is_proven) begun->repeat(turn);
    settle(*known, *begun, outcome, turn);
    return DropReason::kNone;
  }
  // DTL-5: with ICE the first ClientHello needs no cookie.
  const bool is_first = known == nullptr || (known->taker() == nullptr && known->starts.is_fresh(turn.now));
  if (turn.is_proven && hello.cookie.empty() && is_first)
    return begin_server(parties_.make(from, true, turn.now), from, records, hello, false, turn);
  const auto cookie = turn.plan.identity->cookie(cookie_facts(from.peer));
  if (!is_same(hello.cookie, cookie)) {
    const auto request = hello_verify_request(hello, cookie);
    if (request.size() <= records.size()) turn.out.send_by(from, request);  // LIM-2: no more leaves than came
    return DropReason::kNone;
  }
  DtlsParty& party = parties_.make(from, turn.is_proven, turn.now);
  // A ClientHello of several pieces goes on in `on_hello_piece`.
  if (party.assembly.begin(records) != HelloAssembly::Progress::kWhole) return DropReason::kNone;
  return begin_server(party, from, party.assembly.take_record(), hello, true, turn);
}

DropReason DtlsChannel::on_hello_piece(const Path& from, Bytes records, Turn turn) {
  DtlsParty* party = parties_.find(from, turn.is_proven);
  if (party == nullptr) return DropReason::kDtlsNoCookie;
  switch (party->assembly.take(records)) {
    case HelloAssembly::Progress::kMore:
      return DropReason::kNone;
    case HelloAssembly::Progress::kWhole: {
      const auto whole = party->assembly.take_record();
      const auto hello = parse_client_hello(whole);
      return hello ? begin_server(*party, from, whole, *hello, true, turn) : DropReason::kMalformedDtls;
    }
    case HelloAssembly::Progress::kRefused:
      break;
  }
  // A piece of a ClientHello that needed no cookie: the association already has the first piece.
  const bool is_of_running = turn.is_proven && party->taker() != nullptr && party->taker()->is_under_way();
  return is_of_running ? on_records(*party, *party->taker(), from, records, turn) : DropReason::kDtlsNoCookie;
}

DropReason DtlsChannel::answer(const Path& from, Bytes records, Turn turn) {
  // This may be the party behind another port. It gets a handshake of its own, unless a round toward it is
  // planned anyway.
  const bool is_round_planned = from == way_ && (rounds_ < kRounds || next_round_ != Instant{});
  if (!is_wanted_ || turn.is_proven || is_round_planned || state_ == State::kUnverified)
    return DropReason::kDtlsNoHandshake;
  DtlsParty& party = parties_.make(from, false, turn.now);
  if (!party.starts.take(turn.now)) return DropReason::kDtlsTooMany;
  return begin_client(party, from, records.size(), turn) ? DropReason::kNone : DropReason::kDtlsTooMany;
}

DropReason DtlsChannel::begin_server(DtlsParty& party, const Path& from, Bytes hello,
                                     const ClientHello& shown, bool after_cookie, Turn turn) {
  // The place in the budget comes before any cryptography, and goes back by itself if nothing becomes of it.
  auto in_budget = turn.budget.take({turn.plan.call, from.peer.address});
  if (!in_budget || !party.starts.take(turn.now)) return DropReason::kDtlsTooMany;
  // A live association keeps its keys until the new one is verified (DTL-11).
  DtlsHandshake& place = party.place();
  place = DtlsHandshake(from, turn.plan.identity->make(DtlsRole::kServer, after_cookie), shown,
                        std::move(in_budget));
  DtlsEvidence::Source& seen = noted(from.peer, turn);
  ++seen.begun;
  seen.stage = std::max(seen.stage, DtlsStage::kUnderWay);
  if (!keys_ && state_ != State::kMismatch) state_ = State::kHandshaking;
  settle(party, place, place.take(from, hello, turn), turn);
  return DropReason::kNone;
}

bool DtlsChannel::begin_client(DtlsParty& party, const Path& way, std::optional<std::size_t> credit,
                               Turn turn) {
  DtlsBudget::Place in_budget;
  // A round toward the signalled or proven address takes no place in the budget: there are only a few rounds.
  if (credit) {
    in_budget = turn.budget.take({turn.plan.call, way.peer.address});
    if (!in_budget) return false;
  }
  DtlsHandshake& place = party.place();
  place =
      DtlsHandshake(way, turn.plan.identity->make(DtlsRole::kClient, false), credit, std::move(in_budget));
  DtlsEvidence::Source& seen = noted(way.peer, turn);
  ++seen.begun;
  ++seen.hellos;
  seen.stage = std::max(seen.stage, DtlsStage::kHello);
  if (!keys_ && state_ != State::kMismatch) state_ = State::kHandshaking;
  settle(party, place, place.start(turn), turn);
  return true;
}

void DtlsChannel::settle(DtlsParty& party, DtlsHandshake& handshake, DtlsHandshake::Outcome outcome,
                         Turn turn) {
  switch (outcome) {
    case DtlsHandshake::Outcome::kGoesOn:
      return;
    case DtlsHandshake::Outcome::kEstablished:
      verify(party, handshake, turn);
      return;
    case DtlsHandshake::Outcome::kBroken:
    case DtlsHandshake::Outcome::kRefused:
    case DtlsHandshake::Outcome::kUnanswered:
      fail(party, handshake, outcome, turn);
      return;
  }
}

void DtlsChannel::verify(DtlsParty& party, DtlsHandshake& handshake, Turn turn) {
  DtlsEvidence::Source& seen = noted(handshake.path().peer, turn);
  // DTL-9: the fingerprint may come later; until then there are no keys.
  if (turn.plan.peer.empty()) {
    seen.stage = DtlsStage::kUnverified;
    if (!keys_) state_ = State::kUnverified;
    return;
  }
  if (!is_signalled(handshake.association(), turn.plan)) {
    handshake.refuse(turn);
    fail(party, handshake, DtlsHandshake::Outcome::kRefused, turn);
    return;
  }
  auto keys = handshake.association().keys();
  if (!keys) {
    fail(party, handshake, DtlsHandshake::Outcome::kBroken, turn);
    return;
  }
  // These keys are in force now, whatever others agreed before.
  keys_ = std::move(keys);
  keyed_for_ = turn.plan.association;
  peer_ = handshake.path().peer;
  state_ = State::kReady;
  is_wanted_ = false;
  news_ = News::kReady;
  rounds_ = 0;
  next_round_ = {};
  seen.stage = DtlsStage::kReady;
  party.starts.succeed();
  // The new handshake takes the place of the live one.
  if (&handshake == &party.next) party.live = std::exchange(party.next, DtlsHandshake{});
}

void DtlsChannel::fail(DtlsParty& party, DtlsHandshake& handshake, DtlsHandshake::Outcome outcome,
                       Turn turn) {
  const bool is_spoiled = outcome != DtlsHandshake::Outcome::kUnanswered;
  // A round is spoiled if something that came ended it, and not if nobody answered.
  const bool is_mismatch = outcome == DtlsHandshake::Outcome::kRefused;
  DtlsEvidence::Source& seen = noted(handshake.path().peer, turn);
  if (is_spoiled) ++seen.broken;
  if (is_mismatch) seen.stage = DtlsStage::kWrongCertificate;
  // Only a client's own rounds are repeated; what others began is theirs to repeat.
  const bool is_round =
      is_wanted_ && handshake.role() == DtlsRole::kClient && (turn.is_proven || handshake.path() == way_);
  if (is_round && is_spoiled && rounds_ > 0) --rounds_;
  if (is_round && rounds_ < kRounds) plan_round(is_spoiled, turn.now);
  handshake = {};
  // The failure of a side handshake is no news while the main one goes on.
  if (!is_wanted_ && !is_mismatch) return;
  if (is_wanted_ && !party.is_named && parties_.any_under_way()) return;
  news_ = is_mismatch ? News::kMismatch : News::kFailed;
  if (!keys_) state_ = is_mismatch ? State::kMismatch : State::kFailed;
}

void DtlsChannel::plan_round(bool is_spoiled, Instant now) noexcept {
  // An unanswered round is followed by the next one at once: its own tries took time enough.
  next_round_ = now;
  if (!is_spoiled) return;
  // DTL-13: the first spoiled round may be an accident. Somebody who spoils each one must not make us send
  // faster than about one round a second.
  const bool is_rare = spoiled_ == Instant{} || now - spoiled_ >= kRare;
  next_round_ = is_rare ? now + kSoon : std::max(now, round_began_ + kNextRound);
  spoiled_ = now;
}

void DtlsChannel::follow_plan(Turn turn) {
  // Signalling asked for a new association (RFC 8842 §4): unfinished handshakes belong to the former one.
  if (association_ != turn.plan.association) {
    association_ = turn.plan.association;
    is_wanted_ = true;
    rounds_ = 0;
    next_round_ = {};
    evidence_.reset();
    parties_.for_each([](DtlsParty& party) {
      party.next = {};
      if (!party.live.is_established()) party.live = {};
    });
    if (!keys_ && state_ != State::kUnverified)
      state_ = State::kWaiting;  // a mismatch belongs to the former association
  }
  // DTL-9: once the fingerprint has come, complete handshakes can be judged.
  const bool verifies = state_ == State::kUnverified && !turn.plan.peer.empty();
  parties_.for_each([&](DtlsParty& party) {
    for (DtlsHandshake* each : {&party.next, &party.live}) {
      // The answer decided the roles, so a handshake in the other role is over.
      if (each->is_under_way() && each->role() != turn.plan.role) *each = {};
      if (verifies && is_wanted_ && each->is_established()) verify(party, *each, turn);
    }
  });
}

void DtlsChannel::follow_way(const Path& way, Turn turn) {
  if (!way.is_set() || way == way_) return;
  // The peer is reached another way: the rounds count anew, and what waits for an answer is said there at
  // once.
  const Path former = std::exchange(way_, way);
  rounds_ = 0;
  parties_.name(way_, turn.signalled, turn.is_proven);
  DtlsParty* party = parties_.find(former, turn.is_proven);
  // Another source came to keys by itself. Those who had none before stay where they are.
  if (party == nullptr || (!turn.is_proven && parties_.find(way, false) != nullptr)) return;
  for (DtlsHandshake* each : {&party->next, &party->live}) {
    const bool follows = turn.is_proven || each->role() == DtlsRole::kClient;
    if (!each->is_under_way() || !follows) continue;
    party->path = way;
    if (each->path() != way) each->move(way, turn);
  }
  parties_.name(way_, turn.signalled, turn.is_proven);
}

void DtlsChannel::begin_round(bool is_open, Turn turn) {
  const bool may_begin = is_open && turn.plan.role == DtlsRole::kClient && is_wanted_ &&
                         // A round begins only if no other is under way and nothing is complete yet.
                         way_.peer.is_reachable() && state_ != State::kUnverified && rounds_ < kRounds;
  if (!may_begin) next_round_ = {};
  if (!may_begin || turn.now < next_round_) return;
  // A handshake with that source may be under way by its own doing.
  const DtlsParty* known = parties_.find(way_, turn.is_proven);
  if (known != nullptr && known->is_under_way()) return;
  ++rounds_;
  round_began_ = turn.now;
  next_round_ = {};
  static_cast<void>(begin_client(parties_.make(way_, turn.is_proven, turn.now), way_, std::nullopt, turn));
}

void DtlsChannel::drive(const Path& way, Turn turn) {
  parties_.name(way_, turn.signalled, turn.is_proven);
  follow_plan(turn);
  follow_way(way, turn);
  begin_round(way.is_set(), turn);
  parties_.for_each([&](DtlsParty& party) {
    for (DtlsHandshake* each : {&party.next, &party.live}) {
      if (*each) run(party, *each, turn);
    }
  });
  // Sources without a handshake make room for others.
  parties_.forget_idle(turn.now);
}

void DtlsChannel::run(DtlsParty& party, DtlsHandshake& handshake, Turn turn) {
  // It still answers late copies of the peer's last flight for a while.
  if (handshake.is_established()) {
    if (keys_ && handshake.is_over(turn.now)) handshake = {};
    return;
  }
  settle(party, handshake, handshake.drive(turn.is_proven ? way_ : Path{}, turn), turn);
}

void DtlsChannel::skip(Duration pause) noexcept {
  parties_.for_each([pause](DtlsParty& party) {
    party.live.skip(pause);
    party.next.skip(pause);
    party.starts.skip(pause);
    postpone(party.heard, pause);
  });
  for (Instant* each : {&held_.since, &round_began_, &next_round_, &spoiled_}) postpone(*each, pause);
}

std::optional<Instant> DtlsChannel::due(Instant now) const noexcept {
  std::optional<Instant> first;
  const auto at = [&](Instant when) { first = first ? std::min(*first, when) : when; };
  if (next_round_ != Instant{}) at(std::max(next_round_, now));
  parties_.for_each([&](const DtlsParty& party) {
    for (const DtlsHandshake* each : {&party.next, &party.live}) {
      if (const auto when = each->due(now)) at(*when);
      if (keys_ && each->is_established()) at(each->over_at());
    }
  });
  return first;
}

void DtlsChannel::restore(const DtlsKeys& keys, std::uint32_t association) {
  keys_ = keys;
  association_ = keyed_for_ = association;
  is_wanted_ = false;
  state_ = State::kReady;
}

void DtlsChannel::leave_budget() noexcept {
  parties_.for_each([](DtlsParty& party) {
    party.next.leave_budget();
    party.live.leave_budget();
  });
}

}  // namespace ferry
