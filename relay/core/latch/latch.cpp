// SPDX-License-Identifier: Apache-2.0
// How a packet of a source is judged.
//
// The locked peer passes at once; this is the normal case. A packet of anybody else is checked in this order:
// 1. Nobody may be learned at some places (LAT-11, LAT-11a).
// 2. Before the peer was told the port, only the signalled endpoint is heard.
// 3. If an NG algorithm was asked for, it decides alone (LAT-4a).
// 4. A former peer may be barred for a while (PRT-2).
// 5. A locked latch moves in a few ways only (LAT-6, LAT-8).
//
// A source that passed all of them may be learned. How fast depends on its rank, which says how well
// signalling names it (LAT-2). Rank 4 locks with its first packet. Ranks 3 and 2 need two packets in
// sequence, the first of which is held by the worker (`probe`). Rank 1 needs ten packets over at least a
// second, and no rival (`watch_window`).
//
// The trap: no packet may set the state back to learning, or a stranger could open a stream by sending to it.
// A locked peer changes only by signalling, by ICE, or in the ways of LAT-6 and LAT-8.
#include "relay/core/latch/latch.hpp"

#include "relay/base/memory.hpp"

#include <algorithm>
#include <span>

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr Duration kImproveTime = 3s;  // LAT-6: a better rank may replace the peer for this long
constexpr Duration kWindowTime = 1s;   // LAT-3a: shortest time in which the only source of rank 1 is watched
constexpr unsigned kWindowPackets = 10;  // LAT-3a: packets in sequence that it has to send
constexpr Duration kSilentTime = 500ms;  // LAT-8b, LAT-8c: the peer counts as silent after this time
constexpr int kMaxRebindAhead = 200;     // LAT-8c: a stream that moved continues within so many packets
constexpr Duration kCommitTime = 3s;     // LAT-4a: the NG algorithms decide this long after signalling

Latch::Judgement reject(DropReason reason) { return {Latch::Judgement::Decision::kReject, reason, 0}; }
Latch::Judgement with_slot(Latch::Judgement::Decision decision, std::size_t slot) {
  return {decision, DropReason::kNone, static_cast<std::uint8_t>(slot)};
}

}  // namespace

std::string_view to_string(LatchPolicy policy) noexcept {
  switch (policy) {
    case LatchPolicy::kOff:
      return "off";
    case LatchPolicy::kSignalled:
      return "signalled";
    case LatchPolicy::kUncontested:
      return "uncontested";
    case LatchPolicy::kAny:
      return "any";
  }
  return "unknown";
}

std::optional<LatchPolicy> parse_latch_policy(std::string_view text) noexcept {
  for (const auto policy :
       {LatchPolicy::kOff, LatchPolicy::kSignalled, LatchPolicy::kUncontested, LatchPolicy::kAny}) {
    if (to_string(policy) == text) return policy;
  }
  return std::nullopt;
}

std::string_view to_string(Latch::State state) noexcept {
  switch (state) {
    case Latch::State::kClosed:
      return "closed";
    case Latch::State::kLearning:
      return "learning";
    case Latch::State::kLocked:
      return "locked";
  }
  return "unknown";
}

bool OwnMedia::contains(const Endpoint& endpoint) const noexcept {
  const std::span ranges(ranges_.data(), count_.load(std::memory_order_acquire));
  const IpAddress address = endpoint.address.unmapped();
  return std::ranges::any_of(ranges, [&](const Range& range) {
    // A port of the unspecified address is open at every loopback address too. All other addresses of the
    // host are listed one by one.
    const bool here = range.address == address || (range.address.is_unspecified() && address.is_loopback());
    return here && range.ports->contains(endpoint.port);
  });
}

void Latch::update(const LatchConfig& config) {
  config_ = config;
  forget_denied();
}

void Latch::forget_denied() noexcept {
  if (!peer_.is_set() || may_be_party(peer_)) return;
  peer_ = {};
  state_ = State::kLearning;
  rank_ = 0;
  committed_ = false;
}

DropReason Latch::never_learned(const Endpoint& from, const OwnMedia& own, bool any_port) const noexcept {
  const PeerDenial denial = judge_peer(config_.peers, from);
  if (is_refusal(denial)) return DropReason::kDeniedAddress;
  // The other leg of a hairpin sends from our own port, which is right for that port only.
  const bool is_known_hairpin = config_.hairpin && from.address == config_.signalled.address &&
                                (any_port || from.port == config_.signalled.port);
  const bool is_forbidden = denial != PeerDenial::kNone || (own.contains(from) && !is_known_hairpin);
  return is_forbidden ? DropReason::kForbiddenSource : DropReason::kNone;
}

