// The SSRCs of one key in one direction: 64 with replay lists, and what is remembered of the others (SRT-7a).
#pragma once

#include "relay/core/srtp/replay_window.hpp"
#include "relay/core/srtp/ssrc_memory.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ferry {

/// What one SSRC has received or sent under a key. Plain values.
struct SrtpStream {
  Ssrc ssrc;
  ReplayWindow rtp;
  ReplayWindow rtcp;  // received indices, or sent ones of another party
  /// Sending: its packets are those of another party, which chose their indices.
  bool is_relayed = false;
  /// Sending: the lowest index.
  std::uint64_t first = 0;
  /// Sending: RTP time stamp of the packet with the highest index.
  std::uint32_t timestamp = 0;
  /// Sending: whoever received it is gone, so nothing more is sent under this SSRC.
  bool is_closed = false;
  /// When it was used last, in packets of its key: the longest idle gives way.
  std::uint64_t used = 0;
  bool operator==(const SrtpStream&) const = default;
};

/// Holds an SSRC for every packet that authenticates or leaves: the longest idle one gives way to a new one,
/// and goes on behind its highest index when it comes back.
class SrtpStreams {
 public:
  static constexpr std::size_t kLive = 64;
  struct State {
    std::vector<SrtpStream> live;
    SsrcMemory::State past{};
    bool operator==(const State&) const = default;
  };

  /// `window`: packets in the replay lists of RTP.
  explicit SrtpStreams(std::size_t window) : window_(window) {}

  /// What is known of `ssrc`, null if nothing is. Changes nothing. `past` holds it if its lists gave way.
  [[nodiscard]] const SrtpStream* look(Ssrc ssrc, std::optional<SrtpStream>& past) const noexcept;
  /// Whether `ssrc` was used and its indices are forgotten. Ask it only of an SSRC that `look` does not know.
  [[nodiscard]] bool is_forgotten(Ssrc ssrc) const noexcept { return memory_.is_forgotten(ssrc); }
  /// Whether `ssrc` was used under this key, even if its indices are forgotten.
  [[nodiscard]] bool knows(Ssrc ssrc) const noexcept;
  /// The stream of `ssrc`, made or brought back, for a packet that counts. One that is forgotten begins anew,
  /// so ask before. Null: there is no memory for a new one, and nothing changed (C-12).
  [[nodiscard]] SrtpStream* use(Ssrc ssrc) noexcept;
  /// Everything that was sent stays known, and nothing more is to be sent under these SSRCs.
  void close_all() noexcept;

  [[nodiscard]] const std::vector<SrtpStream>& live() const noexcept { return live_; }
  [[nodiscard]] SsrcMemory::State past() const { return memory_.state(); }
  /// The same with the live ones: what is needed to go on, without replay lists.
  [[nodiscard]] SsrcMemory::State compact() const;
  /// Loads a state into a new object. `has_gap`: packets may have come and gone since the state was taken, so
  /// each SSRC goes on behind the first one that is accepted from now on.
  void restore(const State& state, bool has_gap);

 private:
  /// Makes room for it among the live ones, which do not have it. Null: there is no memory.
  SrtpStream* bring(Ssrc ssrc) noexcept;
  [[nodiscard]] SrtpStream brought_back(const SsrcRecord& record) const noexcept;

  std::size_t window_;
  std::vector<SrtpStream> live_;
  SsrcMemory memory_;
  std::uint64_t clock_ = 0;  // packets
  bool has_gap_ = false;
};

}  // namespace ferry
