// SPDX-License-Identifier: Apache-2.0
// Whole faxes through a relay that stands between T.38 and G.711: control, workers and stages, in virtual
// time. Both machines are spandsp's; every pixel is compared.

#include "codecs/fax/steady_buffer.hpp"
#include "tests/support/fax.hpp"
#include "tests/support/fax_call.hpp"
#include "tests/support/secure_call.hpp"

#include <gtest/gtest.h>

namespace ferry::test::fax_calls_test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr SrtpSuite kSuite = SrtpSuite::kAes128Cm80;

/// How a row's fax differs from the usual one.
struct FaxRow {
  const char* name;
  /// The T.38 party sends the pages, and calls; else the one with the modem does.
  bool t38_sends = true;
  /// Share of datagrams that get lost between relay and T.38 party, each way.
  double loss = 0.02;
  bool ecm = true;
  bool parity = false;
  /// A speaks SRTP.
  bool is_secure = false;
  /// The T.38 party is asked to speak it, instead of asking for it.
  bool is_forced = false;
  int version = 0;
  int bit_rate = 14'400;
};

/// A's telephone adapter: 20 ms of a modem's sound each 20 ms.
class Adapter {
 public:
  Adapter(const FaxJob& job, Law law) : machine(job), law_(law) {}
  Packet step() {
    std::array<std::int16_t, 160> samples{};
    buffer_.take(samples);
    machine.hear(samples);
    machine.speak(samples);
    Packet packet(kRtpFixedHeaderSize + samples.size());
    const std::uint8_t type = law_ == Law::kA ? 8 : 0;
    write_rtp_header(packet, PayloadType{type}, false, SeqNo{sequence_++}, timestamp_, Ssrc{0xa});
    timestamp_ += 160;
    for (std::size_t i = 0; i < samples.size(); ++i)
      packet[kRtpFixedHeaderSize + i] =
          std::byte{law_ == Law::kA ? linear_to_alaw(samples[i]) : linear_to_ulaw(samples[i])};
    return packet;
  }
  void take(const Packet& packet) {
    const auto rtp = parse_rtp(packet);
    if (!rtp || rtp->payload.size() != 160) {
      ++odd;
      return;
    }
    if (packets > 0 && (rtp->ssrc != ssrc || distance(rtp->sequence, last) != 1)) ++breaks;
    ssrc = rtp->ssrc;
    last = rtp->sequence;
    ++packets;
    buffer_.put(*rtp);
  }
  SoundMachine machine;
  std::size_t packets = 0;
  /// What is no packet of 20 ms of G.711, and where the stream does not go on.
  std::size_t odd = 0;
  std::size_t breaks = 0;
  Ssrc ssrc;
  SeqNo last;

 private:
  Law law_;
  SteadyBuffer buffer_;
  std::uint16_t sequence_ = 1;
  std::uint32_t timestamp_ = 0;
};

