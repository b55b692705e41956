// SPDX-License-Identifier: Apache-2.0
// The speech of one source: packets in as they come, samples of one rate out, in order.
#pragma once

#include "codecs/audio/comfort_noise.hpp"
#include "codecs/audio/reorder.hpp"
#include "codecs/audio/resampler.hpp"
#include "codecs/transcode/delay_meter.hpp"
#include "codecs/transcode/figures.hpp"
#include "relay/core/audio/codec.hpp"
#include "relay/core/audio/conversion.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace ferry {

/// Keeps packets in order, decodes them one at a time, and makes up what is missing. When that happens is its
/// owner's business. Decoders are made when their first packet is played. For one thread.
class SpeechSource {
 public:
  explicit SpeechSource(TranscodeFigures& figures) : figures_(figures), order_(Duration{0}, kMostWaiting) {}

  /// What the source sends from now on (not null), and the rate of the samples that come out.
  void configure(std::shared_ptr<const AudioConversion> conversion, std::uint32_t rate_hz);
  /// Takes a packet of one of the inputs (RED, RFC 2198, is taken apart). Packets of another SSRC begin
  /// another stream.
  void add(const RtpView& rtp, const AudioInput& input, Instant now);
  /// A packet that carries no speech has this number: nobody waits for it.
  void add_other(const RtpView& rtp, Instant now);

  /// The packet that is next; null if none waits. Borrowed until the next call that is not const.
  [[nodiscard]] const OrderedPacket* front() const noexcept;
  /// Packets that wait.
  [[nodiscard]] std::size_t waiting() const noexcept { return order_.waiting().size(); }
  /// Packets that are missing before the first one.
  [[nodiscard]] std::int64_t missing() const noexcept;
  /// Clock of the timestamps of the first one, Hz.
  [[nodiscard]] std::uint32_t front_clock_hz() const noexcept;
  /// When the first one would have come with the least delay of the network; never later than it came. Its
  /// arrival, if no delay is known. Something must wait.
  [[nodiscard]] Instant front_least() const noexcept;
  /// How much sound waits: from the first one's timestamp to that of the last one.
  [[nodiscard]] Duration waiting_time() const noexcept;
  /// The first one only describes silence (CN, RFC 3389).
  [[nodiscard]] bool front_is_noise() const noexcept;
  /// The first one carries speech or describes silence.
  [[nodiscard]] bool front_is_audio() const noexcept { return order_.waiting().front().tag != kOther; }
  /// True once if the packets that wait belong to another stream than those before.
  [[nodiscard]] bool take_restart() noexcept { return std::exchange(has_restarted_, false); }

  /// Takes the first packet and decodes it. Samples at the rate of `configure`, mono, borrowed until the next
  /// call; empty if it has none, or is damaged.
  [[nodiscard]] std::span<const std::int16_t> decode();
  /// Takes the first packet and leaves it out. No decoder hears it: packets that are too many must cost
  /// little.
  void discard();
  /// Takes all packets that wait and leaves them out: their time is taken by something else.
  void clear();
  /// Makes up so many samples behind the last ones, from what was heard last. `is_before_front`: they lie
  /// right before those of the first packet, which may hold a copy of them. Borrowed as those of `decode`.
  [[nodiscard]] std::span<const std::int16_t> conceal(std::size_t samples, bool is_before_front);
  /// Noise of the level that the source's silence has. Borrowed as those of `decode`.
  [[nodiscard]] std::span<const std::int16_t> noise(std::size_t samples);