void Latch::restart(const LatchConfig& config, Instant now, const Endpoint& barred, Duration bar_time) {
  config_ = config;
  peer_ = {};
  barred_ = barred;
  barred_until_ = now + bar_time;
  signalled_at_ = now;
  locked_at_ = last_packet_ = {};
  last_ssrc_ = {};
  last_sequence_ = {};
  state_ = State::kLearning;
  rank_ = 0;
  contested_ = better_rank_seen_ = committed_ = false;
  probation_.reset();
}

std::uint8_t Latch::rank_of(const Endpoint& from) const noexcept {
  if (!config_.signalled_void && config_.signalled.is_reachable() &&
      from.address == config_.signalled.address) {
    return from.port == config_.signalled.port ? 4 : 3;
  }
  return from.address == config_.signalling_source ? 2 : 1;
}

// kUncontested gives rank 1 no right of its own here: `learn` treats that rank apart.
bool Latch::allowed(std::uint8_t rank) const noexcept {
  switch (config_.policy) {
    case LatchPolicy::kOff:
      return rank == 4;
    case LatchPolicy::kSignalled:
    case LatchPolicy::kUncontested:
      return rank >= 2;
    case LatchPolicy::kAny:
      return true;
  }
  return false;
}

bool Latch::uncontested_learning() const noexcept {
  if (config_.is_proposed) return false;
  // With `signalled` policy and a void address nothing else could ever be learned, so LAT-4 allows LAT-3a.
  return config_.policy == LatchPolicy::kUncontested ||
         (config_.policy == LatchPolicy::kSignalled && config_.signalled_void);  // LAT-4
}

bool Latch::is_peer(const Endpoint& from) const noexcept {
  if (config_.algorithm != LearningAlgorithm::kRules)
    // An NG algorithm that is still learning, or is not strict, hears everybody.
    return !is_final() || !config_.strict_source || from == peer_;
  if (state_ == State::kLocked) return from == peer_;
  return state_ == State::kLearning && rank_of(from) == 4 && may_be_party(from);
}

bool Latch::may_speak(const Endpoint& from) const noexcept {
  return from == peer_ || (rank_of(from) >= 2 && may_be_party(from));
}

std::uint8_t Latch::signalled_rank(const Endpoint& from, Instant now, const OwnMedia& own) const noexcept {
  const std::uint8_t rank = rank_of(from);
  const bool is_barred = barred_.is_set() && from == barred_ && now < barred_until_;
  if (rank < 2 || !allowed(rank) || is_barred) return 0;
  return never_learned(from, own) == DropReason::kNone ? rank : std::uint8_t{0};
}

bool Latch::improves(std::uint8_t rank, Instant now) const noexcept {
  return !config_.by_ice && rank > rank_ && now - locked_at_ <= kImproveTime && allowed(rank);
}

bool Latch::is_same_place(const Endpoint& from) const noexcept {
  if (config_.by_ice || config_.policy == LatchPolicy::kOff) return false;
  return from.address == peer_.address || (config_.handover && rank_of(from) >= 2);
}

bool Latch::may_move_to(const Endpoint& from, Instant now) const noexcept {
  return from != peer_ && (is_same_place(from) || improves(rank_of(from), now) || takes_back(from));
}

Endpoint Latch::home() const noexcept {
  // A rebinding leaves the rank as it was, so rank 4 away from the signalled endpoint means that it moved. A
  // stream that locked with a worse rank stays where it is (LAT-6).
  const bool has_moved = state_ == State::kLocked && rank_ == 4 && peer_ != config_.signalled;
  const bool by_rules = !config_.by_ice && config_.algorithm == LearningAlgorithm::kRules;
  return has_moved && by_rules && !config_.signalled_void ? config_.signalled : Endpoint{};
}

bool Latch::takes_back(const Endpoint& from) const noexcept { return from.is_set() && from == home(); }

Instant Latch::open_until() const noexcept {
  // Nothing is better than rank 4, so only a barred source keeps the question open.
  const Instant improvable = rank_ == 4 ? locked_at_ : locked_at_ + kImproveTime;
  return barred_.is_set() ? std::max(improvable, barred_until_) : improvable;
}

