// SPDX-License-Identifier: Apache-2.0
// The SRTP keys of a transport: which are in use, and what was received and sent under them.
#pragma once

#include "relay/base/random.hpp"
#include "relay/core/forward/drop_reason.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/core/forward/transport_snapshot.hpp"
#include "relay/core/packet/received_packet.hpp"
#include "relay/core/srtp/srtp_contexts.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace ferry {

/// The keys that packets of one component are opened and sealed with: those of the plan, and earlier ones
/// that are running out (SRT-6). DTLS gives each component keys of its own (RFC 5764 §3); SDES gives both the
/// same.
///
/// It knows keys, counters and replay lists, and no addresses: whoever calls it has decided whose packets are
/// worth a checksum. What a key has received and sent lives in `SrtpContexts`, which outlives this object.
/// Sans-IO; the transport's worker owns it.
class Protection {
 public:
  /// Brings the keys in line with a plan (SRT-6). A key that is still in it stays as it is. One that is not
  /// is good for two seconds more. A new one is tried first.
  void follow(const SrtpPlan& plan, Instant now);
  /// Makes the replay lists of all keys `window` packets long, if they are shorter (SRT-4). Video may join a
  /// transport whose keys stay.
  void widen(std::size_t window) noexcept;

  // Packets that arrive.
  /// Opens a datagram under the keys that are good now.
  ///
  /// `size`         becomes that of the plain packet.
  /// `origin`       becomes the key and index, even for a packet that is refused as a replay.
  /// `opened`       not null if the packet was opened in a batch already (`prepare`).
  /// `plain_index`  is asked how far an SSRC was while it was plain, if no key knows it; it returns nothing
  ///                if the SSRC never was plain. A phone may go on counting when it is keyed anew
  ///                (RFC 3711 §3.3.1).
  template <class PlainIndex>
  SrtpResult open(const ReceivedPacket& packet, std::size_t& size, SrtpOrigin& origin,
                  const SrtpOpened* opened, PlainIndex plain_index) noexcept {
    const bool is_rtcp = packet.kind == DatagramClass::kRtcp;
    SrtpResult result = SrtpResult::kNoKey;
    for (const Incoming& each : incoming_) {
      if (!each.is_good(packet.at)) continue;
      // There is a key, so the result is no longer "no key".
      if (result == SrtpResult::kNoKey) result = SrtpResult::kNotAuthentic;
      // A packet from a batch was opened under one key; the others need not be tried.
      if (opened != nullptr && opened->origin.key != each.number) continue;
      SrtpReceiver& context = each.under->context;
      SrtpResult found{};
      if (opened != nullptr) {
        found = context.accept_rtp(Ssrc{read_u32(packet.datagram, 8)}, opened->origin.index);
        size = opened->size;
      } else if (is_rtcp) {
        found = context.open_rtcp(packet.datagram, size);
      } else {
        found = context.open_rtp(packet.datagram, size, former_index(context, packet.datagram, plain_index));
      }
      // A refusal such as "replayed" is remembered, but another key may still fit.
      if (found == SrtpResult::kNotAuthentic) continue;
      result = found;
      origin = {context.opened_index(), each.number};
      if (result == SrtpResult::kOk) break;
    }
    return result;
  }
  /// For batches: true if the RTP packet is worth opening beforehand; `work` then says how.
  [[nodiscard]] bool prepare(const ReceivedPacket& packet, SrtpWork& work, SrtpOpened& opened) const noexcept;
  /// True if a packet that was refused as a replay under the key of `origin` has a right tag. The octets of
  /// the packet are spoiled afterwards.
  [[nodiscard]] bool is_authentic_replay(const ReceivedPacket& packet, SrtpOrigin origin) const noexcept;
  /// True if the RTP packet would be above every index of its SSRC (LAT-8b).
  [[nodiscard]] bool is_newest(Bytes datagram) const noexcept;
  /// True if the peer uses our key as well, and the packet has an SSRC that we send: it is one of ours, sent
  /// back, and would authenticate.
  [[nodiscard]] bool is_our_own(const ReceivedPacket& packet) const noexcept;
  /// Tries a packet that did not authenticate at other roll-over counters, at most once a second.
  [[nodiscard]] std::optional<RollOverMismatch> find_roll_over(Bytes datagram, Instant now) noexcept;

  // Packets that leave.
  /// What became of a packet that was to be sealed.
  struct Sealed {
    DropReason reason = DropReason::kNone;
    /// The key has to be exchanged in time (SRT-7).
    bool is_nearly_used_up = false;
    /// A packet that was refused is one that had left before.
    bool is_copy = false;
  };
  /// True if there is a key to send with.
  [[nodiscard]] bool can_send() const noexcept { return sending_ != nullptr; }
  /// Encrypts a packet that is about to leave, in place. There must be a key to send with.
  ///
  /// `space`  begins with the packet of `size` octets and has room for the tag behind it; `size` grows.
  /// `index`  the index that it has to have; nothing: it follows from its sequence number.
  /// `later`  if not null, an RTP packet is only prepared, and `size` becomes its size once sealed.
  [[nodiscard]] Sealed seal(bool is_rtcp, MutableBytes space, std::size_t& size,
                            std::optional<std::uint64_t> index, SrtpWork* later) noexcept;
  /// True if packets arrive under this key.
  [[nodiscard]] bool receives_with(const std::optional<SrtpMasterKey>& key) const noexcept {
    return std::ranges::any_of(incoming_, [&](const Incoming& each) { return each.under->key == key; });
  }
  /// True if packets of `source` that came under its key of this number leave under the same key.
  [[nodiscard]] bool sends_under_key_of(const Protection& source, std::uint32_t number) const noexcept;

