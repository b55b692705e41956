// SPDX-License-Identifier: Apache-2.0
// One stream of audio: RTP packets in, samples on the time of the recording out.
//
// 1. `on_packet` gives the packet to `order_`, which puts packets in sequence. Nothing is decided yet: late
//    packets may still come.
// 2. `release` plays what has waited for kHold.
// 3. `play` finds out what is missing, asks the `StreamClock` where the packet lies in time, and tells apart
//    audio, comfort noise (CN) and DTMF events.
// 4. `play_audio` decodes, fills a gap, resamples and places the samples.
//
// Times are frames of the file. `expected_` is where the next packet should begin by the timestamps;
// `placed_` is where the next sample will be put. While a spurt lasts, samples follow each other without a
// gap, and small differences between clock and samples are corrected by single samples. A spurt ends with
// silence, a change of codec, or a difference of more than 2 ms: then the resampler gives out what it still
// holds, and the next packet is placed by its time alone.
//
// Trap: the lists in the report are bounded, because a hostile stream could make them as long as it likes.
#include "recorder/audio/audio_stream.hpp"

#include "codecs/audio/audio_format.hpp"
#include "codecs/audio/codec_table.hpp"
#include "codecs/tone/digit_tone.hpp"
#include "relay/base/text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace ferry {

namespace {

using std::chrono::milliseconds;

/// Arrival times behind a packet that the clock looks at.
constexpr std::size_t kMaxArrivals = 100;
constexpr std::size_t kMaxGaps = 500;
constexpr std::size_t kMaxCodecs = 64;
constexpr std::size_t kMaxProblems = 16;
/// Most that a gap is filled with. What is longer was not lost but never sent.
constexpr std::int64_t kMaxConcealMs = 500;
/// A longer step of the sequence number is no loss but a new beginning.
constexpr std::int64_t kMaxLoss = 3000;

bool is_named(const RecordedFormat& format, std::string_view name) {
  return equal_ignoring_case(format.encoding, name);
}

AudioFormat audio_format(const RecordedFormat& format) {
  return {format.encoding, format.clock_rate_hz, format.channels, format.parameters};
}

// Averages the channels in place; what is left is the first part of `samples`.
std::span<const std::int16_t> make_mono(std::span<std::int16_t> samples, unsigned channels) {
  if (channels < 2) return samples;
  const std::size_t frames = samples.size() / channels;
  for (std::size_t i = 0; i < frames; ++i) {
    int sum = 0;
    for (unsigned c = 0; c < channels; ++c) sum += samples[i * channels + c];
    samples[i] = static_cast<std::int16_t>(sum / static_cast<int>(channels));
  }
  return samples.first(frames);
}

/// The first `size` samples of a room that only grows.
std::span<std::int16_t> room_in(std::vector<std::int16_t>& room, std::size_t size) {
  if (room.size() < size) room.resize(size);
  return std::span(room).first(size);
}

}  // namespace

// Made only to be asked: a decoder knows its rate, and a plug-in may not be there.
std::uint32_t AudioStream::sample_rate_of(const RecordedFormat& format) {
  const auto decoder = make_audio_decoder(audio_format(format));
  return decoder ? (*decoder)->sample_rate_hz() : 0;
}

std::uint32_t AudioStream::format_of(PayloadType type, const std::vector<RecordedFormat>& formats) {
  RecordedFormat wanted;
  const auto found = std::ranges::find(formats, type, &RecordedFormat::type);
  if (found != formats.end()) {
    wanted = *found;
  } else if (const auto fixed = static_audio_format(type)) {
    wanted = {type, fixed->encoding, fixed->clock_rate_hz, fixed->channels, {}};
  } else {
    return kNoFormat;
  }
  const auto known = std::ranges::find(known_formats_, wanted);
  const auto number = static_cast<std::uint32_t>(known - known_formats_.begin());
  if (known == known_formats_.end()) known_formats_.push_back(std::move(wanted));
  return number;
}

const RecordedFormat* AudioStream::format(const OrderedPacket& packet) const {
  return packet.tag == kNoFormat ? nullptr : &known_formats_[packet.tag];
}

// Whole seconds apart, so that the product does not overflow in long calls.
std::int64_t AudioStream::frame_at(Instant time) const {
  const Duration since = time - start_;
  const std::int64_t seconds = std::chrono::floor<std::chrono::seconds>(since).count();
  const std::int64_t rest = (since - std::chrono::seconds(seconds)).count();
  return seconds * file_rate_hz_ + (rest * file_rate_hz_ + 500'000'000) / 1'000'000'000;
}

milliseconds AudioStream::since_start(Instant time) const {
  return std::chrono::duration_cast<milliseconds>(time - start_);
}

