// SPDX-License-Identifier: Apache-2.0
// Encrypted calls by offer and answer with independent ends: every combination of two sides, what signalling
// may and may not do with keys, random schedules.

#include "tests/support/kernel_model.hpp"
#include "tests/support/secure_call.hpp"

#include <set>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

INSTANTIATE_TEST_SUITE_P(All, Backends,
                         ::testing::ValuesIn(srtp_backend_names().begin(), srtp_backend_names().end()),
                         backend_name);

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
  const auto offloaded_now = [&] {
    world->ng({{"command", "query"}, {"call-id", call.id()}});  // reads the kernel's counters
    return world->forwarded_by_kernel();
  };
  const auto below = offloaded_now();
  EXPECT_GT(below, 20u);
  call.a().suite = kCm80;
  call.a().own = call.fresh_line(kCm80);
  call.set_up();
  EXPECT_EQ(talk(), 40u);
  call.deliver(call.a(), rtp('A', call.a().ssrc, call.a().sequence));
  EXPECT_TRUE(call.heard(call.b()).empty()) << "plain, on an encrypted leg";
  EXPECT_EQ(offloaded_now(), below) << "nothing with keys goes below";
  call.a().suite.reset();
  call.a().end.reset();
  call.set_up();
  EXPECT_EQ(talk(), 40u);
  EXPECT_GT(offloaded_now(), below) << "plain again";
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

/// Of what a party received: how often an SRTCP index was there before.
std::size_t repeated_rtcp_indices(const std::vector<Packet>& captured) {
  std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
  return static_cast<std::size_t>(std::ranges::count_if(captured, [&](const Packet& packet) {
    return packet[1] == std::byte{200} &&
           !seen.emplace(read_u32(packet, 4), read_u32(packet, packet.size() - 14) & 0x7fffffff).second;
  }));
}

TEST_P(Backends, SRT6_AnotherPortPairGoesOnWithTheCountersOfTheKeys) {
  const auto world = make_sim_world(options());
  SecureCall call(*world, 1, kCm80, std::nullopt);
  call.set_up();
  const UdpPort first = call.a().relay;
  const Endpoint home = call.b().rtp;
  std::uint16_t sequence = 65'500;
  std::uint32_t reports = 0;
  for (int round = 0; round < 4; ++round) {
    for (int n = 0; n < 100; ++n, ++sequence) {
      call.pass();
      for (const std::size_t side : {0u, 1u}) {
        const Packet packet = rtp(side == 0 ? 'A' : 'B', call.party(side).ssrc, sequence);
        ASSERT_EQ(call.across(side, packet), packet)
            << "round " << round << " packet " << n << " from " << side;
      }
      const Packet report = sender_report(call.b().ssrc, ++reports);
      ASSERT_EQ(call.across(1, report, true), report) << "round " << round << " report " << n;
    }
    // B is elsewhere, or back where it was: A gets another pair of ports (docs/reference/ng.md#ports).
    call.b().rtp.port = UdpPort{static_cast<std::uint16_t>(round % 2 == 0 ? 4100 : home.port.value)};
    call.b().rtcp.port = UdpPort{static_cast<std::uint16_t>(call.b().rtp.port.value + 1)};
    world->open(call.b().rtp);
    world->open(call.b().rtcp);
    call.set_up();
    EXPECT_EQ(call.a().relay == first, round % 2 == 1);
  }
  EXPECT_EQ(call.bad, 0u);
  EXPECT_EQ(repeated_rtcp_indices(call.captured), 0u) << "SRT-9";
}

TEST_P(Backends, WhereKnowsWhatTheKeysHaveReceivedAndChangesNothing) {
  const auto world = make_sim_world(options());
  SecureCall call(*world, 1, kGcm, std::nullopt);
  call.set_up();
  const auto where = [&](const Packet& datagram) {
    return world->manager().where(call.id(), {call.a().rtp, call.a().relay, datagram, {}, {}, {}},
                                  world->clock());
  };
  std::vector<Packet> wire;
  for (int n = 0; n < 3; ++n) wire.push_back(call.next(call.a()));
  call.deliver(call.a(), wire[0]);
  call.deliver(call.a(), wire[2]);
  ASSERT_EQ(call.heard(call.b()).size(), 2u);
  EXPECT_EQ(where(wire[0])["reason"], "replayed");
  for (int again = 0; again < 2; ++again) EXPECT_EQ(where(wire[1])["verdict"], "forward");
  call.deliver(call.a(), wire[1]);
  EXPECT_EQ(call.heard(call.b()).size(), 1u);
  EXPECT_EQ(where(wire[1])["reason"], "replayed");
}

