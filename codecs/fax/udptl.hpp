// SPDX-License-Identifier: Apache-2.0
// A stream of UDPTL (ITU-T T.38 §9.1): IFP packets in order out of datagrams that get lost, and back.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/types.hpp"
#include "relay/core/audio/fax.hpp"
#include "relay/core/udptl/udptl.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ferry {

/// Longest IFP packet that is read or written: the relay's T38FaxMaxDatagram.
inline constexpr std::size_t kLongestIfp = 512;

/// The last IFP packets of a stream by their position, which is the sequence number unwrapped. Positions
/// below 0 are from before the stream. Allocates when it is made. For one thread.
class IfpMemory {
 public:
  /// How many packets are remembered.
  static constexpr std::int64_t kSize = 64;
  IfpMemory();
  /// Remembers a packet of at most `kLongestIfp` octets; an older one gives way.
  void put(std::int64_t position, Bytes ifp) noexcept;
  /// The packet at `position`; nothing if it is not known. Borrowed until the next `put`.
  [[nodiscard]] std::optional<Bytes> at(std::int64_t position) const noexcept;
  /// Forgets all packets.
  void clear() noexcept;

 private:
  struct Slot {
    std::int64_t position = -1;
    std::size_t size = 0;
  };
  static std::size_t index(std::int64_t position) noexcept {
    return static_cast<std::size_t>(position % kSize);
  }
  std::array<Slot, kSize> slots_;
  /// `kLongestIfp` octets for each slot.
  std::vector<std::byte> octets_;
};

/// One IFP packet that came out of a stream.
struct IfpPacket {
  SeqNo sequence;
  /// Borrowed from the reader until its next call. With parity zeros may follow the packet.
  Bytes ifp;
};

/// Gets the IFP packets out of the datagrams of one stream: each once, in order.
///
/// A packet that is missing is looked for in the redundancy or parity of the datagram that shows the gap, and
/// never waited for, because the answers of T.30 have timers. What cannot be found is lost, and its number is
/// missing in what comes out. A stream that jumps is followed once two datagrams in a row confirm it (SSR-4).
///
/// Pure. Allocates when it is made. For one thread.
class UdptlReader {
 public:
  /// What became of a datagram.
  enum class Outcome : std::uint8_t {
    /// `packets` has what it brought.
    kTaken,
    /// Its packet came out already.
    kRepeated,
    /// Its place was passed.
    kLate,
    /// Its number is far from the others; two in a row are followed.
    kFar,
    /// It has not the form of UDPTL.
    kMalformed,
    /// Its IFP packet has more than `kLongestIfp` octets.
    kTooLong,
  };
  /// What has happened so far, in packets.
  struct Figures {
    std::uint64_t taken = 0;
    /// Found in redundancy, and by parity.
    std::uint64_t repeated_earlier = 0;
    std::uint64_t recovered_by_parity = 0;
    std::uint64_t lost = 0;
    /// Datagrams with another outcome than kTaken and kRepeated.
    std::uint64_t refused = 0;
  };

  /// Takes a whole UDP payload, borrowed for the call.
  Outcome read(Bytes datagram) noexcept;
  /// The packets that the last `read` brought, in order. Empty unless it returned kTaken.
  [[nodiscard]] std::span<const IfpPacket> packets() const noexcept {
    return std::span(packets_).first(count_);
  }
  [[nodiscard]] const Figures& figures() const noexcept { return figures_; }

 private:
  [[nodiscard]] Outcome sort_in(const UdptlView& view) noexcept;
  /// Begins the sequence at the oldest packet that `view` brings.
  void begin(const UdptlView& view) noexcept;
  /// Remembers the packets before `position` that are missing and that the parts of `view` have.
  void find_earlier(const UdptlView& view, std::int64_t position) noexcept;
  void find_by_parity(const UdptlView& view, std::int64_t position) noexcept;
  /// Recovers the one missing packet of the group that `part` covers: `span` packets up to `newest`, each
  /// `step` after the other. Nothing happens if more than one is missing.
  void solve(Bytes part, std::int64_t newest, std::int64_t step, std::int64_t span) noexcept;
  [[nodiscard]] bool is_known(std::int64_t position) const noexcept;
  /// Lists what is known up to `position`.
  void give(std::int64_t position) noexcept;

  IfpMemory memory_;
  bool has_begun_ = false;
  /// Position of the next packet that comes out.
  std::int64_t next_ = 0;
  /// The number of a datagram that was far from the others.
  std::optional<SeqNo> far_;
  std::array<IfpPacket, IfpMemory::kSize> packets_;
  std::size_t count_ = 0;
  Figures figures_;
};

/// Makes the datagrams of one stream. Pure. Allocates when it is made. For one thread.
class UdptlWriter {
 public:
  /// Bounds: 15 earlier packets, and 48 packets in all groups. More are not made.
  explicit UdptlWriter(const UdptlProtection& protection);
  /// Writes the next datagram with `ifp` and its protection, and remembers it. Redundancy that has no room in
  /// `out` is left out, the oldest first; parity is left out whole. Returns the octets; 0 if `out` has no
  /// room for `ifp` alone or `ifp` is longer than `kLongestIfp`.
  std::size_t write(Bytes ifp, MutableBytes out) noexcept;

 private:
  /// Each returns how many octets were written behind the primary packet.
  std::size_t write_earlier(MutableBytes out) const noexcept;
  std::size_t write_parity(MutableBytes out) const noexcept;
  std::size_t write_group(MutableBytes out, std::int64_t newest) const noexcept;

  UdptlProtection protection_;
  IfpMemory memory_;
  /// Position of the next packet.
  std::int64_t next_ = 0;
};

}  // namespace ferry
