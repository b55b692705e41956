// SPDX-License-Identifier: Apache-2.0
// A source that begins its sequence anew under the same SSRC, toward receivers with keys of their own:
// whoever encrypts owns the index (RFC 3711 §3.3.1, SRT-9). And phones that are keyed anew and go on
// counting.

#include "tests/support/secure_call.hpp"

#include <set>

namespace ferry::test::srtp_restarts_test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

/// What a party hears of the next packets of the other one.
struct Heard {
  std::size_t count = 0;
  std::set<std::uint32_t> ssrcs;
  std::size_t out_of_order = 0;
};

struct Talk {
  explicit Talk(SecureCall& in) : call(in) {}
  /// `count` packets at 20 ms from `from`, the time stamps going on whatever the sequence does.
  Heard operator()(std::size_t from, unsigned count) {
    Heard all;
    Party& sender = call.party(from);
    Party& receiver = call.party(1 - from);
    call.heard(receiver);
    for (unsigned n = 0; n < count; ++n) {
      const std::uint16_t sequence = sender.sequence++;
      Packet packet = rtp(sender.tag[0], sender.ssrc, sequence);
      write_u32(packet, 4, timestamp += 160);
      const Packet plain = packet;
      call.deliver(sender, call.sealed(sender, std::move(packet)));
      call.pass();
      for (Packet& got : call.heard(receiver)) {
        ++all.count;
        all.ssrcs.insert(read_u32(got, 8));
        write_u32(got, 8, sender.ssrc);
        all.out_of_order += got == plain ? 0u : 1u;
      }
    }
    return all;
  }
  SecureCall& call;
  std::uint32_t timestamp = 1000;
};

/// With an index that its sender chose.
Packet sealed_as(SrtpSender& sender, Packet packet, std::uint64_t index) {
  std::size_t size = packet.size();
  packet.resize(size + sender.overhead());
  EXPECT_EQ(sender.seal_rtp_as(packet, size, index), SrtpResult::kOk);
  packet.resize(size);
  return packet;
}

std::uint32_t block_about(const Packet& report) { return report.size() >= 32 ? read_u32(report, 28) : 0; }