TEST_P(Backends, SRT9_PlainForAWhileAndRestoredForgetsNothing) {
  const auto world = make_sim_world(options());
  SecureCall call(*world, 1, kGcm, std::nullopt);
  call.set_up();
  const Packet wire = call.next(call.a());
  call.deliver(call.a(), wire);
  ASSERT_EQ(call.heard(call.b()).size(), 1u);
  call.a().suite.reset();
  auto end = std::exchange(call.a().end, nullptr);
  call.set_up();
  ASSERT_FALSE(call.across(0, rtp('A', call.a().ssrc, 1001)).empty());
  const json record = json::parse(world->manager().export_call(call.id(), world->clock()).dump());
  world->manager().terminate(call.id(), world->clock());
  world->manager().flush(world->clock());
  ASSERT_TRUE(world->manager().restore_call(record, world->clock()));
  call.a().suite = kGcm;
  call.a().end = std::move(end);
  call.set_up();
  call.deliver(call.a(), wire);
  EXPECT_TRUE(call.heard(call.b()).empty()) << "SRT-4";
  EXPECT_EQ(call.drops(call.a(), "replayed"), 1u);
  EXPECT_FALSE(call.across(0, rtp('A', call.a().ssrc, 1002)).empty());
}

TEST_P(Backends, SRT9_AMediaThatWasOffGoesOnWithItsCounters) {
  const auto world = make_sim_world(options());
  SecureCall call(*world, 1, kCm80, std::nullopt);
  std::uint16_t sequence = 65'500;
  for (std::uint32_t round = 0; round < 3; ++round) {
    call.set_up();
    for (std::uint32_t n = 0; n < 100; ++n, ++sequence) {
      call.pass();
      for (const std::size_t side : {0u, 1u}) {
        const Packet packet = rtp(side == 0 ? 'A' : 'B', call.party(side).ssrc, sequence);
        ASSERT_EQ(call.across(side, packet), packet) << "round " << round << " from " << side;
      }
      ASSERT_FALSE(call.across(1, sender_report(call.b().ssrc, n), true).empty());
    }
    const std::array ports = {call.a().rtp.port, call.b().rtp.port};
    call.a().rtp.port = call.b().rtp.port = UdpPort{0};
    call.set_up();
    call.a().rtp.port = ports[0];
    call.b().rtp.port = ports[1];
  }
  EXPECT_EQ(call.bad, 0u);
  EXPECT_EQ(repeated_rtcp_indices(call.captured), 0u);
}

TEST_P(Backends, SRT9_ThoseThatAnswerOneOfferAreSentNoIndexTwice) {
  const auto world = make_sim_world(options());
  SecureCall call(*world, 1, std::nullopt, kGcm);
  call.a().sequence = 65'400;
  ASSERT_EQ(call.offer()["result"], "ok");
  // Three phones answer the same lines, one after the other, each with a key and an address of its own: C in
  // place of B, D as another branch, and C once more. The sequence wraps while C listens.
  using Flags = std::vector<std::string>;
  struct Phone {
    sdp::CryptoLine key;
    SrtpReceiver ear;
  };
  std::map<char, Phone> phones;
  std::set<std::pair<std::uint32_t, std::uint64_t>> rtp_indices;
  std::vector<Packet> reports;
  for (const char tag : {'B', 'C', 'D', 'C'}) {
    Party& b = call.b();
    b.tag = tag;
    b.rtp.port = UdpPort{static_cast<std::uint16_t>(4100 + 100 * (tag - 'B'))};
    b.rtcp.port = UdpPort{static_cast<std::uint16_t>(b.rtp.port.value + 1)};
    world->open(b.rtp);
    world->open(b.rtcp);
    const auto known = phones.find(tag);
    b.own = known == phones.end() ? call.fresh_line(kGcm) : known->second.key;
    ASSERT_EQ(call.answer(tag == 'D' ? Flags{"new-branch"} : Flags())["result"], "ok") << tag;
    if (known == phones.end())
      phones.emplace(tag, Phone{b.own, SrtpReceiver(EvpBackend().make(b.keys.from_relay), 1024)});
    SrtpReceiver& ear = phones.at(tag).ear;
    call.captured.clear();
    for (std::uint32_t n = 0; n < 100; ++n) {
      call.pass();
      call.deliver(call.a(), call.next(call.a()));
      call.heard(b);
    }
    EXPECT_EQ(call.captured.size(), 100u) << tag;
    for (Packet packet : call.captured) {
      ASSERT_EQ(open(ear, packet), SrtpResult::kOk) << tag;
      EXPECT_TRUE(rtp_indices.emplace(read_u32(packet, 8), ear.opened_index()).second) << tag;
    }
    call.captured.clear();
    for (std::uint32_t n = 0; n < 20; ++n) {
      call.deliver(call.a(), sender_report(call.a().ssrc, n), true);
      call.heard(b, true);
    }
    EXPECT_EQ(call.captured.size(), 20u) << tag;
    reports.insert(reports.end(), call.captured.begin(), call.captured.end());
  }
  EXPECT_EQ(repeated_rtcp_indices(reports), 0u);
}

/// Random schedules of loss, reordering, duplication, replays, forgeries, new keys and ports, re-offers,
/// wraps and restores: what arrives is authentic and arrives once, and nothing is lost that came in order
/// under the current key.
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
      if (chance(1)) {  // other ports here and there
        Party& moved = call.party(random() % 2);
        moved.rtp.port = UdpPort{static_cast<std::uint16_t>(4000 + 2 * (random() % 4))};
        moved.rtcp.port = UdpPort{static_cast<std::uint16_t>(moved.rtp.port.value + 1)};
        world->open(moved.rtp);
        world->open(moved.rtcp);
        call.set_up();
      }
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

}  // namespace
}  // namespace ferry::test
