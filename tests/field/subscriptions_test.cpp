// SPDX-License-Identifier: Apache-2.0
// Subscriptions, connections and parties that the relay makes: what ends with them and what goes on, in which
// order a subscriber is shown its sources, and what it is shown of them (docs/reference/ng.md#subscriptions,
// RFC 7866).

#include "control/sdp/sdp.hpp"
#include "tests/support/world.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test::subscriptions_test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

class FieldSubscriptions : public ::testing::Test {
 protected:
  FieldSubscriptions() { renew(); }
  void renew() {
    world_ = make_sim_world();
    sequence_ = 0;
    ports_.clear();
    for (const char who : {'A', 'B', 'C', 'D', 'R'}) {
      for (std::uint16_t i = 0; i < 6; ++i) world_->open(at(who, static_cast<std::uint16_t>(4000 + 2 * i)));
    }
  }
  [[nodiscard]] Endpoint at(char who, std::uint16_t port = 4000) const {
    return {world_->peer_address(1, who), UdpPort{port}};
  }
  json command(const std::string& name, const json& more = json::object(), bool is_good = true) {
    json request = {{"command", name}, {"call-id", "c"}};
    request.update(more);
    json reply = world_->ng(request);
    EXPECT_EQ(reply["result"], is_good ? "ok" : "error") << reply << "\n" << request;
    return reply;
  }
  /// `from` offers and `to` answers.
  void talk(char from, char to, const std::string& from_more = "", const std::string& to_more = "",
            const std::string& call = "c", const json& words = json::object()) {
    json request = offer(call, {from}, audio_sdp(at(from), from_more));
    request.update(words);
    ports_[to] = World::port_of(world_->ng(request));
    ports_[from] = World::port_of(world_->ng(answer(call, {from}, {to}, audio_sdp(at(to), to_more))));
  }
  /// R listens to `words`, on consecutive ports.
  json subscribe(const json& words, bool is_answered = true) {
    json request = {{"to-tag", "R"}};
    request.update(words);
    const json reply = command("subscribe request", request);
    if (is_answered) {
      const std::string text = reply["sdp"];
      const auto offered = sdp::parse(text);
      command("subscribe answer", {{"to-tag", "R"}, {"sdp", answer_to(*offered)}});
    }
    return reply;
  }
  /// R takes each section at a port of its own.
  [[nodiscard]] std::string answer_to(const sdp::Session& offered) const {
    std::string text = fmt::format("v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\n",
                                   at('R').address.to_string());
    std::uint16_t port = 4000;
    for (const sdp::MediaSection& section : offered.media) {
      text += fmt::format("m=audio {} RTP/AVP", section.port == 0 ? 0 : port);
      for (const auto format : section.formats) text += fmt::format(" {}", format);
      text += fmt::format("\r\na={}\r\n", section.direction.receive ? "sendrecv" : "recvonly");
      port = static_cast<std::uint16_t>(port + 2);
    }
    return text;
  }
  /// Each of `speakers` sends ten packets to the relay.
  void speak(const std::string& speakers) {
    for (int i = 0; i < 10; ++i) {
      for (const char who : speakers)
        world_->send(at(who), {world_->relay_address(), ports_.at(who)},
                     rtp(who, static_cast<std::uint32_t>(who), sequence_));
      ++sequence_;
      world_->run(world_->elapsed() + 20ms);
    }
  }
  /// Lets `who` send ten packets; gives how many of them `listener` hears at `port`.
  std::size_t heard(char who, char listener, std::uint16_t port = 4000) {
    const std::size_t before = world_->count(at(listener, port), who);
    speak({who});
    return world_->count(at(listener, port), who) - before;
  }
  void expect_talk(char a, char b) {
    EXPECT_EQ(heard(a, b), 10u) << a << " to " << b;
    EXPECT_EQ(heard(b, a), 10u) << b << " to " << a;
  }
  struct Line {
    UdpPort port;
    std::string label;
    std::string direction;
    bool operator==(const Line&) const = default;
  };
  static std::vector<Line> lines_of(const json& reply) {
    const std::string text = reply["sdp"];
    const auto parsed = sdp::parse(text);
    std::vector<Line> lines;
    for (const auto& section : parsed->media)
      lines.push_back(
          {UdpPort{section.port}, std::string(section.label), std::string(to_string(section.direction))});
    return lines;
  }
  void restart() {
    const json record = world_->manager().export_call("c", world_->clock());
    ASSERT_FALSE(record.is_null());
    world_ = make_sim_world();
    ASSERT_TRUE(world_->manager().restore_call(record, world_->clock()));
  }

