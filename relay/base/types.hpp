// SPDX-License-Identifier: Apache-2.0
// Strong types that every layer shares, so that mixing up two numbers does not compile.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace ferry {

/// A span of time in nanoseconds.
using Duration = std::chrono::nanoseconds;

/// A point of monotonic time. The core never reads a clock; its caller passes one of these. A member that
/// holds `Instant{}` means "never" or "not set".
using Instant = std::chrono::time_point<std::chrono::steady_clock, Duration>;

/// A point of calendar time, for people and NTP. It is never converted to or from `Instant`.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

/// Synchronization source of an RTP stream (RFC 3550 §3), host order.
struct Ssrc {
  std::uint32_t value = 0;
  auto operator<=>(const Ssrc&) const = default;
};

/// RTP sequence number, host order. The numbers wrap around, so `is_newer` compares them; there is no `<`.
struct SeqNo {
  std::uint16_t value = 0;
  bool operator==(const SeqNo&) const = default;
};

/// True if `a` comes after `b` in the serial-number order of RFC 1982: 2 comes after 65534.
constexpr bool is_newer(SeqNo a, SeqNo b) {
  return a.value != b.value && static_cast<std::uint16_t>(a.value - b.value) < 0x8000;
}

/// Steps from `b` to `a` the shorter way round, from -32768 to 32767. Positive if `a` is newer.
constexpr int distance(SeqNo a, SeqNo b) {
  return static_cast<std::int16_t>(static_cast<std::uint16_t>(a.value - b.value));
}

/// UDP port in host order; 0 means "no port".
struct UdpPort {
  std::uint16_t value = 0;
  auto operator<=>(const UdpPort&) const = default;
};

/// RTP payload type, 0 to 127.
struct PayloadType {
  std::uint8_t value = 0;
  auto operator<=>(const PayloadType&) const = default;
};

}  // namespace ferry
