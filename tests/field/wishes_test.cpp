// SPDX-License-Identifier: Apache-2.0
// Words about keys, DTLS and ICE in an offer: they are in force in its answer too, and a later offer without
// them goes on with what was negotiated (docs/reference/ng.md#encryption, docs/reference/ng.md#ice).

#include "tests/support/secure_call.hpp"

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr const char* kLine80 =
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw\r\n";
constexpr const char* kLine32 =
    "a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk\r\n";
constexpr const char* kAnswer80 =
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJi\r\n";
constexpr const char* kIce =
    "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
    "a=candidate:1 1 UDP 2130706431 198.51.100.20 5000 typ host\r\n";
constexpr const char* kDtls =
    "a=setup:active\r\na=fingerprint:sha-256 "
    "01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:"
    "EF:01:23:45:67:89:AB:CD:EF\r\n";

class FieldWishes : public ::testing::Test {
 protected:
  [[nodiscard]] std::string sdp(char who, const std::string& protocol, const std::string& more,
                                std::uint16_t port = 4000) const {
    std::string text = audio_sdp({world_->peer_address(1, who), UdpPort{port}}, more);
    text.replace(text.find("RTP/AVP"), 7, protocol);
    return text;
  }
  json told(json request, const json& words) {
    if (words.is_object()) request.update(words);
    json reply = world_->ng(request);
    EXPECT_EQ(reply["result"], "ok") << reply << "\n" << request;
    return reply;
  }
  json offers(char from, const std::string& sdp, const json& words = nullptr) {
    json request = offer("c", {from}, sdp);
    if (is_answered_) request["to-tag"] = std::string(1, from == 'A' ? 'B' : 'A');
    return told(std::move(request), words);
  }
  json answers(char from, char to, const std::string& sdp, const json& words = nullptr) {
    is_answered_ = true;
    return told(answer("c", {from}, {to}, sdp), words);
  }
  /// Restores the call from its export, as after a restart.
  void restart() {
    const json record = world_->manager().export_call("c", world_->clock());
    ASSERT_FALSE(record.is_null());
    world_ = make_sim_world();
    ASSERT_TRUE(world_->manager().restore_call(record, world_->clock()));
  }
  static std::string text_of(const json& reply) { return reply.value("sdp", std::string()); }
  static bool has(const json& reply, std::string_view what) {
    return text_of(reply).find(what) != std::string::npos;
  }

  std::unique_ptr<World> world_ = make_sim_world();
  bool is_answered_ = false;
};

constexpr const char* k80 = "AES_CM_128_HMAC_SHA1_80";
constexpr const char* k32 = "AES_CM_128_HMAC_SHA1_32";

struct SdesRow {
  const char* name;
  std::vector<std::string> offer_words;
  std::vector<std::string> answer_words;
  const char* expected;  // the suite that the offerer, who prefers 80, is answered with
};

TEST_F(FieldWishes, SdesWordsOfAnOfferCountInItsAnswer) {
  const std::vector<SdesRow> rows = {
      {"none", {}, {}, k80},
      {"only", {std::string("only-") + k32}, {}, k32},
      {"no", {std::string("no-") + k80}, {}, k32},
      {"offerer_pref", {std::string("offerer_pref:") + k32}, {}, k32},
      {"nonew wins over no", {"nonew", std::string("no-") + k80}, {}, k80},
      {"nonew wins over only", {"nonew", std::string("only-") + k32}, {}, k80},
      {"names of the answer count where both have some",
       {std::string("only-") + k32},
       {std::string("only-") + k80},
       k80},
      {"words of the answer beside those of the offer", {std::string("no-") + k80}, {"pad"}, k32},
      {"a preference of the answer over that of the offer",
       {std::string("offerer_pref:") + k80},
       {std::string("offerer_pref:") + k32},
       k32},
      {"a policy that leaves nothing keeps the top one", {"only-AEAD_AES_256_GCM"}, {}, k80},
  };
  for (const bool survives_a_restart : {false, true}) {
    for (const SdesRow& row : rows) {
      SCOPED_TRACE(row.name);
      world_ = make_sim_world();
      is_answered_ = false;
      offers('A', sdp('A', "RTP/SAVP", std::string(kLine80) + kLine32),
             {{"transport-protocol", "RTP/AVP"}, {"SDES", row.offer_words}});
      if (survives_a_restart) restart();
      const json reply = answers('A', 'B', sdp('B', "RTP/AVP", ""), {{"SDES", row.answer_words}});
      const auto lines = lines_of(reply);
      ASSERT_EQ(lines.size(), 1u) << text_of(reply);
      EXPECT_EQ(lines.front().suite->name, row.expected);
    }
  }
}

