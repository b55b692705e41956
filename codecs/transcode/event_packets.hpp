// SPDX-License-Identifier: Apache-2.0
// The packets of one telephone event (RFC 4733) that a receiver gets.
#pragma once

#include "codecs/transcode/packet_encoder.hpp"
#include "codecs/transcode/sample_time.hpp"
#include "relay/core/audio/conversion.hpp"
#include "relay/core/output/stage.hpp"

#include <cstdint>
#include <optional>

namespace ferry {

/// Makes the packets of presses, one press at a time: all with the timestamp of its beginning, durations that
/// rise, and three packets for its end, 20 ms apart (RFC 4733 §2.5.1.4). A press that is too long for the
/// field becomes several segments (§2.5.1.3). For one thread.
class EventPackets {
 public:
  /// Time between two packets.
  static constexpr Duration kInterval = std::chrono::milliseconds(20);

  /// True if events can be told by this clock. Nobody has one outside 1 to 192 kHz: the durations of a press
  /// would say nothing, or be countless segments.
  [[nodiscard]] static constexpr bool can_tell(const OtherType& type) noexcept {
    return type.clock_rate_hz >= 1000 && type.clock_rate_hz <= 192'000;
  }

  /// A press begins at a position of the timeline of `place`. Its type `can_tell`.
  void begin(const OtherType& type, std::uint8_t event, std::uint8_t volume, std::int64_t position);
  /// It has lasted so long.
  void go_on(Duration length, PacketEncoder& place, MadePackets& out);
  /// It has ended after so long. The first packet that says so leaves; `run` sends the others.
  void end(Duration length, PacketEncoder& place, Instant now, MadePackets& out);
  /// Sends what is due.
  void run(Instant now, PacketEncoder& place, MadePackets& out);
  /// Sends what is left at once: something else is to leave.
  void flush(PacketEncoder& place, MadePackets& out);
  [[nodiscard]] std::optional<Instant> due() const noexcept {
    return ends_left_ > 0 ? std::optional(next_) : std::nullopt;
  }
  /// How long the press has lasted, as its packets say.
  [[nodiscard]] Duration length() const noexcept { return time_of(before_ + duration_, type_.clock_rate_hz); }
  /// A press is going on.
  [[nodiscard]] bool is_open() const noexcept { return is_open_; }

 private:
  void send(bool ends, PacketEncoder& place, MadePackets& out);
  /// Clock units of the present segment; begins another segment where that is too long, but only a few in a
  /// call.
  void measure(Duration length, PacketEncoder& place, MadePackets& out);

  OtherType type_;
  std::uint8_t event_ = 0;
  std::uint8_t volume_ = 0;
  /// Begin of the present segment on the timeline.
  std::int64_t position_ = 0;
  /// Clock units of the segments before, and of the present one so far.
  std::int64_t before_ = 0;
  std::uint32_t duration_ = 0;
  bool is_open_ = false;
  bool is_first_ = true;
  unsigned ends_left_ = 0;
  Instant next_{};
};

}  // namespace ferry
