// SPDX-License-Identifier: Apache-2.0
// Packet indices of one key: how they are guessed, when they end, and how they go on under the next key.

#include "relay/core/srtp/srtp_context.hpp"

#include "tests/support/srtp_judge.hpp"

#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::srtp_context_test {
namespace {

using test::Packet;
using test::random_key;
using test::receiver_report;
using test::rtp;
using test::seal;

TEST(SrtpIndex, EstimatesAsTheRfcSays) {
  EXPECT_EQ(estimate_index(65'535, SeqNo{0}), 65'536);
  EXPECT_EQ(estimate_index(0, SeqNo{65'535}), -1);
  EXPECT_EQ(estimate_index(65'536, SeqNo{65'535}), 65'535);
  EXPECT_EQ(estimate_index(3 * 65'536 + 40'000, SeqNo{7'000}), 4 * 65'536 + 7'000);
  EXPECT_EQ(estimate_index(3 * 65'536 + 40'000, SeqNo{8'000}), 3 * 65'536 + 8'000);
}

TEST(SrtpContext, SRT7_AKeyThatHasProtectedAllItMayStopsAndSaysSoBefore) {
  std::mt19937 random(3);
  const SrtpMasterKey key = random_key(random, SrtpSuite::kAes128Cm80);
  SrtpSender sender(EvpBackend().make(key));
  Packet report = receiver_report(7);
  ASSERT_EQ(seal(sender, report, true), SrtpResult::kOk);
  EXPECT_FALSE(sender.is_nearly_used_up());
  SrtpSender::State state = sender.state();
  state.next_rtcp = SrtpSender::kMaxRtcpIndex / 10 * 9;
  SrtpSender worn(EvpBackend().make(key));
  worn.restore(state, StateAge::kEarlier);
  report = receiver_report(7);
  ASSERT_EQ(seal(worn, report, true), SrtpResult::kOk);
  EXPECT_TRUE(worn.is_nearly_used_up());
  state.next_rtcp = SrtpSender::kMaxRtcpIndex - SrtpSender::kSkip;
  SrtpSender at_end(EvpBackend().make(key));
  at_end.restore(state, StateAge::kEarlier);
  report = receiver_report(7);
  ASSERT_EQ(seal(at_end, report, true), SrtpResult::kOk) << "the last one";
  report = receiver_report(7);
  EXPECT_EQ(seal(at_end, report, true), SrtpResult::kKeyExhausted);
  state.next_rtcp = 0xffff'ffff;  // of a damaged record
  SrtpSender damaged(EvpBackend().make(key));
  damaged.restore(state, StateAge::kEarlier);
  EXPECT_EQ(seal(damaged, report, true), SrtpResult::kKeyExhausted);
  // RTP: the roll-over counter at its end.
  SrtpStream last{Ssrc{9}, ReplayWindow(128), ReplayWindow(128)};
  last.rtp.forbid_until(SrtpSender::kMaxRtpIndex - 1);
  SrtpSender old(EvpBackend().make(key));
  old.restore({{last}, 0, SrtpSender::kMaxRtcpIndex + 1}, StateAge::kLatest);
  Packet packet = rtp('A', 9, 0xffff);
  EXPECT_EQ(seal(old, packet), SrtpResult::kOk);
  EXPECT_TRUE(old.is_nearly_used_up());
  packet = rtp('A', 9, 0);
  EXPECT_EQ(seal(old, packet), SrtpResult::kKeyExhausted);
}

TEST(SrtpContext, SRT3_ANewKeyIsTriedAtTheFormerCounterItsNeighboursAndZero) {
  std::mt19937 random(3);
  const SrtpMasterKey key = random_key(random, SrtpSuite::kAes128Cm80);
  struct Case {
    const char* what;
    std::uint64_t former;
    std::uint64_t next;  // index of the first packet that came under the new key
    bool is_heard;
  };
  const std::vector<Case> cases = {
      {"starts again at 0", 3 * 65'536 + 40'000, 100, true},
      {"starts again, same sequence", 3 * 65'536 + 40'000, 40'001, true},
      {"goes on", 3 * 65'536 + 40'000, 3 * 65'536 + 40'001, true},
      {"goes on behind a wrap", 3 * 65'536 + 65'530, 4 * 65'536 + 2, true},
      {"goes on, its last packets were lost", 2 * 65'536 + 60'000, 3 * 65'536 + 5'000, true},
      {"goes on with an earlier packet", 3 * 65'536 + 5, 2 * 65'536 + 65'530, true},
      {"one counter further", 3 * 65'536 + 40'000, 4 * 65'536 + 50'000, true},
      {"one counter back", 3 * 65'536 + 40'000, 2 * 65'536 + 30'000, true},
      {"goes on from 0", 100, 101, true},
      {"out of reach", 3 * 65'536 + 40'000, 7 * 65'536 + 40'001, false},
  };
  for (const Case& each : cases) {
    SrtpReceiver receiver(EvpBackend().make(key));
    SrtpSender sender(EvpBackend().make(key));
    for (std::uint64_t n = 0; n < 20; ++n) {
      Packet packet = rtp('A', 9, static_cast<std::uint16_t>(each.next + n));
      std::size_t size = packet.size();
      packet.resize(size + sender.overhead());
      ASSERT_EQ(sender.seal_rtp_as(packet, size, each.next + n), SrtpResult::kOk);
      packet.resize(size);
      EXPECT_EQ(receiver.open_rtp(packet, size, each.former) == SrtpResult::kOk, each.is_heard)
          << each.what << " " << n;
    }
    EXPECT_EQ(receiver.state().streams.size(), each.is_heard ? 1u : 0u) << each.what;
  }
}

/// Counts what it is asked to open.
class Counting final : public SrtpCipher {
 public:
  explicit Counting(std::size_t& count) : count_(count) {}
  [[nodiscard]] std::size_t overhead() const noexcept override { return 10; }
  [[nodiscard]] std::size_t rtp_overhead() const noexcept override { return 10; }
  bool seal_rtp(MutableBytes, std::size_t&, std::size_t, Ssrc, std::uint64_t) noexcept override {
    return false;
  }
  bool open_rtp(MutableBytes, std::size_t&, std::size_t, Ssrc, std::uint64_t) noexcept override {
    ++count_;
    return false;
  }
  bool seal_rtcp(MutableBytes, std::size_t&, Ssrc, std::uint32_t) noexcept override { return false; }
  bool rtcp_index(Bytes, std::uint32_t&) const noexcept override { return false; }
  bool open_rtcp(MutableBytes, std::size_t&, Ssrc) noexcept override { return false; }

 private:
  std::size_t& count_;
};

TEST(SrtpContext, SRT3_AForgeryIsTriedFourTimesAtMost) {
  std::size_t tried = 0;
  SrtpReceiver receiver(std::make_unique<Counting>(tried));
  for (std::uint32_t n = 0; n < 1000; ++n) {
    Packet packet = rtp('X', 9, static_cast<std::uint16_t>(65 * n));
    std::size_t size = packet.size();
    tried = 0;
    EXPECT_EQ(receiver.open_rtp(packet, size, 5 * 65'536 + 40'000), SrtpResult::kNotAuthentic);
    EXPECT_LE(tried, 4u);
    tried = 0;
    EXPECT_EQ(receiver.open_rtp(packet, size), SrtpResult::kNotAuthentic);
    EXPECT_EQ(tried, 1u) << "without a former stream";
  }
}

}  // namespace
}  // namespace ferry::srtp_context_test
