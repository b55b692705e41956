// SPDX-License-Identifier: Apache-2.0
// Finds the counters of the rtpproxy protocol by name (docs/reference/rtpproxy.md#query,
// docs/reference/rtpproxy.md#statistics).
#pragma once

#include "control/protocol/rtpproxy/command_totals.hpp"
#include "control/rtpproxy/sessions.hpp"
#include "control/session/media_plane.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ferry::rtpproxy {

/// Returns one counter of the command `Q` as text; nothing if no counter has that name.
[[nodiscard]] std::optional<std::string> query_counter(std::string_view name, const RtpproxyFigures& figures);

/// Packets of the whole relay since the start.
struct PacketTotals {
  std::uint64_t received = 0;
  std::uint64_t relayed = 0;
  std::uint64_t played = 0;
  std::uint64_t discarded = 0;
  std::uint64_t repacketizer_in = 0;
  std::uint64_t repacketizer_out = 0;
  std::uint64_t repacketizer_discarded = 0;
};
/// Adds up the counters of all workers.
[[nodiscard]] PacketTotals packet_totals(MediaPlane& plane);

/// Returns one counter of the command `G` as text; nothing if no counter has that name.
[[nodiscard]] std::optional<std::string> statistic(std::string_view name, const RtpproxyTotals& sessions,
                                                   const CommandTotals& commands, const PacketTotals& packets,
                                                   double packets_per_second);

}  // namespace ferry::rtpproxy
