// The model that both control protocols share: call, leg, media (design section 4). Control thread only.
#pragma once

#include "control/diagnose/explain.hpp"
#include "control/session/interfaces.hpp"
#include "control/session/media_dtls.hpp"
#include "control/session/media_extensions.hpp"
#include "control/session/media_ice.hpp"
#include "control/session/media_keys.hpp"
#include "control/session/peer_guard.hpp"
#include "control/session/peer_register.hpp"
#include "control/session/request.hpp"
#include "relay/core/recording.hpp"
#include "relay/worker/worker.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

struct Call;
struct ClassicSession;
struct Leg;
struct Media;

/// One local transport of a media: its ports, and what the worker was told last.
struct PortSet {
  TransportId transport;
  const LocalAddress* local = nullptr;
  UdpPort port;  // RTP; RTCP is the next one
  std::array<PortHandle, 2> handles;
  /// Remote endpoint of the other side that this set was made for: the same remote gets the same port
  /// (NG 7.2).
  Endpoint made_for;
  std::shared_ptr<TransportActivity> activity;
  std::shared_ptr<const TransportPlan> plan;
  /// The place of these ports among all ports that send to the same address (LAT-12); null while they send
  /// nowhere, and with ICE, which has consent.
  std::unique_ptr<PeerRegister::Member> peer;
  Endpoint barred;
  /// State to install the transport with, once.
  std::shared_ptr<const TransportSnapshot> restored;
  /// At the other addresses of the interface (ICE); the worker knows the first `told` of them.
  struct More {
    const LocalAddress* local = nullptr;
    UdpPort port;
    std::array<PortHandle, 2> handles;
  };
  std::vector<More> more;
  std::size_t told = 0;
  /// Rises when the peer must be learned anew (LAT-8a).
  std::uint32_t epoch = 0;
  std::uint32_t learned_signal = 0;
  /// DSCP octet of its own; else the call's.
  std::optional<std::uint8_t> tos;
  bool closed = false;
  /// The recording of the call hears it.
  bool tapped = false;
};

/// What signalling chose for the source rule of one media.
struct SourceRules {
  LatchPolicy policy = LatchPolicy::kSignalled;
  LearningAlgorithm algorithm = LearningAlgorithm::kRules;
  bool strict_source = false;
  bool handover = false;
  bool asymmetric = false;
  bool unidirectional = false;
};

enum class SubscriptionKind : std::uint8_t { kOfferAnswer, kPubSub };

/// The owner of the subscription receives what `source` sends.
struct Subscription {
  Media* source = nullptr;
  SubscriptionKind kind = SubscriptionKind::kOfferAnswer;
  /// This flow alone, by command.
  bool blocked = false;
  bool silenced = false;
  /// What is sent to `source` instead of what it sends.
  bool egress = false;
  /// RTCP that a subscriber sends back (flag `RTCP-mirror`).
  bool rtcp_only = false;
};

/// What few medias have.
struct MediaExtras {
  /// `a=label` that we made: a number, counted by `Call::next_label`.
  std::string label;
  /// Of a section of a subscription: the medias that it copies, or copied before they went away. The next
  /// `subscribe request` of the same party finds its sections by them.
  std::vector<MediaId> copies;
  /// State of its ports when they were closed.
  std::vector<std::unique_ptr<TransportSnapshot>> last;
  /// Packet time to show this party in answers, ms; 0 = as the other side says.
  std::int64_t ptime = 0;
  /// Ports of another call on the same worker that send copies of this media.
  struct Feed {
    std::uint64_t call = 0;  // its serial number
    TransportId via;
    MediaId to;
  };
  std::vector<Feed> feeds;
  /// Addresses of its last SDP, and of fragments since, that are never sent to (LAT-11a).
  std::vector<LeftOutPeer> left_out;
  /// Codecs that the last offer to it, or a later answer to it, wanted the relay to transcode, as the script
  /// wrote them; `always-transcode` and `force-transcoding` stand for themselves. Nobody makes them: it is
  /// what `explain` says of two parties without a codec in common. Empty by default.
  std::vector<std::string> unmade_codecs;
};

