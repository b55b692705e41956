// SPDX-License-Identifier: Apache-2.0
// Calls through the NG service on the simulated engine: seams, ports, properties.

#include "tests/support/world.hpp"

#include <filesystem>
#include <fstream>
#include <random>
#include <regex>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

Endpoint peer(std::uint8_t last, std::uint16_t port) {
  return {IpAddress::v4({192, 0, 2, last}), UdpPort{port}};
}

/// A second relay that gets what the first one exports: its `query` must say the same.
void expect_same_after_restore(World& world, const std::string& call, const std::string& where) {
  if (world.manager().find(call) == nullptr) return;
  const Clock clock = world.clock();
  const json before = world.ng({{"command", "query"}, {"call-id", call}});
  const json record = json::parse(world.manager().export_call(call, clock).dump());
  world.manager().terminate(call, clock);
  world.manager().flush(clock);
  const auto restored = world.manager().restore_call(record, clock);
  ASSERT_TRUE(restored) << where << ": " << restored.error();
  const json after = world.ng({{"command", "query"}, {"call-id", call}});
  ASSERT_EQ(before, after) << where << "\n" << json::diff(before, after).dump(1);
}

TEST(Export, Seam3_RestoreGivesTheSameQueryAfterEveryStepOfARunningCall) {
  const auto world = make_sim_world();
  const Endpoint a = peer(10, 4000);
  const Endpoint b = peer(20, 5000);
  world->open(a);
  world->open(b);
  const UdpPort to_b = World::port_of(world->ng(offer("c", "A", audio_sdp(a))));
  expect_same_after_restore(*world, "c", "offer");
  const UdpPort to_a = World::port_of(world->ng(answer("c", "A", "B", audio_sdp(b))));
  expect_same_after_restore(*world, "c", "answer");
  for (std::uint16_t n = 1; n <= 100; ++n) {
    world->at(n * 20ms, [&, n] {
      world->send(a, {world->relay_address(), to_a}, rtp('A', 1, n));
      if (n % 3 != 0) world->send(b, {world->relay_address(), to_b}, rtp('B', 2, n));
      if (n % 10 == 0) expect_same_after_restore(*world, "c", "packet " + std::to_string(n));
    });
  }
  world->run(3s);
  const Endpoint a_rtcp{a.address, UdpPort{4001}};
  const Endpoint b_rtcp{b.address, UdpPort{5001}};
  const auto next = [](UdpPort port) { return UdpPort{static_cast<std::uint16_t>(port.value + 1)}; };
  // Sender reports both ways and the answers to them, so that quality samples exist.
  world->at(3100ms, [&] {
    world->send(a_rtcp, {world->relay_address(), next(to_a)}, sender_report(1, 0x10000));
  });
  world->at(3150ms, [&] {
    world->send(b_rtcp, {world->relay_address(), next(to_b)}, sender_report(2, 0x20000, 1, 0x00000000, 0));
  });
  world->at(3200ms, [&] {
    // LSR is the middle of the NTP time: low half of the seconds, high half of the fraction.
    world->send(b_rtcp, {world->relay_address(), next(to_b)},
                sender_report(2, 0x20001, 1, 0x00010000u << 0, 0));
    world->send(a_rtcp, {world->relay_address(), next(to_a)}, sender_report(1, 0x10001, 2, 0x00010000u, 0));
    expect_same_after_restore(*world, "c", "reports");
  });
  world->run(4s);
  EXPECT_EQ(world->count(b, 'A'), 100u);
  EXPECT_EQ(world->count(a, 'B'), 67u);
  EXPECT_EQ(world->manager().size(), 1u);
}

/// Placeholders of recorded requests that stand for something of an earlier reply.
json fill_in(const json& value, const std::map<std::string, std::string>& bound) {
  if (value.is_string()) {
    std::string text = value;
    for (const auto& [name, replacement] : bound) {
      for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos;)
        text.replace(at, name.size(), replacement);
    }
    return text;
  }
  if (value.is_structured()) {
    json filled = value;
    for (auto& element : filled) element = fill_in(element, bound);
    return filled;
  }
  return value;
}

