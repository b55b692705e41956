// A signalling request as the session layer understands it, whatever protocol it came by.
#pragma once

#include "control/sdp/codec_list.hpp"
#include "control/sdp/edit.hpp"
#include "control/sdp/sdes.hpp"
#include "control/session/refusal.hpp"
#include "control/value/value.hpp"
#include "relay/base/address.hpp"
#include "relay/base/fingerprint.hpp"
#include "relay/core/latch/latch.hpp"

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// Words of the `flags` list that change what is done (NG reference, section 10).
enum class Flag : std::uint8_t {
  kTrustAddress,
  kSipSourceAddress,
  kAsymmetric,
  kUnidirectional,
  kStrictSource,
  kMediaHandover,
  kPortLatching,
  kNoPortLatching,
  kToTag,
  kFatal,
  kFast,
  kDirectional,
  kAll,
  kNewBranch,
  kProvisional,
  kNoRtcpAttribute,
  kFullRtcpAttribute,
  kOriginalSendrecv,
  kLoopProtect,
  kGenerateMid,
  kFragment,
  kReset,
  kStripExtmap,
  kAllowNoCodecMedia,
  kSingleCodec,
  kSiprec,
  kMix,
  kRtcpMirror,
  kInactive,
  kBidirectional,
  kEgress,
  kUnsubscribe,
  kAllowTranscoding,
  kBlockDtmf,
  kDetectDtmf,
  kRecrypt,
  kNatWait,
  kPierceNat,
  kDebug,
  kPauseRecording,
  kDiscardRecording,
  kExcludeRecording,
  kRecordingVsc,
  kStrictPayloadTypes,
  kCount,
};
using Flags = std::bitset<static_cast<std::size_t>(Flag::kCount)>;

/// Words of `replace` (NG reference, section 11).
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

enum class RtcpMux : std::uint8_t { kOffer, kRequire, kDemux, kAccept, kReject, kCount };
using RtcpMuxes = std::bitset<static_cast<std::size_t>(RtcpMux::kCount)>;

template <class Set, class Word>
[[nodiscard]] bool has(const Set& set, Word word) {
  return set.test(static_cast<std::size_t>(word));
}

/// Value of `all`, or of the flag of that name.
enum class AllParties : std::uint8_t { kNone, kAll, kOfferAnswer, kExceptOfferAnswer, kFlows };

enum class AliasKey : std::uint8_t { kOff, kSdp, kAddress };

/// What happens to media instead of being relayed (key `media echo`).
enum class MediaEcho : std::uint8_t { kOff, kBlackhole, kForward, kBackwards, kBoth };

/// Key `SDES` and its flags (NG 9.4).
struct Sdes {
  sdp::SdesPolicy policy;
  sdp::CryptoStyle style;
  /// Suites for the offerer's leg, in order of preference.
  std::vector<std::string> for_offerer;
  /// The offerer's leg keeps its suite if it is offered again.
  bool keeps_suite = false;
  /// Before DTLS, where both are there.
  bool is_preferred = false;
};

/// Keys `DTLS` and `DTLS-fingerprint`, flag `no-tls-id` (NG 9.3).
struct DtlsWishes {
  /// In an offer: not offered to the receiver. In an answer: taken from neither side.
  bool off = false;
  /// Wait for the offerer where it leaves the choice; unset = as before.
  std::optional<bool> passive;
  std::optional<FingerprintHash> hash;
  bool no_tls_id = false;
};

/// Key `OSRTP`: encryption on a plain profile if the peer can (RFC 8643).
struct Osrtp {
  bool offer = false;
  /// By an encrypted section beside each plain one, instead of keys on a plain profile.
  bool offer_doubled = false;
  /// Whatever the answerer made of its own offer.
  bool accept = false;
  bool accept_doubled = false;
};

/// Key `ICE` and its flags (NG 9.5).
struct IceWishes {
  enum class Offer : std::uint8_t { kAsOffered, kNever, kAlways };
  Offer offer = Offer::kAsOffered;
  bool trickles = false;
  /// The offerer's ICE is not taken.
  bool is_refused = false;
};

enum class RecordCall : std::uint8_t { kUnsaid, kYes, kNo, kDiscard };

/// What digits that a party presses do to the recording (keys `vsc-…`).
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
/// Digits by action; empty = none.
using RecordingDigits = std::array<std::string, kRecordingActions>;

/// The action of a key or option `vsc-start-rec` and the like, in any of their spellings.
[[nodiscard]] std::optional<RecordingAction> recording_action(std::string_view name) noexcept;

enum class SipMessage : std::uint8_t { kUnknown, kRequest, kReply };

