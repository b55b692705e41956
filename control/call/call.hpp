// SPDX-License-Identifier: Apache-2.0
// The model that both control protocols share: `Call`, `Leg`, `MediaTransport`, `Media`
// (docs/architecture.md). It holds data and answers questions about it; commands in control/command change
// it, and services in control/session carry the changes out.
//
// Control thread only. A call owns its legs, a leg owns its transports and medias; all other pointers borrow.
// Fields are set by signalling unless their comment says otherwise.
#pragma once

#include "control/call/digit_rules.hpp"
#include "control/call/fax_terms.hpp"
#include "control/call/leg_memory.hpp"
#include "control/call/media_codecs.hpp"
#include "control/call/media_dtls.hpp"
#include "control/call/media_extensions.hpp"
#include "control/call/media_ice.hpp"
#include "control/call/media_keys.hpp"
#include "control/call/peer_guard.hpp"
#include "control/call/peer_register.hpp"
#include "control/call/playback.hpp"
#include "control/call/totals.hpp"
#include "control/diagnose/call_evidence.hpp"
#include "control/diagnose/verdict.hpp"
#include "control/ports/interfaces.hpp"
#include "control/request/request.hpp"
#include "relay/core/forward/transport.hpp"
#include "relay/core/recording.hpp"
#include "relay/io/packet_buffer.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

struct Call;
struct RtpproxySession;
struct SessionConfig;
class Pauses;
struct Leg;
struct Media;
struct MediaTransport;

/// Names one tap on the media of a call (`Taps` gives the numbers). 0 names no tap.
struct TapId {
  std::uint64_t value = 0;
  bool operator==(const TapId&) const = default;
};

/// The ports of a transport at one local address: the party may send to them, and the worker was told of
/// them. A transport gets another set when the far side moves to another remote endpoint; the sets before it
/// stay open, because packets may still arrive there.
struct LocalPorts {
  /// The name of these ports at the worker of the call.
  TransportId transport;
  /// The address that the ports are bound to; null until ports were drawn.
  const LocalAddress* local = nullptr;
  /// The RTP port, in host order. RTCP has the next one, unless the port is shared.
  UdpPort port;
  /// True if it is the port of the address that all ICE legs share (`ice-port`). There is no RTCP port then:
  /// RTCP is multiplexed with RTP.
  bool is_shared = false;
  /// The open sockets of RTP and RTCP, in this order. The worker gets them with the first plan. A shared port
  /// has one socket for each worker; this is that of the call's worker.
  std::array<PortHandle, 2> handles;
  /// The remote endpoint of the far side when this set was made. The same remote gets the same ports again
  /// (docs/reference/ng.md#ports). Unset until it is known.
  Endpoint far_endpoint;
  /// The worker notes here whether and when it heard the peer at these ports. Control reads it. Never null
  /// for open ports.
  std::shared_ptr<TransportActivity> activity;
  /// The plan that the worker was told last; null before the first one.
  std::shared_ptr<const TransportPlan> plan;
  /// The place of these ports among all that send to the same address (LAT-12). Null while they send nowhere,
  /// and with ICE, which asks for consent.
  std::unique_ptr<PeerRegister::Member> peer;
  /// The party that had these ports before and may still send: its packets are dropped. Unset if the ports
  /// have rested.
  Endpoint barred;
  /// The state to install the transport with, of a restored call. Null by default, and again once it was
  /// used.
  std::shared_ptr<const TransportSnapshot> restored;
  /// Ports at another address of the interface, which only ICE candidates name.
  struct More {
    /// The address, the RTP port and the sockets, as in `LocalPorts`. The address is never null.
    const LocalAddress* local = nullptr;
    UdpPort port;
    /// As in `LocalPorts`. False by default.
    bool is_shared = false;
    std::array<PortHandle, 2> handles;
  };
  /// All such ports. The worker knows the first `told` of them.
  std::vector<More> more;
  std::uint8_t told = 0;
  /// The learning epoch of the last plan. It rises when the peer must be learned anew (LAT-8a).
  std::uint32_t epoch = 0;
  /// `Call::signals` when learning began last. The NG algorithms learn anew with each later signal (LAT-4a).
  std::uint32_t learned_signal = 0;
  /// The DSCP octet of these ports; unset = `Call::tos`.
  std::optional<std::uint8_t> tos;
  /// True once the ports are given up. The worker lets go of them by the next fence.
  bool closed = false;
};