Endpoint Latch::destination() const noexcept {
  if (peer_.is_set()) return peer_;
  return config_.has_destination() ? config_.signalled : Endpoint{};
}

void Latch::lock(const Endpoint& from, std::uint8_t rank, Instant now) {
  peer_ = from;
  rank_ = rank;
  state_ = State::kLocked;
  contested_ = false;
  locked_at_ = now;
}

void Latch::pin(const Endpoint& peer, Instant now) {
  if (state_ != State::kLocked || peer_ != peer) lock(peer, 4, now);
}

void Latch::unpin() {
  peer_ = {};
  state_ = State::kLearning;
}

Latch::Claim Latch::claim(const Endpoint& from, bool may_relearn, Instant now) const noexcept {
  if (state_ != State::kLocked || from == peer_) return Claim::kPeer;
  if (config_.by_ice) return Claim::kNone;
  // The policy is not asked: the packet will have to authenticate, so its sender holds the key.
  if (rank_of(from) > rank_ && now - locked_at_ <= kImproveTime) return Claim::kBetter;
  // The time since the lock counts as well: a peer that has just been learned is not silent.
  const bool is_silent = now - std::max(locked_at_, last_packet_) >= kSilentTime;
  return may_relearn && is_silent ? Claim::kSilent : Claim::kNone;
}

DropReason Latch::refusal_of(const Endpoint& from, Instant now, const OwnMedia& own) const noexcept {
  if (state_ == State::kLocked && from == peer_) return DropReason::kNone;
  if (state_ == State::kClosed) return DropReason::kSourceNotAllowed;
  if (const DropReason reason = never_learned(from, own); reason != DropReason::kNone) return reason;
  const bool is_barred = barred_.is_set() && from == barred_ && now < barred_until_;
  return is_barred ? DropReason::kBarredSource : DropReason::kNone;
}

bool Latch::lock_authenticated(const Endpoint& from, Instant now) noexcept {
  if (state_ == State::kLocked && from == peer_) return true;
  if (config_.by_ice || state_ == State::kClosed) return false;
  lock(from, rank_of(from), now);
  return true;
}

void Latch::skip(Duration pause) noexcept {
  for (Instant* each : {&barred_until_, &signalled_at_, &locked_at_, &last_packet_}) {
    if (*each != Instant{}) *each += pause;
  }
  if (!probation_) return;
  for (Candidate& each : probation_->candidates) each.seen += pause;
  probation_->window.started += pause;
}

Latch::Judgement Latch::accept(Ssrc ssrc, SeqNo sequence, Instant now) {
  // A late packet does not move back the mark that a rebinding must continue (LAT-8c).
  if (ssrc != last_ssrc_ || last_packet_ == Instant{} || is_newer(sequence, last_sequence_)) {
    last_ssrc_ = ssrc;
    last_sequence_ = sequence;
  }
  last_packet_ = now;
  if (probation_ && now - locked_at_ > kImproveTime)
    probation_.reset();  // LAT-6: no better source can come any more
  return {Judgement::Decision::kAccept, DropReason::kNone, 0};
}

Latch::Judgement Latch::on_rtp(const Endpoint& from, Ssrc ssrc, SeqNo sequence, Instant now,
                               const OwnMedia& own) {
  if (state_ == State::kLocked && from == peer_) return accept(ssrc, sequence, now);
  if (state_ == State::kClosed) return reject(DropReason::kSourceNotAllowed);
  if (const DropReason reason = never_learned(from, own); reason != DropReason::kNone) return reject(reason);
  // Before the peer was told this port, a packet from anywhere but its own signalled endpoint is a guess.
  if (!config_.is_told && rank_of(from) != 4) return reject(DropReason::kSourceNotAllowed);
  if (config_.algorithm != LearningAlgorithm::kRules) {
    const auto judgement = by_algorithm(from, now);
    if (judgement.decision == Judgement::Decision::kAccept) accept(ssrc, sequence, now);
    return judgement;
  }
  if (barred_.is_set() && from == barred_) {
    if (now < barred_until_) return reject(DropReason::kBarredSource);
    // The time is over; its packets are judged like those of others from now on.
    barred_ = {};
  }
  if (state_ == State::kLocked) {
    // LAT-8c: the NAT gave the same stream another port. It must go on where the peer stopped, and the peer
    // must be silent; a copy of the peer's packets sent from elsewhere satisfies only one of the two.
    const int ahead = distance(sequence, last_sequence_);
    if (is_same_place(from) && ssrc == last_ssrc_ && ahead >= 1 && ahead <= kMaxRebindAhead &&
        now - last_packet_ >= kSilentTime) {
      peer_ = from;
      return accept(ssrc, sequence, now);
    }
    if (!improves(rank_of(from), now) && !takes_back(from)) return reject(DropReason::kForeignSource);
  }
  const auto judgement = learn(from, ssrc, sequence, true, now);
  if (judgement.decision == Judgement::Decision::kAccept) accept(ssrc, sequence, now);
  return judgement;
}

