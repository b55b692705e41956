// SPDX-License-Identifier: Apache-2.0
// What is kept, counted and logged of refused requests, and what `explain` makes of it.

#include "control/session/refused_requests.hpp"

#include "tests/support/world.hpp"

#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr RefusalReason kNoPorts = refusal_for(PortFailure::kExhausted);

/// A ring with a clock of its own.
class Ring : public ::testing::Test {
 protected:
  RefusedRequests::Line note(std::string_view call_id, RefusalReason reason,
                             std::string_view command = "offer", std::string_view from_tag = "A") {
    return ring_.note({.call_id = call_id,
                       .command = command,
                       .protocol = "NG",
                       .from_tag = from_tag,
                       .client = IpAddress::v4({192, 0, 2, 7}),
                       .refusal = reason,
                       .text = row_of(reason).text},
                      Instant{1h} + passed_, WallTime{} + passed_);
  }
  void pass(Duration time) { passed_ += time; }

  RefusedRequests ring_;
  Duration passed_{0};
};

TEST_F(Ring, RepeatsOfOneCallAndReasonAreOneEntryWithTheFirstAndTheLastTime) {
  note("c", kNoPorts);
  pass(5s);
  note("c", kNoPorts, "offer", "other branch");
  pass(1s);
  note("c", RefusalReason::kSdp);
  pass(1s);
  note("c", kNoPorts, "answer");
  note("d", kNoPorts);
  const auto found = ring_.of_call("c");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0]->count, 2u);
  EXPECT_EQ(found[0]->first, WallTime{});
  EXPECT_EQ(found[0]->last, WallTime{} + 5s);
  EXPECT_EQ(found[0]->from_tag, "other branch") << "who was refused last";
  EXPECT_EQ(in_words(*found[0]), "offer from other branch was refused 2 times: Ran out of ports");
  EXPECT_EQ(ring_.size(), 4u);
  EXPECT_EQ(ring_.totals()[static_cast<std::size_t>(kNoPorts)].count, 4u);
}

TEST_F(Ring, WhatWasRefusedLastIsTheLastOfTheCall) {
  note("c", kNoPorts);
  pass(1s);
  note("c", RefusalReason::kSdp);
  pass(1s);
  note("c", kNoPorts);
  const auto found = ring_.of_call("c");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0]->refusal, RefusalReason::kSdp);
  EXPECT_EQ(found[1]->refusal, kNoPorts);
}

TEST_F(Ring, CommandsThatAskOrNameNoCallAreCountedAlone) {
  note("", RefusalReason::kMessage);
  ring_.note({.call_id = "c", .command = "query", .refusal = RefusalReason::kUnknownCall, .changes = false},
             Instant{1h}, WallTime{});
  EXPECT_EQ(ring_.size(), 0u);
  EXPECT_TRUE(ring_.of_call("").empty());
  EXPECT_TRUE(ring_.of_call("c").empty());
  EXPECT_EQ(ring_.totals()[static_cast<std::size_t>(RefusalReason::kMessage)].count, 1u);
  EXPECT_EQ(ring_.totals()[static_cast<std::size_t>(RefusalReason::kUnknownCall)].count, 1u);
}

struct Flood {
  const char* name;
  std::size_t id_size;
  std::size_t tag_size;
  bool many_reasons;
};
constexpr Flood kFloods[] = {
    {"short", 12, 3, false},
    {"long", 60'000, 60'000, false},
    {"longest_that_are_kept", RefusedRequests::kLongestCallId, RefusedRequests::kLongestTag, true},
    {"many_reasons", 40, 10, true}};
class RingFlood : public Ring, public ::testing::WithParamInterface<Flood> {};

