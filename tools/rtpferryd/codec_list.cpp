// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryd/codec_list.hpp"

#include <fmt/format.h>

namespace ferry {

namespace {

constexpr std::string_view kLine = "{:<20} {:<7} {:<7} {}\n";

std::string line_of(const CodecAbility& codec) {
  std::string name = fmt::format("{}/{}", codec.format.encoding, codec.format.clock_rate_hz);
  if (codec.format.channels != 1) name += fmt::format("/{}", codec.format.channels);
  // One sentence is enough if both say the same with another word.
  const std::string& why = codec.no_decoder.empty() ? codec.no_encoder : codec.no_decoder;
  std::string remark = codec.remark;
  if (!why.empty()) remark += (remark.empty() ? "" : "; ") + why;
  std::string line = fmt::format(kLine, name, codec.no_decoder.empty() ? "yes" : "no",
                                 codec.no_encoder.empty() ? "yes" : "no", remark);
  while (line.size() > 1 && line[line.size() - 2] == ' ') line.erase(line.size() - 2, 1);
  return line;
}

}  // namespace

std::string codec_table_text(std::span<const CodecAbility> codecs) {
  std::string text = fmt::format(kLine, "codec", "decode", "encode", "remark");
  for (const CodecAbility& codec : codecs) text += line_of(codec);
  text += fmt::format(kLine, "red", "yes", "yes", "earlier payloads of any codec travel again (RFC 2198)");
  text += fmt::format(kLine, "telephone-event", "yes", "yes",
                      "keys (RFC 4733), at the clock of the audio beside them");
  return text;
}

}  // namespace ferry
