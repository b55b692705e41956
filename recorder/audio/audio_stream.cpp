// One stream of audio: RTP packets in, samples on the time of the recording out.
//
// 1. `on_packet` unwraps sequence number and timestamp to 64 bits and keeps the packet in order in
//    `pending_`. Nothing is decided yet: late packets may still come.
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

#include "codecs/audio/decoder_table.hpp"
#include "relay/base/text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace ferry {

namespace {

using std::chrono::milliseconds;

// Packets that wait in order; more of them are played early.
constexpr std::size_t kMaxPending = 1024;
/// Arrival times behind a packet that the clock looks at.
constexpr std::size_t kMaxArrivals = 100;
constexpr std::size_t kMaxGaps = 500;
constexpr std::size_t kMaxCodecs = 64;
constexpr std::size_t kMaxProblems = 16;
/// Most that a gap is filled with. What is longer was not lost but never sent.
constexpr std::int64_t kMaxConcealMs = 500;
/// Steps of the sequence number that are no loss but a new beginning, as SSR-4 has it.
constexpr std::int64_t kRestart = 100;
constexpr std::int64_t kMaxLoss = 3000;

bool is_named(const RecordedFormat& format, std::string_view name) {
  return equal_ignoring_case(format.encoding, name);
}

AudioFormat audio_format(const RecordedFormat& format) {
  return {format.encoding, format.clock_rate_hz, format.channels, format.parameters};
}

/// The two tones of each DTMF event, Hz (RFC 4733 section 3.2, ITU-T Q.23).
constexpr std::array<std::array<int, 2>, 16> kEventTones = {{{941, 1336},
                                                             {697, 1209},
                                                             {697, 1336},
                                                             {697, 1477},
                                                             {770, 1209},
                                                             {770, 1336},
                                                             {770, 1477},
                                                             {852, 1209},
                                                             {852, 1336},
                                                             {852, 1477},
                                                             {941, 1209},
                                                             {941, 1477},
                                                             {697, 1633},
                                                             {770, 1633},
                                                             {852, 1633},
                                                             {941, 1633}}};

// Averages the channels in place.
void make_mono(std::vector<std::int16_t>& samples, unsigned channels) {
  if (channels < 2) return;
  const std::size_t frames = samples.size() / channels;
  for (std::size_t i = 0; i < frames; ++i) {
    int sum = 0;
    for (unsigned c = 0; c < channels; ++c) sum += samples[i * channels + c];
    samples[i] = static_cast<std::int16_t>(sum / static_cast<int>(channels));
  }
  samples.resize(frames);
}

}  // namespace

// Made only to be asked: a decoder knows its rate, and a plug-in may not be there.
std::uint32_t AudioStream::sample_rate_of(const RecordedFormat& format) {
  const auto decoder = make_audio_decoder(audio_format(format));
  return decoder ? (*decoder)->sample_rate_hz() : 0;
}

std::shared_ptr<const RecordedFormat> AudioStream::format_of(PayloadType type,
                                                             const std::vector<RecordedFormat>& formats) {
  RecordedFormat wanted;
  const auto found = std::ranges::find(formats, type, &RecordedFormat::type);
  if (found != formats.end()) {
    wanted = *found;
  } else if (const auto fixed = static_audio_format(type)) {
    wanted = {type, fixed->encoding, fixed->clock_rate_hz, fixed->channels, {}};
  } else {
    return nullptr;
  }
  // One object for each format: packets point to it for as long as they wait.
  for (const auto& known : known_formats_) {
    if (*known == wanted) return known;
  }
  known_formats_.push_back(std::make_shared<const RecordedFormat>(std::move(wanted)));
  return known_formats_.back();
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
  Pending packet;
  // The nearest number to the highest one so far: unwrapped, they never jump back by 65,536.
  if (has_unwrapped_) {
    packet.sequence =
        highest_sequence_ + distance(rtp.sequence, SeqNo{static_cast<std::uint16_t>(highest_sequence_)});
    packet.timestamp =
        highest_timestamp_ +
        static_cast<std::int32_t>(rtp.timestamp - static_cast<std::uint32_t>(highest_timestamp_));
  } else {
    packet.sequence = rtp.sequence.value;
    packet.timestamp = rtp.timestamp;
    highest_sequence_ = packet.sequence - 1;
    has_unwrapped_ = true;
  }
  if (packet.sequence > highest_sequence_) {
    highest_sequence_ = packet.sequence;
    highest_timestamp_ = packet.timestamp;
  }
  if (has_played_ && packet.sequence <= played_sequence_ && !restarts(packet)) {
    // A duplicate, or too late to be put in order.
    ++report_.late_packets;
    return;
  }
  // Mostly the last place: the loop looks from behind.
  auto place = pending_.end();
  while (place != pending_.begin() && std::prev(place)->sequence >= packet.sequence) --place;
  if (place != pending_.end() && place->sequence == packet.sequence) return;
  packet.at = at;
  packet.payload_type = rtp.payload_type.value;
  packet.format = format_of(rtp.payload_type, formats);
  packet.payload.assign(rtp.payload.begin(), rtp.payload.end());
  pending_.insert(place, std::move(packet));
}

