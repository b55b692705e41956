// Encrypted calls by offer and answer with independent ends: every combination of two sides, and the attack
// table of media-security, rows S-01 to S-12. A tap stands for recording and transcoding.

#include "control/sdp/sdes.hpp"
#include "relay/srtp/backends.hpp"
#include "tests/support/kernel_model.hpp"
#include "tests/support/recordings.hpp"
#include "tests/support/srtp_judge.hpp"
#include "tests/support/world.hpp"

#include <array>
#include <random>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using Suite = std::optional<SrtpSuite>;

/// One of the two parties of a call, and what it knows.
struct Party {
  std::string tag;
  Endpoint rtp;
  Endpoint rtcp;
  Suite suite;  // none: plain
  sdp::CryptoLine own;
  UdpPort relay;
  std::uint32_t ssrc = 0;
  std::uint16_t sequence = 0;
  SrtpKeys keys;
  std::unique_ptr<SrtpEnd> end;
};

std::vector<sdp::CryptoLine> lines_of(const json& reply) {
  const auto text = reply.value("sdp", std::string());
  std::vector<sdp::CryptoLine> lines;
  const auto parsed = sdp::parse(text);
  if (!parsed || parsed->media.empty()) return lines;
  for (const auto& attribute : parsed->media.front().attributes) {
    if (attribute.name != "crypto") continue;
    if (auto line = sdp::parse_crypto(attribute.value)) lines.push_back(*line);
  }
  return lines;
}

SrtpMasterKey master_key(const sdp::CryptoLine& line) {
  SrtpMasterKey key;
  key.suite = line.suite->suite;
  key.key = SecretBytes<32>(line.key_and_salt.get().first(line.suite->key));
  key.salt = SecretBytes<14>(line.key_and_salt.get().subspan(line.suite->key));
  key.mki = line.mki;
  return key;
}

class SecureCall {
 public:
  SecureCall(World& world, unsigned row, Suite a, Suite b, std::uint32_t seed = 1)
      : world_(world), id_(fmt::format("row-{}-{}", row, seed)), random_(seed) {
    for (std::size_t i = 0; i < 2; ++i) {
      Party& p = parties_[i];
      p.tag = i == 0 ? "A" : "B";
      p.rtp = {world.peer_address(row, i == 0 ? 'A' : 'B'), UdpPort{4000}};
      p.rtcp = {p.rtp.address, UdpPort{4001}};
      p.suite = i == 0 ? a : b;
      p.ssrc = static_cast<std::uint32_t>(row * 10 + i + 1);
      p.sequence = 1000;
      if (p.suite) p.own = fresh_line(*p.suite);
      world.open(p.rtp);
      world.open(p.rtcp);
    }
  }

  sdp::CryptoLine fresh_line(SrtpSuite suite) {
    const SrtpSuiteRow& row = row_of(suite);
    return {1, &row, SecretBytes<46>(random_octets(random_, std::size_t{row.key} + row.salt)), {}, {}};
  }
  [[nodiscard]] std::string sdp_of(const Party& p) const {
    std::string text =
        audio_sdp(p.rtp, "a=" + direction + "\r\n" +
                             (p.suite ? "a=crypto:" + sdp::write_crypto(p.own, {}) + "\r\n" : ""));
    if (p.suite) text.replace(text.find("RTP/AVP"), 7, "RTP/SAVP");
    return text;
  }
  json offer(std::vector<std::string> flags = {}) {
    json request = test::offer(id_, "A", sdp_of(a()));
    if (answered_) request["to-tag"] = "B";
    request["transport-protocol"] = b().suite ? "RTP/SAVP" : "RTP/AVP";
    if (b().suite) request["SDES"] = {"only-" + std::string(row_of(*b().suite).name)};
    request["flags"] = std::move(flags);
    const json reply = world_.ng(request);
    offered_ = lines_of(reply);
    if (reply["result"] == "ok") b().relay = World::port_of(reply);
    return reply;
  }
  /// B takes the only line it was offered.
  json answer() {
    if (b().suite && !offered_.empty()) b().own.tag = offered_.front().tag;
    const json reply = world_.ng(test::answer(id_, "A", "B", sdp_of(b())));
    if (reply["result"] != "ok") return reply;
    answered_ = true;
    a().relay = World::port_of(reply);
    const auto lines = lines_of(reply);
    if (a().suite && !lines.empty()) rekey(a(), {master_key(a().own), master_key(lines.front())});
    if (b().suite && !offered_.empty()) rekey(b(), {master_key(b().own), master_key(offered_.front())});
    return reply;
  }
  void set_up() {
    EXPECT_EQ(offer()["result"], "ok");
    EXPECT_EQ(answer()["result"], "ok");
  }

  Party& a() { return parties_[0]; }
  Party& b() { return parties_[1]; }
  Party& party(std::size_t i) { return parties_[i]; }
  [[nodiscard]] const std::string& id() const { return id_; }
  void pass(Duration time = 20ms) { world_.run(world_.elapsed() + time); }

  Packet sealed(Party& p, Packet packet, bool rtcp = false) {
    return p.end ? p.end->sealed(std::move(packet), rtcp) : packet;
  }
  Packet next(Party& p) { return sealed(p, rtp(p.tag[0], p.ssrc, p.sequence++)); }
  void deliver(Party& p, const Packet& packet, bool rtcp = false) {
    deliver_from(rtcp ? p.rtcp : p.rtp, p, packet, rtcp);
  }
  void deliver_from(const Endpoint& from, Party& p, const Packet& packet, bool rtcp = false) {
    const auto port = static_cast<std::uint16_t>(p.relay.value + (rtcp ? 1 : 0));
    world_.send(from, {world_.relay_address(), UdpPort{port}}, packet);
  }
  /// Packets that reached a party since the last call, opened by its own end; those that it cannot open count
  /// as bad.
  std::vector<Packet> heard(Party& p, bool rtcp = false) {
    std::vector<Packet> packets;
    auto& seen = seen_[rtcp ? p.rtcp : p.rtp];
    const auto& all = world_.received();
    for (; seen < all.size(); ++seen) {
      if (all[seen].at != (rtcp ? p.rtcp : p.rtp)) continue;
      captured.push_back(all[seen].packet);
      Packet packet = p.end ? p.end->opened(all[seen].packet, rtcp) : all[seen].packet;
      if (packet.empty())
        ++bad;
      else
        packets.push_back(std::move(packet));
    }
    return packets;
  }
  /// One plain packet from one party to the other; what arrives.
  Packet across(std::size_t from, const Packet& plain, bool rtcp = false) {
    Party& to = parties_[1 - from];
    heard(to, rtcp);
    deliver(parties_[from], sealed(parties_[from], plain, rtcp), rtcp);
    const auto got = heard(to, rtcp);
    return got.size() == 1 ? got.front() : Packet{};
  }
  std::uint64_t drops(const Party& p, const char* reason) {
    const json call = world_.manager().show(id_, world_.clock());
    for (const json& leg : call["legs"]) {
      if (leg["tag"] == p.tag) return leg["medias"][0]["drops"].value(reason, std::uint64_t{0});
    }
    return 0;
  }
  World& world() { return world_; }

