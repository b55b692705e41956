// SPDX-License-Identifier: Apache-2.0
// DTLS-SRTP by offer and answer, with ends that have a handshake of their own and SRTP by libsrtp2
// (rules DTL-1 to DTL-14; the rows D that need no ICE).

#include "control/sdp/dtls.hpp"
#include "relay/core/dtls/dtls_channel.hpp"
#include "relay/dtls/openssl_dtls.hpp"
#include "tests/support/fake_dtls.hpp"
#include "tests/support/secure_call.hpp"

#include <array>
#include <set>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using State = DtlsChannel::State;

/// A party that speaks DTLS-SRTP. It answers only what comes from the relay.
class Phone final {
 public:
  Phone(World& world, const Endpoint& rtp, DtlsRole role) : world_(world), rtp_(rtp) {
    plan.identity = backend_.make_identity();
    plan.role = role;
    plan.association = 1;
    world.open(rtp);
    world.open(rtcp());
  }
  [[nodiscard]] Endpoint rtcp() const {
    return {rtp_.address, UdpPort{static_cast<std::uint16_t>(rtp_.port.value + 1)}};
  }
  [[nodiscard]] const Endpoint& rtp() const { return rtp_; }
  [[nodiscard]] std::string sdp(std::string_view setup, std::string_view protocol = "UDP/TLS/RTP/SAVP",
                                const std::string& more = "") const {
    const auto hash = plan.identity->fingerprint(FingerprintHash::kSha256);
    std::string text = audio_sdp(
        rtp_, fmt::format("a=setup:{}\r\na=fingerprint:{}\r\n{}", setup, sdp::write_fingerprint(hash), more));
    text.replace(text.find("RTP/AVP"), 7, protocol);
    return text;
  }
  /// Reads what the relay says of itself, and where it is.
  void hears(const json& reply) {
    const auto text = reply.at("sdp").get<std::string>();
    const auto parsed = sdp::parse(text);
    ASSERT_TRUE(parsed && !parsed->media.empty());
    shown = sdp::read_dtls(parsed->media.front());
    plan.peer = shown.fingerprints;
    relay = parsed->media.front().port;
  }
  /// Sends what its handshakes have to say.
  void drive() {
    for (const std::size_t component : {0u, 1u}) {
      if (component == 1 && muxed) continue;
      Out out(*this, component);
      channels[component].drive(relay_at(component), turn(out));
    }
  }
  /// Takes what arrived: handshakes go on, media is opened.
  void listen() {
    const auto& all = world_.received();
    for (; seen_ < all.size(); ++seen_) {
      const Received each = all[seen_];  // a reply may move the list
      const bool is_rtcp = each.at == rtcp();
      if (each.at != rtp_ && !is_rtcp) continue;
      const std::size_t component = is_rtcp ? 1 : 0;
      if (!each.packet.empty() && read_u8(each.packet, 0) < 64) {
        Out out(*this, component);
        channels[component].take(each.from, each.packet, turn(out));
        ++handshake_datagrams;
        continue;
      }
      wire.push_back(each.packet);
      if (!end(component)) continue;
      const bool control = read_u8(each.packet, 1) >= 192 && read_u8(each.packet, 1) <= 223;
      const Packet plain = end(component)->opened(each.packet, control);
      if (plain.empty())
        ++unreadable;
      else
        heard.push_back(plain);
    }
  }
  void send(const Packet& plain, bool control = false) {
    const std::size_t component = control && !muxed ? 1 : 0;
    ASSERT_NE(end(component), nullptr);
    send_raw(end(component)->sealed(plain, control), component);
  }
  void send_raw(const Packet& packet, std::size_t component = 0) {
    world_.send(component == 0 ? rtp_ : rtcp(), relay_at(component), packet);
  }
  [[nodiscard]] Endpoint relay_at(std::size_t component) const {
    return {world_.relay_address(), UdpPort{static_cast<std::uint16_t>(relay + component)}};
  }
  /// Its SRTP, once keys are there; new keys make a new one.
  SrtpEnd* end(std::size_t component) {
    const auto& keys = channels[component].keys();
    if (!keys) return nullptr;
    if (!ends_[component] || keyed_[component] != keys) {
      ends_[component] = std::make_unique<SrtpEnd>(SrtpKeys{keys->send, keys->receive});
      keyed_[component] = keys;
    }
    return ends_[component].get();
  }

  DtlsPlan plan;
  /// The channels give their places back when they end, so they must go first.
  DtlsBudget budget;
  std::array<DtlsChannel, 2> channels;
  sdp::DtlsDescription shown;
  std::uint16_t relay = 0;
  bool muxed = false;
  std::vector<Packet> heard;
  std::vector<Packet> wire;
  int unreadable = 0;
  int handshake_datagrams = 0;