/// What offers and answers say about one media. While an offer waits for its answer a media has two of them:
/// what is proposed, and what was agreed before and stays in force (LAT-15).
struct MediaTerms {
  std::string type;
  std::string mid;
  std::string protocol;  // as printed to and used with this leg
  const LogicalInterface* interface = nullptr;
  AddressFamily family = AddressFamily::kIpv4;
  TransportKind kind = TransportKind::kRtp;
  bool is_video = false;

  /// From this leg's SDP; unset before it came.
  Endpoint remote_rtp;
  Endpoint remote_rtcp;
  bool remote_known = false;
  /// When this leg was offered what it has not answered yet (LAT-14); unset: it owes no answer.
  Instant awaited_since{};
  bool rejected = false;
  bool may_send = true;
  bool may_receive = true;
  bool reduced_size_rtcp = false;

  // rtcp-mux (NG 7.6)
  bool mux_offered_by_peer = false;
  bool mux_offered_to_peer = false;
  bool mux_used = false;
  bool mux_accept = false;
  bool mux_reject = false;

  /// Payload types the peer may send, from the SDP that was shown to it (DMX-4).
  std::vector<PayloadEntry> payloads;
  /// Those of the last SDP alone, by number, and those of earlier ones that it has no more.
  std::bitset<128> shown;
  std::bitset<128> earlier;
  /// Types of this leg's own last SDP that the script took out before the other side saw it; and whether it
  /// took any out of the last SDP that this leg was shown (DMX-4).
  std::bitset<128> removed_types;
  bool has_fewer_codecs = false;
  RateLimit rate;
  SourceRules rules;
  /// Not shown to the far side (`sdp-media-remove`): answered as rejected.
  bool hidden = false;
  bool wait_for_peer = false;
  /// What it sends is to be re-packetized to this packet time, ms; 0 = as it comes (classic protocol).
  std::uint16_t ptime_ms = 0;
  /// Its SDP had the unspecified address (classic protocol).
  bool is_on_hold = false;
  /// The last command about its SDP listed payload types: its media is RTP (classic protocol).
  bool lists_types = false;
  /// It made an offer after the session had been answered, without a list of payload types (classic
  /// protocol).
  bool offered_unlisted = false;
};

/// What was agreed about a media before the offer that waits for its answer.
struct AgreedTerms : MediaTerms {
  /// Where the party's signalling came from when that was agreed.
  IpAddress received_from;
  /// Null: without ICE.
  std::unique_ptr<MediaIce> ice;
};

/// One m-line of one leg. Its own terms are the newest ones, which SDP and replies speak of.
struct Media : MediaTerms {
  Call* call = nullptr;
  Leg* leg = nullptr;
  MediaId id;
  unsigned index = 0;  // from 1

  /// Both sides have said what they want of it, in an offer and its answer: a later offer is a proposal.
  bool is_exchanged = false;
  /// In force instead of the newest terms while an offer waits for its answer; null = the newest terms are.
  std::unique_ptr<AgreedTerms> agreed;
  /// An offer of a party that had agreed on something made it and is not answered yet; it goes with that
  /// offer.
  bool is_proposed = false;
  /// Port sets in the order they were made; `active` is the one shown in SDP.
  std::vector<PortSet> ports;
  std::size_t active = 0;
  /// The port set that packets leave from until the peer knows of `active`.
  std::size_t sending = 0;
  bool answered = false;
  bool encrypted = false;  // by the last answer
  /// The profile of the last answer has no feedback (RTP/AVP, RTP/SAVP).
  bool is_without_feedback = false;
  bool untouched = false;  // `message`: not relayed
  /// Shown in query for the answering side, with or without ICE (NG section 14).
  bool ice_controlling = false;

