// SPDX-License-Identifier: Apache-2.0
// The speech of one source.
//
// `Reorder` keeps the packets in sequence and knows what is missing; `DelayMeter` learns from their arrival.
// A packet with redundancy (RED) is as many packets as it holds: those that came already are refused by
// `Reorder`, so that only lost ones are added.
//
// Trap: a span that is handed out lies in `samples_` or `resampled_`, and the next call writes there.
#include "codecs/transcode/speech_source.hpp"

#include "codecs/audio/codec_table.hpp"
#include "codecs/audio/red.hpp"
#include "codecs/transcode/sample_time.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace ferry {

namespace {

using std::chrono::milliseconds;

/// A packet that is later than this belongs to another beginning of the sender's clock.
constexpr Duration kClockJump = std::chrono::seconds(1);
/// Timestamps that differ by more than this have another beginning.
constexpr Duration kTimestampJump = std::chrono::seconds(10);
/// Packets of a stream that has given way to another one are left out for so long.
constexpr Duration kOldStream = std::chrono::seconds(2);
/// Mean square below which sound is silence: -50 dB below the overload point.
constexpr float kQuiet = 100.0F * 100.0F;
/// Level of noise where nothing is known of the source's silence, dB below the overload point.
constexpr std::uint8_t kNoiseLevel = 65;

/// True if payloads of this input become sound: speech or comfort noise. Without a clock they have no time.
bool is_audio(const AudioInput& input) noexcept {
  return input.format.clock_rate_hz != 0 &&
         (input.kind == AudioInput::Kind::kSpeech || input.kind == AudioInput::Kind::kComfortNoise);
}

/// The first `size` samples of a room that only grows.
std::span<std::int16_t> room_in(std::vector<std::int16_t>& room, std::size_t size) {
  if (room.size() < size) room.resize(size);
  return std::span(room).first(size);
}

/// Averages the channels in place; what is left is the first part of `samples`.
std::span<std::int16_t> make_mono(std::span<std::int16_t> samples, unsigned channels) {
  if (channels < 2) return samples;
  const std::size_t length = samples.size() / channels;
  for (std::size_t i = 0; i < length; ++i) {
    int sum = 0;
    for (unsigned c = 0; c < channels; ++c) sum += samples[i * channels + c];
    samples[i] = static_cast<std::int16_t>(sum / static_cast<int>(channels));
  }
  return samples.first(length);
}

}  // namespace

void SpeechSource::configure(std::shared_ptr<const AudioConversion> conversion, std::uint32_t rate_hz) {
  const bool is_same = conversion_ && conversion_->inputs == conversion->inputs && rate_hz_ == rate_hz;
  conversion_ = std::move(conversion);
  rate_hz_ = rate_hz;
  if (is_same) return;
  codecs_.clear();
  last_ = nullptr;
  has_restarted_ = true;
  order_ = Reorder(Duration{0}, kMostWaiting);
}

std::size_t SpeechSource::input_of(PayloadType type) const noexcept {
  return static_cast<std::size_t>(std::ranges::find(inputs(), type, &AudioInput::type) - inputs().begin());
}

void SpeechSource::note_delay(const RtpView& rtp, std::uint32_t clock_hz, Instant now) {
  if (clock_hz != delay_clock_hz_) delays_.restart();
  delay_clock_hz_ = clock_hz;
  // Unwrapped, as in `Reorder`. A sender that always jumps would run out of time: it begins again each time.
  const std::int64_t step =
      static_cast<std::int32_t>(rtp.timestamp - static_cast<std::uint32_t>(last_spoken_));
  const bool has_jumped = time_of(std::abs(step), clock_hz) > kTimestampJump;
  if (has_jumped) delays_.restart();
  last_spoken_ = has_jumped ? rtp.timestamp : last_spoken_ + step;
  const Duration spoken = time_of(last_spoken_, clock_hz);
  if (delays_.has_base() && now - delays_.least(spoken) > kClockJump) delays_.restart();
  delays_.note(spoken, now);
}

std::optional<Reorder::Outcome> SpeechSource::put(const RtpView& rtp, std::uint32_t tag, Instant now) {
  if (waiting() >= kMostWaiting) {
    ++figures_.overruns;
    return std::nullopt;
  }
  return order_.add(rtp, now, tag);
}

void SpeechSource::add_ordered(const RtpView& rtp, std::uint32_t tag, Instant now) {
  const auto outcome = put(rtp, tag, now);
  if (outcome && outcome != Reorder::Outcome::kWaits) ++figures_.late;
}

