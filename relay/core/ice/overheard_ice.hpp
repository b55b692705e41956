// SPDX-License-Identifier: Apache-2.0
// Judges the STUN of two parties that do ICE with each other through the relay (RFC 8445), and learns from it
// where each of them is.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"
#include "relay/core/forward/component.hpp"
#include "relay/core/ice/ice_agent.hpp"
#include "relay/core/ice/stun.hpp"
#include "relay/core/latch/peer_policy.hpp"
#include "relay/core/limit/token_bucket.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace ferry {

class OwnMedia;

/// Signalling about the ICE of two parties, as the transport of one of them needs it. Control fills it; it is
/// an immutable part of a plan. Two plans count as different if they do not share the object.
struct OverheardPlan {
  /// The party of this transport. Checks that go to it, and answers that it sends, are keyed with its
  /// password.
  IceCredentials party;
  /// The far side. Checks that `party` sends are keyed with the password of the far side (RFC 8445 §7.2.2).
  IceCredentials other;
  /// Where the party may be by its SDP, the best first: its candidates, then its default address.
  std::vector<IceCandidate> candidates;
  /// IP version of each of the transport's own addresses, by number.
  std::vector<AddressFamily> locals;
  /// Rules about places where the party may be (LAT-11a). Null: only LAT-11 applies.
  std::shared_ptr<const PeerPolicy> peers;

  bool operator==(const OverheardPlan&) const = default;
  /// True if both sides have said who they are. Before that nothing can be verified, so nothing passes.
  [[nodiscard]] bool is_complete() const noexcept {
    return !party.password.empty() && !party.ufrag.empty() && !other.password.empty() && !other.ufrag.empty();
  }
};

/// Knows one party of an ICE session that the relay is no agent of. Each of the two transports has one.
///
/// A check or an answer counts only if its MESSAGE-INTEGRITY is right. That alone teaches no address, because
/// whoever reads on the way can repeat a message from elsewhere. So the relay asks back: it sends the address
/// a check in the name of the other party, under a transaction of its own. Only an authentic answer to that,
/// from that very address, makes it the place of the party (`selected`). The same question keeps consent
/// (RFC 7675): without an answer for 30 s the place is forgotten.
///
/// A question has the tie-breaker that loses a conflict of roles, so it never changes the role of an agent.
/// Sans-IO; owned by one worker together with its transport. Only verifying and asking allocate; media never
/// comes here.
class OverheardIce {
 public:
  /// Addresses of the party that are remembered, of each component.
  static constexpr std::size_t kMaxPeers = 8;
  /// Checks toward the party that wait for their answer, of each component.
  static constexpr std::size_t kMaxPassed = 32;
  /// Checks of one session to addresses that only the SDP names, and as many to those that spoke and have
  /// never answered a question (as ICE-6).
  static constexpr unsigned kMaxSought = 400;
  /// Longest message that passes, in octets. Checks and answers of ICE agents have a third of that.
  static constexpr std::size_t kLongest = 600;
  /// Without an answer to a question for this long, consent is lost (RFC 7675 §5.1).
  static constexpr Duration kConsent = std::chrono::seconds(30);
  /// Time between two questions to the selected address, if it answers; on average.
  static constexpr Duration kAskAgain = std::chrono::seconds(5);
  /// Time before a question to one address is repeated.
  static constexpr Duration kAskSoon = std::chrono::milliseconds(500);
  /// Questions without an answer after which an address is silent, so that another one may take its place.
  static constexpr unsigned kSilent = 4;

  /// Things that one call may use.
  struct Turn {
    /// Sends through the ports of this transport.
    PortOutput& out;
    Instant now;
    /// This relay's own media ports, which are no party (LIM-5).
    const OwnMedia& own;
  };
  /// What became of a datagram of the party.
  struct Heard {
    /// kRefused: nothing changed. kTaken: an answer to a question of ours, which goes nowhere. kRequest: a
    /// check for the other party; hand it to `pass` of its transport. kAnswer: an answer to a check of the
    /// other party, to go to `to` through the same component of its transport.
    enum class Kind : std::uint8_t { kRefused, kTaken, kRequest, kAnswer };
    Kind kind = Kind::kRefused;
    stun::TransactionId transaction{};
    /// The check has USE-CANDIDATE.
    bool nominates = false;
    Path to;
    /// The transport that a check came to, by a number that whoever calls `pass` chooses. An answer has that
    /// of its check: it goes back there, whoever the party talks to by now.
    std::uint64_t asker = 0;
  };

  /// Takes over what signalling says. Call it before anything else, and whenever it changes. After other
  /// credentials the former ones count until the first message under the new ones.
  void follow(std::shared_ptr<const OverheardPlan> plan, Instant now);
  /// Judges a datagram that begins like STUN, of the party's side.
  Heard take(LocalPort at, const Endpoint& from, Bytes datagram, Turn turn);
  /// Says where a check of the other party goes: to the selected address, else to one after the other of
  /// those that spoke or that the SDP names. Nothing if to none. `back` is where its answer goes at the
  /// transport that it came to. One check goes to one address.
  std::optional<Path> pass(Component component, const Heard& request, const Path& back, Turn turn);
  /// Asks the selected addresses for consent, and repeats questions.
  void drive(Turn turn);
  /// When `drive` has something to do; nothing if never.
  [[nodiscard]] std::optional<Instant> due() const noexcept;
  /// Moves all times forward by a time in which this process did not run (C-13).
  void skip(Duration pause) noexcept;

