// Why a control listener turns a client away: one table for the log, metrics and `rtpferryctl doctor`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ferry {

enum class TurnedAway : std::uint8_t { kNotAllowed, kBudget, kNoToken, kCount };
constexpr std::size_t kTurnedAways = static_cast<std::size_t>(TurnedAway::kCount);

struct TurnedAwayRow {
  TurnedAway why{};
  std::string_view name;
  std::string_view text;
  /// For operators. `NETWORK` stands for the client's address with its prefix length.
  std::string_view advice;
};

// clang-format off
inline constexpr std::array<TurnedAwayRow, kTurnedAways> kTurnedAwayRows = {{
  {TurnedAway::kNotAllowed, "not-allowed", "it is not in control-allow", "if it is your proxy: control-allow=NETWORK; else somebody tries the control port"},
  {TurnedAway::kBudget, "budget", "it sends more than allow-open-control serves", "if it is your proxy: control-allow=NETWORK lifts the limit; else somebody floods the control port"},
  {TurnedAway::kNoToken, "no-token", "it does not send the token of http-token", "give it the token, if it is yours; else somebody tries the HTTP listener"},
}};
// clang-format on

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