class FaxCalls : public ::testing::TestWithParam<FaxRow> {
 protected:
  /// Sets the call up as the row has it. False if signalling was refused.
  bool set_up() {
    const FaxRow& row = GetParam();
    std::string t38_lines = row.parity ? "a=T38FaxUdpEC:t38UDPFEC\r\n" : "a=T38FaxUdpEC:t38UDPRedundancy\r\n";
    const json words = {{"T.38 version", row.version},
                        {"T.38", [&] {
                           std::vector<std::string> list = {row.is_forced ? "force" : "decode"};
                           if (!row.ecm) list.emplace_back("no-ECM");
                           if (row.parity) list.emplace_back("FEC");
                           return list;
                         }()}};
    std::string image = image_sdp(call.b, t38_lines);
    image.replace(image.find("Version:0"), 9, fmt::format("Version:{}", row.version));
    if (row.is_forced) {
      EXPECT_EQ(call.offer('A', voice_sdp(call.a, "0"), words).media, "image udptl t38");
      EXPECT_EQ(call.answer('B', image).media, "audio RTP/AVP 0");
      return !::testing::Test::HasFailure();
    }
    json request = words;
    if (row.is_secure) {
      request["transport-protocol"] = "RTP/SAVP";
      request["SDES"] = {"only-" + std::string(row_of(kSuite).name)};
    }
    const Shown offered = call.offer('B', image, request);
    if (!row.is_secure) {
      call.answer('A', voice_sdp(call.a, "0"));
    } else {
      const auto lines = lines_of(call.reply());
      EXPECT_FALSE(lines.empty());
      if (lines.empty()) return false;
      std::mt19937 random(1);
      const SrtpSuiteRow& suite = row_of(kSuite);
      const sdp::CryptoLine own{lines.front().tag,
                                &suite,
                                SecretBytes<46>(random_octets(random, std::size_t{suite.key} + suite.salt)),
                                {},
                                {}};
      call.answer(
          'A', section_sdp(call.a, "audio {} RTP/SAVP 0", "a=crypto:" + sdp::write_crypto(own, {}) + "\r\n"));
      srtp = std::make_unique<SrtpEnd>(SrtpKeys{master_key(own), master_key(lines.front())});
    }
    return call.reply()["result"] == "ok" && !::testing::Test::HasFailure();
  }
  /// Lets both machines talk until they are done.
  void talk(Adapter& sound, T38Machine& t38, int most_seconds) {
    LossyLink there(1, GetParam().loss);
    LossyLink back(2, GetParam().loss);
    for (int n = 0; n < most_seconds * 50; ++n) {
      if (sound.machine.engine.is_done() && t38.engine.is_done()) break;
      t38.step();
      for (; !t38.sent.empty(); t38.sent.pop_front()) {
        if (there.passes()) world->send(call.b, call.relay('B'), t38.sent.front());
      }
      Packet packet = sound.step();
      if (srtp) packet = srtp->sealed(packet);
      world->send(call.a, call.relay('A'), packet);
      world->run(world->elapsed() + 20ms);
      for (; seen < world->received().size(); ++seen) {
        const Received& one = world->received()[seen];
        if (one.at == call.b) {
          ++datagrams;
          if (back.passes()) t38.take(one.packet);
        } else if (one.at == call.a) {
          const Packet plain = srtp ? srtp->opened(one.packet) : one.packet;
          sound.take(plain);
        }
      }
    }
    // Figures are written every second.
    for (int n = 0; n < 100; ++n) world->run(world->elapsed() + 20ms);
  }

  std::unique_ptr<World> world = make_fax_world();
  FaxCall call{*world};
  std::unique_ptr<SrtpEnd> srtp;
  std::size_t seen = 0;
  std::size_t datagrams = 0;
};

TEST_P(FaxCalls, EveryPixelArrives) {
  const FaxRow& row = GetParam();
  ASSERT_TRUE(set_up());
  const FaxFolder folder;
  const std::string sent = folder.path + "/sent.tif";
  const std::string received = folder.path + "/received.tif";
  const std::vector<Page> pages = some_pages(pages_to_send());
  write_pages(sent, pages);
  FaxJob sends{.calls = true, .sends = sent};
  FaxJob receives{.receives = received};
  UdptlProtection protection;
  if (row.parity) protection.recovery = UdptlView::Recovery::kParity;
  T38Machine t38(row.t38_sends ? sends : receives, row.version, protection);
  Adapter sound(row.t38_sends ? receives : sends, Law::kMu);
  talk(sound, t38, 60 + 60 * static_cast<int>(pages.size()));
  EXPECT_EQ(t38.engine.result(), T30_ERR_OK);
  EXPECT_EQ(sound.machine.engine.result(), T30_ERR_OK);
  EXPECT_EQ(t38.engine.stats().bit_rate, row.bit_rate);
  EXPECT_EQ(t38.engine.stats().error_correcting_mode != FALSE, row.ecm);
  EXPECT_EQ(read_pages(received), pages);
  EXPECT_EQ(sound.odd, 0u);
  EXPECT_EQ(sound.breaks, 0u) << "one stream without a gap";
  EXPECT_GT(datagrams, 0u);
  const json shown = call.show();
  for (const json& flow : shown["changed"]) {
    EXPECT_EQ(flow["fax"]["pages"], pages.size());
    EXPECT_EQ(flow["fax"]["bit_rate"], row.bit_rate);
    EXPECT_EQ(flow["fax"]["ecm"], row.ecm);
    EXPECT_EQ(flow["fax"]["lost"], 0u) << "redundancy has brought back what was lost";
    if (row.t38_sends) {
      EXPECT_EQ(flow["fax"]["recovered"] > 0, row.loss > 0);
    }
  }
  for (const json& leg : shown["legs"]) EXPECT_EQ(leg["medias"][0]["drops"], json::object()) << leg["tag"];
}

INSTANTIATE_TEST_SUITE_P(All, FaxCalls,
                         ::testing::Values(FaxRow{.name = "FromT38"},
                                           FaxRow{.name = "FromSound", .t38_sends = false},
                                           FaxRow{.name = "WithoutEcm", .loss = 0, .ecm = false},
                                           FaxRow{.name = "Parity", .parity = true},
                                           FaxRow{.name = "Forced", .t38_sends = false, .is_forced = true},
                                           FaxRow{.name = "Secure", .is_secure = true},
                                           FaxRow{.name = "Version3", .version = 3}),
                         [](const auto& each) { return std::string(each.param.name); });

