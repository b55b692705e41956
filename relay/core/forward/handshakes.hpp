// SPDX-License-Identifier: Apache-2.0
// ICE and DTLS of a transport: its agent, its channels, and what they have found out.
#pragma once

#include "relay/core/dtls/dtls_channel.hpp"
#include "relay/core/forward/account.hpp"
#include "relay/core/forward/event_queue.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/core/forward/presence.hpp"
#include "relay/core/forward/transport_snapshot.hpp"
#include "relay/core/ice/ice_agent.hpp"
#include "relay/core/ice/overheard_ice.hpp"
#include "relay/core/latch/latch.hpp"
#include "relay/core/packet/received_packet.hpp"

#include <array>
#include <memory>
#include <optional>

namespace ferry {

/// Things that a transport may use while it works on handshakes. Valid during one call.
struct HandshakeTurn {
  /// The worker's limit of handshakes.
  DtlsBudget& budget;
  /// Sends through the transport's ports.
  PortOutput& out;
  Instant now;
  /// This relay's own media ports.
  const OwnMedia& own;
};

/// Connects the ICE agent and the DTLS channels of one transport with its latches. It decides whose datagrams
/// they hear, where they send to, and who becomes the peer by their results (RFC 8445, RFC 5763, RFC 5764).
///
/// It makes SRTP keys of a finished handshake, and the transport takes them over (`take_new_keys`). Nothing
/// is allocated before the first datagram or deadline of a plan that asks for it. Sans-IO; the transport's
/// worker owns it.
class Handshakes {
 public:
  /// What it may see and change of its transport, during one call.
  struct Side {
    const TransportPlan& plan;
    /// By component.
    std::array<Latch, 2>& latch;
    Account& account;
    Presence& presence;
    EventQueue& events;
  };

  /// Handshakes and checks under way end with the part of the plan that asked for them. `old` is the plan
  /// before.
  void set_plan(const TransportPlan& old, const TransportPlan& plan, Instant now);
  /// True if a source may take part in a handshake (DTL-2).
  [[nodiscard]] bool may_speak(const TransportPlan& plan, const Latch& latch, LocalPort at,
                               const Endpoint& from, const OwnMedia& own) const noexcept;
  /// Takes a received DTLS or STUN datagram. kNone if it was used or is held; otherwise why it has to be
  /// dropped, which is not counted yet.
  DropReason take(const ReceivedPacket& packet, Side side, HandshakeTurn turn);
  /// Judges STUN of a party that does ICE with the other party of its call. The plan has `overheard`.
  [[nodiscard]] OverheardIce::Heard overhear(const ReceivedPacket& packet, Side side, HandshakeTurn turn);
  /// Says where a check of the other party goes, as `OverheardIce::pass` does. The plan has `overheard`.
  [[nodiscard]] std::optional<Path> pass_check(const TransportPlan& plan, Component component,
                                               const OverheardIce::Heard& check, const Path& back,
                                               HandshakeTurn turn);
  /// Makes the addresses that were overheard the source and destination of media (LAT-10).
  void follow_overheard(Side side, Instant now);
  /// Begins the handshakes and checks that the plan asks for, and goes on with those that are due.
  void drive(Side side, HandshakeTurn turn);
  /// When `drive` has something to do; nothing if never.
  [[nodiscard]] std::optional<Instant> due(Instant now) const noexcept;
  /// Gives back what belongs to the worker that the transport leaves.
  void leave_worker() noexcept;

