// SPDX-License-Identifier: Apache-2.0
// LAT-15: an offer is a proposal. Until its answer, and after a refusal that nobody tells the relay, both
// parties hear each other as agreed; the proposed source is accepted beside the agreed one until the proposal
// ends.

#include "tests/support/kernel_model.hpp"
#include "tests/support/secure_call.hpp"
#include "tests/support/world.hpp"

#include <functional>
#include <map>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test::proposal_test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr Duration kGap = 20ms;

std::unique_ptr<World> make_world(bool kernel) {
  WorldOptions options;
  // Parties that are silent for 180 s do not end their calls here.
  options.session.timeout = options.session.silent_timeout = options.session.rtpproxy.timeout = 1h;
  if (kernel) options.offload = [](SimNetwork& network) { return std::make_unique<KernelModel>(network); };
  return make_sim_world(options);
}

/// A datagram that `is_udptl` takes and that is no RTP.
Packet udptl(char sender, std::uint16_t sequence) {
  Packet packet(20, std::byte{0});
  write_u16(packet, 0, sequence);
  write_u8(packet, 2, 10);
  packet[kRtpFixedHeaderSize] = static_cast<std::byte>(sender);
  return packet;
}

std::string image_sdp(const Endpoint& media) {
  return fmt::format(
      "v=0\r\no=- 1 2 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=image {1} udptl t38\r\n"
      "a=T38FaxVersion:0\r\n",
      media.address.to_string(), media.port.value);
}

/// A call of A and B, with what each of them sends.
class Call {
 public:
  /// `answer`: how the client calls the answer to the first offer.
  Call(World& world, unsigned number, const std::string& answer_command = "answer")
      : world_(world), number_(number), id_(fmt::format("p{}", number)) {
    a_to = b_to = {};
    a = place('A');
    b = place('B');
    offer('A', audio_sdp(a));
    if (answer_command == "answer") {
      answer('B', audio_sdp(b));
    } else {
      is_answered_ = true;
      a_to = World::port_of(offer('B', audio_sdp(b)));
    }
  }

  [[nodiscard]] Endpoint place(char who, std::uint16_t port = 4000) {
    const Endpoint at{world_.peer_address(number_, who), UdpPort{port}};
    world_.open(at);
    return at;
  }

  json offer(char who, const std::string& sdp, const json& more = json::object()) {
    json request = test::offer(id_, std::string(1, who), sdp);
    if (is_answered_) request["to-tag"] = std::string(1, other(who));
    request.update(more);
    json reply = world_.ng(request);
    EXPECT_EQ(reply.value("result", ""), "ok") << reply;
    if (!is_answered_) a_or_b(other(who)) = World::port_of(reply);
    return reply;
  }
  /// The answer of `who` to the other's offer. From now on both use what it agreed on.
  json answer(char who, const std::string& sdp) {
    json reply = world_.ng(test::answer(id_, std::string(1, other(who)), std::string(1, who), sdp));
    EXPECT_EQ(reply.value("result", ""), "ok") << reply;
    a_or_b(other(who)) = World::port_of(reply);
    is_answered_ = true;
    return reply;
  }
  /// Where `who` sends to.
  UdpPort& a_or_b(char who) { return who == 'A' ? a_to : b_to; }

  struct Stream {
    char who;  // A or B, whose relay port it goes to
    Endpoint from;
    std::uint32_t ssrc;
    char mark = 0;  // that its packets carry; 0 = who
    std::uint8_t type = 8;
  };
  /// Each stream sends 50 packets a second for a time.
  void talk(Duration time, const std::vector<Stream>& streams) {
    const Duration start = world_.elapsed();
    const auto count = static_cast<int>(time / kGap);
    for (int i = 0; i < count; ++i) {
      for (const Stream& s : streams) {
        world_.at(start + i * kGap, [this, s] {
          const Packet packet = rtp(s.mark != 0 ? s.mark : s.who, s.ssrc, next_[s.ssrc]++, s.type);
          world_.send(s.from, {world_.relay_address(), a_or_b(s.who)}, packet);
        });
      }
    }
    world_.run(start + time);
  }
  void send(char who, const Endpoint& from, const Packet& packet) {
    world_.send(from, {world_.relay_address(), a_or_b(who)}, packet);
  }
  /// Packets of `sender` at `at` since the last `talk_both` or `mark`.
  [[nodiscard]] std::size_t heard(const Endpoint& at, char sender) const {
    return static_cast<std::size_t>(
        std::count_if(world_.received().begin() + static_cast<std::ptrdiff_t>(seen_), world_.received().end(),
                      [&](const Received& r) { return r.at == at && sender_of(r.packet) == sender; }));
  }
  [[nodiscard]] std::size_t heard(const Endpoint& at) const {
    return static_cast<std::size_t>(
        std::count_if(world_.received().begin() + static_cast<std::ptrdiff_t>(seen_), world_.received().end(),
                      [&](const Received& r) { return r.at == at; }));
  }
  void mark() { seen_ = world_.received().size(); }
  void pass(Duration time) { world_.run(world_.elapsed() + time); }

