// Frames of the codecs whose payloads can be cut and joined without a decoder (RFC 3551 §4.5).
#pragma once

#include "relay/base/types.hpp"

#include <cstdint>
#include <optional>

namespace ferry {

/// The smallest piece of a payload that stands alone. Timestamps of all of them count 8,000 units a second,
/// those of G.722 too (RFC 3551 §4.5.2).
struct FrameSize {
  std::uint16_t octets = 0;
  std::uint16_t ms = 0;

  /// Whole frames for at least `wanted_ms`, at least one.
  [[nodiscard]] constexpr unsigned frames_for(unsigned wanted_ms) const {
    return wanted_ms <= ms ? 1 : (wanted_ms + ms - 1) / ms;
  }
};

constexpr std::uint32_t kFrameClockPerMs = 8;

/// Of a static payload type; nothing if its frames are not all alike.
constexpr std::optional<FrameSize> frame_size(PayloadType type) noexcept {
  switch (type.value) {
    case 0:  // PCMU
    case 8:  // PCMA
    case 9:  // G722
      return FrameSize{8, 1};
    case 3:  // GSM
      return FrameSize{33, 20};
    case 4:  // G723, 6.3 kbit/s
      return FrameSize{24, 30};
    case 18:  // G729
      return FrameSize{10, 10};
    default:
      return std::nullopt;
  }
}

}  // namespace ferry
