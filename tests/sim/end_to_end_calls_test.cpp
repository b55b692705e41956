// SPDX-License-Identifier: Apache-2.0
// Calls whose parties do ICE and DTLS with each other, and the relay is one candidate among theirs
// (`ICE=optional`, `ICE=force-relay`; rule ICE-11, rows I-14 to I-19).

#include "tests/support/ice_phone.hpp"

#include <map>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

/// Lines of `text` that begin with `start`.
std::vector<std::string> lines_with(const std::string& text, const std::string& start) {
  std::vector<std::string> found;
  for (auto at = text.find(start); at != std::string::npos; at = text.find(start, at + 1)) {
    if (at == 0 || text[at - 1] == '\n') found.push_back(text.substr(at, text.find("\r\n", at) - at));
  }
  return found;
}

class EndToEnd : public ::testing::Test {
 protected:
  explicit EndToEnd(WorldOptions options = {}) : world_(make_sim_world(std::move(options))) {
    a_.plan.controlling = true;
  }
  [[nodiscard]] Endpoint at(char who, std::uint16_t port = 4000) const {
    return {world_->peer_address(1, who), UdpPort{port}};
  }
  void pass(Duration time) {
    for (Duration done{0}; done < time; done += 20ms) {
      for (IcePhone* phone : {&a_, &b_}) phone->drive();
      world_->run(world_->elapsed() + 20ms);
      for (IcePhone* phone : {&a_, &b_}) phone->listen();
    }
  }
  /// The SDP of a phone that says in `c=` and in the m-line where it is.
  static std::string true_sdp(const IcePhone& phone, const std::string& more = {}) {
    std::string text =
        phone.sdp("a=candidate:9 1 UDP 100 192.0.2.77 5000 typ relay raddr 192.0.2.78 rport 9\r\n" + more);
    const std::string address = phone.at().address.to_string();
    for (auto at = text.find("192.0.2.250"); at != std::string::npos; at = text.find("192.0.2.250"))
      text.replace(at, 11, address);
    const auto port = text.find("m=audio 9 ");
    return text.replace(port, 10, fmt::format("m=audio {} ", phone.at().port.value));
  }
  json offer_of(IcePhone& by, const char* word, const std::string& sdp) {
    const bool is_a = &by == &a_;
    json request = offer("c", is_a ? "A" : "B", sdp);
    if (world_->manager().show("c", world_->clock()) != nullptr) request["to-tag"] = is_a ? "B" : "A";
    if (word != nullptr) request["ICE"] = word;
    return world_->ng(request);
  }
  json answer_of(IcePhone& by, const std::string& sdp, const char* word = nullptr) {
    const bool is_b = &by == &b_;
    json request = answer("c", is_b ? "A" : "B", is_b ? "B" : "A", sdp);
    if (word != nullptr) request["ICE"] = word;
    return world_->ng(request);
  }
  void set_up(const char* word = "optional") {
    const json offered = offer_of(a_, word, true_sdp(a_));
    ASSERT_EQ(offered["result"], "ok") << offered;
    const json answered = answer_of(b_, true_sdp(b_));
    ASSERT_EQ(answered["result"], "ok") << answered;
    b_.hears(offered);
    a_.hears(answered);
  }
  void connect(const char* word = "optional") {
    set_up(word);
    pass(3s);
    ASSERT_EQ(a_.channel.state(), DtlsChannel::State::kReady);
    ASSERT_EQ(b_.channel.state(), DtlsChannel::State::kReady);
  }
  /// Both ways, 20 packets: how many of them arrived at A and at B.
  std::pair<std::size_t, std::size_t> talk() {
    const std::pair before(a_.heard.size(), b_.heard.size());
    for (int n = 0; n < 20; ++n) {
      a_.send(rtp('A', 1, sequence_));
      b_.send(rtp('B', 2, sequence_));
      ++sequence_;
      pass(20ms);
    }
    return {a_.heard.size() - before.first, b_.heard.size() - before.second};
  }
  static constexpr std::pair<std::size_t, std::size_t> kAll{20, 20};
  static constexpr std::pair<std::size_t, std::size_t> kNone{0, 0};
  json show(std::size_t leg) {
    return world_->manager().show("c", world_->clock())["legs"][leg]["medias"][0];
  }
  /// How often a reason dropped something that came from a party.
  int drops(std::size_t leg, const char* reason) { return show(leg)["drops"].value(reason, 0); }
  /// A check as `by` would send it to `to`.
  static Packet check(const IceCredentials& to, const IceCredentials& by, bool nominates, int number = 1) {
    const std::string username = to.ufrag + ":" + by.ufrag;
    stun::Contents contents;
    contents.username = username;
    contents.priority = 1u;
    contents.use_candidate = nominates;
    contents.controlling = 1u;
    const auto octets =
        stun::write(stun::Kind::kRequest, {static_cast<std::byte>(number)}, contents, to.password);
    return {octets.begin(), octets.end()};
  }
  /// The port of the relay that a party's media goes to.
  Endpoint port_for(std::size_t leg) {
    return {world_->relay_address(), UdpPort{show(leg)["local"]["rtp_port"].get<std::uint16_t>()}};
  }