  std::unique_ptr<World> world_;
  std::map<char, UdpPort> ports_;
  std::uint16_t sequence_ = 0;
};

// --- What ends and what goes on.

TEST_F(FieldSubscriptions, DirectionalUnsubscribeEndsOneDirection) {
  talk('A', 'B');
  const json reply = subscribe({{"from-tag", "A"}, {"flags", {"bidirectional"}}});
  ports_['R'] = World::port_of(reply);
  EXPECT_EQ(heard('A', 'R'), 10u);
  EXPECT_EQ(heard('R', 'A'), 10u);
  command("unsubscribe", {{"to-tag", "R"}, {"from-tag", "A"}, {"flags", {"directional"}}});
  EXPECT_EQ(heard('A', 'R'), 0u);
  EXPECT_EQ(heard('R', 'A'), 10u) << "the way back goes on";
  expect_talk('A', 'B');
}

TEST_F(FieldSubscriptions, DirectionalUnsubscribeOfAMeshEndsOneDirection) {
  talk('A', 'B');
  talk('C', 'D', "", "", "d");
  const json tags = {{{"from", "A"}, {"to", {"C"}}}};
  command("mesh", {{"calls", {"c", "d"}}, {"tags", tags}, {"flags", {"bidirectional"}}});
  EXPECT_EQ(heard('A', 'C'), 10u);
  EXPECT_EQ(heard('C', 'A'), 10u);
  command("unsubscribe", {{"to-tag", "C"}, {"from-tag", "A"}, {"flags", {"directional"}}});
  EXPECT_EQ(heard('A', 'C'), 0u);
  EXPECT_EQ(heard('C', 'A'), 10u);
  expect_talk('A', 'B');
  expect_talk('C', 'D');
}

TEST_F(FieldSubscriptions, UnsubscribeOfAPartyLeavesThoseWhoListenToIt) {
  talk('A', 'B');
  talk('C', 'D', "", "", "d");
  command("connect", {{"from-tag", "C"},
                      {"to-tag", "A"},
                      {"call-id", "d"},
                      {"to-call-id", "c"},
                      {"flags", {"directional"}}});
  subscribe({{"from-tag", "A"}});
  EXPECT_EQ(heard('C', 'A'), 10u);
  EXPECT_EQ(heard('A', 'R'), 10u);
  command("unsubscribe", {{"to-tag", "A"}});
  EXPECT_EQ(heard('C', 'A'), 0u);
  EXPECT_EQ(heard('A', 'R'), 10u) << "R has not unsubscribed";
  expect_talk('A', 'B');
}

TEST_F(FieldSubscriptions, UnsubscribeOfASubscriberEndsBothDirections) {
  talk('A', 'B');
  const json reply = subscribe({{"from-tag", "A"}, {"flags", {"bidirectional"}}});
  ports_['R'] = World::port_of(reply);
  const std::size_t ports = world_->open_ports();
  command("unsubscribe", {{"to-tag", "R"}});
  EXPECT_EQ(heard('A', 'R'), 0u);
  EXPECT_EQ(heard('R', 'A'), 0u);
  EXPECT_LT(world_->open_ports(), ports);
  command("unsubscribe", {{"to-tag", "R"}}, false);
}

struct UndoRow {
  const char* name;
  std::vector<json> done;
  std::vector<json> undone;
};