/// How the source of one transport is judged: which sources are learned, and where media is sent.
struct SourceRules {
  /// Which sources may be learned. By default those that fit signalling.
  LatchPolicy policy = LatchPolicy::kSignalled;
  /// How they are learned. By default the LAT rules; the others imitate NG (LAT-4a).
  LearningAlgorithm algorithm = LearningAlgorithm::kRules;
  /// Flag `strict-source`: the NG algorithms drop foreign sources too.
  bool strict_source = false;
  /// Flag `media-handover`: a locked source may move to another address that signalling knows (LAT-8).
  bool handover = false;
  /// Flag `asymmetric`: media goes to the signalled endpoint, whatever source was learned.
  bool asymmetric = false;
  /// Flag `unidirectional`: the party need not send, so its silence is no fault (LAT-12).
  bool unidirectional = false;
};

/// Why a media receives another one. An offer/answer subscription joins the two sides of a call; a pub/sub
/// one feeds a subscriber, a conference or a copy.
enum class SubscriptionKind : std::uint8_t { kOfferAnswer, kPubSub };

/// Says that its owner, a media, receives what `source` sends.
struct Subscription {
  /// The sending media, of the same call. Never null.
  Media* source = nullptr;
  /// Set when the subscription is made.
  SubscriptionKind kind = SubscriptionKind::kOfferAnswer;
  /// True while a command blocks, or silences, this flow alone. Blocks of a party or of the call come on top.
  bool blocked = false;
  bool silenced = false;
  /// Flag `egress`: the owner gets what is sent to `source`, instead of what `source` sends.
  bool egress = false;
  /// Flag `RTCP-mirror`: only the RTCP of a subscriber goes back to the media that it hears.
  bool rtcp_only = false;
};

/// Members of a media that few medias need. Made on demand by `Media::ensure_extras`.
struct MediaExtras {
  /// The `a=label` that the relay gave this section: a number, counted by `Call::next_label`. Empty = none.
  std::string label;
  /// The medias that this section of a subscription copies, or copied before they went away. The next
  /// `subscribe request` of the same party finds its sections by them.
  std::vector<MediaId> copies;
  /// The states of its ports when they were closed, in the order of closing. The worker fills them in.
  std::vector<std::unique_ptr<TransportSnapshot>> last;
  /// The packet time to show this party in answers, in ms (key `ptime`); 0 = as the other side says.
  std::int64_t ptime = 0;
  /// A transport of another call on the same worker that sends a copy of this media.
  struct Feed {
    /// `Call::serial` of that call.
    std::uint64_t call = 0;
    /// The transport that sends the copy.
    TransportId via;
    /// The media of that call which the copy belongs to.
    MediaId to;
  };
  /// All such copies. Sessions of the rtpproxy protocol that listen to this one set them.
  std::vector<Feed> feeds;
  /// The addresses of its last SDP, and of fragments since, that are never sent to (LAT-11a).
  std::vector<LeftOutPeer> left_out;
  /// The codecs that the last offer to it, or a later answer to it, wanted the relay to transcode, as the SIP
  /// script wrote them. `always-transcode` and `force-transcoding` stand for themselves. The relay makes none
  /// of them; `explain` names them if two parties have no codec in common. Empty by default.
  std::vector<std::string> unmade_codecs;
};

/// Whether the parties of a section do ICE and agree on keys with each other, and the relay only adds
/// candidates of its own (ICE-11): no; below all of theirs (`ICE=optional`); or as relayed ones, instead of
/// theirs (`ICE=force-relay`).
enum class Passing : std::uint8_t { kNo, kBeside, kRelayed };

/// The terms of one media: what offers and answers say about it. While an offer waits for its answer, a media
/// has two of them: the proposed ones, and those that were agreed before and stay in force (LAT-15).
struct MediaTerms {
  /// The type of the m-line, such as `audio`.
  std::string type;
  /// The value of `a=mid` (RFC 5888) in the party's SDP; empty = none.
  std::string mid;
  /// The protocol of the m-line toward this leg, such as `RTP/SAVPF`.
  std::string protocol;
  /// How datagrams are told apart (DMX-6).
  TransportKind kind = TransportKind::kRtp;
  /// True for sections of type `video`. They may have more SSRCs and a higher rate.
  bool is_video = false;
  /// True if its SDP takes PLI (`a=rtcp-fb` with `nack pli`, RFC 4585 §4.2): it can be asked for a key frame.
  bool takes_pli = false;
  /// True if its SDP takes full intra requests (`a=rtcp-fb` with `ccm fir`, RFC 5104 §7.1).
  bool takes_fir = false;
  /// Whether the parties do ICE and agree on keys with each other. `kind` is then kEndToEnd.
  Passing passing = Passing::kNo;
  /// The fax gateway between this media and its partner. Null = there is none.
  std::shared_ptr<const FaxTerms> fax;
  /// True if its SDP has `a=rtcp-fb` lines.
  bool names_feedback = false;
  /// True if the section was rejected with port 0 (RFC 3264 §6), or left out of a message.
  bool rejected = false;
  /// Whether the party may send and receive, by the direction of its own SDP (RFC 3264 §6.1). True by
  /// default.
  bool may_send = true;
  bool may_receive = true;
  /// True if the relay hides the section from the far side and rejects it in the answer. The key
  /// `sdp-media-remove` asks for it, or the encrypted section beside it has the same media.
  bool hidden = false;

