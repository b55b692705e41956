// SPDX-License-Identifier: Apache-2.0
// Learns where a peer really sends from and then accepts only that source (RFC 7362 §4, "latching"; rules
// LAT-1 to LAT-15).
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"
#include "relay/core/forward/drop_reason.hpp"
#include "relay/core/latch/peer_policy.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace ferry {

/// Which sources may be learned, by rank (LAT-2, LAT-3).
/// - kOff: only the signalled address and port (rank 4).
/// - kSignalled: also other ports of that address and the source of the signalling (ranks 3 and 2).
/// - kUncontested: also a stranger who is the only sender (rank 1, LAT-3a).
/// - kAny: everybody. Unsafe, and shown as such.
enum class LatchPolicy : std::uint8_t { kOff, kSignalled, kUncontested, kAny };
/// Spelling of a policy in configuration and commands.
std::string_view to_string(LatchPolicy policy) noexcept;
/// Reads that spelling; nothing if it is unknown.
std::optional<LatchPolicy> parse_latch_policy(std::string_view text) noexcept;

/// How sources are learned. `kRules` follows LAT-2 to LAT-9. The others imitate the algorithms that NG
/// clients can ask for (LAT-4a); they do not check ranks.
enum class LearningAlgorithm : std::uint8_t { kRules, kImmediate, kDelayed, kHeuristic };

/// The ports of one address that are open for media. Control writes it, every worker reads it, without locks.
class OpenPorts {
 public:
  /// Covers the ports from `first` to `last`, all closed.
  OpenPorts(UdpPort first, UdpPort last)
      : first_(first.value), count_(last.value - first.value + 1u), words_(count_ / 64 + 1) {}
  /// Marks a port as open or closed. A port outside the range is ignored.
  void set(UdpPort port, bool open) noexcept {
    if (!covers(port)) return;
    const std::uint64_t bit = std::uint64_t{1} << (index(port) % 64);
    auto& word = words_[index(port) / 64];
    open ? word.fetch_or(bit, std::memory_order_relaxed) : word.fetch_and(~bit, std::memory_order_relaxed);
  }
  /// True if the port is open.
  [[nodiscard]] bool contains(UdpPort port) const noexcept {
    return covers(port) &&
           (words_[index(port) / 64].load(std::memory_order_relaxed) >> (index(port) % 64) & 1) != 0;
  }

 private:
  /// True if the port lies in the range.
  [[nodiscard]] bool covers(UdpPort port) const noexcept {
    return port.value >= first_ && index(port) < count_;
  }
  /// Number of the port within the range.
  [[nodiscard]] std::size_t index(UdpPort port) const noexcept {
    return static_cast<std::size_t>(port.value) - first_;
  }

  std::uint16_t first_;
  std::size_t count_;
  std::vector<std::atomic<std::uint64_t>> words_;
};

/// All ports that this relay has open for media, by address (LAT-11, LIM-5). Shared by all workers.
class OwnMedia {
 public:
  /// The open ports of one local address.
  struct Range {
    IpAddress address;
    std::shared_ptr<const OpenPorts> ports;
  };
  /// Begins with these addresses; up to `kMaxAdded` more can be added.
  explicit OwnMedia(std::vector<Range> ranges) : ranges_(std::move(ranges)), count_(ranges_.size()) {
    ranges_.reserve(ranges_.size() + kMaxAdded);
  }
  /// True if `endpoint` is one of our media ports. Any worker.
  [[nodiscard]] bool contains(const Endpoint& endpoint) const noexcept;
  /// Adds an address while workers read. Control thread only. False if there are too many already.
  bool add(Range range) {
    if (ranges_.size() == ranges_.capacity()) return false;  // what workers read must not move
    ranges_.push_back(std::move(range));
    count_.store(ranges_.size(), std::memory_order_release);
    return true;
  }

 private:
  static constexpr std::size_t kMaxAdded = 64;
  std::vector<Range> ranges_;
  std::atomic<std::size_t> count_;
};

