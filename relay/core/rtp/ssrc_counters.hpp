// SPDX-License-Identifier: Apache-2.0
// The plain counts of one SSRC: packets, loss, order, jitter and loudness (RFC 3550 app. A).
#pragma once

#include "relay/base/types.hpp"

#include <cstdint>
#include <optional>

namespace ferry {

/// Everything that is counted about one SSRC, as plain values. Exports and queries copy it whole.
struct SsrcCounters {
  Ssrc ssrc;
  std::uint64_t packets = 0;
  /// Octets of UDP payload, headers included.
  std::uint64_t bytes = 0;
  /// First and highest extended sequence number of the present run: wrap-arounds times 65,536 plus the
  /// number.
  std::uint32_t base_extended = 0;
  std::uint32_t highest_extended = 0;
  std::uint32_t last_timestamp = 0;
  /// Packets that came more than once.
  std::uint32_t duplicates = 0;
  /// Packets that came after one with a higher number.
  std::uint32_t reordered = 0;
  /// How often the sender began its sequence anew (confirmed by SSR-4).
  std::uint32_t resets = 0;
  /// Packets expected in the runs before the last reset.
  std::uint64_t expected_before_reset = 0;
  /// Jitter in clock units, times 16 (RFC 3550 app. A.8).
  std::uint32_t jitter_q4 = 0;
  /// Clock rate of the newest packet whose clock is known; 0 = none yet.
  std::uint32_t clock_rate_hz = 0;
  /// Highest value of `jitter_q4`.
  std::uint32_t jitter_max_q4 = 0;
  /// Longest time between two packets, in ticks of 1,024 ns.
  std::uint32_t longest_gap_ticks = 0;
  /// Sum of `jitter_q4` at each packet but the first.
  std::uint64_t jitter_sum_q4 = 0;
  /// Arrival minus time stamp of the newest packet, in clock units modulo 2^32.
  std::int32_t transit = 0;
  /// Transit time when the measurement of the sender's clock began, and the time of that.
  std::int32_t drift_transit = 0;
  Instant drift_since{};
  /// Number of runs of missing sequence numbers, and the length of the longest when it appeared.
  std::uint32_t loss_bursts = 0;
  std::uint32_t longest_loss_burst = 0;
  /// Packets whose loudness was measured, and those too quiet to hear. If the kernel forwards the stream,
  /// only a sample of its packets is measured.
  std::uint64_t g711_packets = 0;
  std::uint64_t silent_packets = 0;
  /// When sound was last loud enough to hear; `Instant{}` = never.
  Instant last_audible{};
  /// Payload type of the newest packet.
  std::uint8_t last_payload_type = 0;
  /// Octets of payload in the newest packet, without padding; 0 = no packet yet. Only set for streams that
  /// arrive.
  std::uint16_t last_payload_size = 0;
  /// True from an RTCP BYE until the next packet (RTC-4).
  bool idle_by_bye = false;
  Instant first_packet{};
  Instant last_packet{};
  /// Packets lost, as this SSRC's owner last reported about the stream that it receives (RTCP SR or RR).
  std::int64_t reported_loss = 0;
  /// True if there was a report: for a stream that arrives, one by its owner; for a stream that leaves, one
  /// by its receiver.
  bool has_report = false;

  /// Packets that should have come, by their numbers.
  [[nodiscard]] std::uint64_t expected() const noexcept {
    return packets == 0 ? 0 : expected_before_reset + (highest_extended - base_extended) + 1;
  }
  /// Packets that are missing. Never negative, because duplicates are taken out first (unlike RFC 3550 app.
  /// A.3).
  [[nodiscard]] std::uint64_t lost() const noexcept {
    const std::uint64_t unique = packets - duplicates;
    return expected() > unique ? expected() - unique : 0;
  }
  /// Jitter as a time; zero if the clock is unknown.
  [[nodiscard]] Duration jitter() const noexcept {
    return clock_rate_hz == 0
               ? Duration{0}
               : Duration{static_cast<std::int64_t>(jitter_q4) * 1'000'000'000 / 16 / clock_rate_hz};
  }
  /// Longest time between two packets.
  [[nodiscard]] Duration longest_gap() const noexcept {
    return Duration{static_cast<std::int64_t>(longest_gap_ticks) << 10};
  }
  /// Share of missing packets, 0 to 100.
  [[nodiscard]] double loss_percent() const noexcept {
    const std::uint64_t all = expected();
    return all == 0 ? 0.0 : 100.0 * static_cast<double>(lost()) / static_cast<double>(all);
  }
  /// How much longer runs of losses are than random losses would make them (BurstR, ITU-T G.107 §3.5). 1 =
  /// random.
  [[nodiscard]] double burst_ratio() const noexcept;
  /// How fast the sender's clock runs against the relay's, in parts per million. Positive: the sender is
  /// slow. `error_ppm` says how far off that may be because of jitter.
  struct Drift {
    double ppm = 0;
    double error_ppm = 0;
  };
  /// Nothing if the stream has not been measured for at least 5 s.
  [[nodiscard]] std::optional<Drift> drift() const noexcept;
  bool operator==(const SsrcCounters&) const = default;
};

}  // namespace ferry
