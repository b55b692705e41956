// SPDX-License-Identifier: Apache-2.0
// What an operator is told: replies that no datagram holds, interfaces that do not exist, calls that were
// refused, sessions of the rtpproxy protocol by their plain Call-ID, offers that nobody answers.

#include "control/protocol/cli/cli_service.hpp"
#include "control/protocol/ng/text_command.hpp"
#include "tests/support/world.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

Endpoint phone(const World& world, char who) { return {world.peer_address(1, who), UdpPort{4000}}; }

json offer_of(const World& world, const std::string& call) {
  return offer(call, "A", audio_sdp(phone(world, 'A')));
}

/// The reply to one request as the UDP listener sends it, without its cookie.
std::string datagram(World& world, const json& request, bool is_stream = false) {
  static int cookie = 0;
  const std::string message = std::to_string(++cookie) + " " + request.dump();
  const IpAddress client = IpAddress::v4({127, 0, 0, 1});
  const auto reply =
      is_stream ? world.service().handle_stream(message, client) : world.service().handle(message, client);
  world.manager().flush(world.clock());
  return reply->substr(reply->find(' ') + 1);
}

// Replies above 64 kB vanished: the proxy waited and took the relay for dead.
TEST(FieldOperators, RepliesThatNoDatagramHoldsAreCutAndSaySo) {
  const auto world = make_sim_world();
  const std::string tail(60, 'x');
  for (int i = 0; i < 1500; ++i) world->ng(offer_of(*world, std::to_string(i) + tail));
  for (const int limit : {1500, 100'000}) {
    const std::string reply = datagram(*world, {{"command", "list"}, {"limit", limit}});
    EXPECT_LE(reply.size(), 60'000u);
    const json list = json::parse(reply);
    EXPECT_EQ(list["result"], "ok");
    EXPECT_GT(list["calls"].size(), 500u);
    EXPECT_NE(list["warning"].get<std::string>().find(" of 1500 calls"), std::string::npos)
        << list["warning"];
  }
  const json whole = json::parse(datagram(*world, {{"command", "list"}, {"limit", 100'000}}, true));
  EXPECT_EQ(whole["calls"].size(), 1500u) << "a stream holds all of it";
  EXPECT_FALSE(whole.contains("warning"));
  const json small = json::parse(datagram(*world, {{"command", "list"}, {"limit", 32}}));
  EXPECT_EQ(small["calls"].size(), 32u);
  EXPECT_FALSE(small.contains("warning"));
}

// An inside address went outside, and nobody was told.
TEST(FieldOperators, AnInterfaceThatDoesNotExistIsAWarning) {
  struct Row {
    const char* what;
    json words;
    bool warns;
  };
  const Row rows[] = {
      {"both names unknown", {{"direction", {"pub", "priv"}}}, true},
      {"one of them known", {{"direction", {"plain", "priv"}}}, true},
      {"by its own key", {{"from-interface", "pub"}}, true},
      {"the other key", {{"to-interface", "pub"}}, true},
      {"as words of rtpp-flags", {{"rtpp-flags", "direction=pub direction=plain"}}, true},
      {"both known", {{"direction", {"plain", "plain"}}}, false},
      {"old words for IP versions", {{"direction", {"internal", "internal"}}}, false},
      {"no name", json::object(), false},
  };
  for (const bool strict : {false, true}) {
    WorldOptions options;
    options.session.direction_strict = strict;
    const auto world = make_sim_world(options);
    unsigned number = 0;
    for (const Row& row : rows) {
      json request = offer_of(*world, "call" + std::to_string(number++));
      if (row.words.contains("rtpp-flags"))
        for (const char* key : {"flags", "replace"}) request.erase(key);
      request.update(row.words);
      const json reply = world->ng(request);
      EXPECT_EQ(reply["result"], strict && row.warns ? "error" : "ok") << row.what << reply;
      EXPECT_EQ(reply.contains("warning"), !strict && row.warns) << row.what << reply;
      if (strict || !row.warns) continue;
      EXPECT_NE(reply["sdp"].get<std::string>().find(world->relay_address().to_string()), std::string::npos)
          << row.what;
    }
    bool is_counted = false;
    for (const auto& [name, word] : world->service().unknown_words()) is_counted |= name == "interface pub";
    EXPECT_TRUE(is_counted) << "rtpferryctl unknown-flags and doctor show it";
  }
}

TEST(FieldOperators, EveryNewCallThatIsRefusedCounts) {
  WorldOptions options;
  options.port_min = UdpPort{30000};
  options.port_max = UdpPort{30003};  // two pairs: one call
  options.session.max_sessions = 2;
  const auto world = make_sim_world(options);
  ASSERT_EQ(world->ng(offer_of(*world, "one"))["result"], "ok");
  EXPECT_EQ(world->ng(offer_of(*world, "two"))["error-reason"], "Ran out of ports");
  EXPECT_EQ(world->manager().totals().rejected, 1u) << "ports";
  json broken = offer_of(*world, "three");
  broken["sdp"] = "no SDP";
  EXPECT_EQ(world->ng(broken)["result"], "error");
  EXPECT_EQ(world->manager().totals().rejected, 2u) << "bad SDP";
  EXPECT_EQ(world->ng(offer_of(*world, "one"))["result"], "ok") << "no new call";
  EXPECT_EQ(world->manager().totals().rejected, 2u);
  world->manager().set_draining();
  EXPECT_EQ(world->ng(offer_of(*world, "four"))["result"], "error");
  EXPECT_EQ(world->manager().totals().rejected, 3u) << "drain";
  const std::string totals =
      ng::run_text_command("list totals", world->manager(), world->service(), world->clock());
  EXPECT_NE(totals.find("Total rejected sessions: 3\n"), std::string::npos) << totals;
  EXPECT_NE(totals.find("Packets per second (total): 0\n"), std::string::npos) << totals;
}

TEST(FieldOperators, EveryNewSessionOfRtpproxyThatIsRefusedCounts) {
  WorldOptions options;
  options.rtpproxy = true;
  options.port_min = UdpPort{30000};
  options.port_max = UdpPort{30003};
  const auto world = make_sim_world(options);
  world->rtpproxy("U one 198.18.1.1 4000 from");
  world->rtpproxy("L one 198.18.1.2 4000 from to");
  EXPECT_EQ(world->rtpproxy("U two 198.18.1.1 4000 from"), "E72");
  EXPECT_EQ(world->manager().totals().rejected, 1u) << "ports";
  world->manager().set_draining();
  EXPECT_EQ(world->rtpproxy("U three 198.18.1.1 4000 from"), "E99");
  EXPECT_EQ(world->manager().totals().rejected, 2u) << "drain";
}

TEST(FieldOperators, SessionsOfRtpproxyAreFoundByTheirPlainCallId) {
  WorldOptions options;
  options.rtpproxy = true;
  const auto world = make_sim_world(options);
  cli::CliService service(world->manager(), world->service(), [&] { return world->clock(); });
  const auto ask = [&](const char* command) {
    return service.execute({{"command", command}, {"call_id", "abc"}}, "uid 0");
  };
  world->rtpproxy("U abc 198.18.1.1 4000 from;1");
  EXPECT_EQ(ask("show")["call_id"], "abc from;1");
  world->rtpproxy("U abc 198.18.1.1 4002 from;2");
  for (const char* command : {"show", "explain", "terminate"}) {
    EXPECT_EQ(ask(command)["error"],
              "2 sessions have this Call-ID, name one of them: 'abc from;1', 'abc from;2'")
        << command;
  }
  EXPECT_EQ(service.execute({{"command", "show"}, {"call_id", "abc from;2"}}, "uid 0")["call_id"],
            "abc from;2");
  EXPECT_EQ(service.execute({{"command", "show"}, {"call_id", "ab"}}, "uid 0")["error"], "no such call");
}

// Unanswered offers were kept for an hour.
TEST(FieldOperators, AnOfferThatNobodyAnswersEndsAfterFiveMinutes) {
  const auto world = make_sim_world();
  world->ng(offer_of(*world, "c"));
  std::size_t before = 0;
  std::size_t after = 1;
  for (int second = 1; second <= 330; ++second)
    world->at(second * 1s, [&] { world->manager().sweep(world->clock()); });
  world->at(290s, [&] { before = world->manager().size(); });
  world->at(330s + 1ms, [&] { after = world->manager().size(); });
  world->run(331s);
  EXPECT_EQ(before, 1u) << "a phone may ring for longer than Timer C";
  EXPECT_EQ(after, 0u);
  EXPECT_EQ(world->open_ports(), 0u);
}

// An offer whose every branch was deleted has nobody left to answer it.
TEST(FieldOperators, AnOfferEndsWithItsLastBranch) {
  for (const bool by_tag : {false, true}) {
    WorldOptions options;
    options.session.delete_delay = 0s;
    const auto world = make_sim_world(options);
    for (const char* branch : {"b1", "b2", "b3"}) {
      json request = offer_of(*world, "c");
      request["via-branch"] = branch;
      ASSERT_EQ(world->ng(request)["result"], "ok");
    }
    ASSERT_EQ(world->manager().size(), 1u);
    for (const char* branch : {"b1", "b2", "b3"}) {
      EXPECT_EQ(world->manager().size(), 1u) << "a branch may still answer";
      json gone = {{"command", "delete"}, {"call-id", "c"}, {"via-branch", branch}};
      if (by_tag) gone["from-tag"] = "A";
      EXPECT_EQ(world->ng(gone)["result"], "ok");
    }
    EXPECT_EQ(world->manager().size(), 0u);
    EXPECT_EQ(world->open_ports(), 0u);
  }
}

}  // namespace
}  // namespace ferry::test