  /// A and B talk where they are: everything arrives.
  void expect_two_way(const std::string& when) {
    mark();
    talk(400ms, {{'A', a, 0xA}, {'B', b, 0xB}});
    EXPECT_EQ(heard(b, 'A'), 20u) << when;
    EXPECT_EQ(heard(a, 'B'), 20u) << when;
  }
  /// Goes through a record of the call: what it says is what the call does.
  void through_record() {
    const json record = json::parse(world_.manager().export_call(id_, world_.clock()).dump());
    world_.manager().terminate(id_, world_.clock());
    world_.manager().flush(world_.clock());
    const auto restored = world_.manager().restore_call(record, world_.clock());
    EXPECT_TRUE(restored) << (restored ? "" : restored.error());
    world_.manager().flush(world_.clock());
    EXPECT_EQ(json::parse(world_.manager().export_call(id_, world_.clock()).dump()), record);
  }
  std::uint64_t drops(char who, const char* reason) {
    const json call = world_.manager().show(id_, world_.clock());
    for (const json& leg : call["legs"]) {
      if (leg["tag"] == std::string(1, who)) return leg["medias"][0]["drops"].value(reason, std::uint64_t{0});
    }
    return 0;
  }

  static char other(char who) { return who == 'A' ? 'B' : 'A'; }
  [[nodiscard]] const std::string& id() const { return id_; }

  Endpoint a;
  Endpoint b;
  UdpPort a_to;
  UdpPort b_to;

 private:
  World& world_;
  unsigned number_;
  std::string id_;
  bool is_answered_ = false;
  std::map<std::uint32_t, std::uint16_t> next_;
  std::size_t seen_ = 0;
};

std::string with(std::string sdp, const std::string& from, const std::string& to) {
  const auto at = sdp.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at != std::string::npos) sdp.replace(at, from.size(), to);
  return sdp;
}

/// A re-offer that nobody answers.
struct Refused {
  const char* name;
  /// Makes the SDP of the offerer, who is at `at` and proposes to be at `next`.
  std::function<std::string(const Endpoint& at, const Endpoint& next)> sdp;
  json more = json::object();
  /// `next` is where it wants to be.
  bool moves = false;
};

const std::vector<Refused> kRefused = {
    {"hold: sendonly", [](auto& at, auto&) { return audio_sdp(at, "a=sendonly\r\n"); }},
    {"hold: inactive", [](auto& at, auto&) { return audio_sdp(at, "a=inactive\r\n"); }},
    {"recvonly", [](auto& at, auto&) { return audio_sdp(at, "a=recvonly\r\n"); }},
    {"hold: 0.0.0.0",
     [](auto& at, auto&) {
       return with(audio_sdp(at), "c=IN IP4 " + at.address.to_string(), "c=IN IP4 0.0.0.0");
     }},
    {"another address", [](auto&, auto& next) { return audio_sdp(next); }, json::object(), true},
    {"another address, on hold", [](auto&, auto& next) { return audio_sdp(next, "a=inactive\r\n"); },
     json::object(), true},
    {"another address behind another proxy",
     [](auto&, auto& next) { return audio_sdp(next); },
     {{"received-from", {"IP4", "192.0.2.99"}}},
     true},
    {"T.38 at the same port", [](auto& at, auto&) { return image_sdp(at); }},
    {"T.38 elsewhere", [](auto&, auto& next) { return image_sdp(next); }, json::object(), true},
    {"rejected", [](auto& at, auto&) { return with(audio_sdp(at), "m=audio 4000", "m=audio 0"); }},
    {"another codec", [](auto& at, auto&) { return with(audio_sdp(at), "RTP/AVP 8 0", "RTP/AVP 9"); }},
    {"one more section",
     [](auto& at, auto&) { return audio_sdp(at) + "m=video 4010 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"; }},
    {"rtcp-mux", [](auto& at, auto&) { return audio_sdp(at, "a=rtcp-mux\r\n"); }},
    {"RTCP elsewhere", [](auto& at, auto&) { return audio_sdp(at, "a=rtcp:4777\r\n"); }},
    {"another local interface",
     [](auto& at, auto&) { return audio_sdp(at); },
     {{"direction", {"global", "ring"}}}},
    {"another family", [](auto& at, auto&) { return audio_sdp(at); }, {{"flags", {"asymmetric"}}}},
    {"another profile", [](auto& at, auto&) { return audio_sdp(at); }, {{"transport-protocol", "RTP/SAVP"}}},
    {"learning by name",
     [](auto&, auto& next) { return audio_sdp(next); },
     {{"endpoint-learning", "immediate"}},
     true},
    {"the same again", [](auto& at, auto&) { return audio_sdp(at); }},
};

class FieldProposal : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Engines, FieldProposal, ::testing::Bool(),
                         [](const auto& engine) { return engine.param ? "kernel" : "user"; });