  MediaEcho echo = MediaEcho::kOff;  // kBlackhole, or kForward for "what comes goes back"
  bool pierce = false;
  std::unique_ptr<MediaExtras> extras;
  /// Of encrypted media, and of media that may become so.
  std::unique_ptr<MediaKeys> keys;
  /// Of media that DTLS may key.
  std::unique_ptr<MediaDtls> dtls;
  std::unique_ptr<MediaIce> ice;
  /// Of media whose party or far side spoke of header extensions.
  std::unique_ptr<MediaExtensions> extensions;

  std::vector<Subscription> subscriptions;

  /// Receives and never sends: a subscriber, a copy. It keeps no call alive, and nobody counts it as a peer
  /// that should speak (LAT-12 b).
  [[nodiscard]] bool only_listens() const;
  MediaExtras& made_extras() {
    if (!extras) extras = std::make_unique<MediaExtras>();
    return *extras;
  }
  /// Those of its new SDP.
  void note_left_out(std::vector<LeftOutPeer> peers);
  /// Null if every address was taken.
  [[nodiscard]] const std::vector<LeftOutPeer>* left_out() const {
    return extras && !extras->left_out.empty() ? &extras->left_out : nullptr;
  }
  MediaKeys& made_keys() {
    if (!keys) keys = std::make_unique<MediaKeys>();
    return *keys;
  }
  MediaDtls& made_dtls() {
    if (!dtls) dtls = std::make_unique<MediaDtls>();
    return *dtls;
  }
  MediaIce& made_ice() {
    if (!ice) ice = std::make_unique<MediaIce>();
    return *ice;
  }
  [[nodiscard]] const MediaTerms& in_force() const {
    return agreed ? static_cast<const MediaTerms&>(*agreed) : *this;
  }
  /// Null if there is none.
  [[nodiscard]] MediaIce* ice_in_force() const { return agreed ? agreed->ice.get() : ice.get(); }
  [[nodiscard]] std::size_t ports_in_force() const { return agreed ? sending : active; }
  MediaExtensions& made_extensions() {
    if (!extensions) extensions = std::make_unique<MediaExtensions>();
    return *extensions;
  }
  [[nodiscard]] bool has_ice() const { return ice && ice->in_use; }
  [[nodiscard]] bool is_keyed_by_dtls() const { return dtls && dtls->in_use; }
  /// Its packets are SRTP, with or without keys so far. What was answered stays until the next answer.
  [[nodiscard]] bool is_encrypted() const;
  /// RTCP feedback may be sent to it (RTC-3). What was answered stays until the next answer.
  [[nodiscard]] bool takes_feedback() const;
  /// An answer came: what its SDP says of keys and of the profile is in force.
  void settle_encryption();
  [[nodiscard]] PortSet* active_ports() { return active < ports.size() ? &ports[active] : nullptr; }
  [[nodiscard]] const PortSet* active_ports() const {
    return active < ports.size() ? &ports[active] : nullptr;
  }
  /// Where the port is that the party was shown last; null if it has none.
  [[nodiscard]] const LocalAddress* local() const {
    return active_ports() != nullptr ? active_ports()->local : nullptr;
  }
  /// The agreed ones; null if it has none.
  [[nodiscard]] const PortSet* used_ports() const {
    return ports_in_force() < ports.size() ? &ports[ports_in_force()] : nullptr;
  }
  [[nodiscard]] const PortSet* sending_ports() const {
    return sending < ports.size() ? &ports[sending] : nullptr;
  }
};

/// What `o=` and `s=` toward one leg must go on with (NG section 8).
struct OriginMemory {
  std::string username;
  std::string session_name;
  IpAddress address;
  std::optional<std::uint64_t> version;
  std::size_t body_hash = 0;
  /// Of a party that one-party commands speak with: user name, session id, address type and address of `o=`
  /// in its first SDP, with blanks between them; empty for others.
  std::string identity;
};

