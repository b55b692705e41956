// Learns where a peer really sends from and pins it (RFC 7362 §4 "latching"; media-security section 2).
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

/// Which sources may be learned (LAT-3). `kAny` is unsafe and shown as such.
enum class LatchPolicy : std::uint8_t { kOff, kSignalled, kUncontested, kAny };
std::string_view to_string(LatchPolicy policy) noexcept;
std::optional<LatchPolicy> parse_latch_policy(std::string_view text) noexcept;

/// `kRules` is media-security section 2. The others are the algorithms of the NG reference, section 21
/// (LAT-4a).
enum class LearningAlgorithm : std::uint8_t { kRules, kImmediate, kDelayed, kHeuristic };

/// Which ports of one address are open for media. Written by control, read by every worker.
class OpenPorts {
 public:
  OpenPorts(UdpPort first, UdpPort last)
      : first_(first.value), count_(last.value - first.value + 1u), words_(count_ / 64 + 1) {}
  void set(UdpPort port, bool open) noexcept {
    if (!covers(port)) return;
    const std::uint64_t bit = std::uint64_t{1} << (index(port) % 64);
    auto& word = words_[index(port) / 64];
    open ? word.fetch_or(bit, std::memory_order_relaxed) : word.fetch_and(~bit, std::memory_order_relaxed);
  }
  [[nodiscard]] bool contains(UdpPort port) const noexcept {
    return covers(port) &&
           (words_[index(port) / 64].load(std::memory_order_relaxed) >> (index(port) % 64) & 1) != 0;
  }

 private:
  [[nodiscard]] bool covers(UdpPort port) const noexcept {
    return port.value >= first_ && index(port) < count_;
  }
  [[nodiscard]] std::size_t index(UdpPort port) const noexcept {
    return static_cast<std::size_t>(port.value) - first_;
  }

  std::uint16_t first_;
  std::size_t count_;
  std::vector<std::atomic<std::uint64_t>> words_;
};

/// The ports that this relay has open for media, by address (LAT-11, LIM-5).
class OwnMedia {
 public:
  struct Range {
    IpAddress address;
    std::shared_ptr<const OpenPorts> ports;
  };
  explicit OwnMedia(std::vector<Range> ranges) : ranges_(std::move(ranges)), count_(ranges_.size()) {
    ranges_.reserve(ranges_.size() + kMaxAdded);
  }
  [[nodiscard]] bool contains(const Endpoint& endpoint) const noexcept;
  /// One more address, while workers read. Control thread only; false if there were too many.
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

/// What signalling says about one component. Immutable part of a plan.
struct LatchConfig {
  LatchPolicy policy = LatchPolicy::kSignalled;
  LearningAlgorithm algorithm = LearningAlgorithm::kRules;
  /// Address and port of the peer from its SDP; unset if unknown.
  Endpoint signalled;
  /// LAT-4: the signalled address cannot be meant for us.
  bool signalled_void = false;
  /// The signalled endpoint is a port of this relay that belongs to the other leg of a known hairpin (LIM-5).
  bool hairpin = false;
  /// The signalled endpoint is a port of this relay that leads to no party (LIM-5); it is void then.
  bool loops = false;
  /// Where the signalled endpoint is no party's (LAT-11a); it is void then.
  PeerDenial denied = PeerDenial::kNone;
  /// Where parties on this one's interface may be. Null: LAT-11 alone.
  std::shared_ptr<const PeerPolicy> peers;
  /// Where the signalling came from (`received-from`), or none.
  IpAddress signalling_source;
  /// The peer was sent an SDP with this port. Before that nobody but a guesser sends here: nothing is
  /// learned, and only the signalled endpoint is heard.
  bool is_told = true;
  /// ICE says who the peer is (LAT-10): nobody is learned.
  bool by_ice = false;
  /// NG flag `strict-source`; the rules are always strict, `any` and the NG algorithms only with it.
  bool strict_source = false;
  /// NG flag `media-handover`: re-learning may go to a new address of rank >= 2 (LAT-8).
  bool handover = false;
  /// Of an offer that waits for its answer (LAT-15): the agreed source is there too, so nobody is the only
  /// one and LAT-3a does not apply.
  bool is_proposed = false;

  /// The signalled endpoint is one that may be sent to.
  [[nodiscard]] bool has_destination() const noexcept {
    return !signalled_void && signalled.is_reachable() && judge_peer(peers, signalled) == PeerDenial::kNone;
  }

  bool operator==(const LatchConfig&) const = default;
};

/// Pure: no clock, no socket. Allocates once when a source other than the signalled one is under probation.
/// One instance per component, owned by one worker.
class Latch {
 public:
  enum class State : std::uint8_t { kClosed, kLearning, kLocked };

