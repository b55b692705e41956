// SPDX-License-Identifier: Apache-2.0
// The seam for stages that make a receiver's audio from what it is sent: transcoding, later mixing and T.38.
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/audio/conversion.hpp"
#include "relay/core/forward/drop_reason.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <cstddef>
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
  /// Packets of the source that were lost right before it and that nothing was made for: their sequence
  /// numbers stay free, so that the receiver sees the loss.
  std::uint16_t lost = 0;
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
  /// Why the next packet cannot be heard; kNone: it can. Asked before each `hear`.
  [[nodiscard]] virtual DropReason refusal() const noexcept { return DropReason::kNone; }
  /// Takes one RTP packet of the source `from`, as it arrived; the view is borrowed for the call.
  /// `conversion` says what it becomes. The source has another one after signalling, and its next packet
  /// brings it: what the receiver hears goes on without a gap, in the new codec.
  virtual void hear(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                    const RtpView& rtp, Instant now, MadePackets& out) noexcept = 0;
  /// Takes one datagram of the source `from`, whose section is no RTP (UDPTL); borrowed for the call.
  /// `conversion` as for `hear`. By default it is not heard: only stages of fax make something of it.
  virtual void hear_datagram(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                             Bytes datagram, Instant now, MadePackets& out) noexcept {
    (void)from, (void)conversion, (void)datagram, (void)now, (void)out;
  }
  /// When `drive` has something to make; nothing = only packets make it work.
  [[nodiscard]] virtual std::optional<Instant> due() const noexcept = 0;
  /// Makes what is due at `now`.
  virtual void drive(Instant now, MadePackets& out) noexcept = 0;
};

/// Whom a stage works for.
struct StageOwner {
  /// Number of the stage, which no other stage of the process ever had. The worker gives it.
  std::uint64_t serial = 0;
  /// The transport that sends what the stage makes, at its worker.
  TransportId via;
  /// The receiving media.
  MediaId to;
  /// The transport of the source that is heard first, at the same worker. The stages of two parties that hear
  /// each other name each other's transports.
  TransportId from;
  bool operator==(const StageOwner&) const = default;
};

/// Takes what stages have made that do not run on the worker's thread.
class MadeElsewhere {
 public:
  /// `owner` is the one that the stage was made for; it may be gone.
  virtual void take(const StageOwner& owner, const MadePacket& packet) noexcept = 0;
  /// The same for a datagram of another protocol (`MadePackets::take_datagram`); borrowed for the call.
  virtual void take_datagram(const StageOwner& owner, Bytes datagram) noexcept = 0;
  /// `packets` got lost on the way to a stage or from it.
  virtual void lose(DropReason reason, std::size_t packets) noexcept = 0;

 protected:
  ~MadeElsewhere() = default;
};

/// Makes the stages of one worker, on its thread. The worker owns it, and it outlives its stages.
class StageMaker {
 public:
  virtual ~StageMaker() = default;
  /// Makes a stage; null: no further one can be had now. Throws std::bad_alloc.
  [[nodiscard]] virtual std::unique_ptr<OutputStage> make(const StageOwner& owner) = 0;
  /// Wakes who is to hear what stages were given since the last call. The worker calls it at the end of each
  /// turn.
  virtual void flush() noexcept {}
  /// True if `collect` has something to give. What comes later wakes the worker.
  [[nodiscard]] virtual bool has_made() const noexcept { return false; }
  /// Gives what stages have made that run elsewhere. Returns the number of packets.
  virtual std::size_t collect(MadeElsewhere& out) noexcept {
    (void)out;
    return 0;
  }
};

}  // namespace ferry
