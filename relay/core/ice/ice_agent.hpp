// Which pair of addresses media takes (RFC 8445): checks, nomination, consent (RFC 7675); media-security
// section 6.
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

struct IceCredentials {
  std::string ufrag;
  std::string password;
  bool operator==(const IceCredentials&) const = default;
};

/// An address of the peer (RFC 8839 §5.1).
struct IceCandidate {
  Component component = Component::kRtp;
  Endpoint at;
  std::uint32_t priority = 0;
  bool operator==(const IceCandidate&) const = default;
};

/// What signalling says about ICE of one transport. Immutable part of a plan; two plans differ if they do not
/// share it.
struct IcePlan {
  IceCredentials own;
  /// Empty before the peer's SDP came.
  IceCredentials peer;
  std::vector<IceCandidate> candidates;
  /// Families of the transport's own addresses, by their number.
  std::vector<AddressFamily> locals;
  bool controlling = false;
  bool is_lite = false;  // we
  bool peer_is_lite = false;
  /// RTCP has pairs of its own.
  bool has_rtcp = false;
  /// Where the peer may be (ICE-5, LAT-11a). Null: LAT-11 alone.
  std::shared_ptr<const PeerPolicy> peers;
};

/// One of a transport's ports.
struct LocalPort {
  Component component = Component::kRtp;
  /// Which of its local addresses.
  std::uint8_t local = 0;
  bool operator==(const LocalPort&) const = default;
};

/// Where datagrams go, through the ports of a transport.
class PortOutput {
 public:
  virtual ~PortOutput() = default;
  virtual void send(LocalPort via, const Endpoint& to, Bytes datagram) noexcept = 0;
};

/// Priority of a host candidate (RFC 8445 §5.1.2.1).
constexpr std::uint32_t host_priority(LocalPort port) noexcept {
  const auto component = static_cast<std::uint32_t>(port.component) + 1;
  return (126u << 24) | ((65535u - port.local) << 8) | (256u - component);
}

/// Sans-IO. Owned by one worker, with its transport.
class IceAgent {
 public:
  static constexpr std::size_t kMaxPairs = 100;                                     // ICE-4
  static constexpr std::size_t kMaxReflexive = 10;                                  // ICE-4, of a component
  static constexpr Duration kPace = std::chrono::milliseconds(50);                  // ICE-6
  static constexpr unsigned kMaxChecks = 400;                                       // ICE-6, of a component
  static constexpr Duration kGiveUp = std::chrono::seconds(30);                     // ICE-6
  static constexpr Duration kConsent = std::chrono::seconds(30);                    // ICE-9
  static constexpr Duration kLeastBetweenChanges = std::chrono::milliseconds(200);  // ICE-7

  enum class State : std::uint8_t { kWaiting, kChecking, kConnected, kFailed, kExpired };
  using Selected = Path;
  struct Turn {
    PortOutput& out;
    Instant now;
  };

  /// What signalling says now. Before anything else, and whenever it changes.
  void follow(const IcePlan& plan, Instant now);
  /// A datagram that begins like STUN. False: it counts for nothing, and nothing was changed (ICE-1, ICE-2).
  bool take(LocalPort at, const Endpoint& from, Bytes datagram, Turn turn);
  /// Sends what is due.
  void drive(Turn turn);
  [[nodiscard]] std::optional<Instant> due(Instant now) const noexcept;
  /// Time passed in which nobody listened: no silence of the peer (C-13).
  void skip(Duration pause) noexcept;

  /// The pair that data takes; nothing before one is nominated, or after consent was lost.
  [[nodiscard]] const std::optional<Selected>& selected(Component component) const noexcept {
    return selected_[static_cast<std::size_t>(component)];
  }
  /// The selected pair was found under the credentials of now: no restart waits for its own pair.
  [[nodiscard]] bool is_current(Component component) const noexcept {
    return selected_[index(component)] && !is_former_[index(component)];
  }
  /// A pair with this address has passed a check (DTL-2).
  [[nodiscard]] bool is_valid(LocalPort at, const Endpoint& from) const noexcept;
  /// The same by any of the transport's own addresses: the peer may send media from there (RFC 8445 §12).
  [[nodiscard]] bool is_valid(Component component, const Endpoint& from) const noexcept;
  [[nodiscard]] State state() const noexcept { return state_; }
  /// When an authentic message came last.
  [[nodiscard]] Instant last_heard() const noexcept { return last_heard_; }
  [[nodiscard]] bool is_controlling() const noexcept { return controlling_; }

  /// Goes on with pairs that were selected elsewhere; it follows a plan already. `is_former`: by component,
  /// whether the pair is older than the plan's credentials.
  void restore(const std::array<std::optional<Selected>, 2>& selected, const std::array<bool, 2>& is_former,
               Instant now);

