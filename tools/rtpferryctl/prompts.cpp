// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryctl/prompts.hpp"

#include "codecs/audio/audio_format.hpp"
#include "codecs/audio/codec_table.hpp"
#include "codecs/audio/resampler.hpp"
#include "codecs/audio/simple_encoders.hpp"
#include "relay/base/result.hpp"
#include "tools/rtpferryctl/exit_codes.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include <fmt/format.h>
#include <sndfile.h>

namespace ferry::ctl {

namespace {

constexpr std::size_t kLongestSeconds = 3600;
constexpr std::array<std::uint8_t, 4> kTypes = {0, 3, 8, 9};

int refuse(const std::string& sentence) {
  fmt::print(stderr, "rtpferryctl: {}\n", sentence);
  return kExitRefused;
}

struct CloseFile {
  void operator()(SNDFILE* file) const { sf_close(file); }
};

/// Mixes all channels of the file into one.
struct Audio {
  std::uint32_t rate_hz = 0;
  std::vector<std::int16_t> samples;
};

/// Fails with a sentence.
Result<Audio, std::string> read_audio(const std::string& path) {
  SF_INFO info{};
  const std::unique_ptr<SNDFILE, CloseFile> file(sf_open(path.c_str(), SFM_READ, &info));
  if (!file) return fail(fmt::format("cannot read {}: {}", path, sf_strerror(nullptr)));
  if (info.samplerate <= 0 || info.channels <= 0 ||
      static_cast<std::size_t>(info.frames) > kLongestSeconds * static_cast<std::size_t>(info.samplerate))
    return fail(fmt::format("{} is longer than an hour", path));
  // Samples above full scale are clipped, so that they do not wrap.
  sf_command(file.get(), SFC_SET_CLIPPING, nullptr, SF_TRUE);
  Audio audio;
  audio.rate_hz = static_cast<std::uint32_t>(info.samplerate);
  const auto channels = static_cast<std::size_t>(info.channels);
  std::vector<short> frames(4096 * channels);
  while (true) {
    const sf_count_t got = sf_readf_short(file.get(), frames.data(), 4096);
    if (got <= 0) break;
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      int sum = 0;
      for (std::size_t c = 0; c < channels; ++c) sum += frames[i * channels + c];
      audio.samples.push_back(static_cast<std::int16_t>(sum / info.channels));
    }
  }
  if (audio.samples.empty()) return fail(fmt::format("{} has no audio in it", path));
  return audio;
}

}  // namespace

int run_makeprompt(std::span<const std::string> words) {
  if (words.empty() || words.size() > 2 || words[0].starts_with("--")) {
    fmt::print(stderr,
               "rtpferryctl: makeprompt needs an audio file, and where to (--help lists the commands)\n");
    return kExitUsage;
  }
  const auto audio = read_audio(words[0]);
  if (!audio) return refuse(audio.error());
  const auto dot = words[0].rfind('.');
  const bool has_ending = dot != std::string::npos && words[0].find('/', dot) == std::string::npos;
  const std::string base = words.size() == 2 ? words[1] : has_ending ? words[0].substr(0, dot) : words[0];
  for (const std::uint8_t number : kTypes) {
    const auto encoder = make_audio_encoder(*static_audio_format(PayloadType{number}));
    if (!encoder) return refuse(encoder.error());
    Resampler resampler(audio->rate_hz, (*encoder)->sample_rate_hz());
    std::vector<std::int16_t> samples(resampler.room_for(audio->samples.size()) + resampler.drain_room());
    const std::size_t made = resampler.run(audio->samples, samples);
    samples.resize(made + resampler.drain(std::span(samples).subspan(made)));
    const std::vector<std::byte> payload = encode_all(**encoder, samples);
    const std::string path = fmt::format("{}.{}", base, number);
    FILE* out = fopen(path.c_str(), "wb");
    const bool written = out != nullptr && fwrite(payload.data(), 1, payload.size(), out) == payload.size();
    const int wrong = errno;
    if (out == nullptr || fclose(out) != 0 || !written)
      return refuse(fmt::format("cannot write {}: {}", path, strerror(wrong)));
    fmt::print("{} ({} octets)\n", path, payload.size());
  }
  return kExitOk;
}

}  // namespace ferry::ctl