  /// When this leg was offered what it has not answered yet (LAT-14). `Instant{}` = it owes no answer.
  Instant awaited_since{};

  /// The payload types that the party may send, from the SDP that was shown to it (DMX-4). Types of the
  /// former agreement stay until the next answer, because packets may be late.
  std::vector<PayloadEntry> payloads;
  /// The types of the last SDP that it was shown, by number.
  std::bitset<128> shown;
  /// The types that earlier SDP had and the last one has not, by number.
  std::bitset<128> earlier;
  /// The types of this leg's own last SDP that the SIP script took out before the other side saw it (DMX-4).
  std::bitset<128> removed_types;
  // Audio of RTP alone has the next four; for others they stay empty.
  /// The codecs of this leg's own last SDP: what it can receive. Empty = it has said nothing.
  CodecList said_codecs;
  /// The codecs of the last SDP that it was shown: what it may send. Empty = nothing was shown.
  CodecList shown_codecs;
  /// The words of the client about its codecs. Null = there are none. Terms share the object.
  std::shared_ptr<const CodecWishes> codec_wishes;
  /// The packet time of this leg's own last SDP (`a=ptime`), ms; 0 = it names none.
  std::uint16_t said_ptime_ms = 0;
  /// The SSRCs that this leg's own last SDP names (`a=ssrc`), 64 at most. Empty by default.
  std::vector<Ssrc> ssrcs;
  /// The rate that the source may have (LIM-1); 0 = no limit.
  RateLimit rate;
  /// True if the script took types out of the last SDP that this leg was shown (DMX-4).
  bool has_fewer_codecs = false;
  // The rtpproxy protocol alone sets the next four.
  /// The packet time that what it sends is re-packetized to, in ms; 0 = as it comes.
  std::uint16_t ptime_ms = 0;
  /// True if its SDP had the unspecified address.
  bool is_on_hold = false;
  /// True if the last command about its SDP listed payload types: its media is RTP.
  bool lists_types = false;
  /// True if it made an offer without a list of payload types after the session had been answered.
  bool offered_unlisted = false;
};

/// The terms of one transport: what offers and answers say about it. There are two of them while an offer
/// waits (LAT-15), as with `MediaTerms`.
struct TransportTerms {
  /// The logical interface whose addresses the party is shown. Null until ports were chosen for it.
  const LogicalInterface* interface = nullptr;
  /// The IP version of the addresses that the party is shown.
  AddressFamily family = AddressFamily::kIpv4;

  /// Where the party's SDP says that it receives RTP and RTCP. Unset before that SDP came.
  Endpoint remote_rtp;
  Endpoint remote_rtcp;
  /// True once the party's SDP has come. With ICE it may have named no address yet.
  bool remote_known = false;

  // RTP and RTCP on one port (RFC 5761). All are false by default.
  /// True if the party's last SDP offers or takes it.
  bool mux_offered_by_peer = false;
  /// True if the party was offered it.
  bool mux_offered_to_peer = false;
  /// True if both agreed: the transport sends and receives RTCP at its RTP port.
  bool mux_used = false;
  /// Words of the party's offer (`rtcp-mux-accept`, `rtcp-mux-reject`). They count when it is answered.
  bool mux_accept = false;
  bool mux_reject = false;
  /// True if the party takes RTCP of reduced size (RFC 5506).
  bool reduced_size_rtcp = false;

  /// How the party's source is judged.
  SourceRules rules;
  /// Flag `NAT-wait`: nothing is sent to the party before something came from it.
  bool wait_for_peer = false;
};

/// The terms that were agreed about a transport before the offer that waits for its answer.
struct AgreedTransportTerms : TransportTerms {
  /// The address that the party's signalling came from when they were agreed.
  IpAddress received_from;
  /// ICE as it was agreed. Null without ICE.
  std::unique_ptr<MediaIce> ice;
};