void AudioStream::on_packet(const RtpView& rtp, Instant at, const std::vector<RecordedFormat>& formats) {
  if (order_.add(rtp, at, format_of(rtp.payload_type, formats)) == Reorder::Outcome::kLate)
    ++report_.late_packets;
}

void AudioStream::release(Instant now, const PlaceSamples& place) {
  for (std::size_t count = order_.due(now); count > 0; --count) {
    play(place);
    order_.take();
  }
  // Nothing follows for now, so what is still inside the resampler is heard.
  if (order_.waiting().empty()) end_spurt(place);
}

void AudioStream::end_spurt(const PlaceSamples& place) {
  if (!in_spurt_ || current_ == nullptr || !current_->resampler) return;
  const std::span<std::int16_t> room = room_in(resampled_, current_->resampler->drain_room());
  emit(room.first(current_->resampler->drain(room)), place);
  in_spurt_ = false;
}

std::span<const std::int16_t> AudioStream::resample(std::span<const std::int16_t> samples) {
  const std::span<std::int16_t> room = room_in(resampled_, current_->resampler->room_for(samples.size()));
  return room.first(current_->resampler->run(samples, room));
}

void AudioStream::emit(std::span<const std::int16_t> samples, const PlaceSamples& place) {
  if (samples.empty()) return;
  report_.late_samples += place({file_rate_hz_, 1, placed_, samples});
  placed_ += static_cast<std::int64_t>(samples.size());
  has_placed_ = true;
  last_sample_ = samples.back();
}

AudioStream::Codec& AudioStream::codec_of(const RecordedFormat& format) {
  Codec& codec = codecs_[format.type.value];
  if (codec.format == format) return codec;  // a new codec has no name yet
  codec.format = format;
  auto decoder = make_audio_decoder(audio_format(codec.format));
  codec.decoder = decoder ? std::move(*decoder) : nullptr;
  codec.resampler =
      codec.decoder ? std::make_unique<Resampler>(codec.decoder->sample_rate_hz(), file_rate_hz_) : nullptr;
  if (!decoder && report_.problems.size() < kMaxProblems) report_.problems.push_back(decoder.error());
  return codec;
}

void AudioStream::note_arrivals(std::uint32_t clock_rate_hz) {
  arrivals_.clear();
  for (const OrderedPacket& each : order_.waiting()) {
    if (arrivals_.size() == kMaxArrivals) break;
    const RecordedFormat* described = format(each);
    if (described == nullptr || described->clock_rate_hz != clock_rate_hz) break;
    // Packets of one event share a timestamp, so they say nothing about the clock.
    if (is_named(*described, "telephone-event") && !arrivals_.empty()) continue;
    arrivals_.push_back({each.timestamp, each.at});
  }
}

void AudioStream::play(const PlaceSamples& place) {
  const OrderedPacket& packet = order_.waiting().front();
  std::int64_t missing = order_.missing();
  // Packets that were missing in a pause are no loss.
  if (missing > kMaxLoss || order_.taken() == excused_) missing = 0;
  const RecordedFormat* described = format(packet);
  const unsigned type = packet.payload_type.value;
  if (described == nullptr || described->clock_rate_hz == 0) {
    const std::string problem = "payload type " + std::to_string(type) + " was never described";
    if (std::ranges::find(report_.problems, problem) == report_.problems.end() &&
        report_.problems.size() < kMaxProblems)
      report_.problems.push_back(problem);
    return;
  }
  // Timestamps of another rate need another clock.
  if (!clock_ || clock_->clock_rate_hz() != described->clock_rate_hz) {
    clock_ = std::make_unique<StreamClock>(described->clock_rate_hz);
    end_spurt(place);
    in_spurt_ = false;
  }
  note_arrivals(described->clock_rate_hz);
  if (is_named(*described, "telephone-event")) {
    // A new event is placed by its first packet; the following ones only make it longer.
    if (packet.timestamp != event_timestamp_) {
      arrivals_.resize(1);
      event_timestamp_ = packet.timestamp;
      event_position_ = frame_at(clock_->time_of(arrivals_, one_sample()));
      report_.anchors += clock_->has_jumped() ? 1 : 0;
      event_frames_ = 0;
    }
    play_event({packet, *described}, place);
    return;
  }
  const Instant time = clock_->time_of(arrivals_, one_sample());
  report_.anchors += clock_->has_jumped() ? 1 : 0;
  if (missing > 0) {
    if (report_.gaps.size() < kMaxGaps)
      report_.gaps.push_back({since_start(time), static_cast<std::uint32_t>(missing)});
    else
      ++report_.gaps_left_out;
  }
  if (is_named(*described, "CN")) {  // comfort noise (RFC 3389) is silence here
    end_spurt(place);
    in_spurt_ = false;
    return;
  }
  if (packet.payload_type.value != current_type_) {
    if (report_.codecs.size() < kMaxCodecs)
      report_.codecs.push_back({since_start(time), packet.payload_type.value,
                                described->encoding + "/" + std::to_string(described->clock_rate_hz)});
    end_spurt(place);
    in_spurt_ = false;
    current_type_ = packet.payload_type.value;
  }
  play_audio({packet, *described}, time, missing, place);
}