TEST(Export, Seam3_RestoreGivesTheSameQueryAfterEveryStepOfTheRecordedDialogues) {
  std::size_t steps = 0;
  for (const auto& file : std::filesystem::directory_iterator(FERRY_SOURCE_DIR "/tests/golden/ng")) {
    const json dialogue = json::parse(std::ifstream(file.path()));
    const auto world = make_sim_world();
    for (const json& step : dialogue["steps"]) {
      if (!step.contains("request") || !step["request"].is_object()) continue;
      json request = fill_in(step["request"], {{"{{tag:1}}", "t1"}, {"{{tag:2}}", "t2"}});
      if (request.contains("sdp") && request["sdp"].is_array()) {
        std::string body;
        for (const auto& line : request["sdp"]) body += line.get<std::string>() + "\r\n";
        request["sdp"] = body;
      }
      world->ng(request);
      if (request.contains("call-id") && request["call-id"].is_string()) {
        expect_same_after_restore(*world, request["call-id"], file.path().filename().string());
        ++steps;
      }
    }
    world->manager().terminate_all(world->clock());
    world->manager().flush(world->clock());
    ASSERT_EQ(world->open_ports(), 0u) << file.path();
  }
  EXPECT_GT(steps, 700u);
}

TEST(Export, DamagedRecordsAreRefusedAndLeaveNothing) {
  const auto world = make_sim_world();
  world->ng(offer("c", "A", audio_sdp(peer(10, 4000))));
  const json record = world->manager().export_call("c", world->clock());
  world->manager().terminate_all(world->clock());
  world->manager().flush(world->clock());
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    json flat = record.flatten();
    auto entry = flat.begin();
    std::advance(entry, random() % flat.size());
    if (i % 3 == 0)
      *entry = nullptr;
    else if (i % 3 == 1)
      *entry = -7;
    else
      *entry = "x";
    json damaged;
    try {
      damaged = flat.unflatten();
    } catch (const json::exception&) {
      continue;
    }
    if (world->manager().restore_call(damaged, world->clock())) {
      world->manager().terminate_all(world->clock());
      world->manager().flush(world->clock());
    }
    ASSERT_EQ(world->manager().size(), 0u);
    ASSERT_EQ(world->open_ports(), 0u) << entry.key();
  }
  EXPECT_TRUE(world->manager().restore_call(record, world->clock()));
}

TEST(Move, Seam7_ACallMovesBetweenWorkersInMidStreamWithoutLoss) {
  for (const bool live : {false, true}) {
    WorldOptions options;
    options.workers = 2;
    const auto world = live ? make_live_world(options) : make_sim_world(options);
    const Endpoint a{world->peer_address(1, 'A'), UdpPort{4000}};
    const Endpoint b{world->peer_address(1, 'B'), UdpPort{5000}};
    world->open(a);
    world->open(b);
    const UdpPort to_b = World::port_of(world->ng(offer("m", "A", audio_sdp(a))));
    const UdpPort to_a = World::port_of(world->ng(answer("m", "A", "B", audio_sdp(b))));
    std::size_t moves = 0;
    for (std::uint16_t n = 1; n <= 400; ++n) {
      world->at(n * 2ms, [&, n] {
        world->send(a, {world->relay_address(), to_a}, rtp('A', 1, n, 8, 20));
        world->send(b, {world->relay_address(), to_b}, rtp('B', 2, n, 8, 20));
        if (n % 20 == 0) moves += world->manager().move_call("m", (n / 20) % 2 == 0 ? 1 : 0) ? 1u : 0u;
      });
    }
    world->run(1s);
    EXPECT_GE(moves, 19u) << world->name();
    // 250 packets/s after a burst of one second is the stream's limit: 400 in 0.8 s stay below it.
    EXPECT_EQ(world->count(b, 'A'), 400u) << world->name();
    EXPECT_EQ(world->count(a, 'B'), 400u) << world->name();
  }
}

TEST(Ports, PRT1_DrawsFromTheLeastRecentlyFreedHalf) {
  PortPool pool(UdpPort{30000}, UdpPort{30199});
  const Instant start{1h};
  std::vector<UdpPort> drawn;
  for (int i = 0; i < 10; ++i) drawn.push_back(pool.draw(start)->rtp);
  for (const UdpPort port : drawn) pool.give_back(port, {}, start);
  // Rested again, these ten are the most recently freed: none of the next 40 draws may be one of them.
  const Instant later = start + 11s;
  for (int i = 0; i < 40; ++i) {
    const UdpPort port = pool.draw(later)->rtp;
    EXPECT_EQ(std::count(drawn.begin(), drawn.end(), port), 0);
  }
}

