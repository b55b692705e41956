// SPDX-License-Identifier: Apache-2.0
// Takes the jitter out of the sound of a modem: every sample leaves the same time after it was due to come.
#pragma once

#include "codecs/audio/g711.hpp"
#include "relay/base/types.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ferry {

/// The law of a static payload type of G.711 (RFC 3551 §6); nothing for other types.
[[nodiscard]] std::optional<Law> static_law(PayloadType type) noexcept;

/// A jitter buffer of fixed depth for G.711 at 8 kHz. Nothing is stretched, and nothing is made up: a modem
/// hears a shift in time as a fault, and samples that did not come are told as missing.
///
/// The first packet waits for the whole depth. A stream that begins anew (another SSRC, a jump), or whose
/// packets all come too late because the clocks differ, is laid out anew. The caller keeps the clock: it
/// takes 20 ms every 20 ms. Allocates when it is made. For one thread.
class SteadyBuffer {
 public:
  /// What became of a packet.
  enum class Outcome : std::uint8_t { kTaken, kLate, kNotG711 };
  /// 120 ms are thrice a jitter of 40 ms, and no machine notices them beside its timers of seconds.
  static constexpr unsigned kDefaultDepthMs = 120;

  /// `depth_ms`: at most 200.
  explicit SteadyBuffer(unsigned depth_ms = kDefaultDepthMs);
  /// Takes a packet; its payload is decoded.
  Outcome put(const RtpView& rtp) noexcept;
  /// Fills `out` with the next samples. False if some of them did not come; those are silence.
  bool take(std::span<std::int16_t> out) noexcept;
  /// True once a packet has come.
  [[nodiscard]] bool has_begun() const noexcept { return has_begun_; }
  /// Packets that came too late, and how often the stream was laid out anew.
  [[nodiscard]] std::uint64_t late() const noexcept { return late_; }
  [[nodiscard]] std::uint64_t restarts() const noexcept { return restarts_; }

 private:
  /// Samples that are kept, 512 ms. A packet that would lie further ahead begins the stream anew.
  static constexpr std::size_t kRoom = 4096;
  /// So many late packets in a row show that it is not jitter.
  static constexpr unsigned kMostLate = 5;
  /// Lays the stream out anew: the packet is due in the whole depth.
  void begin(const RtpView& rtp) noexcept;

  std::int64_t depth_;
  bool has_begun_ = false;
  Ssrc ssrc_;
  /// A timestamp, and the position of its sample. Positions count samples and never wrap.
  std::uint32_t timestamp_ = 0;
  std::int64_t position_ = 0;
  /// Position of the next sample that is taken.
  std::int64_t next_ = 0;
  /// A ring of samples by position, and which of them have come.
  std::vector<std::int16_t> samples_;
  std::bitset<kRoom> known_;
  unsigned late_in_a_row_ = 0;
  std::uint64_t late_ = 0;
  std::uint64_t restarts_ = 0;
};

}  // namespace ferry
