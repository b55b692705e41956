// SPDX-License-Identifier: Apache-2.0
// Every state that the source rule of a component can reach, by breadth-first search over the code itself: an
// agreed latch, the proposed one of an offer that waits (LAT-15), and what both do with 12 packets and 3
// events: {signalled, other port, signalling source, stranger} x {in sequence, gap, old}; time passes,
// re-offer, answer.
//
// A state is what the latches know, with times and sequence numbers relative to now, so that equal states
// meet. Each new one is asked: does anything go to a stranger, or come from one, does a lock move only as the
// rules say, and does it still open for the party that the rules entitle? Packets take no time; `time passes`
// does.
//
// With SRTP one party has the key; what the others send are copies of its packets, before it or after it, and
// forged ones. Who opens a packet is not tried here: whether it is new, was there, or is forged is part of
// the model.
//
// Depth 5, or what FERRY_LATCH_DEPTH says; `make soak` searches to depth 8.

#include "relay/core/latch/proposed_latch.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;
using Decision = Latch::Judgement::Decision;

enum Role : std::uint8_t { kSignalled, kOtherPort, kSource, kStranger };
constexpr std::array kRoles = {kSignalled, kOtherPort, kSource, kStranger};
constexpr std::array kRoleNames = {"signalled", "other port", "signalling source", "stranger"};
const std::array<Endpoint, 4> kPlaces = {{{IpAddress::v4({192, 0, 2, 10}), UdpPort{4000}},
                                          {IpAddress::v4({192, 0, 2, 10}), UdpPort{4100}},
                                          {IpAddress::v4({198, 51, 100, 7}), UdpPort{55000}},
                                          {IpAddress::v4({203, 0, 113, 66}), UdpPort{6000}}}};

enum class Kind : std::uint8_t { kInSequence, kGap, kOld };
enum class Event : std::uint8_t { kTimePasses, kReoffer, kAnswer };
constexpr std::size_t kPackets = 12;
constexpr std::array kActionNames = {"signalled",  "signalled-gap", "signalled-old", "port",
                                     "port-gap",   "port-old",      "source",        "source-gap",
                                     "source-old", "stranger",      "stranger-gap",  "stranger-old",
                                     "pass",       "reoffer",       "answer"};
constexpr std::size_t kActions = kActionNames.size();

/// Who sends with whose SSRC and sequence numbers.
enum class Streams : std::uint8_t {
  kOwn,         // everybody has a stream of their own: the other port is a neighbour behind the same address
  kPhoneMoves,  // the other port is the same phone, whose NAT gave it another port
  kCopied,      // everybody sends the phone's SSRC in its order
};

/// What is the same in a whole search.
struct Variant {
  LatchPolicy policy = LatchPolicy::kSignalled;
  bool is_void = false;         // LAT-4
  bool knows_source = true;     // the request said where signalling came from
  bool handover = false;        // LAT-8
  bool almost_learned = false;  // the stranger has sent nine packets in a second: one more, and LAT-3a locks
  Streams streams = Streams::kOwn;
  Role moves_to = kOtherPort;  // where a re-offer says that the party is; the next one moves it back
  Duration step = 600ms;       // how much time passes
  std::optional<Role> key{};   // LAT-10: who has the key; unset: plain RTP
};

std::string name(const Variant& v) {
  static constexpr std::array kStreamNames = {"own streams", "a phone that moves", "copied streams"};
  std::string text(to_string(v.policy));
  if (v.is_void) text += ", void";
  if (!v.knows_source) text += ", source unknown";
  if (v.handover) text += ", handover";
  if (v.almost_learned) text += ", stranger almost learned";
  if (v.key) {
    text += std::string(", keys of ") + kRoleNames[*v.key];
  } else {
    text += std::string(", ") + kStreamNames[static_cast<std::size_t>(v.streams)];
  }
  text += v.moves_to == kOtherPort ? ", moves to another port" : ", moves to another host";
  return text + ", " + std::to_string(v.step / 1ms) + " ms";
}

/// One state: values alone, so that it can be copied.
struct State {
  Latch::Snapshot agreed;
  std::optional<Latch::Snapshot> proposed;
  std::array<std::uint16_t, 4> last{};  // sequence number that a stream has come to
  bool has_moved = false;               // the agreed address is the other one
  bool is_copied = false;               // somebody sent a copy of the next packet with the key first
  bool is_crowded = false;              // two sources were heard since the agreed latch began to learn
  std::uint8_t heard = 0;               // which ones
  Endpoint former;                      // the peer before the answer
  Instant answered{};
  Instant now{1h};
  std::string way;  // what happened, for whoever reads of a fault
};

