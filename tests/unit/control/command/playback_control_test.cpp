// SPDX-License-Identifier: Apache-2.0
// Sounds and DTMF that the relay plays: who hears what, in which stream, and what is refused
// (docs/reference/ng.md#playback).
#include "control/command/playback_control.hpp"

#include "tests/support/listening_relay.hpp"

#include <bit>
#include <filesystem>

#include <sndfile.h>

namespace ferry::test::playback_control_test {
namespace {

using namespace std::chrono_literals;
using Kind = SoundName::Kind;

const Endpoint kA = Endpoint::parse("198.51.100.1:4000").value();
const Endpoint kB = Endpoint::parse("198.51.100.2:5000").value();
constexpr std::string_view kEvents = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n";

/// A request that plays to A.
Request play(Kind kind, std::string text) {
  Request request = SmallRelay::request("call", "A");
  request.play.sound = SoundName{kind, std::move(text)};
  return request;
}

/// One stream, as a receiver must see it: one SSRC, numbers that rise by one, time stamps that follow the
/// time.
void expect_one_stream(const std::vector<ListeningRelay::Heard>& heard) {
  for (std::size_t i = 1; i < heard.size(); ++i) {
    const auto& before = heard[i - 1];
    const auto& now = heard[i];
    ASSERT_EQ(now.ssrc, before.ssrc) << i;
    ASSERT_EQ(now.sequence, static_cast<std::uint16_t>(before.sequence + 1)) << i;
    const double ms = static_cast<double>((now.at - before.at) / 1ms);
    EXPECT_NEAR(static_cast<double>(now.timestamp - before.timestamp), ms * 8, 160) << i;
  }
}

TEST(PlayMedia, Rfc3550_AStreamOfTheRelayHasReportsOfTheRelay) {
  ListeningRelay all;
  const Call& call = all.relay.add_call();
  const auto reports = [&](std::size_t party) {
    return call.legs[party]->transports.front().used_ports()->plan->own_reports != nullptr;
  };
  EXPECT_FALSE(reports(0) || reports(1));
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::play_media, play(Kind::kTone, "busy/cn")));
  EXPECT_TRUE(reports(0) && reports(1)) << "A's numbers mean nothing to B any more";
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::stop_media, SmallRelay::request("call", "A")));
  EXPECT_TRUE(reports(0) && reports(1)) << "A's stream stays renumbered";
}

TEST(PlayMedia, APartyHearsATone) {
  ListeningRelay all;
  all.relay.add_call();
  Request request = play(Kind::kTone, "busy/cn");
  request.play.times = 2;
  const auto started = all.relay.ask(&PlaybackControl::play_media, request);
  ASSERT_TRUE(started);
  EXPECT_FALSE(started->duration_ms) << "a tone has no end";
  all.pass(3s);
  const auto heard = all.heard(kA);
  ASSERT_EQ(heard.size(), 70u) << "two turns of 700 ms";
  EXPECT_TRUE(all.heard(kB).empty());
  expect_one_stream(heard);
  for (const auto& each : heard) {
    EXPECT_EQ(each.type, 8u) << "the first codec of its SDP";
    EXPECT_EQ(each.payload.size(), 160u);
    EXPECT_EQ(each.marker, &each == &heard.front());
  }
  const auto samples = ListeningRelay::decoded(heard);
  EXPECT_GT(share_at(std::span(samples).first(2800), 450), 0.95);
  for (const std::int16_t each : std::span(samples).subspan(2880, 2700)) ASSERT_LT(std::abs(each), 40);
  EXPECT_GT(share_at(std::span(samples).subspan(5600, 2800), 450), 0.95);
}

TEST(PlayMedia, SSR2_PlaybackCallPlaybackIsOneStream) {
  ListeningRelay all;
  Call& call = all.relay.add_call();
  Leg& b = *call.legs[1];
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::play_media, play(Kind::kTone, "ringback/us")));
  all.pass(1s);
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::stop_media, SmallRelay::request("call", "A")));
  all.pass(1s, {{&b, kB}});
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::play_media, play(Kind::kTone, "busy/us")));
  all.pass(1s, {{&b, kB}});
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::stop_media, SmallRelay::request("call", "A")));
  all.pass(1s, {{&b, kB}});
  const auto heard = all.heard(kA);
  EXPECT_GT(heard.size(), 180u);
  expect_one_stream(heard);
  EXPECT_EQ(std::ranges::count(heard, true, &ListeningRelay::Heard::marker), 4) << "at each change";
}

