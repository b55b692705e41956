// SPDX-License-Identifier: Apache-2.0
// RTP that overtakes the answer: the first word of a voice mail (LAT-14). The callee speaks as soon as it
// sends its answer, and its packets are here before the proxy's command.
#include "tests/support/kernel_model.hpp"
#include "tests/support/secure_call.hpp"
#include "tests/support/world.hpp"

#include <memory>
#include <optional>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::uint32_t kBob = 0xb0b;
constexpr Duration kPtime = 20ms;

/// A call from Alice that Bob answers late, and somebody who speaks at Bob's port before that.
class Ringing {
 public:
  explicit Ringing(bool rtpproxy = false, WorldOptions options = {}) : is_rtpproxy_(rtpproxy) {
    world_ = make_sim_world(options);
    world_->open(a_);
    world_->open(b_);
    // Turns of the worker are taken when the clock moves.
    for (Duration when = 0ms; when < 8s; when += 1ms) world_->at(when, [] {});
    if (rtpproxy)
      to_b_ = here(World::port_of(world_->rtpproxy("Uc8 c 192.0.2.10 4000 A")));
    else
      to_b_ = here(World::port_of(world_->ng(offer("c", "A", audio_sdp(a_)))));
  }

  /// One packet each 20 ms from `start` on, numbered in their payload.
  void speaks(const Endpoint& from, Duration start, int count, std::uint32_t ssrc = kBob,
              std::uint16_t first = 1) {
    for (int i = 0; i < count; ++i) {
      world_->at(start + i * kPtime, [this, from, ssrc, first, i] {
        world_->send(from, to_b_, rtp('B', ssrc, static_cast<std::uint16_t>(first + i)));
      });
    }
  }
  /// Bob's SDP comes, with his address or another one.
  void answers(Duration when, const Endpoint& sdp, std::optional<std::string> received_from = {}) {
    world_->at(when, [this, sdp, received_from] {
      if (is_rtpproxy_) {
        ASSERT_NE(World::port_of(world_->rtpproxy(
                                     fmt::format("Lc8 c {} {} A B", sdp.address.to_string(), sdp.port.value)))
                      .value,
                  0);
        return;
      }
      json w = answer("c", "A", "B", audio_sdp(sdp));
      if (received_from) w["received-from"] = {"IP4", *received_from};
      const json reply = world_->ng(w);
      ASSERT_EQ(reply["result"], "ok");
      // The kernel gets streams to parties that were heard.
      world_->send(a_, here(World::port_of(reply)), rtp('A', 0xa, 1));
    });
  }
  /// Numbers of the packets that Alice got, in the order in which she got them.
  [[nodiscard]] std::vector<int> heard() const {
    std::vector<int> numbers;
    for (const Received& r : world_->received()) {
      if (r.at == a_) numbers.push_back(read_u16(r.packet, 2));
    }
    return numbers;
  }
  /// Shortest time between two of them, from the `first`.
  [[nodiscard]] Duration shortest_gap(std::size_t first = 0) const {
    std::vector<Duration> times;
    for (const Received& r : world_->received()) {
      if (r.at == a_) times.push_back(r.when);
    }
    Duration shortest = 1h;
    for (std::size_t i = first + 1; i < times.size(); ++i)
      shortest = std::min(shortest, times[i] - times[i - 1]);
    return shortest;
  }
  [[nodiscard]] std::uint64_t dropped_early() {
    return world_->manager().plane().worker(0).totals().drops[static_cast<std::size_t>(
        DropReason::kEarlyMedia)];
  }
  World* operator->() { return world_.get(); }
  [[nodiscard]] Endpoint here(UdpPort port) const { return {world_->relay_address(), port}; }

  const Endpoint a_{IpAddress::v4({192, 0, 2, 10}), UdpPort{4000}};
  const Endpoint b_{IpAddress::v4({192, 0, 2, 20}), UdpPort{5000}};
  Endpoint to_b_;

 private:
  bool is_rtpproxy_;
  std::unique_ptr<World> world_;
};