  std::unique_ptr<World> world_;
  IcePhone a_{*world_, at('C'), "alice", true, "passive"};
  IcePhone b_{*world_, at('B'), "bob", true};
  std::uint16_t sequence_ = 1;
};

/// With each word.
class EndToEndWords : public EndToEnd, public ::testing::WithParamInterface<const char*> {
 protected:
  [[nodiscard]] static bool adds_relayed() { return std::string(GetParam()) == "force-relay"; }
  /// What must be true of the SDP that the other side of `of` is shown.
  void expect_passed(const json& reply, const std::string& said) {
    ASSERT_EQ(reply["result"], "ok") << reply;
    const std::string shown = reply["sdp"];
    for (const char* start :
         {"m=", "c=", "a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup", "a=rtcp-mux", "a=mid"})
      EXPECT_EQ(lines_with(shown, start), lines_with(said, start)) << shown;
    EXPECT_EQ(lines_with(shown, "a=candidate:9 ").empty(), adds_relayed()) << shown;
    std::uint32_t lowest = 0xffffffff;
    std::uint32_t highest_of_ours = 0;
    std::size_t ours = 0;
    for (const std::string& line : lines_with(shown, "a=candidate:")) {
      const bool is_ours = line.find(" " + world_->relay_address().to_string() + " ") != std::string::npos;
      const auto candidate = sdp::parse_candidate(line.substr(12));
      ASSERT_TRUE(candidate) << line;
      if (!is_ours) {
        lowest = std::min(lowest, candidate->priority);
        continue;
      }
      ++ours;
      highest_of_ours = std::max(highest_of_ours, candidate->priority);
      EXPECT_EQ(line.find(" typ relay raddr ") != std::string::npos, adds_relayed()) << line;
    }
    EXPECT_GE(ours, 1u) << shown;
    EXPECT_LT(highest_of_ours, lowest) << "below all candidates of the party: " << shown;
    EXPECT_GE(highest_of_ours, 1u);
  }
};

TEST_P(EndToEndWords, ICE11_MediaPassesUnread) {
  const json offered = offer_of(a_, GetParam(), true_sdp(a_));
  expect_passed(offered, true_sdp(a_));
  b_.hears(offered);
  const json answered = answer_of(b_, true_sdp(b_));
  expect_passed(answered, true_sdp(b_));
  a_.hears(answered);
  pass(3s);
  ASSERT_EQ(a_.channel.state(), DtlsChannel::State::kReady);
  ASSERT_EQ(b_.channel.state(), DtlsChannel::State::kReady);
  EXPECT_EQ(a_.relay().address, world_->relay_address());
  EXPECT_EQ(talk(), kAll);
  EXPECT_EQ(show(0)["end_to_end"]["word"], GetParam());
  EXPECT_EQ(show(0)["end_to_end"]["through_relay"], true);
  EXPECT_EQ(show(0)["end_to_end"]["selected"], a_.at().to_string());
  EXPECT_TRUE(show(0)["ice"].is_null());
  EXPECT_TRUE(show(0)["srtp"].is_null());
  EXPECT_EQ(show(0)["path"], "user");
  const json explained = world_->manager().explain("c", false, world_->clock());
  EXPECT_NE(explained.dump().find("end-to-end"), std::string::npos) << explained;
  EXPECT_EQ(explained.dump().find("\"fault\""), std::string::npos) << explained;
}

