// One SSRC of one party: its packets put in order, decoded and laid on the time of the recording.
#pragma once

#include "codecs/audio/audio_decoder.hpp"
#include "recorder/audio/resampler.hpp"
#include "recorder/audio/stream_clock.hpp"
#include "recorder/settings.hpp"
#include "relay/core/recording.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ferry {

/// Where decoded samples go: mono, at the rate of the recording. Positions are frames since its start, and
/// may be negative for what was sent before it. Returns how many samples came too late.
using PlaceSamples = std::function<std::size_t(std::int64_t position, std::span<const std::int16_t> samples)>;

/// Packets that are missing: where, and how many.
struct AudioGap {
  std::chrono::milliseconds at{0};  // since the start of the recording
  std::uint32_t packets = 0;
};

/// A payload type that came into use.
struct CodecChange {
  std::chrono::milliseconds at{0};
  std::uint8_t payload_type = 0;
  std::string name;  // as in `a=rtpmap`, e.g. PCMA/8000
};

/// What a stream tells about itself in the manifest. The lists are bounded; `gaps_left_out` counts on.
struct AudioStreamReport {
  std::vector<AudioGap> gaps;
  std::uint64_t gaps_left_out = 0;
  std::vector<CodecChange> codecs;
  std::uint64_t late_packets = 0;
  std::uint64_t damaged_packets = 0;
  std::uint64_t late_samples = 0;
  std::uint64_t anchors = 0;
  /// Why nothing is heard of a payload type, once each.
  std::vector<std::string> problems;
};

/// Not thread-safe; a writer thread owns it.
class AudioStream {
 public:
  /// How long a packet waits for those that belong before it.
  static constexpr Duration kHold = std::chrono::milliseconds(400);

  AudioStream(Instant start, std::uint32_t file_rate_hz, LossPolicy loss, EventPolicy events)
      : start_(start), file_rate_hz_(file_rate_hz), loss_(loss), events_(events) {}

  /// Takes a packet as it came. `formats` are those of its media now; the packet is borrowed.
  void on_packet(const RtpView& rtp, Instant at, const std::vector<RecordedFormat>& formats);
  /// Decodes what has waited long enough.
  void release(Instant now, const PlaceSamples& place);
  /// Packets are missing now because nobody wanted them: no loss.
  void excuse_gap() { excused_ = highest_sequence_; }
  /// Decodes everything.
  void finish(const PlaceSamples& place) { release(Instant::max(), place); }
  [[nodiscard]] const AudioStreamReport& report() const { return report_; }
  /// Rate of the samples that a format decodes to; 0 if there is no decoder.
  static std::uint32_t sample_rate_of(const RecordedFormat& format);

 private:
  struct Pending {
    std::int64_t sequence = 0;   // unwrapped
    std::int64_t timestamp = 0;  // unwrapped
    Instant at{};
    std::uint8_t payload_type = 0;
    std::shared_ptr<const RecordedFormat> format;  // null: unknown type
    std::vector<std::byte> payload;
  };
  struct Codec {
    RecordedFormat format;
    std::unique_ptr<AudioDecoder> decoder;  // null: cannot
    std::unique_ptr<Resampler> resampler;
  };
  [[nodiscard]] std::shared_ptr<const RecordedFormat> format_of(PayloadType type,
                                                                const std::vector<RecordedFormat>& formats);
  void play(Pending& packet, const PlaceSamples& place);
  void play_audio(const Pending& packet, Instant time, std::int64_t lost, const PlaceSamples& place);
  void play_event(const Pending& packet, const PlaceSamples& place);
  [[nodiscard]] bool restarts(Pending& packet);
  Codec& codec_of(const Pending& packet);
  void end_spurt(const PlaceSamples& place);
  void emit(std::span<const std::int16_t> samples, const PlaceSamples& place);
  [[nodiscard]] std::int64_t frame_at(Instant time) const;
  [[nodiscard]] std::chrono::milliseconds since_start(Instant time) const;
  [[nodiscard]] Duration one_sample() const { return Duration(1'000'000'000 / file_rate_hz_); }

  Instant start_;
  std::uint32_t file_rate_hz_;
  LossPolicy loss_;
  EventPolicy events_;

  std::deque<Pending> pending_;  // by sequence
  bool has_unwrapped_ = false;
  std::int64_t highest_sequence_ = 0;
  std::int64_t highest_timestamp_ = 0;
  bool has_played_ = false;
  std::int64_t played_sequence_ = 0;
  std::int64_t restart_ = INT64_MIN;
  std::int64_t excused_ = INT64_MIN;
  std::unique_ptr<StreamClock> clock_;
  std::vector<std::shared_ptr<const RecordedFormat>> known_formats_;

  std::map<std::uint8_t, Codec> codecs_;
  std::uint8_t current_type_ = 0xff;
  Codec* current_ = nullptr;
  bool in_spurt_ = false;
  /// Frame behind the last packet by its timestamps, and behind the last sample that was placed.
  std::int64_t expected_ = 0;
  std::int64_t placed_ = 0;
  bool has_placed_ = false;
  std::int16_t last_sample_ = 0;
  /// Of the event that is being played.
  std::int64_t event_timestamp_ = INT64_MIN;
  std::int64_t event_position_ = 0;
  std::int64_t event_frames_ = 0;
  std::vector<std::int16_t> samples_;
  std::vector<std::int16_t> resampled_;
  AudioStreamReport report_;
};

}  // namespace ferry