/// Two latches that begin in a state. Asks the code under test for everything.
class Component {
 public:
  Component(const Variant& variant, const State& state) : variant_(variant), state_(state) {
    agreed_.restore(config(state.has_moved, false), state.agreed);
    if (state.proposed) make_proposed().restore(config(!state.has_moved, true), *state.proposed);
  }
  static State first(const Variant& variant) {
    Component component(variant, State{});
    component.agreed_.restart(component.config(false, false), component.state_.now);
    for (int n = 0; variant.almost_learned && n < 9; ++n) {
      component.send(kStranger, Kind::kInSequence);
      component.state_.now += n == 0 ? 1s : 0s;
    }
    return component.state();
  }
  State state() {
    state_.agreed = agreed_.snapshot();
    state_.proposed.reset();
    if (proposed_) state_.proposed = proposed_->snapshot();
    return state_;
  }

  SourceJudgement send(Role role, Kind kind) {
    if (variant_.key) return send_protected(role, kind);
    const std::size_t stream = stream_of(role);
    std::uint16_t& last = state_.last[stream];
    if (kind != Kind::kOld) last = static_cast<std::uint16_t>(last + (kind == Kind::kGap ? 7 : 1));
    newest_ = SeqNo{static_cast<std::uint16_t>(kind == Kind::kOld ? last - 3 : last)};
    state_.heard |= static_cast<std::uint8_t>(1u << role);
    state_.is_crowded |= (state_.heard & (state_.heard - 1)) != 0;
    return judge_source(agreed_, proposed_.get(), kPlaces[role], [&](Latch& latch) {
      return latch.on_rtp(kPlaces[role], ssrc_of(role), newest_, state_.now, own_);
    });
  }
  void pass(Duration time) { state_.now += time; }
  void reoffer() {  // one that says the same again changes nothing
    if (!proposed_) make_proposed().restart(config(!state_.has_moved, true), state_.now);
  }
  void answer() {
    if (!proposed_) {  // it says the same as before
      agreed_.update(config(state_.has_moved, false));
      return;
    }
    state_.has_moved = !state_.has_moved;
    const Endpoint former = agreed_.learned();
    if (settle(agreed_, proposed_.get(), config(state_.has_moved, false), state_.now)) {
      state_.heard = 0;
      state_.former = former;
      state_.answered = state_.now;
    }
    state_.is_crowded = false;
    proposed_.reset();
  }

  [[nodiscard]] const Latch& agreed() const { return agreed_; }
  [[nodiscard]] const Latch* proposed() const { return proposed_.get(); }
  [[nodiscard]] Instant now() const { return state_.now; }
  /// LAT-2, told apart from the code under test. `is_proposed`: by the offer that waits.
  [[nodiscard]] int rank(Role role, bool is_proposed) const {
    const Role at = signalled(state_.has_moved != is_proposed);
    const bool same_host = kPlaces[role].address == kPlaces[at].address;
    if (!variant_.is_void && same_host) return role == at ? 4 : 3;
    return role == kSource && variant_.knows_source ? 2 : 1;
  }
  /// Whether the policy lets a source of this rank in after two packets (LAT-3).
  [[nodiscard]] bool is_allowed(int rank) const {
    if (variant_.policy == LatchPolicy::kOff) return rank == 4;
    return rank >= (variant_.policy == LatchPolicy::kAny ? 1 : 2);
  }
  [[nodiscard]] Role signalled(bool has_moved) const { return has_moved ? variant_.moves_to : kSignalled; }
  [[nodiscard]] std::size_t stream_of(Role role) const {
    const bool of_phone = role == kOtherPort && variant_.streams == Streams::kPhoneMoves;
    return of_phone || variant_.streams == Streams::kCopied ? std::size_t{kSignalled} : std::size_t{role};
  }
  [[nodiscard]] Ssrc ssrc_of(Role role) const {
    return Ssrc{static_cast<std::uint32_t>(stream_of(role) + 1)};
  }
  /// Sequence number of the packet that was sent last.
  [[nodiscard]] SeqNo newest() const { return newest_; }