  /// Slots for first packets held during probation (LAT-5).
  static constexpr std::size_t kHoldSlots = 4;

  struct Judgement {
    enum class Decision : std::uint8_t {
      kAccept,   ///< from the peer: deliver
      kHold,     ///< first of two: keep it in `slot`, whatever was there is lost
      kRelease,  ///< just locked: judge the packet in `slot` again, then this one
      kReject,
    };
    Decision decision = Decision::kReject;
    DropReason reason = DropReason::kNone;
    std::uint8_t slot = 0;
  };

  Latch() = default;

  /// Begins anew after signalling (LAT-8a). `barred` (if set) is refused for `bar_time` after `now`.
  void restart(const LatchConfig& config, Instant now, const Endpoint& barred = {},
               Duration bar_time = std::chrono::seconds(1));
  /// Takes over a change of the configuration that does not reopen the window, unless nobody may be any more
  /// where the learned peer is (LAT-11a).
  void update(const LatchConfig& config);

  /// Judges one RTP (or UDPTL, with SSRC 0) datagram whose form was checked.
  [[nodiscard]] Judgement on_rtp(const Endpoint& from, Ssrc ssrc, SeqNo sequence, Instant now,
                                 const OwnMedia& own);
  /// Judges one datagram without sequence number: RTCP on its own port, or a protocol we do not know.
  /// `rtp_peer` (if set) is the locked RTP address that this source must share (LAT-9).
  [[nodiscard]] Judgement on_unsequenced(const Endpoint& from, Ssrc sender, Instant now, const OwnMedia& own,
                                         const IpAddress& rtp_peer);
  /// True if a datagram from `from` passes the source rule without changing anything: RTCP on a muxed port,
  /// which never moves RTP (LAT-9).
  [[nodiscard]] bool is_peer(const Endpoint& from) const noexcept;

  /// What protected packets of a source may do here (LAT-10). Whoever may do nothing is not worth a checksum,
  /// and its packets must not use up an index.
  enum class Claim : std::uint8_t {
    kNone,
    kPeer,    ///< it is the peer, or there is none yet: an authentic packet locks
    kBetter,  ///< an authentic packet makes it the peer, as signalling names it better than the one of now
    kSilent,  ///< the same for a packet above every index so far, as the peer is silent (LAT-8 b)
  };
  /// `may_relearn`: LAT-8 (b) applies.
  [[nodiscard]] Claim claim(const Endpoint& from, bool may_relearn, Instant now) const noexcept;
  /// An authentic packet of a source with the claim kBetter counts even if its index was there: a copy that
  /// was sent first must not keep the media.
  [[nodiscard]] bool counts_replays_of(const Endpoint& from) const noexcept {
    return rank_ == 1 && rank_of(from) >= 2;
  }
  /// Why no packet from `from` may be learned from; kNone if one may (LAT-11, PRT-2).
  [[nodiscard]] DropReason refusal_of(const Endpoint& from, Instant now, const OwnMedia& own) const noexcept;
  /// A packet of a source with a claim authenticated itself: it is the peer from now on. False if ICE alone
  /// says who that is.
  bool lock_authenticated(const Endpoint& from, Instant now) noexcept;
  /// Time passed in which nobody ran: it was no silence (C-13).
  void skip(Duration pause) noexcept;
  /// The latch of an offer that waits judged a packet of the component: whoever wants to be learned as its
  /// only source begins anew (LAT-3a).
  void note_another_source() noexcept {
    if (probation_) probation_->window = {};
  }
  /// ICE selected a pair, or lost it.
  void pin(const Endpoint& peer, Instant now);
  void unpin();
  /// `from` may take part in a handshake: signalled, or where the signalling came from (DTL-2).
  [[nodiscard]] bool may_speak(const Endpoint& from) const noexcept;
  /// A packet of the locked peer passed without being judged here: rebinding must continue it (LAT-8c).
  void note_passed(Ssrc ssrc, SeqNo sequence, Instant when) { accept(ssrc, sequence, when); }
  /// Until then other sources than the peer need to be judged: a better rank replaces it (LAT-6), or an
  /// earlier peer is barred. Afterwards they are foreign but for `LAT-8c`.
  [[nodiscard]] Instant open_until() const noexcept;
  /// The signalled endpoint after a rebinding has moved the stream away from it: a packet from there takes
  /// the stream back (LAT-8). Unset if there is none.
  [[nodiscard]] Endpoint home() const noexcept;
  /// How good `from` is by what signalling says now (LAT-2): 4, 3 or 2; 0: signalling does not name it, or it
  /// may not be learned.
  [[nodiscard]] std::uint8_t signalled_rank(const Endpoint& from, Instant now,
                                            const OwnMedia& own) const noexcept;
  /// A packet from `from` could make it the peer of this locked latch (LAT-6, LAT-8).
  [[nodiscard]] bool may_move_to(const Endpoint& from, Instant now) const noexcept;
  [[nodiscard]] SeqNo last_sequence() const noexcept { return last_sequence_; }
  [[nodiscard]] Instant last_packet() const noexcept { return last_packet_; }
  /// Only the learned peer is heard, by the rules of this class and not by an NG algorithm.
  [[nodiscard]] bool is_exclusive() const noexcept {
    return state_ == State::kLocked && config_.algorithm == LearningAlgorithm::kRules;
  }

  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] bool contested() const noexcept { return contested_; }
  [[nodiscard]] std::uint8_t rank() const noexcept { return rank_; }
  /// Rank that a source has now (LAT-2), 1 to 4, whether or not the policy accepts it.
  [[nodiscard]] std::uint8_t rank_of(const Endpoint& from) const noexcept;
  [[nodiscard]] const LatchConfig& config() const noexcept { return config_; }
  /// The learned peer; unset before lock.
  [[nodiscard]] const Endpoint& learned() const noexcept { return peer_; }
  /// Where to send now: the learned peer, before lock the signalled one if it is usable; else unset.
  [[nodiscard]] Endpoint destination() const noexcept;