/// Digits of one party that control the recording.
struct RecordingCodes {
  RecordingDigits digits;
  std::string pressed;
};

/// What words of offers chose for one party and later offers go on with (NG section 9.5). An offer to the
/// party sets them; an offer with other words changes them.
struct KeptWishes {
  /// Before the party has answered: `ICE=force` or `ICE=remove`. Afterwards the ICE that it uses counts.
  IceWishes::Offer ice = IceWishes::Offer::kAsOffered;
  bool sdes_off = false;
  bool dtls_off = false;
  bool operator==(const KeptWishes&) const = default;
};

/// An offer of the party that ended without its answer. An answer that comes all the same is to it.
struct LapsedOffer {
  std::string sdp;
  std::vector<unsigned> section_order;
};

/// What few legs have.
struct LegExtras {
  std::string label;
  std::string metadata;
  /// Digits that switch the DTMF mode (key `trigger`); empty = none.
  std::string dtmf_trigger;
  /// It is left out of recordings (flag `exclude-recording`).
  bool unrecorded = false;
  std::unique_ptr<RecordingCodes> vsc;
  KeptWishes kept;
  /// `create` made it, so that another `create` offers to it again.
  bool by_create = false;
  /// Null: its last offer was answered, or still waits.
  std::unique_ptr<LapsedOffer> lapsed;
};

/// One tag of the call.
struct Leg {
  Call* call = nullptr;
  std::string tag;  // empty = not known yet
  std::vector<std::string> aliases;
  std::string via_branch;
  std::int64_t created_unix = 0;
  unsigned number = 0;  // unique in the call; names untagged legs
  IpAddress received_from;
  bool final_response = false;
  bool from_offer_answer = true;
  // Everything this leg sends, by command.
  bool blocked = false;
  bool silenced = false;
  bool events_blocked = false;
  /// Which of the call's ids the leg came under: 0 = the first, else index + 1 of `CallExtras::other_ids`.
  std::uint8_t id_index = 0;
  std::unique_ptr<LegExtras> extras;
  /// The last SDP this leg sent; the answer to it is filtered by it.
  std::string last_sdp;
  /// Made when a `replace` word asks for it.
  std::unique_ptr<OriginMemory> origin;
  std::vector<std::unique_ptr<Media>> medias;
  /// Order of this leg's own last m-lines.
  std::vector<unsigned> section_order;
  std::optional<Instant> delete_at;

  LegExtras& made_extras() {
    if (!extras) extras = std::make_unique<LegExtras>();
    return *extras;
  }
  [[nodiscard]] std::string_view label() const {
    return extras ? std::string_view(extras->label) : std::string_view();
  }
  [[nodiscard]] std::string_view metadata() const {
    return extras ? std::string_view(extras->metadata) : std::string_view();
  }
  [[nodiscard]] KeptWishes kept() const { return extras ? extras->kept : KeptWishes{}; }
  [[nodiscard]] LapsedOffer* lapsed_offer() const { return extras ? extras->lapsed.get() : nullptr; }
  [[nodiscard]] std::string_view dtmf_trigger() const {
    return extras ? std::string_view(extras->dtmf_trigger) : std::string_view();
  }
  /// Of a tag it is called by: those that shared the branch, in the order in which they came.
  [[nodiscard]] std::uint32_t number_of(std::string_view name) const {
    return static_cast<std::uint32_t>(std::find(aliases.begin(), aliases.end(), name) - aliases.begin());
  }
  [[nodiscard]] bool is_called(std::string_view name) const {
    return !name.empty() && (tag == name || std::find(aliases.begin(), aliases.end(), name) != aliases.end());
  }
};