 private:
  enum class Proof : std::uint8_t { kNew, kReplay, kForged };
  /// What the replay list and the tag say of a packet. Its sequence number becomes `newest_`.
  Proof prove(Role role, Kind kind) {
    std::uint16_t& last = state_.last[0];
    if (role == *variant_.key) {
      const int step = kind == Kind::kInSequence ? 1 : kind == Kind::kGap ? 7 : -3;
      newest_ = SeqNo{static_cast<std::uint16_t>(last + step)};
      if (kind == Kind::kOld) return Proof::kReplay;
      last = newest_.value;
      const bool was_copied = std::exchange(state_.is_copied, false);
      return was_copied && kind == Kind::kInSequence ? Proof::kReplay : Proof::kNew;
    }
    if (kind == Kind::kOld) return Proof::kForged;
    newest_ = SeqNo{static_cast<std::uint16_t>(kind == Kind::kInSequence ? last + 1 : last)};
    return kind == Kind::kInSequence && !std::exchange(state_.is_copied, true) ? Proof::kNew : Proof::kReplay;
  }
  /// As a transport does it, around the same questions to the latches.
  SourceJudgement send_protected(Role role, Kind kind) {
    const Endpoint& from = kPlaces[role];
    const Hearing hearing = hearing_of(agreed_, proposed_.get(), from, from, true, state_.now);
    Latch& latch = hearing.is_proposed ? *proposed_ : agreed_;
    const SourceJudgement refused{{Decision::kReject, DropReason::kForeignSource, 0}, hearing.is_proposed};
    const bool is_heard =
        hearing.claim != Latch::Claim::kNone && latch.refusal_of(from, state_.now, own_) == DropReason::kNone;
    if (!is_heard && role != *variant_.key) return refused;  // it uses up no index
    const Proof proof = prove(role, kind);
    if (!is_heard || proof == Proof::kForged) return refused;
    if (proof == Proof::kReplay) {
      if (hearing.claim == Latch::Claim::kBetter && latch.counts_replays_of(from))
        (void)latch.lock_authenticated(from, state_.now);
      return refused;
    }
    if (!latch.lock_authenticated(from, state_.now)) return refused;
    return judge_source(agreed_, proposed_.get(), from,
                        [&](Latch& judge) { return judge.on_rtp(from, Ssrc{1}, newest_, state_.now, own_); });
  }
  [[nodiscard]] LatchConfig config(bool has_moved, bool is_proposed) const {
    LatchConfig config;
    config.policy = variant_.policy;
    config.signalled = kPlaces[signalled(has_moved)];
    config.signalled_void = variant_.is_void;
    if (variant_.knows_source) config.signalling_source = kPlaces[kSource].address;
    config.handover = variant_.handover;
    config.is_proposed = is_proposed;
    return config;
  }
  Latch& make_proposed() {
    proposed_ = std::make_unique<Latch>();
    return *proposed_;
  }

  const Variant& variant_;
  State state_;
  Latch agreed_;
  std::unique_ptr<Latch> proposed_;
  SeqNo newest_;
  OwnMedia own_{{}};
};

/// Writes a state down so that states with the same future are the same octets. What no rule looks at any
/// more is left out: ages beyond the longest limit, numbers that are too far behind to be continued, a
/// probation that is over.
class Key {
 public:
  Key(const Variant& variant, const State& state) : state_(state), is_keyed_(variant.key.has_value()) {
    add(state.agreed);
    put(state.proposed.has_value());
    if (state.proposed) add(*state.proposed);
    put((state.has_moved ? 1u : 0u) | (state.is_copied ? 2u : 0u));
    const bool may_be_late = state.former.is_set() && state.now - state.answered < 1s;
    put(may_be_late);
    if (may_be_late) {
      add(state.former);
      add(state.answered, 1s);
    }
    if (!variant.almost_learned) return;
    put(state.is_crowded);
    put(state.is_crowded ? 0u : state.heard);
  }
  [[nodiscard]] const std::string& octets() const { return octets_; }