  /// A source under probation (LAT-5), and its newest packet.
  struct Candidate {
    Endpoint from;
    Ssrc ssrc;
    SeqNo sequence;
    Instant seen{};
    bool used = false;
    bool operator==(const Candidate&) const = default;
  };
  /// LAT-3a: the only source of rank 1.
  struct Window {
    Endpoint from;
    Ssrc ssrc;
    SeqNo sequence;
    unsigned sequential = 0;
    Instant started{};
    bool operator==(const Window&) const = default;
  };
  struct Probation {
    std::array<Candidate, kHoldSlots> candidates;
    Window window;
    bool operator==(const Probation&) const = default;
  };
  /// All that it knows besides the configuration, as plain values; see `restore`. An export leaves out the
  /// probation and who is barred: both are a matter of a second.
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
  [[nodiscard]] Snapshot snapshot() const;
  void restore(const LatchConfig& config, const Snapshot& snapshot);

 private:
  [[nodiscard]] bool allowed(std::uint8_t rank) const noexcept;
  /// A party may be at `from` (LAT-11, LAT-11a).
  [[nodiscard]] bool may_be_party(const Endpoint& from) const noexcept {
    return judge_peer(config_.peers, from) == PeerDenial::kNone;
  }
  /// Why nobody is learned from `from`, whatever its rank; kNone if somebody may be. `any_port`: any port of
  /// a known hairpin's address will do.
  [[nodiscard]] DropReason never_learned(const Endpoint& from, const OwnMedia& own,
                                         bool any_port = false) const noexcept;
  /// Lets go of a learned peer that may not be one.
  void forget_denied() noexcept;
  [[nodiscard]] bool improves(std::uint8_t rank, Instant now) const noexcept;
  [[nodiscard]] bool is_same_place(const Endpoint& from) const noexcept;
  [[nodiscard]] bool uncontested_learning() const noexcept;
  /// A packet from `from`, accepted as it is, makes it the peer of this locked latch (LAT-8).
  [[nodiscard]] bool takes_back(const Endpoint& from) const noexcept;
  void lock(const Endpoint& from, std::uint8_t rank, Instant now);
  Judgement probe(const Endpoint& from, std::uint8_t rank, Ssrc ssrc, SeqNo sequence, bool sequenced,
                  Instant now);
  Judgement watch_window(const Endpoint& from, Ssrc ssrc, SeqNo sequence, Instant now);
  Judgement learn(const Endpoint& from, Ssrc ssrc, SeqNo sequence, bool sequenced, Instant now);
  Judgement by_algorithm(const Endpoint& from, Instant now);
  Judgement accept(Ssrc ssrc, SeqNo sequence, Instant now);

  LatchConfig config_;
  Endpoint peer_;
  Endpoint barred_;
  Instant barred_until_{};
  Instant signalled_at_{};
  Instant locked_at_{};
  Instant last_packet_{};
  Ssrc last_ssrc_;
  SeqNo last_sequence_;
  State state_ = State::kClosed;
  std::uint8_t rank_ = 0;
  bool contested_ = false;
  bool better_rank_seen_ = false;  // a source of rank >= 2 came since signalling
  bool committed_ = false;         // NG algorithms only
  std::unique_ptr<Probation> probation_;
};

std::string_view to_string(Latch::State state) noexcept;

}  // namespace ferry