TEST_P(EndToEndWords, ICE11_ItStaysSoForBothPartiesUntilAnOfferSaysOtherwise) {
  connect(GetParam());
  const json again = offer_of(a_, nullptr, true_sdp(a_));
  expect_passed(again, true_sdp(a_));
  ASSERT_EQ(answer_of(b_, true_sdp(b_))["result"], "ok");
  EXPECT_EQ(talk(), kAll);
  const json back = offer_of(b_, nullptr, true_sdp(b_));
  expect_passed(back, true_sdp(b_));
  EXPECT_EQ(talk(), kAll) << "an offer is a proposal";
  expect_passed(answer_of(a_, true_sdp(a_)), true_sdp(a_));
  EXPECT_EQ(talk(), kAll);
  const json own = offer_of(a_, "force", true_sdp(a_));
  ASSERT_EQ(own["result"], "ok");
  EXPECT_TRUE(lines_with(own["sdp"], "a=ice-ufrag:" + a_.plan.own.ufrag).empty()) << own["sdp"];
  EXPECT_EQ(talk(), kAll) << "until it is answered";
}

TEST_P(EndToEndWords, AnOfferWithoutIceIsRelayedAsEver) {
  json request = offer("c", "A", audio_sdp(at('A')));
  request.update({{"ICE", GetParam()}, {"rtcp-mux", {"require"}}});
  const json offered = world_->ng(request);
  ASSERT_EQ(offered["result"], "ok");
  EXPECT_NE(World::port_of(offered).value, 4000) << "it goes through the relay";
  EXPECT_EQ(lines_with(offered["sdp"], "a=ice-ufrag:").empty(), adds_relayed());
  EXPECT_TRUE(show(0)["end_to_end"].is_null());
}

