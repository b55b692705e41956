// A signalling request as the session layer understands it, whatever protocol it came by.
#pragma once

#include "relay/base/address.hpp"
#include "relay/core/latch/latch.hpp"

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
  std::string metadata;

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
  std::optional<LatchPolicy> latch;
  std::optional<LearningAlgorithm> learning;
  std::optional<int> tos;
  std::optional<std::int64_t> delete_delay_s;
  std::optional<std::int64_t> limit;
  SipMessage sip_message = SipMessage::kUnknown;
  std::int64_t sip_code = 0;
  bool supports_load_limit = false;

  /// Keys and flags that are understood but belong to a capability this build does not have.
  std::vector<std::string> not_in_force;
  std::vector<std::string> unknown_keys;
  std::vector<std::string> unknown_flags;

  [[nodiscard]] bool has_flag(Flag flag) const { return has(flags, flag); }
};

/// Why a request was refused; the text is what clients compare (NG reference, section 3).
struct RequestError {
  std::string text;
  /// The reply carries an empty `sdp`.
  bool with_empty_sdp = false;
  /// Answer with `result` = `load limit` and this message instead of an error.
  bool load_limit = false;
};

}  // namespace ferry
