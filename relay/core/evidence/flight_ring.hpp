// SPDX-License-Identifier: Apache-2.0
// The flight recorder: headers of the newest packets of one transport, with what became of them.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/bytes.hpp"
#include "relay/base/types.hpp"
#include "relay/core/forward/drop_reason.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace ferry {

/// Whose packets go into the flight recorder.
enum class FlightMode : std::uint8_t {
  kOff,
  /// Packets that user space sees: everything refused, RTCP, the start of each stream, encrypted media.
  kUser,
  /// In addition packets that the kernel forwards, by samples of their headers.
  kAll,
};

/// Spelling in the configuration.
constexpr std::string_view to_string(FlightMode mode) noexcept {
  return mode == FlightMode::kOff ? "off" : mode == FlightMode::kUser ? "user" : "all";
}

/// One packet. If it is no RTP, only time, size and verdict mean something.
struct FlightEntry {
  /// Low 32 bits of the monotonic time in microseconds.
  std::uint32_t at_us = 0;
  std::uint32_t timestamp = 0;
  std::uint16_t sequence = 0;
  std::uint16_t size = 0;
  /// Marker and payload type, or the RTCP packet type.
  std::uint8_t second_octet = 0;
  /// Reason for which it was dropped; kNone if it was accepted.
  DropReason reason = DropReason::kNone;
  /// Index of its source; see `FlightRing::source`.
  std::uint8_t source = 0;
  bool on_rtcp_port : 1 = false;
  /// The kernel forwarded it, and this is a sample.
  bool is_offloaded : 1 = false;
};
static_assert(sizeof(FlightEntry) == 16);

/// Holds at most `kEntries` packets, which is ten seconds of a stream with 20 ms packets. It grows to that in
/// three steps and then stays. Owned by one transport; may throw std::bad_alloc while it grows.
class FlightRing {
 public:
  /// Number of packets kept.
  static constexpr std::size_t kEntries = 512;
  /// Different sources kept; the last place is shared by all further ones.
  static constexpr std::size_t kSources = 8;
  /// Packets older than this, counted from the newest one, are not shown.
  static constexpr Duration kWindow = std::chrono::seconds(10);

  /// Adds a packet. `datagram` is its start, `size` that of the whole.
  void add(const Endpoint& from, bool on_rtcp_port, Bytes datagram, std::size_t size, DropReason reason,
           bool is_offloaded, Instant now) {
    FlightEntry entry;
    entry.at_us = microseconds(now);
    if (datagram.size() >= 8) {
      entry.second_octet = read_u8(datagram, 1);
      entry.sequence = read_u16(datagram, 2);
      entry.timestamp = read_u32(datagram, 4);
    }
    entry.size = static_cast<std::uint16_t>(std::min<std::size_t>(size, 0xffff));
    entry.reason = reason;
    entry.source = index_of(from);
    entry.on_rtcp_port = on_rtcp_port;
    entry.is_offloaded = is_offloaded;
    newest_ = now;
    if (entries_.size() < kEntries) {
      if (entries_.size() == entries_.capacity())
        entries_.reserve(std::min(kEntries, entries_.size() * 4 + 32));
      entries_.push_back(entry);
      return;
    }
    entries_[next_] = entry;
    next_ = (next_ + 1) % kEntries;
  }

  /// Octets at the start of the object that `add` needs.
  static constexpr std::size_t kFetched = 128;
  /// Begins to load the place of the next packet.
  void prefetch_next() const noexcept {
    __builtin_prefetch(entries_.data() + (entries_.size() < kEntries ? entries_.size() : next_), 1);
  }

  /// Calls `visit(entry, time)` with each packet of the last `kWindow` before the newest one, oldest first.
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const FlightEntry& entry = entries_[(next_ + i) % entries_.size()];
      const Duration before =
          std::chrono::microseconds(static_cast<std::uint32_t>(microseconds(newest_) - entry.at_us));
      if (before <= kWindow) visit(entry, newest_ - before);
    }
  }
  /// Source of an entry's packet.
  [[nodiscard]] const Endpoint& source(const FlightEntry& entry) const noexcept {
    return sources_[entry.source];
  }
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  /// Octets of memory.
  [[nodiscard]] std::size_t footprint() const noexcept {
    return sizeof *this + entries_.capacity() * sizeof(FlightEntry);
  }

 private:
  /// Low 32 bits of the time in microseconds.
  static std::uint32_t microseconds(Instant at) noexcept {
    return static_cast<std::uint32_t>(at.time_since_epoch().count() / 1000);
  }
  /// Index of a source, in the last place if there are too many.
  std::uint8_t index_of(const Endpoint& from) noexcept {
    const auto known = std::ranges::find(sources_.begin(), sources_.begin() + source_count_, from);
    if (known != sources_.begin() + source_count_) return static_cast<std::uint8_t>(known - sources_.begin());
    // All further sources share the last place, which names the newest of them.
    const int place = std::min<int>(source_count_, kSources - 1);
    sources_[static_cast<std::size_t>(place)] = from;
    source_count_ = place + 1;
    return static_cast<std::uint8_t>(place);
  }

  std::vector<FlightEntry> entries_;
  std::size_t next_ = 0;
  Instant newest_{};
  std::array<Endpoint, kSources> sources_;
  int source_count_ = 0;
};

}  // namespace ferry