struct Request {
  std::string command;
  // A missing string key and an empty one differ.
  std::optional<std::string> call_id;
  std::optional<std::string> from_tag;
  std::optional<std::string> to_tag;
  std::optional<std::string> sdp;
  std::string via_branch;
  std::string label;
  std::string set_label;
  std::string to_label;
  /// Selects the party whose first media advertised this address.
  std::string address;
  AllParties all = AllParties::kNone;
  AliasKey alias_key = AliasKey::kOff;
  std::vector<std::string> from_tags;
  std::optional<std::string> to_call_id;
  std::optional<std::string> source_tag;
  std::optional<std::string> source_call_id;
  /// `calls`, `tags`, `media`/`medias`, `body`, `instance` as they came; their commands read them.
  Value calls;
  Value tags;
  Value medias;
  std::optional<std::string> body;
  std::string instance;
  std::string xmlrpc_callback;
  /// start forwarding: where to, `udp:ADDRESS:PORT`.
  std::string destination;
  /// block DTMF: digits that switch it.
  std::string dtmf_trigger;
  /// The client leaves its flags to us (`rtpp-flags`): `to-tag` counts only if its words say so.
  bool by_rtpp_flags = false;
  std::string dtmf_log_destination;
  std::string metadata;
  RecordCall record = RecordCall::kUnsaid;
  std::string recording_file;
  std::string recording_dir;
  std::string recording_pattern;
  RecordingDigits recording_codes;
  /// Key of `stop recording`.
  bool pause = false;

  Flags flags;
  Replaces replaces;
  RtcpMuxes rtcp_mux;
  std::optional<IpAddress> received_from;
  std::optional<IpAddress> media_address;
  AddressFamily address_family = AddressFamily::kNone;
  /// Logical interface of the sender's side and of the receiver's; empty = as it was, or the default.
  std::string sender_interface;
  std::string receiver_interface;
  std::string transport_protocol;
  Sdes sdes;
  Osrtp osrtp;
  DtlsWishes dtls;
  IceWishes ice;
  /// Interface of the only party of publish, subscribe request, create, transform.
  std::string interface;
  // Peers whose route chooses the interface.
  std::optional<IpAddress> inbound_peer;
  std::optional<IpAddress> outbound_peer;

  sdp::CodecOperations codecs;
  sdp::AttributeEdits sdp_attr;
  /// Types of sections hidden from the far side; `other` = types nobody knows.
  std::vector<std::string> media_remove;
  std::vector<std::string> extmap_strip;  // URIs or `all`
  std::vector<std::string> extmap_mask;
  std::optional<std::int64_t> ptime;
  std::optional<std::int64_t> ptime_reverse;
  std::optional<bool> drop_traffic;
  std::optional<MediaEcho> echo;
  std::optional<LatchPolicy> latch;
  /// Key `strict-payload-types`; unset = as the interface and the daemon have it.
  std::optional<bool> strict_payload_types;
  /// Key or flag `passthrough-unknown`; unset = as an earlier request of the call said.
  std::optional<bool> passthrough_unknown;
  std::optional<LearningAlgorithm> learning;
  std::optional<int> tos;
  std::optional<std::int64_t> delete_delay_s;
  std::optional<std::int64_t> limit;
  SipMessage sip_message = SipMessage::kUnknown;
  std::int64_t sip_code = 0;
  bool supports_load_limit = false;

  /// Who sent the request.
  IpAddress client;

  /// Keys and flags that are understood but belong to a capability this build does not have.
  std::vector<std::string> not_in_force;
  std::vector<std::string> unknown_keys;
  std::vector<std::string> unknown_flags;
  /// The only problems of options that refuse a request (NG section 3); empty = none.
  std::string option_error;

  [[nodiscard]] bool has_flag(Flag flag) const { return has(flags, flag); }
};

/// Why a request was refused; the text is what clients compare (NG reference, section 3).
struct RequestError {
  std::string text;
  /// The reply carries an empty `sdp`.
  bool with_empty_sdp = false;
  /// Answer with `result` = `load limit` and this message instead of an error.
  bool load_limit = false;
  /// The side has no local address of the IP version that its SDP names.
  bool wrong_family = false;
  /// What really happened, where `text` is one of those that clients compare; empty = `text` says it.
  std::string cause = {};
  /// For the log, metrics and explanations; the reply does not have it.
  RefusalReason refusal = RefusalReason::kOther;
  [[nodiscard]] const std::string& reason() const { return cause.empty() ? text : cause; }
};
inline RequestError error(std::string text) { return {std::move(text), false, false}; }
inline RequestError error(RefusalReason refusal, std::string text) {
  RequestError made = error(std::move(text));
  made.refusal = refusal;
  return made;
}
/// The reply `text` of a command that failed as a part of it was refused: that one's reason stands beside.
inline RequestError because(std::string text, const RequestError& part) {
  RequestError made = error(part.refusal, std::move(text));
  made.cause = part.reason();
  return made;
}

/// The text at which proxies try another relay, whatever limit it is.
inline constexpr std::string_view kLimitText = row_of(RefusalReason::kSessions).text;
/// The reply to a new call that a limit keeps out: the proxy reads `kLimitText` unless it announced that it
/// knows `load limit`, and the limit itself beside.
inline RequestError limit_error(RefusalReason limit, bool knows_load_limit) {
  const std::string_view text = row_of(limit).text;
  RequestError made = error(limit, std::string(knows_load_limit ? text : kLimitText));
  made.load_limit = knows_load_limit;
  if (made.text != text) made.cause = text;
  return made;
}

}  // namespace ferry
