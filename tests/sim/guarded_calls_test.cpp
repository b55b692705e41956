// SPDX-License-Identifier: Apache-2.0
// Whole calls in virtual time whose digits are guarded, listened for, or switch something: from the NG
// command to what the other party gets.

#include "codecs/tone/digit_detector.hpp"
#include "codecs/tone/digit_tone.hpp"
#include "codecs/transcode/mixing_stage.hpp"
#include "relay/media/direct_stages.hpp"
#include "tests/support/speech.hpp"
#include "tests/support/tones.hpp"
#include "tests/support/world.hpp"

#include <memory>
#include <string>
#include <vector>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr char kNames[] = "0123456789*#ABCD";

/// A call of A, who presses keys, and B. Both have PCMA and telephone-event.
class GuardedCall : public ::testing::Test {
 protected:
  GuardedCall() {
    WorldOptions options;
    options.session.codecs = CodecCatalogue({{{"PCMA", 8000, 1, {}}, 8000, true, true}});
    options.listener.on_dtmf = [this](const Call&, const Leg& leg, const DtmfEvent& event) {
      told += leg.tag + kNames[event.event & 15];
    };
    world = make_sim_world(options);
    world->manager().plane().worker(0).set_stages(
        std::make_unique<DirectStages>([](const StageOwner&) { return make_stage(); }));
    a = {world->peer_address(1, 'A'), UdpPort{4000}};
    b = {world->peer_address(1, 'B'), UdpPort{4000}};
    encoder = make_audio_encoder({"PCMA", 8000, 1, {}}, {}).value();
  }
  void set_up(json more = json::object(), bool events = true) {
    const std::string lines = events ? "a=rtpmap:101 telephone-event/8000\r\n" : "";
    const auto sdp = [&](const Endpoint& at) {
      std::string text = audio_sdp(at, lines);
      text.replace(text.find("AVP 8 0"), 7, events ? "AVP 8 101" : "AVP 8");
      return text;
    };
    json offer = test::offer("c", "A", sdp(a));
    offer.update(more);
    const json offered = world->ng(offer);
    ASSERT_EQ(offered["result"], "ok") << offered;
    b_relay = {world->relay_address(), World::port_of(offered)};
    const json answered = world->ng(test::answer("c", "A", "B", sdp(b)));
    ASSERT_EQ(answered["result"], "ok") << answered;
    a_relay = {world->relay_address(), World::port_of(answered)};
    world->open(b);
    world->open(a);
  }
  json command(json request) {
    request["call-id"] = "c";
    const json reply = world->ng(request);
    EXPECT_EQ(reply["result"], "ok") << reply;
    return reply;
  }
  json block(json more = json::object()) {
    json request = {{"command", "block DTMF"}, {"from-tag", "A"}, {"flags", {"directional"}}};
    request.update(more);
    return command(request);
  }
  /// A sends these samples.
  void say(std::span<const std::int16_t> samples) {
    for (; samples.size() >= 160; samples = samples.subspan(160)) {
      std::vector<std::byte> payload(160);
      (void)encoder->encode(samples.first(160), payload);
      send(8, payload);
      step();
    }
  }
  void silence(int packets) { say(std::vector<std::int16_t>(static_cast<std::size_t>(packets) * 160)); }
  void press_tone(char name) {
    std::vector<std::int16_t> tone(960);
    DigitTone(event_of(name), 8, 8000).fill(tone, true);
    say(tone);
    silence(8);
  }
  void press_event(char name) {
    const std::uint32_t start = timestamp;
    for (std::uint32_t n = 1; n <= 6; ++n) {
      for (unsigned copy = 0; copy < (n == 6 ? 3u : 1u); ++copy) {
        const std::vector<std::byte> payload = {
            std::byte{event_of(name)}, static_cast<std::byte>((n == 6 ? 0x80 : 0) | 8),
            static_cast<std::byte>(n * 160 >> 8), static_cast<std::byte>(n * 160 & 255)};
        send(101, payload, start);
      }
      step();
    }
    silence(8);
  }
  void dial(const std::string& digits, bool as_tones) {
    for (const char each : digits) as_tones ? press_tone(each) : press_event(each);
  }
  static std::uint8_t event_of(char name) {
    return static_cast<std::uint8_t>(std::string_view(kNames).find(name));
  }
  void send(std::uint8_t type, Bytes payload, std::optional<std::uint32_t> at = {}) {
    Packet packet(kRtpFixedHeaderSize + payload.size());
    write_rtp_header(packet, PayloadType{type}, false, SeqNo{sequence++}, at.value_or(timestamp), Ssrc{0xa});
    std::ranges::copy(payload, packet.begin() + kRtpFixedHeaderSize);
    world->send(a, a_relay, packet);
  }
  void step() {
    timestamp += 160;
    world->run(world->elapsed() + 20ms);
    world->manager().poll_events();
    world->manager().flush(world->clock());
    if (world->elapsed() / 1s != swept / 1s) world->manager().sweep(world->clock());
    swept = world->elapsed();
  }
  /// The digits that B has got so far: events, and tones in the audio.
  [[nodiscard]] std::pair<std::string, std::string> got() const {
    std::string events;
    std::optional<std::uint32_t> last;
    std::vector<std::int16_t> samples;
    auto decoder = make_audio_decoder({"PCMA", 8000, 1, {}}, {}).value();
    std::vector<std::int16_t> room(decoder->max_samples());
    std::uint16_t number = 0;
    bool is_first = true;
    for (const Received& each : world->received()) {
      if (each.at != b || each.packet.size() < kRtpFixedHeaderSize) continue;
      const RtpView rtp = *parse_rtp(each.packet);
      EXPECT_TRUE(is_first || distance(rtp.sequence, SeqNo{number}) == 1) << "one stream";
      number = rtp.sequence.value;
      is_first = false;
      if (rtp.payload_type.value == 101) {
        if (rtp.timestamp != last) events += kNames[read_u8(rtp.payload, 0) & 15];
        last = rtp.timestamp;
        continue;
      }
      const auto made = decoder->decode(rtp.payload, room);
      if (made)
        samples.insert(samples.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(*made));
    }
    std::string tones;
    DigitDetector detector;
    for (std::size_t at = 0; at + 160 <= samples.size(); at += 160) {
      const auto change = detector.hear(std::span(samples).subspan(at, 160));
      if (change && change->begins) tones += kNames[change->event];
    }
    return {events, tones};
  }