TEST_P(FieldProposal, LAT15_ARefusedOfferChangesNothing) {
  const auto world = make_world(GetParam());
  unsigned number = 0;
  for (const Refused& row : kRefused) {
    for (const char who : {'A', 'B'}) {
      for (const bool goes_through_record : {false, true}) {
        SCOPED_TRACE(fmt::format("{} by {}{}", row.name, who, goes_through_record ? ", exported" : ""));
        Call call(*world, ++number);
        call.expect_two_way("before");
        const Endpoint at = who == 'A' ? call.a : call.b;
        const Endpoint far = who == 'A' ? call.b : call.a;
        const Endpoint next = call.place('N');
        call.offer(who, row.sdp(at, next), row.more);
        if (goes_through_record) call.through_record();
        call.expect_two_way("without an answer");
        if (row.moves) {
          // Accepted beside the agreed source, which stays the one that is sent to.
          call.mark();
          call.talk(400ms, {{'A', call.a, 0xA}, {'B', call.b, 0xB}, {who, next, 0xC, 'N'}});
          EXPECT_EQ(call.heard(far, 'N'), 20u);
          EXPECT_EQ(call.heard(far, who), 20u);
          EXPECT_EQ(call.heard(at, Call::other(who)), 20u);
          EXPECT_EQ(call.heard(next), 0u);
        }
        call.pass(181s);
        call.expect_two_way("after its time");
        call.mark();
        call.talk(100ms, {{who, next, 0xC, 'N'}});
        EXPECT_EQ(call.heard(far), 0u) << "its source is refused again";
        EXPECT_EQ(call.heard(next), 0u);
        world->manager().terminate(call.id(), world->clock());
        world->manager().flush(world->clock());
      }
    }
  }
  EXPECT_EQ(world->forwarded_by_kernel() > 0, GetParam());
}

TEST_P(FieldProposal, LAT15_TheAnswerPutsItIntoForceAtOnce) {
  const auto world = make_world(GetParam());
  unsigned number = 0;
  for (const bool speaks_before : {false, true}) {
    for (const char who : {'A', 'B'}) {
      SCOPED_TRACE(fmt::format("{}{}", who, speaks_before ? ", heard before the answer" : ""));
      Call call(*world, ++number);
      call.expect_two_way("before");
      Endpoint& at = who == 'A' ? call.a : call.b;
      const Endpoint old = at;
      const Endpoint far = who == 'A' ? call.b : call.a;
      const Endpoint next = call.place('N', 4002);
      call.offer(who, audio_sdp(next), {{"flags", {"port-latching"}}});
      if (speaks_before) call.talk(200ms, {{'A', call.a, 0xA}, {'B', call.b, 0xB}, {who, next, 0xC, 'N'}});
      call.answer(Call::other(who), audio_sdp(far));
      call.mark();
      call.talk(300ms, {{who, old, who == 'A' ? 0xAu : 0xBu, 'L'},
                        {who, next, 0xC, 'N'},
                        {Call::other(who), far, who == 'A' ? 0xBu : 0xAu}});
      EXPECT_EQ(call.heard(far, 'L'), 0u) << "late ones of the old address";
      EXPECT_EQ(call.heard(far, 'N'), 15u);
      EXPECT_EQ(call.heard(old), 0u);
      EXPECT_EQ(call.heard(next, Call::other(who)), 15u);
    }
  }
}

TEST_P(FieldProposal, LAT15_AnAnswerSettlesDirections) {
  const auto world = make_world(GetParam());
  Call call(*world, 1);
  call.expect_two_way("before");
  call.offer('A', audio_sdp(call.a, "a=sendonly\r\n"));
  call.expect_two_way("without an answer");
  call.answer('B', audio_sdp(call.b, "a=recvonly\r\n"));
  call.mark();
  call.talk(400ms, {{'A', call.a, 0xA}, {'B', call.b, 0xB}});
  EXPECT_EQ(call.heard(call.b, 'A'), 20u);
  EXPECT_EQ(call.heard(call.a), 0u) << "on hold";
  // The end of the hold is refused: it goes on.
  call.offer('A', audio_sdp(call.a));
  call.mark();
  call.talk(400ms, {{'A', call.a, 0xA}, {'B', call.b, 0xB}});
  EXPECT_EQ(call.heard(call.a), 0u) << "still on hold";
  call.offer('B', audio_sdp(call.b));
  call.answer('A', audio_sdp(call.a));
  call.expect_two_way("after the hold");
}

