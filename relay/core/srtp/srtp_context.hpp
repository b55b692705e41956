// SRTP and SRTCP of one key in one direction: indices, replay lists, limits (RFC 3711 §3.2-3.4).
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/prefetch.hpp"
#include "relay/base/types.hpp"
#include "relay/core/srtp/srtp_cipher.hpp"
#include "relay/core/srtp/srtp_streams.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace ferry {

enum class SrtpResult : std::uint8_t {
  kOk,
  kMalformed,     // too short for its headers, MKI and tag
  kReplayed,      // was there, or is too old to tell (SRT-4)
  kNotAuthentic,  // wrong key, changed on the way, or an index out of reach (SRT-3)
  kForgotten,     // its SSRC was used under this key, and nobody knows with which indices (SRT-7a)
  kKeyExhausted,  // SRT-7
  kNoRoom,        // for the tag; or the library could not encrypt
  kNoKey,         // there is none to try
  kNoMemory,      // for what a new SSRC needs (C-12); nothing changed
};

/// The index of a packet with sequence number `sequence` when the highest so far is `highest` (RFC 3711
/// §3.3.1). Negative if it would lie before the first roll-over.
constexpr std::int64_t estimate_index(std::uint64_t highest, SeqNo sequence) noexcept {
  const auto roll_over = static_cast<std::int64_t>(highest >> 16);
  const auto last = static_cast<std::int32_t>(highest & 0xffff);
  std::int64_t guess = roll_over;
  if (last < 32768) {
    if (sequence.value - last > 32768) guess = roll_over - 1;
  } else if (last - 32768 > sequence.value) {
    guess = roll_over + 1;
  }
  return guess * 65536 + sequence.value;
}

/// Octets before the encrypted part of an SRTP packet: fixed header, CSRCs, extension. 0 if they do not fit.
[[nodiscard]] std::size_t srtp_header_size(Bytes packet) noexcept;

/// Which key of its transport a packet came under, and with which index.
struct SrtpOrigin {
  std::uint64_t index = 0;
  std::uint32_t key = 0;  // 0: it came plain
};

/// A packet that was opened in a batch, before anybody judged it.
struct SrtpOpened {
  SrtpOrigin origin;
  std::size_t size = 0;
};

/// How much of what happened a state knows that is restored.
enum class StateAge : std::uint8_t {
  kLatest,   // everything
  kEarlier,  // packets may have come and gone after it was taken
};

/// Octets of the first SSRC that a packet touches, usually.
inline constexpr std::size_t kFetched = 64;

/// Receives. Nothing changes before a packet was authenticated (SRT-2); nothing a sender does without the key
/// ends or resets it (SRT-14).
class SrtpReceiver {
 public:
  struct State {
    std::vector<SrtpStream> streams;
    SsrcMemory::State past{};
    bool operator==(const State&) const = default;
  };

  /// `window`: packets in the replay list, 128 for audio, 1024 for video (SRT-4).
  explicit SrtpReceiver(std::unique_ptr<SrtpCipher> cipher, std::size_t window = 128)
      : cipher_(std::move(cipher)), streams_(window) {}

  /// Begins to fetch what its next packet needs.
  void prefetch(SrtpFetch step) const noexcept {
    if (step == SrtpFetch::kSession) prefetch_octets(streams_.live().data(), kFetched);
    cipher_->prefetch(step);
  }

  /// Decrypts in place; `size` becomes that of the plain packet. `packet` is whole. `former`: the highest
  /// index of this SSRC under the key before, if there was one. An SSRC that is new under this key begins at
  /// a roll-over counter of 0, or goes on with the former one or a neighbour of it (RFC 3711 §3.3.1).
  SrtpResult open_rtp(MutableBytes packet, std::size_t& size,
                      std::optional<std::uint64_t> former = std::nullopt) noexcept;
  SrtpResult open_rtcp(MutableBytes packet, std::size_t& size) noexcept;
  /// Whether a packet that is a replay has a right tag (LAT-10). Nothing is noted, but the octets of
  /// `packet` are spoiled afterwards.
  [[nodiscard]] bool is_authentic_rtp(MutableBytes packet) const noexcept;
  [[nodiscard]] bool is_authentic_rtcp(MutableBytes packet) const noexcept;
  /// For batches: what `open_rtp` would try first. False: there is nothing to try.
  bool prepare_rtp(MutableBytes packet, SrtpWork& work) const noexcept;
  /// Commits what was opened so. The same packet may have been there twice in a batch.
  SrtpResult accept_rtp(Ssrc ssrc, std::uint64_t index) noexcept;