TEST_F(FieldSubscriptions, MeshAndConnectUndoneLeaveOfferAnswerFlowsAsTheyWere) {
  const json both = {{{"from", "A"}, {"to", {"C"}}}, {{"from", "C"}, {"to", {"A"}}}};
  const json partners = {{{"from", "A"}, {"to", {"B", "C"}}}, {{"from", "C"}, {"to", {"A", "D"}}}};
  const auto mesh = [](json tags, json flags = json::array()) {
    return json{
        {"command", "mesh"}, {"calls", {"c", "d"}}, {"tags", std::move(tags)}, {"flags", std::move(flags)}};
  };
  const auto ends = [](const char* to, const char* from) {
    return json{{"command", "unsubscribe"}, {"to-tag", to}, {"from-tag", from}, {"flags", {"directional"}}};
  };
  const auto connects = [](const char* from, const char* to, json flags) {
    return json{{"command", "connect"}, {"call-id", "c"}, {"to-call-id", "d"},
                {"from-tag", from},     {"to-tag", to},   {"flags", std::move(flags)}};
  };
  const std::vector<UndoRow> rows = {
      {"mesh of two, ended flow by flow", {mesh(both)}, {ends("C", "A"), ends("A", "C")}},
      {"mesh of two, ended party by party",
       {mesh(both)},
       {json{{"command", "unsubscribe"}, {"to-tag", "A"}},
        json{{"command", "unsubscribe"}, {"to-tag", "C"}}}},
      {"mesh with partners in it", {mesh(partners)}, {ends("C", "A"), ends("A", "C")}},
      {"mesh cleared by mesh", {mesh(both)}, {mesh(json::array(), {"unsubscribe"})}},
      {"connect in one direction", {connects("A", "C", {"directional"})}, {ends("C", "A")}},
      {"connect in both directions",
       {connects("A", "C", {"directional", "bidirectional"})},
       {ends("C", "A"), ends("A", "C")}},
      {"connect, and connected back",
       {connects("A", "C", json::array())},
       {connects("A", "B", json::array()), connects("C", "D", json::array())}},
      {"the same flow twice", {mesh(both), mesh(both)}, {ends("C", "A"), ends("A", "C")}},
  };
  for (const UndoRow& row : rows) {
    SCOPED_TRACE(row.name);
    renew();
    talk('A', 'B');
    talk('C', 'D', "", "", "d");
    subscribe({{"from-tag", "A"}});
    for (const json& each : row.done) command(each["command"], each);
    EXPECT_EQ(heard('A', 'C'), 10u);
    for (const json& each : row.undone) command(each["command"], each);
    expect_talk('A', 'B');
    expect_talk('C', 'D');
    EXPECT_EQ(heard('A', 'C'), 0u);
    EXPECT_EQ(heard('C', 'A'), 0u);
    EXPECT_EQ(heard('A', 'R'), 10u) << "the recorder goes on";
  }
}

TEST_F(FieldSubscriptions, AnOfferBetweenMeshedPartiesOutlivesTheMesh) {
  // A is transferred to C, whom it heard by a mesh before.
  talk('A', 'B');
  talk('C', 'D', "", "", "d");
  const json tags = {{{"from", "A"}, {"to", {"C"}}}};
  command("mesh", {{"calls", {"c", "d"}}, {"tags", tags}, {"flags", {"bidirectional"}}});
  talk('A', 'C', "", "", "c", {{"to-tag", "C"}});
  command("unsubscribe", {{"to-tag", "C"}});
  command("unsubscribe", {{"to-tag", "A"}});
  expect_talk('A', 'C');
}

// --- Order, labels and ports.

TEST_F(FieldSubscriptions, RFC7866_TheSameSubscriptionKeepsOrderLabelsAndPorts) {
  const auto from = [](std::vector<std::string> tags) { return json{{"from-tags", std::move(tags)}}; };
  for (const bool survives_a_restart : {false, true}) {
    for (const json& again :
         {from({"A", "B"}), from({"B", "A"}), json{{"all", "all"}}, from({"B", "A", "B"})}) {
      SCOPED_TRACE(again.dump());
      renew();
      talk('A', 'B');
      json words = from({"B", "A"});
      words["flags"] = {"SIPREC"};
      const json first = subscribe(words);
      if (survives_a_restart) {
        restart();
        for (std::uint16_t i = 0; i < 3; ++i) world_->open(at('R', static_cast<std::uint16_t>(4000 + 2 * i)));
      }
      words = again;
      words["flags"] = {"SIPREC"};
      const json second = subscribe(words);
      EXPECT_EQ(lines_of(second), lines_of(first));
      EXPECT_EQ(second["from-tags"], first["from-tags"]);
      EXPECT_EQ(second["tag-medias"], first["tag-medias"]);
      EXPECT_EQ(second["media-labels"], first["media-labels"]);
      EXPECT_EQ(heard('B', 'R', 4000), 10u);
      EXPECT_EQ(heard('A', 'R', 4002), 10u);
    }
  }
}