TEST_P(EndToEndWords, ICE11_AReadyPartyThatLeftIsNotSentTo) {
  connect(GetParam());
  ASSERT_EQ(talk(), kAll);
  // I-16: B is gone; A goes on for 40 s.
  b_.dead.insert(b_.at());
  const std::size_t before = world_->count(b_.at());
  std::size_t media = 0;
  for (int n = 0; n < 2'000; ++n) {
    a_.send_by(a_.at(), port_for(0), rtp('A', 1, sequence_++));
    pass(20ms);
  }
  for (std::size_t i = before; i < world_->received().size(); ++i) {
    const Received& each = world_->received()[i];
    media += each.at == b_.at() && !each.packet.empty() && read_u8(each.packet, 0) >= 128 ? 1 : 0;
  }
  EXPECT_GT(media, 1'000u);
  EXPECT_LE(media, 1'550u + 20u) << "I-16: at most 30 s";
  EXPECT_EQ(show(1)["end_to_end"]["through_relay"], false);
}

INSTANTIATE_TEST_SUITE_P(Words, EndToEndWords, ::testing::Values("optional", "force-relay"),
                         [](const auto& word) {
                           return std::string(word.param) == "optional" ? "Optional" : "ForceRelay";
                         });

TEST_F(EndToEnd, ICE11_I14_I19_AStrangerIsNotHeardAndHearsNothing) {
  connect();
  ASSERT_EQ(talk(), kAll);
  world_->open(at('X'));
  const std::size_t at_a = world_->count(a_.at(), 'X');
  const std::size_t at_b = world_->count(b_.at(), 'X');
  const Packet dtls = bytes_of({22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 'X', 'X'});
  const Packet data = bytes_of({'X', 'X', 'X', 'X', 'X', 'X', 'X', 'X', 'X', 'X', 'X', 'X', 'X'});
  for (std::uint16_t n = 0; n < 100; ++n) {
    for (const std::size_t leg : {0u, 1u}) {
      world_->send(at('X'), port_for(leg), rtp('X', 1, n));
      world_->send(at('X'), port_for(leg), dtls);
      world_->send(at('X'), port_for(leg), data);
      world_->send(at('X'), port_for(leg),
                   check({(leg == 0 ? b_ : a_).plan.own.ufrag, "guessed-password-0123456"},
                         (leg == 0 ? a_ : b_).plan.own, true));
    }
    pass(20ms);
  }
  EXPECT_EQ(world_->count(at('X')), 0u);
  EXPECT_EQ(world_->count(a_.at(), 'X'), at_a);
  EXPECT_EQ(world_->count(b_.at(), 'X'), at_b);
  for (const std::size_t leg : {0u, 1u}) {
    EXPECT_EQ(drops(leg, "stun-refused"), 100) << leg;
    EXPECT_EQ(drops(leg, "foreign-source"), 200) << leg;
    EXPECT_EQ(drops(leg, "unknown-protocol"), 100) << leg;
  }
  EXPECT_EQ(talk(), kAll);
}

TEST_F(EndToEnd, ICE11_I15_WhoeverRepeatsAPartysMessagesFromElsewhereMovesNothing) {
  world_->open(at('X'));
  set_up();
  // X reads all that comes to the relay and to the parties from the first message on, and repeats it at once.
  const Endpoint to_a = port_for(0);
  const Endpoint to_b = port_for(1);
  std::size_t seen = 0;
  std::vector<Packet> recorded;
  const auto repeat = [&](Duration time) {
    for (Duration done{0}; done < time; done += 20ms) {
      pass(20ms);
      const auto& all = world_->received();
      for (; seen < all.size(); ++seen) {
        if (all[seen].at != at('X') && !all[seen].packet.empty() && read_u8(all[seen].packet, 0) <= 3)
          recorded.push_back(all[seen].packet);
      }
      for (const Packet& each : recorded) {
        world_->send(at('X'), to_a, each);
        world_->send(at('X'), to_b, each);
      }
      if (recorded.size() > 40) recorded.erase(recorded.begin(), recorded.end() - 40);
    }
  };
  repeat(3s);
  ASSERT_EQ(a_.channel.state(), DtlsChannel::State::kReady);
  ASSERT_EQ(b_.channel.state(), DtlsChannel::State::kReady);
  for (int round = 0; round < 10; ++round) {
    EXPECT_EQ(talk(), kAll);
    repeat(1s);
    for (const auto& [leg, phone] : {std::pair(0, &a_), std::pair(1, &b_)})
      EXPECT_EQ(show(static_cast<std::size_t>(leg))["end_to_end"]["selected"], phone->at().to_string());
  }
  for (const Received& each : world_->received()) {
    if (each.at == at('X') && !each.packet.empty()) {
      EXPECT_LE(read_u8(each.packet, 0), 3) << "X got media";
    }
  }
}

TEST_F(EndToEnd, ICE11_I17_TwoAttackersCannotMakeTheRelaySendToAThird) {
  // Both SDPs are the attackers'; B's says that it is at a victim, who never answers.
  const Endpoint victim = at('V');
  world_->open(victim);
  std::string sdp = true_sdp(b_);
  for (auto found = sdp.find(b_.at().address.to_string()); found != std::string::npos;
       found = sdp.find(b_.at().address.to_string()))
    sdp.replace(found, b_.at().address.to_string().size(), victim.address.to_string());
  ASSERT_EQ(offer_of(a_, "optional", true_sdp(a_))["result"], "ok");
  ASSERT_EQ(answer_of(b_, sdp)["result"], "ok");
  const Endpoint relay = port_for(0);
  for (int n = 0; n < 12'000; ++n) {
    world_->send(a_.at(), relay, check(b_.plan.own, a_.plan.own, true, n));
    world_->send(a_.at(), relay, rtp('A', 1, static_cast<std::uint16_t>(n)));
    world_->run(world_->elapsed() + 5ms);
  }
  std::size_t checks = 0;
  for (const Received& each : world_->received()) {
    if (each.at != victim) continue;
    ++checks;
    ASSERT_LE(read_u8(each.packet, 0), 3) << "media reached the victim";
  }
  EXPECT_GT(checks, 0u);
  EXPECT_LE(checks, OverheardIce::kMaxSought);
}

TEST_F(EndToEnd, ICE11_I17_AttackersCannotSendToControlOrInCircles) {
  const std::string first = offer_of(a_, "optional", true_sdp(a_))["sdp"];
  // B says that it is at a port of another call, and at ports where nobody may be.
  json other = offer("d", "C", audio_sdp(at('D')));
  ASSERT_EQ(world_->ng(other)["result"], "ok");
  const auto victim = world_->manager().show("d", world_->clock())["legs"][1]["medias"][0]["local"];
  std::string sdp = b_.sdp("", false);
  for (const std::string& where :
       {fmt::format("{} {}", world_->relay_address().to_string(), victim["rtp_port"].get<int>()),
        fmt::format("{} 2223", world_->relay_address().to_string()), std::string("127.0.0.1 4000"),
        std::string("224.0.0.1 4000")})
    sdp += fmt::format("a=candidate:1 1 UDP 2130706431 {} typ host\r\n", where);
  ASSERT_EQ(answer_of(b_, sdp)["result"], "ok");
  const Endpoint relay = port_for(0);
  for (int n = 0; n < 200; ++n) {
    world_->send(a_.at(), relay, check(b_.plan.own, a_.plan.own, true, n));
    world_->run(world_->elapsed() + 20ms);
  }
  const json figures = show(1)["streams"][0]["out"];
  EXPECT_EQ(figures["packets"], 0) << figures;
  EXPECT_GT(drops(1, "no-destination"), 100);
}

TEST_F(EndToEnd, ICE11_BeforeTheAnswerNothingPasses) {
  ASSERT_EQ(offer_of(a_, "optional", true_sdp(a_))["result"], "ok");
  const Endpoint to_b = port_for(1);
  for (int n = 0; n < 20; ++n) {
    world_->send(b_.at(), to_b, check(a_.plan.own, b_.plan.own, true, n));
    world_->send(b_.at(), to_b, rtp('B', 1, static_cast<std::uint16_t>(n)));
    world_->run(world_->elapsed() + 20ms);
  }
  EXPECT_EQ(world_->count(a_.at()), 0u);
  EXPECT_EQ(world_->count(b_.at()), 0u);
  EXPECT_EQ(drops(1, "stun-refused"), 20);
}

TEST_F(EndToEnd, ICE11_AHeldPartyStillHearsAndABlockStopsMediaAlone) {
  connect();
  // Hold is between the parties: what they send all the same passes.
  for (const char* direction : {"a=inactive\r\n", "a=sendonly\r\n"}) {
    ASSERT_EQ(offer_of(a_, nullptr, true_sdp(a_, direction))["result"], "ok");
    ASSERT_EQ(answer_of(b_, true_sdp(b_, direction))["result"], "ok");
    EXPECT_EQ(talk(), kAll);
  }
  const auto command = [&](const char* name) {
    return world_->ng({{"command", name}, {"call-id", "c"}, {"from-tag", "A"}, {"flags", {"directional"}}});
  };
  for (const char* what : {"block media", "silence media"}) {
    ASSERT_EQ(command(what)["result"], "ok");
    EXPECT_EQ(talk(), (std::pair<std::size_t, std::size_t>{20, 0})) << what;
    EXPECT_GE(drops(0, "blocked"), 20);
    pass(35s);  // consent goes on
    ASSERT_EQ(command(what == std::string("block media") ? "unblock media" : "unsilence media")["result"],
              "ok");
    EXPECT_EQ(talk(), kAll) << what;
  }
}

TEST_F(EndToEnd, ICE11_LIM1_APartyThatFloodsIsLimited) {
  connect();
  const std::size_t before = world_->count(b_.at());
  for (std::uint16_t n = 0; n < 5'000; ++n) {
    world_->send(a_.at(), port_for(0), rtp('A', 1, n));
    if (n % 100 == 0) pass(20ms);
  }
  EXPECT_LE(world_->count(b_.at()) - before, 600u) << "250 in a second, and as many at once";
  EXPECT_GT(drops(0, "rate-limited"), 4'000);
}

TEST_F(EndToEnd, ICE11_MediaPastTheRelayIsNoFaultAndEndsNoCall) {
  a_.reaches = {&b_};
  b_.reaches = {&a_};
  connect();
  EXPECT_EQ(a_.relay(), b_.at()) << "the direct way";
  for (int n = 0; n < 10; ++n) {
    EXPECT_EQ(talk(), kAll);
    pass(60s);
  }
  ASSERT_NE(world_->manager().show("c", world_->clock()), nullptr) << "ended as mute";
  EXPECT_EQ(show(0)["streams"][0]["in"]["packets"], 0);
  const json explained = world_->manager().explain("c", false, world_->clock());
  EXPECT_EQ(explained.dump().find("\"fault\""), std::string::npos) << explained;
  ASSERT_EQ(
      world_->ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "A"}, {"delete-delay", 0}})["result"],
      "ok");
}