 private:
  class Out final : public DatagramOutput {
   public:
    Out(Phone& phone, std::size_t component) : phone_(phone), component_(component) {}
    void send(const Endpoint& to, Bytes datagram) noexcept override {
      phone_.world_.send(component_ == 0 ? phone_.rtp_ : phone_.rtcp(), to,
                         {datagram.begin(), datagram.end()});
    }

   private:
    Phone& phone_;
    std::size_t component_;
  };
  DtlsChannel::Turn turn(Out& out) { return {plan, budget, out, world_.clock().now}; }

  World& world_;
  Endpoint rtp_;
  OpenSslDtls backend_;
  std::size_t seen_ = 0;
  std::array<std::unique_ptr<SrtpEnd>, 2> ends_;
  std::array<std::optional<DtlsKeys>, 2> keyed_;
};

class DtlsCalls : public ::testing::Test {
 protected:
  explicit DtlsCalls(WorldOptions options = {}) : world_(make_sim_world(std::move(options))) {}
  [[nodiscard]] Endpoint at(char who, std::uint16_t port = 4000) const {
    return {world_->peer_address(1, who), UdpPort{port}};
  }
  void pass(std::initializer_list<Phone*> phones, int turns = 30) {
    for (int i = 0; i < turns; ++i) {
      for (Phone* phone : phones) phone->drive();
      world_->run(world_->elapsed() + 10ms);
      for (Phone* phone : phones) phone->listen();
    }
  }
  json show(const std::string& tag, const std::string& id = "c") {
    const json call = world_->manager().show(id, world_->clock());
    for (const json& leg : call["legs"]) {
      if (leg["tag"] == tag) return leg["medias"][0];
    }
    return {};
  }
  /// A's plain stream toward B and what of it B's end could read.
  std::size_t plain_reaches(Phone& b, std::uint16_t first, std::size_t count) {
    const std::size_t before = b.heard.size();
    for (std::uint16_t n = 0; n < count; ++n) {
      world_->send(at('A'), a_relay_, test::rtp('A', 1, static_cast<std::uint16_t>(first + n)));
      pass({&b}, 2);
    }
    return b.heard.size() - before;
  }
  std::size_t reaches_plain(Phone& b, std::uint16_t first, std::size_t count) {
    const std::size_t before = world_->count(at('A'), 'B');
    for (std::uint16_t n = 0; n < count; ++n) {
      b.send(test::rtp('B', 2, static_cast<std::uint16_t>(first + n)));
      pass({&b}, 2);
    }
    return world_->count(at('A'), 'B') - before;
  }
  /// A plain, B by DTLS: offered by the relay.
  json offer_to(Phone& b, const json& more = json::object()) {
    json request = offer("c", "A", audio_sdp(at('A')));
    request["transport-protocol"] = "UDP/TLS/RTP/SAVP";
    if (more.is_object()) request.update(more);
    const json reply = world_->ng(request);
    if (reply["result"] == "ok") b.hears(reply);
    return reply;
  }
  json answer_of(const std::string& sdp) {
    const json reply = world_->ng(answer("c", "A", "B", sdp));
    if (reply["result"] == "ok") a_relay_ = {world_->relay_address(), World::port_of(reply)};
    return reply;
  }

  /// A first flight of a client, without sending it.
  Packet hello_of(const Phone& phone) const {
    struct Keep final : DatagramOutput {
      void send(const Endpoint&, Bytes datagram) noexcept override {
        kept.assign(datagram.begin(), datagram.end());
      }
      Packet kept;
    } keep;
    DtlsChannel channel;
    DtlsBudget budget;
    channel.drive(phone.relay_at(0), {phone.plan, budget, keep, world_->clock().now});
    return keep.kept;
  }

  std::unique_ptr<World> world_;
  Endpoint a_relay_;
};

TEST_F(DtlsCalls, AnAnswererThatBeginsHasMediaBothWays) {
  world_->open(at('A'));
  world_->open({at('A').address, UdpPort{4001}});
  Phone b(*world_, at('B'), DtlsRole::kClient);
  ASSERT_EQ(offer_to(b)["result"], "ok");
  EXPECT_EQ(b.shown.setup, sdp::Setup::kActpass);  // DTL-1
  ASSERT_EQ(answer_of(b.sdp("active"))["result"], "ok");
  pass({&b});
  ASSERT_EQ(b.channels[0].state(), State::kReady);
  ASSERT_EQ(b.channels[1].state(), State::kReady) << "RTCP on its own port has its own handshake";
  EXPECT_NE(b.channels[0].keys(), b.channels[1].keys());
  EXPECT_EQ(plain_reaches(b, 1, 50), 50u);
  EXPECT_EQ(reaches_plain(b, 1, 50), 50u);
  EXPECT_EQ(b.unreadable, 0);
  // RTCP under its own keys, both ways.
  b.send(sender_report(2, 1), true);
  pass({&b}, 2);
  EXPECT_EQ(world_->count({at('A').address, UdpPort{4001}}), 1u);
  const std::size_t before = b.heard.size();
  world_->send({at('A').address, UdpPort{4001}},
               {a_relay_.address, UdpPort{static_cast<std::uint16_t>(a_relay_.port.value + 1)}},
               sender_report(1, 1));
  pass({&b}, 2);
  EXPECT_EQ(b.heard.size(), before + 1);
  const json srtp = show("B")["srtp"];
  EXPECT_EQ(srtp["state"], "keyed");
  EXPECT_EQ(srtp["keyed_by"], "DTLS");
  EXPECT_EQ(srtp["dtls_role"], "passive");
  EXPECT_EQ(srtp["handshake"], "ready");
  EXPECT_EQ(srtp["handshake_rtcp"], "ready");
  EXPECT_EQ(srtp["suite"], "AEAD_AES_256_GCM");
  // SRT-15: neither the keys nor the certificate's.
  const std::string shown = world_->manager().show("c", world_->clock()).dump();
  EXPECT_EQ(shown.find("PRIVATE"), std::string::npos);
  EXPECT_EQ(shown.find("inline:"), std::string::npos);
}

