// SPDX-License-Identifier: Apache-2.0
#include "codecs/prompts/prompt_encoder.hpp"

#include "codecs/audio/codec_table.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

namespace ferry {

namespace {

/// Packets of the first step and of the others: the first one is short, so that a prompt begins at once.
constexpr std::size_t kFirstPackets = 5;
constexpr std::size_t kPackets = 50;
/// Samples that are read at once.
constexpr std::size_t kRead = 2048;
/// Packet times that are tried if a codec does not know the one that is wanted.
constexpr std::array<unsigned, 4> kOtherTimes = {20, 30, 10, 40};

std::size_t samples_of(const AudioEncoder& encoder, unsigned ms) {
  return std::size_t{encoder.sample_rate_hz()} * encoder.channels() * ms / 1000;
}

}  // namespace

std::unique_ptr<PromptEncoder> PromptEncoder::make(std::unique_ptr<SampleSource> source,
                                                   const AudioFormat& format, unsigned packet_ms) {
  CodecSettings settings;
  settings.sample_rate_hz = source->rate_hz();
  settings.channels = 1;
  auto encoder = make_audio_encoder(format, settings);
  if (!encoder) return nullptr;
  const auto takes = [&](unsigned ms) { return ms != 0 && (*encoder)->takes(samples_of(**encoder, ms)); };
  if (!takes(packet_ms)) {
    const auto* other = std::ranges::find_if(kOtherTimes, takes);
    if (other == kOtherTimes.end()) return nullptr;
    packet_ms = *other;
  }
  return std::unique_ptr<PromptEncoder>(
      new PromptEncoder(std::move(source), std::move(*encoder), format, packet_ms));
}

PromptEncoder::PromptEncoder(std::unique_ptr<SampleSource> source, std::unique_ptr<AudioEncoder> encoder,
                             const AudioFormat& format, unsigned packet_ms)
    : source_(std::move(source)),
      encoder_(std::move(encoder)),
      resampler_(source_->rate_hz(), encoder_->sample_rate_hz()),
      packet_samples_(samples_of(*encoder_, packet_ms)),
      read_(kRead) {
  PromptTiming timing;
  timing.packet_time = std::chrono::milliseconds(packet_ms);
  timing.units = format.clock_rate_hz * packet_ms / 1000;
  timing.clock_rate_hz = format.clock_rate_hz;
  prompt_ = std::make_shared<Prompt>(timing);
}

void PromptEncoder::fill() {
  const std::size_t channels = encoder_->channels();
  while (!has_ended_ && pending_.size() < packet_samples_) {
    const std::size_t got = source_->next(read_);
    has_ended_ = got < read_.size();
    resampled_.resize(resampler_.room_for(got) + resampler_.drain_room());
    std::size_t made = resampler_.run(std::span(read_).first(got), resampled_);
    if (has_ended_) made += resampler_.drain(std::span(resampled_).subspan(made));
    for (std::size_t i = 0; i < made; ++i) pending_.insert(pending_.end(), channels, resampled_[i]);
  }
  // The last packet is filled up with silence.
  if (has_ended_ && !pending_.empty() && pending_.size() < packet_samples_) pending_.resize(packet_samples_);
}

bool PromptEncoder::encode_next() {
  const auto most = static_cast<std::uint64_t>(kLongest / prompt_->timing().packet_time);
  PromptPart part;
  const std::size_t wanted = made_ == 0 ? kFirstPackets : kPackets;
  const std::size_t room = encoder_->octets_for(packet_samples_);
  bool has_more = true;
  while (part.sizes.size() < wanted && has_more) {
    fill();
    has_more = pending_.size() >= packet_samples_ && made_ < most;
    if (!has_more) break;
    const std::size_t before = part.payloads.size();
    part.payloads.resize(before + room);
    const Encoded encoded = encoder_->encode(std::span(pending_).first(packet_samples_),
                                             MutableBytes(part.payloads).subspan(before));
    part.payloads.resize(before + encoded.octets);
    part.sizes.push_back(static_cast<std::uint16_t>(encoded.octets));
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(packet_samples_));
    ++made_;
  }
  part.payloads.shrink_to_fit();
  prompt_->append(std::move(part));
  return has_more;
}

bool PromptEncoder::step() noexcept {
  bool has_more = false;
  try {
    has_more = encode_next();
  } catch (const std::exception&) {
    has_failed_ = true;
  }
  if (!has_more) prompt_->finish();
  return has_more;
}

}  // namespace ferry