/// Signalling about one component. Control fills it; it is an immutable part of a plan.
struct LatchConfig {
  /// Which sources may be learned.
  LatchPolicy policy = LatchPolicy::kSignalled;
  /// How they are learned.
  LearningAlgorithm algorithm = LearningAlgorithm::kRules;
  /// The peer's address and port from its SDP; unset if there is none.
  Endpoint signalled;
  /// The signalled address cannot be meant for us, for example a private address seen from outside (LAT-4).
  /// It is then neither sent to nor ranked.
  bool signalled_void = false;
  /// The signalled endpoint is a port of this relay, and it belongs to the other leg of a known hairpin
  /// (LIM-5). Packets from it are then allowed.
  bool hairpin = false;
  /// The signalled endpoint is a port of this relay that leads to no party (LIM-5). `signalled_void` is then
  /// set as well.
  bool loops = false;
  /// Why no party may be at the signalled endpoint; kNone if one may. A reason of LAT-11a sets
  /// `signalled_void` as well.
  PeerDenial denied = PeerDenial::kNone;
  /// Source of the signalling (`received-from`); unset if unknown. A source with this address has rank 2.
  IpAddress signalling_source;
  /// The peer was sent an SDP with this port, so it knows where to send. While false, only somebody who
  /// guesses can send here: only the signalled endpoint is heard, and nobody else is learned.
  bool is_told = true;
  /// ICE says who the peer is (LAT-10); the latch learns nobody by itself.
  bool by_ice = false;
  /// NG flag `strict-source`: the NG algorithms then drop foreign sources. `kRules` always does.
  bool strict_source = false;
  /// NG flag `media-handover`: a locked stream may move to a new address of rank 2 or better (LAT-8).
  bool handover = false;
  /// This latch learns the peer of an offer that waits for its answer (LAT-15). The agreed source is there as
  /// well, so nobody is ever the only one and LAT-3a does not apply.
  bool is_proposed = false;
  /// Rules about places where parties on this transport's interface may be. Null: only LAT-11 applies.
  std::shared_ptr<const PeerPolicy> peers;

  /// True if media may be sent to the signalled endpoint.
  [[nodiscard]] bool has_destination() const noexcept {
    return !signalled_void && signalled.is_reachable() && judge_peer(peers, signalled) == PeerDenial::kNone;
  }

  bool operator==(const LatchConfig&) const = default;
};

/// Judges the source of each packet of one component and remembers the learned peer.
///
/// Pure: no clock, no socket. It allocates once, when a source other than the signalled one is first under
/// probation. One object for each component, owned by one worker.
class Latch {
 public:
  /// kClosed: before the first `restart`; everything is refused. kLearning: no peer yet. kLocked: the peer is
  /// known.
  enum class State : std::uint8_t { kClosed, kLearning, kLocked };

  /// Number of first packets that the worker can hold for this latch during probation (LAT-5).
  static constexpr std::size_t kHoldSlots = 4;

  /// Judgement of one datagram.
  struct Judgement {
    enum class Decision : std::uint8_t {
      kAccept,   ///< from the peer: deliver
      kHold,     ///< first of two: keep it in `slot`, whatever was there is lost
      kRelease,  ///< just locked: judge the packet in `slot` again, then this one
      kReject,
    };
    Decision decision = Decision::kReject;
    /// Why it is rejected; kNone for all other decisions.
    DropReason reason = DropReason::kNone;
    /// For kHold and kRelease: the place of the held packet, 0 to `kHoldSlots` - 1.
    std::uint8_t slot = 0;
  };

  Latch() = default;

  /// Begins to learn anew after signalling (LAT-8a); all that was learned is forgotten. `barred`, if set, is
  /// refused for `bar_time` from `now`: late packets of a former peer must not win.
  void restart(const LatchConfig& config, Instant now, const Endpoint& barred = {},
               Duration bar_time = std::chrono::seconds(1));
  /// Takes over a changed configuration that does not begin learning anew. A learned peer stays, unless no
  /// party may be at its address any more (LAT-11a).
  void update(const LatchConfig& config);

  /// Judges one RTP packet whose form was checked. Also for UDPTL, with its sequence number and SSRC 0. `own`
  /// are this relay's media ports.
  [[nodiscard]] Judgement on_rtp(const Endpoint& from, Ssrc ssrc, SeqNo sequence, Instant now,
                                 const OwnMedia& own);
  /// Judges one datagram that has no sequence number: RTCP on its own port, or a protocol that is passed on
  /// whole. `rtp_peer`, if set, is the address that RTP has locked to; this source must share it (LAT-9).
  [[nodiscard]] Judgement on_unsequenced(const Endpoint& from, Ssrc sender, Instant now, const OwnMedia& own,
                                         const IpAddress& rtp_peer);
  /// True if a datagram from `from` passes the source rule. Changes nothing. For RTCP on the RTP port, which
  /// never moves RTP (LAT-9).
  [[nodiscard]] bool is_peer(const Endpoint& from) const noexcept;

