// SPDX-License-Identifier: Apache-2.0
// Counts of a transport, by component and over all its streams.
#pragma once

#include "relay/base/types.hpp"

#include <array>
#include <cstdint>

namespace ferry {

/// Totals of one component. All octets are those of UDP payloads.
struct ComponentCounters {
  std::uint64_t packets_in = 0;
  std::uint64_t bytes_in = 0;
  /// Received datagrams that were dropped.
  std::uint64_t errors_in = 0;
  std::uint64_t packets_out = 0;
  std::uint64_t bytes_out = 0;
  /// Packets that could not be sent.
  std::uint64_t errors_out = 0;
  bool operator==(const ComponentCounters&) const = default;
};

/// Counts of a transport over all its streams together.
struct TransportFigures {
  /// Totals, by component.
  std::array<ComponentCounters, 2> counters;
  /// RTP packets that should have come, by sequence numbers.
  std::uint64_t expected = 0;
  /// RTP packets that came, duplicates not counted.
  std::uint64_t received = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t lost = 0;
  /// Datagrams that were no RTP: UDPTL and other protocols, and malformed RTP.
  std::uint64_t not_rtp = 0;
  /// Longest time between two packets of one SSRC.
  Duration longest_gap{0};
  // Jitter in clock units, of the SSRC that sent last.
  double jitter = 0;
  double jitter_max = 0;
  double jitter_mean = 0;
  /// Packets of prompts that were sent; `counters` include them. The worker sets it.
  std::uint64_t played = 0;
  /// How many packets fewer left than came, because repacketizing joined them for the peer; 0 if more left.
  /// The worker sets it.
  std::uint64_t joined = 0;
};

}  // namespace ferry