// An attacker chooses Call-IDs and tags; the refusals of other calls have to stay, and memory is bounded.
TEST_P(RingFlood, KeepsItsBoundsAndWhatWasRefusedForOtherReasons) {
  const Flood& row = GetParam();
  note("victim", RefusalReason::kEncryption);
  const std::string tag(row.tag_size, 't');
  std::uint64_t lines = 0;
  for (unsigned i = 0; i < 5000; ++i) {
    std::string id = fmt::format("{:08}", i);
    id.resize(row.id_size, 'x');
    const auto reason = row.many_reasons ? static_cast<RefusalReason>(i % 5) : kNoPorts;
    lines += note(id, reason, "offer", tag).is_wanted ? 1u : 0u;
    ASSERT_LE(ring_.size(), RefusedRequests::kMaxEntries);
    ASSERT_LE(ring_.bytes(), RefusedRequests::kMaxBytes);
  }
  EXPECT_GT(ring_.size(), 100u) << "some hundred of the newest stay";
  ASSERT_EQ(ring_.of_call("victim").size(), 1u);
  std::string newest = "00004999";
  newest.resize(row.id_size, 'x');
  EXPECT_EQ(ring_.of_call(newest).size(), 1u);
  std::string oldest = "00000000";
  oldest.resize(row.id_size, 'x');
  EXPECT_TRUE(ring_.of_call(oldest).empty());
  EXPECT_LE(lines, (row.many_reasons ? 5u : 1u) * RefusedRequests::kLinesPerSecond) << "in one moment";
}
INSTANTIATE_TEST_SUITE_P(Each, RingFlood, ::testing::ValuesIn(kFloods),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_F(Ring, CallIdsThatBeginAlikeAreNotTheSameCall) {
  const std::string base(RefusedRequests::kLongestCallId, 'x');
  for (const char* end : {"", "a", "b", "ab"}) note(base + end, kNoPorts);
  EXPECT_EQ(ring_.size(), 4u);
  for (const char* end : {"", "a", "b", "ab"}) EXPECT_EQ(ring_.of_call(base + end).size(), 1u);
  EXPECT_TRUE(ring_.of_call(base + "c").empty());
}

TEST_F(Ring, ASessionOfTheRtpproxyProtocolIsFoundByItsCallIdWithATagBehind) {
  note("c", kNoPorts, "U (offer)", "t;1");
  note("c", kNoPorts, "L (answer)", "u");
  EXPECT_EQ(ring_.of_call("c").size(), 2u);
  ASSERT_EQ(ring_.of_call("c t;1").size(), 1u);
  EXPECT_EQ(ring_.of_call("c t;1")[0]->command, "U (offer)");
  EXPECT_TRUE(ring_.of_call("c v").empty());
}

// Every refusal has a line as long as they are few; of a flood the lines say how many they leave out.
TEST_F(Ring, EveryRefusalIsInALineOfTheLogOrInTheNumberOfALaterOne) {
  std::uint64_t lines = 0;
  std::uint64_t told = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto line = note("c", kNoPorts);
    lines += line.is_wanted ? 1u : 0u;
    told += line.left_out;
    pass(10ms);
  }
  EXPECT_GT(lines, 40u);
  EXPECT_LE(lines, 60u);
  EXPECT_EQ(ring_.take_untold(RefusalReason::kSdp, Instant{1h} + passed_), 0u);
  pass(1s);
  told += ring_.take_untold(kNoPorts, Instant{1h} + passed_);
  EXPECT_EQ(lines + told, 1000u) << "nothing is forgotten when the flood ends";
  EXPECT_EQ(ring_.take_untold(kNoPorts, Instant{1h} + passed_), 0u);
  pass(1h);
  for (std::uint32_t i = 0; i < RefusedRequests::kLinesPerSecond; ++i)
    EXPECT_TRUE(note("c", kNoPorts).is_wanted) << "few in an hour";
}

TEST(RefusalRows, EachHasANameATextAndAnAdviceOfItsOwn) {
  std::set<std::string_view> names;
  std::set<std::string_view> texts;
  for (const RefusalRow& row : kRefusalRows) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(texts.insert(row.text).second) << row.text;
    EXPECT_FALSE(row.advice.empty()) << row.name;
  }
  for (const PortFailureRow& row : kPortFailureRows)
    EXPECT_EQ(ferry::row_of(refusal_for(row.failure)).name, row.name);
}

/// A relay with two sides of IPv4 alone that refuses something.
struct RefusedCase {
  const char* name;
  RefusalReason reason;
  /// Makes the relay as it has to be, before the request.
  void (*prepare)(World& world);
  json (*request)();
  /// The same in the rtpproxy protocol; null = it has no such thing.
  const char* rtpproxy = nullptr;
  /// Of the daemon.
  void (*configure)(SessionConfig& config) = nullptr;
};

const Endpoint kParty = Endpoint::parse("192.0.2.1:4000").value();
json plain_offer() { return offer("c", "A", audio_sdp(kParty)); }
void nothing(World&) {}
template <PortError error>
void fail_ports(World& world) {
  world.fail_ports(error);
}
template <double LoadFigures::*figure>
void load(World& world) {
  LoadFigures figures;
  figures.*figure = 99;
  world.manager().set_load(figures);
}

