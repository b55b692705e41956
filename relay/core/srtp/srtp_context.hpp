// SPDX-License-Identifier: Apache-2.0
// SRTP and SRTCP of one key in one direction: which index a packet has, whether it was there before, and when
// the key is used up (RFC 3711 §3.2 to §3.4).
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

/// Outcome of opening or sealing a packet.
enum class SrtpResult : std::uint8_t {
  kOk,
  /// Too short for its headers, MKI and tag.
  kMalformed,
  /// Was there before, or is too old to tell (SRT-4). Sending: the index was used.
  kReplayed,
  /// Wrong key, changed on the way, forged, or an index out of reach (SRT-3).
  kNotAuthentic,
  /// Its SSRC was used under this key, but nobody knows with which indices (SRT-7a).
  kForgotten,
  /// More packets than one key may protect (SRT-7).
  kKeyExhausted,
  /// No room for the tag, or the library could not encrypt.
  kNoRoom,
  /// There is no key to try.
  kNoKey,
  /// No memory for a new SSRC (C-12); nothing changed.
  kNoMemory,
};

/// Estimates the index of a packet from its sequence number, if `highest` is the highest index so far (RFC
/// 3711 §3.3.1). The result is negative if it would lie before the first roll-over.
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

/// Octets in front of the encrypted part of an SRTP packet: fixed header, CSRCs and extension. 0 if they do
/// not fit.
[[nodiscard]] std::size_t srtp_header_size(Bytes packet) noexcept;

/// How a packet came: under which key of its transport, and with which index.
struct SrtpOrigin {
  std::uint64_t index = 0;
  /// `Incoming::number` of the key; 0 if the packet came plain.
  std::uint32_t key = 0;
};

/// A packet that was decrypted in a batch, before anybody judged it.
struct SrtpOpened {
  SrtpOrigin origin;
  /// Size of the plain packet.
  std::size_t size = 0;
};

/// How complete a state is that gets restored.
enum class StateAge : std::uint8_t {
  /// It knows everything.
  kLatest,
  /// Packets may have come and gone after it was taken.
  kEarlier,
};

/// Octets of the first SSRC's state, for prefetching.
inline constexpr std::size_t kFetched = 64;

/// Opens what one key protects. Nothing changes before a packet is authentic (SRT-2), and nothing that
/// somebody sends without the key ends or resets it (SRT-14). One thread at a time.
class SrtpReceiver {
 public:
  /// Received indices, as plain values.
  struct State {
    std::vector<SrtpStream> streams;
    SsrcMemory::State past{};
    bool operator==(const State&) const = default;
  };

  /// `window` is the number of packets in the replay lists: 128 for audio, 1,024 for video (SRT-4).
  explicit SrtpReceiver(std::unique_ptr<SrtpCipher> cipher, std::size_t window = 128)
      : cipher_(std::move(cipher)), streams_(window) {}
  /// Makes the replay lists `window` packets long, if they are shorter.
  void widen(std::size_t window) noexcept { streams_.widen(window); }

  /// Begins to load what its next packet needs.
  void prefetch(SrtpFetch step) const noexcept {
    if (step == SrtpFetch::kSession) prefetch_octets(streams_.live().data(), kFetched);
    cipher_->prefetch(step);
  }

  /// Decrypts in place.
  ///
  /// `packet`  the whole packet; it changes only if it is authentic.
  /// `size`    becomes the size of the plain packet.
  /// `former`  the highest index of this SSRC under an earlier key; nothing if there was none.
  ///
  /// An SSRC that is new under this key begins with a roll-over counter of 0, or goes on from `former` (RFC
  /// 3711 §3.3.1).
  SrtpResult open_rtp(MutableBytes packet, std::size_t& size,
                      std::optional<std::uint64_t> former = std::nullopt) noexcept;
  /// Decrypts an SRTCP packet in place. SRTCP packets carry their index.
  SrtpResult open_rtcp(MutableBytes packet, std::size_t& size) noexcept;
  /// True if a packet that was refused as a replay has a right tag (LAT-10). Nothing is remembered, but the
  /// octets of `packet` are spoiled afterwards.
  [[nodiscard]] bool is_authentic_rtp(MutableBytes packet) const noexcept;
  /// True if an SRTCP packet that was refused as a replay has a right tag.
  [[nodiscard]] bool is_authentic_rtcp(MutableBytes packet) const noexcept;
  /// For batches: fills in what `open_rtp` would try first. False if there is nothing to try.
  bool prepare_rtp(MutableBytes packet, SrtpWork& work) const noexcept;
  /// Accepts a packet that was opened in a batch. It may be refused after all, because the batch may hold the
  /// same packet twice.
  SrtpResult accept_rtp(Ssrc ssrc, std::uint64_t index) noexcept;

