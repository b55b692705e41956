// SPDX-License-Identifier: Apache-2.0
// One SSRC of one party: has its packets put in order, decodes them and places the samples on the time of the
// recording.
#pragma once

#include "codecs/audio/reorder.hpp"
#include "codecs/audio/resampler.hpp"
#include "codecs/audio/stream_clock.hpp"
#include "recorder/settings.hpp"
#include "relay/core/audio/codec.hpp"
#include "relay/core/audio/frame.hpp"
#include "relay/core/recording.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ferry {

/// Takes decoded samples: mono, at the rate of the recording. Positions are counted from the start of the
/// recording; they are negative for what was sent before. Returns how many samples came too late.
using PlaceSamples = std::function<std::size_t(const AudioFrame& frame)>;

/// Packets that are missing.
struct AudioGap {
  /// Since the start of the recording.
  std::chrono::milliseconds at{0};
  std::uint32_t packets = 0;
};

/// A payload type that came into use.
struct CodecChange {
  std::chrono::milliseconds at{0};
  std::uint8_t payload_type = 0;
  /// The codec as in `a=rtpmap`, for example PCMA/8000.
  std::string name;
};

/// A stream's part of the manifest. The lists are bounded.
struct AudioStreamReport {
  std::vector<AudioGap> gaps;
  /// Gaps that found no room in `gaps`.
  std::uint64_t gaps_left_out = 0;
  std::vector<CodecChange> codecs;
  /// Packets that came twice or too late to be put in order.
  std::uint64_t late_packets = 0;
  /// Packets that could not be decoded.
  std::uint64_t damaged_packets = 0;
  /// Samples that came when their time was written already.
  std::uint64_t late_samples = 0;
  /// How often the stream's clock was set: once at the beginning, then at each jump.
  std::uint64_t anchors = 0;
  /// Why nothing is heard of a payload type, each reason once.
  std::vector<std::string> problems;
};

/// The audio of one SSRC. A writer thread owns it.
class AudioStream {
 public:
  /// How long a packet waits for others that belong before it.
  static constexpr Duration kHold = std::chrono::milliseconds(400);
  /// Packets that wait in order; more of them are played early.
  static constexpr std::size_t kMaxPending = 1024;

  /// `start`: time of frame 0. `file_rate_hz`: of the samples that come out. `loss`, `events`: what lost
  /// packets and DTMF sound like.
  AudioStream(Instant start, std::uint32_t file_rate_hz, LossPolicy loss, EventPolicy events)
      : start_(start),
        file_rate_hz_(file_rate_hz),
        loss_(loss),
        events_(events),
        order_(kHold, kMaxPending) {}

  /// Takes a packet as it came; it is copied. `formats`: those of its media now.
  void on_packet(const RtpView& rtp, Instant at, const std::vector<RecordedFormat>& formats);
  /// Decodes packets that have waited long enough, and places their samples.
  void release(Instant now, const PlaceSamples& place);
  /// The packets that are missing from now on were not wanted: they are no loss.
  void excuse_gap() { excused_ = order_.highest(); }
  /// Decodes everything that is left.
  void finish(const PlaceSamples& place) { release(Instant::max(), place); }
  /// Everything noticed so far. Borrowed.
  [[nodiscard]] const AudioStreamReport& report() const { return report_; }
  /// The rate of the samples that a format decodes to, Hz; 0: there is no decoder.
  static std::uint32_t sample_rate_of(const RecordedFormat& format);

 private:
  /// The decoder of a payload type.
  struct Codec {
    RecordedFormat format;
    /// Null: nothing decodes it.
    std::unique_ptr<AudioDecoder> decoder;
    /// Brings samples to the rate of the file.
    std::unique_ptr<Resampler> resampler;
  };
  /// A packet that is played, with the format that it had when it came.
  struct Playing {
    const OrderedPacket& packet;
    const RecordedFormat& format;
  };
  /// `OrderedPacket::tag` of packets whose payload type nobody described.
  static constexpr std::uint32_t kNoFormat = UINT32_MAX;
  /// The number in `known_formats_` of a payload type's format: described, or static (RFC 3551); else
  /// `kNoFormat`.
  [[nodiscard]] std::uint32_t format_of(PayloadType type, const std::vector<RecordedFormat>& formats);
  /// Null for `kNoFormat`.
  [[nodiscard]] const RecordedFormat* format(const OrderedPacket& packet) const;
  /// Plays the first packet that waits.
  void play(const PlaceSamples& place);
  void play_audio(const Playing& playing, Instant time, std::int64_t lost, const PlaceSamples& place);
  void play_event(const Playing& playing, const PlaceSamples& place);
  /// Fills `arrivals_` with the packet that is played and those behind it that share its clock.
  void note_arrivals(std::uint32_t clock_rate_hz);
  /// Brings samples of the codec in use to the rate of the file. Borrowed until the next call.
  [[nodiscard]] std::span<const std::int16_t> resample(std::span<const std::int16_t> samples);
  Codec& codec_of(const RecordedFormat& format);
  /// Places what is still inside the resampler: silence follows.
  void end_spurt(const PlaceSamples& place);
  /// Places samples behind the last ones.
  void emit(std::span<const std::int16_t> samples, const PlaceSamples& place);
  [[nodiscard]] std::int64_t frame_at(Instant time) const;
  [[nodiscard]] std::chrono::milliseconds since_start(Instant time) const;
  [[nodiscard]] Duration one_sample() const { return Duration(1'000'000'000 / file_rate_hz_); }

  Instant start_;
  std::uint32_t file_rate_hz_;
  LossPolicy loss_;
  EventPolicy events_;

  Reorder order_;
  /// Up to this number missing packets are excused.
  std::int64_t excused_ = INT64_MIN;
  std::unique_ptr<StreamClock> clock_;
  std::vector<ClockedArrival> arrivals_;
  /// Every format that packets came in, each once.
  std::vector<RecordedFormat> known_formats_;

  std::map<std::uint8_t, Codec> codecs_;
  std::uint8_t current_type_ = 0xff;
  Codec* current_ = nullptr;
  /// Samples are following each other without a gap.
  bool in_spurt_ = false;
  /// The frame behind the last packet by its timestamps; and the frame behind the last sample that was
  /// placed.
  std::int64_t expected_ = 0;
  std::int64_t placed_ = 0;
  bool has_placed_ = false;
  std::int16_t last_sample_ = 0;
  /// The DTMF event that is being played: its timestamp, where it began, and frames of it that were placed.
  std::int64_t event_timestamp_ = INT64_MIN;
  std::int64_t event_position_ = 0;
  std::int64_t event_frames_ = 0;
  /// Room for samples of the decoder and of the resampler. It only grows.
  std::vector<std::int16_t> samples_;
  std::vector<std::int16_t> resampled_;
  AudioStreamReport report_;
};

}  // namespace ferry
