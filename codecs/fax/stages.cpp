// SPDX-License-Identifier: Apache-2.0
#include "codecs/fax/stages.hpp"

#include <array>
#include <utility>

#include <spandsp.h>

namespace ferry {

namespace {

using Samples = std::array<std::int16_t, T38Gateway::kStep>;
using Octets = std::array<std::byte, T38Gateway::kStep>;

/// Hands over one packet of 20 ms.
void give(const Samples& samples, const FaxSound& sound, MadePackets& out) noexcept {
  Octets octets;
  for (std::size_t i = 0; i < samples.size(); ++i)
    octets[i] = std::byte{sound.law == Law::kA ? linear_to_alaw(samples[i]) : linear_to_ulaw(samples[i])};
  MadePacket packet;
  packet.type = sound.type;
  packet.units = T38Gateway::kStep;
  packet.payload = octets;
  out.take(packet);
}

}  // namespace

bool FaxClock::step(Instant now) noexcept {
  if (now < next_) return false;
  constexpr Duration kMostBehind = std::chrono::seconds(1);
  if (now - next_ > kMostBehind) next_ = now;
  next_ += kPeriod;
  return true;
}

T38Stage::T38Stage(std::shared_ptr<T38Gateway> gateway, Instant start)
    : gateway_(std::move(gateway)), clock_(start) {}

void T38Stage::hear(std::uint64_t, const std::shared_ptr<const AudioConversion>&, const RtpView& rtp, Instant,
                    MadePackets&) noexcept {
  buffer_.put(rtp);
}

void T38Stage::drive(Instant now, MadePackets& out) noexcept {
  while (clock_.step(now)) {
    Samples samples;
    if (buffer_.take(samples))
      gateway_->hear(samples);
    else
      gateway_->miss(samples.size());
  }
  for (Bytes next = gateway_->next_datagram(); !next.empty(); next = gateway_->next_datagram())
    out.take_datagram(next);
}

FaxSoundStage::FaxSoundStage(std::shared_ptr<T38Gateway> gateway, const FaxSound& sound, Instant start)
    : gateway_(std::move(gateway)), sound_(sound), clock_(start) {}

void FaxSoundStage::hear_datagram(std::uint64_t, const std::shared_ptr<const AudioConversion>&,
                                  Bytes datagram, Instant, MadePackets&) noexcept {
  gateway_->take(datagram);
}

void FaxSoundStage::drive(Instant now, MadePackets& out) noexcept {
  while (clock_.step(now)) {
    Samples samples;
    gateway_->speak(samples);
    give(samples, sound_, out);
  }
}

SteadySoundStage::SteadySoundStage(const FaxSound& sound, unsigned depth_ms)
    : sound_(sound), buffer_(depth_ms) {}

void SteadySoundStage::hear(std::uint64_t, const std::shared_ptr<const AudioConversion>&, const RtpView& rtp,
                            Instant now, MadePackets&) noexcept {
  buffer_.put(rtp);
  if (!clock_ && buffer_.has_begun()) clock_.emplace(now);
}

std::optional<Instant> SteadySoundStage::due() const noexcept {
  if (!clock_) return std::nullopt;
  return clock_->due();
}

void SteadySoundStage::drive(Instant now, MadePackets& out) noexcept {
  while (clock_ && clock_->step(now)) {
    Samples samples;
    buffer_.take(samples);
    give(samples, sound_, out);
  }
}

}  // namespace ferry
