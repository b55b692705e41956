// SPDX-License-Identifier: Apache-2.0
// One law of G.711 to the other: look-ups, and no samples.
#pragma once

#include "codecs/audio/g711.hpp"
#include "codecs/audio/reorder.hpp"
#include "codecs/transcode/figures.hpp"
#include "codecs/transcode/line_clock.hpp"
#include "relay/core/audio/conversion.hpp"
#include "relay/core/output/stage.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

namespace ferry {

/// True if nothing of a conversion needs a decoder: its speech is G.711 on both sides, and the receiver has
/// the events that the source may send. Comfort noise of the source may be unknown to it (`takes`). Such a
/// stage costs little more than a packet that passes.
[[nodiscard]] bool translates_only(const AudioConversion& conversion) noexcept;

/// Translates packets of G.711 (RFC 3551 §4.5.14) and passes telephone events (RFC 4733) and comfort noise
/// (RFC 3389) by the receiver's numbers. Packets leave as they come, without delay; what overtook others
/// waits for them a moment. Lost packets stay lost, and their numbers free. Sans-IO; for one thread.
class LawPath {
 public:
  /// `line`: where the receiver's timeline has come to; whoever takes the packets notes them there.
  LawPath(TranscodeFigures& figures, const LineClock& line)
      : figures_(figures), line_(line), order_(Duration{0}, kMostWaiting) {}

  /// Takes on a conversion that `translates_only`; not null.
  void configure(std::shared_ptr<const AudioConversion> conversion) noexcept;
  /// Packets of somebody else have left since the last one.
  void restart();
  /// True if it can make the receiver's packet of this one. False if the receiver wants another packet time,
  /// or has no comfort noise.
  [[nodiscard]] bool takes(const RtpView& rtp, const AudioInput& input) const noexcept;
  /// Takes a packet that it `takes`.
  void hear(const RtpView& rtp, const AudioInput& input, Instant now, MadePackets& out);
  /// Sends what has waited long enough.
  void run(Instant now, MadePackets& out);
  [[nodiscard]] std::optional<Instant> due() const noexcept { return due_; }

 private:
  static constexpr std::size_t kMostWaiting = 64;
  void send(const OrderedPacket& packet, Instant now, MadePackets& out);
  /// Clock units from the last packet to this one, and whether it begins behind a pause.
  [[nodiscard]] MadePacket placed(const OrderedPacket& packet, bool is_event, Instant now) const noexcept;

  TranscodeFigures& figures_;
  const LineClock& line_;
  /// Null before `configure`.
  std::shared_ptr<const AudioConversion> conversion_;
  Law to_ = Law::kMu;
  Reorder order_;
  std::optional<Ssrc> ssrc_;
  /// True: no packet of this stream has left yet.
  bool is_new_ = true;
  std::int64_t last_timestamp_ = 0;
  Instant last_at_{};
  /// Clock units that the last packet lasts.
  std::uint32_t last_length_ = 0;
  std::array<std::byte, 2048> payload_{};
  std::optional<Instant> due_;
};

}  // namespace ferry