  // SSRCs by which the receiving party knows streams (protection_ssrcs.cpp).
  /// What a packet says about its stream.
  struct StreamNews {
    /// The packet confirms that its sender began its sequence anew (SSR-4).
    bool restarts = false;
    /// False if no SDP has its payload type: such a packet founds nothing (DMX-4).
    bool is_negotiated = true;
  };
  /// Replaces the SSRC of an RTP packet of `media` by the one that the receiver knows. It gets a new one for
  /// a stream whose numbers it could not follow (RFC 3711 §3.3.1). Returns kNone, or why the packet must not
  /// leave.
  [[nodiscard]] DropReason translate_rtp(MediaId media, StreamNews news, MutableBytes packet) noexcept;
  /// The SSRCs by which the receiving party knows streams. Null until there is a key to send with, or until
  /// `ensure_names` makes them.
  [[nodiscard]] SsrcTranslation* names() const noexcept { return names_.get(); }
  /// The same, made if there are none; a party without keys needs them, too (BND-22). Throws std::bad_alloc.
  SsrcTranslation& ensure_names() {
    if (!names_) names_ = std::make_shared<SsrcTranslation>();
    return *names_;
  }
  /// An SSRC that nothing was sent under yet; nothing if none was found. Without a key to send with it is a
  /// random one.
  [[nodiscard]] std::optional<Ssrc> unused_ssrc() const {
    return sending_ ? sending_->context.unused_ssrc()
                    : std::optional(Ssrc{static_cast<std::uint32_t>(random_u64())});
  }

  /// Moves all times forward by a time in which this process did not run (C-13).
  void skip(Duration pause) noexcept;
  /// What was received and sent under the keys of `plan`, without the keys.
  [[nodiscard]] TransportSnapshot::Srtp save(const SrtpPlan& plan) const;

  /// Begins to load what opening a packet needs. First the lists, then the session, then the context.
  void prefetch_incoming_lists() const noexcept;
  void prefetch_incoming(SrtpFetch step) const noexcept {
    if (newest_ != nullptr) newest_->context.prefetch(step);
  }
  /// The same for sealing.
  void prefetch_sending_lists() const noexcept;
  void prefetch_sending(SrtpFetch step) const noexcept {
    if (sending_) sending_->context.prefetch(step);
  }

 private:
  /// A key that the peer may encrypt with.
  struct Incoming {
    std::shared_ptr<SrtpReceiving> under;
    /// Until when it is good; `Instant{}`: it is in the plan.
    Instant until{};
    /// Name of the key in `SrtpOrigin`, from 1.
    std::uint32_t number = 0;
    [[nodiscard]] bool is_good(Instant now) const noexcept { return until == Instant{} || now < until; }
  };
  /// How far an RTP packet's stream was under an earlier key or plain, if `context` does not know its SSRC.
  template <class PlainIndex>
  [[nodiscard]] std::optional<std::uint64_t> former_index(const SrtpReceiver& context, Bytes datagram,
                                                          PlainIndex& plain_index) const noexcept {
    // A packet without a whole header has no SSRC, and will be refused.
    const Ssrc ssrc{datagram.size() < kRtpFixedHeaderSize ? 0 : read_u32(datagram, 8)};
    if (context.newest_index(ssrc)) return std::nullopt;
    // The stream may go on from another key of this media.
    if (const auto under_key = contexts_->newest_index(ssrc)) return under_key;
    return plain_index(ssrc);
  }

  /// The newest key comes first.
  std::vector<Incoming> incoming_;
  /// The first of `incoming_`, for prefetching only; null if there is none.
  const SrtpReceiving* newest_ = nullptr;
  /// The key that we encrypt with; null if there is none.
  std::shared_ptr<SrtpSending> sending_;
  std::shared_ptr<SrtpContexts> contexts_;
  std::shared_ptr<SsrcTranslation> names_;
  std::uint32_t last_number_ = 0;
  /// When a packet was last tried at other roll-over counters.
  Instant roll_over_tried_{};
  /// True if the peer uses the key that it was given to send as well. Each SSRC then has one direction only
  /// (SRT-1).
  bool is_reflected_ = false;
};

/// Replaces the SSRCs in an RTCP packet of a party that sends the medias of `sources`. SSRCs of the party's
/// own streams become those that the receiver knows (`to_receiver`). SSRCs of streams that the party hears
/// become those that their source knows (`of_source`). Null: there is nothing to replace. `is_fixed`: the
/// packet can only leave unchanged.
[[nodiscard]] DropReason translate_rtcp(const SsrcTranslation* to_receiver, const SsrcTranslation* of_source,
                                        std::span<const SourcePlan> sources, bool is_fixed,
                                        MutableBytes packet) noexcept;

}  // namespace ferry
