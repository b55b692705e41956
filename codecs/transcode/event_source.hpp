// SPDX-License-Identifier: Apache-2.0
// Telephone events of one source (RFC 4733), as they come: when a press begins, goes on and ends.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/types.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <cstdint>
#include <optional>

namespace ferry {

/// Follows the presses of a source packet by packet, in whatever order and however many of them come. A press
/// is known by its SSRC and timestamp; each begins once and ends once. (`KeyPresses` of the core reports
/// presses that are over.)
class EventSource {
 public:
  /// A press is over if nothing more of it came for so long.
  static constexpr Duration kNoUpdate = std::chrono::milliseconds(200);

  /// What a packet has told.
  struct News {
    /// The press before this one has ended without a word.
    bool ends_former = false;
    bool begins = false;
    bool ends = false;
    std::uint8_t event = 0;
    /// Level below 0 dBm0.
    std::uint8_t volume = 0;
    /// How long it has lasted so far, all segments together (RFC 4733 §2.5.1.3).
    Duration length{0};
  };

  /// Takes a packet; `clock_rate_hz` is not 0. Nothing if it says nothing new, or is damaged.
  std::optional<News> hear(const RtpView& rtp, std::uint32_t clock_rate_hz, Instant now) noexcept;
  /// Ends a press of which nothing is heard any more.
  std::optional<News> expire(Instant now) noexcept;
  [[nodiscard]] std::optional<Instant> due() const noexcept {
    return is_open_ ? std::optional(heard_at_ + kNoUpdate) : std::nullopt;
  }
  [[nodiscard]] bool is_open() const noexcept { return is_open_; }

 private:
  [[nodiscard]] Duration length() const noexcept;

  bool is_open_ = false;
  /// A press was heard: the members below say of which.
  bool is_known_ = false;
  Ssrc ssrc_;
  std::uint32_t timestamp_ = 0;
  std::uint8_t event_ = 0;
  std::uint8_t volume_ = 0;
  std::uint32_t clock_rate_hz_ = 8000;
  /// Longest duration of the present segment, and that of those before it, in clock units.
  std::uint32_t segment_ = 0;
  std::uint64_t before_ = 0;
  /// When its first packet was heard, and its last one.
  Instant began_at_{};
  Instant heard_at_{};
};

}  // namespace ferry
