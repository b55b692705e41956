// SPDX-License-Identifier: Apache-2.0
// The stage of a receiver without a fax.
//
// Mixing is three steps, and the two outer ones are transcoders. `Source::front` makes samples (L16) of what
// one source sends: it keeps packets in order, waits for late ones, conceals lost ones, follows the sender's
// clock, and tells pauses (CN) and digits (telephone-event) apart from sound. `turn` adds a frame of each
// source, every 20 ms on a grid. `receiver_` hears the sum as one source that is never late, and makes the
// receiver's packets of it; its timeline and its encoder go on when mixing begins and ends.
//
// Trap: a front makes frames of exactly `frame_ms_`, because the queue of frames knows no parts of one.
#include "codecs/transcode/mixing_stage.hpp"

#include "codecs/transcode/sample_time.hpp"
#include "relay/base/text.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace ferry {

namespace {

using std::chrono::milliseconds;

/// Numbers of what goes from the fronts to the receiver's transcoder.
constexpr PayloadType kSound{96};
constexpr PayloadType kNoise{13};
constexpr PayloadType kPress{101};
/// The sum, as a source of the receiver's transcoder.
constexpr std::uint64_t kSum = UINT64_MAX;
constexpr Ssrc kSumSsrc{0};
/// A turn that is later than this is left out.
constexpr Duration kLateTurn = milliseconds(200);
/// Copies of the end of a press come within this time: they belong to no press of another source.
constexpr Duration kEndCopies = milliseconds(60);

/// The rate at which a codec works, if its input has `wanted_hz`: no more than it can carry.
std::uint32_t rate_of(const AudioConversion& conversion) {
  std::uint32_t wanted = conversion.settings.sample_rate_hz;
  for (std::size_t i = 0; wanted == 0 && i < conversion.inputs.size(); ++i) {
    const AudioInput& input = conversion.inputs[i];
    if (input.kind == AudioInput::Kind::kSpeech) wanted = input.format.clock_rate_hz;
  }
  const bool is_g722 = equal_ignoring_case(conversion.format.encoding, "G722");
  const std::uint32_t most = is_g722 ? 16'000 : conversion.format.clock_rate_hz;
  // Whole multiples, so that a frame has whole samples.
  const std::uint32_t rate = (std::min(wanted, most) + 7999) / 8000 * 8000;
  return std::clamp<std::uint32_t>(rate, 8000, 48'000);
}

AudioFormat samples_of(std::uint32_t rate_hz) { return {"L16", rate_hz, 1, {}}; }

}  // namespace

/// One source of the mix.
struct MixingStage::Source {
  std::uint64_t from = 0;
  /// Its number as a presser of keys.
  Ssrc ssrc;
  /// What signalling has said of it, and what its front makes of that. Null before its first packet.
  std::shared_ptr<const AudioConversion> told;
  std::shared_ptr<const AudioConversion> own;
  Transcoder front;
  FrameQueue frames;
  Mixer::Voice voice;
  Instant sent_at{};
  /// Where the front's timeline has come to.
  Duration line{0};
  /// What its silence is like (RFC 3389), while it pauses; empty = it does not.
  std::vector<std::byte> noise;
  std::vector<std::int16_t> samples;
};

/// Takes what the front of a source makes.
class MixingStage::FromSource final : public MadePackets {
 public:
  FromSource(MixingStage& stage, Source& source, Instant now, MadePackets& out)
      : stage_(stage), source_(source), now_(now), out_(out) {}
  void take(const MadePacket& packet) noexcept override {
    try {
      stage_.take_from(source_, packet, now_, out_);
    } catch (const std::bad_alloc&) {
      ++stage_.left_out_;
    }
  }

