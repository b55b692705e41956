// SPDX-License-Identifier: Apache-2.0
// What control reads about a transport while its worker writes it.
#pragma once

#include <atomic>
#include <cstdint>

namespace ferry {

/// Figures that control reads about a transport at any time, without locks. Written by the worker only. They
/// are enough to decide about time-outs and to sort calls. Times are nanoseconds of `Instant`; 0 = never.
struct TransportActivity {
  /// Newest accepted packet of any kind; also an authentic STUN check.
  std::atomic<std::int64_t> last_packet_ns{0};
  /// Newest accepted RTP packet, or one of another protocol passed whole.
  std::atomic<std::int64_t> last_rtp_ns{0};
  /// Newest accepted packet that user space saw.
  std::atomic<std::int64_t> last_user_ns{0};
  /// Newest packet that the kernel forwarded.
  std::atomic<std::int64_t> last_offloaded_ns{0};
  /// The kernel forwards its media at present.
  std::atomic<bool> is_offloaded{false};
  /// The engine refused to serve its RTP port.
  std::atomic<bool> is_unserved{false};
  /// The present peer has sent something valid (LAT-12).
  std::atomic<bool> is_heard{false};
  /// A DTMF press has begun, and its end was not heard yet.
  std::atomic<bool> has_open_press{false};
  // Accepted RTP packets, what is missing between them, and refused packets. They wrap at 2^32.
  std::atomic<std::uint32_t> rtp_packets{0};
  std::atomic<std::uint32_t> rtp_lost{0};
  std::atomic<std::uint32_t> refused{0};
  /// Jitter of the stream heard last, in microseconds.
  std::atomic<std::uint32_t> jitter_us{0};
  /// How well the transport works, as coarse classes packed into one number (`Transport::standing`). Another
  /// value than before means that the verdict about it may have changed. 0 = nothing happened so far.
  std::atomic<std::uint32_t> standing{0};
};

}  // namespace ferry
