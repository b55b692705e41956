// SPDX-License-Identifier: Apache-2.0
// One transport of a worker. It judges what comes from its peer, and says where packets to the peer go.
#pragma once

#include "relay/core/forward/account.hpp"
#include "relay/core/forward/destination.hpp"
#include "relay/core/forward/event_queue.hpp"
#include "relay/core/forward/handshakes.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/core/forward/presence.hpp"
#include "relay/core/forward/protection.hpp"
#include "relay/core/forward/streams.hpp"
#include "relay/core/forward/transport_activity.hpp"
#include "relay/core/forward/transport_snapshot.hpp"
#include "relay/core/forward/verdict.hpp"
#include "relay/core/latch/proposed_latch.hpp"
#include "relay/core/packet/received_packet.hpp"

#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace ferry {

/// Judges the packets of one transport; bytes and a time go in, a verdict comes out. What it knows lies in
/// its parts: streams, keys, handshakes, totals, events. Sans-IO. One worker owns it, and it moves to another
/// worker as a whole.
class Transport {
 public:
  /// Slots in which the worker must be able to hold packets. Their order: probation of RTP, of RTCP, of
  /// SSRCs, then of RTP and RTCP of a proposed source.
  static constexpr std::size_t kSsrcSlots = Latch::kHoldSlots * 2;
  static constexpr std::size_t kProposedSlots = kSsrcSlots + Streams::kPendingSsrcs;
  static constexpr std::size_t kHoldSlots = kProposedSlots + Latch::kHoldSlots * 2;

  /// `plan` has at least one source. `activity` is shared with control. Packets from `barred`, if set, are
  /// refused for the rest time of PRT-2: it is the peer of an earlier call on these ports.
  Transport(std::shared_ptr<const TransportPlan> plan, std::shared_ptr<TransportActivity> activity,
            Instant now, const Endpoint& barred = {});

  /// Swaps the plan. Learning begins anew only if the plan's epoch rose. Counters stay.
  void set_plan(std::shared_ptr<const TransportPlan> plan, Instant now);
  [[nodiscard]] const TransportPlan& plan() const noexcept { return *plan_; }

  /// Judges one received datagram; a protected one has been opened by `unprotect`. `own` are this relay's
  /// media ports. Changes state only if the source rule allows it (DMX-5). Sets `rtp` and `payload` of the
  /// packet.
  [[nodiscard]] Verdict on_datagram(ReceivedPacket& packet, const OwnMedia& own) noexcept;
  /// Moves all times forward by `pause`, during which this process did not run; `now` is its end. A pause is
  /// nobody's silence (C-13).
  void skip(Duration pause, Instant now) noexcept;

