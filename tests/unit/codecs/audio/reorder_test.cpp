// SPDX-License-Identifier: Apache-2.0
// Packets in sequence: a table of arrivals, and properties over any reordering within the window.

#include "codecs/audio/reorder.hpp"

#include <algorithm>
#include <ostream>
#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;

constexpr Duration kHold = 100ms;
constexpr std::size_t kMost = 8;
constexpr Reorder::Outcome kWaits = Reorder::Outcome::kWaits;
constexpr Reorder::Outcome kTwice = Reorder::Outcome::kTwice;
constexpr Reorder::Outcome kLate = Reorder::Outcome::kLate;

/// What was taken out.
struct Taken {
  std::int64_t sequence = 0;
  std::int64_t missing = 0;
  bool operator==(const Taken&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Taken& taken) {
  return out << taken.sequence << "(-" << taken.missing << ")";
}

RtpView packet_of(std::uint16_t sequence, std::uint32_t timestamp = 0, Bytes payload = {}) {
  RtpView rtp;
  rtp.sequence = SeqNo{sequence};
  rtp.timestamp = timestamp;
  rtp.payload_type = PayloadType{8};
  rtp.payload = payload;
  return rtp;
}

/// Takes what is due.
void drain(Reorder& order, Instant now, std::vector<Taken>& out) {
  for (std::size_t count = order.due(now); count > 0; --count) {
    out.push_back({order.waiting().front().sequence, order.missing()});
    order.take();
  }
}

struct Arrival {
  std::uint16_t sequence;
  int at_ms;
  Reorder::Outcome outcome;
};
struct ReorderRow {
  const char* name;
  std::vector<Arrival> arrivals;
  std::vector<Taken> taken;
};

TEST(Reorder, EachArrivalHasItsPlaceOrIsLate) {
  const ReorderRow rows[] = {
      {"in order", {{10, 0, kWaits}, {11, 20, kWaits}, {12, 40, kWaits}}, {{10, 0}, {11, 0}, {12, 0}}},
      {"two change places",
       {{10, 0, kWaits}, {12, 20, kWaits}, {11, 30, kWaits}},
       {{10, 0}, {11, 0}, {12, 0}}},
      {"the second comes before the first", {{11, 0, kWaits}, {10, 10, kWaits}}, {{10, 0}, {11, 0}}},
      {"one is lost", {{10, 0, kWaits}, {12, 20, kWaits}}, {{10, 0}, {12, 1}}},
      {"one comes just in time",
       {{10, 0, kWaits}, {12, 20, kWaits}, {11, 119, kWaits}},
       {{10, 0}, {11, 0}, {12, 0}}},
      {"one comes when its place was passed",
       {{10, 0, kWaits}, {12, 20, kWaits}, {13, 120, kWaits}, {11, 121, kLate}},
       {{10, 0}, {12, 1}, {13, 0}}},
      {"twice while it waits", {{10, 0, kWaits}, {10, 20, kTwice}, {11, 20, kWaits}}, {{10, 0}, {11, 0}}},
      {"twice after it was taken",
       {{10, 0, kWaits}, {11, 110, kWaits}, {10, 111, kLate}},
       {{10, 0}, {11, 0}}},
      {"over the wrap",
       {{65534, 0, kWaits}, {0, 20, kWaits}, {65535, 30, kWaits}, {1, 40, kWaits}},
       {{65534, 0}, {65535, 0}, {65536, 0}, {65537, 0}}},
      {"from before the first number", {{0, 0, kWaits}, {65535, 10, kWaits}}, {{-1, 0}, {0, 0}}},
      {"who waits long enough takes those before with it",
       {{12, 0, kWaits}, {11, 60, kWaits}, {20, 100, kWaits}},
       {{11, 0}, {12, 0}, {20, 7}}},
      // SSR-4: one packet far behind is late; a second one in a row begins the sequence anew.
      {"begins again",
       {{1000, 0, kWaits}, {1001, 110, kWaits}, {5, 220, kLate}, {6, 221, kWaits}, {7, 222, kWaits}},
       {{1000, 0}, {1001, 0}, {65542, 64540}, {65543, 0}}},
      {"begins again, but the two are not in a row",
       {{1000, 0, kWaits}, {1001, 110, kWaits}, {5, 220, kLate}, {7, 221, kLate}, {1002, 222, kWaits}},
       {{1000, 0}, {1001, 0}, {1002, 0}}},
      {"a hundred behind is late, however often",
       {{1000, 0, kWaits}, {1001, 110, kWaits}, {900, 220, kLate}, {901, 221, kLate}, {902, 222, kLate}},
       {{1000, 0}, {1001, 0}}},
      {"a late one between the two that begin again",
       {{1000, 0, kWaits}, {1001, 110, kWaits}, {5, 220, kLate}, {999, 221, kLate}, {6, 222, kLate}},
       {{1000, 0}, {1001, 0}}},
  };
  for (const ReorderRow& row : rows) {
    Reorder order(kHold, kMost);
    std::vector<Taken> out;
    for (const Arrival& each : row.arrivals) {
      const Instant now{std::chrono::milliseconds(each.at_ms)};
      drain(order, now, out);
      EXPECT_EQ(order.add(packet_of(each.sequence), now, 0), each.outcome)
          << row.name << ": " << each.sequence;
    }
    drain(order, Instant::max(), out);
    EXPECT_EQ(out, row.taken) << row.name;
    EXPECT_TRUE(order.waiting().empty()) << row.name;
  }
}

TEST(Reorder, APacketWaitsExactlyItsTime) {
  Reorder order(kHold, kMost);
  static_cast<void>(order.add(packet_of(1), Instant{1s}, 0));
  EXPECT_EQ(order.due(Instant{1s} + kHold - 1ns), 0u);
  EXPECT_EQ(order.due(Instant{1s} + kHold), 1u);
}

TEST(Reorder, MoreThanTheLimitDoNotWait) {
  Reorder order(kHold, kMost);
  for (std::uint16_t i = 0; i < kMost; ++i) static_cast<void>(order.add(packet_of(i), Instant{1s}, 0));
  EXPECT_EQ(order.due(Instant{1s}), 0u);
  for (std::uint16_t i = 0; i < 3; ++i)
    static_cast<void>(order.add(packet_of(static_cast<std::uint16_t>(kMost + i)), Instant{1s}, 0));
  EXPECT_EQ(order.due(Instant{1s}), 3u) << "the first ones make room";
  std::vector<Taken> out;
  drain(order, Instant{1s}, out);
  EXPECT_EQ(out, (std::vector<Taken>{{0, 0}, {1, 0}, {2, 0}}));
  EXPECT_EQ(order.waiting().size(), kMost);
}

TEST(Reorder, KeepsWhatCameWithAPacket) {
  Reorder order(kHold, kMost);
  // Rooms of payloads are used again, so each must have the size and content of its own packet.
  for (int round = 0; round < 3; ++round) {
    for (std::uint16_t i = 0; i < 4; ++i) {
      const std::vector<std::byte> payload(static_cast<std::size_t>(10 + (round * 7 + i * 5) % 13),
                                           std::byte(i));
      const auto number = static_cast<std::uint16_t>(round * 4 + (i ^ 1));
      static_cast<void>(
          order.add(packet_of(number, number * 160u, payload), Instant{1s * number}, 70u + number));
    }
    for (std::uint16_t i = 0; i < 4; ++i) {
      const OrderedPacket& packet = order.waiting().front();
      const std::int64_t number = round * 4 + i;
      EXPECT_EQ(packet.sequence, number);
      EXPECT_EQ(packet.timestamp, number * 160);
      EXPECT_EQ(packet.at, Instant{1s * number});
      EXPECT_EQ(packet.tag, 70u + number);
      EXPECT_EQ(packet.payload_type, PayloadType{8});
      EXPECT_EQ(packet.payload,
                std::vector<std::byte>(static_cast<std::size_t>(10 + (round * 7 + (i ^ 1) * 5) % 13),
                                       std::byte(i ^ 1)));
      EXPECT_EQ(order.taken() == number - 1, round + i > 0);
      order.take();
      EXPECT_EQ(order.taken(), number);
    }
    EXPECT_EQ(order.highest(), round * 4 + 3);
  }
}

TEST(Reorder, TimestampsNeverRollOver) {
  Reorder order(kHold, kMost);
  std::vector<std::int64_t> timestamps;
  for (std::uint16_t i = 0; i < 6; ++i) {
    static_cast<void>(order.add(packet_of(i, 0xFFFF'FF00u + i * 160u), Instant{20ms * i}, 0));
    timestamps.push_back(order.waiting().back().timestamp);
  }
  for (std::size_t i = 1; i < timestamps.size(); ++i) EXPECT_EQ(timestamps[i] - timestamps[i - 1], 160) << i;
}

/// A stream of packets each 20 ms, of which each is late by less than `kHold`, and some of which come again.
struct Journey {
  std::uint16_t first = 0;
  std::vector<std::int64_t> delays_ms;
  std::set<std::size_t> again;
  std::set<std::size_t> lost;
};

struct Came {
  std::int64_t at_ms = 0;
  std::size_t number = 0;
};

/// The packets in the order in which they come. A copy comes right behind its packet, or long after it.
std::vector<Came> arrivals_of(const Journey& journey) {
  std::vector<Came> all;
  for (std::size_t i = 0; i < journey.delays_ms.size(); ++i) {
    if (journey.lost.contains(i)) continue;
    const std::int64_t at = 20 * static_cast<std::int64_t>(i) + journey.delays_ms[i];
    all.push_back({at, i});
    if (journey.again.contains(i)) all.push_back({at + (i % 2 == 0 ? 1 : 90), i});
  }
  std::ranges::stable_sort(all, {}, &Came::at_ms);
  return all;
}

rc::Gen<Journey> journeys() {
  return rc::gen::apply(
      [](std::uint16_t first, std::vector<std::int64_t> delays, std::set<std::size_t> again,
         std::set<std::size_t> lost) {
        return Journey{first, std::move(delays), std::move(again), std::move(lost)};
      },
      rc::gen::arbitrary<std::uint16_t>(),
      rc::gen::container<std::vector<std::int64_t>>(rc::gen::inRange<std::int64_t>(0, kHold / 1ms)),
      rc::gen::container<std::set<std::size_t>>(rc::gen::inRange<std::size_t>(0, 100)),
      rc::gen::container<std::set<std::size_t>>(rc::gen::inRange<std::size_t>(0, 100)));
}

// Any reordering within the window gives what the packets in order give: each once, in sequence.
TEST(Reorder, AnyOrderWithinTheWindowGivesTheSameAndNothingTwice) {
  rc::check([] {
    const Journey journey = *journeys();
    // No more wait than may: six packets come within the hold.
    Reorder order(kHold, 64);
    std::vector<std::int64_t> sequences;
    std::vector<std::int64_t> timestamps;
    std::vector<std::uint32_t> tags;
    std::size_t copies = 0;
    std::size_t refused = 0;
    const auto take_due = [&](Instant now) {
      for (std::size_t count = order.due(now); count > 0; --count) {
        const OrderedPacket& packet = order.waiting().front();
        sequences.push_back(packet.sequence);
        timestamps.push_back(packet.timestamp);
        tags.push_back(packet.tag);
        order.take();
      }
    };
    std::set<std::size_t> seen;
    for (const Came& each : arrivals_of(journey)) {
      const Instant now{std::chrono::milliseconds(each.at_ms)};
      take_due(now);
      const auto number = static_cast<std::uint16_t>(journey.first + each.number);
      copies += seen.insert(each.number).second ? 0 : 1;
      refused +=
          order.add(packet_of(number, number * 160u), now, static_cast<std::uint32_t>(each.number)) == kWaits
              ? 0
              : 1;
    }
    take_due(Instant::max());
    // In order: the numbers of the packets that were not lost.
    std::vector<std::uint32_t> wanted;
    for (std::size_t i = 0; i < journey.delays_ms.size(); ++i) {
      if (!journey.lost.contains(i)) wanted.push_back(static_cast<std::uint32_t>(i));
    }
    RC_ASSERT(tags == wanted);
    RC_ASSERT(refused == copies);
    for (std::size_t i = 1; i < wanted.size(); ++i) {
      const std::int64_t steps = std::int64_t{wanted[i]} - wanted[i - 1];
      RC_ASSERT(sequences[i] - sequences[i - 1] == steps);
      // The numbers of this test wrap at 65,536 packets, and their timestamps with them.
      RC_ASSERT((timestamps[i] - timestamps[i - 1] - steps * 160) % (65'536 * 160) == 0);
    }
  });
}

// Whatever comes, hostile numbers too: what is taken rises, nothing is taken twice, and what waits is in
// sequence.
TEST(Reorder, WhateverComesWhatIsTakenRises) {
  rc::check([] {
    Reorder order(kHold, kMost);
    const auto numbers = *rc::gen::container<std::vector<std::uint16_t>>(
        rc::gen::oneOf(rc::gen::inRange<std::uint16_t>(0, 20), rc::gen::inRange<std::uint16_t>(980, 1010),
                       rc::gen::arbitrary<std::uint16_t>()));
    std::vector<Taken> out;
    Instant now{1s};
    std::size_t accepted = 0;
    for (const std::uint16_t number : numbers) {
      now += 7ms;
      accepted += order.add(packet_of(number, number * 3u), now, 0) == kWaits ? 1 : 0;
      RC_ASSERT(
          std::ranges::is_sorted(order.waiting(), std::ranges::less_equal{}, &OrderedPacket::sequence) ||
          order.waiting().size() < 2);
      drain(order, now, out);
      RC_ASSERT(order.waiting().size() <= kMost);
    }
    drain(order, Instant::max(), out);
    RC_ASSERT(out.size() == accepted);
    for (std::size_t i = 1; i < out.size(); ++i) {
      RC_ASSERT(out[i].sequence > out[i - 1].sequence);
      RC_ASSERT(out[i].missing == out[i].sequence - out[i - 1].sequence - 1);
    }
  });
}

}  // namespace
}  // namespace ferry