  std::unique_ptr<World> world;
  Endpoint a, b, a_relay, b_relay;
  std::unique_ptr<AudioEncoder> encoder;
  std::uint16_t sequence = 500;
  std::uint32_t timestamp = 70'000;
  Duration swept{0};
  std::string told;
};

class GuardedBothWays : public GuardedCall, public ::testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Pressed, GuardedBothWays, ::testing::Bool(),
                         [](const auto& each) { return each.param ? "AsTones" : "AsEvents"; });

TEST_P(GuardedBothWays, NothingOfADigitReachesTheOtherPartyAndAllAreTold) {
  set_up();
  EXPECT_FALSE(block({{"DTMF-security", "silence"}}).contains("warning"));
  say(speech(8000, 0.5));
  dial("159*", GetParam());
  silence(30);
  EXPECT_EQ(got(), std::pair(std::string(), std::string()));
  EXPECT_EQ(told, "A1A5A9A*") << "still logged, once each";
  command({{"command", "unblock DTMF"}, {"from-tag", "A"}, {"flags", {"directional"}}});
  dial("7", GetParam());
  silence(30);
  const auto [events, tones] = got();
  EXPECT_EQ(events + tones, "7") << "and passes afterwards";
}

TEST_P(GuardedBothWays, AnotherDigitTakesThePlaceOfEach) {
  set_up();
  block({{"DTMF-security", "zero"}});
  say(speech(8000, 0.5));
  dial("1593", GetParam());
  silence(30);
  EXPECT_EQ(got(), std::pair(std::string("0000"), std::string())) << "B has telephone-event";
}

TEST_P(GuardedBothWays, ATriggerGuardsTheDigitsBehindItAndFourEndIt) {
  set_up();
  block({{"trigger", "*7"},
         {"trigger-end-digits", 4},
         {"DTMF-security-trigger", "silence"},
         {"DTMF-security-trigger-end", "off"}});
  say(speech(8000, 0.5));
  dial("12*7", GetParam());
  dial("3456", GetParam());
  dial("89", GetParam());
  silence(30);
  const auto [events, tones] = got();
  EXPECT_EQ(events + tones, "12*789") << "the number is not in it";
  EXPECT_EQ(told, "A1A2A*A7A3A4A5A6A8A9");
}

TEST_F(GuardedCall, TonesAreFoundInSpeechThatPasses) {
  set_up({{"flags", {"detect-DTMF"}}}, false);
  say(speech(8000, 0.5));
  dial("1593*74#68D2", true);
  silence(30);
  EXPECT_EQ(told, "A1A5A9A3A*A7A4A#A6A8ADA2");
  EXPECT_EQ(got().second, "1593*74#68D2") << "the audio passes";
}

TEST_F(GuardedCall, APartyWithEventsIsToldOnceForEach) {
  set_up({{"flags", {"detect-DTMF"}}});
  say(speech(8000, 0.5));
  dial("12", false);
  dial("3", true);
  dial("4", false);
  silence(30);
  EXPECT_EQ(told, "A1A2A3A4");
}

TEST_F(GuardedCall, TheDelayOfAudioIsThatOfTheOffer) {
  set_up({{"delay-buffer", 400}});
  const Duration begin = world->elapsed();
  say(speech(8000, 1.0));
  Duration first{0};
  for (const Received& each : world->received()) {
    if (each.at == b && first == Duration{0}) first = each.when - begin;
  }
  EXPECT_GE(first, 400ms);
  EXPECT_LE(first, 450ms);
}

TEST_F(GuardedCall, ExplainNamesWhatBecomesOfDigits) {
  set_up();
  block({{"DTMF-security", "tone"}, {"frequencies", {500, 600}}, {"delay-buffer", 100}});
  say(speech(8000, 0.2));
  const Call& call = *world->manager().find("c");
  const auto& sink = call.legs[0]->medias[0]->via->used_ports()->plan->sources[0].sinks[0];
  ASSERT_TRUE(sink.conversion && sink.conversion->guard);
  EXPECT_EQ(sink.conversion->guard->frequencies_hz, (std::vector<std::uint16_t>{500, 600}));
  EXPECT_EQ(sink.conversion->guard->delay_ms, 100);
}

}  // namespace
}  // namespace ferry::test
