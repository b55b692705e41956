// SPDX-License-Identifier: Apache-2.0
// A signalling request, as commands understand it. The protocols fill it, each from its own words. Plain
// values.
#pragma once

#include "control/request/fault.hpp"
#include "control/request/fax_wishes.hpp"
#include "control/request/wish_list.hpp"
#include "control/request/wishes_about_sound.hpp"
#include "control/sdp/codec_list.hpp"
#include "control/sdp/edit.hpp"
#include "control/sdp/sdes.hpp"
#include "relay/base/address.hpp"
#include "relay/core/dtls/fingerprint.hpp"
#include "relay/core/latch/latch.hpp"

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// Words of the `flags` list that change what is done (docs/reference/ng.md#flags). Each has the spelling of
/// its flag.
enum class Flag : std::uint8_t {
  // Where the party is, and which source is heard.
  kTrustAddress,
  kSipSourceAddress,
  kAsymmetric,
  kUnidirectional,
  kStrictSource,
  kMediaHandover,
  // Which local port the party is shown.
  kPortLatching,
  kNoPortLatching,
  // Whom a deletion or a one-party command means, and how.
  kToTag,
  kFatal,
  kFast,
  kDirectional,
  kAll,
  // Which branch an answer is of, and whether it is final.
  kNewBranch,
  kProvisional,
  // How the SDP is written.
  kNoRtcpAttribute,
  kFullRtcpAttribute,
  kOriginalSendrecv,
  kLoopProtect,
  kGenerateMid,
  // A trickle ICE fragment; forgetting what was used before.
  kFragment,
  kReset,
  kStripExtmap,
  // Header extensions and codecs.
  kAllowNoCodecMedia,
  kSingleCodec,
  kReuseCodecs,
  kStaticCodecs,
  kForceTranscoding,
  kAllowAsymmetricCodecs,
  // Subscriptions and flows.
  kSiprec,
  kMix,
  kRtcpMirror,
  kInactive,
  kBidirectional,
  kEgress,
  kUnsubscribe,
  kAllowTranscoding,
  // DTMF, keys, NAT, log.
  kBlockDtmf,
  kDetectDtmf,
  kInjectDtmf,
  kBlockEgress,
  kRecrypt,
  kNatWait,
  kPierceNat,
  kDebug,
  // Recording, payload types.
  kPauseRecording,
  kDiscardRecording,
  kExcludeRecording,
  kRecordingVsc,
  kStrictPayloadTypes,
  kCount,
};
using Flags = std::bitset<static_cast<std::size_t>(Flag::kCount)>;

/// Words of `replace`: which lines of the SDP the relay replaces by its own (docs/reference/ng.md#replace).
enum class Replace : std::uint8_t {
  kOrigin,
  kSessionConnection,
  kSdpVersion,
  kUsername,
  kSessionName,
  kZeroAddress,
  kForceIncrementVersion,
  kCount,
};
using Replaces = std::bitset<static_cast<std::size_t>(Replace::kCount)>;

/// Words of `rtcp-mux` (RFC 5761, docs/reference/ng.md#rtcp-mux).
enum class RtcpMux : std::uint8_t { kOffer, kRequire, kDemux, kAccept, kReject, kCount };
using RtcpMuxes = std::bitset<static_cast<std::size_t>(RtcpMux::kCount)>;

/// Words of `bundle` (RFC 9143, docs/reference/ng.md#bundle). The first two are about the sender of the SDP,
/// the others about its receiver.
enum class Bundle : std::uint8_t { kAccept, kReject, kOffer, kRequire, kStrict, kCount };
using Bundles = std::bitset<static_cast<std::size_t>(Bundle::kCount)>;

/// True if a set has the word.
template <class Set, class Word>
[[nodiscard]] bool has(const Set& set, Word word) {
  return set.test(static_cast<std::size_t>(word));
}