/// Sound before and after a fax, on the same ports.
TEST(FaxInACall, SoundGoesOnBehindTheFax) {
  const auto world = make_fax_world();
  FaxCall call(*world);
  call.offer('A', voice_sdp(call.a));
  call.answer('B', voice_sdp(call.b));
  std::uint16_t sequence = 1;
  const auto talk = [&](int packets) {
    const std::size_t at_a = world->count(call.a);
    const std::size_t at_b = world->count(call.b);
    for (int i = 0; i < packets; ++i) {
      world->send(call.a, call.relay('A'), rtp('A', 0xa, sequence));
      world->send(call.b, call.relay('B'), rtp('B', 0xb, sequence++));
      world->run(world->elapsed() + 20ms);
    }
    return std::pair(world->count(call.a) - at_a, world->count(call.b) - at_b);
  };
  EXPECT_EQ(talk(10), std::pair(std::size_t{10}, std::size_t{10}));
  call.offer('B', image_sdp(call.b), {{"T.38", {"decode"}}});
  call.answer('A', voice_sdp(call.a));
  // B is T.38 now: what it sends as sound is refused, and its datagrams become sound.
  T38Machine machine({.calls = true}, 0, {});
  const std::size_t before = world->count(call.a);
  for (int i = 0; i < 100; ++i) {
    machine.step();
    for (; !machine.sent.empty(); machine.sent.pop_front())
      world->send(call.b, call.relay('B'), machine.sent.front());
    world->send(call.a, call.relay('A'), rtp('A', 0xa, sequence++));
    world->run(world->elapsed() + 20ms);
  }
  EXPECT_GT(world->count(call.a) - before, 50u);
  call.offer('B', voice_sdp(call.b));
  call.answer('A', voice_sdp(call.a));
  const auto [to_a, to_b] = talk(20);
  EXPECT_EQ(to_a, 20u);
  EXPECT_EQ(to_b, 20u);
  // A heard one stream all the time (SSR-2).
  std::optional<RtpView> last;
  for (const Received& each : world->received()) {
    if (each.at != call.a) continue;
    const auto heard = parse_rtp(each.packet);
    ASSERT_TRUE(heard);
    if (last) {
      EXPECT_EQ(heard->ssrc, last->ssrc);
      EXPECT_EQ(distance(heard->sequence, last->sequence), 1);
    }
    last = *heard;
  }
}

/// Nothing of a fax may go raw to a party with sound, and the other way round.
TEST(FaxInACall, LAT7_StrangersAndReportsEndAtTheGateway) {
  const auto world = make_fax_world();
  FaxCall call(*world);
  call.offer('B', image_sdp(call.b), {{"T.38", {"decode"}}});
  call.answer('A', voice_sdp(call.a));
  const Endpoint stranger{world->peer_address(9, 'X'), UdpPort{5000}};
  world->open(stranger);
  for (std::uint16_t n = 0; n < 20; ++n) {
    Packet udptl = bytes_of({0, n, 1, 6, 0, 0});
    world->send(call.b, call.relay('B'), udptl);
    world->send(stranger, call.relay('B'), udptl);
    world->send(call.a, call.relay('A'), rtp('A', 0xa, n));
    const Endpoint rtcp{call.a.address, UdpPort{4001}};
    const Endpoint relay{call.relay('A').address,
                         UdpPort{static_cast<std::uint16_t>(call.relay('A').port.value + 1)}};
    if (n % 10 == 9) world->send(rtcp, relay, receiver_report(0xa));
    world->run(world->elapsed() + 20ms);
  }
  EXPECT_EQ(world->count(stranger), 0u);
  for (const Received& each : world->received()) {
    if (each.at == call.a) {
      EXPECT_TRUE(parse_rtp(each.packet)) << "sound, and nothing else";
    } else {
      EXPECT_EQ(each.at, call.b);
      EXPECT_NE(read_u8(each.packet, 0) & 0xc0, 0x80) << "no RTP and no RTCP";
    }
  }
  const json legs = call.show()["legs"];
  std::map<std::string, json> drops;
  for (const json& leg : legs) drops[leg["tag"]] = leg["medias"][0]["drops"];
  EXPECT_EQ(drops["B"].value("foreign-source", 0), 20);
  EXPECT_EQ(drops["A"].value("no-sink", 0), 2) << "reports";
}

}  // namespace
}  // namespace ferry::test::fax_calls_test
