// What control decided about one transport. Immutable, swapped whole; state lives in `Transport`.
#pragma once

#include "relay/core/dtls/dtls.hpp"
#include "relay/core/forward/component.hpp"
#include "relay/core/ice/ice_agent.hpp"
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
#include <vector>

namespace ferry {

/// Names a transport in its worker: slot in the worker's table, and how often the slot was used before.
struct TransportId {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  auto operator<=>(const TransportId&) const = default;
};

/// Names one m-line of one leg in its call.
struct MediaId {
  std::uint32_t value = 0;
  auto operator<=>(const MediaId&) const = default;
};

/// How a transport's datagrams are told apart (DMX-1 to DMX-6). All but RTP pass as whole datagrams, on
/// the first port of the pair, if they have the form of their protocol (DMX-6).
enum class TransportKind : std::uint8_t {
  kRtp,
  kUdptl,
  kOpaque,   // of any form: a command asked for it by name
  kDtls,     // a protocol inside DTLS
  kBfcp,     // RFC 8855
  kOverTcp,  // the section runs over TCP: no datagram passes
};
inline constexpr TransportKind kLastTransportKind = TransportKind::kOverTcp;

/// Whether UDPTL passes beside RTP.
enum class UdptlBesideRtp : std::uint8_t {
  kNo,
  /// Signalling does not say what kind of media this is: until the first RTP stream shows it.
  kUntilRtp,
  kYes,
};

/// What happens to packets between a source and one sink. Only "pass" exists without keys and codecs.
enum class Chain : std::uint8_t { kPass };

/// One receiver of a source: the transport it is sent through and what may go there.
struct Sink {
  TransportId via;
  /// The receiving media, for its statistics when several share the transport.
  MediaId to;
  Chain chain = Chain::kPass;
  /// False while the source may not send or the sink may not receive; RTCP passes all the same.
  bool media_allowed = true;
  /// Blocked by a command or option; RTCP passes all the same.
  bool blocked = false;
  /// Payloads of codecs with a fixed silence are overwritten with it; audio of other codecs is dropped.
  bool silenced = false;
  /// Event packets (RFC 4733) are not forwarded.
  bool events_blocked = false;
  /// RTCP of the receiver that goes back to its source; no media.
  bool rtcp_only = false;
  /// RTCP feedback may go there: false if the receiver's profile has none (RTC-3, RFC 4585 §4.2).
  bool takes_feedback = true;
  /// What becomes of header extension elements of RTP (RFC 8285); by default they stay as they are.
  HeaderExtensionMap extensions;
  /// Packet time that the receiver is to get, ms; 0 = as it comes.
  std::uint16_t ptime_ms = 0;
  bool operator==(const Sink&) const = default;
};

/// One payload type that the peer may send.
struct PayloadEntry {
  PayloadType type;
  G711Law g711 = G711Law::kNone;
  /// Octet that repeated is silence of this codec; 0 = it has none.
  std::uint8_t silence = 0;
  /// telephone-event (RFC 4733).
  bool is_event = false;
  std::uint32_t clock_rate_hz = 0;
  bool operator==(const PayloadEntry&) const = default;
};

/// Why media may not go to this sink; kNone if it may. `payload` is the packet's, or null if it does not
/// matter. `is_negotiated` false: no SDP has the packet's type, so that nobody knows what it is (DMX-4).
inline DropReason refuses(const Sink& sink, const PayloadEntry* payload, bool is_negotiated = true) noexcept {
  if (sink.rtcp_only || !sink.media_allowed) return DropReason::kDirection;
  if (sink.blocked) return DropReason::kBlocked;
  // It may be an event or audible, and we cannot put it into a stream that we make ourselves.
  if (!is_negotiated && (sink.events_blocked || sink.silenced || sink.ptime_ms != 0))
    return DropReason::kUnknownPayloadType;
  if (payload != nullptr && payload->is_event)
    return sink.events_blocked ? DropReason::kEventBlocked : DropReason::kNone;
  // What cannot be silenced must not be heard.
  const bool can_silence = payload != nullptr && payload->silence != 0;
  return sink.silenced && !can_silence ? DropReason::kBlocked : DropReason::kNone;
}

/// One media source on a transport and everybody who listens to it.
struct SourcePlan {
  MediaId media;
  /// SSR-1: live SSRCs at a time.
  std::uint8_t max_ssrcs = 8;
  /// `payloads` only says what some types are: signalling never named them, and others pass as well.
  bool takes_any_type = false;
  /// Negotiated payload types (DMX-4); empty = any.
  std::vector<PayloadEntry> payloads;
  /// DMX-4: a locked source's packets of types that are not in `payloads` pass, but for `refused_types`, if
  /// their SSRC was admitted. Control clears it for `strict-payload-types` and where the script removed
  /// codecs from the SDP that the party was shown.
  bool passes_other_types = false;
  /// Types that never pass unless `payloads` has them: those that the script took out of the party's own SDP,
  /// and those that are RTCP under rtcp-mux.
  std::bitset<128> refused_types;
  RateLimit rate;
  /// A sink needs to know the payload type: events are blocked or media is silenced.
  bool inspects_payload = false;
  /// telephone-event was negotiated: DTMF is reported to control.
  bool has_events = false;
  std::vector<Sink> sinks;