TEST_P(FieldProposal, LAT15_GlareLeavesBothWhereTheyAre) {
  const auto world = make_world(GetParam());
  unsigned number = 0;
  for (const auto& [first, second] : {std::pair{'A', 'B'}, std::pair{'B', 'A'}}) {
    Call call(*world, ++number);
    const Endpoint next_a = call.place('M');
    const Endpoint next_b = call.place('N');
    const auto offer = [&](char who) {
      call.offer(who, audio_sdp(who == 'A' ? next_a : next_b, "a=sendonly\r\n"));
    };
    call.expect_two_way("before");
    offer(first);
    offer(second);
    call.expect_two_way("both unanswered");
    // The first one ended with the second.
    call.mark();
    call.talk(200ms, {{'A', next_a, 0xC, 'M'}, {'B', next_b, 0xD, 'N'}});
    EXPECT_EQ(call.heard(call.b, 'M'), second == 'A' ? 10u : 0u);
    EXPECT_EQ(call.heard(call.a, 'N'), second == 'B' ? 10u : 0u);
    // One of them tries again and is answered.
    call.offer(first, audio_sdp(first == 'A' ? next_a : next_b));
    call.answer(second, audio_sdp(second == 'A' ? call.a : call.b));
    (first == 'A' ? call.a : call.b) = first == 'A' ? next_a : next_b;
    call.expect_two_way("after the second try");
  }
}

TEST_P(FieldProposal, LAT15_ALaterOfferReplacesOneWithoutAnswer) {
  const auto world = make_world(GetParam());
  Call call(*world, 1);
  const Endpoint first = call.place('M');
  const Endpoint second = call.place('N');
  call.expect_two_way("before");
  call.offer('A', audio_sdp(first, "a=inactive\r\n"));
  call.talk(100ms, {{'A', first, 0xC, 'M'}});
  call.offer('A', audio_sdp(second));
  call.mark();
  call.talk(200ms, {{'A', call.a, 0xA}, {'A', first, 0xC, 'M'}, {'A', second, 0xD, 'N'}, {'B', call.b, 0xB}});
  EXPECT_EQ(call.heard(call.b, 'M'), 0u) << "of the first offer";
  EXPECT_EQ(call.heard(call.b, 'N'), 10u);
  EXPECT_EQ(call.heard(call.b, 'A'), 10u);
  EXPECT_EQ(call.heard(call.a, 'B'), 10u);
  call.answer('B', audio_sdp(call.b));
  call.a = second;
  call.expect_two_way("after the answer to the second");
}

TEST_P(FieldProposal, LAT15_AnAnswerThatIsLateCountsAllTheSame) {
  const auto world = make_world(GetParam());
  unsigned number = 0;
  for (const bool glare : {false, true}) {
    for (const bool goes_through_record : {false, true}) {
      Call call(*world, ++number);
      const Endpoint next = call.place('N');
      call.expect_two_way("before");
      call.offer('A', audio_sdp(next));
      if (glare) {
        call.offer('B', audio_sdp(call.b, "a=inactive\r\n"));
      } else {
        call.pass(200s);
      }
      if (goes_through_record) call.through_record();
      call.expect_two_way("over");
      call.answer('B', audio_sdp(call.b));
      call.a = next;
      call.expect_two_way("answered after all");
    }
  }
}

TEST_P(FieldProposal, LAT15_ItEndsAfter180SecondsWithoutAPacket) {
  const auto world = make_world(GetParam());
  Call call(*world, 1);
  const Endpoint next = call.place('N');
  call.expect_two_way("before");
  call.offer('A', audio_sdp(next));
  call.pass(178s);
  call.mark();
  call.talk(100ms, {{'A', next, 0xC, 'N'}});
  EXPECT_EQ(call.heard(call.b, 'N'), 5u);
  call.pass(3s);
  call.mark();
  call.talk(100ms, {{'A', next, 0xC, 'N'}});
  EXPECT_EQ(call.heard(call.b, 'N'), 0u);
  call.expect_two_way("afterwards");
}

TEST_P(FieldProposal, LAT15_FaxPassesBesideVoiceUntilItIsRefused) {
  const auto world = make_world(GetParam());
  for (const char who : {'A', 'B'}) {
    Call call(*world, who == 'A' ? 1 : 2);
    call.expect_two_way("before");
    call.offer(who, image_sdp(who == 'A' ? call.a : call.b));
    call.expect_two_way("without an answer");
    call.mark();
    for (std::uint16_t n = 0; n < 5; ++n) {
      call.send('A', call.a, udptl('F', n));
      call.send('B', call.b, udptl('G', n));
    }
    EXPECT_EQ(call.heard(call.b, 'F'), 5u);
    EXPECT_EQ(call.heard(call.a, 'G'), 5u);
    call.pass(181s);
    call.mark();
    for (std::uint16_t n = 5; n < 10; ++n) {
      call.send('A', call.a, udptl('F', n));
      call.send('B', call.b, udptl('G', n));
    }
    EXPECT_EQ(call.heard(call.b), 0u);
    EXPECT_EQ(call.heard(call.a), 0u);
    call.expect_two_way("afterwards");
  }
}

