// SPDX-License-Identifier: Apache-2.0
// Every codec into every other: speech through a first codec, then through a second one. What comes out is
// judged by FFmpeg's decoders, which are not ours, and compared with the libraries called without us.

#include "codecs/audio/g711.hpp"
#include "codecs/audio/plugin.hpp"
#include "tests/support/codec_rows.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

using test::aligned;
using test::CodecRow;
using test::decoded_by_us;
using test::encoded;
using test::heard_by_others;
using test::Payloads;
using test::rate_of;
using test::resampled;
using test::Samples;
using test::through_bare;

constexpr double kSeconds = 0.6;

class CodecMatrix : public testing::Test {
 protected:
  void SetUp() override { set_codec_plugin_folder(FERRY_PLUGINS); }
};

TEST_F(CodecMatrix, EveryPairIsAsGoodAsTheBareLibraries) {
  if (!test::has_ffmpeg()) GTEST_SKIP() << "ffmpeg is not there";
  const std::vector<CodecRow> all = test::codec_rows();
  ASSERT_GE(all.size(), 22u);
  const Samples original = test::speech(8000, kSeconds);
  // What the first codec leaves of it, ours and bare, at 8 kHz; and at its own rate for the second one.
  std::vector<Samples> first;
  std::vector<Samples> first_bare;
  for (const CodecRow& row : all) {
    const std::uint32_t rate = rate_of(row);
    const Samples spoken = test::speech(rate, kSeconds);
    first.push_back(aligned(original, decoded_by_us(row, encoded(row, spoken)), rate));
    first_bare.push_back(row.bare ? aligned(original, through_bare(row, spoken), rate) : first.back());
  }
  const std::size_t length = original.size();
  for (const CodecRow& row : all) {
    const std::uint32_t rate = rate_of(row);
    Samples spoken;
    Samples spoken_bare;
    Samples originals;
    for (std::size_t i = 0; i < all.size(); ++i) {
      spoken.insert(spoken.end(), first[i].begin(), first[i].end());
      spoken_bare.insert(spoken_bare.end(), first_bare[i].begin(), first_bare[i].end());
      originals.insert(originals.end(), original.begin(), original.end());
    }
    const Payloads payloads = encoded(row, resampled(spoken, 8000, rate));
    const Samples ours = aligned(originals, decoded_by_us(row, payloads), rate);
    const Samples bare =
        row.bare ? aligned(originals, through_bare(row, resampled(spoken_bare, 8000, rate)), rate) : ours;
    const std::uint32_t judged_rate = row.format.encoding == "opus" ? 48'000 : rate;
    const auto judged = heard_by_others(row, payloads, judged_rate);
    ASSERT_TRUE(judged) << test::name_of(row);
    const Samples theirs = aligned(originals, *judged, judged_rate);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto part = [&](const Samples& samples) {
        return std::span(samples).subspan(i * length, length);
      };
      const double by_bare = test::spectral_distance(original, part(bare));
      const std::string pair = test::name_of(all[i]) + " -> " + test::name_of(row);
      EXPECT_LE(test::spectral_distance(original, part(ours)), by_bare + 1) << pair;
      EXPECT_LE(test::spectral_distance(original, part(theirs)), by_bare + 1) << pair << ", heard by others";
      // Two bad codecs in a row leave something of speech, too: a wrong rate or packing leaves nothing.
      EXPECT_LT(by_bare, 12) << pair;
      EXPECT_GE(test::snr_of(original, part(ours)), test::snr_of(original, part(bare)) - 1) << pair;
    }
  }
}

// A packing or a byte order that is wrong both ways would pass a test of ours alone: what FFmpeg hears in
// codecs of samples is the same wave, not only the same spectrum.
TEST_F(CodecMatrix, FfmpegHearsTheSameWave) {
  if (!test::has_ffmpeg()) GTEST_SKIP() << "ffmpeg is not there";
  for (const CodecRow& row : test::codec_rows()) {
    const std::string& name = row.format.encoding;
    const bool is_wave = name.find("G7") != std::string::npos || name.starts_with("PCM") || name == "L16";
    if (!is_wave || name == "G729" || name.ends_with("G726-40")) continue;
    const std::uint32_t rate = rate_of(row);
    const Payloads payloads = encoded(row, test::speech(rate, kSeconds));
    const Samples ours = decoded_by_us(row, payloads);
    const auto theirs = test::heard_by_ffmpeg(row.format, payloads, row.packet, rate);
    ASSERT_TRUE(theirs) << name;
    if (name == "G722") {
      EXPECT_GT(test::snr_of(aligned(ours, ours, 8000), aligned(ours, *theirs, 8000)), 30) << name;
    } else {
      EXPECT_GT(test::snr_of(ours, *theirs), name.starts_with("PCM") || name == "L16" ? 100 : 30) << name;
    }
  }
}

TEST_F(CodecMatrix, G711IsBitExact) {
  if (!test::has_ffmpeg()) GTEST_SKIP() << "ffmpeg is not there";
  std::vector<std::byte> codes(256);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::byte>(i);
  for (const bool mu : {true, false}) {
    const AudioFormat format{mu ? "PCMU" : "PCMA", 8000, 1, ""};
    const auto theirs = test::heard_by_ffmpeg(format, {codes}, 256, 8000);
    ASSERT_TRUE(theirs);
    const auto& ours = g711_samples(mu ? Law::kMu : Law::kA);
    EXPECT_TRUE(std::ranges::equal(*theirs, ours)) << format.encoding;
    // And forth: each sample gets a code in whose interval it lies, and each code its own again.
    const auto encoder = make_audio_encoder(format);
    for (int sample = -32'000; sample <= 32'000; ++sample) {
      const auto in = static_cast<std::int16_t>(sample);
      std::byte made{};
      ASSERT_EQ((*encoder)->encode({&in, 1}, {&made, 1}).octets, 1u);
      const auto code = std::to_integer<unsigned>(made);
      // Half the width of the intervals of a segment (ITU-T G.711 tables 1a and 2a), in units of 16 bits.
      const unsigned segment = (mu ? ~code : code ^ 0x55) >> 4 & 7;
      const int half = mu ? 4 << segment : 8 << (segment == 0 ? 0 : segment - 1);
      ASSERT_LE(std::abs(ours[code] - sample), half) << format.encoding << sample;
      const bool has_this = std::ranges::find(ours, in) != ours.end();
      if (has_this) {
        ASSERT_EQ(ours[code], sample) << format.encoding;
      }
    }
  }
}

}  // namespace
}  // namespace ferry