TEST_F(FieldWishes, SdesPreferenceOfTheOfferEndsPassThrough) {
  offers('A', sdp('A', "RTP/SAVP", std::string(kLine80) + kLine32),
         {{"DTLS", "off"}, {"SDES", {std::string("offerer_pref:") + k32}}});
  const json reply = answers('A', 'B', sdp('B', "RTP/SAVP", kAnswer80));
  ASSERT_EQ(lines_of(reply).size(), 1u);
  EXPECT_EQ(lines_of(reply).front().suite->name, k32);
}

TEST_F(FieldWishes, StaticKeepsTheSuiteInReoffers) {
  const std::string lines = std::string(kLine80) + kLine32;
  for (const int where : {0, 1, 2}) {  // said in the first answer, in the second offer, in the second answer
    SCOPED_TRACE(where);
    world_ = make_sim_world();
    is_answered_ = false;
    const json to_static = {{"SDES", {"static"}}};
    offers('A', sdp('A', "RTP/SAVP", lines), {{"transport-protocol", "RTP/AVP"}});
    json words = {{"SDES", {std::string("offerer_pref:") + k32}}};
    if (where == 0) words["SDES"].push_back("static");
    answers('A', 'B', sdp('B', "RTP/AVP", ""), words);
    offers('A', sdp('A', "RTP/SAVP", lines), where == 1 ? to_static : json());
    const json reply = answers('A', 'B', sdp('B', "RTP/AVP", ""), where == 2 ? to_static : json());
    ASSERT_EQ(lines_of(reply).size(), 1u);
    EXPECT_EQ(lines_of(reply).front().suite->name, k32);
  }
}

struct ReofferRow {
  const char* name;
  std::string a_sdp_protocol;
  std::string a_more;  // of A's offers
  json words;          // of the first offer
  std::string b_protocol;
  std::string b_more;  // of B's answer
  char reofferer;      // without words
  std::vector<std::string> has;
  std::vector<std::string> lacks;
};

