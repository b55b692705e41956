// SPDX-License-Identifier: Apache-2.0
#include "control/command/playback_format.hpp"

#include "control/command/own_section.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace ferry {

namespace {

constexpr std::string_view kEvents = "telephone-event";
constexpr unsigned kUsualMs = 20;
constexpr unsigned kLongestMs = 120;
// Clocks of telephone-event in Hz that digits are sent with. A peer writes the clock: 0 would give events
// without a duration, and a very high one durations that no number holds.
constexpr std::uint32_t kLeastEventHz = 1000;
constexpr std::uint32_t kMostEventHz = 192'000;

/// The packet time of `a=ptime`, or the usual one if it has none, or a strange one.
unsigned packet_ms_of(std::string_view ptime) {
  unsigned ms = 0;
  const auto [end, error] = std::from_chars(ptime.data(), ptime.data() + ptime.size(), ms);
  return error == std::errc{} && ms >= 10 && ms <= kLongestMs && ms % 10 == 0 ? ms : kUsualMs;
}

AudioFormat format_of(const sdp::Codec& codec) {
  return {std::string(codec.name), codec.clock_rate_hz, codec.channels, std::string(codec.fmtp)};
}

bool is_events(const sdp::Codec& codec) { return sdp::equal_ignoring_case(codec.name, kEvents); }

bool has_event_clock(const sdp::Codec& codec) {
  return codec.clock_rate_hz >= kLeastEventHz && codec.clock_rate_hz <= kMostEventHz;
}

}  // namespace

std::optional<PlaybackFormat> playback_format(const Media& media, SoundLibrary& sounds) {
  const MediaTerms& terms = media.in_force();
  if (terms.type != "audio" || terms.kind != TransportKind::kRtp || terms.rejected ||
      terms.passing != Passing::kNo || media.untouched)
    return std::nullopt;
  const auto session = sdp::parse(media.leg->last_sdp);
  const auto* section = session ? section_of(*session, media) : nullptr;
  if (section == nullptr) return std::nullopt;
  const auto encodes = [&](const sdp::Codec& codec) {
    return !codec.name.empty() && !is_events(codec) && sounds.encodes(format_of(codec));
  };
  const auto is_shown = [&](const sdp::Codec& codec) { return terms.shown.test(codec.payload_type & 0x7f); };
  auto chosen = std::ranges::find_if(
      section->codecs, [&](const sdp::Codec& codec) { return is_shown(codec) && encodes(codec); });
  if (chosen == section->codecs.end()) chosen = std::ranges::find_if(section->codecs, encodes);
  if (chosen == section->codecs.end()) return std::nullopt;
  PlaybackFormat found{
      PayloadType{chosen->payload_type}, format_of(*chosen), packet_ms_of(section->ptime), {}};
  for (const sdp::Codec& codec : section->codecs) {
    if (!is_events(codec) || !has_event_clock(codec)) continue;
    const bool fits = codec.clock_rate_hz == chosen->clock_rate_hz;
    if (!found.events || fits) found.events = OtherType{PayloadType{codec.payload_type}, codec.clock_rate_hz};
    if (fits) break;
  }
  return found;
}

}  // namespace ferry
