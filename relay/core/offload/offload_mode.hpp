// SPDX-License-Identifier: Apache-2.0
// Which kernel program does the forwarding on an interface (option `offload`).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ferry {

/// kAuto: the fastest that works. kXdp runs in the driver, kXdpGeneric in the network stack. kTc attaches to
/// traffic control by tcx, kClsact without it. kOff: everything goes through sockets.
enum class OffloadMode : std::uint8_t { kAuto, kXdp, kXdpGeneric, kTc, kClsact, kOff };

/// Spelling of one mode in the configuration.
struct OffloadModeRow {
  OffloadMode mode;
  std::string_view name;
};
// All modes, in the order of the enum.
inline constexpr std::array<OffloadModeRow, 6> kOffloadModes = {{{OffloadMode::kAuto, "auto"},
                                                                 {OffloadMode::kXdp, "xdp"},
                                                                 {OffloadMode::kXdpGeneric, "xdp-generic"},
                                                                 {OffloadMode::kTc, "tc"},
                                                                 {OffloadMode::kClsact, "clsact"},
                                                                 {OffloadMode::kOff, "off"}}};

/// Spelling in the configuration.
constexpr std::string_view to_string(OffloadMode mode) noexcept {
  return kOffloadModes[static_cast<std::size_t>(mode)].name;
}

/// Reads the spelling; nothing if it is unknown.
constexpr std::optional<OffloadMode> parse_offload_mode(std::string_view text) noexcept {
  for (const OffloadModeRow& row : kOffloadModes) {
    if (row.name == text) return row.mode;
  }
  return std::nullopt;
}

}  // namespace ferry