  /// For a packet that did not authenticate: the roll-over counter that was expected, and another one at
  /// which it does. Changes nothing; tries some counters, so not for every packet.
  struct RollOver {
    std::uint32_t expected = 0;
    std::uint32_t used = 0;
  };
  [[nodiscard]] std::optional<RollOver> find_roll_over(Bytes packet) const;
  /// Index of the newest packet of `ssrc`; its upper part is the roll-over counter. 0 if there was none.
  [[nodiscard]] std::uint64_t highest_index(Ssrc ssrc) const noexcept;
  /// The same; nothing if there was no packet, or it is forgotten.
  [[nodiscard]] std::optional<std::uint64_t> newest_index(Ssrc ssrc) const noexcept;
  [[nodiscard]] bool knows(Ssrc ssrc) const noexcept { return streams_.knows(ssrc); }
  /// The index of the packet that was opened last.
  [[nodiscard]] std::uint64_t opened_index() const noexcept { return opened_index_; }
  [[nodiscard]] State state() const { return {streams_.live(), streams_.past()}; }
  /// The same in less memory: each SSRC goes on behind its highest index.
  [[nodiscard]] State compact() const { return {{}, streams_.compact()}; }
  /// Into one that has received nothing yet. After a state that is `kEarlier` each SSRC goes on behind the
  /// first packet that comes, as what came before it may have been there already.
  void restore(const State& state, StateAge age);

 private:
  std::unique_ptr<SrtpCipher> cipher_;
  SrtpStreams streams_;
  std::uint64_t opened_index_ = 0;
};

/// Sends. No pair of SSRC and index is used twice for the life of the key (SRT-9).
class SrtpSender {
 public:
  /// Of 2^48 and 2^31 packets (SRT-7).
  static constexpr std::uint64_t kMaxRtpIndex = (std::uint64_t{1} << 48) - 1;
  static constexpr std::uint32_t kMaxRtcpIndex = 0x7fffffff;
  /// SRTCP indices that are left out after an earlier state (SRT-9).
  static constexpr std::uint32_t kSkip = 1 << 16;
  /// SRTCP indices for each party that has the same key.
  static constexpr std::uint32_t kShare = 1 << 24;
  struct State {
    std::vector<SrtpStream> streams;
    std::uint32_t next_rtcp = 0;
    std::uint32_t rtcp_end = kMaxRtcpIndex + 1;  // not reached
    SsrcMemory::State past{};
    bool operator==(const State&) const = default;
  };

  explicit SrtpSender(std::unique_ptr<SrtpCipher> cipher, std::size_t window = 128)
      : cipher_(std::move(cipher)), streams_(window) {}

