// Key presses in the telephone-event packets of one source (RFC 4733): each is told once, however it ends.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <array>
#include <cstdint>
#include <optional>

namespace ferry {

/// A key that was pressed and released (RFC 4733 §2.3).
struct DtmfEvent {
  std::uint8_t event = 0;      // 0-15: digits, *, #, A-D
  std::uint8_t volume = 0;     // negative dBm0
  std::uint16_t duration = 0;  // in units of the stream's clock; 65535 if it is longer
  std::uint32_t duration_ms = 0;
  IpAddress source;
};

/// A press is known by its time stamp (RFC 4733 §2.5.1.2). It ends with a packet that says so, with a packet
/// of another press (§2.5.2.2), with audio that goes on behind it, or when nothing is heard of it for
/// `kNoUpdate`. A long press may be cut into segments, each with a time stamp that goes on where the one
/// before it stops (§2.5.1.3): they are one press.
class KeyPresses {
 public:
  /// Updates come each 50 ms or faster (RFC 4733 §2.6.3).
  static constexpr Duration kNoUpdate = std::chrono::milliseconds(400);

  /// Plain values, for exports.
  struct State {
    bool is_open = false;
    Ssrc ssrc;                        // of the open press
    std::uint32_t timestamp = 0;      // of its newest segment
    std::uint32_t segment = 0;        // longest duration that a packet of that segment had
    std::uint32_t before = 0;         // duration of the segments before it
    std::uint32_t clock_rate_hz = 0;  // 0 = not known: 8000
    std::uint8_t event = 0;
    std::uint8_t volume = 0;
    IpAddress source;
    Instant last_packet{};
    /// The newest presses and segments that have begun: late packets of them tell nothing.
    struct Begun {
      Ssrc ssrc;
      std::uint32_t timestamp = 0;
      bool operator==(const Begun&) const = default;
    };
    std::array<Begun, 4> known{};
    std::uint8_t known_count = 0;
    std::uint8_t next_known = 0;
    bool operator==(const State&) const = default;
  };

  /// Who sent the packet at hand, and when it came.
  struct Arrival {
    std::uint32_t clock_rate_hz = 0;
    IpAddress source;
    Instant at{};
  };
  struct Told {
    std::optional<DtmfEvent> former;  // a press that this packet ends because it is of another one
    std::optional<DtmfEvent> own;     // the press that it is of
  };
  [[nodiscard]] Told on_event(const RtpView& packet, const Arrival& arrival) noexcept;
  /// A packet that is no event.
  [[nodiscard]] std::optional<DtmfEvent> on_audio(const RtpView& packet,
                                                  std::uint32_t clock_rate_hz) noexcept;
  /// The open press if nothing was heard of it for long enough.
  [[nodiscard]] std::optional<DtmfEvent> on_time(Instant now) noexcept;
  /// The open press, whatever was heard: its stream ends.
  [[nodiscard]] std::optional<DtmfEvent> end() noexcept;

  /// Time passed in which nobody listened (C-13).
  void skip(Duration pause) noexcept {
    if (state_.last_packet != Instant{}) state_.last_packet += pause;
  }

  [[nodiscard]] bool is_open() const noexcept { return state_.is_open; }
  /// When `on_time` has something to tell, unless a packet comes first.
  [[nodiscard]] std::optional<Instant> due() const noexcept;
  [[nodiscard]] const State& state() const noexcept { return state_; }
  void restore(const State& state) noexcept { state_ = state; }

 private:
  [[nodiscard]] bool is_known(const State::Begun& begun) const noexcept;
  void remember(const State::Begun& begun) noexcept;
  [[nodiscard]] bool goes_on(const RtpView& packet, std::uint8_t event) const noexcept;

  State state_;
};

}  // namespace ferry