TEST_F(DtlsCalls, AnOffererWhoLeavesTheChoiceIsCalledByUs) {
  world_->open(at('B'));
  Phone a(*world_, at('A'), DtlsRole::kServer);
  world_->open({at('B').address, UdpPort{4001}});
  json request = offer("c", "A", a.sdp("actpass", "UDP/TLS/RTP/SAVP", "a=rtcp-mux\r\n"));
  request["transport-protocol"] = "RTP/AVP";
  request["rtcp-mux"] = {"demux"};
  const json offered = world_->ng(request);
  ASSERT_EQ(offered["result"], "ok");
  const Endpoint b_relay{world_->relay_address(), World::port_of(offered)};
  const json reply = world_->ng(answer("c", "A", "B", audio_sdp(at('B'))));
  ASSERT_EQ(reply["result"], "ok");
  a.hears(reply);
  a.muxed = true;
  EXPECT_EQ(a.shown.setup, sdp::Setup::kActive);  // DTL-1
  pass({&a});
  ASSERT_EQ(a.channels[0].state(), State::kReady);
  for (std::uint16_t n = 0; n < 20; ++n) {
    a.send(test::rtp('A', 1, n));
    world_->send(at('B'), b_relay, test::rtp('B', 2, n));
    pass({&a}, 2);
  }
  EXPECT_EQ(world_->count(at('B'), 'A'), 20u);
  EXPECT_EQ(a.heard.size(), 20u);
  a.send(sender_report(1, 1), true);  // on the same port, under the same keys
  pass({&a}, 2);
  EXPECT_EQ(world_->count({at('B').address, UdpPort{4001}}), 1u);
  EXPECT_EQ(show("A")["srtp"]["dtls_role"], "active");
}

TEST_F(DtlsCalls, RolesAreThoseOfTheSdp) {
  const struct {
    const char* setup;
    json more;
    const char* answered;
  } rows[] = {{"actpass", {}, "active"},
              {"actpass", {{"DTLS", "passive"}}, "passive"},
              {"active", {}, "passive"},
              {"passive", {}, "active"},
              {"passive", {{"DTLS", "passive"}}, "active"}};
  unsigned number = 0;
  for (const auto& row : rows) {
    const std::string id = fmt::format("call-{}", ++number);
    Phone a(*world_, at('A', static_cast<std::uint16_t>(5000 + 2 * number)), DtlsRole::kServer);
    json request = offer(id, "A", a.sdp(row.setup));
    request["transport-protocol"] = "RTP/AVP";
    if (row.more.is_object()) request.update(row.more);
    ASSERT_EQ(world_->ng(request)["result"], "ok");
    const json reply = world_->ng(answer(id, "A", "B", audio_sdp(at('B'))));
    EXPECT_NE(reply["sdp"].get<std::string>().find(std::string("a=setup:") + row.answered), std::string::npos)
        << row.setup << row.more;
  }
}

TEST_F(DtlsCalls, OffBothWays) {
  Phone b(*world_, at('B'), DtlsRole::kClient);
  const json offered = offer_to(b, {{"DTLS", "off"}, {"transport-protocol", "RTP/SAVP"}});
  EXPECT_EQ(offered["sdp"].get<std::string>().find("fingerprint"), std::string::npos);
  // SRT-13: a fingerprint that was not asked for keys nothing.
  EXPECT_EQ(answer_of(b.sdp("active", "RTP/SAVP"))["result"], "error");
}

TEST_F(DtlsCalls, WhoTakesALineOfSdesHasNoHandshake) {
  world_->open(at('A'));
  SecureCall call(*world_, 1, std::nullopt, SrtpSuite::kAes128Cm80, 9);
  call.set_up();
  EXPECT_FALSE(call.across(0, test::rtp('A', 1, 1)).empty());
  EXPECT_FALSE(call.across(1, test::rtp('B', 2, 1)).empty());
  EXPECT_EQ(show("B", call.id())["srtp"]["keyed_by"], "SDES");
}