TEST(PlayMedia, SSR2_ASoundGoesOnWithTheStreamThatPassedUntilThen) {
  ListeningRelay all;
  Call& call = all.relay.add_call();
  Leg& b = *call.legs[1];
  all.pass(500ms, {{&b, kB}});
  const Ssrc passed = all.all.back().ssrc;
  EXPECT_EQ(passed, (Ssrc{0x1000u + b.number})) << "it left as it came";
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::play_media, play(Kind::kTone, "busy/us")));
  all.pass(500ms, {{&b, kB}});
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::stop_media, SmallRelay::request("call", "A")));
  all.pass(500ms, {{&b, kB}});
  const auto heard = all.heard(kA);
  expect_one_stream(heard);
  EXPECT_EQ(heard.back().ssrc, passed);
  EXPECT_EQ(std::ranges::count(heard, true, &ListeningRelay::Heard::marker), 2);
}

TEST(PlayMedia, TheTurnsOfALongToneDoNotWrapAround) {
  ListeningRelay all;
  all.relay.add_call();
  // 18,529.776 s. As often as below these are 2^64 ns and 34 ms.
  std::string turn;
  for (int i = 0; i < 30; ++i) turn += "0/600000,";
  Request request = play(Kind::kTone, turn + "0/529776");
  request.play.times = 995'519;
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::play_media, request));
  all.pass(990ms);
  EXPECT_EQ(all.heard(kA).size(), 50u);
}

TEST(PlayMedia, AllHearItWithTheFlag) {
  ListeningRelay all;
  all.relay.add_call();
  Request request = play(Kind::kTone, "dial");
  request.from_tag.reset();
  request.flags.set(static_cast<std::size_t>(Flag::kAll));
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::play_media, request));
  all.pass(190ms);
  EXPECT_EQ(all.heard(kA).size(), 10u);
  EXPECT_EQ(all.heard(kB).size(), 10u);
  EXPECT_EQ(all.sounds.encoded(), 1u);
}

TEST(PlayMedia, FilesTellTheirLengthAndWhereTheyWere) {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "ferry-playback-control";
  std::filesystem::create_directories(folder);
  SF_INFO info{};
  info.samplerate = 16000;
  info.channels = 1;
  info.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
  SNDFILE* file = sf_open((folder / "f.wav").c_str(), SFM_WRITE, &info);
  const std::vector<std::int16_t> silence(48'000);
  sf_writef_short(file, silence.data(), 48'000);
  sf_close(file);
  PromptLibraryConfig config;
  config.folders = {folder.string()};
  ListeningRelay all(config);
  all.relay.add_call();
  const auto stop = [&] {
    return all.relay.ask(&PlaybackControl::stop_media, SmallRelay::request("call", "A")).value().position;
  };
  Request request = play(Kind::kFile, "f.wav");
  EXPECT_EQ(all.relay.ask(&PlaybackControl::play_media, request).value().duration_ms, 3000);
  all.pass(1s);
  EXPECT_NEAR(static_cast<double>(stop()), 16'000, 640) << "samples of the file";
  EXPECT_EQ(stop(), 0) << "nothing plays";
  (void)all.heard(kA);
  request.play.from_sample = 32'000;
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::play_media, request));
  all.pass(500ms);
  EXPECT_NEAR(static_cast<double>(stop()), 40'000, 640);
  (void)all.heard(kA);
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::play_media, request));
  all.pass(5s);
  EXPECT_EQ(all.heard(kA).size(), 50u) << "a second is left of it";
  request.play.from_sample = 0;
  request.play.times = 5;
  request.play.longest_ms = 7000;
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::play_media, request));
  all.pass(20s);
  EXPECT_EQ(all.heard(kA).size(), 350u) << "whichever ends first";
  EXPECT_EQ(stop(), 0);
  std::filesystem::remove_all(folder);
}

/// A call in which both have telephone-event, or only A, and A has spoken.
Call& prepared_call(ListeningRelay& all, std::string_view b_has, bool asks = true) {
  Request offer = SmallRelay::request("call", "A", {}, audio_at("198.51.100.1:4000", kEvents));
  Request answer = SmallRelay::request("call", "A", "B", audio_at("198.51.100.2:5000", b_has));
  if (asks) offer.flags.set(static_cast<std::size_t>(Flag::kInjectDtmf));
  // `audio_at` names the types 8 and 0; 101 has to be in the m-line.
  const auto with_101 = [](std::string& sdp) { sdp.insert(sdp.find("8 0") + 3, " 101"); };
  with_101(*offer.sdp);
  if (!b_has.empty()) with_101(*answer.sdp);
  all.relay.offer(offer).value();
  all.relay.answer(answer).value();
  Call& call = *all.relay.manager.find("call");
  all.pass(200ms, {{call.legs[0].get(), kA}});
  return call;
}

Request digit(std::uint8_t event) {
  Request request = SmallRelay::request("call", "A");
  request.digit.event = event;
  return request;
}