  /// The one address of the party that media comes from and goes to; nothing if it is not known.
  [[nodiscard]] const std::optional<Path>& selected(Component component) const noexcept {
    return sides_[index(component)].selected;
  }
  /// Goes on with addresses that were selected elsewhere. Call `follow` first.
  void restore(const std::array<std::optional<Path>, 2>& selected, Instant now);

 private:
  /// An address of the party that sent something authentic.
  struct Peer {
    Path path;
    bool is_used = false;
    /// The SDP names its IP address. Strangers who repeat messages from elsewhere must not crowd it out.
    bool is_named = false;
    /// The party said in its last check that it controls.
    bool controls = false;
    /// It spoke last under the credentials before the restart.
    bool is_former = false;
    /// A question waits for its answer.
    bool is_asked = false;
    stun::TransactionId question{};
    /// Questions since the last answer.
    unsigned unanswered = 0;
    /// Authentic messages that came while a question waited for its answer, at most `kSilent`. Each allows
    /// one repetition of the question.
    unsigned owed = 0;
    /// Number of the session under whose credentials it answered last.
    std::uint32_t session = 0;
    /// Order of nominations: the newest has the highest number; 0 = never nominated. `wanted` counts after
    /// the next answer.
    std::uint64_t nomination = 0;
    std::uint64_t wanted = 0;
    /// Order of first answers.
    std::uint64_t order = 0;
    /// When it last sent something authentic, was asked, and answered. `Instant{}` = never.
    Instant heard{};
    Instant asked{};
    Instant proven{};
    /// When it is asked next, if it is selected.
    Instant next{};
  };
  /// A check of the other party that passed toward this one.
  struct Passed {
    stun::TransactionId transaction{};
    Path to;
    Path back;
    bool nominates = false;
    std::uint64_t asker = 0;
    /// Datagrams of it that passed and are not answered; 0 = the place is free.
    std::uint16_t unanswered = 0;
    Instant at{};
  };
  /// What is known of one component.
  struct Side {
    std::array<Peer, kMaxPeers> peers;
    std::array<Passed, kMaxPassed> passed;
    std::optional<Path> selected;
    /// Where `pass` goes on to seek the party.
    std::size_t cursor = 0;
    /// Checks of this session to addresses that only the SDP names, and to those that spoke and never
    /// answered.
    unsigned sought = 0;
    unsigned unproven = 0;
    /// Of all checks that pass, and of those that pass to an address that is not selected.
    TokenBucket passing;
    TokenBucket seeking;
    /// Of questions to addresses that are not selected: those that the SDP names, and others.
    TokenBucket named_questions;
    TokenBucket questions;
  };
  static std::size_t index(Component component) { return static_cast<std::size_t>(component); }

  /// True if the party may be at this address (LAT-11, LAT-11a, LIM-5).
  [[nodiscard]] bool may_be_peer(const Endpoint& at, const OwnMedia& own) const noexcept;
  Heard on_request(LocalPort at, const Endpoint& from, Bytes datagram, const stun::Message& message,
                   Turn turn);
  Heard on_answer(LocalPort at, const Endpoint& from, Bytes datagram, const stun::Message& message,
                  Turn turn);
  /// True if the answer is keyed with a password of the party. `is_former` becomes true if that is the one
  /// before a restart.
  [[nodiscard]] bool is_of_party(Bytes datagram, const stun::Message& message, bool& is_former) const;
  /// Notes an authentic message from an address, and asks that address if its last answer is too old.
  void note(Component component, Peer& peer, bool is_former, bool nominates, Turn turn);
  /// The peer at an address; null if there is none.
  static Peer* find(Side& side, const Path& path) noexcept;
  /// The peer at an address, made if there is none. The one that was heard longest ago gives way: first of
  /// those that never answered and that the SDP does not name, and the selected one never.
  Peer& peer_at(Side& side, const Path& path) noexcept;
  /// Asks an address that never answered once more, if messages of it allow that.
  void ask_again(Component component, Peer& peer, Turn turn);
  /// True if `ask_again` has something to do `kAskSoon` after the last question.
  [[nodiscard]] static bool is_owed(const Peer& peer) noexcept {
    return peer.is_used && peer.is_asked && peer.owed > 0;
  }
  /// Sends a question: a check in the name of the other party.
  void ask(Component component, Peer& peer, Turn turn);
  /// The address answered a question.
  void prove(Component component, Peer& peer, bool is_former, Turn turn);
  /// Chooses the address of the party anew.
  void choose(Side& side, Instant now) noexcept;
  [[nodiscard]] static bool is_proven(const Peer& peer, Instant now) noexcept {
    return peer.is_used && peer.proven != Instant{} && now - peer.proven < kConsent;
  }
  /// The next address to seek the party at; unset if there is none.
  Path next_place(Component component, Side& side, Turn turn);
  /// Number of the first own address of this IP version; nothing if there is none.
  [[nodiscard]] std::optional<std::uint8_t> local_for(AddressFamily family) const noexcept;

  std::shared_ptr<const OverheardPlan> plan_;
  /// The credentials before a restart; empty = they do not count any more.
  IceCredentials former_party_;
  IceCredentials former_other_;
  std::array<Side, 2> sides_;
  /// Rises with each restart.
  std::uint32_t session_ = 1;
  /// Last numbers given away.
  std::uint64_t nominations_ = 0;
  std::uint64_t orders_ = 0;
};

}  // namespace ferry
