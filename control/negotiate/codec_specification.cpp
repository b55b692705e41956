// SPDX-License-Identifier: Apache-2.0
#include "control/negotiate/codec_specification.hpp"

#include "control/sdp/words.hpp"
#include "relay/base/text.hpp"
#include "relay/core/audio/format_parameters.hpp"
#include "relay/core/rtp/static_types.hpp"

#include <algorithm>
#include <array>

namespace ferry {

namespace {

/// What the relay says of a codec that the client only names. Codecs that are not in the table have 8000 Hz,
/// one channel and no parameters. Opus has no other rate and channels (RFC 7587 §7).
struct Usual {
  std::string_view name;
  std::uint32_t clock_rate_hz;
  unsigned channels;
  std::string_view parameters;
};
constexpr std::array<Usual, 14> kUsual = {{{"opus", 48000, 2, "useinbandfec=1"},
                                           {"AMR", 8000, 1, "mode-change-capability=2"},
                                           {"AMR-WB", 16000, 1, "mode-change-capability=2"},
                                           {"iLBC", 8000, 1, "mode=30"},
                                           {"telephone-event", 8000, 1, "0-15"},
                                           {"EVS", 16000, 1, ""},
                                           {"L16", 8000, 1, ""},
                                           {"VP8", 90000, 1, ""},
                                           {"VP9", 90000, 1, ""},
                                           {"AV1", 90000, 1, ""},
                                           {"H264", 90000, 1, ""},
                                           {"H265", 90000, 1, ""},
                                           {"H263-1998", 90000, 1, ""},
                                           {"rtx", 90000, 1, ""}}};

/// Reads a number between 1 and one million into `number`. True if the text is empty or such a number.
template <class Int>
bool read_part(std::string_view text, Int& number) {
  if (text.empty()) return true;
  std::int64_t value = 0;
  if (!sdp::read_number(text, value) || value < 1 || value > 1'000'000) return false;
  number = static_cast<Int>(value);
  return true;
}

/// The parameters of a specification as a=fmtp has them.
std::string with_equals_signs(std::string_view text) {
  std::string written(text);
  for (auto at = written.find("--"); at != std::string::npos; at = written.find("--"))
    written.replace(at, 2, "=");
  return written;
}

}  // namespace

std::optional<CodecSpecification> read_specification(std::string_view text) {
  // The text may become a line of an SDP.
  if (std::ranges::any_of(text, [](unsigned char c) { return c < ' '; })) return std::nullopt;
  std::array<std::string_view, 7> parts;
  for (std::string_view& part : parts) {
    const auto end = std::min(text.find('/'), text.size());
    part = sdp::trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  const std::string_view name = sdp::encoding_name(parts[0]);
  if (name.empty()) return std::nullopt;
  const auto* const usual =
      std::ranges::find_if(kUsual, [&](const Usual& row) { return equal_ignoring_case(row.name, name); });
  CodecSpecification read;
  read.format.encoding = usual != kUsual.end() ? usual->name : name;
  if (usual != kUsual.end()) {
    read.format.clock_rate_hz = usual->clock_rate_hz;
    read.format.channels = usual->channels;
    read.format.parameters = usual->parameters;
  } else {
    // The table of RFC 3551 knows the right spelling.
    const auto* const known = std::ranges::find_if(
        kStaticTypes, [&](const StaticType& row) { return equal_ignoring_case(row.name, name); });
    if (known != kStaticTypes.end())
      read.format = {std::string(known->name), known->clock_rate_hz, known->channels, {}};
  }
  read.has_clock_rate = !parts[1].empty();
  std::uint32_t ptime = 0;
  if (!read_part(parts[1], read.format.clock_rate_hz) || !read_part(parts[2], read.format.channels) ||
      !read_part(parts[3], read.bitrate_bps) || !read_part(parts[4], ptime)) {
    return std::nullopt;
  }
  if (equal_ignoring_case(name, "opus")) read.format.clock_rate_hz = 48000, read.format.channels = 2;
  read.ptime_ms = static_cast<std::uint16_t>(std::min<std::uint32_t>(ptime, 1000));
  if (!parts[5].empty()) read.format.parameters = with_equals_signs(parts[5]);
  if (read.bitrate_bps == 0)
    read.bitrate_bps = format_number(read.format.parameters, "maxaveragebitrate").value_or(0);
  const std::string options = with_equals_signs(parts[6]);
  if (const auto complexity = format_number(options, "complexity"); complexity && *complexity <= 10)
    read.complexity = static_cast<int>(*complexity);
  return read;
}

std::optional<std::uint8_t> static_number(const AudioFormat& format) {
  for (const StaticType& row : kStaticTypes) {
    // 19 is reserved (RFC 3551 §6), and only old devices use it.
    if (row.payload_type != 19 && equal_ignoring_case(row.name, format.encoding) &&
        row.clock_rate_hz == format.clock_rate_hz && row.channels == format.channels)
      return row.payload_type;
  }
  return std::nullopt;
}

sdp::Codec line_of(const NumberedFormat& codec, std::deque<std::string>& texts) {
  const AudioFormat& format = codec.format;
  std::string map = format.encoding + '/' + std::to_string(format.clock_rate_hz);
  if (format.channels > 1) map += '/' + std::to_string(format.channels);
  sdp::Codec line;
  line.payload_type = codec.type.value;
  line.rtpmap = texts.emplace_back(std::move(map));
  line.name = line.rtpmap.substr(0, format.encoding.size());
  line.clock_rate_hz = format.clock_rate_hz;
  line.channels = format.channels;
  if (!format.parameters.empty()) line.fmtp = texts.emplace_back(format.parameters);
  return line;
}

}  // namespace ferry