TEST(PlayDtmf, WhoHasTelephoneEventGetsEventsFromTheParty) {
  ListeningRelay all;
  Call& call = prepared_call(all, kEvents);
  Leg& a = *call.legs[0];
  Request request = digit(5);
  request.digit.length_ms = 160;
  request.digit.level_db = 12;
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::play_dtmf, request));
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::play_dtmf, digit(11)));
  all.pass(1s, {{&a, kA}});
  const auto heard = all.heard(kB);
  std::vector<ListeningRelay::Heard> events;
  std::ranges::copy_if(heard, std::back_inserter(events), [](const auto& each) { return each.type == 101; });
  std::vector<std::pair<unsigned, unsigned>> ended;
  for (const auto& each : events) {
    ASSERT_EQ(each.payload.size(), 4u);
    const bool is_end = (std::to_integer<unsigned>(each.payload[1]) & 0x80) != 0;
    const std::pair<unsigned, unsigned> one{std::to_integer<unsigned>(each.payload[0]),
                                            read_u16(each.payload, 2)};
    if (is_end && (ended.empty() || ended.back() != one)) ended.push_back(one);
    EXPECT_EQ(std::to_integer<unsigned>(each.payload[1]) & 0x3f, one.first == 5 ? 12u : 8u);
  }
  EXPECT_EQ(ended, (std::vector<std::pair<unsigned, unsigned>>{{5, 1280}, {11, 2000}}))
      << "as long as was asked for, and 250 ms";
  for (std::size_t i = 1; i < heard.size(); ++i) {
    ASSERT_EQ(heard[i].ssrc, heard[0].ssrc);
    ASSERT_EQ(heard[i].sequence, static_cast<std::uint16_t>(heard[i - 1].sequence + 1));
  }
}

TEST(PlayDtmf, OthersHearTheTone) {
  ListeningRelay all;
  Call& call = prepared_call(all, {});
  (void)all.heard(kB);
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::play_dtmf, digit(9)));
  all.pass(500ms, {{call.legs[0].get(), kA}});
  const auto heard = all.heard(kB);
  expect_one_stream(heard);
  const auto samples = ListeningRelay::decoded(heard);
  const auto tone = std::span(samples).first(1900);
  EXPECT_GT(share_at(tone, 852) + share_at(tone, 1477), 0.95);
  EXPECT_GT(heard.size(), 20u) << "the party is heard again";
}

TEST(PlayDtmf, EventsOfAStrangeClockAreNotUsed) {
  for (const char* clock : {"0", "999", "192001", "4294967295"}) {
    ListeningRelay all;
    prepared_call(all, std::string("a=rtpmap:101 telephone-event/") + clock + "\r\n");
    (void)all.heard(kB);
    Request request = digit(9);
    request.digit.length_ms = 5000;
    ASSERT_TRUE(all.relay.ask(&PlaybackControl::play_dtmf, request));
    all.pass(500ms);
    const auto heard = all.heard(kB);
    ASSERT_GT(heard.size(), 20u) << clock;
    for (const auto& each : heard) EXPECT_EQ(each.type, 8u) << clock << ": it hears the tone";
  }
}

TEST(PlayDtmf, LengthsAndPausesHaveBounds) {
  ListeningRelay all;
  prepared_call(all, kEvents);
  (void)all.heard(kB);
  Request request = digit(1);
  request.digit.length_ms = 1;
  request.digit.pause_ms = 1;
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::play_dtmf, request));
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::play_dtmf, request));
  all.pass(1s);
  std::vector<Instant> begins;
  for (const auto& each : all.heard(kB)) {
    if (each.marker) begins.push_back(each.at);
  }
  ASSERT_EQ(begins.size(), 2u);
  EXPECT_NEAR(static_cast<double>((begins[1] - begins[0]) / 1ms), 200, 5) << "100 ms and a pause of 100 ms";
}

TEST(PlayDtmf, NeedsAPreparedPartyThatWasHeard) {
  const auto fault_of = [](ListeningRelay& all, const Request& request) {
    const auto done = all.relay.ask(&PlaybackControl::play_dtmf, request);
    return done ? RequestFault::kCount : done.error().fault;
  };
  ListeningRelay silent;
  silent.relay.add_call();
  EXPECT_EQ(fault_of(silent, digit(1)), RequestFault::kNothingSent);
  ListeningRelay unprepared;
  prepared_call(unprepared, kEvents, false);
  EXPECT_EQ(fault_of(unprepared, digit(1)), RequestFault::kNotPrepared);
  Request to_b = play(Kind::kTone, "busy");
  to_b.from_tag = "B";
  ASSERT_TRUE(unprepared.relay.ask(&PlaybackControl::play_media, to_b));
  EXPECT_EQ(fault_of(unprepared, digit(1)), RequestFault::kCount) << "the relay makes the stream";
  Request none = digit(1);
  none.digit.event.reset();
  EXPECT_EQ(fault_of(unprepared, none), RequestFault::kNoDigit);
}