TEST_P(FieldProposal, LAT15_VoicePassesBesideFaxUntilItIsRefused) {
  const auto world = make_world(GetParam());
  Call call(*world, 1);
  call.expect_two_way("before");
  call.offer('A', image_sdp(call.a));
  call.answer('B', image_sdp(call.b));
  const auto fax = [&](const char* when) {
    call.mark();
    for (std::uint16_t n = 0; n < 5; ++n) {
      call.send('A', call.a, udptl('F', n));
      call.send('B', call.b, udptl('G', n));
    }
    EXPECT_EQ(call.heard(call.b, 'F'), 5u) << when;
    EXPECT_EQ(call.heard(call.a, 'G'), 5u) << when;
  };
  fax("agreed");
  // Back to voice; B answers with RTP before its answer is here.
  call.offer('A', audio_sdp(call.a));
  fax("without an answer");
  call.mark();
  call.talk(100ms, {{'B', call.b, 0xB}});
  EXPECT_EQ(call.heard(call.a, 'B'), 5u);
  call.pass(181s);
  fax("refused");
  call.offer('A', audio_sdp(call.a));
  call.answer('B', audio_sdp(call.b));
  call.expect_two_way("voice again");
}

TEST_P(FieldProposal, LAT15_ARefusedSectionLeavesNoTrace) {
  const auto world = make_world(GetParam());
  Call call(*world, 1);
  const std::string video = "m=video 4010 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";
  const auto ports = world->open_ports();
  const auto offered = call.offer('A', audio_sdp(call.a) + video);
  EXPECT_GT(world->open_ports(), ports);
  // The same again, as after a 491, has the same ports.
  EXPECT_EQ(call.offer('A', audio_sdp(call.a) + video)["sdp"], offered["sdp"]);
  // B asks for something else meanwhile: neither its offer nor its answer knows of the video.
  const auto theirs = call.offer('B', audio_sdp(call.b)).at("sdp").get<std::string>();
  EXPECT_EQ(theirs.find("m=video"), std::string::npos);
  const auto answer = call.answer('A', audio_sdp(call.a)).at("sdp").get<std::string>();
  EXPECT_EQ(answer.find("m=video"), std::string::npos);
  EXPECT_EQ(world->open_ports(), ports) << "its ports are closed";
  call.expect_two_way("afterwards");
  // The proposed ports are also closed when the proposal has run out.
  call.offer('B', audio_sdp(call.b) + video);
  call.pass(181s);
  EXPECT_EQ(world->open_ports(), ports);
  // An answer makes it last.
  call.offer('B', audio_sdp(call.b) + video);
  const auto both = call.answer('A', audio_sdp(call.a) + video).at("sdp").get<std::string>();
  EXPECT_NE(both.find("m=video"), std::string::npos);
  const auto more = world->open_ports();
  call.pass(20s);
  EXPECT_EQ(world->open_ports(), more);
}

TEST_P(FieldProposal, LAT15_ARefusedRemovalOfASectionChangesNothing) {
  const auto world = make_world(GetParam());
  Call call(*world, 1);
  const std::string video = "m=video 4010 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";
  call.offer('A', audio_sdp(call.a) + video);
  const auto answered = call.answer('B', audio_sdp(call.b) + video).at("sdp").get<std::string>();
  const Endpoint a_video = call.place('A', 4010);
  const Endpoint b_video = call.place('B', 4010);
  const auto line = answered.find("m=video ");
  const UdpPort to{static_cast<std::uint16_t>(std::stoi(answered.substr(line + 8)))};
  std::uint16_t sequence = 1;
  const auto video_passes = [&] {
    call.mark();
    for (int i = 0; i < 5; ++i)
      world->send(a_video, {world->relay_address(), to}, rtp('V', 0x5, sequence++, 96));
    return call.heard(b_video, 'V') == 5;
  };
  EXPECT_TRUE(video_passes());
  call.offer('A', audio_sdp(call.a));  // without the section
  EXPECT_TRUE(video_passes());
  call.offer('A', audio_sdp(call.a) + "m=video 0 RTP/AVP 96\r\n");
  EXPECT_TRUE(video_passes());
  call.expect_two_way("without an answer");
  call.answer('B', audio_sdp(call.b) + "m=video 0 RTP/AVP 96\r\n");
  EXPECT_FALSE(video_passes());
}

TEST_P(FieldProposal, SSR3_OneSsrcHasOneSourceAtATime) {
  const auto world = make_world(GetParam());
  Call call(*world, 1);
  const Endpoint next = call.place('N');
  call.expect_two_way("before");
  call.offer('A', audio_sdp(next));
  // Both addresses use it at once: the first one has it.
  call.mark();
  call.talk(400ms, {{'A', call.a, 0xA}, {'B', call.b, 0xB}});
  for (std::uint16_t n = 60; n < 65; ++n) call.send('A', next, rtp('N', 0xA, n));
  EXPECT_EQ(call.heard(call.b, 'N'), 0u);
  EXPECT_EQ(call.drops('A', "ssrc-collision"), 5u);
  // The stream itself moves: it goes on from where it was.
  call.pass(100ms);
  call.mark();
  call.talk(400ms, {{'A', next, 0xA, 'N'}, {'B', call.b, 0xB}});
  EXPECT_EQ(call.heard(call.b, 'N'), 20u);
  EXPECT_EQ(call.heard(call.a, 'B'), 20u) << "sent to where it was agreed";
}