TEST_F(FieldSubscriptions, RFC3264_ASourceThatGoesLeavesItsSectionAndFindsItAgain) {
  talk('A', 'B');
  const json siprec = {{"flags", {"all", "SIPREC"}}};
  const auto first = lines_of(subscribe(siprec));
  json only_b = {{"from-tags", {"B"}}, {"flags", {"SIPREC"}}};
  const json fewer = subscribe(only_b);
  ASSERT_EQ(lines_of(fewer).size(), 2u);
  EXPECT_EQ(lines_of(fewer)[0].port.value, 0);
  EXPECT_EQ(lines_of(fewer)[1], first[1]);
  EXPECT_EQ(fewer["from-tags"], json({"B"}));
  EXPECT_EQ(fewer["tag-medias"].size(), 1u);
  EXPECT_EQ(heard('A', 'R', 4000), 0u);
  EXPECT_EQ(heard('B', 'R', 4002), 10u);
  EXPECT_EQ(lines_of(subscribe(siprec)), first) << "with the label and the port it had";
  EXPECT_EQ(heard('A', 'R', 4000), 10u);
}

TEST_F(FieldSubscriptions, APartyThatReplacesAnotherHasAnotherLabel) {
  talk('A', 'B');
  const json siprec = {{"flags", {"all", "SIPREC"}}};
  const auto first = lines_of(subscribe(siprec));
  // B is transferred to C of another call.
  talk('C', 'D', "", "", "d");
  command("connect", {{"from-tag", "A"}, {"to-tag", "C"}, {"to-call-id", "d"}});
  json words = {{"from-tags", {"C", "A"}}, {"flags", {"SIPREC"}}};
  const json second = subscribe(words);
  const auto lines = lines_of(second);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], first[0]);
  EXPECT_NE(lines[1].label, first[1].label);
  EXPECT_EQ(second["from-tags"], json({"A", "C"}));
  EXPECT_EQ(second["media-labels"][lines[1].label]["tag"], "C");
}

TEST_F(FieldSubscriptions, APartyThatJoinsComesLast) {
  talk('A', 'B');
  talk('C', 'D', "", "", "d");
  command("mesh", {{"calls", {"c", "d"}}, {"tags", {{{"from", "C"}, {"to", {"A"}}}}}});
  const json words = {{"from-tags", {"B", "A"}}, {"flags", {"SIPREC"}}};
  const auto first = lines_of(subscribe(words));
  const json more = {{"from-tags", {"C", "A", "B"}}, {"flags", {"SIPREC"}}};
  const json second = subscribe(more);
  const auto lines = lines_of(second);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0], first[0]);
  EXPECT_EQ(lines[1], first[1]);
  EXPECT_EQ(second["from-tags"], json({"B", "A", "C"}));
  EXPECT_EQ(heard('C', 'R', 4004), 10u);
}

TEST_F(FieldSubscriptions, RFC3264_8_TheOriginStaysAndItsVersionRisesWithAChange) {
  const auto origin = [](const json& reply) {
    const std::string text = reply["sdp"];
    const auto at = text.find("o=");
    return text.substr(at, text.find('\r', at) - at);
  };
  talk('A', 'B');
  const std::string address = at('A').address.to_string();
  const json all = {{"flags", {"all"}}};
  EXPECT_EQ(origin(subscribe(all)), "o=- 1 1 IN IP4 " + address);
  EXPECT_EQ(origin(subscribe(all)), "o=- 1 1 IN IP4 " + address) << "nothing changed";
  EXPECT_EQ(origin(subscribe({{"flags", {"all", "inactive"}}})), "o=- 1 2 IN IP4 " + address);
  restart();
  EXPECT_EQ(origin(subscribe(all)), "o=- 1 3 IN IP4 " + address);
  EXPECT_EQ(origin(subscribe({{"from-tags", {"B"}}})), "o=- 1 4 IN IP4 " + address)
      << "still the same session";
  // Parties that `create` and `publish` made, too.
  const json wanted = {{"from-tag", "M"}, {"codec", {{"offer", {"PCMA"}}}}};
  const std::string made = origin(command("create", wanted));
  EXPECT_EQ(origin(command("create", wanted)), made);
  EXPECT_NE(origin(command("create", {{"from-tag", "M"}, {"codec", {{"offer", {"PCMU"}}}}})), made);
  const json published = {{"from-tag", "P"}, {"sdp", audio_sdp(at('C'))}};
  const std::string answered = origin(command("publish", published));
  EXPECT_EQ(origin(command("publish", published)), answered);
}

