// SPDX-License-Identifier: Apache-2.0
// The codecs of the static RTP payload types, which SDP need not explain (RFC 3551 §6).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace ferry {

/// Describes one static payload type.
struct StaticType {
  std::uint8_t payload_type;
  /// Encoding name as in `a=rtpmap`.
  std::string_view name;
  std::uint32_t clock_rate_hz;
  std::uint32_t channels;
  /// False for video.
  bool is_audio;
};

/// Comfort noise of a codec with a clock of 8000 Hz (RFC 3389 §4).
inline constexpr std::uint8_t kComfortNoiseType = 13;

inline constexpr std::array<StaticType, 25> kStaticTypes = {{
    {0, "PCMU", 8000, 1, true},    {3, "GSM", 8000, 1, true},     {4, "G723", 8000, 1, true},
    {5, "DVI4", 8000, 1, true},    {6, "DVI4", 16000, 1, true},   {7, "LPC", 8000, 1, true},
    {8, "PCMA", 8000, 1, true},    {9, "G722", 8000, 1, true},    {10, "L16", 44100, 2, true},
    {11, "L16", 44100, 1, true},   {12, "QCELP", 8000, 1, true},  {13, "CN", 8000, 1, true},
    {14, "MPA", 90000, 1, true},   {15, "G728", 8000, 1, true},   {16, "DVI4", 11025, 1, true},
    {17, "DVI4", 22050, 1, true},  {18, "G729", 8000, 1, true},   {19, "CN", 8000, 1, true},
    {25, "CelB", 90000, 1, false}, {26, "JPEG", 90000, 1, false}, {28, "nv", 90000, 1, false},
    {31, "H261", 90000, 1, false}, {32, "MPV", 90000, 1, false},  {33, "MP2T", 90000, 1, false},
    {34, "H263", 90000, 1, false},
}};

/// The row of a static payload type; null for dynamic and unassigned types. Type 19 is reserved, but old
/// devices use it for comfort noise, so it has a row.
constexpr const StaticType* static_type(std::uint8_t payload_type) noexcept {
  const auto* const found = std::ranges::find(kStaticTypes, payload_type, &StaticType::payload_type);
  return found == kStaticTypes.end() ? nullptr : found;
}

}  // namespace ferry
