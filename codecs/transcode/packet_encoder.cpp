// SPDX-License-Identifier: Apache-2.0
#include "codecs/transcode/packet_encoder.hpp"

#include "codecs/audio/codec_table.hpp"
#include "codecs/transcode/sample_time.hpp"

#include <algorithm>

namespace ferry {

namespace {

/// No packet is made that is longer, ms.
constexpr unsigned kLongestPacketMs = 240;

}  // namespace

std::size_t PacketEncoder::samples_for(unsigned ptime_ms) const {
  for (unsigned ms = std::max(ptime_ms, 1U); ms <= kLongestPacketMs; ++ms) {
    const std::size_t samples = std::size_t{rate_hz()} * ms / 1000;
    if (encoder_->takes(samples * encoder_->channels())) return samples;
  }
  // Longer than the codec makes packets: its longest one.
  for (unsigned ms = std::min(ptime_ms, kLongestPacketMs); ms > 0; --ms) {
    const std::size_t samples = std::size_t{rate_hz()} * ms / 1000;
    if (encoder_->takes(samples * encoder_->channels())) return samples;
  }
  return 0;
}

bool PacketEncoder::configure(const AudioConversion& conversion, std::uint32_t highest_input_hz) {
  CodecSettings settings = conversion.settings;
  // What the source does not have need not be encoded.
  if (settings.sample_rate_hz == 0) settings.sample_rate_hz = highest_input_hz;
  auto encoder = make_audio_encoder(conversion.format, settings);
  encoder_ = encoder ? std::move(*encoder) : nullptr;
  if (!encoder_) return false;
  type_ = conversion.type;
  clock_hz_ = conversion.format.clock_rate_hz;
  packet_samples_ = samples_for(conversion.ptime_ms);
  if (packet_samples_ == 0) encoder_.reset();
  if (!encoder_) return false;
  noise_encoder_.reset();
  const auto& noise = conversion.comfort_noise;
  if (noise && noise->clock_rate_hz == clock_hz_ && !conversion.settings.dtx) {
    noise_type_ = noise->type;
    auto made = make_audio_encoder({"CN", rate_hz(), 1, {}});
    if (made) noise_encoder_ = std::move(*made);
  }
  is_in_noise_ = false;
  marks_ = true;
  const std::size_t most = encoder_->octets_for(packet_samples_ * encoder_->channels());
  payload_.resize(std::max(most, noise_encoder_ ? noise_encoder_->octets_for(packet_samples_) : 0));
  both_.resize(encoder_->channels() > 1 ? packet_samples_ * encoder_->channels() : 0);
  return true;
}

std::uint32_t PacketEncoder::units_to(std::int64_t position) const noexcept {
  if (!last_position_) return units_behind_;
  return static_cast<std::uint32_t>(scaled_units(position, rate_hz(), clock_hz_) -
                                    scaled_units(*last_position_, rate_hz(), clock_hz_));
}

void PacketEncoder::send(PayloadType type, std::int64_t position, bool marker, std::size_t octets,
                         MadePackets& out) {
  MadePacket packet;
  packet.type = type;
  packet.marker = marker;
  packet.units = units_to(position);
  packet.payload = Bytes(payload_).first(octets);
  packet.clock_rate_hz = clock_hz_;
  // First: whoever takes it may send something that belongs before it.
  out.take(packet);
  last_position_ = position;
}

bool PacketEncoder::encode_noise(std::span<const std::int16_t> samples, std::int64_t position,
                                 MadePackets& out) {
  // The pause begins with a descriptor; what was said before it is nothing to compare with.
  if (!is_in_noise_) noise_encoder_->restart();
  is_in_noise_ = true;
  // The speech behind it gets the marker, and not this one (RFC 3389 §4).
  marks_ = true;
  const Encoded made = noise_encoder_->encode(samples, payload_);
  if (made.octets == 0) return false;
  send(noise_type_, position, false, made.octets, out);
  return true;
}

bool PacketEncoder::encode(std::span<const std::int16_t> samples, std::int64_t position, bool is_silence,
                           MadePackets& out) {
  if (is_silence && noise_encoder_ && samples.size() >= noise_encoder_->frame_samples())
    return encode_noise(samples, position, out);
  if (is_in_noise_) encoder_->restart();
  is_in_noise_ = false;
  const unsigned channels = encoder_->channels();
  if (channels > 1) {
    for (std::size_t i = 0; i < samples.size() * channels; ++i) both_[i] = samples[i / channels];
    samples = both_;
  }
  const Encoded made = encoder_->encode(samples, payload_);
  if (made.octets == 0) {
    marks_ = true;
    return false;
  }
  const bool marker = marks_ && !made.is_silence;
  if (!made.is_silence) marks_ = false;
  send(type_, position + static_cast<std::int64_t>(made.skipped / channels), marker, made.octets, out);
  if (made.is_silence) marks_ = true;
  return true;
}

}  // namespace ferry