  /// Decrypts a received datagram in place, before `on_datagram` judges it.
  ///
  /// `packet`  its `datagram` becomes the plain packet, its `origin` the key and index that it came with; see
  ///           `protect`. What is neither RTP nor RTCP stays as it is.
  /// `opened`  not null if the packet was opened in a batch already (`prepare_unprotect`).
  /// Returns   kNone, or why the packet is dropped. A drop is counted here, and nothing else changes (DMX-5,
  ///           SRT-2). kEarlyMedia: keep it, the answer may bring its key; nothing was counted (LAT-14).
  [[nodiscard]] DropReason unprotect(ReceivedPacket& packet, const OwnMedia& own,
                                     const SrtpOpened* opened = nullptr) noexcept;
  /// For batches: true if the datagram is worth opening beforehand; `work` then says how. If it proves to be
  /// authentic, pass `opened` to `unprotect`, which makes all changes of state.
  [[nodiscard]] bool prepare_unprotect(const ReceivedPacket& packet, SrtpWork& work,
                                       SrtpOpened& opened) const noexcept;
  /// Encrypts a packet that is about to leave, in place.
  ///
  /// `space`   begins with the packet of `size` octets and has room for the tag behind it; `size` grows.
  /// `source`  the transport that the packet came to; null for our own packets.
  /// `origin`  how the packet came to `source`.
  /// `later`   if not null, an RTP packet is only prepared, and `size` becomes its size once sealed. The
  ///           caller has it sealed before sending it.
  /// Returns   kNone, or why the packet must not leave.
  [[nodiscard]] DropReason protect(bool is_rtcp, MutableBytes space, std::size_t& size,
                                   const Transport* source, SrtpOrigin origin,
                                   SrtpWork* later = nullptr) noexcept;
  /// Replaces the SSRCs of a packet of `source` by those that this transport's party knows. A party with a
  /// key of its own gets a new SSRC for a stream whose numbers it could not follow (RFC 3711 §3.3.1). RTCP
  /// also names streams that the party of `source` knows by other SSRCs; these are translated back. Under
  /// BUNDLE a stream gets a new SSRC if the party already gets another stream of that SSRC (BND-22).
  ///
  /// `media`   the packet's media.
  /// `to`      the media of this transport that receives the packet.
  /// `kind`    the packet's protocol.
  /// Returns   kNone, or why the packet must not leave.
  [[nodiscard]] DropReason translate_ssrcs(const Transport& source, MediaId media, MediaId to,
                                           const Verdict& verdict, DatagramClass kind,
                                           MutableBytes packet) noexcept;
  /// True if this transport's party knows the stream `ssrc` of `media` by another SSRC.
  [[nodiscard]] bool renames(MediaId media, Ssrc ssrc) const noexcept {
    const SsrcTranslation* names = protection_[0] ? protection_[0]->names() : nullptr;
    return names != nullptr && names->to_receiver(media.value, ssrc) != ssrc;
  }
  /// Takes a received DTLS or STUN datagram. kNone if it was used or is held; otherwise why it was dropped,
  /// which is counted here.
  DropReason on_handshake(const ReceivedPacket& packet, HandshakeTurn turn);
  /// Judges STUN of a party that does ICE with the other party; the plan has `overheard`. A refusal is
  /// counted here.
  [[nodiscard]] OverheardIce::Heard overhear(const ReceivedPacket& packet, HandshakeTurn turn);
  /// Where a check that `overhear` of the other transport has judged goes; nothing if nowhere. `back` is
  /// where the answer has to go there. The plan has `overheard`.
  [[nodiscard]] std::optional<Path> pass_check(Component component, const OverheardIce::Heard& check,
                                               const Path& back, HandshakeTurn turn) {
    return handshakes_.pass_check(*plan_, component, check, back, turn);
  }
  /// Begins the handshakes and checks that the plan asks for, and goes on with those that are due.
  void drive(HandshakeTurn turn);
  /// True if the relay knows the peer's address and, on a protected transport, has keys to send with.
  [[nodiscard]] bool can_send() const noexcept {
    return destination(Component::kRtp).is_set() &&
           (!plan_->is_protected() || (protection_[0] && protection_[0]->can_send()));
  }
  /// True once after ICE has selected another pair or a handshake has agreed on keys, because the peer may be
  /// reached from now on. Then false until that happens again.
  [[nodiscard]] bool take_reached() noexcept { return std::exchange(is_reached_, false); }
  /// True if it sends under the very key that `source` receives with, so that changed packets of it cannot go
  /// out.
  [[nodiscard]] bool relays_key_of(const Transport& source) const noexcept;

  /// True if the peer was heard at the address that packets of `component` go to, at whichever port.
  [[nodiscard]] bool is_heard_near(Component component) const noexcept;

  /// Next hop of a packet.
  struct NextHop {
    /// Unset if it goes nowhere; `reason` then says why.
    Endpoint to;
    /// The port that it leaves through.
    Component via = Component::kRtp;
    DropReason reason = DropReason::kNone;
    /// Number of the local address that it leaves from.
    std::uint8_t local = 0;
    /// True if `to` is the learned peer of a locked stream, which stays for many packets.
    bool locked = false;
  };
  /// The next hop of a packet of `component`. While the component is paused, asking may use up the probe
  /// (LAT-12a).
  [[nodiscard]] NextHop next_hop(Component component, Instant now) noexcept;
  /// Counts a packet that left for the media `to` through the port of `via`; `datagram` is the plain packet.
  /// `kind` is what it left as: RTP, RTCP, or another protocol that passed whole.
  void on_sent(Component via, DatagramClass kind, Bytes datagram, MediaId to, Instant now) noexcept;

  /// Notes an ICMP error about a packet that had left for `to`. `is_fed_by_kernel`: the kernel sends there
  /// packets that this transport does not see. Returns true if the error pauses the component (LAT-12a).
  bool on_unreachable(Component via, const Endpoint& to, bool is_fed_by_kernel, Instant now) noexcept;
  /// Keeps a refused datagram for explanations.
  void note_refusal(const ReceivedPacket& packet, DropReason reason) noexcept;

  /// Makes a mark, so that `snapshot` can tell the last 10 to 12 s apart from the call, and updates
  /// `TransportActivity::standing`. The worker calls it every `kMarkInterval`, whether or not packets come.
  void mark(Instant now) noexcept;

  /// Steps of prefetching what receiving and sending need, in the order in which the addresses become known.
  /// The transport object itself is fetched first.
  enum class Fetch : std::uint8_t {
    kArrivingParts,
    kArrivingLists,
    kArrivingSession,
    kArrivingContext,
    kLeavingParts,
    kLeavingLists,
    kLeavingSession,
    kLeavingContext,
  };
  /// Begins to load what is needed in this step.
  void prefetch(Fetch step) const noexcept;