TEST_P(FieldProposal, LAT15_AStrangerIsNotLetInByAProposal) {
  const auto world = make_world(GetParam());
  unsigned number = 0;
  for (const json& more : {json::object(), json{{"endpoint-learning", "immediate"}}, json{{"latch", "any"}},
                           json{{"latch", "uncontested"}}, json{{"latch", "off"}}}) {
    Call call(*world, ++number);
    const Endpoint next = call.place('N');
    const Endpoint stranger = call.place('X');
    call.expect_two_way("before");
    call.offer('A', audio_sdp(next), more);
    call.mark();
    call.talk(1500ms, {{'A', call.a, 0xA}, {'B', call.b, 0xB}, {'A', stranger, 0xE, 'X'}});
    EXPECT_EQ(call.heard(call.b, 'X'), 0u) << more;
    EXPECT_EQ(call.heard(stranger), 0u) << more;
  }
}

TEST_P(FieldProposal, LAT15_RtcpOfTheProposedSource) {
  const auto world = make_world(GetParam());
  Call call(*world, 1);
  const Endpoint next = call.place('N');
  const Endpoint next_rtcp = call.place('N', 4001);
  const Endpoint b_rtcp = call.place('B', 4001);
  const UdpPort to_rtcp{static_cast<std::uint16_t>(call.a_to.value + 1)};
  call.expect_two_way("before");
  call.offer('A', audio_sdp(next));
  call.mark();
  world->send(next_rtcp, {world->relay_address(), to_rtcp}, receiver_report(0xC));
  EXPECT_EQ(call.heard(b_rtcp), 1u);
  call.pass(181s);
  call.mark();
  world->send(next_rtcp, {world->relay_address(), to_rtcp}, receiver_report(0xC));
  EXPECT_EQ(call.heard(b_rtcp), 0u);
}

TEST_P(FieldProposal, LAT15_AClientThatSaysOfferForBothSides) {
  const auto world = make_world(GetParam());
  Call call(*world, 1, "offer");
  call.expect_two_way("before");
  // Refused.
  call.offer('A', audio_sdp(call.a, "a=inactive\r\n"));
  call.expect_two_way("without an answer");
  call.pass(181s);
  call.expect_two_way("after its time");
  // Taken, in the same way.
  const Endpoint next = call.place('N');
  call.offer('A', audio_sdp(next));
  call.expect_two_way("without an answer");
  call.offer('B', audio_sdp(call.b));
  call.a = next;
  call.expect_two_way("after the offer that is its answer");
  // From the first answer on an offer is an offer.
  call.offer('A', audio_sdp(call.a));
  call.answer('B', audio_sdp(call.b));
  call.offer('A', audio_sdp(call.place('M')));
  call.offer('B', audio_sdp(call.b, "a=sendonly\r\n"));
  call.expect_two_way("both refused");
}

TEST_P(FieldProposal, LAT15_DeletionOfANewBranchEndsTheProposal) {
  const auto world = make_world(GetParam());
  Call call(*world, 1);
  const Endpoint next = call.place('N');
  call.expect_two_way("before");
  // A is offered to a third party, from another address.
  json request = offer(call.id(), "A", audio_sdp(next));
  request["via-branch"] = "third";
  ASSERT_EQ(world->ng(request)["result"], "ok");
  call.expect_two_way("while the third party rings");
  call.mark();
  call.talk(100ms, {{'A', next, 0xC, 'N'}});
  EXPECT_EQ(call.heard(call.b, 'N'), 5u);
  ASSERT_EQ(world->ng({{"command", "delete"},
                       {"call-id", call.id()},
                       {"from-tag", "A"},
                       {"via-branch", "third"},
                       {"delete-delay", 0}})["result"],
            "ok");
  call.mark();
  call.talk(100ms, {{'A', next, 0xC, 'N'}});
  EXPECT_EQ(call.heard(call.b, 'N'), 0u);
  call.expect_two_way("afterwards");
}