TEST_F(DtlsCalls, BothOfferedTheAnswerChoosesAndPreferTakesTheLine) {
  const std::string line =
      "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk\r\n";
  for (const bool prefers : {false, true}) {
    const std::string id = prefers ? "prefer" : "default";
    Phone a(*world_, at('A'), DtlsRole::kServer);
    json request = offer(id, "A", a.sdp("actpass", "RTP/SAVP", line));
    request["transport-protocol"] = "RTP/AVP";
    ASSERT_EQ(world_->ng(request)["result"], "ok");
    json answered = answer(id, "A", "B", audio_sdp(at('B')));
    if (prefers) answered["SDES"] = {"prefer"};
    const auto text = world_->ng(answered)["sdp"].get<std::string>();
    EXPECT_EQ(text.find("a=crypto") != std::string::npos, prefers);
    EXPECT_EQ(text.find("a=fingerprint") != std::string::npos, !prefers);
  }
}

TEST_F(DtlsCalls, DTL2_D01_AStrangersHandshakeIsNotEvenAnswered) {
  world_->open(at('A'));
  Phone b(*world_, at('B'), DtlsRole::kClient);
  Phone x(*world_, at('X'), DtlsRole::kClient);
  offer_to(b);
  x.relay = b.relay;
  x.plan.peer = b.plan.peer;
  pass({&x}, 5);  // before the answer: held, and nothing more
  ASSERT_EQ(answer_of(b.sdp("active"))["result"], "ok");
  const Packet hello = hello_of(x);
  for (int i = 0; i < 50; ++i) x.send_raw(hello);
  pass({&x, &b});
  EXPECT_EQ(x.handshake_datagrams, 0);
  EXPECT_EQ(x.wire.size(), 0u);
  ASSERT_EQ(b.channels[0].state(), State::kReady);
  EXPECT_EQ(plain_reaches(b, 1, 20), 20u);
  for (int i = 0; i < 50; ++i) x.send_raw(hello);
  pass({&x, &b}, 5);
  EXPECT_EQ(x.handshake_datagrams, 0);
  EXPECT_GT(show("B")["drops"]["source-not-allowed"].get<int>(), 0);
  EXPECT_EQ(plain_reaches(b, 100, 20), 20u);
}

TEST_F(DtlsCalls, DTL3_D04_AHandshakeThatComesBeforeTheAnswerIsUsed) {
  world_->open(at('A'));
  Phone b(*world_, at('B'), DtlsRole::kClient);
  offer_to(b);
  pass({&b}, 3);
  EXPECT_EQ(b.handshake_datagrams, 0);
  ASSERT_EQ(answer_of(b.sdp("active"))["result"], "ok");
  world_->run(world_->elapsed() + 10ms);
  b.listen();  // b itself sends nothing again
  EXPECT_GE(b.handshake_datagrams, 2) << "the held flights of both components were answered";
  EXPECT_EQ(b.channels[0].state(), State::kReady);
  EXPECT_EQ(b.channels[1].state(), State::kReady);
}

TEST_F(DtlsCalls, DTL8_D05_WithoutTheSignalledCertificateNothingPasses) {
  world_->open(at('A'));
  Phone b(*world_, at('B'), DtlsRole::kClient);
  Phone other(*world_, at('C'), DtlsRole::kClient);
  offer_to(b);
  std::string sdp = b.sdp("active");
  const auto own = sdp::write_fingerprint(b.plan.identity->fingerprint(FingerprintHash::kSha256));
  const auto wrong = sdp::write_fingerprint(other.plan.identity->fingerprint(FingerprintHash::kSha256));
  sdp.replace(sdp.find(own), own.size(), wrong);
  ASSERT_EQ(answer_of(sdp)["result"], "ok");
  pass({&b});
  EXPECT_NE(b.channels[0].state(), State::kReady) << "b was told by an alert";
  EXPECT_EQ(plain_reaches(b, 1, 20), 0u);
  EXPECT_EQ(world_->count(at('A'), 'B'), 0u);
  EXPECT_EQ(b.wire.size(), 0u);
  EXPECT_EQ(show("B")["srtp"]["handshake"], "mismatch");
  EXPECT_EQ(show("B")["srtp"]["state"], "no key yet");
  world_->run(world_->elapsed() + 6s);
  const json verdicts = world_->manager().explain("c", false, world_->clock());
  EXPECT_NE(verdicts.dump().find("certificate"), std::string::npos) << verdicts.dump();
}