TEST_F(FieldWishes, AReofferWithoutWordsGoesOnWithWhatWasNegotiated) {
  const std::string web = "UDP/TLS/RTP/SAVPF";
  const std::string mux = "a=rtcp-mux\r\n";
  const std::vector<ReofferRow> rows = {
      {"ICE was forced on the far side",
       "RTP/AVP",
       "",
       {{"ICE", "force"}},
       "RTP/AVP",
       kIce,
       'A',
       {"a=ice-ufrag:"},
       {}},
      {"ICE was removed for the far side",
       "RTP/AVP",
       kIce,
       {{"ICE", "remove"}},
       "RTP/AVP",
       "",
       'A',
       {},
       {"a=ice-"}},
      {"the far side took no ICE", "RTP/AVP", kIce, nullptr, "RTP/AVP", "", 'A', {}, {"a=ice-"}},
      {"a caller without ICE is offered none by a callee with it",
       "RTP/AVP",
       "",
       {{"ICE", "force"}},
       "RTP/AVP",
       kIce,
       'B',
       {},
       {"a=ice-"}},
      {"ICE both sides", "RTP/AVP", kIce, nullptr, "RTP/AVP", kIce, 'A', {"a=ice-ufrag:"}, {}},
      {"SDES off toward the far side",
       "RTP/AVP",
       "",
       {{"transport-protocol", web}, {"SDES", "off"}},
       web,
       std::string(kDtls),
       'A',
       {web, "a=fingerprint:"},
       {"a=crypto:"}},
      {"DTLS off toward the far side",
       "RTP/AVP",
       "",
       {{"transport-protocol", "RTP/SAVP"}, {"DTLS", "off"}},
       "RTP/SAVP",
       kAnswer80,
       'A',
       {"RTP/SAVP", "a=crypto:"},
       {"a=fingerprint:"}},
      {"WebRTC toward the far side",
       "RTP/AVP",
       "",
       {{"flags", {"WebRTC"}}},
       web,
       std::string(kDtls) + kIce + mux,
       'A',
       {web, "a=ice-ufrag:", "a=ice-options:trickle", "a=rtcp-mux", "a=fingerprint:"},
       {"a=crypto:"}},
      {"a browser that called is offered no SDES by the phone",
       web,
       std::string(kDtls) + kIce + mux,
       {{"transport-protocol", "RTP/AVP"}, {"ICE", "remove"}, {"rtcp-mux", {"demux"}}},
       "RTP/AVP",
       "",
       'B',
       {web, "a=ice-ufrag:", "a=fingerprint:"},
       {"a=crypto:"}},
      {"OSRTP that the far side took",
       "RTP/AVP",
       "",
       {{"OSRTP", "offer"}, {"DTLS", "off"}},
       "RTP/AVP",
       kAnswer80,
       'A',
       {"RTP/AVP", "a=crypto:"},
       {}},
      {"OSRTP that the far side did not take",
       "RTP/AVP",
       "",
       {{"OSRTP", "offer"}, {"DTLS", "off"}},
       "RTP/AVP",
       "",
       'A',
       {"RTP/AVP"},
       {"a=crypto:"}},
  };
  for (const bool survives_a_restart : {false, true}) {
    for (const ReofferRow& row : rows) {
      SCOPED_TRACE(row.name);
      world_ = make_sim_world();
      is_answered_ = false;
      const std::string a = sdp('A', row.a_sdp_protocol, row.a_more);
      const std::string b = sdp('B', row.b_protocol, row.b_more);
      offers('A', a, row.words);
      answers('A', 'B', b);
      if (survives_a_restart) restart();
      const json reply = row.reofferer == 'A' ? offers('A', a) : offers('B', b);
      for (const std::string& text : row.has) EXPECT_TRUE(has(reply, text)) << text << "\n" << text_of(reply);
      for (const std::string& text : row.lacks)
        EXPECT_FALSE(has(reply, text)) << text << "\n" << text_of(reply);
    }
  }
}

