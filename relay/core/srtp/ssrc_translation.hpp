// By which SSRCs an encrypting receiver knows the streams of others.
#pragma once

#include "relay/base/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ferry {

/// A receiver with keys of its own knows a stream by the SSRC of its source until the source begins its
/// sequence anew: an index that was sent is never sent again (RFC 3711 §3.3.1), so from then on the receiver
/// knows the stream by an SSRC of ours. Pure; allocates when an SSRC is given, never for a packet.
///
/// One instance for each party that is sent to, whichever keys and ports it has; the worker's. `source` is
/// the media that a packet comes from: two of them may use one SSRC.
class SsrcTranslation {
 public:
  /// So many are kept; the longest idle one gives way. Its stream goes on under the SSRC of its source, and
  /// is given another one if its receiver cannot follow that.
  static constexpr std::size_t kNames = 64;

  /// An SSRC that a receiver was given.
  struct Name {
    std::uint32_t source = 0;
    Ssrc theirs;  // of the source
    Ssrc ours;
    /// False: it had this one before, and reports may still speak of it.
    bool is_current = true;
    /// When it was used last, in packets that were translated.
    std::uint64_t used = 0;
    bool operator==(const Name&) const = default;
  };
  using State = std::vector<Name>;

  /// The SSRC under which the receiver knows the stream `theirs` of `source`.
  [[nodiscard]] Ssrc to_receiver(std::uint32_t source, Ssrc theirs) const noexcept;
  /// The source's SSRC of the stream that the receiver knows by `ours`.
  [[nodiscard]] Ssrc to_source(Ssrc ours) const noexcept;
  /// As `to_receiver`, for a packet that leaves.
  Ssrc use(std::uint32_t source, Ssrc theirs) noexcept;
  /// Nothing is translated.
  [[nodiscard]] bool empty() const noexcept { return names_.empty(); }

  /// A packet came whose index cannot be sent: how many such packets came in sequence, this one included. Two
  /// confirm that the source began anew (SSR-4).
  unsigned count_unsendable(std::uint32_t source, Ssrc theirs, SeqNo sequence) noexcept;
  /// A packet came that follows what was sent: whatever came before it confirms nothing.
  void follows(std::uint32_t source, Ssrc theirs) noexcept;
  /// The receiver knows the stream by `ours` from now on. False: there is no memory, and nothing changed.
  [[nodiscard]] bool rename(std::uint32_t source, Ssrc theirs, Ssrc ours) noexcept;

  [[nodiscard]] const State& state() const noexcept { return names_; }
  /// Loads a state into a new object.
  void restore(const State& state);

 private:
  /// Packets that wait for the next one.
  struct Unconfirmed {
    std::uint32_t source = 0;
    Ssrc theirs;
    SeqNo sequence;           // of the last one
    std::uint64_t seen = 0;   // when that came, in packets that were translated or waited
    std::uint16_t count = 0;  // 0: this place is free
  };
  Unconfirmed* unconfirmed(std::uint32_t source, Ssrc theirs) noexcept;
  /// A place for one more, of which the longest idle one gives way. Null: all wait for a packet that may yet
  /// come.
  Unconfirmed* place_for_one() noexcept;

  std::vector<Name> names_;
  std::uint64_t clock_ = 0;  // packets
  std::array<Unconfirmed, 8> unconfirmed_{};
  std::uint8_t waiting_ = 0;  // of `unconfirmed_`
};

}  // namespace ferry