 private:
  void put(std::size_t value) { octets_ += static_cast<char>(value); }
  void add(const Endpoint& endpoint) {
    put(static_cast<std::size_t>(std::ranges::find(kPlaces, endpoint) - kPlaces.begin()));
  }
  /// In steps of 50 ms; all that are above `limit` are the same.
  void add(Instant time, Duration limit) {
    put(static_cast<std::size_t>(std::min<Duration>(state_.now - time, limit + 50ms) / 50ms));
  }
  /// How far the stream is ahead of the number. A packet continues it from 0, and an old one from 4.
  void add(Ssrc ssrc, SeqNo sequence) {
    put(ssrc.value);
    if (ssrc.value == 0) return;
    const int ahead = static_cast<std::int16_t>(state_.last[ssrc.value - 1] - sequence.value);
    put(static_cast<std::size_t>(std::min(ahead, 5)));
  }
  void add(const Latch::Snapshot& s) {
    put(static_cast<std::size_t>(s.state));
    put(s.rank);
    const bool is_locked = s.state == Latch::State::kLocked;
    const bool is_final = is_locked && (s.rank == 4 || state_.now - s.locked_at > 3s);
    if (is_locked) {
      add(s.peer);
      put(is_final);
      // With keys the silence of the peer counts from its lock (LAT-8b).
      if (!is_final || is_keyed_) add(s.locked_at, is_final ? Duration(500ms) : Duration(3s));
      put(s.last_packet == Instant{});
      add(s.last_packet, 500ms);
      add(s.last_ssrc, s.last_packet == Instant{} ? SeqNo{} : s.last_sequence);
    } else {
      put((s.contested ? 1u : 0u) | (s.better_rank_seen ? 2u : 0u));
    }
    const bool bars = s.barred.is_set() && s.barred_until > state_.now;
    put(bars);
    if (bars) {
      add(s.barred);
      put(static_cast<std::size_t>((s.barred_until - state_.now) / 50ms));
    }
    const Latch::Probation probation =
        is_final ? Latch::Probation{} : s.probation.value_or(Latch::Probation{});
    std::array<const Latch::Candidate*, kPlaces.size()> by_place{};  // which slot it has does not matter
    for (const Latch::Candidate& candidate : probation.candidates) {
      const auto place = std::ranges::find(kPlaces, candidate.from) - kPlaces.begin();
      if (candidate.used) by_place[static_cast<std::size_t>(place)] = &candidate;
    }
    for (const Latch::Candidate* candidate : by_place) {
      put(candidate != nullptr);
      if (candidate != nullptr) add(candidate->ssrc, candidate->sequence);
    }
    const Latch::Window& window = probation.window;
    const bool is_watched = window.from.is_set() && !is_locked && !s.contested && !s.better_rank_seen;
    put(is_watched);
    if (!is_watched) return;
    add(window.from);
    add(window.ssrc, window.sequence);
    put(std::min(window.sequential, 10u));
    add(window.started, 1s);
  }

  const State& state_;
  const bool is_keyed_;
  std::string octets_;
};

/// One search.
class Search {
 public:
  explicit Search(const Variant& variant) : variant_(variant) {}

  void run(int depth) {
    std::vector<State> now{Component::first(variant_)};
    remember(now.front());
    for (int n = 1; n <= depth && !now.empty(); ++n) {
      std::vector<State> next;
      for (const State& state : now) {
        for (std::size_t action = 0; action < kActions; ++action) {
          State after = take(state, action);
          if (!remember(after)) continue;
          variant_.key ? check_opens_with_key(after) : check_opens(after);
          if (n < depth) next.push_back(std::move(after));
        }
        if (::testing::Test::HasFailure()) return;
      }
      now = std::move(next);
    }
  }
  [[nodiscard]] std::size_t states() const { return seen_.size(); }

 private:
  bool remember(const State& state) { return seen_.insert(Key(variant_, state).octets()).second; }

  State take(const State& before, std::size_t action) {
    Component component(variant_, before);
    const Component was(variant_, before);
    if (action < kPackets) {
      const Role role = kRoles[action / 3];
      const auto [judgement, is_proposed] = component.send(role, static_cast<Kind>(action % 3));
      if (variant_.key) {
        check_protected(was, component, before, role, judgement);
      } else {
        check_packet(was, component, before, role, judgement, is_proposed);
      }
    } else {
      const auto event = static_cast<Event>(action - kPackets);
      if (event == Event::kTimePasses) component.pass(variant_.step);
      if (event == Event::kReoffer) component.reoffer();
      if (event == Event::kAnswer) component.answer();
      check_event(was, before, component, event);
    }
    check_destination(component, before);
    State after = component.state();
    after.way += static_cast<char>('a' + static_cast<int>(action));
    return after;
  }