Latch::Judgement Latch::on_unsequenced(const Endpoint& from, Ssrc sender, Instant now, const OwnMedia& own,
                                       const IpAddress& rtp_peer) {
  if (state_ == State::kLocked && from == peer_) return accept(sender, SeqNo{}, now);
  if (state_ == State::kClosed) return reject(DropReason::kSourceNotAllowed);
  // `any_port`: the other leg of a hairpin may send RTCP from another of our ports.
  if (const DropReason reason = never_learned(from, own, true); reason != DropReason::kNone)
    return reject(reason);
  if (!config_.is_told && rank_of(from) != 4) return reject(DropReason::kSourceNotAllowed);
  if (config_.algorithm != LearningAlgorithm::kRules) {
    const auto judgement = by_algorithm(from, now);
    if (judgement.decision == Judgement::Decision::kAccept) accept(sender, SeqNo{}, now);
    return judgement;
  }
  // LAT-9: RTCP comes from the address that RTP locked to, except from the signalled RTCP endpoint itself.
  if (rtp_peer.family() != AddressFamily::kNone && from.address != rtp_peer && rank_of(from) != 4) {
    return reject(DropReason::kForeignSource);
  }
  if (state_ == State::kLocked) {
    if (!improves(rank_of(from), now) && !takes_back(from)) return reject(DropReason::kForeignSource);
  }
  const auto judgement = learn(from, sender, SeqNo{}, false, now);
  if (judgement.decision == Judgement::Decision::kAccept) accept(sender, SeqNo{}, now);
  return judgement;
}

Latch::Judgement Latch::learn(const Endpoint& from, Ssrc ssrc, SeqNo sequence, bool sequenced, Instant now) {
  const std::uint8_t rank = rank_of(from);
  if (rank == 4) {
    lock(from, rank, now);
    return {Judgement::Decision::kAccept, DropReason::kNone, 0};
  }
  // Once a named source has sent something, LAT-3a is closed for strangers.
  if (rank >= 2) better_rank_seen_ = true;
  if (allowed(rank)) return probe(from, rank, ssrc, sequence, sequenced, now);
  if (rank == 1 && sequenced && uncontested_learning() && !better_rank_seen_) {
    return watch_window(from, ssrc, sequence, now);
  }
  return reject(DropReason::kSourceNotAllowed);
}

Latch::Judgement Latch::probe(const Endpoint& from, std::uint8_t rank, Ssrc ssrc, SeqNo sequence,
                              bool sequenced, Instant now) {
  // The first packet of a candidate is held, not dropped: when its successor confirms the source, the worker
  // judges both again and no speech is lost.
  if (!probation_) probation_ = make_unique_or_null<Probation>();
  if (!probation_) return reject(DropReason::kNoMemory);
  auto& candidates = probation_->candidates;
  auto slot = std::ranges::find_if(candidates, [&](const Candidate& c) { return c.used && c.from == from; });
  if (slot != candidates.end()) {
    const auto index = static_cast<std::size_t>(slot - candidates.begin());
    // Datagrams without a number are confirmed by any second one of the same SSRC.
    if (slot->ssrc == ssrc && (!sequenced || distance(sequence, slot->sequence) == 1)) {
      slot->used = false;
      lock(from, rank, now);
      return with_slot(Judgement::Decision::kRelease, index);
    }
    *slot = {from, ssrc, sequence, now, true};
    return with_slot(Judgement::Decision::kHold, index);
  }
  slot = std::ranges::find_if(candidates, [](const Candidate& c) { return !c.used; });
  // If all slots are in use, the candidate that has been silent for longest gives way. Its held packet is
  // lost.
  if (slot == candidates.end()) slot = std::ranges::min_element(candidates, {}, &Candidate::seen);
  *slot = {from, ssrc, sequence, now, true};
  return with_slot(Judgement::Decision::kHold, static_cast<std::size_t>(slot - candidates.begin()));
}

