// SPDX-License-Identifier: Apache-2.0
#include "relay/core/rtp/key_presses.hpp"

#include "relay/base/bytes.hpp"

#include <algorithm>

namespace ferry {

namespace {

// Octets of an event's payload (RFC 4733 §2.3).
constexpr std::size_t kPayloadSize = 4;
// RFC 4733 §2.5.1.3: the duration field has 16 bits.
constexpr std::uint32_t kLongestSegment = 0xffff;
/// From this length on a segment counts as nearly full: the packets that would show it full may be lost.
constexpr std::uint32_t kNearlyFull = 0xf000;

// Events have a clock of 8,000 Hz unless SDP says otherwise.
std::uint32_t rate_or_usual(std::uint32_t clock_rate_hz) { return clock_rate_hz != 0 ? clock_rate_hz : 8000; }

}  // namespace

bool KeyPresses::is_known(const State::Begun& begun) const noexcept {
  const auto* const end = state_.known.begin() + state_.known_count;
  return std::find(state_.known.begin(), end, begun) != end;
}

void KeyPresses::remember(const State::Begun& begun) noexcept {
  state_.known[state_.next_known] = begun;
  state_.next_known = static_cast<std::uint8_t>((state_.next_known + 1) % state_.known.size());
  state_.known_count =
      std::max(state_.known_count,
               static_cast<std::uint8_t>(state_.next_known == 0 ? state_.known.size() : state_.next_known));
}

bool KeyPresses::goes_on(const RtpView& packet, std::uint8_t event) const noexcept {
  if (!state_.is_open || packet.marker || packet.ssrc != state_.ssrc || event != state_.event) return false;
  // A new segment continues where the one before stops, by time stamp. That is exact if its last packet came;
  // otherwise the segment was full or nearly so.
  const std::uint32_t ahead = packet.timestamp - state_.timestamp;
  if (ahead == 0 || ahead > kLongestSegment) return false;
  return ahead == state_.segment || ahead == kLongestSegment ||
         (state_.segment >= kNearlyFull && ahead > state_.segment);
}

KeyPresses::Told KeyPresses::on_event(const RtpView& packet, const Arrival& arrival) noexcept {
  Told told;
  if (packet.payload.size() < kPayloadSize) return told;
  const std::uint8_t event = read_u8(packet.payload, 0);
  const std::uint8_t flags = read_u8(packet.payload, 1);
  const std::uint16_t duration = read_u16(packet.payload, 2);
  const State::Begun begun{packet.ssrc, packet.timestamp};
  const bool is_current =
      state_.is_open && packet.ssrc == state_.ssrc && packet.timestamp == state_.timestamp;
  // The packet begins something: a late copy of a known press, another segment, or another press.
  if (!is_current) {
    if (is_known(begun)) return told;
    if (goes_on(packet, event)) {
      // The time stamps say how long the segment before lasted, even if its last packets were lost.
      state_.before += packet.timestamp - state_.timestamp;
    } else {
      // The press before is over, although its end was not heard.
      told.former = end();
      state_.is_open = true;
      state_.ssrc = packet.ssrc;
      state_.before = 0;
      state_.event = event;
    }
    state_.timestamp = packet.timestamp;
    state_.segment = 0;
    remember(begun);
  }
  // Packets may come out of order; the longest duration counts.
  state_.segment = std::max<std::uint32_t>(state_.segment, duration);
  state_.volume = flags & 0x3f;
  state_.clock_rate_hz = arrival.clock_rate_hz;
  state_.source = arrival.source;
  state_.last_packet = arrival.at;
  if ((flags & 0x80) != 0) told.own = end();  // the end bit; its two repetitions are late copies then
  return told;
}

std::optional<DtmfEvent> KeyPresses::on_audio(const RtpView& packet, std::uint32_t clock_rate_hz) noexcept {
  if (!state_.is_open || packet.ssrc != state_.ssrc || clock_rate_hz != state_.clock_rate_hz)
    return std::nullopt;
  // Devices send audio beside events. Only audio well behind the event (a fifth of a second) shows that the
  // press is over.
  const auto behind = static_cast<std::int32_t>(packet.timestamp - (state_.timestamp + state_.segment));
  const std::uint32_t enough = rate_or_usual(clock_rate_hz) / 5;
  return behind > static_cast<std::int32_t>(enough) ? end() : std::nullopt;
}

std::optional<DtmfEvent> KeyPresses::on_time(Instant now) noexcept {
  const auto at = due();
  return at && now >= *at ? end() : std::nullopt;
}

std::optional<Instant> KeyPresses::due() const noexcept {
  if (!state_.is_open) return std::nullopt;
  return state_.last_packet + kNoUpdate;
}

std::optional<DtmfEvent> KeyPresses::end() noexcept {
  if (!state_.is_open) return std::nullopt;
  state_.is_open = false;
  // All segments together; the field of 16 bits cannot hold a long press, the milliseconds can.
  const std::uint64_t duration = std::uint64_t{state_.before} + state_.segment;
  DtmfEvent told;
  told.event = state_.event;
  told.volume = state_.volume;
  told.duration = static_cast<std::uint16_t>(std::min<std::uint64_t>(duration, kLongestSegment));
  told.duration_ms = static_cast<std::uint32_t>(duration * 1000 / rate_or_usual(state_.clock_rate_hz));
  told.source = state_.source;
  return told;
}

}  // namespace ferry
