// SPDX-License-Identifier: Apache-2.0
// Packets of one receiver's codec, made of samples.
#pragma once

#include "codecs/transcode/figures.hpp"
#include "relay/core/audio/codec.hpp"
#include "relay/core/audio/conversion.hpp"
#include "relay/core/output/stage.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace ferry {

/// Encodes packets of one length, and says how far each lies behind the one before. Silence becomes nothing,
/// comfort noise (RFC 3389) or speech, as the receiver has it. For one thread.
class PacketEncoder {
 public:
  /// Takes on another receiver's codec. False if there is no encoder of it. Throws std::bad_alloc.
  bool configure(const AudioConversion& conversion, std::uint32_t highest_input_hz);
  /// Others have sent packets since the last one: `go_on_after` says how far behind those the next one is.
  void forget_last() noexcept { last_position_.reset(); }
  /// Clock units of the next packet behind the last one, if that was somebody else's.
  void go_on_after(std::uint32_t units) noexcept { units_behind_ = units; }

  /// Rate of the samples, Hz; those of one packet; the clock of the timestamps, Hz.
  [[nodiscard]] std::uint32_t rate_hz() const noexcept { return encoder_->sample_rate_hz(); }
  [[nodiscard]] std::size_t packet_samples() const noexcept { return packet_samples_; }
  [[nodiscard]] std::uint32_t clock_hz() const noexcept { return clock_hz_; }
  /// Position of the last packet's first sample; nothing before the first one.
  [[nodiscard]] std::optional<std::int64_t> last_position() const noexcept { return last_position_; }
  /// The next packet begins sound after a time without: it gets the marker (RFC 3551 §4.1).
  void mark() noexcept { marks_ = true; }
  /// It goes on behind something else that was sent.
  void unmark() noexcept { marks_ = false; }
  /// A packet that is no speech of this encoder has left at this position.
  void note_other(std::int64_t position) noexcept { last_position_ = position; }

  /// Encodes one packet: `samples` are `packet_samples` of one channel, from `position` on. `is_silence`:
  /// they are noise of a pause. True if a packet was made.
  bool encode(std::span<const std::int16_t> samples, std::int64_t position, bool is_silence,
              MadePackets& out);
  /// Clock units from the last packet to `position`.
  [[nodiscard]] std::uint32_t units_to(std::int64_t position) const noexcept;
  /// What is heard of the receiver.
  void on_feedback(const EncoderFeedback& feedback) {
    if (encoder_) encoder_->on_feedback(feedback);
  }
  /// True if the encoder is there.
  [[nodiscard]] bool is_ready() const noexcept { return encoder_ != nullptr; }
  void stop() noexcept { encoder_.reset(); }

 private:
  /// Samples of one channel in a packet that lasts `ptime_ms` or the next longer time that the codec takes;
  /// 0: none.
  [[nodiscard]] std::size_t samples_for(unsigned ptime_ms) const;
  /// True if a packet of comfort noise stands for these samples, or nothing does.
  bool encode_noise(std::span<const std::int16_t> samples, std::int64_t position, MadePackets& out);
  void send(PayloadType type, std::int64_t position, bool marker, std::size_t octets, MadePackets& out);

  std::unique_ptr<AudioEncoder> encoder_;
  /// Null: the receiver has no comfort noise for this clock, or the codec pauses by itself.
  std::unique_ptr<AudioEncoder> noise_encoder_;
  PayloadType type_;
  PayloadType noise_type_;
  std::uint32_t clock_hz_ = 8000;
  std::size_t packet_samples_ = 160;
  bool is_in_noise_ = false;
  bool marks_ = true;
  std::optional<std::int64_t> last_position_;
  std::uint32_t units_behind_ = 0;
  std::vector<std::byte> payload_;
  /// Samples for an encoder of two channels.
  std::vector<std::int16_t> both_;
};

}  // namespace ferry