const RefusedCase kRefusedCases[] = {
    {"ports", kNoPorts, fail_ports<PortError::kInUse>, plain_offer, "U c 192.0.2.1 4000 A"},
    {"address", refusal_for(PortFailure::kNoAddress), fail_ports<PortError::kNoAddress>, plain_offer,
     "U c 192.0.2.1 4000 A"},
    {"descriptors", refusal_for(PortFailure::kNoDescriptors), fail_ports<PortError::kNoDescriptors>,
     plain_offer, "U c 192.0.2.1 4000 A"},
    {"memory", refusal_for(PortFailure::kNoMemory), fail_ports<PortError::kNoMemory>, plain_offer,
     "U c 192.0.2.1 4000 A"},
    {"host", refusal_for(PortFailure::kRefused), fail_ports<PortError::kOther>, plain_offer,
     "U c 192.0.2.1 4000 A"},
    {"family", refusal_for(PortFailure::kNoFamily), nothing,
     [] {
       json asks = plain_offer();
       asks["address-family"] = "IP6";
       return asks;
     },
     "U6 c 2001:db8::1 4000 A"},
    {"draining", RefusalReason::kDraining, [](World& world) { world.manager().set_draining(); }, plain_offer,
     "U c 192.0.2.1 4000 A"},
    {"sessions", RefusalReason::kSessions,
     [](World& world) { ASSERT_EQ(world.ng(offer("other", "A", audio_sdp(kParty)))["result"], "ok"); },
     plain_offer, "U c 192.0.2.1 4000 A", [](SessionConfig& config) { config.max_sessions = 1; }},
    {"cpu", RefusalReason::kCpu, load<&LoadFigures::cpu_percent>, plain_offer, "U c 192.0.2.1 4000 A",
     [](SessionConfig& config) { config.max_cpu_percent = 50; }},
    {"load", RefusalReason::kLoad, load<&LoadFigures::load_average>, plain_offer, "U c 192.0.2.1 4000 A",
     [](SessionConfig& config) { config.max_load = 2; }},
    {"overload", RefusalReason::kOverload,
     [](World& world) {
       world.service().set_overloaded(true);
       world.set_rtpp_overloaded(true);
     },
     plain_offer, "U c 192.0.2.1 4000 A"},
    {"sdp", RefusalReason::kSdp, nothing, [] { return offer("c", "A", "s=a line before the version\r\n"); }},
    {"denied_address", RefusalReason::kDeniedAddress, nothing,
     [] { return offer("c", "A", audio_sdp(Endpoint::parse("203.0.113.9:4000").value())); },
     "U c 203.0.113.9 4000 A",
     [](SessionConfig& config) { config.peers.denied = {*Network::parse("203.0.113.0/24")}; }},
    {"interface", RefusalReason::kInterface, nothing,
     [] {
       json asks = plain_offer();
       asks["direction"] = {"nowhere", "nowhere"};
       return asks;
     },
     nullptr, [](SessionConfig& config) { config.direction_strict = true; }},
    {"unknown_call", RefusalReason::kUnknownCall, nothing,
     [] { return answer("c", "A", "B", audio_sdp(kParty)); }, "L c 192.0.2.1 4000 A B"},
    {"unsupported", RefusalReason::kUnsupported, nothing,
     [] {
       std::string text = audio_sdp(kParty);
       text.erase(text.find("m=audio"));
       return offer("c", "A", text + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n");
     }},
    {"message", RefusalReason::kMessage, nothing,
     [] {
       json asks = plain_offer();
       asks.erase("from-tag");
       return asks;
     },
     "U c not-an-address 4000 A"},
};

class RefusedCall : public ::testing::TestWithParam<RefusedCase> {
 protected:
  void SetUp() override {
    WorldOptions options;
    if (GetParam().configure != nullptr) GetParam().configure(options.session);
    world_ = make_sim_world(options);
    GetParam().prepare(*world_);
  }
  void expect_explained(std::string_view protocol, std::string_view command) {
    const json explained = world_->manager().explain("c", false, world_->clock());
    ASSERT_FALSE(explained.is_null());
    EXPECT_EQ(explained["state"], "refused");
    EXPECT_EQ(explained["severity"], "fault");
    EXPECT_TRUE(explained["verdicts"].empty());
    ASSERT_EQ(explained["refused"].size(), 1u) << explained.dump(1);
    const json& refused = explained["refused"][0];
    const RefusalRow& row = row_of(GetParam().reason);
    EXPECT_EQ(refused["reason"], row.name);
    EXPECT_EQ(refused["advice"], row.advice);
    EXPECT_EQ(refused["protocol"], protocol);
    EXPECT_EQ(refused["command"], command);
    EXPECT_EQ(refused["count"], 2);
    EXPECT_EQ(explained["summary"], refused["sentence"]);
    EXPECT_EQ(
        world_->manager().refused_requests().totals()[static_cast<std::size_t>(GetParam().reason)].count, 2u);
  }
  std::unique_ptr<World> world_;
};

TEST_P(RefusedCall, IsExplainedAfterTheNgProtocolRefusedIt) {
  const json request = GetParam().request();
  const json reply = world_->ng(request);
  ASSERT_NE(reply["result"], "ok") << reply.dump();
  world_->ng(request);
  expect_explained("NG over HTTP", request["command"].get<std::string>());
  const json explained = world_->manager().explain("c", false, world_->clock());
  EXPECT_EQ(explained["refused"][0]["text"],
            reply.contains("message") ? reply["message"] : reply["error-reason"])
      << "what really happened";
}

TEST_P(RefusedCall, IsExplainedAfterTheRtpproxyProtocolRefusedIt) {
  if (GetParam().rtpproxy == nullptr) return;
  const std::string reply = world_->rtpproxy(GetParam().rtpproxy);
  ASSERT_TRUE(reply.starts_with("E") || reply == "0") << reply;
  world_->rtpproxy(GetParam().rtpproxy);
  expect_explained("rtpproxy", GetParam().rtpproxy[0] == 'L' ? "L (answer)" : "U (offer)");
}

INSTANTIATE_TEST_SUITE_P(Each, RefusedCall, ::testing::ValuesIn(kRefusedCases),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(RefusedLater, ARunningCallListsItsRefusedReinviteAndStaysItself) {
  const auto world = make_sim_world();
  ASSERT_EQ(world->ng(plain_offer())["result"], "ok");
  EXPECT_FALSE(world->manager().explain("c", false, world->clock()).contains("refused"));
  ASSERT_NE(world->ng(offer("c", "A", "s=a line before the version\r\n"))["result"], "ok");
  const json running = world->manager().explain("c", false, world->clock());
  EXPECT_EQ(running["state"], "running");
  ASSERT_EQ(running["refused"].size(), 1u);
  EXPECT_EQ(running["refused"][0]["reason"], "sdp");
  EXPECT_FALSE(running["verdicts"].empty());
}

TEST(RefusedLater, ASessionOfTheRtpproxyProtocolListsItsRefusedAnswer) {
  const auto world = make_sim_world();
  ASSERT_NE(World::port_of(world->rtpproxy("U c 192.0.2.1 4000 A")).value, 0);
  world->fail_ports(PortError::kInUse);
  ASSERT_EQ(world->rtpproxy("L c 192.0.2.2 4000 A B"), "E71");
  for (const char* id : {"c", "c A"}) {
    const json running = world->manager().explain(id, false, world->clock());
    EXPECT_EQ(running["state"], "running") << id;
    ASSERT_EQ(running["refused"].size(), 1u) << id;
    EXPECT_EQ(running["refused"][0]["reason"], "ports") << id;
  }
}

TEST(RefusedLater, ADeletionOfWhatIsNotThereIsNoFault) {
  const auto world = make_sim_world();
  EXPECT_EQ(world->rtpproxy("D c A"), "E50");
  const json explained = world->manager().explain("c", false, world->clock());
  EXPECT_EQ(explained["severity"], "note");
  EXPECT_EQ(explained["refused"][0]["reason"], "unknown-call");
}

TEST(RefusedLater, WhatIsCarriedOutOrOnlyAskedLeavesNothing) {
  const auto world = make_sim_world();
  ASSERT_EQ(world->ng(plain_offer())["result"], "ok");
  ASSERT_NE(world->ng({{"command", "query"}, {"call-id", "nobody"}})["result"], "ok");
  EXPECT_EQ(world->manager().refused_requests().size(), 0u);
  EXPECT_TRUE(world->manager().explain("nobody", false, world->clock()).is_null());
}

/// Codecs of an offer that the relay has to convert.
json converting_offer(const std::string& call) {
  json request = offer(call, "A", audio_sdp(kParty));
  request["codec"] = {{"mask", {"all"}}, {"transcode", {"G722"}}};
  return request;
}

TEST(BusyMediaThreads, RefuseNewCallsThatAskForConversionAlone) {
  WorldOptions options;
  options.session.codecs =
      CodecCatalogue({{{"PCMA", 8000, 1, {}}, 8000, true, true}, {{"G722", 8000, 1, {}}, 16000, true, true}});
  const auto world = make_sim_world(options);
  const auto set = [&](double percent) { world->manager().set_load({.transcoding_percent = percent}); };
  std::string answered = audio_sdp(Endpoint::parse("192.0.2.2:4000").value());
  answered.replace(answered.find("RTP/AVP 8"), 9, "RTP/AVP 9");
  ASSERT_EQ(world->ng(converting_offer("early"))["result"], "ok");
  ASSERT_EQ(world->ng(answer("early", "A", "B", answered))["result"], "ok");
  set(99);
  const json refused = world->ng(converting_offer("late"));
  EXPECT_EQ(refused["result"], "error");
  EXPECT_EQ(refused["error-reason"], "Parallel session limit reached");
  json again = converting_offer("early");
  again["to-tag"] = "B";
  EXPECT_EQ(world->ng(again)["result"], "ok") << "a call that runs goes on";
  EXPECT_EQ(world->ng(offer("plain", "A", audio_sdp(kParty)))["result"], "ok");
  set(20);
  EXPECT_EQ(world->ng(converting_offer("late"))["result"], "ok");
}

}  // namespace
}  // namespace ferry::test
