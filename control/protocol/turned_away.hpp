// SPDX-License-Identifier: Apache-2.0
// Reasons for which a control listener refuses a client. One table serves the log, metrics and `rtpferryctl
// doctor`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ferry {

/// Why a client was refused. The rows below explain each value.
enum class TurnedAway : std::uint8_t { kNotAllowed, kBudget, kNoToken, kCount };
constexpr std::size_t kTurnedAways = static_cast<std::size_t>(TurnedAway::kCount);

/// One reason with its texts for people.
struct TurnedAwayRow {
  TurnedAway why{};
  std::string_view name;
  std::string_view text;
  /// What the operator can do. `NETWORK` stands for the client's address with its prefix length.
  std::string_view advice;
};

// clang-format off
inline constexpr std::array<TurnedAwayRow, kTurnedAways> kTurnedAwayRows = {{
  {TurnedAway::kNotAllowed, "not-allowed", "it is not in control-allow", "if it is your proxy: control-allow=NETWORK; else somebody tries the control port"},
  {TurnedAway::kBudget, "budget", "it sends more than allow-open-control serves", "if it is your proxy: control-allow=NETWORK lifts the limit; else somebody floods the control port"},
  {TurnedAway::kNoToken, "no-token", "it does not send the token of http-token", "give it the token, if it is yours; else somebody tries the HTTP listener"},
}};
// clang-format on

/// The row of a reason.
constexpr const TurnedAwayRow& row_of(TurnedAway why) noexcept {
  return kTurnedAwayRows[static_cast<std::size_t>(why)];
}

static_assert(
    [] {
      for (std::size_t i = 0; i < kTurnedAways; ++i) {
        if (static_cast<std::size_t>(kTurnedAwayRows[i].why) != i) return false;
      }
      return true;
    }(),
    "rows are in the order of the enum");

}  // namespace ferry
