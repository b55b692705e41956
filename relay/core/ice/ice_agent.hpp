// SPDX-License-Identifier: Apache-2.0
// Finds the pair of addresses that media takes (RFC 8445): checks, nomination and consent (RFC 7675); rules
// ICE-1 to ICE-9.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"
#include "relay/core/forward/component.hpp"
#include "relay/core/ice/stun.hpp"
#include "relay/core/latch/peer_policy.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// User name fragment and password of one side (RFC 8839 §5.4).
struct IceCredentials {
  std::string ufrag;
  std::string password;
  bool operator==(const IceCredentials&) const = default;
};

/// A candidate: an address of the peer (RFC 8839 §5.1).
struct IceCandidate {
  Component component = Component::kRtp;
  /// Address and port.
  Endpoint at;
  std::uint32_t priority = 0;
  bool operator==(const IceCandidate&) const = default;
};

/// Signalling about ICE of one transport. Control fills it; it is an immutable part of a plan. Two plans
/// count as different if they do not share the object.
struct IcePlan {
  /// Our credentials; new ones mean a restart by us.
  IceCredentials own;
  /// The peer's credentials; empty before its SDP came.
  IceCredentials peer;
  /// The peer's candidates from its SDP.
  std::vector<IceCandidate> candidates;
  /// IP version of each of the transport's own addresses, by number.
  std::vector<AddressFamily> locals;
  /// Signalling makes us the controlling side. The agent may change that (ICE-8).
  bool controlling = false;
  /// We are a lite agent: we answer checks and send none.
  bool is_lite = false;
  /// The peer is a lite agent, so we control.
  bool peer_is_lite = false;
  /// True if RTCP has pairs of its own, because it is not multiplexed.
  bool has_rtcp = false;
  /// Rules about places where the peer may be (ICE-5, LAT-11a). Null: only LAT-11 applies.
  std::shared_ptr<const PeerPolicy> peers;
};

/// Sends datagrams through the ports of a transport.
class PortOutput {
 public:
  virtual ~PortOutput() = default;
  /// Sends one datagram; `datagram` is borrowed for the call.
  virtual void send(LocalPort via, const Endpoint& to, Bytes datagram) noexcept = 0;
  /// First octet of the transactions of our checks, by which their answers are told apart at a shared port
  /// (ONE-1). Nothing: it is random like the others.
  [[nodiscard]] virtual std::optional<std::uint8_t> transaction_mark() const noexcept { return {}; }
};

/// Priority of our host candidate (RFC 8445 §5.1.2.1). The component's number there begins with 1, and an
/// earlier local address is preferred.
constexpr std::uint32_t host_priority(LocalPort port) noexcept {
  const auto component = static_cast<std::uint32_t>(port.component) + 1;
  return (126u << 24) | ((65535u - port.local) << 8) | (256u - component);
}

/// Does ICE for one transport. Sans-IO; owned by one worker together with its transport.
class IceAgent {
 public:
  /// ICE-4: pairs of one agent.
  static constexpr std::size_t kMaxPairs = 100;
  /// ICE-4: pairs of one component that were learned from checks.
  static constexpr std::size_t kMaxReflexive = 10;
  /// ICE-6: time between two new checks.
  static constexpr Duration kPace = std::chrono::milliseconds(50);
  /// ICE-6: checks that one component may spend on finding a pair.
  static constexpr unsigned kMaxChecks = 400;
  /// ICE-6: without a success, checks end after this time.
  static constexpr Duration kGiveUp = std::chrono::seconds(30);
  /// ICE-9: without an answer for this long, consent is lost.
  static constexpr Duration kConsent = std::chrono::seconds(30);
  /// ICE-7: the selected pair changes at most this often when the peer nominates.
  static constexpr Duration kLeastBetweenChanges = std::chrono::milliseconds(200);

  /// kWaiting: the peer's credentials are missing. kConnected: each component has a selected pair. kFailed:
  /// no pair in time. kExpired: consent was lost.
  enum class State : std::uint8_t { kWaiting, kChecking, kConnected, kFailed, kExpired };
  using Selected = Path;
  /// Things that one call may use.
  struct Turn {
    PortOutput& out;
    Instant now;
  };