  /// Claim of a source: what an authentic packet from it may do here (LAT-10). A packet of a source with
  /// kNone is dropped before decryption: it must neither cost a checksum nor use up an index.
  enum class Claim : std::uint8_t {
    kNone,
    /// It is the peer, or there is no peer yet: an authentic packet locks.
    kPeer,
    /// Signalling names it better than the present peer: an authentic packet makes it the peer.
    kBetter,
    /// The peer is silent: a packet above every index so far makes it the peer (LAT-8b).
    kSilent,
  };
  /// `may_relearn`: LAT-8b applies to this component.
  [[nodiscard]] Claim claim(const Endpoint& from, bool may_relearn, Instant now) const noexcept;
  /// True if an authentic packet of a source with kBetter counts even as a replay. Otherwise somebody who
  /// sends copies first could keep the media.
  [[nodiscard]] bool counts_replays_of(const Endpoint& from) const noexcept {
    return rank_ == 1 && rank_of(from) >= 2;
  }
  /// Why nothing may be learned from `from`; kNone if something may (LAT-11, PRT-2).
  [[nodiscard]] DropReason refusal_of(const Endpoint& from, Instant now, const OwnMedia& own) const noexcept;
  /// A packet of a source with a claim was authentic: that source is the peer from now on. False if nobody
  /// can become the peer here, because ICE decides or the latch is closed.
  bool lock_authenticated(const Endpoint& from, Instant now) noexcept;
  /// Moves all times forward by a time in which this process did not run: that was nobody's silence (C-13).
  void skip(Duration pause) noexcept;
  /// The latch of a waiting offer judged a packet of this component. A source that wants to be learned
  /// because it is the only one starts over (LAT-3a).
  void note_another_source() noexcept {
    if (probation_) probation_->window = {};
  }
  /// ICE selected a pair: `peer` is the peer now, with rank 4.
  void pin(const Endpoint& peer, Instant now);
  /// ICE lost its pair: there is no peer.
  void unpin();
  /// True if `from` may take part in a handshake: it is the peer, or signalling names it (rank 2 or better,
  /// DTL-2).
  [[nodiscard]] bool may_speak(const Endpoint& from) const noexcept;
  /// The locked peer's packet was forwarded without being judged here, by the kernel. It moves the mark that
  /// a rebinding must continue (LAT-8c).
  void note_passed(Ssrc ssrc, SeqNo sequence, Instant when) { accept(ssrc, sequence, when); }
  /// Until this time, packets of other sources must be judged one by one: a better rank may replace the peer
  /// (LAT-6), or a former peer is barred. Afterwards all other sources are foreign, except for LAT-8c.
  [[nodiscard]] Instant open_until() const noexcept;
  /// The signalled endpoint, if a rebinding moved the stream away from it; a packet from there takes the
  /// stream back (LAT-8). Unset otherwise.
  [[nodiscard]] Endpoint home() const noexcept;
  /// Rank of `from` by present signalling (LAT-2): 4, 3 or 2. 0 if signalling does not name it or it may not
  /// be learned.
  [[nodiscard]] std::uint8_t signalled_rank(const Endpoint& from, Instant now,
                                            const OwnMedia& own) const noexcept;
  /// True if a packet from `from` could make it the peer of this locked latch (LAT-6, LAT-8).
  [[nodiscard]] bool may_move_to(const Endpoint& from, Instant now) const noexcept;
  /// Newest sequence number accepted; what a rebinding must continue (LAT-8c).
  [[nodiscard]] SeqNo last_sequence() const noexcept { return last_sequence_; }
  /// When the last packet was accepted; `Instant{}` = none since learning began.
  [[nodiscard]] Instant last_packet() const noexcept { return last_packet_; }
  /// True if only the learned peer is heard, by LAT-2 to LAT-9 and not by an NG algorithm.
  [[nodiscard]] bool is_exclusive() const noexcept {
    return state_ == State::kLocked && config_.algorithm == LearningAlgorithm::kRules;
  }

  [[nodiscard]] State state() const noexcept { return state_; }
  /// Several sources of rank 1 claim the stream, so none of them is learned (LAT-3a).
  [[nodiscard]] bool contested() const noexcept { return contested_; }
  /// Rank of the learned peer, 1 to 4; 0 before the lock.
  [[nodiscard]] std::uint8_t rank() const noexcept { return rank_; }
  /// Rank that signalling gives a source (LAT-2), 1 to 4, whether or not the policy accepts it.
  [[nodiscard]] std::uint8_t rank_of(const Endpoint& from) const noexcept;
  [[nodiscard]] const LatchConfig& config() const noexcept { return config_; }
  /// The learned peer; unset before lock.
  [[nodiscard]] const Endpoint& learned() const noexcept { return peer_; }
  /// The address to send to now: the learned peer, else the signalled endpoint if it is usable; else unset.
  [[nodiscard]] Endpoint destination() const noexcept;