void SpeechSource::add_redundant(const RtpView& rtp, Instant now) {
  const auto blocks = red_blocks(rtp.payload);
  if (!blocks) {
    ++figures_.damaged;
    add_other(rtp, now);
    return;
  }
  has_redundancy_ = has_redundancy_ || blocks->count > 1;
  for (std::size_t i = 0; i < blocks->count; ++i) {
    const RedBlock& block = blocks->blocks[i];
    const bool is_newest = i + 1 == blocks->count;
    const std::size_t input = input_of(block.type);
    const bool is_speech = input < inputs().size() && is_audio(inputs()[input]);
    // Generation k is what the k-th packet before had.
    RtpView inner = rtp;
    inner.sequence = SeqNo{static_cast<std::uint16_t>(rtp.sequence.value - (blocks->count - 1 - i))};
    inner.timestamp = rtp.timestamp - block.age;
    inner.payload_type = block.type;
    inner.payload = block.payload;
    if (is_newest) {
      if (is_speech) note_delay(rtp, inputs()[input].format.clock_rate_hz, now);
      add_ordered(inner, is_speech ? static_cast<std::uint32_t>(input) : kOther, now);
    } else if (is_speech && !block.payload.empty()) {
      // It came late, so it only counts where nothing else is known: the newest may be no speech.
      if (!delays_.has_base()) note_delay(inner, inputs()[input].format.clock_rate_hz, now);
      if (put(inner, static_cast<std::uint32_t>(input), now) == Reorder::Outcome::kWaits)
        ++figures_.recovered;
    }
  }
}

void SpeechSource::add(const RtpView& rtp, const AudioInput& input, Instant now) {
  if (old_ssrc_ == rtp.ssrc && ssrc_ != rtp.ssrc && now - restarted_at_ < kOldStream) {
    ++figures_.late;
    return;
  }
  if (ssrc_ != rtp.ssrc) {
    // Another stream: its numbers have nothing to do with those before.
    old_ssrc_ = ssrc_;
    ssrc_ = rtp.ssrc;
    restarted_at_ = now;
    has_restarted_ = true;
    order_ = Reorder(Duration{0}, kMostWaiting);
    delays_.restart();
  }
  if (input.kind == AudioInput::Kind::kRedundant) {
    add_redundant(rtp, now);
    return;
  }
  if (!is_audio(input)) {
    ++figures_.unknown_type;
    add_other(rtp, now);
    return;
  }
  if (input.kind == AudioInput::Kind::kSpeech) note_delay(rtp, input.format.clock_rate_hz, now);
  add_ordered(rtp, static_cast<std::uint32_t>(&input - inputs().data()), now);
}

void SpeechSource::add_other(const RtpView& rtp, Instant now) {
  if (ssrc_ != rtp.ssrc) return;
  RtpView empty = rtp;
  empty.payload = {};
  (void)put(empty, kOther, now);
}

const OrderedPacket* SpeechSource::front() const noexcept {
  return order_.waiting().empty() ? nullptr : &order_.waiting().front();
}

std::int64_t SpeechSource::missing() const noexcept {
  const std::int64_t missing = order_.missing();
  return missing > kMostMissing ? 0 : missing;
}

std::uint32_t SpeechSource::front_clock_hz() const noexcept {
  const std::uint32_t tag = order_.waiting().front().tag;
  return tag == kOther ? 0 : inputs()[tag].format.clock_rate_hz;
}

Instant SpeechSource::front_least() const noexcept {
  const OrderedPacket& first = order_.waiting().front();
  if (!delays_.has_base()) return first.at;
  // Unwrapped as in `note_delay`.
  const auto low = static_cast<std::uint32_t>(first.timestamp);
  const std::int64_t spoken =
      last_spoken_ + static_cast<std::int32_t>(low - static_cast<std::uint32_t>(last_spoken_));
  // It has come: a timestamp that says otherwise has jumped.
  return std::min(delays_.least(time_of(spoken, delay_clock_hz_)), first.at);
}

Duration SpeechSource::waiting_time() const noexcept {
  const auto waits = order_.waiting();
  const std::uint32_t clock_hz = waits.empty() ? 0 : front_clock_hz();
  if (clock_hz == 0) return Duration{0};
  return time_of(waits.back().timestamp - waits.front().timestamp, clock_hz);
}

bool SpeechSource::front_is_noise() const noexcept {
  const std::uint32_t tag = order_.waiting().front().tag;
  return tag != kOther && inputs()[tag].kind == AudioInput::Kind::kComfortNoise;
}

