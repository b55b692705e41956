// SPDX-License-Identifier: Apache-2.0
// Silence for a party that gets nothing: when it begins, what it is, and that the stream stays one.

#include "tests/support/echo_stage.hpp"
#include "tests/support/srtp_call.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::keep_alive_test {
namespace {

using namespace std::chrono_literals;
using test::host;
using test::Packet;
using test::rtp;
using test::SrtpCall;
using test::SrtpKeys;

constexpr std::uint16_t kSeconds = 5;

/// A call between A (side 0) and B, whose plans keep silence from B.
class SilentCall : public SrtpCall {
 public:
  explicit SilentCall(std::optional<SrtpKeys> a = std::nullopt, bool has_kernel = false)
      : SrtpCall(a, std::nullopt, "openssl", has_kernel), first_(plan(0)) {
    TransportPlan next = plan(1);
    next.sources[0].payloads[0].silence = 0xd5;
    change(next);
  }
  void change(TransportPlan next) {
    next.keep_alive_s = kSeconds;
    next.own_reports = std::make_shared<const OwnReports>(OwnReports{"name"});
    update(1, next);
    second = next;
  }
  /// What B gets in so much time; A speaks meanwhile if `speaks`, and B always does.
  struct Heard {
    Instant at;
    Packet packet;
  };
  std::vector<Heard> pass_time(Duration time, bool speaks) {
    std::vector<Heard> heard;
    for (Duration done{0}; done < time; done += 20ms) {
      pass(20ms);
      run(std::monostate{});
      if (speaks) arrives(host(10), 0, rtp('A', 1, number_a_++));
      if (is_b_there) arrives(host(21), 1, rtp('B', 2, number_b_++));
      for (SimDatagram& each : sent) {
        if (each.to == host(21)) heard.push_back({worker().now(), std::move(each.payload)});
      }
      sent.clear();
    }
    return heard;
  }
  bool is_b_there = true;
  TransportPlan second;