TEST(PlayMedia, WhatIsRefused) {
  const struct {
    const char* name;
    std::function<void(Request&)> ask;
    RequestFault play;
    RequestFault stop;
  } rows[] = {
      {"no call id", [](Request& r) { r.call_id.reset(); }, RequestFault::kNoCallId, RequestFault::kNoCallId},
      {"another call", [](Request& r) { r.call_id = "x"; }, RequestFault::kUnknownCall,
       RequestFault::kUnknownCall},
      {"no party", [](Request& r) { r.from_tag.reset(); }, RequestFault::kNoParticipant,
       RequestFault::kNoParticipant},
      {"nobody", [](Request& r) { r.from_tag = "x"; }, RequestFault::kUnknownFromTag,
       RequestFault::kUnknownFromTag},
      {"a label", [](Request& r) { r.label = "x"; }, RequestFault::kUnknownLabel,
       RequestFault::kUnknownLabel},
      {"no sound", [](Request& r) { r.play.sound.reset(); }, RequestFault::kNoSound,
       RequestFault::kNothingPlayed},
      {"no file", [](Request& r) { r.play.sound->text = "/none.wav"; }, RequestFault::kUnplayableFile,
       RequestFault::kNothingPlayed},
      {"no audio",
       [](Request& r) {
         *r.play.sound = {Kind::kContent, "notaudio"};
       },
       RequestFault::kUnplayableBlob, RequestFault::kNothingPlayed},
      {"no number",
       [](Request& r) {
         *r.play.sound = {Kind::kNumber, "5"};
       },
       RequestFault::kUnplayableNumber, RequestFault::kNothingPlayed},
      {"no tone",
       [](Request& r) {
         *r.play.sound = {Kind::kTone, "hum"};
       },
       RequestFault::kUnplayableFile, RequestFault::kNothingPlayed},
  };
  for (const auto& row : rows) {
    ListeningRelay all;
    all.relay.add_call();
    Request request = play(Kind::kFile, "x.wav");
    row.ask(request);
    const auto before = all.relay.everything();
    const auto stopped = all.relay.ask(&PlaybackControl::stop_media, request);
    ASSERT_FALSE(stopped) << row.name;
    EXPECT_EQ(stopped.error().fault, row.stop) << row.name;
    const auto started = all.relay.ask(&PlaybackControl::play_media, request);
    ASSERT_FALSE(started) << row.name;
    EXPECT_EQ(started.error().fault, row.play) << row.name;
    EXPECT_TRUE(all.relay.everything() == before) << row.name;
    all.pass(100ms);
    EXPECT_TRUE(all.all.empty()) << row.name;
  }
}

TEST(StopMedia, AfterASoundThatCouldNotBePlayedAnswersZero) {
  ListeningRelay all;
  all.relay.add_call();
  EXPECT_FALSE(all.relay.ask(&PlaybackControl::play_media, play(Kind::kFile, "/none.wav")));
  EXPECT_EQ(all.relay.ask(&PlaybackControl::stop_media, SmallRelay::request("call", "A")).value().position,
            0);
}

TEST(PlayMedia, ShowTellsWhatAPartyHears) {
  ListeningRelay all;
  all.relay.add_call();
  const auto leg = [&](std::size_t which) {
    return all.relay.manager.show("call", all.relay.clock())["legs"][which];
  };
  EXPECT_FALSE(leg(0).contains("hears"));
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::play_media, play(Kind::kTone, "busy/cn")));
  all.pass(500ms);
  const auto hears = leg(0)["hears"];
  EXPECT_EQ(hears["sound"], "tone busy/cn");
  EXPECT_NEAR(hears["position_ms"].get<double>(), 480, 20);
  EXPECT_EQ(hears["on_hold"], false);
  EXPECT_FALSE(leg(1).contains("hears"));
  ASSERT_TRUE(all.relay.ask(&PlaybackControl::stop_media, SmallRelay::request("call", "A")));
  EXPECT_FALSE(leg(0).contains("hears"));
}

TEST(PlayMedia, WithoutSoundsEverythingIsRefused) {
  SmallRelay relay;
  relay.add_call();
  const auto started = relay.ask(&PlaybackControl::play_media, play(Kind::kTone, "busy"));
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().fault, RequestFault::kUnplayableFile);
}

}  // namespace
}  // namespace ferry::test::playback_control_test