TEST(Ports, PRT2_RestIsAPreferenceNeverARefusal) {
  PortPool pool(UdpPort{30000}, UdpPort{30003});
  const Instant start{1h};
  const auto first = pool.draw(start);
  const auto second = pool.draw(start);
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(pool.draw(start));
  pool.give_back(first->rtp, peer(10, 4000), start);
  pool.give_back(second->rtp, peer(20, 4000), start + 1s);
  const auto again = pool.draw(start + 2s);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->rtp, first->rtp) << "freed longest ago";
  EXPECT_EQ(again->barred, peer(10, 4000));
  EXPECT_EQ(pool.forced_reuses(), 1u);
}

TEST(Ports, PRT3_DeletedCallsHaveNoSocket) {
  const auto world = make_sim_world();
  world->ng(offer("c", "A", audio_sdp(peer(10, 4000))));
  EXPECT_EQ(world->open_ports(), 4u) << "four ports at the offer";
  world->ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "A"}, {"delete delay", 0}});
  EXPECT_EQ(world->open_ports(), 0u);
}

TEST(Sessions, DeleteDelayEndsTheCallLaterAndSignallingRevivesIt) {
  const auto world = make_sim_world();
  world->ng(offer("c", "A", audio_sdp(peer(10, 4000))));
  world->ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "A"}});
  world->run(20s);
  EXPECT_EQ(world->manager().size(), 1u);
  world->ng(offer("c", "A", audio_sdp(peer(10, 4000))));
  world->run(60s);
  EXPECT_EQ(world->manager().size(), 1u);
  world->ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "A"}});
  world->run(92s);
  EXPECT_EQ(world->manager().size(), 0u);
  EXPECT_EQ(world->open_ports(), 0u);
}

TEST(Sessions, TimeoutsEndSilentCallsWithTheirReason) {
  const auto world = make_sim_world();
  world->ng(offer("c", "A", audio_sdp(peer(10, 4000))));
  world->ng(answer("c", "A", "B", audio_sdp(peer(20, 4000))));
  world->run(59s);
  EXPECT_EQ(world->manager().size(), 1u);
  world->run(62s);
  EXPECT_EQ(world->manager().size(), 0u);
  EXPECT_EQ(world->manager().totals().ended[static_cast<std::size_t>(EndReason::kTimeout)], 1u);
  EXPECT_EQ(world->manager().totals().zero_way, 1u);
}

TEST(Sessions, OfferThatFailsLeavesTheCallAsItWas) {
  const auto world = make_sim_world();
  world->ng(offer("c", "A", audio_sdp(peer(10, 4000))));
  world->ng(answer("c", "A", "B", audio_sdp(peer(20, 4000))));
  const json before = world->ng({{"command", "query"}, {"call-id", "c"}});
  for (const std::string& body :
       {std::string("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"),
        std::string("v=0\r\nm=audio x\r\n"), audio_sdp(peer(10, 4000)).replace(66, 7, "RTP/SAV")}) {
    json bad = offer("c", "A", body);
    bad["to-tag"] = "B";
    world->ng(bad);
  }
  const std::string empty = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";
  EXPECT_EQ(world->ng(offer("c", "X", empty))["result"], "error") << "a new party without media";
  EXPECT_EQ(world->ng({{"command", "query"}, {"call-id", "c"}}), before);
}

TEST(Sessions, FmtpThatMeansNothingNeverChangesACodec) {
  const auto world = make_sim_world();
  const std::string head = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n";
  world->ng(offer("c", "A",
                  head + "m=audio 2000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:0 "
                         "abc=no\r\na=fmtp:8 abc=no\r\n"));
  const json reply = world->ng(
      answer("c", "A", "B", head + "m=audio 2002 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"));
  EXPECT_NE(reply["sdp"].get<std::string>().find(" RTP/AVP 0 101\r\n"), std::string::npos) << reply;
}

TEST(Sessions, UnknownLinesSurviveByteForByte) {
  const auto world = make_sim_world();
  const std::string odd = "a=X-weird:\t\"quotes\" \xc3\xa9;;=%00\r\na=flag\r\na=ssrc:1 cname:a b c\r\n";
  const json reply = world->ng(offer("c", "A", audio_sdp(peer(10, 4000), odd)));
  EXPECT_NE(reply["sdp"].get<std::string>().find(odd), std::string::npos) << reply;
}

