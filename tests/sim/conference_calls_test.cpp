// SPDX-License-Identifier: Apache-2.0
// Conferences from signalling to sound: parties of several calls with codecs of their own, each with a tone,
// in virtual time. Who hears whom is judged by the tones.
#include "codecs/prompts/prompt_library.hpp"
#include "control/call/treated_flows.hpp"
#include "control/command/conference.hpp"
#include "control/command/playback_control.hpp"
#include "control/command/subscriptions.hpp"
#include "relay/core/rtp/rtp.hpp"
#include "relay/media/direct_stages.hpp"
#include "tests/support/mixing.hpp"
#include "tests/support/packets.hpp"
#include "tests/support/small_relay.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::conference_calls_test {
namespace {

using namespace std::chrono_literals;

struct Codec {
  std::uint8_t type;
  AudioFormat format;
  std::uint32_t sample_rate_hz;
};
const Codec kPcma{8, {"PCMA", 8000, 1, ""}, 8000};
const Codec kPcmu{0, {"PCMU", 8000, 1, ""}, 8000};
const Codec kG722{9, {"G722", 8000, 1, ""}, 16'000};
const Codec kOpus{96, {"opus", 48'000, 2, ""}, 48'000};
const Codec kAdpcm{97, {"G726-32", 8000, 1, ""}, 8000};

CodecCatalogue catalogue() {
  std::vector<KnownCodec> known;
  for (const Codec& each : {kPcma, kPcmu, kG722, kOpus, kAdpcm})
    known.push_back({each.format, each.sample_rate_hz, true, true});
  return CodecCatalogue(known);
}

std::string section(const Endpoint& at, const Codec& codec, std::string_view direction = "sendrecv") {
  const std::string channels = codec.format.channels > 1 ? "/2" : "";
  return fmt::format(
      "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP {2}\r\n"
      "a=rtpmap:{2} {3}/{4}{5}\r\na={6}\r\n",
      at.address.to_string(), at.port.value, codec.type, codec.format.encoding, codec.format.clock_rate_hz,
      channels, direction);
}

constexpr double kAmplitude = 3000;

/// A relay whose parties speak tones.
class Hall {
 public:
  struct Party {
    std::string tag;
    Codec codec;
    double hertz;
    Endpoint at;
    Leg* leg = nullptr;
    std::unique_ptr<AudioEncoder> encoder{};
    bool speaks = true;
    std::uint16_t sequence = 0;
    std::size_t spoken = 0;
  };
  struct Heard {
    Instant at;
    Ssrc ssrc;
    SeqNo sequence;
    std::uint32_t timestamp;
    unsigned type;
    std::vector<std::byte> payload;
  };

  Hall() : sounds_(without_thread()), relay(options()) {
    relay.plane.worker(0).set_stages(
        std::make_unique<DirectStages>([](const StageOwner&) { return make_stage(); }));
    relay.network.set_outlet([this](const SimDatagram& sent) {
      if (const auto rtp = parse_rtp(sent.payload))
        heard[sent.to].push_back({relay.network.now(),
                                  rtp->ssrc,
                                  rtp->sequence,
                                  rtp->timestamp,
                                  rtp->payload_type.value,
                                  {rtp->payload.begin(), rtp->payload.end()}});
      return true;
    });
  }

  /// A call of two parties, who are added to `parties`.
  void call(const std::string& id, const Codec& a, const Codec& b, const Request& words = {}) {
    const std::size_t first = parties.size();
    add(a);
    add(b);
    Party& caller = parties[first];
    Party& callee = parties[first + 1];
    Request offer = words;
    offer.call_id = id;
    offer.from_tag = caller.tag;
    offer.sdp = section(caller.at, a);
    // Each keeps its own codec, if they differ.
    if (a.type != b.type)
      offer.codecs.transcode.push_back(fmt::format("{}/{}{}", b.format.encoding, b.format.clock_rate_hz,
                                                   b.format.channels > 1 ? "/2" : ""));
    relay.offer(offer).value();
    Request answer = words;
    answer.call_id = id;
    answer.from_tag = caller.tag;
    answer.to_tag = callee.tag;
    answer.sdp = section(callee.at, b);
    relay.answer(answer).value();
    refresh();
  }
  /// Finds the parties' legs, which move between calls.
  void refresh() {
    for (Party& each : parties) each.leg = nullptr;
    relay.manager.each_call([&](const Call& call) {
      for (const auto& leg : call.legs) {
        const auto found = std::ranges::find(parties, leg->tag, &Party::tag);
        if (found != parties.end()) found->leg = leg.get();
      }
    });
  }
  /// Each of these parties hears each other one of them, and whoever is left out does not any more.
  void mesh(std::vector<std::string> calls, std::string_view tags = "ABCDEF") {
    Request request;
    request.calls.members = std::move(calls);
    request.flags.set(static_cast<std::size_t>(Flag::kUnsubscribe));
    const auto is_in = [&](const Party& party) { return tags.find(party.tag) != std::string_view::npos; };
    for (const Party& each : parties) {
      WishedFlows row{each.tag, {}};
      for (const Party& other : parties) {
        if (other.tag != each.tag && is_in(other)) row.to.push_back(other.tag);
      }
      if (is_in(each)) request.flows.members.push_back(row);
    }
    ASSERT_TRUE(relay.run(command(&Conference::mesh), request));
    refresh();
  }
  void pass(Duration time) {
    for (Duration gone{0}; gone < time; gone += 5ms, ++steps_) {
      for (std::size_t i = 0; i < parties.size(); ++i) {
        if (parties[i].speaks && parties[i].leg != nullptr && steps_ % 4 == i % 4) speak(parties[i]);
      }
      relay.network.advance_to(relay.network.now() + 5ms);
      relay.plane.worker(0).run_until_idle();
    }
  }
  /// How loud the tone of `hertz` is in what came to `at` in the last second, dB against what was said.
  [[nodiscard]] double level(const Endpoint& at, const Codec& codec, double hertz,
                             double amplitude = kAmplitude) const {
    CodecSettings settings;
    settings.channels = 1;
    auto decoder = make_audio_decoder(codec.format, settings).value();
    std::vector<std::int16_t> samples;
    std::vector<std::int16_t> room(decoder->max_samples());
    const auto found = heard.find(at);
    if (found == heard.end()) return -200;
    for (const Heard& each : found->second) {
      if (each.type != codec.type) continue;
      const std::size_t made = decoder->decode(each.payload, room).value_or(0);
      samples.insert(samples.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(made));
    }
    const std::uint32_t rate = decoder->sample_rate_hz();
    if (samples.size() < rate) return -200;
    return decibels(amplitude_at(hertz, std::span(samples).last(rate), rate) / amplitude);
  }
  [[nodiscard]] double level(std::size_t to, std::size_t from) const {
    return level(parties[to].at, parties[to].codec, parties[from].hertz);
  }
  void expect_each_hears_exactly_the_others() {
    for (std::size_t to = 0; to < parties.size(); ++to) {
      for (std::size_t from = 0; from < parties.size(); ++from) {
        SCOPED_TRACE(parties[from].tag + " at " + parties[to].tag);
        if (from == to)
          EXPECT_LT(level(to, from), -25) << "nobody hears himself";
        else
          EXPECT_NEAR(level(to, from), 0, 2);
      }
    }
  }
  /// What came to a party is one stream: one SSRC, numbers that rise by one, and the time on the wall.
  void expect_one_stream(const Endpoint& at, std::uint32_t clock_hz) {
    const auto& all = heard[at];
    ASSERT_GT(all.size(), 50u);
    for (std::size_t i = 1; i < all.size(); ++i) {
      ASSERT_EQ(all[i].ssrc, all[0].ssrc) << i;
      ASSERT_EQ(all[i].sequence, (SeqNo{static_cast<std::uint16_t>(all[i - 1].sequence.value + 1)})) << i;
      const auto wall = static_cast<double>((all[i].at - all[0].at) / 1ms);
      const auto line = static_cast<double>(all[i].timestamp - all[0].timestamp) * 1000 / clock_hz;
      ASSERT_NEAR(line, wall, 60) << i;
    }
  }
  void forget() { heard.clear(); }

 private:
  static PromptLibraryConfig without_thread() {
    PromptLibraryConfig config;
    config.has_thread = false;
    return config;
  }
  SmallRelay::Options options() {
    SmallRelay::Options made;
    made.session.codecs = catalogue();
    made.sounds = &sounds_;
    return made;
  }
  void add(const Codec& codec) {
    const std::size_t n = parties.size();
    Party party{.tag = std::string(1, static_cast<char>('A' + n)),
                .codec = codec,
                .hertz = 450.0 + 150.0 * static_cast<double>(n),
                .at = Endpoint::parse(fmt::format("198.51.100.{}:4000", n + 1)).value()};
    party.encoder = make_audio_encoder(codec.format).value();
    parties.push_back(std::move(party));
  }
  void speak(Party& party) {
    const std::uint32_t rate = party.encoder->sample_rate_hz();
    const std::size_t frame = rate / 50;
    auto samples = tone_of(party.hertz, kAmplitude, rate, frame, party.spoken * frame);
    if (party.encoder->channels() == 2) {
      std::vector<std::int16_t> both;
      for (const std::int16_t each : samples) both.insert(both.end(), {each, each});
      samples = both;
    }
    std::vector<std::byte> payload(party.encoder->octets_for(samples.size()));
    payload.resize(party.encoder->encode(samples, payload).octets);
    Packet packet = rtp('s', static_cast<std::uint32_t>(0x1000 + party.hertz), party.sequence++,
                        party.codec.type, payload.size());
    write_u32(packet, 4, static_cast<std::uint32_t>(party.codec.format.clock_rate_hz / 50 * party.spoken++));
    std::ranges::copy(payload, packet.end() - static_cast<std::ptrdiff_t>(payload.size()));
    const LocalPorts& ports = *party.leg->medias.front()->via->active_ports();
    relay.network.send_to_relay({party.at, {ports.local->address, ports.port}, packet});
    relay.plane.worker(0).run_until_idle();
  }

  PromptLibrary sounds_;
  unsigned steps_ = 0;

 public:
  SmallRelay relay;
  std::vector<Party> parties;
  std::map<Endpoint, std::vector<Heard>> heard;
};

TEST(ConferenceCalls, ThreeCallsWithFiveCodecsBecomeOneConference) {
  Hall hall;
  hall.call("one", kPcma, kPcma);
  hall.call("two", kOpus, kG722);
  hall.call("three", kPcmu, kAdpcm);
  hall.mesh({"one", "two", "three"});
  hall.pass(3s);
  hall.expect_each_hears_exactly_the_others();
  for (const Hall::Party& each : hall.parties)
    hall.expect_one_stream(each.at, each.codec.format.clock_rate_hz);
  Call& call = *hall.relay.manager.find("one");
  const auto changed = treated_flows(call);
  EXPECT_EQ(changed.size(), 30u);
  for (const TreatedFlow& each : changed)
    EXPECT_TRUE(in_words(each).ends_with("; mixed of 5")) << in_words(each);
}

TEST(ConferenceCalls, SSR2_AConferenceBeginsAndEndsInOneStream) {
  Hall hall;
  hall.call("one", kPcma, kPcma);
  hall.call("two", kPcma, kPcma);
  hall.pass(1s);
  EXPECT_NEAR(hall.level(0, 1), 0, 0.2);
  hall.mesh({"one", "two"});
  hall.pass(2s);
  hall.expect_each_hears_exactly_the_others();
  hall.mesh({"one", "two"}, "");
  hall.pass(2s);
  for (const std::size_t to : {0u, 1u, 2u, 3u}) {
    for (const std::size_t from : {0u, 1u, 2u, 3u}) {
      const bool is_partner = from == (to ^ 1u);
      if (is_partner)
        EXPECT_NEAR(hall.level(to, from), 0, 0.2) << to;
      else
        EXPECT_LT(hall.level(to, from), -30) << to << " hears " << from;
    }
    hall.expect_one_stream(hall.parties[to].at, 8000);
  }
}

TEST(ConferenceCalls, SSR2_WhoComesAndGoesIsNoJumpForTheOthers) {
  Hall hall;
  hall.call("one", kPcma, kPcmu);
  hall.call("two", kG722, kOpus);
  hall.mesh({"one", "two"});
  hall.pass(2s);
  EXPECT_NEAR(hall.level(0, 3), 0, 2);
  hall.mesh({"one", "two"}, "ABC");
  hall.pass(2s);
  EXPECT_NEAR(hall.level(0, 1), 0, 2);
  EXPECT_NEAR(hall.level(0, 2), 0, 2);
  EXPECT_LT(hall.level(0, 3), -30) << "D has left the conference";
  hall.mesh({"one", "two"});
  hall.pass(2s);
  hall.expect_each_hears_exactly_the_others();
  for (const Hall::Party& each : hall.parties)
    hall.expect_one_stream(each.at, each.codec.format.clock_rate_hz);
}

TEST(ConferenceCalls, ATapWithMixHearsAllInOneStream) {
  Hall hall;
  hall.call("one", kPcma, kPcma);
  Request ask = SmallRelay::request("one", {}, "tap");
  ask.all = AllParties::kAll;
  ask.flags.set(static_cast<std::size_t>(Flag::kMix));
  ASSERT_TRUE(hall.relay.ask(&Subscriptions::subscribe_request, ask));
  const Endpoint tap = Endpoint::parse("198.51.100.99:7000").value();
  Request answer = SmallRelay::request("one", {}, "tap", section(tap, kPcma, "recvonly"));
  ASSERT_TRUE(hall.relay.ask(&Subscriptions::subscribe_answer, answer));
  hall.pass(3s);
  EXPECT_NEAR(hall.level(tap, kPcma, hall.parties[0].hertz), 0, 0.5);
  EXPECT_NEAR(hall.level(tap, kPcma, hall.parties[1].hertz), 0, 0.5);
  hall.expect_one_stream(tap, 8000);
  EXPECT_NEAR(hall.level(0, 1), 0, 0.2) << "the call itself passes";
}

Request with_player(AudioPlayer player) {
  Request words;
  words.audio_player = player;
  return words;
}
/// A tone of 1,000 Hz for A.
Request tone_for_a(bool blocks = false) {
  Request request = SmallRelay::request("one", "A");
  request.play.sound = SoundName{SoundName::Kind::kTone, "1000/60000"};
  if (blocks) request.flags.set(static_cast<std::size_t>(Flag::kBlockEgress));
  return request;
}

TEST(ConferenceCalls, ASoundIsMixedIntoTheTalkIfThePlayerIsOn) {
  for (const bool blocks : {false, true}) {
    SCOPED_TRACE(blocks ? "block-egress" : "mixed");
    Hall hall;
    hall.call("one", kPcma, kPcma, with_player(AudioPlayer::kAlways));
    hall.pass(1s);
    EXPECT_NEAR(hall.level(0, 1), 0, 0.2);
    ASSERT_TRUE(hall.relay.ask(&PlaybackControl::play_media, tone_for_a(blocks)));
    hall.pass(2s);
    EXPECT_GT(hall.level(hall.parties[0].at, kPcma, 1000), -3);
    if (blocks)
      EXPECT_LT(hall.level(0, 1), -30);
    else
      EXPECT_NEAR(hall.level(0, 1), 0, 0.5);
    ASSERT_TRUE(hall.relay.ask(&PlaybackControl::stop_media, SmallRelay::request("one", "A")));
    hall.pass(2s);
    EXPECT_NEAR(hall.level(0, 1), 0, 0.5);
    EXPECT_LT(hall.level(hall.parties[0].at, kPcma, 1000), -30);
    hall.expect_one_stream(hall.parties[0].at, 8000);
  }
}

TEST(ConferenceCalls, WithoutThePlayerASoundIsHeardInPlaceOfTheTalk) {
  for (const AudioPlayer player : {AudioPlayer::kDefault, AudioPlayer::kOff, AudioPlayer::kTranscoding}) {
    Hall hall;
    hall.call("one", kPcma, kPcma, with_player(player));
    hall.pass(1s);
    ASSERT_TRUE(hall.relay.ask(&PlaybackControl::play_media, tone_for_a()));
    hall.pass(2s);
    EXPECT_GT(hall.level(hall.parties[0].at, kPcma, 1000), -3);
    EXPECT_LT(hall.level(0, 1), -30) << "nothing is converted for A";
  }
}

TEST(ConferenceCalls, ASoundGoesIntoAConversionIfThePlayerIsOn) {
  Hall hall;
  hall.call("one", kPcma, kOpus, with_player(AudioPlayer::kTranscoding));
  hall.pass(1s);
  ASSERT_TRUE(hall.relay.ask(&PlaybackControl::play_media, tone_for_a()));
  hall.pass(2s);
  EXPECT_GT(hall.level(hall.parties[0].at, kPcma, 1000), -3);
  EXPECT_NEAR(hall.level(0, 1), 0, 1.5);
}

TEST(ConferenceCalls, OffMeansThatNothingIsMixed) {
  Hall hall;
  hall.call("one", kPcma, kPcma, with_player(AudioPlayer::kOff));
  hall.call("two", kPcma, kPcma);
  hall.mesh({"one", "two"});
  hall.pass(1s);
  const auto& all = hall.heard[hall.parties[0].at];
  EXPECT_TRUE(std::ranges::any_of(all, [&](const auto& each) { return each.ssrc != all.front().ssrc; }))
      << "each stream passes with its own SSRC";
  const auto& mixed = hall.heard[hall.parties[2].at];
  EXPECT_TRUE(std::ranges::all_of(mixed, [&](const auto& each) { return each.ssrc == mixed.front().ssrc; }));
}

}  // namespace
}  // namespace ferry::test::conference_calls_test
