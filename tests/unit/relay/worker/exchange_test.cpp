// SPDX-License-Identifier: Apache-2.0
// Lanes between workers: order, bounds, one wake-up, and news that wait for room.

#include "relay/worker/exchange.hpp"

#include <array>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::exchange_test {
namespace {

/// An engine that only counts how often it is woken.
class Sleeper final : public PacketIo {
 public:
  bool attach(PortHandle, std::uint64_t) noexcept override { return false; }
  void detach(PortHandle) noexcept override {}
  [[nodiscard]] Endpoint local_of(PortHandle) const noexcept override { return {}; }
  std::size_t receive(std::span<PacketBuffer>) noexcept override { return 0; }
  void send(std::span<PacketBuffer>, std::span<SendError>) noexcept override {}
  PacketBuffer allocate() noexcept override { return {}; }
  [[nodiscard]] Stock stock() const noexcept override { return {}; }
  void wait(Instant) noexcept override {}
  void wake() noexcept override { ++woken; }
  [[nodiscard]] Instant now() const noexcept override { return {}; }
  int woken = 0;
};

std::string text_of(Bytes octets) { return {reinterpret_cast<const char*>(octets.data()), octets.size()}; }

class ExchangeTest : public ::testing::Test {
 protected:
  /// What waits for worker `n`, as "from:text".
  std::vector<std::string> drain(std::size_t n) {
    std::vector<std::string> all;
    ends_[n]->drain([&](WorkerNumber from, const Exchange::Item& item) {
      const char* sign = item.kind == Exchange::Kind::kUfrag       ? "+"
                         : item.kind == Exchange::Kind::kUfragGone ? "-"
                                                                   : "";
      all.push_back(std::to_string(from) + ":" + sign + text_of(item.octets));
    });
    return all;
  }
  bool pass(std::size_t from, WorkerNumber to, const std::string& text, bool is_known = true) {
    return ends_[from]->pass_on(to, SharedPortId{1}, {}, is_known, std::as_bytes(std::span(text)));
  }