bool AudioStream::restarts(Pending& packet) {
  // A sender that begins again under its SSRC: two packets in a row that are far behind (SSR-4).
  const std::int64_t behind = played_sequence_ - packet.sequence;
  const bool confirmed = behind > kRestart && packet.sequence == restart_ + 1;
  restart_ = behind > kRestart ? packet.sequence : INT64_MIN;
  if (!confirmed) return false;
  // Put behind everything that was played, so that order still follows from the number.
  packet.sequence += (behind / 65536 + 1) * 65536;
  if (packet.sequence <= highest_sequence_) packet.sequence += 65536;
  highest_sequence_ = packet.sequence;
  highest_timestamp_ = packet.timestamp;
  restart_ = INT64_MIN;
  return true;
}

void AudioStream::release(Instant now, const PlaceSamples& place) {
  // Everything up to the last packet that has waited long enough is played; more if too many wait.
  std::size_t count = pending_.size() > kMaxPending ? pending_.size() - kMaxPending : 0;
  for (std::size_t i = count; i < pending_.size(); ++i) {
    if (now == Instant::max() || now - pending_[i].at >= kHold) count = i + 1;
  }
  for (; count > 0; --count) {
    play(pending_.front(), place);
    played_sequence_ = pending_.front().sequence;
    has_played_ = true;
    pending_.pop_front();
  }
  // Nothing follows for now, so what is still inside the resampler is heard.
  if (pending_.empty()) end_spurt(place);
}

void AudioStream::end_spurt(const PlaceSamples& place) {
  if (!in_spurt_ || current_ == nullptr || !current_->resampler) return;
  resampled_.clear();
  current_->resampler->drain(resampled_);
  emit(resampled_, place);
  in_spurt_ = false;
}

void AudioStream::emit(std::span<const std::int16_t> samples, const PlaceSamples& place) {
  if (samples.empty()) return;
  report_.late_samples += place(placed_, samples);
  placed_ += static_cast<std::int64_t>(samples.size());
  has_placed_ = true;
  last_sample_ = samples.back();
}

AudioStream::Codec& AudioStream::codec_of(const Pending& packet) {
  Codec& codec = codecs_[packet.payload_type];
  if (codec.format == *packet.format) return codec;  // a new codec has no name yet
  codec.format = *packet.format;
  auto decoder = make_audio_decoder(audio_format(codec.format));
  codec.decoder = decoder ? std::move(*decoder) : nullptr;
  codec.resampler =
      codec.decoder ? std::make_unique<Resampler>(codec.decoder->sample_rate_hz(), file_rate_hz_) : nullptr;
  if (!decoder && report_.problems.size() < kMaxProblems) report_.problems.push_back(decoder.error());
  return codec;
}