std::vector<int> numbers(int first, int last) {
  std::vector<int> all;
  for (int i = first; i <= last; ++i) all.push_back(i);
  return all;
}

/// A sender that speaks before the answer, and the packets of it that Alice hears.
struct EarlyCase {
  const char* name;
  Endpoint from = {};  // unset: the address of Bob's SDP
  Endpoint sdp = {};   // unset: Bob's
  std::optional<std::string> received_from = {};
  int before = 10;  // packets before the answer
  int after = 40;   // and after it, without a pause
  int first_heard = 1;
  bool rtpproxy = false;
  bool is_heard = true;
};
void PrintTo(const EarlyCase& row, std::ostream* out) { *out << row.name; }

Endpoint at(const char* text) { return Endpoint::parse(text).value(); }

const EarlyCase kEarly[] = {
    {.name = "AddressAndPortOfTheAnswer"},
    {.name = "AddressOfTheAnswerWithAnotherPort", .from = at("192.0.2.20:9000")},
    {.name = "BehindNat", .from = at("198.51.100.7:7000"), .received_from = "198.51.100.7"},
    {.name = "BehindNatWithAPrivateAddress",
     .from = at("198.51.100.7:7000"),
     .sdp = at("10.0.0.9:5000"),
     .received_from = "198.51.100.7"},
    {.name = "AStrangerIsNeverHeard", .from = at("203.0.113.66:5000"), .is_heard = false},
    {.name = "OnlyTheNewest25", .before = 30, .first_heard = 6},
    {.name = "OnePacket", .before = 1},
    {.name = "NothingAfterTheAnswer", .before = 12, .after = 0},
    {.name = "RtpproxyCommands", .rtpproxy = true},
    {.name = "RtpproxyCommandsAndAnotherPort", .from = at("192.0.2.20:9000"), .rtpproxy = true},
    {.name = "RtpproxyCommandsAndAStranger",
     .from = at("203.0.113.66:5000"),
     .after = 5,
     .rtpproxy = true,
     .is_heard = false},
};

class FieldEarlyMedia : public testing::TestWithParam<EarlyCase> {};

TEST_P(FieldEarlyMedia, LAT14_ComesOutInOrderWhenTheAnswerNamesItsSource) {
  const EarlyCase& row = GetParam();
  Ringing call(row.rtpproxy);
  const Endpoint from = row.from.is_set() ? row.from : call.b_;
  call.speaks(from, 100ms, row.before + row.after);
  const Duration answered = 100ms + row.before * kPtime - 5ms;
  call->run(answered - 1ms);
  EXPECT_TRUE(call.heard().empty()) << "nothing is heard before the answer";
  call.answers(answered, row.sdp.is_set() ? row.sdp : call.b_, row.received_from);
  call->run(5s);
  if (row.is_heard) {
    EXPECT_EQ(call.heard(), numbers(row.first_heard, row.before + row.after));
    // The first of another address waits for the second one, as always (LAT-5).
    EXPECT_GE(call.shortest_gap(from == call.b_ ? 0 : 1), kPtime / 2) << "at most twice real time";
    EXPECT_EQ(call.dropped_early(), static_cast<unsigned>(row.first_heard - 1));
    const Duration last_sent = 100ms + (row.before + row.after - 1) * kPtime;
    if (row.after == 40) {
      EXPECT_EQ(call->received().back().when, last_sent) << "the line is empty by then";
    }
  } else {
    EXPECT_TRUE(call.heard().empty());
    EXPECT_EQ(call.dropped_early(), static_cast<unsigned>(row.before));
  }
}