TEST_F(EndToEnd, ICE11_ARestartKeepsMediaAndEndsTheOldCredentials) {
  connect();
  const IceCredentials old_a = a_.plan.own;
  const IceCredentials old_b = b_.plan.own;
  a_.restart();
  b_.restart();
  const json offered = offer_of(a_, nullptr, true_sdp(a_));
  ASSERT_EQ(offered["result"], "ok");
  const json answered = answer_of(b_, true_sdp(b_));
  ASSERT_EQ(answered["result"], "ok");
  b_.hears(offered);
  a_.hears(answered);
  EXPECT_EQ(talk(), kAll);
  pass(2s);
  EXPECT_EQ(talk(), kAll);
  const int refused = drops(0, "stun-refused");
  world_->send(a_.at(), port_for(0), check(old_b, old_a, true));
  world_->run(world_->elapsed() + 20ms);
  EXPECT_EQ(drops(0, "stun-refused"), refused + 1);
  pass(60s);
  EXPECT_EQ(talk(), kAll);
}

TEST_F(EndToEnd, ICE11_CandidatesThatTrickleInCount) {
  ASSERT_EQ(offer_of(a_, "optional", true_sdp(a_))["result"], "ok");
  // B is a lite party that is silent until it is found, and its SDP has no place.
  std::string sdp = b_.sdp("a=ice-options:trickle\r\na=ice-lite\r\n", false);
  const json answered = answer_of(b_, sdp);
  ASSERT_EQ(answered["result"], "ok") << answered;
  a_.hears(answered);
  a_.plan.peer_is_lite = true;
  pass(500ms);
  EXPECT_EQ(world_->count(b_.at()), 0u);
  const std::string fragment =
      fmt::format("a=ice-ufrag:{}\r\na=ice-pwd:{}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n{}", b_.plan.own.ufrag,
                  b_.plan.own.password, b_.candidate());
  ASSERT_EQ(world_->ng({{"command", "offer"},
                        {"call-id", "c"},
                        {"from-tag", "B"},
                        {"to-tag", "A"},
                        {"flags", {"fragment"}},
                        {"sdp", fragment}})["result"],
            "ok");
  pass(500ms);
  EXPECT_GT(world_->count(b_.at()), 0u) << "the checks of A find it";
}