 private:
  struct Pair {
    LocalPort at;
    Endpoint peer;
    std::uint32_t priority = 0;  // of the peer's candidate
    bool is_valid = false;       // a check was answered
    bool has_failed = false;
    bool is_pending = false;    // a check waits for its answer
    bool nominates = false;     // that check carries USE-CANDIDATE
    bool is_reflexive = false;  // learned from a check of the peer's, not signalled
    /// Counts up with each USE-CANDIDATE of the peer: the newest one is the highest; 0 = none.
    std::uint64_t nomination = 0;
    stun::TransactionId nominated_by{};  // whose repetition is no newer nomination
    unsigned tries = 0;
    stun::TransactionId transaction{};
    Instant next{};      // when it is sent again, or when consent is asked for
    Instant begun{};     // when the check that waits was sent first
    Instant answered{};  // when a check of it was answered last
    Instant heard{};     // when the peer checked it last
  };

  static std::size_t index(Component component) { return static_cast<std::size_t>(component); }
  [[nodiscard]] bool may_be_peer(const Endpoint& at) const noexcept {
    return judge_peer(peers_, at) == PeerDenial::kNone;
  }
  /// Takes over where the peer may be; pairs whose address is no longer allowed are removed.
  void follow_policy(const std::shared_ptr<const PeerPolicy>& peers);
  Pair* find(LocalPort at, const Endpoint& peer) noexcept;
  /// Null if there are too many.
  Pair* add(LocalPort at, const Endpoint& peer, std::uint32_t priority);
  /// The address of an authentic check that no candidate named. Of too many the longest idle one goes; null
  /// if none can (ICE-4).
  Pair* add_reflexive(LocalPort at, const Endpoint& peer, std::uint32_t priority);
  /// RFC 8445 §6.1.2.3.
  [[nodiscard]] std::uint64_t priority_of(const Pair& pair) const noexcept;
  bool on_request(LocalPort at, const Endpoint& from, Bytes datagram, const stun::Message& message,
                  Turn turn);
  /// A check under the credentials before a restart, of the pair that carries media meanwhile: answered, and
  /// nothing else.
  bool on_former_request(LocalPort at, const Endpoint& from, Bytes datagram, const stun::Message& message,
                         Turn turn);
  bool on_answer(LocalPort at, const Endpoint& from, Bytes datagram, const stun::Message& message, Turn turn);
  /// A new check, or the one that waits again.
  void check(Pair& pair, bool nominates, Turn turn);
  void transmit(Pair& pair, Turn turn);
  void send_again(Turn turn);
  void send_next(Turn turn);
  void select(const Pair& pair, Instant now);
  /// Which pair is to be the selected one, by our choice or the peer's.
  void nominate(Turn turn);
  void nominate(Component component, Turn turn);
  /// The pair that the peer nominated last, of those that passed a check; null if there is none (WICE-6).
  [[nodiscard]] const Pair* nominated(Component component) const noexcept;
  /// What we would nominate: the best valid pair. With a selected pair that does not answer, one that does;
  /// null if there is none.
  [[nodiscard]] const Pair* candidate(Component component, const Pair* silent) const noexcept;
  /// The selected pair does not answer a check for longer than a loss explains.
  [[nodiscard]] static bool is_silent(const Pair& pair) noexcept;
  void keep_consent(Turn turn);
  void follow_state(Turn turn);
  /// Begins a session with other credentials.
  void restart(const IceCredentials& own);
  /// Of the session of now; null if there is none.
  [[nodiscard]] Pair* selected_pair(Component component) noexcept;
  [[nodiscard]] const Pair* selected_pair(Component component) const noexcept {
    return const_cast<IceAgent*>(this)->selected_pair(component);
  }
  [[nodiscard]] bool may_check(Component component, Instant now) const noexcept;
  /// The one to check next; null if there is none.
  [[nodiscard]] const Pair* next_pair(Instant now) const noexcept;

  std::shared_ptr<const PeerPolicy> peers_;
  IceCredentials own_;
  IceCredentials peer_;
  /// Before the last restart; the pair that was selected under them carries media until there is a new one.
  IceCredentials former_own_;
  IceCredentials former_peer_;
  bool is_lite_ = false;
  bool has_rtcp_ = false;
  bool controlling_ = false;
  std::uint64_t tie_breaker_ = 0;
  std::vector<Pair> pairs_;
  std::deque<std::pair<LocalPort, Endpoint>> triggered_;
  std::array<std::optional<Selected>, 2> selected_;
  std::array<bool, 2> is_former_{};  // selected before the last restart
  std::uint64_t nominations_ = 0;    // of the peer, all pairs together
  std::array<Instant, 2> selected_at_{};
  std::array<Instant, 2> consent_{};  // last proof of it
  std::array<Instant, 2> first_success_{};
  std::array<unsigned, 2> checks_{};  // that sought a pair; consent is not counted
  Instant started_{};
  Instant next_check_{};
  Instant last_heard_{};
  State state_ = State::kWaiting;
};

std::string_view to_string(IceAgent::State state) noexcept;

}  // namespace ferry