  std::shared_ptr<Exchange> exchange_ = std::make_shared<Exchange>(3);
  std::array<Sleeper, 3> io_;
  std::array<std::unique_ptr<ExchangeEnd>, 3> ends_{std::make_unique<ExchangeEnd>(exchange_, 0, io_[0]),
                                                    std::make_unique<ExchangeEnd>(exchange_, 1, io_[1]),
                                                    std::make_unique<ExchangeEnd>(exchange_, 2, io_[2])};
};
using Texts = std::vector<std::string>;

TEST_F(ExchangeTest, WhatIsPassedOnArrivesOnceInOrder) {
  EXPECT_TRUE(pass(0, 1, "a"));
  EXPECT_TRUE(pass(2, 1, "x"));
  EXPECT_TRUE(pass(0, 1, "b"));
  EXPECT_TRUE(pass(0, 2, "c"));
  EXPECT_TRUE(ends_[1]->has_news());
  EXPECT_EQ(drain(1), (Texts{"0:a", "0:b", "2:x"}));
  EXPECT_FALSE(ends_[1]->has_news());
  EXPECT_EQ(drain(1), Texts{});
  EXPECT_EQ(drain(2), Texts{"0:c"});
}

TEST_F(ExchangeTest, AWorkerIsWokenOnceUntilItHasLooked) {
  for (int n = 0; n < 5; ++n) pass(0, 1, "a");
  pass(2, 1, "b");
  EXPECT_EQ(io_[1].woken, 1);
  EXPECT_EQ(io_[2].woken, 0);
  drain(1);
  pass(0, 1, "c");
  EXPECT_EQ(io_[1].woken, 2);
}

TEST_F(ExchangeTest, NothingIsPassedOnToOneselfOrToNobody) {
  EXPECT_FALSE(pass(0, 0, "a"));
  EXPECT_FALSE(pass(0, 3, "a"));
  EXPECT_FALSE(pass(0, 255, "a"));
}

TEST_F(ExchangeTest, AFullLaneRefusesAndGoesOnOnceItIsEmptied) {
  for (std::size_t round = 0; round < 3; ++round) {
    for (std::size_t n = 0; n < Exchange::kPlaces; ++n) ASSERT_TRUE(pass(0, 1, std::to_string(n)));
    EXPECT_FALSE(pass(0, 1, "one too many"));
    EXPECT_TRUE(pass(2, 1, "another lane"));
    const auto all = drain(1);
    ASSERT_EQ(all.size(), Exchange::kPlaces + 1);
    EXPECT_EQ(all[Exchange::kPlaces - 1], "0:" + std::to_string(Exchange::kPlaces - 1));
  }
}

// A flood of strangers leaves room for media and for news.
TEST_F(ExchangeTest, LIM3_StrangersDoNotDisplaceWhoIsKnown) {
  for (std::size_t n = 0; n < Exchange::kPlacesOfStrangers; ++n) ASSERT_TRUE(pass(0, 1, "x", false));
  EXPECT_FALSE(pass(0, 1, "x", false));
  for (std::size_t n = Exchange::kPlacesOfStrangers; n + 1 < Exchange::kPlaces; ++n)
    ASSERT_TRUE(pass(0, 1, "m")) << n;
  ends_[0]->tell_ufrag(SharedPortId{1}, "news", true);
  EXPECT_FALSE(ends_[0]->has_waiting());
  EXPECT_FALSE(pass(0, 1, "m"));
  EXPECT_EQ(drain(1).back(), "0:+news");
  EXPECT_TRUE(pass(0, 1, "x", false)) << "there is room again";
}

TEST_F(ExchangeTest, ADatagramMayBeAsLongAsAPlace) {
  EXPECT_TRUE(pass(0, 1, std::string(Exchange::kLongest, 'a')));
  EXPECT_FALSE(pass(0, 1, std::string(Exchange::kLongest + 1, 'a')));
  EXPECT_EQ(drain(1), Texts{"0:" + std::string(Exchange::kLongest, 'a')});
}

TEST_F(ExchangeTest, NewsOfUfragsWaitForRoomAndKeepTheirOrder) {
  constexpr std::size_t kUfrags = 1000;
  for (std::size_t n = 0; n < kUfrags; ++n)
    ends_[0]->tell_ufrag(SharedPortId{1}, "u" + std::to_string(n), n % 3 != 0);
  EXPECT_TRUE(ends_[0]->has_waiting());
  std::array<Texts, 3> told;
  for (int round = 0; round < 20; ++round) {
    for (const std::size_t to : {1u, 2u}) {
      const auto some = drain(to);
      told[to].insert(told[to].end(), some.begin(), some.end());
    }
    ends_[0]->tell_waiting();
  }
  EXPECT_FALSE(ends_[0]->has_waiting());
  for (const std::size_t to : {1u, 2u}) {
    ASSERT_EQ(told[to].size(), kUfrags);
    for (std::size_t n = 0; n < kUfrags; ++n)
      ASSERT_EQ(told[to][n], (n % 3 != 0 ? "0:+u" : "0:-u") + std::to_string(n));
  }
}

TEST_F(ExchangeTest, NewsOfAnEndpointGoToTheOneThatReceivesIt) {
  const Endpoint at{IpAddress::v4({192, 0, 2, 1}), UdpPort{4000}};
  ends_[2]->tell_endpoint(0, SharedPortId{1}, at, BindingProof::kAnswer);
  ends_[2]->tell_endpoint(0, SharedPortId{1}, at, std::nullopt);
  ends_[2]->tell_endpoint(2, SharedPortId{1}, at, BindingProof::kAnswer);
  ends_[2]->tell_endpoint(9, SharedPortId{1}, at, BindingProof::kCheck);
  std::vector<Exchange::Kind> kinds;
  ends_[0]->drain([&](WorkerNumber from, const Exchange::Item& item) {
    EXPECT_EQ(from, 2);
    EXPECT_EQ(item.remote, at);
    EXPECT_EQ(item.port, SharedPortId{1});
    EXPECT_EQ(item.is_known, kinds.empty()) << "the first one is by an answer";
    kinds.push_back(item.kind);
  });
  EXPECT_EQ(kinds, (std::vector{Exchange::Kind::kEndpoint, Exchange::Kind::kEndpointGone}));
  EXPECT_FALSE(ends_[1]->has_news());
}

// Otherwise the other worker would keep the endpoint of a finished call for ever.
TEST_F(ExchangeTest, NewsThatAnEndpointIsGoneWaitForRoomAndAreNotOvertaken) {
  const auto at = [](std::size_t n) {
    return Endpoint{IpAddress::v4({192, 0, 2, 1}), UdpPort{static_cast<std::uint16_t>(4000 + n)}};
  };
  constexpr std::size_t kCalls = 400;
  for (std::size_t n = 0; n < kCalls; ++n) {
    ends_[0]->tell_ufrag(SharedPortId{1}, "u" + std::to_string(n), false);
    ends_[0]->tell_endpoint(1, SharedPortId{1}, at(n), std::nullopt);
  }
  ends_[0]->tell_endpoint(1, SharedPortId{1}, at(kCalls - 1), BindingProof::kAnswer);
  std::vector<Endpoint> gone;
  std::size_t here = 0;
  for (int round = 0; round < 20; ++round) {
    ends_[1]->drain([&](WorkerNumber, const Exchange::Item& item) {
      if (item.kind == Exchange::Kind::kEndpointGone) gone.push_back(item.remote);
      here += item.kind == Exchange::Kind::kEndpoint ? 1 : 0;
    });
    ends_[0]->tell_waiting();
  }
  ASSERT_EQ(gone.size(), kCalls);
  for (std::size_t n = 0; n < kCalls; ++n) EXPECT_EQ(gone[n], at(n));
  EXPECT_EQ(here, 0u) << "it is told again by the next check, not before what waits";
  ends_[0]->tell_endpoint(1, SharedPortId{1}, at(1), BindingProof::kMove);
  ends_[1]->drain([&](WorkerNumber, const Exchange::Item& item) {
    EXPECT_EQ(item.kind, Exchange::Kind::kEndpointMoved);
  });
}

TEST_F(ExchangeTest, AWorkerThatHasEndedIsNotWoken) {
  ends_[1].reset();
  EXPECT_TRUE(pass(0, 1, "a"));
  EXPECT_EQ(io_[1].woken, 0);
}

}  // namespace
}  // namespace ferry::exchange_test