TEST_F(FieldSubscriptions, LabelsAreNumberedPerCallFrom0) {
  for (const std::string call : {"c", "d"}) {
    talk('A', 'B', "", "", call);
    std::vector<std::string> labels;
    for (const std::string to : {"R", "S"}) {
      const json reply =
          command("subscribe request", {{"call-id", call}, {"to-tag", to}, {"flags", {"all", "SIPREC"}}});
      for (const Line& line : lines_of(reply)) labels.push_back(line.label);
    }
    EXPECT_EQ(labels, (std::vector<std::string>{"0", "1", "2", "3"}));
  }
}

// --- What a subscriber is shown.

struct HoldRow {
  const char* name;
  const char* a;  // direction in the offer
  const char* b;  // in the answer
  json flags;
  const char* a_shown;
  const char* b_shown;
};

TEST_F(FieldSubscriptions, ASourceThatSendsNothingIsOfferedInactive) {
  const json all = {"all"};
  const json both = {"all", "bidirectional"};
  const std::vector<HoldRow> rows = {
      {"nobody", "sendrecv", "sendrecv", all, "sendonly", "sendonly"},
      {"A holds B with music", "sendonly", "recvonly", all, "sendonly", "inactive"},
      {"A only listens", "recvonly", "sendonly", all, "inactive", "sendonly"},
      {"both", "inactive", "inactive", all, "inactive", "inactive"},
      {"paused by the proxy", "sendrecv", "sendrecv", {"all", "inactive"}, "inactive", "inactive"},
      {"R speaks too", "sendrecv", "sendrecv", both, "sendrecv", "sendrecv"},
      {"R speaks to a held party", "sendonly", "recvonly", both, "sendonly", "recvonly"},
      {"R speaks to nobody", "inactive", "inactive", both, "inactive", "inactive"},
      {"what the held party hears", "sendonly", "recvonly", {"all", "egress"}, "inactive", "sendonly"},
  };
  for (const HoldRow& row : rows) {
    SCOPED_TRACE(row.name);
    renew();
    talk('A', 'B', fmt::format("a={}\r\n", row.a), fmt::format("a={}\r\n", row.b));
    const auto lines = lines_of(subscribe({{"flags", row.flags}}, false));
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[0].direction, row.a_shown);
    EXPECT_EQ(lines[1].direction, row.b_shown);
  }
}

TEST_F(FieldSubscriptions, NothingOfTheSourcesSessionIsShown) {
  const std::vector<std::string> session = {
      "a=group:BUNDLE 0",
      "a=group:LS 0 1",
      "a=ice-ufrag:abcd",
      "a=ice-pwd:abcdefghijklmnopqrstuvwx",
      "a=ice-options:ice2",
      "a=ice-lite",
      "a=identity:xyz",
      "a=msid-semantic: WMS x",
      "a=fingerprint:sha-256 "
      "01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF",
      "a=tool:phone",
      "a=extmap-allow-mixed",
      "a=x-private:1"};
  const std::vector<std::string> section = {"a=rtcp-fb:8 nack", "a=rtcp-fb:* ccm fir", "a=rtcp-rsize",
                                            "a=rtcp-xr:voip-metrics", "a=rtcp-fb:0 transport-cc"};
  std::string text = audio_sdp(at('A'));
  std::string above = "i=about\r\nu=http://example.org\r\ne=a@example.org\r\np=+1 23\r\n";
  text.insert(text.find("c="), above);
  std::string lines;
  for (const std::string& line : session) lines += line + "\r\n";
  text.insert(text.find("m="), lines);
  for (const std::string& line : section) text += line + "\r\n";
  world_->ng(offer("c", "A", text));
  world_->ng(answer("c", "A", "B", audio_sdp(at('B'))));
  const std::string shown = subscribe({{"from-tag", "A"}}, false)["sdp"];
  const std::string before_media = shown.substr(0, shown.find("m="));
  EXPECT_EQ(before_media.find("\na="), std::string::npos) << shown;
  for (const char* line : {"\ni=", "\nu=", "\ne=", "\np="})
    EXPECT_EQ(before_media.find(line), std::string::npos) << shown;
  for (const std::string& line : section) EXPECT_EQ(shown.find(line), std::string::npos) << shown;
  for (const char* word : {"ice-", "fingerprint", "group"})
    EXPECT_EQ(shown.find(word), std::string::npos) << shown;
  const std::string with_feedback = command(
      "subscribe request", {{"from-tag", "A"}, {"to-tag", "S"}, {"transport-protocol", "RTP/AVPF"}})["sdp"];
  EXPECT_NE(with_feedback.find("a=rtcp-fb:8 nack"), std::string::npos)
      << "a profile with feedback speaks of it";
}