TEST_F(FieldWishes, OtherWordsOfAReofferCount) {
  struct Row {
    const char* name;
    json first;
    std::string b_protocol;
    std::string b_more;
    json second;
    std::vector<std::string> has;
    std::vector<std::string> lacks;
  };
  const std::vector<Row> rows = {
      {"ICE is removed", {{"ICE", "force"}}, "RTP/AVP", kIce, {{"ICE", "remove"}}, {}, {"a=ice-"}},
      {"ICE is asked for after it was removed",
       {{"ICE", "remove"}},
       "RTP/AVP",
       "",
       {{"ICE", "force"}},
       {"a=ice-ufrag:"},
       {}},
      {"a refusal is remembered", {{"ICE", "force"}}, "RTP/AVP", "", {{"ICE", "force"}}, {}, {"a=ice-"}},
      {"reset forgets the refusal",
       {{"ICE", "force"}},
       "RTP/AVP",
       "",
       {{"ICE", "force"}, {"flags", {"reset"}}},
       {"a=ice-ufrag:"},
       {}},
      {"a suite is asked for after SDES was off",
       {{"transport-protocol", "UDP/TLS/RTP/SAVPF"}, {"SDES", "off"}},
       "UDP/TLS/RTP/SAVPF",
       kDtls,
       {{"SDES", {std::string("only-") + k80}}},
       {"a=crypto:"},
       {}},
      {"another profile",
       {{"transport-protocol", "UDP/TLS/RTP/SAVPF"}, {"SDES", "off"}},
       "UDP/TLS/RTP/SAVPF",
       kDtls,
       {{"transport-protocol", "RTP/SAVP"}, {"DTLS", "off"}},
       {"RTP/SAVP", "a=crypto:"},
       {"a=fingerprint:"}},
      {"plain after OSRTP is offered with keys until it is refused",
       {{"OSRTP", "offer"}, {"DTLS", "off"}},
       "RTP/AVP",
       kAnswer80,
       {{"transport-protocol", "RTP/AVP"}},
       {"RTP/AVP", "a=crypto:"},
       {}},
      {"OSRTP is forgotten with reset",
       {{"OSRTP", "offer"}, {"DTLS", "off"}},
       "RTP/AVP",
       kAnswer80,
       {{"flags", {"reset"}}},
       {"RTP/AVP"},
       {"a=crypto:"}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    world_ = make_sim_world();
    is_answered_ = false;
    offers('A', sdp('A', "RTP/AVP", ""), row.first);
    answers('A', 'B', sdp('B', row.b_protocol, row.b_more));
    const json reply = offers('A', sdp('A', "RTP/AVP", ""), row.second);
    for (const std::string& text : row.has) EXPECT_TRUE(has(reply, text)) << text << "\n" << text_of(reply);
    for (const std::string& text : row.lacks)
      EXPECT_FALSE(has(reply, text)) << text << "\n" << text_of(reply);
  }
}

TEST_F(FieldWishes, ASecondTryWithAnotherProfileStartsWithoutTheWordsOfTheFirst) {
  // The browser was not there; the proxy tries the phone on the same branch.
  offers('A', sdp('A', "RTP/AVP", ""), {{"flags", {"WebRTC"}}});
  const json reply =
      offers('A', sdp('A', "RTP/AVP", ""), {{"transport-protocol", "RTP/SAVP"}, {"DTLS", "off"}});
  EXPECT_TRUE(has(reply, "a=crypto:")) << text_of(reply);
  EXPECT_FALSE(has(reply, "a=ice-")) << text_of(reply);
}

TEST_F(FieldWishes, OsrtpOfTheOffererGoesOnWithoutTheWord) {
  // RFC 8643: B is plain, the relay accepts A's keys for it.
  const std::string a = sdp('A', "RTP/AVP", kLine80);
  offers('A', a, {{"OSRTP", "accept"}, {"transport-protocol", "RTP/AVP"}});
  EXPECT_TRUE(has(answers('A', 'B', sdp('B', "RTP/AVP", "")), "a=crypto:1 "));
  offers('A', a, {{"transport-protocol", "RTP/AVP"}});
  EXPECT_TRUE(has(answers('A', 'B', sdp('B', "RTP/AVP", "")), "a=crypto:1 "));
}

struct PortRow {
  const char* name;
  std::string a_more;
  std::string b_more;
  json words;
  std::vector<std::string> flags;  // of the re-offer
  bool moves;
};

TEST_F(FieldWishes, WithIceOurPortStaysWhenThePeersMoves) {
  const std::vector<PortRow> rows = {
      {"no ICE: the port follows the m-line", "", "", nullptr, {}, true},
      {"the party that moves has ICE", kIce, "", {{"ICE", "remove"}}, {}, false},
      {"the far side has ICE", "", kIce, {{"ICE", "force"}}, {}, false},
      {"both have ICE", kIce, kIce, nullptr, {}, false},
      {"no-port-latching", kIce, "", {{"ICE", "remove"}}, {"no-port-latching"}, true},
      {"its ICE was refused", kIce, "", {{"ICE", "remove"}, {"flags", {"ICE-reject"}}}, {"ICE-reject"}, true},
  };
  for (const PortRow& row : rows) {
    SCOPED_TRACE(row.name);
    world_ = make_sim_world();
    is_answered_ = false;
    const UdpPort first = World::port_of(offers('A', sdp('A', "RTP/AVP", row.a_more), row.words));
    answers('A', 'B', sdp('B', "RTP/AVP", row.b_more));
    const UdpPort second =
        World::port_of(offers('A', sdp('A', "RTP/AVP", row.a_more, 4600), json{{"flags", row.flags}}));
    EXPECT_EQ(first != second, row.moves);
  }
}

TEST_F(FieldWishes, TlsIdChangesWithOurPortAndComesBackWithIt) {
  const auto tls_id = [](const json& reply) {
    const std::string text = text_of(reply);
    const auto at = text.find("a=tls-id:");
    return at == std::string::npos ? std::string() : text.substr(at, text.find('\r', at) - at);
  };
  const std::string web = "UDP/TLS/RTP/SAVP";
  for (const bool is_answered : {false, true}) {
    SCOPED_TRACE(is_answered);
    world_ = make_sim_world();
    is_answered_ = false;
    const json words = {{"transport-protocol", web}};
    const json first = offers('A', sdp('A', "RTP/AVP", ""), words);
    if (is_answered) answers('A', 'B', sdp('B', web, kDtls));
    // RFC 8842 §3.2, DTL-1: the same transport keeps its association, another one has another.
    const json same = offers('A', sdp('A', "RTP/AVP", ""), words);
    EXPECT_EQ(tls_id(same), tls_id(first));
    const json moved = offers('A', sdp('A', "RTP/AVP", "", 4600), words);
    EXPECT_NE(World::port_of(moved), World::port_of(first));
    EXPECT_NE(tls_id(moved), tls_id(first));
    const json back = offers('A', sdp('A', "RTP/AVP", ""), words);
    EXPECT_EQ(World::port_of(back), World::port_of(first));
    EXPECT_TRUE(!is_answered || tls_id(back) == tls_id(first)) << "the offer between was never answered";
    offers('A', sdp('A', "RTP/AVP", "", 4600), words);
    answers('A', 'B', sdp('B', web, kDtls));
    const json later = offers('A', sdp('A', "RTP/AVP", ""), words);
    EXPECT_NE(tls_id(later), tls_id(first)) << "that association is over";
  }
}

TEST(FieldRemoteCandidates, RFC8839_442_OnlyTheControllingAgentNamesCompletedPairs) {
  const Endpoint rtp{*IpAddress::parse("192.0.2.3"), UdpPort{45664}};
  const Endpoint rtcp{*IpAddress::parse("2001:db8::3"), UdpPort{45665}};
  MediaIce ice;
  ice.in_use = ice.controlling = true;
  TransportSnapshot::Ice pairs;
  pairs.state = IceAgent::State::kConnected;
  pairs.selected = {IceAgent::Selected{0, rtp}, IceAgent::Selected{0, rtcp}};
  EXPECT_EQ(remote_candidates(ice, pairs, true), "1 192.0.2.3 45664 2 2001:db8::3 45665");
  EXPECT_EQ(remote_candidates(ice, pairs, false), "1 192.0.2.3 45664") << "RTCP on the same port";
  for (const IceAgent::State state : {IceAgent::State::kWaiting, IceAgent::State::kChecking,
                                      IceAgent::State::kFailed, IceAgent::State::kExpired}) {
    TransportSnapshot::Ice other = pairs;
    other.state = state;
    EXPECT_EQ(remote_candidates(ice, other, false), "") << to_string(state);
  }
  TransportSnapshot::Ice one = pairs;
  one.selected[1].reset();
  EXPECT_EQ(remote_candidates(ice, one, true), "");
  MediaIce controlled = ice;
  controlled.controlling = false;
  EXPECT_EQ(remote_candidates(controlled, pairs, false), "");
  MediaIce unused = ice;
  unused.in_use = false;
  EXPECT_EQ(remote_candidates(unused, pairs, false), "");
}

}  // namespace
}  // namespace ferry::test