  [[nodiscard]] std::size_t overhead() const noexcept { return cipher_->overhead(); }
  /// Begins to fetch what its next packet needs.
  void prefetch(SrtpFetch step) const noexcept {
    if (step == SrtpFetch::kSession) prefetch_octets(streams_.live().data(), kFetched);
    cipher_->prefetch(step);
  }
  /// Encrypts in place; `space` begins with the plain packet of `size` octets. kReplayed: this index was
  /// used, or is too old to tell.
  SrtpResult seal_rtp(MutableBytes space, std::size_t& size) noexcept;
  SrtpResult seal_rtcp(MutableBytes space, std::size_t& size) noexcept;
  /// For batches: everything of `seal_rtp` (or with `index` of `seal_rtp_as`) but the sealing, which must
  /// follow. `work.size` is that of the plain packet.
  SrtpResult prepare_rtp(MutableBytes space, std::size_t size, std::optional<std::uint64_t> index,
                         SrtpWork& work) noexcept;
  /// For a key of another party, whose unchanged packet came with `index`: what leaves is what came. An SSRC
  /// whose packets we numbered ourselves is kReplayed, and the other way round.
  SrtpResult seal_rtp_as(MutableBytes space, std::size_t& size, std::uint64_t index) noexcept;
  SrtpResult seal_rtcp_as(MutableBytes space, std::size_t& size, std::uint32_t index) noexcept;
  [[nodiscard]] bool knows(Ssrc ssrc) const noexcept { return streams_.knows(ssrc); }
  /// How a packet that is to be numbered here stands to what was sent under its SSRC.
  enum class Standing : std::uint8_t {
    kNew,        // above everything that was sent
    kSecond,     // the same, where a single packet was sent
    kLate,       // below the highest, and not sent yet
    kCopy,       // its index was sent, with a time stamp that is not newer than what was sent
    kBehind,     // its index was sent or is too old to tell: receivers would refuse it
    kForgotten,  // nobody knows which indices were sent
  };
  /// Of an RTP packet with this header; changes nothing.
  [[nodiscard]] Standing standing(Ssrc ssrc, SeqNo sequence, std::uint32_t timestamp) const noexcept;
  /// A random SSRC that was never used under this key; nothing if none was found.
  [[nodiscard]] std::optional<Ssrc> unused_ssrc() const;
  /// At nine tenths of what the key may protect (SRT-7).
  [[nodiscard]] bool wears_out() const noexcept { return wears_out_; }

  /// `other` sends to another party under the same key: no index that it has used is used here (SRT-9).
  void keep_off(std::weak_ptr<const SrtpSender> other) { with_same_key_.push_back(std::move(other)); }
  [[nodiscard]] bool has_company() const noexcept { return !with_same_key_.empty(); }
  /// Another party takes the place of the receiver. The sender remembers what it sent, and sends nothing more
  /// under those SSRCs.
  void begin_anew() { streams_.close_all(); }
  /// Before the first packet: SRTCP of each of the two has indices of its own from now on.
  void begin_rtcp_behind(SrtpSender& other) noexcept;

  [[nodiscard]] State state() const { return {streams_.live(), next_rtcp_, rtcp_end_, streams_.past()}; }
  /// The same in less memory: each SSRC goes on behind its highest index.
  [[nodiscard]] State compact() const { return {{}, next_rtcp_, rtcp_end_, streams_.compact()}; }
  /// Into one that has sent nothing yet. After a state that is `kEarlier` SRTCP goes on 2^16 indices later,
  /// and RTP of each SSRC behind the first packet that comes (SRT-9): the index of RTP is its source's
  /// sequence number, and receivers do not follow one that leaps
  /// (docs/adr/0009-a-restored-stream-goes-on-behind-its-first-packet.md).
  void restore(const State& state, StateAge age);

 private:
  /// Why no packet of `ssrc` can be sent, or none that is numbered so; kOk if one can. `known`: what is known
  /// of it, as `SrtpStreams::look` says.
  [[nodiscard]] SrtpResult refusal(Ssrc ssrc, const SrtpStream* known, bool is_relayed) const noexcept;
  /// Another party with the same key was sent this index.
  [[nodiscard]] bool was_sent_to_others(Ssrc ssrc, std::uint64_t index) const noexcept;
  SrtpResult seal(const SrtpWork& work, std::size_t& size) noexcept;
  [[nodiscard]] bool has_sent(Ssrc ssrc, std::uint64_t index) const noexcept;

  std::unique_ptr<SrtpCipher> cipher_;
  SrtpStreams streams_;
  std::vector<std::weak_ptr<const SrtpSender>> with_same_key_;  // usually none
  std::uint32_t next_rtcp_ = 0;
  std::uint32_t rtcp_end_ = kMaxRtcpIndex + 1;
  bool wears_out_ = false;
};

}  // namespace ferry