  /// What it consists of, for functions that need several parts at once: those of handshakes.hpp and
  /// handover.hpp. Valid until the next plan.
  struct Parts {
    const TransportPlan& plan;
    /// By component.
    std::array<Latch, 2>& latch;
    Streams& streams;
    Account& account;
    Handshakes& handshakes;
    Presence& presence;
    /// Its events for control.
    EventQueue& events;
  };
  [[nodiscard]] Parts parts() noexcept {
    return {*plan_, latch_, streams_, account_, handshakes_, presence_, events_};
  }
  [[nodiscard]] const Latch& latch(Component component) const noexcept { return latch_[index(component)]; }
  /// The streams of both directions.
  [[nodiscard]] Streams& streams() noexcept { return streams_; }
  /// What it has counted, and keeps for explanations.
  [[nodiscard]] Account& account() noexcept { return account_; }
  [[nodiscard]] const Account& account() const noexcept { return account_; }
  /// All that it knows. `now` ends the figures of the last seconds.
  [[nodiscard]] TransportSnapshot snapshot(Instant now) const;
  /// Goes on where a snapshot was taken. What the keys have received and sent is not restored from it:
  /// `SrtpPlan::contexts` has that.
  void restore(const TransportSnapshot& snapshot, Instant now);

 private:
  static constexpr std::size_t index(Component component) { return static_cast<std::size_t>(component); }
  /// How the drop counters tell a refused packet apart.
  [[nodiscard]] Account::RefusedAs refused_as(const ReceivedPacket& packet, DropReason reason) const noexcept;
  /// Counts a drop and returns the verdict for it.
  Verdict drop(Component component, DropReason reason) noexcept;
  /// Marks the peer as heard if a refused datagram is one of its keep-alives (RFC 6263 §4).
  void note_keep_alive(Component component, const Endpoint& from, Bytes datagram, Instant now) noexcept;
  /// The address that packets go to through the port of `via`; unset if there is none.
  [[nodiscard]] Endpoint destination(Component via) const noexcept {
    return destination_of(*plan_, latch_[index(via)], via);
  }
  /// Value of `TransportActivity::standing`; never 0.
  [[nodiscard]] std::uint32_t standing(Instant now) const noexcept;
  /// Judges an RTP packet. `from` is the source that the source rule takes it for; see `heard_as`.
  Verdict on_rtp(ReceivedPacket& packet, const Endpoint& from, const OwnMedia& own) noexcept;
  /// Drops a packet that is older than a listener can use (C-13), but counts it: it shows that its sender is
  /// there.
  Verdict drop_stale(const ReceivedPacket& packet, std::size_t source) noexcept;
  /// Judges an RTCP packet; `from` as in `on_rtp`.
  Verdict on_rtcp(const ReceivedPacket& packet, const Endpoint& from, const OwnMedia& own) noexcept;
  /// Judges a datagram of a protocol beside RTP (DMX-6).
  Verdict on_whole(const ReceivedPacket& packet, const OwnMedia& own) noexcept;
  /// True if UDPTL passes beside RTP at present.
  [[nodiscard]] bool takes_udptl() const noexcept;
  /// Judges a datagram of parties that do ICE and agree on keys with each other.
  Verdict on_end_to_end(const ReceivedPacket& packet, const OwnMedia& own) noexcept;
  /// Goes on with a datagram that is not looked into any further.
  Verdict pass_whole(const Latch::Judgement& judgement, std::size_t first_slot,
                     const ReceivedPacket& packet) noexcept;
  /// Turns a judgement of the latch into a verdict. `first_slot` is the latch's first place for held packets.
  Verdict from_judgement(Component component, const Latch::Judgement& judgement, std::size_t first_slot,
                         Instant now) noexcept;
  /// True while the offerer waits for this peer's answer (LAT-14).
  [[nodiscard]] bool keeps_early(Instant now) const noexcept { return now < plan_->early_until; }

