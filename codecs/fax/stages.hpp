// SPDX-License-Identifier: Apache-2.0
// What the parties of a fax call get (relay/core/output/stage.hpp): one side of a gateway each, or a modem's
// sound without its jitter.
#pragma once

#include "codecs/fax/gateway.hpp"
#include "codecs/fax/steady_buffer.hpp"
#include "relay/base/types.hpp"
#include "relay/core/output/stage.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace ferry {

/// A clock of 20 ms that does not drift: what is late is made up for, up to a bound.
class FaxClock {
 public:
  static constexpr Duration kPeriod = std::chrono::milliseconds(20);
  /// Begins at `start`.
  explicit FaxClock(Instant start) : next_(start) {}
  /// When the next step is due.
  [[nodiscard]] Instant due() const noexcept { return next_; }
  /// True, and the next step is a period later, if one is due at `now`. Call it until it says no. After a
  /// pause of more than a second the steps that were missed are left out.
  bool step(Instant now) noexcept;

 private:
  Instant next_;
};

/// G.711 as a party gets it: law and payload type of its SDP.
struct FaxSound {
  Law law = Law::kA;
  PayloadType type{8};
};

/// Makes the datagrams that the T.38 party gets out of the sound of the other one. Both stages of a call
/// share the gateway, and one thread drives both of them.
class T38Stage final : public OutputStage {
 public:
  /// `gateway` is not null. `start`: now. Throws std::bad_alloc.
  T38Stage(std::shared_ptr<T38Gateway> gateway, Instant start);
  /// Takes G.711 of the static payload types; other payloads are none of a modem's, and not heard.
  void hear(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion, const RtpView& rtp,
            Instant now, MadePackets& out) noexcept override;
  [[nodiscard]] std::optional<Instant> due() const noexcept override { return clock_.due(); }
  void drive(Instant now, MadePackets& out) noexcept override;

 private:
  std::shared_ptr<T38Gateway> gateway_;
  FaxClock clock_;
  SteadyBuffer buffer_;
};

/// Makes the sound that the other party gets, a packet every 20 ms.
class FaxSoundStage final : public OutputStage {
 public:
  /// As `T38Stage`.
  FaxSoundStage(std::shared_ptr<T38Gateway> gateway, const FaxSound& sound, Instant start);
  /// The T.38 party sends no RTP; what comes from the time before is not heard.
  void hear(std::uint64_t, const std::shared_ptr<const AudioConversion>&, const RtpView&, Instant,
            MadePackets&) noexcept override {}
  void hear_datagram(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion,
                     Bytes datagram, Instant now, MadePackets& out) noexcept override;
  [[nodiscard]] std::optional<Instant> due() const noexcept override { return clock_.due(); }
  void drive(Instant now, MadePackets& out) noexcept override;

 private:
  std::shared_ptr<T38Gateway> gateway_;
  FaxSound sound_;
  FaxClock clock_;
};

/// Passes the sound of a modem to a party that takes G.711 too, in its law, without jitter: a packet every 20
/// ms from the first one on, and silence in place of what is lost.
class SteadySoundStage final : public OutputStage {
 public:
  /// `depth_ms`: as `SteadyBuffer`. Throws std::bad_alloc.
  explicit SteadySoundStage(const FaxSound& sound, unsigned depth_ms = SteadyBuffer::kDefaultDepthMs);
  void hear(std::uint64_t from, const std::shared_ptr<const AudioConversion>& conversion, const RtpView& rtp,
            Instant now, MadePackets& out) noexcept override;
  [[nodiscard]] std::optional<Instant> due() const noexcept override;
  void drive(Instant now, MadePackets& out) noexcept override;

 private:
  FaxSound sound_;
  /// Begins with the first packet.
  std::optional<FaxClock> clock_;
  SteadyBuffer buffer_;
};

}  // namespace ferry
