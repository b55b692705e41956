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
  kUser,  // those that user space sees: everything refused, RTCP, the start of each stream, encrypted media
  kAll,   // those that the kernel forwards too, by samples of their headers
};

constexpr std::string_view to_string(FlightMode mode) noexcept {
  return mode == FlightMode::kOff ? "off" : mode == FlightMode::kUser ? "user" : "all";
}

/// One packet. Of what is no RTP only time, size and verdict mean something.
struct FlightEntry {
  std::uint32_t at_us = 0;  // low bits of the monotonic clock, microseconds
  std::uint32_t timestamp = 0;
  std::uint16_t sequence = 0;
  std::uint16_t size = 0;
  std::uint8_t second_octet = 0;  // marker and payload type, or RTCP packet type
  DropReason reason = DropReason::kNone;
  std::uint8_t source = 0;  // index into `sources`
  bool on_rtcp_port : 1 = false;
  bool is_below : 1 = false;  // forwarded by the kernel, seen as a sample
};
static_assert(sizeof(FlightEntry) == 16);

/// At most `kEntries`, which is ten seconds of a 20 ms stream. Grows to that in three steps, then stays.
class FlightRing {
 public:
  static constexpr std::size_t kEntries = 512;
  static constexpr std::size_t kSources = 8;
  static constexpr Duration kWindow = std::chrono::seconds(10);

  void add(const Endpoint& from, bool on_rtcp_port, Bytes datagram, std::size_t size, DropReason reason,
           bool is_below, Instant now) {
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
    entry.is_below = is_below;
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

  /// Visits what came within `kWindow` before the newest packet, oldest first, with its time.
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const FlightEntry& entry = entries_[(next_ + i) % entries_.size()];
      const Duration before =
          std::chrono::microseconds(static_cast<std::uint32_t>(microseconds(newest_) - entry.at_us));
      if (before <= kWindow) visit(entry, newest_ - before);
    }
  }
  [[nodiscard]] const Endpoint& source(const FlightEntry& entry) const noexcept {
    return sources_[entry.source];
  }
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  /// Octets of memory.
  [[nodiscard]] std::size_t footprint() const noexcept {
    return sizeof *this + entries_.capacity() * sizeof(FlightEntry);
  }

 private:
  static std::uint32_t microseconds(Instant at) noexcept {
    return static_cast<std::uint32_t>(at.time_since_epoch().count() / 1000);
  }
  std::uint8_t index_of(const Endpoint& from) noexcept {
    const auto known = std::ranges::find(sources_.begin(), sources_.begin() + source_count_, from);
    if (known != sources_.begin() + source_count_) return static_cast<std::uint8_t>(known - sources_.begin());
    // The last place is for the newest of all others.
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
