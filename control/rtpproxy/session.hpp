// SPDX-License-Identifier: Apache-2.0
// What a session of the rtpproxy protocol knows besides its call (docs/reference/rtpproxy.md). Control thread
// only.
#pragma once

#include "control/call/call.hpp"
#include "control/call/session_config.hpp"
#include "relay/core/output/prompt.hpp"

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// What a session keeps of one of its parties besides the `Leg`.
struct RtpproxyParty {
  /// Payload types that the party accepts, in its order of preference. Nothing is filtered by them.
  std::vector<PayloadType> codecs;
  /// The address where its port is, or will be. The command that makes the session chooses it.
  const LocalAddress* local = nullptr;
  /// Its media time-out in s, by command; 0 = the daemon's.
  std::chrono::seconds ttl{0};
  /// When its time-out began anew without a packet: at a message, or at a command about it.
  Instant refreshed{};
  /// DSCP octet of packets to the party, by command. Unset = the call's.
  std::optional<std::uint8_t> tos;
  /// True if the party holds a reference of its own on the session (modifier `w`).
  bool is_weak = false;
  /// Members that few parties need.
  struct Extras {
    /// What is played once the party has a port. Without a prompt none waits.
    PromptOrder waiting;
    /// Its DTMF events are reported under this tag. Empty = they are not reported.
    std::string dtmf_tag;
    /// The payload type of its events, and whether they are kept from the other party.
    PayloadType dtmf_type;
    bool hides_dtmf = false;
  };
  std::unique_ptr<Extras> extras;
  /// Gives the extras, and makes them first if there are none.
  Extras& ensure_extras() {
    if (!extras) extras = std::make_unique<Extras>();
    return *extras;
  }
};

/// A recording of one or both parties.
struct RtpproxyRecording {
  /// Tells it from the session's other recordings: the suffix or path of its file.
  std::string name;
  /// Whether each party is recorded.
  std::array<bool, 2> records{};
  /// The recording's tap on the call, and the recording. Never null.
  TapId tap;
  std::unique_ptr<CallRecording> recording;
};

/// The session behind a call that the rtpproxy protocol made. The call owns it as its `CallPolicy`. The call
/// is answered once both parties have ports. Leg 0 is the party that began it (the owner of the session's
/// tag), leg 1 the other one; copies have legs behind these.
struct RtpproxySession : CallPolicy {
  /// Refines a plan: payload types, UDPTL, DTMF and packet times follow the rules of the protocol.
  void refine(const Call& call, const MediaTransport& transport, TransportPlan& plan) const override;
  /// Does it for the source of one party, `leg`.
  void refine_source(const Call& call, const Leg& leg, TransportPlan& plan, SourcePlan& source) const;
  /// When the session ends without media, by the time-outs of its parties.
  [[nodiscard]] Due due(const Call& call, const SessionConfig& config, const Pauses& pauses) const override;
  /// How long one party may be without media, in s.
  [[nodiscard]] std::chrono::seconds ttl_of(const Call& call, std::size_t party,
                                            const RtpproxyConfig& config) const;
  /// The Call-ID, which several sessions may share.
  [[nodiscard]] std::string_view shared_name() const override { return call_id; }

  // Both are views into the call's id. The tag is the owner's, with the number of the media if there is one.
  std::string_view call_id;
  std::string_view tag;
  std::array<RtpproxyParty, 2> parties;
  /// Who is told of its time-out, and under which name. Empty = nobody.
  std::string notify_target;
  std::string notify_tag;
  /// A list, because the taps point to its elements.
  std::list<RtpproxyRecording> recordings;
  /// `Call::serial` of another session that its parties hear, and nobody else; 0 = they hear each other.
  std::uint64_t fed_by = 0;
  /// True if the owner hears that session's owner, instead of its other party.
  bool is_fed_swapped = false;
  /// True while the reference without modifier `w` is held. The session ends when no reference is left.
  bool is_strong = true;
  /// True once an `L` came. A later `U` is then a proposal until the next `L` (LAT-15). A client that says
  /// `U` for both sides never answers, so its `U` counts at once.
  bool has_answers = false;
};

/// The Call-ID as the proxy and its log know it. The ids of rtpproxy sessions here have a tag behind it.
[[nodiscard]] inline std::string_view plain_id(const Call& call) {
  return call.rtpproxy() != nullptr ? call.rtpproxy()->call_id : std::string_view(call.id);
}

}  // namespace ferry