TEST_F(DtlsCalls, LAT10_CopiesUnderKeysOfAHandshakeTakeNothing) {
  world_->open(at('A'));
  world_->open(at('X'));
  Phone b(*world_, at('B'), DtlsRole::kClient);
  offer_to(b);
  answer_of(b.sdp("active"));
  pass({&b});
  ASSERT_NE(b.end(0), nullptr);
  // Whoever had the signalled certificate is locked: copies come too late, however early they are.
  std::size_t arrived = 0;
  for (std::uint16_t n = 1; n <= 50; ++n) {
    const Packet packet = b.end(0)->sealed(test::rtp('B', 2, n));
    const std::size_t before = world_->count(at('A'), 'B');
    for (const Endpoint& x : {at('X'), Endpoint{at('B').address, UdpPort{4999}}})
      world_->send(x, b.relay_at(0), packet);
    b.send_raw(packet);
    pass({&b}, 2);
    arrived += world_->count(at('A'), 'B') - before;
  }
  EXPECT_EQ(arrived, 50u) << "and they use up no index";
  EXPECT_EQ(plain_reaches(b, 1, 20), 20u);
  EXPECT_EQ(world_->count(at('X')), 0u);
}

TEST_F(DtlsCalls, DTL8_SRT13_AFingerprintOfSha1AloneIsAnErrorUnlessAllowed) {
  Phone b(*world_, at('B'), DtlsRole::kClient);
  offer_to(b);
  std::string sdp = b.sdp("active");
  const auto own = sdp::write_fingerprint(b.plan.identity->fingerprint(FingerprintHash::kSha256));
  const auto weak = sdp::write_fingerprint(b.plan.identity->fingerprint(FingerprintHash::kSha1));
  sdp.replace(sdp.find(own), own.size(), weak);
  EXPECT_EQ(answer_of(sdp)["result"], "error");
  EXPECT_EQ(answer_of(b.sdp("active"))["result"], "ok");
}

TEST_F(DtlsCalls, SRT6_ARepeatedOfferKeepsTheHandshakeAndANewCertificateAsksForOne) {
  world_->open(at('A'));
  Phone b(*world_, at('B'), DtlsRole::kClient);
  offer_to(b);
  answer_of(b.sdp("active"));
  pass({&b});
  const auto first = b.channels[0].keys();
  ASSERT_TRUE(first);
  offer_to(b, {{"to-tag", "B"}});
  answer_of(b.sdp("active"));
  const int datagrams = b.handshake_datagrams;
  EXPECT_EQ(plain_reaches(b, 1, 20), 20u);
  EXPECT_EQ(b.handshake_datagrams, datagrams) << "nothing was begun anew";
  // B comes back with another certificate: old keys are good until the new handshake is (DTL-11).
  Phone again(*world_, at('B'), DtlsRole::kClient);
  again.relay = b.relay;
  again.plan.peer = b.plan.peer;
  offer_to(b, {{"to-tag", "B"}});
  answer_of(again.sdp("active"));
  EXPECT_EQ(plain_reaches(b, 100, 10), 10u) << "under the keys that are there";
  pass({&again});
  ASSERT_EQ(again.channels[0].state(), State::kReady);
  EXPECT_EQ(plain_reaches(again, 200, 20), 20u);
  EXPECT_EQ(reaches_plain(again, 1, 20), 20u);
}

class DtlsMovedPorts : public DtlsCalls {
 protected:
  DtlsMovedPorts() {
    world_->open(a_);
    offer_to(b_);
    answer_of(b_.sdp("active"));
    pass({&b_});
    EXPECT_TRUE(b_.channels[0].keys());
    first_ = b_.channels[0].keys();
    tls_id_ = b_.shown.tls_id;
    port_ = b_.relay;
    expect_talk();
  }
  /// A offers from `port`.
  void offer_from(std::uint16_t port) {
    a_ = at('A', port);
    world_->open(a_);
    json request = offer("c", "A", audio_sdp(a_));
    request["to-tag"] = "B";
    b_.hears(world_->ng(request));
  }
  /// Ten packets each way reach the other end.
  void expect_talk() {
    const std::size_t at_b = b_.heard.size();
    const std::size_t at_a = world_->count(a_, 'B');
    for (int i = 0; i < 10; ++i) {
      world_->send(a_, a_relay_, test::rtp('A', 1, sequence_));
      b_.send(test::rtp('B', 2, sequence_++));
      pass({&b_}, 2);
    }
    EXPECT_EQ(b_.heard.size() - at_b, 10u);
    EXPECT_EQ(world_->count(a_, 'B') - at_a, 10u);
  }

  Endpoint a_ = at('A');
  Phone b_{*world_, at('B'), DtlsRole::kClient};
  std::optional<DtlsKeys> first_;
  std::string tls_id_;
  std::uint16_t port_ = 0;
  std::uint16_t sequence_ = 1;
};

TEST_F(DtlsMovedPorts, DTL1_RFC8842_APeerThatFollowsTlsIdMakesANewAssociation) {
  offer_from(4600);
  EXPECT_NE(b_.relay, port_);
  EXPECT_NE(b_.shown.tls_id, tls_id_);
  ++b_.plan.association;
  answer_of(b_.sdp("active"));
  pass({&b_});
  EXPECT_NE(b_.channels[0].keys(), first_);
  expect_talk();
}

