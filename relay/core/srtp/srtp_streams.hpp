// SPDX-License-Identifier: Apache-2.0
// The SSRCs of one key in one direction: up to 64 with replay lists, and what is remembered of earlier ones
// (SRT-7a).
#pragma once

#include "relay/core/srtp/replay_window.hpp"
#include "relay/core/srtp/ssrc_memory.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ferry {

/// Indices that one SSRC has received or sent under a key. Plain values.
struct SrtpStream {
  Ssrc ssrc;
  /// Indices of RTP that were used.
  ReplayWindow rtp;
  /// Receiving: indices of RTCP. Sending: those of relayed RTCP; the sender counts its own by itself.
  ReplayWindow rtcp;
  /// Sending: the packets are those of another party, which chose their indices.
  bool is_relayed = false;
  /// Sending: the lowest index that was sent.
  std::uint64_t first = 0;
  /// Sending: RTP time stamp of the packet with the highest index.
  std::uint32_t timestamp = 0;
  /// Sending: the receiver is gone, so nothing more may be sent under this SSRC.
  bool is_closed = false;
  /// When it was last used, counted in packets of its key. The lowest value gives way.
  std::uint64_t used = 0;
  bool operator==(const SrtpStream&) const = default;
};

/// Finds or makes the state of an SSRC. If there are too many, the one that has been idle longest gives way;
/// when it comes back, it goes on behind its highest index. No SSRC is refused for good (SRT-7a).
class SrtpStreams {
 public:
  /// SSRCs with replay lists.
  static constexpr std::size_t kLive = 64;
  /// Everything as plain values.
  struct State {
    std::vector<SrtpStream> live;
    SsrcMemory::State past{};
    bool operator==(const State&) const = default;
  };

  /// `window` is the number of packets in the replay lists of RTP.
  explicit SrtpStreams(std::size_t window) : window_(window) {}
  /// Makes the replay lists of RTP `window` packets long, if they are shorter.
  void widen(std::size_t window) noexcept;

  /// Finds the stream of `ssrc`; null if nothing is known. Changes nothing. If the SSRC is only remembered,
  /// the result points to `past`, which is filled in.
  [[nodiscard]] const SrtpStream* look(Ssrc ssrc, std::optional<SrtpStream>& past) const noexcept;
  /// True if `ssrc` was used and its indices are forgotten. Only meaningful if `look` returned null.
  [[nodiscard]] bool is_forgotten(Ssrc ssrc) const noexcept { return memory_.is_forgotten(ssrc); }
  /// True if `ssrc` was used under this key, even if its indices are forgotten.
  [[nodiscard]] bool knows(Ssrc ssrc) const noexcept;
  /// The stream of `ssrc` for a packet that counts, made or brought back if necessary. A forgotten SSRC would
  /// begin anew, so check `is_forgotten` before. Null if there is no memory; nothing changed then (C-12).
  [[nodiscard]] SrtpStream* use(Ssrc ssrc) noexcept;
  /// Closes all SSRCs: what was sent stays known, and nothing more may be sent under them.
  void close_all() noexcept;

  /// SSRCs with replay lists.
  [[nodiscard]] const std::vector<SrtpStream>& live() const noexcept { return live_; }
  /// SSRCs that are only remembered.
  [[nodiscard]] SsrcMemory::State past() const { return memory_.state(); }
  /// Both in one: what is needed to go on, without replay lists.
  [[nodiscard]] SsrcMemory::State compact() const;
  /// Loads a state into a new object. `has_gap`: packets may have come and gone since it was taken, so each
  /// SSRC goes on behind the first one that is accepted from now on.
  void restore(const State& state, bool has_gap);

 private:
  /// Puts an SSRC among those with replay lists, where it is not yet. Null if there is no memory.
  SrtpStream* bring(Ssrc ssrc) noexcept;
  /// Turns a record into a stream that goes on behind its highest index.
  [[nodiscard]] SrtpStream brought_back(const SsrcRecord& record) const noexcept;

  std::size_t window_;
  std::vector<SrtpStream> live_;
  SsrcMemory memory_;
  /// Packets that counted so far; it orders the streams by use.
  std::uint64_t clock_ = 0;
  bool has_gap_ = false;
};

}  // namespace ferry
