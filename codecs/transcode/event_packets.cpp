// SPDX-License-Identifier: Apache-2.0
#include "codecs/transcode/event_packets.hpp"

#include <algorithm>
#include <array>

namespace ferry {

namespace {

/// Longest duration of a segment, clock units.
constexpr std::int64_t kLongest = 0xffff;
/// Segments that one call makes. What is longer grows with the next calls, or stays unsaid at the end.
constexpr unsigned kMostSegments = 4;
/// Copies of the last packet.
constexpr unsigned kEnds = 3;

}  // namespace

void EventPackets::begin(const OtherType& type, std::uint8_t event, std::uint8_t volume,
                         std::int64_t position) {
  type_ = type;
  event_ = event;
  volume_ = volume;
  position_ = position;
  before_ = 0;
  duration_ = 0;
  is_open_ = is_first_ = true;
  ends_left_ = 0;
}

void EventPackets::send(bool ends, PacketEncoder& place, MadePackets& out) {
  std::array<std::byte, 4> payload{};
  write_u8(payload, 0, event_);
  write_u8(payload, 1, static_cast<std::uint8_t>((ends ? 0x80 : 0) | (volume_ & 0x3f)));
  write_u16(payload, 2, static_cast<std::uint16_t>(duration_));
  MadePacket packet;
  packet.type = type_.type;
  packet.marker = is_first_;
  packet.units = place.units_to(position_);
  packet.payload = payload;
  packet.clock_rate_hz = place.clock_hz();
  place.note_other(position_);
  is_first_ = false;
  out.take(packet);
}

void EventPackets::measure(Duration length, PacketEncoder& place, MadePackets& out) {
  std::int64_t units = units_in(length, type_.clock_rate_hz) - before_;
  for (unsigned made = 0; units > kLongest && made < kMostSegments; ++made) {
    // A full segment, without an end; the next one begins where it stops.
    duration_ = static_cast<std::uint32_t>(kLongest);
    send(false, place, out);
    position_ += scaled_units(kLongest, type_.clock_rate_hz, place.rate_hz());
    before_ += kLongest;
    units -= kLongest;
    duration_ = 0;
  }
  duration_ = std::max(duration_, static_cast<std::uint32_t>(std::clamp<std::int64_t>(units, 0, kLongest)));
}

void EventPackets::go_on(Duration length, PacketEncoder& place, MadePackets& out) {
  if (!is_open_) return;
  measure(length, place, out);
  send(false, place, out);
}

void EventPackets::end(Duration length, PacketEncoder& place, Instant now, MadePackets& out) {
  if (!is_open_) return;
  measure(length, place, out);
  is_open_ = false;
  send(true, place, out);
  ends_left_ = kEnds - 1;
  next_ = now + kInterval;
}

void EventPackets::run(Instant now, PacketEncoder& place, MadePackets& out) {
  while (ends_left_ > 0 && next_ <= now) {
    send(true, place, out);
    --ends_left_;
    next_ += kInterval;
  }
}

void EventPackets::flush(PacketEncoder& place, MadePackets& out) {
  for (; ends_left_ > 0; --ends_left_) send(true, place, out);
}

}  // namespace ferry