/// Which parties or flows a command means: key `all`, or the flag of that name.
enum class AllParties : std::uint8_t { kNone, kAll, kOfferAnswer, kExceptOfferAnswer, kFlows };

/// How an offer under a new tag finds the party that made it before (key `alias-key`): by the same SDP, or by
/// the same address.
enum class AliasKey : std::uint8_t { kOff, kSdp, kAddress };

/// What happens to packets instead of relaying them (key `media echo`): kBlackhole drops them. The others
/// send them back to the receiver of the offer, to its sender, or to both.
enum class MediaEcho : std::uint8_t { kOff, kBlackhole, kForward, kBackwards, kBoth };

/// Wishes about SDES: key `SDES` and its flags (docs/reference/ng.md#sdes).
struct Sdes {
  /// Suites that are allowed.
  sdp::SdesPolicy policy;
  /// How lines of ours are written.
  sdp::CryptoStyle style;
  /// Suites for the offerer's leg, in order of preference. Empty = as the policy has it.
  std::vector<std::string> for_offerer;
  /// True if the offerer's leg keeps its suite when it is offered again (word `static`).
  bool keeps_suite = false;
  /// True if SDES comes before DTLS when both are offered (word `prefer`).
  bool is_preferred = false;
};

/// Wishes about DTLS: keys `DTLS` and `DTLS-fingerprint`, flag `no-tls-id` (docs/reference/ng.md#dtls).
struct DtlsWishes {
  /// In an offer: DTLS is not offered to the receiver. In an answer: it is taken from neither side.
  bool off = false;
  /// True if the relay waits for an offerer that leaves the choice to it. Unset = as before.
  std::optional<bool> passive;
  /// The hash of the fingerprint that is shown; unset = as before.
  std::optional<FingerprintHash> hash;
  /// True if no `a=tls-id` is shown.
  bool no_tls_id = false;
};

/// Key `OSRTP`: encryption on a plain profile if the peer can (RFC 8643). All are false by default.
struct Osrtp {
  /// The receiver is offered keys on a plain profile.
  bool offer = false;
  /// The receiver is offered an encrypted section beside each plain one instead (word `offer-legacy`).
  bool offer_doubled = false;
  /// The offerer's keys are taken, whatever the answerer made of its own offer.
  bool accept = false;
  /// The same for an offer with two sections (word `accept-legacy`).
  bool accept_doubled = false;
};

/// Wishes about ICE: key `ICE` and its flags (docs/reference/ng.md#ice).
struct IceWishes {
  /// Whether the receiver is offered ICE: if the offer has it, never, or always. kBeside and kRelayed leave
  /// the ICE, the keys and the addresses of the parties as they are and add candidates of the relay, which
  /// then passes on what comes there unread: below all others (word `optional`), or as the only relayed ones
  /// (word `force-relay`). An offer without ICE gets that of the relay with kBeside, and none with kRelayed.
  enum class Offer : std::uint8_t { kAsOffered, kNever, kAlways, kBeside, kRelayed };
  Offer offer = Offer::kAsOffered;
  /// True if our offer says that we trickle (RFC 8840).
  bool trickles = false;
  /// True if our offer says that our ICE is that of RFC 8445 (option `ice2`).
  bool says_ice2 = false;
  /// Whether the relay is a lite agent (RFC 8445 §2.5) toward the receiver, and toward the sender. Unset = as
  /// earlier offers said; without one it is a full agent.
  std::optional<bool> is_lite_to_receiver;
  std::optional<bool> is_lite_to_sender;
  /// True if the offerer's ICE is not taken.
  bool is_refused = false;
};

/// Key `record-call`.
enum class RecordCall : std::uint8_t { kUnsaid, kYes, kNo, kDiscard };

