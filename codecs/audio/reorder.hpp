// SPDX-License-Identifier: Apache-2.0
// Puts the RTP packets of one stream in the order of their sequence numbers.
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace ferry {

/// A packet that waits for those before it.
struct OrderedPacket {
  /// Unwrapped: it never rolls over, and the next packet of the stream has the next number.
  std::int64_t sequence = 0;
  /// Unwrapped too: differences are differences in time.
  std::int64_t timestamp = 0;
  /// When it came.
  Instant at{};
  PayloadType payload_type;
  /// A number of the caller, returned with the packet: the recorder puts the number of the format here.
  std::uint32_t tag = 0;
  std::vector<std::byte> payload;
};

/// Takes the packets of one SSRC as they come and gives each of them once, in sequence.
///
/// A packet waits for a fixed time for others that belong before it. What is still missing then is not waited
/// for, and comes too late if it comes at all. More than `most` packets do not wait: the first ones are due
/// at once. A sender that begins its sequence again is followed once two packets in a row confirm it (SSR-4).
///
/// Pure: every time comes from the caller. For one thread. Room of packets that were taken is used again, so
/// a steady stream costs no allocation.
class Reorder {
 public:
  /// Says what `Reorder` did with a packet.
  enum class Outcome : std::uint8_t {
    kWaits,
    /// The same packet waits already.
    kTwice,
    /// It was taken already, or its place was passed.
    kLate,
  };

  /// `hold`: how long a packet waits. `most`: packets that may wait, at least 1.
  Reorder(Duration hold, std::size_t most) : hold_(hold), most_(most) {}

  /// Takes a packet that came at `at`; its payload is copied.
  Outcome add(const RtpView& rtp, Instant at, std::uint32_t tag);
  /// How many packets need not wait any longer at `now`, from the first one on. With `Instant::max()`: all.
  [[nodiscard]] std::size_t due(Instant now) const noexcept;
  /// The packets that wait, in sequence. Borrowed until the next call of `add` or `take`.
  [[nodiscard]] std::span<const OrderedPacket> waiting() const noexcept {
    return std::span(packets_).subspan(first_);
  }
  /// Packets that are missing before the first one that waits, since the last one that was taken; 0 before
  /// any was taken. Something must wait.
  [[nodiscard]] std::int64_t missing() const noexcept;
  /// Takes the first one that waits out of the queue. Something must wait.
  void take() noexcept;
  /// The highest sequence number that came, and the last one that was taken.
  [[nodiscard]] std::int64_t highest() const noexcept { return highest_sequence_; }
  [[nodiscard]] std::int64_t taken() const noexcept { return taken_; }

 private:
  /// "No number": no packet was taken, or none may have begun the sequence anew.
  static constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::min();
  /// The packet begins the stream's sequence anew; its number is changed so that it follows.
  [[nodiscard]] bool restarts(std::int64_t& sequence, std::int64_t timestamp) noexcept;
  /// Removes what was taken from the front of `packets_`.
  void forget_taken();

  Duration hold_;
  std::size_t most_;
  /// Packets that were taken, then from `first_` on those that wait, in sequence.
  std::vector<OrderedPacket> packets_;
  std::size_t first_ = 0;
  /// Payloads of packets that are gone, for their room.
  std::vector<std::vector<std::byte>> spare_;
  bool has_begun_ = false;
  std::int64_t highest_sequence_ = 0;
  std::int64_t highest_timestamp_ = 0;
  std::int64_t taken_ = kNone;
  /// The packet that may have begun the sequence anew.
  std::int64_t restart_ = kNone;
};

}  // namespace ferry
