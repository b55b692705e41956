// SPDX-License-Identifier: Apache-2.0
// The SSRCs by which an encrypting receiver knows the streams of others.
#pragma once

#include "relay/base/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ferry {

/// A receiver with keys of its own knows a stream by the SSRC of its source at first. If the source begins
/// its sequence anew, its indices would be used twice, which is forbidden (RFC 3711 §3.3.1); so the receiver
/// then gets the stream under an SSRC that we chose.
///
/// One object for each receiving party, whichever keys and ports it has; owned by one worker. Pure; it
/// allocates when a new SSRC is given, never for a packet. `source` is the media that a packet comes from, as
/// two medias may use the same SSRC.
class SsrcTranslation {
 public:
  /// Names that are kept; the one that has been idle longest gives way. Its stream then goes on under the
  /// SSRC of its source, or gets another name if the receiver cannot follow that.
  static constexpr std::size_t kNames = 64;

  /// An SSRC that the receiver was given.
  struct Name {
    std::uint32_t source = 0;
    /// The source's own SSRC.
    Ssrc theirs;
    /// The SSRC by which the receiver knows the stream.
    Ssrc ours;
    /// False if it was replaced by a newer name; reports may still speak of it.
    bool is_current = true;
    /// When it was last used, counted in translated packets.
    std::uint64_t used = 0;
    bool operator==(const Name&) const = default;
  };
  using State = std::vector<Name>;

  /// The SSRC by which the receiver knows the stream `theirs` of `source`.
  [[nodiscard]] Ssrc to_receiver(std::uint32_t source, Ssrc theirs) const noexcept;
  /// The source's SSRC of a stream that the receiver knows by `ours`.
  [[nodiscard]] Ssrc to_source(Ssrc ours) const noexcept;
  /// Translates like `to_receiver`, for a packet that leaves; it counts as use of the name.
  Ssrc use(std::uint32_t source, Ssrc theirs) noexcept;
  /// True if nothing is translated.
  [[nodiscard]] bool empty() const noexcept { return names_.empty(); }

  /// Notes a packet whose index cannot be sent. Returns how many such packets came in sequence, this one
  /// included: two confirm that the source began anew (SSR-4).
  unsigned count_unsendable(std::uint32_t source, Ssrc theirs, SeqNo sequence) noexcept;
  /// Notes a packet that follows what was sent, so that the packets before it confirm nothing.
  void follows(std::uint32_t source, Ssrc theirs) noexcept;
  /// Gives the stream the name `ours` from now on. False if there is no memory; nothing changed then.
  [[nodiscard]] bool rename(std::uint32_t source, Ssrc theirs, Ssrc ours) noexcept;

  [[nodiscard]] const State& state() const noexcept { return names_; }
  /// Loads a state into a new object.
  void restore(const State& state);

 private:
  /// A row of packets whose index could not be sent.
  struct Unconfirmed {
    std::uint32_t source = 0;
    Ssrc theirs;
    /// Number of the last packet.
    SeqNo sequence;
    /// Arrival of that packet, on the clock of `clock_`.
    std::uint64_t seen = 0;
    /// Packets in the row; 0 = the place is free.
    std::uint16_t count = 0;
  };
  /// The row of a stream; null if there is none.
  Unconfirmed* unconfirmed(std::uint32_t source, Ssrc theirs) noexcept;
  /// A place for a new row; one that is long idle gives way. Null if all rows may yet go on.
  Unconfirmed* place_for_one() noexcept;

  std::vector<Name> names_;
  /// Packets that were translated or could not be sent so far.
  std::uint64_t clock_ = 0;
  std::array<Unconfirmed, 8> unconfirmed_{};
  /// Number of places in use in `unconfirmed_`.
  std::uint8_t waiting_ = 0;
};

}  // namespace ferry