  /// For explanations: the roll-over counter that was expected of a packet that did not authenticate, and
  /// another one at which it does.
  struct RollOver {
    std::uint32_t expected = 0;
    std::uint32_t used = 0;
  };
  /// Searches some counters around the expected one and near 0. Costly, so not for every packet; changes
  /// nothing.
  [[nodiscard]] std::optional<RollOver> find_roll_over(Bytes packet) const;
  /// Index of the newest packet of `ssrc`; its upper part is the roll-over counter. 0 if there was no packet.
  [[nodiscard]] std::uint64_t highest_index(Ssrc ssrc) const noexcept;
  /// Index of the newest packet of `ssrc`; nothing if there was no packet or it is forgotten.
  [[nodiscard]] std::optional<std::uint64_t> newest_index(Ssrc ssrc) const noexcept;
  /// True if `ssrc` was used under this key, even if its indices are forgotten.
  [[nodiscard]] bool knows(Ssrc ssrc) const noexcept { return streams_.knows(ssrc); }
  /// Index of the packet that was opened last.
  [[nodiscard]] std::uint64_t opened_index() const noexcept { return opened_index_; }
  [[nodiscard]] State state() const { return {streams_.live(), streams_.past()}; }
  /// The state in less memory: without replay lists, so each SSRC goes on behind its highest index.
  [[nodiscard]] State compact() const { return {{}, streams_.compact()}; }
  /// Loads a state into an object that has received nothing yet. With `kEarlier` each SSRC goes on behind the
  /// first packet that comes, because packets below it may have been there already.
  void restore(const State& state, StateAge age);

 private:
  std::unique_ptr<SrtpCipher> cipher_;
  SrtpStreams streams_;
  std::uint64_t opened_index_ = 0;
};

/// Seals what one key protects. No pair of SSRC and index is used twice in the life of the key (SRT-9). One
/// thread at a time.
class SrtpSender {
 public:
  /// Last index of RTP and of RTCP under one key: 2^48 and 2^31 packets (SRT-7).
  static constexpr std::uint64_t kMaxRtpIndex = (std::uint64_t{1} << 48) - 1;
  static constexpr std::uint32_t kMaxRtcpIndex = 0x7fffffff;
  /// SRTCP indices that are left out after an earlier state was restored (SRT-9).
  static constexpr std::uint32_t kSkip = 1 << 16;
  /// SRTCP indices that each party gets if several have the same key.
  static constexpr std::uint32_t kShare = 1 << 24;
  /// Sent indices, as plain values.
  struct State {
    std::vector<SrtpStream> streams;
    /// Index of the next SRTCP packet.
    std::uint32_t next_rtcp = 0;
    /// First SRTCP index that is not ours.
    std::uint32_t rtcp_end = kMaxRtcpIndex + 1;
    SsrcMemory::State past{};
    bool operator==(const State&) const = default;
  };

  explicit SrtpSender(std::unique_ptr<SrtpCipher> cipher, std::size_t window = 128)
      : cipher_(std::move(cipher)), streams_(window) {}
  /// Makes the replay lists `window` packets long, if they are shorter.
  void widen(std::size_t window) noexcept { streams_.widen(window); }