void AudioStream::play(Pending& packet, const PlaceSamples& place) {
  std::int64_t missing = has_played_ ? packet.sequence - played_sequence_ - 1 : 0;
  // Packets that were missing in a pause are no loss.
  if (missing > kMaxLoss || played_sequence_ == excused_) missing = 0;
  if (!packet.format || packet.format->clock_rate_hz == 0) {
    const std::string problem =
        "payload type " + std::to_string(packet.payload_type) + " was never described";
    if (std::ranges::find(report_.problems, problem) == report_.problems.end() &&
        report_.problems.size() < kMaxProblems)
      report_.problems.push_back(problem);
    return;
  }
  // Timestamps of another rate need another clock.
  if (!clock_ || clock_->clock_rate_hz() != packet.format->clock_rate_hz) {
    clock_ = std::make_unique<StreamClock>(packet.format->clock_rate_hz);
    end_spurt(place);
    in_spurt_ = false;
  }
  std::vector<ClockedArrival> arrivals;
  arrivals.reserve(std::min(pending_.size(), kMaxArrivals));
  for (const Pending& each : pending_) {
    if (arrivals.size() == kMaxArrivals) break;
    const bool same_clock = each.format && each.format->clock_rate_hz == packet.format->clock_rate_hz;
    if (!same_clock) break;
    // Packets of one event share a timestamp, so they say nothing about the clock.
    if (is_named(*each.format, "telephone-event") && !arrivals.empty()) continue;
    arrivals.push_back({each.timestamp, each.at});
  }
  if (is_named(*packet.format, "telephone-event")) {
    // A new event is placed by its first packet; the following ones only make it longer.
    if (packet.timestamp != event_timestamp_) {
      arrivals.resize(1);
      event_timestamp_ = packet.timestamp;
      event_position_ = frame_at(clock_->time_of(arrivals, one_sample()));
      report_.anchors += clock_->has_jumped() ? 1 : 0;
      event_frames_ = 0;
    }
    play_event(packet, place);
    return;
  }
  const Instant time = clock_->time_of(arrivals, one_sample());
  report_.anchors += clock_->has_jumped() ? 1 : 0;
  if (missing > 0) {
    if (report_.gaps.size() < kMaxGaps)
      report_.gaps.push_back({since_start(time), static_cast<std::uint32_t>(missing)});
    else
      ++report_.gaps_left_out;
  }
  if (is_named(*packet.format, "CN")) {  // comfort noise (RFC 3389) is silence here
    end_spurt(place);
    in_spurt_ = false;
    return;
  }
  if (packet.payload_type != current_type_) {
    if (report_.codecs.size() < kMaxCodecs)
      report_.codecs.push_back(
          {since_start(time), packet.payload_type,
           packet.format->encoding + "/" + std::to_string(packet.format->clock_rate_hz)});
    end_spurt(place);
    in_spurt_ = false;
    current_type_ = packet.payload_type;
  }
  play_audio(packet, time, missing, place);
}

void AudioStream::play_audio(const Pending& packet, Instant time, std::int64_t lost,
                             const PlaceSamples& place) {
  Codec& codec = codec_of(packet);
  if (&codec != current_) {
    in_spurt_ = false;
    current_ = &codec;
  }
  if (!codec.decoder) return;
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
    samples_.clear();
    codec.decoder->conceal(static_cast<std::size_t>(wanted * rate / file_rate_hz_), samples_);
    make_mono(samples_, codec.decoder->channels());
    resampled_.clear();
    codec.resampler->run(samples_, resampled_);
    emit(resampled_, place);
    expected_ += wanted;
    off -= wanted;
  }
  if (std::abs(off) > tolerance) {
    end_spurt(place);
    in_spurt_ = false;
  }
  samples_.clear();
  if (!codec.decoder->decode(packet.payload, samples_)) {
    ++report_.damaged_packets;
    return;
  }
  make_mono(samples_, codec.decoder->channels());
  const std::int64_t frames =
      static_cast<std::int64_t>(samples_.size()) * file_rate_hz_ / codec.decoder->sample_rate_hz();
  resampled_.clear();
  codec.resampler->run(samples_, resampled_);
  std::span<const std::int16_t> ready = resampled_;
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
void AudioStream::play_event(const Pending& packet, const PlaceSamples& place) {
  if (packet.payload.size() < 4 || events_ == EventPolicy::kSilence) return;
  const Bytes payload(packet.payload);
  const std::uint8_t event = read_u8(payload, 0);
  if (event >= kEventTones.size()) return;
  // Each packet says how long the event has lasted so far. At most ten seconds are believed.
  const std::int64_t duration = std::min<std::int64_t>(
      std::int64_t{read_u16(payload, 2)} * file_rate_hz_ / packet.format->clock_rate_hz,
      std::int64_t{file_rate_hz_} * 10);
  // The volume field is the level in dBm0 without its sign (RFC 4733 section 2.3.4).
  const double level = std::pow(10.0, -(read_u8(payload, 1) & 0x3f) / 20.0) * 16000.0;
  samples_.clear();
  const std::int64_t begin = event_position_ + event_frames_;
  for (; event_frames_ < duration; ++event_frames_) {
    double value = 0;
    for (const int hertz : kEventTones[event])
      value += std::sin(2 * std::numbers::pi * hertz * static_cast<double>(event_frames_) / file_rate_hz_);
    samples_.push_back(static_cast<std::int16_t>(value * level));
  }
  // Added to the audio, which some phones go on to send.
  if (!samples_.empty()) report_.late_samples += place(begin, samples_);
}

}  // namespace ferry