  /// Takes over what signalling says. Call it before anything else, and whenever it changes.
  void follow(const IcePlan& plan, Instant now);
  /// Takes a datagram that begins like STUN. False if it is not authentic or answers nothing; nothing was
  /// changed then (ICE-1, ICE-2).
  bool take(LocalPort at, const Endpoint& from, Bytes datagram, Turn turn);
  /// Sends the checks that are due.
  void drive(Turn turn);
  /// When `drive` has something to do; nothing if never.
  [[nodiscard]] std::optional<Instant> due(Instant now) const noexcept;
  /// Leaves a worker: checks under way are sent anew at the next one, as new ones. At a shared port the
  /// answer to a check goes to the worker that its transaction names (ONE-1).
  void leave_worker() noexcept;
  /// Moves all times forward by a time in which this process did not run: that was no silence of the peer
  /// (C-13).
  void skip(Duration pause) noexcept;

  /// The pair that data takes. Nothing before one is selected, or after consent was lost.
  [[nodiscard]] const std::optional<Selected>& selected(Component component) const noexcept {
    return selected_[static_cast<std::size_t>(component)];
  }
  /// True if the selected pair was found under the present credentials, so that no restart waits for its own
  /// pair.
  [[nodiscard]] bool is_current(Component component) const noexcept {
    return selected_[index(component)] && !is_former_[index(component)];
  }
  /// True if this very pair has passed a check, or if `from` is the address of the selected pair (DTL-2).
  [[nodiscard]] bool is_valid(LocalPort at, const Endpoint& from) const noexcept;
  /// True if a pair with this address has passed a check, whichever own address it uses. The peer may send
  /// media from there (RFC 8445 §12).
  [[nodiscard]] bool is_valid(Component component, const Endpoint& from) const noexcept;
  [[nodiscard]] State state() const noexcept { return state_; }
  /// When the newest authentic message came; `Instant{}` = none yet.
  [[nodiscard]] Instant last_heard() const noexcept { return last_heard_; }
  [[nodiscard]] bool is_controlling() const noexcept { return controlling_; }

  /// Goes on with pairs that were selected elsewhere. Call `follow` first. `is_former` says by component
  /// whether the pair is older than the plan's credentials.
  void restore(const std::array<std::optional<Selected>, 2>& selected, const std::array<bool, 2>& is_former,
               Instant now);

 private:
  /// A pair of an own port and an address of the peer.
  struct Pair {
    LocalPort at;
    Endpoint peer;
    /// Priority of the peer's candidate.
    std::uint32_t priority = 0;
    /// A check was answered.
    bool is_valid = false;
    /// A check failed, and no later one succeeded.
    bool has_failed = false;
    /// A check waits for its answer.
    bool is_pending = false;
    /// That check carries USE-CANDIDATE.
    bool nominates = false;
    /// That check said that we control.
    bool claims_control = false;
    /// The address was learned from a check of the peer, not signalled.
    bool is_reflexive = false;
    /// Order of the peer's nominations: the newest one has the highest number; 0 = the peer never nominated
    /// this pair.
    std::uint64_t nomination = 0;
    /// Transaction of that nomination: its repetition is no newer one.
    stun::TransactionId nominated_by{};
    /// How often the waiting check was sent.
    unsigned tries = 0;
    stun::TransactionId transaction{};
    /// When the check is sent again, or consent is asked for.
    Instant next{};
    /// When the newest check was first sent.
    Instant begun{};
    /// When a check was last answered.
    Instant answered{};
    /// When the peer last checked this pair.
    Instant heard{};
  };

