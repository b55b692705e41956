// SPDX-License-Identifier: Apache-2.0
#include "control/call/media_codecs.hpp"

#include "relay/base/text.hpp"
#include "relay/core/audio/format_parameters.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <string_view>

namespace ferry {

namespace {

/// Codecs that stand for one octet in a packed list. New rows go to the end.
struct Known {
  std::string_view name;
  std::uint32_t clock_rate_hz;
  unsigned channels;
};
constexpr std::array<Known, 20> kKnown = {{{"PCMU", 8000, 1},
                                           {"PCMA", 8000, 1},
                                           {"G722", 8000, 1},
                                           {"G729", 8000, 1},
                                           {"telephone-event", 8000, 1},
                                           {"telephone-event", 16000, 1},
                                           {"telephone-event", 48000, 1},
                                           {"CN", 8000, 1},
                                           {"CN", 16000, 1},
                                           {"opus", 48000, 2},
                                           {"AMR", 8000, 1},
                                           {"AMR-WB", 16000, 1},
                                           {"GSM", 8000, 1},
                                           {"iLBC", 8000, 1},
                                           {"speex", 8000, 1},
                                           {"speex", 16000, 1},
                                           {"speex", 32000, 1},
                                           {"G726-32", 8000, 1},
                                           {"G723", 8000, 1},
                                           {"EVS", 16000, 1}}};
/// Stands for a codec that is no row of the table: its parts follow.
constexpr std::uint8_t kUnknown = 0xff;

void put_number(std::string& to, std::uint32_t number, int octets) {
  for (int i = octets - 1; i >= 0; --i) to.push_back(static_cast<char>((number >> (8 * i)) & 0xff));
}

/// Writes the length of a text, in one octet or three, and the text.
void put_text(std::string& to, std::string_view text) {
  text = text.substr(0, 0xffff);
  if (text.size() < kUnknown) {
    put_number(to, static_cast<std::uint32_t>(text.size()), 1);
  } else {
    put_number(to, kUnknown, 1);
    put_number(to, static_cast<std::uint32_t>(text.size()), 2);
  }
  to += text;
}

/// Reads what the functions above wrote.
class Unpacker {
 public:
  explicit Unpacker(std::string_view packed) : left_(packed) {}
  [[nodiscard]] bool is_at_end() const { return left_.empty(); }
  std::uint32_t number(int octets) {
    std::uint32_t value = 0;
    for (int i = 0; i < octets; ++i) {
      value = (value << 8) | static_cast<std::uint8_t>(left_.front());
      left_.remove_prefix(1);
    }
    return value;
  }
  std::string text() {
    std::uint32_t size = number(1);
    if (size == kUnknown) size = number(2);
    std::string value(left_.substr(0, size));
    left_.remove_prefix(size);
    return value;
  }