// --- Marks.

TEST_F(FieldSubscriptions, UnblockWithAllLeavesNoMark) {
  const json one = {{"from-tag", "A"}, {"to-tag", "B"}, {"flags", {"directional"}}};
  const json flows = {{"from-tag", "A"}, {"all", "flows"}, {"flags", {"directional"}}};
  const json partners = {{"from-tag", "A"}, {"all", "offer-answer"}, {"flags", {"directional"}}};
  const json party = {{"from-tag", "A"}, {"flags", {"directional"}}};
  for (const auto& [set, clear] :
       {std::pair("block media", "unblock media"), std::pair("silence media", "unsilence media")}) {
    for (const json& marked : {one, flows, partners, party, json::object()}) {
      for (const json& cleared : {json{{"all", "all"}}, json{{"flags", {"all"}}}}) {
        SCOPED_TRACE(std::string(clear) + marked.dump() + cleared.dump());
        renew();
        talk('A', 'B');
        command(set, marked);
        command(clear, cleared);
        const json record = world_->manager().export_call("c", world_->clock());
        renew();
        talk('A', 'B');
        const json fresh = world_->manager().export_call("c", world_->clock());
        for (const char* section : {"call", "legs", "subscriptions"}) {
          const json& now = record.at("sections").at(section).at("components");
          const json& then = fresh.at("sections").at(section).at("components");
          ASSERT_EQ(now.size(), then.size()) << section;
          for (std::size_t i = 0; i < now.size(); ++i) {
            for (const char* mark :
                 {"blocked", "silenced", "events_blocked", "drop_traffic", "debug", "egress", "rtcp_only"})
              EXPECT_EQ(now[i].value(mark, false), then[i].value(mark, false)) << section << ' ' << mark;
          }
        }
      }
    }
  }
}

TEST_F(FieldSubscriptions, UnblockWithAllLetsMediaPassAgain) {
  talk('A', 'B');
  subscribe({{"from-tag", "A"}});
  command("block media", {{"from-tag", "A"}, {"all", "flows"}, {"flags", {"directional"}}});
  EXPECT_EQ(heard('A', 'B'), 0u);
  EXPECT_EQ(heard('A', 'R'), 0u);
  command("unblock media", {{"all", "all"}});
  EXPECT_EQ(heard('A', 'B'), 10u);
  EXPECT_EQ(heard('A', 'R'), 10u);
}

// --- create

struct CodecRow {
  const char* asked;
  const char* line;
};

TEST_F(FieldSubscriptions, CreateCompletesCodecs) {
  const std::vector<CodecRow> rows = {{"opus", "a=rtpmap:96 opus/48000/2"},
                                      {"OPUS", "a=rtpmap:96 opus/48000/2"},
                                      {"opus/48000", "a=rtpmap:96 opus/48000/2"},
                                      {"opus/48000/2/32000", "a=rtpmap:96 opus/48000/2"},
                                      {"opus/48000/1", "a=rtpmap:96 opus/48000/2"},
                                      {"G722", "a=rtpmap:9 G722/8000"},
                                      {"AMR-WB", "a=rtpmap:96 AMR-WB/16000"},
                                      {"iLBC", "a=rtpmap:96 iLBC/8000"},
                                      {"PCMA/8000/1", "a=rtpmap:8 PCMA/8000"},
                                      {"telephone-event/16000", "a=rtpmap:96 telephone-event/16000"},
                                      {"L16/16000/2", "a=rtpmap:96 L16/16000/2"}};
  for (const CodecRow& row : rows) {
    const json reply = command("create", {{"call-id", row.asked}, {"codec", {{"offer", {row.asked}}}}});
    EXPECT_NE(reply["sdp"].get<std::string>().find(std::string(row.line) + "\r\n"), std::string::npos)
        << row.asked << "\n"
        << reply["sdp"];
  }
}