  /// A source under probation, with its newest packet (LAT-5).
  struct Candidate {
    Endpoint from;
    Ssrc ssrc;
    SeqNo sequence;
    /// Arrival of that packet.
    Instant seen{};
    /// False: the slot is free.
    bool used = false;
    bool operator==(const Candidate&) const = default;
  };
  /// The source of rank 1 that may become the only one (LAT-3a).
  struct Window {
    Endpoint from;
    Ssrc ssrc;
    SeqNo sequence;
    /// Packets in sequence so far.
    unsigned sequential = 0;
    /// When the first of them came.
    Instant started{};
    bool operator==(const Window&) const = default;
  };
  /// State of learning that most latches never need; allocated on first use.
  struct Probation {
    std::array<Candidate, kHoldSlots> candidates;
    Window window;
    bool operator==(const Probation&) const = default;
  };
  /// Everything that the latch knows besides its configuration, as plain values; see `restore`. Its members
  /// are those of the class, without the underscore. An export leaves out the probation and the barred
  /// source, which last about a second.
  struct Snapshot {
    State state = State::kClosed;
    std::uint8_t rank = 0;
    bool contested = false;
    bool better_rank_seen = false;
    bool committed = false;
    Endpoint peer;
    Ssrc last_ssrc;
    SeqNo last_sequence;
    Instant locked_at{};
    Instant last_packet{};
    Instant signalled_at{};
    Endpoint barred;
    Instant barred_until{};
    std::optional<Probation> probation;
    bool operator==(const Snapshot&) const = default;
  };
  /// All that it knows besides its configuration.
  [[nodiscard]] Snapshot snapshot() const;
  /// Goes on where `snapshot` was taken. A peer where no party may be any more is forgotten (LAT-11a).
  void restore(const LatchConfig& config, const Snapshot& snapshot);

 private:
  /// True if the policy lets a source of this rank be learned.
  [[nodiscard]] bool allowed(std::uint8_t rank) const noexcept;
  /// NG algorithms only: learning is over.
  [[nodiscard]] bool is_final() const noexcept;
  /// True if a party may be at `from` (LAT-11, LAT-11a).
  [[nodiscard]] bool may_be_party(const Endpoint& from) const noexcept {
    return judge_peer(config_.peers, from) == PeerDenial::kNone;
  }
  /// Why nobody is learned from `from`, whatever its rank; kNone if somebody may be. `any_port`: for a known
  /// hairpin any port of its address will do, not only the signalled one.
  [[nodiscard]] DropReason never_learned(const Endpoint& from, const OwnMedia& own,
                                         bool any_port = false) const noexcept;
  /// Forgets the learned peer if no party may be where it is.
  void forget_denied() noexcept;
  /// True if a source of `rank` may still replace the peer (LAT-6).
  [[nodiscard]] bool improves(std::uint8_t rank, Instant now) const noexcept;
  /// True if `from` has the peer's address, or may take the stream over by `media-handover`.
  [[nodiscard]] bool is_same_place(const Endpoint& from) const noexcept;
  /// True if LAT-3a applies.
  [[nodiscard]] bool uncontested_learning() const noexcept;
  /// True if an accepted packet from `from` takes the stream back to the signalled endpoint (LAT-8).
  [[nodiscard]] bool takes_back(const Endpoint& from) const noexcept;
  /// Makes `from` the peer, with the time of the lock.
  void lock(const Endpoint& from, std::uint8_t rank, Instant now);
  /// Two packets in sequence from `from` lock (LAT-5). The first one is held.
  Judgement probe(const Endpoint& from, std::uint8_t rank, Ssrc ssrc, SeqNo sequence, bool sequenced,
                  Instant now);
  /// Ten packets in sequence during at least 1 s from the only source of rank 1 lock (LAT-3a).
  Judgement watch_window(const Endpoint& from, Ssrc ssrc, SeqNo sequence, Instant now);
  /// Judges a packet of a source that may become the peer.
  Judgement learn(const Endpoint& from, Ssrc ssrc, SeqNo sequence, bool sequenced, Instant now);
  /// Judges a packet by an NG algorithm (LAT-4a).
  Judgement by_algorithm(const Endpoint& from, Instant now);
  /// Notes a packet of the peer.
  Judgement accept(Ssrc ssrc, SeqNo sequence, Instant now);

  LatchConfig config_;
  /// The learned peer; unset while there is none.
  Endpoint peer_;
  /// Former peer that is refused until `barred_until_`; unset if there is none.
  Endpoint barred_;
  Instant barred_until_{};
  /// When learning began.
  Instant signalled_at_{};
  /// When the present peer was learned.
  Instant locked_at_{};
  /// Newest packet of the peer.
  Instant last_packet_{};
  Ssrc last_ssrc_;
  SeqNo last_sequence_;
  State state_ = State::kClosed;
  std::uint8_t rank_ = 0;
  bool contested_ = false;
  /// A source of rank 2 or better sent something since signalling.
  bool better_rank_seen_ = false;
  /// NG algorithms only: a packet has ended the learning.
  bool committed_ = false;
  std::unique_ptr<Probation> probation_;
};

/// Spelling in replies of commands.
std::string_view to_string(Latch::State state) noexcept;

}  // namespace ferry
