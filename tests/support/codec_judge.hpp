// SPDX-License-Identifier: Apache-2.0
// FFmpeg's and libsndfile's own decoders as judges of payloads: a file in a container that has next to none,
// and samples back.
#pragma once

#include "codecs/audio/amr_payload.hpp"
#include "relay/core/audio/codec.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sndfile.h>
#include <unistd.h>

namespace ferry::test {

using Payloads = std::vector<std::vector<std::byte>>;

/// True if the program ffmpeg is there.
inline bool has_ffmpeg() {
  static const bool found = std::system("ffmpeg -version >/dev/null 2>&1") == 0;
  return found;
}

/// Writes packets into Ogg pages (RFC 3533), a page each.
class OggWriter {
 public:
  void page(std::span<const std::byte> packet, std::uint64_t position, bool is_last = false) {
    std::string head("OggS\0", 5);
    head += static_cast<char>((pages_ == 0 ? 2 : 0) | (is_last ? 4 : 0));
    number(head, position, 8);
    number(head, 1, 4);
    number(head, pages_++, 4);
    number(head, 0, 4);
    std::string laces;
    std::size_t left = packet.size();
    for (; left >= 255; left -= 255) laces += static_cast<char>(255);
    laces += static_cast<char>(left);
    head += static_cast<char>(laces.size());
    std::string all = head + laces;
    all.append(reinterpret_cast<const char*>(packet.data()), packet.size());
    std::string sum;
    number(sum, checksum(all), 4);
    all.replace(22, 4, sum);
    text += all;
  }
  void page(const std::string& packet) { page(std::as_bytes(std::span(packet)), 0); }
  static void number(std::string& out, std::uint64_t value, int octets) {
    for (int i = 0; i < octets; ++i) out += static_cast<char>(value >> (8 * i) & 255);
  }
  std::string text;

