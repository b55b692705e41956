// SPDX-License-Identifier: Apache-2.0
// Loss, jitter, reordering and drift: what they cost in delay, in sound and in the regularity of what leaves.
//
// The sound is L16, in which every sample says which packet it came in. So each sample of the output tells
// how long it was held, and nothing is judged by ear.
#include "codecs/transcode/sample_time.hpp"
#include "codecs/transcode/transcoder.hpp"
#include "relay/base/bytes.hpp"
#include "tests/support/transcode.hpp"

#include <map>

namespace ferry::jitter_test {
namespace {

using std::chrono::milliseconds;
using test::Heard;
using test::Sent;
using test::TranscodeWorld;

const AudioFormat kL16{"L16", 8000, 1, ""};

struct Outcome {
  /// How long packets were held in the stage.
  Duration held_p95{0};
  /// Delay of the network against the least one.
  Duration jitter_p99{0};
  /// Share of the packets that came and were heard, at least in part.
  double heard = 0;
  /// Share of the output that was made up although its packet came.
  double made_up = 0;
  /// Share of packets that left within 1 ms of the packet time behind the one before.
  double paced = 0;
  /// Farthest that a timestamp was off the clock on the wall.
  Duration off_line{0};
};

Duration quantile(std::vector<Duration> all, double share) {
  if (all.empty()) return Duration{0};
  std::ranges::sort(all);
  return all[std::min(all.size() - 1, static_cast<std::size_t>(share * static_cast<double>(all.size())))];
}

/// Sends `count` packets of 20 ms over a link; the sender's clock is fast by `drift`.
Outcome play(const test::Trouble& trouble, std::uint16_t count, double drift = 0, std::uint64_t seed = 1) {
  AudioConversion terms = test::conversion(kL16, kL16);
  TranscodeWorld world(terms);
  test::LinkPath link(seed, 1);
  link.set(trouble);
  std::map<int, Instant> arrived;
  std::vector<Duration> delays;
  for (std::uint16_t i = 0; i < count; ++i) {
    Sent packet;
    packet.type = PayloadType{96};
    packet.sequence = static_cast<std::uint16_t>(i + 65'000);
    packet.timestamp = i * 160u + 0xffff'f000u;
    packet.payload.resize(320);
    for (std::size_t k = 0; k < 320; k += 2) write_u16(packet.payload, k, static_cast<std::uint16_t>(i + 1));
    const Duration spoken(static_cast<std::int64_t>(i * 20e6 * (1 - drift)));
    for (const Duration travel : link.carry(spoken)) {
      world.arrive(TranscodeWorld::kStart + spoken + travel, packet);
      if (arrived.contains(i + 1)) continue;
      arrived[i + 1] = TranscodeWorld::kStart + spoken + travel;
      delays.push_back(travel);
    }
  }
  world.run(TranscodeWorld::kStart + milliseconds(20 * count + 1000));
  Outcome outcome;
  std::vector<Duration> held;
  std::map<int, bool> was_heard;
  std::size_t samples = 0;
  std::size_t empty = 0;
  std::size_t regular = 0;
  for (std::size_t i = 0; i < world.heard.size(); ++i) {
    const Heard& each = world.heard[i];
    for (std::size_t k = 0; k + 1 < each.payload.size(); k += 2, ++samples) {
      const int value = read_u16(each.payload, k);
      const auto from = arrived.find(value);
      if (from == arrived.end()) {
        ++empty;
        continue;
      }
      if (was_heard.emplace(value, true).second) held.push_back(each.at - from->second);
    }
    const Duration line = each.at - world.heard[0].at - time_of(each.position, 8000);
    outcome.off_line = std::max<Duration>(outcome.off_line, std::chrono::abs(line));
    if (i > 0 && std::chrono::abs(each.at - world.heard[i - 1].at - milliseconds(20)) <= milliseconds(1))
      ++regular;
  }
  const Duration least = *std::ranges::min_element(delays);
  for (Duration& each : delays) each -= least;
  outcome.jitter_p99 = quantile(delays, 0.99);
  outcome.held_p95 = quantile(held, 0.95);
  outcome.heard = static_cast<double>(was_heard.size()) / static_cast<double>(arrived.size());
  outcome.made_up = static_cast<double>(empty) / static_cast<double>(samples);
  outcome.paced = static_cast<double>(regular) / static_cast<double>(world.heard.size() - 1);
  return outcome;
}

TEST(Jitter, DelayIsAsSmallAsTheJitterAllows) {
  for (const bool keeps_order : {true, false}) {
    for (const int jitter : {0, 2, 10, 20, 40, 60, 80}) {
      for (const double loss : {0.0, 0.05, 0.2}) {
        test::Trouble trouble;
        trouble.loss = loss;
        trouble.jitter = milliseconds(jitter);
        trouble.delay = milliseconds(30);
        trouble.keeps_order = keeps_order;
        SCOPED_TRACE("jitter " + std::to_string(jitter) + " loss " + std::to_string(loss) +
                     (keeps_order ? " in order" : ""));
        const Outcome outcome = play(trouble, 1500);
        EXPECT_LE(outcome.held_p95, outcome.jitter_p99 + milliseconds(20));
        EXPECT_GE(outcome.heard, 0.98);
        EXPECT_LE(outcome.made_up, loss + 0.03);
        EXPECT_GE(outcome.paced, 0.9);
        EXPECT_LE(outcome.off_line, milliseconds(20));
      }
    }
  }
}

TEST(Jitter, AClockThatDriftsIsFollowed) {
  for (const double drift : {-0.003, -0.0002, 0.0002, 0.003}) {
    test::Trouble trouble;
    trouble.delay = milliseconds(30);
    trouble.jitter = milliseconds(5);
    SCOPED_TRACE(drift);
    const Outcome outcome = play(trouble, 10'000, drift);
    EXPECT_LE(outcome.held_p95, milliseconds(30));
    EXPECT_LE(outcome.off_line, milliseconds(20));
  }
}

}  // namespace
}  // namespace ferry::jitter_test
