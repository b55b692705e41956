// SPDX-License-Identifier: Apache-2.0
// The reply to `query` (docs/reference/ng.md#query).
#include "control/view/query.hpp"

#include "tests/support/packets.hpp"
#include "tests/support/small_relay.hpp"

#include <set>

namespace ferry::test {
namespace {

class QueryTest : public testing::Test {
 protected:
  Dict query(const Request& request = SmallRelay::request("call")) {
    return QueryView(relay_.manager.services()).query(request, relay_.clock()).value();
  }
  static const Dict& dict(const Dict& in, std::string_view key) { return *in.find(key)->dict(); }
  static const Dict& party(const Dict& reply, std::string_view tag) { return dict(dict(reply, "tags"), tag); }
  static const Dict& media(const Dict& reply, std::string_view tag) {
    return *party(reply, tag).find("medias")->list()->at(0).dict();
  }
  static const Dict& stream(const Dict& reply, std::string_view tag, std::size_t component = 0) {
    return *media(reply, tag).find("streams")->list()->at(component).dict();
  }
  static std::set<std::string> flags(const Dict& of) {
    std::set<std::string> all;
    for (const Value& each : *of.find("flags")->list()) all.insert(*each.string());
    return all;
  }
  static std::vector<std::string> tags(const Dict& reply) {
    std::vector<std::string> all;
    for (const auto& [tag, party] : dict(reply, "tags")) all.push_back(tag);
    return all;
  }
  static std::int64_t number(const Dict& of, std::string_view key) { return *of.find(key)->integer(); }
  /// A speaks; packets with a header of 12 octets and 160 of sound.
  void speak(std::uint16_t packets) {
    const LocalPorts& ports = call_.legs[0]->medias[0]->via->ports[0];
    for (std::uint16_t n = 0; n < packets; ++n)
      relay_.network.send_to_relay({*Endpoint::parse("198.51.100.1:4000"),
                                    {ports.local->address, ports.port},
                                    rtp('A', 77, ++sequence_)});
    relay_.plane.worker(0).run_once();
  }
  SmallRelay relay_;
  Call& call_ = relay_.add_call();
  std::uint16_t sequence_ = 0;
};

TEST_F(QueryTest, TimesOfTheCall) {
  const Dict reply = query();
  const auto created =
      std::chrono::duration_cast<std::chrono::microseconds>(call_.created.time_since_epoch()).count();
  EXPECT_EQ(number(reply, "created_ts"), created);
  EXPECT_EQ(number(reply, "created"), created / 1'000'000);
  EXPECT_EQ(number(reply, "created_us"), created % 1'000'000);
  EXPECT_EQ(number(reply, "last signal"), call_.last_signal_unix);
  EXPECT_EQ(number(reply, "last redis update"), 0);
  EXPECT_EQ(reply.find("recording"), nullptr) << "it is neither recorded nor forwarded";
}

TEST_F(QueryTest, PartiesAndWhomTheyHear) {
  const Dict reply = query();
  EXPECT_EQ(tags(reply), (std::vector<std::string>{"A", "B"}));
  Dict relation;
  relation.set("tag", "B");
  relation.set("type", "offer/answer");
  EXPECT_EQ(*party(reply, "A").find("subscriptions"), Value(List{Value(relation)}));
  EXPECT_EQ(*party(reply, "A").find("subscribers"), Value(List{Value(relation)}));
  EXPECT_EQ(*party(reply, "A").find("VSC"), Value(List{}));
  EXPECT_EQ(party(reply, "A").find("label"), nullptr);
}

TEST_F(QueryTest, OfOneTagAndThoseThatItHears) {
  call_.legs[0]->medias[0]->subscriptions.clear();
  EXPECT_EQ(tags(query(SmallRelay::request("call", "A"))), std::vector<std::string>{"A"});
  EXPECT_EQ(tags(query(SmallRelay::request("call", "B"))), (std::vector<std::string>{"B", "A"}));
  EXPECT_EQ(tags(query(SmallRelay::request("call", "A", "B"))), (std::vector<std::string>{"B", "A"}))
      << "to-tag wins";
  EXPECT_TRUE(tags(query(SmallRelay::request("call", "X"))).empty()) << "an unknown tag is ok";
}

TEST_F(QueryTest, UnknownCallsAndMissingOnes) {
  EXPECT_EQ(QueryView(relay_.manager.services())
                .query(SmallRelay::request("nobody"), relay_.clock())
                .error()
                .refusal(),
            RefusalReason::kUnknownCall);
  EXPECT_EQ(QueryView(relay_.manager.services()).query(Request{}, relay_.clock()).error().refusal(),
            RefusalReason::kMessage);
}

TEST_F(QueryTest, APartyWithoutTagHasANumber) {
  relay_.offer(SmallRelay::request("ringing", "A", {}, audio_at("198.51.100.1:4200"))).value();
  EXPECT_EQ(tags(query(SmallRelay::request("ringing"))), (std::vector<std::string>{"A", "<untagged 2>"}));
}

TEST_F(QueryTest, StreamsOfAMedia) {
  const Dict reply = query();
  EXPECT_EQ(media(reply, "A").find("streams")->list()->size(), 2u);
  EXPECT_EQ(*media(reply, "A").find("type")->string(), "audio");
  EXPECT_EQ(*media(reply, "A").find("protocol")->string(), "RTP/AVP");
  EXPECT_EQ(number(media(reply, "A"), "index"), 1);
  const LocalPorts& ports = call_.legs[0]->medias[0]->via->ports[0];
  for (const std::size_t component : {0u, 1u}) {
    const Dict& shown = stream(reply, "A", component);
    const auto offset = static_cast<std::int64_t>(component);
    EXPECT_EQ(number(shown, "local port"), ports.port.value + offset);
    EXPECT_EQ(*shown.find("local address")->string(), "198.18.0.1");
    EXPECT_EQ(*shown.find("family")->string(), "IPv4");
    const Dict& endpoint = dict(shown, "advertised endpoint");
    EXPECT_EQ(*endpoint.find("address")->string(), "198.51.100.1");
    EXPECT_EQ(number(endpoint, "port"), 4000 + offset);
    EXPECT_EQ(number(shown, "last kernel packet"), 0);
    EXPECT_EQ(flags(shown), (std::set<std::string>{component == 0 ? "RTP" : "RTCP", "filled"}));
  }
}

TEST_F(QueryTest, WhatFlows) {
  relay_.pass(std::chrono::seconds(3));
  speak(5);
  const Dict reply = query();
  EXPECT_EQ(number(dict(dict(reply, "totals"), "RTP"), "packets"), 5);
  EXPECT_EQ(number(dict(dict(reply, "totals"), "RTP"), "bytes"), 5 * 172);
  EXPECT_EQ(number(dict(dict(reply, "totals"), "RTCP"), "packets"), 0);
  EXPECT_EQ(number(dict(stream(reply, "A"), "stats"), "packets"), 5);
  EXPECT_EQ(number(dict(stream(reply, "B"), "stats_out"), "packets"), 5);
  EXPECT_EQ(number(dict(dict(reply, "SSRC"), "77"), "packets"), 5);
  EXPECT_EQ(number(stream(reply, "A"), "SSRC"), 77);
  EXPECT_EQ(*media(reply, "A").find("codec")->string(), "PCMA/8000");
  EXPECT_EQ(media(reply, "B").find("codec"), nullptr) << "it has said nothing";
  EXPECT_EQ(flags(stream(reply, "A")),
            (std::set<std::string>{"RTP", "filled", "confirmed", "kernelized", "no kernel support"}));
  EXPECT_EQ(number(stream(reply, "A"), "last packet"),
            relay_.clock().wall.time_since_epoch() / std::chrono::seconds(1));
  EXPECT_EQ(number(stream(reply, "B"), "last packet"), call_.last_signal_unix) << "none came";
  EXPECT_EQ(media(reply, "B").find("egress SSRCs")->list()->size(), 1u);
}

TEST_F(QueryTest, APacketBeforeTheLastSignallingConfirmsNothing) {
  relay_.pass(std::chrono::seconds(1));
  speak(5);
  relay_.pass(std::chrono::seconds(1));
  call_.touched = relay_.clock().now;
  EXPECT_EQ(flags(stream(query(), "A")), (std::set<std::string>{"RTP", "filled"}));
}

/// A change of A's media, and the flags of it.
struct FlagRow {
  const char* name;
  std::function<void(Media&)> change;
  std::set<std::string> flags;
};

TEST_F(QueryTest, FlagsOfAMedia) {
  const std::set<std::string> usual = {"initialized", "send", "recv"};
  const auto and_also = [&](std::initializer_list<const char*> more) {
    std::set<std::string> all = usual;
    all.insert(more.begin(), more.end());
    return all;
  };
  const FlagRow rows[] = {
      {"as it is", [](Media&) {}, usual},
      {"asymmetric", [](Media& m) { m.via->rules.asymmetric = true; }, and_also({"asymmetric"})},
      {"unidirectional", [](Media& m) { m.via->rules.unidirectional = true; }, and_also({"unidirectional"})},
      {"mux", [](Media& m) { m.via->mux_used = true; }, and_also({"rtcp-mux"})},
      {"echo", [](Media& m) { m.echo = MediaEcho::kForward; }, and_also({"echo"})},
      {"blackhole", [](Media& m) { m.echo = MediaEcho::kBlackhole; }, and_also({"blackhole"})},
      {"ICE", [](Media& m) { m.via->ensure_ice().in_use = true; }, and_also({"ICE"})},
      {"a lite peer",
       [](Media& m) {
         m.via->ensure_ice().in_use = true;
         m.via->ice->theirs.is_lite = true;
       },
       and_also({"ICE", "ICE controlling", "ICE-lite peer"})},
      {"a lite relay",
       [](Media& m) {
         m.via->ensure_ice().in_use = true;
         m.via->ice_controlling = m.via->ice->is_lite = true;
       },
       and_also({"ICE", "ICE-lite self"})},
      {"feedback that the profile lacks", [](Media& m) { m.names_feedback = true; }, usual},
      {"feedback",
       [](Media& m) {
         m.names_feedback = true;
         m.protocol = "RTP/AVPF";
       },
       and_also({"RTCP feedback"})},
      {"hold by it", [](Media& m) { m.may_receive = false; }, {"initialized", "recv"}},
      {"it only listens", [](Media& m) { m.may_send = false; }, {"initialized", "send"}},
      {"rejected", [](Media& m) { m.rejected = true; }, {"initialized"}},
      {"the other holds",
       [](Media& m) { m.subscriptions[0].source->may_receive = false; },
       {"initialized", "send"}},
      {"the other is silent",
       [](Media& m) { m.subscriptions[0].source->may_send = false; },
       {"initialized", "recv"}},
      {"no SDP yet", [](Media& m) { m.via->remote_known = false; }, {"send", "recv"}},
  };
  for (const FlagRow& row : rows) {
    SmallRelay relay;
    Call& call = relay.add_call();
    row.change(*call.legs[0]->medias[0]);
    const Dict reply =
        QueryView(relay.manager.services()).query(SmallRelay::request("call"), relay.clock()).value();
    EXPECT_EQ(flags(media(reply, "A")), row.flags) << row.name;
  }
}

TEST_F(QueryTest, MuxIsShownByBothStreams) {
  call_.legs[0]->medias[0]->via->mux_used = true;
  const Dict reply = query();
  EXPECT_EQ(flags(stream(reply, "A", 0)), (std::set<std::string>{"RTP", "RTCP", "filled"}));
  EXPECT_EQ(flags(stream(reply, "A", 1)), (std::set<std::string>{"RTCP", "fallback RTCP", "filled"}));
}

TEST(QueryReporting, SsrcStatisticsStandWhereTheOptionSays) {
  const struct {
    SsrcReporting reporting;
    bool is_global;
    bool is_inline;
  } rows[] = {{SsrcReporting::kFull, true, true},
              {SsrcReporting::kGlobal, true, false},
              {SsrcReporting::kInline, false, true},
              {SsrcReporting::kNone, false, false}};
  for (const auto& row : rows) {
    SmallRelay::Options options;
    options.session.ssrc_reporting = row.reporting;
    SmallRelay relay(options);
    Call& call = relay.add_call();
    const LocalPorts& ports = call.legs[0]->medias[0]->via->ports[0];
    relay.network.send_to_relay(
        {*Endpoint::parse("198.51.100.1:4000"), {ports.local->address, ports.port}, rtp('A', 77, 1)});
    relay.plane.worker(0).run_once();
    const Dict reply =
        QueryView(relay.manager.services()).query(SmallRelay::request("call"), relay.clock()).value();
    EXPECT_EQ(reply.find("SSRC") != nullptr, row.is_global);
    const Dict& a = *reply.find("tags")->dict()->find("A")->dict();
    const Dict& media = *a.find("medias")->list()->at(0).dict();
    const Dict& ssrc = *media.find("ingress SSRCs")->list()->at(0).dict();
    EXPECT_EQ(*ssrc.find("SSRC")->integer(), 77);
    EXPECT_EQ(ssrc.find("packets") != nullptr, row.is_inline);
  }
}

}  // namespace
}  // namespace ferry::test