  /// True if the sender pauses: what it leaves out is silence.
  [[nodiscard]] bool is_pausing() const noexcept { return last_ != nullptr && last_->decoder->is_pausing(); }
  /// True if something was decoded already, so that there is something to go on from.
  [[nodiscard]] bool has_heard() const noexcept { return last_ != nullptr; }
  /// Packets were lost lately.
  [[nodiscard]] bool loses() const noexcept { return loss_ > 0.005F; }
  /// Lost packets may be found in the packet behind them, and some were lost: it pays to wait for that.
  [[nodiscard]] bool can_recover() const noexcept;
  [[nodiscard]] const DelayMeter& delays() const noexcept { return delays_; }
  /// The mode that the sender asks for (RFC 4867 §4.3.1): `AudioDecoder::requested_mode`.
  [[nodiscard]] std::optional<std::uint8_t> requested_mode() const noexcept;
  /// The last samples that were decoded are silent.
  [[nodiscard]] bool is_quiet() const noexcept { return is_quiet_; }
  /// Samples as the decoder made them in the last call of `decode`, and their rate: for a detector of tones.
  [[nodiscard]] std::span<const std::int16_t> decoded() const noexcept { return decoded_; }
  [[nodiscard]] std::uint32_t decoded_rate_hz() const noexcept {
    return last_ == nullptr ? 0 : last_->decoder->sample_rate_hz();
  }

 private:
  /// More packets do not wait.
  static constexpr std::size_t kMostWaiting = 128;
  /// `OrderedPacket::tag` of packets without speech.
  static constexpr std::uint32_t kOther = UINT32_MAX;
  /// The decoder of one input.
  struct Codec {
    std::size_t input = 0;
    /// Never null.
    std::unique_ptr<AudioDecoder> decoder;
    /// Brings samples to the rate that is wanted. Null: they have it.
    std::unique_ptr<Resampler> resampler;
  };
  [[nodiscard]] const std::vector<AudioInput>& inputs() const noexcept { return conversion_->inputs; }
  /// Puts a packet in its place in the queue. Nothing if it has no room there: that counts as an overrun.
  std::optional<Reorder::Outcome> put(const RtpView& rtp, std::uint32_t tag, Instant now);
  void add_ordered(const RtpView& rtp, std::uint32_t tag, Instant now);
  void add_redundant(const RtpView& rtp, Instant now);
  /// Learns from the arrival of speech; `clock_hz` is not 0.
  void note_delay(const RtpView& rtp, std::uint32_t clock_hz, Instant now);
  /// The input of a payload type; `inputs().size()` if there is none.
  [[nodiscard]] std::size_t input_of(PayloadType type) const noexcept;
  /// The decoder of the first packet; null if there is none.
  [[nodiscard]] Codec* codec_of_front();
  /// Takes the first packet out of the queue and counts what is missing before it.
  void take() noexcept;
  /// Samples of a decoder as one channel of the wanted rate.
  [[nodiscard]] std::span<const std::int16_t> finished(Codec& codec, std::span<std::int16_t> samples);
  void listen(std::span<const std::int16_t> samples);

  TranscodeFigures& figures_;
  /// Null before `configure`.
  std::shared_ptr<const AudioConversion> conversion_;
  std::uint32_t rate_hz_ = 8000;
  Reorder order_;
  DelayMeter delays_;
  std::optional<Ssrc> ssrc_;
  /// The stream before this one, and when it ended: late packets of it are not another new stream.
  std::optional<Ssrc> old_ssrc_;
  Instant restarted_at_{};
  bool has_restarted_ = false;
  /// Clock of the delays, Hz; 0: nothing was noted yet.
  std::uint32_t delay_clock_hz_ = 0;
  /// Timestamp that was noted last, unwrapped since the last jump.
  std::int64_t last_spoken_ = 0;
  std::vector<std::unique_ptr<Codec>> codecs_;
  /// The decoder that was used last; null: none yet.
  Codec* last_ = nullptr;
  bool has_redundancy_ = false;
  /// Share of packets that were lost, forgetting: about the last 64 count.
  float loss_ = 0;
  bool is_quiet_ = true;
  /// Mean square of the quietest sound lately.
  float floor_ = 0;
  NoiseSource noise_;
  std::vector<std::int16_t> samples_;
  std::vector<std::int16_t> resampled_;
  std::span<const std::int16_t> decoded_;
};

}  // namespace ferry