TEST_F(DtlsMovedPorts, DTL11_APeerThatGoesOnKeepsItsKeysAtTheNewPort) {
  offer_from(4600);
  EXPECT_NE(b_.relay, port_);
  answer_of(b_.sdp("active"));
  const int datagrams = b_.handshake_datagrams;
  expect_talk();
  EXPECT_EQ(b_.handshake_datagrams, datagrams);
  EXPECT_EQ(b_.channels[0].keys(), first_);
}

TEST_F(DtlsMovedPorts, DTL1_APeerThatWaitsIsCalledFromTheNewPort) {
  offer_from(4600);
  b_.plan.role = DtlsRole::kServer;
  ++b_.plan.association;
  answer_of(b_.sdp("passive"));
  pass({&b_});
  EXPECT_NE(b_.channels[0].keys(), first_);
  expect_talk();
}

TEST_F(DtlsMovedPorts, ARefusedOfferLeavesTheAssociation) {
  offer_from(4600);  // 488: nobody tells the relay
  const int datagrams = b_.handshake_datagrams;
  offer_from(4000);
  EXPECT_EQ(b_.relay, port_);
  EXPECT_EQ(b_.shown.tls_id, tls_id_);
  answer_of(b_.sdp("active"));
  expect_talk();
  EXPECT_EQ(b_.handshake_datagrams, datagrams);
}

TEST_F(DtlsMovedPorts, AThirdPortAndBackToTheFirst) {
  std::set<std::string> ids = {tls_id_};
  for (const int number : {4600, 4700, 4000}) {
    const auto port = static_cast<std::uint16_t>(number);
    offer_from(port);
    EXPECT_TRUE(ids.insert(b_.shown.tls_id).second);
    ++b_.plan.association;
    const auto before = b_.channels[0].keys();
    answer_of(b_.sdp("active"));
    pass({&b_});
    EXPECT_NE(b_.channels[0].keys(), before);
    expect_talk();
  }
}

TEST_F(DtlsCalls, ExportAndRestoreGoOnUnderTheSameKeys) {
  world_->open(at('A'));
  Phone b(*world_, at('B'), DtlsRole::kClient);
  offer_to(b);
  answer_of(b.sdp("active"));
  pass({&b});
  EXPECT_EQ(plain_reaches(b, 1, 20), 20u);
  EXPECT_EQ(reaches_plain(b, 1, 20), 20u);
  const json record = world_->manager().export_call("c", world_->clock());
  ASSERT_FALSE(record.is_null());
  world_->manager().terminate("c", world_->clock());
  world_->manager().flush(world_->clock());
  ASSERT_TRUE(world_->manager().restore_call(record, world_->clock()));
  world_->manager().flush(world_->clock());
  const int datagrams = b.handshake_datagrams;
  EXPECT_EQ(plain_reaches(b, 30, 20), 20u);
  EXPECT_EQ(reaches_plain(b, 30, 20), 20u);
  EXPECT_EQ(b.unreadable, 0);
  EXPECT_EQ(b.handshake_datagrams, datagrams);
  // The certificate is the same one, so that a repeated offer changes nothing.
  const auto before = b.shown.fingerprints;
  offer_to(b, {{"to-tag", "B"}});
  EXPECT_EQ(b.shown.fingerprints, before);
  // A damaged record is refused.
  json bad = record;
  json& section = bad["sections"]["dtls"]["components"];
  ASSERT_FALSE(section.empty());
  for (json& component : section) component["identity"] = "nonsense";
  world_->manager().terminate("c", world_->clock());
  world_->manager().flush(world_->clock());
  EXPECT_FALSE(world_->manager().restore_call(bad, world_->clock()));
}

/// With two workers.
class DtlsMoves : public DtlsCalls {
 protected:
  DtlsMoves()
      : DtlsCalls([] {
          WorldOptions options;
          options.workers = 2;
          return options;
        }()) {}
};

TEST_F(DtlsMoves, Seam7_ACallMovesWithItsKeysAndInTheMiddleOfAHandshake) {
  world_->open(at('A'));
  Phone b(*world_, at('B'), DtlsRole::kClient);
  offer_to(b);
  answer_of(b.sdp("active"));
  b.drive();
  world_->run(world_->elapsed() + 10ms);
  ASSERT_EQ(b.channels[0].state(), State::kHandshaking);
  ASSERT_TRUE(world_->manager().move_call("c", 1));
  pass({&b});
  ASSERT_EQ(b.channels[0].state(), State::kReady);
  EXPECT_EQ(plain_reaches(b, 1, 20), 20u);
  ASSERT_TRUE(world_->manager().move_call("c", 0));
  EXPECT_EQ(plain_reaches(b, 30, 20), 20u);
  EXPECT_EQ(reaches_plain(b, 30, 20), 20u);
}

