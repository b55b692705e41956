// SPDX-License-Identifier: Apache-2.0
// One receiver in virtual time: whatever its output is made of, it is one stream without a jump.
#include "relay/core/output/output.hpp"

#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace ferry::output_test {
namespace {

using namespace std::chrono_literals;
using Maker = OutputPacket::Maker;

constexpr Instant kBegin{10s};
constexpr std::uint64_t kA = 1;
constexpr std::uint64_t kB = 2;

struct Heard {
  Instant at;
  TimelinePosition place;
  Maker maker;
  unsigned type;
  std::size_t octets;
};

/// The receiver. It notes what it gets, and when.
class Receiver final : public OutputSender {
 public:
  bool send(const OutputPacket& packet) noexcept override {
    heard.push_back({now, packet.at, packet.maker, packet.type.value, packet.payload.size()});
    return takes;
  }
  bool send_datagram(Bytes datagram) noexcept override {
    datagrams.push_back(datagram.size());
    return takes;
  }
  Instant now = kBegin;
  bool takes = true;
  std::vector<Heard> heard;
  /// Octets of each.
  std::vector<std::size_t> datagrams;
};

/// A party that sends 160 octets of PCMU each 20 ms.
struct Party {
  std::uint64_t key;
  Ssrc ssrc;
  SeqNo sequence{1000};
  std::uint32_t timestamp = 50'000;
  /// A stage hears it, if there is one.
  bool is_converted = true;
};
const std::shared_ptr<const AudioConversion> kConversion = std::make_shared<const AudioConversion>();

class OutputTest : public testing::Test {
 protected:
  /// Lets `time` pass in steps of 20 ms, in which each of `parties` sends a packet.
  void pass(Duration time, std::initializer_list<Party*> parties = {}, unsigned ptime = 0) {
    for (Duration gone{0}; gone < time; gone += 20ms) {
      receiver.now += 20ms;
      while (output.due() && *output.due() <= receiver.now) {
        if (output.drive(receiver.now, has_address, receiver)) ++ended;
        if (output.due() && *output.due() <= receiver.now && !has_address) break;
      }
      for (Party* party : parties) last = send(*party, ptime);
    }
  }
  DropReason send(Party& party, unsigned ptime) {
    const std::vector<std::byte> payload(160, std::byte{0x55});
    RtpView rtp;
    rtp.ssrc = party.ssrc;
    rtp.sequence = party.sequence;
    rtp.timestamp = party.timestamp;
    rtp.payload_type = PayloadType{0};
    rtp.payload = payload;
    party.sequence = SeqNo{static_cast<std::uint16_t>(party.sequence.value + 1)};
    party.timestamp += 160;
    if (output.is_plain()) return DropReason::kNone;
    return output.on_packet({.from = party.key,
                             .rtp = rtp,
                             .conversion = output.has_stage() && party.is_converted ? kConversion : nullptr,
                             .ptime_ms = ptime,
                             .clock_rate_hz = 8000,
                             .restarts = std::exchange(restarts, false)},
                            receiver.now, receiver);
  }
  /// A prompt of PCMA in packets of 20 ms, and how often it is played.
  static PromptOrder prompt_of(unsigned packets, std::int64_t rounds = 1) {
    PromptOrder order;
    order.prompt = whole_prompt({}, std::vector<std::byte>(std::size_t{packets} * 160), 160);
    order.type = PayloadType{8};
    order.rounds = rounds;
    return order;
  }
  /// One SSRC, numbers that rise by one, and time stamps that go with the time. DTMF has one time stamp for
  /// all packets of an event, so it is left out of the last rule.
  void expect_one_stream(std::uint32_t most_units_off = 160) const {
    for (std::size_t i = 1; i < receiver.heard.size(); ++i) {
      const Heard& before = receiver.heard[i - 1];
      const Heard& now = receiver.heard[i];
      ASSERT_EQ(now.place.ssrc, before.place.ssrc) << "packet " << i;
      ASSERT_EQ(now.place.sequence.value, static_cast<std::uint16_t>(before.place.sequence.value + 1));
      ASSERT_LE(before.place.timestamp, now.place.timestamp) << "packet " << i;
      if (now.maker == Maker::kDigit || before.maker == Maker::kDigit) continue;
      const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.at - before.at).count();
      EXPECT_NEAR(static_cast<double>(now.place.timestamp - before.place.timestamp),
                  static_cast<double>(ms) * 8, most_units_off)
          << "packet " << i;
    }
  }
  [[nodiscard]] std::size_t heard_of(Maker maker) const {
    return static_cast<std::size_t>(std::ranges::count(receiver.heard, maker, &Heard::maker));
  }

