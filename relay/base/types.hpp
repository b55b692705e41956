// Strong types shared by every layer, so that a swap of two numbers does not compile.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace ferry {

using Duration = std::chrono::nanoseconds;

/// Monotonic time. The core never reads a clock; it is handed one of these.
using Instant = std::chrono::time_point<std::chrono::steady_clock, Duration>;

/// Time for people and NTP. Never converted to or from `Instant`.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

struct Ssrc {
  std::uint32_t value = 0;
  auto operator<=>(const Ssrc&) const = default;
};

/// RTP sequence number. Order is `is_newer`, not `<`: the space wraps.
struct SeqNo {
  std::uint16_t value = 0;
  bool operator==(const SeqNo&) const = default;
};

/// Serial-number order of RFC 1982, so that 2 comes after 65534.
constexpr bool is_newer(SeqNo a, SeqNo b) {
  return a.value != b.value && static_cast<std::uint16_t>(a.value - b.value) < 0x8000;
}

/// Signed distance a - b on the shortest way round, -32768..32767.
constexpr int distance(SeqNo a, SeqNo b) {
  return static_cast<std::int16_t>(static_cast<std::uint16_t>(a.value - b.value));
}

/// Host order.
struct UdpPort {
  std::uint16_t value = 0;
  auto operator<=>(const UdpPort&) const = default;
};

struct PayloadType {
  std::uint8_t value = 0;
  auto operator<=>(const PayloadType&) const = default;
};

}  // namespace ferry
