// SPDX-License-Identifier: Apache-2.0
// Every codec into every other through a receiver's stage: one source sends speech in one codec after the
// other, and the receiver hears all of it in its own. FFmpeg's decoders judge what leaves, beside the
// libraries called without the relay's code.

#include "codecs/audio/plugin.hpp"
#include "tests/support/codec_rows.hpp"
#include "tests/support/transcode.hpp"

#include <chrono>

#include <gtest/gtest.h>

namespace ferry {
namespace {

using test::CodecRow;
using test::Payloads;
using test::Samples;
using test::TranscodeWorld;

constexpr std::chrono::milliseconds kPart(600);
constexpr double kSeconds = 0.6;
constexpr std::uint8_t kFirstType = 10;

std::chrono::milliseconds length_of(const CodecRow& row) {
  return std::chrono::milliseconds(row.packet * 1000 / test::rate_of(row));
}

/// What each row says, encoded once.
std::vector<Payloads> voices(const std::vector<CodecRow>& rows) {
  std::vector<Payloads> all;
  for (const CodecRow& row : rows) all.push_back(encoded(row, test::speech(test::rate_of(row), kSeconds)));
  return all;
}

/// What leaves toward a receiver with the codec of `to`, while its source says every voice, each under an
/// SSRC of its own, because their clocks differ.
std::vector<test::Heard> through_stage(const std::vector<CodecRow>& rows, const std::vector<Payloads>& said,
                                       const CodecRow& to) {
  AudioConversion terms;
  for (std::size_t i = 0; i < rows.size(); ++i)
    terms.inputs.push_back(test::speech_input(static_cast<std::uint8_t>(kFirstType + i), rows[i].format));
  terms.type = PayloadType{97};
  terms.format = to.format;
  terms.settings = to.settings;
  terms.ptime_ms = static_cast<std::uint16_t>(length_of(to).count());
  TranscodeWorld world(terms);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::chrono::milliseconds length = length_of(rows[i]);
    const auto units = static_cast<std::uint32_t>(rows[i].format.clock_rate_hz / 1000 * length.count());
    for (std::size_t k = 0; k < said[i].size(); ++k) {
      test::Sent packet;
      packet.ssrc.value = static_cast<std::uint32_t>(1000 + i);
      packet.sequence = static_cast<std::uint16_t>(k);
      packet.timestamp = static_cast<std::uint32_t>(k) * units;
      packet.type = PayloadType{static_cast<std::uint8_t>(kFirstType + i)};
      packet.marker = k == 0;
      packet.payload = said[i][k];
      world.arrive(TranscodeWorld::kStart + kPart * static_cast<int>(i) + length * static_cast<int>(k),
                   packet);
    }
  }
  world.run(TranscodeWorld::kStart + kPart * static_cast<int>(rows.size()) - std::chrono::milliseconds(1));
  return world.heard;
}

/// At 8 kHz: what was heard from the first packet on that left in the time of part `i`.
Samples part_of(const std::vector<test::Heard>& left, std::span<const std::int16_t> heard, std::size_t i,
                std::size_t packet_at_8k, std::span<const std::int16_t> original) {
  const Instant begin = TranscodeWorld::kStart + kPart * static_cast<int>(i);
  const auto first = std::ranges::find_if(left, [&](const test::Heard& each) { return each.at >= begin; });
  const std::size_t from = static_cast<std::size_t>(first - left.begin()) * packet_at_8k;
  if (from >= heard.size()) return {};
  const auto rest = heard.subspan(from, std::min(heard.size() - from, original.size() + 800));
  return test::aligned(original, rest, 8000);
}

TEST(StageMatrix, EveryPairIsAsGoodAsTheBareLibraries) {
  set_codec_plugin_folder(FERRY_PLUGINS);
  if (!test::has_ffmpeg()) GTEST_SKIP() << "ffmpeg is not there";
  const std::vector<CodecRow> rows = test::codec_rows();
  ASSERT_GE(rows.size(), 22u);
  const std::vector<Payloads> said = voices(rows);
  const Samples original = test::speech(8000, kSeconds);
  for (const CodecRow& to : rows) {
    const std::uint32_t rate = test::rate_of(to);
    const auto left = through_stage(rows, said, to);
    Payloads payloads;
    for (const test::Heard& each : left) payloads.push_back(each.payload);
    const std::uint32_t judged_rate = to.format.encoding == "opus" ? 48'000 : rate;
    const auto judged = test::heard_by_others(to, payloads, judged_rate);
    ASSERT_TRUE(judged) << test::name_of(to);
    const Samples theirs = test::resampled(*judged, judged_rate, 8000);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const CodecRow& from = rows[i];
      const std::string pair = test::name_of(from) + " -> " + test::name_of(to);
      const std::uint32_t from_rate = test::rate_of(from);
      const Samples spoken = test::speech(from_rate, kSeconds);
      const Samples once = test::resampled(
          from.bare ? test::through_bare(from, spoken) : test::decoded_by_us(from, said[i]), from_rate, rate);
      const Samples bare = test::aligned(
          original, to.bare ? test::through_bare(to, once) : test::decoded_by_us(to, test::encoded(to, once)),
          rate);
      const double by_bare = test::spectral_distance(original, bare);
      const Samples heard = part_of(left, theirs, i, to.packet * 8000 / rate, original);
      EXPECT_LE(test::spectral_distance(original, heard), by_bare + 1) << pair;
      EXPECT_LT(by_bare, 12) << pair;
    }
  }
}

}  // namespace
}  // namespace ferry
