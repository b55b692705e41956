#include "control/negotiate/named_codecs.hpp"

#include "control/sdp/codec_list.hpp"
#include "control/sdp/words.hpp"
#include "relay/core/rtp/static_types.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>

namespace ferry {

namespace {

/// The first payload type that has no meaning of its own (RFC 3551 §6), and the last of all.
constexpr std::uint8_t kFirstDynamic = 96;
constexpr std::uint8_t kLastType = 127;

/// Clock rate and channels of a codec with a dynamic type, if the client does not name them. Codecs that are
/// not in the table have 8000 Hz and one channel. Opus has no other rate and channels (RFC 7587 §7).
struct UsualRate {
  std::string_view name;
  std::uint32_t clock_rate_hz;
  std::uint32_t channels;
};
constexpr std::array<UsualRate, 10> kUsualRates = {{{"opus", 48000, 2},
                                                    {"AMR-WB", 16000, 1},
                                                    {"EVS", 16000, 1},
                                                    {"VP8", 90000, 1},
                                                    {"VP9", 90000, 1},
                                                    {"AV1", 90000, 1},
                                                    {"H264", 90000, 1},
                                                    {"H265", 90000, 1},
                                                    {"H263-1998", 90000, 1},
                                                    {"rtx", 90000, 1}}};

/// Reads `NAME[/clock[/channels[/...]]]` of a client (docs/reference/ng.md#codecs) as a codec without a
/// number. The parts behind the channels are about encoders. The name is empty if a number cannot be read.
sdp::Codec codec_of(std::string_view specification) {
  std::array<std::string_view, 3> parts;
  for (std::string_view& part : parts) {
    const auto end = std::min(specification.find('/'), specification.size());
    part = specification.substr(0, end);
    specification.remove_prefix(std::min(end + 1, specification.size()));
  }
  const auto* const usual = std::ranges::find_if(
      kUsualRates, [&](const UsualRate& row) { return sdp::equal_ignoring_case(row.name, parts[0]); });
  const bool is_known = usual != kUsualRates.end();
  sdp::Codec codec;
  codec.clock_rate_hz = is_known ? usual->clock_rate_hz : 8000;
  codec.channels = is_known ? usual->channels : 1;
  const auto read = [](std::string_view text, std::uint32_t& number) {
    if (text.empty()) return true;
    std::int64_t value = 0;
    if (!sdp::read_number(text, value) || value < 1 || value > 1'000'000) return false;
    number = static_cast<std::uint32_t>(value);
    return true;
  };
  if (!read(parts[1], codec.clock_rate_hz) || !read(parts[2], codec.channels)) return {};
  if (sdp::equal_ignoring_case(parts[0], "opus")) codec.clock_rate_hz = 48000, codec.channels = 2;
  codec.name = parts[0];
  return codec;
}

/// The codec of RFC 3551 that `specification` names. The name is empty if there is none.
sdp::Codec static_codec(std::string_view specification) {
  for (std::uint8_t type = 0; type < kFirstDynamic; ++type) {
    const StaticType* known = static_type(type);
    if (known == nullptr) continue;
    const sdp::Codec codec = {type, known->name, known->clock_rate_hz, known->channels, {}, {}, {}};
    if (sdp::matches_specification(specification, codec)) return codec;
  }
  return {};
}

}  // namespace

bool is_codec_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_' || c == '/';
  });
}

sdp::MediaSection named_section(std::string type, const std::vector<std::string>& names,
                                std::deque<std::string>& texts) {
  sdp::MediaSection section;
  texts.push_back(std::move(type));
  section.type = texts.back();
  section.protocol = sdp::parse_protocol("RTP/AVP");
  std::vector<std::string_view> wanted;
  std::ranges::copy_if(names, std::back_inserter(wanted), is_codec_name);
  if (wanted.empty() && section.type == "audio") wanted = {"PCMU", "PCMA"};
  if (wanted.empty()) wanted = {"H264/90000"};
  std::uint8_t next = kFirstDynamic;
  for (const std::string_view specification : wanted) {
    sdp::Codec codec = static_codec(specification);
    if (codec.name.empty()) {
      codec = codec_of(specification);
      if (next > kLastType || codec.name.empty()) continue;
      std::string map = std::string(codec.name) + '/' + std::to_string(codec.clock_rate_hz);
      if (codec.channels > 1) map += '/' + std::to_string(codec.channels);
      texts.push_back(std::move(map));
      codec.payload_type = next++;
      codec.rtpmap = texts.back();
      codec.name = codec.rtpmap.substr(0, codec.name.size());
    }
    section.codecs.push_back(codec);
  }
  return section;
}

}  // namespace ferry
