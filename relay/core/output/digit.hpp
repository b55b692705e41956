// SPDX-License-Identifier: Apache-2.0
// DTMF that the relay sends to a party itself (RFC 4733).
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/output/prompt.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace ferry {

/// One DTMF digit to be sent.
struct DigitOrder {
  /// 0 to 9, 10 = `*`, 11 = `#`, 12 to 15 = A to D (RFC 4733 §3.2).
  std::uint8_t event = 0;
  /// Power below 0 dBm0, 0 to 63.
  std::uint8_t volume = 8;
  Duration length{0};
  /// Payload type of telephone-event at the receiver.
  PayloadType type;
  /// Clock of that type in Hz.
  std::uint32_t clock_rate_hz = 8000;
  /// The digit as sound, for a receiver without telephone-event; `type` is then that of its codec. Null: it
  /// is sent as an event.
  std::shared_ptr<const Prompt> tone{};
  /// Least time between its end and the begin of the next digit.
  Duration pause{0};
};

/// The packets of one DTMF event. All have the time stamp of its beginning. The duration grows from packet
/// to packet. The last packet is sent three times with the E bit (RFC 4733 §2.5.1.2, §2.5.1.4). Pure.
class DigitPlayer {
 public:
  /// Time between two packets of the event.
  static constexpr Duration kInterval = std::chrono::milliseconds(20);
  /// Copies of the packet that ends it.
  static constexpr unsigned kEnds = 3;
  /// Octets of a payload.
  static constexpr std::size_t kOctets = 4;

  DigitPlayer(const DigitOrder& order, Instant begin) noexcept
      : order_(order), begin_(begin), next_(begin + std::min(order.length, kInterval)) {}

  [[nodiscard]] PayloadType type() const noexcept { return order_.type; }
  [[nodiscard]] Instant begin() const noexcept { return begin_; }
  /// When the next packet is due. Each one is sent when the event has lasted as long as it says.
  [[nodiscard]] Instant due() const noexcept { return next_; }
  /// True after the last packet.
  [[nodiscard]] bool is_over() const noexcept { return ends_ == kEnds; }
  /// True before the first packet.
  [[nodiscard]] bool is_first() const noexcept { return sent_ == 0; }
  /// Payload of the packet that is due, and moves on to the one after it.
  [[nodiscard]] std::array<std::byte, kOctets> next() noexcept {
    ++sent_;
    const Duration lasted = std::min(order_.length, kInterval * sent_);
    const bool ends = lasted == order_.length;
    // The copies of the end leave at once, one behind the other.
    if (ends) ++ends_;
    next_ = begin_ + std::min(order_.length, kInterval * (sent_ + 1));
    const std::uint32_t duration = std::min<std::uint32_t>(units_of(lasted), 0xffff);
    return {static_cast<std::byte>(order_.event),
            static_cast<std::byte>((ends ? 0x80 : 0) | (order_.volume & 0x3f)),
            static_cast<std::byte>(duration >> 8), static_cast<std::byte>(duration & 0xff)};
  }

 private:
  [[nodiscard]] std::uint32_t units_of(Duration time) const noexcept {
    return static_cast<std::uint32_t>(time.count() * order_.clock_rate_hz / 1'000'000'000);
  }

  DigitOrder order_;
  Instant begin_;
  Instant next_;
  std::uint32_t sent_ = 0;
  unsigned ends_ = 0;
};

}  // namespace ferry