  [[nodiscard]] std::size_t overhead() const noexcept { return cipher_->overhead(); }
  /// Begins to load what its next packet needs.
  void prefetch(SrtpFetch step) const noexcept {
    if (step == SrtpFetch::kSession) prefetch_octets(streams_.live().data(), kFetched);
    cipher_->prefetch(step);
  }
  /// Encrypts in place; `space` begins with the plain packet of `size` octets. kReplayed: the index was used
  /// before, or is too old to tell.
  SrtpResult seal_rtp(MutableBytes space, std::size_t& size) noexcept;
  /// Encrypts an RTCP packet in place; the sender counts the indices.
  SrtpResult seal_rtcp(MutableBytes space, std::size_t& size) noexcept;
  /// For batches: does everything of `seal_rtp`, or of `seal_rtp_as` if `index` is given, except the
  /// encryption, which must follow. `work.size` is the size of the plain packet.
  SrtpResult prepare_rtp(MutableBytes space, std::size_t size, std::optional<std::uint64_t> index,
                         SrtpWork& work) noexcept;
  /// Encrypts an unchanged packet that came under the same key with `index`, so that exactly what came
  /// leaves. An SSRC is either numbered by its source or by us; the other way is refused with kReplayed.
  SrtpResult seal_rtp_as(MutableBytes space, std::size_t& size, std::uint64_t index) noexcept;
  /// Encrypts an unchanged SRTCP packet under the index that it came with.
  SrtpResult seal_rtcp_as(MutableBytes space, std::size_t& size, std::uint32_t index) noexcept;
  /// True if `ssrc` was used under this key, even if its indices are forgotten.
  [[nodiscard]] bool knows(Ssrc ssrc) const noexcept { return streams_.knows(ssrc); }
  /// Standing of a packet that is to be sent, given what was sent under its SSRC.
  enum class Standing : std::uint8_t {
    /// Its index is above everything that was sent.
    kNew,
    /// Its index is above everything, and only one packet was sent so far.
    kSecond,
    /// Its index is below the highest, and was not used.
    kLate,
    /// Its index was used, and its time stamp is not newer than what was sent: probably a copy.
    kCopy,
    /// Its index was used or is too old to tell; receivers would refuse it.
    kBehind,
    /// Nobody knows which indices were used.
    kForgotten,
  };
  /// How an RTP packet with this header stands; changes nothing.
  [[nodiscard]] Standing standing(Ssrc ssrc, SeqNo sequence, std::uint32_t timestamp) const noexcept;
  /// A random SSRC that was never used under this key; nothing if none was found.
  [[nodiscard]] std::optional<Ssrc> unused_ssrc() const;
  /// True once nine tenths of what the key may protect are used (SRT-7).
  [[nodiscard]] bool is_nearly_used_up() const noexcept { return is_nearly_used_up_; }

  /// Tells it about another sender that uses the same key for another party: no index that one has used is
  /// used by the other (SRT-9).
  void share_key_with(std::weak_ptr<const SrtpSender> other) { with_same_key_.push_back(std::move(other)); }
  /// True if another sender uses the same key.
  [[nodiscard]] bool shares_key() const noexcept { return !with_same_key_.empty(); }
  /// Another party takes the place of the receiver. The sender remembers what it sent, and sends nothing more
  /// under those SSRCs.
  void begin_anew() { streams_.close_all(); }
  /// Gives SRTCP of this sender and of `other`, which has the same key, separate ranges of indices. Call it
  /// before the first packet.
  void begin_rtcp_behind(SrtpSender& other) noexcept;

  [[nodiscard]] State state() const { return {streams_.live(), next_rtcp_, rtcp_end_, streams_.past()}; }
  /// The state in less memory: without replay lists, so each SSRC goes on behind its highest index.
  [[nodiscard]] State compact() const { return {{}, next_rtcp_, rtcp_end_, streams_.compact()}; }
  /// Loads a state into an object that has sent nothing yet. With `kEarlier` SRTCP goes on 2^16 indices
  /// later. RTP cannot leap, because its index is the source's sequence number and receivers would not
  /// follow; so each SSRC goes on behind the first packet that comes (SRT-9,
  /// docs/adr/0009-a-restored-stream-goes-on-behind-its-first-packet.md).
  void restore(const State& state, StateAge age);

 private:
  /// Why no packet of `ssrc` may be sent, or none that is numbered this way; kOk if one may. `known` is what
  /// `SrtpStreams::look` returned. `is_relayed`: the source numbered the packet.
  [[nodiscard]] SrtpResult refusal(Ssrc ssrc, const SrtpStream* known, bool is_relayed) const noexcept;
  /// True if this index may have been sent to another party with the same key.
  [[nodiscard]] bool was_sent_to_others(Ssrc ssrc, std::uint64_t index) const noexcept;
  /// Encrypts a packet that `prepare_rtp` accepted.
  SrtpResult seal(const SrtpWork& work, std::size_t& size) noexcept;
  /// True if this index may have been used for `ssrc`.
  [[nodiscard]] bool has_sent(Ssrc ssrc, std::uint64_t index) const noexcept;

  std::unique_ptr<SrtpCipher> cipher_;
  SrtpStreams streams_;
  /// Senders with the same key; usually none.
  std::vector<std::weak_ptr<const SrtpSender>> with_same_key_;
  std::uint32_t next_rtcp_ = 0;
  std::uint32_t rtcp_end_ = kMaxRtcpIndex + 1;
  bool is_nearly_used_up_ = false;
};

}  // namespace ferry