  /// The entry of an RTP packet's payload type; null if it was not negotiated. `rtp` is at least a header.
  /// Packets of types that are not in `payloads` pass.
  [[nodiscard]] bool is_open() const noexcept { return payloads.empty() || takes_any_type; }
  /// A packet of `type`, which is not in `payloads`, is as good as one that is.
  [[nodiscard]] bool is_open_to(PayloadType type) const noexcept {
    return is_open() && !refused_types.test(type.value & 127);
  }
  [[nodiscard]] const PayloadEntry* payload_of(Bytes rtp) const noexcept {
    const PayloadType type{static_cast<std::uint8_t>(read_u8(rtp, 1) & 0x7f)};
    const auto found = std::ranges::find(payloads, type, &PayloadEntry::type);
    return found == payloads.end() ? nullptr : &*found;
  }
  /// Packets of `type`, which is not in `payloads`, may pass if their source and SSRC are known.
  [[nodiscard]] bool may_pass_other(PayloadType type) const noexcept {
    return passes_other_types && !refused_types.test(type.value & 127);
  }
  bool operator==(const SourcePlan&) const = default;
};

/// Keys of a protected transport. Without a usable one nothing passes (SRT-11).
struct SrtpPlan {
  std::shared_ptr<const SrtpBackend> backend;
  /// What the peer may encrypt with.
  std::vector<SrtpMasterKey> receive;
  std::optional<SrtpMasterKey> send;
  /// Who receives: a forked offer gives one key to several.
  SrtpParty party;
  /// `send` is the key of the party whose packets go to this peer: they leave as they came, or not at all.
  bool send_is_relayed = false;
  /// Packets in the replay lists (SRT-4).
  std::uint16_t window = 128;
  /// What these keys and earlier ones have received and sent: the worker's, and the same for all transports
  /// of a media. Null: the transport has its own.
  std::shared_ptr<SrtpContexts> contexts;
};

/// Where an offer that waits for its answer wants its party to be (LAT-15). Accepted beside the agreed
/// source.
struct ProposedPeer {
  LatchConfig rtp;
  LatchConfig rtcp;
  bool operator==(const ProposedPeer&) const = default;
};

struct TransportPlan {
  TransportKind kind = TransportKind::kRtp;
  /// The peer may send RTCP on the RTP port (DMX-2): it was offered or agreed.
  bool rtcp_mux = false;
  /// RTCP to the peer goes out of the RTP port: it was agreed.
  bool send_rtcp_muxed = false;
  bool reduced_size_rtcp = false;
  /// Signalling does not say what kind of media this is, or an offer without answer would make UDPTL of it
  /// (LAT-15).
  UdptlBesideRtp takes_udptl = UdptlBesideRtp::kNo;
  /// An offer without answer would make RTP of this UDPTL (LAT-15): RTP of `payloads` passes beside it.
  bool takes_rtp = false;
  /// NG flag `asymmetric`: send to the signalled endpoint, whatever source was learned.
  bool send_to_signalled = false;
  /// Until then media goes to a peer that has never sent anything valid (LAT-12 b). Control sets it for one
  /// of too many such peers at one address; by default media never stops.
  Instant unheard_until = Instant::max();
  /// What ICMP says about the signalled address (LAT-12 a), for all transports that send there. Null: errors
  /// pause nothing, as where ICE asks for consent.
  std::shared_ptr<AddressErrors> address_errors;
  /// LAT-14: the offerer waits for the answer of this peer, and until then what comes from a source that may
  /// not be heard yet is kept for it. Unset: nobody waits. Control clears it when the answer came; ICE and
  /// DTLS have rules of their own.
  Instant early_until{};
  /// NG flag `NAT-wait`: nothing is sent to the peer before something came from it.
  bool wait_for_peer = false;
  /// MOS of RTCP reports without the delay.
  bool listening_quality = false;
  /// DSCP and ECN octet of what leaves; the ports have it set already.
  std::uint8_t tos = 0;
  /// Which local address the ports belong to, for totals.
  std::uint8_t interface = 0;
  LatchConfig rtp_latch;
  LatchConfig rtcp_latch;
  /// Null: no offer waits for its answer, or it leaves the party where it is. Two plans share it if it is the
  /// same.
  std::shared_ptr<const ProposedPeer> proposed;
  /// Rises when signalling changed what must be learned (LAT-8a).
  std::uint32_t learning_epoch = 0;
  /// At least one; several share one transport under BUNDLE or one-port ICE.
  std::vector<SourcePlan> sources;
  /// Null: plain RTP. Two plans are different if they do not share it, even if its keys are the same.
  std::shared_ptr<const SrtpPlan> srtp;
  /// Keys come by DTLS: those of `srtp` are then none. Null: they do not.
  std::shared_ptr<const DtlsPlan> dtls;
  /// Null: there is no ICE.
  std::shared_ptr<const IcePlan> ice;

  bool operator==(const TransportPlan&) const = default;
};

}  // namespace ferry
