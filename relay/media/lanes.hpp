// SPDX-License-Identifier: Apache-2.0
// What goes between one worker and one media thread.
#pragma once

#include "relay/base/record_ring.hpp"
#include "relay/core/output/stage.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace ferry {

/// How much of a lane one source of one stage takes: octets of its payloads that wait. The worker adds, the
/// thread takes away.
using LaneShare = std::atomic<std::uint32_t>;

/// An RTP packet for a stage, without its payload; or a whole datagram of another protocol.
struct HeardPacket {
  /// Serial of the stage that is to hear it.
  std::uint64_t serial = 0;
  /// The source, as its output tells it apart.
  std::uint64_t from = 0;
  /// What the audio of that source becomes from this packet on; null = as before.
  std::shared_ptr<const AudioConversion> conversion;
  /// What its source takes of the lane. Null if nobody counts.
  std::shared_ptr<LaneShare> share;
  /// When it came to the relay.
  Instant at{};
  Ssrc ssrc;
  std::uint32_t timestamp = 0;
  SeqNo sequence;
  PayloadType type;
  bool marker = false;
  /// True: the payload is a whole datagram (UDPTL), and the members of RTP mean nothing.
  bool is_datagram = false;
};

/// A packet that a stage has made, without its payload.
struct FinishedPacket {
  StageOwner owner;
  std::uint32_t units = 0;
  std::uint32_t clock_rate_hz = 8000;
  std::uint16_t lost = 0;
  PayloadType type;
  bool marker = false;
  /// As in `HeardPacket`.
  bool is_datagram = false;
};

/// The lanes between one worker and one thread, with a thousand packets of G.711 each way.
struct Lanes {
  static constexpr std::size_t kOctets = 256 * 1024;
  /// Longest payload that goes by a lane: 20 ms of L16 at 48 kHz in stereo take 3,840 octets.
  static constexpr std::size_t kLongest = 4096;
  /// Most that one source of one stage may take of the way to the thread, so that a flood of one leaves room
  /// for the calls beside it: 0.4 seconds of the largest stream, many of a usual one.
  static constexpr std::uint32_t kShare = kOctets / 8;
  /// What a packet takes of a share: its payload, and about the room of its head.
  [[nodiscard]] static constexpr std::uint32_t share_of(std::size_t payload) noexcept {
    return static_cast<std::uint32_t>(payload + sizeof(HeardPacket));
  }
  RecordRing<HeardPacket> heard{kOctets};
  RecordRing<FinishedPacket> made{kOctets};
};

}  // namespace ferry
