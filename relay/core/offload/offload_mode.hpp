// Which program of the in-kernel forwarding an interface is to have.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ferry {

enum class OffloadMode : std::uint8_t { kAuto, kXdp, kXdpGeneric, kTc, kClsact, kOff };

struct OffloadModeRow {
  OffloadMode mode;
  std::string_view name;
};
// In the order of the enum.
inline constexpr std::array<OffloadModeRow, 6> kOffloadModes = {{{OffloadMode::kAuto, "auto"},
                                                                 {OffloadMode::kXdp, "xdp"},
                                                                 {OffloadMode::kXdpGeneric, "xdp-generic"},
                                                                 {OffloadMode::kTc, "tc"},
                                                                 {OffloadMode::kClsact, "clsact"},
                                                                 {OffloadMode::kOff, "off"}}};

constexpr std::string_view to_string(OffloadMode mode) noexcept {
  return kOffloadModes[static_cast<std::size_t>(mode)].name;
}

constexpr std::optional<OffloadMode> parse_offload_mode(std::string_view text) noexcept {
  for (const OffloadModeRow& row : kOffloadModes) {
    if (row.name == text) return row.mode;
  }
  return std::nullopt;
}

}  // namespace ferry
