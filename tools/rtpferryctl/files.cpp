// SPDX-License-Identifier: Apache-2.0
// `convert` makes audio of a capture, and `decrypt` reads an encrypted recording. Neither needs a daemon.
//
// A capture does not say what dynamic payload types mean. They come from the command line (--rtpmap, --fmtp),
// or from the manifest beside a capture of our own, whose SDP knows them and the caller's address. The last
// SDP counts most.

#include "tools/rtpferryctl/files.hpp"

#include "control/sdp/sdp.hpp"
#include "recorder/convert/convert.hpp"
#include "recorder/files/output.hpp"
#include "relay/base/printable.hpp"
#include "tools/rtpferryctl/exit_codes.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <optional>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace ferry::ctl {

namespace {

using nlohmann::json;

int usage(std::string_view what) {
  fmt::print(stderr, "rtpferryctl: {} (--help lists the commands)\n", what);
  return kExitUsage;
}

/// Reads a format such as `96 opus/48000/2`, as it stands behind `a=rtpmap:`.
std::optional<RecordedFormat> read_rtpmap(std::string_view text) {
  unsigned type = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), type);
  if (error != std::errc{} || type > 127 || end == text.data() + text.size() || *end != ' ')
    return std::nullopt;
  const std::string body = fmt::format(
      "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP {0}\r\na=rtpmap:{1}\r\n", type,
      text);
  const auto session = sdp::parse(body);
  if (!session || session->media.empty() || session->media[0].codecs.empty()) return std::nullopt;
  const sdp::Codec& codec = session->media[0].codecs[0];
  if (codec.name.empty() || codec.clock_rate_hz == 0) return std::nullopt;
  return RecordedFormat{PayloadType{static_cast<std::uint8_t>(type)},
                        std::string(codec.name),
                        codec.clock_rate_hz,
                        codec.channels,
                        {}};
}

/// Adds what the manifest beside a capture of our own knows: payload types, and the caller's address.
void add_manifest(const std::string& capture, ConvertOptions& options) {
  const auto dot = capture.rfind('.');
  std::ifstream file(capture.substr(0, dot) + ".json");
  const json manifest = json::parse(file, nullptr, false);
  if (!manifest.is_object()) return;
  for (const json& stream : manifest.value("streams", json::array())) {
    const auto remote = Endpoint::parse(stream.value("remote", ""));
    if (remote && stream.value("party", 0) == 1) options.left.push_back(*remote);
  }
  const json bodies = manifest.value("sdp", json::array());
  // The last SDP is read first, so that it counts.
  for (auto each = bodies.rbegin(); each != bodies.rend(); ++each) {
    const std::string body = each->value("body", "");
    const auto session = sdp::parse(body);
    if (!session) continue;
    for (const sdp::MediaSection& section : session->media) {
      for (const sdp::Codec& codec : section.codecs) {
        if (codec.name.empty()) continue;
        options.formats.push_back({PayloadType{codec.payload_type}, std::string(codec.name),
                                   codec.clock_rate_hz, codec.channels, std::string(codec.fmtp)});
      }
    }
  }
}

/// Returns the formats that the sections of an SDP body expect at their addresses.
std::vector<SignalledFormats> signalled_formats(std::string_view body) {
  std::vector<SignalledFormats> found;
  const std::string text(body);
  const auto session = sdp::parse(text);
  if (!session) return found;
  for (const sdp::MediaSection& section : session->media) {
    if (!section.connection || section.port == 0) continue;
    SignalledFormats& here = found.emplace_back();
    here.at = {*section.connection, UdpPort{section.port}};
    for (const sdp::Codec& codec : section.codecs) {
      if (!codec.name.empty())
        here.formats.push_back({PayloadType{codec.payload_type}, std::string(codec.name), codec.clock_rate_hz,
                                codec.channels, std::string(codec.fmtp)});
    }
  }
  return found;
}

/// Prints the streams that a capture contains, with their problems (`--list`).
void print_streams(const Converted& converted) {
  fmt::print("{:<22} {:<22} {:>10} {:>8} {:>6} {:>5} {:>9} {:>9} {:>9} {:<7} {}\n", "FROM", "TO", "SSRC",
             "PACKETS", "LOST", "DUP", "JITTER MS", "BEGIN S", "END S", "CHANNEL", "CODECS");
  for (const FoundStream& stream : converted.streams) {
    fmt::print("{:<22} {:<22} {:>#10x} {:>8} {:>6} {:>5} {:>9.2f} {:>9.2f} {:>9.2f} {:<7} {}\n",
               stream.from.to_string(), stream.to.to_string(), stream.ssrc.value, stream.packets, stream.lost,
               stream.duplicates, stream.jitter_ms, stream.begin_s, stream.end_s,
               stream.channel == 0   ? "left"
               : stream.channel == 1 ? "right"
                                     : "(copy)",
               printable(stream.codecs));
    for (const std::string& problem : stream.problems) fmt::print("{:>22} {}\n", "", printable(problem));
  }
}