  // An offer that waits for its answer (LAT-15).
  /// What is learned about the proposed source, beside the agreed one.
  struct Proposal {
    std::array<Latch, 2> latch;
    /// SSRCs that the proposed source uses now, the oldest first; all others belong to the agreed source
    /// (SSR-3).
    std::vector<Ssrc> streams;
  };
  /// Lets one of the component's latches judge a packet from `from`. `judge` is called with a latch.
  template <class Judge>
  SourceJudgement judge_source(Component component, const Endpoint& from, Judge judge) noexcept {
    return ferry::judge_source(latch_[index(component)], proposed_latch(component), from, judge);
  }
  /// The latch of the proposed source; null if no offer waits.
  [[nodiscard]] Latch* proposed_latch(Component component) const noexcept {
    return proposal_ ? &proposal_->latch[index(component)] : nullptr;
  }
  /// True if both sources send under the packet's SSRC and this packet must be refused (SSR-3).
  [[nodiscard]] bool collides(std::size_t source, const RtpView& rtp, bool is_proposed, Instant now) noexcept;
  /// True if the datagram is RTP or RTCP that passes beside UDPTL.
  [[nodiscard]] bool is_rtp_beside_udptl(const ReceivedPacket& packet) const noexcept;
  /// Begins, keeps or ends the proposal after the plan changed; `old` is null at first.
  void follow_proposal(const TransportPlan* old, Instant now);
  /// Counts an accepted datagram and returns the verdict to forward it.
  Verdict deliver(const ReceivedPacket& packet, std::size_t source, bool is_rtcp) noexcept;
  /// The verdict on a packet whose SSRC is not admitted.
  Verdict from_admission(const Streams::Admission& admission) noexcept;
  /// Keeps a packet whose payload type was not negotiated for explanations. The first one of each type is
  /// reported to control.
  void note_other_type(const Endpoint& from, const RtpView& rtp, Instant now) noexcept;

  /// Gives a stream another SSRC if the party already gets one of this SSRC in another media (BND-22).
  /// `media` sends the packet to the media `to` of this transport. Returns kNone, or why the packet must not
  /// leave.
  [[nodiscard]] DropReason part_streams(MediaId media, MediaId to, MutableBytes packet) noexcept;

  /// Takes over new keys, and notes whether the peer may be reached now. `before` is the peer's address
  /// before the handshakes and checks.
  void follow_handshakes(const Endpoint& before, Instant now);

  /// Index in `protection_` of the keys for a component's packets.
  [[nodiscard]] std::size_t slot_of(Component component) const noexcept;
  /// The keys of that index; null if there are none.
  [[nodiscard]] const SrtpPlan* keys_of(std::size_t slot) const noexcept;
  /// Brings all keys in line with the plan and the handshakes.
  void follow_keys(Instant now);
  /// Brings the keys of one index of `protection_` in line.
  void follow_keys(std::size_t slot, Instant now);
  /// State of the keys for a snapshot; nothing for a plain transport.
  [[nodiscard]] std::optional<TransportSnapshot::Srtp> srtp_snapshot() const;
  /// Restores the selected pairs and the keys that DTLS agreed on.
  void restore_handshakes(const TransportSnapshot& snapshot, Instant now);
  /// What the handshakes may use of this transport.
  [[nodiscard]] Handshakes::Side side() noexcept { return {*plan_, latch_, account_, presence_, events_}; }
  /// Which latch a protected packet speaks to, and what it may do there.
  [[nodiscard]] Hearing hearing_of(Component component, const Endpoint& from, Instant now) const noexcept;
  /// The latch that a hearing names.
  [[nodiscard]] Latch& latch_of(Component component, Hearing hearing) noexcept {
    return hearing.is_proposed ? proposal_->latch[index(component)] : latch_[index(component)];
  }
  /// Why a protected packet must not be opened; kNone if it is to be opened. Its sender may not be worth the
  /// checksum, or the packet must not use up an index.
  [[nodiscard]] DropReason refusal_before_opening(const ReceivedPacket& packet, Hearing hearing,
                                                  const OwnMedia& own) noexcept;
  /// Lets the latch follow an authentic packet (LAT-10); false if nobody may become the peer. RTCP on its own
  /// port follows RTP's address (LAT-9).
  [[nodiscard]] bool follow_authentic(Component component, const Endpoint& from, Hearing hearing,
                                      Instant now) noexcept;
  /// The source that the source rule takes `from` for.
  [[nodiscard]] const Endpoint& heard_as(Component component, const Endpoint& from) const noexcept {
    return handshakes_.heard_as(component, latch_[index(component)], from);
  }

  std::shared_ptr<const TransportPlan> plan_;
  std::array<Latch, 2> latch_;
  /// Null: no offer waits, or it leaves the party where it is.
  std::unique_ptr<Proposal> proposal_;
  std::shared_ptr<TransportActivity> activity_;
  Streams streams_;
  Account account_;
  /// Indexed by `slot_of`; null if the index has no keys.
  std::array<std::unique_ptr<Protection>, 2> protection_;
  Handshakes handshakes_;
  Presence presence_;
  EventQueue events_;
  /// See `take_reached`.
  bool is_reached_ = false;
};

}  // namespace ferry
