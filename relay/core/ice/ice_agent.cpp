// SPDX-License-Identifier: Apache-2.0
// How the agent works.
//
//   candidates of the SDP ─┐
//   checks of the peer ────┴─► pairs ─► check ─► valid ─► selected ─► consent ─► expired
//                                         └───► failed
//
// `follow` makes pairs of what signalling says. `drive` checks one of them every 50 ms: first those that the
// peer checked (triggered), then by priority. A pair whose check was answered is valid. The controlling side
// picks one valid pair and repeats its check with USE-CANDIDATE; the controlled side selects the pair that
// the peer nominated last, whatever the priorities say.
//
// The selected pair is asked for consent about every 5 s. If we control and it stays silent, the other pairs
// are checked again and one that answers takes its place. After 30 s without an answer it is gone (ICE-9).
//
// The trap is a restart: new credentials begin a new session, but media must not stop. So the pair of the
// former session stays selected, and checks under its credentials are answered, until a pair of the new
// session is selected (ICE-7). `is_former_` marks that state.
#include "relay/core/ice/ice_agent.hpp"

#include "relay/base/random.hpp"

#include <algorithm>

namespace ferry {

using namespace std::chrono_literals;

namespace {

// Time until a check is sent again; it doubles with each try.
constexpr Duration kFirstTimer = 100ms;
// How often a check is sent before it counts as failed.
constexpr unsigned kTries = 7;
// Time from the first success to our nomination, so that better pairs get their chance.
constexpr Duration kNominateAfter = 300ms;
// ICE-9: time between two questions for consent, plus or minus 20 %.
constexpr Duration kConsentCheck = 5s;
// So many tries without an answer take 1.5 s: that is a path that is gone, not a lost packet.
constexpr unsigned kSilentTries = 4;

Instant earliest(const std::optional<Instant>& first, Instant other) {
  return first ? std::min(*first, other) : other;
}

// RFC 8445 §7.2.2: the name is "ours:theirs". Before their SDP came, only our part can be checked.
bool is_for(std::string_view username, const IceCredentials& own, const IceCredentials& peer) {
  const std::size_t colon = own.ufrag.size();
  if (!username.starts_with(own.ufrag) || username.size() <= colon || username[colon] != ':') return false;
  return peer.ufrag.empty() || username.substr(colon + 1) == peer.ufrag;
}

// A random interval keeps many calls from asking at the same moment (RFC 7675 §5.1).
Duration consent_interval() { return kConsentCheck * (80 + static_cast<int>(random_below(41))) / 100; }

}  // namespace

std::string_view to_string(IceAgent::State state) noexcept {
  switch (state) {
    case IceAgent::State::kWaiting:
      return "waiting";
    case IceAgent::State::kChecking:
      return "checking";
    case IceAgent::State::kConnected:
      return "connected";
    case IceAgent::State::kFailed:
      return "failed";
    case IceAgent::State::kExpired:
      return "consent expired";
  }
  return "unknown";
}

IceAgent::Pair* IceAgent::find(LocalPort at, const Endpoint& peer) noexcept {
  const auto found =
      std::ranges::find_if(pairs_, [&](const Pair& pair) { return pair.at == at && pair.peer == peer; });
  return found == pairs_.end() ? nullptr : &*found;
}

IceAgent::Pair* IceAgent::add(LocalPort at, const Endpoint& peer, std::uint32_t priority) {
  if (pairs_.size() >= kMaxPairs) return nullptr;
  pairs_.push_back({.at = at, .peer = peer, .priority = priority});
  return &pairs_.back();
}

IceAgent::Pair* IceAgent::add_reflexive(LocalPort at, const Endpoint& peer, std::uint32_t priority) {
  const auto is_rival = [&](const Pair& pair) {
    return pair.is_reflexive && pair.at.component == at.component;
  };
  // Only pairs of the same kind and component have to give way; signalled candidates never do.
  const auto rivals = static_cast<std::size_t>(std::ranges::count_if(pairs_, is_rival));
  if (rivals >= kMaxReflexive || pairs_.size() >= kMaxPairs) {
    auto idle = pairs_.end();
    // The selected pair must stay; of the others, one that never answered goes before a valid one.
    for (auto pair = pairs_.begin(); pair != pairs_.end(); ++pair) {
      if (!is_rival(*pair) || &*pair == selected_pair(at.component)) continue;
      if (idle == pairs_.end() ||
          std::pair(pair->is_valid, pair->heard) < std::pair(idle->is_valid, idle->heard))
        idle = pair;
    }
    if (idle == pairs_.end()) return nullptr;
    std::erase(triggered_, std::pair(idle->at, idle->peer));
    pairs_.erase(idle);
  }
  Pair* added = add(at, peer, priority);
  if (added != nullptr) added->is_reflexive = true;
  return added;
}

// RFC 8445 §6.1.2.3: G is the priority of the controlling side's candidate, D that of the other one.
std::uint64_t IceAgent::priority_of(const Pair& pair) const noexcept {
  const std::uint64_t own = host_priority(pair.at);
  const std::uint64_t peer = pair.priority;
  const std::uint64_t controlling = controlling_ ? own : peer;
  const std::uint64_t controlled = controlling_ ? peer : own;
  return (std::min(own, peer) << 32) + 2 * std::max(own, peer) + (controlling > controlled ? 1 : 0);
}

bool IceAgent::is_valid(LocalPort at, const Endpoint& from) const noexcept {
  const auto& selected = selected_[index(at.component)];
  if (selected && selected->peer == from) return true;
  return std::ranges::any_of(
      pairs_, [&](const Pair& pair) { return pair.is_valid && pair.at == at && pair.peer == from; });
}

bool IceAgent::is_valid(Component component, const Endpoint& from) const noexcept {
  return std::ranges::any_of(pairs_, [&](const Pair& pair) {
    return pair.is_valid && pair.at.component == component && pair.peer == from;
  });
}

void IceAgent::restart(const IceCredentials& own) {
  // After several restarts in a row the selected pair still belongs to the credentials before the first one.
  if (!is_former_[0] && !is_former_[1]) {
    former_own_ = own_;
    former_peer_ = peer_;
  }
  for (std::size_t i = 0; i < selected_.size(); ++i) is_former_[i] = selected_[i].has_value();
  own_ = own;
  peer_ = {};
  pairs_.clear();
  triggered_.clear();
  first_success_ = {};
  checks_ = {};
  started_ = {};
}

void IceAgent::follow_policy(const std::shared_ptr<const PeerPolicy>& peers) {
  peers_ = peers;
  std::erase_if(pairs_, [this](const Pair& pair) { return !may_be_peer(pair.peer); });
  for (std::size_t i = 0; i < selected_.size(); ++i) {
    if (!selected_[i] || may_be_peer(selected_[i]->peer)) continue;
    selected_[i].reset();
    is_former_[i] = false;
  }
}

void IceAgent::follow(const IcePlan& plan, Instant now) {
  if (peers_ != plan.peers) follow_policy(plan.peers);
  if (tie_breaker_ == 0) tie_breaker_ = random_u64();
  // An answer may refuse a restart: then the former credentials come back, and so does its pair.
  const bool is_taken_back = (is_former_[0] || is_former_[1]) && plan.own == former_own_ &&
                             plan.peer == former_peer_ && (plan.own != own_ || plan.peer != peer_);
  // New credentials of ours begin a new session. The role starts over as signalling says.
  if (own_ != plan.own) {
    restart(plan.own);
    controlling_ = plan.controlling || plan.peer_is_lite;
  }
  is_lite_ = plan.is_lite;
  peer_is_lite_ = plan.peer_is_lite;
  has_rtcp_ = plan.has_rtcp;
  // RFC 8445 §6.1.1: with a lite peer we always control; a lite agent never does.
  if (plan.peer_is_lite) controlling_ = true;
  if (is_lite_) controlling_ = false;
  if (!has_rtcp_) {
    std::erase_if(pairs_, [](const Pair& pair) { return pair.at.component == Component::kRtcp; });
    selected_[1].reset();
    is_former_[1] = false;
  }
  if (peer_ != plan.peer && !plan.peer.ufrag.empty()) {
    // The peer restarted by itself: what was checked under its former credentials counts for nothing.
    if (!peer_.ufrag.empty()) restart(own_);
    peer_ = plan.peer;
    started_ = now;
  }
  // The restart was refused, so the session before it goes on.
  if (is_taken_back) restore(selected_, {}, now);
  if (peer_.ufrag.empty()) return;
  for (const IceCandidate& candidate : plan.candidates) {
    if (!may_be_peer(candidate.at) || (candidate.component == Component::kRtcp && !has_rtcp_)) continue;
    // Each candidate makes a pair with every own address of its family.
    for (std::size_t local = 0; local < plan.locals.size(); ++local) {
      if (plan.locals[local] != candidate.at.address.family()) continue;
      const LocalPort at{candidate.component, static_cast<std::uint8_t>(local)};
      if (Pair* known = find(at, candidate.at)) {
        known->priority = candidate.priority;  // it was learned from a check before
        known->is_reflexive = false;
      } else {
        add(at, candidate.at, candidate.priority);
      }
    }
  }
}

bool IceAgent::take(LocalPort at, const Endpoint& from, Bytes datagram, Turn turn) {
  const auto message = stun::parse(datagram);
  // ICE-1: a message without a right FINGERPRINT is not for ICE.
  if (!message || message->has_unknown || !message->has_fingerprint) return false;
  if (at.component == Component::kRtcp && !has_rtcp_) return false;
  switch (message->kind) {
    case stun::Kind::kRequest:
      return on_request(at, from, datagram, *message, turn);
    case stun::Kind::kSuccess:
    case stun::Kind::kError:
      return on_answer(at, from, datagram, *message, turn);
    case stun::Kind::kIndication:
      break;
  }
  return false;
}

bool IceAgent::on_request(LocalPort at, const Endpoint& from, Bytes datagram, const stun::Message& message,
                          Turn turn) {
  // ICE-1: our part of the name must be right; whose check it is may not be known yet.
  if (!is_for(message.username, own_, peer_)) return on_former_request(at, from, datagram, message, turn);
  if (!stun::is_authentic(datagram, message, own_.password) || !may_be_peer(from)) return false;
  last_heard_ = turn.now;
  // The message is authentic, so it may change state from here on.
  const auto reply = [&](stun::Kind kind, const stun::Contents& contents) {
    turn.out.send(at, from, stun::write(kind, message.transaction, contents, own_.password));
  };
  if (!is_lite_) {
    // ICE-8 (RFC 8445 §7.3.1.1): if both sides claim the same role, the one with the larger tie-breaker
    // controls.
    const auto& same = controlling_ ? message.controlling : message.controlled;
    if (same) {
      const bool we_stay = controlling_ == (tie_breaker_ >= *same);
      if (we_stay) {
        stun::Contents conflict;
        conflict.error = stun::kRoleConflict;
        reply(stun::Kind::kError, conflict);
        return true;
      }
      controlling_ = !controlling_;
    }
  }
  stun::Contents answer;
  answer.mapped = from;
  reply(stun::Kind::kSuccess, answer);

  // ICE-4: an address that no candidate named is a peer-reflexive one.
  Pair* pair = find(at, from);
  if (pair == nullptr) pair = add_reflexive(at, from, message.priority.value_or(0));
  if (pair == nullptr) return true;
  pair->heard = turn.now;
  // A retransmission is the same nomination, not a newer one.
  if (message.use_candidate && !controlling_ && message.transaction != pair->nominated_by) {
    pair->nomination = ++nominations_;
    pair->nominated_by = message.transaction;
  }
  if (is_lite_) {
    // A lite agent sends no checks, so it takes the peer's word for the pair.
    pair->is_valid = true;
    const auto& selected = selected_[index(at.component)];
    if (selected == Path(at.local, from)) consent_[index(at.component)] = turn.now;
  } else if (!pair->is_valid) {
    // RFC 8445 §7.3.1.4: a pair that the peer checks is checked in return, before its turn.
    pair->has_failed = false;
    const std::pair<LocalPort, Endpoint> key{at, from};
    if (std::ranges::find(triggered_, key) == triggered_.end()) triggered_.push_back(key);
  }
  nominate(turn);
  return true;
}

bool IceAgent::on_former_request(LocalPort at, const Endpoint& from, Bytes datagram,
                                 const stun::Message& message, Turn turn) {
  const std::size_t component = index(at.component);
  const bool carries_media = is_former_[component] && selected_[component] == Path(at.local, from);
  if (!carries_media || !is_for(message.username, former_own_, former_peer_) ||
      !stun::is_authentic(datagram, message, former_own_.password))
    return false;
  last_heard_ = consent_[component] = turn.now;
  stun::Contents answer;
  answer.mapped = from;
  turn.out.send(at, from,
                stun::write(stun::Kind::kSuccess, message.transaction, answer, former_own_.password));
  return true;
}

bool IceAgent::on_answer(LocalPort at, const Endpoint& from, Bytes datagram, const stun::Message& message,
                         Turn turn) {
  Pair* pair = find(at, from);
  // ICE-2: only the answer to a waiting check counts, from the address that the check went to.
  if (pair == nullptr || !pair->is_pending || pair->transaction != message.transaction) return false;
  if (!stun::is_authentic(datagram, message, peer_.password)) return false;
  last_heard_ = turn.now;
  pair->is_pending = false;
  if (message.kind == stun::Kind::kError) {
    // The peer insists on its role, so we take the other one than the check said, and check again (RFC 8445
    // §7.2.5.1). Several checks may be refused for the same reason. Lite agents have one role only.
    if (message.error == stun::kRoleConflict) {
      if (!peer_is_lite_) controlling_ = !pair->claims_control;
      triggered_.emplace_back(at, from);
    } else if (!pair->is_valid) {
      pair->has_failed = true;
    }
    return true;
  }
  // The check succeeded. The answer also proves consent, if the pair is the selected one (ICE-9).
  const std::size_t component = index(at.component);
  pair->is_valid = true;
  pair->has_failed = false;
  pair->answered = turn.now;
  pair->next = turn.now + consent_interval();
  if (first_success_[component] == Instant{}) first_success_[component] = turn.now;
  if (selected_pair(at.component) == pair) consent_[component] = turn.now;
  // The check carried our nomination, so the peer uses this pair from now on.
  if (pair->nominates && controlling_) select(*pair, turn.now);
  nominate(turn);
  return true;
}

void IceAgent::check(Pair& pair, bool nominates, Turn turn) {
  // The transaction id has at least 88 random bits, so only somebody who saw the request can answer it.
  const std::array<std::uint64_t, 2> random = {random_u64(), random_u64()};
  std::ranges::copy(std::as_bytes(std::span(random)).first(pair.transaction.size()),
                    pair.transaction.begin());
  if (const auto mark = turn.out.transaction_mark()) pair.transaction[0] = std::byte{*mark};
  pair.is_pending = true;
  pair.nominates = nominates;
  pair.tries = 0;
  pair.begun = turn.now;
  transmit(pair, turn);
}

void IceAgent::transmit(Pair& pair, Turn turn) {
  // ICE-6 bounds what one SDP can make us send to an address that never answers.
  if (!pair.is_valid) ++checks_[index(pair.at.component)];
  pair.next = turn.now + kFirstTimer * (1u << pair.tries);
  ++pair.tries;
  const std::string username = peer_.ufrag + ":" + own_.ufrag;
  stun::Contents contents;
  contents.username = username;
  // RFC 8445 §7.1.1: the priority that a candidate learned from this check would have, of the type
  // peer-reflexive.
  contents.priority = (110u << 24) | (host_priority(pair.at) & 0xffffff);
  pair.claims_control = controlling_;
  contents.use_candidate = pair.nominates && controlling_;
  (controlling_ ? contents.controlling : contents.controlled) = tie_breaker_;
  turn.out.send(pair.at, pair.peer,
                stun::write(stun::Kind::kRequest, pair.transaction, contents, peer_.password));
}

bool IceAgent::may_check(Component component, Instant now) const noexcept {
  // The limits of ICE-6: a number of checks, and a time without any success.
  return !is_lite_ && !peer_.ufrag.empty() && checks_[index(component)] < kMaxChecks &&
         (first_success_[index(component)] != Instant{} || now - started_ < kGiveUp);
}

void IceAgent::send_again(Turn turn) {
  for (Pair& pair : pairs_) {
    if (!pair.is_pending || pair.next > turn.now) continue;
    if (pair.tries < kTries && (pair.is_valid || may_check(pair.at.component, turn.now))) {
      transmit(pair, turn);
      continue;
    }
    // All tries are used up. A valid pair is asked again later; any other has failed.
    pair.is_pending = false;
    pair.next = turn.now + consent_interval();
    if (!pair.is_valid) pair.has_failed = true;
  }
}

const IceAgent::Pair* IceAgent::next_pair(Instant now) const noexcept {
  const Pair* next = nullptr;
  if (is_lite_) return nullptr;
  const std::array current = {selected_pair(Component::kRtp), selected_pair(Component::kRtcp)};
  for (const Pair& pair : pairs_) {
    if (pair.has_failed || pair.is_pending) continue;
    const Component component = pair.at.component;
    if (const Pair* selected = current[index(component)]) {
      // A component with a selected pair needs no further checks, except to find a replacement: we control,
      // and the selected pair is silent.
      if (!controlling_ || !is_silent(*selected) || &pair == selected) continue;
      // This one has answered since the silence began.
      if (pair.is_valid && pair.answered >= selected->begun) continue;
    } else if (pair.is_valid) {
      continue;
    }
    if (!pair.is_valid && !may_check(component, now)) continue;
    if (next == nullptr || priority_of(pair) > priority_of(*next)) next = &pair;
  }
  return next;
}

void IceAgent::send_next(Turn turn) {
  if (turn.now < next_check_ || peer_.ufrag.empty() || is_lite_) return;
  Pair* next = nullptr;
  // Pairs that the peer checked come first, because an answer is most likely there.
  while (next == nullptr && !triggered_.empty()) {
    next = find(triggered_.front().first, triggered_.front().second);
    triggered_.pop_front();
    if (next != nullptr && (next->is_valid || !may_check(next->at.component, turn.now))) next = nullptr;
  }
  if (next == nullptr) {
    const Pair* best = next_pair(turn.now);
    if (best == nullptr) return;
    next = find(best->at, best->peer);
  }
  next_check_ = turn.now + kPace;
  // An answer to the check under way still counts (RFC 8445 §7.3.1.4), so the same check is sent again. With
  // a new transaction at each check of the peer, two agents would never take an answer on a long way.
  if (next->is_pending) {
    next->tries = 0;
    transmit(*next, turn);
  } else {
    check(*next, false, turn);
  }
}

IceAgent::Pair* IceAgent::selected_pair(Component component) noexcept {
  // A former pair belongs to other credentials and must not be taken for one of the present session.
  const auto& selected = selected_[index(component)];
  return is_current(component) ? find({component, selected->local}, selected->peer) : nullptr;
}

void IceAgent::select(const Pair& pair, Instant now) {
  const std::size_t component = index(pair.at.component);
  const Selected wanted{pair.at.local, pair.peer};
  is_former_[component] = false;
  if (selected_[component] == wanted) return;
  selected_[component] = wanted;
  selected_at_[component] = now;
  // A lite agent heard the last consent with the last check of the pair (ICE-9).
  consent_[component] = is_lite_ ? pair.heard : now;
}

bool IceAgent::is_silent(const Pair& pair) noexcept {
  // The first tries prove nothing: several must have failed, with no answer since the check began.
  return pair.answered < pair.begun && pair.tries > kSilentTries;
}

const IceAgent::Pair* IceAgent::nominated(Component component, Instant now) const noexcept {
  const Pair* newest = nullptr;
  for (const Pair& pair : pairs_) {
    if (pair.at.component != component || !pair.is_valid || pair.nomination == 0) continue;
    // A lite agent has only the peer's checks to know that it consents, on each pair (ICE-9).
    if (is_lite_ && now - pair.heard >= kConsent) continue;
    if (newest == nullptr || pair.nomination > newest->nomination) newest = &pair;
  }
  return newest;
}

const IceAgent::Pair* IceAgent::candidate(Component component, const Pair* silent) const noexcept {
  const Pair* best = nullptr;
  for (const Pair& pair : pairs_) {
    if (pair.at.component != component || !pair.is_valid) continue;
    if (silent != nullptr && (&pair == silent || pair.answered < silent->begun)) continue;
    if (best == nullptr || priority_of(pair) > priority_of(*best)) best = &pair;
  }
  return best;
}

void IceAgent::nominate(Turn turn) {
  nominate(Component::kRtp, turn);
  if (has_rtcp_) nominate(Component::kRtcp, turn);
}

void IceAgent::nominate(Component component, Turn turn) {
  const std::size_t i = index(component);
  if (!controlling_) {
    const Pair* wanted = nominated(component, turn.now);
    if (wanted == nullptr) return;
    // ICE-7: the peer may change its mind, but not more often than this.
    const bool is_change = selected_[i] && selected_[i] != Path(wanted->at.local, wanted->peer);
    if (!is_change || turn.now - selected_at_[i] >= kLeastBetweenChanges) select(*wanted, turn.now);
    return;
  }
  // We choose once, and again if the chosen pair is gone or silent.
  const Pair* current = selected_pair(component);
  if (current != nullptr && !is_silent(*current)) return;
  const Pair* best = candidate(component, current);
  if (best == nullptr || (best->is_pending && best->nominates)) return;
  // A better pair may still answer, so we wait a little after the first success.
  const bool may_improve = std::ranges::any_of(pairs_, [&](const Pair& pair) {
    return pair.at.component == component && !pair.is_valid && !pair.has_failed &&
           priority_of(pair) > priority_of(*best);
  });
  if (may_improve && current == nullptr && turn.now - first_success_[i] < kNominateAfter) return;
  check(*find(best->at, best->peer), true, turn);
}

void IceAgent::keep_consent(Turn turn) {
  for (const Component component : {Component::kRtp, Component::kRtcp}) {
    auto& selected = selected_[index(component)];
    if (!selected) continue;
    if (turn.now - consent_[index(component)] >= kConsent) {
      // The pair has to prove itself again before it can be selected once more.
      if (Pair* pair = selected_pair(component)) pair->is_valid = false;
      selected.reset();
      is_former_[index(component)] = false;
      state_ = State::kExpired;
      continue;
    }
    Pair* pair = selected_pair(component);
    if (pair != nullptr && !is_lite_ && !pair->is_pending && pair->next <= turn.now)
      check(*pair, false, turn);
  }
}

void IceAgent::follow_state(Turn turn) {
  const bool connected = selected_[0] && (!has_rtcp_ || selected_[1]);
  if (connected)
    state_ = State::kConnected;
  else if (state_ == State::kExpired)
    // Only a selected pair ends kExpired.
    return;
  else if (peer_.ufrag.empty())
    state_ = State::kWaiting;
  else
    state_ = turn.now - started_ >= kGiveUp ? State::kFailed : State::kChecking;
}

void IceAgent::drive(Turn turn) {
  send_again(turn);
  send_next(turn);
  nominate(turn);
  keep_consent(turn);
  follow_state(turn);
}

void IceAgent::leave_worker() noexcept {
  for (Pair& pair : pairs_) {
    if (!pair.is_pending) continue;
    pair.is_pending = false;
    pair.next = {};
  }
}

void IceAgent::skip(Duration pause) noexcept {
  const auto later = [pause](Instant& each) {
    if (each != Instant{}) each += pause;
  };
  for (Pair& pair : pairs_) {
    for (Instant* each : {&pair.next, &pair.begun, &pair.answered, &pair.heard}) later(*each);
  }
  for (auto* both : {&selected_at_, &consent_, &first_success_}) {
    for (Instant& each : *both) later(each);
  }
  for (Instant* each : {&started_, &next_check_, &last_heard_}) later(*each);
}

// Every time that `drive` acts on appears here; a missing one would make it late.
std::optional<Instant> IceAgent::due(Instant now) const noexcept {
  std::optional<Instant> first;
  for (const Pair& pair : pairs_) {
    // A check that waits has to be repeated.
    if (pair.is_pending) first = earliest(first, pair.next);
  }
  for (const Component component : {Component::kRtp, Component::kRtcp}) {
    const std::size_t i = index(component);
    // Consent runs out, and has to be asked for before.
    if (selected_[i]) first = earliest(first, consent_[i] + kConsent);
    const Pair* current = selected_pair(component);
    if (current != nullptr && !is_lite_ && !current->is_pending) first = earliest(first, current->next);
    // The peer nominated another pair, but the last change was too recent.
    if (!controlling_) {
      const Pair* wanted = nominated(component, now);
      if (wanted != nullptr && selected_[i] && selected_[i] != Path(wanted->at.local, wanted->peer))
        first = earliest(first, std::max(selected_at_[i] + kLeastBetweenChanges, now));
    } else if (current == nullptr) {
      // We control and have not chosen yet: better pairs get their chance before the best valid one.
      const Pair* best = candidate(component, nullptr);
      if (best != nullptr && !best->is_pending)
        first = earliest(first, std::max(first_success_[i] + kNominateAfter, now + kPace));
    }
  }
  if (!peer_.ufrag.empty() && (!triggered_.empty() || next_pair(now) != nullptr))
    first = earliest(first, std::max(next_check_, now));
  if (state_ == State::kChecking) first = earliest(first, std::max(started_ + kGiveUp, now + kPace));
  return first;
}

void IceAgent::restore(const std::array<std::optional<Selected>, 2>& selected,
                       const std::array<bool, 2>& is_former, Instant now) {
  selected_ = selected;
  is_former_ = {};
  for (std::size_t i = 0; i < selected.size(); ++i) {
    if (selected_[i] && !may_be_peer(selected_[i]->peer)) selected_[i].reset();
    if (!selected_[i]) continue;
    // Consent starts over, as nobody asked for it in the meantime.
    consent_[i] = selected_at_[i] = now;
    is_former_[i] = is_former[i];
    // A former pair only carries media; it is no pair of the present session.
    if (is_former[i]) continue;
    first_success_[i] = now;
    const LocalPort at{static_cast<Component>(i), selected[i]->local};
    Pair* pair = find(at, selected[i]->peer);
    if (pair == nullptr) pair = add(at, selected[i]->peer, 0);
    if (pair != nullptr) {
      pair->is_valid = true;
      pair->nomination = ++nominations_;
      pair->next = pair->answered = pair->heard = now;
    }
  }
}

}  // namespace ferry
