// SPDX-License-Identifier: Apache-2.0
// When ICMP errors pause a component, and what ends the pause (LAT-12a).

#include "relay/core/limit/reachability.hpp"

#include <deque>
#include <functional>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::reachability_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{100s};
const IpAddress kRemote = IpAddress::v4({192, 0, 2, 1});

/// A component that sends 50 packets/s for `length`. `refuses` says whether the packet at that time is
/// answered with an ICMP error. Times of the packets that left.
struct Stream {
  Reachability state;
  std::shared_ptr<AddressErrors> shared = std::make_shared<AddressErrors>(kRemote);
  Instant heard_at{};
  std::vector<Duration> left;

  void run(Duration from, Duration to, const std::function<bool(Duration)>& refuses) {
    for (Duration t = from; t < to; t += 20ms) {
      if (!state.may_send(kStart + t)) continue;
      left.push_back(t);
      if (refuses(t)) state.on_error(heard_at, shared, kStart + t);
    }
  }
};

bool always(Duration) { return true; }
bool never(Duration) { return false; }

TEST(Reachability, LAT12_ThreeErrorsPauseAndOnePacketASecondProbes) {
  Stream s;
  s.run(0s, 10s, always);
  ASSERT_GE(s.left.size(), 3u);
  EXPECT_EQ(std::vector(s.left.begin(), s.left.begin() + 3), (std::vector<Duration>{0ms, 20ms, 40ms}));
  EXPECT_NEAR(static_cast<double>(s.left.size()), 3 + 9, 1);
  EXPECT_EQ(s.shared->paused, 1u);
}

TEST(Reachability, LAT12_WhatDoesNotPause) {
  struct Case {
    std::string_view name;
    Instant heard_at;
    std::function<bool(Duration)> refuses;
  };
  const std::vector<Case> cases = {
      {"no errors", {}, never},
      {"two errors", {}, [](Duration t) { return t < 40ms; }},
      {"errors while the peer is heard", kStart - 4900ms, [](Duration t) { return t < 100ms; }},
      {"one error now and then", {}, [](Duration t) { return t % 6s == 0s; }},
  };
  for (const Case& each : cases) {
    Stream s;
    s.heard_at = each.heard_at;
    s.run(0s, 20s, each.refuses);
    EXPECT_EQ(s.left.size(), 1000u) << each.name;
  }
}

TEST(Reachability, LAT12_ErrorsAtTheRateOfLinuxPauseToo) {
  Stream s;
  s.run(0s, 10s, [](Duration t) { return t % 1s == 0s; });  // net.ipv4.icmp_ratelimit
  EXPECT_TRUE(s.state.is_paused());
}

TEST(Reachability, LAT12_WhatResumes) {
  Stream probe;
  probe.run(0s, 3s, always);
  const std::size_t before = probe.left.size();
  probe.run(3s, 5s, never);
  // At the next probe's 500 ms, which is 1.5 s after the last one at the latest.
  EXPECT_GE(probe.left.size() - before, 25u);
  EXPECT_FALSE(probe.state.is_paused());
  EXPECT_EQ(probe.shared->paused, 0u);

  Stream valid;
  valid.run(0s, 3s, always);
  valid.state.on_heard();
  EXPECT_TRUE(valid.state.may_send(kStart + 3s));
  EXPECT_EQ(valid.shared->paused, 0u);
}

// The host answers once a second only, whoever of them probes.
TEST(Reachability, LAT12_ErrorsOfAnAddressCountForItsPausedComponents) {
  for (const std::size_t components : {4u, 5u, 40u}) {
    const auto shared = std::make_shared<AddressErrors>(kRemote);
    std::deque<Stream> streams(components);
    for (Stream& each : streams) {
      each.shared = shared;
      each.run(0s, 100ms, always);
    }
    ASSERT_EQ(shared->paused, components);
    Duration last_error{-1s};
    for (Duration t = 100ms; t < 20s; t += 20ms) {
      for (Stream& each : streams) {
        each.run(t, t + 20ms, [&](Duration at) {
          const bool answers = at - last_error >= 1s;
          if (answers) last_error = at;
          return answers;
        });
      }
    }
    if (components <= 4)
      EXPECT_LT(shared->paused, components) << "each needs errors of its own";
    else
      EXPECT_EQ(shared->paused, components);
    for (Duration t = 20s; t < 24s; t += 20ms) {
      for (Stream& each : streams) each.run(t, t + 20ms, never);
    }
    EXPECT_EQ(shared->paused, 0u) << components << " resume when the host is back";
  }
}

TEST(Reachability, C13_APauseConfirmsNoProbe) {
  for (const bool is_told : {true, false}) {
    Stream s;
    // The answer to the last probe waits to be read; the next packet is tried before.
    s.run(0s, 4500ms, [](Duration t) { return t < 4s; });
    ASSERT_EQ(s.shared->paused, 1u);
    if (is_told) s.state.skip(60s);
    EXPECT_NE(s.state.may_send(kStart + 4500ms + 60s), is_told);
    EXPECT_EQ(s.shared->paused, is_told ? 1u : 0u);
  }
}

TEST(Reachability, LAT12_WhoEndsIsNotCounted) {
  const auto shared = std::make_shared<AddressErrors>(kRemote);
  {
    Stream s;
    s.shared = shared;
    s.run(0s, 1s, always);
    EXPECT_EQ(shared->paused, 1u);
  }
  EXPECT_EQ(shared->paused, 0u);
}

}  // namespace
}  // namespace ferry::reachability_test