  /// True once after a handshake has agreed on keys.
  [[nodiscard]] bool take_new_keys() noexcept { return std::exchange(has_new_keys_, false); }
  /// The keys that the component's handshake agreed on; null if none did.
  [[nodiscard]] const SrtpPlan* agreed(std::size_t component) const noexcept {
    return dtls_ ? dtls_->agreed[component].get() : nullptr;
  }
  /// Number of the local address that a component's packets leave from.
  [[nodiscard]] std::uint8_t local(Component component) const noexcept { return local_[index(component)]; }
  /// The source that the source rule takes `from` for. With ICE the peer may send from every pair that passed
  /// a check, not only from the selected one (RFC 8445 §12).
  [[nodiscard]] const Endpoint& heard_as(Component component, const Latch& latch,
                                         const Endpoint& from) const noexcept {
    const bool is_other = ice_ && latch.state() == Latch::State::kLocked && from != latch.learned();
    return is_other && ice_->is_valid(component, from) ? latch.learned() : from;
  }
  /// State of ICE; nothing before its first datagram or deadline.
  [[nodiscard]] std::optional<IceAgent::State> ice_state() const noexcept {
    return ice_ ? std::optional(ice_->state()) : std::nullopt;
  }
  /// True if the RTP component has a pair that was selected under the present credentials.
  [[nodiscard]] bool has_current_pair() const noexcept { return ice_ && ice_->is_current(Component::kRtp); }
  /// State of the RTP component's handshake; nothing before it began.
  [[nodiscard]] std::optional<DtlsChannel::State> dtls_state() const noexcept {
    return dtls_ ? std::optional(dtls_->channels[0].state()) : std::nullopt;
  }

  /// Moves all times forward by a time in which this process did not run (C-13).
  void skip(Duration pause) noexcept;
  /// Writes its part of a snapshot.
  void save(const TransportPlan& plan, TransportSnapshot& snapshot) const;
  /// Restores the selected pairs and the keys that DTLS agreed on.
  void restore(const TransportPlan& plan, const TransportSnapshot& snapshot, Instant now);

 private:
  /// The DTLS handshakes and what they agreed on, both by component.
  struct Dtls {
    std::array<DtlsChannel, 2> channels;
    std::array<std::shared_ptr<const SrtpPlan>, 2> agreed;
  };
  static constexpr std::size_t index(Component component) { return static_cast<std::size_t>(component); }
  /// The handshakes, made if necessary.
  Dtls& ensure_dtls() {
    if (!dtls_) dtls_ = std::make_unique<Dtls>();
    return *dtls_;
  }
  /// The ICE agent, made on first use.
  IceAgent& ensure_ice(const TransportPlan& plan, Instant now) {
    if (!ice_) {
      ice_ = std::make_unique<IceAgent>();
      ice_->follow(*plan.ice, now);
    }
    return *ice_;
  }
  /// What is overheard, made on first use.
  OverheardIce& ensure_overheard(const TransportPlan& plan, Instant now) {
    if (!overheard_) {
      overheard_ = std::make_unique<OverheardIce>();
      overheard_->follow(plan.overheard, now);
    }
    return *overheard_;
  }
  /// Takes a DTLS datagram, as `take` does.
  DropReason take_dtls(const ReceivedPacket& packet, Side side, HandshakeTurn turn);
  /// Takes a STUN datagram, as `take` does.
  DropReason take_stun(const ReceivedPacket& packet, Side side, HandshakeTurn turn);
  /// Begins DTLS handshakes and goes on with those that are due.
  void drive_dtls(Side side, HandshakeTurn turn);
  /// Things that a handshake of `component` may use.
  [[nodiscard]] static DtlsTurn dtls_turn(Component component, DatagramOutput& out, Side side,
                                          HandshakeTurn turn) noexcept;
  /// Makes the pairs that ICE selected the source and destination of media (LAT-10).
  void follow_ice(Side side, HandshakeTurn turn);
  /// Makes SRTP keys of what the handshake of `component` agreed on.
  void agree(const TransportPlan& plan, Component component);
  /// Acts on the newest result of a handshake.
  void follow_handshake(Component component, Side side, HandshakeTurn turn);
  /// Path that a handshake of `component` takes now; unset if there is none yet. With ICE that is the
  /// selected pair, and after a restart only a pair of the new session.
  [[nodiscard]] Path way_of(Component component, Side side) const noexcept;

  /// Made when a handshake begins; null otherwise.
  std::unique_ptr<Dtls> dtls_;
  /// Made on first use; null without ICE.
  std::unique_ptr<IceAgent> ice_;
  /// Made on first use; null unless the parties do ICE with each other.
  std::unique_ptr<OverheardIce> overheard_;
  /// Number of the local address that each component's packets leave from.
  std::array<std::uint8_t, 2> local_{};
  bool has_new_keys_ = false;
};

}  // namespace ferry