/// An offer between parties that had agreed on something, which waits for its answer (LAT-15).
struct Proposal {
  Leg* offerer = nullptr;
  Leg* answerer = nullptr;
  /// When it ends without an answer; the latest instant there is if an earlier one must end it.
  Instant until{};
  /// The offerer's SDP, and the order of its sections, before it.
  std::string former_sdp;
  std::vector<unsigned> former_order;
};

/// What few calls have.
struct CallExtras {
  /// Ids of calls that were merged into this one.
  std::vector<std::string> other_ids;
  std::string dtmf_log_destination;
  std::string xmlrpc_callback;
  IpAddress client;
  std::unique_ptr<CallRecording> recording;
  /// The newest offer or answer that was not taken, if none was taken since.
  std::optional<RefusedMessage> refused;
  /// How it was when it was deleted: afterwards its parties fall silent.
  std::unique_ptr<Explanation> at_deletion;
  /// Of a call that the classic protocol made.
  std::unique_ptr<ClassicSession> classic;
  CallExtras();
  ~CallExtras();
};

/// One Call-ID, or several after a merge.
struct Call {
  std::string id;
  std::size_t worker = 0;
  WallTime created{};
  Instant created_at{};
  std::int64_t last_signal_unix = 0;
  Instant last_signal{};
  /// Last command or message that changed who hears whom; a peer is shown as confirmed by a packet after it.
  Instant touched{};
  std::string metadata;
  std::vector<std::unique_ptr<Leg>> legs;
  /// Offers without an answer so far; a leg has part in one at most.
  std::vector<Proposal> proposals;
  unsigned next_leg = 1;
  /// `a=label` of the next section of a subscription; a call counts its labels from 0.
  unsigned next_label = 0;
  std::uint8_t tos = 0;
  /// Chosen by a request of the call; unset = the daemon's default.
  std::optional<LatchPolicy> latch;
  std::optional<LearningAlgorithm> learning;
  std::optional<bool> strict_payload_types;
  /// Sections of protocols that nobody knows to be spoken over UDP are relayed (DMX-6).
  bool passthrough_unknown = false;
  bool answered = false;
  // Everything in the call, by command or key.
  bool blocked = false;
  bool silenced = false;
  bool events_blocked = false;
  bool drop_traffic = false;
  /// Its events are logged whatever the rate and the level.
  bool debug = false;
  /// Recorded now or before, or told not to be: `record-all` leaves it alone.
  bool is_recording_decided = false;
  std::unique_ptr<CallExtras> extras;
  std::optional<Instant> delete_at;
  /// Keys and flags of its requests that had no effect.
  std::vector<std::string> not_in_force;
  std::uint64_t serial = 0;
  /// Place among the calls of the `HealthWatch`, which sets it.
  std::size_t watch_place = 0;
  /// Number of offers and answers so far.
  std::uint32_t signals = 0;
  /// When the sweep looks at the call again.
  Instant scheduled_at{};

  CallExtras& made_extras() {
    if (!extras) extras = std::make_unique<CallExtras>();
    return *extras;
  }
  /// Null if it was not made by the classic protocol.
  [[nodiscard]] ClassicSession* classic() const { return extras ? extras->classic.get() : nullptr; }
  /// Null if it is not recorded.
  [[nodiscard]] CallRecording* recording() const { return extras ? extras->recording.get() : nullptr; }
  [[nodiscard]] Leg* leg_by_tag(std::string_view tag) const;
  [[nodiscard]] Leg* leg_by_label(std::string_view label) const;
  [[nodiscard]] Leg* leg_by_branch(std::string_view branch) const;
  /// The leg this one does offer/answer with, by its first media.
  [[nodiscard]] Leg* partner_of(const Leg& leg) const;
  /// All legs with an offer/answer subscription to or from `leg`, each once, in order.
  [[nodiscard]] std::vector<Leg*> associated(const Leg& leg) const;
  [[nodiscard]] bool subscribes(const Leg& receiver, const Leg& sender) const;
};

}  // namespace ferry