TEST_F(FieldSubscriptions, CreateForAPartyThatExistsOffersToItAgain) {
  const json wanted = {{"from-tag", "M"}, {"codec", {{"offer", {"PCMA"}}}}};
  const json first = command("create", wanted);
  command("create answer", {{"from-tag", "M"}, {"sdp", audio_sdp(at('R'))}});
  const std::size_t ports = world_->open_ports();
  const json second = command("create", wanted);
  EXPECT_EQ(World::port_of(second), World::port_of(first));
  EXPECT_EQ(world_->open_ports(), ports);
  EXPECT_EQ(command("query")["tags"].size(), 1u);
  // More sections, then fewer.
  const json medias = {{{"type", "audio"}}, {{"type", "video"}}};
  const json more = command("create", {{"from-tag", "M"}, {"medias", medias}});
  EXPECT_EQ(World::port_of(more), World::port_of(first));
  EXPECT_EQ(lines_of(more).size(), 2u);
  const auto fewer = lines_of(command("create", wanted));
  ASSERT_EQ(fewer.size(), 2u) << "RFC 3264 §8";
  EXPECT_EQ(fewer[1].port.value, 0);
  restart();
  EXPECT_EQ(World::port_of(command("create", wanted)), World::port_of(first));
}

TEST_F(FieldSubscriptions, CreateTakesNobodyElsesParty) {
  talk('A', 'B');
  subscribe({{"from-tag", "A"}});
  command("publish", {{"from-tag", "P"}, {"sdp", audio_sdp(at('C'))}});
  for (const char* tag : {"A", "B", "R", "P"}) {
    const json reply = command("create", {{"from-tag", tag}}, false);
    EXPECT_EQ(reply["error-reason"], "failed to set up call/monologue");
  }
  expect_talk('A', 'B');
}

// --- Where a party is, and where it is shown us.

TEST_F(FieldSubscriptions, DTL1_ASubscriberIsOfferedAnotherAssociationAtOtherPorts) {
  talk('A', 'B');
  const auto tls_id = [&](const char* interface) {
    const std::string sdp = subscribe({{"from-tag", "A"},
                                       {"transport-protocol", "UDP/TLS/RTP/SAVPF"},
                                       {"SDES", json::array({"off"})},
                                       {"interface", interface}},
                                      false)["sdp"];
    const auto at = sdp.find("a=tls-id:");
    EXPECT_NE(at, std::string::npos) << sdp;
    return sdp.substr(at, sdp.find("\r\n", at) - at);
  };
  const std::string first = tls_id("plain");
  EXPECT_EQ(tls_id("plain"), first) << "the same ports";
  const std::string second = tls_id("global");
  EXPECT_NE(second, first) << "RFC 8842 section 3.2: other ports are another transport";
  EXPECT_EQ(tls_id("global"), second);
}

TEST(FieldPublishers, AddressesOfSignallingCountAsInTwoPartyCalls) {
  struct Row {
    const char* what;
    bool by_default;
    json flags;
    bool expect_source;
  };
  const Row rows[] = {
      {"the SDP counts", false, json::array(), false},
      {"option sip-source", true, json::array(), true},
      {"option sip-source, but the address is trusted", true, json::array({"trust-address"}), false},
      {"flag SIP-source-address", false, json::array({"SIP-source-address"}), true},
  };
  for (const Row& row : rows) {
    WorldOptions options;
    options.session.sip_source = row.by_default;
    const auto world = make_sim_world(options);
    const Endpoint named{world->peer_address(1, 'A'), UdpPort{4000}};
    const IpAddress source = world->peer_address(1, 'B');
    const json reply = world->ng({{"command", "publish"},
                                  {"call-id", "c"},
                                  {"from-tag", "A"},
                                  {"flags", row.flags},
                                  {"received-from", json::array({"IP4", source.to_string()})},
                                  {"sdp", audio_sdp(named)}});
    ASSERT_EQ(reply["result"], "ok") << row.what << reply;
    const Call* call = world->manager().find("c");
    ASSERT_NE(call, nullptr) << row.what;
    const Endpoint& remote = call->legs.at(0)->medias.at(0)->via->remote_rtp;
    EXPECT_EQ(remote.address, row.expect_source ? source : named.address) << row.what;
    EXPECT_EQ(remote.port, named.port) << row.what;
  }
}

}  // namespace
}  // namespace ferry::test::subscriptions_test