TEST_F(DtlsCalls, D03_AFloodOfHellosCostsNoCallAndNoState) {
  // Every datagram is one of a stranger's that holds a cookie or not; the relay answers none of them.
  world_->open(at('A'));
  Phone b(*world_, at('B'), DtlsRole::kClient);
  offer_to(b);
  answer_of(b.sdp("active"));
  Phone x(*world_, at('X'), DtlsRole::kClient);
  x.relay = b.relay;
  const Packet hello = hello_of(x);
  ASSERT_FALSE(hello.empty());
  for (int i = 0; i < 5'000; ++i) x.send_raw(hello, static_cast<std::size_t>(i % 2));
  pass({&b});
  x.listen();
  EXPECT_EQ(x.handshake_datagrams, 0);
  EXPECT_EQ(b.channels[0].state(), State::kReady);
  EXPECT_EQ(plain_reaches(b, 1, 20), 20u);
}

/// DTL-13 with real handshakes, and datagrams that anybody could write.
class DtlsForgeries : public DtlsCalls {
 protected:
  static constexpr std::uint8_t kHelloType = 1, kServerHelloType = 2, kHelloVerifyType = 3, kDoneType = 14;

  static Packet forged(std::uint8_t type, const Octets& body, std::uint16_t sequence = 0) {
    return dtls_message(type, sequence, body);
  }
  /// A offers `actpass`, is called by the relay and waits.
  void offer_of(Phone& a) {
    json request = offer("c", "A", a.sdp("actpass"));
    request["transport-protocol"] = "RTP/AVP";
    ASSERT_EQ(world_->ng(request)["result"], "ok");
    const json reply = world_->ng(answer("c", "A", "B", audio_sdp(at('B'))));
    ASSERT_EQ(reply["result"], "ok");
    a.hears(reply);
  }
  /// Until the phone has keys; how long that took.
  std::optional<Duration> complete(Phone& phone, Duration most = 3s) {
    const auto begin = world_->clock().now;
    while (world_->clock().now - begin < most) {
      pass({&phone}, 1);
      if (phone.channels[0].keys()) return world_->clock().now - begin;
    }
    return std::nullopt;
  }
  std::string explained() {
    world_->run(world_->elapsed() + 6s);
    return world_->manager().explain("c", false, world_->clock()).dump();
  }
};

TEST_F(DtlsForgeries, DTL13_ThreeDatagramsOf25OctetsTakeNobodysKeys) {
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{7777, 4000}) {
    SCOPED_TRACE(port);
    world_ = make_sim_world({});
    world_->open(at('B'));
    world_->open(at('A', 7777));
    Phone a(*world_, at('A'), DtlsRole::kServer);
    offer_of(a);
    const Packet empty = forged(kServerHelloType, {});
    ASSERT_EQ(empty.size(), 25u);
    for (int i = 0; i < 3; ++i) world_->send(at('A', port), a.relay_at(0), empty);
    const auto took = complete(a);
    ASSERT_TRUE(took);
    EXPECT_LE(*took, 1s);
  }
}

TEST_F(DtlsForgeries, DTL13_D02_WhatFollowsOpenSslsNextMessageCostsAtMostARound) {
  const Octets hello = server_hello_body(random_of(5));
  for (const Packet& each :
       {forged(kServerHelloType, hello), forged(kHelloVerifyType, Octets(23, std::byte{20})),
        forged(kDoneType, {}), dtls_alert(2, 40)}) {
    world_ = make_sim_world({});
    world_->open(at('B'));
    Phone a(*world_, at('A'), DtlsRole::kServer);
    offer_of(a);
    world_->send(at('A'), a.relay_at(0), each);
    const auto took = complete(a);
    ASSERT_TRUE(took);
    EXPECT_LE(*took, 1200ms);
  }
}

TEST_F(DtlsForgeries, DTL13_D02_AForgedHelloDrawsACookieThatThePartyBringsBack) {
  world_->open(at('A'));
  Phone b(*world_, at('B'), DtlsRole::kClient);
  offer_to(b);
  ASSERT_EQ(answer_of(b.sdp("active"))["result"], "ok");
  for (std::uint64_t i = 0; i < 8; ++i) b.send_raw(dtls_message(kHelloType, 0, hello_body(random_of(i))));
  b.drive();
  b.send_raw(dtls_message(kHelloType, 0, hello_body(random_of(9))));
  const auto took = complete(b);
  ASSERT_TRUE(took);
  EXPECT_LE(*took, 200ms);
  EXPECT_EQ(plain_reaches(b, 1, 20), 20u);
}

