// SPDX-License-Identifier: Apache-2.0
// Loss, jitter, reordering and drift: what they cost in delay, in sound and in the regularity of what leaves.
// FERRY_TABLE=1: the sweep prints its table, with figures for speech (`make sweep`).
#include "tests/support/jitter_play.hpp"

#include <cstdio>
#include <cstdlib>

namespace ferry::jitter_test {
namespace {

using std::chrono::milliseconds;
using test::play_numbers;
using test::PlayedNumbers;

double in_ms(Duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

/// A link with 30 ms of delay and so much more at times.
test::Trouble trouble_of(double loss, int jitter_ms, bool keeps_order) {
  test::Trouble trouble;
  trouble.loss = loss;
  trouble.jitter = milliseconds(jitter_ms);
  trouble.delay = milliseconds(30);
  trouble.keeps_order = keeps_order;
  return trouble;
}

/// One line of the table. Speech costs seconds for each line, so only those who read it pay for it.
void print_line(double loss, int jitter_ms, bool keeps_order, const PlayedNumbers& played) {
  const test::Trouble trouble = trouble_of(loss, jitter_ms, keeps_order);
  const test::PlayedSpeech by_pcmu = test::play_speech(trouble, {"PCMU", 8000, 1, ""}, 30);
  const test::PlayedSpeech by_opus = test::play_speech(trouble, {"opus", 48'000, 2, "useinbandfec=1"}, 30);
  std::printf(
      "| %.0f %% | %d ms, %s | %.0f | %.0f / %.0f | %.0f / %.0f | %.0f | %.0f | %.1f / %.1f | %.1f |\n",
      loss * 100, jitter_ms, keeps_order ? "in order" : "any order", in_ms(played.jitter_p99),
      in_ms(played.held_p50), in_ms(played.held_p95), in_ms(played.mouth_to_ear_p50),
      in_ms(played.mouth_to_ear_p95), played.concealed_ms, played.empty_ms, by_pcmu.distance_db,
      by_pcmu.snr_db, by_opus.distance_db);
}

// The target: the buffer adds no more than the jitter and one packet, in 95 % of the packets.
TEST(Jitter, DelayIsAsSmallAsTheJitterAllows) {
  const bool prints = std::getenv("FERRY_TABLE") != nullptr;
  if (prints) {
    std::puts(
        "| loss | jitter | jitter p99 | added p50 / p95 | mouth to ear p50 / p95 | concealed | empty | "
        "PCMU: distance / SNR | Opus: distance |\n|---|---|---|---|---|---|---|---|---|");
  }
  for (const bool keeps_order : {true, false}) {
    for (const int jitter : {0, 2, 10, 20, 40, 60, 80}) {
      for (const double loss : {0.0, 0.01, 0.02, 0.05, 0.1, 0.2}) {
        SCOPED_TRACE("jitter " + std::to_string(jitter) + " loss " + std::to_string(loss) +
                     (keeps_order ? " in order" : ""));
        const PlayedNumbers played = play_numbers(trouble_of(loss, jitter, keeps_order), 3000);
        EXPECT_LE(played.held_p95, played.jitter_p99 + milliseconds(20));
        // The whole way: packetization, the least delay of the network, its jitter, and two packets at most:
        // what the buffer adds, and what a packet of the source waits for the rest of one of the receiver.
        EXPECT_LE(played.mouth_to_ear_p95,
                  milliseconds(20) + played.least + played.jitter_p99 + milliseconds(40));
        EXPECT_GE(played.heard, 0.98);
        EXPECT_LE(played.made_up, loss + 0.03);
        EXPECT_EQ(played.empty_ms, 0) << "no loss is so long that nothing leaves";
        EXPECT_GE(played.paced, 0.9);
        EXPECT_LE(played.off_line, milliseconds(20));
        if (prints && jitter != 2) print_line(loss, jitter, keeps_order, played);
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
    const PlayedNumbers played = play_numbers(trouble, 10'000, drift);
    EXPECT_LE(played.held_p95, milliseconds(30));
    EXPECT_LE(played.off_line, milliseconds(20));
  }
}

}  // namespace
}  // namespace ferry::jitter_test