/// What digits that a party presses do to the recording (keys `vsc-…`): kPauseResume and the like switch to
/// and fro.
enum class RecordingAction : std::uint8_t {
  kStart,
  kStop,
  kPause,
  kStartStop,
  kPauseResume,
  kStartPauseResume,
  kCount
};
constexpr std::size_t kRecordingActions = static_cast<std::size_t>(RecordingAction::kCount);
/// Digits by action. Empty = none.
using RecordingDigits = std::array<std::string, kRecordingActions>;

/// The action of a key or option `vsc-start-rec` and the like, in any of their spellings. Nothing if it is
/// none.
[[nodiscard]] std::optional<RecordingAction> recording_action(std::string_view name) noexcept;

/// What SIP message the request belongs to (key `sip-message-type`).
enum class SipMessage : std::uint8_t { kUnknown, kRequest, kReply };

/// One request. Empty, zero or unset members were not asked for, unless their comment says otherwise.
struct Request {
  /// What to do: `offer`, `answer`, `delete` and so on.
  std::string command;
  // A missing text and an empty one differ here.
  /// Key of the call.
  std::optional<std::string> call_id;
  /// Tags of two parties. In offers and answers `from_tag` is the offerer; elsewhere it selects the party.
  std::optional<std::string> from_tag;
  std::optional<std::string> to_tag;
  /// The SDP, as it came.
  std::optional<std::string> sdp;
  /// Key of a branch of a forked call.
  std::string via_branch;
  /// Keys `label` (or `from-label`), `set-label` and `to-label`: they name the party, give it a name, and
  /// name the second party.
  std::string label;
  std::string set_label;
  std::string to_label;
  /// Selects the party whose first media advertised this address.
  std::string address;
  /// Which parties or flows the command means.
  AllParties all = AllParties::kNone;
  AliasKey alias_key = AliasKey::kOff;
  /// `subscribe request`: the parties to copy.
  std::vector<std::string> from_tags;
  /// `connect`: the other call.
  std::optional<std::string> to_call_id;
  /// `inject`: the party whose audio is meant, and its call.
  std::optional<std::string> source_tag;
  std::optional<std::string> source_call_id;
  /// `mesh`: the calls that become one (key `calls`), and the flows to make (key `tags`).
  WishList<std::string> calls;
  WishList<WishedFlows> flows;
  /// `create`: sections of the offer. `transform`: streams. Both commands take them from the key `media`, or
  /// `medias`.
  WishList<WishedSection> sections;
  WishList<WishedStream> streams;
  /// `cli`: the command line (key `body`).
  std::optional<std::string> body;
  /// `transform`: the loop mark of the relay that asks (key `instance`). Empty = not given.
  std::string instance;
  /// Who is told of a time-out, as an address. Empty = as configured.
  std::string xmlrpc_callback;
  /// `start forwarding`: where to, as `udp:ADDRESS:PORT`.
  std::string destination;
  /// True if the client leaves its flags to the relay (`rtpp-flags`). `to-tag` then counts only if the words
  /// say so.
  bool by_rtpp_flags = false;
  /// Where DTMF events of the call go, as `address:port`. Empty = as configured.
  std::string dtmf_log_destination;
  /// Text that the party and the call keep.
  std::string metadata;
  /// Whether the call is recorded from now on.
  RecordCall record = RecordCall::kUnsaid;
  /// Path, folder and name pattern of the recording. Empty = as configured.
  std::string recording_file;
  std::string recording_dir;
  std::string recording_pattern;
  /// Digits that control the recording.
  RecordingDigits recording_codes;
  /// `stop recording`: it pauses instead.
  bool pause = false;

  /// `play media`.
  PlayWish play;
  /// `play DTMF`.
  DigitWish digit;
  /// `block DTMF`; of other messages the delays alone.
  GuardWish guard;
  /// Key `audio-player`. Unset = as an earlier message said.
  std::optional<AudioPlayer> audio_player;
  /// Key `moh`. Unset = the message has none.
  std::optional<HoldMusicWish> hold_music;