  static bool passes(const Latch::Judgement& judgement) {
    return judgement.decision == Decision::kAccept || judgement.decision == Decision::kRelease;
  }
  /// LAT-3a by its words: nobody else was heard, and the policy says so. Nine packets came before.
  [[nodiscard]] bool may_learn_alone(const State& before) const {
    const bool by_policy = variant_.policy == LatchPolicy::kUncontested ||
                           (variant_.policy == LatchPolicy::kSignalled && variant_.is_void);
    return by_policy && variant_.almost_learned && !before.is_crowded;
  }

  /// A fault is told with the way to it.
  void claim(bool holds, const char* rule, const State& state, Role role) const {
    if (!holds) ADD_FAILURE() << rule << "; " << tell(state, role);
  }

  void check_packet(const Component& was, const Component& is, const State& before, Role role,
                    const Latch::Judgement& judgement, bool is_proposed) {
    const Endpoint& from = kPlaces[role];
    const bool was_peer = was.agreed().state() == Latch::State::kLocked && was.agreed().learned() == from;
    claim(!was_peer || passes(judgement), "LAT-7: the locked one is always heard", before, role);
    claim(!is_proposed || was.agreed().destination() == is.agreed().destination(), "LAT-15: sent elsewhere",
          before, role);
    claim(is.agreed().rank() >= was.agreed().rank(), "LAT-6: a worse rank", before, role);
    const bool is_late =
        from == before.former && before.now - before.answered < 1s && from != was.agreed().config().signalled;
    claim(!is_late || is_proposed || judgement.decision == Decision::kReject, "T-07: the former peer", before,
          role);
    if (!passes(judgement)) return;
    const int rank = was.rank(role, is_proposed);
    const bool is_stranger = rank == 1 && variant_.policy != LatchPolicy::kAny && !was_peer;
    claim(!is_stranger || (!is_proposed && may_learn_alone(before)), "injected", before, role);
    claim(is_stranger || was_peer || is_entitled(was, role, rank, is_proposed), "LAT-3", before, role);
    const Latch& latch = is_proposed ? *was.proposed() : was.agreed();
    const bool is_alone = is_stranger && may_learn_alone(before);
    claim(latch.learned() == from || rank == 4 || is_alone || continues(latch, is, role), "LAT-5: one packet",
          before, role);
    const bool moves = latch.state() == Latch::State::kLocked && latch.learned() != from;
    claim(!moves || may_take_over(was, latch, role, rank), "LAT-6, LAT-7, LAT-8: it moved", before, role);
  }
  /// LAT-10. What is heard is the party's own by its tag; where media goes is what a copy could change.
  void check_protected(const Component& was, const Component& is, const State& before, Role role,
                       const Latch::Judgement& judgement) {
    const Endpoint& from = kPlaces[role];
    const bool is_peer =
        is.agreed().learned() == from || (is.proposed() != nullptr && is.proposed()->learned() == from);
    claim(!passes(judgement) || is_peer, "LAT-10: heard, and not the peer", before, role);
    const Latch::Snapshot s = was.agreed().snapshot();
    const bool was_locked = s.state == Latch::State::kLocked;
    const int rank = was.rank(role, false);
    if (was_locked && is.agreed().learned() != s.peer) {
      const bool is_better = rank > s.rank && was.now() - s.locked_at <= 3s;
      const bool is_silent = was.now() - std::max(s.locked_at, s.last_packet) >= 500ms;
      claim(is_better || (is_silent && passes(judgement)), "LAT-8, LAT-10: it moved", before, role);
    }
    // A copy that was sent first keeps nothing: the party's own packet, though a replay, moves the latch.
    const bool by_copy = was_locked && s.rank == 1 && s.peer != from && was.now() - s.locked_at <= 3s;
    const bool is_barred = from == before.former && before.now - before.answered < 1s;
    if (role == *variant_.key && rank >= 2 && by_copy && !is_barred)
      claim(is.agreed().learned() == from, "LAT-10: a copy keeps the media", before, role);
  }
  /// The party with the key is heard, wherever it sends from, once the present peer is silent.
  void check_opens_with_key(const State& state) {
    const Role party = *variant_.key;
    claim(opens(state, party, 2, false, 1s), "LAT-10: never opens", state, party);
  }
  /// The source is under probation or was the peer, and its newest packet is the next one.
  [[nodiscard]] static bool continues(const Latch& latch, const Component& is, Role role) {
    const Latch::Snapshot s = latch.snapshot();
    const auto follows = [&](Ssrc ssrc, SeqNo sequence) {
      return ssrc == is.ssrc_of(role) && distance(is.newest(), sequence) == 1;
    };
    const auto is_next = [&](const Latch::Candidate& c) {
      return c.used && c.from == kPlaces[role] && follows(c.ssrc, c.sequence);
    };
    const bool rebinds = s.state == Latch::State::kLocked && s.last_ssrc == is.ssrc_of(role);
    return rebinds || (s.probation && std::ranges::any_of(s.probation->candidates, is_next));
  }
  /// By its rank, or because its phone moved to another port of its NAT.
  [[nodiscard]] bool is_entitled(const Component& was, Role role, int rank, bool is_proposed) const {
    if (was.is_allowed(rank)) return true;
    const Latch& latch = is_proposed ? *was.proposed() : was.agreed();
    return latch.learned() == kPlaces[role] || latch.learned().address == kPlaces[role].address;
  }
  /// LAT-6: better, within 3 s. LAT-8: the same place after half a second, or the signalled port.
  [[nodiscard]] bool may_take_over(const Component& was, const Latch& latch, Role role, int rank) const {
    const Latch::Snapshot s = latch.snapshot();
    const bool is_better = rank > s.rank && was.now() - s.locked_at <= 3s;
    const bool is_same_host = kPlaces[role].address == s.peer.address || (variant_.handover && rank >= 2);
    const bool rebinds = variant_.policy != LatchPolicy::kOff && is_same_host &&
                         was.now() - s.last_packet >= 500ms && s.last_ssrc == was.ssrc_of(role);
    return is_better || rebinds || (s.rank == 4 && rank == 4);
  }

