// SPDX-License-Identifier: Apache-2.0
#include "control/negotiate/named_codecs.hpp"

#include "control/negotiate/codec_specification.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <iterator>
#include <utility>

namespace ferry {

namespace {

/// The first payload type that has no meaning of its own (RFC 3551 §6), and the last of all.
constexpr std::uint8_t kFirstDynamic = 96;
constexpr std::uint8_t kLastType = 127;

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
  for (const std::string_view name : wanted) {
    const auto specification = read_specification(name);
    if (!specification) continue;
    const auto known = static_number(specification->format);
    if (!known && next > kLastType) continue;
    NumberedFormat codec{PayloadType{known ? *known : next++}, specification->format};
    codec.format.parameters.clear();
    sdp::Codec line = line_of(codec, texts);
    // The name of a static type needs no line from the client.
    if (known) line.rtpmap = {};
    section.codecs.push_back(line);
  }
  return section;
}

}  // namespace ferry