/// One ICE, DTLS and SRTP association with one party, and the local ports that it lives on (RFC 9143 "BUNDLE
/// transport"). Its leg owns it and its medias point to it. Under BUNDLE several medias share a transport;
/// otherwise each has its own.
///
/// The terms that it inherits are the newest ones, which SDP and replies speak of. Whatever concerns packets
/// must ask `in_force()` instead.
struct MediaTransport : TransportTerms {
  // The flags stand first, because there they fill a gap behind the inherited terms and take no further
  // memory.
  /// Flag `pierce-NAT`: empty packets are sent to the party until something arrives from it.
  bool pierce = false;
  /// True if the party has agreed that the medias of the transport are a BUNDLE group. An answer sets it, of
  /// either side. All later SDP for the party names the group again (BND-7).
  bool is_bundle = false;
  /// The ICE role that `query` shows, even without ICE. True for the answering side.
  bool ice_controlling = false;
  /// True once the relay has made or renumbered what the party hears, or what its partner hears of it. From
  /// then on RTCP of the parties fits no more, and the relay reports itself.
  bool is_made = false;
  /// The party. Never null.
  Leg* leg = nullptr;
  /// The terms in force while an offer waits for its answer. Null = the newest terms are in force.
  std::unique_ptr<AgreedTransportTerms> agreed;

  /// All sets of local ports, closed ones too, in the order in which they were opened.
  std::vector<LocalPorts> ports;
  /// Index in `ports` of the set that the party was shown last. `ports` may be empty.
  std::uint32_t active = 0;
  /// Index in `ports` of the set that packets leave from until the party knows of `active`.
  std::uint32_t sending = 0;

  /// SDES keys. Null for transports that were never to be encrypted.
  std::unique_ptr<MediaKeys> keys;
  /// The state of DTLS. Null for transports that DTLS was never to key.
  std::unique_ptr<MediaDtls> dtls;
  /// The state of ICE. Null for transports that never had it.
  std::unique_ptr<MediaIce> ice;

  /// Give the member, and make it first if it is null.
  MediaKeys& ensure_keys() {
    if (!keys) keys = std::make_unique<MediaKeys>();
    return *keys;
  }
  MediaDtls& ensure_dtls() {
    if (!dtls) dtls = std::make_unique<MediaDtls>();
    return *dtls;
  }
  MediaIce& ensure_ice() {
    if (!ice) ice = std::make_unique<MediaIce>();
    return *ice;
  }
  /// Shows the party the set of ports with this index in `ports` from now on.
  void show_ports(std::size_t index) { active = static_cast<std::uint32_t>(index); }
  /// The terms that packets obey: the agreed ones while an offer waits, else the newest (LAT-15).
  [[nodiscard]] const TransportTerms& in_force() const {
    return agreed ? static_cast<const TransportTerms&>(*agreed) : *this;
  }
  /// ICE that packets obey. Null if there is none.
  [[nodiscard]] MediaIce* ice_in_force() const { return agreed ? agreed->ice.get() : ice.get(); }
  /// The index in `ports` of the set that packets use. It may be past the end.
  [[nodiscard]] std::size_t ports_in_force() const { return agreed ? sending : active; }
  /// True if ICE, or DTLS, was agreed in the newest terms.
  [[nodiscard]] bool has_ice() const { return ice && ice->in_use; }
  [[nodiscard]] bool is_keyed_by_dtls() const { return dtls && dtls->in_use; }
  /// The ports that the party was shown last. Null if it has none.
  [[nodiscard]] LocalPorts* active_ports() { return active < ports.size() ? &ports[active] : nullptr; }
  [[nodiscard]] const LocalPorts* active_ports() const {
    return active < ports.size() ? &ports[active] : nullptr;
  }
  /// True if the party has ports now, and they are open.
  [[nodiscard]] bool has_open_ports() const { return active_ports() != nullptr && !active_ports()->closed; }
  /// The address of the ports that the party was shown last. Null if it has none.
  [[nodiscard]] const LocalAddress* local() const {
    return active_ports() != nullptr ? active_ports()->local : nullptr;
  }
  /// The ports in force. Null if it has none.
  [[nodiscard]] const LocalPorts* used_ports() const {
    return ports_in_force() < ports.size() ? &ports[ports_in_force()] : nullptr;
  }
  /// The ports that packets to the party leave from. Null if it has none.
  [[nodiscard]] const LocalPorts* sending_ports() const {
    return sending < ports.size() ? &ports[sending] : nullptr;
  }
  /// The address that the party's signalling came from when the terms in force were agreed.
  [[nodiscard]] const IpAddress& received_from() const;
  /// The call of its leg.
  [[nodiscard]] Call& call() const;
  /// The medias that it carries, in the order of their sections. There is at least one.
  [[nodiscard]] std::vector<Media*> medias() const;
  /// Visits them in that order.
  template <class Visit>
  void each_media(Visit visit) const;
  /// True if it carries more than one media.
  [[nodiscard]] bool is_shared() const;
};

