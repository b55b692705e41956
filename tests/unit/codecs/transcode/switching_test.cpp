// SPDX-License-Identifier: Apache-2.0
// Hours of calls in minutes: codecs, sources, losses, key presses and conversions change at random. The
// timeline stays one line, and nothing grows. FERRY_MINUTES: how long (default 10; a day has 1,440).
// FERRY_SEED: which day.
//
// `Day` makes spurts of speech. Each has a sender's codec and a conversion of its own, and may begin another
// stream: another SSRC, other numbers, another source. Packets are lost, comfort noise and presses come in
// between, and of some presses no end comes, so that only time ends them.
#include "codecs/transcode/sample_time.hpp"
#include "codecs/transcode/transcoder.hpp"
#include "relay/base/bytes.hpp"
#include "tests/support/speech.hpp"
#include "tests/support/transcode.hpp"

#include <array>
#include <cstdlib>
#include <memory>

#include <malloc.h>

namespace ferry::switching_test {
namespace {

using std::chrono::milliseconds;
using test::Sent;

/// Codecs that phones switch between; cheap ones, so that a day is not a day.
const AudioFormat kFormats[] = {{"PCMU", 8000, 1, ""}, {"PCMA", 8000, 1, ""}, {"G722", 8000, 1, ""},
                                {"L16", 8000, 1, ""},  {"GSM", 8000, 1, ""},  {"G726-32", 8000, 1, ""},
                                {"L16", 16000, 1, ""}};
constexpr PayloadType kNoise{13};
constexpr PayloadType kEvents{110};

/// A number of the environment.
std::uint64_t setting(const char* name, std::uint64_t usual) {
  const char* text = std::getenv(name);
  return text == nullptr ? usual : std::strtoul(text, nullptr, 10);
}

AudioConversion random_conversion(test::LinkRandom& random) {
  AudioConversion terms;
  for (std::uint8_t i = 0; i < std::size(kFormats); ++i)
    terms.inputs.push_back(test::speech_input(static_cast<std::uint8_t>(96 + i), kFormats[i]));
  terms.inputs.push_back({kNoise, AudioInput::Kind::kComfortNoise, {"CN", 8000, 1, ""}});
  terms.inputs.push_back({kEvents, AudioInput::Kind::kEvents, {"telephone-event", 8000, 1, ""}});
  terms.format = kFormats[random.below(std::size(kFormats))];
  terms.type = PayloadType{120};
  const std::uint16_t times[] = {10, 20, 30, 40, 60};
  terms.ptime_ms = times[random.below(5)];
  if (random.chance(0.5)) terms.events = OtherType{kEvents, 8000};
  if (random.chance(0.5)) terms.comfort_noise = OtherType{kNoise, 8000};
  terms.detects_tones = terms.events && random.chance(0.2);
  terms.most_delay_ms = static_cast<std::uint16_t>(random.below(3) * 40);
  return terms;
}

/// Sums up what leaves, and keeps nothing.
class Line final : public MadePackets {
 public:
  void take(const MadePacket& packet) noexcept override {
    if (packets++ > 0) {
      EXPECT_LT(packet.units, packet.clock_rate_hz * 120u) << "a jump, or a step back";
      line += time_of(packet.units, packet.clock_rate_hz);
    } else {
      began = now;
    }
    // Packets of a press all have the timestamp of its beginning.
    if (packet.units != 0) worst = std::max<Duration>(worst, std::chrono::abs(now - began - line));
  }
  Instant now{};
  Instant began{};
  Duration line{0};
  Duration worst{0};
  std::uint64_t packets = 0;
};

class Day {
 public:
  explicit Day(std::uint64_t seed) : random_(seed, 1), voice_(test::speech(16'000, 2)) {
    packet_.type = PayloadType{96};
  }
  [[nodiscard]] Duration passed() const { return now_ - kStart; }

  /// Seconds of speech under one conversion. Fails the test if what is due does not move on.
  void spurt() {
    terms_ = std::make_shared<const AudioConversion>(random_conversion(random_));
    codec_ = random_.below(std::size(kFormats));
    auto encoder = make_audio_encoder(kFormats[codec_]);
    ASSERT_TRUE(encoder);
    encoder_ = std::move(*encoder);
    if (random_.chance(0.5)) packet_.ssrc.value += 1;
    if (random_.chance(0.3)) packet_.timestamp += static_cast<std::uint32_t>(random_.below(1u << 31));
    if (random_.chance(0.3)) packet_.sequence = static_cast<std::uint16_t>(random_.below(65'536));
    packet_.from = random_.below(3);
    press_left_ = 0;
    now_ += milliseconds(random_.below(3) * 150);
    const std::size_t count = 20 + random_.below(200);
    for (std::size_t i = 0; i < count; ++i, now_ += milliseconds(20)) {
      drive();
      if (::testing::Test::HasFatalFailure()) return;
      packet_.sequence += 1;
      packet_.timestamp += kFormats[codec_].clock_rate_hz / 50;
      send(i);
    }
  }

  Line line;

 private:
  static constexpr Instant kStart{std::chrono::hours(1)};

  void drive() {
    for (auto due = stage_->due(); due && *due < now_; due = stage_->due()) {
      line.now = std::max(line.now, *due);
      stage_->drive(line.now, line);
      ASSERT_TRUE(!stage_->due() || *stage_->due() > line.now);
    }
    line.now = now_;
  }
  /// One packet, whatever it carries; some are lost.
  void send(std::size_t number) {
    const bool is_lost = random_.chance(0.05);
    const std::uint64_t other = random_.below(100);
    if (other == 0 && press_left_ == 0) begin_press();
    RtpView rtp;
    rtp.ssrc = packet_.ssrc;
    rtp.sequence = SeqNo{packet_.sequence};
    rtp.timestamp = packet_.timestamp;
    std::array<std::byte, 4> event{};
    const std::array<std::byte, 1> noise = {std::byte{60}};
    if (press_left_ > 0) {
      rtp.payload_type = kEvents;
      rtp.timestamp = press_timestamp_;
      rtp.payload = event;
      const bool ends = --press_left_ < 3;
      write_u8(event, 0, 5);
      write_u8(event, 1, ends ? 0x8a : 0x0a);
      if (!ends) press_units_ = static_cast<std::uint16_t>(press_units_ + press_step_);
      write_u16(event, 2, press_units_);
      if (ends && loses_end_) return;
    } else if (other == 1) {
      rtp.payload_type = kNoise;
      rtp.payload = noise;
    } else {
      const std::size_t samples = encoder_->sample_rate_hz() / 50;
      rtp.payload_type = PayloadType{static_cast<std::uint8_t>(96 + codec_)};
      packet_.payload.resize(encoder_->octets_for(samples));
      packet_.payload.resize(
          encoder_->encode(std::span(voice_).subspan(number * 37 % 16'000, samples), packet_.payload).octets);
      rtp.payload = packet_.payload;
    }
    if (!is_lost) stage_->hear(packet_.from, terms_, rtp, now_, line);
    EXPECT_LE(stage_->figures().delay, milliseconds(80));
  }
  /// A press of up to a second. Of some no end comes, and some count in another clock than they say.
  void begin_press() {
    press_left_ = 4 + random_.below(50);
    press_units_ = 0;
    press_timestamp_ = packet_.timestamp;
    press_step_ = random_.chance(0.2) ? 960 : 160;
    loses_end_ = random_.chance(0.3);
  }

  test::LinkRandom random_;
  std::vector<std::int16_t> voice_;
  std::unique_ptr<Transcoder> stage_ = std::make_unique<Transcoder>();
  std::shared_ptr<const AudioConversion> terms_;
  std::unique_ptr<AudioEncoder> encoder_;
  /// Index of the sender's codec in `kFormats`.
  std::size_t codec_ = 0;
  Sent packet_;
  Instant now_ = kStart;
  /// Packets of the press that are still to come; 0: no key is down.
  std::uint64_t press_left_ = 0;
  /// Its duration so far, and by how much each packet lengthens it, in its clock.
  std::uint16_t press_units_ = 0;
  std::uint16_t press_step_ = 160;
  std::uint32_t press_timestamp_ = 0;
  /// The ends of the press are lost.
  bool loses_end_ = false;
};

TEST(Switching, ADayOfItIsOneLineAndNothingGrows) {
  const std::uint64_t minutes = setting("FERRY_MINUTES", 10);
  Day day(setting("FERRY_SEED", 1));
  std::size_t heap = 0;
  for (std::uint64_t spurts = 1; day.passed() < std::chrono::minutes(minutes); ++spurts) {
    day.spurt();
    if (HasFatalFailure()) return;
    // By then everything was used once.
    if (spurts == 100) heap = mallinfo2().uordblks;
  }
  EXPECT_GT(day.line.packets, minutes * 60 * 10);
  EXPECT_LE(day.line.worst, milliseconds(400));
  if (heap != 0) {
    EXPECT_LT(mallinfo2().uordblks, heap + 400'000);
  }
}

}  // namespace
}  // namespace ferry::switching_test
