// SPDX-License-Identifier: Apache-2.0
// What is known of a call when it is judged: what signalling said, and what the relay saw.
#pragma once

#include "control/diagnose/media_view.hpp"

#include <bitset>
#include <optional>
#include <string>
#include <vector>

namespace ferry {

/// One m-line of one party: what signalling said, and what the relay saw. Plain values, set by the session
/// layer.
struct MediaEvidence {
  /// Number of the m-line in the party's SDP, from 1, and its media type ("audio").
  unsigned index = 0;
  std::string type;
  /// RTP port of the relay, as it is bound.
  Endpoint local;
  /// RTP address that the party was told.
  Endpoint advertised;
  /// RTP address from the party's SDP; unset if it has sent none.
  Endpoint signalled;
  /// Source of the party's SIP message (`received-from`); unset if the proxy did not say.
  IpAddress signalling_source;
  /// Which sources may be learned for it.
  LatchPolicy policy = LatchPolicy::kSignalled;
  /// The m-line was declined (port 0).
  bool is_rejected = false;
  /// A re-INVITE added it, and nobody has answered that offer yet.
  bool is_proposed = false;
  /// `signalled` cannot be reached from here, such as 0.0.0.0.
  bool is_void = false;
  /// `signalled` is a media port of this relay, so that the call would run in a circle.
  bool loops = false;
  /// Why no party may be at `signalled` (LAT-11a); kNone = it may.
  PeerDenial denied = PeerDenial::kNone;
  /// Addresses of its SDP that were left out, in words.
  std::vector<std::string> left_out;
  /// What signalling lets the party do: send, and receive.
  bool may_send = true;
  bool may_receive = true;
  /// It is in the call to listen only, as a subscriber is.
  bool only_listens = false;
  /// The proxy says that the party never sends (flag `unidirectional`).
  bool is_unidirectional = false;
  /// Its media is encrypted.
  bool is_encrypted = false;
  /// A key for its media was agreed.
  bool is_keyed = false;
  /// Whether the relay begins the DTLS handshake; unset = keys do not come by DTLS.
  std::optional<bool> handshake_begins;
  /// It has ICE credentials.
  bool has_ice = false;
  /// Its ICE credentials are shorter than RFC 8839 §5.4 allows.
  bool has_short_ice_credentials = false;
  /// The party's last offer had a BUNDLE group with one place for all sections, and the relay did not take
  /// it.
  bool has_lost_group = false;
  /// A command or flag blocks what it sends.
  bool is_blocked = false;
  /// Codecs that the proxy's script wanted transcoded, for the party or from what the party sends
  /// (`codec-transcode` and its kin), and that this relay cannot convert.
  std::vector<std::string> unmade_codecs;
  /// The relay listens on the port. False: opening it failed.
  bool is_served = true;
  /// Its protocol is RTP.
  bool is_rtp = true;
  /// The parties do ICE and agree on keys with each other: media may go past the relay.
  bool is_end_to_end = false;
  /// Why the relay passes nothing of its protocol (DMX-6); empty = it does.
  std::string unrelayed;
  /// RTCP comes to the RTP port (RFC 5761).
  bool is_muxed = false;
  /// Payload types in the last SDP that the relay sent it, and those in earlier ones. If none is set, all are
  /// allowed.
  std::bitset<128> shown;
  std::bitset<128> earlier;
  /// A party that sends to it: the place in `CallEvidence::legs`, and in the medias of that leg.
  struct Source {
    std::size_t leg = 0;
    std::size_t media = 0;
    /// A command blocks this flow alone, so that nothing of it passes, or silences it, so that only silence
    /// passes.
    bool blocked = false;
    bool silenced = false;
    /// What becomes of its audio on the way, in words; empty = it passes as it came.
    std::string treatment{};
    /// True if it is decoded and encoded anew.
    bool is_converted = false;
  };
  /// All that send to it; empty = nobody.
  std::vector<Source> sources;
  /// What the relay counted on its ports.
  MediaView seen;
};

/// One party of the call.
struct LegEvidence {
  /// Its tag, or the text that stands for it.
  std::string name;
  std::vector<MediaEvidence> medias;
};

/// An offer or answer that the relay refused with an error.
struct RefusedMessage {
  bool is_answer = false;
  /// It was refused because its address has an IP version that the side lacks.
  bool wrong_family = false;
  /// Text of the error, and its time.
  std::string reason;
  Instant at{};
};

/// All that is known of one call. Plain values, set by the session layer.
struct CallEvidence {
  std::string call_id;
  /// The present time, on the monotonic clock and on the wall clock.
  Instant now{};
  WallTime wall{};
  /// Begin of the call.
  Instant created{};
  /// The last message of signalling.
  Instant last_signal{};
  bool is_answered = false;
  /// The call was deleted at `now`: a party that fell silent up to two seconds before has hung up. False by
  /// default.
  bool is_over = false;
  /// The last message that was refused; unset = none.
  std::optional<RefusedMessage> refused;
  std::vector<LegEvidence> legs;
};

}  // namespace ferry
