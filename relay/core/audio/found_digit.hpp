// SPDX-License-Identifier: Apache-2.0
// A digit that was found in speech by a stage that only listens.
#pragma once

#include "relay/base/bytes.hpp"

#include <array>
#include <cstdint>
#include <optional>

namespace ferry {

/// A press that has ended. Stages tell it to their worker as the payload of a packet that never leaves.
struct FoundDigit {
  /// 0 to 15 as in RFC 4733.
  std::uint8_t event = 0;
  /// Level below 0 dBm0, 0 to 63.
  std::uint8_t volume = 0;
  std::uint16_t duration_ms = 0;

  [[nodiscard]] std::array<std::byte, 4> payload() const noexcept {
    return {static_cast<std::byte>(event), static_cast<std::byte>(volume),
            static_cast<std::byte>(duration_ms >> 8), static_cast<std::byte>(duration_ms & 0xff)};
  }
  /// The press of such a payload; nothing if it is none.
  [[nodiscard]] static std::optional<FoundDigit> read(Bytes payload) noexcept {
    if (payload.size() != 4) return std::nullopt;
    return FoundDigit{read_u8(payload, 0), read_u8(payload, 1), read_u16(payload, 2)};
  }
  bool operator==(const FoundDigit&) const = default;
};

}  // namespace ferry