TEST_F(EndToEnd, ICE11_ALitePartyIsFoundAndKept) {
  const json offered = offer_of(a_, "optional", true_sdp(a_));
  ASSERT_EQ(offered["result"], "ok");
  const json answered = answer_of(b_, true_sdp(b_, "a=ice-lite\r\n"));
  ASSERT_EQ(answered["result"], "ok");
  EXPECT_EQ(lines_with(answered["sdp"], "a=ice-lite").size(), 1u) << answered["sdp"];
  b_.hears(offered);
  a_.hears(answered);
  b_.plan.is_lite = true;
  a_.plan.peer_is_lite = true;
  pass(3s);
  ASSERT_EQ(a_.channel.state(), DtlsChannel::State::kReady);
  EXPECT_EQ(talk(), kAll);
  pass(60s);
  EXPECT_EQ(talk(), kAll);
}

TEST_F(EndToEnd, ICE11_AnAnswerWithoutIceClosesTheWayThroughTheRelay) {
  for (const bool is_stripped : {false, true}) {
    const json offered = offer_of(a_, "optional", true_sdp(a_));
    ASSERT_EQ(offered["result"], "ok");
    const std::string plain = audio_sdp(at('B'));
    const json answered = is_stripped ? answer_of(b_, true_sdp(b_), "remove") : answer_of(b_, plain);
    ASSERT_EQ(answered["result"], "ok") << answered;
    const std::string shown = answered["sdp"];
    EXPECT_TRUE(lines_with(shown, "a=candidate:").empty()) << shown;
    EXPECT_TRUE(lines_with(shown, "a=ice-").empty()) << shown;
    EXPECT_EQ(lines_with(shown, "c="), lines_with(is_stripped ? true_sdp(b_) : plain, "c=")) << shown;
    EXPECT_EQ(World::port_of(answered).value, 4000);
    const Endpoint relay = port_for(0);
    for (int n = 0; n < 20; ++n) {
      world_->send(a_.at(), relay, check(b_.plan.own, a_.plan.own, true, n));
      world_->send(a_.at(), relay, rtp('A', 1, static_cast<std::uint16_t>(n)));
      world_->run(world_->elapsed() + 20ms);
    }
    EXPECT_EQ(world_->count(b_.at()), 0u);
    EXPECT_EQ(world_->count(at('B'), 'A'), 0u);
  }
}