/// One m-line of one leg. The terms that it inherits are the newest ones, which SDP and replies speak of;
/// whatever concerns packets must ask `in_force()`.
struct Media : MediaTerms {
  /// True once both sides have said what they want of it, in an offer and its answer. A later offer is then
  /// only a proposal (LAT-15).
  bool is_exchanged = false;
  /// True if the waiting offer of a party that had agreed on something added this media. It goes with that
  /// offer.
  bool is_proposed = false;
  /// True once an answer covered it.
  bool answered = false;
  /// True if the last answer made its packets SRTP. False before an answer.
  bool encrypted = false;
  /// True if the profile of the last answer has no feedback (RTP/AVP, RTP/SAVP).
  bool is_without_feedback = false;
  /// True for a section of type `message` without RTP: it passes unchanged, and the relay has no part in it.
  bool untouched = false;
  /// The key `media echo` sets it: kOff relays packets, kBlackhole drops them, and kForward sends them back
  /// to the party.
  MediaEcho echo = MediaEcho::kOff;

  /// The call and the party. Never null.
  Call* call = nullptr;
  Leg* leg = nullptr;
  /// The transport that carries it; the leg owns it. Never null.
  MediaTransport* via = nullptr;
  /// Unique in the call. Plans and workers know the media by it.
  MediaId id;
  /// The number of the m-line in the party's SDP, from 1.
  unsigned index = 0;

  /// The terms in force while an offer waits for its answer. Null = the newest terms are in force.
  std::unique_ptr<MediaTerms> agreed;

  /// Null until somebody needs it.
  std::unique_ptr<MediaExtras> extras;
  /// Null until the party or the far side spoke of header extensions.
  std::unique_ptr<MediaExtensions> extensions;

  /// The medias that this one receives.
  std::vector<Subscription> subscriptions;

  /// True if it receives and never sends, like a subscriber or a copy. It keeps no call alive, and it does
  /// not count as a peer that should speak (LAT-12b).
  [[nodiscard]] bool only_listens() const;
  /// Gives the extras, and makes them first if there are none.
  MediaExtras& ensure_extras() {
    if (!extras) extras = std::make_unique<MediaExtras>();
    return *extras;
  }
  /// Replaces the addresses that are left out by those of its new SDP.
  void note_left_out(std::vector<LeftOutPeer> peers);
  /// The addresses of its SDP that are never sent to. Null if there are none.
  [[nodiscard]] const std::vector<LeftOutPeer>* left_out() const {
    return extras && !extras->left_out.empty() ? &extras->left_out : nullptr;
  }
  /// The terms that packets obey: the agreed ones while an offer waits, else the newest (LAT-15).
  [[nodiscard]] const MediaTerms& in_force() const {
    return agreed ? *agreed : static_cast<const MediaTerms&>(*this);
  }
  /// Gives the header extensions, and makes them first if there are none.
  MediaExtensions& ensure_extensions() {
    if (!extensions) extensions = std::make_unique<MediaExtensions>();
    return *extensions;
  }
  /// True if its packets are SRTP, even if there are no keys so far. The last answer decides, and before it
  /// the protocol of the m-line.
  [[nodiscard]] bool is_encrypted() const;
  /// True if RTCP feedback may be sent to it (RTC-3). The last answer decides, and before it the protocol.
  [[nodiscard]] bool takes_feedback() const;
  /// Puts in force what an answer says of keys and of the profile. To be called when an answer came.
  void settle_encryption();
};

/// Members of a leg that few legs need. Made on demand by `Leg::ensure_extras`.
struct LegExtras {
  /// Keys `label` (or `set-label`) and `metadata` of the party's requests. Empty = none.
  std::string label;
  std::string metadata;
  /// What others get in place of its digits, and what switches that. Null = digits are dropped, or pass.
  std::unique_ptr<DigitRules> digits;
  /// Flag `exclude-recording`: recordings leave the party out.
  bool unrecorded = false;
  /// The digits that control the recording. Null without flag `recording-vsc`.
  std::unique_ptr<RecordingCodes> vsc;
  /// Wishes of earlier offers that hold for later ones, too, until an offer says otherwise.
  KeptWishes kept;
  /// True if `create` made the leg, so that another `create` may offer to it again.
  bool by_create = false;
  /// The offer that ended without an answer. Null = its last offer was answered, or still waits.
  std::unique_ptr<LapsedOffer> lapsed;
  /// The BUNDLE groups that were offered to the party or by it. Null if there was none, nor a word of the
  /// client about them.
  std::unique_ptr<LegBundle> bundle;
  /// Playback, music on hold, injected DTMF. Null if there was never any.
  std::unique_ptr<LegSounds> sounds;
  /// The name of the relay in RTCP to the party (RFC 7022); random. Empty until it is needed.
  std::string cname;
};