SpeechSource::Codec* SpeechSource::codec_of_front() {
  const std::uint32_t tag = order_.waiting().front().tag;
  if (tag == kOther) return nullptr;
  const auto found =
      std::ranges::find(codecs_, std::size_t{tag}, [](const auto& each) { return each->input; });
  if (found != codecs_.end()) return found->get();
  const AudioInput& input = inputs()[tag];
  AudioFormat format = input.format;
  if (input.kind == AudioInput::Kind::kComfortNoise) format = {"CN", input.format.clock_rate_hz, 1, {}};
  // One channel, at the rate of the receiver where the codec has a choice.
  CodecSettings settings;
  settings.sample_rate_hz = rate_hz_;
  settings.channels = 1;
  auto decoder = make_audio_decoder(format, settings);
  if (!decoder) return nullptr;
  auto codec = std::make_unique<Codec>();
  codec->input = tag;
  codec->decoder = std::move(*decoder);
  if (codec->decoder->sample_rate_hz() != rate_hz_)
    codec->resampler =
        std::make_unique<Resampler>(codec->decoder->sample_rate_hz(), rate_hz_, Resampler::Filter::kPrompt);
  return codecs_.emplace_back(std::move(codec)).get();
}

void SpeechSource::take() noexcept {
  const std::int64_t lost = missing();
  figures_.lost += static_cast<std::uint64_t>(lost);
  loss_ += (static_cast<float>(lost > 0) - loss_) / 64.0F;
  order_.take();
}

void SpeechSource::listen(std::span<const std::int16_t> samples) {
  if (samples.empty()) return;
  float energy = 0;
  for (const std::int16_t sample : samples) energy += static_cast<float>(sample) * sample;
  energy /= static_cast<float>(samples.size());
  // It falls at once, and rises by a dB a second or so.
  floor_ = floor_ == 0 ? energy : std::min(energy, floor_ * 1.005F + 1);
  is_quiet_ = energy < std::max(kQuiet, 4 * floor_);
  is_quiet_ = is_quiet_ && energy < 16 * kQuiet;
}

std::span<const std::int16_t> SpeechSource::finished(Codec& codec, std::span<std::int16_t> samples) {
  const std::span<std::int16_t> mono = make_mono(samples, codec.decoder->channels());
  if (!codec.resampler) return mono;
  const std::span<std::int16_t> room = room_in(resampled_, codec.resampler->room_for(mono.size()));
  return room.first(codec.resampler->run(mono, room));
}

std::span<const std::int16_t> SpeechSource::decode() {
  decoded_ = {};
  Codec* codec = codec_of_front();
  if (codec == nullptr) {
    if (order_.waiting().front().tag != kOther) ++figures_.unknown_type;
    take();
    return {};
  }
  const std::span<std::int16_t> room = room_in(samples_, codec->decoder->max_samples());
  const auto made = codec->decoder->decode(order_.waiting().front().payload, room);
  const bool is_noise = front_is_noise();
  take();
  if (!made) {
    ++figures_.damaged;
    return {};
  }
  last_ = codec;
  // A descriptor says what the silence sounds like. How long it lasts, time will tell.
  if (is_noise) return {};
  const std::span<const std::int16_t> out = finished(*codec, room.first(*made));
  decoded_ = std::span<const std::int16_t>(samples_).first(*made / codec->decoder->channels());
  listen(decoded_);
  return out;
}

void SpeechSource::discard() {
  ++figures_.overruns;
  take();
}

void SpeechSource::clear() {
  while (!order_.waiting().empty()) order_.take();
}

std::span<const std::int16_t> SpeechSource::conceal(std::size_t samples, bool is_before_front) {
  if (last_ == nullptr) return noise(samples);
  AudioDecoder& decoder = *last_->decoder;
  const auto wanted = static_cast<std::size_t>(
      scaled_units(static_cast<std::int64_t>(samples), rate_hz_, decoder.sample_rate_hz()));
  const std::span<std::int16_t> room = room_in(samples_, wanted * decoder.channels());
  if (is_before_front && codec_of_front() == last_) {
    decoder.recover(order_.waiting().front().payload, room);
  } else {
    decoder.conceal(room);
  }
  return finished(*last_, room);
}

std::span<const std::int16_t> SpeechSource::noise(std::size_t samples) {
  SilenceDescriptor silence;
  const float rms = std::sqrt(std::max(floor_, 1.0F));
  const auto below = static_cast<int>(std::lround(20 * std::log10(32'768.0F / rms)));
  silence.level = static_cast<std::uint8_t>(std::clamp<int>(below, 45, kNoiseLevel));
  noise_.set(silence);
  const std::span<std::int16_t> room = room_in(samples_, samples);
  noise_.fill(room);
  return room;
}

bool SpeechSource::can_recover() const noexcept {
  if (loss_ < 0.01F || last_ == nullptr) return false;
  return has_redundancy_ || last_->decoder->has_copy();
}

std::optional<std::uint8_t> SpeechSource::requested_mode() const noexcept {
  return last_ == nullptr ? std::nullopt : last_->decoder->requested_mode();
}

}  // namespace ferry