TEST_F(EndToEnd, ICE11_DataChannelsAndBundledSectionsPass) {
  const auto more = [](const IcePhone& phone, int port) {
    return fmt::format(
        "m=video 0 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 VP8/90000\r\n"
        "a=mid:1\r\na=bundle-only\r\na=ice-ufrag:{0}\r\na=ice-pwd:{1}\r\na=rtcp-mux\r\n"
        "m=application {2} UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 {3}\r\na=mid:2\r\n"
        "a=sctp-port:5000\r\na=ice-ufrag:{0}\r\na=ice-pwd:{1}\r\n",
        phone.plan.own.ufrag, phone.plan.own.password, port, phone.at().address.to_string());
  };
  const auto grouped = [](std::string text) {
    return text.insert(text.find("m=audio"), "a=group:BUNDLE 0 1 2\r\n");
  };
  const json offered = offer_of(a_, "optional", grouped(true_sdp(a_) + more(a_, 4000)));
  ASSERT_EQ(offered["result"], "ok") << offered;
  const std::string shown = offered["sdp"];
  EXPECT_EQ(lines_with(shown, "a=group:BUNDLE"), std::vector<std::string>{"a=group:BUNDLE 0 1 2"});
  EXPECT_EQ(lines_with(shown, "m=video 0 ").size(), 1u) << shown;
  EXPECT_EQ(lines_with(shown, "a=bundle-only").size(), 1u) << shown;
  EXPECT_EQ(lines_with(shown, "m=application 4000 UDP/DTLS/SCTP webrtc-datachannel").size(), 1u) << shown;
  EXPECT_EQ(lines_with(shown, "a=sctp-port:5000").size(), 1u) << shown;
  std::string back = more(b_, 4000);
  back.replace(back.find("m=video 0"), 9, "m=video 4000");
  back.erase(back.find("a=bundle-only\r\n"), 15);
  const json answered = answer_of(b_, grouped(true_sdp(b_) + back));
  ASSERT_EQ(answered["result"], "ok") << answered;
  b_.hears(offered);
  a_.hears(answered);
  pass(3s);
  EXPECT_EQ(talk(), kAll) << "all is on the port of the first section";
}