/// One party of the call, known by its tag.
struct Leg {
  /// Never null.
  Call* call = nullptr;
  /// Empty = not known yet.
  std::string tag;
  /// Its former tags: each answer of another branch under one `via-branch` renames the leg.
  std::vector<std::string> aliases;
  /// Key `via-branch` of the message that made the leg. It finds the leg while its tag is unknown; empty =
  /// none.
  std::string via_branch;
  /// When the leg was made, in seconds since 1970.
  std::int64_t created_unix = 0;
  /// Unique in the call, from 1. It names the leg where there is no tag.
  unsigned number = 0;
  /// The address that the party's last SIP message came from (key `received-from`). Unset = unknown.
  IpAddress received_from;
  /// True once the party has answered with a final SIP reply (code 200 or higher). An answer under another
  /// tag is then another branch, not a new name of this leg.
  bool final_response = false;
  /// False for legs of one-party commands, such as subscribers.
  bool from_offer_answer = true;
  // Everything that this leg sends, by command: blocked, silenced, its events blocked.
  bool blocked = false;
  bool silenced = false;
  bool events_blocked = false;
  /// The id of the call that the leg came under: 0 = the first, else index + 1 of `CallExtras::other_ids`.
  std::uint8_t id_index = 0;
  /// Null until somebody needs it.
  std::unique_ptr<LegExtras> extras;
  /// The last SDP that this leg sent. The answer to it is filtered by it.
  std::string last_sdp;
  /// Null until a `replace` word asks for it.
  std::unique_ptr<OriginMemory> origin;
  /// Its transports. A list, because they must not move: medias, the pools of ports and `MediaPlane` point to
  /// them. They stand before the medias, so that they outlive them.
  std::list<MediaTransport> transports;
  /// Its medias, in the order in which they were made; `section_order` has that of the SDP.
  std::vector<std::unique_ptr<Media>> medias;
  /// `Media::index` of each m-line of this leg's own last SDP, in the order of that SDP.
  std::vector<unsigned> section_order;
  /// When the deleted leg goes. Unset = it is not deleted.
  std::optional<Instant> delete_at;

  /// Gives the extras, and makes them first if there are none.
  LegExtras& ensure_extras() {
    if (!extras) extras = std::make_unique<LegExtras>();
    return *extras;
  }
  /// Adds a transport behind the others. It has no media so far.
  MediaTransport& add_transport();
  /// Adds a media behind the others, with a transport of its own. The caller sets `id` and `index`.
  Media& add_media();
  /// The BUNDLE groups that were offered to the party or by it, as in `LegExtras::bundle`. Null if there is
  /// nothing to remember.
  [[nodiscard]] const LegBundle* bundle() const { return extras ? extras->bundle.get() : nullptr; }
  /// The same, made if there is none.
  LegBundle& ensure_bundle() {
    auto& bundle = ensure_extras().bundle;
    if (!bundle) bundle = std::make_unique<LegBundle>();
    return *bundle;
  }
  /// Playback and music on hold, as in `LegExtras::sounds`. Null if there was never any.
  [[nodiscard]] LegSounds* sounds() const { return extras ? extras->sounds.get() : nullptr; }
  /// The same, made if there is none.
  LegSounds& ensure_sounds() {
    auto& sounds = ensure_extras().sounds;
    if (!sounds) sounds = std::make_unique<LegSounds>();
    return *sounds;
  }
  /// The sound that was to be played to the party last. Null if there was never one.
  [[nodiscard]] Playback* playback() const {
    return sounds() != nullptr ? sounds()->playback.get() : nullptr;
  }
  /// True if the party has agreed on a BUNDLE group.
  [[nodiscard]] bool has_bundle() const {
    return std::ranges::any_of(transports, [](const MediaTransport& each) { return each.is_bundle; });
  }
  /// The members of the extras, or their defaults without extras.
  [[nodiscard]] std::string_view label() const {
    return extras ? std::string_view(extras->label) : std::string_view();
  }
  [[nodiscard]] std::string_view metadata() const {
    return extras ? std::string_view(extras->metadata) : std::string_view();
  }
  [[nodiscard]] KeptWishes kept() const { return extras ? extras->kept : KeptWishes{}; }
  /// Remembers whether the relay is a lite ICE agent toward the party. Unset = as before.
  void keep_ice_lite(std::optional<bool> is_lite) {
    if (is_lite && *is_lite != kept().ice_lite) ensure_extras().kept.ice_lite = *is_lite;
  }
  [[nodiscard]] LapsedOffer* lapsed_offer() const { return extras ? extras->lapsed.get() : nullptr; }
  /// The rules for its digits. Null = there are none.
  [[nodiscard]] DigitRules* digit_rules() const { return extras ? extras->digits.get() : nullptr; }
  /// Gives the rules, and makes them first if there are none.
  DigitRules& ensure_digit_rules() {
    auto& digits = ensure_extras().digits;
    if (!digits) digits = std::make_unique<DigitRules>();
    return *digits;
  }
  /// The place of one of its tags among those that shared the branch, in the order in which they came.
  [[nodiscard]] std::uint32_t number_of(std::string_view name) const {
    return static_cast<std::uint32_t>(std::find(aliases.begin(), aliases.end(), name) - aliases.begin());
  }
  /// True if `name` is one of its tags.
  [[nodiscard]] bool is_called(std::string_view name) const {
    return !name.empty() && (tag == name || std::find(aliases.begin(), aliases.end(), name) != aliases.end());
  }
};