  void check_event(const Component& was, const State& before, const Component& is, Event event) {
    if (event != Event::kAnswer || was.proposed() == nullptr) {
      claim(was.agreed().snapshot() == is.agreed().snapshot(), "LAT-8: reopened", before, kSignalled);
      return;
    }
    const Latch& offered = *was.proposed();
    const bool is_known = offered.state() == Latch::State::kLocked;
    const Endpoint to = is_known ? offered.learned() : offered.destination();
    claim(is.agreed().destination() == to, "LAT-15: the answer settles it", before, kSignalled);
  }

  /// Nothing is sent but to the peer, and to the signalled address before there is one.
  void check_destination(const Component& is, const State& before) {
    const Latch& latch = is.agreed();
    const Endpoint to = latch.destination();
    const Endpoint signalled = variant_.is_void ? Endpoint{} : latch.config().signalled;
    claim(to == (latch.state() == Latch::State::kLocked ? latch.learned() : signalled),
          "LAT-5: sent elsewhere", before, kSignalled);
    const bool may_leak = variant_.policy == LatchPolicy::kAny || variant_.almost_learned || variant_.key;
    claim(to != kPlaces[kStranger] || may_leak, "leaked", before, kStranger);
  }

  /// Whether `role` is heard by its packet number `most` at the latest, with strangers' between its own.
  bool opens(const State& state, Role role, int most, bool disturbed, Duration wait = {}) const {
    Component component(variant_, state);
    component.pass(wait);
    for (int n = 0; n < most; ++n) {
      if (disturbed && role != kStranger) component.send(kStranger, Kind::kInSequence);
      if (passes(component.send(role, Kind::kInSequence).judgement)) return true;
    }
    return false;
  }
  /// From here every party that the rules entitle is heard within a bounded number of packets.
  void check_opens(const State& state) {
    const Component component(variant_, state);
    const Latch& latch = component.agreed();
    const bool is_locked = latch.state() == Latch::State::kLocked;
    const bool is_final = component.now() - latch.snapshot().locked_at > 3s;
    // The order of a copied stream is not the phone's any more when somebody sends between its packets. Under
    // `any` the stranger is one of them.
    const bool disturbed = variant_.streams != Streams::kCopied && variant_.policy != LatchPolicy::kAny;
    bool anybody = false;
    for (const Role role : kRoles) {
      const int rank = component.rank(role, false);
      const bool is_peer = is_locked && latch.learned() == kPlaces[role];
      const bool improves = is_locked && rank > latch.rank() && !is_final && component.is_allowed(rank);
      const bool takes_back = is_locked && rank == 4 && latch.rank() == 4;
      const bool learns = !is_locked && component.is_allowed(rank);
      const bool by_offer = component.proposed() != nullptr && component.rank(role, true) == 4 &&
                            component.proposed()->state() != Latch::State::kLocked;
      const bool is_entitled = is_peer || improves || takes_back || learns;
      anybody |= is_entitled;
      const int most = is_peer || (is_entitled && rank == 4) ? 1 : 2;
      const Duration rest = most == 2 && latch.snapshot().barred == kPlaces[role] ? 1s : 0s;
      claim(!(is_entitled || by_offer) || opens(state, role, most, disturbed, rest), "never opens", state,
            role);
    }
    if (!anybody) check_opens_by_signalling(state);
  }
  /// Nobody is entitled now: a lone party is heard after a second (LAT-3a), at the latest after new
  /// signalling.
  void check_opens_by_signalling(const State& state) {
    const bool learns_alone = variant_.policy == LatchPolicy::kUncontested ||
                              (variant_.policy == LatchPolicy::kSignalled && variant_.is_void);
    if (!learns_alone) {
      claim(variant_.is_void, "nobody can be heard", state, kSignalled);
      return;
    }
    Component component(variant_, state);
    component.reoffer();
    component.answer();
    component.pass(1s);
    bool is_heard = false;
    for (int n = 0; n < 11; ++n) {
      is_heard |= passes(component.send(kStranger, Kind::kInSequence).judgement);
      component.pass(100ms);
    }
    claim(is_heard, "LAT-3a: never opens", state, kStranger);
  }