Latch::Judgement Latch::watch_window(const Endpoint& from, Ssrc ssrc, SeqNo sequence, Instant now) {
  // Two strangers at once: nobody can tell which one is the party. Only signalling or a better source ends
  // that.
  if (contested_) return reject(DropReason::kContested);
  if (!probation_) probation_ = make_unique_or_null<Probation>();
  if (!probation_) return reject(DropReason::kNoMemory);
  Window& window = probation_->window;
  if (!window.from.is_set()) {
    window = {from, ssrc, sequence, 1, now};
    return reject(DropReason::kProbation);
  }
  if (window.from != from) {
    contested_ = true;
    return reject(DropReason::kContested);
  }
  // A gap or another SSRC starts the watch over, so that only an undisturbed stream passes it.
  if (window.ssrc != ssrc || distance(sequence, window.sequence) != 1) {
    window = {from, ssrc, sequence, 1, now};
    return reject(DropReason::kProbation);
  }
  window.sequence = sequence;
  ++window.sequential;
  if (window.sequential < kWindowPackets || now - window.started < kWindowTime)
    return reject(DropReason::kProbation);
  lock(from, 1, now);
  return {Judgement::Decision::kAccept, DropReason::kNone, 0};
}

// Packets of the peer do not come to `by_algorithm`, so the newest of them tells whether one came late
// enough.
bool Latch::is_final() const noexcept {
  return committed_ || (state_ == State::kLocked && last_packet_ - signalled_at_ > kCommitTime);
}

Latch::Judgement Latch::by_algorithm(const Endpoint& from, Instant now) {
  const Judgement accepted{Judgement::Decision::kAccept, DropReason::kNone, 0};
  // Without a signalled endpoint these algorithms learn nothing and only pass packets on.
  if (!config_.signalled.is_set())
    return config_.strict_source ? reject(DropReason::kSourceNotAllowed) : accepted;
  // The decision stands. Without `strict-source` foreign packets still pass, and `media-handover` follows
  // them.
  if (is_final()) {
    if (from == peer_) return accepted;
    if (config_.strict_source && !config_.handover) return reject(DropReason::kForeignSource);
    if (config_.handover && !config_.strict_source) peer_ = from;
    return accepted;
  }
  state_ = State::kLocked;
  // The first packet later than `kCommitTime` after signalling makes the present choice final.
  const bool late = now - signalled_at_ > kCommitTime;
  switch (config_.algorithm) {
    case LearningAlgorithm::kRules:
      break;
    case LearningAlgorithm::kImmediate:
      peer_ = from;
      committed_ = true;
      break;
    case LearningAlgorithm::kDelayed:
      peer_ = from;
      committed_ = late;
      break;
    case LearningAlgorithm::kHeuristic: {
      // How well the source matches the signalled endpoint: 4 = address and port, 3 = address, 2 = port, 1 =
      // neither. These are not the ranks of LAT-2.
      std::uint8_t match = 1;
      if (from.address == config_.signalled.address) {
        match = from.port == config_.signalled.port ? 4 : 3;
      } else if (from.port == config_.signalled.port) {
        match = 2;
      }
      if (match < rank_) {
        committed_ = late;
        return config_.strict_source ? reject(DropReason::kForeignSource) : accepted;
      }
      peer_ = from;
      rank_ = match;
      committed_ = match == 4 || late;
      break;
    }
  }
  locked_at_ = now;
  return accepted;
}

Latch::Snapshot Latch::snapshot() const {
  Snapshot s{
      state_,         rank_,      contested_,   better_rank_seen_, committed_, peer_,         last_ssrc_,
      last_sequence_, locked_at_, last_packet_, signalled_at_,     barred_,    barred_until_, {}};
  if (probation_) s.probation = *probation_;
  return s;
}

void Latch::restore(const LatchConfig& config, const Snapshot& s) {
  config_ = config;
  state_ = s.state;
  rank_ = s.rank;
  contested_ = s.contested;
  better_rank_seen_ = s.better_rank_seen;
  committed_ = s.committed;
  peer_ = s.peer;
  last_ssrc_ = s.last_ssrc;
  last_sequence_ = s.last_sequence;
  locked_at_ = s.locked_at;
  last_packet_ = s.last_packet;
  signalled_at_ = s.signalled_at;
  barred_ = s.barred;
  barred_until_ = s.barred_until;
  probation_ = s.probation ? std::make_unique<Probation>(*s.probation) : nullptr;
  forget_denied();
}

}  // namespace ferry
