// SPDX-License-Identifier: Apache-2.0
// Writes RTCP compounds of the relay's own: sender and receiver reports, and the names of their senders
// (RFC 3550 §6.4, §6.5).
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/types.hpp"
#include "relay/core/rtcp/rtcp.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ferry {

/// Most report blocks in one report: the header has five bits for their number.
constexpr std::size_t kMostReportBlocks = 31;

/// What a sender report says of its stream (RFC 3550 §6.4.1), in host order.
struct SenderInfo {
  /// NTP time of the report: seconds since 1900 in the upper half, their fraction in the lower one.
  std::uint64_t ntp = 0;
  /// The same moment on the line of the stream's timestamps.
  std::uint32_t rtp_timestamp = 0;
  /// Packets since the stream began, and the octets of their payloads.
  std::uint32_t packets = 0;
  std::uint32_t octets = 0;
};

/// The NTP timestamp of a wall-clock time.
[[nodiscard]] std::uint64_t ntp_of(WallTime time) noexcept;

/// Writes one compound into memory of the caller, packet by packet. What has no room is left out as a whole.
/// Pure; allocates nothing.
class CompoundWriter {
 public:
  /// `into` is borrowed.
  explicit CompoundWriter(MutableBytes into) noexcept : into_(into) {}

  /// Adds a sender report of `sender`, or a receiver report if `info` is null, with at most
  /// `kMostReportBlocks` blocks. False if there is no room.
  bool add_report(Ssrc sender, const SenderInfo* info, std::span<const ReportBlock> blocks) noexcept;
  /// Adds a description that gives each of `senders`, at most 31, the same CNAME of at most 255 octets. False
  /// if there is no room.
  bool add_cname(std::span<const Ssrc> senders, std::string_view cname) noexcept;
  /// Octets written so far.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  /// Room for a packet of `size` octets with its header written; empty if there is none.
  MutableBytes begin(std::uint8_t type, std::size_t count, std::size_t size) noexcept;

  MutableBytes into_;
  std::size_t size_ = 0;
};

}  // namespace ferry
