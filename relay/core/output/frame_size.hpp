// SPDX-License-Identifier: Apache-2.0
// Frame sizes of the codecs whose payloads can be cut and joined without a decoder (RFC 3551 §4.5).
#pragma once

#include "relay/base/types.hpp"

#include <cstdint>
#include <optional>

namespace ferry {

/// The smallest part of a payload that can stand alone. Time stamps of all these codecs count 8,000 units a
/// second, even those of G.722 (RFC 3551 §4.5.2).
struct FrameSize {
  std::uint16_t octets = 0;
  std::uint16_t ms = 0;

  /// Number of whole frames that last at least `wanted_ms`; never 0.
  [[nodiscard]] constexpr unsigned frames_for(unsigned wanted_ms) const {
    return wanted_ms <= ms ? 1 : (wanted_ms + ms - 1) / ms;
  }
};

/// Time stamp units in a millisecond.
constexpr std::uint32_t kFrameClockPerMs = 8;

/// The frame size of a static payload type. Nothing for codecs whose frames are not all alike, and for
/// dynamic types.
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