TEST_P(FieldProposal, LAT15_BehindANat) {
  const auto world = make_world(GetParam());
  // Private addresses in the SDP, a global one advertised: the source of signalling decides (LAT-4).
  const Endpoint at{world->peer_address(1, 'A'), UdpPort{4000}};
  const Endpoint next{world->peer_address(2, 'A'), UdpPort{4000}};
  const Endpoint b{world->peer_address(1, 'B'), UdpPort{4000}};
  for (const Endpoint& each : {at, next, b}) world->open(each);
  const auto signal = [&](const char* address, const Endpoint& seen, bool again) {
    json request = offer("nat", "A", audio_sdp({*IpAddress::parse(address), UdpPort{7000}}));
    request["direction"] = {"global", "plain"};
    request["received-from"] = {"IP4", seen.address.to_string()};
    if (again) request["to-tag"] = "B";
    return world->ng(request);
  };
  const UdpPort to_b = World::port_of(signal("10.0.0.5", at, false));
  const Endpoint for_a{world->relay_address("global"),
                       World::port_of(world->ng(answer("nat", "A", "B", audio_sdp(b))))};
  const Endpoint for_b{world->relay_address(), to_b};
  std::uint16_t n = 1;
  const auto talk = [&](const Endpoint& from, std::uint32_t ssrc) {
    const std::size_t before = world->count(b, 'A');
    for (int i = 0; i < 10; ++i) {
      world->send(from, for_a, rtp('A', ssrc, n));
      world->send(b, for_b, rtp('B', 0xB, n++));
      world->run(world->elapsed() + kGap);
    }
    return world->count(b, 'A') - before;
  };
  EXPECT_EQ(talk(at, 0xA), 10u);
  signal("10.0.0.6", next, true);
  EXPECT_EQ(talk(at, 0xA), 10u);
  EXPECT_EQ(talk(next, 0xC), 10u) << "under probation, then accepted";
  EXPECT_EQ(world->count(next), 0u);
  const std::size_t sent = world->count(at, 'B');
  talk(at, 0xA);
  EXPECT_EQ(world->count(at, 'B'), sent + 10);
  world->ng(answer("nat", "A", "B", audio_sdp(b)));
  EXPECT_EQ(talk(next, 0xC), 10u);
  EXPECT_EQ(world->count(next, 'B'), 10u) << "without learning it anew";
  EXPECT_EQ(talk(at, 0xA), 0u);
}

TEST_P(FieldProposal, LAT15_ASubscriberHearsWhatIsAgreed) {
  const auto world = make_world(GetParam());
  Call call(*world, 1);
  const Endpoint listener = call.place('S');
  const json request = {{"command", "subscribe request"}, {"call-id", call.id()}, {"from-tags", {"A"}}};
  const json asked = world->ng(request);
  ASSERT_EQ(asked["result"], "ok") << asked;
  ASSERT_EQ(world->ng({{"command", "subscribe answer"},
                       {"call-id", call.id()},
                       {"to-tag", asked["to-tag"]},
                       {"sdp", audio_sdp(listener, "a=recvonly\r\n")}})["result"],
            "ok");
  call.expect_two_way("before");
  EXPECT_EQ(call.heard(listener, 'A'), 20u);
  for (const std::string& sdp : {audio_sdp(call.a, "a=inactive\r\n"), image_sdp(call.a),
                                 with(audio_sdp(call.a), "m=audio 4000", "m=audio 0")}) {
    call.offer('A', sdp);
    call.expect_two_way("without an answer");
    EXPECT_EQ(call.heard(listener, 'A'), 20u) << sdp;
  }
}

TEST_P(FieldProposal, LAT15_ANewKeyWaitsWithTheNewAddress) {
  const auto world = make_world(GetParam());
  SecureCall call(*world, 1, SrtpSuite::kAes128Cm80, SrtpSuite::kAes128Cm80);
  call.set_up();
  const auto both_hear = [&](const char* when) {
    for (int i = 0; i < 10; ++i) {
      call.deliver(call.a(), call.next(call.a()));
      call.deliver(call.b(), call.next(call.b()));
      call.pass();
    }
    EXPECT_EQ(call.heard(call.b()).size(), 10u) << when;
    EXPECT_EQ(call.heard(call.a()).size(), 10u) << when;
    EXPECT_EQ(call.bad, 0u) << when;
  };
  both_hear("before");
  const sdp::CryptoLine own = call.a().own;
  const Endpoint at = call.a().rtp;
  call.a().own = call.fresh_line(SrtpSuite::kAes128Cm80);
  call.a().rtp = {world->peer_address(1, 'N'), UdpPort{4000}};
  world->open(call.a().rtp);
  const UdpPort relay = call.b().relay;
  call.offer();
  call.a().own = own;
  call.a().rtp = at;
  call.b().relay = relay;
  both_hear("without an answer");
  // Under the agreed keys the proposed source is heard as well.
  const Endpoint next{world->peer_address(1, 'N'), UdpPort{4000}};
  for (int i = 0; i < 10; ++i) call.deliver_from(next, call.a(), call.next(call.a()));
  EXPECT_EQ(call.heard(call.b()).size(), 10u);
  EXPECT_EQ(world->count(next), 0u);
  call.pass(181s);
  both_hear("afterwards");
  // The agreed source speaks, so that it has not moved there (LAT-8b).
  call.deliver_from(next, call.a(), call.next(call.a()));
  EXPECT_EQ(call.heard(call.b()).size(), 0u);
}

// The rtpproxy protocol