  [[nodiscard]] std::string tell(const State& state, Role role) const {
    const Component component(variant_, state);
    const Latch& latch = component.agreed();
    std::string text = name(variant_) + ": a packet of " + kRoleNames[role] + " while " +
                       std::string(to_string(latch.state()));
    text += ", rank " + std::to_string(latch.rank()) + ", port " + std::to_string(latch.learned().port.value);
    if (latch.contested()) text += ", contested";
    if (state.has_moved) text += ", moved";
    if (component.proposed() != nullptr)
      text += ", an offer waits " + std::string(to_string(component.proposed()->state())) + " port " +
              std::to_string(component.proposed()->learned().port.value);
    text += "; after";
    for (const char action : state.way)
      text += std::string(" ") + kActionNames[static_cast<std::size_t>(action - 'a')];
    return text;
  }

  const Variant variant_;
  std::unordered_set<std::string> seen_;
};

std::vector<Variant> variants() {
  std::vector<Variant> all;
  const auto with = [&](const Variant& base) {
    for (const Streams streams : {Streams::kOwn, Streams::kPhoneMoves, Streams::kCopied}) {
      if (base.key && streams != Streams::kOwn) continue;  // there is one stream
      for (const Role moves_to : {kOtherPort, kSource}) {
        for (const Duration step : {Duration(600ms), Duration(1100ms)}) {
          Variant variant = base;
          variant.streams = streams;
          variant.moves_to = moves_to;
          variant.step = step;
          all.push_back(variant);
        }
      }
    }
  };
  for (const auto policy :
       {LatchPolicy::kOff, LatchPolicy::kSignalled, LatchPolicy::kUncontested, LatchPolicy::kAny}) {
    with({.policy = policy});
    with({.policy = policy, .is_void = true});
    with({.policy = policy, .is_void = true, .knows_source = false, .almost_learned = true});
  }
  for (const Role key : kRoles) {
    with({.policy = LatchPolicy::kSignalled, .key = key});
    with({.policy = LatchPolicy::kSignalled, .is_void = true, .key = key});
    with({.policy = LatchPolicy::kOff, .knows_source = false, .key = key});
  }
  with({.policy = LatchPolicy::kSignalled, .handover = true});
  with({.policy = LatchPolicy::kUncontested, .knows_source = false, .almost_learned = true});
  return all;
}

int wanted_depth() {
  const char* text = std::getenv("FERRY_LATCH_DEPTH");
  return text != nullptr ? std::atoi(text) : 5;
}

TEST(LatchStates, LAT3_LAT5_LAT6_LAT7_LAT8_LAT10_LAT15_NobodyElseIsHeardAndThePartyAlwaysIs) {
  std::size_t states = 0;
  for (const Variant& variant : variants()) {
    Search search(variant);
    search.run(wanted_depth());
    states += search.states();
    ASSERT_FALSE(HasFailure()) << name(variant);
  }
  std::printf("%zu states in %zu variants to depth %d\n", states, variants().size(), wanted_depth());
}

}  // namespace
}  // namespace ferry