  /// All words of the lists.
  Flags flags;
  Replaces replaces;
  RtcpMuxes rtcp_mux;
  Bundles bundle;
  /// The source of the SIP message, for the source rules.
  std::optional<IpAddress> received_from;
  /// The address that the SDP shows instead of the relay's own.
  std::optional<IpAddress> media_address;
  /// IP version of the receiver's side. kNone = as it was, or as in the SDP.
  AddressFamily address_family = AddressFamily::kNone;
  /// Logical interfaces of the sender's side and of the receiver's. Empty = as it was, or the default.
  std::string sender_interface;
  std::string receiver_interface;
  /// The protocol of m-lines toward the receiver, such as `RTP/SAVPF`. Empty = as in the SDP.
  std::string transport_protocol;
  Sdes sdes;
  Osrtp osrtp;
  DtlsWishes dtls;
  IceWishes ice;
  /// Interface of the only party of `publish`, `subscribe request`, `create` and `transform`.
  std::string interface;
  // Peers whose route chooses the interface of the sender's side and of the receiver's.
  std::optional<IpAddress> inbound_peer;
  std::optional<IpAddress> outbound_peer;

  /// Codecs to strip, mask, reorder and the like.
  sdp::CodecOperations codecs;
  /// Keys `T.38` and `T.38 version`.
  FaxWishes fax;
  /// Edits of lines of the SDP.
  sdp::AttributeEdits sdp_attr;
  /// Types of sections that are hidden from the far side. `other` = types that the relay does not know.
  std::vector<std::string> media_remove;
  /// Header extensions, as URIs or `all`: never negotiated; and accepted from the sender, hidden from the
  /// receiver.
  std::vector<std::string> extmap_strip;
  std::vector<std::string> extmap_mask;
  /// Packet times in ms toward the answerer and toward the offerer, in the SDP and in packets.
  std::optional<std::int64_t> ptime;
  std::optional<std::int64_t> ptime_reverse;
  /// Packet time in ms of what the sender of the message sends, toward the receiver (key `repacketize`).
  std::optional<std::int64_t> repacketize;
  /// Starts or stops dropping all media of the call.
  std::optional<bool> drop_traffic;
  /// What happens to packets instead of relaying.
  std::optional<MediaEcho> echo;
  /// Which sources may be learned in this call.
  std::optional<LatchPolicy> latch;
  /// Key `strict-payload-types`. Unset = as the interface and the daemon have it.
  std::optional<bool> strict_payload_types;
  /// Key or flag `passthrough-unknown`. Unset = as an earlier request of the call said.
  std::optional<bool> passthrough_unknown;
  /// Key or flag `generate-rtcp`. Unset = as an earlier request of the call said.
  std::optional<bool> generate_rtcp;
  /// How sources are learned in this call.
  std::optional<LearningAlgorithm> learning;
  /// DSCP octet of the call's packets. In offers a negative one keeps the octet; unset, or above 255, it goes
  /// back to the daemon's.
  std::optional<int> tos;
  /// `delete`: how long the call lives on, in s. Unset = as configured.
  std::optional<std::int64_t> delete_delay_s;
  /// `list`: the largest number of calls.
  std::optional<std::int64_t> limit;
  /// The SIP message that the request came with, and its response code; 0 = none.
  SipMessage sip_message = SipMessage::kUnknown;
  std::int64_t sip_code = 0;
  /// True if the client knows the result `load limit`.
  bool supports_load_limit = false;

  /// The address of the client that sent the request.
  IpAddress client;

  /// Keys and flags that are understood but have no effect, because this version lacks what they ask for.
  std::vector<std::string> not_in_force;
  /// Keys and flags that the relay does not know.
  std::vector<std::string> unknown_keys;
  std::vector<std::string> unknown_flags;
  /// The option that refuses the whole request (docs/reference/ng.md#errors). Unset = none does.
  std::optional<RequestFault> option_fault;

  [[nodiscard]] bool has_flag(Flag flag) const { return has(flags, flag); }
};

}  // namespace ferry