struct Step {
  const char* what;
  std::uint16_t start;
  int by;
  bool keeps_ssrc;
};
const Step kSteps[] = {
    {"back by 9000", 20'000, -9000, false},
    {"back by 200", 20'000, -200, false},
    {"back by 102", 20'000, -103, false},
    {"back by 50, time goes on", 20'000, -50, false},
    {"back to before the stream", 9000, -3000, false},
    {"back over a wrap", 100, -5000, false},
    {"back by 40000, which is ahead by 25536", 50'000, -40'000, true},
    {"back by 32768", 50'000, -32'768, false},
    {"ahead by 31000", 1000, 31'000, true},
    {"ahead by 33000", 1000, 33'000, false},
    {"ahead by 2000", 1000, 2000, true},
    {"ahead over a wrap", 65'000, 4000, true},
    {"to 0", 300, -350, false},
};

TEST(FieldSrtpRestarts, SSR4_AnEncryptedReceiverFollowsAPlainSourceWhereverItGoes) {
  const auto world = make_sim_world();
  unsigned row = 0;
  for (const Step& step : kSteps) {
    for (const SrtpSuite suite : {kCm80, kGcm}) {
      SecureCall call(*world, ++row, std::nullopt, suite);
      call.set_up();
      Talk talk(call);
      call.a().sequence = step.start;
      Heard heard = talk(0, 50);
      ASSERT_EQ(heard.count, 50u) << step.what;
      EXPECT_EQ(heard.ssrcs, std::set{call.a().ssrc}) << step.what;
      call.a().sequence = static_cast<std::uint16_t>(call.a().sequence + step.by);
      heard = talk(0, 50);
      EXPECT_GE(heard.count, 49u) << step.what << ": at most the unconfirmed one is missing";
      EXPECT_EQ(heard.out_of_order, 0u) << step.what;
      EXPECT_EQ(heard.ssrcs.size(), 1u) << step.what;
      EXPECT_EQ(heard.ssrcs.contains(call.a().ssrc), step.keeps_ssrc) << step.what;
      EXPECT_EQ(call.bad, 0u) << step.what << ": the judge refuses none";
      // The other direction does not notice.
      EXPECT_EQ(talk(1, 5).count, 5u) << step.what;
    }
  }
}

TEST(FieldSrtpRestarts, SSR4_NoStreamIsFoundedByOnePacket) {
  const auto world = make_sim_world();
  unsigned row = 0;
  for (const int stray : {20'000, 4100, 40'000, 60'000, 5000, 31'000}) {
    SecureCall call(*world, ++row, std::nullopt, kCm80);
    call.set_up();
    call.deliver(call.a(), rtp('A', call.a().ssrc, static_cast<std::uint16_t>(stray)));
    EXPECT_EQ(call.heard(call.b()).size(), 1u);
    call.pass();
    // A second judge did not get the stray packet: nothing may depend on it.
    Judge late(call.b().keys.from_relay, true);
    call.captured.clear();
    Talk talk(call);
    call.a().sequence = 1000;
    const Heard heard = talk(0, 50);
    EXPECT_GE(heard.count, 49u) << stray;
    EXPECT_EQ(call.bad, 0u) << stray;
    std::size_t opened = 0;
    for (Packet packet : call.captured) opened += late.unprotect(packet) == srtp_err_status_ok ? 1u : 0u;
    EXPECT_GE(opened, 49u) << stray;
  }
}

TEST(FieldSrtpRestarts, SSR4_AStrayPacketInTheMiddleChangesNothing) {
  const auto world = make_sim_world();
  unsigned row = 0;
  for (const int stray : {-9000, -150, 5000, 31'000, 33'000, 20'000}) {
    SecureCall call(*world, ++row, std::nullopt, kCm80);
    call.set_up();
    Talk talk(call);
    call.a().sequence = 10'000;
    EXPECT_EQ(talk(0, 30).count, 30u);
    for (int n = 0; n < 3; ++n) {
      call.deliver(call.a(), rtp('A', call.a().ssrc, static_cast<std::uint16_t>(call.a().sequence + stray)));
      const Heard heard = talk(0, 30);
      EXPECT_EQ(heard.count, 30u) << stray;
      EXPECT_EQ(heard.ssrcs, std::set{call.a().ssrc}) << stray;
    }
    EXPECT_EQ(call.bad, 0u) << stray;
  }
}

TEST(FieldSrtpRestarts, SRT4_CopiesAndLatePacketsAreNoRestart) {
  const auto world = make_sim_world();
  SecureCall call(*world, 1, std::nullopt, kCm80);
  call.set_up();
  std::vector<Packet> sent;
  for (std::uint16_t n = 0; n < 200; ++n) sent.push_back(rtp('A', 5, static_cast<std::uint16_t>(1000 + n)));
  std::size_t heard = 0;
  const auto deliver = [&](std::size_t n) {
    call.deliver(call.a(), sent[n]);
    call.pass(5ms);
    for (const Packet& packet : call.heard(call.b())) {
      ++heard;
      EXPECT_EQ(read_u32(packet, 8), 5u);
    }
  };
  for (std::size_t n = 0; n < 60; ++n) deliver(n);
  for (std::size_t n = 50; n < 60; ++n) deliver(n);  // a burst of copies
  EXPECT_EQ(heard, 60u);
  for (std::size_t n = 80; n < 100; ++n) deliver(n);
  for (std::size_t n = 60; n < 80; ++n) deliver(n);  // a burst that took the longer way
  EXPECT_EQ(heard, 100u);
  for (std::size_t n = 100; n < 200; ++n) {  // every packet twice
    deliver(n);
    deliver(n);
  }
  EXPECT_EQ(heard, 200u);
  EXPECT_EQ(call.bad, 0u);
}

TEST(FieldSrtpRestarts, SSR4_APromptThatIsPlayedAgainWithItsOldNumbers) {
  const auto world = make_sim_world();
  unsigned row = 0;
  for (const unsigned packets : {30u, 70u, 104u, 150u, 400u}) {
    SecureCall call(*world, ++row, std::nullopt, kCm80);
    call.set_up();
    call.across(1, rtp('B', 6, 1));  // whoever never speaks is not sent to for ever
    for (int round = 0; round < 3; ++round) {
      std::size_t heard = 0;
      for (unsigned n = 0; n < packets; ++n) {
        call.deliver(call.a(), rtp('A', 5, static_cast<std::uint16_t>(1000 + n)));
        call.pass();
        heard += call.heard(call.b()).size();
      }
      // Within 100 packets it looks like copies first.
      EXPECT_GE(heard, packets - (round == 0       ? 0u
                                  : packets <= 100 ? 15u
                                                   : 1u))
          << packets << " round " << round;
    }
    EXPECT_EQ(call.bad, 0u) << packets;
  }
}

TEST(FieldSrtpRestarts, SSR4_ManyRestartsOneAfterTheOther) {
  const auto world = make_sim_world();
  SecureCall call(*world, 1, std::nullopt, kGcm);
  call.set_up();
  Talk talk(call);
  talk(1, 1);  // whoever never speaks is not sent to for ever
  std::set<std::uint32_t> ssrcs;
  for (unsigned n = 0; n < 150; ++n) {
    call.a().sequence = static_cast<std::uint16_t>(n % 2 == 0 ? 5000 : 4000 + n);
    const Heard heard = talk(0, 12);
    EXPECT_GE(heard.count, 11u) << n;
    ssrcs.insert(heard.ssrcs.begin(), heard.ssrcs.end());
  }
  EXPECT_EQ(call.bad, 0u);
  EXPECT_GT(ssrcs.size(), 70u) << "each step back gets another one: an index is never sent twice";
}

TEST(FieldSrtpRestarts, RTC_ReportsAreTranslatedBothWays) {
  const auto world = make_sim_world();
  SecureCall call(*world, 1, std::nullopt, kCm80);
  call.set_up();
  Talk talk(call);
  call.a().sequence = 20'000;
  talk(0, 20);
  EXPECT_EQ(talk(1, 20).count, 20u);
  const std::uint32_t a = call.a().ssrc;
  const std::uint32_t b = call.b().ssrc;
  EXPECT_EQ(call.across(0, sender_report(a, 1, b), true), sender_report(a, 1, b)) << "before";
  std::vector<std::uint32_t> names = {a};
  for (int restart = 0; restart < 3; ++restart) {
    call.a().sequence = static_cast<std::uint16_t>(10'000 - 3000 * restart);
    const Heard heard = talk(0, 20);
    ASSERT_EQ(heard.ssrcs.size(), 1u);
    const std::uint32_t ours = *heard.ssrcs.begin();
    EXPECT_NE(ours, names.back());
    names.push_back(ours);
    EXPECT_EQ(call.across(0, sender_report(a, 2, b), true), sender_report(ours, 2, b));
    for (const std::uint32_t about : names)  // reports about the former ones may still be on their way
      EXPECT_EQ(block_about(call.across(1, sender_report(b, 3, about), true)), a);
    Packet bye = receiver_report(a);
    bye.insert(bye.end(), {std::byte{0x81}, std::byte{203}, std::byte{0}, std::byte{1}});
    bye.resize(16);
    write_u32(bye, 12, a);
    const Packet got = call.across(0, bye, true);
    ASSERT_EQ(got.size(), bye.size());
    EXPECT_EQ(read_u32(got, 4), ours);
    EXPECT_EQ(read_u32(got, 12), ours);
  }
  EXPECT_EQ(call.bad, 0u);
}

TEST(FieldSrtpRestarts, RTC_BothPartiesWithOneSsrcAndBothRestart) {
  const auto world = make_sim_world();
  SecureCall call(*world, 1, kCm80, kGcm);
  call.offer({"recrypt"});
  call.answer();
  call.a().ssrc = call.b().ssrc = 77;
  Talk talk(call);
  std::array<std::uint32_t, 2> known{};  // by whom it hears
  for (const std::size_t from : {0u, 1u}) {
    call.party(from).sequence = 20'000;
    EXPECT_EQ(talk(from, 20).count, 20u);
    // An encrypted source that begins anew has a new key as well.
    call.party(from).own = call.fresh_line(*call.party(from).suite);
  }
  call.offer({"recrypt"});
  call.answer();
  for (const std::size_t from : {0u, 1u}) {
    call.party(from).sequence = 10'000;
    const Heard heard = talk(from, 30);
    EXPECT_GE(heard.count, 29u) << from;
    ASSERT_EQ(heard.ssrcs.size(), 1u);
    known[1 - from] = *heard.ssrcs.begin();
    EXPECT_NE(known[1 - from], 77u) << from;
  }
  for (const std::size_t from : {0u, 1u}) {
    // Each speaks of itself as 77 and of the other one by what it knows; each hears the same.
    const Packet got = call.across(from, sender_report(77, 5, known[from]), true);
    EXPECT_EQ(got, sender_report(known[1 - from], 5, 77)) << from;
  }
  EXPECT_EQ(call.bad, 0u);
}

TEST(FieldSrtpRestarts, SRT9_AnEncryptedSourceThatIsKeyedAnewAndBeginsAnew) {
  const auto world = make_sim_world();
  unsigned row = 0;
  for (const Step& step : kSteps) {
    SecureCall call(*world, ++row, kCm80, kGcm);
    call.set_up();
    Talk talk(call);
    call.a().sequence = step.start;
    ASSERT_EQ(talk(0, 50).count, 50u) << step.what;
    call.a().own = call.fresh_line(kCm80);
    call.set_up();
    call.a().sequence = static_cast<std::uint16_t>(call.a().sequence + step.by);
    const Heard heard = talk(0, 50);
    EXPECT_GE(heard.count, 49u) << step.what;
    EXPECT_EQ(heard.out_of_order, 0u) << step.what;
    EXPECT_EQ(call.bad, 0u) << step.what;
  }
}

TEST(FieldSrtpRestarts, SSR4_AfterAHoldThatTheSourceDidNotNotice) {
  const auto world = make_sim_world();
  unsigned row = 0;
  for (const unsigned missed : {10'000u, 31'000u, 34'000u, 50'000u, 65'500u, 70'000u}) {
    SecureCall call(*world, ++row, std::nullopt, kCm80);
    call.set_up();
    Talk talk(call);
    call.a().sequence = 60'000;
    ASSERT_EQ(talk(0, 20).count, 20u);
    call.direction = "inactive";
    call.set_up();
    for (unsigned n = 0; n < missed; n += 2000) {  // it goes on; nobody hears it
      call.deliver(call.a(), rtp('A', call.a().ssrc, call.a().sequence));
      call.a().sequence = static_cast<std::uint16_t>(call.a().sequence + std::min(2000u, missed - n));
      call.pass();
    }
    call.direction = "sendrecv";
    call.set_up();
    const Heard heard = talk(0, 50);
    EXPECT_GE(heard.count, 48u) << missed;
    EXPECT_EQ(call.bad, 0u) << missed;
  }
}

TEST(FieldSrtpRestarts, SSR4_PlainReceiversGetThePacketsUnchanged) {
  const auto world = make_sim_world();
  SecureCall call(*world, 1, std::nullopt, std::nullopt);
  call.set_up();
  Talk talk(call);
  call.a().sequence = 20'000;
  talk(0, 20);
  // A listener with keys of its own beside B, who has none.
  const json offered = world->ng({{"command", "subscribe request"},
                                  {"call-id", call.id()},
                                  {"from-tag", "A"},
                                  {"to-tag", "S"},
                                  {"transport-protocol", "RTP/SAVP"},
                                  {"SDES", {"only-AES_CM_128_HMAC_SHA1_80"}}});
  const auto lines = lines_of(offered);
  ASSERT_EQ(lines.size(), 1u) << offered;
  const Endpoint s{world->peer_address(1, 'S'), UdpPort{4000}};
  world->open(s);
  const sdp::CryptoLine own = call.fresh_line(kCm80);
  std::string sdp = audio_sdp(s, "a=crypto:" + sdp::write_crypto(own, {}) + "\r\na=recvonly\r\n");
  sdp.replace(sdp.find("RTP/AVP"), 7, "RTP/SAVP");
  ASSERT_EQ(
      world->ng(
          {{"command", "subscribe answer"}, {"call-id", call.id()}, {"to-tag", "S"}, {"sdp", sdp}})["result"],
      "ok");
  SrtpEnd listener(SrtpKeys{master_key(own), master_key(lines.front())});
  std::set<std::uint32_t> known;
  for (const int restart : {20'020, 9000, 4000, 30'000}) {
    call.a().sequence = static_cast<std::uint16_t>(restart);
    const std::size_t before = world->received().size();
    const Heard heard = talk(0, 30);
    EXPECT_GE(heard.count, 29u) << restart;
    EXPECT_EQ(heard.ssrcs, std::set{call.a().ssrc}) << "B has no keys";
    std::size_t opened = 0;
    std::set<std::uint32_t> ssrcs;
    for (std::size_t n = before; n < world->received().size(); ++n) {
      if (world->received()[n].at != s) continue;
      const Packet packet = listener.opened(world->received()[n].packet);
      EXPECT_FALSE(packet.empty()) << restart;
      opened += packet.empty() ? 0u : 1u;
      if (!packet.empty()) ssrcs.insert(read_u32(packet, 8));
    }
    EXPECT_GE(opened, 29u) << restart;
    EXPECT_EQ(ssrcs.size(), 1u) << restart;
    known.insert(ssrcs.begin(), ssrcs.end());
  }
  EXPECT_EQ(known.size(), 3u) << "the source's own, and one for each step back";
}

TEST(FieldSrtpRestarts, SRT6_ReOffersMovesAndARestoreKeepTheNewSsrc) {
  WorldOptions options;
  options.workers = 2;
  const auto world = make_sim_world(options);
  SecureCall call(*world, 1, std::nullopt, kGcm);
  call.set_up();
  Talk talk(call);
  call.a().sequence = 20'000;
  talk(0, 20);
  talk(1, 20);
  call.a().sequence = 10'000;
  const auto ssrcs = talk(0, 20).ssrcs;
  ASSERT_EQ(ssrcs.size(), 1u);
  const std::uint32_t ours = *ssrcs.begin();
  const auto is_kept = [&](const char* what) {
    const Heard heard = talk(0, 20);
    EXPECT_EQ(heard.count, 20u) << what;
    EXPECT_EQ(heard.ssrcs, ssrcs) << what;
    EXPECT_EQ(read_u32(call.across(0, sender_report(call.a().ssrc, 2), true), 4), ours) << what;
    EXPECT_EQ(block_about(call.across(1, sender_report(call.b().ssrc, 3, ours), true)), call.a().ssrc)
        << what;
  };
  is_kept("at first");
  call.set_up();
  is_kept("after a re-offer");
  for (int n = 0; n < 2; ++n) {
    ASSERT_TRUE(world->manager().move_call(call.id(), 1 - world->manager().find(call.id())->worker));
    is_kept("on another worker");
  }
  call.b().rtp.port = UdpPort{4100};
  call.b().rtcp.port = UdpPort{4101};
  world->open(call.b().rtp);
  world->open(call.b().rtcp);
  call.set_up();
  is_kept("at another port of B");
  const json record = json::parse(world->manager().export_call(call.id(), world->clock()).dump());
  world->manager().terminate(call.id(), world->clock());
  world->manager().flush(world->clock());
  ASSERT_TRUE(world->manager().restore_call(record, world->clock()));
  is_kept("restored");
  EXPECT_EQ(call.bad, 0u);
  // Two restarts around another restore.
  call.a().sequence = 5000;
  EXPECT_GE(talk(0, 20).count, 19u);
  EXPECT_EQ(call.bad, 0u);
}

TEST(FieldSrtpRestarts, SRT3_APhoneThatIsKeyedAnewGoesOnCountingOrStartsAgain) {
  const auto world = make_sim_world();
  struct Case {
    const char* what;
    std::uint64_t last;  // index of the last packet under the first key
    std::uint64_t next;  // index of the next one, under the second key
  };
  const Case cases[] = {
      {"starts again at 0, sequence goes on", 65'536 + 63, 64},
      {"starts again at 0 and at another sequence", 65'536 + 63, 30'000},
      {"goes on", 65'536 + 63, 65'536 + 64},
      {"goes on after a loss", 65'536 + 63, 65'536 + 5000},
      {"goes on and wraps", 65'535, 65'536},
      {"has not wrapped yet", 65'509, 65'510},
      {"goes on behind many wraps", 5 * 65'536 + 100, 5 * 65'536 + 101},
      {"goes on and wraps once more", 5 * 65'536 + 65'500, 6 * 65'536 + 3},
      {"starts again behind many wraps", 5 * 65'536 + 100, 200},
  };
  unsigned row = 0;
  for (const Case& each : cases) {
    for (const Suite b : {Suite(), Suite(kGcm)}) {
      SecureCall call(*world, ++row, kCm80, b);
      call.set_up();
      // A's own end counts as the case says.
      auto phone = std::make_unique<SrtpSender>(EvpBackend().make(master_key(call.a().own)));
      const auto sends = [&](std::uint64_t index) {
        Packet packet = sealed_as(*phone, rtp('A', call.a().ssrc, static_cast<std::uint16_t>(index)), index);
        call.deliver(call.a(), packet);
        call.pass();
        return call.heard(call.b()).size();
      };
      for (std::uint64_t index = 65'400; index < each.last;
           index += std::min<std::uint64_t>(20'000, each.last - index))
        EXPECT_EQ(sends(index), 1u) << each.what;
      EXPECT_EQ(sends(each.last), 1u) << each.what;
      call.a().own = call.fresh_line(kCm80);
      call.set_up();
      phone = std::make_unique<SrtpSender>(EvpBackend().make(master_key(call.a().own)));
      std::size_t heard = 0;
      for (std::uint64_t n = 0; n < 100; ++n) {
        heard += sends(each.next + n);
        Packet forged = rtp('X', call.a().ssrc, static_cast<std::uint16_t>(each.next + n + 1), 8, 170);
        call.deliver(call.a(), forged);  // whoever has no key changes nothing
      }
      EXPECT_GE(heard, b ? 99u : 100u) << each.what << (b ? ", to an encrypted party" : "");
      EXPECT_EQ(call.bad, 0u) << each.what;
    }
  }
}

TEST(FieldSrtpRestarts, SRT3_AStreamThatBecomesEncryptedGoesOnCountingOrStartsAgain) {
  const auto world = make_sim_world();
  unsigned row = 0;
  for (const bool goes_on : {false, true}) {
    SecureCall call(*world, ++row, std::nullopt, std::nullopt);
    call.set_up();
    call.a().sequence = 65'500;
    Talk talk(call);
    ASSERT_EQ(talk(0, 100).count, 100u);
    call.a().suite = kCm80;
    call.a().own = call.fresh_line(kCm80);
    call.set_up();
    SrtpSender phone(EvpBackend().make(master_key(call.a().own)));
    std::size_t heard = 0;
    for (std::uint64_t n = 0; n < 50; ++n) {
      const std::uint64_t index = (goes_on ? 65'536u : 0u) + 64 + n;
      call.deliver(call.a(),
                   sealed_as(phone, rtp('A', call.a().ssrc, static_cast<std::uint16_t>(index)), index));
      call.pass();
      heard += call.heard(call.b()).size();
    }
    EXPECT_EQ(heard, 50u) << goes_on;
  }
}

TEST(FieldSrtpRestarts, SRT9_APhoneThatJoinsARunningStreamBeginsAtZero) {
  const auto world = make_sim_world();
  for (const Suite a : {Suite(), Suite(kGcm)}) {
    SecureCall call(*world, a ? 1 : 2, a, kCm80, a ? 1 : 2);
    call.set_up();
    Talk talk(call);
    call.a().sequence = 65'450;
    ASSERT_EQ(talk(0, 200).count, 200u);  // past a wrap
    // Another phone answers in its place, with a key and a port of its own.
    call.b().tag = "C";
    call.b().rtp.port = UdpPort{4200};
    call.b().rtcp.port = UdpPort{4201};
    world->open(call.b().rtp);
    world->open(call.b().rtcp);
    call.b().own = call.fresh_line(kCm80);
    call.b().end = nullptr;
    ASSERT_EQ(call.answer()["result"], "ok");
    EXPECT_GE(talk(0, 50).count, 49u);
    EXPECT_EQ(call.bad, 0u);
  }
}

}  // namespace
}  // namespace ferry::test::srtp_restarts_test