/// How long an offer between two parties that know each other waits for its answer. It must end by itself,
/// because the proxy does not tell the relay that the offer was refused (488).
constexpr Duration kOfferPatience = std::chrono::seconds(180);

/// An offer between parties that had agreed on something, while it waits for its answer (LAT-15).
struct Proposal {
  /// The party that made the offer, and the party that has to answer it. Never null.
  Leg* offerer = nullptr;
  Leg* answerer = nullptr;
  /// When it ends without an answer; `Instant::max()` if an earlier proposal must end it.
  Instant until{};
  /// The offerer's SDP and the order of its m-lines before the offer, to go back to.
  std::string former_sdp;
  std::vector<unsigned> former_order;
};

/// A control protocol changes plans and time-outs of its calls by a policy. The call owns it; an NG call has
/// none.
/// Control thread only.
class CallPolicy {
 public:
  virtual ~CallPolicy() = default;
  /// Changes the plan of a transport of `call` before the worker is told. Pure.
  virtual void refine(const Call& call, const MediaTransport& transport, TransportPlan& plan) const = 0;
  /// When the call ends if no media comes, and why. Pauses of the process count as nobody's silence.
  [[nodiscard]] virtual Due due(const Call& call, const SessionConfig& config,
                                const Pauses& pauses) const = 0;
  /// The name that the call may share with others of its protocol. Empty if there is none.
  [[nodiscard]] virtual std::string_view shared_name() const = 0;
};

/// Members of a call that few calls need. Made on demand by `Call::ensure_extras`.
struct CallExtras {
  /// The ids of calls that were merged into this one.
  std::vector<std::string> other_ids;
  /// What takes the place of digits of any party. Null = they are dropped, or pass.
  std::unique_ptr<DigitRules> digits;
  /// Key `dtmf-log-dest`: where DTMF events go, as `address:port`. Empty = as configured.
  std::string dtmf_log_destination;
  /// Key `xmlrpc-callback`: who is told of a time-out. Empty = as configured.
  std::string xmlrpc_callback;
  /// The client of the last request, for the time-out call-back. Unset unless `remember_client`.
  IpAddress client;
  /// The running recording. Null if the call is not recorded.
  std::unique_ptr<CallRecording> recording;
  /// The recording's tap on the media of the call; 0 without one.
  TapId recording_tap;
  /// The newest offer or answer that was refused. Unset once a later one was taken.
  std::optional<RefusedMessage> refused;
  /// The explanation of the call from the moment of its deletion, because afterwards its parties fall silent.
  /// Null before.
  std::unique_ptr<Explanation> at_deletion;
  /// The rules of the protocol that made the call. Null for NG calls.
  std::unique_ptr<CallPolicy> policy;
};

