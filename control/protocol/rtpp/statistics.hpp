// Counters of the classic protocol by their names (its reference, sections 4.6 and 4.8).
#pragma once

#include "control/session/classic.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace ferry::rtpp {

struct CommandTotals;

/// One counter of `Q` as text; nothing if there is none of that name.
[[nodiscard]] std::optional<std::string> query_counter(std::string_view name, const ClassicFigures& figures);

/// Packets of the whole relay.
struct PacketTotals {
  std::uint64_t received = 0;
  std::uint64_t relayed = 0;
  std::uint64_t played = 0;
  std::uint64_t discarded = 0;
  std::uint64_t repacketizer_in = 0;
  std::uint64_t repacketizer_out = 0;
  std::uint64_t repacketizer_discarded = 0;
};
[[nodiscard]] PacketTotals packet_totals(MediaPlane& plane);

/// One counter of `G` as text; nothing if there is none of that name.
[[nodiscard]] std::optional<std::string> statistic(std::string_view name, const ClassicTotals& sessions,
                                                   const CommandTotals& commands, const PacketTotals& packets,
                                                   double packets_per_second);

}  // namespace ferry::rtpp