TEST_F(EndToEnd, ICE11_SCT1_ADataChannelWithoutIceIsRefusedAllTheSame) {
  const std::string channel =
      "m=application 4002 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:9\r\na=sctp-port:5000\r\n";
  const json offered = offer_of(a_, "optional", true_sdp(a_) + channel);
  ASSERT_EQ(offered["result"], "ok") << offered;
  EXPECT_EQ(lines_with(offered["sdp"], "m=application 0 ").size(), 1u) << offered["sdp"];
  // The answer takes it nevertheless.
  const json answered = answer_of(b_, true_sdp(b_) + channel);
  ASSERT_EQ(answered["result"], "ok") << answered;
  EXPECT_EQ(lines_with(answered["sdp"], "m=application 0 ").size(), 1u) << answered["sdp"];
  const json medias = world_->manager().show("c", world_->clock())["legs"][0]["medias"];
  ASSERT_EQ(medias.size(), 2u);
  EXPECT_FALSE(medias[1].contains("local")) << medias[1];
}

TEST_F(EndToEnd, ICE11_AnOfferOfADataChannelAloneIsTaken) {
  const auto channel = [](const IcePhone& phone) {
    return fmt::format(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 {}\r\nt=0 0\r\n"
        "m=application {} UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\na=sctp-port:5000\r\n"
        "a=setup:actpass\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n{}",
        phone.at().address.to_string(), phone.at().port.value, phone.plan.own.ufrag, phone.plan.own.password,
        phone.candidate());
  };
  EXPECT_EQ(offer_of(a_, nullptr, channel(a_))["result"], "error") << "SCT-3";
  const json offered = offer_of(a_, "optional", channel(a_));
  ASSERT_EQ(offered["result"], "ok") << offered;
  const json answered = answer_of(b_, channel(b_));
  ASSERT_EQ(answered["result"], "ok") << answered;
  EXPECT_GE(lines_with(answered["sdp"], "a=candidate:").size(), 2u);
  b_.hears(offered);
  a_.hears(answered);
  pass(2s);
  const std::size_t before = world_->count(b_.at());
  Packet dtls = bytes_of({23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 0, 2, 'A', 'A'});
  world_->send(a_.at(), port_for(0), dtls);
  world_->run(world_->elapsed() + 20ms);
  EXPECT_GT(world_->count(b_.at()), before);
}

TEST_F(EndToEnd, ICE11_WhatTheRelayWouldHaveToReadIsRefused) {
  json request = offer("c", "A", true_sdp(a_));
  request.update(
      {{"ICE", "optional"}, {"transport-protocol", "RTP/AVP"}, {"record-call", "yes"}, {"ptime", 20}});
  ASSERT_EQ(world_->ng(request)["result"], "ok");
  ASSERT_EQ(answer_of(b_, true_sdp(b_))["result"], "ok");
  const json shown = world_->manager().show("c", world_->clock());
  const std::string words = shown["not_in_force"].dump();
  for (const char* word : {"transport-protocol", "record-call", "ptime"})
    EXPECT_NE(words.find(word), std::string::npos) << words;
  for (const json& more : std::initializer_list<json>{
           {{"command", "start recording"}},
           {{"command", "block DTMF"}},
           {{"command", "start forwarding"}, {"output-destination", "192.0.2.99:5000"}},
           {{"command", "subscribe request"}, {"from-tag", "A"}}}) {
    json command = {{"call-id", "c"}};
    command.update(more);
    const json reply = world_->ng(command);
    EXPECT_EQ(reply["result"], "error") << command << reply;
    EXPECT_NE(reply.dump().find("end to end"), std::string::npos) << command << reply;
  }
}

}  // namespace
}  // namespace ferry::test