TEST_F(DtlsForgeries, DTL13_EightHellosOfAnotherPortDoNotKeepThePartyOut) {
  world_->open(at('A'));
  Phone b(*world_, at('B'), DtlsRole::kClient);
  offer_to(b);
  ASSERT_EQ(answer_of(b.sdp("active"))["result"], "ok");
  std::vector<std::unique_ptr<Phone>> others;
  for (std::uint16_t i = 0; i < 8; ++i) {
    auto& other = others.emplace_back(std::make_unique<Phone>(
        *world_, at('B', static_cast<std::uint16_t>(7000 + 2 * i)), DtlsRole::kClient));
    other->relay = b.relay;
    other->plan.peer = b.plan.peer;
    other->drive();
  }
  world_->run(world_->elapsed() + 10ms);
  for (const auto& other : others) other->listen();  // a cookie, which each brings back, and no more
  world_->run(world_->elapsed() + 10ms);
  const auto took = complete(b);
  ASSERT_TRUE(took);
  EXPECT_LE(*took, 100ms);
  EXPECT_EQ(plain_reaches(b, 1, 20), 20u);
  EXPECT_EQ(reaches_plain(b, 1, 20), 20u);
}

TEST_F(DtlsForgeries, DTL13_APartyBehindAnotherPortOfItsAddressHasItsKeys) {
  world_->open(at('A'));
  Phone b(*world_, at('B', 6200), DtlsRole::kClient);
  offer_to(b);
  std::string sdp = b.sdp("active");
  sdp.replace(sdp.find("6200"), 4, "4000");  // its NAT gives it another one
  ASSERT_EQ(answer_of(sdp)["result"], "ok");
  const Packet done = forged(kDoneType, {}, 1);
  for (std::uint16_t port = 7000; port < 7020; ++port) {
    world_->open(at('B', port));
    world_->send(at('B', port), b.relay_at(0), done);
  }
  const auto took = complete(b);
  ASSERT_TRUE(took);
  EXPECT_LE(*took, 100ms);
  EXPECT_EQ(plain_reaches(b, 1, 20), 20u);
  EXPECT_EQ(reaches_plain(b, 1, 20), 20u);
}

TEST_F(DtlsForgeries, DTL14_CallsBehindOneAddressHaveABudgetEach) {
  world_->open(at('A'));
  std::vector<std::unique_ptr<Phone>> phones;
  for (std::uint16_t i = 0; i < 40; ++i) {
    auto& phone = phones.emplace_back(std::make_unique<Phone>(
        *world_, at('B', static_cast<std::uint16_t>(5000 + 2 * i)), DtlsRole::kClient));
    const std::string id = fmt::format("call-{}", i);
    json request = offer(id, "A", audio_sdp(at('A')));
    request["transport-protocol"] = "UDP/TLS/RTP/SAVP";
    phone->hears(world_->ng(request));
    ASSERT_EQ(world_->ng(answer(id, "A", "B", phone->sdp("active")))["result"], "ok");
    phone->drive();
    world_->run(world_->elapsed() + 10ms);
    phone->listen();  // the cookie goes back, and nothing follows
    world_->run(world_->elapsed() + 10ms);
    if (i < 39) continue;
    const auto took = complete(*phone);
    ASSERT_TRUE(took) << "behind " << i << " others";
    EXPECT_LE(*took, 100ms);
  }
}

TEST_F(DtlsForgeries, DTL13_ExplainNamesTheStageTheAlertsAndTheRefusedPackets) {
  world_->open(at('A'));
  world_->open(at('B'));
  Phone b(*world_, at('B'), DtlsRole::kClient);
  offer_to(b);
  ASSERT_EQ(answer_of(b.sdp("active"))["result"], "ok");
  const std::string waits = explained();
  EXPECT_NE(waits.find("the relay waits for a ClientHello from B"), std::string::npos) << waits;
  b.send_raw(hello_of(b));
  b.send_raw(dtls_alert(2, 40));
  b.send_raw(dtls_message(kHelloType, 0, hello_body(random_of(1)), 0, 20));
  const std::string text = explained();
  EXPECT_NE(text.find("and a cookie was sent there, which has not come back"), std::string::npos) << text;
  EXPECT_NE(text.find("alert handshake_failure (40) from " + at('B').to_string()), std::string::npos) << text;
  EXPECT_NE(text.find("refused as dtls-no-cookie: 1 packet"), std::string::npos) << text;
  const json facts = show("B")["dtls"];
  EXPECT_EQ(facts["stage"], "hello");
  EXPECT_EQ(facts["alerts"][0]["name"], "handshake_failure");
  EXPECT_EQ(facts["sources"][0]["address"], at('B').to_string());
}

TEST_F(DtlsForgeries, DTL13_ExplainSaysThatNobodyAnswers) {
  world_->open(at('A'));
  world_->open(at('B'));
  Phone a(*world_, at('A'), DtlsRole::kServer);
  offer_of(a);
  const std::string text = explained();
  EXPECT_NE(text.find("to " + at('A').to_string() + ", and nothing there has answered"), std::string::npos)
      << text;
}

}  // namespace
}  // namespace ferry::test