TEST(Sessions, LimitRefusesNewCallsOnly) {
  WorldOptions options;
  options.session.max_sessions = 1;
  const auto world = make_sim_world(options);
  EXPECT_EQ(world->ng(offer("one", "A", audio_sdp(peer(10, 4000))))["result"], "ok");
  EXPECT_EQ(world->ng(offer("two", "A", audio_sdp(peer(10, 4000))))["error-reason"],
            "Parallel session limit reached");
  json polite = offer("two", "A", audio_sdp(peer(10, 4000)));
  polite["supports"] = json::array({"load limit"});
  EXPECT_EQ(world->ng(polite)["result"], "load limit");
  EXPECT_EQ(world->ng(offer("one", "A", audio_sdp(peer(10, 4002))))["result"], "ok");
}

TEST(Sessions, LIM5_HairpinThroughTwoCallsPassesMedia) {
  // A - relay - relay - B: call one's callee is a port of call two and the other way round.
  const auto world = make_sim_world();
  const Endpoint a = peer(10, 4000);
  const Endpoint b = peer(20, 5000);
  world->open(a);
  world->open(b);
  const IpAddress relay = world->relay_address();
  const UdpPort p1b = World::port_of(world->ng(offer("one", "A", audio_sdp(a))));
  const UdpPort p2b = World::port_of(world->ng(offer("two", "A", audio_sdp({relay, p1b}))));
  const UdpPort p2a = World::port_of(world->ng(answer("two", "A", "B", audio_sdp(b))));
  const UdpPort p1a = World::port_of(world->ng(answer("one", "A", "B", audio_sdp({relay, p2a}))));
  for (std::uint16_t n = 1; n <= 50; ++n) {
    world->at(n * 20ms, [&, n] {
      world->send(a, {relay, p1a}, rtp('A', 1, n));
      world->send(b, {relay, p2b}, rtp('B', 2, n));
    });
  }
  world->run(2s);
  EXPECT_EQ(world->count(b, 'A'), 50u);
  EXPECT_EQ(world->count(a, 'B'), 50u);
}

TEST(Sessions, MemberOfARoundRobinGroupStaysForTheWholeCall) {
  const auto world = make_sim_world();
  const auto relays_of = [](const json& reply) {
    std::set<std::string> hosts;
    const auto text = reply["sdp"].get<std::string>();
    for (std::size_t at = 0; (at = text.find("c=IN IP4 ", at)) != std::string::npos; at += 9) {
      hosts.insert(text.substr(at + 9, text.find("\r\n", at) - at - 9));
    }
    return hosts;
  };
  std::set<std::string> used;
  for (const char* call : {"one", "two"}) {
    const std::string video = "m=video 6000 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n";
    json request = offer(call, "A", audio_sdp(peer(10, 4000), video));
    request["direction"] = json::array({"ring", "ring"});
    const auto first = relays_of(world->ng(request));
    EXPECT_EQ(first.size(), 1u) << "audio and video on one member";
    EXPECT_EQ(relays_of(world->ng(request)), first) << "a re-offer does not move the call";
    used.insert(*first.begin());
  }
  EXPECT_EQ(used.size(), 2u) << "calls in turn";
}