  static std::size_t index(Component component) { return static_cast<std::size_t>(component); }
  /// True if the peer may be at this address (LAT-11).
  [[nodiscard]] bool may_be_peer(const Endpoint& at) const noexcept {
    return judge_peer(peers_, at) == PeerDenial::kNone;
  }
  /// Takes over where the peer may be, and removes pairs whose address is not allowed any more.
  void follow_policy(const std::shared_ptr<const PeerPolicy>& peers);
  /// The pair; null if there is none.
  Pair* find(LocalPort at, const Endpoint& peer) noexcept;
  /// Adds a pair; null if there are too many.
  Pair* add(LocalPort at, const Endpoint& peer, std::uint32_t priority);
  /// Adds the address of an authentic check that no candidate named. If there are too many, the one that has
  /// been idle longest gives way; null if none can (ICE-4).
  Pair* add_reflexive(LocalPort at, const Endpoint& peer, std::uint32_t priority);
  /// Priority of a pair (RFC 8445 §6.1.2.3).
  [[nodiscard]] std::uint64_t priority_of(const Pair& pair) const noexcept;
  /// Answers a check of the peer. False if it is not authentic.
  bool on_request(LocalPort at, const Endpoint& from, Bytes datagram, const stun::Message& message,
                  Turn turn);
  /// Answers a check under the credentials before a restart, if it belongs to the pair that carries media
  /// meanwhile; it changes nothing else. False for any other.
  bool on_former_request(LocalPort at, const Endpoint& from, Bytes datagram, const stun::Message& message,
                         Turn turn);
  /// Takes the answer to a check of ours. False if it answers nothing.
  bool on_answer(LocalPort at, const Endpoint& from, Bytes datagram, const stun::Message& message, Turn turn);
  /// Begins a new check of a pair.
  void check(Pair& pair, bool nominates, Turn turn);
  /// Sends the waiting check, for the first time or again.
  void transmit(Pair& pair, Turn turn);
  /// Repeats the checks whose time has come, and gives up those that had all tries.
  void send_again(Turn turn);
  /// Begins the next new check, if its time has come.
  void send_next(Turn turn);
  /// Makes a pair the selected one of its component.
  void select(const Pair& pair, Instant now);
  /// Selects or nominates a pair for each component, by our choice or the peer's.
  void nominate(Turn turn);
  /// Selects or nominates a pair for one component.
  void nominate(Component component, Turn turn);
  /// The valid pair that the peer nominated last; null if there is none. The newest nomination counts,
  /// whatever the priorities say. For a lite agent a pair without a check for 30 s is none.
  [[nodiscard]] const Pair* nominated(Component component, Instant now) const noexcept;
  /// The pair that we would nominate: the valid one with the best priority. `silent` is a selected pair that
  /// does not answer; then only a pair that answered since is taken. Null if there is none.
  [[nodiscard]] const Pair* candidate(Component component, const Pair* silent) const noexcept;
  /// True if the selected pair has not answered for longer than losses explain.
  [[nodiscard]] static bool is_silent(const Pair& pair) noexcept;
  /// Asks for consent, and ends pairs that lost it (ICE-9).
  void keep_consent(Turn turn);
  /// Derives `state_` from everything else.
  void follow_state(Turn turn);
  /// Begins a session under other credentials.
  void restart(const IceCredentials& own);
  /// The selected pair, if it belongs to the present session; otherwise null.
  [[nodiscard]] Pair* selected_pair(Component component) noexcept;
  [[nodiscard]] const Pair* selected_pair(Component component) const noexcept {
    return const_cast<IceAgent*>(this)->selected_pair(component);
  }
  /// True if the component may spend another check on finding a pair (ICE-6).
  [[nodiscard]] bool may_check(Component component, Instant now) const noexcept;
  /// The pair to check next; null if there is none.
  [[nodiscard]] const Pair* next_pair(Instant now) const noexcept;

  std::shared_ptr<const PeerPolicy> peers_;
  IceCredentials own_;
  IceCredentials peer_;
  /// The credentials before the last restart. The pair that was selected under them carries media until there
  /// is a new one.
  IceCredentials former_own_;
  IceCredentials former_peer_;
  bool is_lite_ = false;
  bool peer_is_lite_ = false;
  bool has_rtcp_ = false;
  bool controlling_ = false;
  /// Decides role conflicts (ICE-8); random.
  std::uint64_t tie_breaker_ = 0;
  std::vector<Pair> pairs_;
  /// Pairs that the peer checked, to be checked next.
  std::deque<std::pair<LocalPort, Endpoint>> triggered_;
  std::array<std::optional<Selected>, 2> selected_;
  /// True if the component's selected pair is older than the last restart.
  std::array<bool, 2> is_former_{};
  /// Number of nominations by the peer so far.
  std::uint64_t nominations_ = 0;
  std::array<Instant, 2> selected_at_{};
  /// Last proof of consent.
  std::array<Instant, 2> consent_{};
  /// When a check was first answered in the present session.
  std::array<Instant, 2> first_success_{};
  /// Checks that sought a pair; those for consent are not counted.
  std::array<unsigned, 2> checks_{};
  /// When the peer's credentials came.
  Instant started_{};
  /// When the next new check may begin.
  Instant next_check_{};
  Instant last_heard_{};
  State state_ = State::kWaiting;
};

/// Spelling in replies of commands.
std::string_view to_string(IceAgent::State state) noexcept;

}  // namespace ferry