INSTANTIATE_TEST_SUITE_P(Table, FieldEarlyMedia, testing::ValuesIn(kEarly),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(FieldEarlyMediaSources, LAT14_FiveSourcesAtOnceAndTheOneOfTheAnswerIsAmongFour) {
  Ringing call;
  call.speaks(call.b_, 100ms, 10);
  for (std::uint8_t n = 1; n <= 4; ++n)
    call.speaks({IpAddress::v4({203, 0, 113, n}), UdpPort{5000}}, 101ms + n * 1ms, 10, 0xbad00 + n);
  call.answers(300ms, call.b_);
  call->run(2s);
  EXPECT_EQ(call.heard(), numbers(1, 10));
  EXPECT_EQ(call.dropped_early(), 40u) << "ten of the fifth as they come, the others with the answer";
}

TEST(FieldEarlyMediaSources, LAT14_ABetterRankGoesBeforeAWorseOne) {
  Ringing call;
  call.speaks(at("192.0.2.20:9000"), 100ms, 10, 0xbad, 500);
  call.speaks(call.b_, 105ms, 10);
  call.answers(300ms, call.b_);
  call->run(2s);
  EXPECT_EQ(call.heard(), numbers(1, 10));
}

TEST(FieldEarlyMediaState, DMX5_KeepingChangesNothingElse) {
  Ringing call;
  call->run(50ms);
  const json before = call->manager().export_call("c", call->clock());
  call.speaks(call.b_, 60ms, 5);
  call->run(160ms);
  json after = call->manager().export_call("c", call->clock());
  const auto medias = [](const json& record) { return record.at("sections").at("medias").at("components"); };
  EXPECT_EQ(medias(before).at(1).at("payloads"), medias(after).at(1).at("payloads"));
  const json shown = call->manager().show("c", call->clock());
  const json& media = shown["legs"][1]["medias"][0];
  EXPECT_EQ(media["streams"][0]["latch_state"], "learning");
  EXPECT_EQ(media["streams"][0]["in"]["packets"], 0);
  EXPECT_EQ(media["streams"][0]["in"]["errors"], 0);
  EXPECT_TRUE(media["received"].empty());
  EXPECT_TRUE(media["drops"].empty());
  // A call that is deleted before its answer drops the kept packets by name.
  ASSERT_EQ(
      call->ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "A"}, {"delete-delay", 0}})["result"],
      "ok");
  EXPECT_EQ(call.dropped_early(), 5u);
}

TEST(FieldEarlyMediaState, LAT14_EachBranchKeepsItsOwn) {
  Ringing call;
  // A second branch of the same offer.
  json fork = offer("c", "A", audio_sdp(call.a_));
  fork["via-branch"] = "two";
  const Endpoint to_second = call.here(World::port_of(call->ng(fork)));
  const Endpoint c{IpAddress::v4({192, 0, 2, 30}), UdpPort{6000}};
  call.speaks(call.b_, 100ms, 5);
  for (int i = 0; i < 5; ++i) {
    call->at(100ms + i * kPtime, [&call, c, to_second, i] {
      call->send(c, to_second, rtp('C', 0xc, static_cast<std::uint16_t>(100 + i)));
    });
  }
  call->at(200ms, [&call, c] {
    json w = answer("c", "A", "C", audio_sdp(c));
    w["via-branch"] = "two";
    ASSERT_EQ(call->ng(w)["result"], "ok");
  });
  call->run(1s);
  EXPECT_EQ(call.heard(), numbers(100, 104)) << "the branch that answered";
  EXPECT_EQ(call.dropped_early(), 0u) << "the other one may still answer";
}

TEST(FieldEarlyMediaMoves, LAT14_AMoveToAnotherWorkerMayLoseItButNothingElse) {
  WorldOptions options;
  options.workers = 2;
  Ringing call(false, options);
  call.speaks(call.b_, 100ms, 30);
  call->run(200ms);
  const std::size_t other = 1;
  for (const std::size_t worker : {other, std::size_t{0}})
    EXPECT_TRUE(call->manager().move_call("c", worker));
  call.answers(400ms, call.b_);
  call->run(2s);
  const auto heard = call.heard();
  ASSERT_FALSE(heard.empty());
  EXPECT_EQ(heard, numbers(heard.front(), 30));
}