/// A client that does anything at any time. Whatever it did, when its calls are gone nothing is left.
/// One request out of all commands, with random parties and options.
json any_command(std::mt19937& random, const std::string& body) {
  const auto pick = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  const auto tag = [&] { return std::string(1, "ABCDSTX"[pick(7)]); };
  const std::string call = "c" + std::to_string(pick(4));
  static const std::vector<std::string> kCommands = {
      "publish",    "subscribe request", "subscribe answer", "unsubscribe",     "connect",
      "mesh",       "inject start",      "inject stop",      "create",          "create answer",
      "transform",  "block media",       "unblock media",    "silence media",   "unsilence media",
      "block DTMF", "unblock DTMF",      "start forwarding", "stop forwarding", "list",
      "statistics", "subscribe request", "connect",          "publish"};
  json request = {{"command", kCommands[pick(static_cast<unsigned>(kCommands.size()))]}};
  if (pick(12) != 0) request["call-id"] = call;
  if (pick(3) != 0) request["from-tag"] = tag();
  if (pick(3) != 0) request["to-tag"] = tag();
  if (pick(3) == 0) request["source-tag"] = tag();
  if (pick(4) == 0) request["to-call-id"] = "c" + std::to_string(pick(4));
  if (pick(4) == 0) request["source-call-id"] = "c" + std::to_string(pick(4));
  if (pick(3) != 0) request["sdp"] = body;
  if (pick(5) == 0) request["label"] = tag();
  if (pick(6) == 0) request["set-label"] = tag();
  if (pick(6) == 0) request["from-tags"] = json::array({tag(), tag()});
  if (pick(6) == 0) request["output-destination"] = "udp:192.0.2.99:" + std::to_string(5000 + pick(3) * 1000);
  request["calls"] = json::array({"c" + std::to_string(pick(4)), "c" + std::to_string(pick(4))});
  request["tags"] = json::array({json{{"from", tag()}, {"to", json::array({tag(), tag()})}}});
  request["media"] = json::array(
      {json{{"id", "x"}, {"destination", {{"family", "IP4"}, {"address", "192.0.2.98"}, {"port", 5000}}}}});
  static const std::vector<std::string> kFlags = {
      "all",    "directional", "bidirectional", "egress",      "mix",
      "SIPREC", "RTCP-mirror", "inactive",      "unsubscribe", "allow-transcoding"};
  json flags = json::array();
  while (pick(2) == 0) flags.push_back(kFlags[pick(static_cast<unsigned>(kFlags.size()))]);
  request["flags"] = flags;
  return request;
}

TEST(Property, NoSequenceOfRequestsLeavesAPortBehind) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    std::mt19937 random(seed);
    WorldOptions options;
    options.workers = 2;
    options.session.delete_delay = seed % 2 == 0 ? 0s : 30s;
    const auto world = make_sim_world(options);
    const auto pick = [&](unsigned n) { return random() % n; };
    for (int step = 0; step < 150; ++step) {
      const std::string call = "c" + std::to_string(pick(4));
      const std::string from = std::string(1, "ABCD"[pick(4)]);
      const std::string to = std::string(1, "ABCD"[pick(4)]);
      std::string body = audio_sdp(
          peer(static_cast<std::uint8_t>(pick(3) + 1), static_cast<std::uint16_t>(4000 + 2 * pick(3))),
          pick(3) == 0 ? "a=sendonly\r\n" : "");
      if (pick(4) == 0)
        body += "m=video " + std::to_string(pick(2) * 6000) + " RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n";
      json request;
      switch (pick(9)) {
        case 6:
        case 7:
        case 8:
          request = any_command(random, body);
          break;
        case 0:
        case 1:
          request = offer(call, from, body);
          break;
        case 2:
        case 3:
          request = answer(call, from, to, body);
          break;
        case 4:
          request = {{"command", "delete"}, {"call-id", call}, {"from-tag", from}};
          break;
        default:
          request = {{"command", "query"}, {"call-id", call}};
          break;
      }
      if (pick(3) == 0) request["to-tag"] = to;
      if (pick(4) == 0) request["via-branch"] = "b" + std::to_string(pick(3));
      if (pick(5) == 0) request["flags"] = json::array({pick(2) == 0 ? "port-latching" : "to-tag"});
      if (pick(6) == 0) request["delete delay"] = pick(2) * 5;
      const json reply = world->ng(request);
      ASSERT_TRUE(reply.contains("result")) << "seed " << seed << " step " << step << request << reply;
      if (pick(10) == 0) world->run(world->elapsed() + std::chrono::seconds(pick(20)));
      if (pick(12) == 0) world->manager().move_call(call, pick(2));
    }
    // Calls have several ids after a merge, and made-up ones where none was given.
    for (int round = 0; round < 8; ++round) {
      const json listed = world->ng({{"command", "list"}, {"limit", 10'000}});
      for (const json& id : listed["calls"]) world->ng({{"command", "delete"}, {"call-id", id}});
    }
    world->run(world->elapsed() + 40s);
    ASSERT_EQ(world->manager().size(), 0u) << "seed " << seed;
    ASSERT_EQ(world->open_ports(), 0u) << "seed " << seed;
    for (const auto& logical : world->manager().interfaces().all()) {
      for (const auto& local : logical.addresses) ASSERT_EQ(local.ports->used(), 0u) << "seed " << seed;
    }
    for (std::size_t i = 0; i < 2; ++i)
      ASSERT_EQ(world->manager().plane().worker(i).transports(), 0u) << "seed " << seed;
  }
}

}  // namespace
}  // namespace ferry::test