void AudioStream::play_audio(const Playing& playing, Instant time, std::int64_t lost,
                             const PlaceSamples& place) {
  Codec& codec = codec_of(playing.format);
  if (&codec != current_) {
    in_spurt_ = false;
    current_ = &codec;
  }
  if (!codec.decoder) return;
  const unsigned channels = codec.decoder->channels();
  const std::int64_t position = frame_at(time);
  // How far the timestamps have run ahead of the samples.
  std::int64_t off = in_spurt_ ? position - expected_ : 0;
  // Two milliseconds: less is rounding and drift.
  const std::int64_t tolerance = file_rate_hz_ / 500;
  // Lost packets: the decoder makes something up for as long as the timestamps say.
  if (in_spurt_ && off > tolerance && lost > 0 && loss_ == LossPolicy::kConceal) {
    const std::uint32_t rate = codec.decoder->sample_rate_hz();
    const std::int64_t wanted =
        std::min<std::int64_t>(off, std::int64_t{file_rate_hz_} * kMaxConcealMs / 1000);
    const std::span<std::int16_t> made_up =
        room_in(samples_, static_cast<std::size_t>(wanted * rate / file_rate_hz_) * channels);
    codec.decoder->conceal(made_up);
    emit(resample(make_mono(made_up, channels)), place);
    expected_ += wanted;
    off -= wanted;
  }
  if (std::abs(off) > tolerance) {
    end_spurt(place);
    in_spurt_ = false;
  }
  const std::span<std::int16_t> room = room_in(samples_, codec.decoder->max_samples());
  const auto decoded = codec.decoder->decode(playing.packet.payload, room);
  if (!decoded) {
    ++report_.damaged_packets;
    return;
  }
  const std::span<const std::int16_t> samples = make_mono(room.first(*decoded), channels);
  const std::int64_t frames =
      static_cast<std::int64_t>(samples.size()) * file_rate_hz_ / codec.decoder->sample_rate_hz();
  std::span<const std::int16_t> ready = resample(samples);
  expected_ += frames;
  if (!in_spurt_) {
    expected_ = position + frames;
    in_spurt_ = true;
    // Never over what this stream has said already: two beginnings must not sound together.
    if (has_placed_ && placed_ > position)
      ready = ready.subspan(std::min(static_cast<std::size_t>(placed_ - position), ready.size()));
    else
      placed_ = position;
  } else if (std::abs(off) > 1) {
    expected_ += off;
    // A correction of the clock: some samples more (the last one repeated) or less. A difference of one
    // sample is rounding.
    if (off > 0)
      emit(std::vector<std::int16_t>(static_cast<std::size_t>(off), last_sample_), place);
    else
      ready = ready.subspan(std::min(static_cast<std::size_t>(-off), ready.size()));
  }
  emit(ready, place);
}

// One packet of a DTMF event. It only adds what its predecessors have not played yet, so packets of the same
// event that were lost or came twice change nothing.
void AudioStream::play_event(const Playing& playing, const PlaceSamples& place) {
  const Bytes payload(playing.packet.payload);
  if (payload.size() < 4 || events_ == EventPolicy::kSilence) return;
  const std::uint8_t event = read_u8(payload, 0);
  if (event >= kDigits) return;
  // Each packet says how long the event has lasted so far. At most ten seconds are believed.
  const std::int64_t duration = std::min<std::int64_t>(
      std::int64_t{read_u16(payload, 2)} * file_rate_hz_ / playing.format.clock_rate_hz,
      std::int64_t{file_rate_hz_} * 10);
  // The volume field is the level in dBm0 without its sign (RFC 4733 section 2.3.4).
  const double level = std::pow(10.0, -(read_u8(payload, 1) & 0x3f) / 20.0) * 16000.0;
  samples_.clear();
  const std::int64_t begin = event_position_ + event_frames_;
  for (; event_frames_ < duration; ++event_frames_) {
    double value = 0;
    for (const int hertz : kDigitHertz[event])
      value += std::sin(2 * std::numbers::pi * hertz * static_cast<double>(event_frames_) / file_rate_hz_);
    samples_.push_back(static_cast<std::int16_t>(value * level));
  }
  // Added to the audio, which some phones go on to send.
  if (!samples_.empty()) report_.late_samples += place({file_rate_hz_, 1, begin, samples_});
}

}  // namespace ferry