 private:
  static std::uint32_t checksum(const std::string& all) {
    std::uint32_t sum = 0;
    for (const char c : all) {
      sum ^= static_cast<std::uint32_t>(static_cast<unsigned char>(c)) << 24;
      for (int i = 0; i < 8; ++i) sum = (sum & 0x8000'0000) != 0 ? sum << 1 ^ 0x04c1'1db7 : sum << 1;
    }
    return sum;
  }
  std::uint32_t pages_ = 0;
};

/// How FFmpeg reads payloads of a format: what stands before `-i`, and the file.
struct JudgedFile {
  std::string words;
  std::string text;
};

inline std::string joined(const Payloads& payloads) {
  std::string text;
  for (const auto& each : payloads) text.append(reinterpret_cast<const char*>(each.data()), each.size());
  return text;
}

/// `samples_each`: of 48 kHz for Opus, of the format's clock for Speex. Nothing: FFmpeg cannot judge it.
inline std::optional<JudgedFile> judged_file(const AudioFormat& format, const Payloads& payloads,
                                             std::size_t samples_each) {
  const std::string& name = format.encoding;
  const std::string rate = std::to_string(format.clock_rate_hz);
  if (name == "PCMU") return JudgedFile{"-f mulaw -ar " + rate, joined(payloads)};
  if (name == "PCMA") return JudgedFile{"-f alaw -ar " + rate, joined(payloads)};
  if (name == "L16") return JudgedFile{"-f s16be -ar " + rate, joined(payloads)};
  if (name == "G722") return JudgedFile{"-f g722", joined(payloads)};
  if (name == "GSM") return JudgedFile{"-f gsm", joined(payloads)};
  if (name == "G729") return JudgedFile{"-f g729", joined(payloads)};
  if (name.find("G726") != std::string::npos) {
    const int bits = std::atoi(name.c_str() + name.rfind('-') + 1) / 8;
    return JudgedFile{(name[0] == 'A' ? "-f g726 -ar 8000 -code_size " : "-f g726le -ar 8000 -code_size ") +
                          std::to_string(bits),
                      joined(payloads)};
  }
  if (name == "iLBC") {
    const bool is_20 = format.parameters.find("mode=20") != std::string::npos;
    return JudgedFile{"-f ilbc", (is_20 ? "#!iLBC20\n" : "#!iLBC30\n") + joined(payloads)};
  }
  if (name == "AMR" || name == "AMR-WB") {
    const bool wide = name == "AMR-WB";
    const bool align = format.parameters.find("octet-align=1") != std::string::npos;
    std::string text = wide ? "#!AMR-WB\n" : "#!AMR\n";
    for (const auto& each : payloads) {
      const auto frames = amr_frames(each, {wide, align});
      if (!frames) return std::nullopt;
      for (const AmrFrame& frame : std::span(frames->frames).first(frames->count))
        text.append(reinterpret_cast<const char*>(frame.storage.data()), frame.size);
    }
    return JudgedFile{wide ? "-c:a amrwb -f amr" : "-c:a amrnb -f amr", text};
  }
  OggWriter ogg;
  std::string head;
  if (name == "opus") {
    head = "OpusHead\1\1";
    OggWriter::number(head, 0, 2);
    OggWriter::number(head, 48'000, 4);
    OggWriter::number(head, 0, 3);
  } else if (name == "speex") {
    head = "Speex   ";
    head += std::string("1.2").append(17, '\0');
    const std::uint32_t band = format.clock_rate_hz / 16'000;
    const std::uint32_t words[] = {
        1, 80, format.clock_rate_hz, band, 4, 1, 0xffff'ffff, 160u << band, 0, 1, 0, 0, 0};
    for (const std::uint32_t word : words) OggWriter::number(head, word, 4);
  } else {
    return std::nullopt;
  }
  ogg.page(head);
  std::string tags = name == "opus" ? "OpusTags" : "";
  OggWriter::number(tags, 1, 4);
  tags += "x";
  OggWriter::number(tags, 0, 4);
  ogg.page(tags);
  std::uint64_t position = 0;
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    position += samples_each;
    ogg.page(payloads[i], position, i + 1 == payloads.size());
  }
  return JudgedFile{name == "opus" ? "-c:a opus -f ogg" : "-c:a speex -f ogg", ogg.text};
}

/// What FFmpeg hears in payloads: mono, at `rate_hz`. Nothing if it cannot.
inline std::optional<std::vector<std::int16_t>> heard_by_ffmpeg(const AudioFormat& format,
                                                                const Payloads& payloads,
                                                                std::size_t samples_each,
                                                                std::uint32_t rate_hz) {
  const auto file = judged_file(format, payloads, samples_each);
  if (!file) return std::nullopt;
  std::string folder = (std::filesystem::temp_directory_path() / "judgeXXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return std::nullopt;
  std::ofstream(folder + "/in", std::ios::binary) << file->text;
  const std::string command = "ffmpeg -nostdin -v error " + file->words + " -i " + folder +
                              "/in -f s16le -ac 1 -ar " + std::to_string(rate_hz) + " " + folder + "/out";
  std::optional<std::vector<std::int16_t>> samples;
  if (std::system(command.c_str()) == 0) {
    std::ifstream in(folder + "/out", std::ios::binary);
    const std::string raw((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    samples.emplace();
    for (std::size_t i = 0; i + 1 < raw.size(); i += 2)
      samples->push_back(static_cast<std::int16_t>(static_cast<unsigned char>(raw[i]) |
                                                   static_cast<unsigned char>(raw[i + 1]) << 8));
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return samples;
}

/// What FFmpeg makes of samples of 8 kHz, with these words before the name of the file; empty if it cannot.
inline std::string made_by_ffmpeg(const std::string& words, std::span<const std::int16_t> samples) {
  std::string folder = (std::filesystem::temp_directory_path() / "judgeXXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return {};
  std::ofstream(folder + "/in", std::ios::binary)
      .write(reinterpret_cast<const char*>(samples.data()),
             static_cast<std::streamsize>(samples.size_bytes()));
  std::string made;
  const std::string command = "ffmpeg -nostdin -v error -f s16le -ar 8000 -ac 1 -i " + folder +
                              "/in -map 0:a " + words + " " + folder + "/out";
  if (std::system(command.c_str()) == 0) {
    std::ifstream in(folder + "/out", std::ios::binary);
    made.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return made;
}

/// What libsndfile (by Sun's code of the CCITT) hears in G.726 of 24, 32 or 40 kbit/s, packed in either way.
inline std::optional<std::vector<std::int16_t>> heard_by_sndfile(const Payloads& payloads, unsigned bits,
                                                                 bool from_most_significant) {
  std::string codes;
  unsigned held = 0;
  unsigned count = 0;
  unsigned out = 0;
  unsigned out_bits = 0;
  for (const char letter : joined(payloads)) {
    const auto octet = static_cast<unsigned char>(letter);
    held = from_most_significant ? held << 8 | octet : held | static_cast<unsigned>(octet) << count;
    for (count += 8; count >= bits; count -= bits) {
      const unsigned mask = (1u << bits) - 1;
      const unsigned code = from_most_significant ? held >> (count - bits) & mask : held & mask;
      if (!from_most_significant) held >>= bits;
      out |= code << out_bits;
      for (out_bits += bits; out_bits >= 8; out_bits -= 8, out >>= 8) codes += static_cast<char>(out & 255);
    }
  }
  std::string file = ".snd";
  // Offset of the data, its length, encoding 23 (4 bits), 25 (3) or 26 (5), rate, channels.
  for (const std::uint32_t word : {24u, static_cast<unsigned>(codes.size()),
                                   bits == 4   ? 23u
                                   : bits == 3 ? 25u
                                               : 26u,
                                   8000u, 1u})
    for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(word >> shift & 255);
  std::string folder = (std::filesystem::temp_directory_path() / "judgeXXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return std::nullopt;
  std::ofstream(folder + "/in.au", std::ios::binary) << file + codes;
  SF_INFO info{};
  std::optional<std::vector<std::int16_t>> samples;
  if (SNDFILE* in = sf_open((folder + "/in.au").c_str(), SFM_READ, &info)) {
    samples.emplace(codes.size() * 8 / bits);
    sf_read_short(in, samples->data(), static_cast<sf_count_t>(samples->size()));
    sf_close(in);
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return samples;
}

}  // namespace ferry::test
