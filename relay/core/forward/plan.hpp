// SPDX-License-Identifier: Apache-2.0
// The decisions of control about one transport. Control makes a new plan for every change; a plan is
// immutable and is swapped whole. All state lives in `Transport`.
#pragma once

#include "relay/base/enum_bits.hpp"
#include "relay/core/audio/conversion.hpp"
#include "relay/core/classify.hpp"
#include "relay/core/dtls/dtls.hpp"
#include "relay/core/forward/component.hpp"
#include "relay/core/ice/ice_agent.hpp"
#include "relay/core/ice/overheard_ice.hpp"
#include "relay/core/latch/latch.hpp"
#include "relay/core/limit/reachability.hpp"
#include "relay/core/limit/token_bucket.hpp"
#include "relay/core/rtp/g711_level.hpp"
#include "relay/core/rtp/header_extensions.hpp"
#include "relay/core/srtp/srtp_contexts.hpp"

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ferry {

/// Names a transport within its worker.
struct TransportId {
  /// Index in the worker's table.
  std::uint32_t slot = 0;
  /// How often the slot was used before, so that an old name does not find a new transport.
  std::uint32_t generation = 0;
  auto operator<=>(const TransportId&) const = default;
};

/// Names one m-line of one leg within its call.
struct MediaId {
  std::uint32_t value = 0;
  auto operator<=>(const MediaId&) const = default;
};

/// Which protocol a transport carries (DMX-1 to DMX-6). Every kind but kRtp passes whole datagrams through
/// the first port of the pair, if they have the form of that protocol.
enum class TransportKind : std::uint8_t {
  /// RTP and RTCP, plain or SRTP.
  kRtp,
  /// Fax over UDPTL (ITU-T T.38).
  kUdptl,
  /// Anything: a command asked for this protocol by name.
  kOpaque,
  /// A protocol inside DTLS, such as UDP/TLS/UDPTL.
  kDtls,
  /// Floor control (RFC 8855).
  kBfcp,
  /// The section runs over TCP, so no datagram passes.
  kOverTcp,
  /// STUN, DTLS, RTP and RTCP of parties that do ICE and agree on keys with each other (ICE-11). Both ports
  /// of the pair pass them, unread, between the addresses that `OverheardIce` has learned.
  kEndToEnd,
};
/// For tables that are indexed by kind.
inline constexpr TransportKind kLastTransportKind = TransportKind::kEndToEnd;
static_assert(kHasAtMost<TransportKind, static_cast<unsigned>(kLastTransportKind) + 1>,
              "no kind is behind the last one");

/// What the relay does with full intra requests (FIR, RFC 5104 §4.3.1) to a party, by what its SDP agreed to:
/// they pass, picture loss indications take their place, or they are cut out (RTC-3).
enum class FullIntra : std::uint8_t { kPass, kAsPictureLoss, kCut };

/// Says whether UDPTL passes beside RTP on one transport.
enum class UdptlBesideRtp : std::uint8_t {
  kNo,
  /// Signalling does not say which of the two it is: UDPTL passes until the first RTP stream shows up.
  kUntilRtp,
  kYes,
};

/// One receiver of a source: the transport that sends to it, and what may go there.
struct Sink {
  /// The transport that sends.
  TransportId via;
  /// The receiving media. It chooses the statistics if several medias share the transport.
  MediaId to;
  /// False while the source may not send or the sink may not receive (`a=sendonly` and the like). RTCP passes
  /// all the same.
  bool media_allowed = true;
  /// True if a command or option blocks the media. RTCP passes all the same.
  bool blocked = false;
  /// True if the receiver is to hear silence. Payloads of codecs with a fixed silence are overwritten with
  /// it; audio of other codecs is dropped.
  bool silenced = false;
  /// True if event packets (RFC 4733) are not forwarded.
  bool events_blocked = false;
  /// True if only RTCP goes there: the reports of a receiver on their way back to its source.
  bool rtcp_only = false;
  /// True if RTCP feedback may go there; false if the receiver's profile has none (RTC-3, RFC 4585 §4.2).
  bool takes_feedback = true;
  /// What becomes of full intra requests to the receiver: by default they pass.
  FullIntra full_intra = FullIntra::kPass;
  /// Treatment of RTP header extensions (RFC 8285). By default they stay as they are.
  HeaderExtensionMap extensions;
  /// ID of the header extension in which the receiver reads the MID of its section (RFC 9143 §15). Control
  /// sets it if the receiver agreed to the extension and several medias share its transport. 0 = the relay
  /// writes no MID.
  std::uint8_t mid_extension = 0;
  /// Packet time that the receiver is to get, in ms; 0 = as the packets come.
  std::uint16_t ptime_ms = 0;
  /// MID of the receiver's section; null = the relay writes none. RTP of a stream carries it until the
  /// receiver has reported about the stream (BND-22). Plans share the object while it stays the same.
  std::shared_ptr<const std::string> mid;
  /// How audio is made into what the receiver can decode; null: it passes as it came. Control sets it if the
  /// receiver has not agreed on all of it, or if the client wants it. Plans share it while it stays the same.
  std::shared_ptr<const AudioConversion> conversion;
  /// The receiver's numbers of payload types that it knows by others; null: numbers stay. Control sets it if
  /// both parties have a codec, each under a number of its own (RFC 3264 §6.1). Without meaning where there
  /// is a conversion. Plans share the object while it stays the same.
  std::shared_ptr<const TypeRenumbering> renumbering;
  bool operator==(const Sink&) const = default;
};

/// One payload type that the peer may send.
struct PayloadEntry {
  PayloadType type;
  /// Law of G.711, if the codec is that; its loudness is then measured.
  G711Law g711 = G711Law::kNone;
  /// The octet that is silence in this codec when repeated; 0 if the codec has none.
  std::uint8_t silence = 0;
  /// True for telephone-event (RFC 4733).
  bool is_event = false;
  /// RTP clock in Hz; 0 = unknown, and then no jitter is measured.
  std::uint32_t clock_rate_hz = 0;
  bool operator==(const PayloadEntry&) const = default;
};

/// Why media may not go to this sink; kNone if it may. `payload` is the packet's entry, or null if it has
/// none or it does not matter. `is_negotiated` is false if no SDP has the packet's type, so that nobody knows
/// what it is (DMX-4).
inline DropReason refuses(const Sink& sink, const PayloadEntry* payload, bool is_negotiated = true) noexcept {
  if (sink.rtcp_only || !sink.media_allowed) return DropReason::kDirection;
  if (sink.blocked) return DropReason::kBlocked;
  // Such a packet may be an event or audible, and its frames are unknown, so it cannot be blocked, silenced,
  // repacketized or converted.
  if (!is_negotiated && (sink.events_blocked || sink.silenced || sink.ptime_ms != 0 || sink.conversion))
    return DropReason::kUnknownPayloadType;
  if (payload != nullptr && payload->is_event)
    return sink.events_blocked ? DropReason::kEventBlocked : DropReason::kNone;
  // A codec without a fixed silence cannot be silenced, so it is not sent at all.
  const bool can_silence = payload != nullptr && payload->silence != 0;
  return sink.silenced && !can_silence ? DropReason::kBlocked : DropReason::kNone;
}

/// In-band DTMF that the relay listens for without changing the audio (NG flag `detect-DTMF`).
struct ToneListening {
  /// What the source may send; it `only_listens`.
  AudioConversion heard;
  bool operator==(const ToneListening&) const = default;
};

/// One media source on a transport, and everybody who listens to it.
struct SourcePlan {
  /// The media that the source belongs to.
  MediaId media;
  /// Identification tag of its section under BUNDLE (`a=mid`, RFC 9143 §15.2); null without. Plans share the
  /// object while it stays the same.
  std::shared_ptr<const std::string> mid;
  /// The MID of the section in packets that the relay itself makes for the party, and the ID of the header
  /// extension for it (BND-22). Null and 0: the relay names no section there, as where no group is.
  std::shared_ptr<const std::string> written_mid;
  std::uint8_t written_mid_extension = 0;
  /// True if the section is video.
  bool is_video = false;
  /// How many SSRCs may be live at a time (SSR-1): 8 for audio, 64 for video.
  std::uint8_t max_ssrcs = 8;
  /// True if other types pass like those in `payloads`, which then only explains some of them: signalling
  /// never named the types.
  bool takes_any_type = false;
  /// True if types that are not in `payloads` pass from the locked source under an admitted SSRC, except for
  /// `refused_types` (DMX-4). Control clears it for `strict-payload-types`, and if the SIP script removed
  /// codecs from the SDP that the party was shown.
  bool passes_other_types = false;
  /// True if the source is video whose party has agreed to feedback: it can be asked for a key frame (FB-7).
  bool takes_pli = false;
  /// True for a section of a BUNDLE group that nothing may come from: it is rejected, or has no payload types
  /// yet while others have. No packet is its.
  bool is_closed = false;
  /// True if a sink has to know the payload type, because it blocks events or silences media.
  bool inspects_payload = false;
  /// True if telephone-event was negotiated; DTMF is then reported to control.
  bool has_events = false;
  /// The negotiated payload types (DMX-4). Empty = every type passes, unless `is_closed`.
  std::vector<PayloadEntry> payloads;
  /// Types that never pass unless `payloads` has them: those that the SIP script removed from the party's own
  /// SDP, and those that mean RTCP under rtcp-mux.
  std::bitset<128> refused_types;
  /// The SSRCs that the party's SDP gives to the section, under BUNDLE (RFC 9143 §9.2). Empty by default.
  std::vector<Ssrc> ssrcs;
  /// Set if the source's sound is listened to for digits; null: it is not. Plans share the object.
  std::shared_ptr<const ToneListening> listening;
  /// Limit of the media that the source may send (LIM-1). Default: none.
  RateLimit rate;
  /// Everybody who receives this source.
  std::vector<Sink> sinks;

  /// True if packets of types that are not in `payloads` pass like the others.
  [[nodiscard]] bool is_open() const noexcept { return !is_closed && (payloads.empty() || takes_any_type); }
  /// True if a packet of `type`, which is not in `payloads`, passes like one that is.
  [[nodiscard]] bool is_open_to(PayloadType type) const noexcept {
    return is_open() && !refused_types.test(type.value & 127);
  }
  /// The entry of an RTP packet's payload type; null if it was not negotiated. `rtp` holds at least a header.
  [[nodiscard]] const PayloadEntry* payload_of(Bytes rtp) const noexcept {
    const PayloadType type{static_cast<std::uint8_t>(read_u8(rtp, 1) & 0x7f)};
    const auto found = std::ranges::find(payloads, type, &PayloadEntry::type);
    return found == payloads.end() ? nullptr : &*found;
  }
  /// True if packets of `type`, which is not in `payloads`, may pass once their source and SSRC are known.
  [[nodiscard]] bool may_pass_other(PayloadType type) const noexcept {
    return passes_other_types && !refused_types.test(type.value & 127);
  }
  bool operator==(const SourcePlan&) const = default;
};

/// SRTP keys of a transport. Without a usable key nothing passes (SRT-11). Control fills it from `a=crypto`;
/// with DTLS the transport makes its own from the agreed keys.
struct SrtpPlan {
  /// Makes the ciphers; never null if there are keys.
  std::shared_ptr<const SrtpBackend> backend;
  /// Keys that the peer may encrypt with.
  std::vector<SrtpMasterKey> receive;
  /// Key that we encrypt with; nothing if there is none.
  std::optional<SrtpMasterKey> send;
  /// Party that receives under `send`: a forked offer gives one key to several.
  SrtpParty party;
  /// True if `send` is the key of the party whose packets go to this peer. They then leave exactly as they
  /// came, or not at all (SRT-9).
  bool send_is_relayed = false;
  /// Size of the replay lists in packets (SRT-4).
  std::uint16_t window = 128;
  /// Counters and replay lists of these keys and earlier ones. Control passes the object on from plan to
  /// plan, and all transports of a media share it; only their worker touches it. Null: the transport makes
  /// its own.
  std::shared_ptr<SrtpContexts> contexts;
};

/// Reports that the relay itself sends to the peer in place of those of the other parties (RFC 3550 §6).
struct OwnReports {
  /// CNAME of the SDES packet (RFC 3550 §6.5.1); random for each party, and never an address.
  std::string cname;
  bool operator==(const OwnReports&) const = default;
};

/// Place of the party by an offer that waits for its answer (LAT-15). That source is accepted beside the
/// agreed one.
struct ProposedPeer {
  LatchConfig rtp;
  LatchConfig rtcp;
  bool operator==(const ProposedPeer&) const = default;
};

/// Everything that control decided about one transport.
struct TransportPlan {
  TransportKind kind = TransportKind::kRtp;
  /// True if the peer may send RTCP on the RTP port (DMX-2), because it was offered or agreed.
  bool rtcp_mux = false;
  /// True if RTCP to the peer leaves through the RTP port, because it was agreed.
  bool send_rtcp_muxed = false;
  /// True if RTCP packets may begin with something else than a report (RFC 5506).
  bool reduced_size_rtcp = false;
  /// UDPTL passes beside RTP if signalling does not say which of the two it is, or if an offer without answer
  /// would turn the media into a fax (LAT-15).
  UdptlBesideRtp takes_udptl = UdptlBesideRtp::kNo;
  /// True if RTP passes beside UDPTL, because an offer without answer would turn the fax into RTP (LAT-15).
  /// Only types of `payloads` pass.
  bool takes_rtp = false;
  /// True if a command or option blocks the RTP of the peer. Only for kEndToEnd: elsewhere the sinks say it.
  bool is_blocked = false;
  /// NG flag `asymmetric`: media goes to the signalled endpoint, whatever source was learned.
  bool send_to_signalled = false;
  /// Until when media goes to a peer that has never sent anything valid (LAT-12b). The default is for ever;
  /// control sets a time if too many such peers are at one address.
  Instant unheard_until = Instant::max();
  /// The ICMP errors about the signalled address (LAT-12a), shared by all transports that send there. Null:
  /// errors pause nothing, for example because ICE asks for consent.
  std::shared_ptr<AddressErrors> address_errors;
  /// Until when packets are kept that come from a source which may not be heard yet, because the offerer
  /// waits for this peer's answer (LAT-14). `Instant{}`: nothing is kept. Control clears it at the answer.
  /// ICE and DTLS have rules of their own.
  Instant early_until{};
  /// NG flag `NAT-wait`: nothing is sent to the peer before something came from it.
  bool wait_for_peer = false;
  /// True if the MOS of RTCP reports leaves out the delay.
  bool listening_quality = false;
  /// DSCP and ECN octet of outgoing packets, for the kernel programs; the sockets have it set already.
  std::uint8_t tos = 0;
  /// Number of the local address that the ports belong to, for totals.
  std::uint8_t interface = 0;
  /// Rises when signalling changed what must be learned (LAT-8a): the transport then begins to learn anew.
  std::uint32_t learning_epoch = 0;
  /// Signalling for the RTP component.
  LatchConfig rtp_latch;
  /// Signalling for the RTCP component, if it has its own port.
  LatchConfig rtcp_latch;
  /// The peer of an offer that waits for its answer. Null: no offer waits, or it leaves the party where it
  /// is. Plans share the object while it stays the same.
  std::shared_ptr<const ProposedPeer> proposed;
  /// ID of the RTP header extension in which the peer names the MID (RFC 9143 §15); 0 = none was agreed.
  std::uint8_t mid_extension = 0;
  /// Set if the relay sends RTCP of its own to the peer, and takes what others send for it; null: RTCP
  /// passes. Plans share the object while it stays the same.
  std::shared_ptr<const OwnReports> own_reports;
  /// The peer gets comfort noise or silence once it has got nothing for so long; 0 = never. Gateways hang up
  /// when they hear nothing.
  std::uint16_t keep_alive_s = 0;
  /// The media sources; at least one. Under BUNDLE several share the transport.
  std::vector<SourcePlan> sources;
  /// SRTP keys; null for plain RTP. Two plans count as different if they do not share the object, even if the
  /// keys are equal.
  std::shared_ptr<const SrtpPlan> srtp;
  /// Set if a DTLS handshake agrees on the keys (RFC 5764); `srtp` is then set without keys. Null for SDES
  /// and for plain RTP.
  std::shared_ptr<const DtlsPlan> dtls;
  /// Set if the transport uses ICE; null otherwise.
  std::shared_ptr<const IcePlan> ice;
  /// Set for kEndToEnd and null otherwise: the ICE of the parties with each other.
  std::shared_ptr<const OverheardPlan> overheard;

  /// True if its packets are SRTP and SRTCP.
  [[nodiscard]] bool is_protected() const noexcept { return srtp != nullptr; }
  /// True if it has handshakes or checks that a datagram of this class may belong to.
  [[nodiscard]] bool has_handshake(DatagramClass of) const noexcept {
    return of == DatagramClass::kDtls
               ? dtls != nullptr
               : of == DatagramClass::kStun && (ice != nullptr || overheard != nullptr);
  }
  bool operator==(const TransportPlan&) const = default;
};

}  // namespace ferry
