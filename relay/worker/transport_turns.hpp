// SPDX-License-Identifier: Apache-2.0
// Handshakes, connectivity checks and key presses of a worker's transports: what is due by time.
#pragma once

#include "relay/worker/context.hpp"
#include "relay/worker/deadlines.hpp"
#include "relay/worker/key_frames.hpp"

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

namespace ferry {

/// Hands STUN and DTLS to the transports and lets them go on when they are due. One worker owns it.
///
/// Asymmetric cryptography costs as much as a hundred packets of media, so media goes first: a turn takes
/// `kHandshakesATurn` DTLS datagrams and no more. Others wait, up to a limit for each transport.
class TransportTurns {
 public:
  TransportTurns(WorkerContext& context, Deadlines& deadlines, KeyFrames& key_frames)
      : context_(context), deadlines_(deadlines), key_frames_(key_frames) {}

  /// Hands a datagram of STUN or DTLS to the transport. A DTLS datagram waits if this turn has had its share.
  /// kNone if it was taken or waits; otherwise why it was dropped, which is counted.
  DropReason on_handshake(TransportEntry& entry, const ReceivedPacket& arrived) noexcept;
  /// Judges STUN of a party that does ICE with the other party, and passes it on if it is authentic.
  /// Returns what `on_handshake` does.
  DropReason overhear(TransportEntry& entry, const ReceivedPacket& arrived) noexcept;
  /// A turn begins: hands over datagrams that waited, as many as it may take.
  void begin_turn(Instant now) noexcept;
  /// True if datagrams wait for a turn.
  [[nodiscard]] bool has_waiting() const noexcept { return !waiting_.empty(); }
  /// Lets the transport's handshakes, checks, key presses and requests for key frames do what is due, and
  /// queues its next deadline.
  void drive(TransportEntry& entry, Instant now) noexcept;
  /// When `drive` has something to do for the transport: handshakes, checks, or a key press that ends by
  /// time. Nothing if never.
  [[nodiscard]] static std::optional<Instant> next_due(TransportEntry& entry, Instant now) noexcept;
  /// Queues the deadline of `entry`, if it has one.
  void await(TransportEntry& entry, Instant now) noexcept;
  /// Follows DTMF events (RFC 4733) in a packet of `entry` and reports the key presses that it ends.
  void follow_presses(TransportEntry& entry, std::size_t source, const PayloadEntry& payload,
                      const ReceivedPacket& arrived) noexcept;
  /// Reports key presses that ended by time-out; with `all` also those that are still open.
  void tell_ended_presses(TransportEntry& entry, Instant now, bool all) noexcept;

 private:
  static constexpr std::size_t kHandshakesATurn = 4;
  /// Most DTLS datagrams that wait, of all transports together and of one, so that one cannot keep the others
  /// out.
  static constexpr std::size_t kMostWaiting = 4096;
  static constexpr std::size_t kMostWaitingOfOne = 64;
  /// A DTLS datagram that waits for a later turn: a copy, and where it came to and from.
  struct Waiting {
    TransportId id;
    LocalPort at;
    Endpoint from;
    std::vector<std::byte> datagram;
  };

  /// Sends a check or an answer that was overheard to the other party. kNone, or why that does not get it,
  /// which is counted.
  DropReason pass_on(TransportEntry& entry, const ReceivedPacket& arrived, OverheardIce::Heard heard);

  WorkerContext& context_;
  Deadlines& deadlines_;
  KeyFrames& key_frames_;
  std::deque<Waiting> waiting_;
  /// DTLS datagrams that this turn has handled.
  std::size_t handshakes_ = 0;
};

}  // namespace ferry