/// One Call-ID, or several after a merge. `CallRegister` owns it.
struct Call {
  /// The Call-ID. `CallExtras::other_ids` has further ones.
  std::string id;
  /// The index of the worker that owns all its transports.
  std::size_t worker = 0;
  /// When the call was made, by the wall clock and by the monotonic one.
  WallTime created{};
  Instant created_at{};
  /// When the last offer or answer came, in seconds since 1970 and by the monotonic clock.
  std::int64_t last_signal_unix = 0;
  Instant last_signal{};
  /// When the last command or message changed who hears whom. A peer is shown as confirmed by a packet after
  /// it.
  Instant touched{};
  /// Key `metadata`. Empty = none.
  std::string metadata;
  /// The parties, in the order in which they came.
  std::vector<std::unique_ptr<Leg>> legs;
  /// The offers that wait for their answer. A leg has part in one at most.
  std::vector<Proposal> proposals;
  /// `Leg::number` of the next leg.
  unsigned next_leg = 1;
  /// `a=label` of the next section of a subscription. A call counts its labels from 0.
  unsigned next_label = 0;
  /// The DSCP octet of its packets: key `TOS`, else the daemon's.
  std::uint8_t tos = 0;
  // Chosen by a request of the call; unset = as the daemon has it.
  std::optional<LatchPolicy> latch;
  std::optional<LearningAlgorithm> learning;
  std::optional<bool> strict_payload_types;
  /// Key `passthrough-unknown`: sections of unknown protocols are relayed as datagrams (DMX-6).
  bool passthrough_unknown = false;
  /// Key `generate-rtcp`: RTCP is taken in, and all parties get reports of the relay's own.
  bool generates_rtcp = false;
  /// True once an offer was answered.
  bool answered = false;
  // Everything in the call, by command or by key `drop-traffic`.
  bool blocked = false;
  bool silenced = false;
  bool events_blocked = false;
  bool drop_traffic = false;
  /// Flag `debug`: its events are logged, whatever the rate and the level.
  bool debug = false;
  /// True if it is or was recorded, or told not to be. `record-all` leaves it alone then.
  bool is_recording_decided = false;
  /// Null until somebody needs it.
  std::unique_ptr<CallExtras> extras;
  /// When the deleted call goes. Unset = it is not deleted.
  std::optional<Instant> delete_at;
  /// The keys and flags of its requests that had no effect, each once.
  std::vector<std::string> not_in_force;
  /// Unique among all calls of this process, and never used again.
  std::uint64_t serial = 0;
  /// Its place among the calls of `HealthWatch`, which sets it.
  std::size_t watch_place = 0;
  /// How many offers and answers were taken so far.
  std::uint32_t signals = 0;
  /// When `Lifetime` looks at the call again.
  Instant scheduled_at{};

  /// Gives the extras, and makes them first if there are none.
  CallExtras& ensure_extras() {
    if (!extras) extras = std::make_unique<CallExtras>();
    return *extras;
  }
  /// The session behind the call. Null if the rtpproxy protocol did not make it.
  [[nodiscard]] RtpproxySession* rtpproxy() const;
  /// The rules of the protocol that made it. Null for NG calls.
  [[nodiscard]] const CallPolicy* policy() const { return extras ? extras->policy.get() : nullptr; }
  /// The rules for the digits of all parties. Null = there are none.
  [[nodiscard]] DigitRules* digit_rules() const { return extras ? extras->digits.get() : nullptr; }
  /// The running recording. Null if the call is not recorded.
  [[nodiscard]] CallRecording* recording() const { return extras ? extras->recording.get() : nullptr; }
  /// The leg with this tag, label or branch. Null if there is none, or if the name is empty.
  [[nodiscard]] Leg* leg_by_tag(std::string_view tag) const;
  [[nodiscard]] Leg* leg_by_label(std::string_view label) const;
  [[nodiscard]] Leg* leg_by_branch(std::string_view branch) const;
  /// The leg that `leg` does offer/answer with, by its first media. Null if it has none.
  [[nodiscard]] Leg* partner_of(const Leg& leg) const;
  /// All legs with an offer/answer subscription to or from `leg`, each once, in the call's order.
  [[nodiscard]] std::vector<Leg*> associated(const Leg& leg) const;
  /// True if a media of `receiver` has an offer/answer subscription to one of `sender`.
  [[nodiscard]] bool subscribes(const Leg& receiver, const Leg& sender) const;
};

template <class Visit>
void MediaTransport::each_media(Visit visit) const {
  for (const auto& media : leg->medias) {
    if (media->via == this) visit(*media);
  }
}

/// What takes the place of the digits of a party: what its own rules say, else those of the call.
[[nodiscard]] DigitCover digit_cover(const Leg& leg);
/// How the audio of a party has to be processed for the sake of its digits. Nothing = it need not be: digits
/// pass, or are dropped.
[[nodiscard]] std::optional<DigitGuard> digit_guard(const Leg& leg);

/// True if all media of the call's parties passes from end to end, so that the relay can neither read nor
/// make any of it.
[[nodiscard]] bool is_end_to_end(const Call& call);

}  // namespace ferry
