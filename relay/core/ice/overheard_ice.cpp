// SPDX-License-Identifier: Apache-2.0
// How an address becomes the place of a party.
//
//   check of the party ── name and integrity ─► peer ─► question to it ─► answer ─► proven ─► selected
//   answer of the party ─ check that passed ──┘
//
// Traps:
// - Only the answer to a question of ours proves an address. An answer to a check that passed does not: the
//   check itself may be a repetition, and whoever recorded it has recorded its answer as well.
// - A nomination counts after the next answer to a question, for the same reason.
// - An address that has never answered is asked once for each authentic message from it. Otherwise a repeated
//   message with a forged source would draw several datagrams. Messages that come while a question waits for
//   its answer are kept as `owed`: if the answer is lost, each allows one repetition.
// - Former credentials count until the first message under the new ones (RFC 8445 §9).

#include "relay/core/ice/overheard_ice.hpp"

#include "relay/base/random.hpp"
#include "relay/core/latch/latch.hpp"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

namespace ferry {

using namespace std::chrono_literals;

namespace {

/// An answer to a check that passed is awaited for this long. Agents repeat a check for up to 40 s (RFC 8489
/// §6.2.1), and each repetition passes anew.
constexpr Duration kAnswerTime = 10s;
/// All checks of one component that pass.
constexpr RateLimit kPassing{100, 0};
/// Checks and questions of one component that go to addresses which are not selected: one in 50 ms (ICE-6).
constexpr RateLimit kSeeking{20, 0};
/// An address that is proven and is not the selected one tells that the party may have moved. The selected
/// one is asked at once then, unless it has answered within this time.
constexpr Duration kRecent = 1s;
/// Priority that a question names: that of a host candidate of the lowest preference (RFC 8445 §5.1.2.2).
constexpr std::uint32_t kLowestPriority = 255;

/// Splits a USERNAME into the ufrag of the receiver and that of the sender (RFC 8445 §7.2.2).
std::pair<std::string_view, std::string_view> parts_of(std::string_view username) noexcept {
  const auto colon = username.find(':');
  if (colon == std::string_view::npos) return {};
  return {username.substr(0, colon), username.substr(colon + 1)};
}

/// Keeps the credentials before a restart. `before` were in force until now, and `now` are from now on.
void keep_former(IceCredentials& former, const IceCredentials& before, const IceCredentials& now) {
  if (now == before) return;
  // After several restarts in a row those before the first one are the last that anybody used. A restart that
  // was refused brings them back.
  if (former.password.empty()) former = before;
  if (former == now) former = {};
}

/// True if the SDP names this IP address. A NAT often gives the party another port than it says.
bool is_named_by(const OverheardPlan& plan, const IpAddress& address) noexcept {
  return std::ranges::any_of(plan.candidates,
                             [&](const IceCandidate& each) { return each.at.address == address; });
}

stun::TransactionId random_transaction() {
  stun::TransactionId transaction;
  const std::array<std::uint64_t, 2> random = {random_u64(), random_u64()};
  std::ranges::copy(std::as_bytes(std::span(random)).first(transaction.size()), transaction.begin());
  return transaction;
}

/// A random interval keeps many calls from asking at the same moment (RFC 7675 §5.1).
Duration question_interval() {
  return OverheardIce::kAskAgain * (80 + static_cast<int>(random_below(41))) / 100;
}

}  // namespace

void OverheardIce::follow(std::shared_ptr<const OverheardPlan> plan, Instant now) {
  if (plan == plan_) return;
  const auto before = std::exchange(plan_, std::move(plan));
  if (!plan_->is_complete() || !before || !before->is_complete()) {
    // Without both credentials there is no session that could go on.
    former_party_ = former_other_ = {};
    sides_ = {};
    return;
  }
  for (Side& side : sides_) {
    for (Peer& peer : side.peers) peer.is_named = peer.is_used && is_named_by(*plan_, peer.path.peer.address);
  }
  if (plan_->party != before->party || plan_->other != before->other) {
    keep_former(former_party_, before->party, plan_->party);
    keep_former(former_other_, before->other, plan_->other);
    ++session_;
    for (Side& side : sides_) {
      side.sought = side.unproven = 0;
      for (Peer& peer : side.peers) {
        peer.is_former = plan_->party != before->party;
        peer.is_asked = false;
        peer.owed = 0;
      }
    }
  }
  if (plan_->peers == before->peers) return;
  for (Side& side : sides_) {
    for (Peer& peer : side.peers) {
      if (judge_peer(plan_->peers, peer.path.peer) != PeerDenial::kNone) peer = {};
    }
    choose(side, now);
  }
}

bool OverheardIce::may_be_peer(const Endpoint& at, const OwnMedia& own) const noexcept {
  return judge_peer(plan_->peers, at) == PeerDenial::kNone && !own.contains(at);
}

OverheardIce::Heard OverheardIce::take(LocalPort at, const Endpoint& from, Bytes datagram, Turn turn) {
  if (!plan_->is_complete() || !may_be_peer(from, turn.own)) return {};
  if (datagram.size() > kLongest) return {};
  const auto message = stun::parse(datagram);
  // RFC 8445 §7.1 asks for FINGERPRINT.
  if (!message || !message->has_fingerprint) return {};
  switch (message->kind) {
    case stun::Kind::kRequest:
      return on_request(at, from, datagram, *message, turn);
    case stun::Kind::kSuccess:
    case stun::Kind::kError:
      return on_answer(at, from, datagram, *message, turn);
    case stun::Kind::kIndication:
      break;
  }
  return {};
}

OverheardIce::Heard OverheardIce::on_request(LocalPort at, const Endpoint& from, Bytes datagram,
                                             const stun::Message& message, Turn turn) {
  const auto [to_ufrag, from_ufrag] = parts_of(message.username);
  const bool names_former_other = !former_other_.ufrag.empty() && to_ufrag == former_other_.ufrag;
  const bool names_former_party = !former_party_.ufrag.empty() && from_ufrag == former_party_.ufrag;
  if ((to_ufrag != plan_->other.ufrag && !names_former_other) ||
      (from_ufrag != plan_->party.ufrag && !names_former_party))
    return {};
  const bool is_under_new =
      to_ufrag == plan_->other.ufrag && stun::is_authentic(datagram, message, plan_->other.password);
  if (!is_under_new && !(names_former_other && stun::is_authentic(datagram, message, former_other_.password)))
    return {};
  if (is_under_new) former_other_ = {};
  const bool is_former = from_ufrag != plan_->party.ufrag;
  if (!is_former) former_party_ = {};
  Peer& peer = peer_at(sides_[index(at.component)], {at.local, from});
  peer.controls = message.controlling.has_value();
  note(at.component, peer, is_former, message.use_candidate, turn);
  return {Heard::Kind::kRequest, message.transaction, message.use_candidate, {}};
}

bool OverheardIce::is_of_party(Bytes datagram, const stun::Message& message, bool& is_former) const {
  is_former = false;
  if (stun::is_authentic(datagram, message, plan_->party.password)) return true;
  is_former = true;
  return !former_party_.password.empty() && stun::is_authentic(datagram, message, former_party_.password);
}

OverheardIce::Heard OverheardIce::on_answer(LocalPort at, const Endpoint& from, Bytes datagram,
                                            const stun::Message& message, Turn turn) {
  Side& side = sides_[index(at.component)];
  const Path path{at.local, from};
  bool is_former = false;
  Peer* peer = find(side, path);
  if (peer != nullptr && peer->is_asked && peer->question == message.transaction) {
    if (!is_of_party(datagram, message, is_former)) return {};
    if (!is_former) former_party_ = {};
    prove(at.component, *peer, is_former, turn);
    return {Heard::Kind::kTaken, message.transaction, false, {}};
  }
  const auto passed = std::ranges::find_if(side.passed, [&](const Passed& each) {
    return each.unanswered != 0 && each.to == path && each.transaction == message.transaction &&
           turn.now - each.at <= kAnswerTime;
  });
  if (passed == side.passed.end() || !is_of_party(datagram, message, is_former)) return {};
  if (!is_former) former_party_ = {};
  // One datagram passed, so one answer may come.
  --passed->unanswered;
  const bool nominates = passed->nominates && message.kind == stun::Kind::kSuccess;
  note(at.component, peer_at(side, path), is_former, nominates, turn);
  return {Heard::Kind::kAnswer, message.transaction, false, passed->back, passed->asker};
}

void OverheardIce::note(Component component, Peer& peer, bool is_former, bool nominates, Turn turn) {
  Side& side = sides_[index(component)];
  const bool is_selected = side.selected == peer.path;
  peer.heard = turn.now;
  peer.is_former = is_former;
  // A party that nominates in every check says nothing new about the address that is selected.
  if (nominates && !(is_selected && peer.nomination == nominations_)) peer.wanted = ++nominations_;
  const bool is_fresh = is_proven(peer, turn.now) && turn.now - peer.proven < kAskAgain &&
                        peer.wanted == peer.nomination && (is_former || peer.session == session_);
  if (is_fresh) return;
  if (peer.is_asked && turn.now - peer.asked < kAskSoon) {
    peer.owed = std::min(peer.owed + 1, kSilent);
    return;
  }
  TokenBucket& bucket = peer.is_named ? side.named_questions : side.questions;
  if (is_selected || bucket.take(kSeeking, 0, turn.now)) ask(component, peer, turn);
}

void OverheardIce::ask_again(Component component, Peer& peer, Turn turn) {
  --peer.owed;
  Side& side = sides_[index(component)];
  TokenBucket& bucket = peer.is_named ? side.named_questions : side.questions;
  if (bucket.take(kSeeking, 0, turn.now))
    ask(component, peer, turn);
  else
    peer.owed = 0;
}

OverheardIce::Peer* OverheardIce::find(Side& side, const Path& path) noexcept {
  const auto found =
      std::ranges::find_if(side.peers, [&](const Peer& peer) { return peer.is_used && peer.path == path; });
  return found == side.peers.end() ? nullptr : &*found;
}

OverheardIce::Peer& OverheardIce::peer_at(Side& side, const Path& path) noexcept {
  if (Peer* known = find(side, path)) return *known;
  const auto worth = [&](const Peer& peer) {
    return std::tuple(peer.is_used, peer.is_used && side.selected == peer.path, peer.proven != Instant{},
                      peer.is_named, peer.heard);
  };
  Peer* least = side.peers.data();
  for (Peer& peer : side.peers) {
    if (worth(peer) < worth(*least)) least = &peer;
  }
  *least = {};
  least->path = path;
  least->is_used = true;
  least->is_named = is_named_by(*plan_, path.peer.address);
  return *least;
}

void OverheardIce::ask(Component component, Peer& peer, Turn turn) {
  // Under the credentials that the address spoke last: an agent may not know the new ones yet.
  const bool is_former = peer.is_former && !former_party_.ufrag.empty();
  const IceCredentials& to = is_former ? former_party_ : plan_->party;
  const IceCredentials& by = is_former && !former_other_.ufrag.empty() ? former_other_ : plan_->other;
  const std::string username = to.ufrag + ":" + by.ufrag;
  // A repetition keeps the transaction, or an answer that takes long would never fit.
  if (!peer.is_asked) peer.question = random_transaction();
  peer.is_asked = true;
  peer.asked = turn.now;
  ++peer.unanswered;
  peer.next = turn.now + (peer.unanswered < kSilent ? kAskSoon : kAskAgain);
  stun::Contents contents;
  contents.username = username;
  contents.priority = kLowestPriority;
  // RFC 8445 §7.3.1.1: the higher tie-breaker controls. This one never makes the party change its role, and
  // an error for the conflict proves as much as a success.
  if (peer.controls) {
    contents.controlled = ~std::uint64_t{0};
  } else {
    contents.controlling = std::uint64_t{0};
  }
  turn.out.send({component, peer.path.local}, peer.path.peer,
                stun::write(stun::Kind::kRequest, peer.question, contents, to.password));
}

void OverheardIce::prove(Component component, Peer& peer, bool is_former, Turn turn) {
  Side& side = sides_[index(component)];
  peer.is_asked = false;
  peer.unanswered = peer.owed = 0;
  if (!is_proven(peer, turn.now)) peer.order = ++orders_;
  peer.heard = peer.proven = turn.now;
  peer.is_former = is_former;
  peer.session = is_former ? session_ - 1 : session_;
  peer.nomination = peer.wanted;
  peer.next = turn.now + question_interval();
  choose(side, turn.now);
  if (!side.selected || *side.selected == peer.path) return;
  Peer* selected = find(side, *side.selected);
  if (selected != nullptr && selected->unanswered == 0 && turn.now - selected->proven > kRecent)
    ask(component, *selected, turn);
}

void OverheardIce::choose(Side& side, Instant now) noexcept {
  const auto worth = [](const Peer& peer) {
    // The newest session, then somebody who answers, then the newest nomination, then whoever was first.
    return std::tuple(peer.session, peer.unanswered < kSilent, peer.nomination, ~peer.order);
  };
  const Peer* best = nullptr;
  for (Peer& peer : side.peers) {
    if (!is_proven(peer, now)) continue;
    if (best == nullptr || worth(*best) < worth(peer)) best = &peer;
  }
  side.selected = best == nullptr ? std::nullopt : std::optional(best->path);
}

std::optional<std::uint8_t> OverheardIce::local_for(AddressFamily family) const noexcept {
  const auto found = std::ranges::find(plan_->locals, family);
  if (found == plan_->locals.end()) return std::nullopt;
  return static_cast<std::uint8_t>(found - plan_->locals.begin());
}

Path OverheardIce::next_place(Component component, Side& side, Turn turn) {
  if (!side.seeking.take(kSeeking, 0, turn.now)) return {};
  const std::size_t places = kMaxPeers + plan_->candidates.size();
  for (std::size_t tried = 0; tried < places; ++tried) {
    const std::size_t place = side.cursor++ % places;
    if (place < kMaxPeers) {
      const Peer& peer = side.peers[place];
      if (!peer.is_used || turn.now - peer.heard >= kConsent) continue;
      if (peer.proven != Instant{}) return peer.path;
      // An authentic check may have been sent under a forged address: nobody there may want to hear of it.
      if (side.unproven >= kMaxSought) continue;
      ++side.unproven;
      return peer.path;
    }
    const IceCandidate& candidate = plan_->candidates[place - kMaxPeers];
    if (candidate.component != component || side.sought >= kMaxSought) continue;
    const auto local = local_for(candidate.at.address.family());
    if (!local || !may_be_peer(candidate.at, turn.own)) continue;
    const Path path{*local, candidate.at};
    if (find(side, path) != nullptr) continue;
    ++side.sought;
    return path;
  }
  return {};
}

std::optional<Path> OverheardIce::pass(Component component, const Heard& request, const Path& back,
                                       Turn turn) {
  Side& side = sides_[index(component)];
  if (!plan_->is_complete() || !side.passing.take(kPassing, 0, turn.now)) return std::nullopt;
  const Peer* selected = side.selected ? find(side, *side.selected) : nullptr;
  const bool is_there = selected != nullptr && selected->unanswered < kSilent;
  const Path to = is_there ? selected->path : next_place(component, side, turn);
  if (!to.is_set()) return std::nullopt;
  Passed* place = side.passed.data();
  for (Passed& each : side.passed) {
    const bool is_same = each.transaction == request.transaction && each.to == to && each.back == back &&
                         each.asker == request.asker && each.unanswered != 0;
    if (is_same) {
      ++each.unanswered;
      each.at = turn.now;
      return to;
    }
    const auto worth = [](const Passed& passed) { return std::pair(passed.unanswered != 0, passed.at); };
    if (worth(each) < worth(*place)) place = &each;
  }
  *place = {request.transaction, to, back, request.nominates, request.asker, 1, turn.now};
  return to;
}

void OverheardIce::drive(Turn turn) {
  for (const Component component : {Component::kRtp, Component::kRtcp}) {
    Side& side = sides_[index(component)];
    for (Peer& peer : side.peers) {
      const bool is_selected = side.selected == peer.path;
      if (is_owed(peer) && !is_selected && turn.now - peer.asked >= kAskSoon)
        ask_again(component, peer, turn);
    }
    Peer* selected = side.selected ? find(side, *side.selected) : nullptr;
    if (selected == nullptr) continue;
    if (is_proven(*selected, turn.now) && turn.now >= selected->next) ask(component, *selected, turn);
    choose(side, turn.now);
  }
}

std::optional<Instant> OverheardIce::due() const noexcept {
  std::optional<Instant> first;
  const auto consider = [&](Instant at) {
    if (!first || at < *first) first = at;
  };
  for (const Side& side : sides_) {
    for (const Peer& peer : side.peers) {
      if (!peer.is_used) continue;
      if (side.selected == peer.path)
        consider(std::min(peer.next, peer.proven + kConsent));
      else if (is_owed(peer))
        consider(peer.asked + kAskSoon);
    }
  }
  return first;
}

void OverheardIce::skip(Duration pause) noexcept {
  for (Side& side : sides_) {
    for (Peer& peer : side.peers) {
      for (Instant* each : {&peer.heard, &peer.asked, &peer.proven, &peer.next}) {
        if (*each != Instant{}) *each += pause;
      }
    }
    for (Passed& each : side.passed) {
      if (each.at != Instant{}) each.at += pause;
    }
  }
}

void OverheardIce::restore(const std::array<std::optional<Path>, 2>& selected, Instant now) {
  for (std::size_t i = 0; i < selected.size(); ++i) {
    // The rules for places of parties may have changed since.
    if (!selected[i] || judge_peer(plan_->peers, selected[i]->peer) != PeerDenial::kNone) continue;
    Peer& peer = peer_at(sides_[i], *selected[i]);
    peer.heard = peer.proven = peer.next = now;
    peer.session = session_;
    peer.order = ++orders_;
    sides_[i].selected = peer.path;
  }
}

}  // namespace ferry