 private:
  TransportPlan first_;
  std::uint16_t number_a_ = 1;
  std::uint16_t number_b_ = 1;
};

std::uint8_t type_of(const SilentCall::Heard& each) { return read_u8(each.packet, 1) & 0x7f; }
bool has_marker(const SilentCall::Heard& each) { return (read_u8(each.packet, 1) & 0x80) != 0; }

/// One SSRC, numbers without a gap, and timestamps that follow the clock on the wall.
void expect_one_stream(const std::vector<SilentCall::Heard>& heard) {
  for (std::size_t i = 1; i < heard.size(); ++i) {
    ASSERT_EQ(read_u32(heard[i].packet, 8), read_u32(heard[0].packet, 8)) << i;
    ASSERT_EQ(static_cast<std::uint16_t>(read_u16(heard[i].packet, 2) - read_u16(heard[i - 1].packet, 2)), 1)
        << i;
    const auto units = static_cast<double>(read_u32(heard[i].packet, 4) - read_u32(heard[i - 1].packet, 4));
    const double ms = static_cast<double>((heard[i].at - heard[i - 1].at) / 1ms);
    ASSERT_NEAR(units, ms * 8, 8) << i;
  }
}

TEST(KeepAlive, SSR2_SilenceBeginsAfterItsTimeAndTheStreamStaysOne) {
  SilentCall call;
  auto heard = call.pass_time(1s, true);
  const std::size_t spoken = heard.size();
  ASSERT_EQ(spoken, 50u);
  const auto silence = call.pass_time(20s, false);
  // After 5 s, then every 2 s.
  ASSERT_EQ(silence.size(), 8u);
  EXPECT_NEAR(static_cast<double>((silence[0].at - heard.back().at) / 1ms), 5000, 25);
  for (std::size_t i = 0; i < silence.size(); ++i) {
    EXPECT_EQ(type_of(silence[i]), 8);
    EXPECT_TRUE(has_marker(silence[i])) << "each begins anew after a gap";
    EXPECT_EQ(silence[i].packet.size(), 172u);
    EXPECT_EQ(silence[i].packet[100], std::byte{0xd5});
    if (i == 0) continue;
    EXPECT_LE(silence[i].at - silence[i - 1].at, 2s + 20ms);
  }
  const auto again = call.pass_time(1s, true);
  ASSERT_EQ(again.size(), 50u);
  EXPECT_TRUE(has_marker(again[0]));
  EXPECT_FALSE(has_marker(again[1]));
  heard.insert(heard.end(), silence.begin(), silence.end());
  heard.insert(heard.end(), again.begin(), again.end());
  expect_one_stream(heard);
  EXPECT_EQ(call.worker().totals().silence_packets.load(), 8u);
  EXPECT_EQ(call.worker().totals().errors.load(), 0u);
}

TEST(KeepAlive, Rfc3389_ComfortNoiseComesFirstAndHasNoMarker) {
  SilentCall call;
  TransportPlan next = call.second;
  next.sources[0].payloads.push_back({PayloadType{13}, G711Law::kNone, 0, false, 8000});
  call.change(next);
  auto heard = call.pass_time(1s, true);
  const auto silence = call.pass_time(10s, false);
  ASSERT_EQ(silence.size(), 3u);
  for (const auto& each : silence) {
    EXPECT_EQ(type_of(each), 13);
    EXPECT_FALSE(has_marker(each));
    EXPECT_EQ(each.packet.size(), kRtpFixedHeaderSize + 1);
  }
  const auto again = call.pass_time(100ms, true);
  ASSERT_FALSE(again.empty());
  EXPECT_TRUE(has_marker(again[0]));
  heard.insert(heard.end(), silence.begin(), silence.end());
  heard.insert(heard.end(), again.begin(), again.end());
  expect_one_stream(heard);
}

TEST(KeepAlive, APartyThatNeverGotAnythingHearsAStreamOfTheRelay) {
  SilentCall call;
  const auto silence = call.pass_time(10s, false);
  ASSERT_EQ(silence.size(), 3u);
  expect_one_stream(silence);
}

TEST(KeepAlive, RTC6_NobodyGetsItWhoWasNotHeard) {
  SilentCall call;
  call.is_b_there = false;
  EXPECT_EQ(call.pass_time(1s, true).size(), 50u);
  EXPECT_TRUE(call.pass_time(30s, false).empty());
}

TEST(KeepAlive, SRT9_NothingLeavesUnderTheKeyOfAnotherParty) {
  std::mt19937 random(7);
  const SrtpKeys keys{test::random_key(random, SrtpSuite::kAes128Cm80),
                      test::random_key(random, SrtpSuite::kAes128Cm80)};
  for (const bool is_relayed : {false, true}) {
    SrtpCall call(keys, std::nullopt, "openssl", false);
    TransportPlan next = call.plan(0);
    auto relayed = std::make_shared<SrtpPlan>(*next.srtp);
    relayed->send_is_relayed = is_relayed;
    next.srtp = relayed;
    next.sources[0].payloads[0].silence = 0xd5;
    next.keep_alive_s = kSeconds;
    call.update(0, next);
    call.arrives(host(10), 0, call.end(0).sealed(rtp('A', 1, 1)));
    call.sent.clear();
    for (int n = 0; n < 400; ++n) {
      call.pass(20ms);
      call.run(std::monostate{});
    }
    if (is_relayed) {
      EXPECT_TRUE(call.sent.empty());
    } else {
      ASSERT_EQ(call.sent.size(), 2u);
      for (const SimDatagram& each : call.sent) EXPECT_EQ(call.end(0).opened(each.payload).size(), 172u);
    }
  }
}

TEST(KeepAlive, AFlowOfTheKernelThatFallsSilentIsNoticed) {
  SilentCall call(std::nullopt, true);
  auto heard = call.pass_time(10s, true);
  ASSERT_EQ(call.flows(), 2u);
  EXPECT_EQ(call.worker().totals().silence_packets.load(), 0u) << "the kernel has forwarded";
  const auto silence = call.pass_time(8s, false);
  ASSERT_EQ(silence.size(), 2u);
  const auto again = call.pass_time(1s, true);
  ASSERT_EQ(again.size(), 50u);
  heard.insert(heard.end(), silence.begin(), silence.end());
  heard.insert(heard.end(), again.begin(), again.end());
  expect_one_stream(heard);
}

TEST(KeepAlive, WithoutTheOptionNothingIsSent) {
  SilentCall call;
  TransportPlan next = call.second;
  next.keep_alive_s = 0;
  call.update(1, next);
  call.pass_time(1s, true);
  EXPECT_TRUE(call.pass_time(60s, false).empty());
  // A party that comes back from hold waits for the whole time.
  call.change(next);
  EXPECT_TRUE(call.pass_time(4900ms, false).empty());
  EXPECT_EQ(call.pass_time(200ms, false).size(), 1u);
}

TEST(KeepAlive, ACodecWithoutSilenceGetsNone) {
  SilentCall call;
  TransportPlan next = call.second;
  next.sources[0].payloads[0].silence = 0;
  call.change(next);
  call.pass_time(1s, true);
  EXPECT_TRUE(call.pass_time(30s, false).empty());
}

TEST(KeepAlive, Rfc6716_OpusThatTheRelayMakesHasSilenceOfItsOwn) {
  SilentCall call;
  call.worker().set_stages(std::make_unique<test::EchoStages>());
  AudioConversion made;
  made.type = PayloadType{111};
  made.format = {"opus", 48000, 2, ""};
  TransportPlan from = call.plan(0);
  from.sources[0].sinks[0].conversion = std::make_shared<const AudioConversion>(made);
  call.update(0, from);
  auto heard = call.pass_time(1s, true);
  ASSERT_EQ(type_of(heard.back()), 111);
  const auto silence = call.pass_time(8s, false);
  ASSERT_EQ(silence.size(), 2u);
  EXPECT_EQ(type_of(silence[0]), 111);
  EXPECT_EQ(silence[0].packet.size(), kRtpFixedHeaderSize + 3);
  EXPECT_EQ(read_u32(silence[1].packet, 4) - read_u32(silence[0].packet, 4), 2u * 48000);
}

}  // namespace
}  // namespace ferry::keep_alive_test
