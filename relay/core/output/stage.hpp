// The seam for stages that make a receiver's audio from what it is sent: transcoding, mixing, T.38.
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/audio/conversion.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace ferry {

/// One packet that a stage or a prompt has made. It has no number yet: the output places it on its timeline.
struct MadePacket {
  PayloadType type;
  bool marker = false;
  /// Clock units between its timestamp and that of the packet before; 0: both have one timestamp, as the
  /// packets of one event have.
  std::uint32_t units = 0;
  /// Borrowed for the call.
  Bytes payload;
  /// Clock of its timestamps in Hz.
  std::uint32_t clock_rate_hz = 8000;
};

/// Takes the packets that are made, in the order in which they are to leave. Called on the worker's thread.
class MadePackets {
 public:
  virtual void take(const MadePacket& packet) noexcept = 0;
  /// Takes a whole datagram for a receiver whose section is no RTP (UDPTL, ITU-T T.38 §9.1). It leaves as it
  /// is, outside the timeline. Borrowed for the call. By default nobody takes it: only outputs of such
  /// receivers do.
  virtual void take_datagram(Bytes datagram) noexcept { (void)datagram; }

 protected:
  ~MadePackets() = default;
};

/// Makes audio for one receiver. Whatever it hears goes in; packets of the receiver's own codec come out,
/// at once or when they are due. Its output owns it and calls it on the worker's thread.
class OutputStage {
 public:
  virtual ~OutputStage() = default;
  /// Takes one RTP packet of the source `from`, as it arrived; the view is borrowed for the call.
  /// `conversion` says what it becomes. The source has another one after signalling, and its next packet
  /// brings it: what the receiver hears goes on without a gap, in the new codec.
  virtual void hear(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                    const RtpView& rtp, Instant now, MadePackets& out) noexcept = 0;
  /// Takes one datagram of the source `from`, whose section is no RTP (UDPTL); borrowed for the call. By
  /// default it is not heard: only stages of fax make something of it.
  virtual void hear_datagram(std::uint64_t from, Bytes datagram, Instant now, MadePackets& out) noexcept {
    (void)from, (void)datagram, (void)now, (void)out;
  }
  /// When `drive` has something to make; nothing = only packets make it work.
  [[nodiscard]] virtual std::optional<Instant> due() const noexcept = 0;
  /// Makes what is due at `now`.
  virtual void drive(Instant now, MadePackets& out) noexcept = 0;
};

}  // namespace ferry