 private:
  std::string_view left_;
};

/// True if a parameter of AMR is on, which has the value 0 or 1.
bool is_on(const AudioFormat& format, std::string_view name) {
  const std::string_view value = format_parameter(format.parameters, name);
  return !value.empty() && value != "0";
}

bool is_amr(const AudioFormat& format) {
  return equal_ignoring_case(format.encoding, "AMR") || equal_ignoring_case(format.encoding, "AMR-WB");
}
bool is_ilbc(const AudioFormat& format) { return equal_ignoring_case(format.encoding, "iLBC"); }

/// True if the payloads of two formats of AMR are laid out in the same way (RFC 4867 §8.3.1).
bool has_same_layout(const AudioFormat& a, const AudioFormat& b) {
  const auto is_octet_aligned = [](const AudioFormat& format) {
    // These three need octets to be aligned, so they imply it.
    return is_on(format, "octet-align") || is_on(format, "crc") || is_on(format, "robust-sorting") ||
           !format_parameter(format.parameters, "interleaving").empty();
  };
  return is_octet_aligned(a) == is_octet_aligned(b) && is_on(a, "crc") == is_on(b, "crc") &&
         is_on(a, "robust-sorting") == is_on(b, "robust-sorting") &&
         format_parameter(a.parameters, "interleaving") == format_parameter(b.parameters, "interleaving");
}

/// The mode of iLBC in ms: 30 unless the parameters say 20 (RFC 3952 §4.2).
unsigned ilbc_mode(const AudioFormat& format) {
  return format_number(format.parameters, "mode").value_or(30) == 20 ? 20 : 30;
}

/// The parameters that are in force for a codec which two SDPs name.
void agree_on_parameters(AudioFormat& own, const AudioFormat& other) {
  const auto add = [&](std::string_view text) {
    if (!own.parameters.empty()) own.parameters += ';';
    own.parameters += text;
  };
  if (is_ilbc(own)) {
    own.parameters = ilbc_mode(own) == 30 || ilbc_mode(other) == 30 ? "mode=30" : "mode=20";
  } else if (is_amr(own)) {
    const std::string_view modes = format_parameter(other.parameters, "mode-set");
    if (!modes.empty() && format_parameter(own.parameters, "mode-set").empty())
      add(std::string("mode-set=").append(modes));
  } else if (equal_ignoring_case(own.encoding, "G729")) {
    const bool has_no = format_parameter(own.parameters, "annexb") == "no";
    // RFC 7261 §3: one `no` is enough.
    if (!has_no && format_parameter(other.parameters, "annexb") == "no") own.parameters = "annexb=no";
  }
}

}  // namespace

NumberedFormat numbered_format(const sdp::Codec& codec) {
  return {PayloadType{codec.payload_type},
          {std::string(codec.name), codec.clock_rate_hz, codec.channels, std::string(codec.fmtp)}};
}

std::vector<NumberedFormat> numbered_formats(const std::vector<sdp::Codec>& codecs) {
  std::vector<NumberedFormat> formats;
  formats.reserve(codecs.size());
  std::ranges::transform(codecs, std::back_inserter(formats), numbered_format);
  return formats;
}

CodecList::CodecList(std::span<const NumberedFormat> formats) {
  for (const NumberedFormat& each : formats) {
    const AudioFormat& format = each.format;
    const auto* const row = std::ranges::find_if(kKnown, [&](const Known& known) {
      return known.name == format.encoding && known.clock_rate_hz == format.clock_rate_hz &&
             known.channels == format.channels;
    });
    put_number(packed_, each.type.value, 1);
    if (row != kKnown.end()) {
      put_number(packed_, static_cast<std::uint32_t>(row - kKnown.begin()), 1);
    } else {
      put_number(packed_, kUnknown, 1);
      put_text(packed_, format.encoding);
      put_number(packed_, format.clock_rate_hz, 4);
      put_number(packed_, format.channels, 4);
    }
    put_text(packed_, format.parameters);
  }
}

std::vector<NumberedFormat> CodecList::formats() const {
  std::vector<NumberedFormat> formats;
  for (Unpacker in(packed_); !in.is_at_end();) {
    NumberedFormat& each = formats.emplace_back();
    each.type = PayloadType{static_cast<std::uint8_t>(in.number(1))};
    const std::uint32_t row = in.number(1);
    if (row != kUnknown) {
      each.format = {std::string(kKnown[row].name), kKnown[row].clock_rate_hz, kKnown[row].channels, {}};
    } else {
      each.format.encoding = in.text();
      each.format.clock_rate_hz = in.number(4);
      each.format.channels = in.number(4);
    }
    each.format.parameters = in.text();
  }
  return formats;
}

AudioInput::Kind kind_of(const AudioFormat& format) {
  if (equal_ignoring_case(format.encoding, "telephone-event")) return AudioInput::Kind::kEvents;
  if (equal_ignoring_case(format.encoding, "CN")) return AudioInput::Kind::kComfortNoise;
  if (equal_ignoring_case(format.encoding, "red")) return AudioInput::Kind::kRedundant;
  return AudioInput::Kind::kSpeech;
}

bool is_same_codec(const AudioFormat& offered, const AudioFormat& answered) {
  if (offered.encoding.empty() || !equal_ignoring_case(offered.encoding, answered.encoding)) return false;
  if (offered.clock_rate_hz != answered.clock_rate_hz || offered.channels != answered.channels) return false;
  return !is_amr(offered) || has_same_layout(offered, answered);
}

bool passes_as(const AudioFormat& from, const AudioFormat& to) {
  return is_same_codec(from, to) && (!is_ilbc(from) || ilbc_mode(from) == ilbc_mode(to));
}

const NumberedFormat* find_codec(std::span<const NumberedFormat> formats, const NumberedFormat& wanted) {
  const NumberedFormat* found = nullptr;
  for (const NumberedFormat& each : formats) {
    if (!is_same_codec(each.format, wanted.format)) continue;
    if (each.type == wanted.type) return &each;
    if (found == nullptr) found = &each;
  }
  return found;
}

std::vector<AgreedCodec> agreed_codecs(std::span<const NumberedFormat> said,
                                       std::span<const NumberedFormat> shown) {
  std::vector<AgreedCodec> agreed;
  const bool is_answerer = said.size() <= shown.size();
  for (const NumberedFormat& each : is_answerer ? said : shown) {
    const NumberedFormat* other = find_codec(is_answerer ? shown : said, each);
    if (other == nullptr) continue;
    const NumberedFormat& own = is_answerer ? each : *other;
    const NumberedFormat& told = is_answerer ? *other : each;
    AgreedCodec& codec = agreed.emplace_back(AgreedCodec{told.type, own.type, own.format});
    agree_on_parameters(codec.format, told.format);
  }
  return agreed;
}

}  // namespace ferry