  Output output;
  Receiver receiver;
  Party a{kA, Ssrc{0xa}};
  Party b{kB, Ssrc{0xb}};
  DropReason last = DropReason::kNone;
  bool has_address = true;
  /// The next packet is one with which its sender began anew.
  bool restarts = false;
  unsigned ended = 0;
};

TEST_F(OutputTest, IsPlainUntilItMakesSomething) {
  EXPECT_TRUE(output.is_plain());
  EXPECT_FALSE(output.due());
  pass(100ms, {&a});
  EXPECT_TRUE(receiver.heard.empty());
  output.begin(Ssrc{7}, SeqNo{1}, 0);
  output.start_prompt(prompt_of(3), receiver.now);
  EXPECT_FALSE(output.is_plain());
  pass(100ms, {&a});
  EXPECT_EQ(ended, 1u);
  EXPECT_EQ(heard_of(Maker::kPrompt), 3u);
  EXPECT_TRUE(output.is_plain()) << "packets leave as they came again";
}

TEST_F(OutputTest, ARepacketizedStreamBeginsWithTheNumbersOfItsSender) {
  output.make_media();
  pass(120ms, {&a}, 40);
  ASSERT_EQ(receiver.heard.size(), 3u);
  EXPECT_EQ(receiver.heard[0].place.ssrc, a.ssrc);
  EXPECT_EQ(receiver.heard[0].place.sequence, SeqNo{1000});
  EXPECT_EQ(receiver.heard[0].place.timestamp, 50'000u);
  EXPECT_EQ(receiver.heard[0].octets, 320u);
  expect_one_stream(320);
  EXPECT_EQ(output.media_in(), 6u);
  EXPECT_EQ(output.media_out(), 3u);
}

TEST_F(OutputTest, SSR2_APromptOverRepacketizedMediaKeepsOneSsrcAndOneTimeline) {
  output.make_media();
  pass(200ms, {&a}, 40);
  output.begin(Ssrc{7}, SeqNo{1}, 0);
  output.start_prompt(prompt_of(10), receiver.now);
  pass(100ms, {&a}, 40);
  EXPECT_EQ(last, DropReason::kPromptPlaying);
  pass(500ms, {&a}, 40);
  EXPECT_EQ(ended, 1u);
  EXPECT_EQ(heard_of(Maker::kPrompt), 10u);
  EXPECT_EQ(receiver.heard.back().place.ssrc, a.ssrc);
  EXPECT_EQ(receiver.heard.back().maker, Maker::kMedia);
  expect_one_stream(400);
}

TEST_F(OutputTest, SSR2_WhatWaitedBeforeAPromptIsNotHeardBehindIt) {
  output.make_media();
  pass(220ms, {&a}, 40);  // half a packet waits
  const std::size_t before = receiver.heard.size();
  output.start_prompt(prompt_of(500), receiver.now);
  pass(10s, {&a}, 40);
  pass(400ms, {&a}, 40);
  ASSERT_GT(receiver.heard.size(), before + 500);
  for (std::size_t i = before; i < receiver.heard.size(); ++i) {
    if (receiver.heard[i].maker != Maker::kMedia) continue;
    EXPECT_EQ(receiver.heard[i].octets, 320u) << "a half of before";
  }
  expect_one_stream(400);
}

TEST_F(OutputTest, SSR4_ASenderThatBeginsAnewIsHeardAtOnce) {
  output.make_media();
  pass(200ms, {&a}, 20);
  a.sequence = SeqNo{static_cast<std::uint16_t>(a.sequence.value - 200)};
  a.timestamp = 9;
  restarts = true;
  pass(200ms, {&a}, 20);
  EXPECT_EQ(last, DropReason::kNone);
  EXPECT_EQ(receiver.heard.size(), 20u);
  expect_one_stream();
}

TEST_F(OutputTest, SSR2_ASpeakerWithTheSsrcOfAnotherOneIsHeard) {
  output.make_media();
  pass(200ms, {&a}, 40);
  b.ssrc = a.ssrc;
  b.sequence = SeqNo{7};
  pass(240ms);
  pass(200ms, {&b}, 40);
  EXPECT_EQ(last, DropReason::kNone);
  EXPECT_EQ(receiver.heard.size(), 10u);
  expect_one_stream(320);
}

TEST_F(OutputTest, SSR2_ARestOfTheLastSpeakerDoesNotHideTheSilenceBehindIt) {
  output.make_media();
  pass(220ms, {&a}, 40);  // half a packet waits
  pass(480ms);
  pass(200ms, {&b}, 40);
  expect_one_stream(320);
}

TEST_F(OutputTest, SRT9_APromptUnderASharedKeyDoesNotUseTheSsrcOfTheSender) {
  output.make_media();
  pass(100ms, {&a}, 20);
  output.begin(Ssrc{7}, SeqNo{1}, 0, true);
  output.start_prompt(prompt_of(2), receiver.now);
  pass(100ms);
  EXPECT_EQ(receiver.heard.back().place.ssrc, Ssrc{7});
  output.begin(Ssrc{8}, SeqNo{1}, 0, true);
  output.start_prompt(prompt_of(2), receiver.now);
  pass(100ms);
  EXPECT_EQ(receiver.heard.back().place.ssrc, Ssrc{7}) << "its own stream goes on";
}

TEST_F(OutputTest, LAT12_DtmfIsNotSentWhereNothingMayBeSent) {
  output.begin(Ssrc{7}, SeqNo{1}, 0);
  (void)output.send_digit({.event = 5, .length = 60ms, .type = PayloadType{101}}, receiver.now);
  has_address = false;
  pass(200ms);
  EXPECT_TRUE(receiver.heard.empty());
  EXPECT_TRUE(output.is_plain()) << "the event is over all the same";
}

TEST_F(OutputTest, SSR2_MediaThatIsRemadeBehindAPromptGoesOnWithThePromptsStream) {
  output.begin(Ssrc{7}, SeqNo{1}, 0);
  output.start_prompt(prompt_of(5), receiver.now);
  pass(200ms);
  output.make_media();
  pass(200ms, {&a}, 20);
  EXPECT_EQ(receiver.heard.back().place.ssrc, Ssrc{7});
  expect_one_stream();
}

TEST_F(OutputTest, ASenderThatBeginsANewSsrcIsFollowedUntilTheRelayHasSpoken) {
  output.make_media();
  pass(100ms, {&a}, 20);
  a.ssrc = Ssrc{0xaa};
  a.timestamp = 7;
  pass(20ms, {&a}, 20);
  EXPECT_EQ(receiver.heard.back().place.ssrc, Ssrc{0xaa}) << "the sender's own stream, so its own numbers";
  EXPECT_EQ(receiver.heard.back().place.timestamp, 7u);
  output.start_prompt(prompt_of(1), receiver.now);
  pass(40ms);
  const auto first = receiver.heard.size() - 1;
  a.ssrc = Ssrc{0xaaa};
  pass(100ms, {&a}, 20);
  EXPECT_EQ(receiver.heard.back().place.ssrc, Ssrc{0xaa}) << "one stream from the prompt on";
  receiver.heard.erase(receiver.heard.begin(), receiver.heard.begin() + static_cast<std::ptrdiff_t>(first));
  expect_one_stream();
}

TEST_F(OutputTest, SSR2_TwoSourcesTakeTurnsOnOneTimeline) {
  output.make_media();
  pass(200ms, {&a}, 20);
  EXPECT_EQ(last, DropReason::kNone);
  pass(200ms, {&a, &b}, 20);
  EXPECT_EQ(last, DropReason::kOtherSpeaks) << "A has the floor";
  const std::size_t of_a = receiver.heard.size();
  EXPECT_EQ(of_a, 20u);
  pass(400ms, {&b}, 20);
  EXPECT_EQ(last, DropReason::kNone) << "A was silent for 200 ms";
  EXPECT_TRUE(receiver.heard[of_a].place.marker);
  EXPECT_EQ(receiver.heard.size(), of_a + 11);
  expect_one_stream();
}

TEST_F(OutputTest, SSR2_DtmfIsInsertedBetweenWithoutAJump) {
  // The stream left as it came until now.
  pass(100ms, {&a});
  const std::uint32_t last_timestamp = a.timestamp - 160;
  output.take_over(a.ssrc, SeqNo{static_cast<std::uint16_t>(a.sequence.value - 1)}, last_timestamp,
                   receiver.now);
  pass(40ms, {&a});
  ASSERT_EQ(receiver.heard.size(), 2u);
  EXPECT_EQ(receiver.heard[0].place.sequence.value, 1005);
  EXPECT_EQ(receiver.heard[0].place.timestamp, last_timestamp + 160);
  ASSERT_TRUE(output.send_digit({.event = 5, .length = 100ms, .type = PayloadType{101}}, receiver.now));
  ASSERT_TRUE(output.send_digit({.event = 6, .length = 60ms, .type = PayloadType{101}}, receiver.now));
  pass(60ms, {&a});
  EXPECT_EQ(last, DropReason::kPromptPlaying);
  pass(300ms, {&a});
  EXPECT_EQ(last, DropReason::kNone);
  EXPECT_EQ(heard_of(Maker::kDigit), 4u + 3u + 2u + 3u);
  expect_one_stream();
  // An event has one time stamp, and what follows it lies behind it by its whole length.
  std::vector<std::uint32_t> begins;
  for (const Heard& each : receiver.heard) {
    if (each.maker == Maker::kDigit && each.place.marker) begins.push_back(each.place.timestamp);
  }
  ASSERT_EQ(begins.size(), 2u);
  EXPECT_GE(begins[1] - begins[0], 800u);
  const auto back = std::ranges::find_if(receiver.heard, [&](const Heard& each) {
    return each.maker == Maker::kMedia && each.place.timestamp > begins[1];
  });
  ASSERT_NE(back, receiver.heard.end());
  EXPECT_GE(back->place.timestamp - begins[1], 480u);
  EXPECT_TRUE(back->place.marker);
}

TEST_F(OutputTest, TooManyDigitsAreRefused) {
  output.begin(Ssrc{7}, SeqNo{1}, 0);
  const DigitOrder order{.event = 1, .length = 40ms, .type = PayloadType{101}};
  for (std::size_t i = 0; i <= Output::kMostDigits; ++i) EXPECT_TRUE(output.send_digit(order, receiver.now));
  EXPECT_FALSE(output.send_digit(order, receiver.now));
}

TEST_F(OutputTest, AnotherPacketTimeIsSwitchedOnAndOffWithoutAJump) {
  output.make_media();
  pass(200ms, {&a}, 20);
  pass(200ms, {&a}, 60);
  pass(200ms, {&a}, 0);
  pass(200ms, {&a}, 40);
  pass(200ms, {&a}, 0);
  expect_one_stream(480);
}

/// A transcoder that halves nothing and adds nothing: it says what it hears with a payload type of its own,
/// and comfort noise each 100 ms.
class Double final : public OutputStage {
 public:
  void hear(std::uint64_t, const std::shared_ptr<const AudioConversion>&, const RtpView& rtp, Instant now,
            MadePackets& out) noexcept override {
    out.take({PayloadType{9}, false, 160, rtp.payload});
    due_ = now + 100ms;
  }
  [[nodiscard]] std::optional<Instant> due() const noexcept override { return due_; }
  void drive(Instant now, MadePackets& out) noexcept override {
    static constexpr std::array<std::byte, 1> kNoise{};
    out.take({PayloadType{13}, false, 800, kNoise});
    due_ = now + 100ms;
  }
  [[nodiscard]] DropReason refusal() const noexcept override { return refuses; }
  DropReason refuses = DropReason::kNone;

 private:
  std::optional<Instant> due_;
};

TEST_F(OutputTest, SSR2_AStageIsSwitchedOnAndOffInMidCallWithoutAJump) {
  pass(100ms, {&a});
  output.take_over(a.ssrc, SeqNo{static_cast<std::uint16_t>(a.sequence.value - 1)}, a.timestamp - 160,
                   receiver.now);
  pass(100ms, {&a});
  output.set_stage(std::make_unique<Double>());
  pass(100ms, {&a});
  EXPECT_EQ(receiver.heard.back().type, 9u);
  pass(300ms);
  EXPECT_EQ(receiver.heard.back().type, 13u) << "a stage makes packets when they are due, too";
  output.start_prompt(prompt_of(5), receiver.now);
  pass(120ms, {&a});
  output.set_stage(nullptr);
  pass(100ms, {&a});
  EXPECT_EQ(receiver.heard.back().type, 0u);
  EXPECT_EQ(receiver.heard.back().place.ssrc, a.ssrc);
  expect_one_stream(800);
}

/// Notes what it is given: whose packets, and of which type.
class Ear final : public OutputStage {
 public:
  explicit Ear(std::vector<std::pair<std::uint64_t, RtpView>>& heard) : heard_(heard) {}
  void hear(std::uint64_t from, const std::shared_ptr<const AudioConversion>&, const RtpView& rtp, Instant,
            MadePackets&) noexcept override {
    heard_.emplace_back(from, rtp);
  }
  [[nodiscard]] std::optional<Instant> due() const noexcept override { return std::nullopt; }
  void drive(Instant, MadePackets&) noexcept override {}

 private:
  std::vector<std::pair<std::uint64_t, RtpView>>& heard_;
};

TEST_F(OutputTest, APromptWithAConversionIsOneSourceOfTheStage) {
  std::vector<std::pair<std::uint64_t, RtpView>> heard;
  output.begin(Ssrc{7}, SeqNo{1}, 1);
  output.set_stage(std::make_unique<Ear>(heard));
  PromptOrder order = prompt_of(5);
  order.conversion = kConversion;
  output.start_prompt(order, receiver.now);
  EXPECT_FALSE(output.hears_nobody());
  pass(120ms, {&a});
  EXPECT_EQ(last, DropReason::kNone);
  a.is_converted = false;
  pass(20ms, {&a});
  EXPECT_EQ(ended, 1u) << "its last packet has lasted";
  std::vector<RtpView> of_prompt;
  for (const auto& [from, rtp] : heard) {
    if (from != kA) of_prompt.push_back(rtp);
  }
  EXPECT_EQ(heard.size() - of_prompt.size(), 6u) << "the party is heard meanwhile";
  ASSERT_EQ(of_prompt.size(), 5u);
  for (std::size_t i = 1; i < of_prompt.size(); ++i) {
    EXPECT_EQ(of_prompt[i].payload_type, PayloadType{8});
    EXPECT_EQ(of_prompt[i].sequence.value, of_prompt[i - 1].sequence.value + 1);
    EXPECT_EQ(of_prompt[i].timestamp, of_prompt[i - 1].timestamp + 160);
  }
  // Who passes beside a stage waits for the end of the prompt, and another prompt is another stream.
  output.start_prompt(order, receiver.now);
  pass(20ms, {&a});
  EXPECT_EQ(last, DropReason::kPromptPlaying);
  EXPECT_NE(heard.back().second.ssrc, of_prompt.front().ssrc);
}

TEST_F(OutputTest, AConversionWithoutAStageIsRefused) {
  output.set_stage(std::make_unique<Double>(), 5);
  EXPECT_TRUE(output.has_stage(5));
  EXPECT_FALSE(output.has_stage(6));
  output.end_stage();
  EXPECT_FALSE(output.has_stage(5));
  RtpView rtp;
  EXPECT_EQ(output.on_packet({.from = kA, .rtp = rtp, .conversion = kConversion}, receiver.now, receiver),
            DropReason::kNotConverted);
}

TEST_F(OutputTest, WhatAStageRefusesIsNotCounted) {
  auto stage = std::make_unique<Double>();
  stage->refuses = DropReason::kMediaOverload;
  output.set_stage(std::move(stage));
  pass(40ms, {&a});
  EXPECT_EQ(last, DropReason::kMediaOverload);
  EXPECT_EQ(output.media_in(), 0u);
  EXPECT_FALSE(output.is_heard_by_stage(kA));
}

TEST_F(OutputTest, SSR2_ASourceWithoutAConversionTakesTurnsWithThoseOfTheStage) {
  b.is_converted = false;
  output.set_stage(std::make_unique<Double>());
  pass(100ms, {&a});
  EXPECT_TRUE(output.is_heard_by_stage(kA));
  EXPECT_EQ(send(b, 0), DropReason::kOtherSpeaks) << "A has the floor";
  pass(240ms);
  pass(100ms, {&b});
  EXPECT_EQ(last, DropReason::kNone);
  EXPECT_FALSE(output.is_heard_by_stage(kA));
  EXPECT_EQ(receiver.heard.back().type, 0u);
  EXPECT_EQ(send(a, 0), DropReason::kOtherSpeaks) << "B has it";
  pass(240ms);
  pass(60ms, {&a});
  EXPECT_EQ(receiver.heard.back().type, 9u);
  expect_one_stream(2000);
}

TEST_F(OutputTest, SSR2_TheClockOfWhatAStageMakesCountsThePauseBefore) {
  /// Opus: a clock of 48 kHz.
  class Fast final : public OutputStage {
   public:
    void hear(std::uint64_t, const std::shared_ptr<const AudioConversion>&, const RtpView& rtp, Instant,
              MadePackets& out) noexcept override {
      out.take({PayloadType{111}, false, 960, rtp.payload, 48'000});
    }
    [[nodiscard]] std::optional<Instant> due() const noexcept override { return std::nullopt; }
    void drive(Instant, MadePackets&) noexcept override {}
  };
  output.take_over(a.ssrc, SeqNo{7}, 1000, receiver.now);
  output.set_stage(std::make_unique<Fast>());
  pass(40ms, {&a});
  ASSERT_EQ(receiver.heard.size(), 2u);
  EXPECT_EQ(receiver.heard[0].place.sequence, SeqNo{8});
  EXPECT_EQ(receiver.heard[0].place.timestamp, 1000u + 960u);
  EXPECT_TRUE(receiver.heard[0].place.marker) << "another codec begins";
  EXPECT_EQ(receiver.heard[1].place.timestamp, 1000u + 1920u);
  EXPECT_FALSE(receiver.heard[1].place.marker);
}

TEST_F(OutputTest, WhatAStageMadeElsewhereIsPlacedUnlessAPromptPlays) {
  output.set_stage(std::make_unique<Double>());
  pass(20ms, {&a});
  static constexpr std::array<std::byte, 3> kPayload{};
  const MadePacket made{PayloadType{9}, false, 160, kPayload};
  EXPECT_EQ(output.place_made(made, receiver.now, receiver), DropReason::kNone);
  EXPECT_EQ(receiver.heard.back().octets, 3u);
  EXPECT_EQ(receiver.heard.back().maker, Maker::kStage);
  output.start_prompt(prompt_of(3), receiver.now);
  EXPECT_EQ(output.place_made(made, receiver.now, receiver), DropReason::kPromptPlaying);
}

/// Makes a packet of sound, and a datagram, of each datagram that it hears.
class Gateway final : public OutputStage {
 public:
  void hear(std::uint64_t, const std::shared_ptr<const AudioConversion>&, const RtpView&, Instant,
            MadePackets&) noexcept override {}
  void hear_datagram(std::uint64_t, const std::shared_ptr<const AudioConversion>&, Bytes datagram, Instant,
                     MadePackets& out) noexcept override {
    out.take({PayloadType{8}, false, 160, datagram});
    out.take_datagram(datagram);
  }
  [[nodiscard]] std::optional<Instant> due() const noexcept override { return std::nullopt; }
  void drive(Instant, MadePackets&) noexcept override {}
};

TEST_F(OutputTest, SSR2_DatagramsGoThroughTheStageAndItsSoundHasOneTimeline) {
  static constexpr std::array<std::byte, 7> kDatagram{};
  const SourceDatagram datagram{kA, kDatagram, kConversion, {Ssrc{77}, SeqNo{500}, 9000}};
  const auto hear = [&] { return output.on_datagram(datagram, receiver.now, receiver); };
  EXPECT_EQ(hear(), DropReason::kNotConverted) << "there is no stage";
  output.set_stage(std::make_unique<Gateway>());
  EXPECT_EQ(hear(), DropReason::kNone);
  receiver.now += 20ms;
  EXPECT_EQ(hear(), DropReason::kNone);
  EXPECT_EQ(receiver.datagrams, (std::vector<std::size_t>{7, 7}));
  ASSERT_EQ(receiver.heard.size(), 2u);
  EXPECT_EQ(receiver.heard[0].place.ssrc, Ssrc{77}) << "no source has numbers of its own";
  EXPECT_EQ(receiver.heard[1].place.timestamp - receiver.heard[0].place.timestamp, 160u);
  EXPECT_TRUE(output.is_heard_by_stage(kA));
  EXPECT_EQ(output.place_datagram(kDatagram, receiver), DropReason::kNone) << "made elsewhere";
  EXPECT_EQ(receiver.datagrams.size(), 3u);
  output.start_prompt(prompt_of(3), receiver.now);
  EXPECT_EQ(hear(), DropReason::kPromptPlaying);
  EXPECT_EQ(output.place_datagram(kDatagram, receiver), DropReason::kPromptPlaying);
  EXPECT_EQ(receiver.datagrams.size(), 3u);
}

TEST_F(OutputTest, APromptWaitsForAnAddressAndMakesUpForNothing) {
  output.begin(Ssrc{7}, SeqNo{1}, 40);
  output.start_prompt(prompt_of(4, 2), receiver.now);
  has_address = false;
  pass(200ms);
  EXPECT_TRUE(receiver.heard.empty());
  has_address = true;
  pass(400ms);
  EXPECT_EQ(receiver.heard.size(), 8u) << "two rounds of four";
  EXPECT_EQ(receiver.heard[0].place.timestamp, 40u);
  EXPECT_EQ(ended, 1u);
  EXPECT_EQ(output.played(), 8u);
  expect_one_stream();
}

TEST_F(OutputTest, WhatCouldNotBeSentIsNotCounted) {
  receiver.takes = false;
  output.begin(Ssrc{7}, SeqNo{1}, 40);
  output.start_prompt(prompt_of(4), receiver.now);
  pass(100ms);
  output.make_media();
  pass(100ms, {&a}, 20);
  EXPECT_EQ(output.played(), 0u);
  EXPECT_EQ(output.media_out(), 0u);
  EXPECT_EQ(output.media_in(), 5u);
}

TEST_F(OutputTest, SSR2_PromptCallPromptIsOneStreamWithAMarkerAtEachChange) {
  output.begin(Ssrc{7}, SeqNo{1}, 1000);
  output.make_media();
  output.start_prompt(prompt_of(10), receiver.now);
  pass(220ms);
  pass(200ms, {&a});
  output.start_prompt(prompt_of(5), receiver.now);
  pass(400ms, {&a});
  expect_one_stream();
  Maker before = Maker::kStage;
  for (const Heard& each : receiver.heard) {
    EXPECT_EQ(each.place.marker, each.maker != before);
    before = each.maker;
  }
  EXPECT_EQ(output.played(), 15u);
}

TEST_F(OutputTest, DigitsKeepTheirPauseInWhichThePartyIsHeard) {
  output.take_over(a.ssrc, SeqNo{999}, a.timestamp - 160, receiver.now - 20ms);
  const DigitOrder digit{.event = 5, .length = 100ms, .type = PayloadType{101}, .pause = 200ms};
  EXPECT_TRUE(output.send_digit(digit, receiver.now));
  EXPECT_TRUE(output.send_digit(digit, receiver.now));
  pass(500ms, {&a});
  std::vector<Instant> begins;
  for (const Heard& each : receiver.heard) {
    if (each.maker == Maker::kDigit && each.place.marker) begins.push_back(each.at);
  }
  ASSERT_EQ(begins.size(), 2u);
  EXPECT_EQ(begins[1] - begins[0], 300ms);
  EXPECT_GT(heard_of(Maker::kMedia), 8u);
  expect_one_stream();
}

TEST_F(OutputTest, ADigitCanBeSound) {
  output.take_over(a.ssrc, SeqNo{999}, a.timestamp - 160, receiver.now - 20ms);
  DigitOrder digit{.event = 5, .type = PayloadType{8}};
  digit.tone = prompt_of(6).prompt;
  digit.pause = 60ms;
  EXPECT_TRUE(output.send_digit(digit, receiver.now));
  EXPECT_TRUE(output.send_digit(digit, receiver.now));
  EXPECT_TRUE(output.hears_nobody());
  pass(600ms, {&a});
  EXPECT_EQ(heard_of(Maker::kDigit), 12u);
  EXPECT_EQ(output.played(), 0u) << "no prompt";
  EXPECT_FALSE(output.hears_nobody());
  expect_one_stream();
}

// Whatever is switched on and off, and whoever speaks: one SSRC, and numbers that rise by one.
RC_GTEST_FIXTURE_PROP(OutputTest, SSR2_AnyOrderOfOrdersMakesOneStream, ()) {
  output.begin(Ssrc{7}, SeqNo{65'500}, 4'294'960'000u);
  output.make_media();
  const auto orders = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 8));
  unsigned ptime = 0;
  for (const int order : orders) {
    switch (order) {
      case 0:
        output.start_prompt(prompt_of(3, 2), receiver.now);
        break;
      case 1:
        output.stop_prompt();
        break;
      case 2:
        (void)output.send_digit({.event = 2, .length = 70ms, .type = PayloadType{101}}, receiver.now);
        break;
      case 3:
        output.set_stage(std::make_unique<Double>());
        break;
      case 4:
        output.set_stage(nullptr);
        break;
      case 5:
        ptime = ptime == 0 ? 60 : 0;
        break;
      case 6:
        a.ssrc = Ssrc{a.ssrc.value + 16};
        break;
      default:
        std::swap(a, b);
        break;
    }
    pass(60ms, {&a}, ptime);
    if (order == 7) pass(240ms, {&a, &b}, ptime);
  }
  for (std::size_t i = 1; i < receiver.heard.size(); ++i) {
    const TimelinePosition& before = receiver.heard[i - 1].place;
    const TimelinePosition& now = receiver.heard[i].place;
    RC_ASSERT(now.ssrc == Ssrc{7});
    RC_ASSERT(now.sequence.value == static_cast<std::uint16_t>(before.sequence.value + 1));
    RC_ASSERT(now.timestamp - before.timestamp < 8000u * 60);
  }
}

TEST_F(OutputTest, SSR2_SilenceOfTheRelayIsPartOfTheOneStream) {
  output.make_media();
  pass(200ms, {&a});
  EXPECT_FALSE(output.keeps_alive());
  const std::vector<std::byte> noise(1);
  for (int n = 0; n < 3; ++n) {
    pass(2s);
    output.keep_alive(PayloadType{13}, noise, 8000, true, receiver.now, receiver);
    EXPECT_FALSE(receiver.heard.back().place.marker) << "RFC 3389 section 4";
    EXPECT_TRUE(output.keeps_alive());
  }
  pass(1s);
  pass(200ms, {&a});
  EXPECT_FALSE(output.keeps_alive());
  expect_one_stream();
  EXPECT_EQ(heard_of(Maker::kSilence), 3u);
  // The media behind it has the marker, once.
  const auto first = std::ranges::find_if(receiver.heard, [&](const Heard& each) {
    return each.maker == Maker::kMedia && each.at > kBegin + 7s;
  });
  ASSERT_NE(first, receiver.heard.end());
  EXPECT_TRUE(first->place.marker);
  EXPECT_FALSE(std::next(first)->place.marker);
  output.keep_alive(PayloadType{8}, noise, 8000, false, receiver.now, receiver);
  EXPECT_TRUE(receiver.heard.back().place.marker) << "what is encoded begins anew";
}

}  // namespace
}  // namespace ferry::output_test
