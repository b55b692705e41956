// SPDX-License-Identifier: Apache-2.0
// Finds DTMF presses in the telephone-event packets of one source (RFC 4733). Each press is reported once,
// however it ends.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <array>
#include <cstdint>
#include <optional>

namespace ferry {

/// A DTMF press that has ended (RFC 4733 §2.3).
struct DtmfEvent {
  /// 0 to 15: the digits, *, #, A to D. Other events have higher numbers.
  std::uint8_t event = 0;
  /// Level in dBm0 without its minus sign.
  std::uint8_t volume = 0;
  /// Duration in units of the stream's clock; 65,535 if it is longer.
  std::uint16_t duration = 0;
  /// Duration in milliseconds.
  std::uint32_t duration_ms = 0;
  /// Source of its packets.
  IpAddress source;
  /// When control was told; unset before.
  Instant told_at{};
};

/// Follows the presses of one source.
///
/// All packets of a press have the same time stamp (RFC 4733 §2.5.1.2). A press ends in one of four ways: a
/// packet has the end bit, a packet belongs to another press (RFC 4733 §2.5.2.2), audio goes on behind it, or
/// nothing is heard of it for `kNoUpdate`. A long press may be cut into segments, each with a time stamp that
/// continues where the one before stops (RFC 4733 §2.5.1.3); they count as one press.
class KeyPresses {
 public:
  /// A press ends if no packet of it came for this long. Updates come every 50 ms or faster (RFC 4733
  /// §2.6.3).
  static constexpr Duration kNoUpdate = std::chrono::milliseconds(400);

  /// Everything as plain values, for exports.
  struct State {
    /// A press has begun and has not ended.
    bool is_open = false;
    /// Stream of the press.
    Ssrc ssrc;
    /// Time stamp of its newest segment.
    std::uint32_t timestamp = 0;
    /// Longest duration in the packets of that segment, in clock units.
    std::uint32_t segment = 0;
    /// Duration of the segments before it, in clock units.
    std::uint32_t before = 0;
    /// 0 = unknown, taken as 8,000.
    std::uint32_t clock_rate_hz = 0;
    /// Event number, as in `DtmfEvent`.
    std::uint8_t event = 0;
    std::uint8_t volume = 0;
    IpAddress source;
    /// When its newest packet came.
    Instant last_packet{};
    /// The newest presses and segments that have begun, so that late packets of them are not reported again.
    struct Begun {
      Ssrc ssrc;
      std::uint32_t timestamp = 0;
      bool operator==(const Begun&) const = default;
    };
    std::array<Begun, 4> known{};
    /// Places of `known` that are in use.
    std::uint8_t known_count = 0;
    /// Place of `known` that is overwritten next.
    std::uint8_t next_known = 0;
    bool operator==(const State&) const = default;
  };

  /// Circumstances of the packet at hand.
  struct Arrival {
    std::uint32_t clock_rate_hz = 0;
    IpAddress source;
    Instant at{};
  };
  /// Presses that a packet ends.
  struct Told {
    /// A press that ends because this packet belongs to another one.
    std::optional<DtmfEvent> former;
    /// The press that this packet belongs to.
    std::optional<DtmfEvent> own;
  };
  /// Takes an event packet; one whose payload is too short is ignored.
  [[nodiscard]] Told on_event(const RtpView& packet, const Arrival& arrival) noexcept;
  /// Takes a packet that is no event. Returns the press that it ends, if any.
  [[nodiscard]] std::optional<DtmfEvent> on_audio(const RtpView& packet,
                                                  std::uint32_t clock_rate_hz) noexcept;
  /// The open press, if nothing was heard of it for long enough; it has then ended.
  [[nodiscard]] std::optional<DtmfEvent> on_time(Instant now) noexcept;
  /// The open press, which ends now because its stream does.
  [[nodiscard]] std::optional<DtmfEvent> end() noexcept;

  /// Moves all times forward by a time in which this process did not run (C-13).
  void skip(Duration pause) noexcept {
    if (state_.last_packet != Instant{}) state_.last_packet += pause;
  }

  /// True while a press is open.
  [[nodiscard]] bool is_open() const noexcept { return state_.is_open; }
  /// When `on_time` will end the press, unless a packet comes first; nothing if no press is open.
  [[nodiscard]] std::optional<Instant> due() const noexcept;
  [[nodiscard]] const State& state() const noexcept { return state_; }
  void restore(const State& state) noexcept { state_ = state; }

 private:
  /// True if the press or segment has begun before.
  [[nodiscard]] bool is_known(const State::Begun& begun) const noexcept;
  /// Adds a press or segment to those that have begun.
  void remember(const State::Begun& begun) noexcept;
  /// True if the packet begins another segment of the open press.
  [[nodiscard]] bool goes_on(const RtpView& packet, std::uint8_t event) const noexcept;

  State state_;
};

}  // namespace ferry