  std::size_t bad = 0;
  std::vector<Packet> captured;
  std::string direction = "sendrecv";

 private:
  /// An end goes on with its counters if its keys are the same.
  void rekey(Party& p, SrtpKeys keys) {
    if (p.end)
      p.end->follow(keys);
    else
      p.end = std::make_unique<SrtpEnd>(keys);
    p.keys = std::move(keys);
  }

  World& world_;
  std::string id_;
  std::mt19937 random_;
  std::array<Party, 2> parties_;
  std::vector<sdp::CryptoLine> offered_;
  std::map<Endpoint, std::size_t> seen_;
  bool answered_ = false;
};

constexpr SrtpSuite kCm80 = SrtpSuite::kAes128Cm80;
constexpr SrtpSuite kGcm = SrtpSuite::kAeadAes128Gcm;

class Backends : public ::testing::TestWithParam<std::string_view> {
 protected:
  static WorldOptions options() {
    WorldOptions options;
    options.session.srtp.backend = make_srtp_backend(GetParam());
    return options;
  }
};
INSTANTIATE_TEST_SUITE_P(All, Backends,
                         ::testing::ValuesIn(srtp_backend_names().begin(), srtp_backend_names().end()),
                         [](const auto& each) {
                           std::string name(each.param);
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST_P(Backends, SRT8_EveryCombinationOfTwoSidesBothWaysRtpAndRtcp) {
  std::vector<Suite> sides = {std::nullopt};
  for (const SrtpSuiteRow& row : kUsableSrtpSuites) sides.emplace_back(row.suite);
  const auto world = make_sim_world(options());
  unsigned row = 0;
  for (const Suite a : sides) {
    for (const Suite b : sides) {
      ++row;
      SecureCall call(*world, row, a, b, row);
      call.set_up();
      const auto name = [](Suite suite) { return suite ? row_of(*suite).name : std::string_view("plain"); };
      const std::string what = fmt::format("{} and {}", name(a), name(b));
      for (std::uint16_t n = 0; n < 30; ++n) {
        call.pass();
        for (const std::size_t side : {0u, 1u}) {
          const Packet packet =
              rtp(side == 0 ? 'A' : 'B', call.party(side).ssrc, static_cast<std::uint16_t>(65'520 + n));
          ASSERT_EQ(call.across(side, packet), packet) << what << " packet " << n << " from " << side;
        }
      }
      for (const std::size_t side : {0u, 1u}) {
        const Packet report = sender_report(call.party(side).ssrc, 1);
        ASSERT_EQ(call.across(side, report, true), report) << what << " RTCP from " << side;
      }
      EXPECT_EQ(call.bad, 0u) << what;
      world->ng({{"command", "delete"}, {"call-id", call.id()}, {"delete delay", 0}});
    }
  }
}

TEST(SrtpCalls, SRT1_KeysGoThroughWhereBothSidesTookTheSameLineAndRecryptForbidsIt) {
  const auto world = make_sim_world();
  SecureCall through(*world, 1, kCm80, kCm80, 1);
  through.set_up();
  EXPECT_EQ(through.b().keys.from_relay, through.a().keys.to_relay) << "A's key";
  EXPECT_EQ(through.a().keys.from_relay, through.b().keys.to_relay) << "B's key";
  const Packet wire = through.next(through.a());
  through.deliver(through.a(), wire);
  ASSERT_EQ(through.heard(through.b()).size(), 1u);
  EXPECT_EQ(through.captured.back(), wire) << "bit for bit";

  SecureCall own(*world, 2, kCm80, kCm80, 2);
  EXPECT_EQ(own.offer({"recrypt"})["result"], "ok");
  EXPECT_EQ(own.answer()["result"], "ok");
  std::set<Packet> keys;
  for (const SrtpMasterKey* key :
       {&own.a().keys.to_relay, &own.a().keys.from_relay, &own.b().keys.to_relay, &own.b().keys.from_relay})
    keys.insert(Packet(key->key.get().begin(), key->key.get().end()));
  EXPECT_EQ(keys.size(), 4u) << "each direction of each side has its own";
  const Packet packet = rtp('A', 5, 5);
  EXPECT_EQ(own.across(0, packet), packet);
}

TEST(SrtpCalls, SRT9_AChangedPacketNeverLeavesUnderTheSendersKey) {
  const auto world = make_sim_world();
  SecureCall call(*world, 1, kGcm, kGcm);
  call.set_up();
  ASSERT_FALSE(call.across(0, rtp('A', 1, 1)).empty());
  world->ng(
      {{"command", "silence media"}, {"call-id", call.id()}, {"from-tag", "A"}, {"flags", {"directional"}}});
  EXPECT_TRUE(call.across(0, rtp('A', 1, 2)).empty());
  EXPECT_EQ(call.drops(call.b(), "shared-key"), 1u);
  EXPECT_FALSE(call.across(1, rtp('B', 2, 1)).empty()) << "the other direction is not concerned";
  world->ng({{"command", "unsilence media"},
             {"call-id", call.id()},
             {"from-tag", "A"},
             {"flags", {"directional"}}});
  EXPECT_FALSE(call.across(0, rtp('A', 1, 3)).empty());
  // With keys of its own each packet can be changed.
  SecureCall own(*world, 2, kGcm, kGcm, 2);
  own.offer({"recrypt"});
  own.answer();
  world->ng(
      {{"command", "silence media"}, {"call-id", own.id()}, {"from-tag", "A"}, {"flags", {"directional"}}});
  const Packet quiet = own.across(0, rtp('A', 1, 2));
  ASSERT_EQ(quiet.size(), 172u);
  EXPECT_TRUE(std::all_of(quiet.begin() + 12, quiet.end(), [](std::byte b) { return b == std::byte{0xd5}; }));
}

// SRT-13, SRT-12
TEST(SrtpCalls, S09_AnAnswerThatTakesLessThanItWasOfferedIsAnError) {
  const auto world = make_sim_world();
  const Endpoint b{world->peer_address(1, 'B'), UdpPort{4000}};
  const std::string key = "inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk";
  const struct {
    const char* what;
    std::string protocol;
    std::string line;
  } rows[] = {
      {"RTP/AVP", "RTP/AVP", ""},
      {"no line", "RTP/SAVP", ""},
      {"an unknown suite", "RTP/SAVP", "1 FOO_BAR " + key},
      {"no encryption", "RTP/SAVP", "1 NULL_HMAC_SHA1_80 " + key},
      {"a suite that was not offered", "RTP/SAVP", "1 AES_CM_128_HMAC_SHA1_32 " + key},
      {"left unencrypted (SRT-12)", "RTP/SAVP", "1 AES_CM_128_HMAC_SHA1_80 " + key + " UNENCRYPTED_SRTP"},
      {"left unauthenticated (SRT-12)", "RTP/SAVP",
       "1 AES_CM_128_HMAC_SHA1_80 " + key + " UNAUTHENTICATED_SRTP"}};
  unsigned number = 0;
  for (const auto& row : rows) {
    SecureCall call(*world, 1, std::nullopt, kCm80, ++number);
    ASSERT_EQ(call.offer()["result"], "ok");
    std::string sdp = audio_sdp(b, row.line.empty() ? "" : "a=crypto:" + row.line + "\r\n");
    sdp.replace(sdp.find("RTP/AVP"), 7, row.protocol);
    const json reply = world->ng(answer(call.id(), "A", "B", sdp));
    EXPECT_EQ(reply["result"], "error") << row.what;
    EXPECT_NE(reply["error-reason"].get<std::string>().find("srtp=require"), std::string::npos) << row.what;
    // And nothing plain flows.
    call.deliver(call.b(), rtp('B', 2, 1));
    EXPECT_TRUE(call.heard(call.a()).empty()) << row.what;
    // A proper answer still sets the call up.
    EXPECT_EQ(call.answer()["result"], "ok") << row.what;
    EXPECT_FALSE(call.across(0, rtp('A', 1, 1)).empty()) << row.what;
  }
}

TEST(SrtpCalls, SRT1_WithAKeyThatComesBackEachSsrcHasOneDirection) {
  const auto world = make_sim_world();
  for (const Suite a : {Suite(), Suite(kCm80)}) {  // a key of ours, and A's
    SecureCall call(*world, a ? 1 : 2, a, kCm80);
    const auto lines = lines_of(call.offer());
    ASSERT_FALSE(lines.empty());
    call.b().own = lines.front();
    ASSERT_EQ(call.answer()["result"], "ok");
    ASSERT_EQ(call.b().keys.to_relay, call.b().keys.from_relay);
    EXPECT_EQ(call.across(0, rtp('A', 1, 1)), rtp('A', 1, 1));
    EXPECT_EQ(call.across(1, rtp('B', 2, 1)), rtp('B', 2, 1));
    // Whoever sends our packets back to us is not heard.
    call.deliver(call.a(), call.sealed(call.a(), rtp('A', 1, 2)));
    call.heard(call.b());
    const Packet ours = call.captured.back();
    call.heard(call.a());
    call.deliver(call.b(), ours);
    EXPECT_TRUE(call.heard(call.a()).empty());
    EXPECT_EQ(call.drops(call.b(), "replayed"), 1u);
    // And an SSRC of B's is not used toward it: two packets would share a keystream.
    const std::size_t before = call.captured.size();
    call.deliver(call.a(), call.sealed(call.a(), rtp('A', 2, 9)));
    call.deliver(call.a(), call.sealed(call.a(), rtp('A', 2, 10)));
    call.heard(call.b());
    EXPECT_EQ(call.captured.size(), before);
  }
}

TEST(SrtpCalls, SRT4_AStreamThatBecomesEncryptedLeavesTheKernel) {
  WorldOptions options;
  options.offload = [](SimNetwork& network) { return std::make_unique<KernelModel>(network); };
  const auto world = make_sim_world(options);
  SecureCall call(*world, 1, std::nullopt, std::nullopt);
  call.set_up();
  const auto talk = [&] {
    std::size_t arrived = 0;
    for (int n = 0; n < 20; ++n) {
      for (const std::size_t side : {0u, 1u}) {
        Party& party = call.party(side);
        arrived += call.across(side, rtp(party.tag[0], party.ssrc, party.sequence++)).empty() ? 0 : 1;
      }
      call.pass();
    }
    return arrived;
  };
  EXPECT_EQ(talk(), 40u);
  const auto below_now = [&] {
    world->ng({{"command", "query"}, {"call-id", call.id()}});  // reads the kernel's counters
    return world->forwarded_below();
  };
  const auto below = below_now();
  EXPECT_GT(below, 20u);
  call.a().suite = kCm80;
  call.a().own = call.fresh_line(kCm80);
  call.set_up();
  EXPECT_EQ(talk(), 40u);
  call.deliver(call.a(), rtp('A', call.a().ssrc, call.a().sequence));
  EXPECT_TRUE(call.heard(call.b()).empty()) << "plain, on an encrypted leg";
  EXPECT_EQ(below_now(), below) << "nothing with keys goes below";
  call.a().suite.reset();
  call.a().end.reset();
  call.set_up();
  EXPECT_EQ(talk(), 40u);
  EXPECT_GT(below_now(), below) << "plain again";
}

TEST(SrtpCalls, MasterKeyIdentifiersAreCarriedWhereTheyAreSignalled) {
  const auto world = make_sim_world();
  unsigned row = 0;
  // libsrtp2 puts the identifier in another place for tags of 32 bits in SRTCP, so 80 bits and GCM only.
  for (const SrtpSuite suite : {kCm80, kGcm}) {
    for (const Suite b : {Suite(), Suite(suite), Suite(SrtpSuite::kAes256Cm80)}) {
      ++row;
      SecureCall call(*world, row, suite, b);
      for (Party* party : {&call.a(), &call.b()}) party->own.mki = {std::byte{0}, std::byte{7}};
      call.set_up();
      for (std::uint16_t n = 0; n < 10; ++n) {
        EXPECT_EQ(call.across(0, rtp('A', 1, n)), rtp('A', 1, n)) << row;
        EXPECT_EQ(call.across(1, rtp('B', 2, n)), rtp('B', 2, n)) << row;
      }
      const Packet report = sender_report(1, 1);
      EXPECT_EQ(call.across(0, report, true), report) << row;
    }
  }
}

TEST(SrtpCalls, ManyLinesAreBounded) {
  const auto world = make_sim_world();
  SecureCall call(*world, 1, kCm80, kCm80);
  std::string lines;
  for (unsigned tag = 1; tag <= 1000; ++tag) {
    sdp::CryptoLine line = call.fresh_line(kCm80);
    line.tag = tag;
    lines += "a=crypto:" + sdp::write_crypto(line, {}) + "\r\n";
  }
  std::string sdp = audio_sdp(call.a().rtp, lines);
  sdp.replace(sdp.find("RTP/AVP"), 7, "RTP/SAVP");
  const json reply = world->ng(offer(call.id(), "A", sdp));
  EXPECT_EQ(reply["result"], "ok");
  EXPECT_LT(lines_of(reply).size(), 40u);
}

TEST(SrtpCalls, SRT11_AnOfferChangesNothingBeforeItsAnswer) {
  const auto world = make_sim_world();
  SecureCall call(*world, 1, kCm80, kGcm);
  call.set_up();
  ASSERT_FALSE(call.across(0, rtp('A', 1, 1)).empty());
  ASSERT_FALSE(call.across(1, rtp('B', 2, 1)).empty());
  // Plain is offered to B, by A or by the proxy, and nobody answers.
  json plain = offer(call.id(), "A", audio_sdp(call.a().rtp));
  plain["to-tag"] = "B";
  plain["transport-protocol"] = "RTP/AVP";
  EXPECT_EQ(world->ng(plain)["result"], "ok");
  EXPECT_EQ(call.across(0, rtp('A', 1, 2)), rtp('A', 1, 2));
  EXPECT_EQ(call.across(1, rtp('B', 2, 2)), rtp('B', 2, 2));
  call.deliver(call.a(), rtp('A', 1, 3));
  EXPECT_TRUE(call.heard(call.b()).empty()) << "nothing plain yet";
  // And answered.
  EXPECT_EQ(world->ng(answer(call.id(), "A", "B", audio_sdp(call.b().rtp)))["result"], "ok");
  call.a().end.reset();
  call.b().end.reset();
  EXPECT_EQ(call.across(0, rtp('A', 1, 4)), rtp('A', 1, 4));
  EXPECT_EQ(call.across(1, rtp('B', 2, 3)), rtp('B', 2, 3));
}

TEST(SrtpCalls, AnUpgradeThatIsRefusedLeavesThePlainCallAsItWas) {
  const auto world = make_sim_world();
  SecureCall call(*world, 1, std::nullopt, std::nullopt);
  call.set_up();
  ASSERT_FALSE(call.across(0, rtp('A', 1, 1)).empty());
  json encrypted = offer(call.id(), "A", audio_sdp(call.a().rtp));
  encrypted["to-tag"] = "B";
  encrypted["transport-protocol"] = "RTP/SAVP";
  EXPECT_EQ(world->ng(encrypted)["result"], "ok");
  EXPECT_EQ(call.across(0, rtp('A', 1, 2)), rtp('A', 1, 2));
  EXPECT_EQ(world->ng(answer(call.id(), "A", "B", audio_sdp(call.b().rtp)))["result"], "error");
  EXPECT_EQ(call.across(0, rtp('A', 1, 3)), rtp('A', 1, 3));
  call.b().suite = kCm80;
  call.b().own = call.fresh_line(kCm80);
  call.set_up();
  EXPECT_EQ(call.across(0, rtp('A', 1, 4)), rtp('A', 1, 4));
  call.deliver(call.b(), rtp('B', 2, 1));
  EXPECT_TRUE(call.heard(call.a()).empty()) << "plain, on what is encrypted now";
}

TEST(SrtpCalls, SRT13_AllowTakesAPlainAnswer) {
  WorldOptions options;
  options.session.srtp.policy = SrtpPolicy::kAllow;
  const auto world = make_sim_world(options);
  SecureCall call(*world, 1, kCm80, kCm80);
  ASSERT_EQ(call.offer()["result"], "ok");
  call.b().suite.reset();
  ASSERT_EQ(call.answer()["result"], "ok");
  const Packet packet = rtp('A', 1, 1);
  EXPECT_EQ(call.across(0, packet), packet) << "A goes on encrypted, B is plain";
}

TEST(SrtpCalls, SRT15_KeysAreInNoReplyButTheSdp) {
  const auto world = make_sim_world();
  SecureCall call(*world, 1, kCm80, kGcm);
  call.set_up();
  call.across(0, rtp('A', 1, 1));
  std::string all = world->manager().show(call.id(), world->clock()).dump();
  all += world->ng({{"command", "query"}, {"call-id", call.id()}}).dump();
  all += world->ng({{"command", "statistics"}}).dump();
  for (const Party* party : {&call.a(), &call.b()}) {
    std::string text = sdp::write_crypto(party->own, {});
    text = text.substr(text.find("inline:") + 7);
    EXPECT_EQ(all.find(text), std::string::npos);
  }
  EXPECT_NE(all.find("AEAD_AES_128_GCM"), std::string::npos) << "the suite is no secret";
}

TEST(SrtpCalls, OSRTP_IsUsedIfBothSidesHaveIt) {
  const auto world = make_sim_world();
  const auto set_up = [&](SecureCall& call, bool b_takes_it, const json& wish) {
    std::string sdp = call.sdp_of(call.a());
    const auto at = sdp.find("RTP/SAVP");
    if (at != std::string::npos) sdp.replace(at, 8, "RTP/AVP");
    json request = offer(call.id(), "A", sdp);
    if (!wish.is_null()) request["OSRTP"] = wish;
    const json offered = world->ng(request);
    EXPECT_NE(offered["sdp"].get<std::string>().find("RTP/AVP"), std::string::npos);
    call.b().relay = World::port_of(offered);
    std::string own = audio_sdp(call.b().rtp);
    for (const auto& line : lines_of(offered)) {
      if (!b_takes_it || line.suite->suite != kCm80) continue;
      call.b().own = call.fresh_line(kCm80);
      call.b().own.tag = line.tag;
      own += "a=crypto:" + sdp::write_crypto(call.b().own, {}) + "\r\n";
      call.b().end = std::make_unique<SrtpEnd>(SrtpKeys{master_key(call.b().own), master_key(line)});
    }
    request = answer(call.id(), "A", "B", own);
    const json reply = world->ng(request);
    EXPECT_EQ(reply["result"], "ok");
    call.a().relay = World::port_of(reply);
    if (const auto lines = lines_of(reply); !lines.empty())
      call.a().end = std::make_unique<SrtpEnd>(SrtpKeys{master_key(call.a().own), master_key(lines.front())});
  };
  const Packet packet = rtp('A', 1, 1);
  SecureCall both(*world, 1, kCm80, std::nullopt, 1);
  set_up(both, true, nullptr);
  EXPECT_TRUE(both.a().end && both.b().end);
  EXPECT_EQ(both.across(0, packet), packet);
  SecureCall neither(*world, 2, kCm80, std::nullopt, 2);
  set_up(neither, false, nullptr);
  EXPECT_FALSE(neither.a().end || neither.b().end) << "RFC 8643: plain if the answerer has no keys";
  EXPECT_EQ(neither.across(0, packet), packet);
  SecureCall accepted(*world, 3, kCm80, std::nullopt, 3);
  set_up(accepted, false, "accept");
  EXPECT_TRUE(accepted.a().end && !accepted.b().end);
  EXPECT_EQ(accepted.across(0, packet), packet);
  SecureCall ours(*world, 4, std::nullopt, std::nullopt, 4);
  set_up(ours, true, "offer");
  EXPECT_TRUE(!ours.a().end && ours.b().end);
  EXPECT_EQ(ours.across(0, packet), packet);
  SecureCall refused(*world, 5, std::nullopt, std::nullopt, 5);
  set_up(refused, false, "offer");
  EXPECT_FALSE(refused.b().end);
  EXPECT_EQ(refused.across(0, packet), packet);
}

TEST(SrtpCalls, OSRTP_WithTwoSectionsTheAnswererChooses) {
  const auto world = make_sim_world();
  for (const bool encrypted : {true, false}) {
    SecureCall call(*world, encrypted ? 1 : 2, std::nullopt, std::nullopt);
    json request = offer(call.id(), "A", audio_sdp(call.a().rtp));
    request["OSRTP"] = "offer-legacy";
    request["transport-protocol"] = "RTP/SAVP";
    const json offered = world->ng(request);
    const auto text = offered["sdp"].get<std::string>();
    const auto parsed = sdp::parse(text);
    ASSERT_TRUE(parsed && parsed->media.size() == 2u) << text;
    EXPECT_EQ(parsed->media[0].protocol.text, "RTP/AVP");
    EXPECT_EQ(parsed->media[1].protocol.text, "RTP/SAVP");
    EXPECT_EQ(parsed->media[0].port, parsed->media[1].port);
    EXPECT_FALSE(parsed->media[0].has_crypto);
    call.b().relay = UdpPort{parsed->media[0].port};
    const auto taken = sdp::parse_crypto(parsed->media[1].find("crypto")->value);
    sdp::CryptoLine own = call.fresh_line(taken->suite->suite);
    own.tag = taken->tag;
    const std::string head = fmt::format("v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\n",
                                         call.b().rtp.address.to_string());
    const std::string mine =
        fmt::format("m=audio {} RTP/AVP 8\r\nm=audio {} RTP/SAVP 8\r\na=crypto:{}\r\n", encrypted ? 0 : 4000,
                    encrypted ? 4000 : 0, sdp::write_crypto(own, {}));
    const json reply = world->ng(answer(call.id(), "A", "B", head + mine));
    ASSERT_EQ(reply["result"], "ok") << reply;
    const auto back = reply["sdp"].get<std::string>();
    EXPECT_EQ(sdp::parse(back)->media.size(), 1u) << "A offered one: " << back;
    call.a().relay = World::port_of(reply);
    if (encrypted) call.b().end = std::make_unique<SrtpEnd>(SrtpKeys{master_key(own), master_key(*taken)});
    const Packet packet = rtp('A', 1, 1);
    EXPECT_EQ(call.across(0, packet), packet);
    EXPECT_EQ(call.across(1, rtp('B', 2, 1)), rtp('B', 2, 1));
    // B offers again, in the same form, and is answered in it.
    json again = offer(call.id(), "B", head + mine);
    again["to-tag"] = "A";
    world->ng(again);
    const json to_b = world->ng(answer(call.id(), "B", "A", audio_sdp(call.a().rtp)));
    const auto sections = to_b["sdp"].get<std::string>();
    const auto read = sdp::parse(sections);
    ASSERT_TRUE(read && read->media.size() == 2u) << sections;
    EXPECT_EQ(read->media[0].port == 0, encrypted) << sections;
    EXPECT_EQ(read->media[1].port == 0, !encrypted) << sections;
    EXPECT_EQ(call.across(0, rtp('A', 1, 2)), rtp('A', 1, 2));
  }
}

TEST(SrtpCalls, SubscribersPublishersAndCreatedPartiesHaveKeysToo) {
  const auto world = make_sim_world();
  SecureCall call(*world, 1, kCm80, kGcm);
  call.set_up();
  call.across(0, rtp('A', 1, 1));
  const json offered = world->ng({{"command", "subscribe request"},
                                  {"call-id", call.id()},
                                  {"from-tag", "A"},
                                  {"to-tag", "S"},
                                  {"transport-protocol", "RTP/SAVP"},
                                  {"SDES", {"only-AES_CM_128_HMAC_SHA1_80"}}});
  ASSERT_EQ(offered["result"], "ok") << offered;
  auto lines = lines_of(offered);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines.front().key_and_salt, call.a().own.key_and_salt) << "SRT-1: a key of its own";
  const Endpoint s{world->peer_address(1, 'S'), UdpPort{4000}};
  world->open(s);
  sdp::CryptoLine own = call.fresh_line(kCm80);
  const auto sdp_with = [&](const sdp::CryptoLine& line, const char* direction) {
    std::string sdp = audio_sdp(s, "a=crypto:" + sdp::write_crypto(line, {}) + "\r\na=" + direction + "\r\n");
    sdp.replace(sdp.find("RTP/AVP"), 7, "RTP/SAVP");
    return sdp;
  };
  ASSERT_EQ(world->ng({{"command", "subscribe answer"},
                       {"call-id", call.id()},
                       {"to-tag", "S"},
                       {"sdp", sdp_with(own, "recvonly")}})["result"],
            "ok");
  SrtpEnd listener(SrtpKeys{master_key(own), master_key(lines.front())});
  const Packet packet = rtp('A', 1, 2);
  EXPECT_EQ(call.across(0, packet), packet);
  ASSERT_EQ(world->count(s), 1u);
  EXPECT_EQ(listener.opened(world->received().back().at == s ? world->received().back().packet
                                                             : world->received().rbegin()[1].packet),
            packet);

  own = call.fresh_line(kCm80);
  const json published = world->ng(
      {{"command", "publish"}, {"call-id", "p"}, {"from-tag", "P"}, {"sdp", sdp_with(own, "sendonly")}});
  lines = lines_of(published);
  ASSERT_EQ(lines.size(), 1u) << published;
  EXPECT_EQ(lines.front().tag, own.tag);
  EXPECT_NE(lines.front().key_and_salt, own.key_and_salt);

  const json created = world->ng(
      {{"command", "create"}, {"call-id", "q"}, {"from-tag", "Q"}, {"transport-protocol", "RTP/SAVP"}});
  lines = lines_of(created);
  ASSERT_EQ(lines.size(), kUsableSrtpSuites.size()) << created;
  std::string plain = audio_sdp(s);
  EXPECT_EQ(
      world->ng(
          {{"command", "create answer"}, {"call-id", "q"}, {"from-tag", "Q"}, {"sdp", plain}})["result"],
      "error")
      << "SRT-13";
  own = call.fresh_line(kCm80);
  own.tag = 7;
  EXPECT_EQ(world->ng({{"command", "create answer"},
                       {"call-id", "q"},
                       {"from-tag", "Q"},
                       {"sdp", sdp_with(own, "sendrecv")}})["result"],
            "ok");
}

/// Random schedules of loss, reordering, duplication, replays, forgeries, new keys, re-offers, wraps and
/// restores: what arrives is authentic and arrives once, and nothing is lost that came in order under the
/// current key.
TEST_P(Backends, RandomSchedulesLoseNothingAndRepeatNothing) {
  const auto world = make_sim_world(options());
  std::mt19937 random(21);
  const auto chance = [&](unsigned percent) { return random() % 100 < percent; };
  std::size_t sent = 0;
  for (unsigned seed = 1; seed <= 40; ++seed) {
    const auto side = [&]() -> Suite {
      const auto n = random() % (kUsableSrtpSuites.size() + 1);
      return n == 0 ? Suite() : Suite(kUsableSrtpSuites[n - 1].suite);
    };
    SecureCall call(*world, 150 + seed, side(), side(), seed);
    for (const std::size_t i : {0u, 1u})
      call.party(i).sequence = static_cast<std::uint16_t>(65'300 + random() % 400);
    call.set_up();
    struct Late {
      std::size_t from;
      Packet wire;
      int steps;
    };
    std::vector<Late> late;
    std::array<std::vector<Packet>, 2> wires;
    std::array<std::set<Packet>, 2> plain;  // that may still arrive
    std::array<std::set<Packet>, 2> due;    // that must have arrived
    for (int step = 0; step < 300; ++step) {
      for (const std::size_t from : {0u, 1u}) {
        Party& party = call.party(from);
        const Packet packet = rtp(party.tag[0], party.ssrc, party.sequence++);
        const Packet wire = call.sealed(party, packet);
        if (chance(8)) continue;  // lost
        ++sent;
        plain[from].insert(packet);
        wires[from].push_back(wire);
        if (chance(8)) {
          late.push_back({from, wire, 1 + static_cast<int>(random() % 5)});
          continue;
        }
        due[from].insert(packet);
        call.deliver(party, wire);
        if (chance(5)) call.deliver(party, wire);
        // Of a plain side nobody can tell a repetition from a packet, but of its receiver's index.
        if (party.suite && chance(5)) call.deliver(party, wires[from][random() % wires[from].size()]);
        if (party.suite && chance(5)) {
          Packet forged = wire;
          forged[12 + random() % (forged.size() - 12)] ^= std::byte{0x20};
          call.deliver(party, forged);
        }
        if (chance(5))
          call.deliver(party,
                       call.sealed(party, sender_report(party.ssrc, static_cast<std::uint32_t>(step)), true),
                       true);
      }
      for (Late& each : late) {
        if (--each.steps == 0) call.deliver(call.party(each.from), each.wire);
      }
      std::erase_if(late, [](const Late& each) { return each.steps <= 0; });
      for (const std::size_t from : {0u, 1u}) {
        call.heard(call.party(1 - from), true);
        for (const Packet& packet : call.heard(call.party(1 - from))) {
          // A plain receiver sees what a plain sender repeats.
          const bool repeats = !call.party(from).suite && !call.party(1 - from).suite;
          EXPECT_TRUE(plain[from].erase(packet) == 1 || repeats) << "seed " << seed << " step " << step;
          due[from].erase(packet);
        }
        EXPECT_TRUE(due[from].empty()) << due[from].size() << " lost, seed " << seed << " step " << step;
        due[from].clear();
      }
      EXPECT_EQ(call.bad, 0u) << "seed " << seed << " step " << step;
      if (HasFailure()) return;
      call.pass();
      if (chance(2)) call.set_up();
      if (chance(1) && call.a().suite) {
        call.a().own = call.fresh_line(*call.a().suite);
        call.set_up();
      }
      if (chance(1)) {
        const json record = json::parse(world->manager().export_call(call.id(), world->clock()).dump());
        world->manager().terminate(call.id(), world->clock());
        world->manager().flush(world->clock());
        ASSERT_TRUE(world->manager().restore_call(record, world->clock()));
      }
    }
    world->ng({{"command", "delete"}, {"call-id", call.id()}, {"delete delay", 0}});
  }
  EXPECT_GT(sent, 20'000u);
}

// The attack table.

struct Row {
  std::string id;
  std::string what;
  std::size_t through = 0;  // forged, repeated or plain packets that were delivered
  std::size_t lost = 0;     // valid ones that were not
  std::string note{};
};

/// Sends `count` packets of A and counts what B misses.
std::size_t lost_of(SecureCall& call, std::size_t count) {
  call.heard(call.b());
  for (std::size_t n = 0; n < count; ++n) {
    call.deliver(call.a(), call.next(call.a()));
    if (n % 10 == 0)
      call.deliver(call.b(), call.next(call.b()));  // LAT-12: a peer that never speaks is left alone
    call.pass(20ms);
  }
  return count - std::min(count, call.heard(call.b()).size());
}

/// Delivers what must not pass and counts what of it did.
std::size_t through_of(SecureCall& call, const std::vector<Packet>& packets, const Endpoint& from) {
  call.heard(call.b());
  for (const Packet& packet : packets) call.deliver_from(from, call.a(), packet);
  return call.heard(call.b()).size();
}

class Tap final : public PacketTap {
 public:
  void on_packet(const TapPacket& packet) noexcept override { plain_ += packet.datagram.size() == 172; }
  std::size_t plain_ = 0;
};

Row s01(World& world) {
  SecureCall call(world, 1, kCm80, std::nullopt);
  call.set_up();
  Row row{"S-01", "50 valid, 20 of them again, one of them 20 times"};
  std::vector<Packet> wire;
  for (int n = 0; n < 50; ++n) {
    wire.push_back(call.next(call.a()));
    call.deliver(call.a(), wire.back());
    call.pass();
  }
  row.lost = 50 - call.heard(call.b()).size();
  std::vector<Packet> again(wire.end() - 20, wire.end());
  again.insert(again.end(), 20, wire[30]);
  row.through = through_of(call, again, call.a().rtp);
  row.note = fmt::format("{} counted as replayed", call.drops(call.a(), "replayed"));
  return row;
}

Row s02(World& world) {
  SecureCall call(world, 2, kCm80, std::nullopt);
  call.set_up();
  Row row{"S-02", "the same after re-offers with the same key, recording and listener on and off"};
  std::vector<Packet> wire;
  for (int n = 0; n < 50; ++n) {
    wire.push_back(call.next(call.a()));
    call.deliver(call.a(), wire.back());
    call.pass();
    if (n % 10 == 5) call.set_up();
    world.ng({{"command", n % 2 == 0 ? "start recording" : "stop recording"}, {"call-id", call.id()}});
    if (n % 10 == 7)
      world.ng({{"command", "subscribe request"},
                {"call-id", call.id()},
                {"from-tag", "A"},
                {"to-tag", "S"},
                {"transport-protocol", "RTP/AVP"}});
    if (n % 10 == 9) world.ng({{"command", "unsubscribe"}, {"call-id", call.id()}, {"to-tag", "S"}});
  }
  row.lost = 50 - call.heard(call.b()).size();
  call.set_up();
  row.through = through_of(call, wire, call.a().rtp);
  return row;
}

Row s03(World& world) {
  SecureCall call(world, 3, kCm80, std::nullopt);
  call.set_up();
  Row row{"S-03", "one bit flipped in header, payload, tag, from A's address"};
  row.lost = lost_of(call, 5);
  const Packet good = call.next(call.a());
  std::vector<Packet> forged;
  const std::size_t end = good.size() * 8;
  for (const std::size_t bit : {std::size_t{8}, std::size_t{20}, std::size_t{40}, std::size_t{90},
                                std::size_t{96}, std::size_t{800}, std::size_t{1368}, end - 70, end - 1}) {
    forged.push_back(good);
    forged.back()[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
  }
  const json before = world.ng({{"command", "query"}, {"call-id", call.id()}})["SSRC"];
  row.through = through_of(call, forged, call.a().rtp);
  const json after = world.ng({{"command", "query"}, {"call-id", call.id()}})["SSRC"];
  call.deliver(call.a(), good);
  row.lost += 1 - call.heard(call.b()).size();
  row.note = before == after ? "no state changed" : "STATE CHANGED";
  return row;
}

Row s04(World& world) {
  SecureCall call(world, 4, kCm80, std::nullopt);
  call.a().sequence = 65'480;
  call.set_up();
  Row row{"S-04", "past a wrap, forged headers over the whole sequence space, then 100 valid"};
  row.lost = lost_of(call, 100);
  const Endpoint x{world.peer_address(4, 'X'), UdpPort{4000}};
  for (const Endpoint& from : {call.a().rtp, x}) {
    std::vector<Packet> forged;
    for (unsigned sequence = 0; sequence < 65536; sequence += 13) {
      forged.push_back(rtp('X', call.a().ssrc, static_cast<std::uint16_t>(sequence)));
      forged.back().resize(182, std::byte{7});
    }
    row.through += through_of(call, forged, from);
  }
  row.lost += lost_of(call, 100);
  row.note = fmt::format("{} and {} refused", call.drops(call.a(), "not-authentic"),
                         call.drops(call.a(), "foreign-source"));
  return row;
}

Row s05(World& world) {
  Row row{"S-05", "start at 0, 1, 65500, 65535; loss around the wrap; reordering across it"};
  unsigned seed = 0;
  for (const unsigned start : {0u, 1u, 65'500u, 65'535u}) {
    for (const unsigned loss : {0u, 1u, 30u, 1000u, 32'000u}) {
      SecureCall call(world, 50 + ++seed, kGcm, std::nullopt);
      call.a().sequence = static_cast<std::uint16_t>(start);
      call.set_up();
      row.lost += lost_of(call, 20);
      for (unsigned n = 0; n < loss; ++n) call.next(call.a());  // encrypted, and lost on the way
      row.lost += lost_of(call, 20);
      // Pairs out of order, across the wrap in half of the runs.
      for (int n = 0; n < 30; ++n) {
        const Packet first = call.next(call.a());
        call.deliver(call.a(), call.next(call.a()));
        call.deliver(call.a(), first);
        call.pass(40ms);
      }
      row.lost += 60 - std::min<std::size_t>(60, call.heard(call.b()).size());
      row.through += call.bad;
      world.ng({{"command", "delete"}, {"call-id", call.id()}, {"delete delay", 0}});
    }
  }
  return row;
}

Row s06(World& world) {
  Row row{"S-06", "key changes, the same key again, hold over a wrap: an independent receiver fails at none"};
  for (const Suite b : {Suite(kCm80), Suite(kGcm)}) {  // keys go through, and keys of our own
    SecureCall call(world, b == kCm80 ? 6 : 106, kCm80, b);
    call.a().sequence = 65'300;
    call.set_up();
    for (int round = 0; round < 4; ++round) {
      row.lost += lost_of(call, 30);
      call.set_up();
      row.lost += lost_of(call, 30);
      call.a().own = call.fresh_line(kCm80);  // a new key of A
      call.set_up();
      row.lost += lost_of(call, 30);
      if (round != 1) continue;
      call.direction = "inactive";
      call.set_up();
      for (int n = 0; n < 100; ++n) {  // over the wrap
        call.deliver(call.a(), call.next(call.a()));
        call.pass();
      }
      row.through += call.heard(call.b()).size();
      call.direction = "sendrecv";
      call.set_up();
    }
    row.through += call.bad;
    world.ng({{"command", "delete"}, {"call-id", call.id()}, {"delete delay", 0}});
  }
  return row;
}

Row s07(const std::function<std::unique_ptr<World>(SessionManager::Listener)>& make) {
  Row row{"S-07", "10,000 forged packets a second for 10 s beside a valid stream (SRT-14)"};
  std::size_t told = 0;
  SessionManager::Listener listener;
  listener.on_event = [&](const Call&, const Leg&, TransportEvent event) {
    told += event == TransportEvent::kNotAuthentic;
  };
  const auto world = make(std::move(listener));
  SecureCall call(*world, 7, kCm80, std::nullopt);
  call.set_up();
  row.lost = lost_of(call, 1);
  std::size_t valid = 0;
  for (std::uint32_t n = 0; n < 100'000; ++n) {
    Packet forged = rtp('X', call.a().ssrc, static_cast<std::uint16_t>(call.a().sequence + n % 100));
    forged.resize(182, static_cast<std::byte>(n));
    call.deliver(call.a(), forged);
    if (n % 200 != 0) continue;
    call.deliver(call.a(), call.next(call.a()));
    ++valid;
    call.pass(20ms);
  }
  row.lost += valid - std::min(valid, call.heard(call.b()).size());
  row.through = world->count(call.b().rtp) - valid - 1;
  const bool lives = world->manager().find(call.id()) != nullptr;
  row.note = fmt::format("{}, told {} times", lives ? "the call lives" : "THE CALL IS GONE", told);
  if (told == 0 || told > 2) row.note += " (TOO OFTEN OR NEVER)";
  return row;
}

Row s08(World& world) {
  SecureCall call(world, 8, kGcm, kGcm);
  call.set_up();
  Row row{"S-08", "the same key on both legs, X injects garbage"};
  row.lost = lost_of(call, 20);
  const Endpoint x{world.peer_address(8, 'X'), UdpPort{4000}};
  std::vector<Packet> garbage;
  for (std::uint16_t n = 0; n < 200; ++n) {
    garbage.push_back(rtp('X', call.a().ssrc, static_cast<std::uint16_t>(call.a().sequence + n)));
    garbage.back().resize(188, std::byte{3});
  }
  for (const Endpoint& from : {x, call.a().rtp}) {
    for (const Packet& packet : garbage) call.deliver_from(from, call.a(), packet);
  }
  call.heard(call.b());
  row.through = call.bad;
  row.lost += lost_of(call, 20);
  return row;
}

Row s10(World& world) {
  SecureCall call(world, 10, kCm80, kCm80);
  Row row{"S-10", "SAVP without a=crypto, media both ways"};
  std::string sdp = call.sdp_of(call.a());
  sdp.erase(sdp.find("a=crypto"), sdp.find("\r\n", sdp.find("a=crypto")) + 2 - sdp.find("a=crypto"));
  json request = offer(call.id(), "A", sdp);
  const json offered = world.ng(request);
  call.b().relay = World::port_of(offered);
  const auto lines = lines_of(offered);
  for (const auto& line : lines) {
    if (line.suite->suite == kCm80) call.b().own.tag = line.tag;
  }
  const json reply = world.ng(answer(call.id(), "A", "B", call.sdp_of(call.b())));
  call.a().relay = World::port_of(reply);
  for (std::uint16_t n = 0; n < 50; ++n) {
    call.deliver(call.a(), rtp('A', 1, n));
    call.deliver(call.b(), rtp('B', 2, n));
    call.deliver(call.a(), sender_report(1, 1), true);
    call.pass();
  }
  row.through = world.count(call.a().rtp) + world.count(call.b().rtp) + world.count(call.b().rtcp);
  row.note = fmt::format("{} without a key", call.drops(call.a(), "no-key"));
  return row;
}

Row s11(World& world) {
  SecureCall call(world, 11, std::nullopt, kCm80);
  call.set_up();
  Row row{"S-11", "recording, listeners, silence, plans toggled 100 times: the SRTCP index rises (SRT-5)"};
  std::int64_t last = -1;
  for (int n = 0; n < 100; ++n) {
    if (n % 4 == 0)
      world.ng({{"command", "subscribe request"},
                {"call-id", call.id()},
                {"from-tag", "A"},
                {"to-tag", "S"},
                {"transport-protocol", "RTP/AVP"}});
    if (n % 4 == 1) world.ng({{"command", "unsubscribe"}, {"call-id", call.id()}, {"to-tag", "S"}});
    if (n % 4 == 2)
      world.ng({{"command", n % 8 == 2 ? "silence media" : "unsilence media"}, {"call-id", call.id()}});
    if (n % 4 == 3) call.set_up();
    world.ng({{"command", n % 2 == 0 ? "start recording" : "stop recording"}, {"call-id", call.id()}});
    call.deliver(call.a(), call.next(call.a()));
    call.deliver(call.b(), call.next(call.b()));
    const std::size_t before = call.captured.size();
    call.heard(call.b(), true);
    call.deliver(call.a(), sender_report(call.a().ssrc, static_cast<std::uint32_t>(n)), true);
    row.lost += 1 - std::min<std::size_t>(1, call.heard(call.b(), true).size());
    for (std::size_t i = before; i < call.captured.size(); ++i) {
      const Packet& packet = call.captured[i];
      const std::int64_t index = read_u32(packet, packet.size() - 14) & 0x7fffffff;
      if (index <= last) ++row.through;
      last = index;
    }
    call.pass(500ms);
  }
  row.note = fmt::format("up to {}", last);
  return row;
}

Row s12(World& world) {
  Row row{"S-12", "output over re-offers and restores: (key, SSRC, index) never repeats"};
  std::size_t seen = 0;
  for (const Suite a : {Suite(), Suite(kGcm)}) {  // keys of our own, and keys that go through
    SecureCall call(world, a ? 112 : 12, a, kGcm);
    call.a().sequence = 65'000;
    call.set_up();
    SrtpReceiver ear(EvpBackend().make(call.b().keys.from_relay), 1024);
    std::set<std::pair<std::uint32_t, std::uint64_t>> rtp_indices;
    std::mt19937 random(12);
    std::size_t from = world.received().size();
    for (int n = 0; n < 3000; ++n) {
      Packet packet = call.next(call.a());
      if (random() % 10 == 0) call.deliver(call.a(), packet);
      call.deliver(call.a(), packet);
      if (n % 100 == 50) call.set_up();
      if (n % 50 == 0) call.deliver(call.b(), call.next(call.b()));
      if (n % 500 == 250) {
        const json record = json::parse(world.manager().export_call(call.id(), world.clock()).dump());
        for (int more = 0; more < 20; ++more)
          call.deliver(call.a(), call.next(call.a()));  // after the export
        world.manager().terminate(call.id(), world.clock());
        world.manager().flush(world.clock());
        if (!world.manager().restore_call(record, world.clock())) ++row.lost;
        // What goes on at the source goes on here.
        call.a().sequence = static_cast<std::uint16_t>(call.a().sequence + 1);
      }
      call.pass(5ms);
      for (; from < world.received().size(); ++from) {
        const Received& each = world.received()[from];
        if (each.at != call.b().rtp) continue;
        Packet copy = each.packet;
        if (open(ear, copy) != SrtpResult::kOk) {
          ++row.through;
          continue;
        }
        ++seen;
        if (!rtp_indices.emplace(read_u32(copy, 8), ear.opened_index()).second) ++row.through;
      }
    }
    world.ng({{"command", "delete"}, {"call-id", call.id()}, {"delete delay", 0}});
  }
  row.note = fmt::format("{} packets", seen);
  if (seen < 5000) row.lost += 5000 - seen;
  return row;
}

TEST_P(Backends, AttackTable) {
  // Every call is recorded, and none of it may show.
  const TemporaryFolder home;
  VirtualTime time;
  RecorderSettings settings;
  settings.directory = home.path("rec");
  settings.audio = true;
  settings.all_calls = true;
  const auto recorder = Recorder::make(
      settings, 1, [](RecorderLogLevel, const std::string&) {}, time.clock());
  ASSERT_TRUE(recorder) << recorder.error();
  WorldOptions recorded = options();
  recorded.recorder = recorder->get();
  recorded.on_time = [&time](Instant now) { time.set(now); };
  const auto world = make_sim_world(recorded);
  std::vector<Row> rows = {s01(*world), s02(*world), s03(*world), s04(*world), s05(*world), s06(*world)};
  rows.push_back(s07([](SessionManager::Listener listener) {
    WorldOptions with_listener = options();
    with_listener.listener = std::move(listener);
    return make_sim_world(with_listener);
  }));
  rows.push_back(s08(*world));
  rows.push_back(s10(*world));
  rows.push_back(s11(*world));
  rows.push_back(s12(*world));
  fmt::print("\nEncrypted calls by {}\n{:<6} {:<92} {:>8} {:>5}\n", GetParam(), "row", "what happens",
             "through", "lost");
  for (const Row& row : rows)
    fmt::print("{:<6} {:<92} {:>8} {:>5}  {}\n", row.id, row.what, row.through, row.lost, row.note);
  for (const Row& row : rows) {
    EXPECT_EQ(row.through, 0u) << row.id;
    EXPECT_EQ(row.lost, 0u) << row.id;
    EXPECT_EQ(row.note.find_first_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), std::string::npos)
        << row.id << ": " << row.note;
  }
}

}  // namespace
}  // namespace ferry::test