void draw_bar(double share) {
  constexpr int kWidth = 50;
  const int done = static_cast<int>(share * kWidth);
  fmt::print(stderr, "\r[{:<{}}] {:3.0f} %", std::string(static_cast<std::size_t>(done), '='), kWidth,
             share * 100);
}

}  // namespace

int run_convert(std::span<const std::string> words) {
  ConvertOptions options;
  std::vector<std::string> inputs;
  std::string output;
  bool only_list = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "-o" && i + 1 < words.size()) {
      output = words[++i];
    } else if (word.starts_with("--output=")) {
      output = word.substr(9);
    } else if (word == "--mixed") {
      options.layout = AudioLayout::kMixed;
    } else if (word == "--conceal") {
      options.loss = LossPolicy::kConceal;
    } else if (word == "--list") {
      only_list = true;
    } else if (word.starts_with("--rtpmap=")) {
      const auto format = read_rtpmap(word.substr(9));
      if (!format)
        return usage(
            fmt::format("'{}' is no payload type and encoding, as '96 opus/48000/2'", word.substr(9)));
      options.formats.push_back(*format);
    } else if (word.starts_with("--fmtp=")) {
      const std::string text = word.substr(7);
      const auto blank = text.find(' ');
      const auto known = std::ranges::find_if(options.formats, [&](const RecordedFormat& format) {
        return blank != std::string::npos && std::to_string(format.type.value) == text.substr(0, blank);
      });
      if (known == options.formats.end())
        return usage(fmt::format("'{}' belongs to no --rtpmap before it", text));
      known->parameters = text.substr(blank + 1);
    } else if (word.starts_with("-")) {
      return usage(fmt::format("unknown option '{}' of convert", word));
    } else {
      inputs.push_back(word);
    }
  }
  if (inputs.empty()) return usage("convert needs a capture");
  if (output.empty() && !only_list) return usage("convert needs -o and the file to make");
  constexpr std::array kEndings = {
      std::pair{".wav", AudioFileFormat::kWav}, std::pair{".flac", AudioFileFormat::kFlac},
      std::pair{".opus", AudioFileFormat::kOpus}, std::pair{".ogg", AudioFileFormat::kOpus},
      std::pair{".mp3", AudioFileFormat::kMp3}};
  const auto ending =
      std::ranges::find_if(kEndings, [&](const auto& each) { return output.ends_with(each.first); });
  if (ending != kEndings.end())
    options.format = ending->second;
  else if (!only_list)
    return usage(fmt::format("'{}' does not end like an audio file: .wav, .flac, .opus, .ogg, .mp3", output));
  options.read_sdp = signalled_formats;
  for (const std::string& input : inputs) add_manifest(input, options);
  const bool has_bar = isatty(STDERR_FILENO) != 0;
  if (has_bar) options.progress = draw_bar;
  const auto converted = convert(inputs, only_list ? std::string() : output, options);
  if (has_bar) fmt::print(stderr, "\r{:<60}\r", "");
  if (!converted) {
    fmt::print(stderr, "rtpferryctl: {}\n", printable(converted.error()));
    return kExitRefused;
  }
  print_streams(*converted);
  if (converted->packets_passed_over != 0)
    fmt::print("{} packets were no UDP\n", converted->packets_passed_over);
  if (!only_list) fmt::print("{}: {:.2f} s at {} Hz\n", output, converted->seconds, converted->rate_hz);
  return kExitOk;
}

int run_decrypt(std::span<const std::string> words) {
  std::string input;
  std::string output;
  std::string key;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "-o" && i + 1 < words.size())
      output = words[++i];
    else if (word.starts_with("--output="))
      output = word.substr(9);
    else if (word.starts_with("--key="))
      key = word.substr(6);
    else if (word.starts_with("-") || !input.empty())
      return usage(fmt::format("decrypt does not know '{}'", word));
    else
      input = word;
  }
  if (input.empty() || output.empty() || key.empty()) return usage("decrypt needs FILE -o OUT --key=PEM");
  const auto done = unseal(input, output, key);
  if (done) return kExitOk;
  fmt::print(stderr, "rtpferryctl: {}\n", done.error());
  return kExitRefused;
}

}  // namespace ferry::ctl