TEST(FieldEarlyMediaBelow, LAT14_TheKernelDoesNotOvertake) {
  KernelModel* kernel = nullptr;
  WorldOptions options;
  options.offload = [&](SimNetwork& network) {
    auto made = std::make_unique<KernelModel>(network);
    kernel = made.get();
    return made;
  };
  Ringing call(false, options);
  call.speaks(call.b_, 100ms, 200);
  call.answers(595ms, call.b_);
  call->run(6s);
  EXPECT_EQ(call.heard(), numbers(1, 200));
  EXPECT_GE(call.shortest_gap(), kPtime / 2);
  EXPECT_GT(call->forwarded_by_kernel(), 100u) << "when the line is empty the kernel has it";
}

/// What goes on between the first answer and the second one, and whether the new source is heard.
struct ReofferCase {
  const char* name;
  std::string from_tag = "A";
  std::string to_tag = "B";
  std::string answerer = "B";
  Endpoint answer_at = at("192.0.2.33:7000");
  bool is_answered = true;
  bool is_heard = true;
  bool below = false;
};
void PrintTo(const ReofferCase& row, std::ostream* out) { *out << row.name; }

const ReofferCase kReoffers[] = {
    {.name = "TheAnswerMovesBob"},
    {.name = "TheAnswerMovesBobBelow", .below = true},
    {.name = "AnotherGatewayAfterAFailure", .to_tag = "", .answerer = "C"},
    {.name = "TheAnswerKeepsBobWhereHeIs", .answer_at = at("192.0.2.20:5000"), .is_heard = false},
    {.name = "RefusedAndNobodyToldUs", .is_answered = false, .is_heard = false},
    {.name = "RefusedBelow", .is_answered = false, .is_heard = false, .below = true},
};

class FieldEarlyReoffer : public testing::TestWithParam<ReofferCase> {};

TEST_P(FieldEarlyReoffer, LAT14_TheOffererOfAReInviteWaitsToo) {
  const ReofferCase& row = GetParam();
  WorldOptions options;
  if (row.below) options.offload = [](SimNetwork& network) { return std::make_unique<KernelModel>(network); };
  Ringing call(false, options);
  const Endpoint moved = at("192.0.2.33:7000");
  call.answers(50ms, call.b_);
  call.speaks(call.b_, 100ms, 250);  // until 5.1 s
  call->at(4900ms, [&call, &row] {
    json again = offer("c", row.from_tag, audio_sdp(call.a_));
    if (!row.to_tag.empty()) again["to-tag"] = row.to_tag;
    call.to_b_ = call.here(World::port_of(call->ng(again)));
  });
  call.speaks(moved, 5s, 40, 0xb0c, 1001);
  if (row.is_answered) {
    call->at(5195ms, [&call, &row] {
      ASSERT_EQ(call->ng(answer("c", "A", row.answerer, audio_sdp(row.answer_at)))["result"], "ok");
    });
  }
  call->run(7s);
  std::vector<int> of_new;
  std::vector<int> of_old;
  for (const int number : call.heard()) (number > 1000 ? of_new : of_old).push_back(number);
  EXPECT_EQ(of_old, numbers(1, 250)) << "the agreed source is heard meanwhile";
  EXPECT_EQ(of_new, row.is_heard ? numbers(1001, 1040) : std::vector<int>{});
}

INSTANTIATE_TEST_SUITE_P(Table, FieldEarlyReoffer, testing::ValuesIn(kReoffers),
                         [](const auto& row) { return std::string(row.param.name); });

// RTCP of another address than the RTP has is let out with the answer and refused (LAT-9). The offer that
// comes meanwhile lets packets be kept again: those that had their turn are not among them.
TEST(FieldEarlyMediaReoffer, LAT14_WhatIsRefusedWhenItIsLetOutDoesNotComeRoundForEver) {
  Ringing call;
  const Endpoint rtcp = at("198.51.100.7:5001");
  call.speaks(call.b_, 100ms, 20);
  for (int i = 0; i < 20; ++i) {
    call->at(110ms + i * kPtime, [&call, rtcp] {
      Endpoint to = call.to_b_;
      ++to.port.value;
      call->send(rtcp, to, receiver_report(kBob));
    });
  }
  call.answers(500ms, call.b_, "198.51.100.7");
  call->at(540ms, [&call] {
    json again = offer("c", "A", audio_sdp(call.a_));
    again["to-tag"] = "B";
    ASSERT_EQ(call->ng(again)["result"], "ok");
  });
  call->run(3s);
  EXPECT_EQ(call.heard(), numbers(1, 20));
  EXPECT_LE(call.dropped_early(), 20u) << "each of them once at the most";
}

