// SPDX-License-Identifier: Apache-2.0
#include "codecs/fax/steady_buffer.hpp"

#include <algorithm>

namespace ferry {

namespace {
constexpr std::int64_t kSamplesInMs = 8;
constexpr unsigned kMostDepthMs = 200;
}  // namespace

std::optional<Law> static_law(PayloadType type) noexcept {
  constexpr PayloadType kPcmu{0};
  constexpr PayloadType kPcma{8};
  if (type == kPcmu) return Law::kMu;
  if (type == kPcma) return Law::kA;
  return std::nullopt;
}

SteadyBuffer::SteadyBuffer(unsigned depth_ms)
    : depth_(std::min(depth_ms, kMostDepthMs) * kSamplesInMs), samples_(kRoom) {}

void SteadyBuffer::begin(const RtpView& rtp) noexcept {
  if (has_begun_) ++restarts_;
  has_begun_ = true;
  known_.reset();
  ssrc_ = rtp.ssrc;
  timestamp_ = rtp.timestamp;
  position_ = next_ + depth_;
  late_in_a_row_ = 0;
}

SteadyBuffer::Outcome SteadyBuffer::put(const RtpView& rtp) noexcept {
  const auto law = static_law(rtp.payload_type);
  const auto size = static_cast<std::int64_t>(rtp.payload.size());
  if (!law || size == 0 || size > static_cast<std::int64_t>(kRoom) / 2) return Outcome::kNotG711;
  if (!has_begun_ || rtp.ssrc != ssrc_) begin(rtp);
  std::int64_t first = position_ + static_cast<std::int32_t>(rtp.timestamp - timestamp_);
  const bool is_far = first + size > next_ + static_cast<std::int64_t>(kRoom) ||
                      first < next_ - static_cast<std::int64_t>(kRoom);
  if (first < next_ && !is_far) {
    ++late_;
    if (++late_in_a_row_ < kMostLate) return Outcome::kLate;
  }
  if (is_far || first < next_) {
    begin(rtp);
    first = position_;
  }
  late_in_a_row_ = 0;
  timestamp_ = rtp.timestamp;
  position_ = first;
  const auto& samples = g711_samples(*law);
  for (const std::byte octet : rtp.payload) {
    const std::size_t at = static_cast<std::size_t>(first++) % kRoom;
    samples_[at] = samples[std::to_integer<std::uint8_t>(octet)];
    known_.set(at);
  }
  return Outcome::kTaken;
}

bool SteadyBuffer::take(std::span<std::int16_t> out) noexcept {
  bool is_whole = true;
  for (std::int16_t& sample : out) {
    const std::size_t at = static_cast<std::size_t>(next_++) % kRoom;
    sample = known_[at] ? samples_[at] : std::int16_t{0};
    is_whole = is_whole && known_[at];
    known_.reset(at);
  }
  return is_whole;
}

}  // namespace ferry