class RtpproxyTalk {
 public:
  explicit RtpproxyTalk(World& world) : world_(world) {
    for (const Endpoint& each : {a, b, next}) world_.open(each);
    to_b = World::port_of(say("U", a, "A B"));
    to_a = World::port_of(say("L", b, "A B"));
  }
  std::string say(const std::string& command, const Endpoint& media, const std::string& tags) {
    return world_.rtpproxy(
        fmt::format("{} c {} {} {}", command, media.address.to_string(), media.port.value, tags));
  }
  void expect(const Endpoint& a_at, const std::string& when) {
    const auto before = [&](const Endpoint& at, char who) { return world_.count(at, who); };
    const std::size_t b_before = before(b, 'A');
    const std::size_t a_before = before(a_at, 'B');
    for (int i = 0; i < 10; ++i) {
      world_.send(a_at, {world_.relay_address(), to_a}, rtp('A', 0xA, n));
      world_.send(b, {world_.relay_address(), to_b}, rtp('B', 0xB, n++));
      world_.run(world_.elapsed() + kGap);
    }
    EXPECT_EQ(world_.count(b, 'A') - b_before, 10u) << when;
    EXPECT_EQ(world_.count(a_at, 'B') - a_before, 10u) << when;
  }
  std::size_t from_next() {
    const std::size_t before = world_.count(b, 'N');
    for (int i = 0; i < 5; ++i) world_.send(next, {world_.relay_address(), to_a}, rtp('N', 0xC, m++));
    return world_.count(b, 'N') - before;
  }

  Endpoint a = Endpoint::parse("198.51.1.65:4000").value();
  Endpoint b = Endpoint::parse("198.51.1.66:4000").value();
  Endpoint next = Endpoint::parse("198.51.1.78:4000").value();
  UdpPort to_a;
  UdpPort to_b;

 private:
  World& world_;
  std::uint16_t n = 1;
  std::uint16_t m = 1;
};

TEST_P(FieldProposal, LAT15_rtpproxy_AnUpdateWaitsForItsLookup) {
  for (const char* command : {"U", "Un"}) {
    const auto world = make_world(GetParam());
    RtpproxyTalk call(*world);
    call.expect(call.a, "before");
    const UdpPort offered = World::port_of(call.say(command, call.next, "A B"));
    EXPECT_EQ(offered == call.to_b, std::string(command) == "U");
    call.expect(call.a, "without a lookup");
    EXPECT_EQ(call.from_next(), 5u);
    EXPECT_EQ(world->count(call.next), 0u);
    world->run(world->elapsed() + 181s);
    // The session would have ended of its time-out without packets: it is kept alive by them.
    call.expect(call.a, "after its time");
    EXPECT_EQ(call.from_next(), 0u);
    const UdpPort again = World::port_of(call.say(command, call.next, "A B"));
    call.to_a = World::port_of(call.say("L", call.b, "A B"));
    call.to_b = again;
    call.expect(call.next, "after the lookup");
  }
}

TEST_P(FieldProposal, LAT15_rtpproxy_TheOtherPartyUpdatesWithoutLookup) {
  const auto world = make_world(GetParam());
  RtpproxyTalk call(*world);
  call.expect(call.a, "before");
  const Endpoint b = call.b;
  EXPECT_EQ(World::port_of(call.say("U", call.next, "B A")), call.to_a);
  call.expect(call.a, "without a lookup");
  // The lookup of A answers it.
  EXPECT_EQ(World::port_of(call.say("L", call.a, "B A")), call.to_b);
  call.b = call.next;
  call.expect(call.a, "after it");
  EXPECT_EQ(world->count(b, 'A'), 20u);
}

TEST_P(FieldProposal, LAT15_rtpproxy_AClientThatNeverLooksUpIsTakenAtItsWord) {
  const auto world = make_world(GetParam());
  RtpproxyTalk other(*world);  // has an answer
  const Endpoint a = Endpoint::parse("198.51.2.65:4000").value();
  const Endpoint b = Endpoint::parse("198.51.2.66:4000").value();
  const Endpoint next = Endpoint::parse("198.51.2.78:4000").value();
  for (const Endpoint& each : {a, b, next}) world->open(each);
  const auto say = [&](const Endpoint& media, const char* tags) {
    return World::port_of(
        world->rtpproxy(fmt::format("U d {} {} {}", media.address.to_string(), media.port.value, tags)));
  };
  const Endpoint to_b{world->relay_address(), say(a, "A B")};
  const Endpoint to_a{world->relay_address(), say(b, "B A")};
  world->send(a, to_a, rtp('A', 1, 1));
  world->send(b, to_b, rtp('B', 2, 1));
  EXPECT_EQ(world->count(a, 'B') + world->count(b, 'A'), 2u);
  say(next, "A B");
  say(b, "B A");
  world->send(next, to_a, rtp('N', 3, 1));
  world->send(next, to_a, rtp('N', 3, 2));
  world->send(b, to_b, rtp('B', 2, 2));
  EXPECT_EQ(world->count(b, 'N'), 2u);
  EXPECT_EQ(world->count(next, 'B'), 1u);
}

}  // namespace
}  // namespace ferry::test::proposal_test