TEST(FieldEarlyMediaBudget, LAT14_EightMegabytesAWorkerAndTheOldestGivesWay) {
  constexpr int kCalls = 64;  // of 140,000 octets each
  auto world = make_sim_world({});
  const Endpoint a = at("192.0.2.10:4000");
  world->open(a);
  const auto name = [](int n) { return fmt::format("c{}", n); };
  std::vector<UdpPort> ports;
  for (int n = 0; n < kCalls; ++n)
    ports.push_back(World::port_of(world->ng(offer(name(n), "A", audio_sdp(a)))));
  const auto source = [](int n) {
    return Endpoint{at("192.0.2.20:5000").address, UdpPort{static_cast<std::uint16_t>(5000 + n)}};
  };
  for (int n = 0; n < kCalls; ++n) {
    for (int i = 0; i < 100; ++i) {
      world->send(
          source(i % 4), {world->relay_address(), ports[static_cast<std::size_t>(n)]},
          rtp('B', 0xb0 + static_cast<std::uint32_t>(i % 4), static_cast<std::uint16_t>(1 + i / 4), 8, 1388));
    }
  }
  const auto drops = [&] {
    return world->manager()
        .plane()
        .worker(0)
        .totals()
        .drops[static_cast<std::size_t>(DropReason::kEarlyMedia)]
        .load();
  };
  EXPECT_GE(drops(), 100u * 4);
  EXPECT_LT(drops(), 100u * 16) << "a call at a time gives way, not all of them";
  const auto heard_after_answer = [&](int n) {
    const std::size_t before = world->count(a);
    world->ng(answer(name(n), "A", "B", audio_sdp(source(0))));
    for (int tick = 0; tick < 10; ++tick) world->run(world->elapsed() + 1ms);
    return world->count(a) - before;
  };
  EXPECT_EQ(heard_after_answer(0), 0u) << "the oldest";
  EXPECT_GE(heard_after_answer(kCalls - 1), 10u) << "the newest";
}

class FieldEarlySrtp : public testing::TestWithParam<std::string_view> {};

TEST_P(FieldEarlySrtp, LAT14_KeysThatComeWithTheAnswerOpenWhatWasKept) {
  WorldOptions options;
  options.session.srtp.backend = make_srtp_backend(GetParam());
  auto world = make_sim_world(options);
  for (Duration when = 0ms; when < 3s; when += 1ms) world->at(when, [] {});
  SecureCall call(*world, 7, std::nullopt, kCm80);
  const auto offered = lines_of(call.offer());
  ASSERT_FALSE(offered.empty());
  Party& b = call.b();
  b.keys = {master_key(b.own), master_key(offered.front())};
  b.end = std::make_unique<SrtpEnd>(b.keys);
  for (int i = 0; i < 40; ++i) world->at(100ms + i * kPtime, [&call, &b] { call.deliver(b, call.next(b)); });
  world->at(295ms, [&call] { ASSERT_EQ(call.answer()["result"], "ok"); });
  world->run(290ms);
  EXPECT_TRUE(call.heard(call.a()).empty());
  world->run(2s);
  const auto heard = call.heard(call.a());
  ASSERT_EQ(heard.size(), 40u);
  for (std::size_t i = 0; i < heard.size(); ++i) EXPECT_EQ(read_u16(heard[i], 2), 1000 + i);
  EXPECT_EQ(call.drops(b, "not-authentic"), 0u);
  EXPECT_EQ(call.drops(b, "no-key"), 0u);
}

INSTANTIATE_TEST_SUITE_P(All, FieldEarlySrtp,
                         testing::ValuesIn(srtp_backend_names().begin(), srtp_backend_names().end()),
                         [](const auto& each) { return backend_name(each); });

}  // namespace
}  // namespace ferry::test