 private:
  MixingStage& stage_;
  Source& source_;
  Instant now_;
  MadePackets& out_;
};

MixingStage::MixingStage() = default;
MixingStage::~MixingStage() = default;

bool MixingStage::joins(std::uint64_t from, Instant now) const noexcept {
  return from != solo_ && solo_at_ != Instant{} && now - solo_at_ < Transcoder::kFloor;
}

void MixingStage::hear_alone(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                             const RtpView& rtp, Instant now, MadePackets& out) noexcept {
  solo_conversion_ = conversion;
  solo_ = from;
  solo_at_ = now;
  if (conversion->mixes) {
    const auto input = std::ranges::find(conversion->inputs, rtp.payload_type, &AudioInput::type);
    if (input != conversion->inputs.end() && input->kind == AudioInput::Kind::kEvents) pressed_at_ = now;
  }
  receiver_.hear(from, conversion, rtp, now, out);
}

void MixingStage::stop_mixing() noexcept {
  solo_at_ = {};
  if (!sources_.empty()) {
    solo_ = sources_.front()->from;
    solo_at_ = sources_.front()->sent_at;
    solo_conversion_ = sources_.front()->told;
  }
  sources_.clear();
  turn_.reset();
  sounds_ = is_pressed_ = false;
  receiver_.yield_floor();
}

void MixingStage::forget_silent(Instant now) noexcept {
  std::erase_if(sources_, [&](const auto& each) { return now - each->sent_at > kGone; });
  if (sources_.size() < 2) stop_mixing();
}

MixingStage::Source* MixingStage::place_of(std::uint64_t from, Instant now) {
  const auto known = std::ranges::find(sources_, from, [](const auto& each) { return each->from; });
  if (known != sources_.end()) return known->get();
  std::erase_if(sources_, [&](const auto& each) { return now - each->sent_at > kGone; });
  if (sources_.size() >= kMostSources) return nullptr;
  auto source = std::make_unique<Source>();
  source->from = from;
  source->ssrc = Ssrc{++ssrcs_};
  source->sent_at = now;
  return sources_.emplace_back(std::move(source)).get();
}

void MixingStage::choose_target(const AudioConversion& conversion) {
  AudioConversion target = conversion;
  target.inputs = {{kSound, AudioInput::Kind::kSpeech, samples_of(rate_hz_)},
                   {kNoise, AudioInput::Kind::kComfortNoise, {"CN", rate_hz_, 1, {}}}};
  if (target.events) {
    const AudioFormat events{"telephone-event", target.events->clock_rate_hz, 1, {}};
    target.inputs.push_back({kPress, AudioInput::Kind::kEvents, events});
  }
  target.settings.sample_rate_hz = rate_hz_;
  // The fronts see to the rest.
  target.detects_tones = target.mixes = false;
  target.guard = nullptr;
  target.fax = nullptr;
  if (target_ && *target_ == target) return;
  target_ = std::make_shared<const AudioConversion>(std::move(target));
}

void MixingStage::take_on(Source& source, const std::shared_ptr<const AudioConversion>& conversion) {
  if (source.told == conversion && source.own) return;
  const std::uint32_t rate_hz = std::max(rate_hz_, rate_of(*conversion));
  const std::uint32_t frame_ms = conversion->ptime_ms != 0 && conversion->ptime_ms < 20 ? 10 : 20;
  if (rate_hz != rate_hz_ || frame_ms != frame_ms_) {
    // All fronts make other frames from now on.
    rate_hz_ = rate_hz;
    frame_ms_ = frame_ms;
    grid_ = {};
    turn_.reset();
    for (const auto& each : sources_) each->own = nullptr;
  }
  source.told = conversion;
  choose_target(*conversion);
  for (const auto& each : sources_) {
    if (!each->told || (each->own && each.get() != &source)) continue;
    AudioConversion own = *each->told;
    own.type = kSound;
    own.format = samples_of(rate_hz_);
    own.settings = {};
    own.settings.sample_rate_hz = rate_hz_;
    own.ptime_ms = static_cast<std::uint16_t>(frame_ms_);
    if (own.events) own.events->type = kPress;
    own.comfort_noise = OtherType{kNoise, rate_hz_};
    own.mixes = false;
    each->frames.configure(std::size_t{rate_hz_} / 1000 * frame_ms_);
    each->own = std::make_shared<const AudioConversion>(std::move(own));
  }
}

void MixingStage::hear(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                       const RtpView& rtp, Instant now, MadePackets& out) noexcept {
  if (!conversion) return;
  try {
    if (conversion->mixes) {
      if (is_mixing()) forget_silent(now);
      const bool is_second = !is_mixing() && joins(from, now);
      // A digit is told to its end by whoever began to tell it.
      if (is_second && pressed_at_ != Instant{} && now - pressed_at_ < kEndCopies) {
        ++left_out_;
        return;
      }
      if (is_mixing() || is_second) return hear_in_mix(from, conversion, rtp, now, out);
    } else if (is_mixing()) {
      stop_mixing();
    }
  } catch (const std::bad_alloc&) {
    ++left_out_;
    return;
  }
  hear_alone(from, conversion, rtp, now, out);
}

void MixingStage::hear_in_mix(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                              const RtpView& rtp, Instant now, MadePackets& out) {
  if (!is_mixing()) {
    rate_hz_ = solo_conversion_ ? rate_of(*solo_conversion_) : 8000;
    // The one who was alone until now is there, too.
    Source* first = place_of(solo_, now);
    first->sent_at = solo_at_;
    receiver_.yield_floor();
  }
  Source* source = place_of(from, now);
  if (source == nullptr) {
    ++left_out_;
    return;
  }
  source->sent_at = now;
  take_on(*source, conversion);
  FromSource taker(*this, *source, now, out);
  source->front.hear(from, source->own, rtp, now, taker);
}

void MixingStage::take_from(Source& source, const MadePacket& packet, Instant now, MadePackets& out) {
  source.line += time_of(packet.units, packet.clock_rate_hz);
  if (packet.type == kPress) return pass_press(source, packet, now, out);
  if (packet.type == kNoise) {
    source.noise.assign(packet.payload.begin(), packet.payload.end());
    if (!sounds_ && !turn_) tell_pause(now, out);
    return;
  }
  source.noise.clear();
  source.samples.resize(packet.payload.size() / 2);
  for (std::size_t i = 0; i < source.samples.size(); ++i)
    source.samples[i] = static_cast<std::int16_t>(read_u16(packet.payload, 2 * i));
  source.frames.add(source.samples, now);
  await_turn(now);
}

void MixingStage::pass_press(Source& source, const MadePacket& packet, Instant now, MadePackets& out) {
  const Duration quiet = is_pressed_ ? EventSource::kNoUpdate : kEndCopies;
  if (source.from != presser_ && pressed_at_ != Instant{} && now - pressed_at_ < quiet) return;
  presser_ = source.from;
  pressed_at_ = now;
  is_pressed_ = packet.payload.size() > 1 && (read_u8(packet.payload, 1) & 0x80) == 0;
  if (!target_->events) return;
  RtpView rtp;
  rtp.ssrc = source.ssrc;
  rtp.timestamp = static_cast<std::uint32_t>(units_in(source.line, target_->events->clock_rate_hz));
  rtp.payload_type = kPress;
  rtp.payload = packet.payload;
  receiver_.hear(kSum, target_, rtp, now, out);
}

void MixingStage::await_turn(Instant now) noexcept {
  if (turn_) return;
  const Duration frame = milliseconds(frame_ms_);
  const Instant first = now + FrameQueue::kSlack;
  if (grid_ == Instant{}) grid_ = first;
  // The next one of the grid that gives the frame its slack.
  turn_ = grid_ + (std::max(first - grid_, Duration{0}) + frame - Duration{1}) / frame * frame;
}

void MixingStage::give(PayloadType type, std::uint32_t timestamp, Bytes payload, Instant now,
                       MadePackets& out) {
  RtpView rtp;
  rtp.ssrc = kSumSsrc;
  rtp.sequence = sequence_;
  rtp.timestamp = timestamp;
  rtp.payload_type = type;
  rtp.payload = payload;
  sequence_.value = static_cast<std::uint16_t>(sequence_.value + 1);
  receiver_.hear(kSum, target_, rtp, now, out);
}

void MixingStage::tell_pause(Instant now, MadePackets& out) {
  const auto found = std::ranges::find_if(sources_, [](const auto& each) { return !each->noise.empty(); });
  if (found == sources_.end()) return;
  if (grid_ == Instant{}) grid_ = now;
  const auto timestamp = static_cast<std::uint32_t>(units_in(now - grid_, rate_hz_));
  give(kNoise, timestamp, (*found)->noise, now, out);
}

void MixingStage::turn(Instant now, MadePackets& out) {
  const Duration frame = milliseconds(frame_ms_);
  const Instant at = *turn_;
  turn_ = at + frame;
  if (now - at > kLateTurn) return;
  inputs_.clear();
  for (const auto& each : sources_) {
    const std::span<const std::int16_t> samples = each->frames.take(at);
    if (!samples.empty()) inputs_.push_back({&each->voice, samples});
  }
  if (inputs_.empty()) {
    const bool waits =
        std::ranges::any_of(sources_, [](const auto& each) { return !each->frames.is_empty(); });
    if (!waits) turn_.reset();
    if (std::exchange(sounds_, false)) tell_pause(now, out);
    return;
  }
  sounds_ = true;
  const std::span<const std::int16_t> sum = mixer_.mix(inputs_, at);
  octets_.resize(2 * sum.size());
  for (std::size_t i = 0; i < sum.size(); ++i) write_u16(octets_, 2 * i, static_cast<std::uint16_t>(sum[i]));
  give(kSound, static_cast<std::uint32_t>(units_in(at - grid_, rate_hz_)), octets_, now, out);
}

std::optional<Instant> MixingStage::due() const noexcept {
  std::optional<Instant> first = receiver_.due();
  const auto consider = [&](std::optional<Instant> other) {
    if (other && (!first || *other < *first)) first = other;
  };
  consider(turn_);
  for (const auto& each : sources_) consider(each->front.due());
  return first;
}

void MixingStage::drive(Instant now, MadePackets& out) noexcept {
  for (const auto& each : sources_) {
    if (const auto due = each->front.due(); !due || *due > now) continue;
    FromSource taker(*this, *each, now, out);
    each->front.drive(now, taker);
  }
  try {
    while (turn_ && *turn_ <= now) turn(now, out);
  } catch (const std::bad_alloc&) {
    ++left_out_;
  }
  if (const auto due = receiver_.due(); due && *due <= now) receiver_.drive(now, out);
}

std::unique_ptr<OutputStage> make_stage() { return std::make_unique<MixingStage>(); }

}  // namespace ferry
